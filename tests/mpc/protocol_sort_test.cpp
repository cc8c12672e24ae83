#include <rapidcheck.h>

#include <algorithm>
#include <numeric>

#include "mpc/formula_sort.h"
#include "mpc/protocol_case.h"
#include "roundtrip/base/error.h"
#include "roundtrip/mpc/protocols/library.h"
#include "roundtrip/mpc/stages/sort_plan.h"

namespace roundtrip::mpc {
namespace {

using testing::CaseResult;
using testing::formula_sort;
using testing::formula_t_sort;
using testing::parameters_of;
using testing::random_values;
using testing::run_case;
using testing::shaken;

constexpr std::int64_t kHalf = std::int64_t{1} << 47;

enum Kind { kSorted, kReversed, kEqual, kRandom, kOrganPipe, kTies, kClustered, kRuns, kKinds };

Values data(Kind kind, std::uint64_t n, std::uint64_t seed) {
  Values values = random_values(n, -kHalf, kHalf - 1, seed);
  const auto at = [&](auto f) {
    for (std::uint64_t i = 0; i < n; ++i) values[i] = f(static_cast<std::int64_t>(i));
  };
  const auto size = static_cast<std::int64_t>(n);
  switch (kind) {
    case kSorted:
      std::ranges::sort(values);
      break;
    case kReversed:
      std::ranges::sort(values, std::greater<>{});
      break;
    case kEqual:
      at([](std::int64_t) { return -3; });
      break;
    case kOrganPipe:
      at([size](std::int64_t i) { return std::min(i, size - i); });
      break;
    case kTies:
      values = random_values(n, 0, 3, seed);
      break;
    case kClustered:  // nearly all words lie in two far and dense heaps of different size
      at([&](std::int64_t i) {
        return i % 17 == 0 ? values[static_cast<std::size_t>(i)] : i % 3 == 0 ? i - kHalf : i / 7;
      });
      break;
    case kRuns:
      at([](std::int64_t i) { return i * 7919 % 64 * 1000 + i / 64; });
      break;
    case kRandom:
    case kKinds:
      break;
  }
  return values;
}

void expect_sorted(std::uint64_t n, Rational epsilon, std::uint64_t kappa, Kind kind, std::uint64_t seed) {
  SCOPED_TRACE(
      fmt::format("N = {}, eps = {}, kappa = {}, data {}", n, epsilon.to_string(), kappa, int{kind}));
  Parameters parameters = parameters_of(n, epsilon);
  parameters.kappa_s = kappa;
  Values values = data(kind, n, seed);
  const CaseResult result = run_case("sort", parameters, values);
  std::ranges::sort(values);
  ASSERT_TRUE(
      std::ranges::equal(result.outputs, values, [](const auto& a, std::int64_t b) { return a == b; }));
  const auto formula = formula_sort(static_cast<long>(n), epsilon.numerator(), epsilon.denominator(),
                                    static_cast<long>(kappa));
  ASSERT_EQ(result.shape.kappa_s, static_cast<std::uint64_t>(formula.kappa));
  ASSERT_EQ(result.shape.kappa_raised, static_cast<std::uint64_t>(formula.kappa) > kappa);
  const bool spread = n > static_cast<std::uint64_t>(formula.b);
  const long rounds = formula.t > 0 ? 1 + formula.t : spread ? 2 : 1;
  ASSERT_EQ(result.shape.rounds, rounds);
  ASSERT_EQ(result.run.ledger.rounds.size(), static_cast<std::size_t>(rounds));
  ASSERT_EQ(sort_rounds(parameters), rounds);
}

TEST(SortPlan, HasTheLiteralValues) {
  const auto t = [](std::uint64_t n, std::uint64_t kappa, Rational epsilon) {
    return plan_sort(n, 3, kappa * ceil_power(n, epsilon))->rounds;
  };
  const std::vector<std::pair<int, std::uint32_t>> eight = {{8, 48},  {10, 29}, {12, 25},
                                                            {14, 25}, {16, 24}, {20, 24}};
  for (const auto& [bits, rounds] : eight) EXPECT_EQ(t(1u << bits, 8, {1, 2}), rounds) << bits;
  for (int bits = 8; bits <= 24; bits += 2) EXPECT_EQ(t(1u << bits, 16, {1, 2}), 16u) << bits;
  const std::vector<std::uint32_t> two_fifths = {30, 29, 29, 29, 29, 29};
  const std::vector<std::uint32_t> three_fifths = {16, 16, 12, 12, 12, 12};
  const std::vector<int> sizes = {8, 10, 12, 14, 16, 20};
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    EXPECT_EQ(t(1u << sizes[i], 16, {2, 5}), two_fifths[i]) << sizes[i];
    EXPECT_EQ(t(1u << sizes[i], 8, {3, 5}), three_fifths[i]) << sizes[i];
  }
  const std::vector<std::uint32_t> doubled = {87, 42, 29, 29, 25, 25};  // n = 2N at kappa = 8
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    EXPECT_EQ(plan_sort(2u << sizes[i], 3, 8u << sizes[i] / 2)->rounds, doubled[i]) << sizes[i];
    EXPECT_EQ(plan_sort(2u << sizes[i], 3, 16u << sizes[i] / 2)->rounds, i == 0 ? 25u : 16u) << sizes[i];
  }
}

