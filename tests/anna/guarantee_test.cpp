// The definition of approximate nearest neighbor attention, checked on instances with planted near, middle,
// just-beyond and far pairs: support within c r, the lower bound on near weights, convexity. Parameters come
// from choose_tables() alone.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "roundtrip/anna/dense/codes.h"
#include "roundtrip/anna/dense/matrices.h"
#include "roundtrip/anna/lsh/gaussian.h"
#include "roundtrip/anna/lsh/kernels/kernels.h"
#include "roundtrip/anna/lsh/probability.h"
#include "roundtrip/base/random.h"

namespace roundtrip::anna {
namespace {

constexpr std::uint32_t kDimension = 64;

std::vector<double> direction(RandomStream& stream) {
  std::vector<double> x(kDimension);
  double square = 0;
  for (double& v : x) v = gaussian(stream()), square += v * v;
  for (double& v : x) v /= std::sqrt(square);
  return x;
}

std::vector<double> at_distance(const std::vector<double>& x, double tau, RandomStream& stream) {
  std::vector<double> y = direction(stream);
  double along = 0, square = 0;
  for (std::uint32_t i = 0; i < kDimension; ++i) along += x[i] * y[i];
  for (std::uint32_t i = 0; i < kDimension; ++i) y[i] -= along * x[i], square += y[i] * y[i];
  const double cosine = 1 - tau * tau / 2, sine = std::sqrt(1 - cosine * cosine);
  for (std::uint32_t i = 0; i < kDimension; ++i) y[i] = cosine * x[i] + sine * y[i] / std::sqrt(square);
  return y;
}

// Every query has keys at the stated distances (cyclically), all others' keys lie about sqrt 2 away, on both
// sides of it. Tokens of a group have one query, so rows of distances are kept once a group.
struct PlantedHead {
  DenseHead head;
  std::uint32_t group = 1;       // tokens with one query
  std::vector<float> distances;  // [groups, n] of the integers, in units of the sphere
};

PlantedHead plant(std::uint32_t n, const std::vector<double>& taus, std::uint64_t seed) {
  RandomStream stream(seed, Domain::kInstance);
  RealRows queries{n, kDimension, {}}, keys{n, kDimension, {}};
  std::vector<double> centre;
  for (std::uint32_t i = 0; i < n; ++i) {
    if (i % taus.size() == 0) centre = direction(stream);
    const std::vector<double> key = at_distance(centre, taus[i % taus.size()], stream);
    for (const double v : centre) queries.data.push_back(static_cast<float>(v));
    for (const double v : key) keys.data.push_back(static_cast<float>(v));
  }
  PlantedHead planted;
  planted.head = quantise(queries, keys, {n, 1, std::vector<float>(n, 0)}, true);
  planted.group = static_cast<std::uint32_t>(taus.size());
  for (std::uint32_t i = 0; i < n; i += planted.group) {
    for (std::uint32_t j = 0; j < n; ++j) {
      const std::int16_t *q = planted.head.queries.row(i).data(), *k = planted.head.keys.row(j).data();
      std::int32_t square = 0;  // norms are below 2800
      for (std::uint32_t x = 0; x < kDimension; ++x) square += (q[x] - k[x]) * (q[x] - k[x]);
      planted.distances.push_back(
          static_cast<float>(std::sqrt(static_cast<double>(square)) * planted.head.keys.unit));
    }
  }
  return planted;
}

// Values are one-hot: an output row IS the row of weights.
std::vector<double> weights_by_one_hot_values(PlantedHead& planted, const AnnaParameters& anna) {
  const auto n = static_cast<std::uint32_t>(planted.head.keys.rows);
  planted.head.values = {n, n, 1, 0, std::vector<std::int16_t>(std::size_t{n} * n, 0)};
  for (std::uint32_t j = 0; j < n; ++j) planted.head.values.data[std::size_t{j} * n + j] = 1;
  return make_dense_anna(anna)->attend(planted.head).rows;
}

// The same for many tokens, where one-hot values would be gigabytes moved: the pairs that share codes are
// counted here, and the engine is held to these weights exactly by its output on random values.
std::vector<double> weights_by_counting(PlantedHead& planted, const AnnaParameters& anna) {
  constexpr std::uint32_t kColumns = 8;
  const auto n = static_cast<std::uint32_t>(planted.head.keys.rows);
  std::vector<std::uint16_t> shared(std::size_t{n} * n, 0);  // c_ij <= 2^16 - 1 tables
  std::vector<std::pair<std::uint64_t, std::uint32_t>> by_code(n);
  std::vector<std::uint64_t> key_codes(n), query_codes(n);
  DenseCodes codes(anna, planted.head.queries, planted.head.keys);
  for (std::uint32_t table = 0; table < anna.tables; ++table) {
    if (table > 0) codes.use_table(table);
    codes.of_rows(false, 0, n, best_kernels(), key_codes.data());
    codes.of_rows(true, 0, n, best_kernels(), query_codes.data());
    for (std::uint32_t j = 0; j < n; ++j) by_code[j] = {key_codes[j], j};
    std::sort(by_code.begin(), by_code.end());
    for (std::uint32_t i = 0; i < n; ++i) {
      for (auto at = std::lower_bound(by_code.begin(), by_code.end(), std::pair{query_codes[i], 0u});
           at != by_code.end() && at->first == query_codes[i]; ++at) {
        ++shared[std::size_t{i} * n + at->second];
      }
    }
  }
  RandomStream stream(anna.seed, Domain::kTest);
  planted.head.values = {n, kColumns, 1, 0, {}};
  for (std::uint32_t i = 0; i < n * kColumns; ++i)
    planted.head.values.data.push_back(static_cast<std::int16_t>(stream.below(65536) - 32768));
  const DenseResult result = make_dense_anna(anna)->attend(planted.head);
  std::vector<double> weights(std::size_t{n} * n, 0);
  for (std::uint32_t i = 0; i < n; ++i) {
    std::int64_t total = 0, sums[kColumns] = {};
    for (std::uint32_t j = 0; j < n; ++j) {
      const std::int64_t count = shared[std::size_t{i} * n + j];
      if (count == 0) continue;
      total += count;
      for (std::uint32_t c = 0; c < kColumns; ++c) sums[c] += count * planted.head.values.row(j)[c];
    }
    for (std::uint32_t c = 0; c < kColumns; ++c) {
      const double mean = total == 0 ? 0 : static_cast<double>(sums[c]) / static_cast<double>(total);
      EXPECT_EQ(result.rows[i * kColumns + c], mean) << "query " << i << " seed " << anna.seed;
    }
    for (std::uint32_t j = 0; j < n && total > 0; ++j)
      weights[std::size_t{i} * n + j] = shared[std::size_t{i} * n + j] / static_cast<double>(total);
  }
  return weights;
}

// Which clause of the definition a table of weights breaks; nullptr if none.
const char* broken(const PlantedHead& planted, const std::vector<double>& weights, double r, double cr,
                   std::uint64_t ell) {
  const std::size_t n = planted.head.keys.rows;
  for (std::size_t i = 0; i < n; ++i) {
    const double* w = &weights[i * n];
    const float* distance = &planted.distances[i / planted.group * n];
    std::size_t near = 0, within = 0;
    double sum = 0;
    for (std::size_t j = 0; j < n; ++j) {
      if (!(w[j] >= 0)) return "a negative weight";
      sum += w[j];
      near += distance[j] <= r, within += distance[j] <= cr;
    }
    if (sum != 0 && std::fabs(sum - 1) > 1e-12) return "weights that do not sum to 1";
    if (near == 0) continue;
    if (sum == 0) return "no weight although a key is near";
    for (std::size_t j = 0; j < n; ++j) {
      if (w[j] > 0 && distance[j] > cr) return "weight beyond c r";
      const double least = 1 / ((static_cast<double>(within) - 1) * static_cast<double>(ell) + 1);
      if (distance[j] <= r && w[j] < least * (1 - 1e-12)) return "a near key below its least weight";
    }
  }
  return nullptr;
}

struct Setting {
  std::uint32_t n;
  double c, eta;
  std::uint32_t draws;
};

// Fresh seeds for instance and functions in each draw. 95% upper Clopper-Pearson end of the failure
// probability <= eta: with failures at a rate below eta / 10 (the union bounds are loose) false alarms are
// below 1e-3; the seeds are fixed.
void check_guarantee(const Setting& setting) {
  const double cr = std::sqrt(2.0), r = cr / setting.c;
  const FamilyParameters family{.kind = FamilyKind::kCrossPolytope, .dimension = kDimension};
  const TableChoice choice = choose_tables(setting.n, setting.eta, collision_probability(family, r).low,
                                           collision_probability(family, cr).high);
  std::uint32_t failures = 0;
  for (std::uint32_t draw = 0; draw < setting.draws; ++draw) {
    // Near at almost exactly r, middle, just within and just beyond c r, far.
    PlantedHead planted =
        plant(setting.n, {0.995 * r, 0.7, 1.2, 0.999 * cr, 1.005 * cr, 1.6, 1.95, 0.5 * r}, 1000 + draw);
    const AnnaParameters anna{.tables = static_cast<std::uint32_t>(choice.tables),
                              .functions = choice.functions,
                              .seed = 1 + draw,
                              .family = FamilyKind::kCrossPolytope};
    const std::vector<double> weights =
        setting.n <= 1024 ? weights_by_one_hot_values(planted, anna) : weights_by_counting(planted, anna);
    const char* clause = broken(planted, weights, r, cr, choice.tables);
    failures += clause != nullptr;
    if (clause != nullptr) std::printf("draw %u: %s\n", draw, clause);
    if ((draw + 1) % 50 == 0) std::printf("%u draws\n", draw + 1), std::fflush(stdout);
  }
  std::printf("N %u c %g eta %g z %u ell %lu: %u of %u draws broke the definition\n", setting.n, setting.c,
              setting.eta, choice.functions, static_cast<unsigned long>(choice.tables), failures,
              setting.draws);
  EXPECT_LE(clopper_pearson(failures, setting.draws, 0.05).high, setting.eta);
}

TEST(Guarantee, HoldsAtEtaOneTenth) {
  check_guarantee({256, 4, 0.1, 60});
}
TEST(LongGuarantee, HoldsAtEtaOneHundredthSmall) {
  check_guarantee({256, 4, 0.01, 400});
}
TEST(LongGuarantee, HoldsAtEtaOneHundredthLarge) {
  check_guarantee({4096, 8, 0.01, 400});
}

// With too few tables near pairs are missed, and with too few functions far pairs collide, at the rates that
// the pairs' own collision probabilities give. The pairs of one draw share its functions, so the error is
// that of the draws' means: 40 draws, 5 standard errors.
TEST(Guarantee, FailsAtThePredictedRateWhenLowered) {
  constexpr double kNear = 0.35, kFar = 1.45;
  constexpr std::uint32_t kN = 256, kDraws = 40;
  const FamilyParameters family{.kind = FamilyKind::kCrossPolytope, .dimension = kDimension};
  struct Case {
    std::uint32_t functions, tables;
    bool far;
  };
  for (const Case& c : {Case{5, 12, false}, Case{1, 40, true}}) {
    const double p = std::pow(collision_probability(family, c.far ? kFar : kNear).estimate, c.functions);
    const double missed = std::pow(1 - p, c.tables), expected = c.far ? 1 - missed : missed;
    double sum = 0, square = 0;
    bool broke = false;
    for (std::uint32_t draw = 0; draw < kDraws; ++draw) {
      PlantedHead planted = plant(kN, {c.far ? kFar : kNear}, 50 + draw);
      const AnnaParameters anna{.tables = c.tables,
                                .functions = c.functions,
                                .seed = 900 + draw,
                                .family = FamilyKind::kCrossPolytope};
      const std::vector<double> weights = weights_by_one_hot_values(planted, anna);
      std::uint32_t events = 0;
      for (std::uint32_t i = 0; i < kN; ++i) events += (weights[std::size_t{i} * kN + i] > 0) == c.far;
      const double rate = events / static_cast<double>(kN);
      sum += rate, square += rate * rate;
      broke = broke || c.far || broken(planted, weights, kNear + 0.01, std::sqrt(2.0), c.tables) != nullptr;
    }
    const double mean = sum / kDraws, error = std::sqrt((square / kDraws - mean * mean) / (kDraws - 1));
    EXPECT_GT(expected, 0.1);
    EXPECT_LT(expected, 0.9);
    EXPECT_NEAR(mean, expected, 5 * error + 0.01) << "rounding moves distances by less than 1%";
    EXPECT_LT(error, 0.02) << "the comparison has teeth";
    EXPECT_TRUE(broke) << "and the definition's check sees it";
  }
}

TEST(Guarantee, BothWaysToWeightsAgree) {
  PlantedHead planted = plant(256, {0.35, 0.9, 1.3}, 77);
  const AnnaParameters anna{.tables = 30, .functions = 2, .seed = 5, .family = FamilyKind::kCrossPolytope};
  const std::vector<double> counted = weights_by_counting(planted, anna);
  EXPECT_EQ(weights_by_one_hot_values(planted, anna), counted);
}

// n - 1 copies of the query and one near key that collides in exactly one table: the bound is met with
// equality.
TEST(Guarantee, WeightBoundIsTight) {
  constexpr std::uint32_t kN = 20, kTables = 6;
  RandomStream stream(8, Domain::kInstance);
  const std::vector<double> query = direction(stream), near = at_distance(query, 0.35, stream);
  RealRows keys{kN, kDimension, {}};
  for (std::uint32_t j = 0; j < kN; ++j) {
    for (const double v : j == 0 ? near : query) keys.data.push_back(static_cast<float>(v));
  }
  RealRows one{1, kDimension, std::vector<float>(keys.data.end() - kDimension, keys.data.end())};
  DenseHead head = quantise(one, keys, {kN, 1, std::vector<float>(kN, 0)}, true);
  head.values = {kN, 1, 1, 0, std::vector<std::int16_t>(kN, 0)};
  head.values.data[0] = 1;
  bool met = false;
  for (std::uint64_t seed = 1; seed < 200 && !met; ++seed) {
    const DenseResult result =
        make_dense_anna(
            {.tables = kTables, .functions = 4, .seed = seed, .family = FamilyKind::kCrossPolytope})
            ->attend(head);
    if (result.facts.collisions != (kN - 1) * kTables + 1) continue;
    met = true;
    EXPECT_EQ(result.rows[0], 1.0 / ((kN - 1.0) * kTables + 1));
  }
  EXPECT_TRUE(met);
}

}  // namespace
}  // namespace roundtrip::anna
