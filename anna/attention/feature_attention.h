// Purpose: attention whose weights are inner products of features, <phi(q), phi(k)>: what keys leave behind is a sum of
// a fixed size. A mechanism of this kind is a feature map and the parameters that it is made of.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "roundtrip/anna/attention/attention.h"

namespace roundtrip::anna {

/// phi: integers that are a pure function of a vector. Weights <phi(q), phi(k)> are never negative. Immutable.
class FeatureMap {
 public:
  virtual ~FeatureMap() = default;
  virtual std::uint32_t rank() const = 0;  ///< r', the number of features
  /// Whether every feature is at least 1, so that no sum of weights is 0.
  virtual bool positive() const { return true; }
  /// Bits of a feature's magnitude, of vectors whose coordinates have `coordinate_bits` bits, the sign included.
  virtual std::uint32_t feature_bits(std::uint32_t coordinate_bits) const = 0;
  /// The features of a query, or of a key: out[0 .. r'-1].
  virtual void of(std::span<const std::int32_t> x, bool query, std::span<std::int64_t> out) const = 0;
};
/// For vectors of `dimension` coordinates.
using MakeFeatures = std::function<std::shared_ptr<const FeatureMap>(std::uint32_t dimension)>;

/// Problem:   out_i = phi(q_i) G / (phi(q_i) . g), G = sum_j phi(k_j) v_j^T, g = sum_j phi(k_j); with `causal`, of the
///            tokens j <= i alone. Where the denominator is 0, so is the row.
/// Guarantee: numerator and denominator are exact integers, each rounded once and divided once.
/// Cost:      time O((U_q + U_k) r' (m_qk + columns)) for U_q, U_k distinct queries and keys, plus listed entries;
///            causal O(N' r' columns) more.
/// Errors:    ContractError, beginning with `name`, if widths of features, counts and values leave 126 bits.
/// Source:    Katharopoulos, Vyas, Pappas, Fleuret 2020 (the sums, and the prefix sums of a causal mask).
std::unique_ptr<Attention> make_feature_attention(std::string name, MakeFeatures features,
                                                  bool causal = false);

/// [rank, dimension] Gaussian coefficients of standard deviation sigma (lsh/gaussian.h), a pure function of seed and
/// stream: what features are made of.
class FeatureProjections {
 public:
  /// ContractError, beginning with `name`, unless rank is 1 .. 65536, dimension 1 .. 65536 and their product at most
  /// 2^28.
  static void validate(std::string_view name, std::uint32_t rank, std::uint32_t dimension);
  FeatureProjections(std::uint32_t rank, std::uint32_t dimension, std::uint64_t seed, std::uint64_t stream);
  std::uint32_t rank() const { return rank_; }
  std::uint32_t dimension() const { return dimension_; }
  /// <g_r, x>, below 2^62.
  std::int64_t dot(std::uint32_t r, std::span<const std::int32_t> x) const;
  std::span<const std::int16_t> row(std::uint32_t r) const {
    return std::span(coefficients_).subspan(std::size_t{r} * dimension_, dimension_);
  }

 private:
  std::uint32_t rank_, dimension_;
  std::vector<std::int16_t> coefficients_;
};

/// numerator / denominator rounded half to even, denominator > 0.
__extension__ using WideQuotient = __int128;
WideQuotient rounded_quotient(WideQuotient numerator, WideQuotient denominator);

}  // namespace roundtrip::anna
