// Purpose: the mechanisms in which every key has a weight, softmax and low-rank attention, for models:
// results that are equal bit for bit on every machine, and the positive features that low-rank attention is
// made of.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "roundtrip/anna/attention/attention.h"

namespace roundtrip::anna {

/// Problem:   exact softmax attention, out_i = sum_j exp(scale <q_i, k_j>) v_j / sum_j exp(scale <q_i, k_j>).
/// Guarantee: scores are exact integers, their differences to the largest are rounded once, weights are the
///            integers softmax_weight(), sums of theirs exact, each rounded once and divided once: the same
///            bits everywhere and in any order, within 2^-40 max |v| of the formula for scale <q, k> within
///            2^10 and up to 2^10 keys.
/// Cost:      time O(U_q U_k (m_qk + columns)) for U_q, U_k distinct queries and keys, plus the listed
/// entries. ContractError for a scale that is not finite, for a head without tokens, and if weights, tokens and
/// values leave 126 bits.
std::unique_ptr<Attention> make_model_softmax(double scale);

__extension__ using Score = __int128;
/// exp(scale * below) in units of 2^-52, rounded half to even, for a score that lies `below` the one of most
/// weight: at most 2^52, of kSoftmaxWeightBits bits.
std::int64_t softmax_weight(double scale, Score below);
inline constexpr std::uint32_t kSoftmaxWeightBits = 53;

/// Problem:   low-rank (kernel) attention: out_i = phi(q_i) G / (phi(q_i) . g), G = sum_j phi(k_j) v_j^T,
///            g = sum_j phi(k_j), phi the PositiveFeatures below.
/// Guarantee: numerator and denominator are exact integers, each rounded once and divided once; features are
/// at least
///            1, so no denominator is 0.
/// Cost:      time O((U_q + U_k) rank (m_qk + columns)) for U_q, U_k distinct queries and keys, plus listed
/// entries. Source:    Katharopoulos, Vyas, Pappas, Fleuret 2020 (the sums); Choromanski et al. 2021,
/// section 4.2 (ReLU
///            features of random projections, made positive).
/// ContractError if the widths of features, counts and values leave 126 bits.
std::unique_ptr<Attention> make_model_low_rank(std::uint32_t rank, std::uint64_t seed);

/// phi_r(x) = max(1, <g_r, x> / sigma rounded half to even), r < rank, g_r Gaussian of standard deviation
/// sigma (lsh/gaussian.h): integers, a pure function of seed, r and x.
class PositiveFeatures {
 public:
  /// ContractError unless rank is 1 .. 65536, dimension 1 .. 65536 and their product at most 2^28.
  static void validate(std::uint32_t rank, std::uint32_t dimension);
  PositiveFeatures(std::uint32_t rank, std::uint64_t seed, std::uint32_t dimension);
  std::uint32_t rank() const { return rank_; }
  /// out[0 .. rank-1], each 1 .. 2^50.
  void of(std::span<const std::int32_t> x, std::span<std::int64_t> out) const;

 private:
  std::uint32_t rank_, dimension_;
  std::vector<std::int16_t> projections_;  // [rank, dimension]
};

/// e^x for x <= 0 within 2^-51 relative, 0 below -708; no libm function whose last bit could differ.
double exponential(double x);

}  // namespace roundtrip::anna
