// Construction 4b. Row of token u < q' (node u) between layers: columns 0..2 RowFault of machine u; column 3
// the flag; then the bundles that the next layer sends, bundle h for the partner at offset h: slot i of
// bundle h is the pair of columns 4 + 2 (h C_t + i): code = 1 + destination + n_d (source + q * sequence),
// word. Code 0: empty. Never compacted. After the last routing layer the row of machine i holds its b outputs
// instead: 4 + 2 j = present, 5 + 2 j = word.
#include "roundtrip/simulate/compile/routed.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <string_view>
#include <utility>

#include "roundtrip/anna/attention/identity.h"
#include "roundtrip/base/divider.h"
#include "roundtrip/base/error.h"
#include "roundtrip/base/fault.h"
#include "roundtrip/base/random.h"
#include "roundtrip/simulate/compile/digits.h"
#include "roundtrip/simulate/compile/gather.h"
#include "roundtrip/simulate/compile/machine.h"

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

constexpr std::string_view kDigitsOption = "digits";
constexpr std::string_view kRoutingOption = "routing";

/// The number of a slot that holds a word: whose word it is and where it goes, 1 + destination + n_d (source
/// + q * sequence) with n_d = max(q', outputs).
class SlotCodes {
 public:
  SlotCodes(std::uint64_t destinations, std::uint64_t machines)
      : by_destinations_(destinations), by_machines_(machines) {}
  struct Address {
    std::uint64_t source, sequence, destination;  ///< a machine, or in round R an output index
  };
  std::uint64_t code(std::uint64_t source, std::uint64_t sequence, std::uint64_t destination) const {
    return 1 + destination + by_destinations_.divisor() * (source + by_machines_.divisor() * sequence);
  }
  Address address(std::uint64_t code) const {
    const std::uint64_t number = code - 1, from = by_destinations_(number), sequence = by_machines_(from);
    return {from - by_machines_.divisor() * sequence, sequence, number - by_destinations_.divisor() * from};
  }

 private:
  Divider by_destinations_, by_machines_;
};

/// What all layers of one transformer share: fixed before any input.
struct Common {
  std::shared_ptr<const mpc::Protocol> protocol;
  mpc::Shape shape;
  DigitRouting routing;
  bool dealt;  ///< intermediates are, not drawn
  std::uint64_t seed;
  std::shared_ptr<const anna::Codebook> codebook;  // ids of the nodes, then the null key and the null query
  SlotCodes codes;

  Symbol null_key() const { return routing.nodes(); }
  Symbol null_query() const { return routing.nodes() + 1; }
  /// The node that a word goes to in the first half of a round. Any node can compute it from the slot.
  std::uint64_t intermediate(std::uint64_t source, std::uint64_t sequence, std::uint32_t round) const {
    if (seeded("no-intermediate")) return source;
    if (seeded("intermediates-in-turn")) return (source + sequence) % routing.nodes();
    if (seeded("intermediate-of-slot")) source = 0;
    const std::uint64_t among = seeded("intermediates-of-half") ? (routing.nodes() + 1) / 2 : routing.nodes();
    return draw_below(among, seed, Domain::kIntermediate, round, source, sequence);
  }
  /// .. in the second half.
  std::uint64_t machine(std::uint64_t destination, std::uint32_t round) const {
    return round == shape.rounds ? shape.output_machine(destination) : destination;
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
  return kSlotColumns + 2 * routing.radix(digit) * routing.capacity(digit) + seeded("bundle-column");
}

/// A defect: words that reach the next layer by a table of the process, beside the rows.
double* word_beside_bundles(std::uint64_t code) {
  static std::map<std::uint64_t, double> words;
  return seeded("words-beside-bundles") ? &words[code] : nullptr;
}

/// What a node has to say beside its words.
struct Node {
  RowFault fault;
  std::uint8_t flag = kClear;

