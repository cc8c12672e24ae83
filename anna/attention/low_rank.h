// Purpose: low-rank attention for models, and the positive features that it is made of.
#pragma once

#include "roundtrip/anna/attention/mechanism.h"

namespace roundtrip::anna {

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

/// Problem:   low-rank (kernel) attention: out_i = phi(q_i) G / (phi(q_i) . g), G = sum_j phi(k_j) v_j^T,
///            g = sum_j phi(k_j), phi the PositiveFeatures.
/// Guarantee: numerator and denominator are exact integers, each rounded once and divided once; features are at
///            least 1, so no denominator is 0.
/// Cost:      time O((U_q + U_k) rank (m_qk + columns)) for U_q, U_k distinct queries and keys, plus listed
///            entries.
/// Errors:    ContractError if the widths of features, counts and values leave 126 bits.
/// Source:    Katharopoulos, Vyas, Pappas, Fleuret 2020 (the sums); Choromanski et al. 2021, section 4.2 (ReLU
///            features of random projections, made positive).
std::unique_ptr<Attention> make_model_low_rank(std::uint32_t rank, std::uint64_t seed);

/// Its parameters in a model.
struct LowRank {
  std::uint32_t rank = 1;
  std::uint64_t seed = 1;

  static const MechanismInfo& info();
  void validate(std::uint32_t query_dimension) const { PositiveFeatures::validate(rank, query_dimension); }
  std::unique_ptr<Attention> make() const { return make_model_low_rank(rank, seed); }
  void write(JsonObject& out) const;
  std::string caption() const;
  std::uint64_t coding_operations(std::uint32_t) const { return rank; }
  friend bool operator==(const LowRank&, const LowRank&) = default;
};

}  // namespace roundtrip::anna
