// Purpose: what verifying a statement yields. A Check compares one measured quantity with one bound at one
// size; a Control is a defective construction that the very same comparison must reject. Verdicts are data,
// never exceptions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "roundtrip/base/rational.h"

namespace roundtrip::proofs_check {

enum class Verdict : std::uint8_t { kVerified, kRefuted, kInconclusive };
enum class Relation : std::uint8_t { kAtMost, kAtLeast, kEqual };

std::string_view to_string(Verdict verdict);    ///< "verified", "refuted", "inconclusive"
std::string_view to_string(Relation relation);  ///< "<=", ">=", "=="

/// Where a check was made; everything that its bound may depend on, with the seed that repeats it.
struct Configuration {
  std::string theorem;                ///< Statement::name()
  std::uint64_t n = 0;                ///< N
  std::optional<Rational> epsilon{};  ///< empty where the statement has none
  std::optional<Rational> delta{};
  bool below_range = false;  ///< s > N/4: a bound that holds here is no evidence
  std::uint64_t seed = 0;
};

/// An interval that holds the true value of a measured probability or slope, at the confidence that the
/// report states.
struct Interval {
  double low = 0;
  double high = 0;
  friend bool operator==(const Interval&, const Interval&) = default;
};

struct Check {
  Configuration configuration;
  std::string
      quantity;  ///< what was measured, unit included, e.g. "k_hop: words sent by a machine in a round"
  double measured = 0;                 ///< integers below 2^53 are exact
  std::optional<Interval> interval{};  ///< of statistical checks
  Relation relation = Relation::kAtMost;
  double bound = 0;
  Verdict verdict = Verdict::kInconclusive;
  std::string reason;  ///< one line: why this verdict
};

/// Pointwise comparison with an exact formula. Non-finite numbers are refuted. A bound (<= or >=) that holds
/// below range is inconclusive; one that fails there is refuted all the same. Equality counts in any range.
Check compare(const Configuration& configuration, std::string quantity, double measured, Relation relation,
              double bound);

/// Comparison of an interval with a bound: verified if all of it satisfies the relation, refuted if none of
/// it does, otherwise inconclusive. kEqual: the interval must contain the bound to be verified, and high -
/// low must be at most `widest` (a wide interval contains everything and proves nothing).
Check compare_interval(const Configuration& configuration, std::string quantity, double measured,
                       const Interval& interval, Relation relation, double bound, double widest = 0);

/// The same check judged against another bound (the tests tighten every bound by this).
Check rejudged(const Check& check, double bound, double widest = 0);

/// A defective construction, in every build.
struct Control {
  std::string theorem;
  std::string control;        ///< the defect, one line
  std::string quantity;       ///< the check that must catch it
  bool rejected = false;      ///< that check refuted the defective construction
  bool accepted_off = false;  ///< every check verified the same construction with the defect off
  bool holds() const { return rejected && accepted_off; }
};

}  // namespace roundtrip::proofs_check
