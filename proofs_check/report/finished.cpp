#include "roundtrip/proofs_check/report/finished.h"

#include <fmt/format.h>

// The program is told apart by its bytes: any change of it may change a verdict.
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <cmath>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

namespace roundtrip::proofs_check {
namespace {

using Json = nlohmann::ordered_json;

std::uint64_t program_checksum() {
  static const std::uint64_t kChecksum = [] {
    std::ifstream program("/proc/self/exe", std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(program), {}};
    return XXH3_64bits(bytes.data(), bytes.size());
  }();
  return kChecksum;
}

/// JSON has no infinities; other numbers are written with as many digits as they have.
Json to_json(double value) {
  return std::isfinite(value) ? Json(value) : Json(fmt::format("{}", value));
}
double number(const Json& json) {
  return json.is_string() ? std::stod(json.get<std::string>()) : json.get<double>();
}
Json to_json(const std::optional<Rational>& value) {
  return value ? Json(value->to_string()) : Json(nullptr);
}
std::optional<Rational> rational(const Json& json) {
  if (json.is_null()) return std::nullopt;
  return Rational::parse(json.get<std::string>(), "exponent");
}

Json to_json(const Check& check) {
  const Configuration& configuration = check.configuration;
  Json interval = nullptr;
  if (check.interval) interval = {to_json(check.interval->low), to_json(check.interval->high)};
  return {configuration.theorem,
          configuration.n,
          to_json(configuration.epsilon),
          to_json(configuration.delta),
          configuration.below_range,
          configuration.seed,
          check.quantity,
          to_json(check.measured),
          interval,
          static_cast<int>(check.relation),
          to_json(check.bound),
          static_cast<int>(check.verdict),
          check.reason};
}

Check check_of(const Json& json) {
  Check check;
  check.configuration = {json.at(0),           json.at(1), rational(json.at(2)),
                         rational(json.at(3)), json.at(4), json.at(5)};
  check.quantity = json.at(6);
  check.measured = number(json.at(7));
  if (!json.at(8).is_null()) check.interval = Interval{number(json.at(8).at(0)), number(json.at(8).at(1))};
  check.relation = static_cast<Relation>(json.at(9).get<int>());
  check.bound = number(json.at(10));
  check.verdict = static_cast<Verdict>(json.at(11).get<int>());
  check.reason = json.at(12);
  return check;
}

}  // namespace

std::string finished_key(const std::string& statement, const VerifyOptions& options) {
  return fmt::format("{}-{}-{}{}-{:016x}", statement, to_string(options.sizes), options.seed,
                     options.controls ? "" : "-no-controls", program_checksum());
}

std::string finished_text(const StatementReport& report, const std::string& key) {
  Json json{{"key", key}, {"name", report.name}, {"seconds", report.seconds}};
  for (const char* list : {"constants", "checks", "controls", "beside"}) json[list] = Json::array();
  for (const Constant& c : report.constants) json["constants"].push_back({c.name, c.value, c.meaning});
  for (const Check& check : report.checks) json["checks"].push_back(to_json(check));
  for (const Control& c : report.controls)
    json["controls"].push_back({c.theorem, c.control, c.quantity, c.rejected, c.accepted_off});
  for (const Metric& r : report.metrics) json["beside"].push_back({r.quantity, r.n, to_json(r.value)});
  return json.dump() + "\n";
}

std::optional<StatementReport> read_finished(const std::string& text, const std::string& key) {
  try {
    const Json json = Json::parse(text);
    if (json.at("key") != key) return std::nullopt;
    StatementReport report;
    report.name = json.at("name");
    report.seconds = number(json.at("seconds"));
    for (const Json& c : json.at("constants")) report.constants.push_back({c.at(0), c.at(1), c.at(2)});
    for (const Json& c : json.at("checks")) report.checks.push_back(check_of(c));
    for (const Json& c : json.at("controls"))
      report.controls.push_back({c.at(0), c.at(1), c.at(2), c.at(3), c.at(4)});
    for (const Json& r : json.at("beside")) report.metrics.push_back({r.at(0), r.at(1), number(r.at(2))});
    return report;
  } catch (const std::exception&) {
    return std::nullopt;  // a file of another kind, or damaged: the statement is verified again
  }
}

}  // namespace roundtrip::proofs_check
