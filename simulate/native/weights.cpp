#include "roundtrip/simulate/native/weights.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "roundtrip/base/error.h"
#include "roundtrip/base/rational.h"
#include "roundtrip/simulate/native/parity_codebook.h"
#include "roundtrip/simulate/native/relu_circuit.h"

namespace roundtrip::simulate {
namespace {

using Bits = std::vector<Affine>;  // least first

// What a key of a search layer says at its digit. An average of N ell values, one of them this, is still at
// least 1.
constexpr std::int64_t kPresence = std::int64_t{1} << 26;

// The codebook's vector of the symbol with these bits: (-1)^s for the sum s of the bits that each mask
// selects. |s - h| has the parity of s - h; with h = ceil(R / 2) it halves the range 0 .. R. At R = 1, (-1)^s
// = 1 - 2 s.
Bits sign_vector(ReluCircuit& circuit, const ParityCodebook& codebook, const Bits& symbol) {
  Bits result;
  for (const std::uint64_t mask : codebook.masks()) {
    Affine sum;
    for (std::uint32_t bit = 0; bit < symbol.size(); ++bit) {
      if ((mask >> bit & 1) != 0) sum += symbol[bit];
    }
    std::int64_t sign = 1;
    for (auto range = static_cast<std::int64_t>(symbol.size()); range > 1; range -= range / 2) {
      const std::int64_t half = range - range / 2;
      sum = circuit.relu(sum - half) + circuit.relu(half - sum);
      if (half % 2 != 0) sign = -sign;
    }
    result.push_back(sign * (1 - 2 * sum));
  }
  return result;
}

// Of a codebook whose upper half is not data: the symbol that only a query has, ParityCodebook::size() / 2 +
// 1, where `null` is 1; the data's bits are 0 there.
Bits with_null(Bits data, std::uint32_t symbol_bits, const Affine& null) {
  data.resize(symbol_bits - 1);
  data[0] += null;
  data.push_back(null);
  return data;
}

// Zeros where the bit `open` is 0.
Bits gate(ReluCircuit& circuit, const Bits& bits, const Affine& open) {
  Bits result;
  for (const Affine& bit : bits) result.push_back(circuit.both(bit, open));
  return result;
}

Affine number_of(const Bits& bits) {
  Affine result;
  for (std::size_t b = 0; b < bits.size(); ++b) result += (std::int64_t{1} << b) * bits[b];
  return result;
}

// [bits = number], and the bits of the place of the only 1 in `places`.
Affine is_number(ReluCircuit& circuit, const Bits& bits, std::uint64_t number) {
  Affine equal = 1;
  for (std::size_t b = 0; b < bits.size(); ++b) equal += (number >> b & 1) != 0 ? bits[b] - 1 : -1 * bits[b];
  return circuit.step(equal);
}
Bits place_bits(const std::vector<Affine>& places, std::uint32_t count) {
  Bits result(count);
  for (std::size_t place = 0; place < places.size(); ++place) {
    for (std::uint32_t b = 0; b < count; ++b) {
      if ((place >> b & 1) != 0) result[b] += places[place];
    }
  }
  return result;
}

// Whether some candidate is 1, and the last of them, one-hot.
struct Last {
  Affine found;
  std::vector<Affine> place;
};
Last last_of(ReluCircuit& circuit, const std::vector<Affine>& candidates) {
  Last result{0, std::vector<Affine>(candidates.size())};
  Affine from_here, before = 0;
  for (std::size_t c = candidates.size(); c-- > 0;) {
    from_here += candidates[c];
    result.found = circuit.step(from_here);
    result.place[c] = result.found - before;
    before = result.found;
  }
  return result;
}

// The inputs of a map: [row, position digits, heads].
struct Frame {
  std::uint32_t row = 2;  // columns
  std::uint32_t position_bits = 0;
  std::uint32_t heads = 0, value_dimension = 0;
  anna::Limits row_limit = 1;

