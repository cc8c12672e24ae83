#include "roundtrip/proofs_check/oracles.h"

#include <algorithm>

namespace roundtrip::proofs_check {

Answers oracle_sum(std::span<const std::int64_t> x, std::uint32_t bits) {
  std::uint64_t sum = 0;
  for (const std::int64_t value : x) sum += static_cast<std::uint64_t>(value);
  // Keep `bits` bits and extend the sign.
  return {static_cast<std::int64_t>(sum << (64 - bits)) >> (64 - bits)};
}

Answers oracle_sort(std::span<const std::int64_t> x) {
  Numbers sorted(x.begin(), x.end());
  std::sort(sorted.begin(), sorted.end());
  return {sorted.begin(), sorted.end()};
}

Answers oracle_match2(std::span<const std::int64_t> x, std::int64_t modulus) {
  Answers out;
  for (const std::int64_t a : x) {
    out.emplace_back(std::any_of(x.begin(), x.end(),
                                 [&](std::int64_t b) { return (a % modulus + b % modulus) % modulus == 0; }));
  }
  return out;
}

Answers oracle_k_hop(std::span<const std::int64_t> x, std::uint64_t k) {
  const std::size_t n = x.size();
  std::vector<std::size_t> find_1(n + 1, 0);  // positions from 1, 0 is none
  for (std::size_t i = 1; i <= n; ++i) {
    for (std::size_t j = i; j >= 2 && find_1[i] == 0; --j) {
      if (x[j - 2] == x[i - 1]) find_1[i] = j;
    }
  }
  Answers out;
  for (std::size_t i = 1; i <= n; ++i) {
    std::size_t at = i;
    // find_1(i) <= i, so after N hops a walk stands still (at 0 or at a fixed point), however large k is.
    for (std::uint64_t hop = 0; hop < k && hop <= n && at != 0; ++hop) at = find_1[at];
    out.push_back(at == 0 ? std::nullopt : std::optional(x[at - 1]));
  }
  return out;
}

}  // namespace roundtrip::proofs_check
