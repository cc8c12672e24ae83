// Purpose: a selective state-space layer as an attention mechanism: a recurrence whose gates are 0 or 1.
#pragma once

#include "roundtrip/anna/attention/mechanism.h"

namespace roundtrip::anna {

/// Problem:   a diagonal selective state-space model (Mamba; Gu and Dao 2023) of m_qk channels, each a vector of m_v
///            numbers: h_r(t) = a_r h_r(t - 1) + b_r v_t, with gates that token t's key chooses, a_r = 0 and b_r = 1
///            where k_t[r] > 0, else a_r = 1 and b_r = 0. The output is the average of the channels that some token
///            up to t has opened, weighted by c_r = max(0, q_t[r]); 0 if no such channel has weight.
/// Guarantee: exact: sums of weights and values are integers, each rounded once and divided once. Gates of 0 and 1
///            make the recurrence associative without rounding: every blocking gives the same bits.
/// Cost:      time N' m_qk (1 + m_v), memory m_qk m_v; state m_qk (1 + m_v) numbers, however long the input.
/// Errors:    ContractError if weights, channels and values leave 126 bits.
std::unique_ptr<Attention> make_state_space();
/// Quadratic oracle: for every query and channel, looks back for the last key that opened it.
std::unique_ptr<Attention> make_brute_force_state_space();

/// Its parameters in a model: none.
struct StateSpace {
  static const MechanismInfo& info();
  void validate(std::uint32_t) const {}
  std::unique_ptr<Attention> make() const { return make_state_space(); }
  void write(JsonObject&) const {}
  std::string caption() const { return "selective state space"; }
  bool causal() const { return true; }
  friend bool operator==(const StateSpace&, const StateSpace&) = default;
};

}  // namespace roundtrip::anna
