#include "roundtrip/simulate/native/recurrent_k_hop.h"

#include <algorithm>
#include <bit>
#include <memory>

#include "roundtrip/anna/attention/lstm.h"
#include "roundtrip/anna/attention/rnn.h"
#include "roundtrip/anna/attention/state_space.h"
#include "roundtrip/base/error.h"
#include "roundtrip/base/fault.h"
#include "roundtrip/base/rational.h"
#include "roundtrip/simulate/native/relu_circuit.h"

namespace roundtrip::simulate {
namespace {

constexpr std::string_view kMechanisms[] = {"rnn", "lstm", "state_space"};

std::vector<std::int32_t> square(std::uint32_t size,
                                 std::initializer_list<std::pair<std::uint32_t, std::uint32_t>> ones) {
  std::vector<std::int32_t> matrix(std::size_t{size} * size, 0);
  for (const auto& [row, column] : ones) matrix[std::size_t{row} * size + column] = 1;
  return matrix;
}

// Row after the first layer: symbol + 1, symbol of the token before + 1, what was found so far + 1; 0 for none.
enum Column : std::uint32_t { kSymbol, kBefore, kFound, kColumns };

/// The layers of one mechanism. Maps see [row, the token's parity (first layer), head].
class KHopLayers {
 public:
  KHopLayers(std::string_view mechanism, const RecurrentKHopOptions& options)
      : symbols_(options.symbols), k_(options.k), rnn_(mechanism == "rnn"), lstm_(mechanism == "lstm") {}

  anna::Model model(std::uint64_t tokens) const {
    anna::Model model;
    model.transformer = {.tokens = tokens, .input_dimension = 2, .layers = {}};
    add(model, first_layer(), first_mechanism());
    for (std::uint64_t hop = 1; hop <= k_; ++hop) add(model, hop_layer(hop == k_), hop_mechanism());
    model.validate();
    return model;
  }
  anna::Mechanism hop_mechanism() const {
    if (lstm_) return gated();
    if (!rnn_) return anna::StateSpace{};
    anna::Rnn rnn;
    rnn.relu = true;
    rnn.limit = symbols_;
    anna::RecurrentWeights& w = rnn.weights;
    w.state = w.inputs = 2 * symbols_;
    w.recurrent.assign(std::size_t{w.state} * w.state, 0);
    w.input.assign(std::size_t{w.state} * w.inputs, 0);
    w.bias.assign(w.state, 0);
    for (std::uint32_t i = 0; i < w.state; ++i) w.input[std::size_t{i} * w.inputs + i] = 1;
    for (std::uint32_t a = 0; a < symbols_; ++a)
      w.recurrent[std::size_t{a} * w.state + a] = w.recurrent[std::size_t{a} * w.state + symbols_ + a] = 1;
    return rnn;
  }

 private:
  static void add(anna::Model& model, anna::LayerWeights weights, const anna::Mechanism& mechanism) {
    const std::string where = fmt::format("layer {}", model.mechanisms.size());
    model.transformer.layers.push_back(
        std::make_shared<anna::WeightLayer>(std::move(weights), where, mechanism.state_range()));
    model.mechanisms.push_back(mechanism);
  }
  std::uint32_t unit_bits() const {
    return static_cast<std::uint32_t>(std::bit_width(symbols_ - 1));
  }  // 2^u >= sigma
  static anna::WeightMap nothing(std::uint32_t inputs) {
    return ReluCircuit(inputs).compile(std::vector<Affine>{0});
  }
  /// [x = c], for c >= 1 a number of units that all c share.
  static Affine equal(ReluCircuit& circuit, const Affine& x, std::int64_t c) {
    return circuit.relu(x - (c - 1)) - 2 * circuit.relu(x - c) + circuit.relu(x - (c + 1));
  }

