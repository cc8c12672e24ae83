// What comes of checks and controls: outcomes, the terminal table, JSON.
#include "roundtrip/proofs_check/report/report.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>

#include "roundtrip/base/error.h"
#include "roundtrip/mpc/transport.h"
#include "roundtrip/proofs_check/report/finished.h"
#include "roundtrip/proofs_check/statement.h"

namespace roundtrip::proofs_check {
namespace {

using testing::HasSubstr;
using testing::Not;

Configuration in_range(std::uint64_t n) {
  return {.theorem = "t", .n = n, .epsilon = Rational(1, 2), .seed = 7};
}

StatementReport sound() {
  StatementReport statement;
  statement.name = "t";
  statement.title = std::string(200, 'x');
  statement.constants = {{"kappa", "8", std::string(200, 'y')}};
  statement.checks = {compare(in_range(1024), "rounds " + std::string(100, 'z'), 29, Relation::kEqual, 29),
                      compare(in_range(4096), "words", 100, Relation::kAtMost, 512),
                      compare(in_range(5000), "words", 500, Relation::kAtMost, 568)};
  statement.controls = {{"t", std::string(150, 'c'), "words", true, true}};
  return statement;
}

Report report_of(StatementReport statement) {
  Report report;
  report.transport = "inprocess";
  report.statements.push_back(std::move(statement));
  return report;
}

TEST(Outcome, IsTheWorstThatApplies) {
  StatementReport statement = sound();
  EXPECT_EQ(statement.outcome(), Outcome::kVerified);
  statement.checks.push_back(
      compare_interval(in_range(1024), "p", 0, {0, 0.2}, Relation::kAtMost, 0.1));  // too few samples
  EXPECT_EQ(statement.outcome(), Outcome::kInconclusive);
  statement.checks.push_back(compare(in_range(1024), "words", 600, Relation::kAtMost, 512));
  EXPECT_EQ(statement.outcome(), Outcome::kRefuted);
  statement.failure = Outcome::kModelBroken;
  EXPECT_EQ(statement.outcome(), Outcome::kModelBroken);
  Report report = report_of(statement);
  report.statements.push_back(sound());
  EXPECT_EQ(report.outcome(), Outcome::kModelBroken);
  report.statements.back().failure = Outcome::kInternalFault;
  EXPECT_EQ(report.outcome(), Outcome::kInternalFault);
}

TEST(Outcome, OfACheckThatCannotRejectIsAFaultOfOurs) {
  StatementReport statement = sound();
  statement.controls[0].rejected = false;
  EXPECT_EQ(statement.outcome(), Outcome::kInternalFault);
  statement.controls[0] = {"t", "c", "words", true, false};
  EXPECT_EQ(statement.outcome(), Outcome::kInternalFault);
}

TEST(Outcome, NeedsEvidenceInRange) {
  StatementReport statement = sound();
  for (Check& check : statement.checks) check.configuration.below_range = true;
  EXPECT_EQ(statement.outcome(), Outcome::kInconclusive);
  statement.checks.clear();
  EXPECT_EQ(statement.outcome(), Outcome::kInconclusive);
  EXPECT_EQ(Report{}.outcome(), Outcome::kInconclusive);
}

TEST(TerminalTable, FitsAHundredColumnsWhateverItSays) {
  StatementReport statement = sound();
  statement.checks.push_back(compare(in_range((1u << 30) - 1), "w", 1e14, Relation::kAtMost, -1.2345e-100));
  statement.checks.push_back(compare({.theorem = "t", .n = 12345678, .epsilon = Rational(37, 100)}, "v",
                                     1.23456789e-7, Relation::kAtMost,
                                     std::numeric_limits<double>::infinity()));
  statement.controls.push_back({"t", std::string(150, 'd'), "w", true, false});
  statement.failure_message = std::string(300, 'f');
  std::istringstream lines(terminal_table(report_of(statement)));
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 100u) << line;
}

TEST(TerminalTable, ShowsOneLineAQuantityAndEveryFailure) {
  StatementReport statement = sound();
  EXPECT_THAT(terminal_table(report_of(statement)), HasSubstr("2^12..5000       500 <= 568            2 ok"));
  EXPECT_THAT(terminal_table(report_of(statement)), Not(HasSubstr("REFUTED")));
  statement.checks.push_back(compare(in_range(64), "words", 65, Relation::kAtMost, 64));
  EXPECT_THAT(terminal_table(report_of(statement)), HasSubstr("65 <= 64          REFUTED"));
  EXPECT_THAT(terminal_table(report_of(statement)), HasSubstr("refuted at N = 64: 65 is not <= 64"));
  statement.controls[0].rejected = false;
  EXPECT_THAT(terminal_table(report_of(statement)), HasSubstr("NOT REJECTED"));
}

TEST(TerminalSummary, IsALineAStatementAndAllOfWhatDoesNotHold) {
  const auto count = [](const std::string& text) { return std::ranges::count(text, '\n'); };
  StatementReport statement = sound();
  statement.name = "k_hop_depth";
  for (const double k : {1, 4}) {
    const std::string quantity = fmt::format("k = {}: layers L = a + ceil(log2 k) + 1", k);
    statement.checks.push_back(compare(in_range(64), quantity, 3 * k, Relation::kEqual, 3 * k));
    statement.checks.push_back(compare(in_range(4096), quantity, 5 * k, Relation::kEqual, 5 * k));
  }
  const std::string sound_text = terminal_summary(report_of(statement));
  EXPECT_EQ(count(sound_text), 3);  // the statement, and two lines of totals
  EXPECT_THAT(sound_text, HasSubstr("k_hop_depth"));
  EXPECT_THAT(sound_text, HasSubstr("verified     layers, at N = 2^12: k = 1: 5, k = 4: 20"));
  statement.checks.push_back(compare(in_range(64), "words", 65, Relation::kAtMost, 64));
  const std::string refuted = terminal_summary(report_of(statement));
  EXPECT_THAT(refuted, HasSubstr("refuted at N = 64: 65 is not <= 64"));
  EXPECT_GT(count(refuted), 8);
  statement.name = std::string(200, 'n');
  statement.checks.back().quantity = std::string(300, 'q');
  std::istringstream lines(terminal_summary(report_of(statement)));
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 111u) << line;
}

