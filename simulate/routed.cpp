// Construction 4b. Row of token u < q' (node u) between layers: columns 0..2 RowFault of machine u; column 3
// the flag; then the bundles that the next layer sends, bundle h for the partner at offset h: slot i of
// bundle h is the pair of columns 4 + 2 (h C_t + i): code = 1 + destination + n_d (source + q * sequence),
// word. Code 0: empty. Never compacted. After the last routing layer the row of machine i holds its b outputs
// instead: 4 + 2 j = present, 5 + 2 j = word.
#include "simulate/routed.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "anna/identity.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/random.h"
#include "simulate/gather.h"
#include "simulate/machine.h"

namespace roundtrip::simulate {
namespace {

using anna::Entry;
using anna::HeadOutputs;
using anna::Projection;
using anna::RowView;
using anna::RowWriter;
using anna::Symbol;

constexpr std::uint32_t kFlagColumn = 3;
constexpr std::uint32_t kSlotColumns = 4;  // slots begin here

/// What a node warns of; the larger one wins where two meet.
constexpr std::uint8_t kClear = 0;
constexpr std::uint8_t kBundleOverflow = 1;
constexpr std::uint8_t kMachineStopped = 2;

/// A word on its way, as it stands in a slot: its code in two parts and the number that is the word.
struct Travelling {
  std::uint64_t from;         ///< source + q * sequence
  std::uint64_t destination;  ///< machine, or output index in round R
  double word;
};

/// What all layers of one transformer share: fixed before any input.
struct Common {
  std::shared_ptr<const mpc::Protocol> protocol;
  mpc::Shape shape;
  DigitRouting routing;
  std::uint64_t seed;
  anna::IdentityCodebook codebook;  // ids of the nodes, then the null key and the null query
  std::uint64_t n_d = std::max(routing.nodes(), shape.outputs);

  Symbol null_key() const { return routing.nodes(); }
  Symbol null_query() const { return routing.nodes() + 1; }
  double code(const Travelling& word) const {
    return static_cast<double>(1 + word.destination + n_d * word.from);
  }
  Travelling decode(double code, double word) const {
    require(code >= 1 && anna::is_exact_integer(code) && word >= 0 && word < 0x1p48,
            "a slot holds code {} and word {}", code, word);
    const std::uint64_t number = static_cast<std::uint64_t>(code) - 1;
    const std::uint64_t from = quotient(number, n_d);
    return {from, number - n_d * from, word};
  }
  std::uint64_t sequence(const Travelling& word) const { return quotient(word.from, shape.machines); }
  /// The node that a word goes to in the first half of a round. Any node can compute it from the slot.
  std::uint64_t intermediate(const Travelling& word, std::uint32_t round) const {
    const std::uint64_t sequence = this->sequence(word), source = word.from - shape.machines * sequence;
    if (seeded("no-intermediate")) return source;
    return draw_below(routing.nodes(), seed, Domain::kIntermediate, round, source, sequence);
  }
  /// .. in the second half.
  std::uint64_t machine(const Travelling& word, std::uint32_t round) const {
    return round == shape.rounds ? shape.output_machine(word.destination) : word.destination;
  }

 private:
  /// floor(number / divisor) by one division of doubles, for a number below 2^53: if the quotient is no
  /// integer it lies at least 1 / divisor below the next one, more than half a unit in its last place.
  static std::uint64_t quotient(std::uint64_t number, std::uint64_t divisor) {
    return static_cast<std::uint64_t>(static_cast<double>(number) / static_cast<double>(divisor));
  }
};

/// Routing layer l = 1 .. 2DR: which digit of which half of which round.
struct Hop {
  std::uint32_t round;
  bool to_intermediate;
  std::uint32_t digit;
  bool last_of_round;
};
Hop hop_of(std::uint32_t layer, std::uint32_t digits) {
  const std::uint32_t in_round = (layer - 1) % (2 * digits);
  return {(layer - 1) / (2 * digits) + 1, in_round < digits, in_round % digits, in_round + 1 == 2 * digits};
}

std::uint32_t bundle_columns(const DigitRouting& routing, std::uint32_t digit) {
  return kSlotColumns + 2 * routing.radix(digit) * routing.capacity(digit);
}

/// The state of a node inside an output map, and how it becomes the row that layer `next` reads.
struct Node {
  RowFault fault;
  std::uint8_t flag = kClear;
  std::vector<Travelling> words;

