// Purpose: the native layers with every element-wise map as explicit weight matrices with ReLU, for files
// that others can run: no code of ours is needed but matrix products, rounding, clamps and the attention.
// Glossary: W bits of a word, B bits of a token's number, a levels, F children of a block, d = 128.
#pragma once

#include "roundtrip/anna/transformer/model.h"
#include "roundtrip/simulate/native/k_hop.h"
#include "roundtrip/simulate/native/match2.h"

namespace roundtrip::simulate {

/// Widest words of these maps: while bits are taken from a word, sums reach 2^(2 W + 2), and numbers of 26
/// bits pass at 2^(W + 1) times their size; both must stay below 2^53 (anna::WeightLayer proves it).
constexpr std::uint32_t kWeightWordBits = 24;

/// Problem:   make_match2's network as weights, with `mechanism` in its layer.
/// Guarantee: equal queries, keys and values, so equal rows with every mechanism, for words below M.
/// Cost:      L = 1, H = 1, m = 128 as there. Words become bits in two stages, bits become sign vectors by
///            parities: ceil(log2 (W + 1)) folds |s - h| of a sum s of bits, at most 256 ReLU units each. No
///            table of M rows.
/// ContractError unless M <= 2^24 and the options are not tolerant.
anna::Model match2_model(const Match2Options& options, const anna::Mechanism& mechanism);

/// Problem:   make_k_hop's network as weights, with `mechanism` in every layer.
/// Guarantee: equal queries and keys, so equal outputs with exact match and with ANNA, as long as
///            N ell <= 2^26 (values are 2^26 rather than 1, so that one key's share survives rounding).
/// Cost:      L and H as there, m = max(128, F). Rows hold bits: d = W + a log2 F + a columns while
///            digits are searched, W + 2 B + 2 while pointers double. Sign vectors as above; one-hot
///            digits and "the last nonempty child" take F units a head. No table of N or 2^W rows.
/// ContractError unless W <= 24, options.binary and not options.tolerant.
anna::Model k_hop_model(const KHopOptions& options, const anna::Mechanism& mechanism);

/// Units of the widest stage, and weights of all stages of all maps, measured.
struct WeightSizes {
  std::uint64_t stages = 0;        ///< of the deepest map
  std::uint64_t widest_stage = 0;  ///< units
  std::uint64_t weights = 0;       ///< numbers in all matrices that are not 0
};
WeightSizes measure_weights(const anna::Model& model);

}  // namespace roundtrip::simulate
