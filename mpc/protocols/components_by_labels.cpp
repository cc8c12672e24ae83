#include "roundtrip/mpc/protocols/graph_input.h"
#include "roundtrip/mpc/protocols/library.h"
#include "roundtrip/mpc/protocols/oracles.h"
#include "roundtrip/mpc/stages/darts.h"

// A turn: whoever has a new label tells its neighbours, and takes the least label that it hears.
namespace roundtrip::mpc {
namespace {

constexpr Word kChanged = 1;  // of a dart's state; its label is in `other`, which no turn needs
constexpr Word kNone = (Word{1} << 48) - 1;

std::uint32_t diameter_of(const Parameters& parameters) {
  return static_cast<std::uint32_t>(
      parameters.integer_option("diameter", 2 * ceil_log(2, parameters.n), 1, 1 << 16));
}

DartPlan make_plan(const Parameters& parameters) {
  return plan_darts(parameters, "components_by_labels", 2, 1);
}

class ComponentsByLabels final : public OnDarts {
 public:
  explicit ComponentsByLabels(const Parameters& parameters)
      : OnDarts(parameters, make_plan(parameters), parameters.n) {
    const std::uint32_t turns = diameter_of(parameters);
    for (std::uint32_t turn = 0; turn < turns; ++turn) {
      totals("least labels",
             {.tell = [turn](const Dart& dart) -> Word {
                if (turn == 0) return dart.group + 1;
                return (dart.state & kChanged) != 0 ? dart.other + 1 : 0;
              },
              .value = [](std::uint64_t, std::span<const Word>, Word told,
                          std::span<Word> value) { value[0] = told == 0 ? kNone : told - 1; },
              .combine = [](std::span<Word> left, Combined right) { left[0] = std::min(left[0], right[0]); }},
             [turn](Dart& dart, Combined least) {
               if (turn == 0) dart.other = dart.group;
               dart.state &= ~kChanged;
               if (least[0] < dart.other) dart.state |= kChanged, dart.other = least[0];
             });
    }
    deliver([](const Dart& dart) {
      return (dart.state & Dart::kFirst) == 0 ? std::nullopt : std::optional(dart.other);
    });
  }
};

}  // namespace

std::uint32_t components_by_labels_rounds(const Parameters& parameters) {
  const DartPlan plan = make_plan(parameters);
  return plan.layout_rounds() + diameter_of(parameters) * plan.totals_rounds(true) + 2;
}

ProtocolInfo components_by_labels_protocol() {
  ProtocolInfo info;
  info.name = "components_by_labels";
  info.summary = "what components gives on graphs of low diameter, in fewer rounds";
  info.card =
      R"(Problem: edges u0 v0 u1 v1 .., N words up to 2^22, vertices numbered from 0 (below N), a number diameter. Output v is
the least vertex at most diameter edges away from v, or nothing if v has no edge: the least of its component, if none has two
vertices further apart.
Guarantee: exact and deterministic.
Cost: R = T_sort(N, 1) + diameter (2 d + 1) + 4, diameter = 2 ceil(log2 N) if it is not given;
d = max(1, ceil(log_f ceil(N / B))), B and f as in mpc/stages/darts.h; at most s = kappa_s b words sent and received by a
machine, kappa_s = 16, or the least with a plan.
Source: label propagation (hash-min, Rastogi et al. 2013). Andoni, Song, Stein, Wang, Zhong 2018 need
O(log D log log n) rounds; each doubling of neighbourhoods there takes two sorts, a turn here 2 d + 1 rounds.)";
  info.rounds_formula = "T_sort(N, 1) + diameter (2 d + 1) + 4";
  info.options = {{"diameter", "2 ceil(log2 N)", "how far labels go, 1 to 65536 edges"}};
  info.output_form = OutputForm::kSymbols;
  info.drops_absent_tail = true;
  info.make = [](const Parameters& parameters) { return std::make_unique<ComponentsByLabels>(parameters); };
  info.oracle = [](std::span<const std::int64_t> edges, const Parameters& parameters) {
    return oracles::least_within(edges, diameter_of(parameters));
  };
  take_edges(info, 2);
  return info;
}

}  // namespace roundtrip::mpc
