#include <algorithm>

#include "roundtrip/mpc/protocols/graph_input.h"
#include "roundtrip/mpc/protocols/library.h"
#include "roundtrip/mpc/protocols/oracles.h"
#include "roundtrip/mpc/stages/darts.h"
#include "roundtrip/mpc/stages/lookup.h"

// Edges lead from the end of lesser degree to the other one, so that at most sqrt(N) different ones leave a vertex: they go to
// vertices of no lesser degree, and degrees add up to N. Two edges that leave a vertex are a wedge, and a triangle has one
// wedge, which the third edge closes. Edge j of the d that leave a vertex is copied d - 1 times, once for each other edge o,
// to neighbouring places; copy (j, o) sends its far end to the place of wedge {j, o}, and a lookup asks for the third edge.
namespace roundtrip::mpc {
namespace {

constexpr Word kLeads = 1;  // of a dart's state: its edge leads from here
constexpr std::uint32_t kRankBits = 11;
constexpr Word kRankMask = (Word{1} << kRankBits) - 1;
constexpr std::uint64_t kPartWords = 4;  // of the scan over what leaves the vertices
constexpr std::uint64_t kStartWords =
    3;  // place of the first copy + 1; far end, edge's number, d; places of wedges before
constexpr Word kEntry = Word{1} << 47;  // of a message to a place of the lookup: an edge follows

struct Plan {
  DartPlan darts{};
  std::uint64_t wedges = 0;  ///< W
  std::uint64_t copies = 0;  ///< C, a machine
  Tree scan{};               ///< over what leaves the vertices
  Tree expand{};             ///< over the machines of copies
  SortPlan lookup{};
  Tree answers{}, sum{};
  Word entry_place(Word position) const { return wedges + position; }
};

/// sqrt(N) edges leave a vertex at most, N / 2 in all.
std::uint64_t most_wedges(std::uint64_t n) {
  std::uint64_t degree = 1;
  while ((degree + 1) * (degree + 1) <= n) ++degree;
  return std::max<std::uint64_t>(1, n / 2 * (degree - 1) / 2);
}

/// A tree of at least one level, or nothing if fewer than two children have their words.
std::optional<Tree> tree_over(std::uint64_t machines, std::uint64_t memory, std::uint64_t kept,
                              std::uint64_t child_words) {
  const std::uint64_t fan = memory < kept ? 0 : std::min(memory - kept, machines * child_words) / child_words;
  if (memory < kept + 2 * child_words) return std::nullopt;
  Tree tree = Tree::over(0, static_cast<std::uint32_t>(machines),
                         static_cast<std::uint32_t>(std::max<std::uint64_t>(2, fan)));
  tree.depth = std::max(tree.depth, 1u);
  return tree;
}

bool complete(Plan& plan, const DartPlan& darts, std::uint64_t memory) {
  plan.copies = std::max<std::uint64_t>(1, memory / 5);
  const auto lookup = plan_sort(Lookup::task(plan.wedges + darts.darts / 2, memory));
  const auto scan = tree_over(darts.machines, memory, darts.block + 1, 2 * kPartWords);
  const auto expand = tree_over(ceil_div(2 * plan.wedges, plan.copies), memory,
                                darts.block + kStartWords * plan.copies, 2 * kStartWords);
  if (!lookup || !scan || !expand || plan.copies + 2 * darts.block > memory) return false;
  const auto sum = tree_over(lookup->machines, memory, 0, 1);
  const auto answers = tree_over(lookup->machines, memory, 2 * (lookup->machine_records + 1), 6);
  if (!sum || !answers) return false;
  plan.darts = darts;
  plan.lookup = *lookup, plan.scan = *scan, plan.expand = *expand;
  plan.answers = *answers, plan.sum = *sum;
  return true;
}

Plan make_plan(const Parameters& parameters) {
  require_edges(parameters.n, "triangle_count", std::uint64_t{1} << 20);
  Plan plan;
  plan.wedges = most_wedges(parameters.n);
  const DartPlan darts =
      plan_darts(parameters, "triangle_count", 2, 1,
                 [&plan](const DartPlan& one, std::uint64_t memory) { return complete(plan, one, memory); });
  complete(plan, darts, darts.sizes.memory_words);
  return plan;
}

/// What leaves the vertices of consecutive edges: first and last vertex; how many edges leave the first and the last; wedges
/// of those between. An element of the scan.
struct Part {
  Word first = 0, last = 0, of_first = 0, of_last = 0, wedges = 0;
  bool present = false, single = false;

