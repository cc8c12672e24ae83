// Every statement at its small sizes: what it reports, and that each of its checks can refute.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <vector>

#include "roundtrip/mpc/transport.h"
#include "roundtrip/proofs_check/faults.h"
#include "roundtrip/proofs_check/report/report.h"
#include "roundtrip/proofs_check/statement.h"
#include "roundtrip/proofs_check/verify.h"

namespace roundtrip::proofs_check {
namespace {

class Statements : public testing::Test {
 protected:
  /// One verification for all tests of this binary.
  static const Report& report() {
    static const Report kReport = [] {
      const auto transport = mpc::make_in_process_transport();
      Report made = verify({}, *transport);
      std::fputs(terminal_table(made).c_str(), stdout);
      return made;
    }();
    return kReport;
  }
};

TEST_F(Statements, AreAllVerified) {
  ASSERT_EQ(report().statements.size(), all_statements().size());
  for (const StatementReport& statement : report().statements) {
    EXPECT_EQ(statement.outcome(), Outcome::kVerified) << statement.name << ": " << statement.failure_message;
    EXPECT_FALSE(statement.constants.empty()) << statement.name;
  }
}

TEST_F(Statements, HaveThreeSizesInRange) {
  for (const StatementReport& statement : report().statements) {
    std::set<std::uint64_t> sizes;
    for (const Check& check : statement.checks) {
      if (!check.configuration.below_range) sizes.insert(check.configuration.n);
    }
    EXPECT_GE(sizes.size(), 3u) << statement.name;
  }
}

TEST_F(Statements, RefuteEveryCheckWhoseBoundIsLowered) {
  for (const StatementReport& statement : report().statements) {
    for (const Check& check : statement.checks) {
      // 0.9 of the measurement where that is less; for a probability, 0.9 of what the interval leaves
      // possible.
      const double measured = check.interval ? check.interval->low : check.measured;
      const double bound = measured > 0 ? 0.9 * measured : -1;
      EXPECT_EQ(rejudged(check, bound).verdict,
                check.relation == Relation::kAtLeast ? Verdict::kVerified : Verdict::kRefuted)
          << statement.name << ": " << check.quantity;
    }
  }
}

TEST_F(Statements, HaveAControlForEveryQuantity) {
  // "sort: rounds" and "k_hop: rounds" are one quantity, whose control may be made of another protocol; but a
  // code is not a protocol.
  const auto kind = [](const std::string& quantity) {
    const auto colon = quantity.find(": ");
    const auto start =
        colon == std::string::npos || quantity.find("code: ") != std::string::npos ? 0 : colon + 2;
    return quantity.substr(start, quantity.find(", z = ") - start);
  };
  for (const StatementReport& statement : report().statements) {
    std::set<std::string> controlled;
    for (const Control& control : statement.controls) {
      controlled.insert(kind(control.quantity));
      EXPECT_TRUE(control.rejected) << statement.name << ": " << control.control;
      EXPECT_TRUE(control.accepted_off) << statement.name << ": " << control.control;
      EXPECT_EQ(control.theorem, statement.name);
    }
    for (const Check& check : statement.checks) {
      EXPECT_TRUE(controlled.contains(kind(check.quantity))) << statement.name << ": " << check.quantity;
      EXPECT_EQ(check.configuration.theorem, statement.name);
    }
  }
}

TEST_F(Statements, MakeEveryCheckThatAFaultBelongsTo) {
  for (const SeededFault& fault : all_faults()) {
    const auto statement = std::ranges::find(report().statements, fault.theorem, &StatementReport::name);
    ASSERT_NE(statement, report().statements.end()) << fault.name;
    EXPECT_TRUE(accepts(statement->checks, fault)) << fault.name << ": " << fault.quantity;
  }
}

// What verify checks is a list that only a reader of checks.txt changes: a check that is gone, or is made at
// fewer sizes, fails here by name. The list as it is now is left beside the test as checks.txt.
TEST_F(Statements, MakeExactlyTheChecksOfTheList) {
  std::vector<std::string> made;
  for (const StatementReport& statement : report().statements) {
    for (const Check& check : statement.checks)
      made.push_back(fmt::format("{}: {}: N = {}", statement.name, check.quantity, check.configuration.n));
  }
  std::ranges::sort(made);
  std::ofstream("checks.txt") << fmt::format("{}\n", fmt::join(made, "\n"));
  std::vector<std::string> listed, gone, unlisted;
  std::ifstream file(ROUNDTRIP_SOURCE_DIR "/tests/proofs_check/checks.txt");
  for (std::string line; std::getline(file, line);) listed.push_back(line);
  std::ranges::set_difference(listed, made, std::back_inserter(gone));
  std::ranges::set_difference(made, listed, std::back_inserter(unlisted));
  EXPECT_EQ(fmt::format("{}", fmt::join(gone, "\n")), "");
  EXPECT_EQ(fmt::format("{}", fmt::join(unlisted, "\n")), "");
}

TEST_F(Statements, KeepTheirShareOfTheFalseAlarmBudget) {
  for (const StatementReport& statement : report().statements) {
    std::uint32_t statistical = 0;
    for (const Check& check : statement.checks) statistical += check.interval.has_value();
    EXPECT_LE(statistical, find_statement(statement.name).statistical_checks(Sizes::kSmall))
        << statement.name;
  }
}

// The budget is 1e-3 a verification: one refuted check in 20 would be a defect, of the program or of a bound.
TEST(StatementsLong, TwentyFreshSeedsRaiseNoFalseAlarm) {
  const auto transport = mpc::make_in_process_transport();
  for (std::uint64_t seed = 1001; seed <= 1020; ++seed) {
    VerifyOptions options;
    options.seed = seed;
    options.controls = false;
    const Report report = verify(options, *transport);
    for (const StatementReport& statement : report.statements) {
      EXPECT_EQ(statement.failure_message, "") << statement.name << ", seed " << seed;
      for (const Check& check : statement.checks) {
        EXPECT_NE(check.verdict, Verdict::kRefuted)
            << statement.name << ": " << check.quantity << ", seed " << seed << ": " << check.reason;
      }
    }
  }
}

}  // namespace
}  // namespace roundtrip::proofs_check
