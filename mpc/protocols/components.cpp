#include <algorithm>
#include <bit>
#include <optional>

#include "roundtrip/base/error.h"
#include "roundtrip/base/fault.h"
#include "roundtrip/base/random.h"
#include "roundtrip/mpc/protocols/graph_input.h"
#include "roundtrip/mpc/protocols/library.h"
#include "roundtrip/mpc/protocols/oracles.h"
#include "roundtrip/mpc/protocols/part_table.h"
#include "roundtrip/mpc/stages/sort.h"
#include "roundtrip/mpc/stages/tree_stages.h"

// Glossary: dart i (input word i, from 0) is an end of edge i div 2 at vertex x_i, its partner i ^ 1 the
// other end. Every dart has a label, that of the part of its component which has grown together so far, at
// first x_i. A part is live if some dart of it has a partner with another label; the least such label is the
// part's neighbour h.
//
// A phase merges at least a quarter of the live parts into others. Labels are split in two sides by the
// parity of the bits of a mask that they share, side(a) = <mask, a>, and the parts of one side whose
// neighbour is on the other take the neighbour's label: no chains, one step. The mask is built in chunks of c
// bits, from the lowest. Of labels a, h that differ in no chunk above, but in this one, exactly half of all
// 2^c values of the chunk put the two on different sides; counted over all parts, some value does so for at
// least half of them, and it is taken. In the end at least half of the live parts are cut off from their
// neighbour, and half of those are on one of the two sides.
namespace roundtrip::mpc {
namespace {

constexpr std::uint64_t kDefaultKappa = 16;
constexpr std::uint32_t kIdBits = kPartBits;  // two labels, or a dart and its vertex, share a word
constexpr Word kIdMask = kPartMask;
constexpr Word kNoLabel = kIdMask;  // N < 2^24: no vertex
constexpr std::uint32_t kMaxChunkBits = 12;

struct Plan {
  Sizes sizes;
  SortPlan sort;
  std::uint32_t label_bits;
  std::uint32_t chunk_bits, chunks;  // c, C
  std::uint64_t element_words;       // of a scan that chooses a chunk
  Tree chooses, finish, least;
  std::uint64_t slots;  // Z: live parts that are left after all phases, at most
  std::uint32_t phases;
  std::uint32_t phase_rounds() const { return sort.rounds + 2 * chunks * chooses.depth + 1; }
  std::uint32_t rounds() const {
    return 1 + phases * phase_rounds() + 2 * finish.depth + sort.rounds + 2 * least.depth + 2;
  }
};

/// Phases until at most `slots` parts of N are live, each of n leaving n - ceil(n / 4).
std::uint32_t phases_to(std::uint64_t n, std::uint64_t slots) {
  std::uint32_t phases = 0;
  for (; n > slots; ++phases) n -= ceil_div(n, 4);
  return phases;
}

bool make_trees(Plan& plan, std::uint64_t n) {
  const auto machines = static_cast<std::uint32_t>(plan.sort.machines);
  const auto tree = [machines](std::uint64_t fan) {
    return Tree::over(0, machines, static_cast<std::uint32_t>(std::max<std::uint64_t>(fan, 2)));
  };
  if (machines == 1) {
    plan.chunk_bits = 1;
    plan.chunks = plan.label_bits;
    plan.element_words = 5;
    plan.chooses = plan.finish = plan.least = tree(2);
    plan.slots = n;
    return true;
  }
  // A machine keeps its records, one of the machine before, and the mask; or labels, and those of two more
  // partners.
  const std::uint64_t kept = 2 * plan.sort.machine_records + 4;
  if (plan.sizes.memory_words < kept + 4) return false;
  const std::uint64_t spare = plan.sizes.memory_words - kept;
  plan.least = tree(spare / 2);
  std::uint32_t best = ~0u;
  for (std::uint32_t bits = 1; bits <= std::min(plan.label_bits, kMaxChunkBits); ++bits) {
    const std::uint64_t words = 1 + (std::uint64_t{2} << bits);
    if (spare / (2 * words) < 2) break;
    const Tree chooses = tree(spare / (2 * words));
    const auto chunks = static_cast<std::uint32_t>(ceil_div(plan.label_bits, bits));
    if (chunks * chooses.depth >= best) continue;
    best = chunks * chooses.depth;
    plan.chunk_bits = bits;
    plan.chunks = chunks;
    plan.element_words = words;
    plan.chooses = chooses;
  }
  if (best == ~0u) return false;
  best = ~0u;
  for (std::uint64_t fan = 2; fan <= std::min<std::uint64_t>(machines, spare); ++fan) {
    const Tree finish = tree(fan);
    const std::uint32_t phases = phases_to(n, spare / fan);
    const std::uint32_t rounds = phases * plan.phase_rounds() + 2 * finish.depth;
    if (rounds >= best) continue;
    best = rounds;
    plan.finish = finish;
    plan.phases = phases;
    plan.slots = spare / fan;
  }
  return true;
}

Plan make_plan(const Parameters& parameters) {
  require_edges(parameters.n, "components", (std::uint64_t{1} << kIdBits) - 2);
  Plan plan{};
  plan.label_bits = static_cast<std::uint32_t>(std::bit_width(parameters.n - 1));
  plan.sizes = choose_sizes(parameters, kDefaultKappa, [&](const Sizes& sizes) {
    // With fewer records a machine a sort may take longer, and what follows it less.
    std::optional<Plan> best;
    for (const std::uint64_t part : {4, 6, 8}) {
      Plan candidate = plan;
      candidate.sizes = sizes;
      const auto sort = plan_sort({.records = parameters.n,
                                   .record_words = 2,
                                   .memory_words = sizes.memory_words,
                                   .machine_records = sizes.memory_words / part});
      if (!sort) continue;
      candidate.sort = *sort;
      if (make_trees(candidate, parameters.n) && (!best || candidate.rounds() < best->rounds()))
        best = candidate;
    }
    if (best) plan = *best;
    return best.has_value();
  });
  return plan;
}

Word parity(Word word) {
  return static_cast<Word>(std::popcount(word) & 1);
}

class Components final : public Composition {
 public:
  explicit Components(const Parameters& parameters) : plan_(make_plan(parameters)) {
    shape_ = declare_shape(parameters, plan_.sizes, parameters.n, plan_.sort.machines);
    shape_.heap_words = 0;
    then("darts to their machines", 1, 0,
         [this](const Context& context, std::uint32_t) { send_input(context); });
    for (std::uint32_t phase = 0; phase < plan_.phases; ++phase) append_phase();
    finish();
    shape_.validate();
  }

