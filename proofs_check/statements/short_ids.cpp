// Statement: ids need not be random vectors of 128 signs. ceil(log2 U) binary digits are as good for exact match and for one
// verified table of ANNA, in every construction; what that takes off the width is counted up to N = 2^24.
#include <algorithm>
#include <set>

#include "roundtrip/anna/attention/identity.h"
#include "roundtrip/mpc/registry.h"
#include "roundtrip/proofs_check/cases.h"
#include "roundtrip/proofs_check/evaluation.h"
#include "roundtrip/proofs_check/formulas.h"
#include "roundtrip/proofs_check/reference_attention.h"
#include "roundtrip/proofs_check/spread.h"
#include "roundtrip/proofs_check/statements/statements.h"
#include "roundtrip/simulate/compile/compile.h"
#include "roundtrip/simulate/compile/routed.h"

namespace roundtrip::proofs_check {
namespace {

constexpr const char* kName = "short_ids";
constexpr const char* kCoordinates = "ids: coordinates";
constexpr const char* kEqualIds = "ids: pairs of equal vectors";
constexpr const char* kPlanned = "by plan: sum, routed: width";
constexpr const char* kBelow = "by plan: k_hop, routed, D = 1: width";
constexpr double kEta = 0.01;

/// d of U ids.
std::uint64_t stated_dimension(std::uint64_t ids) {
  return std::max(1u, log_ceil(2, ids));
}

std::vector<Check> check_codebook(std::uint64_t ids, std::uint64_t told, const Context& context) {
  const anna::BinaryCodebook codebook(ids);
  const Configuration configuration{.theorem = kName, .n = told, .seed = context.seed};
  std::set<std::vector<std::int32_t>> seen;
  std::vector<std::int32_t> vector(codebook.dimension());
  std::uint64_t equal = 0;
  for (anna::Symbol symbol = 0; symbol < told; ++symbol) {
    // More are told apart than there are, a defect.
    codebook.vector(symbol, vector);
    equal += !seen.insert(vector).second;
  }
  return {compare(configuration, kCoordinates, codebook.dimension(), Relation::kEqual,
                  static_cast<double>(stated_dimension(told))),
          compare(configuration, kEqualIds, static_cast<double>(equal), Relation::kEqual, 0)};
}

struct Job {
  Case c;
  std::string construction;
  NetworkMutant mutant{};
  bool few_functions = false;  ///< 4 of the table, unchecked
};

std::string quantity_start(const Job& job) {
  return job.c.protocol + ", " + job.construction + ", by ANNA: ";
}

/// Outputs by ANNA from its definition, with the table that was drawn for the ids.
Check check_job(const Job& job, Context& context) {
  const auto facts = spread(context.transport, 1, [&](std::size_t) {
    context.progress(quantity_start(job) + "N = " + std::to_string(job.c.n));
    const simulate::Compiled compiled = simulate::compile(
        std::shared_ptr<const mpc::Protocol>(
            mpc::find_protocol(job.c.protocol).make(parameters_of(job.c, context.seed))),
        {.construction = job.construction, .ids = simulate::Ids::kShort, .seed = context.seed});
    const anna::Mechanism drawn =
        simulate::mechanism_for(compiled.transformer.layers.front()->codebook(), "anna", context.seed);
    anna::AnnaParameters parameters = drawn.get_if<anna::Anna>()->parameters;
    if (job.few_functions) parameters.functions = 4;
    const auto attention = make_reference_anna(parameters);
    const Instance instance = instance_of(job.c, *compiled.protocol, Family::kRandom, context.seed);
    return evaluate_mutant(compiled.transformer, job.mutant, *attention, {&instance, 1});
  })[0];
  return compare(configuration_of(kName, job.c, expectation_of(job.c), context.seed),
                 quantity_start(job) + "outputs unlike the oracle's",
                 static_cast<double>(facts.wrong + facts.flagged), Relation::kEqual, 0);
}

std::uint64_t stated_width(const Expectation& expectation) {
  const Routing digits = routing(expectation.n, expectation.machines, expectation.memory_words,
                                 expectation.rounds, Rational(1, 5), kEta);
  std::uint64_t nodes = 1;
  for (const std::uint64_t radix : digits.radices) nodes *= radix;
  const std::uint64_t ids = stated_dimension(nodes + 2);
  std::uint64_t width = std::max(ids, 2 * expectation.block_words + 1);
  for (std::size_t t = 0; t < digits.radices.size(); ++t)
    width = std::max(width, digits.radices[t] * std::max(2 * digits.capacities[t] + 1, ids));
  return width;
}

std::uint64_t planned_width(const Case& c, const simulate::CompileOptions& options, std::uint64_t seed) {
  const auto protocol = mpc::find_protocol(c.protocol).make(parameters_of(c, seed));
  return simulate::find_construction(options.construction).make(protocol->shape(), options)->sizes().width;
}

Check check_plan(const Case& c, simulate::Ids ids, const Context& context) {
  const Expectation expectation = expectation_of(c);
  Configuration configuration = configuration_of(kName, c, expectation, context.seed);
  configuration.delta = Rational(1, 5);
  const std::uint64_t width = planned_width(
      c, {.construction = "routed", .delta = configuration.delta, .ids = ids, .seed = context.seed},
      context.seed);
  return compare(configuration, kPlanned, static_cast<double>(width), Relation::kEqual,
                 static_cast<double>(stated_width(expectation)));
}

/// Whether one token could hold the input.
Check check_below(std::uint64_t n, simulate::Ids ids, const Context& context) {
  const Case c{"k_hop", n, Rational(1, 2), 8, {{"k", "2"}}};
  const simulate::RoutedOptions one_digit{.digits = 1, .intermediates = simulate::Intermediates::kRandom};
  const std::uint64_t width = planned_width(
      c, {.construction = "routed", .specific = one_digit, .ids = ids, .seed = context.seed}, context.seed);
  return compare(configuration_of(kName, c, expectation_of(c), context.seed), kBelow,
                 static_cast<double>(width), Relation::kAtMost, static_cast<double>(n - 1));
}

class ShortIds : public Statement {
 public:
  std::string name() const override { return kName; }
  std::string title() const override { return "ids of ceil(log2 U) coordinates serve like those of 128"; }
  std::string card() const override {
    return R"(Problem:   U ids as queries and keys, in as few coordinates as can be.
Guarantee: the binary digits of 0 .. U - 1, as signs, in ceil(log2 U) coordinates: no two are equal, so exact match tells
           them apart with certainty, and so does one table of ANNA whose draw was verified. Fewer signs do not do.
           Heads are max(2 C + 1, ceil(log2 U)) wide where they were max(2 C + 1, 128).
Check:     coordinates, and all vectors compared; outputs by ANNA from its definition in all constructions; widths by plan up
           to N = 2^24 against formulas computed anew. k_hop with one digit at eps = 1/2, kappa_s = 8: width below N from
           N = 3026 on. At N = 1024 it is 1696: a bundle's mean load is 8 words, and 26 are what eta = 1/100 asks for.
Source:    ours. Liu, Yu, Sanford, Andoni, Hsu 2025 have random vectors of O(log N) coordinates.)";
  }
  std::vector<Constant> constants() const override {
    return {{"eta", "1/100", "of the intermediates"}, {"delta", "1/5", "of the plans of sum"}};
  }
  std::vector<Check> checks(Context& context) const override {
    std::vector<Check> all;
    for (const std::uint64_t ids : {1, 2, 1000, 4096, 4097}) {
      if (!context.wants("ids: ", ids)) continue;
      for (Check& check : check_codebook(ids, ids, context)) all.push_back(std::move(check));
    }
    for (const Job& job : jobs())
      if (context.wants(quantity_start(job), job.c.n)) all.push_back(check_job(job, context));
    for (const std::uint32_t log_n : {12, 16, 20, 24}) {
      const std::uint64_t n = std::uint64_t{1} << log_n;
      if (!context.wants(kPlanned, n)) continue;
      for (const Rational& epsilon : {Rational(1, 3), Rational(1, 2), Rational(2, 3)})
        all.push_back(check_plan({"sum", n, epsilon, 1}, simulate::Ids::kShort, context));
    }
    for (const std::uint64_t n : {3026, 4096, 1 << 16, 1 << 20})
      if (context.wants(kBelow, n)) all.push_back(check_below(n, simulate::Ids::kShort, context));
    return all;
  }
  std::vector<Control> controls(Context& context) const override {
    std::vector<Control> all;
    const auto judge = [&](const char* defect, const Check& defective, const Check& sound) {
      all.push_back(judge_control(kName, defect, sound.quantity, {defective}, {sound}));
    };
    const auto ids = check_codebook(4096, 4096, context), more = check_codebook(4096, 4097, context);
    judge("an id more than its digits can tell", more[0], ids[0]);
    judge("an id more, compared", more[1], ids[1]);
    for (const Job& job : jobs()) {
      Job altered = job;
      altered.mutant.output_altered = true;
      judge("one output word altered", check_job(altered, context), check_job(job, context));
    }
    Job few = jobs().front();
    few.few_functions = true;
    judge("a table of 4 functions, unchecked", check_job(few, context), check_job(jobs().front(), context));
    const Case c{"sum", 1 << 12, Rational(1, 3), 1};
    judge("ids of 128 signs", check_plan(c, simulate::Ids::kLong, context),
          check_plan(c, simulate::Ids::kShort, context));
    judge("ids of 128 signs, at N = 4096", check_below(4096, simulate::Ids::kLong, context),
          check_below(4096, simulate::Ids::kShort, context));
    return all;
  }

 private:
  static std::vector<Job> jobs() {
    return {{{"sum", 1024, Rational(1, 2), 1}, "direct"},
            {{"sum", 1024, Rational(1, 2), 1}, "scattered"},
            {{"k_hop", 512, Rational(1, 2), 8, {{"k", "4"}}}, "routed"}};
  }
};

}  // namespace

std::unique_ptr<const Statement> make_short_ids() {
  return std::make_unique<ShortIds>();
}

}  // namespace roundtrip::proofs_check
