// Purpose: chunked attention by hashing (Reformer): constant work a token, whatever the sequence.
#pragma once

#include "roundtrip/anna/attention/mechanism.h"
#include "roundtrip/anna/lsh/family.h"

namespace roundtrip::anna {

/// Problem:   keys are the queries; the layer's keys are not read. By each of n_h hashings the tokens are sorted by code
///            (the z function values of the query, first function first), then number, and cut into chunks of B in that
///            order. c_ij is the number of hashings in which j is in the chunk of i or in the one before, and has its
///            code; with `masked`, 0 for j > i. out_i is the average weighted by c_ij; c_ii = n_h.
/// Guarantee: sums and counts are exact integers, each rounded once and divided once. An output depends on at most
///            2 B n_h values, so L layers' on at most (2 B n_h)^L.
/// Cost:      time n_h N' (log N' + 2 B columns), and z m_qk n_h operations a distinct query.
/// Errors:    ContractError naming chunk, hashings, functions or family and what is allowed.
/// Source:    Kitaev, Kaiser, Levskaya 2020 (Reformer; here counts in place of a softmax, and oneself counts).
struct Chunked {
  static constexpr std::uint64_t kMaxChunk = 1 << 20;
  static constexpr std::uint32_t kMaxHashings = 256;

  std::uint64_t chunk = 1;      ///< B
  std::uint32_t hashings = 1;   ///< n_h
  std::uint32_t functions = 1;  ///< z, of each hashing
  std::uint64_t seed = 1;
  FamilyKind family = FamilyKind::kHyperplane;  ///< or kCrossPolytope, Reformer's
  bool masked = false;                          ///< causal

  static const MechanismInfo& info();
  bool causal() const { return masked; }
  void validate(std::uint32_t query_dimension) const;
  std::unique_ptr<Attention> make() const;
  FamilyParameters functions_of(std::uint32_t dimension) const {
    return {.kind = family, .dimension = dimension, .functions = functions, .seed = seed};
  }
  void write(JsonObject& out) const;
  std::string caption() const;
  std::uint64_t coding_operations(std::uint32_t query_dimension) const {
    return std::uint64_t{hashings} * functions * query_dimension;
  }
  friend bool operator==(const Chunked&, const Chunked&) = default;
};

}  // namespace roundtrip::anna
