// Statement: the hash functions that the engines really use agree as often as their family's theory says, two
// functions of a table and two tables independently, and codes are equal only if all functions agree. The
// probabilities are the verifier's own: closed forms, or draws of ideal functions that share no code with them.
#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <numbers>

#include "roundtrip/anna/dense/codes.h"
#include "roundtrip/anna/dense/matrices.h"
#include "roundtrip/anna/lsh/kernels/kernels.h"
#include "roundtrip/base/fault.h"
#include "roundtrip/base/random.h"
#include "roundtrip/proofs_check/anna_formulas.h"
#include "roundtrip/proofs_check/cases.h"
#include "roundtrip/proofs_check/spread.h"
#include "roundtrip/proofs_check/statements/statements.h"
#include "roundtrip/proofs_check/statistics.h"

namespace roundtrip::proofs_check {
namespace {

using anna::FamilyKind;

constexpr const char* kName = "hash_functions";
constexpr FamilyKind kFamilies[] = {FamilyKind::kHyperplane, FamilyKind::kPStable, FamilyKind::kCrossPolytope,
                                    FamilyKind::kCrossPolytopeHadamard, FamilyKind::kBitSampling};
constexpr std::uint32_t kDimensions[] = {8, 16, 64, 100, 128};
constexpr double kNorm = 2000;           // of the integer vectors, below what every family takes
constexpr double kWidth = 500;           // w of the p-stable family
constexpr double kHadamardSlack = 0.06;  // pseudo-random rotations are near, not equal to, Gaussian ones
constexpr double kWidest = 0.3;          // of an interval that proves something, the slack apart
constexpr std::size_t kDistances = 3;    // r, between, c r
constexpr const char* kEnds[kDistances] = {"at r", "between", "at c r"};

/// In the unit sphere's measure, in w, or in coordinates that differ.
std::array<double, kDistances> distances(FamilyKind family, std::uint32_t dimension) {
  const double root = std::numbers::sqrt2;
  if (family == FamilyKind::kPStable) return {0.25, 1, 4};
  if (family == FamilyKind::kBitSampling) return {dimension / 8.0, dimension / 4.0, dimension / 2.0};
  return {root / 4, root / 2, root};
}

double normal(RandomStream& random) {
  const double u = (static_cast<double>(random() >> 11) + 0.5) * 0x1p-53;
  const double v = static_cast<double>(random() >> 11) * 0x1p-53;
  return std::sqrt(-2 * std::log(u)) * std::cos(2 * std::numbers::pi * v);
}

/// Two vectors whose inner product, after a Gaussian matrix, has its largest coordinate in the same place.
bool ideal_cross_polytope_agrees(std::uint32_t dimension, double distance, std::uint64_t seed) {
  RandomStream random(seed, Domain::kTest);
  const double cosine = 1 - distance * distance / 2;
  const double sine = std::sqrt(1 - cosine * cosine);
  double best[2] = {0, 0};
  int value[2] = {0, 0};
  for (int i = 0; i < static_cast<int>(dimension); ++i) {
    const double g = normal(random);
    const double coordinates[2] = {g, cosine * g + sine * normal(random)};
    for (int side = 0; side < 2; ++side) {
      if (std::fabs(coordinates[side]) <= best[side]) continue;
      best[side] = std::fabs(coordinates[side]);
      value[side] = coordinates[side] > 0 ? i + 1 : -i - 1;
    }
  }
  return value[0] == value[1];
}

/// Collective. What the theory says: closed forms (Charikar 2002; Datar et al. 2004; Indyk, Motwani 1998), or
/// the share of 8000 ideal functions, whose own error a tenth of the checks' variance is.
double theory(FamilyKind family, std::uint32_t dimension, double distance, Context& context) {
  if (family == FamilyKind::kHyperplane) return hyperplane_collision(distance);
  if (family == FamilyKind::kBitSampling) return 1 - distance / dimension;
  if (family == FamilyKind::kPStable) {
    const double t = 1 / distance;
    return std::erf(t / std::numbers::sqrt2) -
           std::sqrt(2 / std::numbers::pi) / t * (1 - std::exp(-t * t / 2));
  }
  const std::uint32_t rotated =
      family == FamilyKind::kCrossPolytopeHadamard ? std::bit_ceil(dimension) : dimension;
  constexpr std::uint64_t kIdeal = 8000;
  const std::uint64_t events = spread_count(context.transport, kIdeal, [&](std::uint64_t i) {
    return ideal_cross_polytope_agrees(rotated, distance, draw(context.seed, Domain::kTest, 61 + rotated, i));
  });
  return static_cast<double>(events) / static_cast<double>(kIdeal);
}

/// A random vector as query, and keys at the distances of it.
anna::DenseHead pairs(FamilyKind family, std::uint32_t dimension, std::uint64_t seed) {
  RandomStream random(seed, Domain::kInstance, dimension);
  const auto rows = [&](std::uint64_t count) {
    return anna::FixedRows{count, dimension, 1, 0, std::vector<std::int16_t>(count * dimension)};
  };
  anna::DenseHead head{rows(1), rows(kDistances), rows(kDistances)};
  std::vector<double> x(dimension);
  for (double& coordinate : x) coordinate = normal(random);
  const auto unit = [](std::vector<double>& vector) {
    double square = 0;
    for (const double coordinate : vector) square += coordinate * coordinate;
    for (double& coordinate : vector) coordinate /= std::sqrt(square);
  };
  unit(x);
  const auto all = distances(family, dimension);
  for (std::size_t k = 0; k < kDistances; ++k) {
    std::vector<double> y = x;
    if (family == FamilyKind::kBitSampling) {
      // The first coordinates of a random order change their sign.
      std::vector<std::uint32_t> order(dimension);
      for (std::uint32_t i = 0; i < dimension; ++i) order[i] = i;
      for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random.below(i)]);
      for (std::uint32_t i = 0; i < static_cast<std::uint32_t>(all[k]); ++i) y[order[i]] = -y[order[i]];
    } else {
      std::vector<double> h(dimension);
      double along = 0;
      for (std::uint32_t i = 0; i < dimension; ++i) h[i] = normal(random), along += h[i] * x[i];
      for (std::uint32_t i = 0; i < dimension; ++i) h[i] -= along * x[i];
      unit(h);
      const double cosine = family == FamilyKind::kPStable ? 1 : 1 - all[k] * all[k] / 2;
      const double sine =
          family == FamilyKind::kPStable ? all[k] * kWidth / kNorm : std::sqrt(1 - cosine * cosine);
      for (std::uint32_t i = 0; i < dimension; ++i) y[i] = cosine * y[i] + sine * h[i];
    }
    for (std::uint32_t i = 0; i < dimension; ++i)
      head.keys.data[k * dimension + i] = static_cast<std::int16_t>(std::lround(kNorm * y[i]));
  }
  for (std::uint32_t i = 0; i < dimension; ++i)
    head.queries.data[i] = static_cast<std::int16_t>(std::lround(kNorm * x[i]));
  return head;
}

