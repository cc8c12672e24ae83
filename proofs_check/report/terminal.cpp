#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <vector>

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

/// All of one statement.
std::string block(const StatementReport& statement) {
  constexpr std::size_t kQuantityColumns = 44;
  std::string out = fmt::format("{:<86} {:>12}\n", cut(statement.name + ": " + statement.title, 86),
                                to_string(statement.outcome()));
  for (const Constant& constant : statement.constants) {
    out += "  " + cut(fmt::format("{} = {}: {}", constant.name, constant.value, constant.meaning), 97) + "\n";
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
  return out + "\n";
}

std::string totals(const Report& report) {
  std::size_t checks = 0, controls = 0;
  for (const StatementReport& statement : report.statements) {
    checks += statement.checks.size();
    controls += statement.controls.size();
  }
  return fmt::format(
      "{}: {} statement{}, {} checks, {} controls; sizes {}, seed {}, {}, {:.1f} s\n"
      "false alarms of statistical checks: at most {} in all, {:.3g} each\n",
      to_string(report.outcome()), report.statements.size(), report.statements.size() == 1 ? "" : "s", checks,
      controls, to_string(report.sizes), report.seed, where_it_ran(report.transport, report.ranks),
      report.seconds, report.false_alarm_budget, report.alarm_per_check);
}

/// Which quantities say what a statement found, and in which words: all that end with `quantity`, each with what
/// stands before it and with its value at the largest N. Statements that are not here say how close they came.
struct Headline {
  std::string_view statement, quantity, words;
};
constexpr Headline kHeadlines[] = {
    {"model_limits", ": rounds", "rounds as stated"},
    {"anna_definition", "rows that are no convex combination", "rows that are no average of the near ones"},
    {"hash_functions", "P[a function agrees] at r", "a function agrees with a near point"},
    {"exact_match_by_anna", "rows unlike exact match", "rows that differ from exact match"},
    {"direct_simulation", "by EMA: layers L", "layers"},
    {"routed_simulation", "width, power law", "width"},
    {"match2_one_layer", "layers L", "layers"},
    {"k_hop_depth", ": layers L = a + ceil(log2 k) + 1", "layers"},
    {"mpc_simulates_anna", ": rounds R", "rounds"},
    {"low_rank_by_anna", ": layers of the ANNA-transformer", "layers"},
    {"connectivity_rounds", ": rounds R", "rounds"},
    {"chunked_attention_reach", ": positions that reach a token", "positions that reach a token"},
    {"three_sum_width", "layers L", "layers"},
};

/// "layers: k = 1 3, k = 4 5 at N = 2^12", and never more than one line.
std::string finding(const StatementReport& statement) {
  constexpr std::size_t kColumns = 72;
  const auto headline = std::ranges::find(kHeadlines, statement.name, &Headline::statement);
  std::string text;
  if (headline != std::end(kHeadlines)) {
    std::vector<std::string> parts;
    std::uint64_t largest = 0;
    for (const Row& row : rows_of(statement)) {
      const std::string& quantity = row.checks[0]->quantity;
      if (!quantity.ends_with(headline->quantity)) continue;
      const Check& last = **std::ranges::max_element(
          row.checks, {}, [](const Check* check) { return check->configuration.n; });
      largest = std::max(largest, last.configuration.n);
      std::string label = quantity.substr(0, quantity.size() - headline->quantity.size());
      while (label.ends_with(' ') || label.ends_with(':')) label.pop_back();
      std::string part = fmt::format("{}{}{}", label, label.empty() ? "" : ": ", short_number(last.measured));
      if (std::ranges::find(parts, part) == parts.end()) parts.push_back(std::move(part));
    }
    if (!parts.empty())
      text = fmt::format("{}, at N = {}: {}", headline->words, short_size(largest), fmt::join(parts, ", "));
  }
  if (text.empty() && !statement.checks.empty()) {
    const std::vector<Row> rows = rows_of(statement);
    const Check& check = rows.front().shown();
    text = fmt::format("{}: {} {} {}", check.quantity, short_number(check.measured),
                       to_string(check.relation), short_number(check.bound));
  }
  return cut(text, kColumns);
}

}  // namespace

std::string terminal_table(const Report& report) {
  std::string out;
  for (const StatementReport& statement : report.statements) out += block(statement);
  return out + totals(report);
}

std::string terminal_summary(const Report& report) {
  std::string out, rest;
  for (const StatementReport& statement : report.statements) {
    const Outcome outcome = statement.outcome();
    out += fmt::format("{:<24} {:<12} {}\n", cut(statement.name, 24), to_string(outcome), finding(statement));
    if (outcome != Outcome::kVerified) rest += "\n" + block(statement);
  }
  return out + rest + totals(report);
}

}  // namespace roundtrip::proofs_check
