#include "roundtrip/mpc/protocols/graph_input.h"
#include "roundtrip/mpc/protocols/library.h"
#include "roundtrip/mpc/protocols/oracles.h"
#include "roundtrip/mpc/stages/darts.h"
#include "roundtrip/mpc/stages/public_coins.h"

// A turn: every part of the forest finds the lightest edge that leaves it, which is in the minimum spanning forest. Coins
// make heads and tails of parts; tails whose edge leads to heads become part of them: stars, whatever the graph.
namespace roundtrip::mpc {
namespace {

const Rational kFailure(1, 100);
constexpr Word kTaken = 4;  // of a dart's state
constexpr Word kNone = (Word{1} << 48) - 1;

DartPlan make_plan(const Parameters& parameters) {
  return plan_darts(parameters, "minimum_spanning_forest", 3, 3);
}

/// A part that has an edge merges with probability 1/4 in a turn.
std::uint32_t turns(const DartPlan& plan) {
  return turns_until_none(plan.darts, {3, 4}, kFailure);
}

class MinimumSpanningForest final : public OnDarts {
 public:
  explicit MinimumSpanningForest(const Parameters& parameters)
      : OnDarts(parameters, make_plan(parameters), parameters.n / 3, true) {
    for (std::uint32_t turn = 0; turn < turns(plan_); ++turn) {
      const PublicCoins coins(parameters.seed, turn);
      merge("merge parts",
            {.value_words = 3,  // weight; edge and where it leads; darts
             .value =
                 [](std::uint64_t, std::span<const Word> record, Word, std::span<Word> value) {
                   const Dart dart = Dart::of(record);
                   value[0] = dart.leaves() ? record[2] : kNone;
                   value[1] = dart.leaves() ? dart.tag << kDartBits | dart.other : kNone;
                   value[2] = 1;
                 },
             .combine =
                 [](std::span<Word> left, std::span<const Word> right) {
                   if (std::pair(right[0], right[1]) < std::pair(left[0], left[1]))
                     left[0] = right[0], left[1] = right[1];
                   left[2] += right[2];
                 }},
            [coins](Dart& dart, Combined least, std::uint64_t) -> Word {
              if (least[1] == kNone || coins.flip(0, dart.group) || !coins.flip(0, least[1] & kDartMask))
                return 0;
              dart.state |= MergeGroups::kMerges;
              if (!dart.leaves() || dart.tag != least[1] >> kDartBits) return 0;
              dart.state |= MergeGroups::kHook | kTaken;
              return least[2];
            });
    }
    deliver([](const Dart& dart) { return std::optional(Word{(dart.state & kTaken) != 0}); });
  }
};

}  // namespace

std::uint32_t minimum_spanning_forest_rounds(const Parameters& parameters) {
  const DartPlan plan = make_plan(parameters);
  return plan.layout_rounds() + turns(plan) * (plan.totals_rounds(false) + plan.merge_rounds()) + 2;
}

ProtocolInfo minimum_spanning_forest_protocol() {
  ProtocolInfo info;
  info.name = "minimum_spanning_forest";
  info.summary = "which edges of a weighted graph are in its minimum spanning forest";
  info.card =
      R"(Problem: edges u0 v0 w0 u1 v1 w1 .., N words, n = 2 N / 3 <= 2^22 ends of edges, vertices numbered from 0 (below n);
output e is 1 if edge e is in the minimum spanning forest, else 0. Of equal weights the earlier edge is the lighter one.
Guarantee: every 1 is right; no 1 is missing but with probability at most 1/100 over seeds, on any graph.
Cost: R = T_sort(n, 2) + T (6 d + 4) + 4 with T = ceil(log_(4/3)(100 n)): a part of the forest merges with probability 1/4
a turn; d = max(1, ceil(log_f ceil(n / B))), B and f as in mpc/stages/darts.h; at most s = kappa_s b words sent and
received by a machine, kappa_s = 16, or the least with a plan.
Source: Boruvka 1926, by random mates (Reif 1985); merging without a sort is ours.)";
  info.rounds_formula = "T_sort(n, 2) + ceil(log_(4/3)(100 n)) (6 d + 4) + 4, n = 2 N / 3";
  info.failure_probability = kFailure.to_double();
  info.make = [](const Parameters& parameters) {
    return std::make_unique<MinimumSpanningForest>(parameters);
  };
  info.oracle = [](std::span<const std::int64_t> edges, const Parameters&) {
    return oracles::minimum_spanning_forest(edges);
  };
  take_edges(info, 3);
  return info;
}

}  // namespace roundtrip::mpc
