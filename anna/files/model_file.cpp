#include "roundtrip/anna/files/model_file.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <utility>

#include "roundtrip/anna/attention/mechanisms.h"
#include "roundtrip/anna/files/json_field.h"
#include "roundtrip/base/atomic_file.h"
#include "roundtrip/base/error.h"
#include "roundtrip/base/fixed_point.h"
#include "roundtrip/base/quote.h"
#include "roundtrip/base/read_file.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace roundtrip::anna {
namespace {

constexpr std::uint64_t kVersion = 2;  // and 1 is read
constexpr std::string_view kSchema = "roundtrip-model";
constexpr std::uint64_t kMaxTokens = std::uint64_t{1} << 48;
constexpr std::uint32_t kMaxDimension = 0x7fffffff;
constexpr std::uint32_t kMaxBits = 52;
// Of the rows of weights, and of the inputs of a sparse matrix: no file has the bytes to show that it means them.
constexpr std::uint32_t kMaxColumns = 1u << 20;
constexpr std::uint64_t kMaxDenseNumbers = std::uint64_t{1} << 27;

std::string checksum_of(std::string_view bytes) {
  return fmt::format("{:016x}", XXH3_64bits(bytes.data(), bytes.size()));
}

// The weights of a description: takes tensors out of a file, each once (a description that used one tensor a
// million times would cost memory far beyond the two files).
class WeightReader {
 public:
  WeightReader(const SafetensorsFile& file, double& largest_rounding)
      : file_(file), largest_rounding_(largest_rounding) {}

  LayerWeights layer(const JsonField& field, std::uint32_t row_dimension) {
    field.object({"row_limit", "row_fraction_bits", "position_digits", "position_base", "heads", "output"});
    LayerWeights weights;
    weights.row_dimension = row_dimension;
    weights.row_limit = limits(field["row_limit"], row_dimension);
    weights.row_fraction_bits = field["row_fraction_bits"].number32(0, kMaxBits);
    weights.position_digits = field["position_digits"].number32(0, 64);
    weights.position_base = field["position_base"].number32(2, 65536);
    for (const JsonField& head : field["heads"].items()) {
      head.object({"query", "key", "value"});
      weights.heads.push_back({map(head["query"], weights.row_fraction_bits),
                               map(head["key"], weights.row_fraction_bits),
                               map(head["value"], weights.row_fraction_bits)});
    }
    weights.output = map(field["output"], weights.row_fraction_bits);
    return weights;
  }

 private:
  WeightMap map(const JsonField& field, std::uint32_t fraction_bits) {
    WeightMap stages;
    for (const JsonField& item : field.items()) {
      item.object({"weight", "?bias", "weight_fraction_bits", "output_fraction_bits", "relu", "?clamp"});
      Stage stage;
      stage.weight_fraction_bits = item["weight_fraction_bits"].number32(0, kMaxBits);
      stage.output_fraction_bits = item["output_fraction_bits"].number32(0, kMaxBits);
      stage.relu = item["relu"].truth();
      const JsonField weight = item["weight"];
      if (weight.is_object()) {
        sparse(weight, stage);
      } else {
        const auto numbers = mantissas(weight, 2, stage.weight_fraction_bits);
        stage.outputs = static_cast<std::uint32_t>(numbers.shape[0]);
        stage.inputs = static_cast<std::uint32_t>(numbers.shape[1]);
        stage.weight = SparseMatrix::of_dense(stage.inputs, numbers.values);
      }
      if (const auto clamp = item.find("clamp")) stage.clamp = limits(*clamp, stage.outputs);
      stage.bias.assign(stage.outputs, 0);
      if (const auto bias = item.find("bias")) {
        auto biases = mantissas(*bias, 1, fraction_bits + stage.weight_fraction_bits);
        if (biases.shape[0] != stage.outputs) {
          bias->fail(fmt::format("has {} numbers; the weight has {} rows", biases.shape[0], stage.outputs));
        }
        stage.bias = std::move(biases.values);
      }
      fraction_bits = stage.output_fraction_bits;
      stages.push_back(std::move(stage));
    }
    return stages;
  }

