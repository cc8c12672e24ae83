// Statement: k-hop induction heads in O(log k) ANNA layers of width O(N^{1/a}): a network of its own, without
// the detour over a protocol.
#include <algorithm>
#include <cmath>

#include "roundtrip/anna/attention/attention.h"
#include "roundtrip/base/random.h"
#include "roundtrip/proofs_check/cases.h"
#include "roundtrip/proofs_check/evaluation.h"
#include "roundtrip/proofs_check/formulas.h"
#include "roundtrip/proofs_check/spread.h"
#include "roundtrip/proofs_check/statements/statements.h"
#include "roundtrip/simulate/native/k_hop.h"

namespace roundtrip::proofs_check {
namespace {

constexpr const char* kName = "k_hop_depth";
constexpr std::uint64_t kIdDimension = 128;
constexpr double kEta = 1e-6;  // of the z whose outputs are compared

/// What a control does.
struct Mutant {
  NetworkMutant network{};
  bool few_functions = false;  ///< 4 in place of the z that eta asks for
};

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

Instance instance_of(const Hop& hop, std::uint64_t seed) {
  RandomStream random(seed, Domain::kInstance, hop.n, hop.k);
  Numbers input(hop.n);
  for (std::int64_t& x : input) x = static_cast<std::int64_t>(random.below(root_ceil(hop.n, Rational(1, 2))));
  const Answers answers = oracle_k_hop(input, hop.k);
  return {{input.begin(), input.end()}, hop.n, [answers](std::uint64_t t, mpc::Word word) {
            return word ==
                   (answers[t] ? static_cast<mpc::Word>(*answers[t]) + 1 : 0);  // x + 1, and 0 for none
          }};
}

std::vector<std::vector<Check>> k_hop_checks(const std::vector<Hop>& hops, const std::vector<Mutant>& mutant,
                                             Context& context) {
  const auto facts = spread(context.transport, hops.size(), [&](std::size_t i) {
    const auto& [n, k, levels] = hops[i];
    context.progress("k-hop N = " + std::to_string(n) + " k = " + std::to_string(k));
    const simulate::KHopOptions options{.n = n, .k = k, .levels = levels, .seed = context.seed};
    anna::AnnaParameters parameters = simulate::k_hop_tables(options, kEta);
    if (mutant[i].few_functions) parameters.functions = 4;
    const auto attention = anna::make_anna(parameters);
    const std::vector<Instance> inputs{instance_of(hops[i], context.seed),
                                       instance_of(hops[i], context.seed + 1)};
    return evaluate_mutant(simulate::make_k_hop(options), mutant[i].network, *attention, inputs);
  });
  std::vector<std::vector<Check>> all;
  for (std::size_t i = 0; i < hops.size(); ++i) {
    const auto& [n, k, levels] = hops[i];
    const Evaluation e = facts[i];
    const Configuration configuration{
        .theorem = kName, .n = n, .epsilon = Rational(1, levels), .seed = context.seed};
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
  std::string name() const override { return kName; }
  std::string title() const override { return "k-hop induction heads in O(log k) ANNA layers"; }
  std::string card() const override {
    return R"(Problem:   find_1(i) = max({0} u {2 <= j <= i : x_{j-1} = x_i}), find_k(i) = find_1(find_{k-1}(i)); output x there.
Guarantee: L = a + ceil(log2 k) + 1, H = max(a, 2), m = max(128, ceil((N+1)^{1/a})); exact with probability >= 1 - eta.
Check:     sizes metered, outputs by ANNA with one table against the definition, for k = 1, 4, 7 and 64.
Beside it: layers of other mechanisms: standard attention floor(log2 k) + 2; recurrent networks and state-space models
           k, or width N / k^6, which says nothing up to N = k^6; low-rank, kernel-based and masking-based attention k, or
           near-quadratic time.
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
      // k layers, or width N / k^6: below N = k^6 that says nothing.
      const double sixth = std::pow(steps, 6);
      if (static_cast<double>(n) > sixth) {
        all.push_back({which + "recurrent networks narrower than N / k^6", n, steps});
      } else {
        all.push_back({"k = " + std::to_string(k) + ": N above which narrow recurrent networks need k layers",
                       n, sixth});
      }
      all.push_back({which + "low-rank or masked attention, less than quadratic", n, steps});
    }
    return all;
  }
  std::vector<Control> controls(Context& context) const override {
    const std::vector<std::pair<const char*, Mutant>> defects{
        {"one layer more", {.network = {.extra_layers = 1}}},
        {"one head more", {.network = {.padding = {.heads = 1}}}},
        {"128 dimensions more", {.network = {.padding = {.dimension = 128}}}},
        {"one output word altered", {.network = {.output_altered = true}}},
        {"4 hash functions", {.few_functions = true}}};
    std::vector<Mutant> mutant{{}};
    for (const auto& defect : defects) mutant.push_back(defect.second);
    const auto checks = k_hop_checks(std::vector<Hop>(mutant.size(), {300, 4, 2}), mutant, context);
    std::vector<Control> all;
    for (std::size_t i = 0; i < defects.size(); ++i) {
      all.push_back(judge_control(kName, defects[i].first, checks[0][std::min<std::size_t>(i, 3)].quantity,
                                  checks[i + 1], checks[0]));
    }
    return all;
  }
};

}  // namespace

std::unique_ptr<const Statement> make_k_hop_depth() {
  return std::make_unique<KHopDepth>();
}

}  // namespace roundtrip::proofs_check
