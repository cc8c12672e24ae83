#include "roundtrip/simulate/weights/program_weights.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>

#include "roundtrip/anna/attention/softmax.h"
#include "roundtrip/anna/files/onnx.h"
#include "roundtrip/base/error.h"
#include "roundtrip/base/fault.h"
#include "roundtrip/simulate/weights/lowering.h"
#include "roundtrip/simulate/weights/routing.h"

namespace roundtrip::simulate {
namespace {

using mpc::MachineId;
using mpc::Program;
using mpc::Tape;

/// What a row between two layers holds, all of it within limits: a column for each word that differs from the others.
struct Row {
  std::vector<std::int64_t> limits;
  std::vector<std::uint32_t> keep, words;
  struct List {
    std::uint32_t address;
    std::vector<std::uint32_t> words;
  };
  std::vector<List> lists;
  std::optional<std::uint32_t>
      loss;  ///< 1 if the token has lost something, or met two senders where there may be one
};

struct Transfer {
  std::uint32_t source, column, destination, slot;
};

class Compiler {
 public:
  explicit Compiler(const Program& program)
      : shape_(program.shape()),
        rounds_(without_routing(program)),
        tokens_(std::max<std::uint64_t>(shape_.n, shape_.machines) + 1),
        digits_(static_cast<std::uint32_t>(std::bit_width(tokens_ - 1))) {
    require(tokens_ <= std::uint64_t{1} << 16, "N is {}; weights are for at most 2^16 - 1 tokens", shape_.n);
    for (const WeightRound& step : rounds_)
      loses_ = loses_ || !step.losses.empty() || !step.round.lists.empty();
  }

  ProgramWeights compile() {
    made_.model.transformer.tokens = tokens_;
    made_.model.transformer.input_dimension = 2;
    Row row{{1, (std::int64_t{1} << shape_.input_bits) - 1}, {}, {}, {}, {}};
    std::vector<Transfer> transfers;
    for (std::uint64_t t = 0; t < shape_.n; ++t) {
      transfers.push_back({static_cast<std::uint32_t>(t), 1,
                           static_cast<std::uint32_t>(t / shape_.block_words),
                           static_cast<std::uint32_t>(t % shape_.block_words)});
    }
    for (std::size_t r = 0; r <= rounds_.size(); ++r) {
      const Program::Round* const sent = r == 0 ? nullptr : &rounds_[r - 1].round;
      const WeightRound* const step = r == rounds_.size() ? nullptr : &rounds_[r];
      const Program::Round* const next = step == nullptr ? nullptr : &step->round;
      if (sent != nullptr && sent->lists.empty()) transfers = places(*sent, row);
      const auto slots = next == nullptr ? 1 : next->tape.inputs() - next->kept;
      Move move =
          sent != nullptr && !sent->lists.empty() ? addressed(*sent, row) : fixed(transfers, slots, row);
      move.name = sent == nullptr ? "input to machines" : sent->name;
      if (step == nullptr && loses_) add_losses(move, row);
      row = add_layer(row, move, step);
    }
    const double scale = scale_of(largest_value_);
    made_.model.mechanisms.assign(made_.layers.size(), anna::Softmax{scale});
    made_.bound.depth = rounds_.size() + 1;
    made_.model.validate();
    return std::move(made_);
  }

 private:
  /// A layer's heads, and how its output map finds the slots in their numbers.
  struct Move {
    std::string name;
    Routing routing{};
    std::vector<anna::HeadMaps> heads;
    std::uint32_t value_dimension = 0;
    std::function<std::vector<Affine>(ReluCircuit&, Positions&, const std::vector<Affine>& numbers)> slots;
    /// Above 0 if two have sent where one may; empty: none can.
    std::function<Affine(ReluCircuit&, const std::vector<Affine>& numbers)> clash = {};
    std::uint32_t loss_head = 0;  ///< of the last layer, where all tokens' losses come together
  };

