// Statement: with one digit, intermediates can be dealt instead of drawn: no seed, no failure probability. Bundles are
// counted for traffic that is made to fill them, and for other traffic; nothing is evaluated for that.
#include <algorithm>
#include <numeric>

#include "roundtrip/base/random.h"
#include "roundtrip/mpc/agree.h"
#include "roundtrip/mpc/registry.h"
#include "roundtrip/proofs_check/cases.h"
#include "roundtrip/proofs_check/evaluation.h"
#include "roundtrip/proofs_check/executor.h"
#include "roundtrip/proofs_check/reference_attention.h"
#include "roundtrip/proofs_check/statements/statements.h"
#include "roundtrip/proofs_check/traffic.h"
#include "roundtrip/simulate/compile/compare.h"
#include "roundtrip/simulate/compile/digits.h"
#include "roundtrip/simulate/compile/routed.h"

namespace roundtrip::proofs_check {
namespace {

constexpr const char* kName = "deterministic_routing";
constexpr const char* kFilled = "adversary: words of the fullest bundle";
constexpr const char* kAny = "any traffic: words of the fullest bundle";
constexpr const char* kWidth = "by plan: width H m";
constexpr const char* kLaw = "by plan: width, 2 s + 2 q^2 + 128 q";
constexpr const char* kFullBundles = "full bundles: outputs flagged or wrong";
constexpr const char* kSort = "sort by EMA: outputs flagged or wrong";
constexpr std::uint64_t kIdDimension = 128;
constexpr std::uint64_t kMatrices = 200;
constexpr std::uint32_t kSide = 4;
constexpr std::uint64_t kTrafficMemory = 64;
const Case kSorted{"sort", 1024, Rational(2, 3), 8};

struct Machines {
  std::uint64_t q, s;
};
constexpr Machines kNetworks[] = {{4, 16}, {8, 16}, {8, 32}, {8, 112}, {16, 64}, {11, 816}};

/// The bound: floor(s / q) + q - 1 words a bundle, and never more than s.
std::uint64_t stated_capacity(std::uint64_t q, std::uint64_t s) {
  return std::min(s, s / q + q - 1);
}

/// The destinations of every machine's words, in the order in which it sends them.
using Traffic = std::vector<std::vector<std::uint32_t>>;

/// Fills the bundle of node 0 for the last machine: machine 0 has q (floor(s / q) - 1) + 1 words for it, the others
/// one, which comes first at node 0 because so many words for others precede it. `aligned`: they do.
Traffic adversary(std::uint64_t q, std::uint64_t s, bool aligned) {
  Traffic traffic(q);
  const auto last = static_cast<std::uint32_t>(q - 1);
  for (std::uint64_t u = 0; u < q; ++u) {
    for (std::uint64_t i = 0; aligned && i < (q - u) % q; ++i)
      traffic[u].push_back(static_cast<std::uint32_t>(i));
    traffic[u].insert(traffic[u].end(), u == 0 ? q * (s / q - 1) + 1 : 1, last);
  }
  return traffic;
}

/// Every machine has floor(s / q) words for the last one, q apart, and others between.
Traffic spaced(std::uint64_t q, std::uint64_t s) {
  Traffic traffic(q);
  for (std::uint64_t u = 0; u < q; ++u) {
    for (std::uint64_t i = 0; i < s / q * q; ++i)
      traffic[u].push_back(static_cast<std::uint32_t>((u + i + q - 1) % q));
  }
  return traffic;
}

/// Full loads of everyone: in random order, or those for a machine from few others.
Traffic random_traffic(std::uint64_t q, std::uint64_t s, std::uint64_t number, std::uint64_t seed) {
  RandomStream random(seed, Domain::kInstance, q * s, number);
  std::vector<std::uint32_t> destinations(q * s);
  for (std::uint64_t i = 0; i < q * s; ++i) destinations[i] = static_cast<std::uint32_t>(i / s);
  const std::uint64_t swaps = number % 2 == 0 ? q * s : q;
  for (std::uint64_t i = 0; i < swaps; ++i)
    std::swap(destinations[random.below(q * s)], destinations[random.below(q * s)]);
  Traffic traffic(q);
  for (std::uint64_t u = 0; u < q; ++u)
    traffic[u].assign(destinations.begin() + static_cast<std::ptrdiff_t>(u * s),
                      destinations.begin() + static_cast<std::ptrdiff_t>((u + 1) * s));
  return traffic;
}

/// The most words in a bundle of either half of a round. `unsorted`: dealt as they come, a defect.
std::uint64_t fullest(const Traffic& traffic, bool unsorted) {
  const std::uint64_t q = traffic.size();
  std::vector<std::uint64_t> to(q * q), from(q * q);
  std::vector<std::uint32_t> nodes;
  for (std::uint64_t u = 0; u < q; ++u) {
    nodes.resize(traffic[u].size());
    if (unsorted) {
      for (std::size_t i = 0; i < nodes.size(); ++i) nodes[i] = static_cast<std::uint32_t>((u + i) % q);
    } else {
      simulate::deal_words(u, q, traffic[u], nodes);
    }
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      ++to[u * q + nodes[i]];
      ++from[nodes[i] * q + traffic[u][i]];
    }
  }
  return std::max(std::ranges::max(to), std::ranges::max(from));
}

Configuration configuration_of_traffic(const Machines& network, std::uint64_t seed) {
  return {.theorem = kName, .n = network.q * network.s, .seed = seed};
}

Check check_filled(const Machines& network, bool aligned, const Context& context) {
  const std::uint64_t words = fullest(adversary(network.q, network.s, aligned), false);
  return compare(configuration_of_traffic(network, context.seed), kFilled, static_cast<double>(words),
                 Relation::kEqual, static_cast<double>(stated_capacity(network.q, network.s)));
}

Check check_any(const Machines& network, bool unsorted, const Context& context) {
  std::uint64_t words = fullest(spaced(network.q, network.s), unsorted);
  for (std::uint64_t i = 0; i < kMatrices; ++i)
    words = std::max(words, fullest(random_traffic(network.q, network.s, i, context.seed), unsorted));
  return compare(configuration_of_traffic(network, context.seed), kAny, static_cast<double>(words),
                 Relation::kAtMost, static_cast<double>(stated_capacity(network.q, network.s)));
}

simulate::CompileOptions options_with(std::optional<std::uint32_t> capacity, std::uint64_t seed) {
  simulate::RoutedOptions routed{.intermediates = simulate::Intermediates::kDealt};
  if (capacity) routed.capacities = std::vector{*capacity};
  return {.construction = "routed", .specific = routed, .seed = seed};
}

/// Width of the sort's transformer by plan. `more_heads`: a defect.
std::vector<Check> check_plan(const Rational& epsilon, std::uint32_t log_n, std::uint64_t more_heads,
                              const Context& context) {
  const Case c{"sort", std::uint64_t{1} << log_n, epsilon, 8};
  const Expectation expectation = expectation_of(c);
  const std::uint64_t q = expectation.machines;
  const std::uint64_t s = expectation.memory_words;
  const auto protocol = mpc::find_protocol(c.protocol).make(parameters_of(c, context.seed));
  const std::uint64_t planned =
      simulate::routed_construction().make(protocol->shape(), options_with({}, context.seed))->sizes().width +
      more_heads * kIdDimension;
  const std::uint64_t stated = std::max(q * std::max(2 * stated_capacity(q, s) + 1, kIdDimension),
                                        std::max(kIdDimension, 2 * expectation.block_words + 1));
  Configuration configuration = configuration_of(kName, c, expectation, context.seed);
  const auto law = static_cast<double>(2 * s + 2 * q * q + kIdDimension * q);
  std::vector<Check> checks{compare(configuration, kWidth, static_cast<double>(planned), Relation::kEqual,
                                    static_cast<double>(stated))};
  configuration.below_range = configuration.below_range || law >= static_cast<double>(c.n);
  checks.push_back(compare(configuration, kLaw, static_cast<double>(planned), Relation::kAtMost, law));
  return checks;
}

/// The adversary's traffic in rounds of a protocol, whose transformer has bundles of `capacity` words.
Check check_full_bundles(std::uint32_t capacity, Context& context) {
  const std::uint64_t q = kSide * kSide;
  const Traffic traffic = adversary(q, kTrafficMemory, true);
  const TrafficPattern pattern{.name = "full bundles",
                               .words = kTrafficMemory,
                               .senders = q,
                               .destination = [&traffic](std::uint32_t machine, std::uint64_t i) {
                                 return i < traffic[machine].size() ? traffic[machine][i]
                                                                    : TrafficPattern::kNone;
                               }};
  const std::uint64_t bad = mpc::from_root(context.transport, [&] {
    const std::shared_ptr<const mpc::Protocol> protocol = make_traffic(pattern, kSide, kTrafficMemory);
    const simulate::Compiled compiled = simulate::compile(protocol, options_with(capacity, context.seed));
    RandomStream random(context.seed, Domain::kInstance, q);
    Run run{same(protocol), std::vector<mpc::Word>(protocol->shape().n)};
    for (mpc::Word& word : run.input) word = random() >> 16;
    const std::vector<mpc::Word> outputs = execute_in_turns({&run, 1}, context.seed)[0].outputs;
    const Instance instance{run.input, outputs.size(),
                            [&](std::uint64_t t, mpc::Word word) { return word == outputs[t]; }};
    const auto attention = make_reference_exact_match();
    const Evaluation facts = evaluate_mutant(compiled.transformer, {}, *attention, {&instance, 1});
    return facts.flagged + facts.wrong;
  });
  return compare({.theorem = kName, .n = q * kTrafficMemory, .seed = context.seed}, kFullBundles,
                 static_cast<double>(bad), Relation::kEqual, 0);
}

Check check_sort(const NetworkMutant& mutant, Context& context) {
  const std::uint64_t bad = mpc::from_root(context.transport, [&] {
    const simulate::Compiled compiled = simulate::compile(
        std::shared_ptr<const mpc::Protocol>(
            mpc::find_protocol(kSorted.protocol).make(parameters_of(kSorted, context.seed))),
        options_with({}, context.seed));
    const std::vector<Instance> instances{
        instance_of(kSorted, *compiled.protocol, Family::kRandom, context.seed),
        instance_of(kSorted, *compiled.protocol, Family::kAllEqual, context.seed)};
    const auto attention = make_reference_exact_match();
    const Evaluation facts = evaluate_mutant(compiled.transformer, mutant, *attention, instances);
    return facts.flagged + facts.wrong;
  });
  return compare(configuration_of(kName, kSorted, expectation_of(kSorted), context.seed), kSort,
                 static_cast<double>(bad), Relation::kEqual, 0);
}

class DeterministicRouting : public Statement {
 public:
  std::string name() const override { return kName; }
  std::string title() const override {
    return "one digit routes without chance: no seed, no eta, at width 2 s + 2 q^2";
  }
  std::string card() const override {
    return R"(Problem:   an R-round protocol as an ANNA-transformer of depth 2 + 2R, right for all inputs at once.
Guarantee: a machine deals its words, in the order of their destinations, to all q nodes in turn; these send them on. No
           bundle of either half gets more than C = floor(s / q) + q - 1 words (s if that is less), whatever is sent, as
           long as nobody sends or receives more than s. Width q max(2 C + 1, 128): at most 2 s + 2 q^2 + 128 q.
Proof:     to a node a machine sends every q-th of its words. From a node to machine w: the c_u words of machine u for w
           are dealt in a row, so at most ceil(c_u / q) of them come to one node; the sum of these over q machines with
           a sum of c_u of at most s is at most (s + q (q - 1)) / q.
Tight:     q (floor(s / q) - 1) + 1 words of one machine, one of every other, meet at one node.
Check:     bundles counted for that adversary (equal to C), for words q apart and for 200 random matrices of full loads;
           a network that meets the adversary every round; the sort at eps = 2/3; widths by plan up to N = 2^24.
Source:    ours; two-phase routing by dealing after Bader, Helman, JaJa 1996. Routing by random intermediates (Valiant
           1982) fails with a probability, for every input another one.)";
  }
  std::vector<Constant> constants() const override {
    return {{"C", "floor(s / q) + q - 1", "words a bundle"},
            {"matrices", "200", "random full loads a network"},
            {"kappa_s", "8", "of the sort"}};
  }
  std::vector<Check> checks(Context& context) const override {
    std::vector<Check> all;
    for (const Machines& network : kNetworks) {
      if (!context.wants("", network.q * network.s)) continue;
      all.push_back(check_filled(network, true, context));
      all.push_back(check_any(network, false, context));
    }
    for (const std::uint32_t log_n : {16, 20, 24}) {
      if (!context.wants("by plan: ", std::uint64_t{1} << log_n)) continue;
      for (const Rational& epsilon : {Rational(2, 3), Rational(3, 4)}) {
        for (Check& check : check_plan(epsilon, log_n, 0, context)) all.push_back(std::move(check));
      }
    }
    if (context.wants(kFullBundles, kSide * kSide * kTrafficMemory))
      all.push_back(check_full_bundles(full_capacity(), context));
    if (context.wants(kSort, kSorted.n)) all.push_back(check_sort({}, context));
    return all;
  }
  std::vector<Control> controls(Context& context) const override {
    std::vector<Control> all;
    const Machines& network = kNetworks[2];
    const auto judge = [&](const char* defect, const char* quantity, const std::vector<Check>& defective,
                           const std::vector<Check>& sound) {
      all.push_back(judge_control(kName, defect, quantity, defective, sound));
    };
    judge("words that precede nothing: runs that do not meet", kFilled,
          {check_filled(network, false, context)}, {check_filled(network, true, context)});
    judge("words dealt as they come", kAny, {check_any(network, true, context)},
          {check_any(network, false, context)});
    const auto planned = check_plan(Rational(2, 3), 24, 0, context);
    const auto wider = check_plan(Rational(2, 3), 24, 100'000, context);
    judge("100,000 heads more", kWidth, wider, planned);
    judge("100,000 heads more, by the law", kLaw, wider, planned);
    judge("bundles of a word less", kFullBundles, {check_full_bundles(full_capacity() - 1, context)},
          {check_full_bundles(full_capacity(), context)});
    judge("one output word altered", kSort, {check_sort({.output_altered = true}, context)},
          {check_sort({}, context)});
    return all;
  }

 private:
  static std::uint32_t full_capacity() {
    return static_cast<std::uint32_t>(stated_capacity(kSide * kSide, kTrafficMemory));
  }
};

}  // namespace

std::unique_ptr<const Statement> make_deterministic_routing() {
  return std::make_unique<DeterministicRouting>();
}

}  // namespace roundtrip::proofs_check
