// A description, a zero byte, and the weights' file.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "anna/sparse_sample.h"
#include "fuzz/target.h"
#include "roundtrip/anna/files/model_file.h"
#include "roundtrip/anna/transformer/random_model.h"
#include "roundtrip/base/error.h"

namespace roundtrip::fuzz {
namespace {

using namespace anna;

// Whether evaluating takes no longer than a blink.
bool small(const Model& model) {
  std::uint64_t operations = 0;
  for (std::size_t l = 0; l < model.transformer.layers.size(); ++l) {
    const LayerShape shape = model.transformer.layers[l]->shape();
    const std::uint64_t codes = model.mechanisms[l].coding_operations(shape.query_dimension);
    operations +=
        (std::uint64_t{shape.heads} * (shape.query_dimension + shape.value_dimension) + 100) * codes;
  }
  return model.transformer.tokens <= 8 && operations <= 1u << 16 && model.transformer.input_dimension <= 64;
}

Model tiny(const char* name, const Mechanism& mechanism) {
  return make_random_model(RandomModel::parse(name), 4, mechanism);
}

}  // namespace

void try_bytes(std::string_view bytes) {
  const std::size_t end = std::min(bytes.find('\0'), bytes.size());
  const std::string weights(bytes.substr(std::min(end + 1, bytes.size())));
  try {
    // A protocol is registered that has one layer, as the first seed's.
    const Resolver resolver = [](const ProtocolMaps& maps) -> std::optional<Resolved> {
      if (maps.protocol != "known") return std::nullopt;
      return Resolved{tiny("random:L=1,H=1,d=2,m=1,w=1", ExactMatch{}).transformer, "1"};
    };
    const LoadedModel loaded = parse_model(
        bytes.substr(0, end), "m.json", [&](const std::string&) { return weights; }, resolver);
    const ModelFiles files = write_model(loaded.model, "w");
    const LoadedModel again = parse_model(
        files.description, "again.json", [&](const std::string&) { return files.weights; }, resolver);
    expect(write_model(again.model, "w").description == files.description,
           "a model that was written and read differs");
    if (!small(loaded.model)) return;
    Activations input = Activations::with_dimension(loaded.model.transformer.input_dimension);
    for (std::uint64_t token = 0; token < loaded.model.transformer.tokens; ++token) {
      input.append_row(std::vector<Entry>{{0, 1}});
    }
    evaluate(loaded.model, input);
  } catch (const ContractError&) {
  }
}

std::vector<std::string> seeds() {
  std::vector<std::string> out;
  std::vector<Model> models;
  for (const MechanismInfo* info : mechanisms()) {
    for (const Mechanism& mechanism : info->samples())
      models.push_back(tiny("random:L=1,H=1,d=2,m=2,w=1", mechanism));
  }
  models.push_back(tiny("random:L=2,H=2,d=3,m=2,w=2", ExactMatch{}));
  models.push_back(sparse_sample());
  for (const Model& model : models) {
    const ModelFiles files = write_model(model, "w");
    nlohmann::json description = nlohmann::json::parse(files.description);
    description["maps"].erase("xxh3");  // or every change of the weights would end there
    out.push_back(description.dump() + '\0' + files.weights);
  }
  Model model = tiny("random:L=1,H=1,d=2,m=1,w=1", ExactMatch{});
  model.protocol = ProtocolMaps{"known", "direct", "1", 1, {{"n", "4"}}};
  out.push_back(write_model(model, "w").description);
  return out;
}

}  // namespace roundtrip::fuzz