  // The first layer: a state of two numbers, the token's symbol and the one before.
  anna::Mechanism first_mechanism() const {
    if (!rnn_ && !lstm_) return anna::StateSpace{};
    const std::vector<std::int32_t> shift = square(2, {{1, 0}});
    if (rnn_) {
      anna::Rnn rnn;
      rnn.relu = true;
      rnn.limit = symbols_;
      rnn.weights.state = 2;
      rnn.weights.recurrent = shift;
      rnn.weights.input = {1, 0};
      rnn.weights.bias = {0, 0};
      return rnn;
    }
    const std::int64_t one = std::int64_t{1} << unit_bits();
    anna::Lstm lstm;
    lstm.unit_bits = unit_bits();
    lstm.limit = one;
    lstm.weights.state = 2;
    lstm.weights.recurrent.assign(16, 0);
    std::ranges::copy(shift, lstm.weights.recurrent.begin() + 8);
    lstm.weights.input = {0, 0, 0, 0, 1, 0, 0, 0};
    lstm.weights.bias = {2 * one, 2 * one, -2 * one, -2 * one, 0, 0, 2 * one, 2 * one};
    return lstm;
  }
  anna::LayerWeights first_layer() const {
    const bool channels = !rnn_ && !lstm_;
    anna::LayerWeights layer;
    layer.row_dimension = 2;
    layer.row_limit = symbols_;
    layer.position_digits = channels ? 1 : 0;
    const std::uint32_t inputs = 2 + layer.position_digits, heads = channels ? 1 : 2;
    ReluCircuit value(inputs);
    std::vector<Affine> values{value.input(0) + value.input(1)};
    values.resize(heads);
    layer.heads.resize(1);
    layer.heads[0].value = value.compile(values);
    layer.heads[0].query = layer.heads[0].key = nothing(inputs);
    if (channels) {  // tokens of even and of odd number write to a channel each, and read the other
      ReluCircuit circuit(inputs);
      const Affine odd = circuit.input(2);
      layer.heads[0].key = circuit.compile(std::vector<Affine>{1 - odd, odd});
      layer.heads[0].query = circuit.compile(std::vector<Affine>{odd, 1 - odd});
    }
    ReluCircuit output(inputs + heads);
    const Affine symbol = output.input(0) + output.input(1);
    layer.output =
        output.compile(std::vector<Affine>{symbol, output.input(inputs + heads - 1), symbol}, symbols_);
    return layer;
  }

  /// Cell a is written where value a is 1, and keeps what it has where that is 0.
  anna::Mechanism gated() const {
    const std::int64_t one = std::int64_t{1} << unit_bits();
    anna::Lstm lstm;
    lstm.unit_bits = unit_bits();
    lstm.limit = one;
    anna::RecurrentWeights& w = lstm.weights;
    w.state = symbols_;
    w.inputs = symbols_ + 1;
    const std::size_t rows = std::size_t{anna::Lstm::kGates} * symbols_;
    w.recurrent.assign(rows * symbols_, 0);
    w.input.assign(rows * w.inputs, 0);
    w.bias.assign(rows, 0);
    for (std::uint32_t a = 0; a < symbols_; ++a) {
      const auto at = [&](std::uint32_t gate) { return std::size_t{gate} * symbols_ + a; };
      w.input[at(0) * w.inputs + a] = static_cast<std::int32_t>(4 * one), w.bias[at(0)] = -2 * one;
      w.input[at(1) * w.inputs + a] = static_cast<std::int32_t>(-4 * one), w.bias[at(1)] = 2 * one;
      w.input[at(2) * w.inputs + symbols_] = 1;
      w.bias[at(3)] = 2 * one;
    }
    return lstm;
  }
  anna::LayerWeights hop_layer(bool last) const {
    const std::int64_t sigma = symbols_;
    anna::LayerWeights layer;
    layer.row_dimension = kColumns;
    layer.row_limit = sigma;
    const auto circuit_of = [](std::uint32_t more) { return ReluCircuit(kColumns + more); };
    const auto one_hot = [&](Column column) {
      ReluCircuit circuit = circuit_of(0);
      std::vector<Affine> all;
      for (std::int64_t a = 1; a <= sigma; ++a) all.push_back(equal(circuit, circuit.input(column), a));
      return circuit.compile(all);
    };
    layer.heads.resize(1);
    anna::HeadMaps& head = layer.heads[0];
    head.query = head.key = nothing(kColumns);
    ReluCircuit value = circuit_of(0);
    const Affine found = value.input(kFound);
    std::vector<Affine> values;
    if (rnn_ || lstm_) {
      std::vector<Affine> written;
      for (std::int64_t a = 1; a <= sigma; ++a) {
        const Affine opens = equal(value, value.input(kBefore), a);
        values.push_back(rnn_ ? -sigma * opens : opens);
        written.push_back(value.relu(found - sigma * (1 - opens)));
      }
      if (lstm_) written = {found};
      values.insert(values.end(), written.begin(), written.end());
    } else {
      values = {found};
      head.key = one_hot(kBefore);
      head.query = one_hot(kSymbol);
    }
    head.value = value.compile(values);

    ReluCircuit output = circuit_of(static_cast<std::uint32_t>(values.size()));
    const auto of_head = [&](std::uint32_t column) { return output.input(kColumns + column); };
    Affine next;
    if (rnn_ || lstm_) {
      for (std::uint32_t a = 0; a < symbols_; ++a) {
        const Affine held = rnn_ ? of_head(a) + of_head(symbols_ + a) : of_head(a);
        next += output.relu(held - sigma * (1 - equal(output, output.input(kSymbol), a + 1)));
      }
    } else {
      next = of_head(0);
    }
    if (seeded("hop-not-taken")) next = output.input(kFound);
    if (!last) {
      layer.output =
          output.compile(std::vector<Affine>{output.input(kSymbol), output.input(kBefore), next}, symbols_);
      return layer;
    }
    std::vector<Affine> row(kOutputDimension);
    row[kPresentColumn] = output.relu(output.input(kSymbol)) - output.relu(output.input(kSymbol) - 1);
    row[kWordColumn] = next;
    layer.output = output.compile(row, symbols_);
    return layer;
  }

