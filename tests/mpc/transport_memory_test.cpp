// The exchange holds no needless copies: 2^20 records of 3 words, each sent on every round, in a bounded
// peak.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <numeric>

#include "mpi_main.h"
#include "roundtrip/mpc/runtime.h"
#include "roundtrip/mpc/transport.h"

namespace roundtrip::mpc {
namespace {

constexpr std::uint64_t kRecordWords = 3;

/// Machine m sends its i-th record to machine m + i + round: every record is a run of its own, every machine
/// receives as much as it sends. In the last round each machine delivers what it holds.
class RecordShuffle final : public Protocol {
 public:
  RecordShuffle(std::uint64_t records, std::uint64_t records_per_machine) {
    shape_ = {.n = records * kRecordWords,
              .outputs = records * kRecordWords,
              .block_words = records_per_machine * kRecordWords,
              .memory_words = records_per_machine * kRecordWords,
              .rounds = 6};
    shape_.machines = static_cast<std::uint32_t>(shape_.input_machines());
  }
  const Shape& shape() const override { return shape_; }
  void step(const Step& step, const Inbox& inbox, Outbox& outbox) const override {
    const std::span<const Word> words = inbox.words();
    if (step.round == shape_.rounds) {
      for (std::size_t i = 0; i < words.size(); ++i)
        outbox.deliver(step.machine * shape_.block_words + i, words[i]);
      return;
    }
    for (std::size_t i = 0; i < words.size(); i += kRecordWords) {
      const std::uint64_t to = step.machine + i / kRecordWords + step.round;
      outbox.send(static_cast<MachineId>(to % shape_.machines), words.subspan(i, kRecordWords));
    }
  }

 private:
  Shape shape_;
};

/// Largest resident size of this process so far, in bytes.
std::uint64_t peak_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
}

TEST(Memory, PeakIsAtMostSixTimesTheRecordsOverARunOfOneRecord) {
  const auto transport = roundtrip::tests::session().transport();
  run(RecordShuffle(1, 1), std::vector<Word>(transport->rank() == 0 ? kRecordWords : 0), *transport);
  const std::uint64_t before = peak_bytes();
  constexpr std::uint64_t kRecords = std::uint64_t{1} << 20;
  RunResult result;
  std::vector<Word> input(transport->rank() == 0 ? kRecords * kRecordWords : 0);
  std::iota(input.begin(), input.end(), Word{0});
  result = run(RecordShuffle(kRecords, 1024), input, *transport);
  std::uint64_t grown = peak_bytes() - before;
  transport->sum({&grown, 1});
  const double ratio = static_cast<double>(grown) / (8.0 * kRecordWords * kRecords);
  RecordProperty("peak_over_record_bytes", std::to_string(ratio));
  if (transport->rank() == 0) std::printf("peak %.2f times the records' bytes\n", ratio);
  EXPECT_LE(ratio, 6.0);
  EXPECT_EQ(result.ledger.overall().max_words_received, 3072u);
  // The words are a permutation of the input.
  if (transport->rank() == 0) {
    EXPECT_EQ(std::accumulate(result.outputs.begin(), result.outputs.end(), Word{0}),
              std::accumulate(input.begin(), input.end(), Word{0}));
  }
}

}  // namespace
}  // namespace roundtrip::mpc