  // beta: unlike keys lie a gap of 1 below the key that counts, so that they weigh at most N' e^-beta V < 1/4 together.
  double scale_of(double largest_value) const {
    const double least = std::log(4.0 * static_cast<double>(tokens_) * std::max(largest_value, 1.0));
    return seeded("weights-too-warm") ? 1 : least <= 32 ? 32 : 64;
  }

  std::vector<Transfer> places(const Program::Round& round, const Row& row) const {
    std::vector<Transfer> all;
    for (std::uint32_t m = 0; m < round.active; ++m) {
      for (std::uint32_t i = 0; i < round.count(m); ++i) {
        const Program::Place place = round.place(m, i);
        all.push_back({m, row.words[i], place.destination, place.slot});
      }
    }
    return all;
  }

  struct Before {  // a map of the row alone
    ReluCircuit circuit;
    Positions positions;
    Before(std::size_t columns, std::uint32_t digits)
        : circuit(static_cast<std::uint32_t>(columns) + digits),
          positions(circuit, static_cast<std::uint32_t>(columns), digits) {}
  };
  Before before(const Row& row) const { return {row.limits.size(), digits_}; }

  /// The coordinates of a query: the signs of the bits of a number, and what it makes of a key that nothing equals.
  std::vector<Affine> query_of(const std::vector<Affine>& bits) const {
    std::vector<Affine> point;
    for (const Affine& bit : bits) point.push_back(2 * bit - 1);
    point.push_back(static_cast<std::int64_t>(digits_) - 1);
    return point;
  }
  /// .. of a key; `there` is a bit, and `bits` are 0 where it is 0. The product with a query is D if all bits are equal,
  /// at most D - 2 if not, and D - 1 where there is no key.
  static std::vector<Affine> key_of(const std::vector<Affine>& bits, const Affine& there) {
    std::vector<Affine> point;
    for (const Affine& bit : bits) point.push_back(2 * bit - there);
    point.push_back(1 - there);
    return point;
  }
  std::vector<Affine> bits_of(Positions& positions, const Numbers& f) const {
    std::vector<Affine> bits;
    for (std::uint32_t b = 0; b < digits_; ++b) {
      Numbers bit(tokens_);
      for (std::size_t p = 0; p < f.size(); ++p) {
        if (f[p]) bit[p] = *f[p] >> b & 1;
      }
      bits.push_back(positions.number(bit));
    }
    return bits;
  }
  anna::WeightMap own_query(const Row& row) const {
    Before map = before(row);
    return map.circuit.compile(query_of(map.positions.bits()));
  }
  anna::WeightMap own_key(const Row& row) const {
    Before map = before(row);
    return map.circuit.compile(key_of(map.positions.bits(), 1));
  }

  Move fixed(const std::vector<Transfer>& transfers, std::uint32_t slots, const Row& row) {
    // The partners of a token, by the order in which they come up.
    using Partners = std::map<std::uint32_t, std::vector<std::uint32_t>>;
    Partners destinations, sources;
    std::size_t fan_out = 1, fan_in = 1;
    const auto number_of = [](std::vector<std::uint32_t>& partners, std::uint32_t partner) {
      const auto at = std::ranges::find(partners, partner);
      if (at == partners.end()) partners.push_back(partner);
      return partners.size();
    };
    for (const Transfer& t : transfers) {
      fan_out = std::max(fan_out, number_of(destinations[t.source], t.destination));
      fan_in = std::max(fan_in, number_of(sources[t.destination], t.source));
    }
    return fan_out < fan_in
               ? scatter(transfers, slots, row, destinations, static_cast<std::uint32_t>(fan_out))
               : gather(transfers, slots, row, sources, static_cast<std::uint32_t>(fan_in));
  }

