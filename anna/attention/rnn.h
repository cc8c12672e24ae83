// Purpose: recurrent neural networks (Elman) as an attention mechanism, in fixed point.
#pragma once

#include "roundtrip/anna/attention/recurrence.h"

namespace roundtrip::anna {

/// Problem:   h_t = clamp(act(round((W h_{t-1} + U x_t + b) / 2^f))), h_{-1} = 0: x_t is the first d_x numbers of token
///            t's value, and the output of token t is h_t [d_h] (Elman 1990). act is relu or hard tanh.
/// Guarantee: exact: the sum is an integer, rounded once, half to even; then 0 .. C for relu, -C .. C for hard tanh,
///            whose 1 is C. A state is d_h integers: any blocking that hands it on gives the same bits.
/// Cost:      time N' d_h (d_h + d_x), memory d_h (d_h + d_x); state d_h numbers, however long the input.
/// Errors:    ContractError for lists of other lengths, a limit that is not 1 .. 2^53 - 1; by Model::validate() for
///            values of fewer numbers than d_h.
struct Rnn {
  RecurrentWeights weights{};
  bool relu = false;
  std::int64_t limit = 1;  ///< C

  static const MechanismInfo& info();
  void validate(std::uint32_t query_dimension) const;
  std::unique_ptr<const Recurrence> recurrence() const;
  std::unique_ptr<Attention> make() const;
  void write(JsonObject& out) const;
  std::string caption() const { return "recurrent state of " + std::to_string(weights.state) + " numbers"; }
  StateRange state_range() const { return {weights.state, relu ? 0 : -limit, limit}; }
  std::uint64_t coding_operations(std::uint32_t) const {
    return std::uint64_t{weights.state} * (weights.state + weights.inputs);
  }
  bool causal() const { return true; }
  friend bool operator==(const Rnn&, const Rnn&) = default;
};

}  // namespace roundtrip::anna
