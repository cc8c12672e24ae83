#include <algorithm>
#include <bit>
#include <vector>

#include "roundtrip/base/error.h"
#include "roundtrip/base/random.h"
#include "roundtrip/mpc/protocols/library.h"
#include "roundtrip/mpc/protocols/oracles.h"
#include "roundtrip/mpc/stages/odd_even_sort.h"

// Every position sends out a walker. In each of k rounds a walker moves from position j to find_1(j), one more than
// the previous position that holds the symbol of j. find_1 is injective where it is defined, so no two walkers meet,
// and no machine hosts more than b of them. A walker that cannot go on sends word home to where it started.
// A position or a target is written from 1; 0 is none. The machine of positions i b + 1 .. i b + b is machine i.
namespace roundtrip::mpc {
namespace {

constexpr std::uint64_t kKappa = 3;
constexpr std::uint64_t kMostWords = std::uint64_t{1} << 14;
constexpr std::uint32_t kSymbolBits = 18;  // with two positions below 2^15: 48
constexpr std::int64_t kMaxHops = 4096;

std::uint64_t hops(const Parameters& parameters) {
  return static_cast<std::uint64_t>(parameters.integer_option("k", 2, 1, kMaxHops));
}

class KHopWalk final : public Composition {
 public:
  explicit KHopWalk(const Parameters& parameters)
      : bits_(static_cast<std::uint32_t>(std::bit_width(parameters.n))) {
    require(parameters.n <= kMostWords, "N is {}, allowed is 1 to 2^14 for k_hop_walk", parameters.n);
    const auto walks = static_cast<std::uint32_t>(hops(parameters));
    const Sizes sizes =
        choose_sizes(parameters, kKappa, [](const Sizes& at) { return at.kappa_s >= kKappa; });
    shape_ = declare_shape(parameters, sizes, parameters.n, 1);
    shape_.heap_words = 0;
    shape_.input_bits = kSymbolBits;
    const std::uint64_t b = sizes.block_words;

    const OddEvenSort& sort = then<OddEvenSort>(
        "sort with a neighbour",
        {.words = parameters.n, .block = b, .load = [this](const Context& context, auto block) {
           const std::span<const Word> input = context.inbox.words();
           expect_received(input.size() >= block.size());
           for (std::size_t i = 0; i < block.size(); ++i) {
             expect_received(input[i] >> kSymbolBits == 0);
             block[i] = input[i] << bits_ | (context.machine * shape_.block_words + i + 1);
           }
         }});
    then("show the last word to the next machine", 1, 0, [&sort](const Context& context, std::uint32_t) {
      const std::span<const Word> sorted = sort.result(context);
      if (sorted.empty()) return;
      context.out.send(context.machine, sorted);
      if (sort.count(context.machine + 1) > 0) context.out.send(context.machine + 1, sorted.back());
    });
    then("tell every place what to look up", 1, 0, [this, &sort](const Context& context, std::uint32_t) {
      const std::uint64_t count = sort.count(context.machine);
      if (count == 0) return;
      const std::span<const Word> sorted = context.from(context.machine, 0, count);
      expect_received(sorted.size() == count);
      Word before = 0;  // no record is 0: positions count from 1
      if (context.machine > 0) {
        const std::span<const Word> last = context.last_from(context.machine - 1, 1);
        expect_received(!last.empty());
        before = last[0];
      }
      for (const Word record : sorted) {
        const bool repeats = before != 0 && before >> bits_ == record >> bits_;
        const Word position = low(record);
        expect_received(position >= 1 && position <= shape_.n && (!repeats || low(before) < shape_.n));
        context.out.send(owner(position), (record >> bits_) << (2 * bits_) | position << bits_ |
                                              (repeats ? low(before) + 1 : 0));
        before = record;
      }
    });
    then("walk", walks, b, [this](const Context& context, std::uint32_t hop) {
      const std::span<Word> state = hop == 1 ? first_state(context) : later_state(context);
      send_state(context, state);
      if (hop > 1)
        return for_each_walker(context, [&](Word start, Word at) { walk(context, state, start, at); });
      for (std::size_t i = 0; i < state.size(); ++i) {
        const Word position = context.machine * shape_.block_words + i + 1;
        if (low(state[i]) != 0) context.out.send(owner(low(state[i])), position << bits_ | low(state[i]));
      }
    });
    then("deliver", 1, b, [this](const Context& context, std::uint32_t) {
      const std::span<Word> state = later_state(context);
      for_each_walker(context, [&](Word start, Word at) {
        context.out.deliver(start - 1, symbol(state[at - 1 - context.machine * shape_.block_words]) + 1);
      });
      for (std::size_t i = 0; i < state.size(); ++i) {
        if (ended(state[i])) context.out.deliver(context.machine * shape_.block_words + i, 0);
      }
    });
    shape_.validate();
  }

 private:
  // A word of state is (ended, symbol, find_1) of one position; it is told by its place. A walker is (start, at), and
  // (start, 0) is the word that it ended.
  Word low(Word word) const { return word & ((Word{1} << bits_) - 1); }
  Word symbol(Word state) const { return state >> bits_ & ((Word{1} << kSymbolBits) - 1); }
  bool ended(Word state) const { return (state >> (bits_ + kSymbolBits) & 1) != 0; }
  Word ended_bit() const { return Word{1} << (bits_ + kSymbolBits); }
  MachineId owner(Word position) const { return static_cast<MachineId>((position - 1) / shape_.block_words); }
  std::uint64_t count(MachineId machine) const {
    const std::uint64_t before = machine * shape_.block_words;
    return before >= shape_.n ? 0 : std::min(shape_.block_words, shape_.n - before);
  }

