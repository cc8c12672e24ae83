// Protocols that break their model, each in one place: caught with machine, round, used and allowed, the same
// on every rank of every transport, and the run ends everywhere.
#include <gtest/gtest.h>

#include <functional>
#include <list>
#include <new>

#include "mpi_main.h"
#include "random_protocol.h"
#include "roundtrip/base/heap_meter.h"
#include "roundtrip/mpc/transport.h"

namespace roundtrip::mpc {
namespace {

using roundtrip::tests::session;
using namespace tests;
using Kind = ModelViolation::Kind;

constexpr std::uint32_t kMachines = 9;
constexpr std::uint32_t kRounds = 4;
constexpr std::uint64_t kMemoryWords = 6;
constexpr std::uint64_t kHeapWords = 40;

/// Nine machines that pass their two words on to the next one, and in the last round deliver them; in each
/// step a lie may add to that or replace it.
class Liar final : public Protocol {
 public:
  /// Returns whether the honest step follows.
  using Lie = std::function<bool(const Step&, Outbox&)>;
  explicit Liar(Lie lie) : lie_(std::move(lie)) {
    shape_ = {.n = 18,
              .outputs = 18,
              .block_words = 2,
              .memory_words = kMemoryWords,
              .machines = kMachines,
              .rounds = kRounds,
              .word_bits = 50,
              .scratch_words = 10,
              .heap_words = kHeapWords};
  }
  const Shape& shape() const override { return shape_; }
  void step(const Step& step, const Inbox& inbox, Outbox& outbox) const override {
    if (!lie_(step, outbox)) return;
    if (step.round < kRounds) {
      outbox.send((step.machine + 1) % kMachines, inbox.words());
    } else {
      for (std::uint64_t i = 0; i < 2; ++i) outbox.deliver(2 * step.machine + i, inbox.words()[i]);
    }
  }