TEST(Finished, KeepsEveryNumberAndNothingOfOthers) {
  StatementReport statement = sound();
  statement.checks.push_back(compare({.theorem = "t", .n = 8, .delta = Rational(1, 3), .below_range = true},
                                     "nan", std::numeric_limits<double>::quiet_NaN(), Relation::kAtLeast,
                                     1.0 / 3));
  statement.checks.push_back(compare_interval(in_range(7), "p", 0.1, {0.05, 0.2}, Relation::kAtMost, 0.25));
  statement.metrics = {{"r", 9, 1e300 / 7}};
  statement.seconds = 0.125;
  const std::string text = finished_file(statement, "key");
  const auto again = read_finished(text, "key");
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(finished_file(*again, "key"), text);
  StatementReport expected = statement;
  expected.title.clear();
  EXPECT_EQ(to_json(report_of(*again)).dump(), to_json(report_of(expected)).dump());
  EXPECT_FALSE(read_finished(text, "kez").has_value());
  EXPECT_FALSE(read_finished(text.substr(0, text.size() / 2), "key").has_value());
  EXPECT_FALSE(read_finished("", "key").has_value());
  for (std::size_t at = 0; at < text.size(); ++at) {  // a byte changed, of the head or of the archive
    std::string damaged = text;
    damaged[at] ^= 1;
    EXPECT_FALSE(read_finished(damaged, "key").has_value()) << at;
  }
}

// A verification that goes on: what was finished is read, under the same seed and sizes alone.
TEST(Finished, StatementsAreNotRunAgain) {
  const auto folder = std::filesystem::temp_directory_path() / fmt::format("roundtrip-finished-{}", getpid());
  const auto transport = mpc::make_in_process_transport();
  std::uint64_t run = 0;
  VerifyOptions options{.statements = {"k_hop_depth"}};
  options.resume_folder = folder / "deeper";
  options.progress = [&](std::string_view, std::string_view) { ++run; };
  const auto facts = [&] { return to_json(verify(options, *transport))["checks"].dump(); };
  const std::string first = facts();
  const std::uint64_t pieces = std::exchange(run, 0);
  EXPECT_GT(pieces, 0u);
  EXPECT_EQ(facts(), first);
  EXPECT_EQ(run, 0u);
  options.seed = 2;
  EXPECT_NE(facts(), first);
  EXPECT_EQ(std::exchange(run, 0), pieces);
  std::ofstream(folder / "file") << 1;
  options.resume_folder = folder / "file";
  EXPECT_THROW(verify(options, *transport), ContractError);
  std::filesystem::remove_all(folder);
}

TEST(Json, HasTheDocumentedKeys) {
  StatementReport statement = sound();
  statement.checks.push_back(compare({.theorem = "t", .n = 8}, "nan",
                                     std::numeric_limits<double>::quiet_NaN(), Relation::kAtMost, 1));
  const auto json = nlohmann::json::parse(to_json(report_of(statement)).dump());
  EXPECT_EQ(json["verdict"], "refuted");
  ASSERT_EQ(json["checks"].size(), 4u);
  for (const char* key : {"theorem", "n", "epsilon", "delta", "quantity", "measured", "relation", "bound",
                          "verdict", "reason", "below_range", "seed"}) {
    for (const auto& check : json["checks"]) EXPECT_TRUE(check.contains(key)) << key;
  }
  EXPECT_EQ(json["checks"][1]["epsilon"], "1/2");
  EXPECT_TRUE(json["checks"][1]["delta"].is_null());
  EXPECT_EQ(json["checks"][1]["measured"], 100);
  EXPECT_EQ(json["checks"][3]["verdict"], "refuted");
  EXPECT_EQ(json["controls"][0]["rejected"], true);
  EXPECT_EQ(json["controls"][0]["theorem"], "t");
}

TEST(Registry, NamesAreUniqueAndTheNearestIsNamed) {
  std::vector<std::string> names;
  for (const auto& statement : all_statements()) names.push_back(statement->name());
  ASSERT_FALSE(names.empty());
  std::sort(names.begin(), names.end());
  EXPECT_EQ(std::adjacent_find(names.begin(), names.end()), names.end());
  try {
    find_statement(names[0] + "x");
    FAIL();
  } catch (const ContractError& error) {
    EXPECT_THAT(error.what(), HasSubstr("'" + names[0] + "'"));
  }
}

}  // namespace
}  // namespace roundtrip::proofs_check
