// Purpose: sliding-window attention (Longformer without its global tokens), with results equal bit for bit everywhere.
#pragma once

#include "roundtrip/anna/attention/mechanism.h"

namespace roundtrip::anna {

/// Problem:   softmax over the keys of tokens at most w away, out_i = sum_{|i - j| <= w} exp(scale <q_i, k_j>) v_j over
///            the sum of the weights; a scale of 0 is the mean of the window (Beltagy, Peters, Cohan 2020).
/// Guarantee: as softmax.h: scores, weights and sums are integers, each sum rounded once and divided once.
/// Cost:      time N' (2 w + 1) (m_qk + columns), memory N' (m_qk + columns). A layer's output depends on 2 w + 1 tokens.
/// Errors:    ContractError for w above 2^19, or a scale that is negative or not finite.
std::unique_ptr<Attention> make_window(std::uint64_t width, double scale);

/// Its parameters in a model.
struct Window {
  static constexpr std::uint64_t kMaxWidth =
      1 << 19;  ///< weights of 2^52, 2^20 of them, and values leave 126 bits then

  std::uint64_t width = 0;  ///< w
  double scale = 0;

  static const MechanismInfo& info();
  void validate(std::uint32_t query_dimension) const;
  std::unique_ptr<Attention> make() const { return make_window(width, scale); }
  void write(JsonObject& out) const;
  std::string caption() const { return "window of " + std::to_string(width) + " tokens to each side"; }
  friend bool operator==(const Window&, const Window&) = default;
};

/// One query's average over a window, given its scores and the values as integers: for the mechanism and for machines.
/// totals[c] is the sum of weights times values in column c, of `columns`; returns the sum of the weights, at least 2^52.
__extension__ using WindowSum = __int128;
WindowSum window_sums(double scale, std::span<const WindowSum> scores, std::span<const std::int64_t> values,
                      std::span<WindowSum> totals);

}  // namespace roundtrip::anna
