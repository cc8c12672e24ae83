#include "roundtrip/proofs_check/verify.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <span>

#include "roundtrip/base/atomic_file.h"
#include "roundtrip/base/error.h"
#include "roundtrip/base/fault.h"
#include "roundtrip/base/quote.h"
#include "roundtrip/mpc/agree.h"
#include "roundtrip/mpc/violation.h"
#include "roundtrip/proofs_check/report/finished.h"
#include "roundtrip/proofs_check/statements/registered_protocol.h"
#include "roundtrip/proofs_check/statistics.h"

namespace roundtrip::proofs_check {
namespace {

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

StatementReport run_statement(const Statement& statement, const VerifyOptions& options, Context context) {
  StatementReport report;
  report.name = statement.name();
  report.title = statement.title();
  report.card = statement.card();
  report.constants = statement.constants();
  if (options.progress) {
    context.progress = [&](std::string_view what) { options.progress(report.name, what); };
  } else {
    context.progress = [](std::string_view) {};
  }
  const auto start = std::chrono::steady_clock::now();
  try {
    report.checks = statement.checks(context);
    report.metrics = statement.metrics(context);
    if (options.controls) report.controls = statement.controls(context);
  } catch (const mpc::ModelViolation& violation) {
    // As run() has it: a step that throws is no violation of the model.
    report.failure = violation.facts().kind == mpc::ModelViolation::Kind::kStepFailed
                         ? Outcome::kInternalFault
                         : Outcome::kModelBroken;
    report.failure_message = violation.what();
  } catch (const std::exception& error) {
    // A check only makes calls that it has chosen itself: whatever else they throw is a fault of ours.
    report.failure = Outcome::kInternalFault;
    report.failure_message = error.what();
  }
  report.seconds = seconds_since(start);
  return report;
}

/// The statement as it was finished earlier, or run now and kept.
StatementReport resumed_statement(const Statement& statement, const VerifyOptions& options,
                                  const Context& context) {
  // The key of rank 0 counts; programs differ where a launcher started others.
  const std::string key =
      mpc::from_root(context.transport, [&] { return finished_key(statement.name(), options); });
  const std::string file = options.resume_folder + "/" + key + ".json";
  const std::string text = mpc::from_root(context.transport, [&] {
    std::error_code error;
    std::filesystem::create_directories(options.resume_folder, error);
    require_field(!error, "resume folder", "cannot make {}: {}", quote(options.resume_folder),
                  error.message());
    std::ifstream in(file);
    return std::string(std::istreambuf_iterator<char>(in), {});
  });
  if (std::optional<StatementReport> finished = read_finished(text, key)) {
    finished->title = statement.title();
    finished->card = statement.card();
    return *std::move(finished);
  }
  StatementReport report = run_statement(statement, options, context);
  if (report.failure == Outcome::kVerified) {
    mpc::from_root(context.transport, [&] { write_whole(file, finished_text(report, key)); });
  }
  return report;
}

}  // namespace

Outcome StatementReport::outcome() const {
  if (failure != Outcome::kVerified) return failure;
  if (!std::ranges::all_of(controls, &Control::rejected)) return Outcome::kInternalFault;
  bool evidence = false;
  bool open = false;
  const std::size_t first = seeded("last-check-decides") && !checks.empty() ? checks.size() - 1 : 0;
  for (const Check& check : std::span(checks).subspan(first)) {
    if (check.verdict == Verdict::kRefuted) return Outcome::kRefuted;
    if (check.verdict == Verdict::kInconclusive && !check.configuration.below_range) open = true;
    if (check.verdict == Verdict::kVerified && !check.configuration.below_range) evidence = true;
  }
  if (!std::ranges::all_of(controls, &Control::accepted_off)) return Outcome::kInternalFault;
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
  std::unique_ptr<const Statement> of_given;
  if (options.given) {
    require(options.statements.size() == 1, "an instance is given for one protocol; {} names are given",
            options.statements.size());
    of_given = make_registered_protocol(mpc::find_protocol(options.statements[0]), *options.given);
    chosen.push_back(of_given.get());
  } else {
    for (const std::string& name : options.statements) chosen.push_back(&find_statement(name));
  }
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
    const Context context{options.sizes, transport, options.seed, report.alarm_per_check};
    report.statements.push_back(options.resume_folder.empty()
                                    ? run_statement(*statement, options, context)
                                    : resumed_statement(*statement, options, context));
  }
  report.seconds = seconds_since(start);
  return report;
}

}  // namespace roundtrip::proofs_check
