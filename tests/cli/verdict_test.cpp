// What commands conclude of what they found, and the status that goes with it; and that each defect seeded there is
// seen by these tests.
#include "roundtrip/cli/verdict.h"

#include <gtest/gtest.h>

#include <string>

#include "roundtrip/base/error.h"
#include "roundtrip/base/fault.h"

namespace roundtrip::cli {
namespace {

bool statuses_hold() {
  return status_of("done") == 0 && status_of("verified") == 0 && status_of("refuted") == 1 &&
         status_of("violated") == 3 && status_of("inconclusive") == 4 && status_of("failed") == 70;
}

bool judgements_hold() {
  return judge({true, true}) == "verified" && judge({true, false}) == "refuted" &&
         judge({false, true}) == "refuted" && judge({false}, true) == "inconclusive" &&
         judge({true}, true) == "verified" && judge({true, true, true, false}) == "refuted";
}

bool bounds_hold() {
  const simulate::TransformerSizes bound{.depth = 7, .width = 100};
  const auto with = [&](std::uint64_t depth, std::uint64_t width) {
    simulate::TransformerSizes measured = bound;
    measured.depth = depth, measured.width = width;
    return within_bound(measured, bound);
  };
  return with(7, 100) && with(7, 99) && !with(8, 100) && !with(6, 100) && !with(7, 101);
}

bool comparisons_hold() {
  return attend_verdict("", false) == "done" && attend_verdict("exact", false) == "done" &&
         attend_verdict("brute", true) == "verified" && attend_verdict("brute", false) == "refuted";
}

bool violations_hold() {
  using Kind = mpc::ModelViolation::Kind;
  for (const Kind kind :
       {Kind::kWordsSent, Kind::kWordsReceived, Kind::kWordWidth, Kind::kDestination, Kind::kMessageAfterEnd,
        Kind::kEarlyOutput, Kind::kMissingOutput, Kind::kDuplicateOutput, Kind::kScratch}) {
    if (verdict_of(mpc::ModelViolation({kind, 1, 2, 3, 4})) != "violated") return false;
  }
  return verdict_of(mpc::ModelViolation({Kind::kStepFailed, 1, 2, 0, 0}, "thrown")) == "failed";
}

TEST(Verdict, HasAStatus) {
  EXPECT_TRUE(statuses_hold());
  EXPECT_THROW((void)status_of("verfied"), InternalError);
  EXPECT_THROW((void)status_of(""), InternalError);
}
TEST(Verdict, RestsOnEveryFinding) {
  EXPECT_TRUE(judgements_hold());
}
TEST(Verdict, ComparesDepthAndWidth) {
  EXPECT_TRUE(bounds_hold());
}
TEST(Verdict, OfAttendIsThatOfTheDefinition) {
  EXPECT_TRUE(comparisons_hold());
}
TEST(Verdict, OfAStepThatThrowsIsNoViolation) {
  EXPECT_TRUE(violations_hold());
}

TEST(Verdict, SeededDefectsAreSeen) {
  const auto all = [] {
    return statuses_hold() && judgements_hold() && bounds_hold() && comparisons_hold() && violations_hold();
  };
  for (const char* fault : {"refuted-leaves-zero", "inconclusive-leaves-zero", "violated-leaves-zero",
                            "failed-leaves-zero", "throw-is-violation", "one-finding-decides",
                            "depth-uncompared", "width-uncompared", "attend-uncompared"}) {
    const FaultSwitch on(fault);
    EXPECT_FALSE(all()) << fault;
  }
  EXPECT_TRUE(all());
}

}  // namespace
}  // namespace roundtrip::cli
