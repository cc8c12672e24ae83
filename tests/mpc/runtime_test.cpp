// The runtime in process: a ring shift by hand, parameters and shapes that must be refused, the scratch
// arena.
#include "roundtrip/mpc/runtime.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <numeric>
#include <optional>
#include <stdexcept>
#include <utility>

#include "roundtrip/base/divider.h"
#include "roundtrip/base/ensure.h"
#include "roundtrip/base/heap_meter.h"
#include "roundtrip/mpc/runtime/buffer.h"
#include "roundtrip/mpc/runtime/exchange.h"
#include "roundtrip/mpc/runtime/placement.h"
#include "roundtrip/mpc/runtime/scratch.h"
#include "roundtrip/mpc/runtime/step.h"
#include "roundtrip/mpc/runtime/streams.h"
#include "roundtrip/mpc/transport.h"

namespace roundtrip::mpc {
namespace {

/// Every machine passes its block to the next machine, R - 1 times; then each word is an output.
class RingShift final : public Protocol {
 public:
  RingShift(std::uint64_t n, std::uint64_t b, std::uint32_t rounds) {
    shape_ = {.n = n, .outputs = n, .block_words = b, .memory_words = b, .rounds = rounds};
    shape_.machines = static_cast<std::uint32_t>(shape_.input_machines());
  }
  const Shape& shape() const override { return shape_; }
  void step(const Step& step, const Inbox& inbox, Outbox& outbox) const override {
    if (step.round < shape_.rounds) {
      outbox.send((step.machine + 1) % shape_.machines, inbox.words());
    } else {
      for (std::size_t i = 0; i < inbox.words().size(); ++i) {
        outbox.deliver(step.machine * shape_.block_words + i, inbox.words()[i]);
      }
    }
  }

