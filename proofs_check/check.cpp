#include "roundtrip/proofs_check/check.h"

#include <fmt/format.h>

#include <cmath>
#include <utility>

#include "roundtrip/base/error.h"
#include "roundtrip/base/fault.h"

namespace roundtrip::proofs_check {
namespace {

bool satisfies(double measured, Relation relation, double bound) {
  switch (relation) {
    case Relation::kAtMost:
      return measured <= bound;
    case Relation::kAtLeast:
      return seeded("relation-flipped") ? measured <= bound : measured >= bound;
    case Relation::kEqual:
      return measured == bound;
  }
  return false;
}

}  // namespace

std::string_view to_string(Verdict verdict) {
  switch (verdict) {
    case Verdict::kVerified:
      return "verified";
    case Verdict::kRefuted:
      return "refuted";
    case Verdict::kInconclusive:
      return "inconclusive";
  }
  throw InternalError("verdict out of range");
}

std::string_view to_string(Relation relation) {
  switch (relation) {
    case Relation::kAtMost:
      return "<=";
    case Relation::kAtLeast:
      return ">=";
    case Relation::kEqual:
      return "==";
  }
  throw InternalError("relation out of range");
}

Check compare(const Configuration& configuration, std::string quantity, double measured, Relation relation,
              double bound) {
  if (seeded("blind-numbers")) measured = 0;
  Check check{configuration, std::move(quantity), measured, std::nullopt, relation,
              bound,         Verdict::kRefuted,   {}};
  if (!std::isfinite(measured) || !std::isfinite(bound)) {
    check.reason = "not a finite number";
  } else if (!satisfies(measured, relation, bound)) {
    check.reason = fmt::format("{} is not {} {}", measured, to_string(relation), bound);
  } else if (relation != Relation::kEqual && configuration.below_range && !seeded("below-range")) {
    check.verdict = Verdict::kInconclusive;
    check.reason = "below range: the bound holds but proves nothing";
  } else {
    check.verdict = Verdict::kVerified;
    check.reason = "holds at this size";
  }
  return check;
}

Check compare_interval(const Configuration& configuration, std::string quantity, double measured,
                       const Interval& interval, Relation relation, double bound, double widest) {
  Check check{configuration, std::move(quantity),    measured, interval, relation,
              bound,         Verdict::kInconclusive, {}};
  const auto [low, high] = seeded("blind-intervals") ? Interval{0, 1} : interval;
  if (!(std::isfinite(measured) && std::isfinite(bound) && low <= high)) {
    check.verdict = Verdict::kRefuted;
    check.reason = "not a finite number";
    return check;
  }
  if (relation == Relation::kEqual) {
    if (bound < low || bound > high) {
      check.verdict = Verdict::kRefuted;
      check.reason = fmt::format("[{:.4g}, {:.4g}] does not contain it", low, high);
    } else if (high - low > widest) {
      check.reason = fmt::format("too few samples: [{:.4g}, {:.4g}] is wider than {:.4g}", low, high, widest);
    } else {
      check.verdict = Verdict::kVerified;
      check.reason = fmt::format("[{:.4g}, {:.4g}] contains it", low, high);
    }
    return check;
  }
  const double worst = seeded("interval-ignored") ? measured : relation == Relation::kAtMost ? high : low;
  const double best = relation == Relation::kAtMost ? low : high;
  if (!satisfies(best, relation, bound)) {
    check.verdict = Verdict::kRefuted;
    check.reason = fmt::format("all of [{:.4g}, {:.4g}] breaks it", low, high);
  } else if (!satisfies(worst, relation, bound)) {
    check.reason = fmt::format("too few samples: [{:.4g}, {:.4g}] reaches beyond it", low, high);
  } else if (configuration.below_range) {
    check.reason = "below range: the bound holds but proves nothing";
  } else {
    check.verdict = Verdict::kVerified;
    check.reason = fmt::format("all of [{:.4g}, {:.4g}] satisfies it", low, high);
  }
  return check;
}

Check rejudged(const Check& check, double bound, double widest) {
  return check.interval ? compare_interval(check.configuration, check.quantity, check.measured,
                                           *check.interval, check.relation, bound, widest)
                        : compare(check.configuration, check.quantity, check.measured, check.relation, bound);
}

}  // namespace roundtrip::proofs_check
