// Purpose: construction 4b, the routed simulation: every word travels digit by digit to a random intermediate
// machine and from there to its destination, so that a layer needs only as many heads as a digit has values
// and nothing collides. Its card and its passes are in routed.cpp; glossary as in digits.h.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "roundtrip/base/rational.h"
#include "roundtrip/mpc/parameters.h"
#include "roundtrip/simulate/compile/construction.h"

namespace roundtrip::simulate {

class DigitRouting;
struct RoutingPlan;

/// How intermediates are chosen. Dealt ones need no seed and no eta, and serve one digit; `automatic` takes them where
/// that is narrower.
enum class Intermediates : std::uint8_t { kAutomatic, kRandom, kDealt };

/// CompileOptions::specific of "routed". Of the common options, delta fixes the number of digits and eta
/// bounds the probability of an overflow over the intermediates, for every fixed input; seed draws these,
/// before the input.
struct RoutedOptions {
  std::optional<std::uint32_t> digits = {};  ///< forces their number
  /// Not those from eta or for dealt words (negative controls); `automatic` is random then.
  std::optional<std::vector<std::uint32_t>> capacities = {};
  Intermediates intermediates = Intermediates::kAutomatic;
};

const ConstructionInfo& routed_construction();

/// The digits and capacities that the construction uses, and how it chooses intermediates. ContractError if words are
/// to be dealt over more than one digit.
RoutingPlan plan_intermediates(const mpc::Shape& shape, const CompileOptions& options = {});
/// Its digits.
DigitRouting plan_routing(const mpc::Shape& shape, const CompileOptions& options = {});

/// The power law shown beside the exact width: 12 kappa_s N^{eps + delta} + 128 H for D > 1 (pass eps +
/// delta), 6 kappa_s b log2 N + 128 H for D = 1 (the exponent is then not used).
double routed_power_law(const mpc::Shape& shape, std::uint32_t digits, std::uint64_t heads,
                        const Rational& exponent);

}  // namespace roundtrip::simulate
