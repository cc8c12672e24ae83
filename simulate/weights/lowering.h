// Purpose: tapes and functions of a token's number as units of a circuit: the element-wise maps of a program's weights.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "roundtrip/mpc/program/tape.h"
#include "roundtrip/simulate/native/relu_circuit.h"

namespace roundtrip::simulate {

/// What is so at some positions, not so at others, and does not matter at the rest.
enum class Member : std::uint8_t { kOut, kIn, kAny };
using Members = std::vector<Member>;  // [tokens]
using Numbers =
    std::vector<std::optional<std::int64_t>>;  // [tokens] a function of the position, where it matters

/// Functions of the position as expressions of its bits, in one circuit.
class Positions {
 public:
  Positions(ReluCircuit& circuit, std::uint32_t first_input, std::uint32_t digits) : circuit_(circuit) {
    for (std::uint32_t d = 0; d < digits; ++d) bits_.push_back(circuit.input(first_input + d));
  }
  const std::vector<Affine>& bits() const { return bits_; }

  /// The function: affine in the bits if it is, else a staircase of one unit a step.
  Affine number(const Numbers& f) {
    if (const std::optional<Affine> affine = affine_in_bits(f)) return *affine;
    if (const std::optional<Affine> difference = difference_of_bits(f)) return *difference;
    Affine place, result;
    for (std::size_t b = 0; b < bits_.size(); ++b) place += (std::int64_t{1} << b) * bits_[b];
    std::optional<std::int64_t> last;
    for (std::size_t p = 0; p < f.size(); ++p) {
      if (!f[p] || f[p] == last) continue;
      const auto start = static_cast<std::int64_t>(p);
      result += last ? (*f[p] - *last) * circuit_.step(place - (start - 1)) : Affine(*f[p]);
      last = f[p];
    }
    // A unit of its own: whoever reads it then reads one wire.
    const bool negative = std::ranges::any_of(f, [](const auto& number) { return number && *number < 0; });
    return result.terms().size() > 1 && !negative ? circuit_.relu(result) : result;
  }

  /// 0 at members, 1 or more at the others.
  Affine mismatch(const Members& members) {
    // Bits in which all members agree, as long as they are needed to tell the others.
    std::uint64_t all = ~std::uint64_t{0}, some = 0;
    bool any = false;
    for (std::uint64_t p = 0; p < members.size(); ++p) {
      if (members[p] == Member::kIn) all &= p, some |= p, any = true;
    }
    if (!any) return 1;
    std::uint64_t fixed = ~(all ^ some) & ((std::uint64_t{1} << bits_.size()) - 1);
    const auto tells = [&](std::uint64_t mask) {
      for (std::uint64_t p = 0; p < members.size(); ++p) {
        if (members[p] == Member::kOut && ((p ^ all) & mask) == 0) return false;
      }
      return true;
    };
    if (tells(fixed)) {
      Affine sum;
      for (std::size_t b = 0; b < bits_.size(); ++b) {
        const std::uint64_t bit = std::uint64_t{1} << b;
        if ((fixed & bit) == 0) continue;
        if (tells(fixed & ~bit)) {
          fixed &= ~bit;
        } else {
          sum += (all & bit) != 0 ? 1 - bits_[b] : bits_[b];
        }
      }
      return sum;
    }
    Numbers indicator;
    for (const Member member : members)
      indicator.push_back(member == Member::kAny ? std::nullopt
                                                 : std::optional<std::int64_t>(member == Member::kOut));
    return number(indicator);
  }

  /// x at members, 0 elsewhere; 0 <= x <= limit.
  Affine gate(const Affine& x, std::int64_t limit, const Members& members) {
    const Affine out = mismatch(members);
    return out == Affine() ? x : circuit_.relu(x - limit * out);
  }

 private:
  std::optional<Affine> affine_in_bits(const Numbers& f) const {
    std::vector<std::int64_t> weights(bits_.size(), 0);
    for (std::size_t b = 0; b < bits_.size(); ++b) {
      for (std::size_t p = 0; p < f.size(); ++p) {
        const std::size_t other = p | std::size_t{1} << b;
        if (other == p || other >= f.size() || !f[p] || !f[other]) continue;
        weights[b] = *f[other] - *f[p];
        break;
      }
    }
    const auto linear = [&](std::size_t p) {
      std::int64_t sum = 0;
      for (std::size_t b = 0; b < bits_.size(); ++b) sum += (p >> b & 1) != 0 ? weights[b] : 0;
      return sum;
    };
    const auto known = std::ranges::find_if(f, [](const auto& number) { return number.has_value(); });
    if (known == f.end()) return Affine();
    const std::int64_t constant = **known - linear(static_cast<std::size_t>(known - f.begin()));
    for (std::size_t p = 0; p < f.size(); ++p) {
      if (f[p] && *f[p] != constant + linear(p)) return std::nullopt;
    }
    Affine result = constant;
    for (std::size_t b = 0; b < bits_.size(); ++b) result += weights[b] * bits_[b];
    return result;
  }