  void write(RowWriter& out) const {
    write_fault(fault, 0, out);
    if (flag != kClear) out.set(kFlagColumn, flag);
  }
};

/// The words that a node holds, in bundles for its partners in the next layer. The step of a protocol may
/// evaluate another transformer: no step runs while one of these is in use.
class Bundles {
 public:
  Bundles(const Common& common, const Hop& next, std::uint64_t token)
      : common_(common),
        next_(next),
        radix_(common.routing.radix(next.digit)),
        own_digit_(common.routing.digit(token, next.digit)) {
    words_.clear();
    place_.assign(radix_ + 1, 0);
  }

  /// A word for node `target`, with the code of its slot; words of a bundle keep the order in which they
  /// come.
  void add(std::uint64_t code, double word, std::uint64_t target) {
    const std::uint32_t digit = common_.routing.digit(target, next_.digit);
    const std::uint32_t bundle = digit >= own_digit_ ? digit - own_digit_ : digit + radix_ - own_digit_;
    ++place_[bundle + 1];
    if (double* const kept = word_beside_bundles(code)) *kept = std::exchange(word, 0);
    words_.push_back({static_cast<double>(static_cast<std::int64_t>(code)), word, bundle});
  }

  /// The node's row; what does not fit a bundle is dropped and flagged.
  void write(Node& node, RowWriter& out) {
    const std::uint32_t capacity = common_.routing.capacity(next_.digit);
    for (std::uint32_t h = 0; h < radix_; ++h) {
      if (place_[h + 1] > capacity) {
        if (!seeded("overflow-unflagged")) node.flag = std::max(node.flag, kBundleOverflow);
        place_[h + 1] = capacity;
      }
      place_[h + 1] += place_[h];
    }
    node.write(out);
    // place_[h]: where bundle h goes on, among all words that are written; first_[h]: where it began.
    const std::span<Entry> slots = out.append(2 * std::size_t{place_[radix_]});
    first_ = place_;
    for (const Word& word : words_) {
      const std::uint32_t h = word.bundle, at = place_[h];
      if (at == first_[h + 1]) continue;  // full
      ++place_[h];
      const std::uint32_t column = kSlotColumns + 2 * (h * capacity + at - first_[h]);
      slots[2 * std::size_t{at}] = {column, word.code};
      slots[2 * std::size_t{at} + 1] = {column + 1, word.word};
    }
  }