  Move scatter(const std::vector<Transfer>& transfers, std::uint32_t slots, const Row& row,
               const std::map<std::uint32_t, std::vector<std::uint32_t>>& destinations, std::uint32_t heads) {
    Move move;
    move.routing = Routing::kScatter;
    move.value_dimension = slots;
    for (std::uint32_t h = 0; h < heads; ++h) {
      Numbers destination(tokens_);
      Members senders(tokens_, Member::kOut);
      std::map<std::uint32_t, std::int64_t> count;  // senders of the head to a destination
      for (const auto& [source, all] : destinations) {
        if (all.size() <= h) continue;
        destination[source] = all[h];
        senders[source] = Member::kIn;
        ++count[all[h]];
      }
      anna::HeadMaps maps;
      maps.query = own_query(row);
      Before key = before(row);
      const Affine out = key.positions.mismatch(senders);
      const Affine there = out == Affine() ? Affine(1) : key.circuit.relu(1 - out);
      std::vector<Affine> bits;
      for (const Affine& bit : bits_of(key.positions, destination)) {
        const bool constant = bit.terms().empty();
        bits.push_back(out == Affine() ? bit
                       : constant      ? bit.constant() * there
                                       : key.circuit.relu(bit - out));
      }
      maps.key = key.circuit.compile(key_of(bits, there));

      // Of the words for a slot: where each is sent from, and by how many with the same destination.
      std::map<std::tuple<std::uint32_t, std::uint32_t, std::int64_t>, Members> uses;  // slot, column, count
      for (const Transfer& t : transfers) {
        if (destination[t.source] != t.destination) continue;
        const auto [at, fresh] =
            uses.try_emplace({t.slot, t.column, count[t.destination]}, Members(tokens_, Member::kOut));
        at->second[t.source] = Member::kIn;
      }
      Before value = before(row);
      std::vector<Affine> values(slots);
      for (const auto& [use, members] : uses) {
        const auto [slot, column, senders_there] = use;
        const std::int64_t factor = seeded("weights-senders-uncounted") ? 1 : senders_there;
        values[slot] +=
            factor * value.positions.gate(value.circuit.input(column), row.limits[column], members);
        largest_value_ =
            std::max(largest_value_, static_cast<double>(factor) * static_cast<double>(row.limits[column]));
      }
      maps.value = value.circuit.compile(values);
      move.heads.push_back(std::move(maps));
    }
    move.slots = [heads, slots](ReluCircuit&, Positions&, const std::vector<Affine>& numbers) {
      std::vector<Affine> result(slots);
      for (std::uint32_t h = 0; h < heads; ++h) {
        for (std::uint32_t slot = 0; slot < slots; ++slot) result[slot] += numbers[h * slots + slot];
      }
      return result;
    };
    return move;
  }

  Move gather(const std::vector<Transfer>& transfers, std::uint32_t slots, const Row& row,
              const std::map<std::uint32_t, std::vector<std::uint32_t>>& sources, std::uint32_t heads) {
    Move move;
    move.routing = Routing::kGather;
    std::vector<std::uint32_t> columns;  // that somebody reads
    for (const Transfer& t : transfers) columns.push_back(t.column);
    std::ranges::sort(columns);
    columns.erase(std::unique(columns.begin(), columns.end()), columns.end());
    if (columns.empty()) columns.push_back(0);
    move.value_dimension = static_cast<std::uint32_t>(columns.size());
    // Tokens that are no machine, and no output's, take what comes.
    std::uint64_t receivers = 0;
    for (const auto& [destination, all] : sources)
      receivers = std::max<std::uint64_t>(receivers, destination + 1);
    std::map<std::tuple<std::uint32_t, std::uint32_t, std::uint32_t>, Members>
        uses;  // slot, head, number in values
    for (std::uint32_t h = 0; h < heads; ++h) {
      Numbers source(tokens_);
      for (const auto& [destination, all] : sources) {
        if (all.size() > h) source[destination] = all[h];
      }
      for (const Transfer& t : transfers) {
        if (source[t.destination] != t.source) continue;
        Members none(tokens_, Member::kAny);
        std::fill_n(none.begin(), receivers, Member::kOut);
        const auto number =
            static_cast<std::uint32_t>(std::ranges::lower_bound(columns, t.column) - columns.begin());
        uses.try_emplace({t.slot, h, number}, none).first->second[t.destination] = Member::kIn;
      }
      anna::HeadMaps maps;
      Before query = before(row);
      maps.query = query.circuit.compile(query_of(bits_of(query.positions, source)));
      maps.key = own_key(row);
      Before value = before(row);
      std::vector<Affine> values;
      for (const std::uint32_t column : columns) {
        values.push_back(value.circuit.input(column));
        largest_value_ = std::max(largest_value_, static_cast<double>(row.limits[column]));
      }
      maps.value = value.circuit.compile(values);
      move.heads.push_back(std::move(maps));
    }
    const auto dimension = move.value_dimension;
    move.slots = [=, limits = row.limits](ReluCircuit&, Positions& positions,
                                          const std::vector<Affine>& numbers) {
      std::vector<Affine> result(slots);
      for (const auto& [use, members] : uses) {
        const auto [slot, head, number] = use;
        result[slot] += positions.gate(numbers[head * dimension + number], limits[columns[number]], members);
      }
      return result;
    };
    return move;
  }

