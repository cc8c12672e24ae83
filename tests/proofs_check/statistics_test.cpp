// Exact intervals, slopes and the judge, against literal values.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <array>
#include <cmath>
#include <limits>

#include "roundtrip/base/error.h"
#include "roundtrip/proofs_check/check.h"
#include "roundtrip/proofs_check/statistics.h"

namespace roundtrip::proofs_check {
namespace {

TEST(ClopperPearson, HasTheTabulatedEnds) {
  // Two-sided 95% intervals as printed by R's binom.test.
  const Interval none = clopper_pearson(0, 100, 0.05);
  EXPECT_EQ(none.low, 0);
  EXPECT_NEAR(none.high, 0.03621669, 1e-8);
  const Interval few = clopper_pearson(5, 50, 0.05);
  EXPECT_NEAR(few.low, 0.03327509, 1e-8);
  EXPECT_NEAR(few.high, 0.21813537, 1e-8);
  const Interval all = clopper_pearson(10, 10, 0.05);
  EXPECT_NEAR(all.low, 0.69150289, 1e-8);
  EXPECT_EQ(all.high, 1);
}

TEST(ClopperPearson, CoversAtLeastAsOftenAsItSays) {
  // Exact coverage by summing the binomial distribution, no sampling.
  constexpr int kTrials = 30;
  constexpr double kAlarm = 0.1;
  for (const double p : {0.01, 0.1, 0.37, 0.5, 0.93}) {
    double covered = 0;
    for (int k = 0; k <= kTrials; ++k) {
      const Interval interval = clopper_pearson(k, kTrials, kAlarm);
      const double mass =
          std::exp(std::lgamma(kTrials + 1.0) - std::lgamma(k + 1.0) - std::lgamma(kTrials - k + 1.0) +
                   k * std::log(p) + (kTrials - k) * std::log1p(-p));
      if (interval.low <= p && p <= interval.high) covered += mass;
    }
    EXPECT_GE(covered, 1 - kAlarm) << p;
    EXPECT_LT(covered, 1) << p;
  }
}

TEST(ClopperPearson, RefusesWhatIsNoExperiment) {
  EXPECT_THROW(clopper_pearson(0, 0, 0.05), ContractError);
  EXPECT_THROW(clopper_pearson(3, 2, 0.05), ContractError);
  EXPECT_THROW(clopper_pearson(1, 2, 0), ContractError);
  EXPECT_THROW(clopper_pearson(1, 2, 1), ContractError);
}

TEST(TrialsToProve, IsTheLeastNumberThatDoes) {
  EXPECT_EQ(trials_to_prove(0.01, 0.05), 368u);  // ln(0.025) / ln(0.99) = 367.04
  for (const double eta : {0.3, 0.01, 1e-4}) {
    for (const double alarm : {0.1, 1e-5}) {
      const std::uint64_t n = trials_to_prove(eta, alarm);
      EXPECT_LE(clopper_pearson(0, n, alarm).high, eta);
      EXPECT_GT(clopper_pearson(0, n - 1, alarm).high, eta);
    }
  }
}

TEST(RatioSlope, IsTheTextbookRegression) {
  // ln n = 0 1 2 3, ln ratio = 1 3 2 5: slope 1.1, residual sum 2.7, standard error sqrt(2.7 / 2 / 5) =
  // 0.519615, and the two-sided 95% Student quantile at 2 degrees of freedom is 4.302653.
  const double e = std::exp(1.0);
  const std::array<double, 4> n{1, e, e * e, e * e * e};
  const std::array<double, 4> ratio{e, e * e * e, e * e, std::exp(5.0)};
  const Slope slope = ratio_slope(n, ratio, 0.05);
  EXPECT_NEAR(slope.slope, 1.1, 1e-12);
  EXPECT_NEAR(slope.interval.low, 1.1 - 4.302653 * 0.519615, 1e-5);
  EXPECT_NEAR(slope.interval.high, 1.1 + 4.302653 * 0.519615, 1e-5);
}

TEST(RatioSlope, OfAnExactFormulaIsExactlyZero) {
  const std::array<double, 3> n{1024, 4096, 16384};
  const std::array<double, 3> ratio{1, 1, 1};
  EXPECT_EQ(ratio_slope(n, ratio, 1e-3).interval, (Interval{0, 0}));
  EXPECT_THROW(ratio_slope(std::span(n).first(2), std::span(ratio).first(2), 1e-3), ContractError);
  const std::array<double, 3> same{8, 8, 8};
  EXPECT_THROW(ratio_slope(same, ratio, 1e-3), ContractError);
}

const Configuration kInRange{.theorem = "t", .n = 1024};
const Configuration kBelow{.theorem = "t", .n = 1024, .below_range = true};

TEST(Compare, JudgesEveryRelation) {
  EXPECT_EQ(compare(kInRange, "q", 5, Relation::kAtMost, 5).verdict, Verdict::kVerified);
  EXPECT_EQ(compare(kInRange, "q", 6, Relation::kAtMost, 5).verdict, Verdict::kRefuted);
  EXPECT_EQ(compare(kInRange, "q", 5, Relation::kAtLeast, 5).verdict, Verdict::kVerified);
  EXPECT_EQ(compare(kInRange, "q", 4, Relation::kAtLeast, 5).verdict, Verdict::kRefuted);
  EXPECT_EQ(compare(kInRange, "q", 5, Relation::kEqual, 5).verdict, Verdict::kVerified);
  EXPECT_EQ(compare(kInRange, "q", 4, Relation::kEqual, 5).verdict, Verdict::kRefuted);
}

TEST(Compare, CountsNoBoundBelowRangeAsEvidence) {
  EXPECT_EQ(compare(kBelow, "q", 5, Relation::kAtMost, 5).verdict, Verdict::kInconclusive);
  EXPECT_EQ(compare(kBelow, "q", 6, Relation::kAtMost, 5).verdict, Verdict::kRefuted);
  EXPECT_EQ(compare(kBelow, "q", 5, Relation::kEqual, 5).verdict, Verdict::kVerified);
  EXPECT_EQ(compare_interval(kBelow, "q", 0, {0, 0.1}, Relation::kAtMost, 0.2).verdict,
            Verdict::kInconclusive);
}

TEST(Compare, RefutesWhatIsNotANumber) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double infinity = std::numeric_limits<double>::infinity();
  for (const Relation relation : {Relation::kAtMost, Relation::kAtLeast, Relation::kEqual}) {
    EXPECT_EQ(compare(kInRange, "q", nan, relation, 5).verdict, Verdict::kRefuted);
    EXPECT_EQ(compare(kInRange, "q", 5, relation, nan).verdict, Verdict::kRefuted);
    EXPECT_EQ(compare(kInRange, "q", 5, relation, infinity).verdict, Verdict::kRefuted);
    EXPECT_EQ(compare_interval(kInRange, "q", nan, {0, 1}, relation, 2).verdict, Verdict::kRefuted);
    EXPECT_EQ(compare_interval(kInRange, "q", 0, {nan, 1}, relation, 2).verdict, Verdict::kRefuted);
  }
}

TEST(CompareInterval, IsOpenWhereSamplesDoNotDecide) {
  const auto verdict = [](Interval interval, Relation relation, double bound, double widest = 0) {
    return compare_interval(kInRange, "q", 0.1, interval, relation, bound, widest).verdict;
  };
  EXPECT_EQ(verdict({0, 0.1}, Relation::kAtMost, 0.1), Verdict::kVerified);
  EXPECT_EQ(verdict({0, 0.2}, Relation::kAtMost, 0.1), Verdict::kInconclusive);
  EXPECT_EQ(verdict({0.11, 0.2}, Relation::kAtMost, 0.1), Verdict::kRefuted);
  EXPECT_EQ(verdict({0.1, 0.2}, Relation::kAtLeast, 0.1), Verdict::kVerified);
  EXPECT_EQ(verdict({0, 0.2}, Relation::kAtLeast, 0.1), Verdict::kInconclusive);
  EXPECT_EQ(verdict({0, 0.09}, Relation::kAtLeast, 0.1), Verdict::kRefuted);
  EXPECT_EQ(verdict({0.05, 0.2}, Relation::kEqual, 0.1, 0.2), Verdict::kVerified);
  EXPECT_EQ(verdict({0.05, 0.2}, Relation::kEqual, 0.1, 0.1), Verdict::kInconclusive);
  EXPECT_EQ(verdict({0.11, 0.2}, Relation::kEqual, 0.1, 0.2), Verdict::kRefuted);
}

TEST(Compare, RefutesAnyBoundBelowTheMeasurement) {
  EXPECT_TRUE(rc::check("a check whose bound is lowered to 0.9 of the measurement is refuted", [] {
    const auto measured = static_cast<double>(*rc::gen::inRange(1, 1 << 20));
    const auto slack = static_cast<double>(*rc::gen::inRange(0, 1000));
    const Check check = compare(kInRange, "q", measured, Relation::kAtMost, measured + slack);
    RC_ASSERT(check.verdict == Verdict::kVerified);
    RC_ASSERT(rejudged(check, 0.9 * measured).verdict == Verdict::kRefuted);
  }));
}

}  // namespace
}  // namespace roundtrip::proofs_check
