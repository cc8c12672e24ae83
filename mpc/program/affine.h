// Purpose: affine expressions over numbered wires, which tapes (mpc/program/tape.h) record and circuits of weights
// (simulate/native/relu_circuit.h) are made of.
#pragma once

#include <compare>
#include <cstdint>
#include <map>

namespace roundtrip::mpc {

/// constant + sum of weight * wire, all integers.
class Affine {
 public:
  Affine(std::int64_t constant = 0) : constant_(constant) {}  // NOLINT: a number is an expression
  static Affine of_wire(std::uint32_t wire);
  const std::map<std::uint32_t, std::int64_t>& terms() const { return terms_; }  ///< no zero weights
  std::int64_t constant() const { return constant_; }
  Affine& operator+=(const Affine& other);
  Affine& operator*=(std::int64_t factor);
  friend Affine operator+(Affine a, const Affine& b) { return a += b; }
  friend Affine operator*(std::int64_t factor, Affine a) { return a *= factor; }
  friend Affine operator-(Affine a, const Affine& b) { return a += -1 * b; }
  friend auto operator<=>(const Affine&, const Affine&) = default;

 private:
  std::map<std::uint32_t, std::int64_t> terms_;
  std::int64_t constant_;
};

}  // namespace roundtrip::mpc