 private:
  std::uint64_t block() const { return plan_.sort.machine_records; }
  std::uint64_t kept_words() const { return 2 * block() + 4; }

  // ---- labels of darts travel as (dart, vertex), label: to the dart's machine i div B and to its partner's

  void send_label(const Context& context, Word dart_and_vertex, Word label) const {
    const Word words[2] = {dart_and_vertex, label};
    const std::uint64_t dart = dart_and_vertex >> kIdBits;
    const auto owner = static_cast<MachineId>(dart / block());
    const auto other = static_cast<MachineId>((dart ^ 1) / block());
    context.out.send(owner, words);
    if (other != owner) context.out.send(other, words);
  }

  void send_input(const Context& context) const {
    Word dart = context.machine * shape_.block_words;
    for (const Word word : context.inbox.words()) {
      const std::int64_t vertex = decode_input(word, shape_);
      require_vertex(dart, vertex, shape_.n);
      send_label(context, dart << kIdBits | static_cast<Word>(vertex), static_cast<Word>(vertex));
      ++dart;
    }
  }

  std::uint64_t darts_of(MachineId machine) const {
    const std::uint64_t first = machine * block();
    return first < shape_.n ? std::min(block(), shape_.n - first) : 0;
  }

  /// Records (label, label of the partner or kNoLabel if that is the same), (dart, vertex) from the labels in
  /// `words`.
  void read_labels(MachineId machine, std::span<const Word> words, std::span<Word> records) const {
    const std::uint64_t first = machine * block();
    const std::uint64_t count = records.size() / 2;
    for (std::uint64_t i = 0; i < count; ++i) {
      records[2 * i] = 0;
      records[2 * i + 1] = (first + i) << kIdBits;
    }
    for (std::uint64_t i = 0; i + 1 < words.size(); i += 2) {
      const std::uint64_t dart = words[i] >> kIdBits;
      const Word label = words[i + 1] & kIdMask;
      if (dart - first < count) {
        records[2 * (dart - first)] |= label << kIdBits;
        records[2 * (dart - first) + 1] = words[i];
      }
      if ((dart ^ 1) - first < count && !(first > 0 && (dart ^ 1) == first && seeded("partner-of-border")))
        records[2 * ((dart ^ 1) - first)] |= label;
    }
    for (std::uint64_t i = 0; i < count; ++i) {
      Word& labels = records[2 * i];
      if (labels >> kIdBits == (labels & kIdMask)) labels |= kNoLabel;
    }
  }

