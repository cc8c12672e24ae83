#include "roundtrip/mpc/protocols/graph_input.h"
#include "roundtrip/mpc/protocols/library.h"
#include "roundtrip/mpc/protocols/oracles.h"
#include "roundtrip/mpc/stages/darts.h"
#include "roundtrip/mpc/stages/public_coins.h"

// A turn: every vertex that is still in the race and has the least number of its neighbours in it joins the set, and its
// neighbours leave. Numbers are public coins: nobody sends them.
namespace roundtrip::mpc {
namespace {

const Rational kFailure(1, 100);
enum State : Word { kRaces, kJoined, kLeft };

Word state_of(const Dart& dart) {
  return dart.state & ~Dart::kFirst;
}

DartPlan make_plan(const Parameters& parameters) {
  return plan_darts(parameters, "maximal_independent_set", 2, 1);
}

/// Until no edge is left, and once more for the vertices that then have none.
std::uint32_t turns(const DartPlan& plan) {
  return turns_until_none(plan.darts / 2, {1, 2}, kFailure) + 1;
}

class MaximalIndependentSet final : public OnDarts {
 public:
  explicit MaximalIndependentSet(const Parameters& parameters)
      : OnDarts(parameters, make_plan(parameters), parameters.n) {
    for (std::uint32_t turn = 0; turn < turns(plan_); ++turn) {
      const auto number = [coins = PublicCoins(parameters.seed, turn)](Word vertex) {
        return std::pair(coins.bits(0, vertex), vertex);
      };
      any(
          "the least join", [](const Dart& dart) { return state_of(dart) == kRaces; },
          [number](const Dart& dart, bool races) { return races && number(dart.other) < number(dart.group); },
          [](Dart& dart, bool beaten) {
            if (state_of(dart) == kRaces && !beaten) dart.state |= kJoined;
          });
      any(
          "their neighbours leave",
          [](const Dart& dart) { return state_of(dart) == kJoined && dart.leaves(); },
          [](const Dart&, bool joined) { return joined; },
          [](Dart& dart, bool near) {
            if (state_of(dart) == kRaces && near) dart.state |= kLeft;
          });
    }
    deliver([](const Dart& dart) {
      return (dart.state & Dart::kFirst) == 0 ? std::nullopt : std::optional(Word{state_of(dart) == kJoined});
    });
  }
};

}  // namespace

std::uint32_t maximal_independent_set_rounds(const Parameters& parameters) {
  const DartPlan plan = make_plan(parameters);
  return plan.layout_rounds() + turns(plan) * 2 * plan.totals_rounds(true) + 2;
}

ProtocolInfo maximal_independent_set_protocol() {
  ProtocolInfo info;
  info.name = "maximal_independent_set";
  info.summary = "vertices of which no two are neighbours, and to which no other can be added";
  info.card =
      R"(Problem: edges u0 v0 u1 v1 .., N words up to 2^22, vertices numbered from 0 (below N); output v is 1 if v is in the set, 0
if not, nothing if v has no edge. An edge from a vertex to itself says nothing.
Guarantee: independent with every seed; maximal but with probability at most 1/100 over seeds, on any graph.
Cost: R = T_sort(N, 1) + T (4 d + 2) + 4 with T = ceil(log2(50 N)) + 1: a turn takes away at least half of the edges in
expectation, and Markov's inequality does the rest; d = max(1, ceil(log_f ceil(N / B))), B and f as in
mpc/stages/darts.h; at most s = kappa_s b words sent and received by a machine, kappa_s = 16, or the least with a plan.
Source: Luby 1986, in the form of Metivier, Robson, Saheb-Djahromi, Zemmari 2011 (the least number joins).)";
  info.rounds_formula = "T_sort(N, 1) + (ceil(log2(50 N)) + 1) (4 d + 2) + 4";
  info.drops_absent_tail = true;
  info.failure_probability = kFailure.to_double();
  info.make = [](const Parameters& parameters) {
    return std::make_unique<MaximalIndependentSet>(parameters);
  };
  info.check = [](std::span<const std::int64_t> edges, const Outputs& outputs, const Parameters&) {
    return oracles::not_maximal_independent(edges, outputs);
  };
  take_edges(info, 2);
  return info;
}

}  // namespace roundtrip::mpc