TEST(SortPlan, EqualsTheFormulaInTheTests) {
  EXPECT_TRUE(rc::check([] {
    const auto n = *rc::gen::inRange<long>(1, 200000);
    const auto w = *rc::gen::inRange<long>(3, 9);
    const auto wk = *rc::gen::inRange<long>(2, w);
    const auto s = *rc::gen::inRange<long>(1, 6000);
    const auto plan = plan_sort(static_cast<std::uint64_t>(n), static_cast<std::uint64_t>(w),
                                static_cast<std::uint64_t>(s), static_cast<std::uint64_t>(wk));
    RC_ASSERT((plan ? static_cast<long>(plan->rounds) : -1) == formula_t_sort(n, w, s, wk));
  }));
}

TEST(Sort, TinySizes) {
  for (std::uint64_t n = 1; n <= 70; ++n) {
    for (const std::uint64_t kappa : {1, 2, 4, 6, 8, 16}) {
      expect_sorted(n, {1, 2}, kappa, static_cast<Kind>(n % kKinds), n);
      expect_sorted(n, {1, 3}, kappa, kRandom, n);
      expect_sorted(n, {5, 6}, kappa, kRandom, n);
    }
  }
}

TEST(Sort, PowersOfTwoAndTheirNeighbours) {
  for (int bits = 8; bits <= 16; ++bits) {
    for (const std::uint64_t n : {(1u << bits) - 1, 1u << bits, (1u << bits) + 1}) {
      for (const Kind kind : {kSorted, kReversed, kEqual, kRandom}) {
        if (bits > 13 && kind != static_cast<Kind>(n % 4))
          continue;  // time: each kind is met at large sizes too
        expect_sorted(n, {1, 2}, 8, kind, n);
      }
      expect_sorted(n, {1, 2}, 16, static_cast<Kind>(n % 4), n);
    }
  }
}

TEST(Sort, SeededSizes) {
  RandomStream stream(20, Domain::kTest);
  for (int i = 0; i < 50; ++i) {
    const std::uint64_t n = 256 + stream.below((1u << (8 + i % 9)) - 255);
    expect_sorted(n, {1, 2}, 8, static_cast<Kind>(i % kKinds), n);
  }
}

TEST(Sort, OtherExponentsAndAdversarialData) {
  const Rational exponents[] = {{1, 3}, {2, 5}, {3, 5}, {2, 3}, {1, 4}};
  for (const Rational& epsilon : exponents) {
    for (int kind = 0; kind < kKinds; ++kind) {
      expect_sorted(1000 + 37u * static_cast<std::uint64_t>(kind), epsilon, 8, static_cast<Kind>(kind), 5);
      expect_sorted(4096, epsilon, 16, static_cast<Kind>(kind), 6);
      expect_sorted(2187, epsilon, 3, static_cast<Kind>(kind), 7);
    }
  }
}

TEST(Sort, AnyShapeProperty) {
  EXPECT_TRUE(rc::check([] {
    const auto n = *rc::gen::inRange<std::uint64_t>(1, 3000);
    const auto numerator = *rc::gen::inRange(2, 10);
    const auto kappa = *rc::gen::inRange<std::uint64_t>(1, 20);
    const auto kind = *rc::gen::inRange(0, int{kKinds});
    expect_sorted(n, Rational(numerator, 10), kappa, static_cast<Kind>(kind), n);
    RC_ASSERT(!::testing::Test::HasFatalFailure());
  }));
}

