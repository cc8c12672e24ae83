// Hash families: fast paths equal the definition on every instruction set, collision rates equal the
// formulas, and the choice of (z, ell).
#include "roundtrip/anna/lsh/family.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <cmath>
#include <limits>

#include "roundtrip/anna/lsh/gaussian.h"
#include "roundtrip/anna/lsh/kernels/kernels.h"
#include "roundtrip/anna/lsh/probability.h"
#include "roundtrip/base/error.h"
#include "roundtrip/base/random.h"

namespace roundtrip::anna {
namespace {

constexpr FamilyKind kAll[] = {FamilyKind::kHyperplane, FamilyKind::kPStable, FamilyKind::kCrossPolytope,
                               FamilyKind::kCrossPolytopeHadamard, FamilyKind::kBitSampling};

TEST(TableHash, BlockCodesEqualTheDefinition) {
  int compared = 0;
  EXPECT_TRUE(rc::check([&] {
    FamilyParameters p;
    p.kind = *rc::gen::elementOf(std::vector<FamilyKind>(std::begin(kAll), std::end(kAll)));
    p.dimension = *rc::gen::element(1u, 2u, 3u, 8u, 31u, 64u, 100u, 256u);
    p.functions = *rc::gen::element(1u, 2u, 3u, 6u, 64u, 65u);
    p.rotations = *rc::gen::inRange(1u, 4u);
    p.width = 100;
    p.seed = *rc::gen::arbitrary<std::uint64_t>();
    // Coordinates at the edge of what the widths allow; ties are likely with few distinct values.
    const bool full = p.kind != FamilyKind::kCrossPolytopeHadamard && *rc::gen::arbitrary<bool>();
    const std::int32_t reach =
        full ? 32767
             : static_cast<std::int32_t>(kHadamardMaxNorm / std::sqrt(static_cast<double>(p.dimension)));
    const std::uint64_t rows = *rc::gen::inRange<std::uint64_t>(1, 40);
    RandomStream stream(*rc::gen::arbitrary<std::uint64_t>(), Domain::kTest);
    const bool extreme = *rc::gen::arbitrary<bool>();
    std::vector<std::int16_t> points(rows * p.dimension);
    for (std::int16_t& x : points) {
      const auto r =
          static_cast<std::int32_t>(stream.below(2 * static_cast<std::uint64_t>(reach) + 1)) - reach;
      x = static_cast<std::int16_t>(extreme ? (r < 0 ? -reach : reach) : r);
    }
    const PointBlocks blocks = make_blocks(points, rows, p.dimension);
    const auto table = make_table(p, *rc::gen::element(0u, 1u, 77u));
    if (!table->has_block_codes(blocks)) return;
    std::vector<std::int32_t> x(p.dimension);
    std::uint64_t expected[1], codes[48];
    const std::uint64_t count = (rows + 15) / 16, first = *rc::gen::inRange<std::uint64_t>(0, count);
    for (const Kernels* kernel : kernels()) {
      table->block_codes(*kernel, blocks, first, count - first, codes);
      for (std::uint64_t row = 16 * first; row < rows; ++row) {
        for (std::uint32_t i = 0; i < p.dimension; ++i) x[i] = points[row * p.dimension + i];
        table->code(x, expected);
        RC_ASSERT(codes[row - 16 * first] == expected[0]);
      }
    }
    ++compared;
  }));
  EXPECT_GE(compared, 30) << "of 100 cases";
  EXPECT_GE(kernels().size(), 1u);
}

TEST(TableHash, CodesAreEqualIffAllValuesAre) {
  for (const FamilyKind kind : kAll) {
    const FamilyParameters p{
        .kind = kind, .dimension = 5, .functions = 70, .width = 50, .rotations = 2, .seed = 3};
    const auto table = make_table(p, 0);
    std::vector<std::uint64_t> a(table->code_words()), b(table->code_words());
    for (std::int32_t i = 0; i < 200; ++i) {
      const std::vector<std::int32_t> x = {100, -70, i, 5, -i}, y = {100, -70, i + 1 + i % 3, 5, -i};
      bool equal = true;
      for (std::uint32_t f = 0; f < p.functions; ++f)
        equal = equal && table->value(f, x) == table->value(f, y);
      table->code(x, a), table->code(y, b);
      EXPECT_EQ(a == b, equal) << to_string(kind);
    }
  }
}

// A pair's plane: two dense directions, two coordinates, or signs and the same with every other one flipped.
enum class Plane : std::uint8_t { kDense, kSparse, kSigns };

// Two vectors of norm about 2500 at a distance of `tau` times that; d is even.
void make_pair(Plane plane, std::uint32_t d, double tau, RandomStream& stream, std::vector<std::int32_t>& x,
               std::vector<std::int32_t>& y) {
  std::vector<double> a(d), b(d);
  double aa = 0, ab = 0, bb = 0;
  const auto sign = [&] { return stream.below(2) == 0 ? 1.0 : -1.0; };
  if (plane == Plane::kSparse) {
    const std::uint64_t i = stream.below(d);
    a[i] = sign(), b[(i + 1 + stream.below(d - 1)) % d] = sign();
  }
  for (std::uint32_t i = 0; i < d; ++i) {
    if (plane == Plane::kDense) a[i] = gaussian(stream()), b[i] = gaussian(stream());
    if (plane == Plane::kSigns) a[i] = sign(), b[i] = i % 2 == 0 ? a[i] : -a[i];
    aa += a[i] * a[i], ab += a[i] * b[i];
  }
  for (std::uint32_t i = 0; i < d; ++i) b[i] -= a[i] * ab / aa, bb += b[i] * b[i];
  const double cosine = 1 - tau * tau / 2, sine = std::sqrt(1 - cosine * cosine);
  x.resize(d), y.resize(d);
  for (std::uint32_t i = 0; i < d; ++i) {
    x[i] = static_cast<std::int32_t>(std::nearbyint(2500 * a[i] / std::sqrt(aa)));
    y[i] = static_cast<std::int32_t>(
        std::nearbyint(2500 * (cosine * a[i] / std::sqrt(aa) + sine * b[i] / std::sqrt(bb))));
  }
}

// Measured rates against the stated probabilities: 20000 trials, each with a function and a pair of its own;
// an interval of 5 standard errors (6e-7 each two-sided, 25 comparisons: a false alarm in less than 2e-5 of
// all seeds), plus the stated ends' own width. The ends of the Hadamard rotations are the worst over three
// kinds of vectors, each of which is measured.
TEST(CollisionProbability, AgreesWithMeasuredRates) {
  constexpr std::uint32_t kTrials = 20'000, kDimension = 32, kFunctions = 500;
  std::vector<std::int32_t> x, y;
  std::vector<std::pair<FamilyKind, Plane>> cases{{FamilyKind::kCrossPolytopeHadamard, Plane::kSparse},
                                                  {FamilyKind::kCrossPolytopeHadamard, Plane::kSigns}};
  for (const FamilyKind kind : kAll) {
    if (kind != FamilyKind::kBitSampling) cases.emplace_back(kind, Plane::kDense);  // bits: below
  }
  for (const auto& [kind, plane] : cases) {
    for (const double tau : {0.177, 0.5, 1.0, 1.4142135623730951}) {
      FamilyParameters p{
          .kind = kind, .dimension = kDimension, .functions = 1, .width = 2000, .rotations = 2, .seed = 9};
      const Probability stated = collision_probability(p, kind == FamilyKind::kPStable ? tau * 2500 : tau);
      RandomStream stream(static_cast<std::uint64_t>(kind), Domain::kTest);
      p.functions = kFunctions;
      std::uint32_t equal = 0;
      for (std::uint32_t trial = 0; trial < kTrials; ++trial) {
        static std::unique_ptr<const TableHash> table;
        if (trial % kFunctions == 0) table = make_table(p, 1000 + trial / kFunctions);
        make_pair(plane, kDimension, tau, stream, x, y);
        equal += table->value(trial % kFunctions, x) == table->value(trial % kFunctions, y);
      }
      const double rate = equal / static_cast<double>(kTrials);
      const double slack = 5 * std::sqrt(stated.estimate * (1 - stated.estimate) / kTrials) + 2e-4;
      EXPECT_GE(rate, stated.low - slack) << to_string(kind) << ' ' << static_cast<int>(plane) << ' ' << tau;
      EXPECT_LE(rate, stated.high + slack) << to_string(kind) << ' ' << static_cast<int>(plane) << ' ' << tau;
    }
  }
  const FamilyParameters bits{.kind = FamilyKind::kBitSampling, .dimension = 64, .functions = 1000};
  std::vector<std::int32_t> u(64, 1), v(64, 1);
  for (int i = 0; i < 24; ++i) v[i * 2] = -1;
  std::uint32_t equal = 0;
  for (std::uint32_t table = 0; table < 20; ++table) {
    const auto hash = make_table(bits, table);
    for (std::uint32_t f = 0; f < 1000; ++f) equal += hash->value(f, u) == hash->value(f, v);
  }
  const double p = collision_probability(bits, 24).estimate;
  EXPECT_EQ(p, 0.625);
  EXPECT_NEAR(equal / 20'000.0, p, 5 * std::sqrt(p * (1 - p) / 20'000));
}

TEST(CollisionProbability, OfOrthogonalVectorsIsOneOfTwoD) {
  for (const std::uint32_t d : {2u, 8u, 64u, 128u}) {
    const Probability p =
        collision_probability({.kind = FamilyKind::kCrossPolytope, .dimension = d}, std::sqrt(2.0));
    EXPECT_NEAR(p.estimate, 1.0 / (2 * d), 2e-6) << d;
    EXPECT_LE(p.low, 1.0 / (2 * d) + 1e-7);
    EXPECT_GE(p.high, 1.0 / (2 * d) - 1e-7);
  }
}

TEST(CollisionProbability, DecreasesWithTheDistance) {
  for (const FamilyKind kind : kAll) {
    const FamilyParameters p{.kind = kind, .dimension = 16, .functions = 1, .width = 1};
    double before = 1;
    for (const double distance : {0.0, 0.1, 0.3, 0.6, 1.0, 1.5, 1.9}) {
      const Probability now = collision_probability(p, distance, {.trials = 4096});
      EXPECT_LE(now.low, now.estimate);
      EXPECT_LE(now.estimate, now.high);
      EXPECT_LE(now.estimate, before + 1e-9) << to_string(kind) << ' ' << distance;
      before = now.estimate;
    }
  }
}

TEST(ClopperPearson, IsTheExactInterval) {
  EXPECT_NEAR(clopper_pearson(0, 300, 0.05).high, 1 - std::pow(0.05, 1.0 / 300), 1e-9);
  EXPECT_EQ(clopper_pearson(0, 300, 0.05).low, 0);
  EXPECT_EQ(clopper_pearson(300, 300, 0.05).high, 1);
  EXPECT_THROW(clopper_pearson(2, 1, 0.05), ContractError);
  EXPECT_THROW(clopper_pearson(0, 0, 0.05), ContractError);
}

// Values of an independent prototype (Monte Carlo, so ell to a few percent; z exactly), cross-polytope, d =
// 64, cr = sqrt 2.
TEST(ChooseTables, ReproducesKnownChoices) {
  const auto choose = [](double c, int log2_n, double eta) {
    const FamilyParameters p{.kind = FamilyKind::kCrossPolytope, .dimension = 64};
    return choose_tables(std::uint64_t{1} << log2_n, eta, collision_probability(p, std::sqrt(2.0) / c).low,
                         collision_probability(p, std::sqrt(2.0)).high);
  };
  struct Known {
    double c;
    int log2_n;
    std::uint32_t z;
    double ell;
  };
  for (const Known& known : {Known{4, 8, 5, 294}, Known{4, 12, 6, 712}, Known{4, 16, 8, 2891},
                             Known{8, 12, 6, 102}, Known{8, 16, 7, 172}, Known{12, 16, 7, 81}}) {
    const TableChoice choice = choose(known.c, known.log2_n, 1e-2);
    EXPECT_EQ(choice.functions, known.z) << known.c << ' ' << known.log2_n;
    EXPECT_NEAR(static_cast<double>(choice.tables), known.ell, 0.04 * known.ell)
        << known.c << ' ' << known.log2_n;
    EXPECT_LE(choice.false_collisions, 0.005);
    EXPECT_LE(choice.missed_pairs, 0.005 * (1 + 1e-9));
  }
  EXPECT_TRUE(choose(2, 40, 1e-2).pointless);
  EXPECT_FALSE(choose(4, 16, 1e-2).pointless);
  EXPECT_TRUE(choose(4, 8, 1e-2).pointless) << "294 tables for 256 keys";
  for (const auto& [c, rho] :
       {std::pair{1.8, .328}, std::pair{2., .282}, std::pair{3., .168}, std::pair{4., .120}}) {
    EXPECT_NEAR(choose(c, 12, 1e-2).rho, rho, 0.004) << c;
  }
}

TEST(ChooseTables, IsTheLeastAndRefusesTheImpossible) {
  const TableChoice choice = choose_tables(1000, 0.1, 0.8, 0.1);
  const double pairs = 1e6;
  const auto ell_of = [&](std::uint32_t z) {
    return std::ceil(std::log(2 * pairs / 0.1) / -std::log(1 - std::pow(0.8, z)));
  };
  EXPECT_EQ(static_cast<double>(choice.tables), ell_of(choice.functions));
  EXPECT_GT(pairs * ell_of(choice.functions - 1) * std::pow(0.1, choice.functions - 1), 0.05);
  EXPECT_THROW(choose_tables(0, 0.1, 0.8, 0.1), ContractError);
  EXPECT_THROW(choose_tables(10, 0, 0.8, 0.1), ContractError);
  EXPECT_THROW(choose_tables(10, 0.1, 0.8, 0.8), ContractError);
  EXPECT_THROW(choose_tables(10, 0.1, 1, 0.8), ContractError);
  EXPECT_THROW(choose_tables(10, 0.1, 0.8, 0), ContractError);
  EXPECT_THROW(choose_tables(10, 0.1, std::nan(""), 0.1), ContractError);
  EXPECT_THROW(choose_tables(std::uint64_t{1} << 60, 1e-9, 0.5001, 0.5), ContractError);
}

TEST(FamilyParameters, AreValidated) {
  for (const FamilyKind kind : kAll) {
    EXPECT_EQ(parse_family(to_string(kind)), kind);
    EXPECT_THROW(make_table({.kind = kind, .dimension = 0, .width = 1}, 0), ContractError);
    EXPECT_THROW(make_table({.kind = kind, .dimension = 65537, .width = 1}, 0), ContractError);
    EXPECT_THROW(make_table({.kind = kind, .dimension = 4, .functions = 0, .width = 1}, 0), ContractError);
    EXPECT_THROW(make_table({.kind = kind, .dimension = 4, .functions = 1025, .width = 1}, 0), ContractError);
  }
  EXPECT_THROW(parse_family("hyperplanes"), ContractError);
  for (const double width : {0.0, -1.0, 1e13, std::nan("")}) {
    EXPECT_THROW(make_table({.kind = FamilyKind::kPStable, .dimension = 4, .width = width}, 0),
                 ContractError);
  }
  for (const std::uint32_t rotations : {0u, 4u}) {
    EXPECT_THROW(
        make_table({.kind = FamilyKind::kCrossPolytopeHadamard, .dimension = 4, .rotations = rotations}, 0),
        ContractError);
  }
  const auto hadamard = make_table({.kind = FamilyKind::kCrossPolytopeHadamard, .dimension = 2}, 0);
  EXPECT_NO_THROW(hadamard->value(0, std::vector<std::int32_t>{2800, 0}));
  EXPECT_THROW(hadamard->value(0, std::vector<std::int32_t>{2800, 75}), ContractError);
  EXPECT_THROW(collision_probability({.dimension = 4}, 2.1), ContractError);
  EXPECT_THROW(collision_probability({.dimension = 4}, -0.1), ContractError);
  EXPECT_THROW(collision_probability({.kind = FamilyKind::kBitSampling, .dimension = 4}, 5), ContractError);
  EXPECT_THROW(make_blocks(std::vector<std::int16_t>(7), 2, 4), ContractError);
}

TEST(PStable, CellsAreFloors) {
  // One function seen along a line: the value steps by one every width, through 0 without a double cell.
  const auto table =
      make_table({.kind = FamilyKind::kPStable, .dimension = 1, .functions = 1, .width = 10, .seed = 4}, 0);
  std::int64_t last = 0, changes = 0;
  std::vector<std::int64_t> lengths;
  std::int64_t run = 0;
  for (std::int32_t x = -2000; x <= 2000; ++x) {
    const auto cell = static_cast<std::int64_t>(table->value(0, std::vector<std::int32_t>{x}));
    if (x > -2000 && cell != last) {
      EXPECT_EQ(std::abs(cell - last), 1);
      lengths.push_back(run), run = 0, ++changes;
    }
    last = cell, ++run;
  }
  ASSERT_GE(changes, 3);
  for (std::size_t i = 2; i < lengths.size(); ++i) EXPECT_NEAR(lengths[i], lengths[1], 1.01);
}

}  // namespace
}  // namespace roundtrip::anna
