// The dense engine against its oracle, bit for bit, on every instruction set, thread count and blocking;
// softmax and low-rank attention against their formulas; what the door refuses.
#include "roundtrip/anna/dense/matrices.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <cmath>
#include <limits>

#include "roundtrip/anna/dense/instances.h"
#include "roundtrip/anna/lsh/kernels/kernels.h"
#include "roundtrip/base/error.h"
#include "roundtrip/base/random.h"

namespace roundtrip::anna {
namespace {

FixedRows random_rows(std::uint64_t rows, std::uint32_t columns, std::int32_t reach, RandomStream& stream) {
  FixedRows fixed{rows, columns, 1, 0, {}};
  for (std::uint64_t i = 0; i < rows * columns; ++i) {
    fixed.data.push_back(static_cast<std::int16_t>(
        static_cast<std::int32_t>(stream.below(2 * static_cast<std::uint64_t>(reach) + 1)) - reach));
  }
  return fixed;
}

DenseHead random_head() {
  const auto d = *rc::gen::element(1u, 2u, 3u, 8u, 20u, 64u);
  const auto m = *rc::gen::element(1u, 7u, 16u, 33u, 64u, 100u);
  const auto queries = *rc::gen::inRange<std::uint64_t>(0, 60),
             keys = *rc::gen::inRange<std::uint64_t>(0, 60);
  const std::int32_t reach =
      *rc::gen::element(1, 30, 2800 / static_cast<std::int32_t>(std::ceil(std::sqrt(d))));
  RandomStream stream(*rc::gen::arbitrary<std::uint64_t>(), Domain::kTest);
  DenseHead head{random_rows(queries, d, reach, stream), random_rows(keys, d, reach, stream),
                 random_rows(keys, m, *rc::gen::element(1, 32767), stream)};
  head.values.unit = 0.25;
  return head;
}

AnnaParameters random_parameters() {
  AnnaParameters p{.tables = *rc::gen::inRange(1u, 9u),
                   .functions = *rc::gen::element(1u, 2u, 3u, 70u),
                   .seed = *rc::gen::arbitrary<std::uint64_t>(),
                   .width = 1000};
  p.family = *rc::gen::element(FamilyKind::kHyperplane, FamilyKind::kPStable, FamilyKind::kCrossPolytope,
                               FamilyKind::kCrossPolytopeHadamard, FamilyKind::kBitSampling);
  p.rotations = *rc::gen::inRange(1u, 4u);
  return p;
}

TEST(DenseAnna, EqualsTheOracleOnEveryPath) {
  EXPECT_TRUE(rc::check([] {
    const DenseHead head = random_head();
    const AnnaParameters p = random_parameters();
    const DenseResult expected = make_dense_brute_force(p)->attend(head);
    for (const Kernels* kernel : kernels()) {
      for (const unsigned threads : {1u, 2u, 3u}) {
        const auto partition = *rc::gen::element<std::uint32_t>(1, 3, 512);
        const DenseResult got =
            make_dense_anna(p, {.threads = threads, .kernels = kernel, .partition_keys = partition})
                ->attend(head);
        RC_ASSERT(got.rows == expected.rows);
        RC_ASSERT(got.facts.collisions == expected.facts.collisions);
        RC_ASSERT(got.facts.empty_queries == expected.facts.empty_queries);
        RC_ASSERT(got.facts.hash_evaluations ==
                  p.tables * p.functions * (head.queries.rows + head.keys.rows));
      }
    }
  }));
}

// Many full partitions, buckets of many keys and queries, no number a multiple of anything.
TEST(DenseAnna, IsTheSameOnEveryPathAtSize) {
  const Instance instance =
      generate_instance({.kind = InstanceKind::kClustered, .tokens = 4099, .value_dimension = 37, .c = 4});
  DenseHead head = quantise(instance.queries, instance.keys, instance.values, true);
  head.queries.rows = 3001;
  head.queries.data.resize(3001 * 64);
  for (const FamilyKind family : {FamilyKind::kCrossPolytopeHadamard, FamilyKind::kHyperplane}) {
    const AnnaParameters p{.tables = 5, .functions = 3, .seed = 9, .family = family};
    const DenseResult first = make_dense_anna(p, {.threads = 1, .kernels = kernels().front()})->attend(head);
    EXPECT_GT(first.facts.collisions, 3001u * 20);
    for (const Kernels* kernel : kernels()) {
      for (const unsigned threads : {1u, 2u}) {
        for (const std::uint32_t partition : {60u, 512u, 1u << 20}) {
          const DenseOptions options{.threads = threads, .kernels = kernel, .partition_keys = partition};
          EXPECT_TRUE(make_dense_anna(p, options)->attend(head).rows == first.rows)
              << kernel->name << " " << threads << " threads, partitions of " << partition;
        }
      }
    }
    DenseHead few = head;
    few.queries.rows = 40;
    few.queries.data.resize(40 * 64);
    const std::vector<double> expected = make_dense_brute_force(p)->attend(few).rows;
    EXPECT_TRUE(std::equal(expected.begin(), expected.end(), first.rows.begin()));
  }
}

TEST(DenseExactMatch, AveragesOverEqualKeys) {
  EXPECT_TRUE(rc::check([] {
    DenseHead head = random_head();
    const DenseResult got = make_dense_exact_match()->attend(head);
    const std::uint32_t m = head.values.columns;
    for (std::uint64_t i = 0; i < head.queries.rows; ++i) {
      std::vector<std::int64_t> sum(m, 0);
      std::int64_t count = 0;
      for (std::uint64_t j = 0; j < head.keys.rows; ++j) {
        bool equal = true;
        for (std::uint32_t x = 0; x < head.keys.columns; ++x)
          equal = equal && head.queries.row(i)[x] == head.keys.row(j)[x];
        if (!equal) continue;
        ++count;
        for (std::uint32_t c = 0; c < m; ++c) sum[c] += head.values.row(j)[c];
      }
      for (std::uint32_t c = 0; c < m; ++c) {
        RC_ASSERT(got.rows[i * m + c] ==
                  (count == 0 ? 0 : static_cast<double>(sum[c]) / static_cast<double>(count) * 0.25));
      }
    }
  }));
}

// 70000 equal keys of the largest value: 32-bit totals would overflow, in a bucket or over the tables.
TEST(DenseAnna, WidensWhenThirtyTwoBitsAreNotEnough) {
  for (const auto& [keys, tables] : {std::pair{70000u, 1u}, std::pair{30000u, 3u}}) {
    DenseHead head{{1, 2, 1, 0, {5, 5}}, {keys, 2, 1, 0, {}}, {keys, 3, 1, 0, {}}};
    for (std::uint32_t j = 0; j < keys; ++j) {
      head.keys.data.insert(head.keys.data.end(), {5, 5});
      head.values.data.insert(head.values.data.end(), {32767, -32768, static_cast<std::int16_t>(j % 2)});
    }
    const DenseResult got = make_dense_anna({.tables = tables, .functions = 3})->attend(head);
    EXPECT_TRUE(got.facts.wide);
    EXPECT_EQ(got.rows, (std::vector<double>{32767, -32768, 0.5}));
    EXPECT_EQ(got.facts.collisions, std::uint64_t{keys} * tables);
    head.values.data.assign(head.values.data.size(), 100);
    EXPECT_FALSE(make_dense_anna({.tables = tables, .functions = 3})->attend(head).facts.wide);
  }
}

// The same where the tables differ and the overflow comes after some of them: evaluation begins again.
TEST(DenseAnna, WidensInALaterTable) {
  constexpr std::uint32_t kKeys = 4000;
  RandomStream stream(12, Domain::kTest);
  DenseHead head{random_rows(9, 8, 300, stream), {kKeys, 8, 1, 0, {}}, {kKeys, 2, 1, 0, {}}};
  for (std::uint32_t j = 0; j < kKeys; ++j) {
    for (std::uint32_t i = 0; i < 8; ++i)
      head.keys.data.push_back(static_cast<std::int16_t>(head.queries.row(j % 9)[i] + (j % 7 == 0 ? 30 : 0)));
    head.values.data.insert(head.values.data.end(), {32767, static_cast<std::int16_t>(-32768 + (j % 5))});
  }
  const AnnaParameters p{.tables = 200, .functions = 1, .seed = 4, .family = FamilyKind::kCrossPolytope};
  const DenseResult expected = make_dense_brute_force(p)->attend(head);
  for (const unsigned threads : {1u, 2u}) {
    const DenseResult got = make_dense_anna(p, {.threads = threads, .partition_keys = 50})->attend(head);
    EXPECT_TRUE(got.facts.wide);
    EXPECT_EQ(got.rows, expected.rows);
    EXPECT_EQ(got.facts.collisions, expected.facts.collisions);
  }
}

TEST(DenseAnna, AgreesWithTheSparseEngine) {
  // The same hyperplanes by the same seed: two engines, one function.
  EXPECT_TRUE(rc::check([] {
    DenseHead head = random_head();
    head.values.unit = 1;
    const AnnaParameters p{.tables = 3, .functions = 4, .seed = 6};
    class Rows final : public Codebook {
     public:
      explicit Rows(const DenseHead& h) : head_(h) {}
      std::uint32_t dimension() const override { return head_.keys.columns; }
      Symbol size() const override { return head_.queries.rows + head_.keys.rows + 1; }
      void vector(Symbol s, std::span<std::int32_t> out) const override {
        const auto n = head_.queries.rows;
        if (s == size() - 1) return std::fill(out.begin(), out.end(), 0);
        const auto row = s < n ? head_.queries.row(s) : head_.keys.row(s - n);
        std::copy(row.begin(), row.end(), out.begin());
      }

     private:
      const DenseHead& head_;
    } codebook(head);
    // The sparse engine has as many keys as queries.
    const std::uint64_t n = std::min(head.queries.rows, head.keys.rows);
    if (n == 0) return;
    HeadInput sparse;
    sparse.tokens = n;
    for (std::uint64_t t = 0; t < n; ++t) {
      sparse.queries.listed.push_back({t, t});
      sparse.keys.listed.push_back({t, head.queries.rows + t});
      sparse.values.tokens.push_back(t);
      for (std::uint32_t c = 0; c < head.values.columns; ++c)
        sparse.values.entries.push_back({c, double(head.values.row(t)[c])});
      sparse.values.offsets.push_back(sparse.values.entries.size());
    }
    SparseRows out;
    make_anna(p)->attend(codebook, sparse, out);
    DenseHead cut = head;
    cut.queries.rows = cut.keys.rows = cut.values.rows = n;
    cut.queries.data.resize(n * head.queries.columns), cut.keys.data.resize(n * head.keys.columns),
        cut.values.data.resize(n * head.values.columns);
    const DenseResult dense = make_dense_anna(p)->attend(cut);
    std::vector<double> rows(n * head.values.columns, 0);
    for (std::size_t i = 0; i < out.tokens.size(); ++i) {
      for (const Entry& entry : out.row(i))
        rows[out.tokens[i] * head.values.columns + entry.column] = entry.value;
    }
    RC_ASSERT(dense.rows == rows);
  }));
}

TEST(Softmax, EqualsItsFormula) {
  RandomStream stream(5, Domain::kTest);
  for (const std::uint64_t n : {1u, 5u, 129u, 700u}) {
    DenseHead head{random_rows(n, 6, 1000, stream), random_rows(n + 3, 6, 1000, stream),
                   random_rows(n + 3, 9, 1000, stream)};
    head.queries.unit = head.keys.unit = 0.01;
    for (const Kernels* kernel : kernels()) {
      const DenseResult got = make_softmax(0.3, {.threads = 2, .kernels = kernel})->attend(head);
      for (std::uint64_t i = 0; i < n; ++i) {
        std::vector<double> logits, out(9, 0);
        double top = -1e300, norm = 0;
        for (std::uint64_t j = 0; j < n + 3; ++j) {
          double dot = 0;
          for (int x = 0; x < 6; ++x) dot += head.queries.row(i)[x] * 0.01 * head.keys.row(j)[x] * 0.01;
          logits.push_back(0.3 * dot), top = std::max(top, logits.back());
        }
        for (std::uint64_t j = 0; j < n + 3; ++j) {
          const double weight = std::exp(logits[j] - top);
          norm += weight;
          for (int c = 0; c < 9; ++c) out[c] += weight * head.values.row(j)[c];
        }
        // Logits reach 180 in float: an error of 2^-24 * 180 * a few in the exponent.
        for (int c = 0; c < 9; ++c) EXPECT_NEAR(got.rows[i * 9 + c], out[c] / norm, 1000 * 2e-4);
      }
    }
  }
}

TEST(Softmax, HoldsExtremesOfTheExponential) {
  DenseHead head{{1, 1, 1, 0, {100}}, {3, 1, 1, 0, {-100, 0, 100}}, {3, 1, 1, 0, {1, 2, 3}}};
  EXPECT_EQ(make_softmax(1)->attend(head).rows[0], 3.0);
  EXPECT_NEAR(make_softmax(0)->attend(head).rows[0], 2.0, 1e-6);
  EXPECT_EQ(make_softmax(-1)->attend(head).rows[0], 1.0);
  EXPECT_THROW(make_softmax(std::nan("")), ContractError);
  EXPECT_THROW(make_softmax(1)->attend({{1, 1, 1, 0, {1}}, {0, 1, 1, 0, {}}, {0, 1, 1, 0, {}}}),
               ContractError);
}

TEST(LowRank, ApproachesSoftmaxWithItsRank) {
  const Instance instance =
      generate_instance({.kind = InstanceKind::kUniform, .tokens = 60, .dimension = 8, .value_dimension = 4});
  const DenseHead head = quantise(instance.queries, instance.keys, instance.values, true);
  const DenseResult exact = make_softmax(1)->attend(head);
  const auto error = [&](std::uint32_t rank) {
    const DenseResult got = make_low_rank(1, rank, 3)->attend(head);
    double square = 0;
    for (std::size_t i = 0; i < exact.rows.size(); ++i) square += std::pow(got.rows[i] - exact.rows[i], 2);
    return std::sqrt(square / static_cast<double>(exact.rows.size()));
  };
  const double coarse = error(16), fine = error(4096);
  EXPECT_LT(fine, 0.01);        // standard error of about 1/sqrt(4096) times the weights' spread
  EXPECT_LT(fine, coarse / 4);  // 16 = sqrt(4096 / 16) expected
  DenseHead far{{1, 1, 1, 0, {30000}}, {1, 1, 1, 0, {-30000}}, {1, 1, 1, 0, {1}}};
  EXPECT_THROW(make_low_rank(1, 4, 1)->attend(far), ContractError);  // all features underflow
  EXPECT_THROW(make_low_rank(-1, 4, 1), ContractError);
  EXPECT_THROW(make_low_rank(1, 0, 1), ContractError);
}

TEST(Quantise, StatesItsErrorAndKeepsTheGeometry) {
  const Instance instance = generate_instance(
      {.kind = InstanceKind::kPlanted, .tokens = 100, .dimension = 20, .value_dimension = 3, .c = 4});
  const DenseHead head = quantise(instance.queries, instance.keys, instance.values, true);
  EXPECT_LE(head.keys.max_error, head.keys.unit / 2 * 1.0001);
  EXPECT_LE(head.values.max_error, head.values.unit / 2);
  double measured = 0;
  for (std::size_t i = 0; i < instance.keys.data.size(); ++i) {
    measured = std::max(measured, std::fabs(head.keys.data[i] * head.keys.unit - instance.keys.data[i]));
  }
  EXPECT_LE(measured, head.keys.max_error + 1e-6);
  EXPECT_LE(make_blocks(head.keys.data, 100, 20).max_norm, kHadamardMaxNorm);
  for (std::uint64_t t = 0; t < 100; ++t) {
    double square = 0;
    for (std::uint32_t i = 0; i < 20; ++i)
      square += std::pow((head.queries.row(t)[i] - head.keys.row(t)[i]) * head.keys.unit, 2);
    EXPECT_NEAR(std::sqrt(square), instance.near_radius(), 2 * head.keys.max_error * std::sqrt(20.0));
  }
}

TEST(Dense, WritesIntoMemoryThatItIsGiven) {
  const Instance instance = generate_instance({.kind = InstanceKind::kPlanted, .tokens = 300, .c = 8});
  const DenseHead head = quantise(instance.queries, instance.keys, instance.values, true);
  for (const auto& attention : {make_dense_anna({.tables = 3, .functions = 1}), make_dense_exact_match()}) {
    const DenseResult fresh = attention->attend(head);
    for (const std::size_t size :
         {fresh.rows.size(), fresh.rows.size() - 1, fresh.rows.size() + 9, std::size_t{0}}) {
      std::vector<double> memory(size, std::numeric_limits<double>::quiet_NaN());
      const double* const at = memory.data();
      const DenseResult again = attention->attend(head, std::move(memory));
      EXPECT_EQ(again.rows, fresh.rows) << size;
      EXPECT_EQ(again.facts.collisions, fresh.facts.collisions);
      if (size == fresh.rows.size()) {
        EXPECT_EQ(again.rows.data(), at);
      }
    }
  }
}

/// A matrix's integers by the definition, number by number.
FixedRows fixed_by_definition(const RealRows& rows, double unit, bool unit_sphere) {
  FixedRows fixed{rows.rows, rows.columns, unit, 0, {}};
  for (std::uint64_t row = 0; row < rows.rows; ++row) {
    double square = 0;
    for (std::uint32_t i = 0; i < rows.columns; ++i) {
      const double x = rows.data[row * rows.columns + i];
      square += x * x;
    }
    const double length = unit_sphere ? std::sqrt(square) : 1;
    for (std::uint32_t i = 0; i < rows.columns; ++i) {
      const double x = rows.data[row * rows.columns + i] / length;
      const double integer = std::nearbyint(x / unit);
      fixed.data.push_back(static_cast<std::int16_t>(integer));
      fixed.max_error = std::max(fixed.max_error, std::fabs(integer * unit - x));
    }
  }
  return fixed;
}

TEST(Quantise, IsTheDefinitionOnEveryInstructionSet) {
  for (const std::uint32_t columns : {1u, 2u, 3u, 20u, 64u, 67u}) {
    for (const std::uint64_t count : {std::uint64_t{1}, std::uint64_t{7}, std::uint64_t{700}}) {
      RandomStream random(columns, Domain::kTest, count);
      const auto matrix = [&](float scale) {
        RealRows rows{count, columns, {}};
        for (std::uint64_t i = 0; i < count * columns; ++i) {
          // Halves of the unit of a power of two, too, where rounding goes to the even one.
          const auto x = static_cast<float>(random.below(1 << 17)) - 65536.0f;
          rows.data.push_back(x == 0 ? scale : scale * x / 65536.0f);
        }
        return rows;
      };
      const RealRows q = matrix(3), k = matrix(1e-3f), v = matrix(1);
      for (const bool sphere : {false, true}) {
        const DenseHead expected = [&] {
          DenseHead head = quantise(q, k, v, sphere, {.threads = 1, .kernels = kernels().front()});
          EXPECT_EQ(head.queries.unit, head.keys.unit);
          return DenseHead{fixed_by_definition(q, head.queries.unit, sphere),
                           fixed_by_definition(k, head.keys.unit, sphere),
                           fixed_by_definition(v, head.values.unit, false)};
        }();
        for (const Kernels* kernel : kernels()) {
          for (const unsigned threads : {1u, 2u, 3u}) {
            const DenseHead head = quantise(q, k, v, sphere, {.threads = threads, .kernels = kernel});
            for (const auto part : {&DenseHead::queries, &DenseHead::keys, &DenseHead::values}) {
              EXPECT_EQ((head.*part).data, (expected.*part).data) << kernel->name << ' ' << columns;
              EXPECT_EQ((head.*part).max_error, (expected.*part).max_error) << kernel->name << ' ' << columns;
            }
          }
        }
      }
    }
  }
}

TEST(Kernels, AreThoseThatTheEnvironmentNames) {
  const Kernels* const best = kernels().back();
  EXPECT_EQ(&best_kernels(), best);
  for (const Kernels* kernel : kernels()) {
    ASSERT_EQ(setenv("ROUNDTRIP_KERNELS", kernel->name, 1), 0);
    EXPECT_EQ(&best_kernels(), kernel);
  }
  ASSERT_EQ(setenv("ROUNDTRIP_KERNELS", "mmx", 1), 0);
  try {
    (void)best_kernels();
    ADD_FAILURE();
  } catch (const ContractError& error) {
    EXPECT_NE(std::string(error.what()).find("ROUNDTRIP_KERNELS is mmx; allowed here are portable"),
              std::string::npos)
        << error.what();
  }
  unsetenv("ROUNDTRIP_KERNELS");
}

TEST(Quantise, HandlesEdgesAndRefusesByName) {
  const RealRows two{2, 2, {1, 2, 3, 4}}, zero{2, 2, {0, 0, 1, 0}};
  const auto refused = [&](const RealRows& q, const RealRows& k, const RealRows& v, bool sphere,
                           const char* naming) {
    try {
      quantise(q, k, v, sphere);
      ADD_FAILURE() << naming;
    } catch (const ContractError& error) {
      EXPECT_NE(std::string(error.what()).find(naming), std::string::npos) << error.what();
    }
  };
  refused(zero, two, two, true, "queries: row 0 is the zero vector");
  EXPECT_NO_THROW(quantise(zero, zero, zero, false));
  EXPECT_NO_THROW(quantise({2, 2, {0, 0, 0, 0}}, {2, 2, {0, 0, 0, 0}}, {2, 1, {0, 0}}, false));
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), HUGE_VALF, -HUGE_VALF}) {
    refused(two, {2, 2, {1, 2, bad, 4}}, two, false, "keys: row 1 column 0");
    refused(two, two, {2, 2, {1, 2, 3, bad}}, true, "values: row 1 column 1");
  }
  refused(two, {1, 4, {1, 2, 3, 4}}, {1, 1, {1}}, false, "columns");
  refused(two, two, {1, 1, {1}}, false, "values");
  refused({2, 2, {1, 2, 3}}, two, two, false, "queries");
  // Values at the edge of the range, subnormal ones and powers of two keep the error within half a unit.
  for (const float x : {3.4e38f, 1.0f, 0.99999994f, 1e-40f, 32767.5f}) {
    const DenseHead head = quantise(two, two, {2, 1, {x, -x}}, false);
    EXPECT_LE(head.values.max_error, head.values.unit / 2) << x;
    EXPECT_NEAR(head.values.data[0] * head.values.unit, x, head.values.unit / 2) << x;
    EXPECT_EQ(head.values.data[0], -head.values.data[1]);
  }
  const DenseHead long_points = quantise({1, 2, {3e38f, 3e38f}}, {1, 2, {0, 1}}, {1, 1, {1}}, false);
  EXPECT_LE(make_blocks(long_points.queries.data, 1, 2).max_norm, kHadamardMaxNorm);
  EXPECT_THROW(make_dense_anna({.tables = 0}), ContractError);
  EXPECT_THROW(make_dense_anna({}, {.threads = 5000}), ContractError);
  EXPECT_THROW(make_dense_anna({}, {.partition_keys = 0}), ContractError);
  DenseHead too_long{{1, 1, 1, 0, {2801}}, {1, 1, 1, 0, {1}}, {1, 1, 1, 0, {1}}};
  EXPECT_THROW(make_dense_anna({.family = FamilyKind::kCrossPolytopeHadamard})->attend(too_long),
               ContractError);
}

