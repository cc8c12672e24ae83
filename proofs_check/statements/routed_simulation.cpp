// Statement: an R-round MPC protocol is an ANNA-transformer of depth O(R) and width O(N^{eps + delta}) (the
// routed construction). Depth, heads, dimension and width are compared exactly; overflow is counted over the
// intermediates.
#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "roundtrip/base/random.h"
#include "roundtrip/mpc/registry.h"
#include "roundtrip/proofs_check/cases.h"
#include "roundtrip/proofs_check/evaluation.h"
#include "roundtrip/proofs_check/executor.h"
#include "roundtrip/proofs_check/formulas.h"
#include "roundtrip/proofs_check/instances.h"
#include "roundtrip/proofs_check/isolation.h"
#include "roundtrip/proofs_check/reference_attention.h"
#include "roundtrip/proofs_check/spread.h"
#include "roundtrip/proofs_check/statements/statements.h"
#include "roundtrip/proofs_check/statistics.h"
#include "roundtrip/proofs_check/toy_protocol.h"
#include "roundtrip/proofs_check/traffic.h"
#include "roundtrip/simulate/compile/compare.h"
#include "roundtrip/simulate/compile/digits.h"
#include "roundtrip/simulate/compile/routed.h"

namespace roundtrip::proofs_check {
namespace {

constexpr const char* kName = "routed_simulation";
constexpr std::uint64_t kIdDimension = 128;
constexpr std::uint64_t kOverflowSize = 64;
constexpr std::uint64_t kIsolatedSize = 1024;
constexpr std::uint32_t kFewSpare =
    2;  // overflows in most draws, on few nodes: a flag must reach all that a word could
const Rational kEta(1, 100);  // of the sizes' runs
const Rational kEtaOfTraffic(1, 100'000'000);
constexpr std::uint32_t kSides[] = {4, 8, 10};  // square roots of the machines of adversarial traffic
const Rational kEtaTested(1, 5);  // of the runs whose overflows are counted: large enough to be seen

struct Job {
  Case c;
  std::optional<Rational> delta{};
  bool anna = false;
  NetworkMutant mutant{};
};

std::string quantity_start(const Job& job) {
  return job.c.protocol + (job.anna ? " by ANNA: " : " by EMA: ");
}

simulate::Compiled compile_job(const Job& job, std::uint64_t seed) {
  return simulate::compile(std::shared_ptr<const mpc::Protocol>(
                               mpc::find_protocol(job.c.protocol).make(parameters_of(job.c, seed))),
                           {.construction = "routed", .delta = job.delta, .eta = kEta, .seed = seed});
}

std::unique_ptr<anna::Attention> attention_of(const Job& job, const simulate::Compiled& compiled) {
  return simulate::make_attention(compiled, job.anna ? "anna" : "ema");
}

/// On two inputs in turns by exact match, on one by ANNA.
Evaluation evaluate_job(const Job& job, std::uint64_t seed) {
  const simulate::Compiled compiled = compile_job(job, seed);
  std::vector<Instance> instances{instance_of(job.c, *compiled.protocol, Family::kRandom, seed)};
  if (!job.anna) instances.push_back(instance_of(job.c, *compiled.protocol, Family::kReversed, seed + 1));
  return evaluate_mutant(compiled.transformer, job.mutant, *attention_of(job, compiled), instances);
}

/// The sizes that the theorem and its constants state.
struct Stated {
  std::uint64_t layers = 0, heads = 0, dimension = 0, width = 0, row_dimension = 0;
  /// 12 kappa_s N^(eps + delta) + 128 H for D > 1, 6 kappa_s b log2 N + 128 H for D = 1.
  double power_law = 0;
};

Stated stated_sizes(const Case& c, const Expectation& expectation, const std::optional<Rational>& delta) {
  const Routing digits = routing(expectation.n, expectation.machines, expectation.memory_words,
                                 expectation.rounds, delta, kEta.to_double());
  Stated sizes;
  sizes.layers = 2 + 2 * digits.radices.size() * expectation.rounds;
  sizes.dimension = sizes.width = std::max(kIdDimension, 2 * expectation.block_words + 1);
  for (std::size_t t = 0; t < digits.radices.size(); ++t) {
    const std::uint64_t m = std::max(2 * digits.capacities[t] + 1, kIdDimension);
    sizes.heads = std::max(sizes.heads, digits.radices[t]);
    sizes.dimension = std::max(sizes.dimension, m);
    sizes.width = std::max(sizes.width, digits.radices[t] * m);
  }
  sizes.row_dimension = routed_row_dimension(digits, expectation.block_words);
  const auto n = static_cast<double>(expectation.n);
  const auto b = static_cast<double>(expectation.block_words);
  const double kappa = static_cast<double>(expectation.memory_words) / b;
  const double words =
      digits.radices.size() > 1
          ? 12 * kappa *
                static_cast<double>(root_ceil(expectation.n, c.epsilon + delta.value_or(Rational(1, 5))))
          : 6 * kappa * b * std::log2(n);
  sizes.power_law = words + static_cast<double>(kIdDimension * sizes.heads);
  return sizes;
}

/// A law of at least N, the width that one token could hold the input with, is no evidence.
Check check_power_law(Configuration configuration, const std::string& quantity, std::uint64_t width,
                      const Stated& sizes) {
  configuration.below_range =
      configuration.below_range || sizes.power_law >= static_cast<double>(configuration.n);
  return compare(configuration, quantity, static_cast<double>(width), Relation::kAtMost, sizes.power_law);
}

std::vector<Check> checks_of(const Job& job, const Evaluation& facts, std::uint64_t seed) {
  const Expectation expectation = expectation_of(job.c);
  Configuration configuration = configuration_of(kName, job.c, expectation, seed);
  configuration.delta = job.delta;
  const Stated sizes = stated_sizes(job.c, expectation, job.delta);
  std::vector<Check> checks;
  const auto add = [&](const char* quantity, std::uint64_t measured, Relation relation, std::uint64_t bound) {
    checks.push_back(compare(configuration, quantity_start(job) + quantity, static_cast<double>(measured),
                             relation, static_cast<double>(bound)));
  };
  add("layers L = 2 + 2DR", facts.depth, Relation::kEqual, sizes.layers);
  add("heads H", facts.heads, Relation::kAtMost, sizes.heads);
  add("head dimension m", facts.dimension, Relation::kAtMost, sizes.dimension);
  add("width, exact formula", facts.width, Relation::kAtMost, sizes.width);
  add("row dimension d", facts.row_dimension, Relation::kAtMost, sizes.row_dimension);
  checks.push_back(
      check_power_law(configuration, quantity_start(job) + "width, power law", facts.width, sizes));
  add("outputs unlike the oracle's", facts.wrong + facts.flagged, Relation::kEqual, 0);
  return checks;
}

/// Sizes by plan, for N that are too large to evaluate: what the translator declares for the sum, at every
/// exponent. `more_heads`: beyond that, a defect.
std::vector<Check> check_plan(const Rational& epsilon, const Rational& delta, std::uint64_t n,
                              std::uint64_t more_heads, const Context& context) {
  const Case c{"sum", n, epsilon, 1};
  const Expectation expectation = expectation_of(c);
  const Stated sizes = stated_sizes(c, expectation, delta);
  const auto protocol = mpc::find_protocol(c.protocol).make(parameters_of(c, context.seed));
  const simulate::TransformerSizes planned =
      simulate::routed_construction()
          .make(protocol->shape(),
                {.construction = "routed", .delta = delta, .eta = kEta, .seed = context.seed})
          ->sizes();
  const std::uint64_t width = planned.width + more_heads * kIdDimension;
  Configuration configuration = configuration_of(kName, c, expectation, context.seed);
  configuration.delta = delta;
  return {compare(configuration, "by plan: layers L", static_cast<double>(planned.depth), Relation::kEqual,
                  static_cast<double>(sizes.layers)),
          compare(configuration, "by plan: width H m", static_cast<double>(width), Relation::kEqual,
                  static_cast<double>(sizes.width)),
          check_power_law(configuration, "by plan: width, power law", width, sizes)};
}

/// The radices and capacities that the translator chooses are those of the formulas, not some that will do.
Check check_digits(const Job& job, const std::optional<Rational>& delta, std::uint64_t seed) {
  const Expectation expectation = expectation_of(job.c);
  Configuration configuration = configuration_of(kName, job.c, expectation, seed);
  configuration.delta = job.delta;
  const Routing stated = routing(expectation.n, expectation.machines, expectation.memory_words,
                                 expectation.rounds, job.delta, kEta.to_double());
  const auto protocol = mpc::find_protocol(job.c.protocol).make(parameters_of(job.c, seed));
  const simulate::DigitRouting chosen =
      simulate::plan_routing(protocol->shape(), {.delta = delta, .eta = kEta, .seed = seed});
  std::uint64_t unlike = chosen.digits() != stated.radices.size();
  for (std::uint32_t t = 0; t < std::min<std::size_t>(chosen.digits(), stated.radices.size()); ++t)
    unlike += chosen.radix(t) != stated.radices[t] || chosen.capacity(t) != stated.capacities[t];
  return compare(configuration, quantity_start(job) + "digits unlike their formulas",
                 static_cast<double>(unlike), Relation::kEqual, 0);
}

std::vector<std::vector<Check>> run_jobs(const std::vector<Job>& jobs, Context& context) {
  const auto facts = spread(context.transport, jobs.size(), [&](std::size_t i) {
    context.progress(jobs[i].c.protocol + " N = " + std::to_string(jobs[i].c.n) +
                     (jobs[i].anna ? " by ANNA" : " by EMA"));
    return evaluate_job(jobs[i], context.seed);
  });
  std::vector<std::vector<Check>> checks;
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    checks.push_back(checks_of(jobs[i], facts[i], context.seed));
  }
  return checks;
}

/// Collective: what is kept beside the rows, on an input of its own.
std::vector<Check> check_isolation(const std::vector<Job>& jobs, Context& context) {
  const auto facts = spread(context.transport, jobs.size(), [&](std::size_t i) {
    context.progress(jobs[i].c.protocol + " N = " + std::to_string(jobs[i].c.n) + ", a process a layer");
    const simulate::Compiled compiled = compile_job(jobs[i], context.seed);
    return isolate(
        compiled, jobs[i].mutant, [&] { return attention_of(jobs[i], compiled); },
        instance_of(jobs[i].c, *compiled.protocol, Family::kRandom, context.seed + 2));
  });
  std::vector<Check> all;
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    const Configuration configuration =
        configuration_of(kName, jobs[i].c, expectation_of(jobs[i].c), context.seed);
    for (Check& check : isolation_checks(configuration, quantity_start(jobs[i]), facts[i]))
      all.push_back(std::move(check));
  }
  return all;
}

