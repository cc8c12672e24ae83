#include <algorithm>

#include "roundtrip/base/error.h"
#include "roundtrip/base/random.h"
#include "roundtrip/mpc/protocols/graph_input.h"
#include "roundtrip/mpc/protocols/library.h"
#include "roundtrip/mpc/protocols/oracles.h"
#include "roundtrip/mpc/protocols/sort_input.h"
#include "roundtrip/mpc/stages/doubling.h"
#include "roundtrip/mpc/stages/sort.h"
#include "roundtrip/mpc/stages/tree_stages.h"

// Dart i (input word i, from 0) is an end of edge i div 2, its partner i ^ 1 the other end. Sorted by vertex,
// the two darts of a vertex are mates. i -> mate(i ^ 1) walks along a cycle, each cycle in both directions:
// two orbits.
namespace roundtrip::mpc {
namespace {

constexpr std::uint64_t kDefaultKappa = 8;
constexpr std::uint64_t kMinKappa = 4;
constexpr Word kBad = Word{1} << 40;  // more than there are darts

/// Two records of a machine go to the next one, too.
SortTask sort_task(const Parameters& parameters, std::uint64_t memory_words) {
  SortTask task = numbered_words(parameters.n, memory_words);
  task.machine_records = memory_words < 8 ? 0 : memory_words / 4 - 1;
  return task;
}

Sizes cycles_sizes(const Parameters& parameters) {
  require_edges(parameters.n, "one_or_two_cycles", std::uint64_t{1} << 30);
  return choose_sizes(parameters, kDefaultKappa, [&parameters](const Sizes& sizes) {
    const auto sort = plan_sort(sort_task(parameters, sizes.memory_words));
    return sizes.kappa_s >= kMinKappa && sort && (sort->machines == 1 || sort->machine_records >= 2);
  });
}

std::uint32_t doublings(const Parameters& parameters) {
  return ceil_log(2, parameters.n / 2);  // no orbit is longer than there are edges
}

class OneOrTwoCycles final : public Composition {
 public:
  explicit OneOrTwoCycles(const Parameters& parameters) {
    const Sizes sizes = cycles_sizes(parameters);
    const SortPlan plan = *plan_sort(sort_task(parameters, sizes.memory_words));
    shape_ = declare_shape(parameters, sizes, 1, plan.machines);
    shape_.heap_words = 0;
    then("to the sort machines", 1, 0,
         [this, plan](const Context& context, std::uint32_t) { send_input_to_sort(context, shape_, plan); });
    const auto place = [this, block = plan.machine_records](const Context& context, std::uint64_t position,
                                                            std::span<const Word> record) {
      const auto machine = static_cast<MachineId>(position / block);
      context.out.send(machine, record);
      if (position % block + 2 >= block && (machine + 1) * block < shape_.n)
        context.out.send(machine + 1, record);
    };
    const Sort& sort =
        then<Sort>("sort by vertex", {.plan = plan, .load = load_numbered_words, .place = place});
    const Doubling& orbits =
        then<Doubling>("least dart of every orbit",
                       {.elements = shape_.n,
                        .block_words = shape_.block_words,
                        .doublings = doublings(parameters),
                        .links =
                            [plan, &sort](const Context& context, const Doubling& doubling) {
                              link_mates(context, doubling, plan.machine_records, sort.result(context));
                            },
                        .start = [](std::uint64_t dart, bool) { return dart; },
                        .combine = [](Word own, Word after) { return std::min(own, after); }});
    shape_.word_bits = std::max(shape_.word_bits, orbits.word_bits());
    const auto owners = static_cast<std::uint32_t>(shape_.input_machines());
    const TreeReduce& count = then<TreeReduce>(
        "count orbits",
        {.tree = Tree::over(0, owners, static_cast<std::uint32_t>(shape_.memory_words)),
         .load =
             [&orbits](const Context& context, std::span<Word> element) {
               const Doubling::State state = orbits.result(context);
               element[0] = 0;
               for (std::uint64_t i = 0; i < state.value.size(); ++i) {
                 // An orbit with an end has a dart without mate in it: its vertex has not two darts.
                 const Word counted = state.next[i] == 0 ? kBad : state.value[i] == state.first + i ? 1 : 0;
                 element[0] = std::min(element[0] + counted, kBad);
               }
             },
         .combine = [](std::span<Word> left,
                       std::span<const Word> right) { left[0] = std::min(left[0] + right[0], kBad); },
         .load_scratch_words = orbits.result_scratch_words()});
    then("deliver", 1, 0, [&count](const Context& context, std::uint32_t) {
      const std::span<const Word> total = count.result(context);
      if (!total.empty()) context.out.deliver(0, total[0] >= kBad ? 0 : total[0] / 2);
    });
    shape_.validate();
  }