  /// The machine's step; a machine that may have missed words does not run, and what it sends is its flag.
  void step(const Common& common, std::uint32_t round, std::uint64_t token, std::vector<Message>& messages) {
    words.clear();
    if (flag != kClear || token >= common.shape.machines) return;
    const Stepped stepped = run_step(*common.protocol, round, static_cast<mpc::MachineId>(token), messages);
    fault = stepped.fault;
    if (fault.kind != FaultKind::kNone) flag = kMachineStopped;
    words.reserve(stepped.sent.size());
    std::uint64_t from = token;
    for (const OutgoingWord& sent : stepped.sent) {
      words.push_back({from, sent.destination, static_cast<double>(sent.word)});
      from += common.shape.machines;
    }
  }

  /// Bundles for the partners of the next layer; what does not fit is dropped and flagged.
  void write_bundles(const Common& common, const Hop& next, std::uint64_t token, RowWriter& out) {
    const DigitRouting& routing = common.routing;
    const std::uint32_t radix = routing.radix(next.digit), capacity = routing.capacity(next.digit);
    // Words by bundle, those of one in the order in which they are here. Room that is used again, nothing
    // more.
    static thread_local std::vector<std::uint32_t> bundle_of, place;
    bundle_of.resize(words.size());
    place.assign(radix + 1, 0);
    for (std::size_t i = 0; i < words.size(); ++i) {
      const std::uint64_t target = next.to_intermediate ? common.intermediate(words[i], next.round)
                                                        : common.machine(words[i], next.round);
      bundle_of[i] = routing.offset(token, target, next.digit);
      ++place[bundle_of[i] + 1];
    }
    for (std::uint32_t h = 0; h < radix; ++h) {
      if (place[h + 1] > capacity) {
        if (!seeded("overflow-unflagged")) flag = std::max(flag, kBundleOverflow);
        place[h + 1] = capacity;
      }
      place[h + 1] += place[h];
    }
    write_head(out);
    // place[h]: where bundle h goes on, among all words that are written; first[h]: where it began.
    const std::span<Entry> slots = out.append(2 * std::size_t{place[radix]});
    static thread_local std::vector<std::uint32_t> first;
    first = place;
    for (std::size_t i = 0; i < words.size(); ++i) {
      const std::uint32_t h = bundle_of[i], at = place[h];
      if (at == first[h + 1]) continue;  // full
      ++place[h];
      const std::uint32_t column = kSlotColumns + 2 * (h * capacity + at - first[h]);
      slots[2 * std::size_t{at}] = {column, common.code(words[i])};
      slots[2 * std::size_t{at} + 1] = {column + 1, words[i].word};
    }
  }

