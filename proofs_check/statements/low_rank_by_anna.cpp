// Statement: an L-layer transformer with low-rank attention is an ANNA-transformer of depth O(L) and width
// O(N^{eps + delta}), through its protocol. Layers, heads and dimensions are metered as they are used, rows
// compared with low-rank attention from its definition.
#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

#include "roundtrip/anna/transformer/random_model.h"
#include "roundtrip/base/random.h"
#include "roundtrip/proofs_check/cases.h"
#include "roundtrip/proofs_check/evaluation.h"
#include "roundtrip/proofs_check/formulas.h"
#include "roundtrip/proofs_check/reference_attention.h"
#include "roundtrip/proofs_check/spread.h"
#include "roundtrip/proofs_check/statements/statements.h"
#include "roundtrip/simulate/compile/routed.h"
#include "roundtrip/simulate/decompile/decompile.h"

namespace roundtrip::proofs_check {
namespace {

constexpr const char* kName = "low_rank_by_anna";
constexpr std::uint32_t kRank = 4;            // r'
constexpr std::uint32_t kDimension = 8;       // of queries and keys
constexpr std::uint32_t kValueDimension = 4;  // m
constexpr std::uint32_t kRow = 8;             // of rows between layers
constexpr std::uint64_t kKappa = 8;
constexpr std::uint64_t kIdDimension = 128;
constexpr std::uint32_t kWordBits = 48;
const Rational kQuarter(1, 4);  // eps, and the delta of the protocol
const Rational kRoutingDelta(1, 5);
const Rational kEta(1, 100);
constexpr std::uint64_t kPlannedSizes[] = {1 << 18, 300000, 1 << 20, 1 << 21};

struct Job {
  std::uint64_t n;
  std::uint32_t layers;
  bool routed = false;
  bool anna = false;  ///< hash tables, whose draw was checked; else exact match, which they then are
  NetworkMutant mutant{};
  Rational epsilon = kQuarter;
  Rational delta = kQuarter;               ///< of the protocol
  Rational routing_delta = kRoutingDelta;  ///< of the translator
  std::uint64_t kappa = kKappa;            ///< kappa_s
};

std::string quantity_start(const Job& job) {
  return (job.routed ? "routed, L = " : "direct, L = ") + std::to_string(job.layers) + ": ";
}

/// Of the protocol, from the model's shape alone; numbers are single words of 48 bits.
Expectation expectation_of(const Job& job) {
  const auto up = [](std::uint64_t a, std::uint64_t b) { return (a + b - 1) / b; };
  Expectation expectation;
  expectation.n = job.n;
  expectation.outputs = job.n * kRow;
  expectation.word_bits = kWordBits;
  expectation.block_words = root_ceil(job.n, job.epsilon);
  expectation.memory_words = job.kappa * root_ceil(job.n, job.epsilon + job.delta);
  // A machine holds its tokens' rows twice in half of its memory; f sums of (m + 1) r' numbers take the rest.
  std::uint64_t token_words = kRow;
  for (std::uint32_t l = 0; l < job.layers; ++l)
    token_words = std::max<std::uint64_t>(token_words, 2 * (1 + (l == 0 ? 2 : kRow)));
  if (job.layers > 1) token_words = std::max<std::uint64_t>(token_words, 1 + kRow);
  const std::uint64_t blocks = up(job.n, expectation.memory_words / token_words);
  const std::uint64_t fan = std::min(expectation.memory_words / 2 / (kRank * (kValueDimension + 1)),
                                     std::max<std::uint64_t>(2, blocks));
  expectation.rounds = 2 + job.layers * 2 * std::max(1u, log_ceil(fan, blocks));
  expectation.machines = std::max(
      {blocks, up(job.n, expectation.block_words), up(expectation.outputs, expectation.block_words)});
  return expectation;
}

constexpr std::uint32_t kInputBits = 16;  // of an input word

anna::Model model_of(const Job& job, std::uint64_t seed) {
  anna::RandomModel random;
  random.layers = job.layers;
  random.heads = 1;
  random.dimension = kDimension;
  random.value_dimension = kValueDimension;
  random.row_dimension = kRow;
  random.seed = seed;
  random.word_bits = kInputBits;
  return anna::make_random_model(random, job.n, anna::LowRank{kRank, seed});
}

mpc::Parameters parameters_of(const Job& job, std::uint64_t seed) {
  mpc::Parameters parameters;
  parameters.n = job.n;
  parameters.epsilon = job.epsilon;
  parameters.delta = job.delta;
  parameters.kappa_s = job.kappa;
  parameters.seed = seed;
  return parameters;
}

Evaluation evaluate_job(const Job& job, std::uint64_t seed) {
  const anna::Model model = model_of(job, seed);
  simulate::CompileOptions options{.seed = seed};
  if (job.routed) {
    options.construction = "routed";
    options.delta = job.routing_delta;
    options.eta = kEta;
  }
  const simulate::Compiled compiled = simulate::compile_model(model, parameters_of(job, seed), options);
  // Two inputs in turns, each with the rows of the model on it by the definition.
  std::vector<anna::Activations> rows;
  std::vector<Instance> instances;
  for (const std::uint64_t instance : {0, 1}) {
    RandomStream stream(seed + instance, Domain::kInstance, job.n, job.layers);
    std::vector<mpc::Word> input;
    for (std::uint64_t i = 0; i < job.n; ++i) input.push_back(stream.below(1u << kInputBits));
    anna::Activations array = anna::Activations::with_dimension(2);
    for (const mpc::Word word : input)
      array.append_row(std::vector<anna::Entry>{{0, 1.0}, {1, static_cast<double>(word)}});
    const auto reference = make_reference_low_rank(kRank, seed);
    for (const auto& layer : model.transformer.layers) array = anna::evaluate(*layer, *reference, array);
    rows.push_back(std::move(array));
    instances.push_back({std::move(input), job.n * kRow, [&rows, instance](std::uint64_t t, mpc::Word word) {
                           const auto number =
                               static_cast<std::int64_t>(word << (64 - kWordBits)) >> (64 - kWordBits);
                           return static_cast<double>(number) ==
                                  rows[instance].row(t / kRow)[static_cast<std::uint32_t>(t % kRow)];
                         }});
  }
  const auto attention = simulate::make_attention(compiled, job.anna ? "anna" : "ema");
  return evaluate_mutant(compiled.transformer, job.mutant, *attention, instances);
}

/// 12 kappa_s N^(eps + delta + delta') + 128 H, delta' of the routing.
double power_law(const Job& job, const Routing& digits) {
  return 12.0 * static_cast<double>(job.kappa) *
             static_cast<double>(root_ceil(job.n, job.epsilon + job.delta + job.routing_delta)) +
         static_cast<double>(kIdDimension * *std::ranges::max_element(digits.radices));
}

Routing digits_of(const Job& job, const Expectation& expectation) {
  return routing(job.n, expectation.machines, expectation.memory_words, expectation.rounds, job.routing_delta,
                 kEta.to_double());
}

/// Where the power law is below N from 2^16 on.
Job planned(std::uint64_t n) {
  return {.n = n,
          .layers = 1,
          .routed = true,
          .epsilon = {1, 2},
          .delta = {1, 10},
          .routing_delta = {1, 10},
          .kappa = 2};
}

/// H m: the ids' dimension or a bundle's words and flag, for every digit, or a block of the input.
std::uint64_t exact_width(const Routing& digits, const Expectation& expectation) {
  std::uint64_t width = std::max(kIdDimension, 2 * expectation.block_words + 1);
  for (std::size_t t = 0; t < digits.radices.size(); ++t)
    width = std::max(width, digits.radices[t] * std::max(2 * digits.capacities[t] + 1, kIdDimension));
  return width;
}

/// Sizes that the translators declare, where the power law is below N. `more_heads`, `more_layers`: beyond those.
std::vector<Check> plan_checks(std::uint64_t n, std::uint64_t more_heads, std::uint64_t more_layers,
                               const Context& context) {
  const Job job = planned(n);
  const Expectation expectation = expectation_of(job);
  const Routing digits = digits_of(job, expectation);
  const auto protocol = simulate::decompile(model_of(job, context.seed), parameters_of(job, context.seed),
                                            {.word_bits = kWordBits, .input_bits = {}});
  const simulate::TransformerSizes sizes =
      simulate::routed_construction()
          .make(protocol->shape(),
                {.construction = "routed", .delta = job.routing_delta, .eta = kEta, .seed = context.seed})
          ->sizes();
  const std::uint64_t width = sizes.width + more_heads * kIdDimension;
  Configuration configuration{.theorem = kName,
                              .n = n,
                              .epsilon = job.epsilon,
                              .delta = job.delta + job.routing_delta,
                              .below_range = expectation.below_range(),
                              .seed = context.seed};
  std::vector<Check> checks = {
      compare(configuration, "by plan: layers L = 2 + 2DR", static_cast<double>(sizes.depth + more_layers),
              Relation::kEqual, static_cast<double>(2 + 2 * digits.radices.size() * expectation.rounds)),
      compare(configuration, "by plan: width, exact formula", static_cast<double>(width), Relation::kAtMost,
              static_cast<double>(exact_width(digits, expectation)))};
  // A law of N or more, the width by which one token could hold the input, is no evidence.
  const double law = power_law(job, digits);
  configuration.below_range |= law >= static_cast<double>(n);
  checks.push_back(compare(configuration, "by plan: width, power law", static_cast<double>(width),
                           Relation::kAtMost, law));
  return checks;
}

std::vector<std::vector<Check>> run_jobs(const std::vector<Job>& jobs, Context& context) {
  const auto facts = spread(context.transport, jobs.size(), [&](std::size_t i) {
    context.progress("low rank, N = " + std::to_string(jobs[i].n) +
                     ", L = " + std::to_string(jobs[i].layers));
    return evaluate_job(jobs[i], context.seed);
  });
  std::vector<std::vector<Check>> all;
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    const Job& job = jobs[i];
    const Evaluation e = facts[i];
    const Expectation expectation = expectation_of(job);
    const Configuration configuration{.theorem = kName,
                                      .n = job.n,
                                      .epsilon = job.epsilon,
                                      .delta = job.routed ? job.delta + job.routing_delta : job.delta,
                                      .below_range = expectation.below_range(),
                                      .seed = context.seed};
    std::vector<Check> checks;
    const auto add = [&](const std::string& quantity, std::uint64_t measured, Relation relation,
                         double bound) {
      checks.push_back(compare(configuration, quantity_start(job) + quantity, static_cast<double>(measured),
                               relation, bound));
    };
    const Routing digits = digits_of(job, expectation);
    std::uint64_t heads = expectation.memory_words + 1;
    std::uint64_t depth = expectation.rounds + 1;
    if (job.routed) {
      heads = *std::ranges::max_element(digits.radices);
      depth = 2 + 2 * digits.radices.size() * expectation.rounds;
    }
    add("layers of the ANNA-transformer", e.depth, Relation::kEqual, static_cast<double>(depth));
    add("heads H", e.heads, Relation::kAtMost, static_cast<double>(heads));
    if (job.routed) {
      add("width, exact formula", e.width, Relation::kAtMost,
          static_cast<double>(exact_width(digits, expectation)));
    }
    add("numbers unlike the definition's", e.wrong + e.flagged, Relation::kEqual, 0);
    add("row dimension d", e.row_dimension, Relation::kAtMost,
        static_cast<double>(job.routed ? routed_row_dimension(digits, expectation.block_words)
                                       : direct_row_dimension(expectation.memory_words)));
    all.push_back(std::move(checks));
  }
  return all;
}

class LowRankByAnna : public Statement {
 public:
  std::string name() const override { return kName; }
  std::string title() const override {
    return "an L-layer low-rank transformer is an ANNA-transformer, depth O(L)";
  }
  std::string card() const override {
    return R"(Problem:   an L-layer transformer with low-rank (kernel) attention, rank * width O(N^eps), by ANNA.
Guarantee: its protocol sums phi(k) v^T and phi(k) up a tree and down: R = 2 + 2 L max(1, ceil(log_f C)); compiled, that
           is depth R + 1 (direct), or 2 + 2 D R within width 12 kappa_s N^(eps + delta) + 128 H (routed).
Check:     layers, heads, width and rows' dimension metered against formulas from the shape alone, the layers of two
           inputs in turns; every number of the last rows against low-rank attention from its definition, pair by pair.
           The power law of width is below N where sizes are planned, eps = 1/2, delta = 1/10 twice, kappa_s = 2, from
           2^16 on; up to 2^21, since the slots of a bundle have numbers beyond 2^52 later, and the translator refuses.
           At the sizes that are evaluated it is not.
Source:    Liu, Yu, Sanford, Andoni, Hsu 2025 (ANNA simulates low-rank attention); the constants are ours.)";
  }
  std::vector<Constant> constants() const override {
    return {{"r', m, H", "4, 4, 1", "rank, values' dimension, heads"},
            {"eps, delta", "1/4, 1/4; 1/5 more by the routing", "s = 8 ceil(N^(eps + delta))"},
            {"width", "12 * 8 N^(eps + delta) + 128 H", "power law of the routed construction"}};
  }
  std::vector<Check> checks(Context& context) const override {
    std::vector<Check> all;
    std::vector<Job> wanted = jobs(context.sizes);
    std::erase_if(wanted, [&](const Job& job) { return !context.wants(quantity_start(job), job.n); });
    for (const auto& checks : run_jobs(wanted, context)) all.insert(all.end(), checks.begin(), checks.end());
    for (const std::uint64_t n : kPlannedSizes) {
      if (!context.wants("by plan: ", n)) continue;
      for (Check& check : plan_checks(n, 0, 0, context)) all.push_back(std::move(check));
    }
    return all;
  }
  std::vector<Metric> metrics(const Context&) const override {
    std::vector<Metric> all;
    for (const bool half : {false, true}) {
      std::uint64_t from = 0;  // the least power of two from which on the law is below N, up to 2^24
      for (std::uint64_t n = 1 << 24; n >= 1 << 10; n /= 2) {
        const Job job = half ? planned(n) : Job{.n = n, .layers = 1};
        if (power_law(job, digits_of(job, expectation_of(job))) >= static_cast<double>(n)) break;
        from = n;
      }
      const std::string which = half ? "power law of width, as planned" : "power law of width, as evaluated";
      all.push_back(from > 0 ? Metric{which + ": below N from N on", from, static_cast<double>(from)}
                             : Metric{which + ": not below N up to N", 1 << 24, 0x1p24});
    }
    return all;
  }
  std::vector<Control> controls(Context& context) const override {
    const Job sound{.n = 1024, .layers = 1, .routed = true};
    std::vector<Job> jobs(6, sound);
    jobs[1].mutant.extra_layers = 1;
    jobs[2].mutant.padding.heads = 1;
    jobs[3].mutant.padding.heads = 1;
    jobs[4].mutant.output_altered = true;
    jobs[5].mutant.padding.row_dimension = 1;
    const std::pair<const char*, const char*> defects[] = {
        {"one layer more", "layers of the ANNA-transformer"},
        {"one head more than stated", "heads H"},
        {"one head more (width)", "width, exact formula"},
        {"one number altered", "numbers unlike the definition's"},
        {"rows one number wider than stated", "row dimension d"}};
    auto checks = run_jobs(jobs, context);
    std::erase_if(checks[0],
                  [](const Check& check) { return check.configuration.below_range; });  // no evidence
    std::vector<Control> all;
    for (std::size_t i = 0; i < std::size(defects); ++i) {
      all.push_back(judge_control(kName, defects[i].first, quantity_start(sound) + defects[i].second,
                                  checks[i + 1], checks[0]));
    }
    const auto by_plan = plan_checks(kPlannedSizes[0], 0, 0, context);
    for (std::size_t i = 0; i < by_plan.size(); ++i) {
      all.push_back(judge_control(kName, "a layer and a million heads more", by_plan[i].quantity,
                                  plan_checks(kPlannedSizes[0], 1000000, 1, context), by_plan));
    }
    return all;
  }

 private:
  static std::vector<Job> jobs(Sizes sizes) {
    std::vector<Job> all;
    std::vector<std::uint64_t> tokens{1024, 1500, 2048};
    if (sizes == Sizes::kFull) tokens.insert(tokens.end(), {4096, 8192});
    for (const std::uint64_t n : tokens) {
      all.push_back({n, 1, false});
      all.push_back({n, 1, true, n == 1024});
      all.push_back({n, 2, true});
    }
    return all;
  }
};

}  // namespace

std::unique_ptr<const Statement> make_low_rank_by_anna() {
  return std::make_unique<LowRankByAnna>();
}

}  // namespace roundtrip::proofs_check
