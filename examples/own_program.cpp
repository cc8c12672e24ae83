// A program of one's own: the largest of N words, by steps that are recorded. The program is `roundtrip` with this protocol
// more, which `compile --weights` turns into matrices.
#include <algorithm>

#include "roundtrip/cli/cli.h"
#include "roundtrip/mpc/program/program.h"
#include "roundtrip/mpc/registry.h"
#include "roundtrip/mpc/stages/composition.h"
using namespace roundtrip;

class Largest final : public mpc::Program {
 public:
  explicit Largest(const mpc::Shape& shape) : Program(shape) {
    const std::int64_t limit =
        (std::int64_t{1} << shape.input_bits) - 1;  // of a word as it is stored, never negative
    mpc::Affine largest;
    for (std::uint32_t i = 0; i < shape.block_words; ++i) largest = tape().max(largest, received(i));
    const auto machines = static_cast<std::uint32_t>(shape.input_machines());
    send(
        "to machine 0", {{largest, limit}},
        /*words of a machine*/ [=](mpc::MachineId m) { return m < machines ? 1 : 0; },
        /*where they go*/
        [](mpc::MachineId m, std::uint32_t) {
          return Place{0, m};
        },
        /*slots*/ machines);
    mpc::Affine all;
    for (std::uint32_t m = 0; m < machines; ++m) all = tape().max(all, received(m));
    deliver(
        {{all, limit}}, [](mpc::MachineId m) { return m == 0 ? 1 : 0; },
        [](mpc::MachineId, std::uint32_t) { return 0; });
  }
};

int main(int argc, char** argv) {
  mpc::ProtocolInfo info;
  info.name = info.program = "largest";
  info.summary = "the largest word";
  info.rounds_formula = "2";
  info.kappa_s = 1;
  info.make = [](const mpc::Parameters& parameters) {
    const mpc::Sizes sizes = mpc::choose_sizes(parameters, /*default_kappa_s=*/1, [&](const mpc::Sizes& at) {
      return at.memory_words * at.block_words >= parameters.n;  // machine 0 can receive a word of each
    });
    mpc::Shape shape = mpc::declare_shape(parameters, sizes, /*outputs=*/1, /*machines=*/1);
    shape.input_bits = shape.word_bits = 16;
    return std::make_unique<Largest>(shape);
  };
  info.decode = [](const mpc::Protocol& protocol, std::uint64_t, mpc::Word word) {
    return std::optional(mpc::decode_input(word, protocol.shape()));
  };
  info.oracle = [](std::span<const std::int64_t> values, const mpc::Parameters&) {
    return mpc::Outputs{std::ranges::max(values)};
  };
  mpc::register_protocol(info);
  return cli::main(argc, argv);
}