  /// [two bits differ], or that they do not.
  std::optional<Affine> difference_of_bits(const Numbers& f) {
    for (std::size_t high = 1; high < bits_.size(); ++high) {
      for (std::size_t low = 0; low < high; ++low) {
        for (const std::uint64_t equal : {0, 1}) {
          bool holds = true;
          for (std::uint64_t p = 0; p < f.size() && holds; ++p)
            holds = !f[p] || *f[p] == static_cast<std::int64_t>(((p >> low ^ p >> high) & 1) ^ equal);
          if (!holds) continue;
          const Affine both = circuit_.step(bits_[low] + bits_[high] - 1);
          const Affine differ = circuit_.relu(bits_[low] + bits_[high] - 2 * both);
          return equal == 1 ? 1 - differ : differ;
        }
      }
    }
    return std::nullopt;
  }

  ReluCircuit& circuit_;
  std::vector<Affine> bits_;
};

/// The tape's operations as units: its expressions in terms of the circuit's wires.
class Lowering {
 public:
  Lowering(const mpc::Tape& tape, ReluCircuit& circuit, Positions& positions, std::uint64_t machines,
           std::uint64_t tokens, std::vector<Affine> inputs)
      : tape_(tape), wires_(std::move(inputs)) {
    for (const mpc::Tape::Operation& operation : tape.operations()) {
      switch (operation.kind) {
        case mpc::Tape::Operation::Kind::kUnit: {
          const Affine x = expression(operation.arguments[0]);
          wires_.push_back(operation.shift != 0 ? circuit.floor_shift(x, operation.shift - 1)
                                                : circuit.clamp(x, operation.cap));
          break;
        }
        case mpc::Tape::Operation::Kind::kTable: {
          Numbers f(tokens);
          for (std::uint64_t m = 0; m < machines; ++m) f[m] = operation.of(static_cast<mpc::MachineId>(m));
          wires_.push_back(positions.number(f));
          break;
        }
        case mpc::Tape::Operation::Kind::kNetwork:
          network(operation, circuit);
          break;
        case mpc::Tape::Operation::Kind::kPlace:
          place(operation, circuit);
          break;
      }
    }
  }
  Affine expression(const mpc::Tape::Expression& expression) const {
    const Affine recorded = tape_.affine(expression);
    Affine result = recorded.constant();
    for (const auto& [wire, weight] : recorded.terms()) result += weight * wires_[wire];
    return result;
  }

 private:
  // Of a number and a key: number - key * width where that is in 0 .. width - 1, by two units.
  void place(const mpc::Tape::Operation& operation, ReluCircuit& circuit) {
    const std::int64_t width = operation.cap;
    for (std::int64_t key = 1; key <= operation.shift; ++key) {
      Affine sum;
      for (const mpc::Tape::Expression& argument : operation.arguments) {
        const Affine number = expression(argument);
        sum += circuit.clamp(number - key * width, width) -
               width * circuit.step(number - ((key + 1) * width - 1));
      }
      wires_.push_back(sum);
    }
  }

  // A line passes every level by a unit of its own, so that a number stays a sum of two wires: 3 units a comparator.
  void network(const mpc::Tape::Operation& operation, ReluCircuit& circuit) {
    std::vector<Affine> lines;
    for (const mpc::Tape::Expression& argument : operation.arguments)
      lines.push_back(circuit.relu(expression(argument)));
    for (const auto& [low, high] : operation.comparators) {
      const Affine a = circuit.relu(lines[low]), b = circuit.relu(lines[high]);
      const Affine more = circuit.relu(lines[low] - lines[high]);
      lines[low] = a - more;
      lines[high] = b + more;
    }
    wires_.insert(wires_.end(), lines.begin(), lines.end());
  }

  const mpc::Tape& tape_;
  std::vector<Affine> wires_;
};

}  // namespace roundtrip::simulate
