#include "roundtrip/proofs_check/traffic.h"

#include <algorithm>
#include <bit>

namespace roundtrip::proofs_check {
namespace {

constexpr std::uint64_t kBlock = 4;
constexpr mpc::Word kMask = (mpc::Word{1} << 48) - 1;

class Traffic final : public mpc::Protocol {
 public:
  Traffic(TrafficPattern pattern, std::uint32_t side, std::uint64_t memory_words)
      : pattern_(std::move(pattern)) {
    shape_.machines = side * side;
    shape_.n = shape_.outputs = kBlock * shape_.machines;
    shape_.block_words = kBlock;
    shape_.memory_words = memory_words;
    shape_.rounds = 4;
    shape_.kappa_s = memory_words / kBlock;
    shape_.validate();
  }
  const mpc::Shape& shape() const override { return shape_; }
  void step(const mpc::Step& step, const mpc::Inbox& inbox, mpc::Outbox& outbox) const override {
    mpc::Word sums[kBlock] = {};
    std::size_t place = 0;
    for (const mpc::Word word : inbox.words()) {
      mpc::Word& sum = sums[place % kBlock];
      sum = (sum * 31 + word + ++place) & kMask;
    }
    if (step.round == shape_.rounds) {
      for (std::uint64_t j = 0; j < kBlock; ++j) outbox.deliver(kBlock * step.machine + j, sums[j]);
      return;
    }
    if (step.machine >= pattern_.senders) return;
    for (std::uint64_t i = 0; i < pattern_.words; ++i) {
      const std::uint32_t destination = pattern_.destination(step.machine, i);
      if (destination != TrafficPattern::kNone) outbox.send(destination, (sums[i % kBlock] + i) & kMask);
    }
  }

 private:
  TrafficPattern pattern_;
  mpc::Shape shape_;
};

}  // namespace

std::vector<TrafficPattern> traffic_patterns(std::uint32_t side, std::uint64_t memory_words) {
  const std::uint32_t q = side * side;
  const std::uint64_t s = memory_words;
  std::vector<TrafficPattern> all;
  for (const std::uint32_t stride : {1u, 2u, side, side + 1, q / 2 + 1, q - 1}) {
    all.push_back(
        {"stride " + std::to_string(stride), s, q, [q, stride](std::uint32_t machine, std::uint64_t i) {
           return static_cast<std::uint32_t>((machine + stride * i) % q);
         }});
  }
  all.push_back({"transpose", s, q, [side](std::uint32_t machine, std::uint64_t) {
                   return machine % side * side + machine / side;
                 }});
  all.push_back({"bit reversal", s, q, [q](std::uint32_t machine, std::uint64_t) {
                   if (!std::has_single_bit(q)) return q - 1 - machine;  // of the order, then
                   std::uint32_t reversed = 0;
                   for (std::uint32_t bit = 1; bit < q; bit *= 2)
                     reversed = 2 * reversed + (machine / bit & 1);
                   return reversed;
                 }});
  all.push_back(
      {"to the next", s, q, [q](std::uint32_t machine, std::uint64_t) { return (machine + 1) % q; }});
  all.push_back({"to one low digit", s / side, q,
                 [side](std::uint32_t machine, std::uint64_t) { return machine / side * side; }});
  all.push_back({"to one high digit", s / side, q,
                 [side](std::uint32_t machine, std::uint64_t) { return machine % side; }});
  all.push_back({"from few to one", s / 4, 4, [q](std::uint32_t, std::uint64_t) { return q - 1; }});
  return all;
}

std::unique_ptr<const mpc::Protocol> make_traffic(const TrafficPattern& pattern, std::uint32_t side,
                                                  std::uint64_t memory_words) {
  return std::make_unique<Traffic>(pattern, side, memory_words);
}

}  // namespace roundtrip::proofs_check