  // One number for all, or a tensor of one each.
  Limits limits(const JsonField& field, std::uint64_t numbers) {
    if (!field.is_text()) return static_cast<std::int64_t>(field.number(0, kMantissaBound - 1));
    const Mantissas each = mantissas(field, 1, 0);
    if (each.shape[0] != numbers)
      field.fail(fmt::format("has {} numbers; {} are limited", each.shape[0], numbers));
    return each.values;
  }

  // The matrix of a stage, whose outputs and inputs it sets. Nothing is allocated that the file's bytes do not pay for.
  void sparse(const JsonField& field, Stage& stage) {
    field.object({"inputs", "values", "columns", "starts"});
    stage.inputs = field["inputs"].number32(1, kMaxColumns);
    const JsonField columns_field = field["columns"], starts_field = field["starts"];
    const std::vector<std::int64_t> values =
                                        mantissas(field["values"], 1, stage.weight_fraction_bits, 0).values,
                                    columns = mantissas(columns_field, 1, 0, 0).values,
                                    starts = mantissas(starts_field, 1, 0).values;
    if (columns.size() != values.size())
      columns_field.fail(fmt::format("has {} numbers; there are {} values", columns.size(), values.size()));
    if (starts.size() < 2 || starts.front() != 0 ||
        starts.back() != static_cast<std::int64_t>(values.size()) ||
        !std::is_sorted(starts.begin(), starts.end()))
      starts_field.fail(fmt::format("must rise from 0 to {}, in 2 numbers or more", values.size()));
    stage.outputs = static_cast<std::uint32_t>(starts.size() - 1);
    for (std::size_t row = 0; row < stage.outputs; ++row) {
      std::int64_t before = -1;
      for (auto k = static_cast<std::size_t>(starts[row]); k < static_cast<std::size_t>(starts[row + 1]);
           ++k) {
        if (columns[k] <= before || columns[k] >= std::int64_t{stage.inputs})
          columns_field.fail(
              fmt::format("has {} in row {}; columns rise below {}", columns[k], row, stage.inputs));
        if (values[k] == 0) field["values"].fail(fmt::format("has a 0 in row {}", row));
        before = columns[k];
        stage.weight.put(static_cast<std::uint32_t>(before), values[k]);
      }
      stage.weight.end_row();
    }
  }

  struct Mantissas {
    std::vector<std::uint64_t> shape;
    std::vector<std::int64_t> values;
  };

  Mantissas mantissas(const JsonField& field, std::size_t dimensions, std::uint32_t fraction_bits,
                      std::uint64_t least_extent = 1) {
    const std::string name = field.text();
    const TensorView& tensor = file_.tensor(name);
    if (!used_.insert(name).second) field.fail(fmt::format("uses the tensor {} again", quote(name)));
    if (tensor.shape.size() != dimensions) {
      field.fail(fmt::format("is a tensor of {} dimensions; {} are needed", tensor.shape.size(), dimensions));
    }
    for (const std::uint64_t extent : tensor.shape) {
      if (extent < least_extent || extent > kMaxDimension) {
        field.fail(
            fmt::format("has an extent of {}; allowed are {} .. {}", extent, least_extent, kMaxDimension));
      }
    }
    Mantissas out{tensor.shape, {}};
    if (is_integer(tensor.dtype)) {
      out.values = integers_of(tensor, name);
      for (const std::int64_t value : out.values) {
        if (value <= -kMantissaBound || value >= kMantissaBound)
          field.fail(fmt::format("has the mantissa {}", value));
      }
      return out;
    }
    for (const double real : reals_of(tensor, name)) {
      const double scaled = std::ldexp(real, static_cast<int>(fraction_bits));
      if (!(std::fabs(scaled) < static_cast<double>(kMantissaBound))) {  // also NaN
        field.fail(
            fmt::format("has {}, which does not fit 53 bits with {} fractional bits", real, fraction_bits));
      }
      out.values.push_back(round_scaled(scaled, 0));
      const double error =
          std::ldexp(scaled - static_cast<double>(out.values.back()), -static_cast<int>(fraction_bits));
      largest_rounding_ = std::max(largest_rounding_, std::fabs(error));
    }
    return out;
  }

