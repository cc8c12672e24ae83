// Graphs of models: what a graph has, and what is refused. tests/onnx runs them.
#include "roundtrip/anna/files/onnx.h"

#include <gmock/gmock.h>

#include <memory>

#include "roundtrip/anna/attention/exact_match.h"
#include "roundtrip/anna/attention/softmax.h"
#include "roundtrip/base/error.h"

namespace roundtrip::anna {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

WeightMap stage(std::uint32_t inputs, const std::vector<std::int64_t>& weights) {
  Stage made;
  made.inputs = inputs;
  made.outputs = static_cast<std::uint32_t>(weights.size() / inputs);
  made.weight = SparseMatrix::of_dense(inputs, weights);
  made.bias.assign(made.outputs, 0);
  return {made};
}

struct Numbers {
  std::int64_t query = 1, key = 1, value = 1, limit = 1;
  double scale = 32;
  std::uint64_t tokens = 4;
  bool causal = false;
};

/// Twice the same layer, of one column: q, k and v are multiples of the row, the output is the row.
Model model_of(const Numbers& numbers) {
  LayerWeights weights;
  weights.row_dimension = 1;
  weights.row_limit = numbers.limit;
  weights.position_digits = 1;
  HeadMaps head;
  head.query = stage(2, {numbers.query, 0});
  head.key = stage(2, {numbers.key, 0});
  head.value = stage(2, {numbers.value, 0});
  weights.heads.push_back(head);
  weights.output = stage(3, {1, 0, 0});
  const auto layer = std::make_shared<WeightLayer>(weights);
  Model model;
  model.transformer = {numbers.tokens, 1, {layer, layer}};
  model.mechanisms.assign(2, Softmax{numbers.scale, numbers.causal});
  return model;
}

std::string error_of(const Model& model, OnnxNumbers numbers = OnnxNumbers::kFloat64) {
  try {
    onnx_of(model, numbers);
  } catch (const ContractError& error) {
    return error.what();
  }
  return "none";
}

TEST(Onnx, HasWhatLayersShareOnce) {
  const std::string graph = onnx_of(model_of({}));
  EXPECT_THAT(graph, HasSubstr("layers.0.heads.0.query.0.weight"));
  EXPECT_THAT(graph, Not(HasSubstr("layers.1.")));
  EXPECT_LT(onnx_of(model_of({}), OnnxNumbers::kFloat32).size(), graph.size());
  EXPECT_EQ(graph, onnx_of(model_of({})));
}

TEST(Onnx, FitsFloat32) {
  EXPECT_TRUE(fits_float32(model_of({})));
  const std::pair<Numbers, bool> cases[] = {{{.value = (1 << 21)}, true},
                                            {{.value = (1 << 21) + 1}, false},  // averages
                                            {{.query = (1 << 12) - 1, .key = 1 << 12}, true},
                                            {{.query = 1 << 12, .key = 1 << 12}, false},  // scores
                                            {{.query = 0, .limit = 1 << 21}, true},
                                            {{.query = 0, .value = 0, .limit = (1 << 24) - 1}, true},
                                            {{.query = 0, .value = 0, .limit = 1 << 24}, false},  // sums
                                            {{.scale = -0.25}, true},
                                            {{.scale = 0.3}, false}};
  for (const auto& [numbers, fits] : cases) {
    const Model model = model_of(numbers);
    EXPECT_EQ(fits_float32(model), fits) << &numbers - &cases[0].first;
    EXPECT_THAT(error_of(model, OnnxNumbers::kFloat32),
                HasSubstr(fits ? "none" : "float32 is exact for sums and scores below 2^24"));
    EXPECT_EQ(error_of(model), "none");
  }
}

TEST(Onnx, Refusals) {
  Model model = model_of({});
  model.mechanisms[1] = ExactMatch{};
  EXPECT_EQ(error_of(model), "ONNX: layer 1 attends by ema; only softmax can be written");
  EXPECT_FALSE(fits_float32(model));
  model.protocol.emplace();
  model.protocol->protocol = "sum";
  EXPECT_EQ(error_of(model),
            "ONNX: the model's maps are code, of the protocol 'sum'; only weights can be written");
  EXPECT_FALSE(fits_float32(model));
  EXPECT_THAT(error_of(model_of({.query = 1 << 30, .key = 1 << 30})),
              HasSubstr("ONNX: layer 0 has scores up to 1.152921504606847e+18; they must stay below 2^53"));
  EXPECT_EQ(
      error_of(model_of({.tokens = 1 << 14, .causal = true})),
      "ONNX: up to causal [16384, 16384] the model has more than 134217728 constants, which are allowed; "
      "matrices are dense there");
  EXPECT_THAT(error_of(model_of({.tokens = std::uint64_t{1} << 48})),
              HasSubstr("ONNX: up to positions.base2.digits1 [281474976710656, 1] the model"));
  EXPECT_THROW(save_onnx(model_of({}), "model.json"), ContractError);
}

}  // namespace
}  // namespace roundtrip::anna
