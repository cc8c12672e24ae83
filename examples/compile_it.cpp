// A round becomes a layer, a machine becomes a token: one protocol by every construction, with the sizes that
// the formulas promise before anything is evaluated, and those that the transformer has.
#include <fmt/core.h>

#include "roundtrip/simulate/compile/compare.h"
using namespace roundtrip;

int main() {
  const mpc::Parameters parameters{.n = 256};
  std::vector<mpc::Word> words;
  for (std::uint64_t i = 0; i < parameters.n; ++i) words.push_back(i * 7919 % 1000);
  bool holds = true;
  for (const simulate::ConstructionInfo* construction : simulate::all_constructions()) {
    const simulate::Compiled sort =
        simulate::compile("sort", parameters, {.construction = construction->name});
    const auto attention = simulate::make_attention(sort, "anna");
    const simulate::Comparison both = simulate::compare(sort, words, *attention);
    const simulate::TransformerSizes &bound = sort.bound, &sizes = both.sizes;
    fmt::print("{}: {} rounds on {} machines\n", construction->name, both.rounds,
               sort.protocol->shape().machines);
    fmt::print("  by formula: {} layers, {} heads, width {}\n", bound.depth, bound.heads, bound.width);
    fmt::print("  it has:     {} layers, {} heads, width {}\n", sizes.depth, sizes.heads, sizes.width);
    fmt::print("  its words are the run's: {}\n", both.equal);
    holds = holds && both.equal && sizes.depth == bound.depth && sizes.width <= bound.width;
  }
  fmt::print(
      "Direct: depth R + 1, but wide. Scattered: the same, narrower at large N. Routed: two layers a digit and round, and "
      "narrow enough for the theorem.\n");
  return holds ? 0 : 1;
}
