// Purpose: long short-term memory as an attention mechanism, in fixed point.
#pragma once

#include "roundtrip/anna/attention/recurrence.h"

namespace roundtrip::anna {

/// Problem:   with z = W h_{t-1} + U x_t + b, four blocks of d_h numbers for the gates i, f, the candidate g and the
///            gate o: c_t = clamp(f c_{t-1} + i g), h_t = o tanh(c_t), element by element; h_{-1} = c_{-1} = 0. The
///            gates are hard sigmoids, clamp(1/2 + z/4, 0, 1); g and tanh are hard, clamp(z, -1, 1). x_t is the first
///            d_x numbers of token t's value, the output of token t is h_t (Hochreiter, Schmidhuber 1997; Gers 2000).
/// Guarantee: exact: numbers have u fractional bits. Each gate and candidate is rounded once, from its exact sum; so
///            are f c + i g and o tanh(c); half to even. Then -C .. C for cells. A state is 2 d_h integers: any
///            blocking that hands it on gives the same bits.
/// Cost:      time 4 N' d_h (d_h + d_x), memory as much without N'; state 2 d_h numbers, however long the input.
/// Errors:    ContractError for lists of other lengths, unit_bits above 52, a limit that is not 2^u .. 2^53 - 1; by
///            Model::validate() for values of fewer numbers than d_h.
struct Lstm {
  static constexpr std::uint32_t kGates = 4;

  RecurrentWeights weights{};   ///< rows of i, f, g, o in this order
  std::uint32_t unit_bits = 0;  ///< u: 1 is 2^u
  std::int64_t limit = 1;       ///< C, of a cell

  static const MechanismInfo& info();
  void validate(std::uint32_t query_dimension) const;
  std::unique_ptr<const Recurrence> recurrence() const;
  std::unique_ptr<Attention> make() const;
  void write(JsonObject& out) const;
  std::string caption() const { return "memory of " + std::to_string(weights.state) + " cells"; }
  StateRange state_range() const {
    return {weights.state, -(std::int64_t{1} << unit_bits), std::int64_t{1} << unit_bits};
  }
  std::uint64_t coding_operations(std::uint32_t) const {
    return std::uint64_t{kGates} * weights.state * (weights.state + weights.inputs);
  }
  bool causal() const { return true; }
  friend bool operator==(const Lstm&, const Lstm&) = default;
};

}  // namespace roundtrip::anna
