// Purpose: which positions an output of an attention mechanism depends on, by perturbation of the real mechanism.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "roundtrip/anna/attention/attention.h"

namespace roundtrip::proofs_check {

/// Numbers of positions whose perturbation reaches a token, over all tokens.
struct ReceptiveField {
  std::uint64_t least = 0, most = 0;
  std::uint64_t later = 0;  ///< pairs of a token and a later position that reaches it
};

/// Every token is perturbed at once, each in a column of its own, and after `layers` layers the columns that are not 0
/// at a token are counted. Queries and keys depend on the position alone, or are all one vector (`one_vector`), so that
/// no perturbation changes who attends to whom. `attention` makes the mechanism of a layer.
/// Cost: N^2 numbers a layer.
ReceptiveField receptive_field(
    std::uint64_t tokens, std::uint32_t layers, bool one_vector, std::uint64_t seed,
    const std::function<std::unique_ptr<anna::Attention>(std::uint32_t layer)>& attention);

}  // namespace roundtrip::proofs_check
