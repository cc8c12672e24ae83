#include "simulate/idling.h"

#include <utility>

#include "base/error.h"

namespace roundtrip::simulate {
namespace {

class Idling final : public mpc::Protocol {
 public:
  Idling(std::shared_ptr<const mpc::Protocol> protocol, std::uint32_t idle)
      : protocol_(std::move(protocol)), idle_(idle), shape_(protocol_->shape()) {
    shape_.rounds += idle;
  }
  const mpc::Shape& shape() const override { return shape_; }
  void step(const mpc::Step& step, const mpc::Inbox& inbox, mpc::Outbox& outbox) const override {
    if (step.round > idle_)
      return protocol_->step({step.round - idle_, step.machine, step.scratch}, inbox, outbox);
    if (!inbox.empty()) outbox.send(step.machine, inbox.words());
  }

 private:
  std::shared_ptr<const mpc::Protocol> protocol_;
  std::uint32_t idle_;
  mpc::Shape shape_;
};

}  // namespace

std::shared_ptr<const mpc::Protocol> idle_to(std::shared_ptr<const mpc::Protocol> protocol,
                                             std::uint32_t rounds) {
  const std::uint32_t own = protocol->shape().rounds;
  require(rounds >= own, "a protocol of {} rounds cannot idle to {}", own, rounds);
  return std::make_shared<Idling>(std::move(protocol), rounds - own);
}

}  // namespace roundtrip::simulate