/// Repeated evaluations of the toy protocol's transformer, each with intermediates of its own: how many flagged
/// an overflow, how many gave a wrong word. `spare`: bundles hold so many words more than a full machine's
/// mean load, not what eta asks for. `altered`: a wrong word is passed off as right, a flagged one too.
std::vector<Check> check_overflow(Context& context, std::optional<std::uint32_t> spare, bool altered) {
  context.progress("overflow over the intermediates");
  const std::uint64_t trials = context.sizes != Sizes::kSmall ? 2000 : spare ? 300 : 100;
  const Expectation expectation = toy_expectation(kOverflowSize);
  const Routing digits = routing(expectation.n, expectation.machines, expectation.memory_words,
                                 expectation.rounds, std::nullopt, kEtaTested.to_double());
  std::vector<std::uint32_t> capacities;
  for (const std::uint64_t k : digits.radices) {
    capacities.push_back(static_cast<std::uint32_t>((expectation.memory_words + k - 1) / k) +
                         spare.value_or(0));
  }
  const auto protocol = std::make_shared<ToyProtocol>(expectation, ToyDefects{}, 0);
  Numbers input(expectation.n);
  for (std::size_t i = 0; i < input.size(); ++i) input[i] = static_cast<std::int64_t>(i * i);
  const auto words = encoded(input, expectation.word_bits);
  const auto parts = spread(context.transport, trials, [&](std::size_t trial) {
    simulate::CompileOptions options{.construction = "routed", .eta = kEtaTested};
    if (spare) options.specific = simulate::RoutedOptions{.capacities = capacities};
    options.seed = context.seed * 1000003 + trial;
    const simulate::Compiled compiled = simulate::compile(protocol, options);
    const auto attention = make_reference_exact_match();
    const Instance instance{words, expectation.n, [&](std::uint64_t t, mpc::Word word) {
                              return word == words[t] && !(altered && t == 5);
                            }};
    const Evaluation facts = evaluate_mutant(compiled.transformer, {}, *attention, {&instance, 1});
    return std::array<std::uint64_t, 2>{facts.flagged > 0, facts.wrong + (altered ? facts.flagged : 0)};
  });
  std::uint64_t flagged = 0;
  std::uint64_t wrong = 0;
  for (const auto& part : parts) flagged += part[0], wrong += part[1];
  const Configuration configuration{
      .theorem = kName, .n = expectation.n, .epsilon = Rational(1, 2), .seed = context.seed};
  return {compare_interval(configuration, "overflow: probability, eta .2",
                           static_cast<double>(flagged) / static_cast<double>(trials),
                           clopper_pearson(flagged, trials, context.alarm), Relation::kAtMost,
                           kEtaTested.to_double()),
          compare(configuration, spare ? "overflow: wrong words, small bundles" : "overflow: wrong words",
                  static_cast<double>(wrong), Relation::kEqual, 0)};
}

