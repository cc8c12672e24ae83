// Purpose: k-hop induction heads by attention whose largest score takes all the weight: causal softmax, and windows of
// Longformer as wide as the input. Glossary: sigma symbols, P = ceil(log2 N) bits of a token's number.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "roundtrip/anna/transformer/model.h"
#include "roundtrip/simulate/compile/translation.h"

namespace roundtrip::simulate {

struct HardAttentionKHopOptions {
  static constexpr std::int64_t kMaxK = std::int64_t{1} << 32;

  std::uint64_t n = 1;        ///< N, 1 .. 2^15
  std::uint64_t k = 1;        ///< hops, 1 .. 2^32
  std::uint32_t symbols = 1;  ///< sigma, 1 .. 2^15: words are 0 .. sigma - 1
  void validate() const;      ///< ContractError naming field, value and range
};

/// The mechanisms that there is a model for: softmax, window.
std::span<const std::string_view> hard_attention_k_hop_mechanisms();

/// Problem:   make_k_hop's (simulate/native/k_hop.h), over sigma symbols.
/// Method:    scores are integers, scaled by 64: keys below the best one have a weight below 2^-53 of it, which is 0. The
///            best one is a single token. Layer 1 fetches the symbol of the token before; layer 2 finds the last token
///            up to the own one before which the own symbol is, as scores count equal bits N times and add the token's
///            number. From find_m and find_{m+1} at every token follow those of 2 m, 2 m + 1 and 2 m + 2, a layer each:
///            m doubles.
/// Guarantee: exact for every input: averages have one key.
/// Cost:      L = 2 + ceil(log2 k), two heads, m_qk = max(P, bits of sigma, 1), and 4 numbers a value: width O(log N); but
///            work N^2, since a window must hold all tokens. Standard attention needs floor(log2 k) + 2 layers in theory.
/// Errors:    ContractError for another mechanism, and for options out of range.
/// Source:    Sanford, Hsu, Telgarsky 2024 (pointer doubling); the network is ours.
/// Input by input_activations(words, N), output by read_outputs(last, N) and kKHopNone.
anna::Model hard_attention_k_hop_model(std::string_view mechanism, const HardAttentionKHopOptions& options);
TransformerSizes hard_attention_k_hop_sizes(const HardAttentionKHopOptions& options);

}  // namespace roundtrip::simulate
