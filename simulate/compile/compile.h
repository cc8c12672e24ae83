// Purpose: the facade of the translators from protocols to transformers: by name or by object, by any
// construction, and what a compiled transformer will need before it is evaluated.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "roundtrip/anna/attention/attention.h"
#include "roundtrip/anna/transformer/model.h"
#include "roundtrip/anna/transformer/transformer.h"
#include "roundtrip/mpc/protocol.h"
#include "roundtrip/simulate/compile/construction.h"
#include "roundtrip/simulate/compile/translation.h"

namespace roundtrip::simulate {

/// A compiled protocol.
struct Compiled {
  std::shared_ptr<const mpc::Protocol> protocol;
  CompileOptions options;
  std::shared_ptr<const Construction> construction;  ///< for the protocol's shape
  anna::Transformer transformer;
  TransformerSizes bound;                          ///< by formula, from the shape alone
  std::vector<Pass> passes;                        ///< those that had something to do
  std::optional<mpc::Parameters> parameters = {};  ///< of the registered protocol, if compiled by name
};
/// The protocol by the construction that the options name. ContractError, naming protocol and field, for what
/// that can't serve.
Compiled compile(std::shared_ptr<const mpc::Protocol> protocol, const CompileOptions& options = {});
/// The registered protocol `name` at `parameters`, from which eta and a delta that was given are taken.
Compiled compile(std::string_view name, const mpc::Parameters& parameters, CompileOptions options = {});

/// Layer `number` (0 .. L-1) of the same transformer, made from values alone: for a process that is given
/// nothing else.
std::shared_ptr<const anna::Layer> compile_layer(std::string_view name, const mpc::Parameters& parameters,
                                                 std::uint32_t number, const CompileOptions& options = {});

/// CompileOptions::ids for a transformer that is to be evaluated with `mechanism`: the default where it will do.
/// ContractError as below.
Ids ids_for(std::string_view mechanism);

/// The mechanism named `mechanism`, by which tokens find each other by ids, for a layer's codebook: exact match; ANNA
/// with one table, drawn from `seed` on until distinct ids have distinct codes (then it is exact for this codebook and
/// every input); softmax, cold enough that all of a query's weight is on the keys of most score. ContractError for
/// another name, and for ids without a fallback where one is needed.
anna::Mechanism mechanism_for(const anna::Codebook& codebook, std::string_view mechanism, std::uint64_t seed);
std::unique_ptr<anna::Attention> make_attention(const anna::Codebook& codebook, std::string_view mechanism,
                                                std::uint64_t seed);
/// .. for a compiled transformer, whose layers share their ids.
std::unique_ptr<anna::Attention> make_attention(const Compiled& compiled, std::string_view mechanism);

/// Upper bounds from the shape alone, for every input: known before anything is evaluated.
struct EvaluationPlan {
  TransformerSizes sizes;
  std::uint64_t words_a_layer = 0;    ///< most words that a layer can move
  std::uint64_t entries_a_layer = 0;  ///< most numbers in its values and head outputs together
  std::uint64_t points_a_layer = 0;   ///< most queries and keys listed
  std::uint64_t peak_bytes = 0;       ///< arrays, values, head outputs, queries and keys
};
EvaluationPlan plan(const mpc::Shape& shape, const CompileOptions& options = {});

}  // namespace roundtrip::simulate
