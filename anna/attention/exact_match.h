// Purpose: exact-match attention, the special case of ANNA in which only equal vectors meet.
#pragma once

#include "roundtrip/anna/attention/mechanism.h"

namespace roundtrip::anna {

/// Problem:   exact-match attention (EMA): c_ij = 1 iff q_i = k_j.
/// Guarantee: exact.
/// Cost:      time and memory linear in the listed tokens, the value entries and the output entries (N' of them
///            only if the default query has a match); each distinct vector is read once per codebook.
std::unique_ptr<Attention> make_exact_match();
/// With `causal`, a token's query meets the keys of the tokens before it and its own. Cost: time N' operations
/// more, and memory the sums of all buckets.
std::unique_ptr<Attention> make_causal_exact_match();
/// Quadratic oracle for exact match: compares every query with every key, coordinate by coordinate.
std::unique_ptr<Attention> make_brute_force_exact_match(bool causal = false);

/// Its parameters in a model.
struct ExactMatch {
  bool masked = false;  ///< causal

  bool causal() const { return masked; }
  static const MechanismInfo& info();
  void validate(std::uint32_t) const {}
  std::unique_ptr<Attention> make() const { return masked ? make_causal_exact_match() : make_exact_match(); }
  void write(JsonObject& out) const;
  std::string caption() const { return masked ? "causal exact match" : "exact match"; }
  CollisionCounts collisions(std::span<const std::vector<std::int32_t>> vectors) const;
  friend bool operator==(const ExactMatch&, const ExactMatch&) = default;
};

}  // namespace roundtrip::anna
