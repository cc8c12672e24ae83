// A body that is repeated until all machines are done: the state of a loop that stops, in the rounds of one that does not.
#include <gtest/gtest.h>

#include <algorithm>

#include "mpc/protocol_case.h"
#include "roundtrip/base/error.h"
#include "roundtrip/mpc/stages/repeat_until.h"

namespace roundtrip::mpc {
namespace {

using Load = RepeatUntilOptions::Load;

/// Two rounds: every machine counts its words down by one; then the state moves to the next machine.
class CountAndMove final : public Stage {
 public:
  CountAndMove(Load load, std::uint32_t machines, Word first)
      : load_(std::move(load)), machines_(machines), first_(first) {}
  std::uint32_t rounds() const override { return 2; }
  std::uint64_t scratch_words() const override { return 0; }
  void step(const Context& context, std::uint32_t round) const override {
    if (round == 1) {
      for (const Word word : load_(context)) context.out.send(context.machine, word > 0 ? word - 1 : 0);
    } else {
      context.out.send((context.machine + 1) % machines_, first_);
      context.out.send((context.machine + 1) % machines_, context.from(context.machine));
    }
  }

 private:
  Load load_;
  std::uint32_t machines_;
  Word first_;
};

class Turns final : public Composition {
 public:
  Turns(std::uint32_t machines, std::uint64_t block, std::uint32_t fan, std::uint32_t times, Word first = 1) {
    shape_.n = shape_.outputs = machines * block;
    shape_.block_words = block;
    shape_.machines = machines;
    shape_.memory_words = block + 1 + 2 * fan;  // the table's
    shape_.heap_words = 0;
    const RepeatUntil& turns = then<RepeatUntil>(
        "turns",
        {.tree = Tree::over(0, machines, fan),
         .times = times,
         .load = [](const Context& context) { return context.inbox.words(); },
         .done =
             [](MachineId, std::span<const Word> state) {
               return std::ranges::count(state, 0u) == std::ssize(state);
             },
         .body = [machines,
                  first](Load load) { return std::make_unique<CountAndMove>(load, machines, first); },
         .result = [](const Context& context, const Stage&) { return context.inbox.words().subspan(1); }});
    rounds = turns.rounds();
    then("deliver", 1, 0, [this, &turns](const Context& context, std::uint32_t) {
      const std::span<const Word> state = turns.result(context);
      for (std::size_t i = 0; i < state.size(); ++i)
        context.out.deliver(context.machine * shape_.block_words + i, state[i]);
    });
    shape_.validate();
  }
  std::uint32_t rounds = 0;
};

TEST(RepeatUntil, StopsWhenAllAreDoneAndNotBefore) {
  for (const std::uint32_t machines : {1u, 2u, 5u, 9u}) {
    for (const std::uint32_t fan : {2u, 3u, 9u}) {
      for (const std::uint32_t times : {1u, 3u, 4u, 7u}) {
        const Turns protocol(machines, 3, fan, times);
        std::vector<Word> input(3 * machines, 1);
        input[input.size() / 2] = 4;
        const auto transport = make_in_process_transport();
        const RunResult result = run(protocol, input, *transport);
        std::vector<Word> state = input;
        std::uint32_t turns = 0;
        for (; turns < times && std::ranges::count(state, 0u) < std::ssize(state); ++turns) {
          for (Word& word : state) word -= word > 0 ? 1 : 0;
          std::rotate(state.begin(), state.end() - 3, state.end());
        }
        EXPECT_EQ(result.outputs, state);
        const std::uint32_t depth = std::max(1u, ceil_log(fan, machines));
        EXPECT_EQ(protocol.rounds, times * (2 * depth + 2));
        // Once all are done, a machine sends its mark and its state to itself in the rounds of the body.
        for (std::uint32_t turn = turns; turn < times; ++turn) {
          const std::size_t first = turn * (2 * depth + 2) + 2 * depth;
          EXPECT_EQ(result.ledger.rounds[first].max_words_sent, 4u);
          EXPECT_EQ(result.ledger.rounds[first + 1].total_words, 4u * machines);
        }
      }
    }
  }
}

TEST(RepeatUntil, RefusesABodyThatIsNotRepeated) {
  EXPECT_THROW(Turns(2, 3, 2, 0), ContractError);
}

}  // namespace
}  // namespace roundtrip::mpc