 private:
  Lie lie_;
  Shape shape_;
};

bool at(const Step& step, std::uint32_t round, MachineId machine) {
  return step.round == round && step.machine == machine;
}

struct LieCase {
  const char* name;
  Liar::Lie lie;
  ModelViolation::Facts facts;
  const char* message;
};

const std::vector<Word> kSome(20, 5);

const std::vector<LieCase>& lies() {
  static const std::vector<LieCase> cases = {
      {"over-sends",
       [](const Step& s, Outbox& o) {
         if (at(s, 2, 7)) o.send(7, std::span(kSome).first(5));
         return true;
       },
       {Kind::kWordsSent, 2, 7, 7, 6},
       "machine 7 in round 2 sent 7 words, allowed 6"},
      {"over-sends to itself, far",
       [](const Step& s, Outbox& o) {
         for (int i = 0; at(s, 1, 8) && i < 1000; ++i) o.send(8, kSome);
         return true;
       },
       {Kind::kWordsSent, 1, 8, 20002, 6},
       "machine 8 in round 1 sent 20002 words, allowed 6"},
      {"over-receives",
       [](const Step& s, Outbox& o) {
         if (s.round == 2 && s.machine >= 3 && s.machine != 4) o.send(5, 1);
         return true;
       },
       {Kind::kWordsReceived, 2, 5, 7, 6},
       "machine 5 in round 2 received 7 words, allowed 6"},
      {"several over-receive in one round, and one over-sends in the next",
       [](const Step& s, Outbox& o) {
         if (s.round == 1 && s.machine != 3) o.send(s.machine % 2 == 0 ? 4 : 8, std::span(kSome).first(4));
         if (at(s, 2, 0)) o.send(0, kSome);
         return true;
       },
       {Kind::kWordsReceived, 1, 4, 22, 6},
       "machine 4 in round 1 received 22 words, allowed 6"},
      {"one over-sends in the round in which an earlier one over-receives",
       [](const Step& s, Outbox& o) {
         if (s.round == 3) o.send(0, std::span(kSome).first(4));
         if (at(s, 3, 8)) o.send(1, 1);
         return true;
       },
       {Kind::kWordsSent, 3, 8, 7, 6},
       "machine 8 in round 3 sent 7 words, allowed 6"},
      {"over-receives in the round before the last",
       [](const Step& s, Outbox& o) {
         if (s.round == 3) o.send(8, 1);
         return true;
       },
       {Kind::kWordsReceived, 3, 8, 11, 6},
       "machine 8 in round 3 received 11 words, allowed 6"},
      {"wide word",
       [](const Step& s, Outbox& o) {
         if (at(s, 3, 0)) o.send(2, Word{3} << 50);
         return true;
       },
       {Kind::kWordWidth, 3, 0, 52, 50},
       "machine 0 in round 3 sent a word of 52 bits, allowed 50"},
      {"wide output",
       [](const Step& s, Outbox& o) {
         if (at(s, 4, 6)) o.deliver(12, Word{1} << 50);
         return true;
       },
       {Kind::kWordWidth, 4, 6, 51, 50},
       "machine 6 in round 4 sent a word of 51 bits, allowed 50"},
      {"wrong destination",
       [](const Step& s, Outbox& o) {
         if (at(s, 1, 4)) o.send(kMachines, 1);
         return true;
       },
       {Kind::kDestination, 1, 4, 9, 8},
       "machine 4 in round 1 sent to 9, allowed 0 to 8"},
      {"output index past the end",
       [](const Step& s, Outbox& o) {
         if (at(s, 4, 4)) o.deliver(std::uint64_t{1} << 40, 1);
         return true;
       },
       {Kind::kDestination, 4, 4, 0xffffffffu, 17},
       "machine 4 in round 4 delivered output word 4294967295, allowed 0 to 17"},
      {"message after the end",
       [](const Step& s, Outbox& o) {
         if (at(s, 4, 2)) o.send(3, 1);
         return true;
       },
       {Kind::kMessageAfterEnd, 4, 2, 3, 0},
       "machine 2 in round 4 sent a message to machine 3, allowed in the last round are output words only"},
      {"early output",
       [](const Step& s, Outbox& o) {
         if (at(s, 3, 5)) o.deliver(11, 1);
         return true;
       },
       {Kind::kEarlyOutput, 3, 5, 11, 0},
       "machine 5 in round 3 delivered output word 11, allowed in the last round only"},
      {"missing outputs",
       [](const Step& s, Outbox&) { return s.round != 4 || s.machine < 5 || s.machine == 7; },
       {Kind::kMissingOutput, 4, 5, 10, 17},
       "machine 5 in round 4 did not receive output word 10, each of 0 to 17 must be delivered"},
      {"no output at all",
       [](const Step& s, Outbox&) { return s.round != 4; },
       {Kind::kMissingOutput, 4, 0, 0, 17},
       "machine 0 in round 4 did not receive output word 0, each of 0 to 17 must be delivered"},
      {"duplicate output, from another machine",
       [](const Step& s, Outbox& o) {
         if (at(s, 4, 1)) o.deliver(15, 1), o.deliver(13, 1);
         return true;
       },
       {Kind::kDuplicateOutput, 4, 6, 13, 17},
       "machine 6 in round 4 received output word 13 more than once, allowed once"},
      {"one output far too often",
       [](const Step& s, Outbox& o) {
         for (int i = 0; s.round == 4 && i < 4; ++i) o.deliver(16, 1);
         return true;
       },
       {Kind::kWordsReceived, 4, 8, 38, 6},
       "machine 8 in round 4 received 38 words, allowed 6"},
      {"scratch overuse",
       [](const Step& s, Outbox&) {
         std::pmr::vector<Word> scratch(at(s, 2, 6) ? 11 : 10, s.scratch);
         return true;
       },
       {Kind::kScratch, 2, 6, 11, 10},
       "machine 6 in round 2 took 11 words of scratch memory, allowed 10"},
      {"scratch overuse that the step hides",
       [](const Step& s, Outbox&) {
         if (at(s, 2, 6)) {
           try {
             (void)s.scratch->allocate(1000 * sizeof(Word));
           } catch (const std::bad_alloc&) {
           }
         }
         return true;
       },
       {Kind::kScratch, 2, 6, 1000, 10},
       "machine 6 in round 2 took 1000 words of scratch memory, allowed 10"},
      {"one word more from the heap than declared",
       [](const Step& s, Outbox&) {
         std::vector<Word> words(at(s, 2, 6) ? kHeapWords + 1 : kHeapWords, s.machine);
         return words[s.round] == s.machine;
       },
       {Kind::kHeap, 2, 6, 41, 40},
       "machine 6 in round 2 took 41 words from the heap, allowed 40"},
      {"heap overuse in many blocks, given back before the step ends",
       [](const Step& s, Outbox&) {
         std::list<Word> words(at(s, 3, 5) ? 14 : 13, 1);  // three words each
         return words.size() < 100;
       },
       {Kind::kHeap, 3, 5, 42, 40},
       "machine 5 in round 3 took 42 words from the heap, allowed 40"},
      {"heap overuse in an outbox of the step's own",
       [](const Step& s, Outbox&) {
         if (!at(s, 2, 1)) return true;
         Outbox own;
         own.reset({.words = 1000, .destinations = 1});
         own.send(0, std::span(kSome));
         return own.sent() == kSome.size();
       },
       {Kind::kHeap, 2, 1, 128, 40},
       "machine 1 in round 2 took 128 words from the heap, allowed 40"},
      {"heap overuse that ends in an exception",
       [](const Step& s, Outbox&) {
         if (at(s, 2, 2)) std::vector<Word>().reserve(std::size_t{1} << 58);
         return true;
       },
       {Kind::kHeap, 2, 2, std::uint64_t{1} << 58, 40},
       "machine 2 in round 2 took 288230376151711744 words from the heap, allowed 40"},
      {"throws",
       [](const Step& s, Outbox&) {
         if (at(s, 3, 8)) throw std::runtime_error("a step that does not fit into one word of detail");
         return true;
       },
       {Kind::kStepFailed, 3, 8, 0, 0},
       "machine 8 in round 3 failed: a step that does not fit into one word of detail"},
      {"runs out of memory",
       [](const Step& s, Outbox&) {
         if (at(s, 1, 0)) throw std::bad_alloc();
         return true;
       },
       {Kind::kStepFailed, 1, 0, 0, 0},
       "machine 0 in round 1 failed: out of memory"},
      {"throws a number",
       [](const Step& s, Outbox&) {
         if (at(s, 4, 4)) throw 3;
         return true;
       },
       {Kind::kStepFailed, 4, 4, 0, 0},
       "machine 4 in round 4 failed: threw something that is not a std::exception"},
      {"two throw: the first machine is named",
       [](const Step& s, Outbox&) {
         if (s.round == 2 && s.machine >= 4) throw std::runtime_error(fmt::format("from {}", s.machine));
         return true;
       },
       {Kind::kStepFailed, 2, 4, 0, 0},
       "machine 4 in round 2 failed: from 4"},
  };
  return cases;
}

void expect_caught(const LieCase& c, Transport& transport, const RunOptions& options) {
  if (c.facts.kind == Kind::kHeap && !HeapMeter::available()) return;  // operator new is a sanitizer's
  const Liar liar(c.lie);
  try {
    run(liar, std::vector<Word>(18, 1), transport, options);
    ADD_FAILURE() << c.name << " was not caught";
  } catch (const ModelViolation& violation) {
    const auto& [kind, round, machine, used, allowed] = violation.facts();
    EXPECT_TRUE(kind == c.facts.kind && round == c.facts.round && machine == c.facts.machine &&
                used == c.facts.used && allowed == c.facts.allowed)
        << c.name << ": " << violation.what();
    EXPECT_STREQ(violation.what(), c.message) << c.name;
  }
}

TEST(Lies, AreCaughtWithTheirPlaceOnEveryRank) {
  const auto in_process = make_in_process_transport();
  const auto mpi = session().transport();
  for (const LieCase& c : lies()) {
    expect_caught(c, *in_process, {});
    expect_caught(c, *mpi, {});
    expect_caught(c, *mpi, {.order_seed = 3});
  }
}

TEST(Lies, TheHonestProtocolPasses) {
  const auto mpi = session().transport();
  const RunResult result =
      run(Liar([](const Step&, Outbox&) { return true; }), std::vector<Word>(18, 1), *mpi);
  EXPECT_EQ(result.ledger.overall(), (RoundFacts{2, 2, 0, 0, 72}));
}

TEST(Limits, OneWordBelowTheLargestLoadEndsTheRunOnEveryRank) {
  const auto mpi = session().transport();
  // Machine 2 sends 5 words in round 2; machine 1 receives 7 in round 1.
  const Case c{.n = 6,
               .block_words = 1,
               .outputs = 3,
               .seed = 2,
               .rounds = {{{3, 1, 4}, {4, 1, 3}}, {{2, 0, 2}, {2, 5, 3}, {1, 0, 1}}}};
  const RandomProtocol protocol(c);
  const std::vector<Word> input(6, 1);
  const RoundFacts facts = run(protocol, input, *mpi).ledger.overall();
  EXPECT_EQ(facts.max_words_received, 7u);
  EXPECT_EQ(facts.max_words_sent, 5u);
  EXPECT_NO_THROW(run(protocol, input, *mpi, {.limit_words = 7}));
  const auto facts_at = [&](std::uint64_t limit) -> std::string {
    try {
      run(protocol, input, *mpi, {.limit_words = limit});
    } catch (const ModelViolation& violation) {
      return violation.what();
    }
    return "not caught";
  };
  EXPECT_EQ(facts_at(6), "machine 1 in round 1 received 7 words, allowed 6");
  EXPECT_EQ(facts_at(3), "machine 3 in round 1 sent 4 words, allowed 3");
}

}  // namespace
}  // namespace roundtrip::mpc
