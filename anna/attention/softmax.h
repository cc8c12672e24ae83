// Purpose: softmax attention for models, with results that are equal bit for bit on every machine.
#pragma once

#include <algorithm>

#include "roundtrip/anna/attention/mechanism.h"

namespace roundtrip::anna {

/// Problem:   exact softmax attention, out_i = sum_j exp(scale <q_i, k_j>) v_j / sum_j exp(scale <q_i, k_j>).
/// Guarantee: scores are exact integers, their differences to the largest are rounded once, weights are the
///            integers softmax_weight(), sums of theirs exact, each rounded once and divided once: the same bits
///            everywhere and in any order, within 2^-40 max |v| of the formula for scale <q, k> within 2^10 and
///            up to 2^10 keys.
/// Cost:      time O(U_q U_k (m_qk + columns)) for U_q, U_k distinct queries and keys, plus the listed entries.
/// Causal:    of the tokens j <= i alone; time N'^2 (m_qk + columns) / 2.
/// Errors:    ContractError for a scale that is not finite, without a mask for a head without tokens, and if weights,
///            tokens and values leave 126 bits.
std::unique_ptr<Attention> make_model_softmax(double scale, bool causal = false);

__extension__ using Score = __int128;
/// exp(scale * below) in units of 2^-52, rounded half to even, for a score that lies `below` the one of most
/// weight: at most 2^52, of kSoftmaxWeightBits bits.
std::int64_t softmax_weight(double scale, Score below);
inline constexpr std::uint32_t kSoftmaxWeightBits = 53;

/// One query's sums over some keys, given their scores: totals[c] is the sum of weights times value_of(j)[c] over the
/// scores' numbers j; returns the sum of the weights, at least 2^52.
template <typename ValueOf>
Score softmax_sums(double scale, std::span<const Score> scores, ValueOf&& value_of, std::span<Score> totals) {
  const auto [least, most] = std::minmax_element(scores.begin(), scores.end());
  const Score top = scale < 0 ? *least : *most;
  std::fill(totals.begin(), totals.end(), 0);
  Score norm = 0;
  for (std::size_t j = 0; j < scores.size(); ++j) {
    const Score weight = softmax_weight(scale, scores[j] - top);
    if (weight == 0) continue;
    norm += weight;
    const std::span<const std::int64_t> value = value_of(j);
    for (std::size_t c = 0; c < totals.size(); ++c) totals[c] += weight * value[c];
  }
  return norm;
}

/// The scale at which a key that scores 1 less than another has no weight beside it: exp(-kEqualKeysScale) is 0, and
/// not only here (exp(-708) < 2^-1021), but also in doubles and floats of any runtime. From 37 on it is 0 here.
inline constexpr double kEqualKeysScale = 1024;

/// e^x for x <= 0 within 2^-51 relative, 0 below -708; no libm function whose last bit could differ.
double exponential(double x);

/// Its parameters in a model.
struct Softmax {
  double scale = 1;     ///< weights are proportional to exp(scale <q, k>)
  bool masked = false;  ///< causal

  bool causal() const { return masked; }
  static const MechanismInfo& info();
  void validate(std::uint32_t query_dimension) const;  ///< ContractError unless the scale is finite
  std::unique_ptr<Attention> make() const { return make_model_softmax(scale, masked); }
  void write(JsonObject& out) const;
  std::string caption() const { return masked ? "causal softmax" : "softmax"; }
  friend bool operator==(const Softmax&, const Softmax&) = default;
};

}  // namespace roundtrip::anna
