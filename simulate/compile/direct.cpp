// Construction 4a. Glossary: N' tokens, q machines, s memory words, b block words, R rounds, H heads, h head
// = index of a word in its sender's list, D value dimension of the packet code.
//
// Construction 4c is the same but for the heads of words: word h of machine j in round r is in head
// (h + b(j, r)) mod s, b(j, r) drawn before the input. Of a sender's words two never share a head, and each is in any
// head with probability 1/s, so a head at a machine expects one packet, however its inbox came about.
//
// Row of token i < q between layers (machine i): columns 0..2 RowFault (kind, round, used), zero if none;
// then for each outgoing word h: column 3 + 2h = 1 + destination, column 4 + 2h = word. Other tokens' rows
// are zero.
#include "roundtrip/simulate/compile/direct.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "roundtrip/anna/attention/identity.h"
#include "roundtrip/base/error.h"
#include "roundtrip/base/fault.h"
#include "roundtrip/base/random.h"
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

constexpr std::uint32_t kFaultColumns = 3;
constexpr std::uint32_t kDeliveryColumns = 4;  // (1, source, source^2, word)
constexpr std::uint64_t kSpareSymbols = 3;     // null key, null query, alarm

/// What all layers of one transformer share: fixed before any input.
struct Common {
  std::shared_ptr<const mpc::Protocol> protocol;
  mpc::Shape shape;
  PacketCoder coder;
  std::shared_ptr<const anna::Codebook> codebook;
  std::optional<std::uint64_t> shifts;  ///< the seed that draws them, if words are scattered

  // Symbols: ids 0 .. ids-1, then the three below.
  std::uint64_t ids() const { return codebook->size() - kSpareSymbols; }
  Symbol null_key() const { return ids(); }
  Symbol null_query() const { return ids() + 1; }
  Symbol alarm() const { return ids() + 2; }
  std::uint32_t slots() const { return static_cast<std::uint32_t>(shape.memory_words); }
  /// The head of a machine's word number h in a layer of "route", and back.
  std::uint32_t head_of(std::uint32_t h, std::uint64_t source, std::uint32_t round) const {
    return (h + shift(source, round)) % slots();
  }
  std::uint32_t sequence_of(std::uint32_t head, std::uint64_t source, std::uint32_t round) const {
    return (head + slots() - shift(source, round)) % slots();
  }
  std::uint32_t shift(std::uint64_t source, std::uint32_t round) const {
    if (!shifts || seeded("shift-of-none")) return 0;
    if (seeded("shift-of-all")) source = 0;
    return static_cast<std::uint32_t>(draw_below(slots(), *shifts, Domain::kScatter, round, source));
  }
  std::uint32_t row_dimension() const {
    return kFaultColumns + 2 * slots() + (seeded("wide-rows") ? 4000000 : 0);
  }
};

/// A defect: words that reach the next layer by a table of the process, beside the rows.
double* word_beside_rows(std::uint64_t token, std::uint32_t h) {
  static std::map<std::pair<std::uint64_t, std::uint32_t>, double> words;
  return seeded("words-beside-rows") ? &words[{token, h}] : nullptr;
}

/// A defect: words that pass from a layer's projections to its updates by a table, attention carrying zeros.
mpc::Word* word_beside_heads(std::uint64_t token, std::uint32_t h) {
  static std::map<std::pair<std::uint64_t, std::uint32_t>, mpc::Word> words;
  return seeded("words-beside-heads") ? &words[{token, h}] : nullptr;
}

/// The machine's step on what it received, written as its next row.
void write_step(const Common& common, std::uint32_t round, std::uint64_t token,
                std::vector<Message>& messages, RowWriter& out) {
  const Stepped stepped = run_step(*common.protocol, round, static_cast<mpc::MachineId>(token), messages);
  if (stepped.fault.kind != FaultKind::kNone) return write_fault(stepped.fault, 0, out);
  for (std::uint32_t h = 0; h < stepped.sent.size(); ++h) {
    out.set(kFaultColumns + 2 * h, 1.0 + stepped.sent[h].destination);
    out.set(kFaultColumns + 2 * h + 1, static_cast<double>(stepped.sent[h].word));
    if (double* const word = word_beside_rows(token, h)) *word = static_cast<double>(stepped.sent[h].word);
  }
}

