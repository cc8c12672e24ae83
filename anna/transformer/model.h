// Purpose: a transformer together with the attention mechanism of each layer, and where its maps come from;
// and named random models, `random:L=2,H=4,d=16,c=4,seed=1`.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "roundtrip/anna/transformer/transformer.h"
#include "roundtrip/anna/transformer/weights.h"
#include "roundtrip/base/rational.h"

namespace roundtrip::anna {

struct ExactMatch {
  friend bool operator==(const ExactMatch&, const ExactMatch&) = default;
};
/// ANNA by the tables of a hash family; r and c are what its z and ell were computed for, if known.
struct Anna {
  AnnaParameters parameters;
  std::optional<double> near_radius;  ///< r > 0, on the unit sphere
  std::optional<double> factor;       ///< c > 1
  friend bool operator==(const Anna&, const Anna&) = default;
};
/// Kernel attention with the PositiveFeatures of dimension `rank` (anna/attention/kernel_attention.h).
struct LowRank {
  std::uint32_t rank = 1;
  std::uint64_t seed = 1;
  friend bool operator==(const LowRank&, const LowRank&) = default;
};
struct Softmax {
  double scale = 1;  ///< weights are proportional to exp(scale <q, k>)
  friend bool operator==(const Softmax&, const Softmax&) = default;
};
using Mechanism = std::variant<ExactMatch, Anna, LowRank, Softmax>;

/// "ema", "anna", "low_rank", "softmax".
std::string_view mechanism_name(const Mechanism& mechanism);
/// ContractError for parameters out of range.
std::unique_ptr<Attention> make_attention(const Mechanism& mechanism);

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

/// A random transformer of weight layers for the input (present, word). Its numbers stay in range at any
/// depth: every map ends in a rounding and a clamp. Even heads do not see the position and have equal, coarse
/// queries and keys (equal words meet under exact match too); odd heads see it and have near ones.
struct RandomModel {
  std::uint32_t layers = 2;           ///< L, 1 .. 64
  std::uint32_t heads = 4;            ///< H, 1 .. 64
  std::uint32_t dimension = 16;       ///< d, of queries and keys, 2 .. 1024
  std::uint32_t value_dimension = 8;  ///< m, 1 .. 1024
  std::uint32_t row_dimension = 8;    ///< w, of the rows between layers, 1 .. 1024
  std::uint32_t word_bits = 16;       ///< p, of the input words, 8 .. 24
  Rational factor{4};                 ///< c, > 1 and <= 64, of random_model_tables()
  std::uint64_t seed = 1;

  /// Reads `random:KEY=VALUE,..` with keys L H d m w p c seed, each at most once, any absent; ContractError
  /// otherwise.
  static RandomModel parse(std::string_view text);
  /// What parse() reads back.
  std::string name() const;
  void validate() const;  ///< ContractError naming field, value and range
};
/// Depth L, width H max(d, m).
Model make_random_model(const RandomModel& parameters, std::uint64_t tokens, const Mechanism& mechanism);
/// Cross-polytope tables for it: the smallest (z, ell) that give every query ANNA's guarantee at r = sqrt 2 /
/// c, c r = sqrt 2 with probability >= 1 - eta per head; never capped.
Anna random_model_tables(const RandomModel& parameters, std::uint64_t tokens, double eta);
/// Input words for it: about N/4 different ones, each several times.
std::vector<std::uint64_t> random_words(const RandomModel& parameters, std::uint64_t n);

}  // namespace roundtrip::anna