  Move addressed(const Program::Round& round, const Row& row) {
    Move move;
    move.routing = Routing::kAddressed;
    for (const Program::List& list : round.lists)
      move.value_dimension =
          std::max(move.value_dimension, static_cast<std::uint32_t>(list.words.size()) + digits_);
    Members machines(tokens_, Member::kOut);
    std::fill_n(machines.begin(), round.active, Member::kIn);
    for (const Row::List& list : row.lists) {
      const auto address = [&](Before& map) {
        return map.positions.gate(map.circuit.input(list.address), row.limits[list.address], machines);
      };
      anna::HeadMaps maps;
      maps.query = own_query(row);
      Before key = before(row);
      const Affine to = address(key);
      maps.key = key.circuit.compile(key_of(key.circuit.bits_of(to - 1, digits_), key.circuit.step(to)));
      Before value = before(row);
      const Affine there = value.circuit.step(address(value));
      std::vector<Affine> values;
      for (const std::uint32_t column : list.words) {
        values.push_back(value.circuit.relu(value.circuit.input(column) - row.limits[column] * (1 - there)));
        largest_value_ = std::max(largest_value_, static_cast<double>(row.limits[column]));
      }
      // The sender's number, so large that the average of two numbers is seen in some bit: neither 0 nor `apart`.
      for (const Affine& bit : value.positions.bits())
        values.push_back(apart() * value.circuit.relu(bit + there - 1));
      largest_value_ = std::max(largest_value_, static_cast<double>(apart()));
      values.resize(move.value_dimension);
      maps.value = value.circuit.compile(values);
      move.heads.push_back(std::move(maps));
    }
    const auto dimension = move.value_dimension;
    if (!seeded("weights-senders-unseen")) {
      move.clash = [=, this, lists = row.lists](ReluCircuit& circuit, const std::vector<Affine>& numbers) {
        Affine clash;
        for (std::size_t l = 0; l < lists.size(); ++l) {
          for (std::size_t d = 0; d < digits_; ++d) {
            const Affine bit = numbers[l * dimension + lists[l].words.size() + d];
            clash += circuit.step(bit) - circuit.step(bit - (apart() - 1));
          }
        }
        return clash;
      };
    }
    move.slots = [dimension, lists = row.lists](ReluCircuit&, Positions&,
                                                const std::vector<Affine>& numbers) {
      std::vector<Affine> result;
      for (std::size_t l = 0; l < lists.size(); ++l) {
        for (std::size_t w = 0; w < lists[l].words.size(); ++w) result.push_back(numbers[l * dimension + w]);
      }
      return result;
    };
    return move;
  }

  std::int64_t apart() const { return 2 * static_cast<std::int64_t>(tokens_); }

  /// A head in which every token sees the average over all, times their number: how many have lost something.
  void add_losses(Move& move, const Row& row) const {
    anna::HeadMaps maps;
    Before none = before(row), value = before(row);
    maps.query = maps.key = none.circuit.compile(std::vector<Affine>(digits_ + 1));
    std::vector<Affine> values(move.value_dimension);
    Members machines(tokens_, Member::kOut);  // what others come by is nobody's
    std::fill_n(machines.begin(), shape_.machines, Member::kIn);
    if (row.loss)
      values[0] = static_cast<std::int64_t>(tokens_) *
                  value.positions.gate(value.circuit.input(*row.loss), 1, machines);
    maps.value = value.circuit.compile(values);
    move.loss_head = static_cast<std::uint32_t>(move.heads.size());
    move.heads.push_back(std::move(maps));
  }

