// The paper's two experiments: the grids, what they count, and the trends that the constructions promise.
#include "roundtrip/simulate/native/experiments.h"

#include <gtest/gtest.h>

#include "roundtrip/base/error.h"
#include "roundtrip/simulate/native/k_hop.h"
#include "roundtrip/simulate/native/match2.h"

namespace roundtrip::simulate {
namespace {

std::uint64_t wrong_at(const std::vector<ErrorPoint>& points, std::uint32_t tables, std::uint32_t last_tables,
                       std::uint32_t functions) {
  for (const ErrorPoint& point : points) {
    if (point.tables == tables && point.last_tables == last_tables && point.functions == functions) {
      return point.wrong;
    }
  }
  ADD_FAILURE() << "no such point";
  return 0;
}

TEST(Experiments, ThePapersGrids) {
  const ErrorGrid match2 = paper_match2_grid(true), induction = paper_induction_grid(true);
  EXPECT_EQ(match2.n, 32u);
  EXPECT_EQ(match2.symbols, 37u);
  EXPECT_EQ(match2.tables.size() * match2.functions.size(), 16u * 6);
  EXPECT_EQ(induction.n, 100u);
  EXPECT_EQ(induction.symbols, 4u);
  EXPECT_EQ(match2.draws, 10u);
  EXPECT_EQ(induction.draws, 10u);
}

TEST(Experiments, TolerantMatch2FailsLessWithTablesAndWithFunctions) {
  ErrorGrid grid = paper_match2_grid(true);
  grid.tables = {1, 4, 16};
  const auto points = match2_errors(grid);
  ASSERT_EQ(points.size(), 18u);
  for (const ErrorPoint& point : points) {
    EXPECT_EQ(point.outputs, 320u);
    EXPECT_EQ(point.tables, point.last_tables);
  }
  EXPECT_GT(wrong_at(points, 1, 1, 2), wrong_at(points, 16, 16, 2));
  EXPECT_GT(wrong_at(points, 4, 4, 1), wrong_at(points, 4, 4, 2));
  EXPECT_GT(wrong_at(points, 4, 4, 2), wrong_at(points, 4, 4, 4));
  EXPECT_EQ(wrong_at(points, 16, 16, 6), 0u);
}

TEST(Experiments, PlainMatch2NeedsItsFunctionsAndNoTables) {
  ErrorGrid grid = paper_match2_grid(false);
  const std::uint32_t enough = match2_tables({.n = 32, .modulus = 37}, 1e-6, 16).functions;
  grid.tables = {1, 16};
  grid.functions = {1, 6, enough};
  const auto points = match2_errors(grid);
  EXPECT_GT(wrong_at(points, 1, 1, 1), wrong_at(points, 1, 1, 6));
  EXPECT_LT(wrong_at(points, 1, 1, 6), wrong_at(points, 16, 16, 6));
  EXPECT_EQ(wrong_at(points, 1, 1, enough), 0u);
  EXPECT_EQ(wrong_at(points, 16, 16, enough), 0u);
}

TEST(Experiments, TolerantInductionHeadsFailLessWithTablesAndWithFunctions) {
  ErrorGrid grid = paper_induction_grid(true);
  grid.tables = {1, 32};
  grid.last_tables = {4, 32};
  const auto points = induction_errors(grid);
  ASSERT_EQ(points.size(), 16u);
  for (const ErrorPoint& point : points) EXPECT_EQ(point.outputs, 1000u);
  EXPECT_GT(wrong_at(points, 1, 4, 2), wrong_at(points, 32, 4, 2));
  EXPECT_GT(wrong_at(points, 32, 4, 2), wrong_at(points, 32, 32, 2));
  EXPECT_GT(wrong_at(points, 32, 4, 1), wrong_at(points, 32, 4, 3));
  EXPECT_EQ(wrong_at(points, 32, 32, 4), 0u);
}

TEST(Experiments, PlainInductionHeadsNeedTheirFunctions) {
  ErrorGrid grid = paper_induction_grid(false);
  grid.tables = {2};
  grid.last_tables = {2};
  grid.functions = {4, k_hop_tables({.n = 100, .levels = 1, .word_bits = 2}, 1e-6, 2).functions};
  const auto points = induction_errors(grid);
  EXPECT_GT(points[0].wrong, 100u);
  EXPECT_EQ(points[1].wrong, 0u);
}

TEST(Experiments, APointDependsOnNothingButItsParameters) {
  ErrorGrid alone = paper_match2_grid(true), among = alone;
  alone.tables = {3};
  alone.functions = {2};
  among.tables = {1, 3};
  EXPECT_EQ(match2_errors(alone)[0].wrong, wrong_at(match2_errors(among), 3, 3, 2));
  alone.seed = 2;
  EXPECT_NE(match2_errors(alone)[0].wrong, wrong_at(match2_errors(among), 3, 3, 2));
}

TEST(Experiments, RefuseEmptyGrids) {
  ErrorGrid grid = paper_match2_grid(true);
  grid.draws = 0;
  EXPECT_THROW(match2_errors(grid), ContractError);
  grid = paper_induction_grid(true);
  grid.last_tables.clear();
  EXPECT_THROW(induction_errors(grid), ContractError);
  grid.functions.clear();
  EXPECT_THROW(match2_errors(grid), ContractError);
}

}  // namespace
}  // namespace roundtrip::simulate