/// What a control does to the functions' values.
struct Mutant {
  bool one_bit = false;           ///< the lowest bit of a value is all there is
  bool functions_paired = false;  ///< both functions of a table are one
  bool tables_paired = false;     ///< both tables are one
};

constexpr std::size_t kEvents = kDistances + 2;  // at each distance; two functions, two tables between

/// Two tables of two functions, as the dense engine codes them: which of the events happen.
std::array<bool, kEvents> events(FamilyKind family, std::uint32_t dimension, const Mutant& mutant,
                                 std::uint64_t seed) {
  constexpr std::uint32_t kFunctions = 2;
  const anna::DenseHead head = pairs(family, dimension, seed);
  const double width = family == FamilyKind::kPStable ? kWidth : 0;
  anna::DenseCodes codes(
      {.tables = 2, .functions = kFunctions, .seed = seed, .family = family, .width = width}, head.queries,
      head.keys);
  bool agree[2][kFunctions][kDistances];
  for (std::uint32_t table = 0; table < 2; ++table) {
    codes.use_table(mutant.tables_paired ? 0 : table);
    const std::size_t words = codes.words();
    std::vector<std::uint64_t> query(words), keys(kDistances * words);
    codes.of_rows(true, 0, 1, anna::best_kernels(), query.data());
    codes.of_rows(false, 0, kDistances, anna::best_kernels(), keys.data());
    // One word holds both functions, or each has its own.
    const std::uint32_t bits = words == 1 ? codes.bits() / kFunctions : 64;
    const auto value = [&](const std::uint64_t* code, std::uint32_t f) {
      const std::uint64_t word = words == 1 ? code[0] >> (f * bits) : code[f];
      return mutant.one_bit ? word & 1 : bits == 64 ? word : word & ((std::uint64_t{1} << bits) - 1);
    };
    for (std::uint32_t f = 0; f < kFunctions; ++f) {
      const std::uint32_t used = mutant.functions_paired ? 0 : f;
      for (std::size_t k = 0; k < kDistances; ++k)
        agree[table][f][k] = value(query.data(), used) == value(keys.data() + k * words, used);
    }
  }
  constexpr std::size_t kBetween = 1;
  return {agree[0][0][0], agree[0][0][1], agree[0][0][2], agree[0][0][kBetween] && agree[0][1][kBetween],
          agree[0][1][kBetween] && agree[1][1][kBetween]};
}