  const SafetensorsFile& file_;
  double& largest_rounding_;
  std::set<std::string, std::less<>> used_;
};

Mechanism read_mechanism(const JsonField& field) {
  const std::string kind = field["kind"].text();
  if (const MechanismInfo* info = find_mechanism(kind)) return info->read(field);
  std::vector<std::string> names = mechanism_names();
  const std::string last = names.back();
  names.pop_back();
  field["kind"].fail(fmt::format("is {}; allowed are {} and {}", quote(kind), fmt::join(names, ", "), last));
}

ProtocolMaps read_protocol(const JsonField& maps) {
  maps.object({"kind", "protocol", "construction", "version", "seed", "parameters"});
  ProtocolMaps protocol;
  protocol.protocol = maps["protocol"].text();
  protocol.construction = maps["construction"].text();
  protocol.version = maps["version"].text();
  protocol.seed = maps["seed"].number(0, UINT64_MAX);
  const JsonField parameters = maps["parameters"];
  for (const auto& entry : parameters.names())
    protocol.parameters[entry.first] = parameters[entry.first].text();
  return protocol;
}

Transformer resolve(const ProtocolMaps& maps, const JsonField& field, const Resolver& resolver) {
  const std::optional<Resolved> resolved = resolver ? resolver(maps) : std::nullopt;
  if (!resolved) {
    field.fail(fmt::format("is {} by the construction {}, which is not registered here", quote(maps.protocol),
                           quote(maps.construction)));
  }
  if (resolved->version != maps.version) {
    field.fail(fmt::format("is {} version {}; registered here is version {}", quote(maps.protocol),
                           quote(maps.version), quote(resolved->version)));
  }
  return resolved->transformer;
}

std::vector<Resolver>& registered_resolvers() {
  static std::vector<Resolver> resolvers;
  return resolvers;
}

std::optional<Resolved> resolve_by_registered(const ProtocolMaps& maps) {
  for (const Resolver& resolver : registered_resolvers()) {
    if (auto resolved = resolver(maps)) return resolved;
  }
  return std::nullopt;
}

// What the description says of a layer against what its maps are.
void compare(const JsonField& field, std::string_view name, std::uint64_t found) {
  const std::uint64_t declared = field[name].number(1, UINT64_MAX);
  if (declared != found) field[name].fail(fmt::format("is {}; the maps have {}", declared, found));
}

nlohmann::ordered_json mechanism_json(const Mechanism& mechanism) {
  JsonObject out{{{"kind", mechanism.name()}}};
  mechanism.write(out);
  return std::move(out.json);
}

// The tensors of a model that is written, and the bytes of those whose numbers became smaller.
class TensorWriter {
 public:
  explicit TensorWriter(Matrices matrices) : matrices_(matrices) {}
  const Tensors& tensors() const { return tensors_; }

  // The name, under which they are from now on.
  std::string put(const std::string& name, const std::vector<std::uint64_t>& shape,
                  std::span<const std::int64_t> numbers) {
    std::int64_t least = 0, largest = 0;
    for (const std::int64_t number : numbers)
      least = std::min(least, number), largest = std::max(largest, number);
    const auto fits = [&]<typename Integer>(Integer) {
      return std::in_range<Integer>(least) && std::in_range<Integer>(largest);
    };
    if (fits(std::int8_t{})) return put_as<std::int8_t>(Dtype::kI8, name, shape, numbers);
    if (fits(std::int16_t{})) return put_as<std::int16_t>(Dtype::kI16, name, shape, numbers);
    if (fits(std::int32_t{})) return put_as<std::int32_t>(Dtype::kI32, name, shape, numbers);
    return put_as<std::int64_t>(Dtype::kI64, name, shape, numbers);
  }

