// Purpose: one record for each way in which a layer becomes rounds of a protocol, and which mechanism takes which.
// A way is one file: its sizes, its phases, what its machines are, its passes. Internal, but for what says in words
// what a phase does.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "roundtrip/anna/transformer/model.h"
#include "roundtrip/simulate/compile/translation.h"

namespace roundtrip::simulate {

struct DecompilePlan;
struct DecompiledLayer;
class LayerRun;
struct LayerParts;

/// Some rounds of a layer, or of the whole protocol.
struct DecompilePhase {
  std::string_view id;       ///< in --passes, in a run's phases and in explanations
  std::string_view caption;  ///< what it does, for who watches
};
/// Before the first layer, and after the last.
inline constexpr DecompilePhase kInputToBlocks{
    "input to blocks", "Every input word goes to the machine that is the owner of its token."};
inline constexpr DecompilePhase kDeliver{"deliver",
                                         "Each owner delivers the numbers of its tokens' rows: the output."};

/// Machines of a layer, numbered on from those of the group before.
struct MachineGroup {
  std::string_view name;
  std::uint64_t count;
};

struct LayerDecompiler {
  /// The forms of its mechanisms that it is for; null: all that no other is for.
  bool (*takes)(const anna::Mechanism& mechanism) = nullptr;
  std::string_view rounds_formula;  ///< of one layer, in the glossary of decompile.h
  std::vector<DecompilePhase> phases;
  std::string_view average;       ///< what a query gets, as the end of "A query gets the"
  std::string_view introduction;  ///< for who watches
  /// Sets what follows from the layer alone, for words of `word_bits`; returns the bits that a sum has beyond
  /// those of N' values.
  std::uint32_t (*measure)(const anna::Layer& layer, const anna::Mechanism& mechanism,
                           std::uint32_t word_bits, DecompiledLayer& sizes) = nullptr;
  /// Sets state_words and token_words, the most words of a token on one machine in a round. `next_row`: words of
  /// a row of the next layer; `copies`: f'.
  void (*count_words)(DecompiledLayer& sizes, std::uint64_t next_row, std::uint64_t copies) = nullptr;
  /// Sets what depends on s and C, which are in the plan; false if they have no place.
  bool (*fit)(const DecompilePlan& plan, DecompiledLayer& sizes) = nullptr;
  std::uint32_t (*rounds)(const DecompiledLayer& sizes) = nullptr;
  /// Owners of blocks first.
  std::vector<MachineGroup> (*machines)(const DecompilePlan& plan, const DecompiledLayer& sizes) = nullptr;
  /// One for each phase, in order.
  std::vector<Pass> (*passes)(const DecompilePlan& plan, std::size_t layer) = nullptr;
  std::unique_ptr<LayerRun> (*make)(const LayerParts& parts) = nullptr;
};

/// ContractError for a mechanism that has none.
const LayerDecompiler& decompiler_of(const anna::Mechanism& mechanism);
/// Of its plainest form.
const LayerDecompiler& decompiler_of(const anna::MechanismInfo& mechanism);
/// The other way of softmax layers, which DecompileOptions::softmax_ring asks for.
const LayerDecompiler& softmax_ring_decompiler();
/// All of them, once each.
std::vector<const LayerDecompiler*> decompilers();

/// R of a protocol whose layers are by these, as a formula.
std::string rounds_formula(const std::vector<const LayerDecompiler*>& layers);

}  // namespace roundtrip::simulate
