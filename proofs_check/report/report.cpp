#include "roundtrip/proofs_check/report/report.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>
#include <span>

#include "roundtrip/base/error.h"
#include "roundtrip/base/fault.h"
#include "roundtrip/proofs_check/report/rows.h"

namespace roundtrip::proofs_check {

std::string short_number(double value) {
  if (value == std::floor(value) && std::abs(value) < 1e9) return fmt::format("{:.0f}", value);
  return fmt::format("{:.3g}", value);
}

std::string short_size(std::uint64_t n) {
  return n >= 16 && std::has_single_bit(n) ? fmt::format("2^{}", std::bit_width(n) - 1) : std::to_string(n);
}

namespace {

std::string cut(std::string text, std::size_t columns) {
  if (text.size() > columns) text = text.substr(0, columns - 2) + "..";
  return text;
}

std::string exponent(const std::optional<Rational>& value) {
  return value ? value->to_string() : "-";
}

nlohmann::ordered_json json_exponent(const std::optional<Rational>& value) {
  return value ? nlohmann::ordered_json(value->to_string()) : nlohmann::ordered_json(nullptr);
}

/// JSON has no infinities; a measurement that is not finite is written as text.
nlohmann::ordered_json json_number(double value) {
  if (std::isfinite(value) && value == std::floor(value) && std::abs(value) < 9e15) {
    return static_cast<std::int64_t>(value);
  }
  return std::isfinite(value) ? nlohmann::ordered_json(value)
                              : nlohmann::ordered_json(fmt::format("{}", value));
}

nlohmann::ordered_json to_json(const Check& check) {
  nlohmann::ordered_json json{
      {"theorem", check.configuration.theorem},
      {"n", check.configuration.n},
      {"epsilon", json_exponent(check.configuration.epsilon)},
      {"delta", json_exponent(check.configuration.delta)},
      {"quantity", check.quantity},
      {"measured", json_number(check.measured)},
      {"relation", to_string(check.relation)},
      {"bound", json_number(seeded("bound-rounded") ? std::round(check.bound) : check.bound)},
      {"verdict", to_string(check.verdict)},
      {"reason", check.reason},
      {"below_range", check.configuration.below_range},
      {"seed", check.configuration.seed}};
  if (check.interval)
    json["interval"] = {json_number(check.interval->low), json_number(check.interval->high)};
  return json;
}

}  // namespace

std::string_view to_string(Outcome outcome) {
  switch (outcome) {
    case Outcome::kInternalFault:
      return "failed";
    case Outcome::kModelBroken:
      return "violated";
    case Outcome::kRefuted:
      return "refuted";
    case Outcome::kInconclusive:
      return "inconclusive";
    case Outcome::kVerified:
      return "verified";
  }
  throw InternalError("outcome out of range");
}

bool Row::holds(const Check& check) const {
  return check.quantity == checks[0]->quantity &&
         check.configuration.epsilon == checks[0]->configuration.epsilon &&
         check.configuration.delta == checks[0]->configuration.delta && check.relation == checks[0]->relation;
}

std::size_t Row::count(Verdict verdict) const {
  return static_cast<std::size_t>(
      std::ranges::count_if(checks, [&](const Check* check) { return check->verdict == verdict; }));
}

std::string Row::sizes() const {
  std::set<std::uint64_t> sizes;
  for (const Check* check : checks) sizes.insert(check->configuration.n);
  return sizes.size() == 1 ? short_size(*sizes.begin())
                           : short_size(*sizes.begin()) + ".." + short_size(*sizes.rbegin());
}

const Check& Row::shown() const {
  const auto rank = [](const Check* check) {
    const double ratio = check->bound != 0 ? check->measured / check->bound : 0;
    return std::pair(check->verdict == Verdict::kRefuted        ? 2
                     : check->verdict == Verdict::kInconclusive ? 1
                                                                : 0,
                     check->relation == Relation::kAtLeast ? -ratio : ratio);
  };
  return **std::ranges::max_element(checks, {}, rank);
}

std::vector<Row> rows_of(const StatementReport& statement) {
  std::vector<Row> rows;
  for (const Check& check : statement.checks) {
    auto row = std::ranges::find_if(rows, [&](const Row& candidate) { return candidate.holds(check); });
    if (row == rows.end()) row = rows.insert(row, Row{});
    row->checks.push_back(&check);
  }
  return rows;
}

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
      const std::string_view state = control.holds()    ? "rejected"
                                     : control.rejected ? "SOUND ONE REJECTED TOO"
                                                        : "NOT REJECTED";
      out += fmt::format("  control: {:<64} {:>23}\n", cut(control.control, 64), state);
    }
    out += fmt::format("  {} checks, {} controls in {:.1f} s\n", statement.checks.size(),
                       statement.controls.size(), statement.seconds);
    if (!statement.failure_message.empty()) out += "  " + cut(statement.failure_message, 97) + "\n";
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

nlohmann::ordered_json to_json(const Report& report) {
  nlohmann::ordered_json json{{"schema", "roundtrip/verify/1"},
                              {"sizes", to_string(report.sizes)},
                              {"seed", report.seed},
                              {"transport", report.transport},
                              {"ranks", report.ranks},
                              {"seconds", report.seconds},
                              {"false_alarm_budget", report.false_alarm_budget},
                              {"false_alarm_per_check", report.alarm_per_check},
                              {"verdict", to_string(report.outcome())}};
  auto& statements = json["statements"] = nlohmann::ordered_json::array();
  auto& checks = json["checks"] = nlohmann::ordered_json::array();
  auto& controls = json["controls"] = nlohmann::ordered_json::array();
  auto& metrics = json["beside"] = nlohmann::ordered_json::array();
  for (const StatementReport& statement : report.statements) {
    nlohmann::ordered_json entry{{"theorem", statement.name},
                                 {"title", statement.title},
                                 {"verdict", to_string(statement.outcome())},
                                 {"seconds", statement.seconds}};
    auto& constants = entry["constants"] = nlohmann::ordered_json::array();
    for (const Constant& constant : statement.constants) {
      constants.push_back(
          {{"name", constant.name}, {"value", constant.value}, {"meaning", constant.meaning}});
    }
    if (!statement.failure_message.empty()) entry["failure"] = statement.failure_message;
    statements.push_back(std::move(entry));
    const std::size_t lost = seeded("check-lost") && !statement.checks.empty();
    for (const Check& check : std::span(statement.checks).first(statement.checks.size() - lost))
      checks.push_back(to_json(check));
    for (const Metric& metric : statement.metrics) {
      metrics.push_back({{"theorem", statement.name},
                         {"n", metric.n},
                         {"quantity", metric.quantity},
                         {"value", json_number(metric.value)}});
    }
    for (const Control& control : statement.controls) {
      controls.push_back({{"theorem", control.theorem},
                          {"control", control.control},
                          {"quantity", control.quantity},
                          {"rejected", control.rejected},
                          {"accepted_off", control.accepted_off}});
    }
  }
  return json;
}

}  // namespace roundtrip::proofs_check
