// Purpose: attention with a polynomial kernel of degree 4 by a sketch (Poly-Sketchformer), in integers.
#pragma once

#include "roundtrip/anna/attention/feature_attention.h"
#include "roundtrip/anna/attention/mechanism.h"

namespace roundtrip::anna {

/// Problem:   weights (sum_r s_r(q) s_r(k))^2 over r < R, which estimate <q, k>^4:
///            s_r(x) = <g_r, x><h_r, x> / (sigma^2 unit) rounded half to even, at most 2^24 in magnitude, g_r and h_r
///            Gaussian of standard deviation sigma (lsh/gaussian.h). They are inner products of R (R + 1) / 2 features
///            s_r s_r', r <= r', which a query has twice where r < r'. A query without a weight gets the zero vector.
/// Guarantee: features are integers, a pure function of the parameters and x.
/// Cost:      feature_attention.h with r' = R (R + 1) / 2; 2 R m_qk operations a vector.
/// Errors:    ContractError naming sketch or unit and what is allowed.
/// Source:    Kacham, Mirrokni, Zhong 2024 (PolySketchFormer), with Gaussian sketches of degree 2.
struct Polynomial {
  static constexpr std::uint32_t kMaxSketch = 361;     ///< R (R + 1) / 2 is at most 65536
  static constexpr std::uint64_t kMaxUnit = 1u << 30;  ///< sigma^2 unit has 54 bits

  std::uint32_t sketch = 1;  ///< R
  std::uint64_t seed = 1;
  std::uint64_t unit = 1;
  bool masked = false;  ///< causal

  static const MechanismInfo& info();
  bool causal() const { return masked; }
  std::uint32_t rank() const { return sketch * (sketch + 1) / 2; }
  void validate(std::uint32_t query_dimension) const;
  std::unique_ptr<Attention> make() const;
  std::shared_ptr<const FeatureMap> features(std::uint32_t query_dimension) const;
  void write(JsonObject& out) const;
  std::string caption() const;
  std::uint64_t coding_operations(std::uint32_t) const { return 2 * std::uint64_t{sketch}; }
  friend bool operator==(const Polynomial&, const Polynomial&) = default;
};

}  // namespace roundtrip::anna
