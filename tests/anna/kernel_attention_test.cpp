// Softmax and low-rank attention for models, pair by pair against their formulas.
#include "roundtrip/anna/attention/kernel_attention.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "anna/generators.h"
#include "roundtrip/base/error.h"

namespace roundtrip::anna {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;
__extension__ using Wide = __int128;

// [tokens] vectors of queries or keys.
std::vector<std::vector<std::int32_t>> dense(const Codebook& codebook, const Points& points,
                                             std::uint64_t tokens) {
  std::vector<Symbol> symbols(tokens, points.default_symbol);
  for (const TokenSymbol& point : points.listed) symbols[point.token] = point.symbol;
  std::vector<std::vector<std::int32_t>> out;
  for (const Symbol symbol : symbols) {
    out.emplace_back(codebook.dimension());
    codebook.vector(symbol, out.back());
  }
  return out;
}

using Rows = std::vector<std::map<std::uint32_t, double>>;  // [tokens], nonzero entries

Rows rows_of(const SparseRows& rows, std::uint64_t tokens) {
  Rows out(tokens);
  for (std::size_t i = 0; i < rows.tokens.size(); ++i) {
    for (const Entry& entry : rows.row(i)) out[rows.tokens[i]][entry.column] = entry.value;
  }
  return out;
}

TEST(Exponential, IsThatOfTheFormula) {
  EXPECT_EQ(exponential(0), 1);
  EXPECT_EQ(exponential(-1e300), 0);
  EXPECT_EQ(exponential(-HUGE_VAL), 0);
  for (int i = 0; i < 100000; ++i) {
    const double x = -i * 0.00707, expected = static_cast<double>(std::exp(static_cast<long double>(x)));
    ASSERT_NEAR(exponential(x) / expected, 1, 0x1p-51) << x;
  }
}

TEST(ModelSoftmax, EqualsItsFormula) {
  EXPECT_TRUE(rc::check([] {
    const TableCodebook codebook = random_codebook();
    const HeadInput head = random_head(codebook, *rc::gen::element(3.0, 9007199254740991.0));
    RC_PRE(head.tokens > 0);
    const double scale = *rc::gen::element(0.0, 1e-3, -0.02, 0.5, 1e6);
    SparseRows out;
    make_model_softmax(scale)->attend(codebook, head, out);
    const std::uint64_t n = head.tokens;
    const Rows got = rows_of(out, n), values = rows_of(head.values, n);
    const auto queries = dense(codebook, head.queries, n), keys = dense(codebook, head.keys, n);
    for (std::uint64_t i = 0; i < n; ++i) {
      std::vector<long double> scores;  // integers below 2^64: exact
      for (const auto& key : keys) {
        scores.push_back(0);
        for (std::size_t x = 0; x < key.size(); ++x)
          scores.back() += static_cast<long double>(key[x]) * queries[i][x];
      }
      const long double top = scale < 0 ? *std::min_element(scores.begin(), scores.end())
                                        : *std::max_element(scores.begin(), scores.end());
      std::map<std::uint32_t, std::pair<long double, long double>> sums;  // and the largest magnitude
      long double norm = 0;
      for (std::uint64_t j = 0; j < n; ++j) {
        const long double weight = std::exp(scale * (scores[j] - top));
        norm += weight;
        for (const auto& [column, value] : values[j])
          sums[column].first += weight * value,
              sums[column].second = std::max(sums[column].second, std::fabs(static_cast<long double>(value)));
      }
      for (const auto& [column, sum] : sums) {
        const auto found = got[i].find(column);
        const double value = found == got[i].end() ? 0 : found->second;
        RC_ASSERT(std::fabs(value - sum.first / norm) <= 0x1p-40L * sum.second);
      }
      for (const auto& entry : got[i]) RC_ASSERT(sums.count(entry.first) == 1);
    }
  }));
}

TEST(ModelLowRank, EqualsItsPairwiseKernelBitForBit) {
  EXPECT_TRUE(rc::check([] {
    const TableCodebook codebook = random_codebook();
    // 2^31 in 4 coordinates: features below 2^35; with values of 10 bits all fits 126.
    const HeadInput head = random_head(codebook, 1000);
    RC_PRE(head.tokens > 0);
    const auto rank = *rc::gen::element(1u, 2u, 9u);
    const auto seed = *rc::gen::arbitrary<std::uint64_t>();
    SparseRows out;
    make_model_low_rank(rank, seed)->attend(codebook, head, out);
    const std::uint64_t n = head.tokens;
    const Rows got = rows_of(out, n), values = rows_of(head.values, n);
    const PositiveFeatures features(rank, seed, codebook.dimension());
    const auto phi = [&](const Points& points) {
      std::vector<std::vector<std::int64_t>> all;
      for (const auto& x : dense(codebook, points, n)) {
        all.emplace_back(rank);
        features.of(x, all.back());
      }
      return all;
    };
    const auto queries = phi(head.queries), keys = phi(head.keys);
    for (std::uint64_t i = 0; i < n; ++i) {
      Wide norm = 0;
      std::map<std::uint32_t, Wide> sums;
      for (std::uint64_t j = 0; j < n; ++j) {
        Wide kernel = 0;
        for (std::uint32_t r = 0; r < rank; ++r) kernel += static_cast<Wide>(queries[i][r]) * keys[j][r];
        RC_ASSERT(kernel > 0);
        norm += kernel;
        for (const auto& [column, value] : values[j]) sums[column] += kernel * static_cast<Wide>(value);
      }
      std::map<std::uint32_t, double> expected;
      for (const auto& [column, sum] : sums) {
        if (sum != 0) expected[column] = static_cast<double>(sum) / static_cast<double>(norm);
      }
      RC_ASSERT(got[i] == expected);
    }
  }));
}

TEST(PositiveFeatures, ArePositiveRoundedProjections) {
  const PositiveFeatures features(4000, 5, 3);
  std::vector<std::int64_t> phi(4000), opposite(4000), zero(4000), doubled(4000);
  features.of(std::vector<std::int32_t>{3000, -4000, 12000}, phi);  // norm 13000
  features.of(std::vector<std::int32_t>{-3000, 4000, -12000}, opposite);
  features.of(std::vector<std::int32_t>{0, 0, 0}, zero);
  EXPECT_EQ(zero, std::vector<std::int64_t>(4000, 1));
  double mean = 0;
  for (std::size_t r = 0; r < phi.size(); ++r) {
    EXPECT_TRUE(phi[r] >= 1 && opposite[r] >= 1);
    EXPECT_TRUE(phi[r] == 1 || opposite[r] == 1);
    mean += static_cast<double>(phi[r]) / 4000;
  }
  // E max(0, 13000 g) = 13000 / sqrt(2 pi) = 5186; standard deviation 7590, of the mean 120.
  EXPECT_NEAR(mean, 5186, 5 * 120);
  // 2^31 in every coordinate stays exact.
  const PositiveFeatures wide(1, 5, 65536);
  std::int64_t one = 0;
  wide.of(std::vector<std::int32_t>(65536, INT32_MIN), {&one, 1});
  EXPECT_GE(one, 1);
}

TEST(KernelAttention, RefusesByName) {
  EXPECT_THAT([] { make_model_softmax(std::nan("")); },
              ThrowsMessage<ContractError>(HasSubstr("scale is nan")));
  EXPECT_THAT([] { make_model_low_rank(0, 1); }, ThrowsMessage<ContractError>(HasSubstr("rank is 0")));
  EXPECT_THAT([] { PositiveFeatures(65536, 1, 65536); },
              ThrowsMessage<ContractError>(HasSubstr("above 2^28")));
  class Long final : public Codebook {
   public:
    std::uint32_t dimension() const override { return 4096; }
    Symbol size() const override { return 2; }
    void vector(Symbol symbol, std::span<std::int32_t> out) const override {
      std::fill(out.begin(), out.end(), symbol == 0 ? INT32_MAX : INT32_MIN);
    }
  } codebook;
  SparseRows out;
  HeadInput none;
  EXPECT_THAT([&] { make_model_softmax(1)->attend(codebook, none, out); },
              ThrowsMessage<ContractError>(HasSubstr("no tokens")));
  HeadInput head;
  head.tokens = 1 << 20;
  head.values = {.tokens = {0}, .offsets = {0, 1}, .entries = {{0, 9007199254740991.0}}};
  EXPECT_THAT([&] { make_model_low_rank(64, 1)->attend(codebook, head, out); },
              ThrowsMessage<ContractError>(HasSubstr("126 are allowed")));
  // The same extremes under softmax: scores of 2^74 and their differences.
  head.tokens = 2;
  head.keys.listed = {{1, 1}};
  make_model_softmax(1)->attend(codebook, head, out);
  EXPECT_EQ(rows_of(out, 2)[0], (std::map<std::uint32_t, double>{{0, 9007199254740991.0}}));
}

}  // namespace
}  // namespace roundtrip::anna
