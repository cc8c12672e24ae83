// Purpose: the step language. What a machine computes between two rounds, recorded once as operations on numbered
// wires; their order depends on the shape alone. Two executors read a tape: evaluate(), which a run calls for every
// machine, and the compiler to explicit weights (simulate/weights), for which every operation is a few ReLU units.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "roundtrip/mpc/parameters.h"
#include "roundtrip/mpc/program/affine.h"

namespace roundtrip::mpc {

/// Integers on wires: inputs 0 .. inputs - 1, which are never negative, then the results of operations. An operation
/// takes affine expressions of wires. Every number and partial sum must stay below 2^53 in magnitude; the compiler to
/// weights proves it for declared limits.
class Tape {
 public:
  explicit Tape(std::uint32_t inputs) : inputs_(inputs), wires_(inputs) {}

  Affine input(std::uint32_t number) const { return Affine::of_wire(number); }
  Affine relu(const Affine& x) { return unit(x, 0, kNoCap); }                  ///< max(0, x)
  Affine step(const Affine& x) { return unit(x, 0, 1); }                       ///< [x >= 1]
  Affine clamp(const Affine& x, std::int64_t cap) { return unit(x, 0, cap); }  ///< min(cap, max(0, x))
  Affine floor_shift(const Affine& x, std::uint32_t bits) {
    return unit(x, bits + 1, kNoCap);
  }  ///< max(0, floor(x / 2^bits))
  /// The `count` low bits of x, least first; x < 2^count, and all bits of an x < 0 are 0.
  std::vector<Affine> bits_of(const Affine& x, std::uint32_t count);
  Affine both(const Affine& a, const Affine& b) { return step(a + b - 1); }  ///< of two bits
  Affine min(const Affine& a, const Affine& b) { return a - relu(a - b); }
  Affine max(const Affine& a, const Affine& b) { return b + relu(a - b); }
  /// x where the bit `open` is 1, else 0; 0 <= x <= limit.
  Affine gate(const Affine& x, const Affine& open, std::int64_t limit) {
    return relu(x - limit * (1 - open));
  }
  /// of(machine), a function of the machine's number alone; `name` says what it is, in errors and explanations.
  Affine table(std::function<std::int64_t(MachineId)> of);
  /// The numbers in ascending order, by Batcher's network; none may be negative. 3 units and 8 weights a comparator.
  std::vector<Affine> sorted(const std::vector<Affine>& numbers);
  /// The same for numbers that rise and then fall, or fall and then rise, their count a power of two: half the depth.
  /// Of other numbers, what the network makes of them.
  std::vector<Affine> sorted_bitonic(const std::vector<Affine>& numbers);

  /// Records that are one number each, key * width + value, by their keys 1 .. keys: result k - 1 is the sum of the values
  /// of those with key k. Numbers below width, and keys beyond, are left out. Cost: a comparison and a gate a number and key.
  std::vector<Affine> placed(const std::vector<Affine>& numbers, std::uint32_t keys, std::int64_t width);
  /// Records the operations of another tape, on these in the place of its inputs. Returns what its wires are here.
  std::vector<Affine> append(const Tape& other, std::vector<Affine> inputs);

  // What executors read.
  struct Term {
    std::uint32_t wire;
    std::int64_t weight;
  };
  struct Expression {
    std::int64_t constant = 0;
    std::uint32_t first = 0, count = 0;  // of terms()
  };
  using Comparator = std::pair<std::uint32_t, std::uint32_t>;  // the lesser goes to the first
  struct Operation {
    enum class Kind : std::uint8_t { kUnit, kTable, kNetwork, kPlace } kind;
    std::uint32_t wire;                 // the first one of its results
    std::vector<Expression> arguments;  // one; of a network and of placing several, of a table none
    std::uint32_t shift = 0;            // kUnit: 0: none; else floor_shift by one less. kPlace: keys
    std::int64_t cap = 0;               // kUnit; kPlace: width
    std::function<std::int64_t(MachineId)> of = {};
    std::vector<Comparator> comparators = {};
  };
  static constexpr std::int64_t kNoCap = (std::int64_t{1} << 53) - 1;
  std::uint32_t inputs() const { return inputs_; }
  std::uint32_t wires() const { return wires_; }
  std::span<const Operation> operations() const { return operations_; }
  Expression expression(const Affine& affine);
  Affine affine(const Expression& expression) const;

  /// The numbers on all wires of `machine`, of which the inputs are there. Cost: a few nanoseconds a term.
  void evaluate(MachineId machine, std::span<std::int64_t> wires) const;
  std::int64_t value(const Expression& expression, std::span<const std::int64_t> wires) const {
    std::int64_t sum = expression.constant;
    for (std::uint32_t t = expression.first; t < expression.first + expression.count; ++t)
      sum += terms_[t].weight * wires[terms_[t].wire];
    return sum;
  }

 private:
  Affine unit(const Affine& x, std::uint32_t shift, std::int64_t cap);
  std::vector<Affine> network(const std::vector<Affine>& numbers, std::vector<Comparator> comparators);

  std::uint32_t inputs_, wires_;
  std::vector<Term> terms_;
  std::vector<Operation> operations_;
  std::map<std::tuple<Affine, std::uint32_t, std::int64_t>, std::uint32_t> known_;  // equal units are one
};

/// Batcher's odd-even merge sort of `count` lines: comparators in an order in which they can be executed.
std::vector<Tape::Comparator> sorting_network(std::uint32_t count);
/// The bitonic merger of `count` lines, a power of two.
std::vector<Tape::Comparator> bitonic_merger(std::uint32_t count);

}  // namespace roundtrip::mpc