  nlohmann::ordered_json matrix(const std::string& name, const Stage& stage) {
    const SparseMatrix& weight = stage.weight;
    const std::uint64_t entries = std::uint64_t{stage.outputs} * stage.inputs;
    // Of a column and a start there are as many bytes as of a value or twice, mostly.
    if (matrices_ == Matrices::kSmaller && 3 * weight.nonzeros() + 2 * stage.outputs < entries) {
      const std::vector<std::int64_t> columns(weight.columns().begin(), weight.columns().end()),
          starts(weight.starts().begin(), weight.starts().end());
      return {{"inputs", stage.inputs},
              {"values", put(name + ".values", {columns.size()}, weight.values())},
              {"columns", put(name + ".columns", {columns.size()}, columns)},
              {"starts", put(name + ".starts", {starts.size()}, starts)}};
    }
    dense_numbers_ += entries;
    require(dense_numbers_ <= kMaxDenseNumbers,
            "dense matrices of this model have {} numbers and more; at most {} are allowed", dense_numbers_,
            kMaxDenseNumbers);
    std::vector<std::int64_t> dense(entries, 0);
    for (std::size_t row = 0; row < stage.outputs; ++row) {
      for (std::size_t k = 0; k < weight.columns(row).size(); ++k)
        dense[row * stage.inputs + weight.columns(row)[k]] = weight.values(row)[k];
    }
    return put(name, {stage.outputs, stage.inputs}, dense);
  }

  nlohmann::ordered_json limits(const std::string& name, const Limits& limits) {
    if (limits.list().size() == 1) return limits[0];
    return put(name, {limits.list().size()}, limits.list());
  }

 private:
  template <typename Integer>
  std::string put_as(Dtype dtype, const std::string& name, const std::vector<std::uint64_t>& shape,
                     std::span<const std::int64_t> numbers) {
    std::string& bytes = bytes_.emplace_back(numbers.size() * sizeof(Integer), '\0');
    auto* const out = reinterpret_cast<Integer*>(bytes.data());
    for (std::size_t i = 0; i < numbers.size(); ++i) out[i] = static_cast<Integer>(numbers[i]);
    tensors_[name] = {dtype, shape, bytes};
    return name;
  }

  Matrices matrices_;
  std::uint64_t dense_numbers_ = 0;
  std::deque<std::string> bytes_;  // what tensors_ shows does not move
  Tensors tensors_;
};

nlohmann::ordered_json map_json(const WeightMap& map, const std::string& prefix, TensorWriter& tensors) {
  auto out = nlohmann::ordered_json::array();
  for (std::size_t s = 0; s < map.size(); ++s) {
    const Stage& stage = map[s];
    const std::string name = fmt::format("{}.{}", prefix, s);
    out.push_back({{"weight", tensors.matrix(name + ".weight", stage)},
                   {"bias", tensors.put(name + ".bias", {stage.outputs}, stage.bias)},
                   {"weight_fraction_bits", stage.weight_fraction_bits},
                   {"output_fraction_bits", stage.output_fraction_bits},
                   {"relu", stage.relu}});
    if (stage.clamp) out.back()["clamp"] = tensors.limits(name + ".clamp", stage.clamp);
  }
  return out;
}

nlohmann::ordered_json weights_json(const LayerWeights& weights, const std::string& name,
                                    TensorWriter& tensors) {
  nlohmann::ordered_json out = {{"row_limit", tensors.limits(name + ".row_limit", weights.row_limit)},
                                {"row_fraction_bits", weights.row_fraction_bits},
                                {"position_digits", weights.position_digits},
                                {"position_base", weights.position_base},
                                {"heads", nlohmann::ordered_json::array()}};
  for (std::size_t h = 0; h < weights.heads.size(); ++h) {
    const std::string prefix = fmt::format("{}.heads.{}", name, h);
    const HeadMaps& head = weights.heads[h];
    out["heads"].push_back({{"query", map_json(head.query, prefix + ".query", tensors)},
                            {"key", map_json(head.key, prefix + ".key", tensors)},
                            {"value", map_json(head.value, prefix + ".value", tensors)}});
  }
  out["output"] = map_json(weights.output, name + ".output", tensors);
  return out;
}

}  // namespace

