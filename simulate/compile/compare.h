// Purpose: a compiled transformer beside the run of its protocol, word for word.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "roundtrip/anna/attention/attention.h"
#include "roundtrip/anna/transformer/transformer.h"
#include "roundtrip/mpc/protocol.h"
#include "roundtrip/simulate/compile/compile.h"
#include "roundtrip/simulate/compile/translation.h"

namespace roundtrip::simulate {

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
  bool overflow = false;             ///< .. for a bundle or a head that chance made too full for its words
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