 private:
  Shape shape_;
};

TEST(Run, RingShiftMovesEachBlockRMinus1MachinesOn) {
  std::vector<Word> input(12);
  std::iota(input.begin(), input.end(), Word{100});
  const auto transport = make_in_process_transport();
  const RunResult result = run(RingShift(12, 3, 3), input, *transport);
  EXPECT_EQ(result.outputs, (std::vector<Word>{106, 107, 108, 109, 110, 111, 100, 101, 102, 103, 104, 105}));
  const RoundFacts each{.max_words_sent = 3,
                        .max_words_received = 3,
                        .max_scratch_words = 0,
                        .max_heap_words = 0,
                        .total_words = 12};
  EXPECT_EQ(result.ledger.rounds, std::vector<RoundFacts>(3, each));
  EXPECT_EQ(result.ledger.overall().total_words, 36u);
}

TEST(Run, OneWordOnOneMachine) {
  const auto transport = make_in_process_transport();
  EXPECT_EQ(run(RingShift(1, 1, 1), std::vector<Word>{7}, *transport).outputs, std::vector<Word>{7});
}

TEST(Run, RefusesAnInputOfTheWrongSizeOrWidth) {
  const auto transport = make_in_process_transport();
  EXPECT_THROW(run(RingShift(4, 2, 1), std::vector<Word>{1, 2, 3}, *transport), ContractError);
  EXPECT_THROW(run(RingShift(4, 2, 1), std::vector<Word>{1, 2, 3, Word{1} << 48}, *transport), ContractError);
  EXPECT_NO_THROW(run(RingShift(4, 2, 1), std::vector<Word>{1, 2, 3, (Word{1} << 48) - 1}, *transport));
}

template <typename Call>
std::string refusal(Call&& call) {
  try {
    call();
  } catch (const ContractError& error) {
    return error.what();
  }
  return "not refused";
}

TEST(Parameters, ValidateNamesFieldValueAndRange) {
  const Parameters good{.n = 1};
  EXPECT_NO_THROW(good.validate());
  const auto refused = [&](auto change) {
    Parameters bad = good;
    change(bad);
    return refusal([&] { bad.validate(); });
  };
  EXPECT_EQ(refused([](Parameters& p) { p.n = 0; }), "N is 0, allowed is at least 1 input word");
  EXPECT_EQ(refused([](Parameters& p) { p.epsilon = Rational(1); }),
            "eps is 1, allowed is above 0 and below 1");
  EXPECT_EQ(refused([](Parameters& p) { p.epsilon = Rational(0); }),
            "eps is 0, allowed is above 0 and below 1");
  EXPECT_EQ(refused([](Parameters& p) { p.delta = Rational(7, 5); }),
            "delta is 7/5, allowed is above 0 and below 1");
  EXPECT_EQ(refused([](Parameters& p) { p.eta = Rational(-1, 5); }),
            "eta is -1/5, allowed is above 0 and below 1");
  EXPECT_EQ(refused([](Parameters& p) { p.gamma = Rational(-1); }), "gamma is -1, allowed is at least 0");
  EXPECT_EQ(refused([](Parameters& p) { p.kappa_s = 0; }), "kappa_s is 0, allowed is at least 1");
  EXPECT_EQ(refused([](Parameters& p) { p.machines = 0; }), "machines is 0, allowed is 1 to 2147483647");
}

TEST(Parameters, IntegerOptionReadsWholeIntegersInRange) {
  const Parameters parameters{
      .n = 1, .options = {{"k", "12"}, {"m", "-3"}, {"bad", "12x"}, {"none", ""}, {"huge", "9e9"}}};
  EXPECT_EQ(parameters.integer_option("k", 1, 1, 12), 12);
  EXPECT_EQ(parameters.integer_option("m", 1, -3, 3), -3);
  EXPECT_EQ(parameters.integer_option("absent", 5, 1, 3), 5);
  EXPECT_EQ(refusal([&] { parameters.integer_option("k", 1, 1, 11); }),
            "k is '12', allowed is an integer from 1 to 11");
  for (const char* name : {"bad", "none", "huge"}) {
    EXPECT_THROW(parameters.integer_option(name, 1, 0, 1000), ContractError) << name;
  }
}

TEST(Shape, ValidateRefusesWhatDoesNotFit) {
  const Shape good = RingShift(10, 3, 2).shape();
  EXPECT_NO_THROW(good.validate());
  const auto refused = [&](auto change) {
    Shape bad = good;
    change(bad);
    EXPECT_THROW(bad.validate(), ContractError);
  };
  refused([](Shape& s) { s.machines = 3; });  // ceil(10 / 3) = 4 hold input
  refused([](Shape& s) { s.outputs = 13; });
  refused([](Shape& s) { s.memory_words = 2; });
  refused([](Shape& s) { s.memory_words = std::uint64_t{1} << 32; });
  refused([](Shape& s) { s.rounds = 0; });
  refused([](Shape& s) { s.word_bits = 63; });
  refused([](Shape& s) { s.input_bits = 49; });
  refused([](Shape& s) { s.block_words = 0; });
}

TEST(ScratchArena, CountsWhatIsTakenAtOnceAndRefusesMore) {
  ScratchArena arena(10);
  void* const a = arena.allocate(24, 8);
  void* const b = arena.allocate(17, 8);
  EXPECT_EQ(arena.peak_words(), 6u);
  arena.deallocate(b, 17, 8);
  EXPECT_EQ(arena.allocate(8, 8), b) << "the block taken last is free again";
  EXPECT_EQ(arena.peak_words(), 6u);
  EXPECT_FALSE(arena.exceeded());
  EXPECT_THROW((void)arena.allocate(49, 8), std::bad_alloc);
  EXPECT_TRUE(arena.exceeded());
  EXPECT_EQ(arena.peak_words(), 11u);
  EXPECT_THROW((void)arena.allocate(~std::size_t{0}, 1), std::bad_alloc);
  arena.reset();
  EXPECT_EQ(arena.peak_words(), 0u);
  EXPECT_EQ(arena.allocate(80, 8), a) << "all ten words are there after a reset";
}

// What only a fault of ours can break is looked for at each access in builds with assertions.
TEST(Assertions, HoldAccessesToInboxesBuffersAndStreams) {
  if (!kAssertions) GTEST_SKIP() << "a build without assertions";
  const RunHeader headers[] = {{0, 0, 0}, {1, 0, 2}};
  const Word words[] = {1, 2, 3};
  const Inbox inbox(headers, words);
  EXPECT_NO_THROW((void)inbox[1]);
  EXPECT_THROW((void)inbox[2], InternalError);
  EXPECT_THROW((void)inbox.source(2), InternalError);
  EXPECT_NO_THROW((void)inbox.run_begin(2));
  EXPECT_THROW((void)inbox.run_begin(3), InternalError);
  EXPECT_NO_THROW((void)inbox.words(1, 2));
  EXPECT_THROW((void)inbox.words(2, 2), InternalError);
  EXPECT_THROW((void)inbox.words(4, 0), InternalError);
  EXPECT_THROW((void)inbox.words(1, ~std::size_t{0}), InternalError);

  Buffer<Word> buffer;
  buffer.resize(2);
  EXPECT_NO_THROW(buffer[1] = 1);
  EXPECT_THROW(buffer[2] = 1, InternalError);
  EXPECT_THROW((void)std::as_const(buffer)[2], InternalError);
  EXPECT_THROW(buffer.set_size(buffer.capacity() + 1), InternalError);

  const auto transport = make_in_process_transport();
  const Shape shape = RingShift(12, 3, 3).shape();
  Streams streams(shape, shape.memory_words, Placement(shape.machines, 1), *transport);
  streams.begin(0);
  EXPECT_NO_THROW(streams.append(1, words, 1, 0));
  EXPECT_THROW(streams.append(64, words, 1, 0), InternalError) << "no such machine";
  EXPECT_THROW(streams.append(1, words, 0, 0), InternalError);
  EXPECT_THROW(streams.append_output(1, 1), InternalError);
  streams.begin_round(true);
  EXPECT_THROW(streams.append(1, words, 1, 0), InternalError);

  Exchange exchange(shape, shape.memory_words, *transport);
  EXPECT_NO_THROW((void)exchange.inbox(3));
  EXPECT_THROW((void)exchange.inbox(4), InternalError);
}

// One executor of steps: which of several broken rules counts.
TEST(RunStep, ScratchCountsBeforeAnExceptionAndThatBeforeTheOutbox) {
  struct Breaking final : Protocol {
    Shape own = RingShift(12, 3, 3).shape();
    bool takes = false, throws = false, alien = false;
    const Shape& shape() const override { return own; }
    void step(const Step& step, const Inbox&, Outbox& outbox) const override {
      outbox.send(own.machines, 1);  // no such machine
      if (takes) {
        try {
          (void)step.scratch->allocate(8, 8);
        } catch (const std::bad_alloc&) {
        }
      }
      if (alien) throw 1;
      if (throws) throw std::runtime_error("thrown");
    }
  };
  const auto broken = [](bool takes, bool throws, bool alien = false) {
    Breaking protocol;
    protocol.takes = takes;
    protocol.throws = throws;
    protocol.alien = alien;
    ScratchArena scratch(0);
    Outbox outbox;
    outbox.reset(outbox_limits(protocol.own, 1, 3));
    const auto violation = run_step(protocol, 1, 2, {}, outbox, scratch);
    EXPECT_TRUE(violation && violation->facts().round == 1 && violation->facts().machine == 2);
    return violation->facts().kind;
  };
  EXPECT_EQ(broken(false, false), ModelViolation::Kind::kDestination);
  EXPECT_EQ(broken(false, true), ModelViolation::Kind::kStepFailed);
  EXPECT_EQ(broken(false, false, true), ModelViolation::Kind::kStepFailed);
  EXPECT_EQ(broken(true, false), ModelViolation::Kind::kScratch);
  EXPECT_EQ(broken(true, true), ModelViolation::Kind::kScratch);
  EXPECT_EQ(broken(true, false, true), ModelViolation::Kind::kScratch);
}

TEST(RunStep, AnExceptionCountsBeforeTheHeapAndThatBeforeTheOutbox) {
  if (!HeapMeter::available()) GTEST_SKIP() << "operator new is the sanitizer's";
  struct Taking final : Protocol {
    Shape own = RingShift(12, 3, 3).shape();
    std::uint64_t words = 0;
    bool throws = false;
    const Shape& shape() const override { return own; }
    void step(const Step&, const Inbox&, Outbox& outbox) const override {
      outbox.send(own.machines, 1);  // no such machine
      const std::vector<Word> held(words, 1);
      if (throws) throw std::runtime_error("thrown, with a text that takes some words from the heap");
    }
  };
  const auto broken = [](std::uint64_t words, std::optional<std::uint64_t> declared, bool throws) {
    Taking protocol;
    protocol.own.heap_words = declared;
    protocol.words = words;
    protocol.throws = throws;
    ScratchArena scratch(0);
    Outbox outbox;
    outbox.reset(outbox_limits(protocol.own, 1, 3));
    const auto violation = run_step(protocol, 1, 2, {}, outbox, scratch);
    EXPECT_GE(scratch.heap().peak_words(), words);
    return violation.value().facts();
  };
  EXPECT_EQ(broken(20, 20, false).kind, ModelViolation::Kind::kDestination);
  EXPECT_EQ(broken(21, 20, false).kind, ModelViolation::Kind::kHeap);
  EXPECT_EQ(broken(21, 20, false).used, 21u);
  EXPECT_EQ(broken(21, 20, false).allowed, 20u);
  EXPECT_EQ(broken(21, 20, true).kind, ModelViolation::Kind::kStepFailed);
  EXPECT_EQ(broken(0, 0, true).kind, ModelViolation::Kind::kStepFailed);
  // Not declared: as much as s.
  EXPECT_EQ(broken(3, std::nullopt, false).kind, ModelViolation::Kind::kDestination);
  EXPECT_EQ(broken(4, std::nullopt, false).allowed, 3u);
}

// No library prints: what one rank alone has to say goes to the program.
TEST(Transport, HasItsLastWordSaidByTheProgram) {
  const auto transport = make_in_process_transport();
  EXPECT_EXIT(transport->end_all("why"), ::testing::ExitedWithCode(70), "^$");
  transport->on_end([](const std::string& line) { std::fprintf(stderr, "said: %s", line.c_str()); });
  EXPECT_EXIT(transport->end_all("why"), ::testing::ExitedWithCode(70), "^said: rank 0: why$");
}

TEST(Placement, EveryMachineIsOnTheRankThatTheDividerNames) {
  for (std::uint32_t machines : {1u, 2u, 7u, 12u, 100u}) {
    for (int ranks = 1; ranks <= 13; ++ranks) {
      const Placement placement(machines, ranks);
      const Divider rank_of(placement.block());
      MachineId next = 0;
      for (int rank = 0; rank < ranks; ++rank) {
        ASSERT_EQ(placement.first(rank), next);
        for (; next < placement.first(rank) + placement.count(rank); ++next) {
          ASSERT_EQ(rank_of(next), static_cast<std::uint32_t>(rank)) << machines;
        }
      }
      ASSERT_EQ(next, machines);
    }
  }
}

}  // namespace
}  // namespace roundtrip::mpc
