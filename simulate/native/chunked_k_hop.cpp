#include "roundtrip/simulate/native/chunked_k_hop.h"

#include <algorithm>
#include <bit>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "roundtrip/anna/attention/chunked.h"
#include "roundtrip/base/error.h"
#include "roundtrip/base/rational.h"
#include "roundtrip/simulate/native/relu_circuit.h"

namespace roundtrip::simulate {
namespace {

using Bits = std::vector<Affine>;  // least first

std::uint32_t bits_below(std::uint64_t count) {  // of the numbers below count, at least 1
  return std::max(1u, ceil_log(2, count));
}

/// Layers after the first have rows of bits: the place where find_m is and whether there is one, the same for find_{m+1},
/// and symbol + 1. Units are relu alone, which bits and sums of bits pass.
class KHopLayers {
 public:
  explicit KHopLayers(const ChunkedKHopOptions& options)
      : options_(options),
        places_(bits_below(options.n)),
        symbols_(bits_below(std::uint64_t{options.symbols} + 1)) {}

  anna::Model model() {
    model_.transformer = {.tokens = options_.n, .input_dimension = 2, .layers = {}};
    find_one();
    const std::uint64_t last = (options_.k - 1) / 2;  // m before the last doubling
    for (auto left = static_cast<std::uint32_t>(std::bit_width(options_.k - 1)); left > 0; --left) {
      const std::uint64_t before = last >> (left - 1);
      double_hops(before, (left == 1 ? options_.k : last >> (left - 2)) - 2 * before, left == 1);
    }
    fetch_symbol();
    model_.validate();
    return std::move(model_);
  }

 private:
  enum Place : std::uint32_t { kHere, kNext };  // find_m, find_{m+1}

  std::uint32_t row_bits() const { return 2 * (places_ + 1) + symbols_; }
  std::uint32_t columns() const { return model_.mechanisms.empty() ? 2 : row_bits(); }
  ReluCircuit circuit(std::uint32_t more = 0) const { return ReluCircuit(columns() + places_ + more); }
  static Bits inputs(const ReluCircuit& circuit, std::uint32_t first, std::uint32_t count) {
    Bits bits;
    for (std::uint32_t b = first; b < first + count; ++b) bits.push_back(circuit.input(b));
    return bits;
  }
  Bits token(const ReluCircuit& circuit) const { return inputs(circuit, columns(), places_); }
  static Affine number_of(const Bits& bits) {
    Affine number;
    for (std::size_t b = 0; b < bits.size(); ++b) number += (std::int64_t{1} << b) * bits[b];
    return number;
  }
  static Affine both(ReluCircuit& circuit, const Affine& a, const Affine& b) {
    return circuit.relu(a + b - 1);
  }
  static Bits gate(ReluCircuit& circuit, Bits bits, const Affine& open) {
    for (Affine& bit : bits) bit = both(circuit, bit, open);
    return bits;
  }
  static anna::WeightMap signs(ReluCircuit& circuit, const Bits& bits) {
    std::vector<Affine> result;
    for (const Affine& bit : bits) result.push_back(2 * bit - 1);
    return circuit.compile(result);
  }
  void add(std::vector<anna::HeadMaps> heads, anna::WeightMap output, std::int64_t row_limit) {
    anna::LayerWeights layer;
    layer.row_dimension = columns();
    layer.row_limit = row_limit;
    layer.position_digits = places_;
    layer.position_base = 2;
    const std::uint64_t dimension = heads[0].query.back().outputs;
    layer.heads = std::move(heads);
    layer.output = std::move(output);
    model_.transformer.layers.push_back(std::make_shared<anna::WeightLayer>(
        std::move(layer), fmt::format("layer {}", model_.mechanisms.size())));
    model_.mechanisms.push_back(chunks_of_equal_signs(dimension, 1, options_.seed));
  }

