// Purpose: Performer's positive random features (FAVOR+) in integers, and the attention by them.
#pragma once

#include "roundtrip/anna/attention/feature_attention.h"
#include "roundtrip/anna/attention/mechanism.h"

namespace roundtrip::anna {

/// Problem:   attention by features whose products estimate exp(<q, k> / temperature):
///            phi_r(x) = max(1, round(2^20 exp(min(0, <w_r, x'> - x'.x' / 2 - shift)))), x' = x / sqrt(temperature), w_r
///            standard Gaussian (g_r / sigma, lsh/gaussian.h).
/// Guarantee: features are integers 1 .. 2^20, a pure function of the parameters, r and x: their exponents are rounded
///            in double in a fixed order, exp is softmax.h's. The shift is a constant of the model, never of the input,
///            so that sums over any tokens add up; exponents above it saturate.
/// Cost:      feature_attention.h, rank m_qk operations a vector.
/// Errors:    ContractError naming rank, temperature or shift and what is allowed.
/// Source:    Choromanski et al. 2021 (FAVOR+; here without orthogonal draws, and with saturation in place of a
///            maximum over the input).
struct Performer {
  static constexpr int kFeatureBits = 20;
  static constexpr double kMaxShift = 700;  ///< exp(-708) and below is 0

  std::uint32_t rank = 1;  ///< features
  std::uint64_t seed = 1;
  double temperature = 1;
  double shift = 8;
  bool masked = false;  ///< causal

  static const MechanismInfo& info();
  bool causal() const { return masked; }
  void validate(std::uint32_t query_dimension) const;
  std::unique_ptr<Attention> make() const;
  std::shared_ptr<const FeatureMap> features(std::uint32_t query_dimension) const;
  void write(JsonObject& out) const;
  std::string caption() const;
  std::uint64_t coding_operations(std::uint32_t) const { return rank; }
  friend bool operator==(const Performer&, const Performer&) = default;
};

}  // namespace roundtrip::anna
