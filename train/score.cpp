#include "roundtrip/train/score.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "roundtrip/anna/lsh/kernels/kernels.h"
#include "roundtrip/anna/transformer/weights.h"
#include "roundtrip/base/error.h"
#include "roundtrip/train/kernels.h"
#include "roundtrip/train/train.h"

namespace roundtrip::train {
namespace {

/// [rows, columns] integers below 2^53 in magnitude.
struct Numbers {
  std::size_t rows = 0, columns = 0;
  std::vector<double> data;
  Numbers(std::size_t r, std::size_t c) : rows(r), columns(c), data(r * c, 0.0) {}
  double* row(std::size_t i) { return data.data() + i * columns; }
  const double* row(std::size_t i) const { return data.data() + i * columns; }
};

struct FastStage {
  std::vector<double> weight;  // [inputs, outputs]
  const anna::Stage* stage;
  int drop;
};
using FastMap = std::vector<FastStage>;

FastMap fast_map(const anna::WeightMap& map, std::uint32_t fraction_bits) {
  FastMap made;
  for (const anna::Stage& stage : map) {
    FastStage fast{std::vector<double>(std::size_t{stage.inputs} * stage.outputs), &stage,
                   static_cast<int>(fraction_bits + stage.weight_fraction_bits) -
                       static_cast<int>(stage.output_fraction_bits)};
    for (std::size_t o = 0; o < stage.outputs; ++o) {
      for (std::size_t k = 0; k < stage.weight.columns(o).size(); ++k)
        fast.weight[stage.weight.columns(o)[k] * stage.outputs + o] =
            static_cast<double>(stage.weight.values(o)[k]);
    }
    fraction_bits = stage.output_fraction_bits;
    made.push_back(std::move(fast));
  }
  return made;
}

Numbers through(const FastMap& map, const Numbers& input) {
  Numbers x = input;
  for (const FastStage& fast : map) {
    const anna::Stage& stage = *fast.stage;
    Numbers y(x.rows, stage.outputs);
    for (std::size_t i = 0; i < y.rows; ++i) {
      for (std::size_t o = 0; o < y.columns; ++o) y.row(i)[o] = static_cast<double>(stage.bias[o]);
    }
    // Every partial sum is below 2^53 (WeightLayer saw to it): exact.
    kernels().multiply_exact(y.rows, y.columns, x.columns, {x.data.data(), x.columns, 1}, fast.weight.data(),
                             y.columns, y.data.data(), y.columns);
    const double scale = std::ldexp(1.0, -fast.drop);
    for (std::size_t at = 0; at < y.data.size(); ++at) {
      double& number = y.data[at];
      if (fast.drop > 0) number = std::nearbyint(number * scale);  // half to even
      if (stage.relu) number = std::max(number, 0.0);
      if (stage.clamp) {
        const auto limit = static_cast<double>(stage.clamp[at % y.columns]);
        number = std::clamp(number, -limit, limit);
      }
    }
    x = std::move(y);
  }
  return x;
}

}  // namespace

struct Scorer::Layer {
  struct Head {
    FastMap query, key, value;
  };
  const anna::WeightLayer* layer = nullptr;
  const anna::AnnaParameters* anna = nullptr;  // null: another mechanism
  std::vector<Head> heads;
  FastMap output;
  std::vector<std::unique_ptr<const anna::TableHash>> tables;

