// Purpose: how a protocol is to be compiled: the flags that `compile` and `decompile` share, what they mean,
// and the passes and sizes as both report them.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "roundtrip/anna/attention/mechanisms.h"
#include "roundtrip/cli/arguments.h"
#include "roundtrip/simulate/compile/compile.h"

namespace roundtrip::cli {

struct ConstructionArguments {
  std::string construction = simulate::CompileOptions{}.construction;
  std::string attention;  ///< as the subcommand allows; empty: its default
  std::map<std::string, std::uint64_t>
      specific;  ///< of simulate::ConstructionInfo::options, by name: those given
  bool passes = false;
  bool round_trip = false;
  bool softmax_ring = false;  ///< of decompile

  /// Of a compiled protocol, with its default.
  std::string protocol_attention() const { return attention.empty() ? "ema" : attention; }
  const anna::MechanismInfo& mechanism() const {
    return anna::mechanism_for_equal_keys(protocol_attention());
  }
  /// ContractError for flags that don't go together.
  simulate::CompileOptions options(const mpc::Parameters& parameters, const std::string& name) const;
  /// The same for a protocol that is evaluated with mechanism().
  simulate::CompileOptions protocol_options(const mpc::Parameters& parameters, const std::string& name) const;
};

/// --construction and the options of constructions (--digits), --eta, --attention, --passes, --roundtrip;
/// `attention` explains the choice among `attentions`. The last two are left out if `round_trip`, which
/// explains the last, is empty.
void add_construction_arguments(Flags& flags, ConstructionArguments& arguments, mpc::Parameters& parameters,
                                const std::vector<std::string>& attentions, const std::string& attention,
                                const std::string& round_trip);

/// The options that only some constructions have, with the values in force in `construction`; null for one
/// that it does not have, and all of them if there is no construction.
nlohmann::ordered_json specific_json(const simulate::Construction* construction);

nlohmann::ordered_json passes_json(const std::vector<simulate::Pass>& passes);
/// "passes" and a line each.
std::string passes_text(const std::vector<simulate::Pass>& passes);
/// depth, heads, embedding_dim, width.
nlohmann::ordered_json sizes_json(const simulate::TransformerSizes& sizes);

}  // namespace roundtrip::cli
