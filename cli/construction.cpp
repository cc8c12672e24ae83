#include "roundtrip/cli/construction.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "roundtrip/base/error.h"

namespace roundtrip::cli {
namespace {

/// An option that only some constructions have, and their names.
struct SpecificOption {
  const simulate::ConstructionOption* option;
  std::string constructions;
};
std::vector<SpecificOption> specific_options() {
  std::vector<SpecificOption> all;
  for (const simulate::ConstructionInfo* info : simulate::all_constructions()) {
    for (const simulate::ConstructionOption& option : info->options) {
      const auto same = [&](const SpecificOption& other) { return other.option->name == option.name; };
      const auto known = std::ranges::find_if(all, same);
      if (known == all.end()) {
        all.push_back({&option, info->name});
      } else {
        known->constructions += ", " + info->name;
      }
    }
  }
  return all;
}

}  // namespace

simulate::CompileOptions ConstructionArguments::options(const mpc::Parameters& parameters,
                                                        const std::string& name) const {
  simulate::CompileOptions options;
  options.construction = construction;
  const auto& known = simulate::find_construction(construction).options;
  for (const SpecificOption& all : specific_options()) {
    const auto given = specific.find(all.option->name);
    if (given == specific.end()) continue;
    const auto option = std::ranges::find(known, given->first, &simulate::ConstructionOption::name);
    require(option != known.end(), "--{}: only with --construction {}", given->first, all.constructions);
    option->set(options, given->second);
  }
  if (parameters.delta_given) options.delta = parameters.delta;
  options.eta = parameters.eta;
  options.seed = parameters.seed;
  options.name = name;
  return options;
}

simulate::CompileOptions ConstructionArguments::protocol_options(const mpc::Parameters& parameters,
                                                                 const std::string& name) const {
  simulate::CompileOptions made = options(parameters, name);
  if (mechanism().needs_fallback) {
    require(!specific.contains(simulate::ids_option().name) || made.ids == simulate::Ids::kFallback,
            "--attention {}: only with --ids fallback, which is its default", protocol_attention());
    made.ids = simulate::Ids::kFallback;
  }
  return made;
}

void add_construction_arguments(Flags& flags, ConstructionArguments& a, mpc::Parameters& parameters,
                                const std::vector<std::string>& attentions, const std::string& attention,
                                const std::string& round_trip) {
  std::vector<std::string> names;
  std::string help;
  for (const simulate::ConstructionInfo* info : simulate::all_constructions()) {
    help += fmt::format("{}{}{}: {}", help.empty() ? "" : "; ", info->name,
                        info->name == a.construction ? " (default)" : "", info->summary);
    names.push_back(info->name);
  }
  flags.choice("--construction", "NAME", names, help,
               [&a](const std::string& text) { a.construction = text; });
  for (const auto& [option, constructions] : specific_options()) {
    if (!option->names.empty()) {
      flags.choice("--" + option->name, option->value_name, option->names,
                   constructions + ": " + option->help, [&a, known = option](const std::string& text) {
                     const auto name = std::ranges::find(known->names, text);
                     a.specific[known->name] = static_cast<std::uint64_t>(name - known->names.begin());
                   });
      continue;
    }
    flags.value("--" + option->name, option->value_name, constructions + ": " + option->help,
                [&a, known = option](const std::string& text) {
                  a.specific[known->name] = parse_count(text, "--" + known->name, known->least, known->most);
                });
  }
  flags.value("--eta", "P/Q",
              "Failure probability: of the intermediates (routed), of the hash tables (default 1/100)",
              [&parameters](const std::string& text) { parameters.eta = Rational::parse(text, "--eta"); });
  flags.choice("--attention", "NAME", attentions, attention,
               [&a](const std::string& text) { a.attention = text; });
  if (round_trip.empty()) return;
  flags.toggle("--passes", a.passes, "Show what each pass of the translation did");
  flags.toggle("--roundtrip", a.round_trip, round_trip);
}

nlohmann::ordered_json specific_json(const simulate::Construction* construction) {
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  for (const SpecificOption& specific : specific_options()) {
    const std::string& name = specific.option->name;
    const auto value = construction == nullptr ? std::nullopt : construction->chosen(name);
    const std::vector<std::string>& names = specific.option->names;
    json[name] = !value          ? nlohmann::ordered_json()
                 : names.empty() ? nlohmann::ordered_json(*value)
                                 : nlohmann::ordered_json(names[*value]);
  }
  return json;
}

nlohmann::ordered_json passes_json(const std::vector<simulate::Pass>& passes) {
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  for (const simulate::Pass& pass : passes) json.push_back({{"name", pass.name}, {"effect", pass.effect}});
  return json;
}

std::string passes_text(const std::vector<simulate::Pass>& passes) {
  std::size_t longest = 0;
  for (const simulate::Pass& pass : passes) longest = std::max(longest, pass.name.size());
  std::string text = "passes\n";
  for (const simulate::Pass& pass : passes)
    text += fmt::format("  {:<{}}  {}\n", pass.name, longest, pass.effect);
  return text;
}

nlohmann::ordered_json sizes_json(const simulate::TransformerSizes& sizes) {
  return {{"depth", sizes.depth},
          {"heads", sizes.heads},
          {"embedding_dim", sizes.embedding_dimension},
          {"width", sizes.width}};
}

}  // namespace roundtrip::cli
