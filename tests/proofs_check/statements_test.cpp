// Every statement at its small sizes: what it reports, and that each of its checks can refute.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "roundtrip/mpc/transport.h"
#include "roundtrip/proofs_check/faults.h"
#include "roundtrip/proofs_check/processes.h"
#include "roundtrip/proofs_check/report/finished.h"
#include "roundtrip/proofs_check/report/report.h"
#include "roundtrip/proofs_check/statement.h"
#include "roundtrip/proofs_check/verify.h"

namespace roundtrip::proofs_check {
namespace {

/// "sort: rounds" and "k_hop: rounds" are one quantity, whose control may be made of another protocol; but a code is
/// not a protocol.
std::string kind(const std::string& quantity) {
  const auto colon = quantity.find(": ");
  const auto start =
      colon == std::string::npos || quantity.find("code: ") != std::string::npos ? 0 : colon + 2;
  return quantity.substr(start, quantity.find(", z = ") - start);
}

/// checks.txt: first "observer NAME: STATEMENT: KIND" of each kind of check, then the checks.
struct List {
  std::vector<std::string> observers, checks;
  List() {
    std::ifstream file(ROUNDTRIP_SOURCE_DIR "/tests/proofs_check/checks.txt");
    for (std::string line; std::getline(file, line);)
      (line.starts_with(kObserver) ? observers : checks).push_back(line);
  }
  static constexpr std::string_view kObserver = "observer ";
};

class Statements : public testing::Test {
 protected:
  /// One verification for all tests of this binary.
  static const Report& report() {
    static const Report kReport = [] {
      const auto transport = mpc::make_in_process_transport();
      VerifyOptions options;
      options.processes = 0;
      Report made = verify(options, *transport);
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
    if (fault.ranks > 1) continue;  // tests/proofs_check/ranks_test.cpp
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
  List list;
  std::ofstream("checks.txt") << fmt::format("{}\n{}\n", fmt::join(list.observers, "\n"),
                                             fmt::join(made, "\n"));
  std::vector<std::string> gone, unlisted;
  std::ranges::set_difference(list.checks, made, std::back_inserter(gone));
  std::ranges::set_difference(made, list.checks, std::back_inserter(unlisted));
  EXPECT_EQ(fmt::format("{}", fmt::join(gone, "\n")), "");
  EXPECT_EQ(fmt::format("{}", fmt::join(unlisted, "\n")), "");
}

// Every check has an observer in the list: one whose blinding BlindedObservers sees.
TEST_F(Statements, NameAnObserverOfEveryCheck) {
  const List list;
  for (const StatementReport& statement : report().statements) {
    for (const Check& check : statement.checks) {
      const std::string line = fmt::format(": {}: {}", statement.name, kind(check.quantity));
      EXPECT_TRUE(std::ranges::any_of(list.observers, [&](const auto& o) { return o.ends_with(line); }))
          << "observer ..." << line;
    }
  }
}

// An observer that sees nothing, or always the same, lets a control of each check that names it slip through: then no
// verdict of the statement counts.
TEST(BlindedObservers, FailEveryCheckThatNamesThem) {
  std::map<std::pair<std::string, std::string>, std::vector<std::string>> kinds;  // by observer and statement
  std::set<std::string> observers;
  for (const std::string& line : List().observers) {
    const std::size_t name = List::kObserver.size(), first = line.find(": "),
                      second = line.find(": ", first + 2);
    ASSERT_NE(second, std::string::npos) << line;
    observers.insert(line.substr(name, first - name));
    kinds[{line.substr(name, first - name), line.substr(first + 2, second - first - 2)}].push_back(
        line.substr(second + 2));
  }
  std::set<std::string> blindings;
  for (const Blinding& blinding : all_blindings()) blindings.emplace(blinding.name);
  EXPECT_EQ(observers, blindings);

  const std::vector<std::pair<std::pair<std::string, std::string>, std::vector<std::string>>> pieces(
      kinds.begin(), kinds.end());
  const auto transport = mpc::make_in_process_transport();
  in_processes(
      pieces.size(), processors(),
      [&](std::size_t piece, const auto&) {
        const auto& [observer, statement] = pieces[piece].first;
        Context context{Sizes::kSmall, *transport, 1, alarm_per_check(Sizes::kSmall)};
        context.progress = [](std::string_view) {};
        const FaultSwitch on(observer);
        StatementReport report;
        report.controls = find_statement(statement).controls(context);
        return report_bytes(report);
      },
      [](std::size_t, std::string_view) {},
      [&](std::size_t piece, const Piece& result) {
        const auto& [observer, statement] = pieces[piece].first;
        ASSERT_EQ(result.failure, "") << observer << ", " << statement;
        const StatementReport report = report_of_bytes(result.bytes);
        for (const std::string& named : pieces[piece].second) {
          EXPECT_TRUE(std::ranges::any_of(
              report.controls,
              [&](const Control& control) { return kind(control.quantity) == named && !control.holds(); }))
              << observer << ": " << statement << ": " << named;
        }
      });
}

// Child processes: as many results as pieces whatever runs at a time, and a crash that is a piece's alone.
TEST(Processes, GiveEachPiecesResultOrWhyThereIsNone) {
  for (const unsigned at_a_time : {1u, 3u}) {
    std::vector<Piece> pieces(6);
    std::size_t said = 0;
    in_processes(
        pieces.size(), at_a_time,
        [](std::size_t piece, const auto& say) -> std::string {
          if (piece == 1) std::raise(SIGKILL);
          if (piece == 2) throw std::runtime_error("piece 2");
          if (piece == 3) _exit(0);
          say("here");
          return std::string(piece * 100000, 'x');
        },
        [&](std::size_t, std::string_view what) { said += what == "here"; },
        [&](std::size_t piece, Piece result) { pieces[piece] = std::move(result); });
    EXPECT_EQ(said, 3u);
    EXPECT_EQ(pieces[1].failure, "its process ended by signal 9");
    EXPECT_EQ(pieces[2].failure, "piece 2");
    EXPECT_EQ(pieces[3].failure, "its process ended without a word");
    for (const std::size_t piece : {0, 4, 5}) {
      EXPECT_EQ(pieces[piece].failure, "");
      EXPECT_EQ(pieces[piece].bytes.size(), piece * 100000);
    }
  }
}

TEST(Processes, ChangeNoResult) {
  const auto transport = mpc::make_in_process_transport();
  const auto facts = [&](unsigned processes) {
    VerifyOptions options;
    options.statements = {"match2_one_layer", "reports", "building_blocks", "k_hop_depth"};
    options.processes = processes;
    auto json = to_json(verify(options, *transport));
    json.erase("seconds");
    for (auto& statement : json["statements"]) statement.erase("seconds");
    return json.dump();
  };
  const std::string one = facts(1);
  EXPECT_EQ(facts(2), one);
  EXPECT_EQ(facts(5), one);
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
    options.processes = 0;
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