  void write_head(RowWriter& out) const {
    write_fault(fault, 0, out);
    out.set(kFlagColumn, flag);
  }
};

using RoutedLayer = CompiledLayer<Common>;

/// Pass "gather" (layer 0), as in the direct construction; its output map runs step 1 and fills the first
/// bundles.
class GatherLayer final : public RoutedLayer {
 public:
  using RoutedLayer::CompiledLayer;
  anna::LayerShape shape() const override {
    return gather_shape(common_->shape, bundle_columns(common_->routing, 0));
  }
  void project(const RowView& row, Projection& out) const override {
    project_input(common_->shape, row, out);
  }
  void update(const RowView& row, const HeadOutputs& heads, RowWriter& out) const override {
    if (row.token >= common_->routing.nodes()) return;
    Node node;
    std::vector<Message> messages;
    if (gather_input(common_->shape, row.token, heads, messages)) {
      node.step(*common_, 1, row.token, messages);
    } else {
      node.fault = {FaultKind::kUndecodable, 0, 0};
      node.flag = kMachineStopped;
    }
    node.write_bundles(*common_, hop_of(1, common_->routing.digits()), row.token, out);
  }
};

/// Passes "spread" (a round's first D layers, to the intermediates) and "collect" (its last D, to the
/// destinations). Digit t has k_t heads: in head h node v's key is id(v) and its value the bundle of the
/// partner at offset h; node u asks for the node whose partner at offset h it is. Each query matches one key.
class HopLayer final : public RoutedLayer {
 public:
  HopLayer(std::shared_ptr<const Common> common, std::uint32_t number)
      : RoutedLayer(std::move(common)), number_(number), hop_(hop_of(number, common_->routing.digits())) {}
  anna::LayerShape shape() const override {
    const DigitRouting& routing = common_->routing;
    const Hop next = hop_of(number_ + 1, routing.digits());
    return {.heads = routing.radix(hop_.digit),
            .query_dimension = kIdDimension,
            .value_dimension = 2 * routing.capacity(hop_.digit) + 1,
            .output_dimension =
                delivers() ? kSlotColumns + 2 * static_cast<std::uint32_t>(common_->shape.block_words)
                           : bundle_columns(routing, next.digit)};
  }
  void project(const RowView& row, Projection& out) const override {
    const DigitRouting& routing = common_->routing;
    if (row.token >= routing.nodes()) return;
    const std::uint32_t radix = routing.radix(hop_.digit);
    static thread_local std::vector<Symbol> asked;  // room that is used again
    asked.resize(radix);
    routing.for_each_partner(row.token, hop_.digit, [&](std::uint32_t offset, std::uint64_t partner) {
      asked[offset == 0 ? 0 : radix - offset] = partner;
    });
    out.queries(asked);
    out.keys(radix, row.token);
    const std::uint32_t head_columns = 2 * routing.capacity(hop_.digit);
    auto entries = row.entries;
    while (!entries.empty() && entries.front().column < kSlotColumns) entries = entries.subspan(1);
    while (!entries.empty()) {
      const std::uint32_t h = (entries.front().column - kSlotColumns) / head_columns;
      const std::uint32_t first = kSlotColumns + h * head_columns;
      std::size_t count = 1;
      while (count < entries.size() && entries[count].column < first + head_columns) ++count;
      out.values(h, entries.first(count), first);
      entries = entries.subspan(count);
    }
    if (const double flag = row[kFlagColumn]; flag != 0) {
      for (std::uint32_t h = 0; h < (seeded("flag-in-one-bundle") ? 1 : radix); ++h)
        out.value(h, head_columns, flag);
    }
  }
  void update(const RowView& row, const HeadOutputs& heads, RowWriter& out) const override {
    if (row.token >= common_->routing.nodes()) return;
    Node node;
    node.fault = read_fault(row, 0);
    receive(heads, node);  // its own flag comes with its own bundle, head 0
    if (!hop_.last_of_round) {
      return node.write_bundles(*common_, hop_of(number_ + 1, common_->routing.digits()), row.token, out);
    }
    for (const Travelling& word : node.words) {
      require(common_->machine(word, hop_.round) == row.token,
              "token {} holds a word for machine {} at the end of round {}", row.token,
              common_->machine(word, hop_.round), hop_.round);
    }
    if (delivers()) return write_outputs(node, out);
    std::vector<Message> messages;
    messages.reserve(node.words.size());
    for (const Travelling& word : node.words) {
      const std::uint64_t sequence = common_->sequence(word);
      messages.push_back({static_cast<std::uint32_t>(word.from - common_->shape.machines * sequence),
                          static_cast<std::uint32_t>(sequence), static_cast<mpc::Word>(word.word)});
    }
    node.step(*common_, hop_.round + 1, row.token, messages);
    node.write_bundles(*common_, hop_of(number_ + 1, common_->routing.digits()), row.token, out);
  }

 private:
  bool delivers() const { return hop_.last_of_round && hop_.round == common_->shape.rounds; }

  void receive(const HeadOutputs& heads, Node& node) const {
    const std::uint32_t flag_column = 2 * common_->routing.capacity(hop_.digit);
    node.words.reserve(common_->shape.memory_words);  // what a node holds on average at most
    for (const std::uint32_t h : heads.nonzero_heads()) {
      const auto entries = heads.head(h);
      for (std::size_t i = 0; i < entries.size(); ++i) {
        if (entries[i].column == flag_column) {
          if (seeded("flag-lost")) continue;
          node.flag = std::max(node.flag, entries[i].value == 1 ? kBundleOverflow : kMachineStopped);
        } else if (entries[i].column % 2 == 0) {
          const bool has_word = i + 1 < entries.size() && entries[i + 1].column == entries[i].column + 1 &&
                                entries[i + 1].column != flag_column;
          node.words.push_back(common_->decode(entries[i].value, has_word ? entries[i + 1].value : 0));
        }
      }
    }
  }

  /// The machine's outputs, by index within its block; an index delivered twice is present twice.
  void write_outputs(const Node& node, RowWriter& out) const {
    std::vector<std::pair<std::uint32_t, mpc::Word>> block(common_->shape.block_words);
    for (const Travelling& word : node.words) {
      auto& [present, value] = block[word.destination % common_->shape.block_words];
      ++present;
      value = static_cast<mpc::Word>(word.word);
    }
    node.write_head(out);
    for (std::uint32_t j = 0; j < block.size(); ++j) {
      if (block[j].first == 0) continue;
      out.set(kSlotColumns + 2 * j, block[j].first);
      out.set(kSlotColumns + 2 * j + 1, static_cast<double>(block[j].second));
    }
  }

