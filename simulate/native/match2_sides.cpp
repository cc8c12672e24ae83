#include "roundtrip/simulate/native/match2_sides.h"

#include <algorithm>
#include <bit>
#include <memory>

#include "roundtrip/anna/attention/softmax.h"
#include "roundtrip/anna/attention/window.h"
#include "roundtrip/base/error.h"
#include "roundtrip/simulate/native/chunked_k_hop.h"
#include "roundtrip/simulate/native/relu_circuit.h"

namespace roundtrip::simulate {
namespace {

constexpr std::string_view kMechanisms[] = {"softmax", "window", "chunked"};
constexpr double kScale = 64;  // e^-64 is below 2^-53, so a key whose score is less by one has no weight

std::uint32_t class_bits(std::uint64_t modulus) {
  return std::max(1u, static_cast<std::uint32_t>(std::bit_width(modulus / 2)));
}

anna::Mechanism averaging(std::string_view name, const Match2Options& options) {
  if (name == "chunked") return chunks_of_equal_signs(class_bits(options.modulus), options.n, options.seed);
  if (name == "softmax") return anna::Softmax{.scale = kScale};
  anna::Window window;
  window.width = options.n;
  window.scale = kScale;
  return window;
}

/// What is above M / 2 of x, doubled: 2 x - M if that is above 0.
Affine excess(ReluCircuit& circuit, std::int64_t modulus) {
  return circuit.relu(2 * circuit.input(kWordColumn) - modulus);
}
/// [2 x > M], by units that numbers pass.
Affine side_of(ReluCircuit& circuit, std::int64_t modulus) {
  return excess(circuit, modulus) - circuit.relu(2 * circuit.input(kWordColumn) - modulus - 1);
}

}  // namespace

std::span<const std::string_view> match2_sides_mechanisms() {
  return kMechanisms;
}

anna::Model match2_sides_model(std::string_view mechanism, const Match2Options& options) {
  require(std::ranges::find(kMechanisms, mechanism) != std::end(kMechanisms),
          "match2 by sides: mechanism is {}; allowed are {}", mechanism, fmt::join(kMechanisms, ", "));
  options.validate();
  require(options.n <= 1 << 15, "match2 by sides: n is {}; allowed are 1 .. {}", options.n, 1 << 15);
  require(options.modulus <= 1 << 24 && !options.tolerant,
          "match2 by sides: the modulus is {}{}; allowed are 1 .. {}, not tolerant", options.modulus,
          options.tolerant ? ", tolerant" : "", 1 << 24);
  const auto modulus = static_cast<std::int64_t>(options.modulus), n = static_cast<std::int64_t>(options.n);
  anna::LayerWeights layer;
  layer.row_dimension = 2;
  layer.row_limit = std::max<std::int64_t>(1, modulus - 1);
  layer.heads.resize(1);
  ReluCircuit point(layer.row_dimension);
  std::vector<Affine> signs;
  const Affine smaller = point.input(kWordColumn) - excess(point, modulus);
  for (const Affine& bit : point.bits_of(smaller, class_bits(options.modulus))) signs.push_back(2 * bit - 1);
  layer.heads[0].query = layer.heads[0].key = point.compile(signs);
  ReluCircuit value(layer.row_dimension);
  // Of t keys u with side 1, the average N u / t is at least 1 away from 0 and N unless u is 0 or t.
  layer.heads[0].value = value.compile(std::vector<Affine>{n * side_of(value, modulus)});
  ReluCircuit output(layer.row_dimension + 1);
  const Affine x = output.input(kWordColumn);
  const Affine away = output.input(layer.row_dimension) - n * side_of(output, modulus);
  const Affine half = output.relu(1 - excess(output, modulus) - output.relu(modulus - 2 * x));
  const Affine alone = output.relu(1 - x) + half;
  std::vector<Affine> row(kOutputDimension);
  row[kPresentColumn] = 1;
  row[kWordColumn] = output.step(output.relu(away) + output.relu(0 - away) + alone);
  layer.output = output.compile(row, 1);
  anna::Model model;
  model.transformer = {.tokens = options.n, .input_dimension = 2, .layers = {}};
  model.transformer.layers.push_back(std::make_shared<anna::WeightLayer>(std::move(layer), "layer 0"));
  model.mechanisms = {averaging(mechanism, options)};
  model.validate();
  return model;
}

TransformerSizes match2_sides_sizes(const Match2Options& options) {
  options.validate();
  const std::uint64_t bits = class_bits(options.modulus);
  return {.depth = 1,
          .heads = 1,
          .query_dimension = bits,
          .value_dimension = 1,
          .embedding_dimension = kOutputDimension,
          .width = bits};
}

}  // namespace roundtrip::simulate
