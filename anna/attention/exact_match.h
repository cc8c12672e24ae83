// Purpose: exact-match attention, the special case of ANNA in which only equal vectors meet.
#pragma once

#include "roundtrip/anna/attention/mechanism.h"

namespace roundtrip::anna {

/// Problem:   exact-match attention (EMA): c_ij = 1 iff q_i = k_j.
/// Guarantee: exact.
/// Cost:      time and memory linear in the listed tokens, the value entries and the output entries (N' of them
///            only if the default query has a match); each distinct vector is read once per codebook.
std::unique_ptr<Attention> make_exact_match();
/// Quadratic oracle for exact match: compares every query with every key, coordinate by coordinate.
std::unique_ptr<Attention> make_brute_force_exact_match();

/// Its parameters in a model: none.
struct ExactMatch {
  static const MechanismInfo& info();
  void validate(std::uint32_t) const {}
  std::unique_ptr<Attention> make() const { return make_exact_match(); }
  void write(JsonObject&) const {}
  std::string caption() const { return "exact match"; }
  CollisionCounts collisions(std::span<const std::vector<std::int32_t>> vectors) const;
  friend bool operator==(const ExactMatch&, const ExactMatch&) = default;
};

}  // namespace roundtrip::anna