/// Calls each(h, destination, word) for the outgoing words of a row.
template <typename Each>
void for_each_outgoing(const RowView& row, const Each& each) {
  for (std::size_t i = 0; i < row.entries.size(); ++i) {
    const Entry& entry = row.entries[i];
    if (entry.column < kFaultColumns || (entry.column - kFaultColumns) % 2 != 0) continue;
    require(entry.value >= 1 && entry.value <= 0x1p32, "token {}, column {}: {} is not 1 + a destination",
            row.token, entry.column, entry.value);
    const bool has_word = i + 1 < row.entries.size() && row.entries[i + 1].column == entry.column + 1;
    double word = has_word ? row.entries[i + 1].value : 0;
    if (const double* const kept = word_beside_rows(row.token, (entry.column - kFaultColumns) / 2))
      word = *kept;
    require(word >= 0 && word < 0x1p48, "token {}, column {}: {} is not a word", row.token, entry.column + 1,
            word);
    each((entry.column - kFaultColumns) / 2, static_cast<std::uint32_t>(entry.value - 1),
         static_cast<mpc::Word>(word));
  }
}

using DirectLayer = CompiledLayer<Common>;

/// Pass "gather" (layer 0): see gather.h; its output map runs step 1.
class GatherLayer final : public DirectLayer {
 public:
  using DirectLayer::CompiledLayer;
  anna::LayerShape shape() const override {
    return gather_shape(common_->shape, common_->codebook->dimension(), common_->row_dimension());
  }
  void project(const RowView& row, Projection& out) const override {
    project_input(common_->shape, row, out);
  }
  void update(const RowView& row, const HeadOutputs& heads, RowWriter& out) const override {
    if (row.token >= common_->shape.machines) return;
    std::vector<Message> messages;
    if (!gather_input(common_->shape, row.token, heads, messages)) {
      return write_fault({FaultKind::kUndecodable, 0, 0}, 0, out);
    }
    write_step(*common_, 1, row.token, messages, out);
  }
};

/// Pass "route" (layers 1 .. R-1): layer r carries round r's words and runs step r + 1. s heads: the head of a machine's
/// h-th outgoing word has key id(destination) and the packet (source, word); every machine asks for its own id.
class RouteLayer final : public DirectLayer {
 public:
  RouteLayer(std::shared_ptr<const Common> common, std::uint32_t round)
      : DirectLayer(std::move(common)), round_(round) {}
  anna::LayerShape shape() const override {
    return {.heads = common_->slots(),
            .query_dimension = common_->codebook->dimension(),
            .value_dimension = common_->coder.value_dimension(),
            .output_dimension = common_->row_dimension()};
  }
  void project(const RowView& row, Projection& out) const override {
    if (row.token >= common_->shape.machines) return;
    for (std::uint32_t h = 0; h < common_->slots(); ++h) out.query(h, row.token);
    for_each_outgoing(row, [&](std::uint32_t h, std::uint32_t destination, mpc::Word word) {
      const std::uint32_t head = common_->head_of(h, row.token, round_);
      out.key(head, destination);
      if (mpc::Word* const kept = word_beside_heads(row.token, h)) *kept = std::exchange(word, 0);
      common_->coder.encode(static_cast<std::uint32_t>(row.token), word,
                            [&](std::uint32_t column, double value) { out.value(head, column, value); });
    });
  }
  void update(const RowView& row, const HeadOutputs& heads, RowWriter& out) const override {
    if (row.token >= common_->shape.machines) return;
    if (const RowFault fault = read_fault(row, 0); fault.kind != FaultKind::kNone)
      return write_fault(fault, 0, out);
    std::vector<Message> messages;
    std::vector<Packet> packets;
    for (const std::uint32_t h : heads.nonzero_heads()) {
      packets.clear();
      switch (common_->coder.decode(heads.head(h), packets)) {
        case DecodeError::kNone:
          break;
        case DecodeError::kOverload:  // without shifts, more than min(s, q) packets in one head alone
          return write_fault(
              overflows() ? RowFault{FaultKind::kOverflow, round_, 0}
                          : RowFault{FaultKind::kWordsReceived, round_, common_->shape.memory_words + 1},
              0, out);
        case DecodeError::kUndecodable:
          return write_fault({overflows() ? FaultKind::kOverflow : FaultKind::kUndecodable, round_, 0}, 0,
                             out);
      }
      for (const Packet& packet : packets) {
        const std::uint32_t sequence = common_->sequence_of(h, packet.source, round_);
        const mpc::Word* const kept = word_beside_heads(packet.source, sequence);
        messages.push_back({packet.source, sequence, kept != nullptr ? *kept : packet.word});
      }
    }
    write_step(*common_, round_ + 1, row.token, messages, out);
  }

 private:
  /// Whether more packets than the code tells apart may meet within the model. None of them need be alone in a slot then,
  /// so that their count cannot always be read.
  bool overflows() const {
    return common_->coder.max_sources() < std::min<std::uint64_t>(common_->shape.machines, common_->slots());
  }
  std::uint32_t round_;
};

