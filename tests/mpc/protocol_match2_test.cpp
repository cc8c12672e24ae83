#include <rapidcheck.h>

#include <algorithm>

#include "mpc/formula_sort.h"
#include "mpc/protocol_case.h"
#include "roundtrip/base/error.h"
#include "roundtrip/mpc/protocols/library.h"

namespace roundtrip::mpc {
namespace {

using testing::CaseResult;
using testing::formula_b;
using testing::formula_plan;
using testing::formula_t_sort;
using testing::parameters_of;
using testing::random_values;
using testing::run_case;
using testing::shaken;

Outputs by_definition(const Values& x, std::int64_t modulus) {
  Outputs outputs;
  for (const std::int64_t a : x) {
    const bool found = std::ranges::any_of(x, [&](std::int64_t b) { return (a + b) % modulus == 0; });
    outputs.push_back(found ? 1 : 0);
  }
  return outputs;
}

long log_up(long base, long value) {
  long exponent = 0;
  for (long reach = 1; reach < value; reach *= base) ++exponent;
  return exponent;
}

/// The card's formula, for the default kappas and sizes at which nothing is raised.
long formula_rounds(long n, long num, long den, long modulus) {
  const auto up = [](long a, long b) { return (a + b - 1) / b; };
  const long b = formula_b(n, num, den);
  const long w = up(modulus, 48);
  if (2 * w <= b || modulus <= 48) return 2 * (n <= b ? 0 : log_up((2 * b - b) / w, up(n, b))) + 1;
  long kappa = 8;
  while (formula_t_sort(2 * n, 2, kappa * b) < 0) ++kappa;
  const long s = kappa * b;
  const auto sort = formula_plan(2 * n, 2, s);
  return sort.T + 2 * log_up((s - 2 * sort.B) / 2, sort.M) + 2;
}

void expect_matches(std::uint64_t n, std::int64_t modulus, Rational epsilon, const Values& values,
                    const Outputs& expected) {
  SCOPED_TRACE(fmt::format("N = {}, M = {}, eps = {}", n, modulus, epsilon.to_string()));
  Parameters parameters = parameters_of(n, epsilon);
  parameters.options["M"] = std::to_string(modulus);
  const CaseResult result = run_case("match2", parameters, values);
  ASSERT_EQ(result.outputs, expected);
  ASSERT_EQ(result.shape.rounds,
            formula_rounds(static_cast<long>(n), epsilon.numerator(), epsilon.denominator(), modulus));
  ASSERT_EQ(match2_rounds(parameters), result.shape.rounds);
}

TEST(Match2, SmallCasesAgreeWithTheDefinition) {
  for (const std::uint64_t n : {1, 2, 3, 4, 7, 16, 33, 100, 300}) {
    for (const std::int64_t modulus : {1, 2, 3, 37, 48, 49, 97, 1000, 100000}) {
      const Values values =
          random_values(n, -3 * modulus, 3 * modulus, n + static_cast<std::uint64_t>(modulus));
      expect_matches(n, modulus, {1, 2}, values, by_definition(values, modulus));
    }
  }
}

TEST(Match2, AnyShapeProperty) {
  EXPECT_TRUE(rc::check([] {
    const auto n = *rc::gen::inRange<std::uint64_t>(1, 1500);
    const auto bits = *rc::gen::inRange(0, 46);
    const auto modulus =
        (std::int64_t{1} << bits) + *rc::gen::inRange<std::int64_t>(0, std::int64_t{1} << bits);
    const Rational epsilon(*rc::gen::inRange(2, 9), 10);
    const std::int64_t half = std::int64_t{1} << 47;
    Values values = random_values(n, -half, half - 1, *rc::gen::arbitrary<std::uint64_t>());
    // Counterparts of some, or else large moduli have none.
    for (std::size_t i = 0; i + 1 < n; i += 3)
      values[i + 1] = i % 2 == 0 ? -values[i] % modulus : values[i] / 2;
    const Outputs expected = by_definition(values, modulus);
    Parameters parameters = parameters_of(n, epsilon);
    parameters.options["M"] = std::to_string(modulus);
    RC_ASSERT(find_protocol("match2").oracle(values, parameters) == expected);
    expect_matches(n, modulus, epsilon, values, expected);
    RC_ASSERT(!::testing::Test::HasFatalFailure());
  }));
}

TEST(Match2, PowersOfTwoAndTheirNeighbours) {
  for (int bits = 8; bits <= 16; ++bits) {
    for (const std::uint64_t n : {(1u << bits) - 1, 1u << bits, (1u << bits) + 1}) {
      for (const std::int64_t modulus : {std::int64_t{37}, static_cast<std::int64_t>(n) * 3}) {
        const Values values = random_values(n, 0, modulus - 1, n);
        Parameters parameters = parameters_of(n);
        parameters.options["M"] = std::to_string(modulus);
        expect_matches(n, modulus, {1, 2}, values, find_protocol("match2").oracle(values, parameters));
      }
    }
  }
}

TEST(Match2, ExtremeData) {
  const std::int64_t big = (std::int64_t{1} << 46) - 1;
  for (const std::int64_t modulus : {std::int64_t{37}, std::int64_t{4096}, big}) {
    for (const std::int64_t value : {std::int64_t{0}, std::int64_t{1}, modulus / 2, modulus - 1, -modulus}) {
      const Values equal(500, value);
      expect_matches(500, modulus, {1, 2}, equal, by_definition(equal, modulus));
      Values pair(500, value);
      pair[499] = -value;  // one counterpart of all, far away
      expect_matches(500, modulus, {1, 2}, pair, by_definition(pair, modulus));
      pair[499] = value;
      pair[0] = -value;
      expect_matches(500, modulus, {1, 2}, pair, by_definition(pair, modulus));
    }
  }
}

TEST(Match2, RandomOrderAndRebuiltProtocolChangeNothing) {
  for (const char* modulus : {"37", "5000"}) {
    Parameters parameters = parameters_of(600);
    parameters.options["M"] = modulus;
    const Values values = random_values(600, 0, 5000, 3);
    const CaseResult plain = run_case("match2", parameters, values);
    const CaseResult shuffled = run_case("match2", parameters, values, shaken("match2", parameters, 9));
    EXPECT_EQ(plain.run.outputs, shuffled.run.outputs);
    EXPECT_EQ(plain.run.ledger, shuffled.run.ledger);
    const RoundFacts facts = plain.run.ledger.overall();
    RunOptions options;
    options.limit_words = std::max(facts.max_words_sent, facts.max_words_received) - 1;
    EXPECT_THROW(run_case("match2", parameters, values, options), ModelViolation);
  }
}

TEST(Match2, GeneratesResidues) {
  Parameters parameters = parameters_of(1000);
  parameters.options["M"] = "11";
  const Values values = find_protocol("match2").generate(parameters);
  EXPECT_EQ(values.size(), 1000u);
  EXPECT_EQ(*std::ranges::min_element(values), 0);
  EXPECT_EQ(*std::ranges::max_element(values), 10);
}

TEST(Match2, RefusesWhatItCannotServe) {
  Parameters parameters = parameters_of(100);
  for (const char* modulus : {"0", "-3", "x", "70368744177665"}) {
    parameters.options["M"] = modulus;
    EXPECT_THROW(find_protocol("match2").make(parameters), ContractError) << modulus;
  }
}

}  // namespace
}  // namespace roundtrip::mpc
