// Purpose: what the tasks are, written straight from their definitions: sequential, quadratic where the
// definition is. No index, no sort network, no hashing: an oracle must be plainer than what it judges.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace roundtrip::proofs_check {

using Numbers = std::vector<std::int64_t>;
using Answers = std::vector<std::optional<std::int64_t>>;  ///< nullopt: none

/// x_1 + .. + x_N modulo 2^bits, as a signed number of `bits` bits.
Answers oracle_sum(std::span<const std::int64_t> x, std::uint32_t bits);
/// x in ascending order.
Answers oracle_sort(std::span<const std::int64_t> x);
/// 1 iff some j (j = i allowed) has x_i + x_j = 0 mod modulus.
Answers oracle_match2(std::span<const std::int64_t> x, std::int64_t modulus);
/// x at find_k(i): find_1(i) = max({0} u {2 <= j <= i : x_{j-1} = x_i}), find_k(i) = find_1(find_{k-1}(i)),
/// find(0) = 0.
Answers oracle_k_hop(std::span<const std::int64_t> x, std::uint64_t k);

}  // namespace roundtrip::proofs_check
