#include "roundtrip/anna/transformer/random_model.h"

#include <algorithm>
#include <charconv>
#include <limits>

#include "roundtrip/anna/transformer/weights.h"
#include "roundtrip/base/error.h"
#include "roundtrip/base/nearest_name.h"
#include "roundtrip/base/quote.h"
#include "roundtrip/base/random.h"

namespace roundtrip::anna {
namespace {

// Draws the maps of one layer. Fractional bits: 0 in the first rows and their hidden numbers, kRowBits later;
// kValueBits in values.
class RandomLayer {
 public:
  RandomLayer(const RandomModel& model, std::uint32_t layer, std::uint64_t tokens)
      : model_(model), first_(layer == 0), stream_(model.seed, Domain::kModel, layer) {
    weights_.row_dimension = first_ ? 2 : model.row_dimension;
    weights_.row_fraction_bits = first_ ? 0 : kRowBits;
    weights_.row_limit = first_ ? (std::int64_t{1} << model.word_bits) - 1 : kRowLimit;
    weights_.position_base = kBase;
    weights_.position_digits = std::max(1u, ceil_log(kBase, tokens));
  }

  LayerWeights make() {
    for (std::uint32_t h = 0; h < model_.heads; ++h) {
      const bool coarse = h % 2 == 0;
      HeadMaps head;
      head.query = {hidden(!coarse, 0),
                    last(model_.dimension, hidden_bits(), coarse ? 11 : 5, coarse ? 7 : 127)};
      head.key = head.query;
      if (!coarse) {  // moved by at most one unit of 127
        for (std::int64_t& bias : head.key.back().bias) bias += integer(32);
      }
      head.value = {hidden(true, 0), last(model_.value_dimension, kValueBits, 6, 255)};
      weights_.heads.push_back(std::move(head));
    }
    weights_.output = {hidden(true, model_.heads * model_.value_dimension),
                       last(model_.row_dimension, kRowBits, 5, kRowLimit)};
    return std::move(weights_);
  }

 private:
  static constexpr std::uint32_t kBase = 16, kHidden = 16, kRowBits = 4, kValueBits = 2;
  static constexpr std::int64_t kRowLimit = 1023, kHiddenLimit = 4095;
  static constexpr std::int32_t kWeight = 7;

  std::int64_t integer(std::int64_t magnitude) {
    return static_cast<std::int64_t>(stream_.below(2 * static_cast<std::uint64_t>(magnitude) + 1)) -
           magnitude;
  }
  std::int32_t weight() { return static_cast<std::int32_t>(integer(kWeight)); }
  std::uint32_t hidden_bits() const { return weights_.row_fraction_bits; }

  // ReLU units of the row, its position if wanted, and `more` numbers. In the first layer words have p bits:
  // their weights are small, the others' large enough to set a unit's threshold anywhere among the words. The
  // position enters every layer, or averages upon averages would make all rows equal.
  Stage hidden(bool position, std::uint32_t more) {
    const std::uint32_t row = weights_.row_dimension, digits = weights_.position_digits;
    const std::int32_t present = first_ ? 1 << model_.word_bits : 1;
    const std::int32_t digit = !position ? 0 : first_ ? 1 << (model_.word_bits - 6) : 1 << 5;
    const std::int32_t head = first_ ? 1 << (model_.word_bits - 6) : 1;
    Stage stage = empty(row + digits + more, kHidden);
    for (std::uint32_t i = 0; i < kHidden; ++i) {
      for (std::uint32_t j = 0; j < stage.inputs; ++j) {
        stage.weight.put(j, weight() * (j == 0 ? present : j < row ? 1 : j < row + digits ? digit : head));
      }
      stage.weight.end_row();
      stage.bias[i] = integer(std::int64_t{1} << (first_ ? model_.word_bits : 10));
    }
    stage.weight_fraction_bits = first_ ? model_.word_bits - 4 : kRowBits;
    stage.output_fraction_bits = hidden_bits();
    stage.relu = true;
    stage.clamp = kHiddenLimit;
    return stage;
  }

  Stage last(std::uint32_t outputs, std::uint32_t fraction_bits, std::uint32_t drop, std::int64_t limit) {
    Stage stage = empty(kHidden, outputs);
    for (std::uint32_t i = 0; i < outputs; ++i, stage.weight.end_row()) {
      for (std::uint32_t j = 0; j < kHidden; ++j) stage.weight.put(j, weight());
    }
    for (std::int64_t& b : stage.bias) b = integer(std::int64_t{1} << 10);
    stage.weight_fraction_bits = drop + fraction_bits - hidden_bits();
    stage.output_fraction_bits = fraction_bits;
    stage.clamp = limit;
    return stage;
  }

