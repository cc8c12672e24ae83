#include <algorithm>

#include "roundtrip/base/error.h"
#include "roundtrip/mpc/protocols/graph_input.h"
#include "roundtrip/mpc/protocols/library.h"
#include "roundtrip/mpc/protocols/oracles.h"
#include "roundtrip/mpc/stages/darts.h"
#include "roundtrip/mpc/stages/doubling.h"
#include "roundtrip/mpc/stages/key_scan.h"

// The tour goes along a dart to its partner's vertex, and leaves it by the dart behind the partner, around the vertex. It ends
// before the root's first dart. Of an edge's two darts the one that comes first leads down. Where the tour goes down the depth
// grows by one, and between the two are twice the edges of the subtree.
namespace roundtrip::mpc {
namespace {

constexpr Word kEnds = 1;  // of a dart's state: nothing follows its partner
constexpr std::uint64_t kItemWords = 2;
constexpr Word kUp = Word{1} << 2 * kDartBits;  // of an item's second word

DartPlan make_plan(const Parameters& parameters) {
  // Doubling sends four words an element, beside two of its record.
  return plan_darts(parameters, "euler_tour", 2, 2, [](const DartPlan& plan, std::uint64_t memory_words) {
    return 6 * plan.block <= memory_words;
  });
}

Word root_of(const Parameters& parameters) {
  return static_cast<Word>(
      parameters.integer_option("root", 0, 0, static_cast<std::int64_t>(parameters.n / 2)));
}

class EulerTour final : public OnDarts {
 public:
  explicit EulerTour(const Parameters& parameters)
      : OnDarts(parameters, make_plan(parameters), 3 * (parameters.n / 2 + 1)), root_(root_of(parameters)) {
    append_totals("around the vertices",
                  {.value_words = 2,  // first and last position
                   .value = [](std::uint64_t position, std::span<const Word>, Word,
                               std::span<Word> value) { value[0] = value[1] = position; },
                   .combine =
                       [](std::span<Word> left, Combined right) {
                         left[0] = std::min(left[0], right[0]);
                         left[1] = std::max(left[1], right[1]);
                       }},
                  plan_.record_words, [this](Dart& dart, Combined ends, std::uint64_t position) -> Word {
                    dart.tag = position == ends[1] ? ends[0] : position + 1;
                    if (dart.group == root_ && position == ends[1]) dart.state |= kEnds;
                    return 0;
                  });
    rank_darts();
    tell(
        "to the partners", [](const Dart& dart) { return dart.tag + 1; },
        [](Dart& dart, Word told) { dart.partner = (told - 1) & kDartMask; });
    walk();
    shape_.validate();
  }

 private:
  /// After it tags are ranks: how many darts of the tour come after a dart.
  void rank_darts() {
    const auto& ranks = then<Doubling>(
        "along the tour",
        {.elements = plan_.darts,
         .block_words = plan_.block,
         .doublings = ceil_log(2, plan_.darts),
         .links =
             [this, load = load_](const Context& context, const Doubling& doubling) {
               if (context.machine >= plan_.machines) return;
               const std::span<const Word> records = load(context);
               for (std::size_t i = 0; i < records.size(); i += 2) {
                 const Dart dart = Dart::of(records.subspan(i));
                 if ((dart.state & kEnds) == 0) doubling.link(context, dart.partner, dart.tag);
               }
             },
         .start = [](std::uint64_t, bool has_next) -> Word { return has_next ? 1 : 0; },
         .combine = [this](Word own, Word after) { return std::min<Word>(own + after, plan_.darts); },
         .keep = [this, load = load_](const Context& context) -> std::span<const Word> {
           if (context.machine >= plan_.machines) return {};
           return load(context);
         },
         .kept_words = [this](MachineId machine) { return 2 * plan_.count(machine); },
         .load_scratch_words = 2 * load_words_});
    load_ = [&ranks](const Context& context) -> std::span<const Word> {
      const std::span<const Word> kept = ranks.kept(context);
      const Doubling::State state = ranks.result(context);
      const std::span<Word> records = context.take(kept.size());
      std::ranges::copy(kept, records.begin());
      for (std::size_t i = 0; i < state.value.size(); ++i) {
        Dart dart = Dart::of(records.subspan(2 * i));
        dart.tag = state.value[i];
        dart.write(records.subspan(2 * i));
      }
      return records;
    };
    load_words_ = ranks.result_scratch_words() + 2 * plan_.block;
  }

  /// Darts in order of the tour, a scan of ups and downs, and the outputs of whom they lead up from.
  void walk() {
    then("in order of the tour", 1, load_words_, [this, load = load_](const Context& context, std::uint32_t) {
      if (context.machine >= plan_.machines) return;
      const std::span<const Word> records = load(context);
      for (std::size_t i = 0; i < records.size(); i += 2) {
        const Dart dart = Dart::of(records.subspan(i));
        const Word rank = dart.tag, partner = dart.partner;
        expect_received(rank < plan_.darts);
        const Word size = rank < partner ? (partner - rank + 1) / 2 : 0;
        const Word item[kItemWords] = {(plan_.darts - 1 - rank) << kDartBits | dart.group,
                                       (rank < partner ? kUp : 0) | dart.other << kDartBits | size};
        context.out.send(plan_.machine_of(plan_.darts - 1 - rank), item);
      }
    });
    const auto& depths =
        then<WordScan>("depths", {.tree = plan_.tree,
                                  .item_words = kItemWords,
                                  .load = [this](const Context& context) { return in_order(context); },
                                  .combine =
                                      [](std::span<Word> left, std::span<const Word> right) {
                                        left[0] = (left[0] + right[0]) & kDartMask;
                                        left[1] = 0;
                                      },
                                  .identity = {0, 0},
                                  .load_scratch_words = kItemWords * plan_.block});
    then("deliver", 1, 0, [this, &depths](const Context& context, std::uint32_t) {
      const auto each = [&](std::size_t at, std::span<const Word> item, std::span<const Word> depth) {
        const Word vertex = item[0] >> kDartBits;
        if ((item[1] & kUp) != 0)
          deliver_one(context, vertex, item[1] >> kDartBits & kDartMask, depth[0] + 1, item[1] & kDartMask);
        if (context.machine == 0 && at == 0) deliver_one(context, vertex, vertex, 0, shape_.outputs / 3);
      };
      depths.for_each(context, std::ref(each));
    });
  }