  std::uint32_t symbols_;
  std::uint64_t k_;
  bool rnn_, lstm_;  // else state_space
};

void require_known(std::string_view mechanism) {
  require(std::ranges::find(kMechanisms, mechanism) != std::end(kMechanisms),
          "k_hop by recurrences: mechanism is {}; allowed are {}", mechanism, fmt::join(kMechanisms, ", "));
}

}  // namespace

void RecurrentKHopOptions::validate() const {
  require(n >= 1 && n <= 1 << 24, "k_hop by recurrences: n is {}; allowed are 1 .. {}", n, 1 << 24);
  require(k >= 1 && k <= kMaxK, "k_hop by recurrences: k is {}; allowed are 1 .. {}", k, kMaxK);
  require(symbols >= 1 && symbols <= 1024, "k_hop by recurrences: {} symbols; allowed are 1 .. 1024",
          symbols);
}

std::span<const std::string_view> recurrent_k_hop_mechanisms() {
  return kMechanisms;
}

anna::Model recurrent_k_hop_model(std::string_view mechanism, const RecurrentKHopOptions& options) {
  require_known(mechanism);
  options.validate();
  return KHopLayers(mechanism, options).model(options.n);
}

TransformerSizes recurrent_k_hop_sizes(std::string_view mechanism, const RecurrentKHopOptions& options) {
  require_known(mechanism);
  options.validate();
  const std::uint64_t sigma = options.symbols;
  const bool channels = mechanism == "state_space";
  const std::uint64_t values =
      channels ? 1 : std::max<std::uint64_t>(2, mechanism == "rnn" ? 2 * sigma : sigma + 1);
  const std::uint64_t queries = channels ? std::max<std::uint64_t>(2, sigma) : 1;
  return {.depth = options.k + 1,
          .heads = 1,
          .query_dimension = queries,
          .value_dimension = values,
          .embedding_dimension = kOutputDimension,
          .width = std::max(values, queries)};
}

std::uint64_t recurrent_k_hop_state(std::string_view mechanism, const RecurrentKHopOptions& options) {
  require_known(mechanism);
  return std::uint64_t{mechanism == "state_space" ? 1u : 2u} * options.symbols;
}

void AnyRecurrence::step(std::span<const std::int64_t> x, std::span<const std::int64_t> before,
                         std::span<std::int64_t> after) const {
  std::ranges::copy(before, after.begin());
  after[0] = x[0];
  const std::int64_t previous = before[0];
  std::int64_t found = x[1];
  for (std::uint32_t hop = 0; hop < hops_ && x[0] > 0; ++hop) {
    const std::span<std::int64_t> held = after.subspan(1 + std::size_t{hop} * symbols_, symbols_);
    if (previous > 0) held[static_cast<std::size_t>(previous) - 1] = found;
    found = held[static_cast<std::size_t>(x[0]) - 1];
  }
}

std::vector<mpc::Word> k_hop_by_any_recurrence(std::span<const mpc::Word> words, std::uint64_t k,
                                               std::uint32_t symbols, std::uint32_t layers) {
  RecurrentKHopOptions{.n = words.size(), .k = k, .symbols = symbols}.validate();
  require(layers >= 1 && layers <= k, "k_hop by recurrences: {} layers; allowed are 1 .. {}", layers, k);
  std::vector<std::int64_t> found;
  for (const mpc::Word word : words) {
    require(word < symbols, "k_hop by recurrences: word {}; allowed are 0 .. {}", word, symbols - 1);
    found.push_back(static_cast<std::int64_t>(word) + 1);
  }
  const std::uint64_t most = ceil_div(k, layers);
  for (std::uint64_t done = 0; done < k;) {
    const auto hops = static_cast<std::uint32_t>(std::min(most, k - done));
    const AnyRecurrence recurrence(hops, symbols);
    std::vector<std::int64_t> state(recurrence.state_numbers(), 0), after(state);
    for (std::size_t i = 0; i < words.size(); ++i) {
      const std::int64_t x[] = {static_cast<std::int64_t>(words[i]) + 1, found[i]};
      recurrence.step(x, state, after);
      state.swap(after);
      found[i] = state[1 + std::size_t{hops - 1} * symbols + words[i]];  // y = g(x, h)
    }
    done += hops;
  }
  return {found.begin(), found.end()};
}

}  // namespace roundtrip::simulate
