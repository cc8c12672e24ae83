// Statements: Match2 in one ANNA layer, and k-hop induction heads in O(log k) layers of width O(N^{1/a}), as
// networks of their own, without the detour over a protocol.
#include <algorithm>
#include <cmath>

#include "roundtrip/anna/attention/attention.h"
#include "roundtrip/base/random.h"
#include "roundtrip/proofs_check/cases.h"
#include "roundtrip/proofs_check/evaluation.h"
#include "roundtrip/proofs_check/formulas.h"
#include "roundtrip/proofs_check/spread.h"
#include "roundtrip/proofs_check/statements/statements.h"
#include "roundtrip/proofs_check/statistics.h"
#include "roundtrip/simulate/native/k_hop.h"
#include "roundtrip/simulate/native/match2.h"

namespace roundtrip::proofs_check {
namespace {

constexpr std::uint64_t kIdDimension = 128;
constexpr double kEta = 1e-6;       // of the z whose outputs are compared
constexpr double kEtaTested = 0.1;  // of the z whose failures are counted

/// What a control spoils.
struct Mutant {
  bool extra_layer = false;
  Padding padding{};
  bool output_altered = false;
  bool few_functions = false;  ///< 4 in place of the z that eta asks for
};

/// The network's facts with exact match (z = 0) or ANNA, on one input; answers as words.
Evaluation evaluate_network(const anna::Transformer& transformer, anna::Attention& attention,
                            const Mutant& mutant, const std::vector<mpc::Word>& input,
                            const std::vector<mpc::Word>& answers) {
  Network network{transformer.layers, transformer.tokens, transformer.input_dimension};
  for (auto& layer : network.layers) layer = padded(layer, mutant.padding);
  if (mutant.extra_layer) network.layers.push_back(padded(network.layers.back(), {.idle = true}));
  return evaluate_measured(network, attention, input, answers.size(), [&](std::uint64_t t, mpc::Word word) {
    return (mutant.output_altered && t == answers.size() / 2 ? word ^ 1 : word) == answers[t];
  });
}

// ---------------------------------------------------------------------------------------------------- Match2

constexpr const char* kMatch2 = "match2_one_layer";
constexpr std::uint64_t kFailureTokens = 32;

/// M about 2N and half of the residues allowed: both answers occur.
std::uint64_t match2_modulus(std::uint64_t n) {
  return 2 * n + 1;
}

Numbers match2_input(std::uint64_t n, std::uint64_t seed) {
  RandomStream random(seed, Domain::kInstance, n);
  Numbers x(n);
  for (std::int64_t& value : x) value = static_cast<std::int64_t>(random.below(match2_modulus(n)));
  x[0] = 0;  // matches itself
  return x;
}

Evaluation evaluate_match2(std::uint64_t n, double eta, const Mutant& mutant, std::uint64_t seed,
                           std::uint32_t fewer_functions = 0) {
  const simulate::Match2Options options{.n = n, .modulus = match2_modulus(n), .seed = seed};
  const Numbers input = match2_input(n, seed);
  std::vector<mpc::Word> answers;
  for (const auto& answer : oracle_match2(input, static_cast<std::int64_t>(options.modulus))) {
    answers.push_back(static_cast<mpc::Word>(*answer));
  }
  anna::AnnaParameters parameters = simulate::match2_tables(options, eta);
  parameters.functions -= std::min(parameters.functions - 1, fewer_functions);
  const auto attention = anna::make_anna(parameters);
  return evaluate_network(simulate::make_match2(options), *attention, mutant, {input.begin(), input.end()},
                          answers);
}

std::vector<std::vector<Check>> match2_checks(const std::vector<std::uint64_t>& sizes,
                                              const std::vector<Mutant>& mutant, Context& context) {
  const auto facts = spread(context.transport, sizes.size(), Evaluation::kNumbers, [&](std::size_t i) {
    context.progress("Match2 N = " + std::to_string(sizes[i]));
    return evaluate_match2(sizes[i], kEta, mutant[i], context.seed).numbers();
  });
  std::vector<std::vector<Check>> all;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    const Evaluation e = Evaluation::from(facts[i]);
    const Configuration configuration{.theorem = kMatch2, .n = sizes[i], .seed = context.seed};
    all.push_back({compare(configuration, "layers L", static_cast<double>(e.depth), Relation::kEqual, 1),
                   compare(configuration, "heads H", static_cast<double>(e.heads), Relation::kEqual, 1),
                   compare(configuration, "head dimension m", static_cast<double>(e.dimension),
                           Relation::kAtMost, kIdDimension),
                   compare(configuration, "outputs unlike the oracle's",
                           static_cast<double>(e.wrong + e.flagged), Relation::kEqual, 0)});
  }
  return all;
}

Check match2_failures(Context& context, std::uint32_t fewer_functions) {
  context.progress("failures of a draw");
  const std::uint64_t trials = context.sizes == Sizes::kSmall ? 600 : 6000;
  const std::uint64_t failures = spread_count(context.transport, trials, [&](std::uint64_t i) {
    const Evaluation e = evaluate_match2(kFailureTokens, kEtaTested, {},
                                         draw(context.seed, Domain::kTest, 3, i), fewer_functions);
    return e.wrong + e.flagged > 0;
  });
  return compare_interval({.theorem = kMatch2, .n = kFailureTokens, .seed = context.seed},
                          "P[some output wrong], eta .1",
                          static_cast<double>(failures) / static_cast<double>(trials),
                          clopper_pearson(failures, trials, context.alarm), Relation::kAtMost, kEtaTested);
}

class Match2OneLayer : public Statement {
 public:
  std::string name() const override { return kMatch2; }
  std::string title() const override { return "Match2 is one ANNA layer with one head"; }
  std::string card() const override {
    return R"(Problem:   output i = 1 iff some j (j = i allowed) has x_i + x_j = 0 mod M.
Guarantee: L = 1, H = 1, m = 128; a match is always found, and no other with probability >= 1 - eta.
Check:     sizes metered, outputs by ANNA with one table (eta = 1e-6) against the quadratic oracle; wrong outputs
           counted over draws at eta = 0.1, N = 32.
Source:    Liu, Yu, Sanford, Andoni, Hsu 2025 (Match2 in one layer).)";
  }
  std::vector<Constant> constants() const override {
    return {{"M", "2N + 1", "modulus"},
            {"eta", "1e-6; 0.1 where failures are counted", "failure probability for which z is chosen"}};
  }
  std::uint32_t statistical_checks(Sizes) const override { return 3; }
  std::vector<Check> checks(Context& context) const override {
    std::vector<std::uint64_t> sizes{32, 1000, 4096};
    if (context.sizes == Sizes::kFull) sizes.insert(sizes.end(), {8192, 16384});
    std::erase_if(sizes, [&](std::uint64_t n) { return !context.wants("", n); });
    std::vector<Check> all;
    for (const auto& checks : match2_checks(sizes, std::vector<Mutant>(sizes.size()), context)) {
      all.insert(all.end(), checks.begin(), checks.end());
    }
    if (context.wants("P[", kFailureTokens)) all.push_back(match2_failures(context, 0));
    return all;
  }
  std::vector<Control> controls(Context& context) const override {
    const std::vector<std::pair<const char*, Mutant>> defects{
        {"one layer more", {.extra_layer = true}},
        {"one head more", {.padding = {.heads = 1}}},
        {"a value dimension of 129", {.padding = {.dimension = 128}}},
        {"one output word altered", {.output_altered = true}}};
    std::vector<Mutant> mutant{{}};
    for (const auto& defect : defects) mutant.push_back(defect.second);
    const auto checks = match2_checks(std::vector<std::uint64_t>(mutant.size(), 200), mutant, context);
    std::vector<Control> all;
    for (std::size_t i = 0; i < defects.size(); ++i) {
      all.push_back(
          judge_control(kMatch2, defects[i].first, checks[0][i].quantity, checks[i + 1], checks[0]));
    }
    const Check enough = match2_failures(context, 0);
    all.push_back(judge_control(kMatch2, "z lowered by 6: failures appear", enough.quantity,
                                {match2_failures(context, 6)}, {enough}));
    return all;
  }
};

