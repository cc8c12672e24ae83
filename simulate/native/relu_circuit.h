// Purpose: element-wise maps on integers written as expressions and compiled to the stages of explicit
// weights (anna/transformer/weights.h): matrix, bias, ReLU, rounding, clamp. Values that a later stage needs
// are passed through.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <tuple>
#include <vector>

#include "roundtrip/anna/transformer/weights.h"

namespace roundtrip::simulate {

/// constant + sum of weight * wire over wires of a ReluCircuit, all integers.
class Affine {
 public:
  Affine(std::int64_t constant = 0) : constant_(constant) {}  // NOLINT: a number is an expression
  static Affine of_wire(std::uint32_t wire);
  const std::map<std::uint32_t, std::int64_t>& terms() const { return terms_; }
  std::int64_t constant() const { return constant_; }
  Affine& operator+=(const Affine& other);
  Affine& operator*=(std::int64_t factor);
  friend Affine operator+(Affine a, const Affine& b) { return a += b; }
  friend Affine operator*(std::int64_t factor, Affine a) { return a *= factor; }
  friend Affine operator-(Affine a, const Affine& b) { return a += -1 * b; }
  friend auto operator<=>(const Affine&, const Affine&) = default;

 private:
  std::map<std::uint32_t, std::int64_t> terms_;  // no zero weights
  std::int64_t constant_;
};

/// A feed-forward net of integer units. Depth: one stage for each level of units, and one for the outputs.
class ReluCircuit {
 public:
  /// `bits` says of each input whether it is 0 or 1, always; inputs are never negative.
  explicit ReluCircuit(std::vector<bool> bits);

  Affine input(std::uint32_t number) const;
  Affine relu(const Affine& x) { return unit(Kind::kRelu, x, 0); }  ///< max(0, x)
  Affine step(const Affine& x) { return unit(Kind::kStep, x, 0); }  ///< min(1, max(0, x)) = [x >= 1]
  Affine floor_shift(const Affine& x, std::uint32_t bits) {
    return unit(Kind::kShift, x, bits);
  }  ///< max(0, floor(x / 2^bits))

  /// The `count` low bits of x, least first; x < 2^count, and all bits of an x < 0 are 0. Two levels, 2 count
  /// units.
  std::vector<Affine> bits_of(const Affine& x, std::uint32_t count);
  Affine both(const Affine& a, const Affine& b) { return step(a + b - 1); }  ///< and of two bits

  /// Outputs as affine expressions of units; |y| <= clamp, if given. ContractError if a weight leaves 32
  /// bits; InternalError if a number would have to pass a level of steps, whose clamp it does not survive.
  anna::WeightMap compile(std::span<const Affine> outputs,
                          std::optional<std::int64_t> clamp = std::nullopt) const;

 private:
  enum class Kind : std::uint8_t { kRelu, kStep, kShift };
  struct Unit {
    Kind kind;
    Affine argument;
    std::uint32_t shift;
    std::uint32_t level;  // from 1; units of one level are of one kind
  };
  Affine unit(Kind kind, const Affine& argument, std::uint32_t shift);
  std::uint32_t level_of(std::uint32_t wire) const {
    return wire < bits_.size() ? 0 : units_[wire - bits_.size()].level;
  }
  bool is_bit(std::uint32_t wire) const {
    return wire < bits_.size() ? bits_[wire] : units_[wire - bits_.size()].kind == Kind::kStep;
  }

  std::vector<bool> bits_;                                                  // [inputs]
  std::vector<Unit> units_;                                                 // wire = inputs + index
  std::vector<Kind> kind_of_level_;                                         // [level - 1]
  std::map<std::tuple<Kind, Affine, std::uint32_t>, std::uint32_t> known_;  // equal units are one
};

}  // namespace roundtrip::simulate
