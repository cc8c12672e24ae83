#include "roundtrip/proofs_check/verify.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "roundtrip/base/atomic_file.h"
#include "roundtrip/base/error.h"
#include "roundtrip/base/fault.h"
#include "roundtrip/base/quote.h"
#include "roundtrip/mpc/agree.h"
#include "roundtrip/mpc/violation.h"
#include "roundtrip/proofs_check/processes.h"
#include "roundtrip/proofs_check/report/finished.h"
#include "roundtrip/proofs_check/statements/registered_protocol.h"
#include "roundtrip/proofs_check/statistics.h"

namespace roundtrip::proofs_check {
namespace {

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// The halves of a statement that need nothing of each other.
enum class Half : std::uint8_t { kChecks, kControls };

StatementReport run_half(const Statement& statement, Half half, const VerifyOptions& options,
                         Context context) {
  StatementReport report;
  report.name = statement.name();
  if (options.progress) {
    context.progress = [&](std::string_view what) { options.progress(report.name, what); };
  } else {
    context.progress = [](std::string_view) {};
  }
  const auto start = std::chrono::steady_clock::now();
  try {
    if (half == Half::kControls) {
      report.controls = statement.controls(context);
    } else {
      report.constants = statement.constants();
      report.checks = statement.checks(context);
      report.metrics = statement.metrics(context);
    }
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

/// The report of both: controls of checks that failed are not shown.
StatementReport joined(StatementReport checks, StatementReport controls) {
  checks.seconds += controls.seconds;
  if (checks.failure != Outcome::kVerified) return checks;
  checks.controls = std::move(controls.controls);
  checks.failure = controls.failure;
  checks.failure_message = std::move(controls.failure_message);
  return checks;
}

StatementReport run_statement(const Statement& statement, const VerifyOptions& options,
                              const Context& context) {
  StatementReport checks = run_half(statement, Half::kChecks, options, context);
  if (checks.failure != Outcome::kVerified || !options.controls) return checks;
  return joined(std::move(checks), run_half(statement, Half::kControls, options, context));
}

/// The statements, each half in a process of its own: made(i, report) when both halves of a statement have ended.
void run_in_processes(const std::vector<const Statement*>& statements, const VerifyOptions& options,
                      const Context& context, const std::function<void(std::size_t, StatementReport)>& made) {
  const std::size_t halves = options.controls ? 2 : 1;
  const auto statement_of = [&](std::size_t piece) -> const Statement& {
    return *statements[piece / halves];
  };
  std::vector<std::optional<StatementReport>> reports(statements.size() * halves);
  in_processes(
      reports.size(), options.processes == 0 ? processors() : options.processes,
      [&](std::size_t piece, const auto& say) {
        VerifyOptions own = options;
        own.progress = [&](std::string_view, std::string_view what) { say(what); };
        return report_bytes(run_half(statement_of(piece), static_cast<Half>(piece % halves), own, context));
      },
      [&](std::size_t piece, std::string_view said) {
        if (options.progress) options.progress(statement_of(piece).name(), said);
      },
      [&](std::size_t piece, const Piece& result) {
        StatementReport& report = reports[piece].emplace();
        if (result.failure.empty()) {
          report = report_of_bytes(result.bytes);
        } else {
          report.name = statement_of(piece).name();
          report.failure = Outcome::kInternalFault;
          report.failure_message = result.failure;
        }
        const std::size_t first = piece - piece % halves;
        if (halves == 1) return made(piece, std::move(report));
        if (reports[first] && reports[first + 1])
          made(piece / 2, joined(*std::move(reports[first]), *std::move(reports[first + 1])));
      });
}

/// Where a finished statement is kept. The key of rank 0 counts; programs differ where a launcher started others.
struct Kept {
  std::string key, file;
  Kept(const Statement& statement, const VerifyOptions& options, mpc::Transport& transport)
      : key(mpc::from_root(transport, [&] { return finished_key(statement.name(), options); })),
        file(options.resume_folder + "/" + key + ".statement") {}
};

std::optional<StatementReport> finished_before(const Kept& kept, const VerifyOptions& options,
                                               mpc::Transport& transport) {
  const std::string text = mpc::from_root(transport, [&] {
    std::error_code error;
    std::filesystem::create_directories(options.resume_folder, error);
    require_field(!error, "resume folder", "cannot make {}: {}", quote(options.resume_folder),
                  error.message());
    std::ifstream in(kept.file, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(in), {});
  });
  return read_finished(text, kept.key);
}

void keep(const Kept& kept, const StatementReport& report, mpc::Transport& transport) {
  if (report.failure != Outcome::kVerified) return;
  mpc::from_root(transport, [&] { write_whole(kept.file, finished_file(report, kept.key)); });
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

double alarm_per_check(Sizes sizes, std::uint32_t more) {
  std::uint32_t statistical = more;
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
  std::uint32_t more = 0;  // statistical checks of protocols by name
  for (const Statement* statement : chosen) {
    const auto is_it = [&](const auto& known) { return known.get() == statement; };
    if (std::ranges::none_of(all_statements(), is_it)) more += statement->statistical_checks(options.sizes);
  }
  report.alarm_per_check = alarm_per_check(options.sizes, more);
  const auto start = std::chrono::steady_clock::now();
  const Context context{options.sizes, transport, options.seed, report.alarm_per_check};
  const bool resumes = !options.resume_folder.empty();
  std::vector<std::optional<StatementReport>> reports;
  std::vector<const Statement*> to_run;
  std::vector<std::size_t> places;  // of to_run in reports
  for (const Statement* statement : chosen) {
    reports.push_back(resumes ? finished_before(Kept(*statement, options, transport), options, transport)
                              : std::nullopt);
    if (reports.back()) continue;
    to_run.push_back(statement);
    places.push_back(reports.size() - 1);
  }
  const auto made = [&](std::size_t i, StatementReport statement) {
    if (resumes) keep(Kept(*to_run[i], options, transport), statement, transport);
    reports[places[i]] = std::move(statement);
  };
  if (options.processes != 1 && transport.name() == "inprocess") {
    run_in_processes(to_run, options, context, made);
  } else {
    for (std::size_t i = 0; i < to_run.size(); ++i) made(i, run_statement(*to_run[i], options, context));
  }
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    reports[i]->title = chosen[i]->title();
    reports[i]->card = chosen[i]->card();
    report.statements.push_back(*std::move(reports[i]));
  }
  report.seconds = seconds_since(start);
  return report;
}

}  // namespace roundtrip::proofs_check