TEST(Instances, AreWhatTheySay) {
  const Instance planted = generate_instance({.kind = InstanceKind::kPlanted, .tokens = 900, .c = 8});
  const auto distance = [&](std::uint64_t q, std::uint64_t k) {
    double square = 0;
    for (std::uint32_t i = 0; i < 64; ++i)
      square += std::pow(planted.queries.data[q * 64 + i] - planted.keys.data[k * 64 + i], 2);
    return std::sqrt(square);
  };
  const double r = planted.near_radius();
  for (std::uint64_t q = 0; q < 900; ++q) {
    int middle = 0;
    for (std::uint64_t k = 0; k < 900; ++k) {
      if (planted.groups[q] != planted.groups[k]) continue;
      if (k == q) {
        EXPECT_NEAR(distance(q, k), r, 1e-5);
      } else {
        EXPECT_GT(distance(q, k), r);
        EXPECT_LT(distance(q, k), std::sqrt(2.0));
        ++middle;
      }
    }
    EXPECT_EQ(middle, 8);
  }
  EXPECT_EQ(generate_instance({.tokens = 900, .c = 8}).keys.data, planted.keys.data);
  EXPECT_NE(generate_instance({.tokens = 900, .c = 8, .seed = 2}).keys.data, planted.keys.data);
  EXPECT_THROW(generate_instance({.tokens = 0}), ContractError);
  EXPECT_THROW(generate_instance({.tokens = 1, .dimension = 1}), ContractError);
  EXPECT_THROW(generate_instance({.tokens = 1, .c = 1}), ContractError);
  for (const InstanceKind kind : {InstanceKind::kUniform, InstanceKind::kClustered, InstanceKind::kPlanted}) {
    EXPECT_EQ(parse_instance(to_string(kind)), kind);
  }
  EXPECT_THROW(parse_instance("cluster"), ContractError);
}

