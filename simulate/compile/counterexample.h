// Purpose: when a compiled transformer and the run of its protocol differ: where they part first, on the
// smallest input that could be found.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "roundtrip/simulate/compile/compile.h"

namespace roundtrip::simulate {

/// The first word that the transformer holds otherwise than the run sent it.
struct Divergence {
  std::uint64_t layer = 0;  ///< the array after it differs (the last layer: only an output does)
  std::uint32_t round = 0;  ///< of the words in that array
  std::uint64_t source = 0, sequence = 0;  ///< the word's, or (machine div b, index) of an output
  std::optional<std::uint64_t> token;      ///< whose row holds it; absent if none does
  std::optional<std::pair<std::uint64_t, double>> run,
      transformer;                  ///< (destination, word); absent: not there
  std::vector<std::string> around;  ///< words of the same source in both, one a line
};

/// Runs the protocol, evaluates layer by layer and compares every array with the words that the run sent in
/// that round; nothing if all agree, the outputs included. Cost: that of both, and O(log) a word for the
/// comparison.
std::optional<Divergence> find_divergence(const Compiled& compiled, std::span<const mpc::Word> input,
                                          anna::Attention& attention);

struct Counterexample {
  std::vector<mpc::Word> input;  ///< words of the protocol at N = input.size()
  Divergence divergence;
  std::uint64_t evaluations = 0;
};

/// Shrinks an input on which compiled and run differ: fewer words first (prefixes, for as long as
/// `compile_at` gives the protocol for that N and they still differ), then words set to `plain`. At most
/// `most_evaluations` comparisons. Nothing if they do not differ on `input`.
std::optional<Counterexample> find_counterexample(
    const std::function<std::optional<Compiled>(std::uint64_t n)>& compile_at,
    std::span<const mpc::Word> input, mpc::Word plain, anna::Attention& attention,
    std::uint64_t most_evaluations = 200);

/// A few lines for a person.
std::string describe(const Counterexample& counterexample);

}  // namespace roundtrip::simulate
