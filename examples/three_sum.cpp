// 3-SUM: are there three words that add up to 0? Machines look at all pairs of blocks, but only where the
// third word can lie; the rounds stay few however many words there are, and so does the depth of the
// transformer.
#include <fmt/core.h>

#include "roundtrip/mpc/registry.h"
#include "roundtrip/mpc/runtime.h"
#include "roundtrip/mpc/transport.h"
#include "roundtrip/simulate/compile/compare.h"
using namespace roundtrip;

int main() {
  const mpc::ProtocolInfo& three_sum = mpc::find_protocol("three_sum");
  bool right = true;
  for (const bool planted : {true, false}) {
    mpc::Values values;  // 3 i + 1: no three of them add up to 0, their sum is 3 (i + j + k + 1)
    for (std::int64_t i = 0; i < 256; ++i) values.push_back(3 * (i * 37 % 256) + 1);
    if (planted) values[100] = -values[3] - values[77];
    const mpc::Parameters parameters{.n = values.size()};
    const auto protocol = three_sum.make(parameters);
    std::vector<mpc::Word> input;
    for (const std::int64_t value : values)
      input.push_back(mpc::encode_input(value, protocol->shape(), "a word"));
    const auto machines = mpc::make_in_process_transport();
    const mpc::RunResult run = mpc::run(*protocol, input, *machines);
    std::int64_t sum = 0;
    fmt::print("{}: ", planted ? "planted" : "without");
    if (const auto first = three_sum.decode(*protocol, 0, run.outputs[0])) {
      for (std::size_t t = 0; t < 3; ++t) {
        const std::int64_t position = *three_sum.decode(*protocol, t, run.outputs[t]);
        const std::int64_t word = values[static_cast<std::size_t>(position - 1)];
        fmt::print("x_{} = {} ", position, word);
        sum += word;
      }
      fmt::print("add up to {}\n", sum);
      right = right && planted && sum == 0;
    } else {
      fmt::print("no three add up to 0\n");
      right = right && !planted;
    }
  }
  for (const std::uint64_t n : {256, 4096, 65536}) {
    const auto protocol = three_sum.make({.n = n});
    const simulate::EvaluationPlan plan = simulate::plan(protocol->shape());
    fmt::print("N = {:>5}: {} rounds, {} layers\n", n, protocol->shape().rounds, plan.sizes.depth);
    right = right && plan.sizes.depth == protocol->shape().rounds + 1;
  }
  return right ? 0 : 1;
}
