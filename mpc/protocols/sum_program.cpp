#include <algorithm>
#include <vector>

#include "roundtrip/mpc/program/program.h"
#include "roundtrip/mpc/protocols/library.h"
#include "roundtrip/mpc/protocols/program_input.h"
#include "roundtrip/mpc/stages/composition.h"
#include "roundtrip/mpc/stages/tree.h"

namespace roundtrip::mpc {
namespace {

struct Plan {
  Sizes sizes;
  Tree tree;
};

Plan plan_of(const Parameters& parameters) {
  Plan plan{};
  plan.sizes = choose_sizes(parameters, 1, [&](const Sizes& sizes) {
    return sizes.memory_words >= 2 || parameters.n <= sizes.block_words;
  });
  plan.tree = Tree::over(0, static_cast<std::uint32_t>(ceil_div(parameters.n, plan.sizes.block_words)),
                         static_cast<std::uint32_t>(std::max<std::uint64_t>(plan.sizes.memory_words, 2)));
  return plan;
}

class SumProgram final : public Program {
 public:
  explicit SumProgram(const Parameters& parameters)
      : Program(program_shape(parameters, plan_of(parameters).sizes, 1)) {
    const Tree tree = plan_of(parameters).tree;
    const std::int64_t most = static_cast<std::int64_t>(shape().n) * largest_input(shape());
    Affine total;
    for (std::uint32_t i = 0; i < shape().block_words; ++i) total += received(i);
    for (std::uint32_t level = 1; level <= tree.depth; ++level) {
      const std::uint32_t slots = std::min(tree.fan, tree.leaves);
      send(
          "add", {{total, most}},
          [=](MachineId machine) { return tree.covers(machine) && tree.hosts(machine, level - 1) ? 1u : 0u; },
          [=](MachineId machine, std::uint32_t) {
            const auto child =
                (tree.node(level - 1, machine) - tree.node(level, machine)) / tree.span(level - 1);
            return Place{tree.host(level, machine), static_cast<std::uint32_t>(child)};
          },
          slots);
      total = Affine();
      for (std::uint32_t child = 0; child < slots; ++child) total += received(child);
    }
    deliver(
        {{total, most}}, [root = tree.root()](MachineId machine) { return machine == root ? 1u : 0u; },
        [](MachineId, std::uint32_t) { return 0u; });
  }
};

}  // namespace

ProtocolInfo sum_program_protocol() {
  ProtocolInfo info = sum_protocol();
  info.name = "sum_program";
  info.program = info.name;
  info.summary = "the sum of all words, as a program of the step language";
  info.card = R"(Problem: N signed numbers x_1..x_N of p_in bits; output their sum.
Guarantee: exact and deterministic; below 2^53 N must stay.
Cost: as sum. Its steps are a tape, so that it compiles to explicit weights.
Source: folklore; a tree of fan-in s, leaves in machine order.)";
  info.options = {bits_option()};
  info.make = [](const Parameters& parameters) { return std::make_unique<SumProgram>(parameters); };
  info.decode = [](const Protocol& protocol, std::uint64_t, Word word) -> std::optional<std::int64_t> {
    return static_cast<std::int64_t>(word) -
           static_cast<std::int64_t>(protocol.shape().n << (protocol.shape().input_bits - 1));
  };
  return info;
}

}  // namespace roundtrip::mpc
