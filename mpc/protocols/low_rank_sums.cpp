#include <algorithm>

#include "roundtrip/base/error.h"
#include "roundtrip/base/random.h"
#include "roundtrip/mpc/protocols/library.h"
#include "roundtrip/mpc/protocols/oracles.h"
#include "roundtrip/mpc/stages/tree_stages.h"

// Glossary: n tokens of W = 2 r + m words, phi(q), phi(k) and v; r the rank, m the dimension of values.
// G = sum of phi(k_j) v_j^T, r x m, and g = sum of phi(k_j) together are r rows of m + 1 words, g last.
// Numbers are residues modulo 2^48.
namespace roundtrip::mpc {
namespace {

constexpr std::uint64_t kDefaultKappa = 16;
constexpr std::uint32_t kBits = 48;
constexpr Word kMask = (Word{1} << kBits) - 1;
constexpr Word kHalf = Word{1} << (kBits - 1);

struct Plan {
  Sizes sizes;
  std::uint64_t rank, dimension;
  std::uint64_t token_words;     // W
  std::uint64_t tokens;          // n
  std::uint64_t machine_tokens;  // T_b
  Tree tree;
  std::uint64_t sum_words() const { return rank * (dimension + 1); }
};

Plan make_plan(const Parameters& parameters) {
  Plan plan{};
  plan.rank = static_cast<std::uint64_t>(parameters.integer_option("rank", 4, 1, 1024));
  plan.dimension = static_cast<std::uint64_t>(parameters.integer_option("dim", 8, 1, 1024));
  plan.token_words = 2 * plan.rank + plan.dimension;
  require(parameters.n % plan.token_words == 0 && parameters.n < std::uint64_t{1} << 30,
          "N is {}, allowed for low_rank_sums is a multiple of 2 rank + dim = {} below 2^30", parameters.n,
          plan.token_words);
  plan.tokens = parameters.n / plan.token_words;
  plan.sizes = choose_sizes(parameters, kDefaultKappa, [&plan](const Sizes& sizes) {
    return sizes.memory_words >= 4 * plan.sum_words() && sizes.memory_words >= 4 * plan.token_words;
  });
  plan.machine_tokens = plan.sizes.memory_words / (4 * plan.token_words);
  plan.tree = Tree::over(0, static_cast<std::uint32_t>(ceil_div(plan.tokens, plan.machine_tokens)),
                         static_cast<std::uint32_t>(plan.sizes.memory_words / (2 * plan.sum_words())));
  return plan;
}

class LowRankSums final : public Composition {
 public:
  explicit LowRankSums(const Parameters& parameters) : plan_(make_plan(parameters)) {
    shape_ = declare_shape(parameters, plan_.sizes, plan_.tokens * (plan_.dimension + 1), plan_.tree.leaves);
    shape_.heap_words = 0;
    then("tokens to their machines", 1, 0, [this](const Context& context, std::uint32_t) {
      std::uint64_t index = context.machine * shape_.block_words;
      for (const Word word : context.inbox.words())
        context.out.send(static_cast<MachineId>(index++ / plan_.token_words / plan_.machine_tokens), word);
    });
    const TreeReduce& sums = then<TreeReduce>(
        "sums", {.tree = plan_.tree,
                 .element_words = plan_.sum_words(),
                 .load = [this](const Context& context, std::span<Word> sum) { add_tokens(context, sum); },
                 .combine =
                     [](std::span<Word> left, std::span<const Word> right) {
                       for (std::size_t i = 0; i < left.size(); ++i) left[i] = (left[i] + right[i]) & kMask;
                     },
                 .keep = [](const Context& context) { return context.inbox.words(); }});
    const Broadcast& known = then<Broadcast>(
        "sums to all", {.tree = plan_.tree,
                        .element_words = plan_.sum_words(),
                        .load =
                            [&sums](const Context& context, std::span<Word> sum) {
                              const std::span<const Word> result = sums.result(context);
                              std::ranges::copy(result.first(std::min(result.size(), sum.size())),
                                                sum.begin());
                            },
                        .keep = [&sums](const Context& context) { return sums.kept(context); },
                        .load_scratch_words = plan_.sum_words()});
    then("deliver", 1, 0, [this, &known](const Context& context, std::uint32_t) { deliver(context, known); });
    shape_.validate();
  }

 private:
  /// Calls each(first word) for the whole tokens in `words`.
  template <typename Each>
  void for_each_token(std::span<const Word> words, const Each& each) const {
    for (; words.size() >= plan_.token_words; words = words.subspan(plan_.token_words)) each(words.data());
  }