// ----------------------------------------------------------------------------------------------------- k-hop

constexpr const char* kKHop = "k_hop_depth";

struct Hop {
  std::uint64_t n;
  std::uint64_t k;
  std::uint32_t levels;  // a
};

std::vector<Hop> hops_of(Sizes sizes) {
  std::vector<Hop> hops;
  for (const std::uint64_t n : {100, 1000, 2048}) {
    for (const std::uint64_t k : {1, 4, 7}) hops.push_back({n, k, k == 7 ? 3u : 2u});
  }
  hops.push_back({2048, 64, 2});
  if (sizes == Sizes::kFull) hops.insert(hops.end(), {{4096, 64, 2}, {8192, 64, 3}, {10000, 100, 2}});
  return hops;
}

std::vector<std::vector<Check>> k_hop_checks(const std::vector<Hop>& hops, const std::vector<Mutant>& mutant,
                                             Context& context) {
  const auto facts = spread(context.transport, hops.size(), Evaluation::kNumbers, [&](std::size_t i) {
    const auto& [n, k, levels] = hops[i];
    context.progress("k-hop N = " + std::to_string(n) + " k = " + std::to_string(k));
    const simulate::KHopOptions options{.n = n, .k = k, .levels = levels, .seed = context.seed};
    RandomStream random(context.seed, Domain::kInstance, n, k);
    Numbers input(n);
    for (std::int64_t& x : input) x = static_cast<std::int64_t>(random.below(root_ceil(n, Rational(1, 2))));
    std::vector<mpc::Word> answers;  // x + 1, and 0 for none
    for (const auto& answer : oracle_k_hop(input, k))
      answers.push_back(answer ? static_cast<mpc::Word>(*answer) + 1 : 0);
    anna::AnnaParameters parameters = simulate::k_hop_tables(options, kEta);
    if (mutant[i].few_functions) parameters.functions = 4;
    const auto attention = anna::make_anna(parameters);
    return evaluate_network(simulate::make_k_hop(options), *attention, mutant[i],
                            {input.begin(), input.end()}, answers)
        .numbers();
  });
  std::vector<std::vector<Check>> all;
  for (std::size_t i = 0; i < hops.size(); ++i) {
    const auto& [n, k, levels] = hops[i];
    const Evaluation e = Evaluation::from(facts[i]);
    const Configuration configuration{
        .theorem = kKHop, .n = n, .epsilon = Rational(1, levels), .seed = context.seed};
    const std::string which = "k = " + std::to_string(k) + ": ";
    const std::uint64_t fan = root_ceil(n + 1, Rational(1, levels));
    all.push_back({compare(configuration, which + "layers L = a + ceil(log2 k) + 1",
                           static_cast<double>(e.depth), Relation::kEqual, levels + log_ceil(2, k) + 1.0),
                   compare(configuration, which + "heads H", static_cast<double>(e.heads), Relation::kAtMost,
                           std::max(levels, 2u)),
                   compare(configuration, which + "head dimension m", static_cast<double>(e.dimension),
                           Relation::kAtMost, static_cast<double>(std::max(fan, kIdDimension))),
                   compare(configuration, which + "outputs unlike the oracle's",
                           static_cast<double>(e.wrong + e.flagged), Relation::kEqual, 0)});
  }
  return all;
}

