// Rows that machines send to themselves stay in their place: whatever a machine keeps, passes on and reads,
// in any order and for any number of rounds, the outputs are those of the sequential interpreter, which
// copies. Likewise for large inboxes and for many machines.
#include <gtest/gtest.h>

#include <map>
#include <numeric>

#include "mpi_main.h"
#include "random_protocol.h"
#include "roundtrip/mpc/runtime.h"
#include "roundtrip/mpc/stages/composition.h"
#include "roundtrip/mpc/transport.h"

namespace roundtrip::mpc::tests {
namespace {

constexpr std::uint64_t kBlock = 700;

/// Every machine keeps rows of what it has, long and short, beside messages to and from others. What it sends
/// depends on all that it received, read in one of several ways; outputs are digests.
class Keeper final : public Protocol {
 public:
  Keeper(std::uint32_t machines, std::uint32_t rounds, std::uint64_t seed) : seed_(seed) {
    shape_ = {.n = machines * kBlock, .outputs = machines, .block_words = kBlock, .memory_words = 1 << 20};
    shape_.machines = machines;
    shape_.rounds = rounds;
  }
  const Shape& shape() const override { return shape_; }

  void step(const Step& step, const Inbox& inbox, Outbox& outbox) const override {
    RandomStream random(seed_, Domain::kTest, step.round, step.machine);
    // Some reads before others: the first that wants words on both sides of a kept row has the inbox joined.
    const bool by_runs = random.below(2) == 0;
    const Word whole = random.below(2) == 0 ? digest_of(inbox.words()) : 0;
    Word digest = mix(whole, step.machine);
    if (by_runs) {
      for (const Run run : inbox) {
        digest = mix(mix(mix(digest, run.source), run.sequence), digest_of(run.words));
      }
    } else {
      const Context context{step.round, step.machine, inbox, outbox, step.scratch};
      for (MachineId source = 0; source < shape_.machines; ++source) {
        const std::size_t count = context.count_from(source);
        const std::size_t cut = random.below(count + 1);
        digest = mix(digest, digest_of(context.from(source, 0, cut)));
        digest = mix(digest, digest_of(context.last_from(source, count - cut)));
      }
    }
    digest &= (Word{1} << 47) - 1;
    if (step.round == shape_.rounds) return outbox.deliver(step.machine, digest);

    const auto to_others = [&] {
      for (std::uint64_t i = random.below(4); i > 0; --i) {
        const std::vector<Word> words(1 + random.below(400), digest + i);
        outbox.send(static_cast<MachineId>(random.below(shape_.machines)), words);
      }
    };
    if (random.below(3) == 0) to_others();
    // Sometimes all of the kept row, sometimes what is left when most of it is dropped.
    for (std::uint64_t rows = random.below(3); rows > 0; --rows) {
      const std::size_t begin = random.below(inbox.size() + 1);
      const std::size_t count =
          random.below(3) == 0 ? std::min<std::size_t>(inbox.size() - begin, 300) : inbox.size() - begin;
      outbox.send(step.machine, inbox.words(begin, count));
      if (random.below(2) == 0) outbox.send(step.machine, digest);
    }
    // New rows, at once or a word at a time, so that a run becomes a long one as it grows.
    if (random.below(3) == 0) {
      std::vector<Word> fresh(200 + random.below(600), digest);
      for (std::size_t i = 0; i < fresh.size(); ++i) fresh[i] ^= i;
      const auto to =
          static_cast<MachineId>(random.below(3) == 0 ? random.below(shape_.machines) : step.machine);
      const std::size_t at_once = random.below(2) == 0 ? random.below(fresh.size()) : 0;
      if (random.below(2) == 0) {
        outbox.send(to, fresh);
      } else {
        outbox.send(to, std::span(fresh).first(at_once));
        for (std::size_t i = at_once; i < fresh.size(); ++i) outbox.send(to, fresh[i]);
      }
    }
    if (random.below(2) == 0) to_others();
  }

 private:
  static Word digest_of(std::span<const Word> words) {
    Word digest = words.size();
    for (const Word word : words) digest = mix(digest, word);
    return digest;
  }

  std::uint64_t seed_;
  Shape shape_;
};

TEST(KeptWords, OutputsAreThoseOfAnInterpreterThatCopies) {
  const auto transport = roundtrip::tests::session().transport();
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    // The last time in several buckets on each of two ranks.
    const Keeper keeper(static_cast<std::uint32_t>(seed == 60 ? 530 : 1 + seed % 9),
                        static_cast<std::uint32_t>(seed == 60 ? 4 : 3 + seed % 7), seed);
    std::vector<Word> input(keeper.shape().n);
    for (std::size_t i = 0; i < input.size(); ++i) input[i] = draw(seed, Domain::kInstance, i) >> 17;
    const Interpreted expected = interpret(keeper, input);
    if (transport->rank() != 0) input.clear();
    RunResult result = run(keeper, input, *transport);
    const auto outputs = transport->rank() == 0 ? expected.outputs : std::vector<Word>{};
    EXPECT_EQ(result.outputs, outputs) << "seed " << seed;
    for (RoundFacts& facts : result.ledger.rounds) facts.max_scratch_words = facts.max_heap_words = 0;
    EXPECT_EQ(result.ledger, expected.ledger) << "seed " << seed;
    result = run(keeper, input, *transport, {.order_seed = seed});
    EXPECT_EQ(result.outputs, outputs) << "random order, seed " << seed;
  }
}

/// Every machine passes on what it has; from round kDropped on, all but machine 0 send nothing.
class Passer final : public Protocol {
 public:
  static constexpr std::uint32_t kDropped = 6;
  static constexpr std::uint32_t kMachines = 8;
  Passer() {
    shape_ = {
        .n = kMachines * kBlock, .outputs = 0, .block_words = kBlock, .memory_words = kBlock, .rounds = 10};
    shape_.machines = kMachines;
  }
  const Shape& shape() const override { return shape_; }
  void step(const Step& step, const Inbox& inbox, Outbox& outbox) const override {
    if (step.machine == 0) places[step.round] = inbox.words().data();
    if (step.round == shape_.rounds || (step.round >= kDropped && step.machine != 0)) return;
    outbox.send(step.machine, inbox.words());
  }
  mutable std::map<std::uint32_t, const Word*> places;  ///< of machine 0's words, by round