  ReluCircuit before() const { return ReluCircuit(row + position_bits); }
  ReluCircuit after() const { return ReluCircuit(row + position_bits + heads * value_dimension); }
  Affine column(const ReluCircuit& circuit, std::uint32_t c) const { return circuit.input(c); }
  Bits columns(const ReluCircuit& circuit, std::uint32_t first, std::uint32_t count) const {
    Bits result;
    for (std::uint32_t c = first; c < first + count; ++c) result.push_back(circuit.input(c));
    return result;
  }
  Bits token(const ReluCircuit& circuit) const { return columns(circuit, row, position_bits); }
  Affine head(const ReluCircuit& circuit, std::uint32_t h, std::uint32_t column_of_head) const {
    return circuit.input(row + position_bits + h * value_dimension + column_of_head);
  }
  std::shared_ptr<const anna::Layer> layer(std::vector<anna::HeadMaps> maps, anna::WeightMap output,
                                           std::string_view where) const {
    return std::make_shared<anna::WeightLayer>(anna::LayerWeights{.row_dimension = row,
                                                                  .row_fraction_bits = 0,
                                                                  .row_limit = row_limit,
                                                                  .position_digits = position_bits,
                                                                  .position_base = 2,
                                                                  .heads = std::move(maps),
                                                                  .output = std::move(output)},
                                               where);
  }
};

// Input rows: (present, word).
Frame input_frame(std::uint64_t largest_word) {
  Frame frame;
  frame.row_limit = static_cast<std::int64_t>(std::max<std::uint64_t>(largest_word, 1));
  return frame;
}

// The row that make_match2 and make_k_hop end in.
std::vector<Affine> output_row(const Affine& present, const Affine& word, const Affine& fault) {
  std::vector<Affine> row(kOutputDimension);
  row[kPresentColumn] = present;
  row[kWordColumn] = word;
  row[kOutputFaultColumn] = static_cast<std::int64_t>(FaultKind::kUndecodable) * fault;
  return row;
}

class KHopWeights {
 public:
  explicit KHopWeights(const KHopOptions& options)
      : options_(options),
        word_bits_(options.word_bits),
        levels_(options.levels),
        fan_(static_cast<std::uint32_t>(k_hop_fan(options))),
        digit_bits_(ceil_log(2, fan_)),
        tree_bits_(levels_ * digit_bits_),
        block_bits_(std::max(1u, tree_bits_ - digit_bits_)),
        token_bits_(bits_for(options.n)),
        doublings_(ceil_log(2, options.k)),
        pairs_(word_bits_ + block_bits_ + 1, options.seed),
        tokens_(token_bits_ + 1, options.seed) {}

  std::vector<std::shared_ptr<const anna::Layer>> layers() const {
    std::vector<std::shared_ptr<const anna::Layer>> result;
    for (std::uint32_t t = 1; t <= levels_; ++t) result.push_back(search_layer(t));
    for (std::uint32_t t = 1; t <= doublings_; ++t) result.push_back(doubling_layer(t));
    result.push_back(fetch_layer());
    return result;
  }

 private:
  // Rows after layer t < a: word bits, then the tree's bits of the predecessor, as far as known, then one
  // flag for each possible number of known digits. Rows after layer a: word bits, P (the bits of the token
  // that it points to, all 0 if none), whether there is one, and the same for A.
  std::uint32_t known_column(std::uint32_t digits) const { return word_bits_ + tree_bits_ + digits - 1; }
  std::uint32_t pointer_column(std::uint32_t which) const { return word_bits_ + which * (token_bits_ + 1); }

  // Bits of digit h = 1 .. a, most significant first, among the tree's bits.
  std::uint32_t first_bit(std::uint32_t digit) const { return tree_bits_ - digit * digit_bits_; }
  Bits digit(const Bits& tree, std::uint32_t h) const {
    return {tree.begin() + first_bit(h), tree.begin() + first_bit(h) + digit_bits_};
  }
  // The symbol of (word, the first h - 1 digits); see Plan::pair and NativeLayer::null_query.
  Bits pair(Bits word, const Bits& tree, std::uint32_t h, const Affine& null) const {
    if (h > 1) word.insert(word.end(), tree.begin() + first_bit(h - 1), tree.end());
    return with_null(std::move(word), pairs_.bits(), null);
  }