  /// Adds the layer that moves what rows hold and steps the next round, or writes the outputs. Returns what its rows hold.
  Row add_layer(const Row& row, Move& move, const WeightRound* step) {
    const Program::Round* const next = step == nullptr ? nullptr : &step->round;
    const auto columns = static_cast<std::uint32_t>(row.limits.size());
    const auto heads = static_cast<std::uint32_t>(move.heads.size());
    ReluCircuit circuit(columns + digits_ + heads * move.value_dimension);
    Positions positions(circuit, columns, digits_);
    std::vector<Affine> numbers;
    for (std::uint32_t i = 0; i < heads * move.value_dimension; ++i)
      numbers.push_back(circuit.input(columns + digits_ + i));
    const std::vector<Affine> slots = move.slots(circuit, positions, numbers);

    Row after;
    std::vector<Affine> outputs;
    if (next == nullptr) {
      Members there(tokens_, Member::kOut);
      std::fill_n(there.begin(), shape_.outputs, Member::kIn);
      outputs.resize(kOutputDimension);
      const Affine missing = positions.mismatch(there);
      const Affine lost = loses_ ? circuit.step(numbers[move.loss_head * move.value_dimension]) : Affine();
      outputs[kPresentColumn] = missing == Affine() && !loses_ ? Affine(1) : circuit.relu(1 - missing - lost);
      outputs[kWordColumn] = slots[0];
      constexpr auto kLost = static_cast<std::int64_t>(FaultKind::kUndecodable);
      outputs[kOutputFaultColumn] = kLost * lost;
      after.limits.assign(kOutputDimension, 1);
      after.limits[kWordColumn] = *std::ranges::max_element(row.limits);
      after.limits[kOutputFaultColumn] = kLost;
    } else {
      std::vector<Affine> inputs;
      for (const std::uint32_t column : row.keep) inputs.push_back(circuit.input(column));
      inputs.insert(inputs.end(), slots.begin(), slots.end());
      const Lowering lowered(next->tape, circuit, positions, next->active, tokens_, std::move(inputs));
      std::map<std::pair<Affine, std::int64_t>, std::uint32_t> known;
      const auto column_of = [&](const Program::Out& out) {
        const Affine value = lowered.expression(out.value);
        const auto [at, fresh] =
            known.try_emplace({value, out.limit}, static_cast<std::uint32_t>(outputs.size()));
        if (fresh) outputs.push_back(value), after.limits.push_back(out.limit);
        return at->second;
      };
      for (const Program::Out& out : next->keep) after.keep.push_back(column_of(out));
      for (const Program::Out& out : next->words) after.words.push_back(column_of(out));
      for (const Program::List& list : next->lists) {
        Row::List made{column_of(list.address), {}};
        for (const Program::Out& out : list.words) made.words.push_back(column_of(out));
        after.lists.push_back(std::move(made));
      }
      Affine losses;
      for (const Tape::Expression& loss : step->losses) losses += lowered.expression(loss);
      if (row.loss) losses += circuit.input(*row.loss);
      if (move.clash) losses += move.clash(circuit, numbers);
      if (losses != Affine()) {
        after.loss = static_cast<std::uint32_t>(outputs.size());
        outputs.push_back(losses), after.limits.push_back(1);
      }
      if (outputs.empty()) outputs.emplace_back(), after.limits.push_back(0);
    }
    anna::WeightMap output = circuit.compile(outputs, after.limits);
    output.back().relu = true;

    anna::LayerWeights weights;
    weights.row_dimension = columns;
    weights.row_limit = row.limits;
    weights.position_digits = digits_;
    weights.position_base = 2;
    weights.heads = std::move(move.heads);
    weights.output = std::move(output);
    const anna::LayerShape shape{heads, digits_ + 1, move.value_dimension, 0};
    made_.bound.heads = std::max<std::uint64_t>(made_.bound.heads, heads);
    made_.bound.query_dimension = digits_ + 1;
    made_.bound.value_dimension = std::max<std::uint64_t>(made_.bound.value_dimension, move.value_dimension);
    made_.bound.embedding_dimension =
        std::max<std::uint64_t>({made_.bound.embedding_dimension, columns, outputs.size()});
    made_.bound.width = std::max(made_.bound.width, shape.width());
    made_.layers.push_back({move.name, move.routing, heads});
    add(std::move(weights));
    return after;
  }

