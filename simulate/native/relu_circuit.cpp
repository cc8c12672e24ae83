#include "roundtrip/simulate/native/relu_circuit.h"

#include <algorithm>
#include <utility>

#include "roundtrip/base/error.h"
#include "roundtrip/base/fault.h"

namespace roundtrip::simulate {

Affine Affine::of_wire(std::uint32_t wire) {
  Affine result;
  result.terms_[wire] = 1;
  return result;
}

Affine& Affine::operator+=(const Affine& other) {
  constant_ += other.constant_;
  for (const auto& [wire, weight] : other.terms_) {
    if ((terms_[wire] += weight) == 0) terms_.erase(wire);
  }
  return *this;
}

Affine& Affine::operator*=(std::int64_t factor) {
  constant_ *= factor;
  if (factor == 0) terms_.clear();
  for (auto& [wire, weight] : terms_) weight *= factor;
  return *this;
}

ReluCircuit::ReluCircuit(std::vector<bool> bits) : bits_(std::move(bits)) {}

Affine ReluCircuit::input(std::uint32_t number) const {
  return Affine::of_wire(number);
}

Affine ReluCircuit::unit(Kind kind, const Affine& argument, std::uint32_t shift) {
  const auto [known, is_new] =
      known_.try_emplace({kind, argument, shift}, static_cast<std::uint32_t>(bits_.size() + units_.size()));
  if (!is_new) return Affine::of_wire(known->second);
  std::uint32_t level = 1;
  for (const auto& [wire, weight] : argument.terms()) level = std::max(level, level_of(wire) + 1);
  while (level <= kind_of_level_.size() && kind_of_level_[level - 1] != kind) ++level;
  if (level > kind_of_level_.size()) kind_of_level_.push_back(kind);
  units_.push_back({kind, argument, shift, level});
  return Affine::of_wire(known->second);
}

std::vector<Affine> ReluCircuit::bits_of(const Affine& x, std::uint32_t count) {
  std::vector<Affine> result;
  for (std::uint32_t k = 0; k < count; ++k) {
    result.push_back(step(floor_shift(x, k) - (k + 1 < count ? 2 * floor_shift(x, k + 1) : Affine())));
  }
  return result;
}

namespace {

// Fills in one row of a stage: scale * expression, whose wires are in the columns that `columns` says.
void set_row(anna::Stage& stage, std::uint32_t row, const Affine& expression, std::int64_t scale,
             std::int64_t add, const std::map<std::uint32_t, std::uint32_t>& columns) {
  for (const auto& [wire, weight] : expression.terms()) {
    const std::int64_t scaled = weight * scale;
    require(std::in_range<std::int32_t>(scaled), "a map needs the weight {}, which leaves 32 bits", scaled);
    stage.weight[std::size_t{row} * stage.inputs + columns.at(wire)] = static_cast<std::int32_t>(scaled);
  }
  stage.bias[row] = expression.constant() * scale + add;
}

}  // namespace

anna::WeightMap ReluCircuit::compile(std::span<const Affine> outputs,
                                     std::optional<std::int64_t> clamp) const {
  const auto depth = static_cast<std::uint32_t>(kind_of_level_.size());
  const auto inputs = static_cast<std::uint32_t>(bits_.size());
  // The last level that reads each wire; 0: nobody. Readers come after what they read.
  std::vector<std::uint32_t> last_reader(inputs + units_.size(), 0);
  const auto read = [&](const Affine& expression, std::uint32_t level) {
    for (const auto& [wire, weight] : expression.terms())
      last_reader[wire] = std::max(last_reader[wire], level);
  };
  for (const Affine& output : outputs) read(output, depth + 1);
  for (std::size_t u = units_.size(); u-- > 0;) {
    if (last_reader[inputs + u] != 0) read(units_[u].argument, units_[u].level);
  }

  anna::WeightMap map;
  std::map<std::uint32_t, std::uint32_t> columns;  // of the wires that the next stage may read
  for (std::uint32_t i = 0; i < inputs; ++i) columns[i] = i;
  std::uint32_t width = inputs;
  for (std::uint32_t level = 1; level <= depth; ++level) {
    const Kind kind = kind_of_level_[level - 1];
    std::vector<std::uint32_t> alive;
    std::uint32_t shift = 0,
                  own = 0;  // the largest shift of the level's units, and how many of them are alive
    for (std::uint32_t wire = 0; wire < last_reader.size(); ++wire) {
      if (level_of(wire) > level || last_reader[wire] <= level) continue;
      alive.push_back(wire);
      if (level_of(wire) < level) continue;
      shift = std::max(shift, units_[wire - inputs].shift);
      ++own;
    }
    if (own == 0) continue;  // units that no output needs
    anna::Stage stage{.inputs = width,
                      .outputs = static_cast<std::uint32_t>(alive.size()),
                      .weight = {},
                      .bias = {},
                      .weight_fraction_bits = 0,
                      .output_fraction_bits = 0,
                      .relu = !seeded("unit-without-relu"),
                      .clamp = std::nullopt};
    stage.weight.assign(std::size_t{stage.outputs} * stage.inputs, 0);
    stage.bias.assign(stage.outputs, 0);
    if (kind == Kind::kStep && !seeded("step-unclamped")) stage.clamp = 1;
    // floor(x / 2^k) = round(x / 2^k - 1/2 + 1/2^(k+1)), never a tie; as all sums of a stage drop the same
    // number of bits, D = shift + 1, that is round((2^(D-k) x - 2^(D-1) + 2^(D-k-1)) / 2^D).
    if (kind == Kind::kShift) stage.weight_fraction_bits = shift + 1;
    const std::int64_t one = std::int64_t{1} << stage.weight_fraction_bits;
    for (std::uint32_t row = 0; row < alive.size(); ++row) {
      const std::uint32_t wire = alive[row];
      if (level_of(wire) < level) {
        if (kind == Kind::kStep && !is_bit(wire)) throw InternalError("a number would pass a level of steps");
        set_row(stage, row, Affine::of_wire(wire), one, 0, columns);
        continue;
      }
      const Unit& unit = units_[wire - inputs];
      if (kind == Kind::kShift) {
        const std::int64_t scale = one >> unit.shift;
        set_row(stage, row, unit.argument, scale, seeded("shift-rounds") ? 0 : scale / 2 - one / 2, columns);
      } else {
        set_row(stage, row, unit.argument, 1, 0, columns);
      }
    }
    columns.clear();
    for (std::uint32_t row = 0; row < alive.size(); ++row) columns[alive[row]] = row;
    width = stage.outputs;
    map.push_back(std::move(stage));
  }
  anna::Stage last{.inputs = width,
                   .outputs = static_cast<std::uint32_t>(outputs.size()),
                   .weight = {},
                   .bias = {},
                   .weight_fraction_bits = 0,
                   .output_fraction_bits = 0,
                   .relu = false,
                   .clamp = clamp};
  last.weight.assign(std::size_t{last.outputs} * last.inputs, 0);
  last.bias.assign(last.outputs, 0);
  for (std::uint32_t row = 0; row < outputs.size(); ++row) set_row(last, row, outputs[row], 1, 0, columns);
  map.push_back(std::move(last));
  return map;
}

}  // namespace roundtrip::simulate
