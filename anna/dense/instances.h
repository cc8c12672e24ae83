// Purpose: generated attention instances with known near and far keys, and what a mechanism made of them.
// Integer-exact draws; directions are Gaussian, so the geometry is that of the sphere.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "roundtrip/anna/dense/matrices.h"

namespace roundtrip::anna {

enum class InstanceKind : std::uint8_t {
  kUniform,    ///< all queries and keys uniform on the sphere
  kClustered,  ///< tokens in clusters of 64 around uniform centres: a query's keys are its cluster's
  kPlanted,  ///< groups of 9 tokens: each query has its own key at exactly r, the group's 8 others between r
             ///< and c r, all other keys far (about sqrt 2 away: uniform directions)
};
std::string to_string(InstanceKind kind);
InstanceKind parse_instance(std::string_view name);

struct InstanceParameters {
  InstanceKind kind = InstanceKind::kPlanted;
  std::uint64_t tokens = 0;            ///< N: queries, keys and values
  std::uint32_t dimension = 64;        ///< d >= 2
  std::uint32_t value_dimension = 64;  ///< m >= 1
  double c = 8;                        ///< approximation factor; c r = sqrt 2; > 1
  std::uint64_t seed = 1;
  void validate() const;
};

/// Unit vectors Q and K, values uniform in [-1, 1). Tokens of a group are scattered over all positions.
struct Instance {
  InstanceParameters parameters;
  RealRows queries, keys, values;
  /// [N] the cluster or group of a token's query and key; the token itself if uniform.
  std::vector<std::uint64_t> groups;
  double near_radius() const;  ///< r = sqrt 2 / c
};
Instance generate_instance(const InstanceParameters& parameters);

/// What counts as near, as allowed and as wanted among the weights of a head. Distances are Euclidean, for
/// the bit-sampling family Hamming (of the signs).
struct WeightQuestion {
  double near_radius = 0, far_radius = 0;      ///< r and c r, in the input's units
  std::span<const std::uint64_t> groups = {};  ///< [N] where token j's query and key belong; empty: unknown
};
/// r and c r = sqrt 2, with the instance's groups.
WeightQuestion question_of(const Instance& instance);

/// How ANNA's weights lie, measured on sampled queries by their exact collision counts with all keys.
struct WeightFacts {
  std::uint64_t sampled_queries = 0;
  std::uint64_t near_pairs = 0;  ///< pairs of a sampled query and a key within r
  double recall = 1;             ///< share of them with positive weight
  double within_cr = 1;          ///< share of the queries' weight on keys within c r
  /// Share of the queries' weight on keys of their own group, where groups are known.
  std::optional<double> purity;
};
/// Cost: samples * (N ell + N d) operations, samples * N words, and all keys' hashes.
WeightFacts measure_weights(const DenseHead& head, const AnnaParameters& anna, const WeightQuestion& question,
                            std::uint64_t samples);

}  // namespace roundtrip::anna