  Frame search_frame(std::uint32_t t) const {
    Frame frame;
    if (t == 1) {
      frame = input_frame((std::uint64_t{1} << word_bits_) - 1);
    } else {
      frame.row = known_column(levels_) + 1;
    }
    frame.position_bits = token_bits_;
    frame.heads = t == 1 ? levels_ : 1;
    frame.value_dimension = fan_;
    return frame;
  }
  Bits word(ReluCircuit& circuit, const Frame& frame, std::uint32_t t) const {
    return t == 1 ? circuit.bits_of(frame.column(circuit, kWordColumn), word_bits_)
                  : frame.columns(circuit, 0, word_bits_);
  }
  // Positions count from 1.
  Bits position(ReluCircuit& circuit, const Frame& frame) const {
    return circuit.bits_of(number_of(frame.token(circuit)) + 1, tree_bits_);
  }

  anna::HeadMaps search_maps(const Frame& frame, std::uint32_t t, std::uint32_t level) const {
    anna::HeadMaps maps;
    ReluCircuit key = frame.before();
    const Bits symbol = pair(word(key, frame, t), position(key, frame), level, 0);
    maps.key = key.compile(sign_vector(key, pairs_, symbol));
    if (t == 1) {
      maps.query = maps.key;
    } else {
      ReluCircuit query = frame.before();
      const Affine asks = frame.column(query, known_column(t - 1));
      const Bits known = frame.columns(query, word_bits_, tree_bits_);
      const Bits wanted =
          pair(gate(query, word(query, frame, t), asks), gate(query, known, asks), t, 1 - asks);
      maps.query = query.compile(sign_vector(query, pairs_, wanted));
    }
    ReluCircuit value = frame.before();
    const Bits own = digit(position(value, frame), level);
    std::vector<Affine> one_hot;
    for (std::uint32_t c = 0; c < fan_; ++c) one_hot.push_back(kPresence * is_number(value, own, c));
    maps.value = value.compile(one_hot);
    return maps;
  }

  std::shared_ptr<const anna::Layer> search_layer(std::uint32_t t) const {
    const Frame frame = search_frame(t);
    std::vector<anna::HeadMaps> maps;
    for (std::uint32_t h = 0; h < frame.heads; ++h) maps.push_back(search_maps(frame, t, t + h));
    ReluCircuit circuit = frame.after();
    const Bits words = word(circuit, frame, t);
    Bits tree(tree_bits_), known(levels_);
    if (t == 1) {
      first_digits(circuit, frame, tree, known);
    } else {
      next_digit(circuit, frame, t, tree, known);
    }
    std::vector<Affine> row(words);
    if (t < levels_) {
      row.insert(row.end(), tree.begin(), tree.end());
      row.insert(row.end(), known.begin(), known.end());
    } else {
      const Affine found = known[levels_ - 1];
      tree.resize(token_bits_);  // a predecessor's position, find_1's token, is below N
      const Bits pointer = gate(circuit, tree, found);
      row.insert(row.end(), pointer.begin(), pointer.end());
      row.push_back(found);
      row.resize(pointer_column(2));  // A: none yet
    }
    return frame.layer(std::move(maps), circuit.compile(row, 1), fmt::format("layer {}", t));
  }

  // Layer 1: the deepest level with a nonempty child before the own one.
  void first_digits(ReluCircuit& circuit, const Frame& frame, Bits& tree, Bits& known) const {
    const Bits at = position(circuit, frame);
    Affine deeper = 0;
    for (std::uint32_t level = levels_; level >= 1; --level) {
      const Affine own = number_of(digit(at, level));
      std::vector<Affine> before;
      for (std::uint32_t c = 0; c + 1 < fan_; ++c) {
        before.push_back(
            circuit.both(circuit.step(frame.head(circuit, level - 1, c)), circuit.step(own - c)));
      }
      const Last child = last_of(circuit, before);
      const Affine chosen = circuit.step(child.found - deeper);
      deeper += child.found;
      known[level - 1] = chosen;
      const Bits child_bits = place_bits(child.place, digit_bits_);
      for (std::uint32_t b = first_bit(level); b < tree_bits_; ++b) {
        const bool of_child = b < first_bit(level) + digit_bits_;
        tree[b] += circuit.both(chosen, of_child ? child_bits[b - first_bit(level)] : at[b]);
      }
    }
  }

