#include "roundtrip/mpc/program/tape.h"

#include <algorithm>
#include <bit>

#include "roundtrip/base/ensure.h"

namespace roundtrip::mpc {

std::vector<Affine> Tape::bits_of(const Affine& x, std::uint32_t count) {
  std::vector<Affine> result;
  for (std::uint32_t k = 0; k < count; ++k)
    result.push_back(step(floor_shift(x, k) - (k + 1 < count ? 2 * floor_shift(x, k + 1) : Affine())));
  return result;
}

Affine Tape::unit(const Affine& x, std::uint32_t shift, std::int64_t cap) {
  const auto [known, is_new] = known_.try_emplace({x, shift, cap}, wires_);
  if (is_new) {
    operations_.push_back({.kind = Operation::Kind::kUnit,
                           .wire = wires_,
                           .arguments = {expression(x)},
                           .shift = shift,
                           .cap = cap});
    ++wires_;
  }
  return Affine::of_wire(known->second);
}

Affine Tape::table(std::function<std::int64_t(MachineId)> of) {
  operations_.push_back(
      {.kind = Operation::Kind::kTable, .wire = wires_, .arguments = {}, .of = std::move(of)});
  return Affine::of_wire(wires_++);
}

std::vector<Affine> Tape::network(const std::vector<Affine>& numbers, std::vector<Comparator> comparators) {
  Operation operation{.kind = Operation::Kind::kNetwork,
                      .wire = wires_,
                      .arguments = {},
                      .comparators = std::move(comparators)};
  std::vector<Affine> results;
  for (const Affine& number : numbers) {
    operation.arguments.push_back(expression(number));
    results.push_back(Affine::of_wire(wires_++));
  }
  operations_.push_back(std::move(operation));
  return results;
}

std::vector<Affine> Tape::placed(const std::vector<Affine>& numbers, std::uint32_t keys, std::int64_t width) {
  Operation operation{
      .kind = Operation::Kind::kPlace, .wire = wires_, .arguments = {}, .shift = keys, .cap = width};
  for (const Affine& number : numbers) operation.arguments.push_back(expression(number));
  std::vector<Affine> results;
  for (std::uint32_t key = 0; key < keys; ++key) results.push_back(Affine::of_wire(wires_++));
  operations_.push_back(std::move(operation));
  return results;
}

std::vector<Affine> Tape::append(const Tape& other, std::vector<Affine> inputs) {
  ensure(inputs.size() == other.inputs_, "a tape is appended with all its inputs");
  std::vector<Affine> wires = std::move(inputs);
  const auto here = [&](const Expression& theirs) {
    Affine sum = theirs.constant;
    for (std::uint32_t t = theirs.first; t < theirs.first + theirs.count; ++t)
      sum += other.terms_[t].weight * wires[other.terms_[t].wire];
    return sum;
  };
  for (const Operation& operation : other.operations_) {
    std::vector<Affine> arguments;
    for (const Expression& argument : operation.arguments) arguments.push_back(here(argument));
    std::vector<Affine> results;
    switch (operation.kind) {
      case Operation::Kind::kUnit:
        results = {unit(arguments[0], operation.shift, operation.cap)};
        break;
      case Operation::Kind::kTable:
        results = {table(operation.of)};
        break;
      case Operation::Kind::kNetwork:
        results = network(arguments, operation.comparators);
        break;
      case Operation::Kind::kPlace:
        results = placed(arguments, operation.shift, operation.cap);
        break;
    }
    wires.insert(wires.end(), results.begin(), results.end());
  }
  return wires;
}

std::vector<Affine> Tape::sorted(const std::vector<Affine>& numbers) {
  return network(numbers, sorting_network(static_cast<std::uint32_t>(numbers.size())));
}

std::vector<Affine> Tape::sorted_bitonic(const std::vector<Affine>& numbers) {
  return network(numbers, bitonic_merger(static_cast<std::uint32_t>(numbers.size())));
}

Tape::Expression Tape::expression(const Affine& affine) {
  Expression made{affine.constant(), static_cast<std::uint32_t>(terms_.size()),
                  static_cast<std::uint32_t>(affine.terms().size())};
  for (const auto& [wire, weight] : affine.terms()) {
    ensure(wire < wires_, "an expression of another tape's wires");
    terms_.push_back({wire, weight});
  }
  return made;
}

Affine Tape::affine(const Expression& expression) const {
  Affine made = expression.constant;
  for (std::uint32_t t = expression.first; t < expression.first + expression.count; ++t)
    made += terms_[t].weight * Affine::of_wire(terms_[t].wire);
  return made;
}

void Tape::evaluate(MachineId machine, std::span<std::int64_t> wires) const {
  for (const Operation& operation : operations_) {
    std::int64_t* const out = &wires[operation.wire];
    switch (operation.kind) {
      case Operation::Kind::kUnit: {
        std::int64_t x = value(operation.arguments[0], wires);
        if (operation.shift != 0) x >>= operation.shift - 1;
        *out = std::clamp<std::int64_t>(x, 0, operation.cap);
        break;
      }
      case Operation::Kind::kTable:
        *out = operation.of(machine);
        break;
      case Operation::Kind::kNetwork:
        for (std::size_t line = 0; line < operation.arguments.size(); ++line)
          out[line] = std::max<std::int64_t>(0, value(operation.arguments[line], wires));
        for (const auto& [low, high] : operation.comparators) {
          const std::int64_t a = out[low], b = out[high];
          out[low] = std::min(a, b), out[high] = std::max(a, b);
        }
        break;
      case Operation::Kind::kPlace:
        std::fill_n(out, operation.shift, 0);
        for (const Expression& argument : operation.arguments) {
          const std::int64_t x = std::max<std::int64_t>(0, value(argument, wires)), key = x / operation.cap;
          if (key >= 1 && key <= operation.shift) out[key - 1] += x % operation.cap;
        }
        break;
    }
  }
}

// Batcher 1968, for any count: the comparators of the next power of two, without the lines that would hold larger numbers
// than all others, which stay where they are.
std::vector<Tape::Comparator> sorting_network(std::uint32_t count) {
  std::vector<Tape::Comparator> comparators;
  const std::uint32_t lines = std::bit_ceil(std::max(count, 1u));
  for (std::uint32_t p = 1; p < lines; p *= 2) {
    for (std::uint32_t k = p; k >= 1; k /= 2) {
      for (std::uint32_t j = k % p; j + k < lines; j += 2 * k) {
        for (std::uint32_t i = 0; i < k && i + j + k < lines; ++i) {
          if ((i + j) / (2 * p) == (i + j + k) / (2 * p) && i + j + k < count)
            comparators.push_back({i + j, i + j + k});
        }
      }
    }
  }
  return comparators;
}

std::vector<Tape::Comparator> bitonic_merger(std::uint32_t count) {
  ensure(std::has_single_bit(count), "a bitonic merger has a power of two of lines");
  std::vector<Tape::Comparator> comparators;
  for (std::uint32_t distance = count / 2; distance >= 1; distance /= 2) {
    for (std::uint32_t line = 0; line < count; ++line) {
      if ((line & distance) == 0) comparators.push_back({line, line + distance});
    }
  }
  return comparators;
}

}  // namespace roundtrip::mpc
