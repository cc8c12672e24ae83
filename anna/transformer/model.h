// Purpose: a transformer together with the attention mechanism of each layer, and where its maps come from.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "roundtrip/anna/attention/mechanisms.h"
#include "roundtrip/anna/transformer/transformer.h"
#include "roundtrip/anna/transformer/weights.h"

namespace roundtrip::anna {

/// Maps that are a registered protocol's, compiled: what the protocol is called and was made with.
struct ProtocolMaps {
  std::string protocol;
  std::string construction;                       ///< "direct", "routed", ..
  std::string version;                            ///< of the protocol
  std::uint64_t seed = 1;                         ///< of the construction
  std::map<std::string, std::string> parameters;  ///< as one writes them on the command line
  friend bool operator==(const ProtocolMaps&, const ProtocolMaps&) = default;
};

struct Model {
  Transformer transformer;
  std::vector<Mechanism> mechanisms;     ///< one a layer
  std::optional<ProtocolMaps> protocol;  ///< if absent, every layer is a WeightLayer
  /// ContractError naming the layer unless there is a mechanism for each layer and, for weights, each layer's
  /// rows fit the next one's dimension, fractional bits and limit.
  void validate() const;
};

/// Every layer with its own mechanism, on input [tokens, input_dimension].
Activations evaluate(const Model& model, const Activations& input, const EvaluateOptions& options = {});

}  // namespace roundtrip::anna
