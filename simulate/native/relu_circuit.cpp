#include "roundtrip/simulate/native/relu_circuit.h"

#include <algorithm>
#include <utility>

#include "roundtrip/base/error.h"
#include "roundtrip/base/fault.h"

namespace roundtrip::simulate {

Affine ReluCircuit::input(std::uint32_t number) const {
  return Affine::of_wire(number);
}

Affine ReluCircuit::unit(const Affine& argument, std::uint32_t shift, std::int64_t cap) {
  const auto [known, is_new] =
      known_.try_emplace({argument, shift, cap}, static_cast<std::uint32_t>(inputs_ + units_.size()));
  if (!is_new) return Affine::of_wire(known->second);
  std::uint32_t level = 1;
  for (const auto& [wire, weight] : argument.terms()) level = std::max(level, level_of(wire) + 1);
  while (level <= shifts_.size() && shifts_[level - 1] != (shift != 0)) ++level;
  if (level > shifts_.size()) shifts_.push_back(shift != 0);
  units_.push_back({argument, shift, cap, level});
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

// One more row of a stage: scale * expression + add, whose wires are in the columns that `columns` says.
void add_row(anna::Stage& stage, const Affine& expression, std::int64_t scale, std::int64_t add,
             const std::map<std::uint32_t, std::uint32_t>& columns) {
  // Wires and their columns rise together.
  for (const auto& [wire, weight] : expression.terms()) stage.weight.put(columns.at(wire), weight * scale);
  stage.weight.end_row();
  stage.bias.push_back(expression.constant() * scale + add);
  ++stage.outputs;
}

}  // namespace

anna::WeightMap ReluCircuit::compile(std::span<const Affine> outputs, const anna::Limits& clamp) const {
  const auto depth = static_cast<std::uint32_t>(shifts_.size());
  // The last level that reads each wire; 0: nobody. Readers come after what they read.
  std::vector<std::uint32_t> last_reader(inputs_ + units_.size(), 0);
  const auto read = [&](const Affine& expression, std::uint32_t level) {
    for (const auto& [wire, weight] : expression.terms())
      last_reader[wire] = std::max(last_reader[wire], level);
  };
  for (const Affine& output : outputs) read(output, depth + 1);
  for (std::size_t u = units_.size(); u-- > 0;) {
    if (last_reader[inputs_ + u] != 0) read(units_[u].argument, units_[u].level);
  }

  anna::WeightMap map;
  std::map<std::uint32_t, std::uint32_t> columns;  // of the wires that the next stage may read
  for (std::uint32_t i = 0; i < inputs_; ++i) columns[i] = i;
  std::uint32_t width = inputs_;
  for (std::uint32_t level = 1; level <= depth; ++level) {
    std::vector<std::uint32_t> alive;
    std::uint32_t shift = 0,
                  own = 0;  // the largest shift of the level's units, and how many of them are alive
    for (std::uint32_t wire = 0; wire < last_reader.size(); ++wire) {
      if (level_of(wire) > level || last_reader[wire] <= level) continue;
      alive.push_back(wire);
      if (level_of(wire) < level) continue;
      shift = std::max(shift, units_[wire - inputs_].shift);
      ++own;
    }
    if (own == 0) continue;  // units that no output needs
    anna::Stage stage;
    stage.inputs = width;
    stage.relu = !seeded("unit-without-relu");
    // floor(x / 2^k) = round(x / 2^k - 1/2 + 1/2^(k+1)), never a tie; as all sums of a stage drop the same
    // number of bits, D > k, that is round((2^(D-k) x - 2^(D-1) + 2^(D-k-1)) / 2^D).
    stage.weight_fraction_bits = shift;
    const std::int64_t one = std::int64_t{1} << stage.weight_fraction_bits;
    std::vector<std::int64_t> caps;
    for (const std::uint32_t wire : alive) {
      const bool passes = level_of(wire) < level;
      caps.push_back(passes || (units_[wire - inputs_].cap == 1 && seeded("step-unclamped"))
                         ? kNoCap
                         : units_[wire - inputs_].cap);
      if (passes) {
        add_row(stage, Affine::of_wire(wire), one, 0, columns);
        continue;
      }
      const Unit& unit = units_[wire - inputs_];
      if (shifts_[level - 1]) {
        const std::int64_t scale = one >> (unit.shift - 1);
        add_row(stage, unit.argument, scale, seeded("shift-rounds") ? 0 : scale / 2 - one / 2, columns);
      } else {
        add_row(stage, unit.argument, 1, 0, columns);
      }
    }
    if (std::ranges::any_of(caps, [](std::int64_t cap) { return cap != kNoCap; })) stage.clamp = caps;
    columns.clear();
    for (std::uint32_t row = 0; row < alive.size(); ++row) columns[alive[row]] = row;
    width = stage.outputs;
    map.push_back(std::move(stage));
  }
  anna::Stage last;
  last.inputs = width;
  last.clamp = clamp;
  for (const Affine& output : outputs) add_row(last, output, 1, 0, columns);
  map.push_back(std::move(last));
  return map;
}

}  // namespace roundtrip::simulate
