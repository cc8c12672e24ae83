// Purpose: low-rank attention for models, and the positive features that it is made of.
#pragma once

#include "roundtrip/anna/attention/feature_attention.h"
#include "roundtrip/anna/attention/mechanism.h"

namespace roundtrip::anna {

/// phi_r(x) = max(1, <g_r, x> / sigma rounded half to even), r < rank, g_r Gaussian of standard deviation
/// sigma (lsh/gaussian.h): integers, a pure function of seed, r and x.
class PositiveFeatures final : public FeatureMap {
 public:
  /// ContractError unless rank is 1 .. 65536, dimension 1 .. 65536 and their product at most 2^28.
  static void validate(std::uint32_t rank, std::uint32_t dimension);
  PositiveFeatures(std::uint32_t rank, std::uint64_t seed, std::uint32_t dimension);
  std::uint32_t rank() const override { return projections_.rank(); }
  std::uint32_t feature_bits(std::uint32_t coordinate_bits) const override;
  /// out[0 .. rank-1], each 1 .. 2^50.
  void of(std::span<const std::int32_t> x, std::span<std::int64_t> out) const;
  void of(std::span<const std::int32_t> x, bool, std::span<std::int64_t> out) const override { of(x, out); }

 private:
  FeatureProjections projections_;
};

/// Attention by PositiveFeatures (feature_attention.h has the problem, cost and errors).
/// Source: Choromanski et al. 2021, section 4.2 (ReLU features of random projections, made positive).
std::unique_ptr<Attention> make_model_low_rank(std::uint32_t rank, std::uint64_t seed, bool causal = false);

/// Its parameters in a model.
struct LowRank {
  std::uint32_t rank = 1;
  std::uint64_t seed = 1;
  bool masked = false;  ///< causal

  static const MechanismInfo& info();
  bool causal() const { return masked; }
  void validate(std::uint32_t query_dimension) const { PositiveFeatures::validate(rank, query_dimension); }
  std::unique_ptr<Attention> make() const { return make_model_low_rank(rank, seed, masked); }
  std::shared_ptr<const FeatureMap> features(std::uint32_t query_dimension) const;
  void write(JsonObject& out) const;
  std::string caption() const;
  std::uint64_t coding_operations(std::uint32_t) const { return rank; }
  friend bool operator==(const LowRank&, const LowRank&) = default;
};

}  // namespace roundtrip::anna
