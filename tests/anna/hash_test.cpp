// The integer Gaussian, hyperplane codes, and ids that are told apart.
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <numbers>

#include "anna/generators.h"
#include "roundtrip/anna/attention/anna.h"
#include "roundtrip/anna/attention/exact_match.h"
#include "roundtrip/anna/attention/identity.h"
#include "roundtrip/anna/lsh/family.h"
#include "roundtrip/anna/lsh/gaussian.h"
#include "roundtrip/base/error.h"
#include "roundtrip/base/random.h"

namespace roundtrip::anna {
namespace {

TEST(Gaussian, HasTheMomentsAndTailsOfAGaussian) {
  constexpr int kDraws = 1'000'000;
  double sum = 0, square = 0, fourth = 0;
  std::array<int, 4> within = {};
  for (int i = 0; i < kDraws; ++i) {
    const std::int32_t k = gaussian(draw(3, Domain::kTest, i));
    ASSERT_LE(std::abs(k), kGaussianMax);
    const double x = k / static_cast<double>(kGaussianSigma);
    sum += x, square += x * x, fourth += x * x * x * x;
    for (int s = 1; s < 4; ++s) within[s] += std::fabs(x) < s;
  }
  // Six standard errors each: false-alarm rate below 1e-8 in all.
  const double unit = 6 / std::sqrt(static_cast<double>(kDraws));
  EXPECT_NEAR(sum / kDraws, 0, unit);
  EXPECT_NEAR(square / kDraws, 1, unit * std::sqrt(2.0));
  EXPECT_NEAR(fourth / kDraws, 3, unit * std::sqrt(96.0));
  for (int s = 1; s < 4; ++s) {
    const double p = std::erf(s / std::numbers::sqrt2);
    EXPECT_NEAR(within[s] / static_cast<double>(kDraws), p, unit * std::sqrt(p * (1 - p))) << s;
  }
}

TEST(Gaussian, HasTheQuantilesOfTheNormal) {
  // gaussian(2 u) walks the magnitude's quantiles: P(|K| <= k) = 2 Phi((k + 1/2) / sigma) - 1 up to far below
  // 1e-6.
  for (const double p : {0.01, 0.25, 0.5, 0.9, 0.99, 0.999999}) {
    const auto bits = static_cast<std::uint64_t>(std::ldexp(p, 63));
    const std::int32_t k = std::abs(gaussian(2 * bits));
    const double low = std::erf((k - 0.5) / kGaussianSigma / std::numbers::sqrt2);
    const double high = std::erf((k + 0.5) / kGaussianSigma / std::numbers::sqrt2);
    EXPECT_LE(low, p + 1e-9);
    EXPECT_GE(high, p - 1e-9);
  }
  EXPECT_EQ(gaussian(0), 0);
  EXPECT_EQ(gaussian(~std::uint64_t{1}), -gaussian(~std::uint64_t{0}));
  EXPECT_GT(gaussian(~std::uint64_t{1}), 7 * kGaussianSigma);
}

TEST(Gaussian, IsTheSameOnEveryMachine) {
  // A checksum of the whole table as its quantiles show it; computed by integer arithmetic alone, so it may
  // never change.
  std::uint64_t sum = 0;
  for (std::uint64_t i = 0; i < 1u << 16; ++i) {
    sum = sum * 0x9E3779B97F4A7C15u + static_cast<std::uint64_t>(gaussian(i << 48 | (i & 1)));
  }
  EXPECT_EQ(sum, 18220489473941307897u);
}

TEST(Hyperplanes, CollideAtTheRateOfTheAngle) {
  constexpr std::uint32_t kTrials = 40'000;
  constexpr std::uint32_t kDimension = 16;
  struct Case {
    std::vector<std::int32_t> a, b;
  };
  std::vector<std::int32_t> axis(kDimension, 0), ones(kDimension, 1), half(kDimension, 1),
      large(kDimension, 0);
  axis[3] = 1;
  for (std::uint32_t i = 0; i < kDimension / 4; ++i) half[i] = -1;
  large[3] = 2147483647, large[4] = -2147483647 - 1;
  // 1000 functions a table: the most that a table has is 1024.
  constexpr std::uint32_t kFunctions = 1000;
  std::vector<std::uint64_t> code_a(16), code_b(16);
  for (const Case& c :
       {Case{axis, ones}, Case{ones, half}, Case{axis, half}, Case{axis, large}, Case{large, half}}) {
    double ab = 0, aa = 0, bb = 0;
    for (std::uint32_t i = 0; i < kDimension; ++i) {
      ab += double(c.a[i]) * c.b[i], aa += double(c.a[i]) * c.a[i], bb += double(c.b[i]) * c.b[i];
    }
    const double p = 1 - std::acos(ab / std::sqrt(aa * bb)) / std::numbers::pi;
    int equal = 0;
    for (std::uint32_t table = 0; table < kTrials / kFunctions; ++table) {
      const auto hash = make_table({.dimension = kDimension, .functions = kFunctions, .seed = 11}, table);
      hash->code(c.a, code_a);
      hash->code(c.b, code_b);
      for (std::uint32_t f = 0; f < kFunctions; ++f) {
        equal += ((code_a[f / 64] ^ code_b[f / 64]) >> (f % 64) & 1) == 0;
      }
    }
    // Five standard errors: 5 cases, false-alarm rate below 3e-6 in all. Ties of <g, x> = 0 add at most 1e-4.
    EXPECT_NEAR(equal / double(kTrials), p, 5 * std::sqrt(p * (1 - p) / kTrials) + 1e-4);
  }
}

TEST(Hyperplanes, CodesDependOnTheVectorTheTableAndTheSeedAlone) {
  const std::vector<std::int32_t> x = {5, -3, 100};
  const auto code = [&](std::uint64_t seed, std::uint32_t table, std::uint32_t functions) {
    const auto hash = make_table({.dimension = 3, .functions = functions, .seed = seed}, table);
    std::vector<std::uint64_t> out(hash->code_words(), ~std::uint64_t{0});
    hash->code(x, out);
    return out;
  };
  EXPECT_EQ(code(1, 2, 130), code(1, 2, 130));
  EXPECT_NE(code(1, 2, 130), code(1, 3, 130));
  EXPECT_NE(code(1, 2, 130), code(2, 2, 130));
  EXPECT_EQ(code(1, 2, 130)[2] >> 2, 0u) << "bits beyond z are 0";
  std::vector<std::uint64_t> out(1);
  make_table({.dimension = 3, .functions = 5}, 0)->code(std::vector<std::int32_t>{0, 0, 0}, out);
  EXPECT_EQ(out[0], 31u) << "a dot product of 0 counts as positive";
  EXPECT_THROW(make_table({.dimension = 0}, 0), ContractError);
  EXPECT_THROW(make_table({.dimension = (1u << 16) + 1}, 0), ContractError);
}

TEST(IdentityCodebook, IsAFunctionOfItsSeedAndFarApart) {
  const IdentityCodebook ids(2000, 7), same(2000, 7), other(2000, 8);
  std::vector<std::int32_t> a(128), b(128);
  int least = 128;
  for (Symbol i = 0; i < ids.size(); ++i) {
    ids.vector(i, a);
    same.vector(i, b);
    ASSERT_EQ(a, b);
    for (const std::int32_t x : a) ASSERT_TRUE(x == 1 || x == -1);
    for (Symbol j = 0; j < i; ++j) {
      ids.vector(j, b);
      int distance = 0;
      for (int k = 0; k < 128; ++k) distance += a[k] != b[k];
      least = std::min(least, distance);
    }
  }
  EXPECT_GE(least, static_cast<int>(IdentityCodebook::kMinimumDistance));
  EXPECT_EQ(ids.draws(), 1u);
  ids.vector(0, a);
  other.vector(0, b);
  EXPECT_NE(a, b);
  EXPECT_THROW(IdentityCodebook(0, 1), ContractError);
  EXPECT_THROW(IdentityCodebook(IdentityCodebook::kMaxSize + 1, 1), ContractError);
}

TEST(ChooseFunctions, GivesTheLeastNumber) {
  EXPECT_EQ(choose_functions(1u << 10, 128, 1e-6), 43u);
  EXPECT_EQ(choose_functions(1u << 12, 128, 1e-6), 48u);
  EXPECT_EQ(choose_functions(1u << 14, 128, 1e-6), 53u);
  EXPECT_EQ(choose_functions(1u << 16, 128, 1e-6), 58u);
  EXPECT_EQ(choose_functions(1u << 20, 128, 1e-6), 68u);
  EXPECT_EQ(choose_functions(1, 128, 1e-6), 1u);
  EXPECT_THROW(choose_functions(0, 128, 1e-6), ContractError);
  EXPECT_THROW(choose_functions(2, 128, 0), ContractError);
  EXPECT_THROW(choose_functions(2, 128, 1), ContractError);
  EXPECT_THROW(choose_functions(2, 128, std::nan("")), ContractError);
  EXPECT_THROW(choose_functions(2, 0, 0.1), ContractError);
  EXPECT_THROW(choose_functions(~std::uint64_t{0}, 4096, 1e-300), ContractError);
}

// A head in which every token has an id of its own as key and asks for another's.
HeadInput permuting_head(std::uint64_t tokens) {
  HeadInput head;
  head.tokens = tokens;
  for (std::uint64_t t = 0; t < tokens; ++t) {
    head.keys.listed.push_back({t, t});
    head.queries.listed.push_back({t, (t * 5 + 3) % tokens});
    head.values.tokens.push_back(t);
    head.values.entries.push_back({0, double(t + 1)});
    head.values.offsets.push_back(t + 1);
  }
  return head;
}

TEST(VerifiedDraw, MakesOneTableExact) {
  const IdentityCodebook ids(1024, 1);
  const VerifiedDraw verified = verified_draw(ids, choose_functions(ids.size(), 128, 1e-6), 1);
  EXPECT_EQ(verified.parameters.tables, 1u);
  EXPECT_EQ(verified.draws, 1u);  // fails with probability 1e-6, and then always: the seed is fixed
  const HeadInput head = permuting_head(ids.size());
  SparseRows exact, anna;
  make_exact_match()->attend(ids, head, exact);
  make_anna(verified.parameters)->attend(ids, head, anna);
  EXPECT_TRUE(equal(exact, anna));
  ASSERT_EQ(exact.entries.size(), ids.size());
  for (std::uint64_t t = 0; t < ids.size(); ++t)
    EXPECT_EQ(exact.entries[t].value, double((t * 5 + 3) % 1024 + 1));
}

TEST(VerifiedDraw, NoticesFunctionsThatAreTooFew) {
  const IdentityCodebook ids(1024, 1);
  EXPECT_THROW(verified_draw(ids, 9, 1), ContractError);  // 2^9 codes for 1024 ids
  const HeadInput head = permuting_head(ids.size());
  SparseRows exact, anna;
  make_exact_match()->attend(ids, head, exact);
  make_anna({.tables = 1, .functions = 9, .seed = 1})->attend(ids, head, anna);
  EXPECT_FALSE(equal(exact, anna)) << "and with them ANNA is not exact match";
  // At z = 20 about half of 2^19 pairs / 2^20 share a code: some draws are rejected, and the accepted one is
  // exact.
  const VerifiedDraw verified = verified_draw(ids, 20, 1, 64);
  make_anna(verified.parameters)->attend(ids, head, anna);
  EXPECT_TRUE(equal(exact, anna));
  const VerifiedDraw duplicates = verified_draw(TableCodebook(1, {{1}, {1}, {-1}}), 1, 1, 64);
  EXPECT_GE(duplicates.draws, 1u);  // equal vectors share a code rightly
}

}  // namespace
}  // namespace roundtrip::anna
