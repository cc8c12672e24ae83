#include <algorithm>

#include "roundtrip/mpc/protocols/graph_input.h"
#include "roundtrip/mpc/protocols/library.h"
#include "roundtrip/mpc/protocols/oracles.h"
#include "roundtrip/mpc/protocols/part_table.h"
#include "roundtrip/mpc/stages/darts.h"
#include "roundtrip/mpc/stages/public_coins.h"

// Every part of the graph draws a rank, whose last bit makes it head or tail. A tail with a head among its neighbours
// becomes part of that one. So does a head with no neighbour but one that is a head of lower rank: nobody else knows
// better, for that neighbour is the only one who could want to become part of it, and is no tail. A part with two
// neighbours or more merges with probability 1/2 (1 - 1/4) at least; one with a single neighbour with 1/4 + 1/4 1/2.
namespace roundtrip::mpc {
namespace {

const Rational kFailure(1, 100);
constexpr std::uint64_t kValueWords = 2;

struct Plan {
  DartPlan darts{};
  Tree finish{};
  std::uint64_t slots = 0;  // Z
  std::uint32_t turns = 0;
  std::uint32_t rounds() const {
    return darts.layout_rounds() + turns * (darts.totals_rounds(false) + darts.merge_rounds()) +
           darts.totals_rounds(false) + 1 + 2 * finish.depth + 2;
  }
};

/// Until no more than Z parts are left, unless with probability 1/100; the fan of the table's tree of least R.
Plan make_plan(const Parameters& parameters) {
  Plan plan{.darts = plan_darts(parameters, "components_by_coins", 2, kValueWords)};
  const DartPlan& darts = plan.darts;
  const std::uint64_t spare = darts.sizes.memory_words - 2 * darts.block;
  Plan best = plan;
  for (std::uint64_t fan = 2; fan <= std::max<std::uint64_t>(2, std::min(darts.machines, spare)); ++fan) {
    plan.finish = Tree::over(0, static_cast<std::uint32_t>(darts.machines), static_cast<std::uint32_t>(fan));
    plan.finish.depth = std::max(plan.finish.depth, 1u);
    plan.slots = spare / fan;
    plan.turns = turns_until_none(ceil_div(darts.darts, plan.slots), {5, 8}, kFailure);
    if (darts.darts <= plan.slots) plan.turns = 0;
    if (best.slots == 0 || plan.rounds() < best.rounds()) best = plan;
  }
  return best;
}

class ComponentsByCoins final : public OnDarts {
 public:
  explicit ComponentsByCoins(const Parameters& parameters)
      : OnDarts(parameters, make_plan(parameters).darts, parameters.n) {
    const Plan plan = make_plan(parameters);
    for (std::uint32_t turn = 0; turn < plan.turns; ++turn) append_turn(PublicCoins(parameters.seed, turn));
    // A part's name is its least vertex from here on.
    totals("least vertices",
           {.value = [](std::uint64_t, std::span<const Word> record, Word,
                        std::span<Word> value) { value[0] = Dart::of(record).tag; },
            .combine = [](std::span<Word> left, Combined right) { left[0] = std::min(left[0], right[0]); }},
           [](Dart& dart, Combined least) { dart.group = least[0]; });
    tell(
        "to the neighbours", [](const Dart& dart) { return dart.group + 1; },
        [](Dart& dart, Word told) { dart.other = (told - 1) & kDartMask; });
    unite_the_rest(plan);
    deliver([](const Dart& dart) {
      return (dart.state & Dart::kFirst) == 0 ? std::nullopt : std::optional(dart.group);
    });
  }

 private:
  /// Of a group: the least and the greatest neighbour (as what lacks to the greatest number); its darts, and the first of
  /// them that leads to a head (as what lacks to 2^22).
  void append_turn(const PublicCoins& coins) {
    merge("merge parts",
          {.value_words = kValueWords,
           .value =
               [coins](std::uint64_t position, std::span<const Word> record, Word, std::span<Word> value) {
                 const Dart dart = Dart::of(record);
                 const bool head = dart.leaves() && coins.flip(0, dart.other);
                 value[0] = dart.leaves() ? (kDartMask - dart.other) << kDartBits | dart.other : 0;
                 value[1] = Word{1} << kCountShift | (head ? (Word{1} << kDartBits) - position : 0);
               },
           .combine =
               [](std::span<Word> left, Combined right) {
                 left[0] = std::max(left[0] >> kDartBits, right[0] >> kDartBits) << kDartBits |
                           std::max(left[0] & kDartMask, right[0] & kDartMask);
                 constexpr Word kPlace = (Word{1} << kCountShift) - 1;
                 left[1] = ((left[1] >> kCountShift) + (right[1] >> kCountShift)) << kCountShift |
                           std::max(left[1] & kPlace, right[1] & kPlace);
               }},
          [coins](Dart& dart, Combined total, std::uint64_t position) -> Word {
            const Word place = total[1] & ((Word{1} << kCountShift) - 1);
            const Word least = kDartMask - (total[0] >> kDartBits), greatest = total[0] & kDartMask;
            const auto rank = [&coins](Word part) { return std::pair(coins.bits(0, part), part); };
            const bool stays =
                coins.flip(0, dart.group) && !(least == greatest && rank(least) < rank(dart.group));
            if (place == 0 || stays) return 0;
            dart.state |= MergeGroups::kMerges;
            if ((Word{1} << kDartBits) - place != position) return 0;
            dart.state |= MergeGroups::kHook;
            return total[1] >> kCountShift;
          });
  }
  static constexpr std::uint32_t kCountShift = kDartBits + 1;

