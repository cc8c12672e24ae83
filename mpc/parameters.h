// Purpose: what a user chooses about a run (Parameters) and what a protocol declares in return (Shape), both
// fixed before the input is seen. Symbols as in the theory: N input words, b = ceil(N^eps) words a machine, s
// local memory, q machines, p bits a word, R rounds. Sizes are exact integers; exponents are exact rationals.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "roundtrip/base/rational.h"

namespace roundtrip::mpc {

using Word = std::uint64_t;
using MachineId = std::uint32_t;

/// Words are signed inputs x stored as x + 2^(p_in - 1), p_in = Shape::input_bits.
struct Parameters {
  std::uint64_t n = 0;       ///< N, input words; at least 1
  Rational epsilon{1, 2};    ///< in (0, 1)
  Rational gamma{0};         ///< at least 0
  Rational delta{1, 5};      ///< in (0, 1); used by protocols and translators that state a delta
  bool delta_given = false;  ///< the user chose delta (the routed construction then fixes its digits)
  Rational eta{1, 100};      ///< failure probability, in (0, 1)
  std::optional<std::uint64_t> kappa_s{};        ///< s = kappa_s * b; a protocol's default otherwise
  std::optional<std::uint64_t> memory_words{};   ///< S: b = floor(S / kappa_s) instead of ceil(N^eps)
  std::optional<std::uint64_t> machines{};       ///< Q: at least what the protocol needs
  std::uint64_t seed = 1;                        ///< public seed, drawn before the input
  std::map<std::string, std::string> options{};  ///< of the protocol, by name

  /// Throws ContractError naming field, value and allowed range.
  void validate() const;
  /// The integer option `name`, or `fallback`; ContractError unless it is an integer in [low, high].
  std::int64_t integer_option(const std::string& name, std::int64_t fallback, std::int64_t low,
                              std::int64_t high) const;
};

/// The declared shape of a protocol: a function of (N, eps, gamma, delta, kappa) alone.
struct Shape {
  std::uint64_t n = 0;             ///< N, input words
  std::uint64_t outputs = 0;       ///< output words; output t is received by machine floor(t / b)
  std::uint64_t block_words = 0;   ///< b: input words on each of the first ceil(N / b) machines, in order
  std::uint64_t memory_words = 0;  ///< s: words a machine may send, and may receive, in a round
  std::uint32_t machines = 0;      ///< q
  std::uint32_t rounds = 0;        ///< R >= 1
  /// p: width of every word sent, at most 62; at most 48 for section 4's translators.
  std::uint32_t word_bits = 48;
  std::uint32_t input_bits = 48;    ///< p_in <= p: width of an input word
  std::uint64_t scratch_words = 0;  ///< working memory that a step may take from its arena, in 8-byte words
  /// Working memory that a step may take from the heap beside it, by operator new, in 8-byte words; s if not declared.
  std::optional<std::uint64_t> heap_words{};
  /// s = kappa_s * b (or * ceil(N^(eps+delta)) for protocols that state a delta).
  std::uint64_t kappa_s = 0;
  bool kappa_raised =
      false;  ///< the declared kappa_s had no plan at this size; kappa_s is the least that has one
  std::optional<Rational> kappa_q{};  ///< q = ceil(kappa_q * N^(1+gamma) / b); empty if q is declared exactly

  /// s > N/4: one machine could nearly hold the input; outputs, depth and R must still be right, bounds prove
  /// nothing.
  [[nodiscard]] bool below_range() const { return memory_words > n / 4; }
  /// Words that a step may hold on the heap at once.
  std::uint64_t allowed_heap_words() const { return heap_words.value_or(memory_words); }
  /// Machines that hold input: ceil(N / b).
  std::uint64_t input_machines() const { return ceil_div(n, block_words); }
  /// Machine that receives output t.
  MachineId output_machine(std::uint64_t t) const { return static_cast<MachineId>(t / block_words); }
  /// Throws ContractError unless the fields are consistent (input and outputs fit q machines of b words, s >=
  /// b, ...).
  void validate() const;
};

/// b = ceil(N^eps), or floor(S / kappa_s) when memory_words is given.
std::uint64_t block_words(const Parameters& parameters, std::uint64_t kappa_s);

}  // namespace roundtrip::mpc
