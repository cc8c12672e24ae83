// Purpose: approximate nearest neighbor attention by the tables of a hash family.
#pragma once

#include <optional>

#include "roundtrip/anna/attention/mechanism.h"
#include "roundtrip/anna/lsh/family.h"

namespace roundtrip::anna {

/// ANNA by locality-sensitive hashing, table by table: `tables` = ell, `functions` = z per table.
struct AnnaParameters {
  std::uint32_t tables = 1;     ///< ell, 1 .. 2^20
  std::uint32_t functions = 1;  ///< z, 1 .. 1024 in every table
  std::uint64_t seed = 1;
  FamilyKind family = FamilyKind::kHyperplane;
  double width = 0;             ///< p-stable only: w in the vectors' integer units
  std::uint32_t rotations = 2;  ///< Hadamard only
  bool causal = false;          ///< a token's query meets the keys of the tokens before it and its own alone
  void validate() const;        ///< ContractError naming field, value and range
  /// The family's parameters for vectors of `dimension` coordinates.
  FamilyParameters functions_of(std::uint32_t dimension) const {
    return {family, dimension, functions, width, rotations, seed};
  }
  friend bool operator==(const AnnaParameters&, const AnnaParameters&) = default;
};

/// Problem:   approximate nearest neighbor attention: each table buckets the keys by z concatenated hash
///            functions and keeps (sum of values, count); each query adds its bucket's sum and count; the output
///            is total sum / total count.
/// Guarantee: c_ij is the number of tables in which the codes of q_i and k_j are equal, exactly; vectors at angle
///            theta share a hyperplane code with probability (1 - theta/pi)^z per table. Equal vectors always
///            do: EMA is the special case in which distinct vectors have distinct codes (identity.h draws and
///            checks it).
/// Cost:      time ell * (what exact match costs), memory one table and the output; distinct vectors are hashed
///            once per codebook, ell z m_qk operations each.
/// Source:    Liu, Yu, Sanford, Andoni, Hsu 2025, the algorithm of Section 3.
std::unique_ptr<Attention> make_anna(const AnnaParameters& parameters);
/// Quadratic oracle for ANNA: counts collisions of every pair over all tables, then averages.
std::unique_ptr<Attention> make_brute_force_anna(const AnnaParameters& parameters);

/// Its parameters in a model; r and c are what its z and ell were computed for, if known.
struct Anna {
  AnnaParameters parameters;
  std::optional<double> near_radius;  ///< r > 0, on the unit sphere
  std::optional<double> factor;       ///< c > 1

  bool causal() const { return parameters.causal; }
  static const MechanismInfo& info();
  void validate(std::uint32_t query_dimension) const;
  std::unique_ptr<Attention> make() const { return make_anna(parameters); }
  void write(JsonObject& out) const;
  std::string caption() const;
  CollisionCounts collisions(std::span<const std::vector<std::int32_t>> vectors) const;
  HashTables hash_tables() const;
  Anna with_tables(std::uint32_t tables) const;
  std::uint64_t coding_operations(std::uint32_t query_dimension) const;
  friend bool operator==(const Anna&, const Anna&) = default;
};

/// Cross-polytope tables for a random model: the smallest (z, ell) that give every query ANNA's guarantee at
/// r = sqrt 2 / c, c r = sqrt 2 with probability >= 1 - eta per head; never capped.
Anna random_model_tables(const RandomModel& model, std::uint64_t tokens, double eta);

}  // namespace roundtrip::anna
