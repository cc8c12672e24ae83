// Purpose: what the theory says about ANNA by locality-sensitive hashing and about its protocols, computed by
// the verifier alone: tables and functions, their power law, rounds, machines and words of a layer. Glossary:
// ell tables, z functions a table, p1 and p2 collision probabilities at r and c r, rho = ln(1/p1) / ln(1/p2).
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "roundtrip/base/rational.h"

namespace roundtrip::proofs_check {

/// 1 - theta/pi for unit vectors at this Euclidean distance: random hyperplanes.
double hyperplane_collision(double distance);

struct Tables {
  std::uint32_t functions = 0;  ///< z
  std::uint64_t tables = 0;     ///< ell
};
/// For z = 1, 2, ..: ell = ceil(ln(2 N^2 / eta) / -ln(1 - p1^z)); the first z with N^2 ell p2^z <= eta / 2.
Tables tables_for(std::uint64_t n, double eta, double p1, double p2);

/// The power law of ell: (1 + A)^(1/(1 - rho)), A = (L / p1) (2 N^2 / eta)^rho, L = ln(2 N^2 / eta). Since z
/// - 1 fails the second test, p2^-(z-1) < 2 N^2 ell / eta; so p1^-z <= (2 N^2 ell / eta)^rho / p1 and ell <=
/// 1 + L p1^-z <= (1 + A) ell^rho. The exponent of N is 2 rho / (1 - rho), at most the paper's 3 rho as rho
/// <= 1/3.
double tables_power_law(std::uint64_t n, double eta, double p1, double p2);

/// One layer as a protocol, from its shape: H heads, m_v, code words of a key, words of a number.
struct LayerExpectation {
  std::uint64_t heads = 1;
  std::uint64_t tables = 1;
  std::uint64_t code_words = 1;
  std::uint64_t value_dimension = 1;
  std::uint64_t row_dimension = 1;  ///< of the rows that it reads; every number here takes one word
  std::uint64_t next_row_words = 1;
};

/// The protocol of a transformer of such layers.
struct ProtocolExpectation {
  std::uint64_t block_words = 0;   ///< b
  std::uint64_t memory_words = 0;  ///< s = kappa_s ceil(N^(eps + delta))
  std::uint64_t token_words = 0;   ///< W, most of any layer
  std::uint64_t state_words = 0;   ///< of a token between rounds: its row, sums and counts; most of any layer
  std::uint64_t blocks = 0;        ///< C = ceil(N / T_b), T_b = floor(s / W)
  std::uint64_t machines = 0;  ///< q: the most of ell (C + H (M_s + M_v)), and what input and outputs take
  std::uint64_t rounds = 0;    ///< R = 1 + sum of 2 dc + T_sort(2 N, w) + 2 dv + 4, + 1
  bool below_range = false;    ///< s > N / 4, or s > N state_words / 16
};
/// Empty if no sort or scan fits s. The last layer's next_row_words are those that a token delivers.
std::optional<ProtocolExpectation> anna_protocol_expectation(std::uint64_t n, const Rational& epsilon,
                                                             const Rational& delta, std::uint64_t kappa_s,
                                                             std::span<const LayerExpectation> layers);

/// (N / B)^2 machines of standard attention on blocks of B = floor(s / 4 W) tokens (at least 1) of W words.
double standard_attention_machines(std::uint64_t n, std::uint64_t memory_words, std::uint64_t token_words);

}  // namespace roundtrip::proofs_check
