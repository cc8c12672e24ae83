// Purpose: the sizes and rounds that the theory states, computed by the verifier alone: exact roots over big
// integers, the plan of the deterministic sort, rounds of the protocols. Nothing here calls what it is there
// to check.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "roundtrip/base/rational.h"

namespace roundtrip::proofs_check {

/// ceil(N^eps), the least b with b^denominator >= N^numerator; exact.
std::uint64_t root_ceil(std::uint64_t n, const Rational& exponent);

/// floor(N^eps), the largest b with b^denominator <= N^numerator; exact.
std::uint64_t root_floor(std::uint64_t n, const Rational& exponent);

/// Least e >= 0 with base^e >= value; base >= 2.
std::uint32_t log_ceil(std::uint64_t base, std::uint64_t value);

/// T_sort(n, w; s), the rounds of the deterministic sort of n records of w words to exact positions on machines of s
/// words, with the records a machine and the machines that take it.
struct SortSizes {
  std::uint32_t rounds = 0;
  std::uint64_t machine_records = 0;  ///< B
  std::uint64_t machines = 0;         ///< M
};
/// At most `most_records` a machine; a sample takes `sample_words`, its key and position. Empty if no sampling fan-out
/// f works at this s.
std::optional<SortSizes> sort_sizes(std::uint64_t n, std::uint64_t record_words, std::uint64_t memory_words,
                                    std::uint64_t sample_words = 2,
                                    std::uint64_t most_records = ~std::uint64_t{0});

/// s of a protocol that sorts n records of `record_words`, samples of two: kappa_s * b, kappa_s raised to the least
/// that has a plan.
struct SortMemory {
  std::uint64_t kappa_s = 0;
  std::uint64_t memory_words = 0;
  SortSizes sort{};
};
SortMemory sort_memory(std::uint64_t n, std::uint64_t record_words, std::uint64_t kappa_s,
                       std::uint64_t block_words);

/// Probability that two random sign vectors of dimension d that differ share the code of z random
/// hyperplanes: sum over t = 1..d of C(d,t) 2^-d (1 - arccos(1 - 2t/d) / pi)^z.
double identity_collision(std::uint32_t dimension, std::uint32_t functions);

/// Least z with C(U,2) identity_collision(d, z) <= eta.
std::uint32_t identity_functions(std::uint64_t ids, std::uint32_t dimension, double eta);

/// Value dimension of a head that carries packets of q sources, at most s' = min(s, q) of which meet: 2q
/// (identity code) if that is at most 4XP, else the least 4XP of a cover-free code, X = (k-1)(s'-1) + 1, P
/// prime >= max(X, 2), P^k >= q.
std::uint64_t packet_dimension(std::uint64_t sources, std::uint64_t memory_words);

/// Digits of the routed construction: radices k_t and capacities C_t.
struct Routing {
  std::vector<std::uint64_t> radices;
  std::vector<std::uint64_t> capacities;
};

/// D: 1 if no delta is given and q <= s, else ceil(log_k q), at least 1, k = max(2, ceil(N^delta)), delta =
/// 1/5 if none is given. Radices ceil(q^{1/D}), lowered in turn while their product stays >= q, those of 1
/// dropped. C_t >= s/k_t is the least with P[Poisson(s/k_t) > C_t] <= eta / (2 R sum_t q' k_t).
Routing routing(std::uint64_t n, std::uint64_t machines, std::uint64_t memory_words, std::uint64_t rounds,
                const std::optional<Rational>& delta, double eta);

/// d of the rows between layers. Direct: a fault is three numbers, each of s words its destination and itself.
std::uint64_t direct_row_dimension(std::uint64_t memory_words);
/// Routed: a fault and a flag are four numbers, each slot of a bundle and each of b outputs two.
std::uint64_t routed_row_dimension(const Routing& routing, std::uint64_t block_words);

}  // namespace roundtrip::proofs_check