/// Pass "deliver" (layer R): head h < s carries each machine's h-th output word with key id(output index) and
/// value (1, source, source^2, word); output t asks for id(t) in all of them and must find exactly one word,
/// from one source: two machines that deliver the same index in the same head have ids of positive variance.
/// Head s is the warning: a machine that stopped has the warning key, and every output asks for it, since
/// what it did not get may have hung on it. Its value is (1, 0), or (0, 1) if only a head was too full for it.
class DeliverLayer final : public DirectLayer {
 public:
  using DirectLayer::CompiledLayer;
  anna::LayerShape shape() const override {
    return {.heads = common_->slots() + 1 + seeded("head-too-many"),
            .query_dimension = common_->codebook->dimension(),
            .value_dimension = kDeliveryColumns,
            .output_dimension = kOutputDimension};
  }
  void project(const RowView& row, Projection& out) const override {
    if (row.token < common_->shape.outputs) {
      for (std::uint32_t h = 0; h < common_->slots(); ++h) out.query(h, row.token);
      out.query(common_->slots(), common_->alarm());
    }
    if (row.token >= common_->shape.machines) return;
    if (const RowFault fault = read_fault(row, 0); fault.kind != FaultKind::kNone) {
      out.key(common_->slots(), common_->alarm());
      out.value(common_->slots(), fault.kind == FaultKind::kOverflow ? 1 : 0, 1);
      return;
    }
    const auto source = static_cast<double>(row.token);
    for_each_outgoing(row, [&](std::uint32_t h, std::uint32_t output, mpc::Word word) {
      out.key(h, output);
      out.value(h, 0, 1);
      out.value(h, 1, source);
      out.value(h, 2, source * source);
      out.value(h, 3, static_cast<double>(word));
    });
  }
  void update(const RowView& row, const HeadOutputs& heads, RowWriter& out) const override {
    if (row.token < common_->shape.outputs) write_output(heads, out);
    keep_machine_fault(common_->shape, row, out);
  }

 private:
  void write_output(const HeadOutputs& heads, RowWriter& out) const {
    const auto fail = [&](FaultKind kind) { out.set(kOutputFaultColumn, static_cast<double>(kind)); };
    const auto found = heads.nonzero_heads();
    if (!found.empty() && found.back() == common_->slots()) {
      const bool stopped = heads.head(common_->slots()).value(0) != 0;
      return fail(stopped ? FaultKind::kElsewhere : FaultKind::kOverflow);
    }
    if (found.empty()) return fail(FaultKind::kMissingOutput);
    if (found.size() > 1) return fail(FaultKind::kDuplicateOutput);
    double field[kDeliveryColumns] = {0, 0, 0, 0};
    for (const Entry& entry : heads.head(found.front())) field[entry.column] = entry.value;
    // All that match this id have indicator 1, so it is 1 or the head is not of this construction.
    if (field[0] != 1) return fail(FaultKind::kUndecodable);
    // One source: id and id^2 < 2^48 exact. Several: variance >= 1/4; mean(j^2) errs by at most 2^-5,
    // mean(j)^2 by 2^-4.
    if (std::abs(field[2] - field[1] * field[1]) >= 1.0 / 8) return fail(FaultKind::kDuplicateOutput);
    out.set(kPresentColumn, 1);
    out.set(kWordColumn, field[3]);
  }
};

std::uint64_t ids_of(const mpc::Shape& shape) {
  return std::max<std::uint64_t>(shape.machines, shape.outputs);
}

void require_servable(const mpc::Shape& shape, const std::string& name) {
  require_compilable(shape, name);
  require(shape.memory_words < (1u << 30),
          "{}: this construction needs a head for each of s = {} words, at most {}", name, shape.memory_words,
          (1u << 30) - 1);
  require(ids_of(shape) + kSpareSymbols <= anna::IdentityCodebook::kMaxSize,
          "{}: this construction has ids for at most {} machines and outputs; this protocol has {} and {}",
          name, anna::IdentityCodebook::kMaxSize - kSpareSymbols, shape.machines, shape.outputs);
}

/// The passes, by the order of their layers.
enum PassIndex : std::size_t { kIds, kPacketCode, kGather, kRoute, kDeliver };

class Direct final : public Construction {
 public:
  Direct(const mpc::Shape& shape, const CompileOptions& options, std::optional<std::uint64_t> load)
      : shape_(shape),
        options_(options),
        scattered_(load.has_value()),
        coder_(make_coder(shape, options, load)) {}