  /// Layers of equal weights are one object.
  void add(anna::LayerWeights weights) {
    auto& layers = made_.model.transformer.layers;
    for (const auto& layer : layers) {
      if (dynamic_cast<const anna::WeightLayer&>(*layer).weights() == weights) {
        layers.push_back(std::shared_ptr(layer));
        return;
      }
    }
    layers.push_back(
        std::make_shared<anna::WeightLayer>(std::move(weights), fmt::format("layer {}", layers.size())));
  }

  const mpc::Shape& shape_;
  std::vector<WeightRound> rounds_;
  std::uint64_t tokens_;
  std::uint32_t digits_;  // D
  bool loses_ = false;    // whether there is anything that can be lost
  double largest_value_ = 0;
  ProgramWeights made_;
};

}  // namespace

std::string to_string(Routing routing) {
  switch (routing) {
    case Routing::kScatter:
      return "scatter";
    case Routing::kGather:
      return "gather";
    case Routing::kAddressed:
      break;
  }
  return "addressed";
}

ProgramWeights compile_to_weights(const mpc::Program& program) {
  return Compiler(program).compile();
}

anna::WeightMap compile_tape(const mpc::Tape& tape, std::span<const mpc::Program::Out> outs,
                             std::uint32_t machines) {
  const auto digits = static_cast<std::uint32_t>(std::bit_width(std::max(machines, 2u) - 1));
  ReluCircuit circuit(tape.inputs() + digits);
  Positions positions(circuit, tape.inputs(), digits);
  std::vector<Affine> inputs;
  for (std::uint32_t i = 0; i < tape.inputs(); ++i) inputs.push_back(circuit.input(i));
  const Lowering lowered(tape, circuit, positions, machines, machines, std::move(inputs));
  std::vector<Affine> outputs;
  std::vector<std::int64_t> limits;
  for (const mpc::Program::Out& out : outs)
    outputs.push_back(lowered.expression(out.value)), limits.push_back(out.limit);
  anna::WeightMap map = circuit.compile(outputs, limits);
  map.back().relu = true;
  return map;
}

WeightFacts weight_facts(const anna::Model& model) {
  WeightFacts facts;
  facts.layers = model.transformer.layers.size();
  std::set<const anna::Layer*> seen;
  std::int64_t largest_sum = 0;
  for (const auto& layer : model.transformer.layers) {
    const auto& weight_layer = dynamic_cast<const anna::WeightLayer&>(*layer);
    const bool first = seen.insert(layer.get()).second;
    largest_sum = std::max(largest_sum, weight_layer.largest_sum());
    const auto add = [&](const anna::WeightMap& map) {
      facts.stages = std::max<std::uint64_t>(facts.stages, map.size());
      for (const anna::Stage& stage : map) {
        facts.nonzeros_of_all += stage.weight.nonzeros();
        if (first) facts.units += stage.outputs, facts.nonzeros += stage.weight.nonzeros();
      }
    };
    for (const anna::HeadMaps& head : weight_layer.weights().heads)
      add(head.query), add(head.key), add(head.value);
    add(weight_layer.weights().output);
  }
  facts.distinct_layers = seen.size();
  facts.sum_bits = static_cast<std::uint32_t>(std::bit_width(static_cast<std::uint64_t>(largest_sum)));
  facts.float32 = anna::fits_float32(model);
  return facts;
}

}  // namespace roundtrip::simulate
