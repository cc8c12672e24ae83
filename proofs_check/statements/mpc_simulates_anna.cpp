// Statement: an L-layer ANNA-transformer is an O(L)-round protocol on machines of O(N^{eps + delta}) words.
// Runs are recounted word by word; sizes with the guarantee's number of tables, too many to run here, are
// those that the protocol declares, against formulas computed anew and against standard attention's (N / B)^2
// machines.
#include <algorithm>
#include <cmath>

#include "roundtrip/anna/lsh/probability.h"
#include "roundtrip/anna/transformer/random_model.h"
#include "roundtrip/base/random.h"
#include "roundtrip/mpc/agree.h"
#include "roundtrip/mpc/runtime.h"
#include "roundtrip/proofs_check/anna_formulas.h"
#include "roundtrip/proofs_check/cases.h"
#include "roundtrip/proofs_check/executor.h"
#include "roundtrip/proofs_check/formulas.h"
#include "roundtrip/proofs_check/recount.h"
#include "roundtrip/proofs_check/reference_attention.h"
#include "roundtrip/proofs_check/statements/statements.h"
#include "roundtrip/simulate/decompile/decompile.h"

namespace roundtrip::proofs_check {
namespace {

constexpr const char* kName = "mpc_simulates_anna";
const Rational kQuarter(1, 4);  // eps and delta
constexpr std::uint64_t kKappa = 8;
constexpr std::uint32_t kWordBits = 62;
constexpr std::uint32_t kInputBits = 16;  // p of the random models
constexpr std::uint32_t kRow = 8;
constexpr std::uint32_t kValueDimension = 8;  // m
constexpr double kEta = 0.01;
constexpr std::uint64_t kInTurnsSize = 1024;
constexpr double kSharper = 4;
constexpr const char* kSlope = "declared: slope of q / ell, N = 2^10 to 2^24";
constexpr const char* kWideSlope = "declared: slope of q / ell, H = m = N^(1/8), N = 2^16 to 2^24";
// 1 - delta; where H and m are N^(1/8) rounded up, .05 for what the rounding does to so few sizes.
constexpr double kSlopes[] = {0.75, 0.8};
constexpr std::uint64_t kRoundsALayer = 62;  // most at N >= 2^10, by the formula at 2^10

struct Job {
  std::uint64_t n;
  std::uint32_t layers;
  std::uint32_t tables;
  std::uint32_t functions = 2;
  std::uint32_t dimension = 16;
  std::uint32_t heads = 1;
  std::uint32_t value_dimension = kValueDimension;  ///< m
};

/// A word holds as many functions of ceil(log2 2d) bits as go into it whole; numbers of all jobs here fit one word.
ProtocolExpectation expectation_of(const Job& job) {
  const std::uint64_t a_word = kWordBits / log_ceil(2, 2 * std::uint64_t{job.dimension});
  std::vector<LayerExpectation> layers;
  for (std::uint32_t l = 0; l < job.layers; ++l) {
    layers.push_back({.heads = job.heads,
                      .tables = job.tables,
                      .code_words = (job.functions + a_word - 1) / a_word,
                      .value_dimension = job.value_dimension,
                      .row_dimension = l == 0 ? 2 : kRow,
                      .next_row_words = l + 1 == job.layers ? kRow : 1 + kRow});
  }
  return *anna_protocol_expectation(job.n, kQuarter, kQuarter, kKappa, layers);
}

anna::Model model_of(const Job& job, std::uint64_t seed) {
  anna::RandomModel random;
  random.layers = job.layers;
  random.heads = job.heads;
  random.word_bits = kInputBits;
  random.dimension = job.dimension;
  random.value_dimension = job.value_dimension;
  random.row_dimension = kRow;
  random.seed = seed;
  return anna::make_random_model(random, job.n,
                                 anna::Anna{{.tables = job.tables,
                                             .functions = job.functions,
                                             .seed = seed,
                                             .family = anna::FamilyKind::kCrossPolytope},
                                            {},
                                            {}});
}

mpc::Parameters parameters_of(const Job& job, std::uint64_t seed) {
  mpc::Parameters parameters;
  parameters.n = job.n;
  parameters.epsilon = kQuarter;
  parameters.delta = kQuarter;
  parameters.kappa_s = kKappa;
  parameters.seed = seed;
  return parameters;
}

/// What a control adds to what is measured.
struct Mutant {
  std::uint64_t rounds = 0, machines = 0, memory = 0, sent = 0, received = 0, numbers = 0, tables = 0,
                lists = 0, columns = 0;
};

/// N/4 different words over all of the model's range: tables then disagree on who meets, and every one counts.
std::vector<mpc::Word> input_of(const Job& job, std::uint64_t seed) {
  std::vector<mpc::Word> different, input;
  RandomStream stream(seed, Domain::kInstance, job.n, job.layers);
  for (std::uint64_t i = 0; i < job.n / 4; ++i) different.push_back(stream.below(1u << kInputBits));
  for (std::uint64_t i = 0; i < job.n; ++i) input.push_back(different[stream.below(different.size())]);
  return input;
}

std::vector<Check> run_checks(const Job& job, const Mutant& mutant, Context& context) {
  context.progress("N = " + std::to_string(job.n) + ", L = " + std::to_string(job.layers));
  const ProtocolExpectation expectation = expectation_of(job);
  const anna::Model model = model_of(job, context.seed);
  const std::shared_ptr<const mpc::Protocol> protocol =
      simulate::decompile(model, parameters_of(job, context.seed), {.word_bits = kWordBits});
  const mpc::Shape& shape = protocol->shape();
  const auto run_alone = [&](const std::vector<mpc::Word>& words) {
    Recount recount({shape.block_words, shape.machines, shape.rounds, shape.outputs}, words);
    mpc::RunOptions options;
    options.observer = &recount;
    mpc::run(*protocol, words, context.transport, options);
    return recount.trace(context.transport);
  };
  const std::vector<mpc::Word> input = input_of(job, context.seed);
  const Trace trace = run_alone(input);

  anna::Activations rows = anna::Activations::with_dimension(2);
  for (const mpc::Word word : input)
    rows.append_row(std::vector<anna::Entry>{{0, 1.0}, {1, static_cast<double>(word)}});
  anna::AnnaParameters tables = model.mechanisms[0].get_if<anna::Anna>()->parameters;
  tables.tables -= static_cast<std::uint32_t>(mutant.tables);
  const auto reference = make_reference_anna(tables);
  std::uint64_t columns = mutant.columns;  // d, of the rows that layers write
  for (const auto& layer : model.transformer.layers) {
    rows = anna::evaluate(*layer, *reference, rows);
    std::uint64_t used = 0;
    for (std::uint64_t t = 0; t < rows.tokens(); ++t) {
      if (const auto entries = rows.row(t).entries; !entries.empty())
        used = std::max<std::uint64_t>(used, entries.back().column + std::uint64_t{1});
    }
    columns = std::max(columns, used + mutant.columns);
  }
  std::uint64_t wrong = mutant.numbers + (trace.outputs.size() != job.n * kRow);
  for (std::uint64_t t = 0; t < std::min<std::uint64_t>(trace.outputs.size(), job.n * kRow); ++t) {
    const auto number = static_cast<std::int64_t>(trace.outputs[t] << (64 - kWordBits)) >> (64 - kWordBits);
    wrong += trace.deliveries[t] != 1 ||
             static_cast<double>(number) != rows.row(t / kRow)[static_cast<std::uint32_t>(t % kRow)];
  }

  const Configuration configuration{.theorem = kName,
                                    .n = job.n,
                                    .epsilon = kQuarter,
                                    .delta = kQuarter,
                                    .below_range = expectation.below_range,
                                    .seed = context.seed};
  std::vector<Check> checks;
  const auto add = [&](const char* quantity, std::uint64_t measured, Relation relation, std::uint64_t bound) {
    checks.push_back(compare(configuration, "L = " + std::to_string(job.layers) + ": " + quantity,
                             static_cast<double>(measured), relation, static_cast<double>(bound)));
  };
  add("rounds R", trace.rounds + mutant.rounds, Relation::kEqual, expectation.rounds);
  add("machines q", shape.machines + mutant.machines, Relation::kEqual, expectation.machines);
  add("memory s declared, words", shape.memory_words + mutant.memory, Relation::kEqual,
      expectation.memory_words);
  add("words sent, machine and round", trace.max_sent() + mutant.sent, Relation::kAtMost,
      expectation.memory_words);
  add("words received, machine and round", trace.max_received() + mutant.received, Relation::kAtMost,
      expectation.memory_words);
  add("numbers unlike the definition's", wrong, Relation::kEqual, 0);
  if (job.n == kInTurnsSize) {
    const std::vector<mpc::Word> other = input_of(job, context.seed + 1);
    const Trace of_other = run_alone(other);
    const auto unlike = mpc::from_root(context.transport, [&] {
      const Run runs[] = {{same(protocol), input}, {same(protocol), other}};
      const std::vector<Execution> executions = execute_in_turns(runs, context.seed);
      return differences(executions[0], trace.prints, trace.outputs) +
             differences(executions[1], of_other.prints, of_other.outputs);
    });
    add("message lists unlike with two runs in turns", unlike + mutant.lists, Relation::kEqual, 0);
  }
  add("row dimension d", columns, Relation::kAtMost, kRow);
  return checks;
}

/// One layer with as many tables as the guarantee asks for at c.
Job guaranteed(std::uint64_t n, double c) {
  const anna::FamilyParameters family{anna::FamilyKind::kCrossPolytope, 64};
  const Tables tables = tables_for(n, kEta, anna::collision_probability(family, std::sqrt(2) / c).low,
                                   anna::collision_probability(family, std::sqrt(2)).high);
  return {n, 1, static_cast<std::uint32_t>(tables.tables), tables.functions, 64};
}

/// A layer whose size is declared and that is not run: c, H and m vary as the theorem has them.
struct Declared {
  std::uint64_t n;
  double c = 8;
  bool wide = false;  ///< H = m = ceil(N^(1/8)), so that H m grows as N^eps
  Job job() const {
    Job made = guaranteed(n, c);
    if (wide) made.heads = made.value_dimension = static_cast<std::uint32_t>(root_ceil(n, Rational(1, 8)));
    return made;
  }
  std::string quantity_start() const {
    return "c = " + std::to_string(static_cast<int>(c)) +
           (wide ? ", H = m = N^(1/8), declared: " : ", declared: ");
  }
};

/// A block has s / W = kappa_s N^(eps + delta) / W tokens. So a table takes at most kSharper N^(1 - delta) machines if a
/// token's words, W and those of its records in all heads, are O(N^eps): H m is, where both grow, and eight numbers are.
double sharper_law(const Declared& declared) {
  return kSharper * declared.job().tables * std::pow(static_cast<double>(declared.n), 0.75);
}

std::vector<Check> declared_checks(const Declared& declared, std::uint64_t extra_rounds,
                                   std::uint64_t machines_times, const Context& context) {
  const std::uint64_t n = declared.n;
  const Job job = declared.job();
  const ProtocolExpectation expectation = expectation_of(job);
  const simulate::DecompilePlan plan = simulate::plan_decompile(
      model_of(job, context.seed), parameters_of(job, context.seed), {.word_bits = kWordBits});
  const auto machines = static_cast<double>(plan.machines * machines_times);
  const auto rounds = static_cast<double>(plan.rounds + extra_rounds);
  const Configuration configuration{.theorem = kName,
                                    .n = n,
                                    .epsilon = kQuarter,
                                    .delta = kQuarter,
                                    .below_range = expectation.below_range,
                                    .seed = context.seed};
  const std::string which = declared.quantity_start();
  std::vector<Check> checks = {
      compare(configuration, which + "rounds R", rounds, Relation::kEqual,
              static_cast<double>(expectation.rounds)),
      compare(configuration, which + "rounds R, O(L)", rounds, Relation::kAtMost, kRoundsALayer),
      compare(configuration, which + "machines q", machines, Relation::kEqual,
              static_cast<double>(expectation.machines)),
      compare(configuration, which + "machines q, power law", machines, Relation::kAtMost,
              std::pow(static_cast<double>(n), 1.25) * job.tables * job.heads),
      compare(configuration, which + "machines q, O(ell N^(1 - delta))", machines, Relation::kAtMost,
              sharper_law(declared))};
  // At c = 4 the guarantee takes so many tables that standard attention has fewer machines up to 2^24.
  if (declared.c >= 8 && !declared.wide) {
    checks.push_back(
        compare(configuration, which + "q against standard attention's", machines, Relation::kAtMost,
                standard_attention_machines(n, expectation.memory_words, expectation.state_words)));
  }
  return checks;
}

/// Least-squares slope of log q / ell over log N of declared sizes. `power`: q grows by N^power more, a defect.
Check slope_check(bool wide, double power, const Context& context) {
  double count = 0, x = 0, y = 0, xx = 0, xy = 0;
  for (std::uint32_t log_n = wide ? 16 : 10; log_n <= 24; log_n += 2) {
    const Declared declared{std::uint64_t{1} << log_n, 8, wide};
    const Job job = declared.job();
    const simulate::DecompilePlan plan = simulate::plan_decompile(
        model_of(job, context.seed), parameters_of(job, context.seed), {.word_bits = kWordBits});
    const double log = std::log2(static_cast<double>(declared.n));
    const double machines = std::log2(static_cast<double>(plan.machines) / job.tables) + power * log;
    count += 1, x += log, y += machines, xx += log * log, xy += log * machines;
  }
  return compare(
      {.theorem = kName, .n = 1 << 24, .epsilon = kQuarter, .delta = kQuarter, .seed = context.seed},
      wide ? kWideSlope : kSlope, (count * xy - x * y) / (count * xx - x * x), Relation::kAtMost,
      kSlopes[wide]);
}

class MpcSimulatesAnna : public Statement {
 public:
  std::string name() const override { return kName; }
  std::string title() const override { return "an L-layer ANNA-transformer is a protocol of O(L) rounds"; }
  std::string card() const override {
    return R"(Problem:   an L-layer ANNA-transformer with ell tables a layer as an MPC protocol.
Guarantee: R = 1 + sum (2 dc + T_sort(2N, w) + 2 dv + 4) + 1 rounds, s = kappa_s ceil(N^(eps + delta)) words,
           q = ell (C + H (M_s + M_v)) machines: near-linear, against (N / B)^2 of standard attention; the numbers are
           those of the transformer, bit for bit.
Check:     rounds and words recounted from all messages, numbers against ANNA from its definition, with 4 and 2 tables;
           the rows' dimension d; at N = 1024 two runs again, machine by machine in turns by the verifier itself;
           with the guarantee's number of tables (eta = 0.01; c = 4, 8 and 12, N up to 2^24, also with H = m = N^(1/8))
           what the protocol declares, against formulas computed anew; at c = 8 and 12 against standard attention.
Sharper:   q = O(ell N^(1 - delta)) (ours), since a block has s / W = kappa_s N^(eps + delta) / W tokens and W is O(N^eps);
           with ell = N^(2 rho / (1 - rho)) polylog N.
Source:    Liu, Yu, Sanford, Andoni, Hsu 2025, Theorem 4.2 (q = O(N^(1 + delta + 3 / c^2))); the passes are ours.)";
  }
  std::vector<Constant> constants() const override {
    return {{"kappa_s, eps, delta", "8, 1/4, 1/4", "s = kappa_s ceil(N^(eps + delta))"},
            {"ell, z", "4, 2; L = 2: 2, 2", "tables and functions of what is run, d = 16, m = 8"},
            {"O(L)", "62", "rounds of a layer and its input and outputs, for N >= 2^10"},
            {"q", "H ell N^(1 + delta)", "power law, ell as the guarantee asks"},
            {"slope", "0.75; 0.8 where H and m grow", "of q / ell, 1 - delta"},
            {"q, sharper", "4 ell N^(1 - delta)", "where a token's words in all heads are O(N^eps): ours"},
            {"B", "s / 4W", "tokens of a block of standard attention, W words of a token's row and sums"}};
  }
  std::vector<Check> checks(Context& context) const override {
    std::vector<Check> all;
    std::vector<Job> jobs;
    for (const std::uint64_t n : {1024, 1500, 2048}) {
      jobs.push_back({n, 1, 4});
      jobs.push_back({n, 2, 2});
    }
    if (context.sizes == Sizes::kFull) {
      jobs.push_back({4096, 1, 4});
      jobs.push_back({8192, 2, 2});
      jobs.push_back(guaranteed(1024, 8));
    }
    for (const Job& job : jobs) {
      if (!context.wants("L = " + std::to_string(job.layers) + ": ", job.n)) continue;
      for (Check& check : run_checks(job, {}, context)) all.push_back(std::move(check));
    }
    std::vector<Declared> plans;
    for (const std::uint32_t log_n : {10, 12, 14, 16, 18, 20, 22, 24})
      plans.push_back({std::uint64_t{1} << log_n});
    for (const std::uint32_t log_n : {16, 20, 24}) {
      for (const double c : {4, 12}) plans.push_back({std::uint64_t{1} << log_n, c});
      plans.push_back({std::uint64_t{1} << log_n, 8, true});
    }
    for (const Declared& plan : plans) {
      if (!context.wants(plan.quantity_start(), plan.n)) continue;
      for (Check& check : declared_checks(plan, 0, 1, context)) all.push_back(std::move(check));
    }
    for (const bool wide : {false, true})
      if (context.wants(wide ? kWideSlope : kSlope, 1 << 24)) all.push_back(slope_check(wide, 0, context));
    return all;
  }
  std::vector<Metric> metrics(const Context&) const override {
    std::vector<Metric> all;
    for (const std::uint32_t log_n : {10, 12, 14, 16, 18, 20}) {
      const std::uint64_t n = std::uint64_t{1} << log_n;
      const ProtocolExpectation expectation = expectation_of(guaranteed(n, 8));
      all.push_back({"machines of standard attention, (N / B)^2", n,
                     standard_attention_machines(n, expectation.memory_words, expectation.state_words)});
    }
    for (const std::uint64_t kappa : {8, 16}) {
      for (const int c : {4, 8, 12}) {
        std::uint64_t from = 0;  // fewer here and at all larger powers of four up to 2^24
        for (std::uint64_t n = std::uint64_t{1} << 24; n >= 1 << 8; n /= 4) {
          const LayerExpectation layer{.tables = guaranteed(n, c).tables,
                                       .value_dimension = kValueDimension,
                                       .row_dimension = 2,
                                       .next_row_words = kRow};
          const auto expectation = anna_protocol_expectation(n, kQuarter, kQuarter, kappa, {&layer, 1});
          if (!expectation ||
              static_cast<double>(expectation->machines) >
                  standard_attention_machines(n, expectation->memory_words, expectation->state_words))
            break;
          from = n;
        }
        const std::string which = "c = " + std::to_string(c) + ", kappa_s = " + std::to_string(kappa) + ": ";
        all.push_back(
            from > 0 ? Metric{which + "fewer machines than it from N on", from, static_cast<double>(from)}
                     : Metric{which + "more machines than it, up to N", 1 << 24, 0x1p24});
      }
    }
    return all;
  }
  std::vector<Control> controls(Context& context) const override {
    const Job small{1024, 1, 2};
    const auto sound = run_checks(small, {}, context);
    std::vector<Control> all;
    const auto judge = [&](const char* control, std::size_t check, const Mutant& mutant) {
      all.push_back(
          judge_control(kName, control, sound[check].quantity, run_checks(small, mutant, context), sound));
    };
    const std::uint64_t s = expectation_of(small).memory_words;
    judge("one round more than stated", 0, {.rounds = 1});
    judge("one machine more than stated", 1, {.machines = 1});
    judge("s declared one word above the stated one", 2, {.memory = 1});
    judge("s + 1 words sent", 3, {.sent = s});
    judge("s + 1 words received", 4, {.received = s});
    judge("one number altered", 5, {.numbers = 1});
    judge("numbers of one table fewer", 5, {.tables = 1});
    judge("one message list altered", 6, {.lists = 1});
    judge("rows one number wider than stated", 7, {.columns = 1});
    constexpr std::uint64_t kDeclared = 1 << 12;
    const auto declared = declared_checks({kDeclared}, 0, 1, context);
    judge_declared(all, "rounds that grow like the number of tables", 0,
                   declared_checks({kDeclared}, 100, 1, context), declared);
    judge_declared(all, "rounds that grow like the number of tables", 1,
                   declared_checks({kDeclared}, 100, 1, context), declared);
    for (const std::size_t check : {2, 3, 4, 5})
      judge_declared(all, "a machine for every token and table", check,
                     declared_checks({kDeclared}, 0, kDeclared, context), declared);
    for (const bool wide : {false, true}) {
      const Check sound_slope = slope_check(wide, 0, context);
      all.push_back(judge_control(kName, "machines that grow by N^(1/4) more", sound_slope.quantity,
                                  {slope_check(wide, 0.25, context)}, {sound_slope}));
    }
    return all;
  }

 private:
  static void judge_declared(std::vector<Control>& all, const char* control, std::size_t check,
                             const std::vector<Check>& defective, const std::vector<Check>& sound) {
    all.push_back(judge_control(kName, control, sound[check].quantity, defective, sound));
  }
};

}  // namespace

std::unique_ptr<const Statement> make_mpc_simulates_anna() {
  return std::make_unique<MpcSimulatesAnna>();
}

}  // namespace roundtrip::proofs_check
