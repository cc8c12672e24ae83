// A program of one's own whose step holds as many words on the heap as it is told, where 100 are declared.
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "roundtrip/mpc/runtime.h"
#include "roundtrip/mpc/transport.h"
using namespace roundtrip;

class Holder final : public mpc::Protocol {
 public:
  explicit Holder(std::size_t words) : words_(words) {
    shape_ = {.n = 4, .outputs = 4, .block_words = 2, .memory_words = 2, .machines = 2, .rounds = 1};
    shape_.heap_words = 100;
  }
  const mpc::Shape& shape() const override { return shape_; }
  void step(const mpc::Step& step, const mpc::Inbox& inbox, mpc::Outbox& outbox) const override {
    std::vector<mpc::Word> held(step.machine == 1 ? words_ : 1);
    for (std::size_t i = 0; i < inbox.size(); ++i) {
      held[0] = inbox.words()[i];
      outbox.deliver(2 * step.machine + i, held[0]);
    }
  }

 private:
  std::size_t words_;
  mpc::Shape shape_;
};

int main(int argc, char** argv) {
  const auto transport = mpc::make_in_process_transport();
  const std::vector<mpc::Word> input{1, 2, 3, 4};
  try {
    const Holder holder(argc > 1 ? static_cast<std::size_t>(std::atoi(argv[1])) : 1);
    const mpc::RunResult result = mpc::run(holder, input, *transport);
    std::printf("held %d\n", static_cast<int>(result.ledger.overall().max_heap_words));
    return result.outputs == input ? 0 : 1;
  } catch (const mpc::ModelViolation& violation) {
    std::printf("%s\n", violation.what());
    return 3;
  }
}