  std::optional<anna::PointBlocks> blocks(const Numbers& points) const {
    std::vector<std::int16_t> narrow(points.data.size());
    for (std::size_t i = 0; i < narrow.size(); ++i) {
      if (std::fabs(points.data[i]) > 32767) return std::nullopt;
      narrow[i] = static_cast<std::int16_t>(points.data[i]);
    }
    anna::PointBlocks made =
        anna::make_blocks(narrow, points.rows, static_cast<std::uint32_t>(points.columns));
    if (!tables.front()->has_block_codes(made)) return std::nullopt;
    return made;
  }
  /// c_ij of every sequence: [rows, N]. False where the kernels do not serve.
  bool count(const Numbers& queries, const Numbers& keys, std::size_t n, Numbers& counts) const {
    const auto q = blocks(queries), k = blocks(keys);
    if (!q || !k) return false;
    const std::size_t count_blocks = (queries.rows + 15) / 16;
    std::vector<std::uint64_t> query_codes(16 * count_blocks), key_codes(16 * count_blocks);
    for (const auto& table : tables) {
      if (!table->has_block_codes(*q) || !table->has_block_codes(*k)) return false;
      table->block_codes(anna::best_kernels(), *q, 0, count_blocks, query_codes.data());
      table->block_codes(anna::best_kernels(), *k, 0, count_blocks, key_codes.data());
      for (std::size_t i = 0; i < queries.rows; ++i) {
        const std::size_t first = i - i % n;
        const std::size_t last = anna->causal ? i % n + 1 : n;
        double* const row = counts.row(i);
        for (std::size_t j = 0; j < last; ++j) row[j] += query_codes[i] == key_codes[first + j] ? 1 : 0;
      }
    }
    return true;
  }
};

Scorer::~Scorer() = default;

Scorer::Scorer(anna::Model model) : model_(std::move(model)) {
  model_.validate();
  for (std::size_t l = 0; l < model_.transformer.layers.size(); ++l) {
    Layer made;
    made.layer = dynamic_cast<const anna::WeightLayer*>(model_.transformer.layers[l].get());
    require(made.layer != nullptr, "a model whose maps are a protocol's has no answers to score");
    const anna::LayerWeights& weights = made.layer->weights();
    for (const anna::HeadMaps& head : weights.heads) {
      made.heads.push_back({fast_map(head.query, weights.row_fraction_bits),
                            fast_map(head.key, weights.row_fraction_bits),
                            fast_map(head.value, weights.row_fraction_bits)});
    }
    made.output = fast_map(weights.output, weights.row_fraction_bits);
    if (const auto* anna = model_.mechanisms[l].get_if<anna::Anna>()) {
      made.anna = &anna->parameters;
      for (std::uint32_t t = 0; t < made.anna->tables; ++t)
        made.tables.push_back(
            anna::make_table(made.anna->functions_of(made.layer->shape().query_dimension), t));
    }
    layers_.push_back(std::move(made));
  }
}

bool Scorer::fast_rows(std::span<const std::uint32_t> tokens, std::vector<double>& rows) const {
  const std::size_t n = model_.transformer.tokens;
  Numbers x(tokens.size(), 2);
  for (std::size_t i = 0; i < tokens.size(); ++i) x.row(i)[0] = 1, x.row(i)[1] = tokens[i];
  for (const Layer& layer : layers_) {
    if (layer.anna == nullptr) return false;
    const anna::LayerWeights& weights = layer.layer->weights();
    const std::size_t d = weights.row_dimension, digits = weights.position_digits;
    const std::size_t m_v = layer.layer->shape().value_dimension;
    Numbers input(x.rows, d + digits);
    for (std::size_t i = 0; i < x.rows; ++i) {
      std::copy_n(x.row(i), d, input.row(i));
      std::size_t rest = i % n;
      for (std::size_t digit = 0; digit < digits; ++digit, rest /= weights.position_base)
        input.row(i)[d + digit] = static_cast<double>(rest % weights.position_base);
    }
    Numbers output_input(x.rows, d + digits + layer.heads.size() * m_v);
    for (std::size_t i = 0; i < x.rows; ++i) std::copy_n(input.row(i), d + digits, output_input.row(i));
    for (std::size_t h = 0; h < layer.heads.size(); ++h) {
      Numbers counts(x.rows, n);
      if (!layer.count(through(layer.heads[h].query, input), through(layer.heads[h].key, input), n, counts))
        return false;
      const Numbers values = through(layer.heads[h].value, input);
      Numbers sums(x.rows, m_v);
      for (const double value : values.data) {  // sums stay exact
        if (std::fabs(value) * static_cast<double>(n * layer.tables.size()) >= 0x1p53) return false;
      }
      for (std::size_t first = 0; first < x.rows; first += n)
        kernels().multiply_exact(n, m_v, n, {counts.row(first), n, 1}, values.row(first), m_v,
                                 sums.row(first), m_v);
      const int bits = static_cast<int>(weights.row_fraction_bits) -
                       static_cast<int>(weights.heads[h].value.back().output_fraction_bits);
      for (std::size_t i = 0; i < x.rows; ++i) {
        double total = 0;
        for (std::size_t j = 0; j < n; ++j) total += counts.row(i)[j];
        double* const to = output_input.row(i) + d + digits + h * m_v;
        for (std::size_t c = 0; c < m_v; ++c)
          to[c] = total == 0 ? 0 : std::nearbyint(std::ldexp(sums.row(i)[c] / total, bits));
      }
    }
    x = through(layer.output, output_input);
  }
  rows = std::move(x.data);
  return true;
}

std::vector<double> Scorer::rows(std::span<const std::uint32_t> tokens) const {
  const std::size_t n = model_.transformer.tokens;
  require(tokens.size() % n == 0, "{} tokens are no sequences of {}", tokens.size(), n);
  constexpr std::size_t kSequences = 16;  // at once
  std::vector<double> all, some;
  for (std::size_t first = 0; first < tokens.size(); first += kSequences * n) {
    const auto part = tokens.subspan(first, std::min(kSequences * n, tokens.size() - first));
    if (fast_rows(part, some)) {
      all.insert(all.end(), some.begin(), some.end());
      continue;
    }
    for (std::size_t s = 0; s < part.size(); s += n) {
      anna::Activations input = anna::Activations::with_dimension(2);
      for (std::size_t i = 0; i < n; ++i)
        input.append_row(std::vector<anna::Entry>{{0, 1.0}, {1, static_cast<double>(part[s + i])}});
      const anna::Activations last = anna::evaluate(model_, input);
      for (std::size_t i = 0; i < n; ++i) {
        for (std::uint32_t c = 0; c < last.dimension(); ++c) all.push_back(last.row(i)[c]);
      }
    }
  }
  return all;
}

Rows Scorer::answers(std::span<const std::uint32_t> tokens) const {
  const std::vector<double> numbers = rows(tokens);
  const auto columns =
      static_cast<std::ptrdiff_t>(model_.transformer.layers.back()->shape().output_dimension);
  Rows found;
  for (auto row = numbers.begin(); row != numbers.end(); row += columns)
    found.push_back(static_cast<std::uint32_t>(std::max_element(row, row + columns) - row));
  return found;
}

double Scorer::error(const Sequences& sequences) const {
  const Rows found = answers(sequences.tokens);
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < found.size(); ++i) wrong += found[i] != sequences.answers[i];
  return found.empty() ? 0 : static_cast<double>(wrong) / static_cast<double>(found.size());
}

