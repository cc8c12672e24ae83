#include "proofs_check/report.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"

namespace roundtrip::proofs_check {
namespace {

/// Integers in full (they are counts), anything else to 4 digits.
std::string number(double value) {
  if (value == std::floor(value) && std::abs(value) < 1e15) return fmt::format("{:.0f}", value);
  return fmt::format("{:.4g}", value);
}

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
  nlohmann::ordered_json json{{"theorem", check.place.theorem},
                              {"n", check.place.n},
                              {"epsilon", json_exponent(check.place.epsilon)},
                              {"delta", json_exponent(check.place.delta)},
                              {"quantity", check.quantity},
                              {"measured", json_number(check.measured)},
                              {"relation", to_string(check.relation)},
                              {"bound", json_number(check.bound)},
                              {"verdict", to_string(check.verdict)},
                              {"reason", check.reason},
                              {"below_range", check.place.below_range},
                              {"seed", check.place.seed}};
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

std::string terminal_table(const Report& report) {
  std::string out;
  for (const StatementReport& statement : report.statements) {
    out += fmt::format("{:<86} {:>12}\n", cut(statement.name + ": " + statement.title, 86),
                       to_string(statement.outcome()));
    for (const Constant& constant : statement.constants) {
      out +=
          "  " + cut(fmt::format("{} = {}  {}", constant.name, constant.value, constant.meaning), 96) + "\n";
    }
    if (!statement.checks.empty()) {
      out += fmt::format("  {:>7} {:>5} {:>5}  {:<44} {:>9} {:>2} {:>8} {:>8}\n", "N", "eps", "delta",
                         "quantity", "measured", "", "bound", "");
    }
    for (const Check& check : statement.checks) {
      std::string verdict(check.verdict == Verdict::kVerified  ? "ok"
                          : check.verdict == Verdict::kRefuted ? "REFUTED"
                          : check.place.below_range            ? "no range"
                                                               : "open");
      out += fmt::format("  {:>7} {:>5} {:>5}  {:<44} {:>9} {:>2} {:>8} {:>8}\n", check.place.n,
                         exponent(check.place.epsilon), exponent(check.place.delta), cut(check.quantity, 44),
                         number(check.measured), to_string(check.relation), number(check.bound), verdict);
      if (check.verdict != Verdict::kVerified) out += "          " + cut(check.reason, 88) + "\n";
    }
    for (const Control& control : statement.controls) {
      const std::string_view state = control.holds()    ? "rejected"
                                     : control.rejected ? "REJECTS THE SOUND ONE TOO"
                                                        : "NOT REJECTED";
      out += fmt::format("  control: {:<62} {:>25}\n", cut(control.control, 62), state);
    }
    if (!statement.failure_message.empty()) out += "  " + cut(statement.failure_message, 96) + "\n";
    out += "\n";
  }
  std::size_t checks = 0;
  std::size_t controls = 0;
  for (const StatementReport& statement : report.statements) {
    checks += statement.checks.size();
    controls += statement.controls.size();
  }
  out +=
      fmt::format("{}: {} statements, {} checks, {} controls, sizes {}, seed {}, {} ({} ranks), {:.1f} s\n",
                  to_string(report.outcome()), report.statements.size(), checks, controls,
                  to_string(report.sizes), report.seed, report.transport, report.ranks, report.seconds);
  out += fmt::format("false alarms: at most {} over all statistical checks, {:.3g} each\n",
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
    for (const Check& check : statement.checks) checks.push_back(to_json(check));
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
