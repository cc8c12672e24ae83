// A protocol of one's own, by its steps: the largest of N words in two rounds. The program is `roundtrip`
// with this protocol more.
#include <algorithm>

#include "roundtrip/cli/cli.h"
#include "roundtrip/mpc/registry.h"
#include "roundtrip/mpc/stages/composition.h"
using namespace roundtrip;

class Largest final : public mpc::Protocol {
 public:
  explicit Largest(const mpc::Parameters& parameters) {
    const mpc::Sizes sizes = mpc::choose_sizes(parameters, /*default_kappa_s=*/1, [&](const mpc::Sizes& at) {
      return at.memory_words * at.block_words >= parameters.n;  // machine 0 can receive a word of each
    });
    shape_ = mpc::declare_shape(parameters, sizes, /*outputs=*/1, /*machines=*/1);
    shape_.rounds = 2;
    shape_.heap_words = 0;  // a step takes no memory
  }
  const mpc::Shape& shape() const override { return shape_; }
  void step(const mpc::Step& step, const mpc::Inbox& inbox, mpc::Outbox& outbox) const override {
    if (inbox.empty()) return;
    const mpc::Word largest = std::ranges::max(inbox.words());
    if (step.round == 1) {
      outbox.send(/*machine*/ 0, largest);
    } else {
      outbox.deliver(/*output*/ 0, largest);
    }
  }

 private:
  mpc::Shape shape_;
};

int main(int argc, char** argv) {
  mpc::ProtocolInfo info;
  info.name = "largest";
  info.summary = "the largest word";
  info.rounds_formula = "2";
  info.kappa_s = 1;
  info.make = [](const mpc::Parameters& parameters) { return std::make_unique<Largest>(parameters); };
  info.decode = [](const mpc::Protocol& protocol, std::uint64_t, mpc::Word word) {
    return std::optional(mpc::decode_input(word, protocol.shape()));
  };
  info.oracle = [](std::span<const std::int64_t> values, const mpc::Parameters&) {
    return mpc::Outputs{std::ranges::max(values)};
  };
  mpc::register_protocol(info);
  return cli::main(argc, argv);
}