LoadedModel parse_model(std::string_view description, const std::string& path,
                        const OpenWeights& open_weights, const Resolver& resolver) {
  const nlohmann::json document = JsonField::parse(description, path);
  const JsonField root(document, path);
  root.object({"schema", "version", "tokens", "input_dimension", "maps", "?blocks", "layers", "?expected"});
  if (root["schema"].text() != kSchema) root["schema"].fail(fmt::format("is not '{}'", kSchema));
  root["version"].number(1, kVersion);

  LoadedModel loaded;
  Model& model = loaded.model;
  model.transformer.tokens = root["tokens"].number(1, kMaxTokens);
  model.transformer.input_dimension = root["input_dimension"].number32(1, kMaxDimension);
  const JsonField maps = root["maps"];
  const std::vector<JsonField> layers = root["layers"].items();
  const std::string kind = maps["kind"].text();
  if (kind == "protocol") {
    model.protocol = read_protocol(maps);
    model.transformer = resolve(*model.protocol, maps["protocol"], resolver);
    compare(root, "tokens", model.transformer.tokens);
    compare(root, "input_dimension", model.transformer.input_dimension);
    if (layers.size() != model.transformer.depth()) {
      root["layers"].fail(fmt::format("are {}; the maps have {}", layers.size(), model.transformer.depth()));
    }
  } else if (kind == "weights") {
    maps.object({"kind", "file", "?xxh3"});
    const std::string file = maps["file"].text();
    if (file.empty() || file == "." || file == ".." ||
        file.find_first_of(std::string_view("/\0", 2)) != std::string::npos) {
      maps["file"].fail(fmt::format("is {}; a file's name without a folder is needed", quote(file)));
    }
    std::string bytes = open_weights(file);
    if (const auto declared = maps.find("xxh3"); declared && declared->text() != checksum_of(bytes)) {
      declared->fail(fmt::format("is {}; the bytes of {} have {}", quote(declared->text()), quote(file),
                                 checksum_of(bytes)));
    }
    const SafetensorsFile tensors = SafetensorsFile::parse(std::move(bytes), file);
    WeightReader reader(tensors, loaded.largest_rounding);
    std::uint32_t row_dimension = root["input_dimension"].number32(1, kMaxColumns);
    const std::optional<JsonField> blocks = root.find("blocks");
    std::map<std::string, std::shared_ptr<const WeightLayer>> read;
    for (const JsonField& layer : layers) {
      model.mechanisms.push_back(read_mechanism(layer["mechanism"]));
      const std::optional<StateRange> state = model.mechanisms.back().state_range();
      const JsonField field = layer["weights"];
      const auto layer_of = [&](LayerWeights weights) {
        return std::make_shared<const WeightLayer>(std::move(weights),
                                                   fmt::format("{}: {}", quote(path), layer.path()), state);
      };
      std::shared_ptr<const WeightLayer> next;
      if (field.is_text()) {
        if (!blocks || !blocks->find(field.text()))
          field.fail(fmt::format("is {}; there is no such block", quote(field.text())));
        std::shared_ptr<const WeightLayer>& block = read[field.text()];
        if (!block) {
          block = layer_of(reader.layer((*blocks)[field.text()], row_dimension));
        } else if (state) {  // its numbers' ranges are this mechanism's
          block = layer_of(block->weights());
        }
        next = block;
      } else {
        next = layer_of(reader.layer(field, row_dimension));
      }
      row_dimension = next->shape().output_dimension;
      model.transformer.layers.push_back(next);
    }
    if (blocks) {
      for (const auto& entry : blocks->names()) {
        if (!read.contains(entry.first)) (*blocks)[entry.first].fail("is a block that no layer names");
      }
    }
  } else {
    maps["kind"].fail(fmt::format("is {}; allowed are weights and protocol", quote(kind)));
  }
  for (std::size_t l = 0; l < layers.size(); ++l) {
    const JsonField& layer = layers[l];
    layer.object({"heads", "query_dimension", "value_dimension", "output_dimension", "mechanism",
                  kind == "weights" ? "weights" : "mechanism"});
    const LayerShape shape = model.transformer.layers[l]->shape();
    compare(layer, "heads", shape.heads);
    compare(layer, "query_dimension", shape.query_dimension);
    compare(layer, "value_dimension", shape.value_dimension);
    compare(layer, "output_dimension", shape.output_dimension);
    if (model.mechanisms.size() == l) model.mechanisms.push_back(read_mechanism(layer["mechanism"]));
  }
  try {
    model.validate();
  } catch (const ContractError& error) {
    throw ContractError(fmt::format("{}: {}", quote(path), error.what()));
  }
  return loaded;
}

