// Purpose: a program (mpc/program) as a transformer of explicit weights with standard softmax attention: what a stock
// runtime executes, and whose depth is the program's rounds. Glossary: q machines, b input words a machine, D bits of a
// token's number, F words that a machine sends, H heads.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "roundtrip/anna/transformer/model.h"
#include "roundtrip/mpc/program/program.h"
#include "roundtrip/simulate/compile/translation.h"

namespace roundtrip::simulate {

/// How the words of a round find their machines.
enum class Routing : std::uint8_t {
  kScatter,  ///< fixed: a query is the own number, a key the destination's; values are placed by the sender
  kGather,   ///< fixed: a query is the source's number, a key the own one; values are picked by the receiver
  kAddressed,  ///< computed: a query is the own number, a key the address; at most one sender a list
};
std::string to_string(Routing routing);

struct WeightLayerFacts {
  std::string name;  ///< of what the layer moves
  Routing routing{};
  std::uint32_t heads = 0;
};

/// A program as weights.
struct ProgramWeights {
  anna::Model model;
  std::vector<WeightLayerFacts> layers;  ///< [L]
  TransformerSizes
      bound;  ///< L = R + 1, and one more for each routed round; H and m from the places and lists
};

/// Problem:   the transformer that the program is, of weights; its input is (present, word) a token, its output rows are
///            those of OutputColumn.
/// Guarantee: after layer r + 1 machine m's row holds what m keeps and sends in round r + 1, exactly, for every input
///            within the shape's bits: softmax of scale beta takes equal ids and, where there is none, a key at half the
///            gap, whose value is 0; unlike ids weigh e^-beta each, which rounds away as beta >= ln(4 N' V) for values up
///            to V. No draw, no hash, no table of words.
/// Losses:    two senders of a list to one machine, a bundle too small and a word too many are seen by the machine where it
///            happens; then every output has a fault (FaultKind::kUndecodable) and no word.
/// Cost:      L = R + 1 layers, and one more for each routed round; N' = max(N, q) + 1 tokens; ids are D bits and one for the key that nothing equals. Scatter
///            has a head for each destination of a machine, gather for each source, whichever is fewer. Layers of equal
///            maps are one object.
/// Source:    the direct construction of Liu et al. 2025, whose maps are arbitrary; maps, ids and routing here are ours.
/// ContractError if a sum could reach 2^53.
ProgramWeights compile_to_weights(const mpc::Program& program);

/// One tape as a map of weights, of [inputs, bits of the machine's number, least first] to `outs`, on machines 0 .. machines -
/// 1: what the layer's output map is behind the attention.
anna::WeightMap compile_tape(const mpc::Tape& tape, std::span<const mpc::Program::Out> outs,
                             std::uint32_t machines);

/// What the table of compiled programs says.
struct WeightFacts {
  std::uint64_t layers = 0, distinct_layers = 0;
  std::uint64_t units = 0;            ///< outputs of all stages of distinct layers
  std::uint64_t nonzeros = 0;         ///< weights that are not 0, of distinct layers
  std::uint64_t nonzeros_of_all = 0;  ///< .. of all layers
  std::uint64_t stages = 0;           ///< of the deepest map
  std::uint32_t sum_bits = 0;         ///< of the largest sum that construction could not rule out
  bool float32 = false;               ///< anna::fits_float32()
};
WeightFacts weight_facts(const anna::Model& model);

}  // namespace roundtrip::simulate