std::vector<Check> family_checks(FamilyKind family, std::uint32_t dimension, const Mutant& mutant,
                                 Context& context) {
  context.progress(anna::to_string(family) + ", d = " + std::to_string(dimension));
  const std::uint64_t trials = context.sizes == Sizes::kSmall ? 600 : 6000;
  const auto ranks = static_cast<std::size_t>(context.transport.ranks());
  const auto parts = spread(context.transport, ranks, [&](std::size_t part) {
    std::vector<std::uint64_t> counts(kEvents);
    for (std::uint64_t i = part; i < trials; i += ranks) {
      const auto happened = events(family, dimension, mutant,
                                   draw(context.seed, Domain::kTest, 60,
                                        static_cast<std::uint64_t>(family) << 32 | (dimension * trials + i)));
      for (std::size_t event = 0; event < kEvents; ++event) counts[event] += happened[event];
    }
    return counts;
  });
  const auto all = distances(family, dimension);
  std::array<double, kEvents> expected{};
  for (std::size_t k = 0; k < kDistances; ++k) expected[k] = theory(family, dimension, all[k], context);
  expected[kDistances] = expected[kDistances + 1] = expected[1] * expected[1];
  const double slack = family == FamilyKind::kCrossPolytopeHadamard ? kHadamardSlack : 0;
  const bool blind = seeded("blind-functions");
  std::vector<Check> checks;
  for (std::size_t event = 0; event < kEvents; ++event) {
    std::uint64_t count = 0;
    for (const auto& part : parts) count += part[event];
    if (blind) count = static_cast<std::uint64_t>(std::lround(expected[event] * static_cast<double>(trials)));
    const std::string what = event < kDistances    ? std::string("P[a function agrees] ") + kEnds[event]
                             : event == kDistances ? "P[two functions of a table agree] between"
                                                   : "P[a function in each of two tables agrees] between";
    // A quarter of the alarm: the ideal functions' share errs too.
    Interval interval = clopper_pearson(count, trials, context.alarm / 4);
    interval = {interval.low - slack, interval.high + slack};
    checks.push_back(compare_interval({.theorem = kName, .n = dimension, .seed = context.seed},
                                      anna::to_string(family) + ": " + what,
                                      static_cast<double>(count) / static_cast<double>(trials), interval,
                                      Relation::kEqual, expected[event], kWidest + 2 * slack));
  }
  return checks;
}

/// Codes of z hyperplanes on vectors of 16 numbers whose angle is 2 percent of pi: through the dense engine, one
/// query and one key collide. `claimed`: the z whose probability is stated.
Check code_check(std::uint32_t functions, std::uint32_t claimed, Context& context) {
  context.progress("codes of " + std::to_string(claimed) + " functions");
  constexpr std::uint32_t kDimension = 16;
  constexpr double kAngle = 0.02 * std::numbers::pi;
  const std::uint64_t trials = context.sizes == Sizes::kSmall ? 2000 : 20000;
  const double equal = std::pow(1 - kAngle / std::numbers::pi, claimed);
  const std::uint64_t count = spread_count(context.transport, trials, [&](std::uint64_t trial) {
    const std::uint64_t seed = draw(context.seed, Domain::kTest, 59, claimed * trials + trial);
    anna::DenseHead head = pairs(FamilyKind::kHyperplane, kDimension, seed);
    // The third key is at a right angle to the query: a combination of both has the angle.
    anna::FixedRows key{1, kDimension, 1, 0, {}};
    for (std::uint32_t i = 0; i < kDimension; ++i) {
      key.data.push_back(static_cast<std::int16_t>(
          std::lround(std::cos(kAngle) * head.queries.data[i] + std::sin(kAngle) * head.keys.row(2)[i])));
    }
    head.keys = key;
    head.values = {1, 1, 1, 0, {1}};
    const auto engine =
        anna::make_dense_anna({.tables = 1, .functions = functions, .seed = seed}, {.threads = 1});
    const bool met = engine->attend(head).facts.collisions > 0;
    return seeded("blind-codes") ? static_cast<double>(trial) < equal * static_cast<double>(trials) : met;
  });
  return compare_interval({.theorem = kName, .n = kDimension, .seed = context.seed},
                          "P[codes are equal], z = " + std::to_string(claimed),
                          static_cast<double>(count) / static_cast<double>(trials),
                          clopper_pearson(count, trials, context.alarm), Relation::kEqual, equal, 0.15);
}