class KHopDepth : public Statement {
 public:
  std::string name() const override { return kKHop; }
  std::string title() const override { return "k-hop induction heads in O(log k) ANNA layers"; }
  std::string card() const override {
    return R"(Problem:   find_1(i) = max({0} u {2 <= j <= i : x_{j-1} = x_i}), find_k(i) = find_1(find_{k-1}(i)); output x there.
Guarantee: L = a + ceil(log2 k) + 1, H = max(a, 2), m = max(128, ceil((N+1)^{1/a})); exact with probability >= 1 - eta.
Check:     sizes metered, outputs by ANNA with one table against the definition, for k = 1, 4, 7 and 64.
Beside it: layers of other mechanisms: standard attention floor(log2 k) + 2; recurrent networks and state-space models
           k, or width linear in N; low-rank, kernel-based and masking-based attention k, or near-quadratic time.
Source:    Liu, Yu, Sanford, Andoni, Hsu 2025 (depth O(log k), width O(N^eps)); Sanford, Hsu, Telgarsky 2024 (the task
           and the other mechanisms' bounds); the network is ours.)";
  }
  std::vector<Constant> constants() const override {
    return {{"a", "1/eps: 2, 3", "levels of the search; width O(N^(1/a))"},
            {"eta", "1e-6", "failure probability"}};
  }
  std::vector<Check> checks(Context& context) const override {
    std::vector<Hop> hops = hops_of(context.sizes);
    std::erase_if(
        hops, [&](const Hop& hop) { return !context.wants("k = " + std::to_string(hop.k) + ": ", hop.n); });
    std::vector<Check> all;
    for (const auto& checks : k_hop_checks(hops, std::vector<Mutant>(hops.size()), context)) {
      all.insert(all.end(), checks.begin(), checks.end());
    }
    return all;
  }
  std::vector<Metric> metrics(const Context& context) const override {
    std::vector<Metric> all;
    for (const auto& [n, k, levels] : hops_of(context.sizes)) {
      if (n < 2048) continue;  // the same numbers at every N
      const std::string which = "k = " + std::to_string(k) + ": layers of ";
      const auto steps = static_cast<double>(k);
      all.push_back({which + "ANNA", n, levels + log_ceil(2, k) + 1.0});
      all.push_back({which + "standard attention", n, std::floor(std::log2(steps)) + 2});
      all.push_back({which + "recurrent networks of width below N", n, steps});
      all.push_back({which + "low-rank or masked attention", n, steps});
    }
    return all;
  }
  std::vector<Control> controls(Context& context) const override {
    const std::vector<std::pair<const char*, Mutant>> defects{
        {"one layer more", {.extra_layer = true}},
        {"one head more", {.padding = {.heads = 1}}},
        {"128 dimensions more", {.padding = {.dimension = 128}}},
        {"one output word altered", {.output_altered = true}},
        {"4 hash functions", {.few_functions = true}}};
    std::vector<Mutant> mutant{{}};
    for (const auto& defect : defects) mutant.push_back(defect.second);
    const auto checks = k_hop_checks(std::vector<Hop>(mutant.size(), {300, 4, 2}), mutant, context);
    std::vector<Control> all;
    for (std::size_t i = 0; i < defects.size(); ++i) {
      all.push_back(judge_control(kKHop, defects[i].first, checks[0][std::min<std::size_t>(i, 3)].quantity,
                                  checks[i + 1], checks[0]));
    }
    return all;
  }
};

}  // namespace

std::unique_ptr<const Statement> make_match2_one_layer() {
  return std::make_unique<Match2OneLayer>();
}
std::unique_ptr<const Statement> make_k_hop_depth() {
  return std::make_unique<KHopDepth>();
}

}  // namespace roundtrip::proofs_check
