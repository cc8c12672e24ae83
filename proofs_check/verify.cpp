#include "proofs_check/verify.h"

#include <algorithm>
#include <chrono>
#include <span>

#include "base/error.h"
#include "base/fault.h"
#include "mpc/violation.h"
#include "proofs_check/statistics.h"

namespace roundtrip::proofs_check {
namespace {

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

StatementReport run_statement(const Statement& statement, const VerifyOptions& options, Context context) {
  StatementReport report;
  report.name = statement.name();
  report.title = statement.title();
  report.constants = statement.constants();
  if (options.progress) {
    context.progress = [&](std::string_view what) { options.progress(report.name, what); };
  } else {
    context.progress = [](std::string_view) {};
  }
  const auto start = std::chrono::steady_clock::now();
  try {
    report.checks = statement.checks(context);
    report.readings = statement.readings(context);
    if (options.controls) report.controls = statement.controls(context);
  } catch (const mpc::ModelViolation& violation) {
    report.failure = Outcome::kModelBroken;
    report.failure_message = violation.what();
  } catch (const std::exception& error) {
    // A check only makes calls that it has chosen itself: whatever else they throw is a fault of ours.
    report.failure = Outcome::kInternalFault;
    report.failure_message = error.what();
  }
  report.seconds = seconds_since(start);
  return report;
}

}  // namespace

Outcome StatementReport::outcome() const {
  if (failure != Outcome::kVerified) return failure;
  if (!std::all_of(controls.begin(), controls.end(),
                   [](const Control& control) { return control.holds(); })) {
    return Outcome::kInternalFault;
  }
  bool evidence = false;
  bool open = false;
  const std::size_t first = seeded("last-check-decides") && !checks.empty() ? checks.size() - 1 : 0;
  for (const Check& check : std::span(checks).subspan(first)) {
    if (check.verdict == Verdict::kRefuted) return Outcome::kRefuted;
    if (check.verdict == Verdict::kInconclusive && !check.place.below_range) open = true;
    if (check.verdict == Verdict::kVerified && !check.place.below_range) evidence = true;
  }
  return evidence && !open ? Outcome::kVerified : Outcome::kInconclusive;
}

Outcome Report::outcome() const {
  Outcome worst = Outcome::kVerified;
  for (const StatementReport& statement : statements) worst = std::min(worst, statement.outcome());
  return statements.empty() ? Outcome::kInconclusive : worst;
}

double alarm_per_check(Sizes sizes) {
  std::uint32_t statistical = 0;
  for (const auto& statement : all_statements()) statistical += statement->statistical_checks(sizes);
  return kFalseAlarmBudget / std::max(1u, seeded("budget-unsplit") ? 1 : statistical);
}

Report verify(const VerifyOptions& options, mpc::Transport& transport) {
  std::vector<const Statement*> chosen;
  for (const std::string& name : options.statements) chosen.push_back(&find_statement(name));
  if (options.statements.empty()) {
    for (const auto& statement : all_statements()) chosen.push_back(statement.get());
  }
  Report report;
  report.sizes = options.sizes;
  report.seed = options.seed;
  report.transport = transport.name();
  report.ranks = transport.ranks();
  report.false_alarm_budget = kFalseAlarmBudget;
  report.alarm_per_check = alarm_per_check(options.sizes);
  const auto start = std::chrono::steady_clock::now();
  for (const Statement* statement : chosen) {
    report.statements.push_back(run_statement(
        *statement, options, Context{options.sizes, transport, options.seed, report.alarm_per_check}));
  }
  report.seconds = seconds_since(start);
  return report;
}

}  // namespace roundtrip::proofs_check