void require_model_of(const Task& task, const anna::Model& model) {
  const anna::Transformer& transformer = model.transformer;
  require(!model.protocol && !transformer.layers.empty(),
          "the model's maps are a protocol's; {} needs weights", task.name);
  const std::uint32_t columns = transformer.layers.back()->shape().output_dimension;
  require(transformer.tokens == task.tokens && transformer.input_dimension == 2 && columns == task.classes,
          "the model takes {} tokens of {} numbers and writes {}; {} has {} tokens of 2 and {} classes",
          transformer.tokens, transformer.input_dimension, columns, task.name, task.tokens, task.classes);
  const auto* const first = dynamic_cast<const anna::WeightLayer*>(transformer.layers.front().get());
  require(
      first != nullptr && first->weights().row_limit.largest() >= static_cast<std::int64_t>(task.symbols) - 1,
      "the model does not take symbols up to {}, which {} has", task.symbols - 1, task.name);
  require(transformer.depth() == task.layers, "the model has {} layers; the experiment of {} is for {}",
          transformer.depth(), task.name, task.layers);
}

std::vector<Cell> run_grid(const Task& task, const anna::Model& model, const ExperimentOptions& options) {
  require_model_of(task, model);
  const std::uint32_t sequences = options.sequences == 0 ? task.sequences : options.sequences;
  require_field(options.draws >= 1 && options.draws <= 1000, "draws", "is {}; allowed are 1 .. 1000",
                options.draws);
  require_field(sequences <= 100'000, "sequences", "is {}; allowed are 1 .. 100000", sequences);
  constexpr std::uint64_t kScored = std::uint64_t{1} << 41;  // streams beyond those of training
  std::vector<Cell> cells;
  for (const std::uint32_t functions : task.functions_grid) {
    for (const std::vector<std::uint32_t>& tables : task.tables_grid) cells.push_back({tables, functions});
  }
  std::uint32_t done = 0;
  for (Cell& cell : cells) {
    cell.least = 1;
    for (std::uint32_t draw = 0; draw < options.draws; ++draw) {
      const Sequences fresh = make_sequences(task, sequences, options.seed, kScored + draw);
      const Scorer scorer(with_tables(task, model.transformer, cell.tables, cell.functions,
                                      options.seed + 1000 * (draw + std::uint64_t{1})));
      const double error = scorer.error(fresh);
      cell.error += error / options.draws;
      cell.least = std::min(cell.least, error);
      cell.largest = std::max(cell.largest, error);
      cell.answers += fresh.answers.size();
    }
    if (options.progress) options.progress(++done, static_cast<std::uint32_t>(cells.size()));
  }
  return cells;
}

}  // namespace roundtrip::train
