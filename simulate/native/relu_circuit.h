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
#include "roundtrip/mpc/program/affine.h"

namespace roundtrip::simulate {

using mpc::Affine;

/// A feed-forward net of integer units. Depth: one stage for each level of units, and one for the outputs. Units of one
/// level are all of relu(), step() and clamp(), or all of floor_shift(), which drops bits of a whole stage.
class ReluCircuit {
 public:
  /// Inputs are never negative.
  explicit ReluCircuit(std::uint32_t inputs) : inputs_(inputs) {}

  Affine input(std::uint32_t number) const;
  Affine relu(const Affine& x) { return unit(x, 0, kNoCap); }  ///< max(0, x)
  Affine step(const Affine& x) { return unit(x, 0, 1); }       ///< min(1, max(0, x)) = [x >= 1]
  /// min(cap, max(0, x)).
  Affine clamp(const Affine& x, std::int64_t cap) { return unit(x, 0, cap); }
  Affine floor_shift(const Affine& x, std::uint32_t bits) {
    return unit(x, bits + 1, kNoCap);
  }  ///< max(0, floor(x / 2^bits))

  /// The `count` low bits of x, least first; x < 2^count, and all bits of an x < 0 are 0. Two levels, 2 count
  /// units.
  std::vector<Affine> bits_of(const Affine& x, std::uint32_t count);
  Affine both(const Affine& a, const Affine& b) { return step(a + b - 1); }  ///< and of two bits

  /// Outputs as affine expressions of units; |y| <= clamp, if given.
  anna::WeightMap compile(std::span<const Affine> outputs, const anna::Limits& clamp = {}) const;

 private:
  static constexpr std::int64_t kNoCap = anna::kMantissaBound - 1;
  struct Unit {
    Affine argument;
    std::uint32_t shift;  // 0: none; else floor_shift by one less
    std::int64_t cap;
    std::uint32_t level;  // from 1
  };
  Affine unit(const Affine& argument, std::uint32_t shift, std::int64_t cap);
  std::uint32_t level_of(std::uint32_t wire) const {
    return wire < inputs_ ? 0 : units_[wire - inputs_].level;
  }

  std::uint32_t inputs_;
  std::vector<Unit> units_;   // wire = inputs + index
  std::vector<bool> shifts_;  // [level - 1] whether its units are floor_shift
  std::map<std::tuple<Affine, std::uint32_t, std::int64_t>, std::uint32_t> known_;  // equal units are one
};

}  // namespace roundtrip::simulate