  // ---- a phase

  /// The last record of each machine goes to the next one too, which can then tell whether its first one
  /// starts a part.
  auto place() const {
    return [this](const Context& context, std::uint64_t position, std::span<const Word> record) {
      const auto machine = static_cast<MachineId>(position / block());
      context.out.send(machine, record);
      if (position % block() == block() - 1 && position + 1 < shape_.n) context.out.send(machine + 1, record);
    };
  }

  /// Calls each(record, whether it is the first of its part) for the machine's own records, sorted by label.
  template <typename Each>
  static void for_each_record(MachineId machine, std::span<const Word> sorted, const Each& each) {
    for (std::uint64_t i = machine > 0 ? 2 : 0; i + 1 < sorted.size(); i += 2)
      each(sorted.data() + i, i == 0 || sorted[i] >> kIdBits != sorted[i - 2] >> kIdBits);
  }

  /// A chunk's scan: the mask up to that chunk, then the sorted records; kept by their machine.
  struct Chosen {
    Word mask = 0;
    Word side = 0;       // after the last chunk: whose parts merge
    Word neighbour = 0;  // 1 + that of the part that goes on from the machine before
    std::span<const Word> records = {};
  };
  Chosen chosen(const Context& context, const Sort& sort, const TreeScan* scan, std::uint32_t chunk) const {
    Chosen result;
    if (scan == nullptr) {
      result.records = sort.result(context);
      return result;
    }
    const std::span<const Word> kept = scan->kept(context);
    const TreeScan::Result counted = scan->result(context);
    if (kept.empty() || counted.before.size() < plan_.element_words ||
        counted.total.size() < plan_.element_words)
      return result;
    const std::span<const Word> counts = counted.total.subspan(1, plan_.element_words - 1);
    const auto best = static_cast<Word>(std::ranges::max_element(counts) - counts.begin());
    result.side = best & 1;
    result.mask = kept[0] | best >> 1 << chunk * plan_.chunk_bits;
    result.neighbour = counted.before[0];
    result.records = kept.subspan(1);
    return result;
  }

  /// The neighbour (plus 1) of the last part that starts here; then how many parts that start here each value
  /// of the chunk cuts off, by its side at the last chunk.
  void count(MachineId machine, const Chosen& so_far, std::uint32_t chunk, std::span<Word> element) const {
    std::ranges::fill(element, 0);
    const std::uint32_t shift = chunk * plan_.chunk_bits;
    const bool last = chunk + 1 == plan_.chunks;
    for_each_record(machine, so_far.records, [&](const Word* record, bool starts) {
      if (!starts) return;
      const Word part = record[0] >> kIdBits;
      const Word neighbour = record[0] & kIdMask;
      element[0] = neighbour + 1;
      if (neighbour == kNoLabel) return;
      const Word difference = part ^ neighbour;
      if (!last && (difference >> shift == 0 || difference >> shift >> plan_.chunk_bits != 0)) return;
      const Word cut = parity(so_far.mask & difference);
      const Word side = parity(so_far.mask & part);
      for (Word value = 0; value < Word{1} << plan_.chunk_bits; ++value) {
        if ((cut ^ parity(value & difference >> shift)) == 0) continue;
        ++element[1 + 2 * value + (last ? side ^ parity(value & part >> shift) : 0)];
      }
    });
  }

  void append_phase() {
    const Sort& sort = then<Sort>(
        "sort by part", {.plan = plan_.sort,
                         .load =
                             [this](const Context& context, std::uint64_t, std::span<Word> records) {
                               read_labels(context.machine, context.inbox.words(), records);
                             },
                         .place = place()});
    const TreeScan* scan = nullptr;
    for (std::uint32_t chunk = 0; chunk < plan_.chunks; ++chunk) {
      const auto before = [this, &sort, scan, chunk](const Context& context) {
        return chosen(context, sort, scan, chunk - 1);
      };
      scan = &then<TreeScan>("choose a mask",
                             {.tree = plan_.chooses,
                              .element_words = plan_.element_words,
                              .load =
                                  [this, before, chunk](const Context& context, std::span<Word> element) {
                                    count(context.machine, before(context), chunk, element);
                                  },
                              .combine =
                                  [](std::span<Word> left, std::span<const Word> right) {
                                    if (right[0] != 0) left[0] = right[0];
                                    for (std::size_t i = 1; i < left.size(); ++i) left[i] += right[i];
                                  },
                              .identity = std::vector<Word>(plan_.element_words),
                              .keep = [before](const Context& context) -> std::span<const Word> {
                                const Chosen so_far = before(context);
                                if (so_far.records.empty()) return {};
                                const std::span<Word> kept = context.take(1 + so_far.records.size());
                                kept[0] = so_far.mask;
                                std::ranges::copy(so_far.records, kept.begin() + 1);
                                return kept;
                              },
                              .load_scratch_words = kept_words()});
    }
    then("merge parts", 1, 0, [this, &sort, scan](const Context& context, std::uint32_t) {
      const Chosen all = chosen(context, sort, scan, plan_.chunks - 1);
      Word neighbour = all.neighbour - 1;
      for_each_record(context.machine, all.records, [&](const Word* record, bool starts) {
        const Word part = record[0] >> kIdBits;
        if (starts) neighbour = record[0] & kIdMask;
        const bool merges = neighbour < kNoLabel && parity(all.mask & (part ^ neighbour)) == 1 &&
                            parity(all.mask & part) == all.side;
        send_label(context, record[1], merges ? neighbour : part);
      });
    });
  }