void register_resolver(Resolver resolver) {
  require(static_cast<bool>(resolver), "a resolver of protocols' maps must be callable");
  registered_resolvers().push_back(std::move(resolver));
}

LoadedModel load_model(const std::string& path, const Resolver& resolver) {
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  return parse_model(
      read_whole(path), path, [&](const std::string& file) { return read_whole((folder / file).string()); },
      resolver ? resolver : resolve_by_registered);
}

ModelFiles write_model(const Model& model, const std::string& weights_file, Matrices matrices) {
  model.validate();
  const Transformer& transformer = model.transformer;
  ModelFiles files;
  TensorWriter tensors(matrices);
  std::map<const Layer*, std::size_t> uses;
  for (const auto& layer : transformer.layers) ++uses[layer.get()];
  nlohmann::ordered_json blocks = nlohmann::ordered_json::object();
  auto layers = nlohmann::ordered_json::array();
  for (std::size_t l = 0; l < transformer.layers.size(); ++l) {
    const LayerShape shape = transformer.layers[l]->shape();
    layers.push_back({{"heads", shape.heads},
                      {"query_dimension", shape.query_dimension},
                      {"value_dimension", shape.value_dimension},
                      {"output_dimension", shape.output_dimension},
                      {"mechanism", mechanism_json(model.mechanisms[l])}});
    if (model.protocol) continue;
    const Layer* const layer = transformer.layers[l].get();
    const auto& weights = dynamic_cast<const WeightLayer&>(*layer).weights();  // validate() saw to it
    if (uses[layer] == 1) {
      layers.back()["weights"] = weights_json(weights, fmt::format("layers.{}", l), tensors);
      continue;
    }
    const auto first =
        std::ranges::find(transformer.layers, layer, [](const auto& other) { return other.get(); });
    const std::string name = fmt::format("block {}", first - transformer.layers.begin());
    if (!blocks.contains(name)) blocks[name] = weights_json(weights, name, tensors);
    layers.back()["weights"] = name;
  }
  nlohmann::ordered_json maps;
  if (model.protocol) {
    maps = {{"kind", "protocol"},
            {"protocol", model.protocol->protocol},
            {"construction", model.protocol->construction},
            {"version", model.protocol->version},
            {"seed", model.protocol->seed},
            {"parameters", model.protocol->parameters}};
  } else {
    files.weights = write_safetensors(tensors.tensors());
    maps = {{"kind", "weights"}, {"file", weights_file}, {"xxh3", checksum_of(files.weights)}};
  }
  nlohmann::ordered_json description = {{"schema", kSchema},
                                        {"version", kVersion},
                                        {"tokens", transformer.tokens},
                                        {"input_dimension", transformer.input_dimension},
                                        {"maps", maps}};
  if (!blocks.empty()) description["blocks"] = blocks;
  description["layers"] = layers;
  try {
    files.description = description.dump(1) + "\n";
  } catch (const nlohmann::json::type_error&) {
    throw ContractError(
        "a model's protocol, parameters and hash family are stored as UTF-8; one of them is not");
  }
  return files;
}

void save_model(const Model& model, const std::string& path, Matrices matrices) {
  std::filesystem::path weights_path(path);
  require(weights_path.extension() == ".json",
          "a model is saved as a file whose name ends in .json; {} does not", quote(path));
  weights_path.replace_extension(".safetensors");
  const ModelFiles files = write_model(model, weights_path.filename().string(), matrices);
  if (!model.protocol) write_whole(weights_path.string(), files.weights);
  write_whole(path, files.description);
}

}  // namespace roundtrip::anna
