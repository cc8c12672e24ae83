#include "roundtrip/anna/transformer/model.h"

#include <algorithm>

#include "roundtrip/anna/transformer/weights.h"
#include "roundtrip/base/error.h"

namespace roundtrip::anna {
namespace {

const WeightLayer& weight_layer(const Layer& layer, std::size_t number) {
  const auto* weights = dynamic_cast<const WeightLayer*>(&layer);
  require(weights != nullptr, "layer {} has neither weights nor a registered protocol's maps", number);
  return *weights;
}

}  // namespace

void Model::validate() const {
  const auto& layers = transformer.layers;
  require(mechanisms.size() == layers.size(), "{} layers have {} mechanisms", layers.size(),
          mechanisms.size());
  for (std::size_t l = 0; l < layers.size(); ++l) {
    const LayerShape shape = layers[l]->shape();
    try {
      mechanisms[l].validate(shape.query_dimension);
    } catch (const ContractError& error) {
      throw ContractError(fmt::format("layer {}: {}", l, error.what()));
    }
    if (const std::optional<StateRange> state = mechanisms[l].state_range()) {
      require(state->numbers <= shape.value_dimension,
              "layer {}: {} gives {} numbers; the layer's values have {}, and at most that are allowed", l,
              mechanisms[l].name(), state->numbers, shape.value_dimension);
      if (const auto* weights = dynamic_cast<const WeightLayer*>(layers[l].get()))
        weights->require_range(*state, fmt::format("layer {}", l));
    }
  }
  if (protocol) return;
  for (std::size_t l = 0; l < layers.size(); ++l) {
    const WeightLayer& layer = weight_layer(*layers[l], l);
    const LayerWeights& weights = layer.weights();
    if (l == 0) {
      require(weights.row_dimension == transformer.input_dimension,
              "layer 0 takes rows of {} columns; the input has {}", weights.row_dimension,
              transformer.input_dimension);
      continue;
    }
    const WeightLayer& before = weight_layer(*layers[l - 1], l - 1);
    require(weights.row_dimension == before.shape().output_dimension,
            "layer {} takes rows of {} columns; layer {} writes {}", l, weights.row_dimension, l - 1,
            before.shape().output_dimension);
    require(weights.row_fraction_bits == before.output_fraction_bits(),
            "layer {} takes rows with {} fractional bits; layer {} writes {}", l, weights.row_fraction_bits,
            l - 1, before.output_fraction_bits());
    for (std::size_t column = 0; column < before.output_ranges().size(); ++column) {
      const Range range = before.output_ranges()[column];
      require(std::max(-range.least, range.largest) <= weights.row_limit[column],
              "layer {} takes magnitudes up to {}; layer {} can write {} .. {} in column {}", l,
              weights.row_limit[column], l - 1, range.least, range.largest, column);
    }
  }
}

Activations evaluate(const Model& model, const Activations& input, const EvaluateOptions& options) {
  model.validate();
  const Transformer& transformer = model.transformer;
  require(input.tokens() == transformer.tokens && input.dimension() == transformer.input_dimension,
          "the input array is {} x {}; the model takes {} x {}", input.tokens(), input.dimension(),
          transformer.tokens, transformer.input_dimension);
  if (options.observe) options.observe(0, input);
  Activations array = input;
  std::unique_ptr<Attention> attention;
  for (std::size_t l = 0; l < transformer.layers.size(); ++l) {
    const bool same = l > 0 && model.mechanisms[l] == model.mechanisms[l - 1];
    if (!same) attention = model.mechanisms[l].make();
    array = evaluate(*transformer.layers[l], *attention, array, options);
    if (options.observe) options.observe(l + 1, array);
  }
  return array;
}

}  // namespace roundtrip::anna
