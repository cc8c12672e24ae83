// Purpose: models as ONNX graphs, which stock runtimes execute: the weights in the file, and nothing of ours beside it.
//
// The graph (opset 13) is what anna/transformer/weights.h says, operator by operator, on mantissas:
//   rows [N', d], the first array, to rows_out [N', columns of the last layer]
//   a stage     Gemm of weight and bias, Mul by 2^-drop and Round (half to even), Relu, Min and Max
//   a head      Gemm for Q K^T, Mul by the scale, Add of a causal mask, Softmax, MatMul by V, Mul and Round to the
//               fractional bits of rows
//   a layer     Concat of rows and the position's digits; its heads; Concat of both; the output map's stages
// Constants are named like the tensors of a model file (layers.0.heads.1.query.2.weight); what layers share is there once.
// A graph takes any rows: it has no row limits, which the model's own evaluation refuses to exceed.
// Glossary: N' tokens, d columns of a row.
#pragma once

#include <cstdint>
#include <string>

#include "roundtrip/anna/transformer/model.h"

namespace roundtrip::anna {

enum class OnnxNumbers : std::uint8_t { kFloat64, kFloat32 };

/// Whether the graph computes in float32 what it computes in float64: sums and scores are integers below 2^24, scales are
/// powers of two, head outputs are at most 2^21. The average of a column in which one value counts is then off by less
/// than 1/4.
bool fits_float32(const Model& model);

/// The bytes of the graph. Stages and scores are exact in it, in every order of summation. A head's output is off by the
/// runtime's rounding alone, and right after Round unless the true average lies that close to a half.
/// Cost: a dense matrix for each stage, a constant [N', N'] for causal masks.
/// ContractError, naming the layer, for a mechanism other than softmax, and for scores of 2^53 or more; for maps that are
/// a protocol's; for more than 2^27 constants; for float32 unless fits_float32().
std::string onnx_of(const Model& model, OnnxNumbers numbers = OnnxNumbers::kFloat64);

/// Writes them to `path`, which must end in .onnx, whole or not at all.
void save_onnx(const Model& model, const std::string& path, OnnxNumbers numbers = OnnxNumbers::kFloat64);

}  // namespace roundtrip::anna
