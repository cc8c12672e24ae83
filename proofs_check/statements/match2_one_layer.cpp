// Statement: Match2 is one ANNA layer with one head: a network of its own, without the detour over a protocol.
#include <algorithm>

#include "roundtrip/anna/attention/attention.h"
#include "roundtrip/base/random.h"
#include "roundtrip/proofs_check/cases.h"
#include "roundtrip/proofs_check/evaluation.h"
#include "roundtrip/proofs_check/spread.h"
#include "roundtrip/proofs_check/statements/statements.h"
#include "roundtrip/proofs_check/statistics.h"
#include "roundtrip/simulate/native/match2.h"

namespace roundtrip::proofs_check {
namespace {

constexpr const char* kName = "match2_one_layer";
constexpr std::uint64_t kIdDimension = 128;
constexpr double kEta = 1e-6;       // of the z whose outputs are compared
constexpr double kEtaTested = 0.1;  // of the z whose failures are counted

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

Instance match2_instance(std::uint64_t n, std::uint64_t seed) {
  const Numbers input = match2_input(n, seed);
  const Answers answers = oracle_match2(input, static_cast<std::int64_t>(match2_modulus(n)));
  return {{input.begin(), input.end()}, n, [answers](std::uint64_t t, mpc::Word word) {
            return word == static_cast<mpc::Word>(*answers[t]);
          }};
}

/// On `instances` inputs in turns.
Evaluation evaluate_match2(std::uint64_t n, std::uint64_t instances, double eta, const NetworkMutant& mutant,
                           std::uint64_t seed, std::uint32_t fewer_functions = 0) {
  const simulate::Match2Options options{.n = n, .modulus = match2_modulus(n), .seed = seed};
  anna::AnnaParameters parameters = simulate::match2_tables(options, eta);
  parameters.functions -= std::min(parameters.functions - 1, fewer_functions);
  const auto attention = anna::make_anna(parameters);
  std::vector<Instance> inputs;
  for (std::uint64_t i = 0; i < instances; ++i) inputs.push_back(match2_instance(n, seed + i));
  return evaluate_mutant(simulate::make_match2(options), mutant, *attention, inputs);
}

std::vector<std::vector<Check>> match2_checks(const std::vector<std::uint64_t>& sizes,
                                              const std::vector<NetworkMutant>& mutant, Context& context) {
  const auto facts = spread(context.transport, sizes.size(), [&](std::size_t i) {
    context.progress("Match2 N = " + std::to_string(sizes[i]));
    return evaluate_match2(sizes[i], 2, kEta, mutant[i], context.seed);
  });
  std::vector<std::vector<Check>> all;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    const Evaluation e = facts[i];
    const Configuration configuration{.theorem = kName, .n = sizes[i], .seed = context.seed};
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
    const Evaluation e = evaluate_match2(kFailureTokens, 1, kEtaTested, {},
                                         draw(context.seed, Domain::kTest, 3, i), fewer_functions);
    return e.wrong + e.flagged > 0;
  });
  return compare_interval({.theorem = kName, .n = kFailureTokens, .seed = context.seed},
                          "P[some output wrong], eta .1",
                          static_cast<double>(failures) / static_cast<double>(trials),
                          clopper_pearson(failures, trials, context.alarm), Relation::kAtMost, kEtaTested);
}

class Match2OneLayer : public Statement {
 public:
  std::string name() const override { return kName; }
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
    for (const auto& checks : match2_checks(sizes, std::vector<NetworkMutant>(sizes.size()), context)) {
      all.insert(all.end(), checks.begin(), checks.end());
    }
    if (context.wants("P[", kFailureTokens)) all.push_back(match2_failures(context, 0));
    return all;
  }
  std::vector<Control> controls(Context& context) const override {
    const std::vector<std::pair<const char*, NetworkMutant>> defects{
        {"one layer more", {.extra_layers = 1}},
        {"one head more", {.padding = {.heads = 1}}},
        {"a value dimension of 129", {.padding = {.dimension = 128}}},
        {"one output word altered", {.output_altered = true}}};
    std::vector<NetworkMutant> mutant{{}};
    for (const auto& defect : defects) mutant.push_back(defect.second);
    const auto checks = match2_checks(std::vector<std::uint64_t>(mutant.size(), 200), mutant, context);
    std::vector<Control> all;
    for (std::size_t i = 0; i < defects.size(); ++i) {
      all.push_back(judge_control(kName, defects[i].first, checks[0][i].quantity, checks[i + 1], checks[0]));
    }
    const Check enough = match2_failures(context, 0);
    all.push_back(judge_control(kName, "z lowered by 6: failures appear", enough.quantity,
                                {match2_failures(context, 6)}, {enough}));
    return all;
  }
};

}  // namespace

std::unique_ptr<const Statement> make_match2_one_layer() {
  return std::make_unique<Match2OneLayer>();
}

}  // namespace roundtrip::proofs_check
