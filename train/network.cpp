#include "roundtrip/train/network.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "roundtrip/anna/transformer/weights.h"
#include "roundtrip/base/error.h"
#include "roundtrip/base/rational.h"

// Of the integer maps. A number of a row is x 2^12, declared without fractional bits; weights have 12. A table over
// symbols s = 0 .. S-1 is f(s) = f(0) + sum over c of D_c relu(s - c), D its second differences: integers, if f's are.
namespace roundtrip::train {
namespace {

using anna::Stage;
using anna::WeightMap;
using Index = Eigen::Index;

constexpr std::uint32_t kBits = 12;
constexpr double kUnit = 1 << kBits;
constexpr std::int64_t kRowLimit = (1 << 18) - 1;  // |x| < 64
/// Of queries and keys: the vectors are short enough for the kernels that hash many at once.
constexpr std::int64_t kPointLimit = (1 << 12) - 1;

std::int64_t rounded(double x) {
  return std::llround(x);
}
std::int32_t weight_of(double x) {
  const std::int64_t mantissa = rounded(x);
  require(std::in_range<std::int32_t>(mantissa), "a trained weight is {} units: it leaves 32 bits", x);
  return static_cast<std::int32_t>(mantissa);
}

/// A stage while its weights are put in.
struct Draft : Stage {
  std::vector<std::int32_t> dense;  // [outputs, inputs]
};
Draft stage(std::uint32_t inputs, std::uint32_t outputs) {
  Draft made;
  made.inputs = inputs;
  made.outputs = outputs;
  made.dense.assign(std::size_t{inputs} * outputs, 0);
  made.bias.assign(outputs, 0);
  return made;
}
std::int32_t& at(Draft& s, std::uint32_t output, std::uint32_t input) {
  return s.dense[std::size_t{output} * s.inputs + input];
}
WeightMap finished(const std::vector<Draft>& drafts) {
  WeightMap map;
  for (const Draft& draft : drafts) {
    map.push_back(draft);
    map.back().weight = anna::SparseMatrix::of_dense(draft.inputs, draft.dense);
  }
  return map;
}

/// Numbers of [first ..] of a stage's inputs times the matrix [inputs, outputs]: to its outputs from `to` on.
void put_matrix(Draft& s, const Matrix& matrix, std::uint32_t first, std::uint32_t to = 0, double sign = 1) {
  for (std::uint32_t i = 0; i < matrix.rows(); ++i) {
    for (std::uint32_t o = 0; o < matrix.cols(); ++o)
      at(s, to + o, first + i) = weight_of(sign * kUnit * static_cast<double>(matrix(i, o)));
  }
}
void put_bias(Draft& s, const Matrix& bias, std::uint32_t to = 0) {
  for (std::uint32_t o = 0; o < bias.cols(); ++o)
    s.bias[to + o] = rounded(kUnit * kUnit * static_cast<double>(bias(0, o)));
}

/// relu(input - c) for c = 0 .. size-2, to outputs from `to` on.
void put_hinges(Draft& s, std::uint32_t input, std::uint32_t size, std::uint32_t to) {
  for (std::uint32_t c = 0; c + 1 < size; ++c) {
    at(s, to + c, input) = 1;
    s.bias[to + c] = -std::int64_t{c};
  }
}
/// The rows of the table, in units of 2^-12 and `factor`, from hinges at inputs `first` on; added to the bias.
void put_table(Draft& s, const Matrix& table, std::uint32_t first, std::int64_t factor) {
  for (std::uint32_t o = 0; o < table.cols(); ++o) {
    const auto f = [&](std::uint32_t c) {
      return factor * rounded(kUnit * static_cast<double>(table(c, o)));
    };
    s.bias[o] += f(0);
    for (std::uint32_t c = 0; c + 1 < table.rows(); ++c) {
      const std::int64_t before = c == 0 ? f(0) : 2 * f(c) - f(c - 1);
      at(s, o, first + c) = weight_of(static_cast<double>(f(c + 1) - before));
    }
  }
}

Matrix unit_rows(const Matrix& rows) {
  Matrix units = rows;
  for (Index i = 0; i < units.rows(); ++i) units.row(i) /= std::max(units.row(i).norm(), 1e-12f);
  return units;
}

}  // namespace

Graph::Node& Network::matrix(std::uint32_t inputs, std::uint32_t outputs, std::uint64_t seed, float gain) {
  return graph_.parameter(inputs, outputs, gain / std::sqrt(static_cast<float>(inputs)), seed);
}

Graph::Node& Network::attention(LayerNodes& n, Graph::Node& of, bool by_symbol, std::uint64_t seed) {
  n.query = &matrix(kDimension, kDimension, seed);
  n.key = mixer_.kind == Mixer::Kind::kReformer ? n.query : &matrix(kDimension, kDimension, seed);
  n.value = &matrix(kDimension, task_.value_dimension, seed);
  n.queries = &graph_.multiply(of, *n.query);
  n.keys = n.key == n.query ? n.queries : &graph_.multiply(of, *n.key);
  // The features of a map of rows: constant maps, the same of queries and keys.
  const auto features = [&](Graph::Node& rows) -> Graph::Node& {
    Graph::Node& units = graph_.unit(rows);
    if (mixer_.kind == Mixer::Kind::kPerformer)
      return graph_.exponential_features(graph_.multiply(units, *n.first), units, task_.sharpness);
    if (mixer_.kind == Mixer::Kind::kPolySketch)
      return graph_.product(graph_.multiply(units, *n.first), graph_.multiply(units, *n.second));
    return units;
  };
  const bool sketched = mixer_.kind == Mixer::Kind::kPolySketch;
  if (sketched || mixer_.kind == Mixer::Kind::kPerformer)
    n.first = &graph_.constant(kDimension, mixer_.size, 1, seed);
  if (sketched) n.second = &graph_.constant(kDimension, mixer_.size, 1, seed);
  const auto of_tokens = [&](Graph::Node& rows) -> Graph::Node& {
    return by_symbol ? graph_.gather(rows, tokens_) : rows;
  };
  Graph::Node& queries = features(*n.queries);
  Graph::Node& keys = n.keys == n.queries ? queries : features(*n.keys);
  return graph_.attend(of_tokens(queries), of_tokens(keys), of_tokens(graph_.multiply(of, *n.value)),
                       task_.tokens, task_.causal, similarity_);
}

Graph::Node& Network::recurrence(Graph::Node& x, bool backwards, std::uint64_t seed) {
  const std::uint32_t n = mixer_.size;
  // `bias` is that of the map made last. Each parameter is a statement of its own: the order of arguments is not defined.
  Graph::Node* bias = nullptr;
  const auto linear = [&](Graph::Node& of, std::uint32_t outputs, float gain = 1) -> Graph::Node& {
    Graph::Node& product = graph_.multiply(of, matrix(kDimension, outputs, seed, gain));
    bias = &graph_.parameter(1, outputs, 0, seed);
    return graph_.add(product, *bias);
  };
  if (mixer_.kind == Mixer::Kind::kRnn) {
    // The state is kept at first and inputs are small beside it (Le, Jaitly, Hinton 2015): from a random matrix it
    // learns nothing that is more than a few tokens back.
    Graph::Node& input = linear(x, n, 0.3f);
    Graph::Node& kept = matrix(n, n, seed, 0);
    kept.value.diagonal().setOnes();
    return graph_.recur(input, kept, task_.tokens, backwards);
  }
  if (mixer_.kind == Mixer::Kind::kLstm) {
    Graph::Node& gates = linear(x, 4 * n);
    bias->value.middleCols(n, n).setOnes();  // states are kept at first
    return graph_.lstm(gates, matrix(n, 4 * n, seed), task_.tokens, backwards);
  }
  Graph::Node& before = graph_.shift(x, task_.tokens, backwards);
  const auto convolved = [&](std::uint32_t outputs) -> Graph::Node& {
    Graph::Node& own = linear(x, outputs);
    return graph_.add(own, graph_.multiply(before, matrix(kDimension, outputs, seed, 0.1f)));
  };
  Graph::Node& decay = convolved(n);
  bias->value.setConstant(5);  // a state is kept for about 150 tokens at first
  Graph::Node& write = convolved(n);
  Graph::Node& read = convolved(n);
  Graph::Node& value = convolved(task_.value_dimension);
  return graph_.scan(graph_.sigmoid(decay), graph_.unit(graph_.relu(write)), graph_.unit(graph_.relu(read)),
                     value, task_.tokens, backwards);
}

Graph::Node& Network::mix(LayerNodes& n, Graph::Node& of, bool by_symbol, std::uint64_t seed) {
  if (!mixer_.recurrent()) {
    Graph::Node& average = attention(n, of, by_symbol, seed);
    n.output = &matrix(task_.value_dimension, kDimension, seed);
    return graph_.multiply(average, *n.output);
  }
  Graph::Node* sum = nullptr;
  for (const bool backwards : {false, true}) {
    if (backwards && task_.causal) break;
    Graph::Node& states = recurrence(of, backwards, seed);
    Graph::Node& part =
        graph_.multiply(states, matrix(static_cast<std::uint32_t>(states.value.cols()), kDimension, seed));
    sum = sum == nullptr ? &part : &graph_.add(*sum, part);
  }
  return *sum;
}

Network::Network(const Task& task, const Mixer& mixer, std::uint32_t sequences, std::uint64_t seed)
    : task_(task), mixer_(mixer) {
  using Kind = Mixer::Kind;
  const bool sized = mixer.kind != Kind::kAnna && mixer.kind != Kind::kSoftmax;
  require_field(sized ? mixer.size >= 1 && mixer.size <= 4096 : mixer.size == 0, "size", "is {}; allowed {}",
                mixer.size, sized ? "are 1 .. 4096" : "is 0, none");
  switch (mixer.kind) {
    case Kind::kAnna:
      similarity_.kind = Similarity::Kind::kCollision;
      break;
    case Kind::kPerformer:
      similarity_.kind = Similarity::Kind::kProduct;
      break;
    case Kind::kPolySketch:
      similarity_.kind = Similarity::Kind::kSquare;
      break;
    default:
      similarity_.kind = Similarity::Kind::kExponential;
      break;
  }
  if (mixer.kind == Kind::kWindow) similarity_.window = mixer.size;
  if (mixer.kind == Kind::kReformer) {
    similarity_.chunk = mixer.size;  // as many codes as chunks
    while ((std::uint64_t{mixer.size} << similarity_.code_bits) < task.tokens) ++similarity_.code_bits;
  }
  const std::size_t tokens = std::size_t{sequences} * task.tokens;
  tokens_.assign(tokens, 0), answers_.assign(tokens, 0);
  for (std::size_t i = 0; i < tokens; ++i) places_.push_back(static_cast<std::uint32_t>(i % task.tokens));
  const auto bias = [&](std::uint32_t outputs) { return &graph_.parameter(1, outputs, 0, seed); };
  symbol_table_ = &graph_.parameter(task.symbols, kDimension, 1, seed);
  if (task.places) place_table_ = &graph_.parameter(task.tokens, kDimension, 1, seed);
  Graph::Node* x = &graph_.gather(*symbol_table_, tokens_);
  if (task.places) x = &graph_.add(*x, graph_.gather(*place_table_, places_));
  for (std::uint32_t l = 0; l < task.layers; ++l) {
    LayerNodes n{};
    // What depends on the symbol alone is computed once for each symbol.
    const bool by_symbol = l == 0 && !task.places && !mixer.recurrent();
    Graph::Node& seen = graph_.add(*x, mix(n, by_symbol ? *symbol_table_ : *x, by_symbol, seed));
    n.hidden = &matrix(kDimension, task.hidden, seed);
    n.hidden_bias = bias(task.hidden);
    n.back = &matrix(task.hidden, kDimension, seed, 0.7f);
    n.back_bias = bias(kDimension);
    Graph::Node& hidden = graph_.relu(graph_.add(graph_.multiply(seen, *n.hidden), *n.hidden_bias));
    x = &graph_.add(seen, graph_.add(graph_.multiply(hidden, *n.back), *n.back_bias));
    layers_.push_back(n);
  }
  read_out_ = &matrix(kDimension, task.classes, seed);
  read_bias_ = bias(task.classes);
  logits_ = &graph_.add(graph_.multiply(*x, *read_out_), *read_bias_);
  loss_ = &graph_.cross_entropy(*logits_, answers_);
}

void Network::use(const Sequences& batch) {
  require(batch.tokens.size() == tokens_.size(), "a batch of {} tokens; the network takes {}",
          batch.tokens.size(), tokens_.size());
  std::ranges::copy(batch.tokens, tokens_.begin());
  std::ranges::copy(batch.answers, answers_.begin());
}

double Network::error() const {
  std::size_t wrong = 0;
  for (Index i = 0; i < logits_->value.rows(); ++i) {
    Index best = 0;
    logits_->value.row(i).maxCoeff(&best);
    wrong += static_cast<std::uint32_t>(best) != answers_[static_cast<std::size_t>(i)];
  }
  return static_cast<double>(wrong) / static_cast<double>(answers_.size());
}

anna::LayerWeights Network::layer_weights(std::size_t layer) const {
  const LayerNodes& n = layers_[layer];
  const bool first = layer == 0, last = layer + 1 == layers_.size();
  const std::uint32_t symbols = task_.symbols - 1, places = task_.places ? task_.tokens - 1 : 0;  // hinges
  anna::LayerWeights weights;
  weights.row_dimension = first ? 2 : kDimension;
  weights.row_limit = first ? task_.symbols - 1 : kRowLimit;
  weights.position_digits = first && task_.places ? 1 : 0;
  weights.position_base = std::max(2u, task_.tokens);
  const std::uint32_t inputs = weights.row_dimension + weights.position_digits;

  // The row as 64 numbers.
  std::vector<Draft> row;
  if (first) {
    Draft hinges = stage(inputs, symbols + places);
    hinges.relu = true;
    put_hinges(hinges, 1, task_.symbols, 0);
    Draft table = stage(symbols + places, kDimension);
    put_table(table, symbol_table_->value, 0, 1);
    if (task_.places) {
      put_hinges(hinges, 2, task_.tokens, symbols);
      put_table(table, place_table_->value, symbols, 1);
    }
    table.clamp = kRowLimit;
    row = {hinges, table};
  }
  const auto linear = [&](const Matrix& matrix, std::uint32_t weight_bits) {
    std::vector<Draft> map = row;
    Draft product = stage(kDimension, static_cast<std::uint32_t>(matrix.cols()));
    put_matrix(product, matrix, 0);
    product.weight_fraction_bits = weight_bits;
    map.push_back(product);
    return map;
  };
  // Directions alone count: queries and keys get the unit in which those of the last batch reach half the limit.
  const float largest = std::max(n.queries->value.cwiseAbs().maxCoeff(), n.keys->value.cwiseAbs().maxCoeff());
  constexpr std::int64_t kHalf = kPointLimit / 2;
  const int exponent = std::ilogb(static_cast<float>(kHalf) / std::max(largest, 1e-6f));
  const auto point_bits = static_cast<std::uint32_t>(std::clamp(exponent, 0, static_cast<int>(2 * kBits)));
  const auto point = [&](const Matrix& matrix) {
    std::vector<Draft> map;
    if (first && !task_.places) {
      map = {row.front(), stage(symbols, kDimension)};
      put_table(map.back(), unit_rows(symbol_table_->value * matrix), 0, 1);
    } else {
      map = linear(matrix, 2 * kBits - point_bits);
    }
    map.back().clamp = kPointLimit;
    return finished(map);
  };
  anna::HeadMaps head{point(n.query->value), point(n.key->value), finished(linear(n.value->value, kBits))};
  head.value.back().clamp = kRowLimit;
  weights.heads.push_back(head);

  // The row after attention: 64 numbers.
  std::vector<Draft> output;
  if (first) {
    Draft hinges = stage(inputs + task_.value_dimension, symbols + places + 2 * task_.value_dimension);
    hinges.relu = true;
    put_hinges(hinges, 1, task_.symbols, 0);
    Draft seen = stage(hinges.outputs, kDimension);
    put_table(seen, symbol_table_->value, 0, 1 << kBits);
    if (task_.places) {
      put_hinges(hinges, 2, task_.tokens, symbols);
      put_table(seen, place_table_->value, symbols, 1 << kBits);
    }
    const std::uint32_t averages = symbols + places;
    for (std::uint32_t c = 0; c < task_.value_dimension; ++c) {
      at(hinges, averages + c, inputs + c) = 1;
      at(hinges, averages + task_.value_dimension + c, inputs + c) = -1;
    }
    put_matrix(seen, n.output->value, averages);
    put_matrix(seen, n.output->value, averages + task_.value_dimension, 0, -1);
    output = {hinges, seen};
  } else {
    Draft seen = stage(inputs + task_.value_dimension, kDimension);
    for (std::uint32_t c = 0; c < kDimension; ++c) at(seen, c, c) = 1 << kBits;
    put_matrix(seen, n.output->value, kDimension);
    output = {seen};
  }
  output.back().weight_fraction_bits = kBits;
  output.back().clamp = kRowLimit;
  // The map of one hidden layer beside the row itself, whose two signs pass the ReLU apart.
  Draft hidden = stage(kDimension, 2 * kDimension + task_.hidden);
  hidden.weight_fraction_bits = kBits;
  hidden.relu = true;
  hidden.clamp = kRowLimit;
  Draft next = stage(hidden.outputs, kDimension);
  next.weight_fraction_bits = kBits;
  next.clamp = kRowLimit;
  for (std::uint32_t c = 0; c < kDimension; ++c) {
    at(hidden, c, c) = at(next, c, c) = 1 << kBits;
    at(hidden, kDimension + c, c) = at(next, c, kDimension + c) = -(1 << kBits);
  }
  put_matrix(hidden, n.hidden->value, 0, 2 * kDimension);
  put_bias(hidden, n.hidden_bias->value, 2 * kDimension);
  put_matrix(next, n.back->value, 2 * kDimension);
  put_bias(next, n.back_bias->value);
  output.push_back(hidden);
  output.push_back(next);
  if (last) {
    Draft read = stage(kDimension, task_.classes);
    read.weight_fraction_bits = kBits;
    read.clamp = kRowLimit;
    put_matrix(read, read_out_->value, 0);
    put_bias(read, read_bias_->value);
    output.push_back(read);
  }
  weights.output = finished(output);
  return weights;
}

anna::Transformer Network::transformer() const {
  require(mixer_.kind == Mixer::Kind::kAnna || mixer_.kind == Mixer::Kind::kSoftmax,
          "a network without global attention has no weight layers");
  anna::Transformer made{.tokens = task_.tokens, .input_dimension = 2, .layers = {}};
  for (std::size_t l = 0; l < layers_.size(); ++l)
    made.layers.push_back(
        std::make_shared<anna::WeightLayer>(layer_weights(l), fmt::format("trained layer {}", l)));
  return made;
}

}  // namespace roundtrip::train
