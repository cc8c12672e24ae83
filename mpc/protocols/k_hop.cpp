#include <algorithm>
#include <bit>
#include <limits>

#include "roundtrip/base/error.h"
#include "roundtrip/base/fault.h"
#include "roundtrip/base/random.h"
#include "roundtrip/mpc/protocols/library.h"
#include "roundtrip/mpc/protocols/oracles.h"
#include "roundtrip/mpc/protocols/sort_input.h"
#include "roundtrip/mpc/stages/sort.h"

// Positions count from 1; 0 is none. Machine (i-1) div b is the owner of position i. find_1(i) is one
// more than the previous position with the symbol of i, so it is injective where it is not 0, and so is every
// find_m: each has an inverse.
namespace roundtrip::mpc {
namespace {

constexpr std::uint64_t kDefaultKappa = 8;
constexpr std::uint64_t kMinKappa = 6;  // B >= b, and 5 b words of state on an owner
constexpr std::int64_t kMaxHops = std::numeric_limits<std::int64_t>::max();
constexpr std::uint32_t kSymbolBits = 47;  // an output word is the symbol's plus 1, or 0 for none

std::uint64_t hops(const Parameters& parameters) {
  return static_cast<std::uint64_t>(parameters.integer_option("k", 2, 1, kMaxHops));
}

class KHop final : public Composition {
 public:
  explicit KHop(const Parameters& parameters)
      : hops_(hops(parameters)), value_bits_(static_cast<std::uint32_t>(std::bit_width(parameters.n))) {
    require(!parameters.kappa_s || *parameters.kappa_s >= kMinKappa,
            "kappa_s is {}, allowed for k_hop is at least {}", parameters.kappa_s.value_or(0), kMinKappa);
    const Sizes sizes = sort_sizes(parameters, kDefaultKappa, numbered_words(parameters.n));
    const SortShape sorted = declare_sort(parameters, sizes, numbered_words(parameters.n));
    const SortPlan& plan = sorted.plan;
    shape_ = sorted.shape;
    shape_.word_bits = std::max(shape_.word_bits, 2 + 2 * value_bits_);
    shape_.input_bits = kSymbolBits;

    then("to the sort machines", 1, 0,
         [this, plan](const Context& context, std::uint32_t) { send_input_to_sort(context, shape_, plan); });
    // The last record of each machine goes to the next one too, which will want to compare its first record
    // with it.
    const auto place = [this, block = plan.machine_records](const Context& context, std::uint64_t position,
                                                            std::span<const Word> record) {
      const auto machine = static_cast<MachineId>(position / block);
      context.out.send(machine, record);
      if (position % block == block - 1 && position + 1 < shape_.n) context.out.send(machine + 1, record);
    };
    const Sort& sort =
        then<Sort>("sort by symbol", {.plan = plan, .load = load_numbered_words, .place = place});
    then("find_1 and its inverse to their owners", 1, 0,
         [this, &sort](const Context& context, std::uint32_t) {
           send_predecessors(context, sort.result(context), sort.rounds() > 0 && context.machine > 0);
         });
    const std::uint32_t pushes = ceil_log(2, hops_);
    const std::uint64_t state_words = 5 * shape_.block_words;
    then("double", pushes, state_words, [this](const Context& context, std::uint32_t push) {
      const Owned owned = read_owned(context, push - 1);
      if (!owned.x.empty()) send_push(context, owned, push - 1);
    });
    then("deliver", 1, state_words, [this, pushes](const Context& context, std::uint32_t) {
      const Owned owned = read_owned(context, pushes);
      for (std::uint64_t j = 0; j < owned.x.size(); ++j) {
        if (owned.inverse_sum[j] != 0) context.out.deliver(owned.inverse_sum[j] - 1, owned.x[j] + 1);
        if (owned.sum[j] == 0) context.out.deliver(owned.first + j - 1, 0);
      }
    });
    shape_.validate();
  }

