#include "roundtrip/simulate/native/sum.h"

#include <algorithm>
#include <bit>
#include <memory>

#include "roundtrip/anna/attention/chunked.h"
#include "roundtrip/anna/attention/lstm.h"
#include "roundtrip/anna/attention/mechanisms.h"
#include "roundtrip/anna/attention/performer.h"
#include "roundtrip/anna/attention/polynomial.h"
#include "roundtrip/anna/attention/rnn.h"
#include "roundtrip/anna/attention/softmax.h"
#include "roundtrip/anna/attention/state_space.h"
#include "roundtrip/anna/attention/window.h"
#include "roundtrip/base/error.h"
#include "roundtrip/simulate/native/relu_circuit.h"

namespace roundtrip::simulate {
namespace {

// The number of every query and key. Products of 16 with Gaussian numbers are seldom below 1/2, so a sketch of degree 2
// with four numbers has one that is not rounded to 0.
constexpr std::int64_t kPoint = 16;
constexpr std::uint32_t kSketch = 4;

/// The mechanism that adds, with all tokens in reach.
anna::Mechanism adding(std::string_view name, const SumOptions& options) {
  const auto most = static_cast<std::int64_t>(std::max<std::uint64_t>(1, options.n * options.largest));
  if (name == anna::Rnn::info().name) {
    anna::Rnn rnn;
    rnn.relu = true;
    rnn.limit = most;
    rnn.weights.recurrent = rnn.weights.input = {1};
    rnn.weights.bias = {0};
    return rnn;
  }
  if (name == anna::Lstm::info().name) {
    anna::Lstm lstm;
    lstm.unit_bits = static_cast<std::uint32_t>(std::bit_width(static_cast<std::uint64_t>(most)));
    lstm.limit = std::int64_t{1} << lstm.unit_bits;
    lstm.weights.recurrent.assign(anna::Lstm::kGates, 0);
    lstm.weights.input = {0, 0, 1, 0};
    lstm.weights.bias = {2 * lstm.limit, 2 * lstm.limit, 0, 2 * lstm.limit};  // 1/2 + 2/4: open
    return lstm;
  }
  if (name == anna::Softmax::info().name) return anna::Softmax{};
  if (name == anna::Performer::info().name) return anna::Performer{1, options.seed, kPoint * kPoint};
  if (name == anna::Polynomial::info().name) return anna::Polynomial{kSketch, options.seed};
  if (name == anna::LowRank::info().name) return anna::LowRank{1, options.seed};
  if (name == anna::Window::info().name) {
    anna::Window window;
    window.width = options.n;
    return window;
  }
  if (name == anna::Chunked::info().name) {
    anna::Chunked chunked;
    chunked.chunk = options.n;
    chunked.seed = options.seed;
    return chunked;
  }
  return anna::find_mechanism(std::string(name))->for_equal_keys([&options] {
    anna::AnnaParameters one;
    one.seed = options.seed;
    return one;
  });
}

}  // namespace

void SumOptions::validate() const {
  require(n >= 1 && n <= 1 << 12, "sum as weights: n is {}; allowed are 1 .. {}", n, 1 << 12);
  require(largest <= kMaxWord, "sum as weights: largest word is {}; allowed are 0 .. {}", largest, kMaxWord);
}

std::vector<std::string> sum_mechanisms() {
  std::vector<std::string> names;
  for (const anna::MechanismInfo* mechanism : anna::mechanisms()) {
    if (mechanism != &anna::StateSpace::info()) names.push_back(mechanism->name);
  }
  return names;
}

anna::Model sum_model(std::string_view mechanism, const SumOptions& options) {
  const std::vector<std::string> known = sum_mechanisms();
  require(std::ranges::find(known, mechanism) != known.end(),
          "sum as weights: mechanism is {}; allowed are {}", mechanism, fmt::join(known, ", "));
  options.validate();
  const anna::Mechanism adder = adding(mechanism, options);
  anna::LayerWeights layer;
  layer.row_dimension = 2;
  layer.row_limit = static_cast<std::int64_t>(std::max<std::uint64_t>(1, options.largest));
  const ReluCircuit before(layer.row_dimension);
  layer.heads.resize(1);
  layer.heads[0].query = layer.heads[0].key = before.compile(std::vector<Affine>{kPoint});
  const bool average = !adder.state_range();
  const std::int64_t times = average ? static_cast<std::int64_t>(options.n) : 1;
  layer.heads[0].value = before.compile(std::vector<Affine>{times * before.input(kWordColumn)});
  const ReluCircuit after(layer.row_dimension + 1);
  std::vector<Affine> row(kOutputDimension);
  row[kPresentColumn] = 1;
  row[kWordColumn] = after.input(layer.row_dimension);
  layer.output = after.compile(row);
  anna::Model model;
  model.transformer = {.tokens = options.n, .input_dimension = 2, .layers = {}};
  model.transformer.layers.push_back(
      std::make_shared<anna::WeightLayer>(std::move(layer), "layer 0", adder.state_range()));
  model.mechanisms = {adder};
  model.validate();
  return model;
}

TransformerSizes sum_sizes() {
  return {.depth = 1,
          .heads = 1,
          .query_dimension = 1,
          .value_dimension = 1,
          .embedding_dimension = kOutputDimension,
          .width = 1};
}

}  // namespace roundtrip::simulate