  static constexpr Word kPresent = Word{1} << 2 * kDartBits, kSingle = kPresent << 1;
  static Part of(std::span<const Word> words) {
    return {.first = words[0] >> kDartBits & kDartMask,
            .last = words[0] & kDartMask,
            .of_first = words[1],
            .of_last = words[2],
            .wedges = words[3],
            .present = (words[0] & kPresent) != 0,
            .single = (words[0] & kSingle) != 0};
  }
  void write(std::span<Word> words) const {
    words[0] = (present ? kPresent : 0) | (single ? kSingle : 0) | first << kDartBits | last;
    words[1] = of_first, words[2] = of_last, words[3] = wedges;
  }
  static Word pairs(Word edges) { return edges * (edges - 1) / 2; }
  /// `edges` more leave `vertex`, which comes behind all others.
  void add(const Part& right) {
    if (!right.present) return;
    if (!present) return void(*this = right);
    const bool joined = last == right.first;
    wedges += right.wedges;
    if (!joined) {
      if (!single) wedges += pairs(of_last);
      if (!right.single) wedges += pairs(right.of_first);
      of_last = right.of_last;
    } else if (right.single) {
      of_last += right.of_last;
      if (single) of_first = of_last;
    } else {
      if (single) {
        of_first += right.of_first;
      } else {
        wedges += pairs(of_last + right.of_first);
      }
      of_last = right.of_last;
    }
    last = right.last;
    single = single && joined && right.single;
  }
  /// Wedges of all vertices but `vertex`, if that is the last.
  Word wedges_but_of(Word vertex) const {
    if (!present) return 0;
    return wedges + (single ? 0 : pairs(of_first)) + (last == vertex ? 0 : pairs(of_last));
  }
};

class TriangleCount final : public OnDarts {
 public:
  TriangleCount(const Parameters& parameters, const Plan& plan)
      : OnDarts(parameters, plan.darts, 1, false,
                std::max<std::uint64_t>(plan.lookup.machines, plan.expand.leaves)),
        all_(plan) {
    totals("degrees",
           {.value = [](std::uint64_t, std::span<const Word> record, Word,
                        std::span<Word> value) { value[0] = Dart::of(record).leaves() ? 1 : 0; },
            .combine = [](std::span<Word> left, Combined right) { left[0] += right[0]; }},
           [](Dart& dart, Combined degree) { dart.tag = degree[0] & kDartMask; });
    tell(
        "to the neighbours", [](const Dart& dart) { return dart.tag + 1; },
        [](Dart& dart, Word told) {
          if (dart.leaves() && std::pair(dart.tag + 1, dart.group) < std::pair(told, dart.other))
            dart.state |= kLeads;
        });
    sort_edges();
    copy_edges();
    look_up_third_edges();
    shape_.validate();
  }

 private:
  void sort_edges() {
    const auto& sort = then<Sort>(
        "edges by where they lead from",
        {.plan = plan_.sort,
         .load =
             [load = load_](const Context& context, std::uint64_t, std::span<Word> keys) {
               const std::span<const Word> records = load(context);
               expect_received(records.size() == 2 * keys.size());
               for (std::size_t i = 0; i < keys.size(); ++i) {
                 const Dart dart = Dart::of(records.subspan(2 * i));
                 keys[i] = (dart.state & kLeads) != 0 ? dart.group << kDartBits | dart.other : kNoRecord;
               }
             },
         .place =
             [this](const Context& context, std::uint64_t position, std::span<const Word> key) {
               const MachineId machine = plan_.machine_of(position);
               context.out.send(machine, key);
               if ((position + 1) % plan_.block == 0 && position + 1 < plan_.darts)
                 context.out.send(machine + 1, key);
             },
         .load_scratch_words = load_words_});
    load_ = [this, &sort](const Context& context) -> std::span<const Word> {
      if (context.machine >= plan_.machines) return {};
      const std::span<const Word> keys = sort.result(context);
      expect_received(keys.size() == plan_.count(context.machine) + (context.machine > 0 ? 1 : 0));
      return keys;
    };
    load_words_ = plan_.sort.rounds > 0 ? 0 : sort.scratch_words() + plan_.block;
  }

