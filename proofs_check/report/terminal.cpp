#include <fmt/format.h>

#include "roundtrip/base/fault.h"
#include "roundtrip/proofs_check/report/report.h"
#include "roundtrip/proofs_check/report/rows.h"

namespace roundtrip::proofs_check {
namespace {

std::string cut(std::string text, std::size_t columns) {
  if (text.size() > columns) text = text.substr(0, columns - 2) + "..";
  return text;
}

std::string exponent(const std::optional<Rational>& value) {
  return value ? value->to_string() : "-";
}

std::string why_inconclusive(const StatementReport& statement) {
  std::size_t in_range = 0;
  for (const Check& check : statement.checks) {
    if (check.configuration.below_range) continue;
    if (check.verdict == Verdict::kInconclusive)
      return fmt::format("inconclusive: {} at N = {}: {}", check.quantity, check.configuration.n,
                         check.reason);
    ++in_range;
  }
  return in_range == 0 ? "inconclusive: a machine could hold the input at every size here; take a larger N"
                       : "inconclusive: no check in range is verified";
}

}  // namespace

std::string terminal_table(const Report& report) {
  constexpr std::size_t kQuantityColumns = 44;
  std::string out;
  std::size_t checks = 0;
  std::size_t controls = 0;
  for (const StatementReport& statement : report.statements) {
    checks += statement.checks.size();
    controls += statement.controls.size();
    out += fmt::format("{:<86} {:>12}\n", cut(statement.name + ": " + statement.title, 86),
                       to_string(statement.outcome()));
    for (const Constant& constant : statement.constants) {
      out +=
          "  " + cut(fmt::format("{} = {}: {}", constant.name, constant.value, constant.meaning), 97) + "\n";
    }
    if (!statement.checks.empty()) {
      out += fmt::format("  {:<44} {:>5} {:>12} {:>9}    {:<9} {:>9}\n", "quantity", "eps", "N", "measured",
                         "bound", "sizes");
    }
    for (const Row& row : rows_of(statement)) {
      const Check& shown = row.shown();
      const std::size_t verified = row.count(Verdict::kVerified);
      const std::size_t fewest = seeded("refuted-hidden") ? row.checks.size() : 1;
      const std::string verdict = row.count(Verdict::kRefuted) >= fewest ? "REFUTED"
                                  : verified == row.checks.size()
                                      ? fmt::format("{} ok", verified)
                                      : fmt::format("{} of {}", verified, row.checks.size());
      out += fmt::format(
          "  {:<44} {:>5} {:>12} {:>9} {:>2} {:<9} {:>9}\n", cut(row.checks[0]->quantity, kQuantityColumns),
          exponent(row.checks[0]->configuration.epsilon), row.sizes(), short_number(shown.measured),
          to_string(shown.relation), short_number(shown.bound), verdict);
      for (const Check* check : row.checks) {
        if (check->verdict == Verdict::kVerified) continue;
        out += "      " +
               cut(fmt::format("{} at N = {}: {}", to_string(check->verdict), check->configuration.n,
                               check->reason),
                   93) +
               "\n";
      }
    }
    for (const Metric& metric : statement.metrics) {
      out += fmt::format("  beside it: {:<54} {:>12} {:>9}\n", cut(metric.quantity, 54), short_size(metric.n),
                         short_number(metric.value));
    }
    for (const Control& control : statement.controls) {
      const std::string_view state = control.holds()                            ? "rejected"
                                     : !control.rejected                        ? "NOT REJECTED"
                                     : statement.outcome() == Outcome::kRefuted ? "refuted without it, too"
                                                                                : "SOUND ONE REJECTED TOO";
      out += fmt::format("  control: {:<64} {:>23}\n", cut(control.control, 64), state);
    }
    out += fmt::format("  {} checks, {} controls in {:.1f} s\n", statement.checks.size(),
                       statement.controls.size(), statement.seconds);
    if (!statement.failure_message.empty()) out += "  " + cut(statement.failure_message, 97) + "\n";
    if (statement.outcome() == Outcome::kInconclusive)
      out += "  " + cut(why_inconclusive(statement), 97) + "\n";
    out += "\n";
  }
  out +=
      fmt::format("{}: {} statement{}, {} checks, {} controls; sizes {}, seed {}, {} ({} rank{}), {:.1f} s\n",
                  to_string(report.outcome()), report.statements.size(),
                  report.statements.size() == 1 ? "" : "s", checks, controls, to_string(report.sizes),
                  report.seed, report.transport, report.ranks, report.ranks == 1 ? "" : "s", report.seconds);
  out += fmt::format("false alarms of statistical checks: at most {} in all, {:.3g} each\n",
                     report.false_alarm_budget, report.alarm_per_check);
  return out;
}

}  // namespace roundtrip::proofs_check
