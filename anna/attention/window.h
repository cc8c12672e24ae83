// Purpose: sliding-window attention with global tokens (Longformer), with results equal bit for bit everywhere.
#pragma once

#include "roundtrip/anna/attention/interval_softmax.h"
#include "roundtrip/anna/attention/mechanism.h"

namespace roundtrip::anna {

/// Problem:   softmax over the keys j of query i with |i - j| <= w, i < g or j < g: out_i = sum_j exp(scale <q_i, k_j>) v_j
///            over the sum of the weights; a scale of 0 is the mean. With `masked`, of the j <= i among them alone.
/// Guarantee: as softmax.h: scores, weights and sums are integers, each sum rounded once and divided once.
/// Cost:      time N' (2 w + g) (m_qk + columns), and g N' of them for the global queries. Without global tokens a layer's
///            output depends on 2 w + 1 tokens.
/// Errors:    ContractError for w or g above 2^19, or a scale that is negative or not finite.
/// Source:    Beltagy, Peters, Cohan 2020.
struct Window {
  static constexpr std::uint64_t kMaxWidth = 1 << 19;

  std::uint64_t width = 0;  ///< w
  double scale = 0;
  std::uint64_t globals = 0;  ///< g: the first tokens see all, and all see them
  bool masked = false;        ///< causal

  static const MechanismInfo& info();
  bool causal() const { return masked; }
  void validate(std::uint32_t query_dimension) const;
  std::unique_ptr<Attention> make() const;
  /// What the query of `token` sees, of N' tokens.
  KeyIntervals keys_of(std::uint64_t token, std::uint64_t tokens) const;
  void write(JsonObject& out) const;
  std::string caption() const;
  friend bool operator==(const Window&, const Window&) = default;
};

}  // namespace roundtrip::anna
