#include "roundtrip/anna/files/onnx.h"

#include <bit>
#include <cmath>
#include <filesystem>
#include <limits>
#include <map>
#include <set>
#include <string_view>
#include <vector>

#include "roundtrip/anna/attention/softmax.h"
#include "roundtrip/base/atomic_file.h"
#include "roundtrip/base/error.h"
#include "roundtrip/base/quote.h"

namespace roundtrip::anna {
namespace {

static_assert(std::endian::native == std::endian::little, "raw_data is little-endian");

constexpr std::uint64_t kIrVersion = 7, kOpset = 13;  // a pair of ONNX 1.8, in which Softmax has one axis
constexpr std::uint64_t kMaxConstants = std::uint64_t{1} << 27;  // 1 GiB; protobuf ends at 2 GiB

// A protobuf message that is written. ONNX uses two of its wire types, varints and bytes by length, which are these
// lines; a protobuf library would be a dependency and a generated header of a megabyte. Field numbers are those of the
// public onnx.proto.
class Message {
 public:
  Message& number(std::uint32_t field, std::uint64_t value) {
    varint(field << 3);
    varint(value);
    return *this;
  }
  Message& bytes(std::uint32_t field, std::string_view value) { return head(field, value.size()).raw(value); }
  Message& message(std::uint32_t field, const Message& value) { return bytes(field, value.written_); }
  /// The start of a field of `size` bytes, which follow by raw().
  Message& head(std::uint32_t field, std::uint64_t size) {
    varint(field << 3 | 2);
    varint(size);
    return *this;
  }
  Message& raw(std::string_view bytes) {
    written_ += bytes;
    return *this;
  }
  std::uint64_t size() const { return written_.size(); }
  std::string take() { return std::move(written_); }

 private:
  void varint(std::uint64_t value) {
    for (; value >= 128; value >>= 7) written_ += static_cast<char>(value % 128 + 128);
    written_ += static_cast<char>(value);
  }

  std::string written_;
};

class Graph {
 public:
  explicit Graph(OnnxNumbers numbers) : numbers_(numbers) {}

  /// The name of a constant, under which it is from now on: value_of(i) for all i below the product of `shape`,
  /// row-major. Nothing happens if there is one of the name.
  template <typename ValueOf>
  std::string constant(const std::string& name, const std::vector<std::uint64_t>& shape, ValueOf&& value_of) {
    if (!constants_.insert(name).second) return name;
    std::uint64_t count = 1;
    for (const std::uint64_t extent : shape) {
      require(
          extent <= (kMaxConstants - count_) / count,
          "ONNX: up to {} [{}] the model has more than {} constants, which are allowed; matrices are dense there",
          name, fmt::join(shape, ", "), kMaxConstants);
      count *= extent;
    }
    count_ += count;
    Message tensor;
    for (const std::uint64_t extent : shape) tensor.number(1, extent);
    tensor.number(2, element_type()).bytes(8, name);
    if (numbers_ == OnnxNumbers::kFloat32) {
      add<float>(tensor, count, value_of);
    } else {
      add<double>(tensor, count, value_of);
    }
    return name;
  }
  std::string constant(const std::string& name, double value) {
    return constant(name, {}, [&](std::uint64_t) { return value; });
  }

  /// The name of what it computes, which is unique in the graph. Attributes that are named are 1.
  std::string node(std::string_view operation, const std::vector<std::string>& inputs,
                   std::string_view attribute = "", std::string name = "") {
    if (name.empty()) name = fmt::format("{}.{}", operation, nodes_++);
    Message node;
    for (const std::string& input : inputs) node.bytes(1, input);
    node.bytes(2, name).bytes(4, operation);
    if (!attribute.empty())
      node.message(5, Message().bytes(1, attribute).number(3, 1).number(20, 2));  // an INT
    graph_.message(1, node);
    return name;
  }

  /// x times the transpose of a matrix, plus a row if there is one. In one node, for Transpose beside MatMul is what ONNX
  /// Runtime fuses to an operator that it lacks for float64.
  std::string linear(const std::vector<std::string>& x_matrix_row) {
    return node("Gemm", x_matrix_row, "transB");
  }

  /// Parts beside each other, by columns.
  std::string concat(const std::vector<std::string>& parts) { return node("Concat", parts, "axis"); }