  // Layer t: the last nonempty child, for those who asked.
  void next_digit(ReluCircuit& circuit, const Frame& frame, std::uint32_t t, Bits& tree, Bits& known) const {
    tree = frame.columns(circuit, word_bits_, tree_bits_);
    known = frame.columns(circuit, known_column(1), levels_);
    std::vector<Affine> children;
    for (std::uint32_t c = 0; c < fan_; ++c) children.push_back(circuit.step(frame.head(circuit, 0, c)));
    const Last child = last_of(circuit, children);
    const Affine chosen = circuit.both(known[t - 2], child.found);
    known[t - 2] = known[t - 2] - chosen;
    known[t - 1] += chosen;
    const Bits child_bits = place_bits(child.place, digit_bits_);
    for (std::uint32_t b = 0; b < digit_bits_; ++b)
      tree[first_bit(t) + b] += circuit.both(chosen, child_bits[b]);
  }

  Frame pointer_frame(std::uint32_t heads) const {
    Frame frame;
    frame.row = pointer_column(2);
    frame.position_bits = token_bits_;
    frame.heads = heads;
    frame.value_dimension = 1;
    return frame;
  }
  Affine has(const Frame& frame, const ReluCircuit& circuit, std::uint32_t which) const {
    return frame.column(circuit, pointer_column(which) + token_bits_);
  }
  Bits pointer(const Frame& frame, const ReluCircuit& circuit, std::uint32_t which) const {
    return frame.columns(circuit, pointer_column(which), token_bits_);
  }
  // Every token is its own key and carries a number; the query is pointer `which`.
  anna::HeadMaps pointer_maps(const Frame& frame, std::uint32_t which, bool carries_word) const {
    anna::HeadMaps maps;
    ReluCircuit query = frame.before();
    const Bits wanted = with_null(pointer(frame, query, which), tokens_.bits(), 1 - has(frame, query, which));
    maps.query = query.compile(sign_vector(query, tokens_, wanted));
    ReluCircuit key = frame.before();
    maps.key = key.compile(sign_vector(key, tokens_, with_null(frame.token(key), tokens_.bits(), 0)));
    ReluCircuit value = frame.before();
    const Affine number = carries_word ? number_of(frame.columns(value, 0, word_bits_)) + 1
                                       : number_of(pointer(frame, value, 0)) + has(frame, value, 0);
    maps.value = value.compile(std::vector{number});
    return maps;
  }

  std::shared_ptr<const anna::Layer> doubling_layer(std::uint32_t t) const {
    const Frame frame = pointer_frame(2);
    ReluCircuit circuit = frame.after();
    // The pointer that head h fetched: its number is 1 + the token, 0 if none. Nothing came where nothing was
    // asked.
    const auto fetched = [&](std::uint32_t which) {
      const Affine number = frame.head(circuit, which, 0), asked = has(frame, circuit, which);
      Bits bits = circuit.bits_of(number - 1, token_bits_);
      bits.push_back(circuit.step(circuit.floor_shift(number, 0)));
      return gate(circuit, bits, asked);
    };
    const bool step = (options_.k >> (t - 1) & 1) != 0;
    const bool first_step = options_.k % (std::uint64_t{1} << (t - 1)) == 0;
    const std::uint32_t columns = token_bits_ + 1;
    const Bits power = fetched(0);
    const Bits accumulator = !step        ? frame.columns(circuit, pointer_column(1), columns)
                             : first_step ? frame.columns(circuit, pointer_column(0), columns)
                                          : fetched(1);
    std::vector<Affine> row = frame.columns(circuit, 0, word_bits_);
    row.insert(row.end(), power.begin(), power.end());
    row.insert(row.end(), accumulator.begin(), accumulator.end());
    return frame.layer({pointer_maps(frame, 0, false), pointer_maps(frame, 1, false)},
                       circuit.compile(row, 1), fmt::format("layer {}", levels_ + t));
  }