  TransformerSizes sizes() const override {
    const std::uint64_t s = shape_.memory_words;
    TransformerSizes sizes;
    sizes.depth = shape_.rounds + 1;
    sizes.heads = s + 1;
    const std::uint64_t ids = id_dimension(options_.ids, symbols());
    sizes.query_dimension = ids;
    sizes.value_dimension = std::max<std::uint64_t>(shape_.block_words, kDeliveryColumns);
    sizes.embedding_dimension = std::max<std::uint64_t>(2 * s + kFaultColumns, kOutputDimension);
    sizes.width =
        std::max(std::max(shape_.block_words, ids), (s + 1) * std::max<std::uint64_t>(ids, kDeliveryColumns));
    if (shape_.rounds > 1) {
      const std::uint64_t packet = coder_.value_dimension();
      sizes.value_dimension = std::max(sizes.value_dimension, packet);
      sizes.width = std::max(sizes.width, s * std::max(packet, ids));
    }
    return sizes;
  }

  LayerLoad load() const override {
    const std::uint64_t sent = std::uint64_t{shape_.machines} * shape_.memory_words;
    // A layer of "route" holds every packet twice, as values and as head outputs; "deliver" 4 numbers an
    // output word.
    const std::uint64_t route = shape_.rounds > 1 ? 2 * sent * coder_.entries_a_packet() : 0;
    return {.tokens = tokens(),
            .entries = std::max({route, 2 * kDeliveryColumns * std::min(sent, shape_.outputs), 2 * shape_.n}),
            .points = std::max({2 * sent, shape_.outputs * (shape_.memory_words + 1) + sent, 2 * shape_.n}),
            .array_entries = 2 * sent + std::uint64_t{kFaultColumns} * shape_.machines};
  }

  std::vector<Pass> passes() const override;

  std::vector<LayerRole> layers() const override {
    std::vector<LayerRole> layers{{.pass = kGather}};
    for (std::uint32_t round = 1; round < shape_.rounds; ++round)
      layers.push_back({.pass = kRoute, .round = round, .one_head_a_word = !scattered_});
    layers.push_back(
        {.pass = kDeliver, .round = shape_.rounds, .arrival = Arrival::kOutput, .one_head_a_word = true});
    return layers;
  }

  std::vector<WordInRow> words(const RowView& row) const override {
    std::vector<WordInRow> words;
    for_each_outgoing(row, [&](std::uint32_t h, std::uint32_t destination, mpc::Word word) {
      words.push_back({row.token, row.token, h, destination, static_cast<double>(word)});
    });
    return words;
  }

  bool carries(std::size_t layer, anna::EntryView average, const WordInRow& word) const override {
    if (layer == shape_.rounds) {
      return average.value(0) == 1 && average.value(1) == static_cast<double>(word.source) &&
             average.value(3) == word.word;
    }
    std::vector<Packet> packets;
    const Packet sent{static_cast<std::uint32_t>(word.source), static_cast<mpc::Word>(word.word)};
    return coder_.decode(average, packets) == DecodeError::kNone &&
           std::ranges::find(packets, sent) != packets.end();
  }

  std::optional<std::uint64_t> chosen(std::string_view option) const override {
    if (option == ids_option().name) return static_cast<std::uint64_t>(options_.ids);
    return std::nullopt;
  }

  anna::Transformer compile(std::shared_ptr<const mpc::Protocol> protocol) const override {
    const std::uint64_t seed = options_.seed;
    auto common = std::make_shared<const Common>(
        Common{std::move(protocol), shape_, coder_, make_ids(options_.ids, symbols(), ids_of(shape_), seed),
               scattered_ ? std::optional(seed) : std::nullopt});
    anna::Transformer transformer;
    transformer.tokens = tokens();
    transformer.input_dimension = 2;
    transformer.layers.push_back(std::make_shared<GatherLayer>(common));
    for (std::uint32_t round = 1; round < shape_.rounds; ++round)
      transformer.layers.push_back(std::make_shared<RouteLayer>(common, round));
    transformer.layers.push_back(std::make_shared<DeliverLayer>(common));
    return transformer;
  }

 private:
  static PacketCoder make_coder(const mpc::Shape& shape, const CompileOptions& options,
                                const std::optional<std::uint64_t>& load) {
    require_servable(shape, options.name);
    const auto own = specific_options<DirectOptions>(options);
    return {own.code, shape.machines, load.value_or(shape.memory_words), own.variance_test};
  }
  std::uint64_t symbols() const { return ids_of(shape_) + kSpareSymbols; }
  std::uint64_t tokens() const {
    return tokens_with_ids(options_.ids,
                           std::max({shape_.n, std::uint64_t{shape_.machines}, shape_.outputs}));
  }