  /// x 2^power, rounded half to even.
  std::string scaled_and_rounded(std::string x, int power) {
    if (power != 0) x = node("Mul", {x, constant(fmt::format("2^{}", power), std::ldexp(1.0, power))});
    return node("Round", {x});
  }

  /// The whole model, from the array "rows" to "rows_out".
  std::string model(std::uint64_t tokens, std::uint64_t input_columns, std::uint64_t output_columns) {
    graph_.bytes(2, "roundtrip");
    graph_.message(11, array("rows", tokens, input_columns));
    graph_.message(12, array("rows_out", tokens, output_columns));
    Message opset, model;
    opset.bytes(1, "").number(2, kOpset);
    model.number(1, kIrVersion).bytes(2, "roundtrip").message(8, opset).message(7, graph_);
    return model.take();
  }

 private:
  std::uint64_t element_type() const { return numbers_ == OnnxNumbers::kFloat32 ? 1 : 11; }

  template <typename Number, typename ValueOf>
  void add(Message& tensor, std::uint64_t count, ValueOf& value_of) {
    tensor.head(9, count * sizeof(Number));
    graph_.head(5, tensor.size() + count * sizeof(Number)).raw(tensor.take());
    for (std::uint64_t i = 0; i < count; ++i) {
      const auto number = static_cast<Number>(value_of(i));
      graph_.raw({reinterpret_cast<const char*>(&number), sizeof number});
    }
  }

  Message array(std::string_view name, std::uint64_t rows, std::uint64_t columns) const {
    Message row_extent, column_extent, shape, tensor, type, value;
    row_extent.number(1, rows);
    column_extent.number(1, columns);
    shape.message(1, row_extent).message(1, column_extent);
    tensor.number(1, element_type()).message(2, shape);
    type.message(1, tensor);
    return value.bytes(1, name).message(2, type);
  }

