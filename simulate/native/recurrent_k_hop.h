// Purpose: k-hop induction heads by recurrences, exactly, with sizes by formula: as models of weights for the mechanisms
// that a model can have, and for recurrences that may do anything in a step. Glossary: sigma symbols, L layers.
//
// A token hops to the place behind the last earlier occurrence of its symbol. So a recurrence that holds, for every
// symbol a, what was found at the place behind the last a hops once: a token reads its own symbol's number, and leaves
// its own under the symbol of the token before it.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "roundtrip/anna/attention/recurrence.h"
#include "roundtrip/anna/transformer/model.h"
#include "roundtrip/simulate/compile/translation.h"

namespace roundtrip::simulate {

struct RecurrentKHopOptions {
  static constexpr std::int64_t kMaxK = 64;

  std::uint64_t n = 1;        ///< N, 1 .. 2^24
  std::uint64_t k = 1;        ///< hops, 1 .. 64
  std::uint32_t symbols = 1;  ///< sigma, 1 .. 1024: words are 0 .. sigma - 1
  void validate() const;      ///< ContractError naming field, value and range
};

/// The mechanisms that there is a model for: rnn, lstm, state_space.
std::span<const std::string_view> recurrent_k_hop_mechanisms();

/// Problem:   make_k_hop's (simulate/native/k_hop.h), over sigma symbols.
/// Method:    a layer brings the symbol of the token before, then k layers hop once each. LSTM: the forget gate of cell
///            a is shut where the token before has symbol a. RNN: units s_a = relu(s_a + r_a - sigma [before = a]) and
///            r_a = [before = a] F, whose sum is the number held. State space: gates of 0 and 1.
/// Guarantee: exact for every input; every number is an integer of at most a few times sigma.
/// Cost:      L = k + 1, one head; sizes and state by recurrent_k_hop_sizes() and recurrent_k_hop_state().
/// Errors:    ContractError for another mechanism, and for options out of range.
/// Input by input_activations(words, N), output by read_outputs(last, N) and kKHopNone.
anna::Model recurrent_k_hop_model(std::string_view mechanism, const RecurrentKHopOptions& options);
TransformerSizes recurrent_k_hop_sizes(std::string_view mechanism, const RecurrentKHopOptions& options);
/// Words of state of a hop's layer: RNN 2 sigma, LSTM 2 sigma (sigma cells and their outputs), state space sigma.
std::uint64_t recurrent_k_hop_state(std::string_view mechanism, const RecurrentKHopOptions& options);

/// The same task by L layers of any recurrence, h_t = f(x_t, h_{t-1}) and y_t = g(x_t, h_t) for any f and g: the model of
/// the bounds (Sanford, Hsu, Telgarsky 2024). A layer hops up to ceil(k/L) times at once: its state is the symbol of the
/// token before and, for each hop l and symbol a, what hop l - 1 found at the place behind the last a.
/// Cost: state ceil(k/L) sigma + 1 words; so layers times (state - 1) is k sigma where L divides k.
class AnyRecurrence final : public anna::Recurrence {
 public:
  AnyRecurrence(std::uint32_t hops, std::uint32_t symbols) : hops_(hops), symbols_(symbols) {}
  std::uint32_t inputs() const override { return 2; }  ///< symbol + 1, what was found so far + 1; 0: none
  std::uint32_t outputs() const override { return state_numbers(); }
  std::uint32_t state_numbers() const override { return hops_ * symbols_ + 1; }
  std::int64_t state_limit() const override { return symbols_; }
  void step(std::span<const std::int64_t> x, std::span<const std::int64_t> before,
            std::span<std::int64_t> after) const override;

 private:
  std::uint32_t hops_, symbols_;
};
/// The answers, symbol + 1 or kKHopNone, by so many layers of AnyRecurrence.
std::vector<mpc::Word> k_hop_by_any_recurrence(std::span<const mpc::Word> words, std::uint64_t k,
                                               std::uint32_t symbols, std::uint32_t layers);

}  // namespace roundtrip::simulate
