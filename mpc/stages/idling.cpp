#include "roundtrip/mpc/stages/idling.h"

#include <utility>

#include "roundtrip/base/error.h"

namespace roundtrip::mpc {
namespace {

class Idling final : public Protocol {
 public:
  Idling(std::shared_ptr<const Protocol> protocol, std::uint32_t idle)
      : protocol_(std::move(protocol)), idle_(idle), shape_(protocol_->shape()) {
    shape_.rounds += idle;
  }
  const Shape& shape() const override { return shape_; }
  void step(const Step& step, const Inbox& inbox, Outbox& outbox) const override {
    if (step.round > idle_)
      return protocol_->step({step.round - idle_, step.machine, step.scratch}, inbox, outbox);
    if (!inbox.empty()) outbox.send(step.machine, inbox.words());
  }

 private:
  std::shared_ptr<const Protocol> protocol_;
  std::uint32_t idle_;
  Shape shape_;
};

}  // namespace

std::shared_ptr<const Protocol> idle_to(std::shared_ptr<const Protocol> protocol, std::uint32_t rounds) {
  const std::uint32_t own = protocol->shape().rounds;
  require(rounds >= own, "a protocol of {} rounds cannot idle to {}", own, rounds);
  return std::make_shared<Idling>(std::move(protocol), rounds - own);
}

}  // namespace roundtrip::mpc