 private:
  enum Kind : Word { kPower, kInversePower, kSum, kInverseSum };

  /// What an owner knows of its positions first, first + 1, ..: symbols, P = find_{2^t} and its
  /// inverse, and A = find_{k mod 2^t} (once k mod 2^t > 0) and its inverse.
  struct Owned {
    std::uint64_t first;
    std::span<Word> x, power, inverse_power, sum, inverse_sum;
  };

  Word packed(Kind kind, Word position, Word value) const {
    return Word{kind} << (2 * value_bits_) | position << value_bits_ | value;
  }
  MachineId home_of(Word position) const {
    return static_cast<MachineId>((position - 1) / shape_.block_words);
  }
  void send(const Context& context, Kind kind, Word position, Word value) const {
    context.out.send(home_of(position), packed(kind, position, value));
  }

  /// `sorted` are pairs (symbol, position from 0); the first one is the machine's before, unless it has none.
  void send_predecessors(const Context& context, std::span<const Word> sorted, bool preceded) const {
    for (std::uint64_t i = preceded ? 2 : 0; i + 1 < sorted.size(); i += 2) {
      const Word position = sorted[i + 1] + 1;
      const bool repeats = i > (seeded("border-unseen") ? 2 : 0) && sorted[i - 2] == sorted[i];
      const Word find = repeats ? sorted[i - 1] + 2 : 0;
      const Word found[2] = {packed(kPower, position, find), sorted[i]};
      context.out.send(home_of(position), found);
      if (find != 0) send(context, kInversePower, find, position);
    }
  }

  /// State after t pushes; empty on a machine that owns none.
  Owned read_owned(const Context& context, std::uint32_t t) const {
    const std::uint64_t before = context.machine * shape_.block_words;
    if (before >= shape_.n) return {};
    const std::uint64_t count = std::min(shape_.block_words, shape_.n - before);
    const std::span<Word> state = context.take(5 * count);
    std::ranges::fill(state, 0);
    const auto array = [&](std::uint64_t i) { return state.subspan(i * count, count); };
    const Owned owned{before + 1, array(0), array(1), array(2), array(3), array(4)};
    const std::span<Word> of_kind[4] = {owned.power, owned.inverse_power, owned.sum, owned.inverse_sum};
    const Word low = (Word{1} << value_bits_) - 1;

    const std::span<const Word> words = context.inbox.words();
    std::span<const Word> symbols;  // what an owner sends to itself begins with its symbols
    if (t > 0) {
      symbols = context.from(context.machine);
      expect_received(symbols.size() >= count);
      symbols = symbols.first(count);
      std::ranges::copy(symbols, owned.x.begin());
    }
    for (std::size_t i = 0; i < words.size(); ++i) {
      if (words.data() + i == symbols.data() && t > 0) i += count;
      if (i == words.size()) break;
      const std::uint64_t slot = (words[i] >> value_bits_ & low) - owned.first;
      const Word kind = words[i] >> (2 * value_bits_);
      expect_received(slot < count && kind <= kInverseSum);
      of_kind[kind][slot] = words[i] & low;
      if (t != 0 || kind != kPower) continue;
      expect_received(++i < words.size());
      owned.x[slot] = words[i];
    }
    if (t == static_cast<std::uint32_t>(std::countr_zero(hops_))) {  // the lowest bit of k starts the sum
      std::ranges::copy(owned.power, owned.sum.begin());
      std::ranges::copy(owned.inverse_power, owned.inverse_sum.begin());
    }
    return owned;
  }