  const mpc::Shape shape_;
  const CompileOptions options_;
  const bool scattered_;
  const PacketCoder coder_;
};

std::vector<Pass> Direct::passes() const {
  const CoverFreeParameters& chosen = coder_.parameters();
  const std::uint32_t dimension = coder_.value_dimension();
  std::vector<Pass> passes(kDeliver + 1);
  passes[kIds] = {.name = "ids",
                  .effect = fmt::format(
                      "{} machines and {} outputs as {}, 3 more for absent keys, absent queries and warnings",
                      shape_.machines, shape_.outputs, describe_ids(options_.ids, symbols()))};
  const std::string packets =
      scattered_
          ? fmt::format("at most {} packets in a head, more with probability at most {}; ",
                        coder_.max_sources(),
                        specific_options<DirectOptions>(options_).load ? "unknown" : options_.eta.to_string())
          : "";
  passes[kPacketCode] = {
      .name = "packet code",
      .effect = packets +
                (coder_.cover_free()
                     ? fmt::format(
                           "cover-free: k = {}, P = {}, X = {}: value dimension 4XP = {} (identity: 2q = {})",
                           chosen.digits, chosen.prime, chosen.points, dimension, 2ull * shape_.machines)
                     : fmt::format("identity: value dimension 2q = {} (cover-free: 4XP = {})", dimension,
                                   chosen.value_dimension()))};
  passes[kGather] = gather_pass(shape_);
  passes[kRoute] = {
      .name = "route",
      .effect =
          shape_.rounds > 1
              ? fmt::format("layers 1..{}: one a round, s = {} heads of value dimension {}; steps 2..{}",
                            shape_.rounds - 1, shape_.memory_words, dimension, shape_.rounds)
              : "",
      .caption =
          scattered_
              ? "Each machine puts its words into heads from a place on that chance picks. A word's key is the id "
                "of the machine that gets it. So few packets meet in a head, and each names its sender."
              : "Head h carries each machine's word number h; its key is the id of the machine that gets it. Each "
                "packet names its sender, so that a token tells apart what several of them sent.",
      .averages =
          coder_.cover_free()
              ? "A sender j writes (1, j, j squared, word) into several slots of four numbers each. The "
                "average divides by how many packets met. Slots that two senders wrote give themselves "
                "away and are not read."
              : "Sender j writes 1 as number 2j and its word as number 2j + 1. The average divides by how "
                "many packets met: a first number of 1/4 says that four met, and four times the second is "
                "the word."};
  passes[kDeliver] = {
      .name = "deliver",
      .effect = fmt::format("layer {}: outputs to tokens 0..{}, s + 1 = {} heads of value dimension {}",
                            shape_.rounds, shape_.outputs - 1, shape_.memory_words + 1, kDeliveryColumns),
      .caption = "The answer: token t asks for the id of output t in every head and finds exactly one word.",
      .averages =
          "Numbers 0 to 3 are 1, the sender, its square and the word. There is one sender alone, so the "
          "average is what it wrote."};
  return passes;
}

}  // namespace

std::unique_ptr<const Construction> make_direct(const mpc::Shape& shape, const CompileOptions& options,
                                                std::optional<std::uint64_t> load) {
  return std::make_unique<Direct>(shape, options, load);
}

const ConstructionInfo& direct_construction() {
  static const ConstructionInfo info{
      .name = "direct",
      .summary = "depth R + 1",
      .card =
          R"(Problem:   the transformer of an R-round MPC protocol: the same output words, from the rows of
           tokens 0 .. outputs - 1.
Guarantee: exact for every input, with exact-match attention or one ANNA table in which distinct ids have
           distinct codes. If the protocol breaks its model on the input, every output reports a fault; never
           a wrong word.
Cost:      L = R + 1 layers; H = s + 1 heads: head h carries each machine's h-th outgoing word, and the last
           layer has one head more, by which a machine that stopped warns all outputs; m = max(128, b, D) with
           D = 2q or 4XP. H m is O(s (D + 128)) = O(N^(3 eps) log N) when q <= s.
Source:    Liu, Yu, Sanford, Andoni, Hsu 2025, Theorem 4.1, EMA step (there m = O(N^(5 eps) log N)); the
           packet code, the warning head and the single-sender test at the outputs are ours.
Requires:  word_bits <= 48, s < 2^30, machines and outputs below 2^24.)",
      .version = "1",
      .options = {ids_option()},
      .make = [](const mpc::Shape& shape, const CompileOptions& options)
          -> std::unique_ptr<const Construction> { return make_direct(shape, options, {}); }};
  return info;
}

}  // namespace roundtrip::simulate
