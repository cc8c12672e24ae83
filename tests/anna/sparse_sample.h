// Purpose: a small model of weights with all that only files of version 2 have: matrices that are smaller as sparse ones,
// limits of their own for outputs and columns, layers that share a block, weights beyond 32 bits.
#pragma once

#include "roundtrip/anna/transformer/model.h"

namespace roundtrip::anna {

inline Model sparse_sample() {
  constexpr std::uint32_t kColumns = 12;
  // y_c = min(limit_c, max(0, x_(c+1) + c)) of the first row_dimension inputs; the last one stays.
  const auto shift = [](std::uint32_t inputs) {
    Stage stage;
    stage.inputs = inputs;
    stage.outputs = kColumns;
    stage.relu = true;
    std::vector<std::int64_t> limits;
    for (std::uint32_t c = 0; c < kColumns; ++c) {
      stage.weight.put(std::min(c + 1, kColumns - 1), 1);
      if (c == 0 && inputs > kColumns) stage.weight.put(inputs - 1, 2);  // the head's last column
      stage.weight.end_row();
      stage.bias.push_back(c);
      limits.push_back(100 + c);
    }
    stage.clamp = limits;
    return stage;
  };
  Stage point;
  point.inputs = kColumns;
  point.outputs = 1;
  point.weight = SparseMatrix::of_dense(kColumns, std::vector<int>(kColumns));
  point.bias = {1};
  Stage wide = shift(kColumns);
  wide.weight = {};
  for (std::uint32_t c = 0; c < kColumns; ++c) {
    wide.weight.put(c, std::int64_t{1} << 40);
    wide.weight.end_row();
  }
  wide.weight_fraction_bits = 40;
  LayerWeights weights;
  weights.row_dimension = kColumns;
  std::vector<std::int64_t> limits(kColumns, 111);
  limits[3] = 222;
  weights.row_limit = limits;
  weights.heads = {{{point}, {point}, {wide}}};
  weights.output = {shift(2 * kColumns)};
  const auto layer = std::make_shared<const WeightLayer>(weights, "sparse");
  Model model;
  model.transformer = {4, kColumns, {layer, layer, layer}};
  model.mechanisms.assign(3, ExactMatch{});
  return model;
}

}  // namespace roundtrip::anna
