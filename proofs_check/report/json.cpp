#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <span>

#include "roundtrip/base/error.h"
#include "roundtrip/base/fault.h"
#include "roundtrip/proofs_check/report/report.h"

namespace roundtrip::proofs_check {
namespace {

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
    json["interval"] = {json_number(check.interval->low),
                        json_number(seeded("interval-end-lost") ? check.measured : check.interval->high)};
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