TEST(MeasureWeights, AgreesWithTheEngine) {
  const Instance instance = generate_instance({.kind = InstanceKind::kPlanted, .tokens = 90, .c = 8});
  const DenseHead head = quantise(instance.queries, instance.keys, instance.values, true);
  const AnnaParameters p{
      .tables = 12, .functions = 2, .seed = 3, .family = FamilyKind::kCrossPolytopeHadamard};
  const WeightFacts facts = measure_weights(head, p, question_of(instance), 90);
  EXPECT_EQ(facts.near_pairs, 90u);
  // The engine shows a query's weight on single keys when every key has a column of its own.
  DenseHead columns = head;
  columns.values = {90, 90, 1, 0, std::vector<std::int16_t>(90 * 90, 0)};
  for (int j = 0; j < 90; ++j) columns.values.data[j * 90 + j] = 1;
  const DenseResult weights = make_dense_anna(p)->attend(columns);
  int found = 0;
  for (int i = 0; i < 90; ++i) found += weights.rows[i * 90 + i] > 0;
  EXPECT_DOUBLE_EQ(facts.recall, found / 90.0);
  EXPECT_GT(facts.recall, 0.9);
  EXPECT_GT(*facts.purity, 0.8);
  EXPECT_LE(*facts.purity, 1);
  EXPECT_GE(facts.within_cr, *facts.purity);
}

}  // namespace
}  // namespace roundtrip::anna
