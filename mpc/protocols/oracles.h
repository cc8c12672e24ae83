// Purpose: sequential references for the library's protocols, on signed integers and with the standard
// library alone: they share no code with what they judge.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace roundtrip::mpc::oracles {

using Input = std::span<const std::int64_t>;
using Output = std::vector<std::optional<std::int64_t>>;

/// The sum modulo 2^bits, as a signed number of that width.
Output sum(Input values, int bits);
/// The values in ascending order.
Output sort(Input values);
/// 1 where some value, itself included, adds up to 0 modulo `modulus` with this one, else 0.
Output match2(Input values, std::int64_t modulus);
/// x at find_k(i), find_1(i) being one more than the previous position that holds x_i; nothing where there is
/// none.
Output k_hop(Input values, std::uint64_t k);

}  // namespace roundtrip::mpc::oracles
