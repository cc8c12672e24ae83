#include "roundtrip/proofs_check/statistics.h"

#include <boost/math/distributions/binomial.hpp>
#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <vector>

#include "roundtrip/base/error.h"
#include "roundtrip/base/fault.h"

namespace roundtrip::proofs_check {

Interval clopper_pearson(std::uint64_t failures, std::uint64_t trials, double alarm) {
  require(trials >= 1 && failures <= trials,
          "binomial interval of {} failures in {} trials: allowed 0..trials", failures, trials);
  require(alarm > 0 && alarm < 1, "false-alarm probability {}: allowed (0, 1)", alarm);
  using Binomial = boost::math::binomial_distribution<double>;
  const auto n = static_cast<double>(trials);
  const auto k = static_cast<double>(failures);
  const double tail = seeded("interval-one-sided") ? alarm : alarm / 2;
  return {failures == 0 ? 0 : Binomial::find_lower_bound_on_p(n, k, tail),
          failures == trials ? 1 : Binomial::find_upper_bound_on_p(n, k, tail)};
}

std::uint64_t trials_to_prove(double eta, double alarm) {
  require(eta > 0 && eta < 1, "failure probability {}: allowed (0, 1)", eta);
  require(alarm > 0 && alarm < 1, "false-alarm probability {}: allowed (0, 1)", alarm);
  auto trials = static_cast<std::uint64_t>(std::ceil(std::log(alarm / 2) / std::log1p(-eta)));
  while (clopper_pearson(0, trials, alarm).high > eta)
    ++trials;  // rounding of the logarithms: at most one step
  return trials;
}

Slope ratio_slope(std::span<const double> n, std::span<const double> ratio, double alarm) {
  require(n.size() == ratio.size() && n.size() >= 3, "slope over {} sizes and {} ratios: at least 3 of each",
          n.size(), ratio.size());
  require(alarm > 0 && alarm < 1, "false-alarm probability {}: allowed (0, 1)", alarm);
  const auto count = static_cast<double>(n.size());
  double mean_x = 0;
  double mean_y = 0;
  for (std::size_t i = 0; i < n.size(); ++i) {
    require(n[i] > 0 && ratio[i] > 0, "slope at size {} with ratio {}: both must be positive", n[i],
            ratio[i]);
    mean_x += std::log(n[i]) / count;
    mean_y += std::log(ratio[i]) / count;
  }
  double xx = 0;
  double xy = 0;
  for (std::size_t i = 0; i < n.size(); ++i) {
    xx += (std::log(n[i]) - mean_x) * (std::log(n[i]) - mean_x);
    xy += (std::log(n[i]) - mean_x) * (std::log(ratio[i]) - mean_y);
  }
  require(xx > 0, "slope over sizes that are all {}", n[0]);
  const double slope = xy / xx;
  double residual = 0;
  for (std::size_t i = 0; i < n.size(); ++i) {
    const double off = std::log(ratio[i]) - mean_y - slope * (std::log(n[i]) - mean_x);
    residual += off * off;
  }
  const boost::math::students_t_distribution<double> student(count - 2);
  const double half = boost::math::quantile(boost::math::complement(student, alarm / 2)) *
                      std::sqrt(residual / (count - 2) / xx);
  return {slope, {slope - half, slope + half}};
}

}  // namespace roundtrip::proofs_check