  OnnxNumbers numbers_;
  Message graph_;
  std::set<std::string> constants_;
  std::uint64_t count_ = 0, nodes_ = 0;
};

// x [N', inputs] with `bits` fractional bits through the map's stages, whose constants are named `prefix`.
std::string apply(Graph& graph, const WeightMap& map, std::uint32_t bits, std::string x,
                  const std::string& prefix) {
  for (std::size_t s = 0; s < map.size(); ++s) {
    const Stage& stage = map[s];
    const std::string name = fmt::format("{}.{}.", prefix, s);
    const std::uint32_t drop = bits + stage.weight_fraction_bits - stage.output_fraction_bits;
    const std::string weight =
        graph.constant(name + "weight", {stage.outputs, stage.inputs}, [&](std::uint64_t at) {
          return stage.weight(at / stage.inputs, static_cast<std::uint32_t>(at % stage.inputs));
        });
    const std::string bias =
        graph.constant(name + "bias", {stage.outputs}, [&](std::uint64_t at) { return stage.bias[at]; });
    x = graph.linear({x, weight, bias});
    if (drop != 0) x = graph.scaled_and_rounded(x, -static_cast<int>(drop));
    if (stage.relu) x = graph.node("Relu", {x});
    if (stage.clamp) {
      const std::vector<std::uint64_t> shape{stage.clamp.list().size()};
      x = graph.node("Min", {x, graph.constant(name + "clamp", shape,
                                               [&](std::uint64_t at) { return stage.clamp[at]; })});
      if (!stage.relu)
        x = graph.node("Max", {x, graph.constant(name + "-clamp", shape,
                                                 [&](std::uint64_t at) { return -stage.clamp[at]; })});
    }
    bits = stage.output_fraction_bits;
  }
  return x;
}

// What the layer makes of `rows`.
std::string add_layer(Graph& graph, const LayerWeights& weights, const Softmax& softmax, std::uint64_t tokens,
                      const std::string& rows, const std::string& name) {
  const std::uint32_t bits = weights.row_fraction_bits;
  std::vector<std::string> seen{rows};
  if (const std::uint32_t digits = weights.position_digits; digits != 0) {
    const auto digit = [&](std::uint64_t at) {
      std::uint64_t rest = at / digits;
      for (std::uint64_t d = at % digits; d > 0; --d) rest /= weights.position_base;
      return rest % weights.position_base;
    };
    seen.push_back(graph.constant(fmt::format("positions.base{}.digits{}", weights.position_base, digits),
                                  {tokens, digits}, digit));
  }
  const std::string x = seen.size() == 1 ? rows : graph.concat(seen);
  std::vector<std::string> parts{x};
  for (std::size_t h = 0; h < weights.heads.size(); ++h) {
    const HeadMaps& head = weights.heads[h];
    const std::string prefix = fmt::format("{}.heads.{}", name, h);
    const std::string query = apply(graph, head.query, bits, x, prefix + ".query"),
                      key = apply(graph, head.key, bits, x, prefix + ".key"),
                      value = apply(graph, head.value, bits, x, prefix + ".value");
    std::string scores = graph.linear({query, key});
    scores =
        graph.node("Mul", {scores, graph.constant(fmt::format("scale {}", softmax.scale), softmax.scale)});
    if (softmax.causal()) {
      scores = graph.node(
          "Add", {scores, graph.constant("causal", {tokens, tokens}, [&](std::uint64_t at) {
                    return at % tokens > at / tokens ? -std::numeric_limits<double>::infinity() : 0.0;
                  })});
    }
    const std::string average = graph.node("MatMul", {graph.node("Softmax", {scores}), value});
    parts.push_back(graph.scaled_and_rounded(
        average, static_cast<int>(bits) - static_cast<int>(head.value.back().output_fraction_bits)));
  }
  return apply(graph, weights.output, bits, graph.concat(parts), name + ".output");
}

const WeightLayer& weights_of(const Layer& layer) {
  return dynamic_cast<const WeightLayer&>(layer);  // Model::validate() saw to it
}

}  // namespace

bool fits_float32(const Model& model) {
  if (model.protocol) return false;
  constexpr double kSums = 0x1p24, kAverages = 0x1p21;
  for (std::size_t l = 0; l < model.transformer.depth(); ++l) {
    const WeightLayer& weights = weights_of(*model.transformer.layers[l]);
    if (static_cast<double>(weights.largest_sum()) >= kSums || weights.largest_score() >= kSums) return false;
    int exponent = 0;  // the scale is a power of two, or 2^-24 of a scaled score would be its error
    const auto* const softmax = model.mechanisms[l].get_if<Softmax>();
    if (softmax == nullptr || std::fabs(std::frexp(softmax->scale, &exponent)) != 0.5) return false;
    for (const Range& range : weights.head_ranges()) {
      if (static_cast<double>(std::max(-range.least, range.largest)) > kAverages) return false;
    }
  }
  return true;
}

std::string onnx_of(const Model& model, OnnxNumbers numbers) {
  model.validate();
  require(!model.protocol, "ONNX: the model's maps are code, of the protocol {}; only weights can be written",
          model.protocol ? quote(model.protocol->protocol) : "");
  require(
      numbers == OnnxNumbers::kFloat64 || fits_float32(model),
      "ONNX: float32 is exact for sums and scores below 2^24, averages up to 2^21 and scales that are powers of 2; "
      "the model has others");
  const Transformer& transformer = model.transformer;
  Graph graph(numbers);
  std::map<const Layer*, std::string> names;
  std::string rows = "rows";
  std::uint64_t columns = transformer.input_dimension;
  for (std::size_t l = 0; l < transformer.depth(); ++l) {
    const WeightLayer& layer = weights_of(*transformer.layers[l]);
    const auto* const softmax = model.mechanisms[l].get_if<Softmax>();
    require(softmax != nullptr, "ONNX: layer {} attends by {}; only softmax can be written", l,
            model.mechanisms[l].name());
    require(layer.largest_score() < static_cast<double>(kMantissaBound),
            "ONNX: layer {} has scores up to {}; they must stay below 2^53", l, layer.largest_score());
    const auto [name, fresh] = names.try_emplace(&layer, fmt::format("layers.{}", l));
    rows = add_layer(graph, layer.weights(), *softmax, transformer.tokens, rows, name->second);
    columns = layer.shape().output_dimension;
  }
  graph.node("Identity", {rows}, "", "rows_out");
  return graph.model(transformer.tokens, transformer.input_dimension, columns);
}

void save_onnx(const Model& model, const std::string& path, OnnxNumbers numbers) {
  require(std::filesystem::path(path).extension() == ".onnx",
          "an ONNX graph is saved as a file whose name ends in .onnx; {} does not", quote(path));
  write_whole(path, onnx_of(model, numbers));
}

}  // namespace roundtrip::anna
