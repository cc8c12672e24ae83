// Purpose: `roundtrip list [NAME]`: the protocols, or one protocol's card, parameters, kappa and round
// formula; or the card of one of the constructions by which they are compiled.
#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "roundtrip/base/atomic_file.h"
#include "roundtrip/cli/arguments.h"
#include "roundtrip/cli/command.h"
#include "roundtrip/mpc/registry.h"
#include "roundtrip/simulate/compile/construction.h"

namespace roundtrip::cli {
namespace {

struct ListArguments {
  std::string name;
  OutputArguments out;
};

nlohmann::ordered_json describe(const mpc::ProtocolInfo& info) {
  nlohmann::ordered_json options = nlohmann::ordered_json::array();
  for (const mpc::OptionInfo& option : info.options) {
    options.push_back({{"name", option.name}, {"default", option.fallback}, {"help", option.help}});
  }
  return {{"name", info.name},
          {"summary", info.summary},
          {"rounds_formula", info.rounds_formula},
          {"kappa_s", info.kappa_s},
          {"uses_more_machines", info.uses_more_machines},
          {"options", options},
          {"oracle", static_cast<bool>(info.oracle)},
          {"check", static_cast<bool>(info.check)},
          {"failure_probability", info.failure_probability}};
}

nlohmann::ordered_json describe(const simulate::ConstructionInfo& info) {
  nlohmann::ordered_json options = nlohmann::ordered_json::array();
  for (const simulate::ConstructionOption& option : info.options)
    options.push_back(
        {{"name", option.name}, {"least", option.least}, {"most", option.most}, {"help", option.help}});
  return {{"name", info.name}, {"summary", info.summary}, {"options", options}};
}

std::string overview(const std::vector<const mpc::ProtocolInfo*>& protocols) {
  std::size_t width = 0;
  for (const mpc::ProtocolInfo* info : protocols) width = std::max(width, info->name.size());
  std::string text;
  for (const mpc::ProtocolInfo* info : protocols)
    text += fmt::format("{:<{}}  {}\n", info->name, width, info->summary);
  return text + "\n`roundtrip list NAME` shows parameters, memory and the round formula.\n";
}

std::string details(const mpc::ProtocolInfo& info) {
  std::string text = fmt::format("{}: {}\n", info.name, info.summary);
  if (!info.card.empty()) text += "\n" + info.card + (info.card.back() == '\n' ? "" : "\n");
  text += fmt::format(
      "\nrounds   R = {}\nmemory   s = kappa_s * b words, kappa_s = {} unless --kappa-s says otherwise\n",
      info.rounds_formula, info.kappa_s);
  text += info.uses_more_machines ? "machines --gamma above 0 spreads the input over more of them\n"
                                  : "machines those that --gamma adds idle\n";
  text += info.oracle ? "check    --check compares with a sequential oracle\n"
          : info.check
              ? "check    --check asks whether the outputs are right, of which there may be several\n"
              : "check    none: no sequential oracle\n";
  if (info.failure_probability > 0)
    text += fmt::format("fails    with probability at most {} over seeds, on every input\n",
                        info.failure_probability);
  for (const mpc::OptionInfo& option : info.options) {
    text += fmt::format("--param {}={}   {}\n", option.name, option.fallback, option.help);
  }
  return text;
}

std::string details(const simulate::ConstructionInfo& info) {
  std::string text = fmt::format("construction {}: {}\n\n{}\n", info.name, info.summary, info.card);
  for (const simulate::ConstructionOption& option : info.options)
    text += fmt::format("\n--{} {}   {}\n", option.name, option.value_name, option.help);
  return text;
}

int list(const ListArguments& arguments, const Communicator& communicator) {
  std::vector<const mpc::ProtocolInfo*> protocols = mpc::all_protocols();
  std::vector<const simulate::ConstructionInfo*> constructions = simulate::all_constructions();
  if (!arguments.name.empty()) {
    const auto other = [&](const auto* info) { return info->name != arguments.name; };
    std::erase_if(protocols, other);
    std::erase_if(constructions, other);
    if (protocols.empty() && constructions.empty()) (void)mpc::find_protocol(arguments.name);  // throws
  }
  communicator.on_root([&] {
    if (!arguments.out.json.empty()) {
      nlohmann::ordered_json json = {{"schema", "roundtrip/list/1"},
                                     {"protocols", nlohmann::ordered_json::array()},
                                     {"constructions", nlohmann::ordered_json::array()}};
      for (const auto* info : protocols) json["protocols"].push_back(describe(*info));
      for (const auto* info : constructions) json["constructions"].push_back(describe(*info));
      write_whole(arguments.out.json, json_text(json));
    }
    if (arguments.out.quiet || arguments.out.json == "-") return;
    write_whole("-", arguments.name.empty() ? overview(protocols)
                     : protocols.empty()    ? details(*constructions.front())
                                            : details(*protocols.front()));
  });
  return kDone;
}

}  // namespace

Command add_list(CommandLine& line) {
  Flags& flags = line.add("list", "List the protocols, or show one", "Example:\n  roundtrip list k_hop\n");
  auto arguments = std::make_shared<ListArguments>();
  flags.positional("NAME", false, false,
                   "Show this protocol's parameters, memory and round formula, or this construction's card",
                   [arguments](const std::string& text) { arguments->name = text; });
  add_output_arguments(flags, arguments->out);
  return {.name = "list",
          .act = [arguments](const Communicator& communicator) { return list(*arguments, communicator); }};
}

}  // namespace roundtrip::cli
