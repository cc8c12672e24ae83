// Purpose: a transformer evaluated layer by layer under the verifier's eyes: layers counted, heads and
// dimensions metered as they are used, outputs read from the rows of the last array and nowhere else.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "roundtrip/anna/transformer/transformer.h"
#include "roundtrip/mpc/parameters.h"

namespace roundtrip::proofs_check {

/// Measured facts; sizes are the larger of what a layer declares and what it uses, maximal over layers.
struct Evaluation {
  std::uint64_t depth = 0;          ///< L
  std::uint64_t tokens = 0;         ///< N'
  std::uint64_t heads = 0;          ///< H
  std::uint64_t dimension = 0;      ///< m: the largest of a head's query, key and value dimensions
  std::uint64_t width = 0;          ///< max over layers of H_l * m_l
  std::uint64_t row_dimension = 0;  ///< d, of the input and of the rows between layers
  std::uint64_t flagged = 0;        ///< outputs that report a fault or have no word, over all instances
  std::uint64_t wrong = 0;          ///< outputs whose word is wrong, likewise

  template <typename Archive>
  void serialize(Archive& archive, unsigned) {
    archive& depth& tokens& heads& dimension& width& row_dimension& flagged& wrong;
  }
};

struct Network {
  std::vector<std::shared_ptr<const anna::Layer>> layers;
  std::uint64_t tokens = 0;
  std::uint32_t input_dimension = 0;
};

/// An input, and what must come of it.
struct Instance {
  std::vector<mpc::Word> input;
  std::uint64_t outputs = 0;
  std::function<bool(std::uint64_t t, mpc::Word word)> right;  ///< whether output t is that word
};

/// Evaluates the network on all instances in turns: each layer on every instance before the next layer on any.
/// Between its projections and its updates on one instance,
/// a layer projects the next one as well. What it keeps beside rows or attention then reaches the wrong instance. Rows of the first array: (1, word t) for
/// t < N, else (0, 0). Rows of the last: (present, word, fault, ..).
Evaluation evaluate_measured(const Network& network, anna::Attention& attention,
                             std::span<const Instance> instances);

/// Evaluates each layer in a child process of this one, which has evaluated none before; only the array goes
/// in and comes back. Returns the outputs that are wrong, flagged or missing. `attention` must not have been
/// used. InternalError if a child cannot be started or fails.
std::uint64_t wrong_in_own_processes(const Network& network, anna::Attention& attention,
                                     const Instance& instance);

/// Declares sizes larger than what the layer uses. A defect, for controls.
struct Padding {
  std::uint32_t heads = 0;
  std::uint32_t dimension = 0;      ///< of values
  std::uint32_t row_dimension = 0;  ///< of the rows that it writes
};

/// What a control does to a network or to its outputs.
struct NetworkMutant {
  Padding padding{};               ///< of every layer
  bool wide_rows = false;          ///< every layer writes a number far beyond its rows' dimension
  bool remembers = false;          ///< rows are kept in a table of the process; the array holds none
  bool output_altered = false;     ///< the middle output's lowest bit
  std::uint32_t extra_layers = 0;  ///< that pass their rows on
  std::uint32_t extra_tokens = 0;
};

Network mutated(const anna::Transformer& transformer, const NetworkMutant& mutant);
Instance mutated(const Instance& instance, const NetworkMutant& mutant);
/// evaluate_measured() of what the mutant makes of network and instances.
Evaluation evaluate_mutant(const anna::Transformer& transformer, const NetworkMutant& mutant,
                           anna::Attention& attention, std::span<const Instance> instances);

/// The sizes that the layers declare, without an evaluation: tokens, flagged and wrong are 0.
Evaluation declared(const Network& network);

}  // namespace roundtrip::proofs_check
