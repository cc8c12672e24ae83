// Verification under mpirun: the same numbers on every rank and for every number of ranks.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "mpi_main.h"
#include "roundtrip/base/error.h"
#include "roundtrip/proofs_check/faults.h"
#include "roundtrip/proofs_check/report/report.h"
#include "roundtrip/proofs_check/spread.h"
#include "roundtrip/proofs_check/verify.h"

namespace roundtrip::proofs_check {
namespace {

/// All that a report says but who computed it and how long it took.
std::string facts(const Report& report) {
  auto json = to_json(report);
  for (const char* key : {"transport", "ranks", "seconds"}) json.erase(key);
  for (auto& statement : json["statements"]) statement.erase("seconds");
  return json.dump();
}

void expect_equal_facts(const VerifyOptions& options) {
  const auto transport = tests::session().transport();
  const std::string mine = facts(verify(options, *transport));
  std::string first = mine;
  transport->broadcast(first);
  EXPECT_EQ(mine, first);
  if (transport->rank() == 0) {
    const auto in_process = mpc::make_in_process_transport();
    EXPECT_EQ(mine, facts(verify(options, *in_process)));
  }
}

TEST(Ranks, FindTheFaultsThatOneRankCannotShow) {
  const auto transport = tests::session().transport();
  const FaultReport report = verify_faults({.names = {"several ranks"}}, *transport);
  EXPECT_EQ(report.findings.size(), transport->ranks() > 1 ? 4u : 1u);
  EXPECT_TRUE(report.holds()) << terminal_table(report);
  if (transport->ranks() == 1) {
    EXPECT_THROW((void)verify_faults({.names = {"limit-of-ranks"}}, *transport), ContractError);
  }
}

TEST(Ranks, FindTheSameFaultsAsInProcess) {
  // A defect of the runtime may well do more on more ranks: what it did is compared between ranks alone.
  const auto facts_of = [](const FaultReport& report, bool reasons) {
    auto json = to_json(report);
    for (const char* key : {"transport", "ranks", "seconds"}) json.erase(key);
    for (auto& fault : json["faults"]) {
      if (!reasons) fault.erase("reason");
    }
    return json.dump();
  };
  // Rank 0's choice counts: a launcher may start ranks with other arguments.
  const auto transport = tests::session().transport();
  const FaultOptions options{.names = {"runtime", "flag-lost", "draw-unchecked", "check-lost"}};
  const FaultReport report = verify_faults(transport->rank() == 0 ? options : FaultOptions{}, *transport);
  EXPECT_TRUE(report.holds()) << terminal_table(report);
  std::string first = facts_of(report, true);
  transport->broadcast(first);
  EXPECT_EQ(facts_of(report, true), first);
  if (transport->rank() == 0) {
    const auto in_process = mpc::make_in_process_transport();
    EXPECT_EQ(facts_of(report, false), facts_of(verify_faults(options, *in_process), false));
  }
}

// Statements of every kind: runs that are recounted, draws spread over ranks, networks, work of one rank.
TEST(Ranks, VerifyToTheSameNumbersAsInProcess) {
  expect_equal_facts({.statements = {"anna_definition", "match2_one_layer", "k_hop_depth",
                                     "connectivity_rounds", "chunked_attention_reach"}});
}
TEST(RanksLong, VerifyAllToTheSameNumbersAsInProcess) {
  expect_equal_facts({});
}

TEST(Spread, GivesEveryRankAllNumbers) {
  const auto transport = tests::session().transport();
  const auto squares = spread(*transport, 5, [](std::size_t i) {
    return std::vector<std::uint64_t>{i, i * i};
  });
  for (std::size_t i = 0; i < 5; ++i) EXPECT_EQ(squares[i], (std::vector<std::uint64_t>{i, i * i}));
  EXPECT_EQ(spread_count(*transport, 1000, [](std::uint64_t i) { return i % 7 == 3; }), 143u);
  EXPECT_EQ(spread_count(*transport, 1, [](std::uint64_t) { return true; }), 1u);
}

TEST(Spread, ThrowsOnEveryRankWhatTheFirstItemThrows) {
  const auto transport = tests::session().transport();
  for (int repeat = 0; repeat < 2; ++repeat) {
    try {
      (void)spread(*transport, 9, [](std::size_t i) -> std::vector<std::uint64_t> {
        if (i == 6 || i == 7) throw std::runtime_error("item " + std::to_string(i));
        return {i};
      });
      ADD_FAILURE() << "must throw";
    } catch (const InternalError& error) {
      EXPECT_STREQ(error.what(), "item 6");
    }
  }
}

}  // namespace
}  // namespace roundtrip::proofs_check
