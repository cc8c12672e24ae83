// A steady round allocates nothing: neither by operator new nor by growing or remapping a buffer.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "mpi_main.h"
#include "roundtrip/mpc/runtime.h"
#include "roundtrip/mpc/runtime/buffer.h"
#include "roundtrip/mpc/transport.h"

namespace {
std::atomic<std::uint64_t> news = 0;
}

// Not inlined: GCC would compare the one half that it sees with the other that it does not.
[[gnu::noinline]] void* operator new(std::size_t bytes) {
  ++news;
  void* const block = std::malloc(bytes == 0 ? 1 : bytes);
  if (block == nullptr) throw std::bad_alloc();
  return block;
}
[[gnu::noinline]] void operator delete(void* block) noexcept {
  std::free(block);
}
[[gnu::noinline]] void operator delete(void* block, std::size_t) noexcept {
  std::free(block);
}

namespace roundtrip::mpc {
namespace {

constexpr std::uint32_t kRounds = 8;
constexpr std::uint32_t kSteadyFrom = 3;  // every buffer has taken its part by then

/// Every machine scatters what it holds word by word and in runs, equally much in all rounds but the last.
class Scatter final : public Protocol {
 public:
  explicit Scatter(MachineId first, bool leaks) : first_(first), leaks_(leaks) {
    shape_ = {.n = 64 * 300, .outputs = 0, .block_words = 300, .memory_words = 300, .rounds = kRounds};
    shape_.machines = 64;
  }
  const Shape& shape() const override { return shape_; }
  void step(const Step& step, const Inbox& inbox, Outbox& outbox) const override {
    if (step.machine == first_) {
      counts_[step.round] = news + buffer_growths;
      if (leaks_ && step.round == 5) ::operator delete(::operator new(8));
    }
    if (step.round == kRounds) return;
    const std::span<const Word> words = inbox.words();
    for (std::uint32_t i = 0; i < 150; ++i) outbox.send((step.machine + i) % 64, words[i]);
    for (std::uint32_t i = 150; i < 300; i += 15) {
      outbox.send((step.machine * 5 + i) % 64, words.subspan(i, 15));
    }
  }
  /// Allocations on this rank between the beginnings of two rounds.
  std::uint64_t between(std::uint32_t begin, std::uint32_t end) const {
    return counts_[end] - counts_[begin];
  }

 private:
  Shape shape_;
  MachineId first_;
  bool leaks_;
  mutable std::uint64_t counts_[kRounds + 1] = {};
};

TEST(SteadyRound, AllocatesNothing) {
  const auto transport = roundtrip::tests::session().transport();
  const auto first = static_cast<MachineId>(64 / transport->ranks() * transport->rank());
  const std::vector<Word> input(transport->rank() == 0 ? 64 * 300 : 0, 7);
  for (const bool leaks : {false, true}) {
    const Scatter scatter(first, leaks);
    run(scatter, input, *transport);
    EXPECT_GT(scatter.between(1, 2), 0u) << "the first round's growth is seen";
    EXPECT_EQ(scatter.between(kSteadyFrom, kRounds), leaks ? 1u : 0u);
  }
}

}  // namespace
}  // namespace roundtrip::mpc