  // ---- the live parts that are left fit a machine

  void finish() { name_components(unite_the_rest()); }

  /// In one table up a tree; then the table, with every part's root, on all machines.
  const Broadcast& unite_the_rest() {
    const std::uint64_t state_words = kept_words();
    const auto labels = [](const Context& context) { return context.inbox.words(); };
    const TreeReduce& joined = then<TreeReduce>(
        "what is left", {.tree = plan_.finish,
                         .element_words = plan_.slots,
                         .load =
                             [this](const Context& context, std::span<Word> table) {
                               std::ranges::fill(table, kNoPart);
                               const std::span<Word> records = context.take(2 * darts_of(context.machine));
                               read_labels(context.machine, context.inbox.words(), records);
                               for (std::uint64_t i = 0; i < records.size(); i += 2) {
                                 const Word partner = records[i] & kIdMask;
                                 if (partner != kNoLabel) unite_parts(table, records[i] >> kIdBits, partner);
                               }
                             },
                         .combine =
                             [](std::span<Word> left, std::span<const Word> right) {
                               for (const Word entry : right) {
                                 if (entry < kNoPart) unite_parts(left, entry >> kIdBits, entry & kIdMask);
                               }
                             },
                         .keep = labels,
                         .load_scratch_words = state_words});
    return then<Broadcast>(
        "to all", {.tree = plan_.finish,
                   .element_words = plan_.slots,
                   .load =
                       [&joined](const Context& context, std::span<Word> table) {
                         const std::span<const Word> result = joined.result(context);
                         std::ranges::fill(table, kNoPart);
                         std::ranges::copy(result, table.begin());
                         for (Word& entry : table) {
                           if (entry < kNoPart)
                             entry = entry >> kIdBits << kIdBits | root_of_part(table, entry >> kIdBits);
                         }
                       },
                   .keep = [&joined](const Context& context) { return joined.kept(context); },
                   .load_scratch_words = plan_.slots + state_words});
  }

  /// Sorted by component and vertex, the first record of a component has its least vertex.
  void name_components(const Broadcast& known) {
    const Sort& sort =
        then<Sort>("sort by component",
                   {.plan = plan_.sort,
                    .load =
                        [this, &known](const Context& context, std::uint64_t, std::span<Word> records) {
                          read_labels(context.machine, known.kept(context), records);
                          const std::span<const Word> table = known.result(context);
                          for (std::uint64_t i = 0; i < records.size(); i += 2) {
                            Word label = records[i] >> kIdBits;
                            const auto entry = std::ranges::lower_bound(table, label << kIdBits);
                            if (entry != table.end() && *entry >> kIdBits == label) label = *entry & kIdMask;
                            records[i] = label << kIdBits | (records[i + 1] & kIdMask);
                          }
                        },
                    .place = place(),
                    .load_scratch_words = known.scratch_words() + known.result_scratch_words()});
    const TreeScan& least = then<TreeScan>(
        "least vertices", {.tree = plan_.least,
                           .load =
                               [&sort](const Context& context, std::span<Word> element) {
                                 element[0] = 0;
                                 for_each_record(context.machine, sort.result(context),
                                                 [&](const Word* record, bool starts) {
                                                   if (starts) element[0] = (record[0] & kIdMask) + 1;
                                                 });
                               },
                           .combine =
                               [](std::span<Word> left, std::span<const Word> right) {
                                 if (right[0] != 0) left[0] = right[0];
                               },
                           .identity = {0},
                           .keep = [&sort](const Context& context) { return sort.result(context); },
                           .load_scratch_words = sort.rounds() > 0 ? 0 : sort.scratch_words()});
    then("to the vertices", 1, 0, [this, &least](const Context& context, std::uint32_t) {
      const std::span<const Word> sorted = least.kept(context);
      const std::span<const Word> before = least.result(context).before;
      Word component = before.empty() ? 0 : before[0] - 1;
      for_each_record(context.machine, sorted, [&](const Word* record, bool starts) {
        const Word vertex = record[0] & kIdMask;
        if (starts) component = vertex;
        if (starts || record[-2] != record[0]) {
          context.out.send(static_cast<MachineId>(vertex / shape_.block_words),
                           vertex << kIdBits | (component & kIdMask));
        }
      });
    });
    then("deliver", 1, shape_.block_words, [this](const Context& context, std::uint32_t) {
      const std::uint64_t first = context.machine * shape_.block_words;
      if (first >= shape_.n) return;
      const std::span<Word> output = context.take(std::min(shape_.block_words, shape_.n - first));
      std::ranges::fill(output, 0);
      for (const Word word : context.inbox.words()) {
        if ((word >> kIdBits) - first < output.size())
          output[(word >> kIdBits) - first] = (word & kIdMask) + 1;
      }
      for (std::uint64_t i = 0; i < output.size(); ++i) context.out.deliver(first + i, output[i]);
    });
  }