class HashFunctions final : public Statement {
 public:
  std::string name() const override { return kName; }
  std::string title() const override { return "hash functions agree as often as their family's theory says"; }
  std::string card() const override {
    return R"(Problem:   whether the functions that the engines evaluate are the family's, and independent.
Guarantee: one function agrees on two vectors with the family's probability, at r, between and at c r; two functions of
           a table, and two tables, agree independently; two codes of z functions are equal if all z agree.
Check:     two tables of two functions drawn anew for every pair of vectors, coded as the dense engine codes them, for
           every family in dimensions 8, 16, 64, 100 and 128; codes of 48 and 80 bits through the engine.
           The probabilities are closed forms, or shares of ideal cross-polytope functions drawn by the verifier.
           Hadamard rotations imitate Gaussian ones: their shares may differ by 0.06.
Source:    Charikar 2002; Datar, Immorlica, Indyk, Mirrokni 2004; Indyk, Motwani 1998; Andoni, Indyk, Laarhoven,
           Razenshteyn, Schmidt 2015.)";
  }
  std::vector<Constant> constants() const override {
    return {{"r, between, c r", "sqrt 2 / 4, sqrt 2 / 2, sqrt 2",
             "unit sphere; p-stable w/4, w, 4w; bits d/8, d/4, d/2"},
            {"slack", "0.06", "of Hadamard rotations"}};
  }
  std::uint32_t statistical_checks(Sizes) const override {
    return static_cast<std::uint32_t>(std::size(kFamilies) * std::size(kDimensions) * kEvents) + 2 +
           kControls;
  }
  std::vector<Check> checks(Context& context) const override {
    std::vector<Check> all;
    for (const std::uint32_t dimension : kDimensions) {
      for (const FamilyKind family : kFamilies) {
        if (!context.wants(anna::to_string(family) + ": ", dimension)) continue;
        for (Check& check : family_checks(family, dimension, {}, context)) all.push_back(std::move(check));
      }
    }
    for (const std::uint32_t functions : {48, 80}) {
      if (context.wants("P[codes are equal]", 16)) all.push_back(code_check(functions, functions, context));
    }
    return all;
  }
  std::vector<Control> controls(Context& context) const override {
    constexpr std::uint32_t kDimension = 16;
    const auto family = FamilyKind::kCrossPolytope;
    const auto sound = family_checks(family, kDimension, {}, context);
    std::vector<Control> all;
    const auto one_bit = family_checks(family, kDimension, {.one_bit = true}, context);
    for (std::size_t event = 0; event < kDistances; ++event)
      all.push_back(judge_control(kName, "a value cut to one bit", sound[event].quantity, one_bit, sound));
    all.push_back(judge_control(kName, "functions drawn in pairs", sound[kDistances].quantity,
                                family_checks(family, kDimension, {.functions_paired = true}, context),
                                sound));
    all.push_back(judge_control(kName, "tables drawn in pairs", sound[kDistances + 1].quantity,
                                family_checks(family, kDimension, {.tables_paired = true}, context), sound));
    for (const std::uint32_t functions : {48, 80}) {
      const Check whole = code_check(functions, functions, context);
      all.push_back(judge_control(kName, "codes of 32 bits", whole.quantity,
                                  {code_check(32, functions, context)}, {whole}));
    }
    return all;
  }

 private:
  static constexpr std::uint32_t kControls = 4 * kEvents + 4;
};

}  // namespace

std::unique_ptr<const Statement> make_hash_functions() {
  return std::make_unique<HashFunctions>();
}

}  // namespace roundtrip::proofs_check