  void find_one() {
    anna::HeadMaps maps;
    ReluCircuit query = circuit();
    maps.query = signs(query, query.bits_of(query.input(0) + query.input(1), symbols_));
    maps.key = circuit().compile(std::vector<Affine>(symbols_));  // not read
    const ReluCircuit value = circuit();
    maps.value = value.compile(std::vector<Affine>{2 * number_of(token(value)) + 2});
    ReluCircuit output = circuit(1);
    // Of values 2 (token + 1): own + predecessor's, or twice the own.
    const Bits at = token(output);
    const Affine own = number_of(at) + 1;
    const Affine back = output.relu(2 * own - output.input(2 + places_));
    const Affine place = output.relu(own - back);  // the number of the token after the predecessor
    const Bits next = output.bits_of(place, places_),
               symbol = output.bits_of(output.input(0) + output.input(1), symbols_);
    const Affine found = output.step(back);
    Bits row = at;
    row.emplace_back(1);
    for (const Affine& bit : next) row.push_back(output.both(bit, found));
    row.push_back(found);
    row.insert(row.end(), symbol.begin(), symbol.end());
    add({std::move(maps)}, output.compile(row, 1), std::max<std::int64_t>(1, options_.symbols));
  }

  /// Which token asks for which, where every token asks for one of its places.
  struct Asking {
    Bits own, place;
    Affine same;  // a place that is the token itself
    std::vector<Affine>
        first;  // [P]: whether number and place differ first, from the lowest bit on, in this one
  };
  Asking asking(ReluCircuit& circuit, Place which) const {
    Asking a{token(circuit), inputs(circuit, which * (places_ + 1), places_), {}, {}};
    const Affine has = circuit.input(which * (places_ + 1) + places_);
    Affine differ;
    for (std::uint32_t t = 0; t < places_; ++t) {
      const Affine here = circuit.relu(a.own[t] - a.place[t]) + circuit.relu(a.place[t] - a.own[t]);
      a.first.push_back(circuit.relu(here - differ + has - 1));
      differ += here;
    }
    a.same = circuit.relu(has - differ);
    return a;
  }
  /// Whether the token asks in the head of bit t in which tokens whose bit is `asked` are asked.
  static Affine asks(ReluCircuit& circuit, const Asking& a, std::uint32_t t, bool asked) {
    return both(circuit, a.first[t], asked ? 1 - a.own[t] : a.own[t]);
  }
  /// Heads that fetch the row's bits from `begin` on, from every token's place.
  void add_heads(std::vector<anna::HeadMaps>& heads, Place which, std::uint32_t begin,
                 std::uint32_t count) const {
    for (std::uint32_t t = 0; t < places_; ++t) {
      for (const bool asked : {false, true}) {
        anna::HeadMaps maps;
        ReluCircuit query = circuit();
        const Asking a = asking(query, which);
        const Affine is_asked = asked ? a.own[t] : 1 - a.own[t], wants = asks(query, a, t, asked);
        const Bits own = gate(query, a.own, is_asked), place = gate(query, a.place, wants);
        Bits code{is_asked + wants};
        for (std::uint32_t b = 0; b < places_; ++b) code.push_back(own[b] + place[b]);
        maps.query = signs(query, code);
        maps.key = circuit().compile(std::vector<Affine>(code.size()));  // not read
        ReluCircuit value = circuit();
        const Affine carries = asked ? token(value)[t] : 1 - token(value)[t];
        std::vector<Affine> carried;
        for (const Affine& bit : gate(value, inputs(value, begin, count), carries))
          carried.push_back(2 * bit);
        maps.value = value.compile(carried);
        heads.push_back(std::move(maps));
      }
    }
  }
  /// Those bits at the token's place: of the head in which it asked, or its own. `heads`: before them.
  Bits fetched(ReluCircuit& circuit, Place which, std::uint32_t heads, std::uint32_t begin,
               std::uint32_t count) const {
    const Asking a = asking(circuit, which);
    Bits result = gate(circuit, inputs(circuit, begin, count), a.same);
    for (std::uint32_t t = 0; t < places_; ++t) {
      for (const bool asked : {false, true}) {
        const std::uint32_t head = heads + 2 * t + (asked ? 1 : 0);
        const Affine asked_here = asks(circuit, a, t, asked);
        // A token that does not ask may see its own bits, twice as large.
        for (std::uint32_t b = 0; b < count; ++b) {
          const Affine came = circuit.input(columns() + places_ + head * count + b);
          result[b] += circuit.relu(came - 2 * (1 - asked_here));
        }
      }
    }
    return result;
  }

