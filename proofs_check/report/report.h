// Purpose: reports of a verification: a terminal table and JSON.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "roundtrip/proofs_check/verify.h"

namespace roundtrip::proofs_check {

/// The verdict of a whole report or statement as the JSON says it: verified, refuted, inconclusive, violated,
/// failed.
std::string_view to_string(Outcome outcome);

/// Lines of at most 100 columns: one block a statement, one line a quantity (with the check that comes
/// nearest to its bound, out of those at all sizes), then the controls, then the totals.
std::string terminal_table(const Report& report);

/// A line of at most 111 columns a statement that says what was found, all of each one that is not verified, then the
/// totals.
std::string terminal_summary(const Report& report);

/// {schema, sizes, seed, transport, ranks, seconds, false_alarm_budget, verdict, checks: [..], controls:
/// [..], beside: [{theorem, n, quantity, value}], statements: [{theorem, title, verdict, constants,
/// seconds}]}; keys of a check and a control as documented in README.
nlohmann::ordered_json to_json(const Report& report);

}  // namespace roundtrip::proofs_check