  /// Calls each(position, edge) for the different edges among the machine's keys, of which the first is the one before, if any.
  template <typename Each>
  void for_each_edge(MachineId machine, std::span<const Word> keys, const Each& each) const {
    const std::size_t before = machine > 0 ? 1 : 0;
    for (std::size_t i = before; i < keys.size(); ++i)
      if (keys[i] < kNoRecord && (i == 0 || keys[i] != keys[i - 1]))
        each(machine * plan_.block + i - before, keys[i]);
  }
  static Part one_edge(Word edge) {
    const Word vertex = edge >> kDartBits & kDartMask;
    return {.first = vertex, .last = vertex, .of_first = 1, .of_last = 1, .present = true, .single = true};
  }

  /// Every edge to the places of its copies, and to its place in the lookup.
  void copy_edges() {
    const auto& parts =
        then<TreeScan>("how many leave a vertex",
                       {.tree = all_.scan,
                        .element_words = kPartWords,
                        .load =
                            [this, load = load_](const Context& context, std::span<Word> element) {
                              Part part;
                              for_each_edge(context.machine, load(context),
                                            [&part](std::uint64_t, Word edge) { part.add(one_edge(edge)); });
                              part.write(element);
                            },
                        .combine =
                            [](std::span<Word> left, std::span<const Word> right) {
                              Part part = Part::of(left);
                              part.add(Part::of(right));
                              part.write(left);
                            },
                        .identity = std::vector<Word>(kPartWords),
                        .keep = load_,
                        .load_scratch_words = 2 * load_words_,
                        .both = true});
    then("to the first copies", 1, 0, [this, &parts](const Context& context, std::uint32_t) {
      if (context.machine < plan_.machines) send_starts(context, parts);
    });
    const auto& starts = then<TreeScan>(
        "to all copies", {.tree = all_.expand,
                          .element_words = kStartWords,
                          .load =
                              [this](const Context& context, std::span<Word> element) {
                                std::ranges::fill(element, 0);
                                const std::span<const Word> all = received_starts(context);
                                const std::size_t skip = plan_.count(context.machine);
                                if (all.size() > skip)
                                  std::ranges::copy(all.last(kStartWords), element.begin());
                              },
                          .combine =
                              [](std::span<Word> left, std::span<const Word> right) {
                                if (right[0] != 0) std::ranges::copy(right, left.begin());
                              },
                          .identity = std::vector<Word>(kStartWords),
                          .keep = [this](const Context& context) { return received_starts(context); },
                          .load_scratch_words = 2 * (plan_.block + kStartWords * all_.copies)});
    then("to the wedges", 1, 0, [this, &starts](const Context& context, std::uint32_t) {
      send_edges(context, starts.kept(context));
      if (context.machine < all_.expand.leaves) send_copies(context, starts);
    });
  }

  /// (keys of the machine's positions) to itself, (place, far end, number and d, wedges before) to the first copies' machines.
  void send_starts(const Context& context, const TreeScan& parts) const {
    const std::span<const Word> keys = parts.kept(context);
    expect_received(keys.size() == plan_.count(context.machine) + (context.machine > 0 ? 1 : 0));
    const TreeScan::Result around = parts.result(context);
    const Part before = Part::of(around.before), behind = Part::of(around.behind);
    Part whole;
    for_each_edge(context.machine, keys, [&](std::uint64_t, Word edge) { whole.add(one_edge(edge)); });
    context.out.send(context.machine, keys.last(plan_.count(context.machine)));
    // Of a vertex: edges that leave it, the number of the first on this machine, wedges of the vertices before.
    Word vertex = kNoRecord, leaving = 0, number = 0, wedges = 0;
    Part sofar = before;
    const std::span<const Word> own = keys.last(plan_.count(context.machine));
    for_each_edge(context.machine, keys, [&](std::uint64_t position, Word edge) {
      if (edge >> kDartBits != vertex) {
        vertex = edge >> kDartBits;
        wedges = sofar.wedges_but_of(vertex);
        number = sofar.present && sofar.last == vertex ? (sofar.of_last) : 0;
        // Those before this machine, here, and behind it.
        leaving = number;
        Word last = kNoRecord;
        for (std::size_t i = position - context.machine * plan_.block;
             i < own.size() && own[i] >> kDartBits == vertex; ++i)
          if (std::exchange(last, own[i]) != own[i]) ++leaving;
        if (behind.present && whole.last == vertex && behind.first == vertex) leaving += behind.of_first;
      }
      sofar.add(one_edge(edge));
      expect_received(leaving <= kRankMask);
      if (leaving < 2) return;
      const Word place = 2 * wedges + number * (leaving - 1);
      expect_received(place < 2 * all_.wedges);
      const Word words[kStartWords] = {
          place + 1, (edge & kDartMask) << 2 * kRankBits | number << kRankBits | leaving, wedges};
      context.out.send(static_cast<MachineId>(place / all_.copies), words);
      ++number;
    });
  }