  /// Parts that have neighbours still: in one table up a tree; then their roots, on all machines.
  void unite_the_rest(const Plan& plan) {
    const auto& joined = then<TreeReduce>(
        "what is left", {.tree = plan.finish,
                         .element_words = plan.slots,
                         .load =
                             [load = load_](const Context& context, std::span<Word> table) {
                               std::ranges::fill(table, kNoPart);
                               const std::span<const Word> records = load(context);
                               for (std::size_t i = 0; i < records.size(); i += 2) {
                                 const Dart dart = Dart::of(records.subspan(i));
                                 if (dart.leaves()) unite_parts(table, dart.group, dart.other);
                               }
                             },
                         .combine =
                             [](std::span<Word> left, std::span<const Word> right) {
                               for (const Word entry : right) {
                                 if (entry < kNoPart)
                                   unite_parts(left, entry >> kPartBits, entry & kPartMask);
                               }
                             },
                         .keep =
                             [this, load = load_](const Context& context) {
                               return context.machine < plan_.machines ? load(context)
                                                                       : std::span<const Word>{};
                             },
                         .load_scratch_words = 2 * load_words_});
    const auto& known =
        then<Broadcast>("to all", {.tree = plan.finish,
                                   .element_words = plan.slots,
                                   .load =
                                       [&joined](const Context& context, std::span<Word> table) {
                                         std::ranges::copy(joined.result(context), table.begin());
                                         for (Word& entry : table) {
                                           if (entry < kNoPart)
                                             entry = entry >> kPartBits << kPartBits |
                                                     root_of_part(table, entry >> kPartBits);
                                         }
                                       },
                                   .keep = [&joined](const Context& context) { return joined.kept(context); },
                                   .load_scratch_words = plan.slots});
    load_ = [this, &known](const Context& context) -> std::span<const Word> {
      const std::span<const Word> table = known.result(context), kept = known.kept(context);
      expect_received(kept.size() == 2 * plan_.count(context.machine));
      const std::span<Word> records = context.take(kept.size());
      std::ranges::copy(kept, records.begin());
      for (std::size_t i = 0; i < records.size(); i += 2) {
        Dart dart = Dart::of(records.subspan(i));
        const auto entry = std::ranges::lower_bound(table, dart.group << kPartBits);
        if (entry != table.end() && *entry >> kPartBits == dart.group) dart.group = *entry & kDartMask;
        dart.write(records.subspan(i));
      }
      return records;
    };
    load_words_ = 2 * plan_.block;
  }
};

}  // namespace

std::uint32_t components_by_coins_rounds(const Parameters& parameters) {
  return make_plan(parameters).rounds();
}

ProtocolInfo components_by_coins_protocol() {
  ProtocolInfo info;
  info.name = "components_by_coins";
  info.summary = "what components gives, by public coins and one sort: fewer rounds from N = 2^12 on";
  info.card =
      R"(Problem: edges u0 v0 u1 v1 .., N words up to 2^22, vertices numbered from 0 (below N); output v is the least vertex of
v's component, or nothing if v has no edge.
Guarantee: right but with probability at most 1/100 over seeds, on any graph; O(log N) rounds at fixed eps.
Cost: R = T_sort(N, 1) + T (6 d + 4) + 2 d + 2 dz + 5. In a turn a part that has a neighbour merges with probability 3/8 at
least, so after T turns, the least with ceil(N / Z) (5/8)^T <= 1/100, more than Z are left with probability 1/100 at most,
and Z fit a table of Z = floor((s - 2 B) / z) words, dz = max(1, ceil(log_z ceil(N / B))), z of least R; T = 0 if N <= Z.
d = max(1, ceil(log_f ceil(N / B))), B and f as in mpc/stages/darts.h; at most s = kappa_s b words sent and received by a
machine, kappa_s = 16, or the least with a plan.
Source: random mates (Reif 1985), with leaves that merge as heads, too; merging without a sort is ours.)";
  info.rounds_formula = "T_sort(N, 1) + T (6 d + 4) + 2 d + 2 dz + 5";
  info.output_form = OutputForm::kSymbols;
  info.drops_absent_tail = true;
  info.failure_probability = kFailure.to_double();
  info.make = [](const Parameters& parameters) { return std::make_unique<ComponentsByCoins>(parameters); };
  info.oracle = [](std::span<const std::int64_t> values, const Parameters&) {
    return oracles::components(values);
  };
  take_edges(info, 2);
  return info;
}

}  // namespace roundtrip::mpc
