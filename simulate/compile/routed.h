// Purpose: construction 4b, the routed simulation: every word travels digit by digit to a random intermediate
// machine and from there to its destination, so that a layer needs only as many heads as a digit has values
// and nothing collides. Glossary as in digits.h; n_d = max(q', outputs).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "roundtrip/anna/transformer/transformer.h"
#include "roundtrip/mpc/protocol.h"
#include "roundtrip/simulate/compile/digits.h"
#include "roundtrip/simulate/compile/translation.h"

namespace roundtrip::simulate {

struct RoutedOptions {
  std::optional<Rational> delta = {};        ///< if given it fixes the number of digits
  std::optional<std::uint32_t> digits = {};  ///< forces it
  Rational eta{1, 100};    ///< overflow probability over the intermediates, for every fixed input
  std::uint64_t seed = 1;  ///< of the ids and the intermediates; public, drawn before the input
  std::optional<std::vector<std::uint32_t>> capacities =
      {};                         ///< instead of those from eta (negative controls)
  std::string name = "protocol";  ///< of the protocol, in messages
};

/// The digits and capacities that the construction uses.
DigitRouting plan_routing(const mpc::Shape& shape, const RoutedOptions& options = {});

/// Problem:   the transformer of an R-round MPC protocol, within the theorem's width.
/// Guarantee: for every fixed input the outputs are exact with probability >= 1 - eta over the intermediates;
/// otherwise,
///            and whenever the protocol breaks its model, every output that a lost word could have reached
///            reports a fault. Each query matches exactly one key: exact-match attention, or one ANNA table
///            that tells the ids apart.
/// Cost:      L = 2 + 2 D R; H = max k_t; m = max(2 C_t + 1, 128); H m exactly in routed_sizes(). With D = 1,
/// O(s log N);
///            with a delta, O(s N^delta).
/// Source:    Liu, Yu, Sanford, Andoni, Hsu 2025, Theorem 4.1 (L = O(R), H m = O(N^{eps + delta})); routing
/// after Valiant
///            1982, "A scheme for fast parallel communication". H = k_t, not the paper's O(N^{delta/4}).
/// Preconditions: word_bits <= 48, q' < 2^24, n_d q s < 2^53; ContractError names the protocol and the field
/// otherwise.
anna::Transformer compile_routed(std::shared_ptr<const mpc::Protocol> protocol,
                                 const RoutedOptions& options = {});

/// The passes of compile_routed and what each did, as text.
std::vector<Pass> routed_passes(const mpc::Shape& shape, const RoutedOptions& options = {});

/// The sizes by formula, from the declared shape alone.
TransformerSizes routed_sizes(const mpc::Shape& shape, const RoutedOptions& options = {});

/// The words in the bundles of a row between layers 0 and 2DR, for reports.
std::vector<WordInRow> routed_words(const mpc::Shape& shape, const DigitRouting& routing,
                                    const anna::RowView& row);

/// The power law shown beside the exact width: 12 kappa_s N^{eps + delta} + 128 H for D > 1 (pass eps +
/// delta), 6 kappa_s b log2 N + 128 H for D = 1 (the exponent is then not used).
double routed_power_law(const mpc::Shape& shape, std::uint32_t digits, std::uint64_t heads,
                        const Rational& exponent);

}  // namespace roundtrip::simulate