  /// The keys, then the starts in order of their places, which is that of their senders.
  std::span<const Word> received_starts(const Context& context) const {
    const std::uint64_t keys = plan_.count(context.machine);
    const std::span<const Word> own = context.from(context.machine);
    expect_received(own.size() >= keys && context.inbox.size() <= keys + kStartWords * all_.copies &&
                    (context.inbox.size() - keys) % kStartWords == 0);
    const std::span<Word> all = context.take(context.inbox.size());
    auto at = std::ranges::copy(own.first(keys), all.begin()).out;
    for (const std::span<const Word> words :
         {context.before(context.machine), own.subspan(keys), context.after(context.machine)})
      at = std::ranges::copy(words, at).out;
    return all;
  }

  void send_edges(const Context& context, std::span<const Word> kept) const {
    const std::uint64_t count = plan_.count(context.machine);
    expect_received(kept.size() >= count && (kept.size() - count) % kStartWords == 0);
    // An edge that is there twice has two entries.
    for (std::size_t i = 0; i < count && kept[i] < kNoRecord; ++i) {
      const Word place = all_.entry_place(context.machine * plan_.block + i);
      const Word words[2] = {kEntry | place % all_.lookup.machine_records, kept[i]};
      context.out.send(lookup_machine(place), words);
    }
  }

  void send_copies(const Context& context, const TreeScan& starts) const {
    std::span<const Word> rest = starts.kept(context).subspan(plan_.count(context.machine));
    std::span<const Word> start = starts.result(context).before;
    const Word first = context.machine * all_.copies;
    for (Word place = first; place < std::min(first + all_.copies, 2 * all_.wedges); ++place) {
      if (!rest.empty() && rest[0] == place + 1) {
        start = rest.first(kStartWords);
        rest = rest.subspan(kStartWords);
      }
      if (start.empty() || start[0] == 0) continue;
      const Word leaving = start[1] & kRankMask, number = start[1] >> kRankBits & kRankMask;
      const Word copy = place + 1 - start[0];
      if (copy + 1 >= leaving) continue;
      const Word other = copy < number ? copy : copy + 1;
      const Word wedge = start[2] + Part::pairs(std::max(other, number)) + std::min(other, number);
      expect_received(wedge < all_.wedges);
      context.out.send(lookup_machine(wedge), wedge % all_.lookup.machine_records << kDartBits |
                                                  (start[1] >> 2 * kRankBits & kDartMask));
    }
  }

  MachineId lookup_machine(Word place) const {
    return static_cast<MachineId>(place / all_.lookup.machine_records);
  }
  /// An edge's key, whichever way it leads.
  static Word key_of(Word u, Word v) { return std::min(u, v) << kDartBits | std::max(u, v); }

