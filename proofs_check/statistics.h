// Purpose: the statistics that turn counts into verdicts: exact binomial intervals, the false-alarm budget,
// slopes.
#pragma once

#include <cstdint>
#include <span>

#include "roundtrip/proofs_check/check.h"

namespace roundtrip::proofs_check {

/// Probability that a verification of correct code reports any statistical check wrongly: stated in every
/// report, split evenly over the statistical checks of all statements (union bound), whether they are run or
/// not.
inline constexpr double kFalseAlarmBudget = 1e-3;

/// Exact (Clopper-Pearson) two-sided interval of a probability after `failures` of `trials`, covering it with
/// probability >= 1 - alarm. trials >= 1, failures <= trials, 0 < alarm < 1.
Interval clopper_pearson(std::uint64_t failures, std::uint64_t trials, double alarm);

/// Least number of trials without a failure whose interval lies at or below `eta`: ceil(ln(alarm/2) / ln(1 -
/// eta)).
std::uint64_t trials_to_prove(double eta, double alarm);

/// Least-squares slope of ln(ratio) over ln(n), with its two-sided Student interval. At least 3 different
/// sizes. Fit it only to measured/formula: slopes of a measurement alone are biased by ceilings and
/// logarithms.
struct Slope {
  double slope = 0;
  Interval interval;
};
Slope ratio_slope(std::span<const double> n, std::span<const double> ratio, double alarm);

}  // namespace roundtrip::proofs_check