  void add_tokens(const Context& context, std::span<Word> sum) const {
    std::ranges::fill(sum, 0);
    for_each_token(context.inbox.words(), [&](const Word* token) {
      const Word* const key = token + plan_.rank;
      const Word* const value = key + plan_.rank;
      for (std::uint64_t row = 0; row < plan_.rank; ++row) {
        const Word factor = key[row] ^ kHalf;
        Word* const to = sum.data() + row * (plan_.dimension + 1);
        for (std::uint64_t i = 0; i < plan_.dimension; ++i)
          to[i] += factor * (value[i] ^ kHalf);  // modulo 2^64
        to[plan_.dimension] += factor;
      }
    });
    for (Word& word : sum) word &= kMask;
  }

  void deliver(const Context& context, const Broadcast& known) const {
    const std::span<const Word> sum = known.result(context);
    if (sum.size() < plan_.sum_words()) return;
    const std::uint64_t width = plan_.dimension + 1;
    std::uint64_t output = context.machine * plan_.machine_tokens * width;
    for_each_token(known.kept(context), [&](const Word* query) {
      for (std::uint64_t i = 0; i < width; ++i) {
        Word total = 0;
        for (std::uint64_t row = 0; row < plan_.rank; ++row)
          total += (query[row] ^ kHalf) * sum[row * width + i];
        context.out.deliver(output++, (total & kMask) ^ kHalf);
      }
    });
  }

  Plan plan_;
};

}  // namespace

std::uint32_t low_rank_sums_rounds(const Parameters& parameters) {
  return 2 + 2 * make_plan(parameters).tree.depth;
}

ProtocolInfo low_rank_sums_protocol() {
  ProtocolInfo info;
  info.name = "low_rank_sums";
  info.program = "low_rank_sums_program";
  info.summary = "low-rank attention: phi(q_i) (phi(K)^T V) and phi(q_i) . sum phi(k), exact modulo 2^48";
  info.card =
      R"(Problem: n tokens of W = 2 r + m words, phi(q_i), phi(k_i) of r words and v_i of m words, fixed-point numbers of 48
bits; outputs of token i: the m words of phi(q_i) G, G = sum_j phi(k_j) v_j^T, then phi(q_i) . sum_j phi(k_j):
numerators and denominator of low-rank attention, modulo 2^48 as signed numbers.
Guarantee: exact and deterministic.
Cost: R = 2 ceil(log_f ceil(n / T_b)) + 2 rounds, T_b = floor(s / 4 W) tokens a machine,
f = floor(s / 2 r (m + 1)) >= 2; at most s = kappa_s b words sent and received by a machine, kappa_s = 16, raised
to the least that has a plan; q = max(ceil(N / b), ceil(n / T_b), output machines).
Source: Liu, Yu, Sanford, Andoni, Hsu 2025 (low-rank attention as an ANNA-transformer): up a tree and down.)";
  info.rounds_formula = "2 ceil(log_f ceil(n / T_b)) + 2";
  info.kappa_s = kDefaultKappa;
  info.options = {{"rank", "4", "r, the dimension of phi, an integer from 1 to 1024"},
                  {"dim", "8", "m, the dimension of values, an integer from 1 to 1024"}};
  info.make = [](const Parameters& parameters) { return std::make_unique<LowRankSums>(parameters); };
  info.decode = [](const Protocol& protocol, std::uint64_t, Word word) -> std::optional<std::int64_t> {
    return decode_input(word, protocol.shape());
  };
  info.oracle = [](std::span<const std::int64_t> values, const Parameters& parameters) {
    return oracles::low_rank_sums(values,
                                  static_cast<std::uint64_t>(parameters.integer_option("rank", 4, 1, 1024)),
                                  static_cast<std::uint64_t>(parameters.integer_option("dim", 8, 1, 1024)));
  };
  info.generate = [](const Parameters& parameters) {
    // Positive features, values of either sign.
    const Plan plan = make_plan(parameters);
    RandomStream stream(parameters.seed, Domain::kInstance);
    Values values(parameters.n);
    for (std::uint64_t i = 0; i < values.size(); ++i) {
      const bool is_feature = i % plan.token_words < 2 * plan.rank;
      values[i] = static_cast<std::int64_t>(stream.below(1000)) - (is_feature ? -1 : 500);
    }
    return values;
  };
  return info;
}

}  // namespace roundtrip::mpc