 private:
  /// `sorted` are pairs (vertex, dart), two of them the machine's before unless it is the first. Mates are
  /// at an even position and the one after it; a third dart of the vertex finds two equal ones before it,
  /// and stays alone.
  static void link_mates(const Context& context, const Doubling& doubling, std::uint64_t block,
                         std::span<const Word> sorted) {
    const std::uint64_t copies = context.machine > 0 ? 2 : 0;
    const std::uint64_t records = sorted.size() / 2;
    for (std::uint64_t i = std::max<std::uint64_t>(copies, 1); i < records; ++i) {
      const std::uint64_t position = context.machine * block + i - copies;
      if (position % 2 == 0) continue;
      const Word* const own = sorted.data() + 2 * i;
      const bool third = i >= 2 && own[-4] == own[0];
      if (own[-2] != own[0] || third) continue;
      doubling.link(context, own[1] ^ 1, own[-1]);
      doubling.link(context, own[-1] ^ 1, own[1]);
    }
  }
};

}  // namespace

std::uint32_t one_or_two_cycles_rounds(const Parameters& parameters) {
  const Sizes sizes = cycles_sizes(parameters);
  const std::uint64_t owners = ceil_div(parameters.n, sizes.block_words);
  return plan_sort(sort_task(parameters, sizes.memory_words))->rounds + 3 + doublings(parameters) +
         ceil_log(sizes.memory_words, owners);
}

ProtocolInfo one_or_two_cycles_protocol() {
  ProtocolInfo info;
  info.name = "one_or_two_cycles";
  info.summary = "how many cycles a graph consists of";
  info.card =
      R"(Problem: edges u0 v0 u1 v1 .., N words; if every vertex has two ends of edges, output the number of cycles (a loop
and a double edge are cycles), otherwise nothing. The conjecture is about telling one from two.
Guarantee: exact and deterministic, on any graph.
Cost: R = T_sort(N, 2) + ceil(log2(N / 2)) + ceil(log_s ceil(N / b)) + 3 rounds; at most s = kappa_s b words sent
and received by a machine, kappa_s = 8 (at least 4); q = max(ceil(N / b), ceil(N / B)), T_sort's B at
most floor(s / 4) - 1.
Source: pointer doubling along both directions of the cycles. Omega(log N) rounds are conjectured to be needed with
s = N^(1 - Omega(1)) (Yaroslavtsev, Vadapalli 2018; Roughgarden, Vassilvitskii, Wang 2018), which makes
conditional lower bounds on the depth of ANNA-transformers (Liu et al. 2025).)";
  info.rounds_formula = "T_sort(N, 2) + ceil(log2(N / 2)) + ceil(log_s ceil(N / b)) + 3";
  info.kappa_s = kDefaultKappa;
  info.make = [](const Parameters& parameters) { return std::make_unique<OneOrTwoCycles>(parameters); };
  info.decode = [](const Protocol&, std::uint64_t, Word word) -> std::optional<std::int64_t> {
    if (word == 0) return std::nullopt;
    return static_cast<std::int64_t>(word);
  };
  info.oracle = [](std::span<const std::int64_t> values, const Parameters&) {
    return oracles::cycles(values);
  };
  info.generate = [](const Parameters& parameters) {
    // One cycle or two of equal length, by a coin; vertices, edges and their directions in random order.
    const std::uint64_t edges = parameters.n / 2;
    RandomStream stream(parameters.seed, Domain::kInstance);
    const bool two = edges > 1 && stream.below(2) == 1;
    const auto names = random_order(edges, stream);
    const auto places = random_order(edges, stream);
    const std::uint64_t half = two ? edges / 2 : edges;
    Values values(parameters.n);
    for (std::uint64_t i = 0; i < edges; ++i) {
      const std::uint64_t next = i + 1 == half ? 0 : i + 1 == edges ? (two ? half : 0) : i + 1;
      const std::uint64_t turned = stream.below(2);
      values[2 * places[i] + turned] = static_cast<std::int64_t>(names[i]);
      values[2 * places[i] + 1 - turned] = static_cast<std::int64_t>(names[next]);
    }
    return numbered_by_first_occurrence(values);
  };
  return info;
}

}  // namespace roundtrip::mpc
