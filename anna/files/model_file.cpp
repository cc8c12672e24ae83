#include "roundtrip/anna/files/model_file.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <set>
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

constexpr std::uint64_t kVersion = 1;
constexpr std::string_view kSchema = "roundtrip-model";
constexpr std::uint64_t kMaxTokens = std::uint64_t{1} << 48;
constexpr std::uint32_t kMaxDimension = 0x7fffffff;
constexpr std::uint32_t kMaxBits = 52;

std::string checksum_of(std::string_view bytes) {
  return fmt::format("{:016x}", XXH3_64bits(bytes.data(), bytes.size()));
}

// The weights of a description: takes tensors out of a file, each once (a description that used one tensor a
// million times would cost memory far beyond the two files).
class WeightReader {
 public:
  WeightReader(const SafetensorsFile& file, double& largest_rounding)
      : file_(file), largest_rounding_(largest_rounding) {}

  LayerWeights layer(const JsonField& layer, std::uint32_t row_dimension) {
    const JsonField field = layer["weights"];
    field.object({"row_limit", "row_fraction_bits", "position_digits", "position_base", "heads", "output"});
    LayerWeights weights;
    weights.row_dimension = row_dimension;
    weights.row_limit = static_cast<std::int64_t>(field["row_limit"].number(0, kMantissaBound - 1));
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
      if (const auto clamp = item.find("clamp")) {
        stage.clamp = static_cast<std::int64_t>(clamp->number(0, kMantissaBound - 1));
      }
      const JsonField weight = item["weight"];
      const auto numbers = mantissas(weight, 2, stage.weight_fraction_bits);
      stage.outputs = static_cast<std::uint32_t>(numbers.shape[0]);
      stage.inputs = static_cast<std::uint32_t>(numbers.shape[1]);
      stage.weight.reserve(numbers.values.size());
      for (const std::int64_t value : numbers.values) {
        if (!std::in_range<std::int32_t>(value))
          weight.fail(fmt::format("has the mantissa {}, beyond 32 bits", value));
        stage.weight.push_back(static_cast<std::int32_t>(value));
      }
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

  struct Mantissas {
    std::vector<std::uint64_t> shape;
    std::vector<std::int64_t> values;
  };

  Mantissas mantissas(const JsonField& field, std::size_t dimensions, std::uint32_t fraction_bits) {
    const std::string name = field.text();
    const TensorView& tensor = file_.tensor(name);
    if (!used_.insert(name).second) field.fail(fmt::format("uses the tensor {} again", quote(name)));
    if (tensor.shape.size() != dimensions) {
      field.fail(fmt::format("is a tensor of {} dimensions; {} are needed", tensor.shape.size(), dimensions));
    }
    for (const std::uint64_t extent : tensor.shape) {
      if (extent < 1 || extent > kMaxDimension) {
        field.fail(fmt::format("has an extent of {}; allowed are 1 .. {}", extent, kMaxDimension));
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

template <typename T>
std::string_view bytes_of(const std::vector<T>& numbers) {
  return {reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(T)};
}

nlohmann::ordered_json map_json(const WeightMap& map, const std::string& prefix, Tensors& tensors) {
  auto out = nlohmann::ordered_json::array();
  for (std::size_t s = 0; s < map.size(); ++s) {
    const Stage& stage = map[s];
    const std::string weight = fmt::format("{}.{}.weight", prefix, s),
                      bias = fmt::format("{}.{}.bias", prefix, s);
    tensors[weight] = {Dtype::kI32, {stage.outputs, stage.inputs}, bytes_of(stage.weight)};
    tensors[bias] = {Dtype::kI64, {stage.outputs}, bytes_of(stage.bias)};
    out.push_back({{"weight", weight},
                   {"bias", bias},
                   {"weight_fraction_bits", stage.weight_fraction_bits},
                   {"output_fraction_bits", stage.output_fraction_bits},
                   {"relu", stage.relu}});
    if (stage.clamp) out.back()["clamp"] = *stage.clamp;
  }
  return out;
}

nlohmann::ordered_json weights_json(const LayerWeights& weights, std::size_t layer, Tensors& tensors) {
  nlohmann::ordered_json out = {{"row_limit", weights.row_limit},
                                {"row_fraction_bits", weights.row_fraction_bits},
                                {"position_digits", weights.position_digits},
                                {"position_base", weights.position_base},
                                {"heads", nlohmann::ordered_json::array()}};
  for (std::size_t h = 0; h < weights.heads.size(); ++h) {
    const std::string prefix = fmt::format("layers.{}.heads.{}", layer, h);
    const HeadMaps& head = weights.heads[h];
    out["heads"].push_back({{"query", map_json(head.query, prefix + ".query", tensors)},
                            {"key", map_json(head.key, prefix + ".key", tensors)},
                            {"value", map_json(head.value, prefix + ".value", tensors)}});
  }
  out["output"] = map_json(weights.output, fmt::format("layers.{}.output", layer), tensors);
  return out;
}

}  // namespace

LoadedModel parse_model(std::string_view description, const std::string& path,
                        const OpenWeights& open_weights, const Resolver& resolver) {
  const nlohmann::json document = JsonField::parse(description, path);
  const JsonField root(document, path);
  root.object({"schema", "version", "tokens", "input_dimension", "maps", "layers", "?expected"});
  if (root["schema"].text() != kSchema) root["schema"].fail(fmt::format("is not '{}'", kSchema));
  root["version"].number(kVersion, kVersion);

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
    std::uint32_t row_dimension = model.transformer.input_dimension;
    for (const JsonField& layer : layers) {
      model.mechanisms.push_back(read_mechanism(layer["mechanism"]));
      const auto next = std::make_shared<WeightLayer>(reader.layer(layer, row_dimension),
                                                      fmt::format("{}: {}", quote(path), layer.path()),
                                                      model.mechanisms.back().state_range());
      row_dimension = next->shape().output_dimension;
      model.transformer.layers.push_back(next);
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

ModelFiles write_model(const Model& model, const std::string& weights_file) {
  model.validate();
  const Transformer& transformer = model.transformer;
  ModelFiles files;
  Tensors tensors;
  auto layers = nlohmann::ordered_json::array();
  for (std::size_t l = 0; l < transformer.layers.size(); ++l) {
    const LayerShape shape = transformer.layers[l]->shape();
    layers.push_back({{"heads", shape.heads},
                      {"query_dimension", shape.query_dimension},
                      {"value_dimension", shape.value_dimension},
                      {"output_dimension", shape.output_dimension},
                      {"mechanism", mechanism_json(model.mechanisms[l])}});
    if (!model.protocol) {
      const auto& weights =
          dynamic_cast<const WeightLayer&>(*transformer.layers[l]).weights();  // validate() saw to it
      layers.back()["weights"] = weights_json(weights, l, tensors);
    }
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
    files.weights = write_safetensors(tensors);
    maps = {{"kind", "weights"}, {"file", weights_file}, {"xxh3", checksum_of(files.weights)}};
  }
  const nlohmann::ordered_json description = {{"schema", kSchema},
                                              {"version", kVersion},
                                              {"tokens", transformer.tokens},
                                              {"input_dimension", transformer.input_dimension},
                                              {"maps", maps},
                                              {"layers", layers}};
  try {
    files.description = description.dump(1) + "\n";
  } catch (const nlohmann::json::type_error&) {
    throw ContractError(
        "a model's protocol, parameters and hash family are stored as UTF-8; one of them is not");
  }
  return files;
}

void save_model(const Model& model, const std::string& path) {
  std::filesystem::path weights_path(path);
  require(weights_path.extension() == ".json",
          "a model is saved as a file whose name ends in .json; {} does not", quote(path));
  weights_path.replace_extension(".safetensors");
  const ModelFiles files = write_model(model, weights_path.filename().string());
  if (!model.protocol) write_whole(weights_path.string(), files.weights);
  write_whole(path, files.description);
}

}  // namespace roundtrip::anna