  /// From find_m and find_{m+1} to find_{2m + more} and the one after it; after the last, find_k alone.
  void double_hops(std::uint64_t m, std::uint64_t more, bool last) {
    const std::uint32_t place = places_ + 1, both_places = 2 * place;
    std::vector<anna::HeadMaps> heads;
    if (m > 0) add_heads(heads, kHere, 0, both_places);  // find_0 is the token itself
    const auto before_next = static_cast<std::uint32_t>(heads.size());
    add_heads(heads, kNext, 0, both_places);
    ReluCircuit output = circuit(static_cast<std::uint32_t>(heads.size()) * both_places);
    const Bits here = m > 0 ? fetched(output, kHere, 0, 0, both_places) : inputs(output, 0, both_places);
    const Bits next = fetched(output, kNext, before_next, 0, both_places);
    Bits row;
    for (const std::uint64_t j : {more, more + 1}) {  // of find_{2m + j}
      const Bits& from = j < 2 ? here : next;
      const std::uint32_t first = j == 0 ? 0 : place;
      for (std::uint32_t b = first; b < first + place; ++b)
        row.push_back(last && j > more ? Affine() : from[b]);
    }
    for (const Affine& bit : inputs(output, both_places, symbols_)) row.push_back(bit);
    add(std::move(heads), output.compile(row, 1), 1);
  }
  void fetch_symbol() {
    const Place which = options_.k == 1 ? kNext : kHere;
    const std::uint32_t begin = 2 * (places_ + 1);
    std::vector<anna::HeadMaps> heads;
    add_heads(heads, which, begin, symbols_);
    ReluCircuit output = circuit(static_cast<std::uint32_t>(heads.size()) * symbols_);
    std::vector<Affine> row(kOutputDimension);
    row[kPresentColumn] = 1;
    row[kWordColumn] = number_of(fetched(output, which, 0, begin, symbols_));
    add(std::move(heads), output.compile(row, options_.symbols), 1);
  }

  const ChunkedKHopOptions options_;
  const std::uint32_t places_, symbols_;  // bits
  anna::Model model_;
};

}  // namespace

anna::Mechanism chunks_of_equal_signs(std::uint64_t dimension, std::uint64_t chunk, std::uint64_t seed) {
  std::uint32_t root = 1;
  while (std::uint64_t{root} * root < dimension) ++root;
  anna::Chunked chunked;
  chunked.chunk = chunk;
  chunked.functions = 66 * root;
  chunked.seed = seed;
  return chunked;
}

void ChunkedKHopOptions::validate() const {
  require(n >= 1 && n <= 1 << 10, "k_hop by chunks: n is {}; allowed are 1 .. {}", n, 1 << 10);
  require(k >= 1 && k <= kMaxK, "k_hop by chunks: k is {}; allowed are 1 .. {}", k, kMaxK);
  require(symbols >= 1 && symbols <= 1 << 10, "k_hop by chunks: {} symbols; allowed are 1 .. {}", symbols,
          1 << 10);
}

anna::Model chunked_k_hop_model(const ChunkedKHopOptions& options) {
  options.validate();
  return KHopLayers(options).model();
}

TransformerSizes chunked_k_hop_sizes(const ChunkedKHopOptions& options) {
  options.validate();
  const std::uint64_t doublings = ceil_log(2, options.k);
  const std::uint64_t places = std::max(1u, ceil_log(2, options.n));
  const std::uint64_t symbols = ceil_log(2, std::uint64_t{options.symbols} + 1);
  const std::uint64_t heads = (doublings > 1 ? 4 : 2) * places;
  const std::uint64_t queries = std::max(symbols, places + 1);
  const std::uint64_t pointers = doublings > 0 ? 2 * (places + 1) : 0;
  return {.depth = 2 + doublings,
          .heads = heads,
          .query_dimension = queries,
          .value_dimension = std::max(symbols, pointers),
          .embedding_dimension = std::max<std::uint64_t>(kOutputDimension, 2 * (places + 1) + symbols),
          .width = std::max({symbols, heads * pointers, 2 * places * std::max(symbols, places + 1)})};
}

}  // namespace roundtrip::simulate