  void send_state(const Context& context, std::span<const Word> state) const {
    context.out.send(context.machine, state);
  }

  std::span<Word> first_state(const Context& context) const {
    const std::span<Word> state = context.take(count(context.machine));
    std::ranges::fill(state, 0);
    for (const Word word : context.inbox.words()) {
      const Word place = low(word >> bits_) - 1 - context.machine * shape_.block_words;
      expect_received(place < state.size() && low(word) <= shape_.n);
      const Word found = word >> (2 * bits_);
      state[place] = found << bits_ | low(word) | (low(word) == 0 ? ended_bit() : 0);
    }
    return state;
  }

  std::span<Word> later_state(const Context& context) const {
    const std::span<Word> state = context.take(count(context.machine));
    const std::span<const Word> sent = context.from(context.machine, 0, state.size());
    expect_received(sent.size() == state.size());
    std::ranges::copy(sent, state.begin());
    for (const Word word : state) expect_received(low(word) <= shape_.n);
    for_each_message(context, [&](Word start, Word at) {
      const Word place = start - 1 - context.machine * shape_.block_words;
      if (at != 0) return;
      expect_received(place < state.size());
      state[place] |= ended_bit();
    });
    return state;
  }

  /// visit(start, at) for all that is not the machine's state.
  template <typename Visit>
  void for_each_message(const Context& context, const Visit& visit) const {
    const auto of = [&](std::span<const Word> words) {
      for (const Word word : words) {
        const Word start = word >> bits_, at = low(word);
        expect_received(start >= 1 && start <= shape_.n && at <= shape_.n);
        visit(start, at);
      }
    };
    of(context.before(context.machine));
    of(context.from(context.machine, count(context.machine)));
    of(context.after(context.machine));
  }
  template <typename Visit>
  void for_each_walker(const Context& context, const Visit& visit) const {
    for_each_message(context, [&](Word start, Word at) {
      if (at == 0) return;
      expect_received(at - 1 - context.machine * shape_.block_words < count(context.machine));
      visit(start, at);
    });
  }

  void walk(const Context& context, std::span<const Word> state, Word start, Word at) const {
    const Word next = low(state[at - 1 - context.machine * shape_.block_words]);
    context.out.send(owner(next != 0 ? next : start), start << bits_ | next);
  }

  std::uint32_t bits_;  // of a position or none
};

}  // namespace

std::uint32_t k_hop_walk_rounds(const Parameters& parameters) {
  const std::uint64_t b = block_words(parameters, std::max(kKappa, parameters.kappa_s.value_or(kKappa)));
  return static_cast<std::uint32_t>(ceil_div(parameters.n, b) + hops(parameters)) + 3;
}

ProtocolInfo k_hop_walk_protocol() {
  ProtocolInfo info;
  info.name = "k_hop_walk";
  info.summary = "k-hop induction heads by walkers: one hop a round, in little memory";
  info.card =
      R"(Problem: symbols x_1..x_N of 18 bits, N <= 2^14; find_1(i) = max({0} u {2 <= j <= i : x_{j-1} = x_i}),
find_k(i) = find_1(find_{k-1}(i)), find(0) = 0; output x at find_k(i), or none where that is 0.
Guarantee: exact and deterministic, for k from 1 to 4096.
Cost: R = ceil(N / b) + k + 3 rounds; at most s = 3 b words received and 2 b sent by a machine (kappa_s = 3), so that s
is far below N also at N = 16; q = ceil(N / b). To be read and drawn; k_hop is for large N and k.
Source: the task is of Sanford, Hsu, Telgarsky 2024 (arXiv 2402.09268); find_k is injective where it is not 0, so a
machine hosts at most b walkers. Sorted by odd-even merge-split.)";
  info.rounds_formula = "ceil(N / b) + k + 3";
  info.kappa_s = kKappa;
  info.options = {{"k", "2", "number of hops, an integer from 1 to 4096"}};
  info.output_form = OutputForm::kSymbols;
  info.example = {.text = "the cat saw the dog and the dog saw the cat so the cat sat down",
                  .epsilon = {1, 4}};
  info.make = [](const Parameters& parameters) { return std::make_unique<KHopWalk>(parameters); };
  info.decode = [](const Protocol& protocol, std::uint64_t, Word word) -> std::optional<std::int64_t> {
    if (word == 0) return std::nullopt;
    return decode_input(word - 1, protocol.shape());
  };
  info.oracle = [](std::span<const std::int64_t> values, const Parameters& parameters) {
    return oracles::k_hop(values, hops(parameters));
  };
  info.generate = [](const Parameters& parameters) {
    const std::uint64_t symbols = ceil_power(parameters.n, Rational(1, 2));
    RandomStream stream(parameters.seed, Domain::kInstance);
    Values values(parameters.n);
    for (std::int64_t& value : values) value = static_cast<std::int64_t>(stream.below(symbols));
    return values;
  };
  return info;
}

}  // namespace roundtrip::mpc