  std::shared_ptr<const anna::Layer> fetch_layer() const {
    const Frame frame = pointer_frame(1);
    const std::uint32_t which = options_.k == std::uint64_t{1} << doublings_ ? 0 : 1;
    ReluCircuit circuit = frame.after();
    const Affine number = frame.head(circuit, 0, 0), asked = has(frame, circuit, which);
    const Affine word = circuit.relu(number - (std::int64_t{1} << word_bits_) * (1 - asked));
    const Affine fault = circuit.relu(asked - number);
    return frame.layer({pointer_maps(frame, which, true)},
                       circuit.compile(output_row(1 - fault, word, fault)),
                       fmt::format("layer {}", levels_ + doublings_ + 1));
  }

  KHopOptions options_;
  std::uint32_t word_bits_, levels_, fan_, digit_bits_, tree_bits_, block_bits_, token_bits_, doublings_;
  ParityCodebook pairs_, tokens_;
};

}  // namespace

anna::Model match2_model(const Match2Options& options, const anna::Mechanism& mechanism) {
  options.validate();
  require(options.modulus <= std::uint64_t{1} << kWeightWordBits && !options.tolerant,
          "match2 as weights: the modulus is {}{}; allowed are 1 .. {}, not tolerant", options.modulus,
          options.tolerant ? ", tolerant" : "", std::uint64_t{1} << kWeightWordBits);
  const std::uint32_t bits = bits_for(options.modulus);
  const auto modulus = static_cast<std::int64_t>(options.modulus);
  const ParityCodebook codebook(bits + 1, options.seed);
  Frame frame = input_frame(options.modulus - 1);
  frame.heads = 1;
  frame.value_dimension = 1;
  anna::HeadMaps maps;
  ReluCircuit query = frame.before();
  const Bits residue = query.bits_of(frame.column(query, kWordColumn), bits);
  maps.query = query.compile(sign_vector(query, codebook, with_null(residue, codebook.bits(), 0)));
  ReluCircuit key = frame.before();
  // M - x is 1 .. M, and the key of x = 0 is 0, not M.
  const Affine left = modulus - frame.column(key, kWordColumn);
  Bits opposite = key.bits_of(left, bits + 1);
  opposite.pop_back();
  opposite = gate(key, opposite, key.step(modulus - key.floor_shift(left, 0)));
  maps.key = key.compile(sign_vector(key, codebook, with_null(opposite, codebook.bits(), 0)));
  maps.value = frame.before().compile(std::vector<Affine>{1});
  ReluCircuit output = frame.after();
  const auto answer = output_row(1, output.step(frame.head(output, 0, 0)), 0);
  anna::Model model;
  model.transformer = {.tokens = options.n,
                       .input_dimension = 2,
                       .layers = {frame.layer({std::move(maps)}, output.compile(answer, 1), "layer 1")}};
  model.mechanisms = {mechanism};
  model.validate();
  return model;
}

anna::Model k_hop_model(const KHopOptions& options, const anna::Mechanism& mechanism) {
  options.validate();
  require(options.word_bits <= kWeightWordBits && options.binary && !options.tolerant,
          "k_hop as weights: word_bits is {}{}{}; allowed are 1 .. {}, binary, not tolerant",
          options.word_bits, options.binary ? "" : ", not binary", options.tolerant ? ", tolerant" : "",
          kWeightWordBits);
  anna::Model model;
  model.transformer = {.tokens = options.n, .input_dimension = 2, .layers = KHopWeights(options).layers()};
  model.mechanisms.assign(model.transformer.layers.size(), mechanism);
  model.validate();
  return model;
}

WeightSizes measure_weights(const anna::Model& model) {
  WeightSizes sizes;
  const auto measure_map = [&](const anna::WeightMap& map) {
    sizes.stages = std::max<std::uint64_t>(sizes.stages, map.size());
    for (const anna::Stage& stage : map) {
      sizes.widest_stage = std::max<std::uint64_t>(sizes.widest_stage, stage.outputs);
      sizes.weights += stage.weight.nonzeros();
    }
  };
  for (const auto& layer : model.transformer.layers) {
    const auto& weights = dynamic_cast<const anna::WeightLayer&>(*layer).weights();
    for (const anna::HeadMaps& head : weights.heads) {
      measure_map(head.query);
      measure_map(head.key);
      measure_map(head.value);
    }
    measure_map(weights.output);
  }
  return sizes;
}

}  // namespace roundtrip::simulate
