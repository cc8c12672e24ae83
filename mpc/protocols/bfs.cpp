#include "roundtrip/mpc/protocols/graph_input.h"
#include "roundtrip/mpc/protocols/library.h"
#include "roundtrip/mpc/protocols/oracles.h"
#include "roundtrip/mpc/stages/darts.h"

// A turn: whoever was reached in the turn before tells its neighbours; nobody else sends more than its state to itself. So all
// turns together send one word a dart, and an early end would save nothing.
namespace roundtrip::mpc {
namespace {

constexpr Word kReached = 1;  // of a dart's state; its level is then in `other`, which no turn needs

struct Task {
  Word source = 0;
  std::uint32_t depth = 0;
};

Task task_of(const Parameters& parameters) {
  const std::uint32_t unasked = 2 * ceil_log(2, parameters.n);
  return {static_cast<Word>(parameters.integer_option("source", 0, 0, static_cast<std::int64_t>(kDartMask))),
          static_cast<std::uint32_t>(parameters.integer_option("depth", unasked, 1, 1 << 16))};
}

DartPlan make_plan(const Parameters& parameters) {
  return plan_darts(parameters, "bfs", 2, 1);
}

class Bfs final : public OnDarts {
 public:
  explicit Bfs(const Parameters& parameters) : OnDarts(parameters, make_plan(parameters), parameters.n) {
    const Task task = task_of(parameters);
    for (std::uint32_t level = 0; level < task.depth; ++level) {
      any(
          fmt::format("level {}", level + 1),
          [level, source = task.source](const Dart& dart) {
            return level == 0 ? dart.group == source : (dart.state & kReached) != 0 && dart.other == level;
          },
          [](const Dart&, bool told) { return told; },
          [level, source = task.source](Dart& dart, bool near) {
            if (level == 0 && dart.group == source) dart.state |= kReached, dart.other = 0;
            if (near && (dart.state & kReached) == 0) dart.state |= kReached, dart.other = level + 1;
          });
    }
    deliver([](const Dart& dart) {
      constexpr Word kBoth = Dart::kFirst | kReached;
      return (dart.state & kBoth) == kBoth ? std::optional(dart.other) : std::nullopt;
    });
  }
};

}  // namespace

std::uint32_t bfs_rounds(const Parameters& parameters) {
  const DartPlan plan = make_plan(parameters);
  return plan.layout_rounds() + task_of(parameters).depth * plan.totals_rounds(true) + 2;
}

ProtocolInfo bfs_protocol() {
  ProtocolInfo info;
  info.name = "bfs";
  info.summary = "how far every vertex of a graph is from one of them, up to a depth";
  info.card =
      R"(Problem: edges u0 v0 u1 v1 .., N words up to 2^22, vertices numbered from 0 (below N), a vertex source and a number
depth. Output v is the number of edges of a shortest path from source to v if it is at most depth, else nothing.
Guarantee: exact and deterministic.
Cost: R = T_sort(N, 1) + depth (2 d + 1) + 4, depth = 2 ceil(log2 N) if it is not given; d = max(1, ceil(log_f ceil(N / B))),
B and f as in mpc/stages/darts.h; at most s = kappa_s b words sent and received by a machine, kappa_s = 16, or the least
with a plan. Beside the state of the machines, all levels together send one word an end of an edge.
Source: breadth-first search by levels (Moore 1959), a level a turn; totals without a sort are ours.)";
  info.rounds_formula = "T_sort(N, 1) + depth (2 d + 1) + 4";
  info.options = {{"source", "0", "the vertex from which levels count"},
                  {"depth", "2 ceil(log2 N)", "levels, 1 to 65536; vertices beyond have no output"}};
  info.drops_absent_tail = true;
  info.make = [](const Parameters& parameters) { return std::make_unique<Bfs>(parameters); };
  info.oracle = [](std::span<const std::int64_t> edges, const Parameters& parameters) {
    const Task task = task_of(parameters);
    return oracles::bfs(edges, static_cast<std::int64_t>(task.source), task.depth);
  };
  take_edges(info, 2);
  return info;
}

}  // namespace roundtrip::mpc
