// Purpose: how a protocol is to be compiled: the flags that `compile` and `decompile` share, what they mean,
// and the passes and sizes as both report them.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "roundtrip/cli/arguments.h"
#include "roundtrip/simulate/compile/compare.h"

namespace roundtrip::cli {

struct ConstructionArguments {
  std::string construction = "direct";
  std::string attention;  ///< as the subcommand allows; empty: its default
  std::optional<std::uint32_t> digits;
  bool passes = false;
  bool round_trip = false;

  bool routed() const { return construction == "routed"; }
  simulate::Mechanism mechanism() const {
    return attention == "anna" ? simulate::Mechanism::kAnna : simulate::Mechanism::kExactMatch;
  }
  /// ContractError for flags that don't go together.
  simulate::CompileOptions options(const mpc::Parameters& parameters, const std::string& name) const;
};

/// --construction, --digits, --eta, --attention, --passes, --roundtrip; `attention` explains the choice among
/// `attentions`. The last two are left out if `round_trip`, which explains the last, is empty.
void add_construction_arguments(Flags& flags, ConstructionArguments& arguments, mpc::Parameters& parameters,
                                const std::vector<std::string>& attentions, const std::string& attention,
                                const std::string& round_trip);

nlohmann::ordered_json passes_json(const std::vector<simulate::Pass>& passes);
/// "passes" and a line each.
std::string passes_text(const std::vector<simulate::Pass>& passes);
/// depth, heads, embedding_dim, width.
nlohmann::ordered_json sizes_json(const simulate::TransformerSizes& sizes);

}  // namespace roundtrip::cli
