// Purpose: one door to the translators from protocols to transformers (by name or by object, either
// construction), what a compiled transformer will need before it is evaluated, and the comparison with the
// run, word for word.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "roundtrip/anna/attention/attention.h"
#include "roundtrip/anna/transformer/model.h"
#include "roundtrip/anna/transformer/transformer.h"
#include "roundtrip/mpc/protocol.h"
#include "roundtrip/simulate/compile/direct.h"
#include "roundtrip/simulate/compile/routed.h"
#include "roundtrip/simulate/compile/translation.h"

namespace roundtrip::simulate {

enum class Construction : std::uint8_t { kDirect, kRouted };
enum class Mechanism : std::uint8_t { kExactMatch, kAnna };

struct CompileOptions {
  Construction construction = Construction::kDirect;
  PacketCode code = PacketCode::kAutomatic;  ///< direct
  bool variance_test = true;                 ///< direct; off only as a negative control
  std::optional<Rational> delta = {};        ///< routed: fixes the number of digits
  std::optional<std::uint32_t> digits = {};  ///< routed: forces it
  Rational eta{1, 100};                      ///< routed: overflow probability
  std::optional<std::vector<std::uint32_t>> capacities =
      {};                         ///< routed: instead of those from eta (negative controls)
  std::uint64_t seed = 1;         ///< ids, ANNA's table, intermediates
  std::string name = "protocol";  ///< in messages
};

/// What of these concerns the routed construction.
RoutedOptions routed_options(const CompileOptions& options);

/// A compiled protocol.
struct Compiled {
  std::shared_ptr<const mpc::Protocol> protocol;
  CompileOptions options;
  anna::Transformer transformer;
  TransformerSizes bound;  ///< by formula, from the shape alone
  std::vector<Pass> passes;
  std::optional<mpc::Parameters> parameters = {};  ///< of the registered protocol, if compiled by name
};
Compiled compile(std::shared_ptr<const mpc::Protocol> protocol, const CompileOptions& options = {});
/// The registered protocol `name` at `parameters`, from which eta and a delta that was given are taken.
Compiled compile(std::string_view name, const mpc::Parameters& parameters, CompileOptions options = {});

/// Layer `number` (0 .. L-1) of the same transformer, made from values alone: for a process that is given
/// nothing else.
std::shared_ptr<const anna::Layer> compile_layer(std::string_view name, const mpc::Parameters& parameters,
                                                 std::uint32_t number, const CompileOptions& options = {});

/// The mechanism for a layer's ids: exact match, or ANNA with one table, drawn from `seed` on until distinct
/// ids have distinct codes (then it is exact for this codebook and every input).
anna::Mechanism mechanism_for(const anna::Codebook& codebook, Mechanism mechanism, std::uint64_t seed);
std::unique_ptr<anna::Attention> make_attention(const anna::Codebook& codebook, Mechanism mechanism,
                                                std::uint64_t seed);
/// .. for a compiled transformer, whose layers share their ids.
std::unique_ptr<anna::Attention> make_attention(const Compiled& compiled, Mechanism mechanism);

/// Upper bounds from the shape alone, for every input: known before anything is evaluated.
struct EvaluationPlan {
  TransformerSizes sizes;
  std::uint64_t words_a_layer = 0;    ///< most words that a layer can move
  std::uint64_t entries_a_layer = 0;  ///< most numbers in its values and head outputs together
  std::uint64_t points_a_layer = 0;   ///< most queries and keys listed
  std::uint64_t peak_bytes = 0;       ///< arrays, values, head outputs, queries and keys
};
EvaluationPlan plan(const mpc::Shape& shape, const CompileOptions& options = {});

struct Difference {
  std::uint64_t output = 0;
  std::optional<mpc::Word> run, transformer;  ///< absent: a fault
};

/// Measured facts of one comparison.
struct Comparison {
  TransformerSizes sizes;
  std::uint32_t rounds = 0;          ///< R of the run
  std::vector<mpc::Word> run_words;  ///< empty if the run broke the model
  std::string run_violation;         ///< why, else empty
  OutputWords outputs;               ///< of the transformer
  bool fault = false;                ///< some output reports a fault
  bool overflow = false;             ///< .. for the sake of a bundle overflow (routed construction only)
  bool equal = false;                ///< no fault, and every word equals the run's
  std::optional<Difference> first_difference;
  double run_seconds = 0;
  double evaluate_seconds = 0;
};

/// Runs the protocol in process, evaluates the transformer on `attention` and compares. Outputs of the
/// transformer come from rows 0 .. outputs-1 of its last array and nowhere else.
Comparison compare(const Compiled& compiled, std::span<const mpc::Word> input, anna::Attention& attention,
                   const anna::EvaluateOptions& options = {});

}  // namespace roundtrip::simulate
