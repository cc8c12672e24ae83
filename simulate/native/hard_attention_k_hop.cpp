#include "roundtrip/simulate/native/hard_attention_k_hop.h"

#include <algorithm>
#include <bit>
#include <memory>
#include <vector>

#include "roundtrip/anna/attention/softmax.h"
#include "roundtrip/anna/attention/window.h"
#include "roundtrip/base/error.h"
#include "roundtrip/base/rational.h"
#include "roundtrip/simulate/native/relu_circuit.h"

namespace roundtrip::simulate {
namespace {

constexpr std::string_view kMechanisms[] = {"softmax", "window"};
constexpr double kScale = 64;  // e^-64 is below 2^-53, so a key whose score is one less has no weight

using Bits = std::vector<Affine>;  // least first

std::uint32_t bits_below(std::uint64_t count) {  // of the numbers below count, at least 1
  return std::max(1u, static_cast<std::uint32_t>(std::bit_width(count - 1)));
}

// Rows after layer 1: symbol + 1, and that of the token before; 0 for none. Later: where find_m and find_{m+1} are, as the
// token's number + 1, and the symbol there + 1; 0 for none.
enum Column : std::uint32_t { kPlace, kSymbol, kNextPlace, kNextSymbol, kColumns };

class KHopLayers {
 public:
  KHopLayers(const HardAttentionKHopOptions& options, anna::Mechanism mechanism)
      : options_(options),
        mechanism_(std::move(mechanism)),
        places_(bits_below(options.n)),
        symbols_(bits_below(std::uint64_t{options.symbols} + 1)),
        limit_(static_cast<std::int64_t>(std::max<std::uint64_t>(options.n, options.symbols))) {}

  anna::Model model() {
    model_.transformer = {.tokens = options_.n, .input_dimension = 2, .layers = {}};
    symbol_before();
    find_one();
    const auto doublings = static_cast<std::uint32_t>(std::bit_width(options_.k - 1));
    // m of the tokens' find_m before the doubling that leaves so many: 0, then the first bits of (k - 1) / 2.
    for (std::uint32_t left = doublings; left > 0; --left) {
      const std::uint64_t before = (options_.k - 1) / 2 >> (left - 1);
      const std::uint64_t after = left == 1 ? options_.k : (options_.k - 1) / 2 >> (left - 2);
      double_hops(after - 2 * before, left == 1);
    }
    model_.validate();
    return std::move(model_);
  }

 private:
  std::uint32_t columns() const { return model_.mechanisms.empty() ? 2u : std::uint32_t{kColumns}; }
  /// Of maps before attention, and after it of so many heads' numbers.
  ReluCircuit circuit(std::uint32_t more = 0) const { return ReluCircuit(columns() + places_ + more); }
  Affine token(const ReluCircuit& circuit) const {
    Affine number;
    for (std::uint32_t b = 0; b < places_; ++b)
      number += (std::int64_t{1} << b) * circuit.input(columns() + b);
    return number;
  }
  Affine of_head(const ReluCircuit& circuit, std::uint32_t number) const {
    return circuit.input(columns() + places_ + number);
  }
  static Affine at_least_one(ReluCircuit& circuit, const Affine& x) {
    return circuit.relu(x) - circuit.relu(x - 1);
  }
  /// x where the bit `open` is 1, else 0; x is 0 .. limit.
  Affine gate(ReluCircuit& circuit, const Affine& x, const Affine& open) const {
    return circuit.relu(x - (limit_ + 1) * (1 - open));
  }
  static std::vector<Affine> signs(const Bits& bits, std::int64_t weight) {
    std::vector<Affine> result;
    for (const Affine& bit : bits) result.push_back(weight * (2 * bit - 1));
    return result;
  }
  /// Asks for the token of that number; every token has its own for a key.
  anna::HeadMaps fetch(const Affine& number, ReluCircuit query, const std::vector<Affine>& carried) const {
    anna::HeadMaps maps;
    maps.query = query.compile(signs(query.bits_of(number, places_), 1));
    const ReluCircuit key = circuit();
    Bits own;
    for (std::uint32_t b = 0; b < places_; ++b) own.push_back(key.input(columns() + b));
    maps.key = key.compile(signs(own, 1));
    maps.value = circuit().compile(carried);
    return maps;
  }
  void add(std::vector<anna::HeadMaps> heads, anna::WeightMap output) {
    anna::LayerWeights layer;
    layer.row_dimension = columns();
    layer.row_limit = limit_;
    layer.position_digits = places_;
    layer.position_base = 2;
    layer.heads = std::move(heads);
    layer.output = std::move(output);
    model_.transformer.layers.push_back(std::make_shared<anna::WeightLayer>(
        std::move(layer), fmt::format("layer {}", model_.mechanisms.size())));
    model_.mechanisms.push_back(mechanism_);
  }

