// Purpose: attention by features (low_rank, performer, polynomial) by averages over all tokens: as many layers of exact
// match or ANNA as the model has.
#pragma once

#include "roundtrip/anna/transformer/model.h"

namespace roundtrip::simulate {

/// Problem:   a model whose layers all have attention by features (Mechanism::features) without a mask, as layers of ANNA.
/// Guarantee: every array is the model's, bit for bit, for every input, by exact match and by ANNA with any tables.
///            All tokens have one query and one key, so that all keys have equal weight: the value of token j is
///            phi(k_j) (x) (v_j, 1), its average times N' is (G, g), and the output map, which sees the token's row,
///            forms phi(q_i) G / (phi(q_i) . g) and goes on as the model's. Times N' an average is less than 1/2
///            from the sum, since the sum is below 2^50 in magnitude and was rounded twice.
/// Cost:      L layers, H heads of m = r' (m_v + 1), width H m; no rounds, no delta, no failure probability.
/// Uses:      that equal keys get equal weight, which exact match and hash tables give and ANNA's definition does not.
/// Errors:    ContractError naming the layer if its attention has no features or a mask, or the token whose numbers are 2^53 or
///            more (values), or sums 2^50 or more.
/// Source:    ours; Liu, Yu, Sanford, Andoni, Hsu 2025 have depth O(L) and width O(N^(eps + delta)) through a protocol,
///            which is compile_model() (decompile/decompile.h).
anna::Transformer low_rank_by_averages(const anna::Model& model);

}  // namespace roundtrip::simulate