  std::uint32_t number_;
  Hop hop_;
};

/// Pass "deliver" (the last layer): one head, key = own id, value = (present, word) of the machine's b
/// outputs and its flag; output t asks for machine t div b.
class DeliverLayer final : public RoutedLayer {
 public:
  using RoutedLayer::CompiledLayer;
  anna::LayerShape shape() const override {
    return {.heads = 1,
            .query_dimension = kIdDimension,
            .value_dimension = flag_column() + 1,
            .output_dimension = kOutputDimension};
  }
  void project(const RowView& row, Projection& out) const override {
    if (row.token < common_->shape.outputs) out.query(0, common_->shape.output_machine(row.token));
    if (row.token >= common_->shape.machines) return;
    out.key(0, row.token);
    for (const Entry& entry : row.entries) {
      if (entry.column >= kSlotColumns) out.value(0, entry.column - kSlotColumns, entry.value);
    }
    if (const double flag = row[kFlagColumn]; flag != 0) out.value(0, flag_column(), flag);
  }
  void update(const RowView& row, const HeadOutputs& heads, RowWriter& out) const override {
    if (row.token < common_->shape.outputs) write_output(row.token, heads, out);
    keep_machine_fault(common_->shape, row, out);
  }

 private:
  std::uint32_t flag_column() const { return 2 * static_cast<std::uint32_t>(common_->shape.block_words); }

