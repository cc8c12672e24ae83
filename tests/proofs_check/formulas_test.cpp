// The verifier's own formulas and oracles, against literal values worked out on paper.
#include <gtest/gtest.h>

#include "roundtrip/base/error.h"
#include "roundtrip/proofs_check/formulas.h"
#include "roundtrip/proofs_check/oracles.h"

namespace roundtrip::proofs_check {
namespace {

TEST(RootCeil, IsExact) {
  EXPECT_EQ(root_ceil(1024, Rational(2, 5)), 16u);
  EXPECT_EQ(root_ceil(1025, Rational(2, 5)), 17u);
  EXPECT_EQ(root_ceil(4096, Rational(1, 3)), 16u);
  EXPECT_EQ(root_ceil(1u << 24, Rational(7, 10)), 114105u);
  EXPECT_EQ(root_ceil(1, Rational(1, 2)), 1u);
  EXPECT_EQ(root_ceil(7, Rational(0)), 1u);
  EXPECT_EQ(root_ceil(513, Rational(1, 2)), 23u);
  EXPECT_THROW(root_ceil(0, Rational(1, 2)), ContractError);
}

TEST(LogCeil, IsExactAtPowers) {
  EXPECT_EQ(log_ceil(2, 1), 0u);
  EXPECT_EQ(log_ceil(2, 1024), 10u);
  EXPECT_EQ(log_ceil(2, 1025), 11u);
  EXPECT_EQ(log_ceil(3, 27), 3u);
  EXPECT_EQ(log_ceil(3, ~std::uint64_t{0}), 41u);
}

struct SortCase {
  std::uint32_t log_n;
  Rational epsilon;
  std::uint64_t kappa;
  std::uint32_t rounds;
};

TEST(SortSizes, HaveTheTabulatedValues) {
  const SortCase cases[] = {
      {8, {1, 2}, 16, 12},  {16, {1, 2}, 16, 16}, {24, {1, 2}, 16, 16}, {8, {1, 2}, 8, 38},
      {10, {1, 2}, 8, 25},  {12, {1, 2}, 8, 25},  {14, {1, 2}, 8, 21},  {16, {1, 2}, 8, 16},
      {20, {1, 2}, 8, 16},  {8, {2, 5}, 16, 25},  {10, {2, 5}, 16, 25}, {9, {1, 3}, 16, 51},
      {10, {1, 3}, 12, 72}, {10, {1, 3}, 16, 43}, {12, {1, 3}, 16, 42}, {12, {3, 5}, 6, 16},
      {14, {3, 5}, 12, 7},  {12, {2, 3}, 3, 16},  {14, {1, 2}, 24, 11}, {11, {1, 2}, 6, 29},
      {13, {1, 2}, 4, 38},  {16, {3, 5}, 8, 11},  {9, {2, 3}, 2, 51},   {13, {1, 3}, 32, 25},
      {14, {2, 5}, 8, 42}};
  for (const SortCase& c : cases) {
    const std::uint64_t n = std::uint64_t{1} << c.log_n;
    const auto sort = sort_sizes(n, 2, c.kappa * root_ceil(n, c.epsilon));
    ASSERT_TRUE(sort.has_value()) << n;
    EXPECT_EQ(sort->rounds, c.rounds) << n << " " << c.epsilon.to_string() << " " << c.kappa;
  }
  EXPECT_EQ(sort_sizes(1 << 16, 1, 8 * 256)->rounds, 16u);  // keys alone: s / 2 of them a machine
  EXPECT_EQ(sort_sizes(1 << 16, 1, 8 * 256)->machines, 64u);
  EXPECT_EQ(sort_sizes(2u << 8, 2, 8 * 16)->rounds, 51u);  // n = 2N, kappa 8
  EXPECT_EQ(sort_sizes(2u << 12, 2, 8 * 64)->rounds, 29u);
  EXPECT_EQ(sort_sizes(2u << 10, 2, 16 * 32)->rounds, 16u);  // n = 2N, kappa 16
  EXPECT_EQ(sort_sizes(10, 2, 60)->rounds, 0u);              // one machine
}

TEST(SortMemory, RaisesKappaToTheLeastThatHasAPlan) {
  EXPECT_FALSE(sort_sizes(256, 2, 5 * 16).has_value());
  const SortMemory memory = sort_memory(256, 2, 4, 16);
  EXPECT_EQ(memory.kappa_s, 6u);
  EXPECT_EQ(memory.sort.rounds, 82u);
  EXPECT_EQ(memory.memory_words, 96u);
  EXPECT_EQ(sort_memory(1024, 2, 8, 32).kappa_s, 8u);
}

TEST(IdentityFunctions, HasTheTabulatedValues) {
  const std::pair<int, std::uint32_t> expected[] = {{10, 43}, {12, 48}, {14, 53}, {16, 58}, {20, 68}};
  for (const auto& [log_ids, z] : expected)
    EXPECT_EQ(identity_functions(1u << log_ids, 128, 1e-6), z) << log_ids;
  // One function, antipodal symmetry: two random sign vectors agree half the time, less the pairs that are
  // equal.
  EXPECT_NEAR(identity_collision(2, 1), 0.25, 1e-12);
}

TEST(PacketDimension, IsTheLeastOverBothCodes) {
  EXPECT_EQ(packet_dimension(32, 256),
            64u);  // identity: every cover-free code of 32 sources that may all meet is longer
  EXPECT_EQ(packet_dimension(9, 1), 8u);  // X = 1 for all k: k = 4, P = 2
  EXPECT_EQ(packet_dimension(1, 5), 2u);
  // 512 sources of which 8 may meet: k = 2, X = 8, P = 23: 736; k = 3, X = 15, P = 17: 1020; identity: 1024.
  EXPECT_EQ(packet_dimension(512, 8), 736u);
}

TEST(Oracles, FollowTheDefinitions) {
  const Numbers x{3, 1, 3, 3, 1, 2, 3};
  EXPECT_EQ(oracle_sum(x, 48), (Answers{16}));
  EXPECT_EQ(oracle_sum(Numbers{(1LL << 47) - 1, 1}, 48), (Answers{-(1LL << 47)}));  // wraps modulo 2^48
  EXPECT_EQ(oracle_sort(x), (Answers{1, 1, 2, 3, 3, 3, 3}));
  EXPECT_EQ(oracle_match2(Numbers{0, 1, 2, 5, 7}, 8), (Answers{1, 1, 0, 0, 1}));  // 0 pairs with itself
  EXPECT_EQ(oracle_match2(Numbers{4}, 8), (Answers{1}));
  EXPECT_EQ(oracle_match2(Numbers{-3, 3, 6}, 8), (Answers{1, 1, 0}));
  // find_1 = 0 0 2 4 3 0 5.
  const std::optional<std::int64_t> none;
  EXPECT_EQ(oracle_k_hop(x, 1), (Answers{none, none, 1, 3, 3, none, 1}));
  EXPECT_EQ(oracle_k_hop(x, 2), (Answers{none, none, none, 3, 1, none, 3}));
  EXPECT_EQ(oracle_k_hop(x, 1000), (Answers{none, none, none, 3, none, none, none}));
  EXPECT_EQ(oracle_k_hop(Numbers{9, 9, 9}, 1u << 30), (Answers{none, 9, 9}));
}

}  // namespace
}  // namespace roundtrip::proofs_check
