#include "roundtrip/mpc/protocols/graph_input.h"
#include "roundtrip/mpc/protocols/library.h"
#include "roundtrip/mpc/protocols/oracles.h"
#include "roundtrip/mpc/stages/darts.h"
#include "roundtrip/mpc/stages/public_coins.h"

// A turn: of all edges between free vertices, those join that have the least number at both of their ends. Numbers are
// public coins: the independent set of the least numbers, on edges that meet instead of vertices that are neighbours.
namespace roundtrip::mpc {
namespace {

const Rational kFailure(1, 100);
constexpr Word kMatched = 1, kLeast = 2, kTaken = 4;  // of a dart's vertex; its edge at its vertex; its edge
constexpr Word kNone = (Word{1} << 48) - 1;

DartPlan make_plan(const Parameters& parameters) {
  return plan_darts(parameters, "maximal_matching", 2, 2);
}

/// Until no two free edges meet, and once more for those that then meet none.
std::uint32_t turns(const DartPlan& plan) {
  const std::uint64_t edges = plan.darts / 2;
  return turns_until_none(edges * (edges - 1) / 2, {1, 2}, kFailure) + 1;
}

class MaximalMatching final : public OnDarts {
 public:
  explicit MaximalMatching(const Parameters& parameters)
      : OnDarts(parameters, make_plan(parameters), parameters.n / 2, true) {
    for (std::uint32_t turn = 0; turn < turns(plan_); ++turn) {
      const PublicCoins coins(parameters.seed, turn);
      totals("the least edges",
             {.value_words = 2,  // number, edge
              .tell = [](const Dart& dart) { return Word{(dart.state & kMatched) == 0}; },
              .value =
                  [coins](std::uint64_t, std::span<const Word> record, Word free, std::span<Word> value) {
                    const Dart dart = Dart::of(record);
                    const bool may = free != 0 && (dart.state & kMatched) == 0 && dart.leaves();
                    value[0] = may ? coins.bits(0, dart.tag) >> 17 : kNone;
                    value[1] = may ? dart.tag : kNone;
                  },
              .combine =
                  [](std::span<Word> left, Combined right) {
                    if (std::pair(right[0], right[1]) < std::pair(left[0], left[1]))
                      left[0] = right[0], left[1] = right[1];
                  }},
             [](Dart& dart, Combined least) {
               if (dart.tag == least[1]) dart.state |= kLeast;
             });
      any(
          "those least at both ends join", [](const Dart& dart) { return (dart.state & kLeast) != 0; },
          [](const Dart& dart, bool other) { return other && (dart.state & kLeast) != 0; },
          [](Dart& dart, bool joins) {
            if (joins) dart.state |= kMatched | ((dart.state & kLeast) != 0 ? kTaken : 0);
            dart.state &= ~kLeast;
          });
    }
    deliver([](const Dart& dart) { return std::optional(Word{(dart.state & kTaken) != 0}); });
  }
};

}  // namespace

std::uint32_t maximal_matching_rounds(const Parameters& parameters) {
  const DartPlan plan = make_plan(parameters);
  return plan.layout_rounds() + turns(plan) * 2 * plan.totals_rounds(true) + 2;
}

ProtocolInfo maximal_matching_protocol() {
  ProtocolInfo info;
  info.name = "maximal_matching";
  info.summary = "edges of which no two meet, and to which no other can be added";
  info.card =
      R"(Problem: edges u0 v0 u1 v1 .., N words up to 2^22, vertices numbered from 0 (below N); output e is 1 if edge e is in the
matching, else 0. An edge from a vertex to itself is in none.
Guarantee: a matching with every seed; maximal but with probability at most 1/100 over seeds, on any graph.
Cost: R = T_sort(N, 1) + T (4 d + 2) + 4 with T = ceil(log2(100 m (m - 1) / 2)) + 1, m = N / 2 edges, of which a turn takes
away at least half of the pairs that meet in expectation; T = 1 if m = 1. d = max(1, ceil(log_f ceil(N / B))), B and f as in
mpc/stages/darts.h; at most s = kappa_s b words sent and received by a machine, kappa_s = 16, or the least with a plan.
Source: Luby 1986 on the line graph, in the form of Metivier, Robson, Saheb-Djahromi, Zemmari 2011; Israeli, Itai 1986.)";
  info.rounds_formula = "T_sort(N, 1) + T (4 d + 2) + 4";
  info.failure_probability = kFailure.to_double();
  info.make = [](const Parameters& parameters) { return std::make_unique<MaximalMatching>(parameters); };
  info.check = [](std::span<const std::int64_t> edges, const Outputs& outputs, const Parameters&) {
    return oracles::not_maximal_matching(edges, outputs);
  };
  take_edges(info, 2);
  return info;
}

}  // namespace roundtrip::mpc