  void write_output(std::uint64_t token, const HeadOutputs& heads, RowWriter& out) const {
    const auto own = static_cast<std::uint32_t>(2 * (token % common_->shape.block_words));
    double present = 0, word = 0, flag = 0;
    for (const Entry& entry : heads.head(0)) {
      if (entry.column == own) present = entry.value;
      if (entry.column == own + 1) word = entry.value;
      if (entry.column == flag_column()) flag = entry.value;
    }
    FaultKind kind = FaultKind::kNone;
    if (present != 1) kind = present == 0 ? FaultKind::kMissingOutput : FaultKind::kDuplicateOutput;
    if (flag != 0) kind = flag == kBundleOverflow ? FaultKind::kOverflow : FaultKind::kElsewhere;
    if (kind != FaultKind::kNone) return out.set(kOutputFaultColumn, static_cast<double>(kind));
    out.set(kPresentColumn, 1);
    out.set(kWordColumn, word);
  }
};

void check(const mpc::Shape& shape, const DigitRouting& routing, const std::string& name) {
  require_compilable(shape, name);
  require(routing.nodes() + 2 <= anna::IdentityCodebook::kMaxSize,
          "{}: the routed construction has ids for at most {} nodes; this protocol needs {}", name,
          anna::IdentityCodebook::kMaxSize - 2, routing.nodes());
  const double codes = static_cast<double>(std::max(routing.nodes(), shape.outputs)) * shape.machines *
                       static_cast<double>(shape.memory_words);
  require(codes < 0x1p52,
          "{}: slots number destination, source and sequence together, n_d q s = {} must be below 2^52", name,
          codes);
  for (std::uint32_t t = 0; t < routing.digits(); ++t) {
    require(2.0 * routing.radix(t) * routing.capacity(t) < 0x1p31,
            "{}: the bundles of digit {} do not fit a row", name, t);
  }
}

}  // namespace

DigitRouting plan_routing(const mpc::Shape& shape, const RoutedOptions& options) {
  std::vector<std::uint32_t> radices =
      choose_radices(shape.machines, choose_digits(shape, options.delta, options.digits));
  std::vector<std::uint32_t> capacities =
      options.capacities ? *options.capacities : choose_capacities(shape, radices, options.eta);
  return {std::move(radices), std::move(capacities)};
}

anna::Transformer compile_routed(std::shared_ptr<const mpc::Protocol> protocol,
                                 const RoutedOptions& options) {
  const mpc::Shape& shape = protocol->shape();
  DigitRouting routing = plan_routing(shape, options);
  check(shape, routing, options.name);
  const std::uint64_t nodes = routing.nodes();
  const auto common = std::make_shared<const Common>(Common{protocol, shape, std::move(routing), options.seed,
                                                            anna::IdentityCodebook(nodes + 2, options.seed)});
  anna::Transformer transformer;
  transformer.tokens = std::max({shape.n, nodes, shape.outputs});
  transformer.input_dimension = 2;
  transformer.layers.push_back(std::make_shared<GatherLayer>(common));
  for (std::uint32_t l = 1; l <= 2 * common->routing.digits() * shape.rounds; ++l) {
    transformer.layers.push_back(std::make_shared<HopLayer>(common, l));
  }
  transformer.layers.push_back(std::make_shared<DeliverLayer>(common));
  return transformer;
}

TransformerSizes routed_sizes(const mpc::Shape& shape, const RoutedOptions& options) {
  const DigitRouting routing = plan_routing(shape, options);
  TransformerSizes sizes;
  sizes.depth = 2 + 2ull * routing.digits() * shape.rounds;
  sizes.query_dimension = 128;
  sizes.value_dimension = 2 * shape.block_words + 1;
  sizes.embedding_dimension = std::max<std::uint64_t>(4 + 2 * shape.block_words, 6);
  sizes.width = std::max<std::uint64_t>(128, 2 * shape.block_words + 1);
  for (std::uint32_t t = 0; t < routing.digits(); ++t) {
    const std::uint64_t k = routing.radix(t), c = routing.capacity(t);
    sizes.heads = std::max(sizes.heads, k);
    sizes.value_dimension = std::max(sizes.value_dimension, 2 * c + 1);
    sizes.embedding_dimension = std::max(sizes.embedding_dimension, 4 + 2 * k * c);
    sizes.width = std::max(sizes.width, k * std::max<std::uint64_t>(2 * c + 1, 128));
  }
  return sizes;
}

std::vector<WordInRow> routed_words(const mpc::Shape& shape, const DigitRouting& routing,
                                    const RowView& row) {
  const std::uint64_t destinations = std::max(routing.nodes(), shape.outputs);
  std::vector<WordInRow> words;
  for (std::size_t i = 0; i < row.entries.size(); ++i) {
    const Entry& entry = row.entries[i];
    if (entry.column < kSlotColumns || entry.column % 2 != 0 || !(entry.value >= 1 && entry.value < 0x1p53))
      continue;
    const bool has_word = i + 1 < row.entries.size() && row.entries[i + 1].column == entry.column + 1;
    const std::uint64_t number = static_cast<std::uint64_t>(entry.value) - 1;
    const std::uint64_t from = number / destinations;
    words.push_back({row.token, from % shape.machines, from / shape.machines, number % destinations,
                     has_word ? row.entries[i + 1].value : 0});
  }
  return words;
}

double routed_power_law(const mpc::Shape& shape, std::uint32_t digits, std::uint64_t heads,
                        const Rational& exponent) {
  const double ids = 128.0 * static_cast<double>(heads);
  if (digits > 1) {
    return static_cast<double>(
               ceil_power(shape.n, exponent, Rational(static_cast<std::int64_t>(12 * shape.kappa_s)))) +
           ids;
  }
  return 6.0 * static_cast<double>(shape.kappa_s * shape.block_words) *
             std::log2(static_cast<double>(shape.n)) +
         ids;
}

std::vector<Pass> routed_passes(const mpc::Shape& shape, const RoutedOptions& options) {
  const DigitRouting routing = plan_routing(shape, options);
  const std::uint32_t digits = routing.digits();
  std::string radices, capacities;
  for (std::uint32_t t = 0; t < digits; ++t) {
    radices += fmt::format("{}{}", t == 0 ? "" : " x ", routing.radix(t));
    capacities += fmt::format("{}{}", t == 0 ? "" : ", ", routing.capacity(t));
  }
  return {
      {"digits", fmt::format("D = {}: q' = {} = {} nodes for q = {} machines", digits, radices,
                             routing.nodes(), shape.machines)},
      {"capacities",
       fmt::format("C_t = {} words a bundle (mean at most s / k_t, s = {}), overflow probability {}",
                   capacities, shape.memory_words,
                   options.capacities ? "not bounded" : "at most " + options.eta.to_string())},
      {"ids",
       fmt::format("{} nodes as random sign vectors of dimension {}, 2 more for absent keys and queries",
                   routing.nodes(), kIdDimension)},
      {"gather", fmt::format("layer 0: N = {} words to {} machines, 1 head of value dimension b = {}; step 1",
                             shape.n, shape.input_machines(), shape.block_words)},
      {"spread", fmt::format("D = {} layers a round to random intermediates, {} heads", digits, radices)},
      {"collect",
       fmt::format("D = {} layers a round to the destinations, then the next step; {} layers for R = {}",
                   digits, 2 * digits * shape.rounds, shape.rounds)},
      {"deliver", fmt::format("layer {}: {} outputs to their tokens, 1 head of value dimension 2b + 1 = {}",
                              1 + 2 * digits * shape.rounds, shape.outputs, 2 * shape.block_words + 1)}};
}

}  // namespace roundtrip::simulate
