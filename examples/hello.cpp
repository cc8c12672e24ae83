// One protocol, both ways: run on its machines, and evaluated as the ANNA-transformer that it compiles to.
#include <fmt/core.h>

#include "roundtrip/simulate/compile/compare.h"
using namespace roundtrip;

int main() {
  const std::vector<mpc::Word> words = {31, 4, 15, 92, 65, 35, 89, 79, 32, 38, 46, 26, 43, 38, 32, 79};
  const simulate::Compiled sort = simulate::compile("sort", {.n = words.size()});
  const auto anna = simulate::make_attention(sort, "anna");
  const simulate::Comparison both = simulate::compare(sort, words, *anna);
  for (const mpc::Word word : both.outputs.words) fmt::print("{} ", word);
  fmt::print("\nRESULT {} rounds, {} layers, equal: {}\n", both.rounds, both.sizes.depth, both.equal);
  return both.equal ? 0 : 1;
}