 private:
  struct Word {
    double code, word;
    std::uint32_t bundle;
  };
  const Common& common_;
  const Hop& next_;
  const std::uint32_t radix_, own_digit_;
  struct Buffers {
    std::vector<Word> words;
    std::vector<std::uint32_t> place, first;
  };
  /// Their memory is used again, never what they hold.
  static Buffers& buffers() {
    static thread_local Buffers buffers;
    return buffers;
  }
  std::vector<Word>& words_ = buffers().words;
  std::vector<std::uint32_t>&place_ = buffers().place, &first_ = buffers().first;
};

/// The machine's step and the row of what it sends; a machine that may have missed words does not run, and
/// what it sends is its flag.
void write_step(const Common& common, std::uint32_t round, std::uint64_t token,
                std::vector<Message>& messages, Node& node, RowWriter& out) {
  Stepped stepped;
  if (node.flag == kClear && token < common.shape.machines) {
    stepped = run_step(*common.protocol, round, static_cast<mpc::MachineId>(token), messages);
    node.fault = stepped.fault;
    if (node.fault.kind != FaultKind::kNone) node.flag = kMachineStopped;
  }
  const Hop next = hop_of(1 + (round - 1) * 2 * common.routing.digits(), common.routing.digits());
  Bundles bundles(common, next, token);
  static thread_local std::vector<std::uint32_t> destinations, dealt;  // their memory is used again
  if (common.dealt) {
    destinations.clear();
    for (const OutgoingWord& sent : stepped.sent)
      destinations.push_back(static_cast<std::uint32_t>(common.machine(sent.destination, next.round)));
    dealt.resize(destinations.size());
    deal_words(token, common.routing.nodes(), destinations, dealt);
  }
  std::uint64_t sequence = 0;
  for (const OutgoingWord& sent : stepped.sent) {
    bundles.add(common.codes.code(token, sequence, sent.destination),
                static_cast<double>(static_cast<std::int64_t>(sent.word)),
                common.dealt ? dealt[sequence] : common.intermediate(token, sequence, next.round));
    ++sequence;
  }
  bundles.write(node, out);
}

using RoutedLayer = CompiledLayer<Common>;

/// Pass "gather" (layer 0), as in the direct construction; its output map runs step 1 and fills the first
/// bundles.
class GatherLayer final : public RoutedLayer {
 public:
  using RoutedLayer::CompiledLayer;
  anna::LayerShape shape() const override {
    return gather_shape(common_->shape, common_->codebook->dimension(), bundle_columns(common_->routing, 0));
  }
  void project(const RowView& row, Projection& out) const override {
    project_input(common_->shape, row, out);
  }
  void update(const RowView& row, const HeadOutputs& heads, RowWriter& out) const override {
    if (row.token >= common_->routing.nodes()) return;
    Node node;
    std::vector<Message> messages;
    if (!gather_input(common_->shape, row.token, heads, messages)) {
      node.fault = {FaultKind::kUndecodable, 0, 0};
      node.flag = kMachineStopped;
    }
    write_step(*common_, 1, row.token, messages, node, out);
  }
};

/// Passes "to intermediates" (a round's first D layers) and "to destinations" (its last D). Digit t has k_t
/// heads: in head h node v's key is id(v) and its value the bundle of the partner at offset h; node u asks
/// for the node whose partner at offset h it is. Each query matches one key.
class HopLayer final : public RoutedLayer {
 public:
  HopLayer(std::shared_ptr<const Common> common, std::uint32_t number)
      : RoutedLayer(std::move(common)),
        hop_(hop_of(number, common_->routing.digits())),
        next_(hop_of(number + 1, common_->routing.digits())) {}
  anna::LayerShape shape() const override {
    const DigitRouting& routing = common_->routing;
    return {.heads = routing.radix(hop_.digit),
            .query_dimension = common_->codebook->dimension(),
            .value_dimension = 2 * routing.capacity(hop_.digit) + 1,
            .output_dimension =
                delivers() ? kSlotColumns + 2 * static_cast<std::uint32_t>(common_->shape.block_words)
                           : bundle_columns(routing, next_.digit)};
  }
  void project(const RowView& row, Projection& out) const override {
    const DigitRouting& routing = common_->routing;
    if (row.token >= routing.nodes()) return;
    const std::uint32_t radix = routing.radix(hop_.digit);
    static thread_local std::vector<Symbol> asked;  // its memory is used again
    asked.resize(radix);
    routing.for_each_partner(row.token, hop_.digit, [&](std::uint32_t offset, std::uint64_t partner) {
      asked[offset == 0 ? 0 : radix - offset] = partner;
    });
    out.queries(asked);
    out.keys(radix, row.token);
    const std::uint32_t head_columns = 2 * routing.capacity(hop_.digit);
    const Entry* at = row.entries.data();
    const Entry* const end = at + row.entries.size();
    double flag = 0;
    for (; at != end && at->column < kSlotColumns; ++at)
      if (at->column == kFlagColumn) flag = at->value;
    for (std::uint32_t h = 0, first = kSlotColumns; at != end; ++h, first += head_columns) {
      const Entry* const bundle = at;
      while (at != end && at->column < first + head_columns) ++at;
      if (at != bundle) out.values(h, {bundle, at}, first);
    }
    if (flag != 0) {
      for (std::uint32_t h = 0; h < (seeded("flag-in-one-bundle") ? 1 : radix); ++h)
        out.value(h, head_columns, flag);
    }
  }
  void update(const RowView& row, const HeadOutputs& heads, RowWriter& out) const override {
    if (row.token >= common_->routing.nodes()) return;
    Node node;
    node.fault = read_fault(row, 0);  // its own flag comes with its own bundle, head 0
    if (!hop_.last_of_round) {
      Bundles bundles(*common_, next_, row.token);
      if (next_.to_intermediate) {
        receive(heads, node, [&](std::uint64_t code, double word) {
          const SlotCodes::Address address = common_->codes.address(code);
          bundles.add(code, word, common_->intermediate(address.source, address.sequence, next_.round));
        });
      } else {
        receive(heads, node, [&](std::uint64_t code, double word) {
          bundles.add(code, word, common_->machine(common_->codes.address(code).destination, next_.round));
        });
      }
      return bundles.write(node, out);
    }
    if (delivers()) return write_outputs(row.token, heads, node, out);
    std::vector<Message> messages;
    messages.reserve(common_->shape.memory_words);  // what a node holds on average at most
    receive(heads, node, [&](std::uint64_t code, double word) {
      const SlotCodes::Address address = common_->codes.address(code);
      require_mine(row.token, address);
      messages.push_back({static_cast<std::uint32_t>(address.source),
                          static_cast<std::uint32_t>(address.sequence),
                          static_cast<mpc::Word>(static_cast<std::int64_t>(word))});
    });
    write_step(*common_, hop_.round + 1, row.token, messages, node, out);
  }