/// Collective: a pattern of traffic on side^2 machines, routed with 1, 2 and 3 digits under intermediates of
/// several seeds: outputs that are flagged or wrong. With eta = 1e-8 no bundle may overflow in any of them.
/// `mean`: bundles hold their mean load and one word more, a defect.
Check check_traffic(const TrafficPattern& pattern, std::uint32_t side, bool mean, Context& context) {
  context.progress("traffic: " + pattern.name);
  constexpr std::uint64_t kSeeds = 3;
  const std::uint64_t memory = 8 * std::uint64_t{side};
  const std::uint64_t q = std::uint64_t{side} * side;
  const auto parts = spread(context.transport, 3 * kSeeds, [&](std::size_t part) {
    const std::shared_ptr<const mpc::Protocol> protocol = make_traffic(pattern, side, memory);
    simulate::RoutedOptions routed{.digits = static_cast<std::uint32_t>(1 + part % 3)};
    simulate::CompileOptions options{.construction = "routed",
                                     .specific = routed,
                                     .eta = kEtaOfTraffic,
                                     .seed = context.seed * kSeeds + part / 3};
    if (mean) {
      const simulate::DigitRouting routing = simulate::plan_routing(protocol->shape(), options);
      routed.capacities.emplace();
      for (std::uint32_t t = 0; t < routing.digits(); ++t) {
        routed.capacities->push_back(static_cast<std::uint32_t>(memory / routing.radix(t) + 1));
      }
      options.specific = routed;
    }
    const simulate::Compiled compiled = simulate::compile(protocol, options);
    RandomStream random(options.seed, Domain::kInstance, q);
    Run run{same(protocol), std::vector<mpc::Word>(protocol->shape().n)};
    for (mpc::Word& word : run.input) word = random() >> 16;
    const std::vector<mpc::Word> outputs = execute_in_turns({&run, 1}, options.seed)[0].outputs;
    const Instance instance{run.input, outputs.size(),
                            [&](std::uint64_t t, mpc::Word word) { return word == outputs[t]; }};
    const auto attention = simulate::make_attention(compiled, "ema");
    const Evaluation facts = evaluate_mutant(compiled.transformer, {}, *attention, {&instance, 1});
    return facts.flagged + facts.wrong;
  });
  const std::uint64_t bad = std::accumulate(parts.begin(), parts.end(), std::uint64_t{0});
  return compare({.theorem = kName, .n = 4 * q, .epsilon = Rational(1, 2), .seed = context.seed},
                 "traffic " + pattern.name + ": outputs flagged or wrong", static_cast<double>(bad),
                 Relation::kEqual, 0);
}