  Plan plan_;
};

}  // namespace

std::uint32_t components_rounds(const Parameters& parameters) {
  return make_plan(parameters).rounds();
}

ProtocolInfo components_protocol() {
  ProtocolInfo info;
  info.name = "components";
  info.summary = "for every vertex of a graph the least vertex of its connected component";
  info.card =
      R"(Problem: edges u0 v0 u1 v1 .., N words, vertices numbered from 0 (below N); output v is the least vertex of v's
component, or nothing if v has no edge.
Guarantee: exact and deterministic, O(log N) rounds at fixed eps.
Cost: R = P (T_sort(N, 2) + 2 C d + 1) + 2 dz + T_sort(N, 2) + 2 d1 + 3. In a phase at least a quarter of the parts
that still have a neighbour merge into it (sides by a mask of label bits, chosen in C = ceil(bits(N - 1) / c) chunks
by counting, see the source), so after P phases, P the least with N reduced P times by n -> n - ceil(n / 4) to at
most Z, the rest fits a table of Z words: P <= log_(4/3)(N / Z) + 1. With M = ceil(N / B) machines of T_sort's B
records, at most floor(s / 4), (s / 6) or (s / 8), which makes R least, and S = s - 2 B - 4: d = ceil(log_f M), f = floor(S / 2 (1 + 2^(c+1))), c of least C d; dz = ceil(log_z M),
Z = floor(S / z), z of least R; d1 = ceil(log_(floor(S / 2)) M). At most s = kappa_s b words sent and received by a
machine, kappa_s = 16, raised to the least that has a plan. N below 2^24.
Source: contraction in the manner of Boruvka 1926 and of random mates (Reif 1985), with the coins replaced by
conditional expectations over a linear hash function; constants ours. O(log N) is optimal under the conjecture on
one or two cycles.)";
  info.rounds_formula = "P (T_sort(N, 2) + 2 C d + 1) + 2 dz + T_sort(N, 2) + 2 d1 + 3";
  info.kappa_s = kDefaultKappa;
  info.output_form = OutputForm::kSymbols;
  info.drops_absent_tail = true;  // there are fewer vertices than ends of edges
  info.make = [](const Parameters& parameters) { return std::make_unique<Components>(parameters); };
  info.decode = [](const Protocol&, std::uint64_t, Word word) -> std::optional<std::int64_t> {
    if (word == 0) return std::nullopt;
    return static_cast<std::int64_t>(word - 1);
  };
  info.oracle = [](std::span<const std::int64_t> values, const Parameters&) {
    return oracles::components(values);
  };
  info.accept = [](std::span<const std::int64_t> values, const Parameters&) {
    for (std::size_t i = 0; i < values.size(); ++i) require_vertex(i, values[i], values.size());
  };
  info.generate = [](const Parameters& parameters) {
    // 3/2 edges a vertex on average: one large component, and many small ones.
    const std::uint64_t vertices = ceil_div(2 * parameters.n, 3);
    RandomStream stream(parameters.seed, Domain::kInstance);
    Values values(parameters.n);
    for (std::int64_t& value : values) value = static_cast<std::int64_t>(stream.below(vertices));
    return numbered_by_first_occurrence(values);
  };
  return info;
}

}  // namespace roundtrip::mpc