 private:
  Shape shape_;
};

TEST(KeptWords, StayWhereTheyAreUntilMostOfTheirBufferIsDead) {
  const auto transport = roundtrip::tests::session().transport();
  const Passer passer;
  const std::vector<Word> input(transport->rank() == 0 ? passer.shape().n : 0, 5);
  run(passer, input, *transport);
  if (transport->rank() != 0) return;  // machine 0 is on rank 0, with others
  for (std::uint32_t round = 3; round <= Passer::kDropped; ++round) {
    EXPECT_EQ(passer.places[round], passer.places[2]) << "round " << round;
  }
  EXPECT_NE(passer.places[Passer::kDropped + 1], passer.places[2]) << "the others' words are dead by then";
}

// Inboxes of several MiB a rank, runs of every length, machines in several buckets. With the largest limit,
// sequence numbers leave no bits for a run's source in its header.
TEST(LargeInboxes, AreThoseOfTheInterpreter) {
  const auto transport = roundtrip::tests::session().transport();
  for (const std::uint32_t machines : {40u, 700u}) {
    Case large{.n = machines, .outputs = machines, .seed = machines, .rounds = {{}, {}}};
    RandomStream random(1, Domain::kTest, machines);
    for (auto& round : large.rounds) {
      for (std::uint64_t words = 0; words < std::uint64_t{1} << 19;) {
        const auto length = static_cast<std::uint32_t>(1 + random.below(random.below(8) == 0 ? 300 : 20));
        round.push_back({static_cast<std::uint32_t>(random.below(machines)),
                         static_cast<std::uint32_t>(random.below(machines)), length});
        words += length;
      }
      std::ranges::stable_sort(round, {}, &Transfer::source);
    }
    const RandomProtocol protocol(large);
    std::vector<Word> input(machines);
    for (std::size_t i = 0; i < input.size(); ++i) input[i] = i;
    const Interpreted expected = interpret(protocol, input);
    if (transport->rank() != 0) input.clear();
    for (const std::uint64_t limit_words : {std::uint64_t{0}, std::uint64_t{0xffffffff}}) {
      const RunResult result = run(protocol, input, *transport, {.limit_words = limit_words});
      EXPECT_EQ(result.outputs, transport->rank() == 0 ? expected.outputs : std::vector<Word>{})
          << machines << " machines, limit " << limit_words;
    }
  }
}

/// Machine m sends word 3 m + k to machine (7 m + k) mod q, k = 0 .. 2; outputs are sums of what arrived.
class Spread final : public Protocol {
 public:
  explicit Spread(std::uint32_t machines) {
    shape_ = {.n = machines, .outputs = machines, .block_words = 1, .memory_words = 8, .rounds = 2};
    shape_.machines = machines;
  }
  const Shape& shape() const override { return shape_; }
  static std::uint64_t target(std::uint64_t m, std::uint64_t k, std::uint64_t q) { return (7 * m + k) % q; }
  void step(const Step& step, const Inbox& inbox, Outbox& outbox) const override {
    if (step.round == 1) {
      for (Word k = 0; k < 3; ++k) {
        outbox.send(static_cast<MachineId>(target(step.machine, k, shape_.machines)),
                    3 * Word{step.machine} + k);
      }
    } else {
      outbox.deliver(step.machine, std::accumulate(inbox.words().begin(), inbox.words().end(), Word{0}));
    }
  }

 private:
  Shape shape_;
};

// Machine numbers of more bits than a header's destination has; blocks that are rounded up.
TEST(ManyMachines, GetTheirWords) {
  const auto transport = roundtrip::tests::session().transport();
  for (const std::uint32_t machines : {70001u, 140000u}) {
    const Spread spread(machines);
    std::vector<Word> expected(transport->rank() == 0 ? machines : 0);
    for (std::uint64_t m = 0; m < expected.size(); ++m) {
      for (std::uint64_t k = 0; k < 3; ++k) expected[Spread::target(m, k, machines)] += 3 * m + k;
    }
    EXPECT_EQ(run(spread, std::vector<Word>(expected.size()), *transport).outputs, expected) << machines;
  }
}

}  // namespace
}  // namespace roundtrip::mpc::tests