class RoutedSimulation : public Statement {
 public:
  std::string name() const override { return kName; }
  std::string title() const override {
    return "an R-round protocol is an ANNA-transformer of width O(N^{eps+delta})";
  }
  std::string card() const override {
    return R"(Problem:   an R-round (gamma, eps)-MPC protocol as an ANNA-transformer within the theorem's width.
Guarantee: L = 2 + 2DR, H = max k_t, m = max(2 C_t + 1, 2b + 1, 128) (the largest of a head's query, key and value
           dimensions), width H m; rows, which count apart, of d = max(4 + 2 k_t C_t, 4 + 2b, 6) numbers; for every fixed input the outputs are the run's
           with probability >= 1 - eta over the intermediates, else every output concerned reports a fault.
Check:     sizes metered as they are used against formulas computed anew; outputs against the oracle, by EMA the layers of
           two inputs in turns; at N = 1024 each layer in a process of its own, and every array beside the words that the
           run sends; overflows counted
           over 100 draws of the intermediates at eta = 0.2; never a wrong word, even with capacities too small; full loads
           in patterns that wear out a network (strides, transpose, bit reversal, to one digit, few to one) by 1 to 3
           digits, at eta = 1e-8. By plan: layers and width at eps = 1/3 to 2/3, delta = 1/10 to 3/10, N up to 2^24. A
           power law of N or more counts as below range.
Source:    Liu, Yu, Sanford, Andoni, Hsu 2025, Theorem 4.1; routing after Valiant 1982, H = k_t instead of their
           O(N^{delta/4}).)";
  }
  std::vector<Constant> constants() const override {
    return {{"kappa_s", "1 sum; 8 sort, k_hop", "s = kappa_s * ceil(N^eps)"},
            {"delta", "none, 1/5", "none: one digit where q <= s"},
            {"eta", "1/100; 1/5 where overflows are counted; 1e-8 of adversarial traffic",
             "overflow probability"},
            {"width", "12 kappa_s N^(eps+delta) + 128 H; D = 1: 6 kappa_s b log2 N + 128 H", "power law"}};
  }
  std::uint32_t statistical_checks(Sizes) const override { return 3; }

  std::vector<Check> checks(Context& context) const override {
    std::vector<Check> all;
    std::vector<Job> wanted = jobs(context.sizes);
    std::erase_if(wanted, [&](const Job& job) { return !context.wants(quantity_start(job), job.c.n); });
    // Before anything is evaluated in this process.
    std::vector<Job> isolated;
    for (const Job& job : wanted) {
      if (!job.anna && job.c.n == kIsolatedSize) isolated.push_back(job);
    }
    for (Check& check : check_isolation(isolated, context)) all.push_back(std::move(check));
    for (const auto& checks : run_jobs(wanted, context)) all.insert(all.end(), checks.begin(), checks.end());
    for (const Job& job : wanted) all.push_back(check_digits(job, job.delta, context.seed));
    for (const std::uint32_t log_n : {12, 16, 20, 24}) {
      if (!context.wants("by plan: ", std::uint64_t{1} << log_n)) continue;
      for (const Rational& epsilon : {Rational(1, 3), {2, 5}, {1, 2}, {3, 5}, {2, 3}}) {
        for (const Rational& delta : {Rational(1, 10), {1, 5}, {3, 10}}) {
          for (Check& check : check_plan(epsilon, delta, std::uint64_t{1} << log_n, 0, context))
            all.push_back(std::move(check));
        }
      }
    }
    for (const std::uint64_t n : around_borders(1 << 8, 1 << 24)) {
      if (!context.wants("by plan: ", n)) continue;
      for (Check& check : check_plan({3, 5}, {1, 10}, n, 0, context)) all.push_back(std::move(check));
    }
    for (const std::uint32_t side : kSides) {
      if (!context.wants("traffic ", 4 * side * side)) continue;
      for (const TrafficPattern& pattern : traffic_patterns(side, 8 * side))
        all.push_back(check_traffic(pattern, side, false, context));
    }
    if (context.wants("overflow: ", kOverflowSize)) {
      for (Check& check : check_overflow(context, {}, false)) all.push_back(std::move(check));
      // That many overflow is a control; that no word is wrong where some do is a check.
      all.push_back(check_overflow(context, kFewSpare, false)[1]);
    }
    return all;
  }

  std::vector<Control> controls(Context& context) const override {
    const Case sound{"sum", 1024, Rational(1, 4), 1};
    struct Defect {
      const char* control;
      const char* quantity;
      Job job;
    };
    const std::vector<Defect> defects{
        {"one layer more", "layers L = 2 + 2DR", {.c = sound, .mutant = {.extra_layers = 1}}},
        {"one head more than stated", "heads H", {.c = sound, .mutant = {.padding = {.heads = 1}}}},
        {"one head more than stated (width)",
         "width, exact formula",
         {.c = sound, .mutant = {.padding = {.heads = 1}}}},
        {"one dimension more than stated",
         "head dimension m",
         {.c = sound, .mutant = {.padding = {.dimension = 128}}}},
        {"twice the heads", "width, power law", {.c = sound, .mutant = {.padding = {.heads = 60}}}},
        {"rows one number wider than stated",
         "row dimension d",
         {.c = sound, .mutant = {.padding = {.row_dimension = 1}}}},
        {"rows of four million numbers", "row dimension d", {.c = sound, .mutant = {.wide_rows = true}}},
        {"words in a table of the process, rows empty",
         "outputs unlike the oracle's",
         {.c = sound, .mutant = {.remembers = true}}},
        {"one output word altered",
         "outputs unlike the oracle's",
         {.c = sound, .mutant = {.output_altered = true}}}};
    std::vector<Job> jobs{{.c = sound}};
    for (const Defect& defect : defects) jobs.push_back(defect.job);
    const auto checks = run_jobs(jobs, context);
    std::vector<Control> all;
    for (std::size_t i = 0; i < defects.size(); ++i) {
      all.push_back(judge_control(kName, defects[i].control,
                                  "sum by EMA: " + std::string(defects[i].quantity), checks[1 + i],
                                  checks[0]));
    }
    const std::vector<Check> kept_in_rows = check_isolation({{.c = sound}}, context);
    const std::vector<Check> kept_elsewhere =
        check_isolation({{.c = sound, .mutant = {.remembers = true}}}, context);
    for (const Check& check : kept_in_rows)
      all.push_back(judge_control(kName, "words in a table of the process, rows empty", check.quantity,
                                  kept_elsewhere, kept_in_rows));
    const auto enough = check_overflow(context, {}, false);
    all.push_back(judge_control(kName, "bundles of s/k words, the mean load: overflows appear",
                                enough[0].quantity, check_overflow(context, 0, false), enough));
    all.push_back(judge_control(kName, "a word that is wrong and not flagged", enough[1].quantity,
                                check_overflow(context, {}, true), enough));
    const auto planned = check_plan(Rational(1, 3), Rational(1, 5), std::uint64_t{1} << 24, 0, context);
    const auto wider = check_plan(Rational(1, 3), Rational(1, 5), std::uint64_t{1} << 24, 10000, context);
    for (const std::size_t check : {1, 2})
      all.push_back(judge_control(kName, "10,000 heads more", planned[check].quantity, wider, planned));
    const auto other = check_plan(Rational(1, 3), Rational(1, 10), std::uint64_t{1} << 24, 0, context);
    Check deeper = planned[0];
    deeper = compare(deeper.configuration, deeper.quantity, other[0].measured, deeper.relation, deeper.bound);
    all.push_back(judge_control(kName, "layers of another delta", planned[0].quantity, {deeper}, planned));
    const TrafficPattern stride = traffic_patterns(kSides[1], 8 * kSides[1])[0];
    const Check routed = check_traffic(stride, kSides[1], false, context);
    all.push_back(judge_control(kName, "bundles of the mean load and one word more", routed.quantity,
                                {check_traffic(stride, kSides[1], true, context)}, {routed}));
    const Check few = check_overflow(context, kFewSpare, false)[1];
    all.push_back(judge_control(kName, "words that are not flagged where some are dropped", few.quantity,
                                check_overflow(context, kFewSpare, true), {few}));
    const Job digits{.c = {"sort", 1024, Rational(1, 2), 8}, .delta = Rational(1, 5)};
    const Check as_stated = check_digits(digits, digits.delta, context.seed);
    all.push_back(judge_control(kName, "digits of another delta", as_stated.quantity,
                                {check_digits(digits, Rational(2, 5), context.seed)}, {as_stated}));
    return all;
  }

 private:
  static std::vector<Job> jobs(Sizes sizes) {
    std::vector<Job> all;
    const Rational half(1, 2);
    const Rational fifth(1, 5);
    for (const std::uint64_t n : {1024, 1500, 4096}) all.push_back({.c = {"sum", n, Rational(1, 4), 1}});
    for (const std::uint64_t n : {1024, 1500, 2048}) {
      all.push_back({.c = {"k_hop", n, half, 8, {{"k", "4"}}}});
      all.push_back({.c = {"sort", n, half, 8}, .delta = fifth});
    }
    all.push_back({.c = {"k_hop", 1024, half, 8, {{"k", "4"}}}, .delta = fifth, .anna = true});
    all.push_back({.c = {"k_hop", 1500, half, 8, {{"k", "4"}}}, .anna = true});
    all.push_back({.c = {"sum", 4096, Rational(1, 4), 1}, .anna = true});
    if (sizes == Sizes::kFull) {
      for (const std::uint64_t n : {4096, 5000, 8192}) {
        all.push_back({.c = {"k_hop", n, half, 8, {{"k", "7"}}}, .delta = fifth, .anna = true});
      }
    }
    return all;
  }
};

}  // namespace

std::unique_ptr<const Statement> make_routed_simulation() {
  return std::make_unique<RoutedSimulation>();
}

}  // namespace roundtrip::proofs_check
