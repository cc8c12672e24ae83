// Sorting where no machine may hold, send or receive more than a fraction of the input; and what happens to a
// run that is allowed one word less than it needs.
#include <fmt/core.h>

#include <algorithm>

#include "roundtrip/mpc/registry.h"
#include "roundtrip/mpc/runtime.h"
#include "roundtrip/mpc/transport.h"
using namespace roundtrip;

int main() {
  const mpc::Parameters parameters{.n = 4096};  // eps = 1/2: b = 64 input words a machine
  const auto sort = mpc::find_protocol("sort").make(parameters);
  const mpc::Shape& shape = sort->shape();
  fmt::print("{} words, {} on each of {} machines; memory s = {} words, an eighth of the input\n", shape.n,
             shape.block_words, shape.machines, shape.memory_words);

  std::vector<mpc::Word> input;
  for (std::uint64_t i = 0; i < shape.n; ++i)
    input.push_back(mpc::encode_input(static_cast<std::int64_t>(i * 2654435761 % 100000), shape, "a word"));
  const auto machines = mpc::make_in_process_transport();
  const mpc::RunResult run = mpc::run(*sort, input, *machines);
  const mpc::RoundFacts used = run.ledger.overall();
  std::ranges::sort(input);
  const bool sorted = run.outputs == input;
  fmt::print("sorted: {}, in {} rounds; the busiest machine sent {} words and received {}\n", sorted,
             run.ledger.rounds.size(), used.max_words_sent, used.max_words_received);

  bool refused = false;
  try {
    const std::uint64_t too_few = std::max(used.max_words_sent, used.max_words_received) - 1;
    mpc::run(*sort, input, *machines, {.limit_words = too_few});
  } catch (const mpc::ModelViolation& violation) {
    fmt::print("one word less: {}\n", violation.what());
    refused = true;
  }
  return sorted && refused && run.ledger.rounds.size() == shape.rounds ? 0 : 1;
}