  void look_up_third_edges() {
    const auto& lookup =
        then<Lookup>("third edges", {.plan = all_.lookup,
                                     .memory_words = shape_.memory_words,
                                     .load = [](const Context& context, std::uint64_t,
                                                std::span<Word> records) { load_records(context, records); },
                                     .load_scratch_words = all_.lookup.machine_records});
    const auto& sum = then<TreeReduce>(
        "triangles",
        {.tree = all_.sum,
         .load =
             [&lookup](const Context& context, std::span<Word> element) {
               element[0] = 0;
               lookup.for_each(context, [&element](Word, Word, auto value) { element[0] += value ? 1 : 0; });
             },
         .combine = [](std::span<Word> left, std::span<const Word> right) { left[0] += right[0]; },
         .load_scratch_words = lookup.result_scratch_words()});
    then("deliver", 1, 0, [&sum](const Context& context, std::uint32_t) {
      if (context.machine == sum.tree().root()) context.out.deliver(0, sum.result(context)[0]);
    });
  }

  static void load_records(const Context& context, std::span<Word> records) {
    const std::size_t count = records.size() / Lookup::kRecordWords;
    const std::span<Word> ends = context.take(count);  // 1 + the far end that came first
    std::ranges::fill(ends, 0);
    const std::span<const Word> words = context.inbox.words();
    for (std::size_t i = 0; i < words.size(); ++i) {
      if ((words[i] & kEntry) != 0) {
        const Word at = words[i] & ~kEntry;
        expect_received(at < count && i + 1 < words.size());
        ++i;
        Lookup::entry(records, at, key_of(words[i] >> kDartBits & kDartMask, words[i] & kDartMask), 0);
        continue;
      }
      const Word at = words[i] >> kDartBits, end = words[i] & kDartMask;
      expect_received(at < count);
      if (ends[at] == 0) {
        ends[at] = end + 1;
      } else {
        Lookup::question(records, at, key_of(ends[at] - 1, end), 0);
      }
    }
  }

  Plan all_;
};

}  // namespace

std::uint32_t triangle_count_rounds(const Parameters& parameters) {
  const Plan plan = make_plan(parameters);
  return plan.darts.layout_rounds() + plan.darts.totals_rounds(true) + plan.darts.sort.rounds +
         2 * plan.scan.depth + 1 + 2 * plan.expand.depth + 1 + plan.lookup.rounds + 2 * plan.answers.depth +
         plan.sum.depth + 1;
}

ProtocolInfo triangle_count_protocol() {
  ProtocolInfo info;
  info.name = "triangle_count";
  info.summary = "how many triangles a graph has";
  info.card =
      R"(Problem: edges u0 v0 u1 v1 .., N words up to 2^20, vertices numbered from 0 (below N). The output is the number of sets
of three vertices of which any two are neighbours; parallel edges are one, and an edge from a vertex to itself is none.
Guarantee: exact and deterministic.
Cost: R = 2 T_sort(N, 1) + T_sort(W + N / 2, 2) + 2 d + 2 dv + 2 dc + 2 da + dz + 6, W = floor(N / 4 (floor(sqrt N) - 1)) (at
least 1) wedges. Depths of at least 1, B and d as in mpc/stages/darts.h: dv = ceil(log_f ceil(N / B)), f = floor((s - B - 1) / 8);
dc = ceil(log_f ceil(2 W / C)), C = floor(s / 5), f = floor((s - B - 3 C) / 6); da = ceil(log_f Q) on the lookup's Q machines of
B' records, f = floor((s - 2 (B' + 1)) / 6); dz = ceil(log_s Q). At most s words sent and received by a machine, s = kappa_s b,
kappa_s = 16, or the least with a plan; O(N^(3/2) / s) machines.
Source: Chiba, Nishizeki 1985 (edges by degree), in rounds Suri, Vassilvitskii 2011 (NodeIterator++); copies to exact places,
so that no vertex of high degree fills a machine, are ours.)";
  info.rounds_formula = "2 T_sort(N, 1) + T_sort(W + N / 2, 2) + 2 d + 2 dv + 2 dc + 2 da + dz + 6";
  info.make = [](const Parameters& parameters) {
    return std::make_unique<TriangleCount>(parameters, make_plan(parameters));
  };
  info.oracle = [](std::span<const std::int64_t> edges, const Parameters&) {
    return oracles::triangles(edges);
  };
  take_edges(info, 2);
  info.decode = [](const Protocol&, std::uint64_t, Word word) {
    return std::optional(static_cast<std::int64_t>(word));
  };
  return info;
}

}  // namespace roundtrip::mpc
