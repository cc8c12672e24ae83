// Purpose: a transformer evaluated layer by layer under the verifier's eyes: layers counted, heads and
// dimensions metered as they are used, outputs read from the rows of the last array and nowhere else.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "roundtrip/anna/transformer/transformer.h"
#include "roundtrip/mpc/parameters.h"

namespace roundtrip::proofs_check {

/// Measured facts; sizes are the larger of what a layer declares and what it uses, maximal over layers.
struct Evaluation {
  std::uint64_t depth = 0;      ///< L
  std::uint64_t tokens = 0;     ///< N'
  std::uint64_t heads = 0;      ///< H
  std::uint64_t dimension = 0;  ///< m
  std::uint64_t width = 0;      ///< max over layers of H_l * m_l
  std::uint64_t flagged = 0;    ///< outputs that report a fault or have no word
  std::uint64_t wrong = 0;      ///< outputs whose word is wrong

  /// For spread().
  std::vector<std::uint64_t> numbers() const {
    return {depth, tokens, heads, dimension, width, flagged, wrong};
  }
  static constexpr std::size_t kNumbers = 7;
  static Evaluation from(const std::vector<std::uint64_t>& n) {
    return {n[0], n[1], n[2], n[3], n[4], n[5], n[6]};
  }
};

struct Network {
  std::vector<std::shared_ptr<const anna::Layer>> layers;
  std::uint64_t tokens = 0;
  std::uint32_t input_dimension = 0;
};

/// Rows of the first array: (1, word t) for t < N, else (0, 0). Rows of the last: (present, word, fault, ..).
/// `right(t, word)`: whether output t is that word.
Evaluation evaluate_measured(const Network& network, anna::Attention& attention,
                             std::span<const mpc::Word> input, std::uint64_t outputs,
                             const std::function<bool(std::uint64_t, mpc::Word)>& right);

/// Declares sizes larger than what `inner` uses; or, idle, passes its rows on. A defect, for controls.
struct Padding {
  std::uint32_t heads = 0;
  std::uint32_t dimension = 0;
  bool idle = false;
};
std::shared_ptr<const anna::Layer> padded(std::shared_ptr<const anna::Layer> inner, const Padding& padding);

}  // namespace roundtrip::proofs_check
