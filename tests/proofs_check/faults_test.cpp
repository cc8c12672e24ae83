// The defects seeded in our own code: each is refuted by the check that it belongs to, and by what happens to
// that check alone.
#include "roundtrip/proofs_check/faults.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "roundtrip/base/error.h"
#include "roundtrip/proofs_check/statement.h"
#include "roundtrip/proofs_check/verify.h"

namespace roundtrip::proofs_check {
namespace {

using testing::HasSubstr;

static_assert(kFaultsCompiledIn, "the tests' builds hold the seeded faults");

/// One run of all faults for all tests of this binary.
const FaultReport& report() {
  static const FaultReport kReport = [] {
    const auto transport = mpc::make_in_process_transport();
    FaultOptions options;
    options.processes = 0;
    return verify_faults(options, *transport);
  }();
  return kReport;
}

TEST(Faults, AreEachRejectedByTheirOwnCheckAndAcceptedWhenOff) {
  // Those of several ranks: ranks_test.cpp.
  ASSERT_EQ(report().findings.size(), std::ranges::count(all_faults(), 1, &SeededFault::ranks));
  for (const FaultFinding& finding : report().findings) {
    EXPECT_TRUE(finding.rejected) << finding.fault->name << ": " << finding.reason;
    EXPECT_TRUE(finding.accepted_off) << finding.fault->name << ": " << finding.reason;
  }
  EXPECT_TRUE(report().holds());
}

TEST(Faults, AreFourOrMoreInEachOfNineAreas) {
  std::map<std::string_view, int> areas;
  std::set<std::string_view> names;
  std::set<std::string_view> defects;
  for (const SeededFault& fault : all_faults()) {
    ++areas[fault.area];
    EXPECT_TRUE(names.insert(fault.name).second) << fault.name;
    EXPECT_TRUE(defects.insert(fault.defect).second) << fault.defect;
    EXPECT_LE(fault.defect.size(), 57u) << fault.defect;  // shown whole
    EXPECT_NO_THROW(find_statement(fault.theorem)) << fault.name;
  }
  EXPECT_EQ(areas.size(), 9u);
  for (const auto& [area, count] : areas) EXPECT_GE(count, 4) << area;
  EXPECT_GE(names.size(), 112u);
}

// What a program may do that breaks a theorem unseen, by kind, and faults of each that differ. Kinds whose faults are
// found elsewhere: memory that a step takes from the heap, exit statuses, numbers beside the results.
const std::map<std::string, std::vector<std::string_view>> kKinds{
    {"memory beside the messages", {"sum-of-process", "residues-of-thread", "words-by-machine"}},
    {"memory beside the rows", {"words-beside-rows", "words-beside-bundles", "words-beside-heads"}},
    {"rows wider than said", {"wide-rows", "bundle-column", "gather-column"}},
    {"work", {"all-pairs", "pairs-beside", "sums-twice", "codes-twice"}},
    {"hash functions",
     {"one-bit-family", "tables-in-pairs", "codes-of-32-bits", "cells-doubled", "signs-unflipped",
      "one-bit-for-all", "projection-short", "last-function"}},
    {"randomness",
     {"intermediates-in-turn", "no-intermediate", "intermediate-of-slot", "intermediates-of-half",
      "draw-modulo", "stream-modulo", "bound-drawn", "last-undrawn"}},
    {"benign instances",
     {"position-twice", "first-occurrence", "cell-above", "tie-rule", "zero-without-match", "one-parent"}},
    {"counts and sizes",
     {"counts-of-16-bits", "column-tail", "batch-begins-anew", "whole-chunks-alone", "single-uncounted",
      "bucket-size"}},
    {"several ranks", {"source-within-rank", "limit-of-ranks", "last-of-ranks"}},
    {"verdicts and reports", {"below-range", "interval-ignored", "check-lost", "last-check-decides"}}};

TEST(Faults, AreThreeOrMoreOfEachKind) {
  for (const auto& [kind, names] : kKinds) {
    EXPECT_GE(std::set(names.begin(), names.end()).size(), 3u) << kind;
    for (const std::string_view name : names)
      EXPECT_EQ(std::ranges::count(all_faults(), name, &SeededFault::name), 1) << kind << ": " << name;
  }
}

// Seven builds, each of which breaks a theorem or its answers outright: refuted by what `roundtrip verify` does by
// itself, in process.
TEST(Faults, OfTheSevenBuildsThatBreakATheoremAreRefuted) {
  for (const std::string_view name : {"words-beside-rows",  // messages in a global map, rows that hold none
                                      "sum-of-process",     // machines that add up in a static
                                      "one-bit-family",     // a hash function cut to one bit
                                      "all-pairs",          // all pairs compared, counted by nobody
                                      "wide-rows",          // rows of four million columns
                                      "intermediates-in-turn",  // intermediates that are not drawn
                                      "position-twice"}) {      // 3-SUM that uses a position twice
    const auto finding = std::ranges::find(report().findings, name,
                                           [](const FaultFinding& found) { return found.fault->name; });
    ASSERT_NE(finding, report().findings.end()) << name;
    EXPECT_EQ(finding->fault->ranks, 1) << name;
    EXPECT_TRUE(finding->holds()) << name << ": " << finding->reason;
  }
}

// A hook that the list does not name would never be switched on, and a fault without a hook never be caught.
TEST(Faults, AreTheHooksOfTheSources) {
  std::set<std::string> hooks, listed;
  const std::regex hook("seeded\\(\"([a-z0-9-]+)\"\\)");
  for (const char* layer : {"base", "mpc", "anna", "simulate", "proofs_check"}) {
    for (const auto& file :
         std::filesystem::recursive_directory_iterator(std::string(ROUNDTRIP_SOURCE_DIR "/") + layer)) {
      if (!file.is_regular_file()) continue;
      std::stringstream text;
      text << std::ifstream(file.path()).rdbuf();
      const std::string all = text.str();
      for (std::sregex_iterator found(all.begin(), all.end(), hook), end; found != end; ++found)
        EXPECT_TRUE(hooks.insert((*found)[1]).second) << (*found)[1] << " twice";
    }
  }
  for (const SeededFault& fault : all_faults()) listed.emplace(fault.name);
  for (const Blinding& blinding : all_blindings()) listed.emplace(blinding.name);
  EXPECT_EQ(hooks, listed);
}

Check check_of(const SeededFault& fault, Verdict verdict) {
  Check check;
  check.configuration = {.theorem = std::string(fault.theorem), .n = fault.n};
  check.quantity = fault.quantity;
  check.verdict = verdict;
  return check;
}

TEST(Rejection, IsByTheOwnCheckAlone) {
  const SeededFault fault = all_faults()[0];
  const Check refuted = check_of(fault, Verdict::kRefuted);
  const Check verified = check_of(fault, Verdict::kVerified);
  EXPECT_TRUE(rejects(std::vector{verified, refuted}, fault));
  EXPECT_FALSE(accepts(std::vector{verified, refuted}, fault));
  EXPECT_TRUE(accepts(std::vector{verified}, fault));
  EXPECT_FALSE(rejects(std::vector{verified}, fault));
  EXPECT_FALSE(rejects({}, fault));  // the check was deleted
  EXPECT_FALSE(accepts({}, fault));
  EXPECT_FALSE(rejects(std::vector{check_of(fault, Verdict::kInconclusive)}, fault));
  EXPECT_FALSE(accepts(std::vector{check_of(fault, Verdict::kInconclusive)}, fault));
  for (Check other : {refuted, refuted, refuted}) {
    static int which = 0;
    if (which == 0) other.quantity += "x";
    if (which == 1) other.configuration.n += 1;
    if (which == 2) other.configuration.theorem += "x";
    ++which;
    EXPECT_FALSE(rejects(std::vector{other}, fault));
  }
}

TEST(Switch, TurnsOneDefectOnAndOffAgain) {
  EXPECT_FALSE(seeded("send-limit"));
  {
    const FaultSwitch on("send-limit");
    EXPECT_TRUE(seeded("send-limit"));
    EXPECT_FALSE(seeded("receive-limit"));
    EXPECT_THROW(FaultSwitch("receive-limit"), InternalError);
    EXPECT_TRUE(seeded("send-limit"));
  }
  EXPECT_FALSE(seeded("send-limit"));
}

TEST(Names, AreOfFaultsAreasAndTheorems) {
  const auto transport = mpc::make_in_process_transport();
  const FaultReport one = verify_faults({.names = {"check-lost"}}, *transport);
  ASSERT_EQ(one.findings.size(), 1u);
  EXPECT_EQ(one.findings[0].fault->name, "check-lost");
  const FaultReport area = verify_faults({.names = {"packet code", "check-lost"}}, *transport);
  for (const FaultFinding& finding : area.findings) {
    EXPECT_TRUE(finding.fault->area == "packet code" || finding.fault->name == "check-lost");
  }
  EXPECT_GE(area.findings.size(), 5u);
  try {
    verify_faults({.names = {"check-lots"}}, *transport);
    FAIL();
  } catch (const ContractError& error) {
    EXPECT_THAT(error.what(), HasSubstr("'check-lots'"));
    EXPECT_THAT(error.what(), HasSubstr("'check-lost'"));
  }
}

TEST(Reports, SayWhatIsNotRejected) {
  FaultReport made;
  made.transport = "inprocess";
  const SeededFault& fault = all_faults()[0];
  made.findings = {{&fault, true, true, "17 is not == 0"},
                   {&fault, false, true, std::string(200, 'r')},
                   {&fault, true, false, "off: " + std::string(200, 'o')},
                   {&fault, false, false, ""}};
  EXPECT_FALSE(made.holds());
  const std::string table = terminal_table(made);
  std::istringstream lines(table);
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 100u) << line;
  for (const char* words : {"NOT REJECTED", "REJECTED WHEN OFF", "NOT JUDGED", "1 of 4 faults"}) {
    EXPECT_THAT(table, HasSubstr(words));
  }
  const auto json = nlohmann::json::parse(to_json(made).dump());
  EXPECT_EQ(json["verdict"], "refuted");
  ASSERT_EQ(json["faults"].size(), 4u);
  for (const char* key :
       {"fault", "area", "defect", "theorem", "quantity", "n", "rejected", "accepted_off", "reason"})
    EXPECT_TRUE(json["faults"][0].contains(key)) << key;
  EXPECT_EQ(json["faults"][1]["rejected"], false);
  EXPECT_EQ(to_json(report())["verdict"], "verified");
  made.findings.clear();
  EXPECT_FALSE(made.holds());  // nothing was looked at
}

}  // namespace
}  // namespace roundtrip::proofs_check
