// Statement: depth R + 1 at width N^eps polylog N, by words that take heads from a place on that chance picks. Loads of
// heads are counted for traffic that fills one head unless it is scattered, and over draws of the shifts.
#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <set>

#include "roundtrip/base/random.h"
#include "roundtrip/mpc/registry.h"
#include "roundtrip/proofs_check/cases.h"
#include "roundtrip/proofs_check/evaluation.h"
#include "roundtrip/proofs_check/executor.h"
#include "roundtrip/proofs_check/formulas.h"
#include "roundtrip/proofs_check/reference_attention.h"
#include "roundtrip/proofs_check/spread.h"
#include "roundtrip/proofs_check/statements/statements.h"
#include "roundtrip/proofs_check/statistics.h"
#include "roundtrip/proofs_check/traffic.h"
#include "roundtrip/simulate/compile/compare.h"
#include "roundtrip/simulate/compile/direct.h"
#include "roundtrip/simulate/compile/scattered.h"

namespace roundtrip::proofs_check {
namespace {

constexpr const char* kName = "scattered_simulation";
constexpr std::uint64_t kIdDimension = 128;
constexpr std::uint64_t kDeliveryColumns = 4;
const Rational kEta(1, 100);
const Rational kEtaTested(1, 5);
constexpr const char* kLaw = "by plan: width, 10 s log2(N)^2";
constexpr const char* kOverflow = "overflow: probability, eta .2";
constexpr const char* kWrong = "overflow: wrong words";
constexpr const char* kCertain = "one packet a head: overflows not reported, words wrong";
constexpr const char* kTraffic = "everyone's first word to one machine: outputs flagged or wrong";
constexpr std::uint32_t kSide = 4;
constexpr std::uint64_t kTrafficMemory = 32;

/// lambda: the least at least 1, at most min(s, q), with P[Poisson(1) > lambda] <= eta / ((R - 1) q s).
std::uint64_t stated_load(const Expectation& expectation, double eta) {
  if (expectation.rounds <= 1) return 1;
  const double allowed =
      eta / (static_cast<double>(expectation.rounds - 1) * static_cast<double>(expectation.machines) *
             static_cast<double>(expectation.memory_words));
  const std::uint64_t most = std::min(expectation.machines, expectation.memory_words);
  for (std::uint64_t lambda = 1; lambda < most; ++lambda) {
    // Backwards, so that nothing is lost beside larger terms.
    double tail = 0;
    for (std::uint64_t c = lambda + 60; c > lambda; --c)
      tail += std::exp(-1 - std::lgamma(static_cast<double>(c) + 1));
    if (tail <= allowed) return lambda;
  }
  return most;
}

std::uint64_t stated_width(const Expectation& expectation) {
  const std::uint64_t s = expectation.memory_words;
  std::uint64_t width = std::max(expectation.block_words, (s + 1) * std::max(kIdDimension, kDeliveryColumns));
  if (expectation.rounds > 1) {
    const std::uint64_t packet =
        packet_dimension(expectation.machines, stated_load(expectation, kEta.to_double()));
    width = std::max(width, s * std::max(packet, kIdDimension));
  }
  return width;
}

struct Job {
  Case c;
  NetworkMutant mutant{};
};

simulate::CompileOptions options_of(std::uint64_t seed) {
  return {.construction = "scattered", .eta = kEta, .seed = seed};
}

std::vector<std::vector<Check>> run_jobs(const std::vector<Job>& jobs, Context& context) {
  const auto facts = spread(context.transport, jobs.size(), [&](std::size_t i) {
    const Case& c = jobs[i].c;
    context.progress(c.protocol + " N = " + std::to_string(c.n));
    const simulate::Compiled compiled =
        simulate::compile(std::shared_ptr<const mpc::Protocol>(
                              mpc::find_protocol(c.protocol).make(parameters_of(c, context.seed))),
                          options_of(context.seed));
    const std::vector<Instance> instances{
        instance_of(c, *compiled.protocol, Family::kRandom, context.seed),
        instance_of(c, *compiled.protocol, Family::kAllEqual, context.seed + 1)};
    const auto attention = make_reference_exact_match();
    return evaluate_mutant(compiled.transformer, jobs[i].mutant, *attention, instances);
  });
  std::vector<std::vector<Check>> all;
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    const Case& c = jobs[i].c;
    const Expectation expectation = expectation_of(c);
    const Configuration configuration = configuration_of(kName, c, expectation, context.seed);
    std::vector<Check> checks;
    const auto add = [&](const char* quantity, std::uint64_t measured, Relation relation,
                         std::uint64_t bound) {
      checks.push_back(compare(configuration, c.protocol + ": " + quantity, static_cast<double>(measured),
                               relation, static_cast<double>(bound)));
    };
    add("layers L", facts[i].depth, Relation::kEqual, expectation.rounds + 1);
    add("heads H", facts[i].heads, Relation::kAtMost, expectation.memory_words + 1);
    add("width, exact formula", facts[i].width, Relation::kAtMost, stated_width(expectation));
    add("row dimension d", facts[i].row_dimension, Relation::kAtMost,
        direct_row_dimension(expectation.memory_words));
    add("outputs unlike the oracle's", facts[i].wrong + facts[i].flagged, Relation::kEqual, 0);
    all.push_back(std::move(checks));
  }
  return all;
}

/// Sizes by plan, for N that are too large to evaluate. `more_heads`: beyond what the translator declares, a defect.
std::vector<Check> check_plan(const Case& c, std::uint64_t more_heads, const Context& context) {
  const Expectation expectation = expectation_of(c);
  const auto protocol = mpc::find_protocol(c.protocol).make(parameters_of(c, context.seed));
  const simulate::TransformerSizes planned =
      simulate::scattered_construction().make(protocol->shape(), options_of(context.seed))->sizes();
  const std::uint64_t width = planned.width + more_heads * kIdDimension;
  Configuration configuration = configuration_of(kName, c, expectation, context.seed);
  const double log_n = std::log2(static_cast<double>(c.n));
  const double law = 10 * static_cast<double>(expectation.memory_words) * log_n * log_n;
  std::vector<Check> checks{compare(configuration, "by plan: layers L", static_cast<double>(planned.depth),
                                    Relation::kEqual, static_cast<double>(expectation.rounds + 1)),
                            compare(configuration, "by plan: width H m", static_cast<double>(width),
                                    Relation::kEqual, static_cast<double>(stated_width(expectation)))};
  configuration.below_range = configuration.below_range || law >= static_cast<double>(c.n);
  checks.push_back(compare(configuration, kLaw, static_cast<double>(width), Relation::kAtMost, law));
  return checks;
}

/// Rounds in which all machines' first words are for one machine: head 0 of it gets q packets unless they are scattered.
/// `load`: what a head lets through, in place of what eta asks for. Outputs flagged, and wrong.
std::array<std::uint64_t, 2> evaluate_traffic(std::optional<std::uint64_t> load, bool altered,
                                              const Rational& eta, std::uint64_t seed) {
  const std::uint64_t q = kSide * kSide;
  const TrafficPattern pattern{
      .name = "first words to one",
      .words = kTrafficMemory,
      .senders = static_cast<std::uint32_t>(q),
      .destination = [q](std::uint32_t machine, std::uint64_t i) {
        return i == 0 ? 0u : i == 1 ? static_cast<std::uint32_t>((machine + 1) % q) : TrafficPattern::kNone;
      }};
  const std::shared_ptr<const mpc::Protocol> protocol = make_traffic(pattern, kSide, kTrafficMemory);
  simulate::CompileOptions options{.construction = "scattered", .eta = eta, .seed = seed};
  if (load) options.specific = simulate::DirectOptions{.load = load};
  const simulate::Compiled compiled = simulate::compile(protocol, options);
  RandomStream random(seed, Domain::kInstance, q);
  Run run{same(protocol), std::vector<mpc::Word>(protocol->shape().n)};
  for (mpc::Word& word : run.input) word = random() >> 16;
  const std::vector<mpc::Word> outputs = execute_in_turns({&run, 1}, seed)[0].outputs;
  const Instance instance{run.input, outputs.size(), [&](std::uint64_t t, mpc::Word word) {
                            return word == outputs[t] && !(altered && t == 5);
                          }};
  const auto attention = make_reference_exact_match();
  const Evaluation facts = evaluate_mutant(compiled.transformer, {}, *attention, {&instance, 1});
  return {facts.flagged, facts.wrong};
}

Configuration traffic_configuration(const Context& context) {
  return {.theorem = kName, .n = kSide * kSide * 4, .epsilon = Rational(1, 2), .seed = context.seed};
}

Check check_traffic(const std::optional<std::uint64_t>& load, Context& context) {
  const auto parts = spread(context.transport, 3, [&](std::size_t i) {
    return evaluate_traffic(load, false, Rational(1, 100'000'000), context.seed * 3 + i);
  });
  std::uint64_t bad = 0;
  for (const auto& part : parts) bad += part[0] + part[1];
  return compare(traffic_configuration(context), kTraffic, static_cast<double>(bad), Relation::kEqual, 0);
}

/// Over draws of the shifts, at eta = .2: draws that flag an overflow; wrong words. `load`: a defect.
std::vector<Check> check_overflow(const std::optional<std::uint64_t>& load, bool altered, Context& context) {
  context.progress("overflow over the shifts");
  const std::uint64_t trials = context.sizes != Sizes::kSmall ? 1000 : 150;
  const auto parts = spread(context.transport, trials, [&](std::size_t trial) {
    return evaluate_traffic(load, altered, kEtaTested, context.seed * 1'000'003 + trial);
  });
  std::uint64_t flagged = 0, wrong = 0;
  for (const auto& part : parts) flagged += part[0] > 0, wrong += part[1];
  return {compare_interval(traffic_configuration(context), kOverflow,
                           static_cast<double>(flagged) / static_cast<double>(trials),
                           clopper_pearson(flagged, trials, context.alarm), Relation::kAtMost,
                           kEtaTested.to_double()),
          compare(traffic_configuration(context), kWrong, static_cast<double>(wrong), Relation::kEqual, 0)};
}

/// Heads that let one packet through: among 16 machines' words for one, in 32 heads, some two meet with probability
/// > .98 a round. Draws in which they met, by the shifts as defined, and nothing was flagged; and words wrong. `taken`:
/// heads let all through that meet, a defect.
Check check_certain(bool taken, Context& context) {
  constexpr std::uint64_t kTrials = 20;
  const auto parts = spread(context.transport, kTrials, [&](std::size_t trial) {
    const std::uint64_t seed = context.seed * 1'000'003 + trial;
    bool meet = false;
    for (std::uint32_t round = 1; round <= 3; ++round) {
      std::set<std::uint64_t> heads;
      for (std::uint64_t machine = 0; machine < kSide * kSide; ++machine)
        meet |= !heads.insert(draw_below(kTrafficMemory, seed, Domain::kScatter, round, machine)).second;
    }
    const auto [flagged, wrong] = evaluate_traffic(taken ? kTrafficMemory : 1, false, kEta, seed);
    return static_cast<std::uint64_t>(meet && flagged == 0) + wrong;
  });
  return compare(traffic_configuration(context), kCertain,
                 static_cast<double>(std::accumulate(parts.begin(), parts.end(), std::uint64_t{0})),
                 Relation::kEqual, 0);
}

class ScatteredSimulation : public Statement {
 public:
  std::string name() const override { return kName; }
  std::string title() const override {
    return "an R-round protocol is an ANNA-transformer of depth R + 1 and width N^eps polylog N";
  }
  std::string card() const override {
    return R"(Problem:   an R-round (gamma, eps)-MPC protocol as an ANNA-transformer of one layer a round, not wider than s
           by more than logarithms.
Guarantee: L = R + 1, H <= s + 1; for every fixed input the outputs are the run's with probability >= 1 - eta over the
           shifts; else every output that may be concerned reports an overflow, never a wrong word. Width s max(D, 128),
           D the packet code's dimension for lambda packets of q sources, lambda the least with P[Poisson(1) > lambda]
           <= eta / ((R - 1) q s).
Proof:     word h of machine j in round r is in head (h + b(j, r)) mod s, b uniform and public. Of a machine's words no
           two share a head, and each is in a given head with probability 1/s. So a head's load at a machine that
           receives at most s words is a sum of independent indicators of mean at most 1; Hoeffding 1956 bounds its
           tail by Poisson's. A code for lambda packets of k = log2 q digits has 4 X P = O(log^2 q lambda^2) numbers. A head
           with more packets than lambda has an average whose least occupancy is their count's inverse, so it is known.
Check:     sizes metered and outputs against the oracle; traffic that puts q packets in one head unless scattered; over
           draws of the shifts overflows against eta = .2; with one packet a head, every draw in which two meet is flagged;
           widths by plan up to N = 2^24.
Source:    ours. Liu, Yu, Sanford, Andoni, Hsu 2025, Theorem 4.1, have width O(N^(6 eps) log N) at this depth.)";
  }
  std::vector<Constant> constants() const override {
    return {{"kappa_s", "1 sum; 8 sort, k_hop", "s = kappa_s * ceil(N^eps)"},
            {"eta", "1/100; 1/5 where overflows are counted", "overflow probability"},
            {"width", "10 s log2(N)^2", "power law, N = 2^14 to 2^24"}};
  }
  std::uint32_t statistical_checks(Sizes) const override { return 1; }

