// Plans and comparisons of `roundtrip attend`.
#include "roundtrip/anna/dense/attend.h"

#include <gtest/gtest.h>

#include <cmath>

#include "roundtrip/base/error.h"

namespace roundtrip::anna {
namespace {

TEST(PlanAttend, ChoosesByEtaAndSaysWhereItIsPointless) {
  const AttendPlan small = plan_attend(256, 256, 64, 64, {.family = FamilyKind::kCrossPolytope, .c = 4});
  EXPECT_EQ(small.functions, 5u);
  EXPECT_NEAR(static_cast<double>(small.tables), 294, 12);
  EXPECT_TRUE(small.pointless);
  EXPECT_NE(small.advice.find("comparing all pairs costs less"), std::string::npos);
  // Each remedy alone does help, and the step before does not.
  EXPECT_NE(small.advice.find("c = 5 (z = "), std::string::npos) << small.advice;
  EXPECT_LT(plan_attend(256, 256, 64, 64, {.family = FamilyKind::kCrossPolytope, .c = 5}).tables, 256u);
  EXPECT_NE(small.advice.find("N = 2^9 (z = "), std::string::npos) << small.advice;
  EXPECT_FALSE(plan_attend(512, 512, 64, 64, {.family = FamilyKind::kCrossPolytope, .c = 4}).pointless);
  const AttendPlan hopeless =
      plan_attend(256, 256, 64, 64, {.family = FamilyKind::kCrossPolytope, .c = 1.2, .radius = 1.3});
  EXPECT_TRUE(hopeless.pointless);
  EXPECT_NE(hopeless.advice.find("no c up to 64"), std::string::npos) << hopeless.advice;
  const AttendPlan large =
      plan_attend(1 << 16, 1 << 16, 64, 64, {.family = FamilyKind::kCrossPolytope, .c = 8});
  EXPECT_EQ(large.functions, 7u);
  EXPECT_FALSE(large.pointless);
  EXPECT_TRUE(large.guaranteed);
  EXPECT_TRUE(large.advice.empty());
  EXPECT_EQ(large.hash_evaluations, 2.0 * 65536 * large.functions * static_cast<double>(large.tables));
  const AttendPlan forced = plan_attend(
      1 << 16, 1 << 16, 64, 64, {.family = FamilyKind::kCrossPolytope, .c = 8, .tables = 3, .functions = 7});
  EXPECT_FALSE(forced.guaranteed);
  EXPECT_NE(forced.advice.find("near pairs may be missed"), std::string::npos);
  const AttendPlan p_stable =
      plan_attend(100, 100, 8, 8, {.family = FamilyKind::kPStable, .c = 6, .radius = 1e-6});
  EXPECT_NEAR(p_stable.p1.estimate,
              1 - 2 * std::erfc(4 / std::sqrt(2.0)) / 2 - 2 / (std::sqrt(2 * M_PI) * 4) * (1 - std::exp(-8)),
              1e-9);
}

TEST(PlanAttend, Refuses) {
  EXPECT_THROW(plan_attend(0, 1, 4, 4, {}), ContractError);
  EXPECT_THROW(plan_attend(1, 1, 0, 4, {}), ContractError);
  EXPECT_THROW(plan_attend(1, 1, 4, 0, {}), ContractError);
  EXPECT_THROW(plan_attend(10, 10, 64, 4, {.c = 1}), ContractError);
  EXPECT_THROW(plan_attend(10, 10, 64, 4, {.eta = 0}), ContractError);
  EXPECT_THROW(plan_attend(10, 10, 64, 4, {.family = FamilyKind::kBitSampling}), ContractError);
  EXPECT_THROW(plan_attend(10, 10, 64, 4, {.tables = 0, .functions = 3}), ContractError);
  EXPECT_THROW(plan_attend(10, 10, 64, 4, {.c = 2, .radius = 1.5}), ContractError);  // c r beyond the sphere
  EXPECT_THROW(parse_compare("softmax"), ContractError);
}

TEST(Attend, ComparesWithWhatItApproximates) {
  const Instance instance = generate_instance({.kind = InstanceKind::kPlanted, .tokens = 300, .c = 8});
  const DenseHead head = quantise(instance.queries, instance.keys, instance.values, true);
  const auto run = [&](AttendOptions options, AttendCompare compare) {
    options.family = FamilyKind::kCrossPolytope;
    return attend(head, plan_attend(300, 300, 64, 64, options), options, compare, instance.groups);
  };
  const AttendReport brute = run({.tables = 8, .functions = 2}, AttendCompare::kBrute);
  EXPECT_TRUE(brute.equal);
  EXPECT_EQ(brute.relative_error, 0);
  EXPECT_GT(brute.weights->recall, 0.95);
  // Softmax that is sharp enough sees the near key alone; so does ANNA with many functions.
  const AttendReport exact = run({.tables = 200, .functions = 5, .beta = 400}, AttendCompare::kExact);
  EXPECT_FALSE(exact.equal);
  EXPECT_LT(exact.relative_error, 0.1);
  EXPECT_GT(run({.tables = 8, .functions = 1, .beta = 400}, AttendCompare::kExact).relative_error,
            exact.relative_error);
  EXPECT_EQ(run({.tables = 1, .functions = 1}, AttendCompare::kEma).compared_with, "ema");
  EXPECT_THROW(run({.tables = 1u << 20, .functions = 1}, AttendCompare::kBrute), ContractError);
}

}  // namespace
}  // namespace roundtrip::anna
