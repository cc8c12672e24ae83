#include "roundtrip/cli/construction.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "roundtrip/base/error.h"

namespace roundtrip::cli {

simulate::CompileOptions ConstructionArguments::options(const mpc::Parameters& parameters,
                                                        const std::string& name) const {
  require(routed() || !digits, "--digits: only with --construction routed");
  simulate::CompileOptions options;
  options.construction = routed() ? simulate::Construction::kRouted : simulate::Construction::kDirect;
  if (parameters.delta_given) options.delta = parameters.delta;
  options.digits = digits;
  options.eta = parameters.eta;
  options.seed = parameters.seed;
  options.name = name;
  return options;
}

void add_construction_arguments(Flags& flags, ConstructionArguments& a, mpc::Parameters& parameters,
                                const std::vector<std::string>& attentions, const std::string& attention,
                                const std::string& round_trip) {
  flags.choice("--construction", "NAME", {"direct", "routed"},
               "direct (default): depth R + 1; routed: depth 2 + 2 D R, less width",
               [&a](const std::string& text) { a.construction = text; });
  flags.value("--digits", "D",
              "routed: digits of a machine's address (default: from --delta, else 1 if q <= s)",
              [&a](const std::string& text) {
                a.digits = static_cast<std::uint32_t>(parse_count(text, "--digits", 1, 64));
              });
  flags.value("--eta", "P/Q",
              "Failure probability: of the intermediates (routed), of the hash tables (default 1/100)",
              [&parameters](const std::string& text) { parameters.eta = Rational::parse(text, "--eta"); });
  flags.choice("--attention", "NAME", attentions, attention,
               [&a](const std::string& text) { a.attention = text; });
  if (round_trip.empty()) return;
  flags.toggle("--passes", a.passes, "Show what each pass of the translation did");
  flags.toggle("--roundtrip", a.round_trip, round_trip);
}

nlohmann::ordered_json passes_json(const std::vector<simulate::Pass>& passes) {
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  for (const simulate::Pass& pass : passes) json.push_back({{"name", pass.label()}, {"effect", pass.effect}});
  return json;
}

std::string passes_text(const std::vector<simulate::Pass>& passes) {
  std::size_t longest = 0;
  for (const simulate::Pass& pass : passes) longest = std::max(longest, pass.label().size());
  std::string text = "passes\n";
  for (const simulate::Pass& pass : passes)
    text += fmt::format("  {:<{}}  {}\n", pass.label(), longest, pass.effect);
  return text;
}

nlohmann::ordered_json sizes_json(const simulate::TransformerSizes& sizes) {
  return {{"depth", sizes.depth},
          {"heads", sizes.heads},
          {"embedding_dim", sizes.embedding_dimension},
          {"width", sizes.width}};
}

}  // namespace roundtrip::cli
