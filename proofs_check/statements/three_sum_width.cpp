// Statement: 3-SUM in a constant number of ANNA layers of width O(N^{1/2 + delta}): the protocol, run and
// recounted, and its routed transformer, whose layers, heads and dimensions are those of the layers
// themselves.
#include <algorithm>
#include <array>
#include <cmath>

#include "roundtrip/base/random.h"
#include "roundtrip/mpc/agree.h"
#include "roundtrip/mpc/registry.h"
#include "roundtrip/mpc/runtime.h"
#include "roundtrip/mpc/violation.h"
#include "roundtrip/proofs_check/cases.h"
#include "roundtrip/proofs_check/evaluation.h"
#include "roundtrip/proofs_check/executor.h"
#include "roundtrip/proofs_check/formulas.h"
#include "roundtrip/proofs_check/recount.h"
#include "roundtrip/proofs_check/statements/statements.h"
#include "roundtrip/simulate/compile/compare.h"
#include "roundtrip/simulate/compile/routed.h"

namespace roundtrip::proofs_check {
namespace {

constexpr const char* kName = "three_sum_width";
constexpr std::uint64_t kKappa = 3;
const Rational kDelta(1, 5);  // of the memory, and of the routing
const Rational kEta(1, 100);
const Rational kPlannedDelta(1, 10);  // where sizes are planned, of the memory and of the routing
constexpr std::uint64_t kPlannedSizes[] = {1 << 19, 600000, 1 << 20};
constexpr std::uint64_t kIdDimension = 128;
constexpr std::uint32_t kValueBits = 46;
// L for all N: 2 + 2 D R with D <= ceil(1 / delta) = 5 digits, since q <= N, and R <= 34 from N = 2^12 on (33
// at 2^12 and 2^13, 30 to 32 from 2^14 on).
constexpr std::uint64_t kDepth = 2 + 2 * 5 * 34;
constexpr std::uint64_t kFirstInRange = 4096;
constexpr std::uint64_t kTrapSizes[] = {8, 33, 64, 101};

Expectation expectation_of(std::uint64_t n, const Rational& delta = kDelta) {
  Expectation expectation;
  expectation.n = n;
  expectation.outputs = 3;
  expectation.word_bits = 48;
  expectation.block_words = root_ceil(n, Rational(1, 2));
  const std::uint64_t s = expectation.memory_words = kKappa * root_ceil(n, Rational(1, 2) + delta);
  const std::uint64_t g = root_ceil(n, Rational(1, 2));
  const std::uint64_t block = g + 5;  // W: a block and its header
  const std::uint64_t diagonals = g * (g + 1) / 2;
  expectation.machines = diagonals + g;
  const std::uint64_t fan = (s - 3 * block - 2 * g) / (3 * block);
  const auto sort = sort_sizes(n, 2, s, 2, s / 4 - 2);  // three records of a machine go to the next one
  expectation.rounds = sort->rounds + 5 + 2 * std::uint64_t{log_ceil(s / 8, sort->machines)} +
                       log_ceil((s - 2 * g) / (2 * g), expectation.machines) +
                       std::max(1u, log_ceil(fan, diagonals)) + log_ceil(s / 4, expectation.machines);
  return expectation;
}

/// Random numbers; with `planted`, two of them and the negated sum of these. By chance a triple of N < 2^15
/// such numbers sums to 0 with probability N^3 / 6 / 2^44 < 1: the oracle decides, not the plan.
Numbers instance(std::uint64_t n, bool planted, std::uint64_t seed) {
  RandomStream random(seed, Domain::kInstance, n, planted ? 1 : 0);
  Numbers x(n);
  // Numbers of one sign have no triple of sum 0; the planted one is the exception.
  for (std::int64_t& value : x) value = 1 + static_cast<std::int64_t>(random.below(std::uint64_t{1} << 42));
  if (planted) x[n / 3] = -x[n / 7] - x[n - 1];
  return x;
}

/// Whether the positions that were delivered (from 1, or nothing) are what they should be.
bool right(const Numbers& x, const std::vector<std::optional<std::int64_t>>& positions, bool planted) {
  if (positions.size() != 3) return false;
  if (!planted) return std::ranges::none_of(positions, [](const auto& p) { return p.has_value(); });
  std::int64_t sum = 0;
  for (const auto& p : positions) {
    if (!p || *p < 1 || *p > static_cast<std::int64_t>(x.size())) return false;
    sum += x[static_cast<std::size_t>(*p - 1)];
  }
  return sum == 0 && *positions[0] != *positions[1] && *positions[0] != *positions[2] &&
         *positions[1] != *positions[2];
}

/// Inputs whose answer is known and a careless protocol gets wrong, and whether they have a triple.
std::vector<std::pair<Numbers, bool>> traps(std::uint64_t n, std::uint64_t seed) {
  constexpr std::int64_t kLarge = std::int64_t{1} << 43;
  const auto positive = instance(n, false, seed);  // below kLarge / 2
  const std::size_t last = n - 1;
  const std::size_t middle = n / 2;
  std::vector<std::pair<Numbers, bool>> all;
  const auto add = [&](bool has_triple, const std::vector<std::pair<std::size_t, std::int64_t>>& placed) {
    Numbers x = positive;
    for (const auto& [position, value] : placed) x[position] = value;
    all.emplace_back(std::move(x), has_triple);
  };
  // x and -2x: 0 only if x is used twice. kLarge is no sum of two others.
  add(false, {{0, kLarge}, {last, -2 * kLarge}});
  add(false, {{middle, kLarge}, {middle + 1, -2 * kLarge}});
  add(true, {{0, kLarge}, {1, kLarge}, {last, -2 * kLarge}});
  add(true, {{0, kLarge}, {middle, -2 * kLarge}, {last, kLarge}});
  // 0, used twice or three times; two zeros have no partner; three are a triple.
  add(false, {{middle, 0}});
  add(false, {{0, 0}, {last, 0}});
  add(true, {{0, 0}, {middle, 0}, {last, 0}});
  all.emplace_back(Numbers(n, 0), true);
  all.emplace_back(Numbers(n, 1), false);
  all.emplace_back(Numbers(n, -kLarge), false);
  return all;
}

struct Defect {
  std::uint64_t rounds = 0, machines = 0, words = 0;
  bool altered = false;
  bool remembers = false;  ///< as if one of two runs had been told the other's words
  NetworkMutant network{};
};

mpc::Parameters parameters_of(std::uint64_t n, std::uint64_t seed, const Rational& delta = kDelta) {
  mpc::Parameters parameters;
  parameters.n = n;
  parameters.kappa_s = kKappa;
  parameters.delta = delta;
  parameters.seed = seed;
  return parameters;
}

Configuration configuration_of(const Expectation& expectation, const Context& context,
                               const Rational& delta = kDelta) {
  return {.theorem = kName,
          .n = expectation.n,
          .epsilon = Rational(1, 2),
          .delta = delta,
          .below_range = expectation.below_range(),
          .seed = context.seed};
}

/// The protocol, on an input with a triple and on one without.
std::vector<Check> run_checks(std::uint64_t n, const Defect& defect, Context& context) {
  context.progress("3-SUM N = " + std::to_string(n));
  const Expectation expectation = expectation_of(n);
  const mpc::ProtocolInfo& info = mpc::find_protocol("three_sum");
  const auto protocol = info.make(parameters_of(n, context.seed));
  const mpc::Shape& shape = protocol->shape();
  std::uint64_t most = 0;
  std::uint64_t wrong = 0;
  std::uint64_t rounds = 0;
  bool differ = false;
  for (const bool planted : {true, false}) {
    const Numbers input = instance(n, planted, context.seed);
    const auto words = encoded(input, kValueBits);
    Recount recount({shape.block_words, shape.machines, shape.rounds, shape.outputs}, words);
    mpc::RunOptions options;
    options.observer = &recount;
    mpc::run(*protocol, words, context.transport, options);
    const Trace trace = recount.trace(context.transport);
    most = std::max({most, trace.max_sent(), trace.max_received()});
    differ = differ || (rounds > 0 && rounds != trace.rounds);
    rounds = std::max<std::uint64_t>(rounds, trace.rounds);
    std::vector<std::optional<std::int64_t>> positions;
    for (std::size_t t = 0; t < trace.outputs.size(); ++t)
      positions.push_back(info.decode(*protocol, t, trace.outputs[t] + (defect.altered ? 1 : 0)));
    wrong += !right(input, positions, planted);
  }
  std::vector<Check> checks;
  const auto add = [&](const char* quantity, std::uint64_t measured, Relation relation, std::uint64_t bound) {
    checks.push_back(compare(configuration_of(expectation, context), "protocol: " + std::string(quantity),
                             static_cast<double>(measured), relation, static_cast<double>(bound)));
  };
  add("rounds R", differ ? 0 : rounds + defect.rounds, Relation::kEqual, expectation.rounds);
  add("machines q", shape.machines + defect.machines, Relation::kEqual, expectation.machines);
  add("words, machine and round", most + defect.words, Relation::kAtMost, expectation.memory_words);
  add("inputs whose triple is wrong", wrong, Relation::kEqual, 0);
  return checks;
}

/// Collective: the traps, all in turns by the verifier's own executor; and whether two of these runs have the
/// message lists of the runs that the runtime makes.
std::vector<Check> trap_checks(std::uint64_t n, const Defect& defect, Context& context) {
  context.progress("3-SUM N = " + std::to_string(n) + ", traps");
  const mpc::ProtocolInfo& info = mpc::find_protocol("three_sum");
  const mpc::Parameters parameters = parameters_of(n, context.seed);
  const std::shared_ptr<const mpc::Protocol> protocol = info.make(parameters);
  const mpc::Shape& shape = protocol->shape();
  const auto inputs = traps(n, context.seed);
  const auto found = mpc::from_root(context.transport, [&] {
    std::vector<Run> runs;
    for (const auto& [input, has_triple] : inputs)
      runs.push_back({same(protocol), encoded(input, kValueBits)});
    const std::vector<Execution> executions = execute_in_turns(runs, context.seed);
    std::uint64_t wrong = 0;
    std::uint64_t unlike = 0;
    for (std::size_t i = 0; i < runs.size(); ++i) {
      std::vector<std::optional<std::int64_t>> positions;
      for (std::size_t t = 0; t < executions[i].outputs.size(); ++t)
        positions.push_back(info.decode(*protocol, t, executions[i].outputs[t] + (defect.altered ? 1 : 0)));
      wrong += executions[i].broken + !right(inputs[i].first, positions, inputs[i].second);
      if (i >= 2) continue;
      const std::size_t alone = defect.remembers ? 1 - i : i;
      Recount recount({shape.block_words, shape.machines, shape.rounds, shape.outputs}, runs[alone].input);
      const auto transport = mpc::make_in_process_transport();
      mpc::RunOptions options;
      options.observer = &recount;
      try {
        mpc::run(*protocol, runs[alone].input, *transport, options);
      } catch (const mpc::ModelViolation&) {
        ++unlike;
        continue;
      }
      const Trace trace = recount.trace(*transport);
      unlike += differences(executions[i], trace.prints, trace.outputs);
    }
    return std::array{wrong, unlike};
  });
  const Configuration configuration{.theorem = kName,
                                    .n = n,
                                    .epsilon = Rational(1, 2),
                                    .delta = kDelta,
                                    .below_range = shape.below_range(),
                                    .seed = context.seed};
  return {compare(configuration, "traps: inputs whose triple is wrong", static_cast<double>(found[0]),
                  Relation::kEqual, 0),
          compare(configuration, "traps: message lists unlike with all runs in turns",
                  static_cast<double>(found[1]), Relation::kEqual, 0)};
}

/// H, H m and 12 kappa_s N^(1/2 + 2 delta) + 128 H: delta for the memory, delta for the routing.
struct Widths {
  std::uint64_t heads = 0, exact = 0;
  double law = 0;
};
Widths widths_of(const Expectation& expectation, const Routing& digits, const Rational& delta) {
  Widths stated{.heads = *std::ranges::max_element(digits.radices),
                .exact = std::max(kIdDimension, 2 * expectation.block_words + 1)};
  for (std::size_t t = 0; t < digits.radices.size(); ++t)
    stated.exact =
        std::max(stated.exact, digits.radices[t] * std::max(2 * digits.capacities[t] + 1, kIdDimension));
  stated.law = 12.0 * kKappa * static_cast<double>(root_ceil(expectation.n, Rational(1, 2) + delta + delta)) +
               static_cast<double>(kIdDimension * stated.heads);
  return stated;
}

/// A law of N or more, the width by which one token could hold the input, is no evidence.
Check law_check(Configuration configuration, const std::string& quantity, std::uint64_t width,
                const Widths& stated) {
  configuration.below_range |= stated.law >= static_cast<double>(configuration.n);
  return compare(configuration, quantity, static_cast<double>(width), Relation::kAtMost, stated.law);
}

/// Sizes that the translator declares, at a delta for which the power law is below N. `more_heads`: beyond those.
std::vector<Check> plan_checks(std::uint64_t n, std::uint64_t more_heads, const Context& context) {
  const Expectation expectation = expectation_of(n, kPlannedDelta);
  const auto protocol = mpc::find_protocol("three_sum").make(parameters_of(n, context.seed, kPlannedDelta));
  const simulate::TransformerSizes planned =
      simulate::routed_construction()
          .make(protocol->shape(),
                {.construction = "routed", .delta = kPlannedDelta, .eta = kEta, .seed = context.seed})
          ->sizes();
  const Routing digits = routing(n, expectation.machines, expectation.memory_words, expectation.rounds,
                                 kPlannedDelta, kEta.to_double());
  const Widths stated = widths_of(expectation, digits, kPlannedDelta);
  const std::uint64_t width = planned.width + more_heads * kIdDimension;
  const Configuration configuration = configuration_of(expectation, context, kPlannedDelta);
  return {compare(configuration, "by plan: layers L = 2 + 2DR", static_cast<double>(planned.depth),
                  Relation::kEqual, static_cast<double>(2 + 2 * digits.radices.size() * expectation.rounds)),
          compare(configuration, "by plan: width, exact formula", static_cast<double>(width),
                  Relation::kAtMost, static_cast<double>(stated.exact)),
          law_check(configuration, "by plan: width, power law", width, stated)};
}

/// The routed transformer, by its layers' own shapes; evaluated too where asked for.
std::vector<Check> transformer_checks(std::uint64_t n, bool evaluated, const Defect& defect,
                                      Context& context) {
  context.progress("transformer of 3-SUM, N = " + std::to_string(n));
  const Expectation expectation = expectation_of(n);
  const mpc::ProtocolInfo& info = mpc::find_protocol("three_sum");
  const auto e = mpc::from_root(context.transport, [&] {
    const std::shared_ptr<const mpc::Protocol> protocol = info.make(parameters_of(n, context.seed));
    const simulate::Compiled compiled = simulate::compile(
        protocol, {.construction = "routed", .delta = kDelta, .eta = kEta, .seed = context.seed});
    const Network network = mutated(compiled.transformer, defect.network);
    if (!evaluated) return declared(network);
    // An input with a triple and one without, in turns.
    std::vector<Numbers> inputs;
    std::vector<std::vector<std::optional<std::int64_t>>> positions(2);
    std::vector<Instance> instances;
    for (const bool planted : {true, false}) {
      inputs.push_back(instance(n, planted, context.seed));
      auto& delivered = positions[instances.size()];
      delivered.resize(3);
      instances.push_back({encoded(inputs.back(), kValueBits), 3, [&](std::uint64_t t, mpc::Word word) {
                             delivered[t] = info.decode(*protocol, t, word + (defect.altered ? 1 : 0));
                             return true;
                           }});
    }
    const auto attention = simulate::make_attention(compiled, "ema");
    Evaluation facts = evaluate_measured(network, *attention, instances);
    facts.wrong = !right(inputs[0], positions[0], true) + !right(inputs[1], positions[1], false);
    return facts;
  });
  const Routing digits = routing(n, expectation.machines, expectation.memory_words, expectation.rounds,
                                 kDelta, kEta.to_double());
  const Widths stated = widths_of(expectation, digits, kDelta);
  std::vector<Check> checks;
  const auto add = [&](const char* quantity, std::uint64_t measured, Relation relation, double bound) {
    checks.push_back(compare(configuration_of(expectation, context),
                             std::string(evaluated ? "evaluated: " : "transformer: ") + quantity,
                             static_cast<double>(measured), relation, bound));
  };
  add("layers L = 2 + 2DR", e.depth, Relation::kEqual,
      static_cast<double>(2 + 2 * digits.radices.size() * expectation.rounds));
  add("layers L, the same bound for every N", e.depth, Relation::kAtMost, kDepth);
  add("heads H", e.heads, Relation::kAtMost, static_cast<double>(stated.heads));
  add("width, exact formula", e.width, Relation::kAtMost, static_cast<double>(stated.exact));
  checks.push_back(law_check(configuration_of(expectation, context),
                             std::string(evaluated ? "evaluated: " : "transformer: ") + "width, power law",
                             e.width, stated));
  add("row dimension d", e.row_dimension, Relation::kAtMost,
      static_cast<double>(routed_row_dimension(digits, expectation.block_words)));
  if (evaluated) add("inputs whose triple is wrong", e.wrong + e.flagged, Relation::kEqual, 0);
  return checks;
}

class ThreeSumWidth : public Statement {
 public:
  std::string name() const override { return kName; }
  std::string title() const override { return "3-SUM in O(1) ANNA layers of width O(N^{1/2 + delta})"; }
  std::string card() const override {
    return R"(Problem:   distinct positions a, b, c with x_a + x_b + x_c = 0.
Guarantee: R = T_sort(N, 2) + 5 + 2 d1 + db + dd + dr rounds on q = g (g + 1) / 2 + g machines, g = ceil(sqrt N), of
           s = 3 ceil(N^(1/2 + delta)) words; routed, L = 2 + 2DR <= 342 layers for every N >= 2^12, with
           H = ceil(q^(1/D)) heads and width within 12 kappa_s N^(1/2 + 2 delta) + 128 H.
Check:     rounds and words recounted on inputs with one triple and with none, whose answer is known by construction;
           layers, heads, width and rows' dimension of the network built; outputs of the transformer evaluated at
           N = 2^12, the layers of two inputs in turns.
           Small N: inputs that trick a careless protocol (x and -2x alone, 0 once, twice, three times, all alike), all
           executed in turns by the verifier itself, with the messages that the runtime's runs send.
Range:     s <= N / 4 from N = 2^12 on; below, one machine could hold the input. The power law of width is below N from
           2^19 on at delta = 1/10, by formula up to 2^24; sizes are planned up to 2^20, since from 2^21 on the slots
           of a bundle have numbers beyond 2^52, and the translator refuses. At delta = 1/5 it is nowhere below N.
Source:    Liu, Yu, Sanford, Andoni, Hsu 2025 (3-SUM in O(1) layers of width O(N^(1/2 + delta))); the protocol is ours.)";
  }
  std::vector<Constant> constants() const override {
    return {
        {"kappa_s, delta", "3, 1/5", "s = kappa_s ceil(N^(1/2 + delta)); the routing takes another delta"},
        {"L", "342", "layers, for every N >= 2^12"},
        {"width", "36 N^(1/2 + 2 delta) + 128 H", "power law"}};
  }
  std::vector<Check> checks(Context& context) const override {
    std::vector<Check> all;
    const auto append = [&](std::vector<Check> checks) {
      for (Check& check : checks) all.push_back(std::move(check));
    };
    const bool full = context.sizes == Sizes::kFull;
    for (const std::uint64_t n : {4096, 6000, 8192}) {
      if (context.wants("protocol: ", n)) append(run_checks(n, {}, context));
    }
    if (full) append(run_checks(16384, {}, context));
    for (const std::uint64_t n : kTrapSizes) {
      if (context.wants("traps: ", n)) append(trap_checks(n, {}, context));
    }
    for (const std::uint64_t n : {4096, 6000, 8192, 16384}) {
      if (context.wants("transformer: ", n)) append(transformer_checks(n, false, {}, context));
    }
    if (context.wants("evaluated: ", kFirstInRange))
      append(transformer_checks(kFirstInRange, true, {}, context));
    for (const std::uint64_t n : kPlannedSizes) {
      if (context.wants("by plan: ", n)) append(plan_checks(n, 0, context));
    }
    if (full) append(transformer_checks(6000, true, {}, context));
    return all;
  }
  std::vector<Metric> metrics(const Context&) const override {
    std::uint64_t from = 0;  // the least power of two from which on the law is below N, up to 2^24
    for (std::uint64_t n = 1 << 24; n >= kPlannedSizes[0];
         n /= 2) {  // at fewer, s is too small at kappa_s = 3
      const Expectation expectation = expectation_of(n, kPlannedDelta);
      const Routing digits = routing(n, expectation.machines, expectation.memory_words, expectation.rounds,
                                     kPlannedDelta, kEta.to_double());
      if (widths_of(expectation, digits, kPlannedDelta).law >= static_cast<double>(n)) break;
      from = n;
    }
    return {{"power law of width, delta 1/10: below N from N on", from, static_cast<double>(from)}};
  }
  std::vector<Control> controls(Context& context) const override {
    constexpr std::uint64_t kN = kFirstInRange;
    const auto run = run_checks(kN, {}, context);
    std::vector<Control> all;
    const auto judge = [&](const char* control, const std::string& quantity,
                           const std::vector<Check>& defective, const std::vector<Check>& sound) {
      all.push_back(judge_control(kName, control, quantity, defective, sound));
    };
    judge("one round more than stated", run[0].quantity, run_checks(kN, {.rounds = 1}, context), run);
    judge("one machine more than stated", run[1].quantity, run_checks(kN, {.machines = 1}, context), run);
    judge("s + 1 words sent", run[2].quantity,
          run_checks(kN, {.words = expectation_of(kN).memory_words}, context), run);
    judge("a position altered", run[3].quantity, run_checks(kN, {.altered = true}, context), run);
    const auto trapped = trap_checks(kTrapSizes[1], {}, context);
    judge("a position altered in every output", trapped[0].quantity,
          trap_checks(kTrapSizes[1], {.altered = true}, context), trapped);
    judge("each of two runs has the other's words", trapped[1].quantity,
          trap_checks(kTrapSizes[1], {.remembers = true}, context), trapped);
    auto built = transformer_checks(kN, false, {}, context);
    std::erase_if(built, [](const Check& check) { return check.configuration.below_range; });  // no evidence
    const auto defective = [&](const Defect& defect) {
      return transformer_checks(kN, false, defect, context);
    };
    judge("one layer more", built[0].quantity, defective({.network = {.extra_layers = 1}}), built);
    judge("11 layers more", built[1].quantity, defective({.network = {.extra_layers = 11}}), built);
    judge("one head more than stated", built[2].quantity, defective({.network = {.padding = {.heads = 1}}}),
          built);
    judge("one head more than stated (width)", built[3].quantity,
          defective({.network = {.padding = {.heads = 1}}}), built);
    judge("rows one number wider than stated", built[4].quantity,
          defective({.network = {.padding = {.row_dimension = 1}}}), built);
    const auto planned = plan_checks(kPlannedSizes[0], 0, context);
    judge("10,000 heads more", planned[2].quantity, plan_checks(kPlannedSizes[0], 10000, context), planned);
    return all;
  }
};

}  // namespace

std::unique_ptr<const Statement> make_three_sum_width() {
  return std::make_unique<ThreeSumWidth>();
}

}  // namespace roundtrip::proofs_check
