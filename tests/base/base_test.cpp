// Exact roots, exact rationals, counter-based draws.
#include <gtest/gtest.h>

#include <algorithm>

#include "roundtrip/base/divider.h"
#include "roundtrip/base/error.h"
#include "roundtrip/base/nearest_name.h"
#include "roundtrip/base/quote.h"
#include "roundtrip/base/random.h"
#include "roundtrip/base/rational.h"

namespace roundtrip {
namespace {

TEST(Quote, LeavesNothingThatBreaksALineOrJson) {
  EXPECT_EQ(quote("a'b\\\n\x1b\xe9"), R"('a\x27b\x5c\x0a\x1b\xe9')");
  EXPECT_EQ(quote(std::string(81, 'a')), "'" + std::string(80, 'a') + "..'");
  EXPECT_EQ(quote("abc", 2), "'ab..'");
  const std::string text = "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80\n";
  EXPECT_EQ(valid_utf8(text), text);
  EXPECT_EQ(valid_utf8("caf\xe9 \xe2\x82"), "caf\\xe9 \\xe2\\x82");
  // Longer than need be, a surrogate, above U+10FFFF, a byte that begins nothing.
  EXPECT_EQ(valid_utf8("\xc0\x80"), "\\xc0\\x80");
  EXPECT_EQ(valid_utf8("\xe0\x80\x80"), "\\xe0\\x80\\x80");
  EXPECT_EQ(valid_utf8("\xed\xa0\x80"), "\\xed\\xa0\\x80");
  EXPECT_EQ(valid_utf8("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80");
  EXPECT_EQ(valid_utf8("\xff"), "\\xff");
  EXPECT_EQ(printable("\x1b[31m\n\x7f"), "\\x1b[31m\\x0a\\x7f");
  EXPECT_EQ(printable("\xc2\x9b"
                      "31m \xc2\xa0"),
            "\\xc2\\x9b31m \xc2\xa0");  // the C1 form of ESC [
}

TEST(CeilPower, IsExactWhereFloatingPowIsNot) {
  EXPECT_EQ(ceil_power(1024, Rational(2, 5)), 16u);  // ceil(pow(1024, .4)) is 17
  EXPECT_EQ(ceil_power(1025, Rational(2, 5)), 17u);
  EXPECT_EQ(ceil_power(4096, Rational(1, 3)), 16u);
  EXPECT_EQ(ceil_power(4097, Rational(1, 3)), 17u);
  EXPECT_EQ(ceil_power(1, Rational(1, 2)), 1u);
  EXPECT_EQ(ceil_power(1u << 24, Rational(7, 10)), 114105u);
}

TEST(CeilPower, IsTheLeastIntegerThatReaches) {
  for (std::uint64_t n = 1; n < 3000; ++n) {
    const std::uint64_t root = ceil_power(n, Rational(1, 2));
    EXPECT_TRUE(root * root >= n && (root - 1) * (root - 1) < n) << n;
    const std::uint64_t scaled = ceil_power(n, Rational(1), Rational(2, 3));
    EXPECT_EQ(scaled, ceil_div(2 * n, 3)) << n;
  }
}

TEST(CeilPower, RefusesWhatDoesNotFit) {
  EXPECT_THROW(static_cast<void>(ceil_power(1u << 31, Rational(3))), ContractError);
  EXPECT_THROW(static_cast<void>(ceil_power(2, Rational(-1))), ContractError);
}

TEST(CeilLog, CountsLevels) {
  EXPECT_EQ(ceil_log(2, 1), 0u);
  EXPECT_EQ(ceil_log(2, 2), 1u);
  EXPECT_EQ(ceil_log(2, 3), 2u);
  EXPECT_EQ(ceil_log(10, 1000), 3u);
  EXPECT_EQ(ceil_log(10, 1001), 4u);
}

TEST(Rational, ParsesExactly) {
  EXPECT_EQ(Rational::parse("1/3", "eps"), Rational(1, 3));
  EXPECT_EQ(Rational::parse("0.4", "eps"), Rational(2, 5));
  EXPECT_EQ(Rational::parse(".4", "eps"), Rational(2, 5));
  EXPECT_EQ(Rational::parse("-1.5", "eps"), Rational(-3, 2));
  EXPECT_EQ(Rational::parse("-.5", "eps"), Rational(-1, 2));
  EXPECT_EQ(Rational::parse("6/4", "eps").to_string(), "3/2");
  for (const char* bad : {"", ".", "-", "1/0", "1/-2", "x", "1e3", "1/2/3", "0.1234567890", "1.-5", " 1"}) {
    EXPECT_THROW(static_cast<void>(Rational::parse(bad, "eps")), ContractError) << bad;
  }
}

TEST(Rational, OrdersAndAdds) {
  EXPECT_EQ(Rational(1, 2) + Rational(1, 5), Rational(7, 10));
  EXPECT_LT(Rational(1, 3), Rational(1, 2));
  EXPECT_EQ(Rational(-2, -4), Rational(1, 2));
}

TEST(Draw, IsAPureFunctionWithSeparateDomains) {
  EXPECT_EQ(draw(1, Domain::kHash, 2, 3, 4), draw(1, Domain::kHash, 2, 3, 4));
  EXPECT_NE(draw(1, Domain::kHash, 2, 3, 4), draw(1, Domain::kTest, 2, 3, 4));
  EXPECT_NE(draw(1, Domain::kHash, 2, 3, 4), draw(2, Domain::kHash, 2, 3, 4));
  // Known answer of Philox4x64-10 for the zero counter and key, from Random123's own test vectors.
  EXPECT_EQ(draw(0, Domain{0}, 0), 0x16554d9eca36314cULL);
}

TEST(RandomStream, BelowStaysBelowAndReachesEverything) {
  RandomStream stream(7, Domain::kTest);
  std::uint32_t seen = 0;
  for (int i = 0; i < 1000; ++i) {
    const std::uint64_t value = stream.below(20);
    ASSERT_LT(value, 20u);
    seen |= 1u << value;
  }
  EXPECT_EQ(seen, (1u << 20) - 1);  // misses one of 20 with probability below 20 * .95^1000 < 1e-20
}

TEST(Divider, IsExactAtTheEdgesOfThirtyTwoAndFiftyThreeBits) {
  constexpr std::uint64_t kMax = (std::uint64_t{1} << 53) - 1;
  for (std::uint64_t d : {1ull,
                          2ull,
                          3ull,
                          7ull,
                          641ull,
                          65535ull,
                          65536ull,
                          65537ull,
                          0x7fffffffull,
                          0xfffffffeull,
                          0xffffffffull,
                          0x100000000ull,
                          0x100000001ull,
                          0x300000000ull,
                          0xfffffffffffffull,
                          0x10000000000001ull,
                          0x1fffffffffffffull,
                          0x20000000000001ull,
                          0x8000000000000001ull,
                          0xffffffffffffffffull}) {
    const Divider divider(d);
    EXPECT_EQ(divider.divisor(), d);
    for (const std::uint64_t edge : {std::uint64_t{0}, std::uint64_t{0xffffffff}, kMax}) {
      for (std::uint64_t step = 0; step < 5; ++step) {
        const std::uint64_t multiple = (edge / d - std::min(step, edge / d)) * d;
        for (const std::uint64_t n :
             {multiple, multiple + d - 1, multiple + d, edge - std::min(step, edge)}) {
          ASSERT_TRUE(n > kMax || divider(n) == n / d) << n << " / " << d;
        }
      }
    }
  }
}

TEST(NearestName, CountsInsertionsDeletionsSubstitutionsAndSwaps) {
  const std::vector<std::string> names = {"sum", "sort", "match2", "k_hop"};
  EXPECT_EQ(nearest_name("khop", names), "k_hop");
  EXPECT_EQ(nearest_name("srot", names), "sort");  // one swap; "sum" is three away
  EXPECT_EQ(nearest_name("match", names), "match2");
  EXPECT_EQ(nearest_name("sum", names), "sum");
  EXPECT_EQ(nearest_name("", {}), "");
}

}  // namespace
}  // namespace roundtrip
