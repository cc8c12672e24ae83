// Purpose: what a command concludes, in one word, and the exit status that goes with it: nowhere else does a verdict
// become either.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

#include "roundtrip/cli/communicator.h"
#include "roundtrip/mpc/violation.h"
#include "roundtrip/simulate/compile/translation.h"

namespace roundtrip::cli {

/// The status of "done", "verified", "refuted", "inconclusive", "violated" or "failed"; InternalError for another
/// word.
Status status_of(std::string_view verdict);

/// "failed" if a step threw, else "violated".
std::string verdict_of(const mpc::ModelViolation& violation);

/// "verified" if all findings hold. Else "inconclusive" where `by_chance` may be why, or "refuted".
std::string judge(std::initializer_list<bool> findings, bool by_chance = false);

/// Whether a transformer has the depth of the formula and at most its width.
bool within_bound(const simulate::TransformerSizes& measured, const simulate::TransformerSizes& bound);

/// Of `attend`: only the comparison with the definition, "brute", judges; others are shown.
std::string attend_verdict(std::string_view compared_with, bool equal);

}  // namespace roundtrip::cli