  static Stage empty(std::uint32_t inputs, std::uint32_t outputs) {
    Stage stage;
    stage.inputs = inputs;
    stage.outputs = outputs;
    stage.bias.resize(outputs);
    return stage;
  }

  const RandomModel& model_;
  bool first_;
  RandomStream stream_;
  LayerWeights weights_;
};

template <typename T>
void read(std::string_view key, std::string_view text, T& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  require(error == std::errc() && end == text.data() + text.size() && !text.empty(),
          "random model: {} is {}; a whole number below 2^{} is needed", key, quote(text),
          std::numeric_limits<T>::digits);
}

}  // namespace

RandomModel RandomModel::parse(std::string_view text) {
  constexpr std::string_view kPrefix = "random:";
  require(text.starts_with(kPrefix),
          "{} is not a random model; one is written random:L=2,H=4,d=16,c=4,seed=1", quote(text));
  RandomModel model;
  std::vector<std::string> unread = {"L", "H", "d", "m", "w", "p", "c", "seed"};
  const std::vector<std::string> known = unread;
  std::string_view rest = text.substr(kPrefix.size());
  while (!rest.empty()) {
    const std::string_view item = rest.substr(0, rest.find(','));
    rest.remove_prefix(std::min(item.size() + 1, rest.size()));
    const std::size_t equals = item.find('=');
    require(equals != std::string_view::npos, "random model: {} is not KEY=VALUE", quote(item));
    const std::string_view key = item.substr(0, equals), value = item.substr(equals + 1);
    require(std::find(known.begin(), known.end(), key) != known.end(),
            "random model: unknown key {}; nearest is '{}', known are {}", quote(key),
            nearest_name(key.substr(0, 80), known), fmt::join(known, " "));
    const auto at = std::find(unread.begin(), unread.end(), key);
    require(at != unread.end(), "random model: {} occurs twice", key);
    unread.erase(at);
    if (key == "L") read(key, value, model.layers);
    if (key == "H") read(key, value, model.heads);
    if (key == "d") read(key, value, model.dimension);
    if (key == "m") read(key, value, model.value_dimension);
    if (key == "w") read(key, value, model.row_dimension);
    if (key == "p") read(key, value, model.word_bits);
    if (key == "c") model.factor = Rational::parse(value, "random model: c");
    if (key == "seed") read(key, value, model.seed);
  }
  model.validate();
  return model;
}

std::string RandomModel::name() const {
  return fmt::format("random:L={},H={},d={},m={},w={},p={},c={},seed={}", layers, heads, dimension,
                     value_dimension, row_dimension, word_bits, factor.to_string(), seed);
}

void RandomModel::validate() const {
  const auto in = [](const char* key, std::uint32_t value, std::uint32_t least, std::uint32_t largest) {
    require(value >= least && value <= largest, "random model: {} is {}; allowed are {} .. {}", key, value,
            least, largest);
  };
  in("L", layers, 1, 64);
  in("H", heads, 1, 64);
  in("d", dimension, 2, 1024);
  in("m", value_dimension, 1, 1024);
  in("w", row_dimension, 1, 1024);
  in("p", word_bits, 8, 24);
  require(factor > Rational(1) && factor <= Rational(64), "random model: c is {}; allowed are 1 < c <= 64",
          factor.to_string());
}

Model make_random_model(const RandomModel& parameters, std::uint64_t tokens, const Mechanism& mechanism) {
  parameters.validate();
  require(tokens >= 1, "random model: {} tokens; at least 1 is needed", tokens);
  Model model;
  model.transformer.tokens = tokens;
  model.transformer.input_dimension = 2;
  for (std::uint32_t l = 0; l < parameters.layers; ++l) {
    model.transformer.layers.push_back(std::make_shared<WeightLayer>(
        RandomLayer(parameters, l, tokens).make(), fmt::format("layer {}", l), mechanism.state_range()));
    model.mechanisms.push_back(mechanism);
  }
  model.validate();
  return model;
}

std::vector<std::uint64_t> random_words(const RandomModel& parameters, std::uint64_t n) {
  RandomStream stream(parameters.seed, Domain::kInstance);
  std::vector<std::uint64_t> different(std::max<std::uint64_t>(1, n / 4)), words(n);
  for (std::uint64_t& word : different) word = stream.below(std::uint64_t{1} << parameters.word_bits);
  for (std::uint64_t& word : words) word = different[stream.below(different.size())];
  return words;
}

}  // namespace roundtrip::anna