  /// Items by their places: (vertex, what the dart adds to the depth), (direction, other vertex, size of the subtree).
  std::span<const Word> in_order(const Context& context) const {
    const std::uint64_t count = plan_.count(context.machine), first = context.machine * plan_.block;
    const std::span<Word> items = context.take(kItemWords * count);
    std::ranges::fill(items, 0);
    const std::span<const Word> words = context.inbox.words();
    expect_received(words.size() % kItemWords == 0);
    for (std::size_t i = 0; i < words.size(); i += kItemWords) {
      const std::uint64_t at = (words[i] >> kDartBits) - first;
      expect_received(at < count);
      items[kItemWords * at] =
          (words[i] & kDartMask) << kDartBits | ((words[i + 1] & kUp) != 0 ? kDartMask : 1);
      items[kItemWords * at + 1] = words[i + 1];
    }
    return items;
  }

  void deliver_one(const Context& context, Word vertex, Word parent, Word depth, Word size) const {
    expect_received(vertex < shape_.outputs / 3);
    context.out.deliver(3 * vertex, parent);
    context.out.deliver(3 * vertex + 1, depth & kDartMask);
    context.out.deliver(3 * vertex + 2, size);
  }

  Word root_;
};

}  // namespace

std::uint32_t euler_tour_rounds(const Parameters& parameters) {
  const DartPlan plan = make_plan(parameters);
  return plan.layout_rounds() + 2 * plan.totals_rounds(false) + ceil_log(2, plan.darts) + 4;
}

ProtocolInfo euler_tour_protocol() {
  ProtocolInfo info;
  info.name = "euler_tour";
  info.summary = "parent, depth and size of its subtree for every vertex of a tree";
  info.card =
      R"(Problem: the edges u0 v0 u1 v1 .. of a tree on vertices 0 .. N / 2, N words up to 2^22, and one vertex, root. Outputs
3 v, 3 v + 1 and 3 v + 2 are v's parent (the root's is itself), its depth, and the number of vertices in its subtree.
Guarantee: exact and deterministic.
Cost: R = T_sort(N, 1) + 4 d + ceil(log2 N) + 6; d = max(1, ceil(log_f ceil(N / B))), B <= s / 6 and f as in
mpc/stages/darts.h; at most s = kappa_s b words sent and received by a machine, kappa_s = 16, or the least with a plan.
Source: Tarjan, Vishkin 1985 (the Euler tour, ranked by pointer jumping); depths by a scan over darts that are moved to
their ranks, instead of a second ranking, are ours.)";
  info.rounds_formula = "T_sort(N, 1) + 4 d + ceil(log2 N) + 6";
  info.kappa_s = kDartKappa;
  info.options = {{"root", "0", "a vertex, 0 to N / 2"}};
  info.output_form = OutputForm::kRecords;
  info.output_record = "snn";
  info.make = [](const Parameters& parameters) { return std::make_unique<EulerTour>(parameters); };
  info.decode = [](const Protocol&, std::uint64_t, Word word) {
    return std::optional(static_cast<std::int64_t>(word));
  };
  info.oracle = [](std::span<const std::int64_t> edges, const Parameters& parameters) {
    return oracles::rooted_tree(edges, static_cast<std::int64_t>(root_of(parameters)));
  };
  info.accept = [](std::span<const std::int64_t> values, const Parameters&) {
    const auto vertices = values.size() / 2 + 1;
    for (std::size_t i = 0; i < values.size(); ++i) require_vertex(i, values[i], vertices);
    std::vector<std::size_t> above(vertices);
    for (std::size_t v = 0; v < vertices; ++v) above[v] = v;
    const auto top = [&above](std::int64_t vertex) {
      auto v = static_cast<std::size_t>(vertex);
      while (above[v] != v) v = above[v] = above[above[v]];
      return v;
    };
    for (std::size_t e = 0; 2 * e + 1 < values.size(); ++e) {
      const std::size_t u = top(values[2 * e]), v = top(values[2 * e + 1]);
      require(u != v, "edge {} is {} {}, which closes a cycle; allowed is a tree", e, values[2 * e],
              values[2 * e + 1]);
      above[u] = v;
    }
  };
  info.generate = [](const Parameters& parameters) {
    // A vertex hangs below one of the eight before it or below any: long paths, and vertices of high degree.
    const std::uint64_t edges = parameters.n / 2;
    RandomStream stream(parameters.seed, Domain::kInstance);
    const auto names = random_order(edges + 1, stream), places = random_order(edges, stream);
    Values values(2 * edges);
    for (std::uint64_t v = 1; v <= edges; ++v) {
      const std::uint64_t up =
          stream.below(4) == 0 ? stream.below(v) : v - 1 - stream.below(std::min<std::uint64_t>(v, 8));
      const std::uint64_t turned = stream.below(2), at = 2 * places[v - 1];
      values[at + turned] = static_cast<std::int64_t>(names[v]);
      values[at + 1 - turned] = static_cast<std::int64_t>(names[up]);
    }
    return numbered_by_first_occurrence(values);
  };
  return info;
}

}  // namespace roundtrip::mpc