  /// Push t + 1: find_{2^t} is doubled unless it is the last power of k, and added to the sum if k has that
  /// bit.
  void send_push(const Context& context, const Owned& owned, std::uint32_t t) const {
    const bool doubles = hops_ >> t > 1;
    const bool has_sum = t >= static_cast<std::uint32_t>(std::countr_zero(hops_));
    const bool adds = t > static_cast<std::uint32_t>(std::countr_zero(hops_)) && (hops_ >> t & 1) != 0;
    context.out.send(context.machine, owned.x);
    for (std::uint64_t slot = 0; slot < owned.x.size(); ++slot) {
      const Word j = owned.first + slot;
      const Word to = owned.power[slot];            // find_{2^t}(j)
      const Word from = owned.inverse_power[slot];  // find_{2^t}(from) = j
      const Word sum = owned.sum[slot];
      if (doubles && to != 0 && from != 0) {
        send(context, kPower, from, to);
        send(context, kInversePower, to, from);
      }
      if (adds && sum != 0 && from != 0) {
        send(context, kSum, from, sum);
        send(context, kInverseSum, sum, from);
      }
      // The sum's inverse need not be kept: the last push adds, and brings it anew.
      if (has_sum && !adds && sum != 0 && !(slot + 1 == owned.x.size() && seeded("sum-of-last-lost")))
        send(context, kSum, j, sum);
    }
  }

  std::uint64_t hops_;
  std::uint32_t value_bits_;  // of a position or none
};

}  // namespace

std::uint32_t k_hop_rounds(const Parameters& parameters) {
  const Sizes sizes = sort_sizes(parameters, kDefaultKappa, numbered_words(parameters.n));
  return declare_sort(parameters, sizes, numbered_words(parameters.n)).plan.rounds + 3 +
         ceil_log(2, hops(parameters));
}

ProtocolInfo k_hop_protocol() {
  ProtocolInfo info;
  info.name = "k_hop";
  info.program = "k_hop_program";
  info.summary = "k-hop induction heads: the symbol after the previous occurrence, k times over";
  info.card = R"(Problem: symbols x_1..x_N; find_1(i) = max({0} u {2 <= j <= i : x_{j-1} = x_i}), find_k(i) =
find_1(find_{k-1}(i)), find(0) = 0; output x at find_k(i), or none where that is 0.
Guarantee: exact and deterministic, for any k >= 1.
Cost: R = T_sort(N, 2) + 3 + ceil(log2 k) rounds; at most s = kappa_s b words sent and received by a machine,
kappa_s = 8 (at least 6); q = max(ceil(N / b), ceil(N / B)), B of T_sort; words of max(48, 2 + 2
ceil(log2(N+1))) bits, symbols of 47. With gamma above 0, B is the least that takes no more rounds on ceil(q N^gamma)
machines.
Source: the task is of Sanford, Hsu, Telgarsky 2024 (arXiv 2402.09268); find_k is injective where it is not 0, so
doubling a power of find_1 is one push round along inverse pointers.)";
  info.rounds_formula = "T_sort(N, 2) + 3 + ceil(log2 k)";
  info.kappa_s = kDefaultKappa;
  info.uses_more_machines = true;
  info.options = {{"k", "2", "number of hops, an integer of at least 1; more than N is allowed"}};
  info.output_form = OutputForm::kSymbols;
  info.example.text = "the cat saw the dog and the dog saw the cat so the cat sat down";
  info.make = [](const Parameters& parameters) { return std::make_unique<KHop>(parameters); };
  info.decode = [](const Protocol& protocol, std::uint64_t, Word word) -> std::optional<std::int64_t> {
    if (word == 0) return std::nullopt;
    return decode_input(word - 1, protocol.shape());
  };
  info.oracle = [](std::span<const std::int64_t> values, const Parameters& parameters) {
    return oracles::k_hop(values, hops(parameters));
  };
  info.generate = [](const Parameters& parameters) {
    // Few symbols, so that chains are long: about the square root of N.
    const std::uint64_t symbols = ceil_power(parameters.n, Rational(1, 2));
    RandomStream stream(parameters.seed, Domain::kInstance);
    Values values(parameters.n);
    for (std::int64_t& value : values) value = static_cast<std::int64_t>(stream.below(symbols));
    return values;
  };
  return info;
}

}  // namespace roundtrip::mpc