 private:
  bool delivers() const { return hop_.last_of_round && hop_.round == common_->shape.rounds; }

  void require_mine(std::uint64_t token, const SlotCodes::Address& address) const {
    const std::uint64_t machine = common_->machine(address.destination, hop_.round);
    require(machine == token, "token {} holds a word for machine {} at the end of round {}", token, machine,
            hop_.round);
  }

  [[noreturn]] static void refuse_slot(double code, double word) {
    throw ContractError(fmt::format("a slot holds code {} and word {}", code, word));
  }
  /// Calls visit(code, word) for the slots that came; notes flags.
  template <typename Visit>
  void receive(const HeadOutputs& heads, Node& node, const Visit& visit) const {
    const std::uint32_t flag_column = 2 * common_->routing.capacity(hop_.digit);
    for (const std::uint32_t h : heads.nonzero_heads()) {
      const anna::EntryView entries = heads.head(h);
      for (std::size_t i = 0; i < entries.size();) {
        const auto [column, value] = entries[i++];
        if (column == flag_column) {
          if (seeded("flag-lost")) continue;
          node.flag = std::max(node.flag, value == 1 ? kBundleOverflow : kMachineStopped);
        } else if (column % 2 == 0) {
          double word = 0;
          if (i < entries.size() && entries[i].column == column + 1) word = entries[i++].value;
          const bool in_range = value >= 1 && value < 0x1p53 && word >= 0 && word < 0x1p48;
          const std::int64_t code = in_range ? static_cast<std::int64_t>(value) : 0;
          if (!in_range || static_cast<double>(code) != value) refuse_slot(value, word);
          const double* const kept = word_beside_bundles(static_cast<std::uint64_t>(code));
          visit(static_cast<std::uint64_t>(code), kept != nullptr ? *kept : word);
        }
      }
    }
  }

  /// The machine's outputs, by index within its block; an index delivered twice is present twice.
  void write_outputs(std::uint64_t token, const HeadOutputs& heads, Node& node, RowWriter& out) const {
    std::vector<std::pair<std::uint32_t, mpc::Word>> block(common_->shape.block_words);
    receive(heads, node, [&](std::uint64_t code, double word) {
      const SlotCodes::Address address = common_->codes.address(code);
      require_mine(token, address);
      auto& [present, value] = block[address.destination % common_->shape.block_words];
      ++present;
      value = static_cast<mpc::Word>(word);
    });
    node.write(out);
    for (std::uint32_t j = 0; j < block.size(); ++j) {
      if (block[j].first == 0) continue;
      out.set(kSlotColumns + 2 * j, block[j].first);
      out.set(kSlotColumns + 2 * j + 1, static_cast<double>(block[j].second));
    }
  }

