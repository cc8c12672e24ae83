// Purpose: how likely two vectors at a given distance share a hash function's value: p1 at the near radius r,
// p2 at c r.
#pragma once

#include <cstdint>

#include "roundtrip/anna/lsh/family.h"

namespace roundtrip::anna {

/// A collision probability and what is known of it: ends of a confidence interval, or of the numeric error.
struct Probability {
  double low = 0, estimate = 0, high = 0;
};

/// How a Monte Carlo estimate is made; `miss` is the probability that an end is wrong (Clopper-Pearson,
/// one-sided).
struct MonteCarlo {
  std::uint64_t trials = 1u << 14;
  double miss = 1e-3;
  std::uint64_t seed = 1;
};

/// The probability that one function of the family takes equal values on two vectors at `distance`:
///   hyperplane       1 - theta/pi, theta = 2 asin(distance / 2)       unit vectors, 0 <= distance <= 2
///                    (closed form)
///   p-stable         (closed form)                                    distance in the unit of parameters.width
///   bit sampling     1 - distance/d (closed form)                     a Hamming distance 0 .. d
///   cross-polytope   (quadrature; its error from two step widths)     unit vectors, 0 <= distance <= 2
///   hadamard         depends on the vectors: the lowest low, highest  unit vectors, 0 <= distance <= 2
///                    high and mean estimate over dense (Gaussian),
///                    sparse (two nonzero coordinates) and sign
///                    vectors (Monte Carlo)
/// All families' probabilities decrease with the distance. ContractError for a distance out of range.
Probability collision_probability(const FamilyParameters& parameters, double distance,
                                  const MonteCarlo& = {});

/// The one-sided Clopper-Pearson ends of a probability after `successes` of `trials`.
Probability clopper_pearson(std::uint64_t successes, std::uint64_t trials, double miss);

/// z and ell of ANNA by LSH and what they give.
struct TableChoice {
  std::uint32_t functions = 0;  ///< z
  std::uint64_t tables = 0;     ///< ell
  double p1 = 0, p2 = 0;        ///< as used: a lower end and an upper end
  double rho = 0;               ///< ln(1/p1) / ln(1/p2)
  double false_collisions = 0;  ///< N^2 ell p2^z: bound on the probability of any collision beyond c r
  double missed_pairs = 0;      ///< N^2 (1 - p1^z)^ell: .. that any near pair never collides
  double hash_evaluations = 0;  ///< 2 N ell z
  double row_additions = 0;     ///< at most 2 N ell rows of m numbers
  bool pointless = false;       ///< ell >= N: comparing all pairs costs less
};

/// Problem:       the smallest (z, ell) for which ANNA's guarantee holds for N queries and keys with probability
///                >= 1 - eta.
/// Guarantee:     the two exact inequalities N^2 ell p2^z <= eta/2 and N^2 (1 - p1^z)^ell <= eta/2: for z = 1, 2, ..
///                the least ell of the second; the first z at which the first holds. Nothing is capped.
/// Preconditions: N >= 1, 0 < eta < 1, 0 < p2 < p1 < 1.
/// Errors:        ContractError if no z <= 1024 does or ell leaves 2^53.
/// Source:        Liu, Yu, Sanford, Andoni, Hsu 2025 (there z = ceil(3 log_{1/p2} N), ell = Theta(N^{3 rho} log N)).
TableChoice choose_tables(std::uint64_t n, double eta, double p1, double p2);

}  // namespace roundtrip::anna