TEST(Sort, Records) {
  EXPECT_TRUE(rc::check([] {
    const auto width = *rc::gen::inRange<std::uint64_t>(1, 9);
    const auto count = *rc::gen::inRange<std::uint64_t>(1, 500);
    Parameters parameters = parameters_of(count * width, Rational(*rc::gen::inRange(3, 9), 10));
    parameters.options["record"] = std::to_string(width);
    // Few keys: ties must keep their order, with whatever they carry.
    Values values = random_values(parameters.n, -kHalf, kHalf - 1, *rc::gen::arbitrary<std::uint64_t>());
    for (std::size_t i = 0; i < values.size(); i += width) values[i] %= 7;
    std::vector<Values> records;
    for (auto at = values.begin(); at != values.end(); at += static_cast<std::ptrdiff_t>(width))
      records.emplace_back(at, at + static_cast<std::ptrdiff_t>(width));
    std::ranges::stable_sort(records, {}, [](const Values& record) { return record[0]; });
    Outputs expected;
    for (const Values& record : records) expected.insert(expected.end(), record.begin(), record.end());
    const CaseResult result = run_case("sort", parameters, values);
    RC_ASSERT(result.outputs == expected);
    RC_ASSERT(find_protocol("sort").oracle(values, parameters) == expected);
    const long t = formula_t_sort(static_cast<long>(count), static_cast<long>(width) + 2,
                                  static_cast<long>(result.shape.memory_words));
    RC_ASSERT(result.shape.rounds == (t > 0 ? 1 + t : parameters.n > result.shape.block_words ? 2 : 1));
    RC_ASSERT(sort_rounds(parameters) == result.shape.rounds);
  }));
  for (const char* width : {"0", "3", "65", "x"}) {  // of 1024 words
    Parameters parameters = parameters_of(1024);
    parameters.options["record"] = width;
    EXPECT_THROW(find_protocol("sort").make(parameters), ContractError) << width;
  }
}

TEST(Sort, RandomOrderAndRebuiltProtocolChangeNothing) {
  const Parameters parameters = parameters_of(1000);
  const Values values = data(kTies, 1000, 3);
  const CaseResult plain = run_case("sort", parameters, values);
  const CaseResult shuffled = run_case("sort", parameters, values, shaken("sort", parameters, 9));
  EXPECT_EQ(plain.run.outputs, shuffled.run.outputs);
  EXPECT_EQ(plain.run.ledger, shuffled.run.ledger);
}

TEST(Sort, RoundsAndLedgerShapeDoNotDependOnData) {
  for (const Kind kind : {kSorted, kReversed, kEqual, kClustered}) {
    EXPECT_EQ(run_case("sort", parameters_of(1024), data(kind, 1024, 1)).run.ledger.rounds.size(), 30u);
  }
}

TEST(Sort, OneWordLessBreaksTheLimit) {
  const Parameters parameters = parameters_of(1024);
  const Values values = data(kRandom, 1024, 4);
  const RoundFacts facts = run_case("sort", parameters, values).run.ledger.overall();
  const std::uint64_t most = std::max(facts.max_words_sent, facts.max_words_received);
  RunOptions options;
  options.limit_words = most;
  EXPECT_NO_THROW(run_case("sort", parameters, values, options));
  options.limit_words = most - 1;
  try {
    run_case("sort", parameters, values, options);
    FAIL();
  } catch (const ModelViolation& violation) {
    EXPECT_EQ(violation.facts().used, most);
    EXPECT_EQ(violation.facts().allowed, most - 1);
    EXPECT_GE(violation.facts().round, 1u);
    EXPECT_LE(violation.facts().round, 30u);
    EXPECT_LT(violation.facts().machine, 32u);
  }
}

TEST(Sort, RefusesWhatItCannotServe) {
  Parameters parameters = parameters_of(1024);
  parameters.machines = 31;
  EXPECT_THROW(find_protocol("sort").make(parameters), ContractError);
  parameters.machines = 40;
  EXPECT_EQ(find_protocol("sort").make(parameters)->shape().machines, 40u);
  parameters.machines.reset();
  parameters.memory_words = 20;  // b = 2: no plan with s = 16
  EXPECT_THROW(find_protocol("sort").make(parameters), ContractError);
}

}  // namespace
}  // namespace roundtrip::mpc