  const Hop hop_, next_;
};

/// Pass "deliver" (the last layer): one head, key = own id, value = (present, word) of the machine's b
/// outputs and its flag; output t asks for machine t div b.
class DeliverLayer final : public RoutedLayer {
 public:
  using RoutedLayer::CompiledLayer;
  anna::LayerShape shape() const override {
    return {.heads = 1,
            .query_dimension = common_->codebook->dimension(),
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
    const anna::EntryView block = heads.head(0);
    const double present = block.value(own), word = block.value(own + 1), flag = block.value(flag_column());
    FaultKind kind = FaultKind::kNone;
    if (present != 1) kind = present == 0 ? FaultKind::kMissingOutput : FaultKind::kDuplicateOutput;
    if (flag != 0) kind = flag == kBundleOverflow ? FaultKind::kOverflow : FaultKind::kElsewhere;
    if (kind != FaultKind::kNone) return out.set(kOutputFaultColumn, static_cast<double>(kind));
    out.set(kPresentColumn, 1);
    out.set(kWordColumn, word);
  }
};

void require_servable(const mpc::Shape& shape, const DigitRouting& routing, const std::string& name) {
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

/// The passes, by the order of their layers.
enum PassIndex : std::size_t {
  kDigits,
  kCapacities,
  kIds,
  kGather,
  kToIntermediates,
  kToDestinations,
  kDeliver
};

class Routed final : public Construction {
 public:
  Routed(const mpc::Shape& shape, const CompileOptions& options)
      : shape_(shape), options_(options), plan_(plan_intermediates(shape, options)), routing_(plan_.digits) {
    require_servable(shape, routing_, options.name);
  }

  TransformerSizes sizes() const override {
    TransformerSizes sizes;
    sizes.depth = 2 + 2ull * routing_.digits() * shape_.rounds;
    const std::uint64_t ids = id_dimension(options_.ids, routing_.nodes() + 2);
    sizes.query_dimension = ids;
    sizes.value_dimension = 2 * shape_.block_words + 1;
    sizes.embedding_dimension =
        std::max<std::uint64_t>(kSlotColumns + 2 * shape_.block_words, kOutputDimension);
    sizes.width = std::max(ids, 2 * shape_.block_words + 1);
    for (std::uint32_t t = 0; t < routing_.digits(); ++t) {
      const std::uint64_t k = routing_.radix(t), c = routing_.capacity(t);
      sizes.heads = std::max(sizes.heads, k);
      sizes.value_dimension = std::max(sizes.value_dimension, 2 * c + 1);
      sizes.embedding_dimension = std::max(sizes.embedding_dimension, kSlotColumns + 2 * k * c);
      sizes.width = std::max(sizes.width, k * std::max(2 * c + 1, ids));
    }
    return sizes;
  }

  LayerLoad load() const override {
    const std::uint64_t sent = std::uint64_t{shape_.machines} * shape_.memory_words;
    std::uint64_t heads = 0;
    for (std::uint32_t t = 0; t < routing_.digits(); ++t)
      heads = std::max<std::uint64_t>(heads, routing_.radix(t));
    return {
        .tokens = tokens(),
        // All words in flight, whichever node holds them: code and word, in values and in head outputs.
        .entries = std::max({2 * 2 * sent, 2 * 2 * shape_.outputs, 2 * shape_.n}),
        .points = std::max({2 * routing_.nodes() * heads, shape_.outputs + shape_.machines, 2 * shape_.n}),
        .array_entries = 2 * sent + kSlotColumns * routing_.nodes()};
  }

  std::vector<Pass> passes() const override;

  std::vector<LayerRole> layers() const override {
    const std::uint32_t digits = routing_.digits();
    std::vector<LayerRole> layers{{.pass = kGather}};
    for (std::uint32_t l = 1; l <= 2 * digits * shape_.rounds; ++l) {
      const Hop hop = hop_of(l, digits);
      layers.push_back({.pass = hop.to_intermediate ? kToIntermediates : kToDestinations,
                        .part = fmt::format("digit {} of {}", hop.digit + 1, digits),
                        .round = hop.round,
                        .arrival = hop.last_of_round ? Arrival::kMachine : Arrival::kOnTheWay});
    }
    layers.push_back({.pass = kDeliver, .round = shape_.rounds, .arrival = Arrival::kOutput});
    return layers;
  }

  std::vector<WordInRow> words(const RowView& row) const override {
    std::vector<WordInRow> words;
    for (std::size_t i = 0; i < row.entries.size(); ++i) {
      const Entry& entry = row.entries[i];
      if (entry.column < kSlotColumns || entry.column % 2 != 0 || !(entry.value >= 1 && entry.value < 0x1p53))
        continue;
      const bool has_word = i + 1 < row.entries.size() && row.entries[i + 1].column == entry.column + 1;
      const SlotCodes::Address address = codes_.address(static_cast<std::uint64_t>(entry.value));
      words.push_back({row.token, address.source, address.sequence, address.destination,
                       has_word ? row.entries[i + 1].value : 0});
    }
    return words;
  }

  bool carries(std::size_t layer, anna::EntryView average, const WordInRow& word) const override {
    if (layer == 1 + 2 * std::size_t{routing_.digits()} * shape_.rounds) {
      const auto slot = static_cast<std::uint32_t>(2 * (word.destination % shape_.block_words));
      return average.value(slot) == 1 && average.value(slot + 1) == word.word;
    }
    const auto code = static_cast<double>(codes_.code(word.source, word.sequence, word.destination));
    const std::uint32_t flag_column =
        2 * routing_.capacity(hop_of(static_cast<std::uint32_t>(layer), routing_.digits()).digit);
    for (const Entry& entry : average) {
      if (entry.column < flag_column && entry.column % 2 == 0 && entry.value == code)
        return average.value(entry.column + 1) == word.word;
    }
    return false;
  }

  std::optional<std::uint64_t> chosen(std::string_view option) const override {
    if (option == kDigitsOption) return routing_.digits();
    if (option == ids_option().name) return static_cast<std::uint64_t>(options_.ids);
    if (option == kRoutingOption)
      return static_cast<std::uint64_t>(plan_.dealt ? Intermediates::kDealt : Intermediates::kRandom);
    return std::nullopt;
  }

  anna::Transformer compile(std::shared_ptr<const mpc::Protocol> protocol) const override {
    const std::uint64_t nodes = routing_.nodes();
    const auto common = std::make_shared<const Common>(
        Common{std::move(protocol), shape_, routing_, plan_.dealt, options_.seed,
               make_ids(options_.ids, nodes + 2, nodes, options_.seed), codes_});
    anna::Transformer transformer;
    transformer.tokens = tokens();
    transformer.input_dimension = 2;
    transformer.layers.push_back(std::make_shared<GatherLayer>(common));
    for (std::uint32_t l = 1; l <= 2 * routing_.digits() * shape_.rounds; ++l)
      transformer.layers.push_back(std::make_shared<HopLayer>(common, l));
    transformer.layers.push_back(std::make_shared<DeliverLayer>(common));
    return transformer;
  }

 private:
  std::uint64_t tokens() const {
    return tokens_with_ids(options_.ids, std::max({shape_.n, routing_.nodes(), shape_.outputs}));
  }

  const mpc::Shape shape_;
  const CompileOptions options_;
  const RoutingPlan plan_;
  const DigitRouting& routing_;
  const SlotCodes codes_{std::max(routing_.nodes(), shape_.outputs), shape_.machines};
};

std::vector<Pass> Routed::passes() const {
  const std::uint32_t digits = routing_.digits();
  std::string radices, capacities;
  for (std::uint32_t t = 0; t < digits; ++t) {
    radices += fmt::format("{}{}", t == 0 ? "" : " x ", routing_.radix(t));
    capacities += fmt::format("{}{}", t == 0 ? "" : ", ", routing_.capacity(t));
  }
  const bool bounded = !specific_options<RoutedOptions>(options_).capacities;
  const std::string slots =
      "Words are in slots of two numbers, the first of which says where the word goes. One key matched, so "
      "the average is what its token wrote.";
  std::vector<Pass> passes(kDeliver + 1);
  passes[kDigits] = {.name = "digits",
                     .effect = fmt::format("D = {}: q' = {} = {} nodes for q = {} machines", digits, radices,
                                           routing_.nodes(), shape_.machines)};
  passes[kCapacities] = {
      .name = "capacities",
      .effect =
          plan_.dealt && bounded
              ? fmt::format(
                    "C = floor(s / q) + q - 1 = {} words a bundle (s = {}), which no traffic exceeds; {}",
                    capacities, shape_.memory_words, plan_.reason)
              : fmt::format(
                    "C_t = {} words a bundle (mean at most s / k_t, s = {}), overflow probability {}{}",
                    capacities, shape_.memory_words,
                    bounded ? "at most " + options_.eta.to_string() : "not bounded",
                    plan_.reason.empty() ? "" : "; " + plan_.reason)};
  passes[kIds] = {.name = "ids",
                  .effect = fmt::format("{} nodes as {}, 2 more for absent keys and queries",
                                        routing_.nodes(), describe_ids(options_.ids, routing_.nodes() + 2))};
  passes[kGather] = gather_pass(shape_);
  passes[kToIntermediates] = {
      .name = "to intermediates",
      .effect = fmt::format("D = {} layers a round to {} intermediates, {} heads", digits,
                            plan_.dealt ? "dealt" : "random", radices),
      .caption =
          plan_.dealt
              ? "No machine sends a word to its destination at once. It deals its words, ordered by destination, "
                "to all machines in turn. So few words of a sender for one machine meet."
              : "No machine sends a word to its destination at once. Digit by digit, the word first goes to an "
                "intermediate that chance picks. So a layer needs only as many heads as a digit has values.",
      .averages = slots};
  passes[kToDestinations] = {
      .name = "to destinations",
      .effect =
          fmt::format("D = {} layers a round to the destinations, then the next step; {} layers for R = {}",
                      digits, 2 * digits * shape_.rounds, shape_.rounds),
      .caption = "Digit by digit, every word goes on from its intermediate to its destination.",
      .averages = slots};
  passes[kDeliver] = {
      .name = "deliver",
      .effect = fmt::format("layer {}: {} outputs to their tokens, 1 head of value dimension 2b + 1 = {}",
                            1 + 2 * digits * shape_.rounds, shape_.outputs, 2 * shape_.block_words + 1),
      .caption = "The answer: token t asks for the id of the machine that has output t and takes its word.",
      .averages =
          "Output j of the machine's block is number 2j, which is 1 if the output is there, and number "
          "2j + 1, its word."};
  return passes;
}

constexpr std::uint64_t kMaxDigits = 64;

}  // namespace

RoutingPlan plan_intermediates(const mpc::Shape& shape, const CompileOptions& options) {
  const auto own = specific_options<RoutedOptions>(options);
  const std::vector<std::uint32_t> radices =
      choose_radices(shape.machines, choose_digits(shape, options.delta, own.digits));
  const bool one_digit = radices.size() == 1;
  require(own.intermediates != Intermediates::kDealt || one_digit,
          "{}: routing is deterministic with D = {} digits, allowed with 1", options.name, radices.size());
  const auto random = [&] {
    return own.capacities ? *own.capacities : choose_capacities(shape, radices, options.eta);
  };
  if (!one_digit || own.intermediates == Intermediates::kRandom) return {{radices, random()}, false, ""};
  const std::uint32_t dealt = dealt_capacity(shape.memory_words, shape.machines);
  if (own.intermediates == Intermediates::kDealt)
    return {{radices, own.capacities.value_or(std::vector{dealt})}, true, "as asked for"};
  if (own.capacities) return {{radices, random()}, false, ""};
  const auto width = [&](std::uint32_t capacity) {
    return radices[0] * std::max<std::uint64_t>(2 * std::uint64_t{capacity} + 1,
                                                id_dimension(options.ids, shape.machines + 2));
  };
  const std::vector<std::uint32_t> drawn = random();
  const std::uint64_t width_dealt = width(dealt), width_drawn = width(drawn[0]);
  if (width_dealt < width_drawn)
    return {{radices, {dealt}},
            true,
            fmt::format("narrower than random ones: {} < {}", width_dealt, width_drawn)};
  return {{radices, drawn}, false, fmt::format("dealt ones would take width {}", width_dealt)};
}

DigitRouting plan_routing(const mpc::Shape& shape, const CompileOptions& options) {
  return plan_intermediates(shape, options).digits;
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

const ConstructionInfo& routed_construction() {
  static const ConstructionInfo info{
      .name = "routed",
      .summary = "depth 2 + 2 D R, less width",
      .card = R"(Problem:   the transformer of an R-round MPC protocol, within the theorem's width.
Guarantee: for every fixed input the outputs are exact with probability >= 1 - eta over the intermediates; with
           certainty, for all inputs, if words are dealt to these, not drawn (D = 1, `deterministic`). Otherwise,
           and whenever the protocol breaks its model, every output that a lost word could have reached reports a
           fault. Each query matches exactly one key: exact-match attention, or one ANNA table that tells the ids
           apart.
Cost:      L = 2 + 2 D R; H = max k_t; m = max(2 C_t + 1, 2 b + 1, 128 or log2 q' with short ids). H m is O(s log N) with D = 1, and O(s
           N^delta) with a delta; dealt, C = floor(s / q) + q - 1, so H m <= 2 s + 2 q^2 from m = 128 on, O(s) if
           q^2 is O(s), which eps >= 2/3 makes it.
Source:    Liu, Yu, Sanford, Andoni, Hsu 2025, Theorem 4.1 (L = O(R), H m = O(N^(eps + delta))); routing after
           Valiant 1982, "A scheme for fast parallel communication". H = k_t, not the paper's O(N^(delta /
           4)). Dealing in two phases after Bader, Helman, JaJa 1996, "Practical parallel algorithms for
           personalized communication and integer sorting"; the bound and that it is tight are ours.
Requires:  word_bits <= 48, q' < 2^24, max(q', outputs) q s < 2^52.)",
      .version = "2",
      .options =
          {{.name = std::string(kDigitsOption),
            .value_name = "D",
            .help = "digits of a machine's address (default: from delta, else 1 if q <= s)",
            .least = 1,
            .most = kMaxDigits,
            .set =
                [](CompileOptions& options, std::uint64_t value) {
                  auto own = specific_options<RoutedOptions>(options);
                  own.digits = static_cast<std::uint32_t>(value);
                  options.specific = own;
                },
            .given = [](const CompileOptions& options) -> std::optional<std::uint64_t> {
              return specific_options<RoutedOptions>(options).digits;
            }},
           {.name = std::string(kRoutingOption),
            .value_name = "NAME",
            .help =
                "intermediates: auto (default: whichever is narrower), random, or deterministic (1 digit)",
            .least = 0,
            .most = 2,
            .names = {"auto", "random", "deterministic"},
            .set =
                [](CompileOptions& options, std::uint64_t value) {
                  auto own = specific_options<RoutedOptions>(options);
                  own.intermediates = static_cast<Intermediates>(value);
                  options.specific = own;
                },
            .given = [](const CompileOptions& options) -> std::optional<std::uint64_t> {
              const Intermediates asked = specific_options<RoutedOptions>(options).intermediates;
              if (asked == Intermediates::kAutomatic) return std::nullopt;
              return static_cast<std::uint64_t>(asked);
            }},
           ids_option()},
      .make = [](const mpc::Shape& shape, const CompileOptions& options)
          -> std::unique_ptr<const Construction> { return std::make_unique<Routed>(shape, options); }};
  return info;
}

}  // namespace roundtrip::simulate
