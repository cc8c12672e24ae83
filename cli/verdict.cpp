#include "roundtrip/cli/verdict.h"

#include <algorithm>

#include "roundtrip/base/error.h"
#include "roundtrip/base/fault.h"

namespace roundtrip::cli {

Status status_of(std::string_view verdict) {
  if (verdict == "done" || verdict == "verified") return kDone;
  if (verdict == "refuted") return seeded("refuted-leaves-zero") ? kDone : kRefuted;
  if (verdict == "inconclusive") return seeded("inconclusive-leaves-zero") ? kDone : kInconclusive;
  if (verdict == "violated") return seeded("violated-leaves-zero") ? kDone : kViolated;
  if (verdict == "failed") return seeded("failed-leaves-zero") ? kDone : kInternal;
  throw InternalError(fmt::format("no exit status goes with the verdict '{}'", verdict));
}

std::string verdict_of(const mpc::ModelViolation& violation) {
  const bool threw = violation.facts().kind == mpc::ModelViolation::Kind::kStepFailed;
  return threw && !seeded("throw-is-violation") ? "failed" : "violated";
}

std::string judge(std::initializer_list<bool> findings, bool by_chance) {
  const auto holds = [](bool finding) { return finding; };
  if (seeded("one-finding-decides") ? std::ranges::any_of(findings, holds)
                                    : std::ranges::all_of(findings, holds))
    return "verified";
  return by_chance ? "inconclusive" : "refuted";
}

bool within_bound(const simulate::TransformerSizes& measured, const simulate::TransformerSizes& bound) {
  return (measured.depth == bound.depth || seeded("depth-uncompared")) &&
         (measured.width <= bound.width || seeded("width-uncompared"));
}

std::string attend_verdict(std::string_view compared_with, bool equal) {
  if (compared_with != "brute") return "done";
  return judge({equal || seeded("attend-uncompared")});
}

}  // namespace roundtrip::cli
