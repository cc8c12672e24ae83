// Purpose: `compile --native`: the tasks for which there is a transformer without the detour over a protocol,
// with explicit weight matrices; and what someone elsewhere needs to run its file.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "roundtrip/anna/transformer/model.h"
#include "roundtrip/cli/execution.h"
#include "roundtrip/simulate/compile/compare.h"

namespace roundtrip::cli {

struct NativeTask {
  anna::Model model;
  simulate::TransformerSizes bound;   ///< by formula
  std::vector<mpc::Word> words;       ///< of the tokens; on rank 0
  std::vector<std::int64_t> symbols;  ///< k_hop: the value of each word
  std::uint64_t first_output = 0;     ///< the token whose row has output 0
};

/// Mechanisms of a task's networks; ContractError unless it is k_hop, match2 or sum.
std::vector<std::string> native_attentions(const std::string& task);

/// ContractError unless the protocol has a network with the mechanism, and words that the weights can hold. Rank 0 alone has
/// an input, and calls it.
NativeTask native_task(const Instance& instance, const anna::MechanismInfo& mechanism);

/// The outputs as the user sees them, of the rows of the last array; a row without a word is nothing.
mpc::Outputs native_outputs(const Instance& instance, const NativeTask& task, const anna::Activations& rows);

/// What FILE.tables.json says: how words become rows and rows words, the parameters, and this input with the
/// run's outputs to try it on.
nlohmann::ordered_json native_tables(const Instance& instance, const NativeTask& task,
                                     const mpc::Outputs& expected);

}  // namespace roundtrip::cli