  std::vector<Check> checks(Context& context) const override {
    std::vector<Check> all;
    std::vector<Job> jobs;
    for (const Case& c : cases())
      if (context.wants(c.protocol + ": ", c.n)) jobs.push_back({c});
    for (const auto& checks : run_jobs(jobs, context)) all.insert(all.end(), checks.begin(), checks.end());
    for (const std::uint32_t log_n : {14, 16, 18, 20, 22, 24}) {
      if (!context.wants("by plan: ", std::uint64_t{1} << log_n)) continue;
      for (const Case& c : plans(std::uint64_t{1} << log_n))
        for (Check& check : check_plan(c, 0, context)) all.push_back(std::move(check));
    }
    if (context.wants("", traffic_configuration(context).n)) {
      all.push_back(check_traffic({}, context));
      for (Check& check : check_overflow({}, false, context)) all.push_back(std::move(check));
      all.push_back(check_certain(false, context));
    }
    return all;
  }

  std::vector<Control> controls(Context& context) const override {
    const Case sound{"sum", 1024, Rational(1, 2), 1};
    struct Defect {
      const char* control;
      const char* quantity;
      NetworkMutant mutant;
    };
    const std::vector<Defect> defects{
        {"one layer more", "layers L", {.extra_layers = 1}},
        {"one head more than stated", "heads H", {.padding = {.heads = 1}}},
        {"a thousand dimensions more than stated", "width, exact formula", {.padding = {.dimension = 1000}}},
        {"rows one number wider than stated", "row dimension d", {.padding = {.row_dimension = 1}}},
        {"one output word altered", "outputs unlike the oracle's", {.output_altered = true}}};
    std::vector<Job> jobs{{sound}};
    for (const Defect& defect : defects) jobs.push_back({sound, defect.mutant});
    const auto checks = run_jobs(jobs, context);
    std::vector<Control> all;
    const auto judge = [&](const char* defect, const std::string& quantity,
                           const std::vector<Check>& defective, const std::vector<Check>& good) {
      all.push_back(judge_control(kName, defect, quantity, defective, good));
    };
    for (std::size_t i = 0; i < defects.size(); ++i)
      judge(defects[i].control, sound.protocol + ": " + defects[i].quantity, checks[1 + i], checks[0]);
    const Case large = plans(std::uint64_t{1} << 24).front();
    const auto planned = check_plan(large, 0, context), wider = check_plan(large, 10'000'000, context);
    judge("ten million heads more", planned[1].quantity, wider, planned);
    judge("ten million heads more, by the law", planned[2].quantity, wider, planned);
    Check deeper = planned[0];
    deeper =
        compare(deeper.configuration, deeper.quantity, deeper.measured + 1, deeper.relation, deeper.bound);
    judge("a layer more by plan", planned[0].quantity, {deeper}, planned);
    judge("heads that let one packet through", kTraffic, {check_traffic(1, context)},
          {check_traffic({}, context)});
    const auto enough = check_overflow({}, false, context);
    judge("heads that let one packet through: overflows appear", kOverflow, check_overflow(1, false, context),
          enough);
    judge("a word that is wrong and not flagged", kWrong, check_overflow({}, true, context), enough);
    judge("heads that take whatever meets", kCertain, {check_certain(true, context)},
          {check_certain(false, context)});
    return all;
  }

 private:
  static std::vector<Case> cases() {
    return {{"sum", 1024, Rational(1, 2), 1},
            {"sum", 1500, Rational(1, 4), 1},
            {"sort", 512, Rational(1, 2), 8},
            {"k_hop", 512, Rational(1, 2), 8, {{"k", "4"}}}};
  }
  static std::vector<Case> plans(std::uint64_t n) {
    return {{"sum", n, Rational(1, 4), 1}, {"sum", n, Rational(1, 3), 1}, {"sum", n, Rational(1, 2), 1}};
  }
};

}  // namespace

std::unique_ptr<const Statement> make_scattered_simulation() {
  return std::make_unique<ScatteredSimulation>();
}

}  // namespace roundtrip::proofs_check
