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
  maps.construction = options.construction == Construction::kDirect ? "direct" : "routed";
  maps.version = kConstructionVersion;
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
  if (options.digits) text["digits"] = std::to_string(*options.digits);
  for (const auto& [name, value] : parameters.options) text[std::string(kOption) + name] = value;
  return maps;
}

}  // namespace

anna::Model as_model(const Compiled& compiled, Mechanism mechanism) {
  anna::Model model;
  model.transformer = compiled.transformer;
  model.mechanisms.assign(
      compiled.transformer.depth(),
      mechanism_for(compiled.transformer.layers.front()->codebook(), mechanism, compiled.options.seed));
  model.protocol = maps_of(compiled);
  return model;
}

Compiled compile(const anna::ProtocolMaps& maps) {
  require(maps.construction == "direct" || maps.construction == "routed",
          "a model's construction is {}; allowed are direct and routed", quote(maps.construction));
  mpc::Parameters parameters;
  CompileOptions options;
  options.construction = maps.construction == "direct" ? Construction::kDirect : Construction::kRouted;
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
    } else if (name == "digits") {
      const std::uint64_t digits = count(name, text);
      require(digits >= 1 && digits <= 64, "a model's digits are {}; allowed are 1 .. 64", digits);
      options.digits = static_cast<std::uint32_t>(digits);
    } else {
      require(std::string_view(name).starts_with(kOption), "a compiled model has no parameter {}",
              quote(name));
      parameters.options[name.substr(kOption.size())] = text;
    }
  }
  const mpc::ProtocolInfo& info = mpc::find_protocol(maps.protocol);
  for (const auto& [name, value] : parameters.options) {
    require(
        std::ranges::any_of(info.options, [&](const mpc::OptionInfo& known) { return known.name == name; }),
        "{} has no parameter {}", info.name, quote(name));
  }
  parameters.validate();
  return compile(maps.protocol, parameters, options);
}

anna::Resolver protocol_resolver() {
  return [](const anna::ProtocolMaps& maps) -> std::optional<anna::Resolved> {
    const auto known = mpc::all_protocols();
    const bool registered = std::ranges::any_of(
        known, [&](const mpc::ProtocolInfo* info) { return info->name == maps.protocol; });
    if (!registered || (maps.construction != "direct" && maps.construction != "routed")) return std::nullopt;
    if (maps.version != kConstructionVersion) return anna::Resolved{{}, kConstructionVersion};
    return anna::Resolved{compile(maps).transformer, kConstructionVersion};
  };
}

}  // namespace roundtrip::simulate