  void symbol_before() {
    const ReluCircuit before = circuit();
    const Affine symbol = before.input(0) + before.input(1);
    ReluCircuit output = circuit(1);
    std::vector<Affine> row(kColumns);
    row[kSymbol] = output.input(0) + output.input(1);
    row[kNextSymbol] = gate(output, of_head(output, 0), at_least_one(output, token(output)));
    add({fetch(token(before) - 1, before, {symbol})}, output.compile(row, limit_));
  }
  /// Leaves find_0, the token itself, and find_1.
  void find_one() {
    const auto weight = static_cast<std::int64_t>(options_.n);
    anna::HeadMaps maps;
    ReluCircuit query = circuit(), key = circuit();
    std::vector<Affine> wanted = signs(query.bits_of(query.input(kSymbol), symbols_), weight);
    wanted.emplace_back(1);
    maps.query = query.compile(wanted);
    std::vector<Affine> own = signs(key.bits_of(key.input(kNextSymbol), symbols_), 1);
    own.push_back(token(key));
    maps.key = key.compile(own);
    const ReluCircuit value = circuit();
    maps.value =
        value.compile(std::vector<Affine>{token(value) + 1, value.input(kSymbol), value.input(kNextSymbol)});
    ReluCircuit output = circuit(3);
    const Affine difference = of_head(output, 2) - output.input(kSymbol);
    const Affine found = output.relu(1 - output.relu(difference) - output.relu(0 - difference));
    std::vector<Affine> row(kColumns);
    row[kPlace] = token(output) + 1;
    row[kSymbol] = output.input(kSymbol);
    row[kNextPlace] = gate(output, of_head(output, 0), found);
    row[kNextSymbol] = gate(output, of_head(output, 1), found);
    finish({std::move(maps)}, output, row, kNextSymbol, options_.k == 1);
  }
  /// From find_m and find_{m+1} to find_{2m + more} and the one after it.
  void double_hops(std::uint64_t more, bool last) {
    std::vector<anna::HeadMaps> heads;
    for (const Column column : {kPlace, kNextPlace}) {
      const ReluCircuit value = circuit();
      std::vector<Affine> carried;
      for (std::uint32_t c = 0; c < kColumns; ++c) carried.push_back(value.input(c));
      const ReluCircuit query = circuit();
      heads.push_back(fetch(query.input(column) - 1, query, carried));
    }
    ReluCircuit output = circuit(2 * kColumns);
    // find_{2m + j}: m + 1 hops from where find_m is, or from where find_{m+1} is.
    const auto hops = [&](std::uint64_t j, std::uint32_t part) {
      const bool first = j < 2;
      const std::uint32_t there =
          (first ? 0 : std::uint32_t{kColumns}) + (j > 0 ? std::uint32_t{kNextPlace} : 0) + part;
      const Affine asked = at_least_one(output, output.input(first ? kPlace : kNextPlace));
      return gate(output, of_head(output, there), asked);
    };
    const std::vector<Affine> row{hops(more, 0), hops(more, 1), last ? Affine() : hops(more + 1, 0),
                                  last ? Affine() : hops(more + 1, 1)};
    finish(std::move(heads), output, row, kSymbol, last);
  }
  void finish(std::vector<anna::HeadMaps> heads, const ReluCircuit& output, const std::vector<Affine>& row,
              Column answer, bool last) {
    if (!last) return add(std::move(heads), output.compile(row, limit_));
    std::vector<Affine> words(kOutputDimension);
    words[kPresentColumn] = 1;
    words[kWordColumn] = row[answer];
    add(std::move(heads), output.compile(words, limit_));
  }

  const HardAttentionKHopOptions options_;
  const anna::Mechanism mechanism_;
  const std::uint32_t places_, symbols_;  // bits
  const std::int64_t limit_;              // of a row's numbers
  anna::Model model_;
};

}  // namespace

void HardAttentionKHopOptions::validate() const {
  require(n >= 1 && n <= 1 << 15, "k_hop by hard attention: n is {}; allowed are 1 .. {}", n, 1 << 15);
  require(k >= 1 && k <= kMaxK, "k_hop by hard attention: k is {}; allowed are 1 .. {}", k, kMaxK);
  require(symbols >= 1 && symbols <= 1 << 15, "k_hop by hard attention: {} symbols; allowed are 1 .. {}",
          symbols, 1 << 15);
}

std::span<const std::string_view> hard_attention_k_hop_mechanisms() {
  return kMechanisms;
}

anna::Model hard_attention_k_hop_model(std::string_view mechanism, const HardAttentionKHopOptions& options) {
  require(std::ranges::find(kMechanisms, mechanism) != std::end(kMechanisms),
          "k_hop by hard attention: mechanism is {}; allowed are {}", mechanism,
          fmt::join(kMechanisms, ", "));
  options.validate();
  anna::Softmax softmax;
  softmax.scale = kScale;
  softmax.masked = true;
  anna::Window window;
  window.width = options.n;
  window.scale = kScale;
  window.masked = true;
  return KHopLayers(options, mechanism == "window" ? anna::Mechanism(window) : anna::Mechanism(softmax))
      .model();
}

TransformerSizes hard_attention_k_hop_sizes(const HardAttentionKHopOptions& options) {
  options.validate();
  const std::uint64_t doublings = ceil_log(2, options.k);
  const std::uint64_t places = std::max(1u, ceil_log(2, options.n));
  const std::uint64_t queries =
      std::max<std::uint64_t>(places, ceil_log(2, std::uint64_t{options.symbols} + 1) + 1);
  const std::uint64_t values = doublings > 0 ? 4 : 3;
  return {.depth = 2 + doublings,
          .heads = doublings > 0 ? 2u : 1u,
          .query_dimension = queries,
          .value_dimension = values,
          .embedding_dimension = kOutputDimension,
          .width = std::max(std::max(queries, values), (doublings > 0 ? 2 : 1) * std::max(places, values))};
}

}  // namespace roundtrip::simulate
