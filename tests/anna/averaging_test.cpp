// Windows, chunks, features and causal masks against oracles that go over all pairs and share no code with them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <tuple>

#include "anna/generators.h"
#include "roundtrip/anna/attention/chunked.h"
#include "roundtrip/anna/attention/low_rank.h"
#include "roundtrip/anna/attention/mechanisms.h"
#include "roundtrip/anna/attention/performer.h"
#include "roundtrip/anna/attention/polynomial.h"
#include "roundtrip/anna/attention/window.h"
#include "roundtrip/anna/lsh/gaussian.h"
#include "roundtrip/base/error.h"
#include "roundtrip/base/fault.h"
#include "roundtrip/base/random.h"

namespace roundtrip::anna {
namespace {

__extension__ using Wide = __int128;
using Vector = std::vector<std::int32_t>;
using Rows = std::vector<std::map<std::uint32_t, double>>;  // [tokens], nonzero entries

SparseRows attend(Attention& attention, const Codebook& codebook, const HeadInput& head) {
  SparseRows out;
  attention.attend(codebook, head, out);
  return out;
}

Rows rows_of(const SparseRows& rows, std::uint64_t tokens) {
  Rows out(tokens);
  for (std::size_t i = 0; i < rows.tokens.size(); ++i) {
    for (const Entry& entry : rows.row(i)) out[rows.tokens[i]][entry.column] = entry.value;
  }
  return out;
}

std::vector<Vector> dense(const Codebook& codebook, const Points& points, std::uint64_t tokens) {
  std::vector<Symbol> symbols(tokens, points.default_symbol);
  for (const TokenSymbol& point : points.listed) symbols[point.token] = point.symbol;
  std::vector<Vector> out;
  for (const Symbol symbol : symbols) {
    out.emplace_back(codebook.dimension());
    codebook.vector(symbol, out.back());
  }
  return out;
}

/// S / T pair by pair.
Rows pairwise(const HeadInput& head, const std::function<Wide(std::uint64_t, std::uint64_t)>& weight) {
  const Rows values = rows_of(head.values, head.tokens);
  Rows out(head.tokens);
  for (std::uint64_t i = 0; i < head.tokens; ++i) {
    Wide norm = 0;
    std::map<std::uint32_t, Wide> sums;
    for (std::uint64_t j = 0; j < head.tokens; ++j) {
      const Wide c = weight(i, j);
      norm += c;
      for (const auto& [column, value] : values[j]) sums[column] += c * static_cast<Wide>(value);
    }
    for (const auto& [column, sum] : sums) {
      if (sum != 0) out[i][column] = static_cast<double>(sum) / static_cast<double>(norm);
    }
  }
  return out;
}

double random_magnitude() {
  return *rc::gen::element(4.0, 1e9, 9007199254740990.0);
}

/// Every query's row of a plain softmax over the keys that it sees, each asked of the whole mechanism.
Rows softmax_of_seen(const Codebook& codebook, const HeadInput& head, double scale,
                     const std::function<bool(std::uint64_t, std::uint64_t)>& sees) {
  const auto softmax = make_model_softmax(scale);
  Rows out(head.tokens);
  for (std::uint64_t i = 0; i < head.tokens; ++i) {
    std::vector<std::uint64_t> seen;
    for (std::uint64_t j = 0; j < head.tokens; ++j) {
      if (sees(i, j)) seen.push_back(j);
    }
    HeadInput part{.tokens = seen.size(), .queries = {}, .keys = {}, .values = {}};
    const auto symbol = [](const Points& points, std::uint64_t token) {
      for (const TokenSymbol& listed : points.listed) {
        if (listed.token == token) return listed.symbol;
      }
      return points.default_symbol;
    };
    part.queries.default_symbol = symbol(head.queries, i);
    for (std::uint64_t number = 0; number < seen.size(); ++number) {
      part.keys.listed.push_back({number, symbol(head.keys, seen[number])});
      for (std::size_t v = 0; v < head.values.tokens.size(); ++v) {
        if (head.values.tokens[v] != seen[number]) continue;
        part.values.tokens.push_back(number);
        for (const Entry& entry : head.values.row(v)) part.values.entries.push_back(entry);
        part.values.offsets.push_back(part.values.entries.size());
      }
    }
    out[i] = rows_of(attend(*softmax, codebook, part), part.tokens)[0];
  }
  return out;
}

TEST(Window, EqualsSoftmaxOverWhatEachQuerySees) {
  EXPECT_TRUE(rc::check([] {
    const Window window{*rc::gen::element<std::uint64_t>(0, 1, 2, 5, 100),
                        *rc::gen::element(0.0, 0.25, 0.001, 3.0),
                        *rc::gen::element<std::uint64_t>(0, 1, 3, 100), *rc::gen::arbitrary<bool>()};
    const TableCodebook codebook = random_codebook();
    const HeadInput head = random_head(codebook, random_magnitude());
    const Rows expected =
        softmax_of_seen(codebook, head, window.scale, [&](std::uint64_t i, std::uint64_t j) {
          const std::uint64_t apart = i < j ? j - i : i - j;
          return (apart <= window.width || i < window.globals || j < window.globals) &&
                 !(window.masked && j > i);
        });
    RC_ASSERT(rows_of(attend(*window.make(), codebook, head), head.tokens) == expected);
  }));
}

TEST(Softmax, CausalEqualsSoftmaxOverTheTokensSoFar) {
  EXPECT_TRUE(rc::check([] {
    const double scale = *rc::gen::element(0.0, 1e-3, -0.02, 0.5, 1e6);
    const TableCodebook codebook = random_codebook();
    const HeadInput head = random_head(codebook, random_magnitude());
    const Rows expected =
        softmax_of_seen(codebook, head, scale, [](std::uint64_t i, std::uint64_t j) { return j <= i; });
    RC_ASSERT(rows_of(attend(*make_model_softmax(scale, true), codebook, head), head.tokens) == expected);
  }));
}

/// [tokens] features, of queries or of keys.
std::vector<std::vector<std::int64_t>> phi(const FeatureMap& features, const std::vector<Vector>& vectors,
                                           bool query) {
  std::vector<std::vector<std::int64_t>> all;
  for (const Vector& x : vectors) {
    all.emplace_back(features.rank());
    features.of(x, query, all.back());
  }
  return all;
}

TEST(FeatureAttention, EqualsItsPairwiseKernel) {
  EXPECT_TRUE(rc::check([] {
    const TableCodebook codebook = random_codebook();
    const HeadInput head = random_head(codebook, 1000);
    RC_PRE(head.tokens > 0);
    const auto seed = *rc::gen::arbitrary<std::uint64_t>();
    const auto rank = *rc::gen::element(1u, 2u, 5u);
    for (const bool causal : {false, true}) {
      for (const Mechanism& mechanism :
           {Mechanism(LowRank{rank, seed, causal}), Mechanism(Performer{rank, seed, 2.5, 3, causal}),
            Mechanism(Polynomial{rank, seed, std::uint64_t{1} << 30, causal})}) {
        EXPECT_EQ(mechanism.causal(), causal);
        const auto features = mechanism.features(codebook.dimension());
        const auto queries = phi(*features, dense(codebook, head.queries, head.tokens), true);
        const auto keys = phi(*features, dense(codebook, head.keys, head.tokens), false);
        const Rows expected = pairwise(head, [&](std::uint64_t i, std::uint64_t j) {
          Wide kernel = 0;
          for (std::size_t r = 0; r < queries[i].size(); ++r)
            kernel += static_cast<Wide>(queries[i][r]) * keys[j][r];
          EXPECT_GE(kernel, features->positive() ? 1 : 0);
          return causal && j > i ? 0 : kernel;
        });
        RC_ASSERT(rows_of(attend(*mechanism.make(), codebook, head), head.tokens) == expected);
      }
    }
  }));
}

std::int64_t projection(std::uint64_t seed, std::uint64_t stream, std::uint32_t r, const Vector& x) {
  std::int64_t dot = 0;
  for (std::uint32_t i = 0; i < x.size(); ++i)
    dot += std::int64_t{x[i]} * gaussian(draw(seed, Domain::kHash, ~stream, r, i));
  return dot;
}

TEST(Performer, FeaturesAreExponentialsOfTheFormula) {
  const Performer performer{600, 3, 40, 2};
  const auto features = performer.features(3);
  EXPECT_EQ(features->rank(), 600u);
  std::vector<std::int64_t> out(600);
  int saturated = 0, least = 0;
  for (const Vector& x : {Vector{0, 0, 0}, Vector{5, -3, 2}, Vector{-12, 20, 1}, Vector{100, 0, 60}}) {
    features->of(x, true, out);
    for (std::uint32_t r = 0; r < 600; ++r) {
      const long double norm = x[0] * x[0] + x[1] * x[1] + x[2] * x[2];
      const long double exponent =
          static_cast<long double>(projection(3, 16, r, x)) / 4096 / std::sqrt(40.0L) - norm / 80 - 2;
      const long double expected = std::max(1.0L, 0x1p20L * std::exp(std::min(0.0L, exponent)));
      ASSERT_NEAR(static_cast<double>(out[r]), static_cast<double>(expected), 0.5001) << r;
      saturated += exponent > 0 && out[r] == 1 << 20;
      least += out[r] == 1;
    }
  }
  EXPECT_GT(saturated, 10);
  EXPECT_GT(least, 10);
  // Products estimate the kernel: with 600 features within a fifth of exp(<q, k> / temperature).
  const Vector q{5, -3, 2}, k{2, -4, 1};
  std::vector<std::int64_t> of_q(600), of_k(600);
  features->of(q, true, of_q);
  features->of(k, false, of_k);
  double sum = 0;
  for (std::size_t r = 0; r < 600; ++r) sum += static_cast<double>(of_q[r]) * static_cast<double>(of_k[r]);
  EXPECT_NEAR(sum / 600 * std::exp(4.0) / 0x1p40 / std::exp(24 / 40.0), 1, 0.2);
  // 2^31 in every coordinate stays in range.
  Performer{1, 1, 1e-9, 0}.features(65536)->of(Vector(65536, INT32_MIN), true, {out.data(), 1});
  EXPECT_EQ(out[0], 1);
}

TEST(Polynomial, WeightsAreSquaresOfProductsOfSketches) {
  for (const std::uint32_t sketch : {1, 2, 5}) {
    const Polynomial polynomial{sketch, 7, 3};
    const auto features = polynomial.features(2);
    ASSERT_EQ(features->rank(), sketch * (sketch + 1) / 2);
    const auto s = [&](const Vector& x) {
      std::vector<Wide> all;
      for (std::uint32_t r = 0; r < sketch; ++r) {
        const Wide product = static_cast<Wide>(projection(7, 17, r, x)) * projection(7, 18, r, x);
        // Half to even, by floor and remainder.
        const Wide unit = Wide{3} << 24;
        Wide floor = product / unit - (product % unit < 0 ? 1 : 0);
        const Wide rest = product - floor * unit;
        if (2 * rest > unit || (2 * rest == unit && floor % 2 != 0)) ++floor;
        all.push_back(std::clamp<Wide>(floor, -(1 << 24), 1 << 24));
      }
      return all;
    };
    std::vector<std::int64_t> of_q(features->rank()), of_k(features->rank());
    for (const auto& [q, k] :
         {std::pair(Vector{30, -7}, Vector{-4, 90}), std::pair(Vector{0, 0}, Vector{3, 3}),
          std::pair(Vector{INT32_MIN, 5}, Vector{INT32_MAX, INT32_MAX})}) {
      features->of(q, true, of_q);
      features->of(k, false, of_k);
      Wide sum = 0, product = 0;
      for (std::size_t r = 0; r < of_q.size(); ++r) sum += static_cast<Wide>(of_q[r]) * of_k[r];
      const auto of = s(q), with = s(k);
      for (std::uint32_t r = 0; r < sketch; ++r) product += of[r] * with[r];
      EXPECT_TRUE(sum == product * product) << sketch;
    }
  }
  // A query of zeros has no weight at all.
  const TableCodebook codebook{2, {{0, 0}, {3, 5}}};
  HeadInput head{.tokens = 2, .queries = {0, {{1, 1}}}, .keys = {1, {}}, .values = {}};
  head.values = {.tokens = {0}, .offsets = {0, 1}, .entries = {{0, 6.0}}};
  const Rows rows = rows_of(attend(*Polynomial{3, 1, 1}.make(), codebook, head), 2);
  EXPECT_TRUE(rows[0].empty());
  EXPECT_EQ(rows[1], (std::map<std::uint32_t, double>{{0, 3.0}}));
}

TEST(FeatureAttention, RefusesWidths) {
  const TableCodebook codebook{1, {{INT32_MAX}}};
  HeadInput head{.tokens = 1 << 20, .queries = {}, .keys = {}, .values = {}};
  head.values = {.tokens = {0}, .offsets = {0, 1}, .entries = {{0, 9007199254740991.0}}};
  for (const bool causal : {false, true}) {
    SparseRows out;
    EXPECT_THAT(
        [&] {
          (Polynomial{8, 1, 1, causal}.make()->attend(codebook, head, out));
        },
        ::testing::ThrowsMessage<ContractError>(
            ::testing::AllOf(::testing::StartsWith("polynomial attention: features below"),
                             ::testing::HasSubstr("126 are allowed"))));
  }
}

TEST(Chunked, EqualsItsDefinition) {
  EXPECT_TRUE(rc::check([] {
    const Chunked chunked{.chunk = *rc::gen::element(1u, 2u, 3u, 7u, 100u),
                          .hashings = *rc::gen::element(1u, 2u, 5u),
                          .functions = *rc::gen::element(1u, 2u, 70u),
                          .seed = *rc::gen::arbitrary<std::uint64_t>(),
                          .family = *rc::gen::element(FamilyKind::kHyperplane, FamilyKind::kCrossPolytope),
                          .masked = *rc::gen::arbitrary<bool>()};
    const auto attention = chunked.make();
    for (int books = 0; books < 2; ++books) {
      const TableCodebook codebook = random_codebook();
      const HeadInput head = random_head(codebook, random_magnitude());
      const auto queries = dense(codebook, head.queries, head.tokens);
      std::vector<std::vector<int>> counts(head.tokens, std::vector<int>(head.tokens, 0));
      for (std::uint32_t hashing = 0; hashing < chunked.hashings; ++hashing) {
        const auto hash = make_table(chunked.functions_of(codebook.dimension()), hashing);
        std::vector<std::tuple<std::vector<std::uint64_t>, std::uint64_t>> order;
        for (std::uint64_t token = 0; token < head.tokens; ++token) {
          std::vector<std::uint64_t> code;
          for (std::uint32_t f = 0; f < chunked.functions; ++f)
            code.push_back(hash->value(f, queries[token]));
          order.emplace_back(code, token);
        }
        std::sort(order.begin(), order.end());
        for (std::size_t a = 0; a < order.size(); ++a) {
          for (std::size_t b = 0; b < order.size(); ++b) {
            const std::size_t ca = a / chunked.chunk, cb = b / chunked.chunk;
            const auto& [code, i] = order[a];
            const auto& [other, j] = order[b];
            counts[i][j] += (cb == ca || cb + 1 == ca) && code == other;
          }
        }
      }
      const Rows expected = pairwise(head, [&](std::uint64_t i, std::uint64_t j) -> Wide {
        return chunked.masked && j > i ? 0 : counts[i][j];
      });
      RC_ASSERT(rows_of(attend(*attention, codebook, head), head.tokens) == expected);
    }
  }));
}

TEST(Chunked, LiteralChunks) {
  // One query for all: the order is that of tokens. Chunks of 2: {0, 1}, {2, 3}, {4}.
  const TableCodebook codebook{1, {{1}}};
  HeadInput head{.tokens = 5, .queries = {0, {}}, .keys = {0, {}}, .values = {}};
  head.values = {.tokens = {0, 1, 2, 3, 4},
                 .offsets = {0, 1, 2, 3, 4, 5},
                 .entries = {{0, 1.0}, {0, 3.0}, {0, 8.0}, {0, 16.0}, {0, 32.0}}};
  const Rows open = rows_of(attend(*Chunked{.chunk = 2}.make(), codebook, head), 5);
  const Rows masked = rows_of(attend(*Chunked{.chunk = 2, .masked = true}.make(), codebook, head), 5);
  const auto row = [](double value) { return std::map<std::uint32_t, double>{{0, value}}; };
  EXPECT_EQ(open, (Rows{row(2), row(2), row(7), row(7), row(56 / 3.0)}));
  EXPECT_EQ(masked, (Rows{row(1), row(2), row(4), row(7), row(56 / 3.0)}));
}

// What a token is given depends on no later token, and an earlier one matters: by changing values, keys and queries.
TEST(Mechanisms, CausalOnesSeeNoLaterToken) {
  int causal = 0;
  for (const MechanismInfo* info : mechanisms()) {
    for (const Mechanism& mechanism : info->samples()) {
      if (!mechanism.causal()) continue;
      ++causal;
      const TableCodebook codebook{2, {{3, -1}, {1, 2}, {-2, 2}, {5, 5}}};
      const auto head_of = [](std::uint64_t changed) {
        HeadInput head{.tokens = 9, .queries = {}, .keys = {}, .values = {}};
        for (std::uint64_t t = 0; t < head.tokens; ++t) {
          const Symbol symbol = t == changed ? 3 : t % 3;
          head.queries.listed.push_back({t, symbol});
          head.keys.listed.push_back({t, symbol});
          head.values.tokens.push_back(t);
          head.values.entries.push_back({0, t == changed ? 77.0 : 1.0 + static_cast<double>(t)});
          head.values.offsets.push_back(head.values.entries.size());
        }
        return head;
      };
      const auto attention = mechanism.make();
      const Rows before = rows_of(attend(*attention, codebook, head_of(99)), 9);
      for (std::uint64_t changed = 0; changed < 9; ++changed) {
        const Rows after = rows_of(attend(*attention, codebook, head_of(changed)), 9);
        for (std::uint64_t t = 0; t < changed; ++t) EXPECT_EQ(after[t], before[t]) << info->name;
        EXPECT_NE(after[changed], before[changed]) << info->name;
      }
    }
  }
  EXPECT_GE(causal, 12);
}

// Every defect that is seeded in these files is seen by some oracle here.
TEST(Mechanisms, SeededDefectsAreSeen) {
  if (!kFaultsCompiledIn) GTEST_SKIP() << "a build without defects";
  const TableCodebook codebook{2, {{3, -1}, {1, 2}, {-2, 2}, {5, 5}}};
  HeadInput head{.tokens = 12, .queries = {}, .keys = {}, .values = {}};
  for (std::uint64_t t = 0; t < head.tokens; ++t) {
    head.queries.listed.push_back({t, t * t % 4});
    head.keys.listed.push_back({t, t * (t + 1) % 4});
    head.values.tokens.push_back(t);
    head.values.entries.push_back({0, 1.0 + static_cast<double>(t * t)});
    head.values.offsets.push_back(head.values.entries.size());
  }
  struct Case {
    const char* fault;
    Mechanism mechanism;
  };
  for (const Case& c :
       {Case{"features-without-norm", Performer{4, 1, 8, 1}}, Case{"one-projection", Performer{4, 1, 8, 1}},
        Case{"last-coordinate", Performer{4, 1, 8, 1}}, Case{"mixed-once", Polynomial{3, 1, 1}},
        Case{"one-projection", Polynomial{3, 1, 1}}, Case{"last-coordinate", Polynomial{3, 1, 1}},
        Case{"prefix-without-own", LowRank{2, 4, true}}, Case{"window-too-wide", Window{2, 0.01}},
        Case{"window-too-wide", Softmax{0.01, true}}, Case{"globals-unseen", Window{1, 0.01, 2}},
        Case{"global-sees-window", Window{1, 0.01, 2}}, Case{"chunk-too-large", Chunked{2}},
        Case{"codes-ignored", Chunked{2, 1, 2}}, Case{"one-hashing", Chunked{3, 9, 1, 2}}}) {
    const SparseRows sound = attend(*c.mechanism.make(), codebook, head);
    const FaultSwitch on(c.fault);
    EXPECT_FALSE(equal(attend(*c.mechanism.make(), codebook, head), sound)) << c.fault;
  }
}

}  // namespace
}  // namespace roundtrip::anna
