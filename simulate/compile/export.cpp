#include "roundtrip/simulate/compile/export.h"

#include <algorithm>
#include <charconv>
#include <string_view>

#include "roundtrip/base/error.h"
#include "roundtrip/base/quote.h"
#include "roundtrip/mpc/registry.h"

namespace roundtrip::simulate {
namespace {

constexpr std::string_view kOption = "param.";  // before the names of the protocol's own options

std::uint64_t count(const std::string& name, const std::string& text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  require(error == std::errc() && end == text.data() + text.size() && !text.empty(),
          "a model's parameter {} is {}; a whole number is needed", name, quote(text));
  return value;
}

anna::ProtocolMaps maps_of(const Compiled& compiled) {
  const CompileOptions& options = compiled.options;
  anna::ProtocolMaps maps;
  maps.protocol = options.name;
  const ConstructionInfo& construction = find_construction(options.construction);
  maps.construction = construction.name;
  maps.version = construction.version;
  maps.seed = options.seed;
  if (!compiled.parameters) return maps;
  const mpc::Parameters& parameters = *compiled.parameters;
  auto& text = maps.parameters;
  text["n"] = std::to_string(parameters.n);
  text["eps"] = parameters.epsilon.to_string();
  text["gamma"] = parameters.gamma.to_string();
  if (parameters.delta_given) text["delta"] = parameters.delta.to_string();
  text["eta"] = parameters.eta.to_string();
  if (parameters.kappa_s) text["kappa_s"] = std::to_string(*parameters.kappa_s);
  if (parameters.memory_words) text["memory"] = std::to_string(*parameters.memory_words);
  if (parameters.machines) text["machines"] = std::to_string(*parameters.machines);
  text["seed"] = std::to_string(parameters.seed);
  for (const ConstructionOption& option : construction.options)
    if (const auto value = option.given(options)) text[option.name] = std::to_string(*value);
  for (const auto& [name, value] : parameters.options) text[std::string(kOption) + name] = value;
  return maps;
}

}  // namespace

anna::Model as_model(const Compiled& compiled, std::string_view mechanism) {
  anna::Model model;
  model.transformer = compiled.transformer;
  model.mechanisms.assign(
      compiled.transformer.depth(),
      mechanism_for(compiled.transformer.layers.front()->codebook(), mechanism, compiled.options.seed));
  model.protocol = maps_of(compiled);
  return model;
}

Compiled compile(const anna::ProtocolMaps& maps) {
  const ConstructionInfo& construction = find_construction(maps.construction);
  mpc::Parameters parameters;
  CompileOptions options;
  options.construction = construction.name;
  options.seed = maps.seed;
  for (const auto& [name, text] : maps.parameters) {
    if (name == "n") {
      parameters.n = count(name, text);
    } else if (name == "eps") {
      parameters.epsilon = Rational::parse(text, name);
    } else if (name == "gamma") {
      parameters.gamma = Rational::parse(text, name);
    } else if (name == "delta") {
      parameters.delta = Rational::parse(text, name);
      parameters.delta_given = true;
    } else if (name == "eta") {
      parameters.eta = Rational::parse(text, name);
    } else if (name == "kappa_s") {
      parameters.kappa_s = count(name, text);
    } else if (name == "memory") {
      parameters.memory_words = count(name, text);
    } else if (name == "machines") {
      parameters.machines = count(name, text);
    } else if (name == "seed") {
      parameters.seed = count(name, text);
    } else if (const auto option = std::ranges::find(construction.options, name, &ConstructionOption::name);
               option != construction.options.end()) {
      const std::uint64_t value = count(name, text);
      require(value >= option->least && value <= option->most, "a model's {} is {}, allowed is {} to {}",
              name, value, option->least, option->most);
      option->set(options, value);
    } else {
      require(std::string_view(name).starts_with(kOption), "a compiled model has no parameter {}",
              quote(name));
      parameters.options[name.substr(kOption.size())] = text;
    }
  }
  const mpc::ProtocolInfo& info = mpc::find_protocol(maps.protocol);
  for (const auto& [name, value] : parameters.options) {
    const bool known = std::ranges::find(info.options, name, &mpc::OptionInfo::name) != info.options.end();
    require(known, "{} has no parameter {}", info.name, quote(name));
  }
  parameters.validate();
  return compile(maps.protocol, parameters, options);
}

anna::Resolver protocol_resolver() {
  return [](const anna::ProtocolMaps& maps) -> std::optional<anna::Resolved> {
    const auto named = [](const auto& all, const std::string& name) {
      const auto found = std::ranges::find(all, name, [](const auto* info) { return info->name; });
      return found == all.end() ? nullptr : *found;
    };
    const ConstructionInfo* construction = named(all_constructions(), maps.construction);
    if (named(mpc::all_protocols(), maps.protocol) == nullptr || construction == nullptr) return std::nullopt;
    if (maps.version != construction->version) return anna::Resolved{{}, construction->version};
    return anna::Resolved{compile(maps).transformer, construction->version};
  };
}

}  // namespace roundtrip::simulate
