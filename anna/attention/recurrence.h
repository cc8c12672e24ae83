// Purpose: what recurrent layers share: a state that each token's value updates, in exact integers.
#pragma once

#include <memory>
#include <string>

#include "roundtrip/anna/attention/mechanism.h"

namespace roundtrip::anna {

/// A recurrence of one head. Glossary: d_h numbers of the output, d_x of a value that are read.
class Recurrence {
 public:
  virtual ~Recurrence() = default;
  virtual std::uint32_t inputs() const = 0;         ///< d_x
  virtual std::uint32_t outputs() const = 0;        ///< d_h: the first numbers of the state
  virtual std::uint32_t state_numbers() const = 0;  ///< integers up to state_limit() in magnitude; 0 at first
  virtual std::int64_t state_limit() const = 0;     ///< below 2^53
  /// The state after a token: x [d_x] is its value, `before` and `after` [state_numbers], not overlapping.
  virtual void step(std::span<const std::int64_t> x, std::span<const std::int64_t> before,
                    std::span<std::int64_t> after) const = 0;
};

/// Weights of a recurrence, with `fraction_bits` fractional bits more than its numbers have: one sum a row, of
/// W h + U x + b.
struct RecurrentWeights {
  static constexpr std::uint32_t kMaxDimension = 4096;

  std::uint32_t state = 1;                   ///< d_h, 1 .. 4096
  std::uint32_t inputs = 1;                  ///< d_x, 1 .. 4096
  std::uint32_t fraction_bits = 0;           ///< f, 0 .. 52
  std::vector<std::int32_t> recurrent = {};  ///< W [rows, d_h], row-major
  std::vector<std::int32_t> input = {};      ///< U [rows, d_x], row-major
  std::vector<std::int64_t> bias = {};       ///< b [rows], below 2^53 in magnitude

  /// ContractError beginning with `name` unless there are `gates` d_h rows of everything.
  void validate(const std::string& name, std::uint32_t gates) const;
  __extension__ using Sum = __int128;
  /// (W h + U x + b)[row], exact.
  Sum sum(std::size_t row, std::span<const std::int64_t> x, std::span<const std::int64_t> h) const;
  void write(JsonObject& out) const;
  /// Reads what write() wrote; d_h and d_x follow from the lists' lengths.
  static RecurrentWeights read(const JsonField& object, std::uint32_t gates);
  /// For a random model: m x m matrices of small weights.
  static RecurrentWeights draw(const MechanismDraw& draw, std::uint32_t gates, std::uint32_t fraction_bits);
  friend bool operator==(const RecurrentWeights&, const RecurrentWeights&) = default;
};

/// round(sum / 2^bits), half to even; bits <= 120.
RecurrentWeights::Sum round_half_even(RecurrentWeights::Sum sum, std::uint32_t bits);

/// The recurrence as an attention mechanism: token t's output is h_t. Queries and keys are not looked at.
std::unique_ptr<Attention> make_recurrent(std::string name, std::unique_ptr<const Recurrence> recurrence);

}  // namespace roundtrip::anna
