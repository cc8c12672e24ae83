// Questions of any distribution answered by a sort and a scan, within the words that its table states.
#include <gtest/gtest.h>

#include <algorithm>

#include "mpc/protocol_case.h"
#include "roundtrip/base/error.h"
#include "roundtrip/mpc/stages/lookup.h"

namespace roundtrip::mpc {
namespace {

using testing::random_values;

/// Word x of position i asks for the word at position x: record 2 i is the entry of i, 2 i + 1 its question.
class Ask final : public Composition {
 public:
  Ask(std::uint64_t n, std::uint64_t block, std::uint64_t memory, bool twice = false) {
    const auto plan = plan_sort(Lookup::task(2 * n, memory));
    if (!plan) throw ContractError("no plan");
    shape_.n = shape_.outputs = n;
    shape_.block_words = block;
    shape_.memory_words = memory;
    shape_.machines = static_cast<std::uint32_t>(std::max(ceil_div(n, block), plan->machines));
    shape_.heap_words = 0;
    const std::uint64_t held = plan->machine_records;
    then("to the records' machines", 1, 0, [block, held](const Context& context, std::uint32_t) {
      std::uint64_t i = context.machine * block;
      for (const Word word : context.inbox.words()) {
        const auto first = static_cast<MachineId>(2 * i / held),
                   second = static_cast<MachineId>((2 * i + 1) / held);
        const Word both[2] = {i++, word};
        context.out.send(first, both);
        if (second != first) context.out.send(second, both);
      }
    });
    const Lookup& lookup = then<Lookup>(
        "look up", {.plan = *plan,
                    .memory_words = memory,
                    .load = [twice](const Context& context, std::uint64_t first, std::span<Word> records) {
                      const std::uint64_t count = records.size() / Lookup::kRecordWords;
                      const std::span<const Word> words = context.inbox.words();
                      for (std::size_t w = 0; w + 1 < words.size(); w += 2) {
                        const std::uint64_t at = 2 * words[w] - first;
                        if (at < count && words[w] % 4 != 3) {  // every fourth has no entry
                          Lookup::entry(records, at, twice ? 0 : words[w], words[w + 1]);
                        }
                        if (at + 1 < count) Lookup::question(records, at + 1, words[w + 1], words[w]);
                      }
                    }});
    rounds = lookup.rounds();
    then("deliver", 1, 0, [&lookup, n](const Context& context, std::uint32_t) {
      lookup.for_each(context, [&](Word asker, Word key, std::optional<Word> value) {
        context.out.deliver(asker, value && key < n ? *value : 1000000);
      });
    });
    shape_.validate();
  }
  std::uint32_t rounds = 0;
};

void expect_answers(const std::vector<Word>& input, std::uint64_t block, std::uint64_t memory) {
  SCOPED_TRACE(fmt::format("N = {}, b = {}, s = {}", input.size(), block, memory));
  const Ask protocol(input.size(), block, memory);
  const auto transport = make_in_process_transport();
  const RunResult result = run(protocol, input, *transport);
  ASSERT_EQ(result.outputs.size(), input.size());
  EXPECT_EQ(result.ledger.overall().max_heap_words, 0u);
  for (std::size_t i = 0; i < input.size(); ++i) {
    const bool found = input[i] < input.size() && input[i] % 4 != 3;
    EXPECT_EQ(result.outputs[i], found ? input[input[i]] : 1000000) << i;
  }
  const auto plan = plan_sort(Lookup::task(2 * input.size(), memory));
  const std::uint64_t fan = (memory - 2 * (plan->machine_records + 1)) / 6;
  const auto machines = static_cast<std::uint32_t>(plan->machines);
  EXPECT_EQ(protocol.rounds, plan->rounds + 2 * std::max(1u, ceil_log(fan, machines)));
}

TEST(Lookup, AnyDistributionOfKeys) {
  for (const std::uint64_t n : {1, 2, 7, 64, 250, 1000}) {
    const std::uint64_t block = ceil_power(n, {1, 2});
    for (const std::uint64_t memory : {40 * block + 40, 80 * block + 10, 100 * n + 100}) {
      std::vector<Word> values;
      for (const std::int64_t value : random_values(n, 0, static_cast<std::int64_t>(n) + 3, n))
        values.push_back(static_cast<Word>(value));
      expect_answers(values, block, memory);
      expect_answers(std::vector<Word>(n, 0), block, memory);      // all ask for one key
      expect_answers(std::vector<Word>(n, 3), block, memory);      // which has no entry
      expect_answers(std::vector<Word>(n, n - 1), block, memory);  // the last one
      std::ranges::sort(values, std::greater{});
      expect_answers(values, block, memory);
    }
  }
}

TEST(Lookup, TheFirstOfTwoEntriesCounts) {
  const Ask protocol(100, 10, 500, true);  // all entries are of key 0
  const auto transport = make_in_process_transport();
  std::vector<Word> input(100);
  for (std::size_t i = 0; i < 100; ++i) input[i] = i == 50 ? 0 : 20 + i;
  EXPECT_EQ(run(protocol, input, *transport).outputs[50], 20u);
}

TEST(Lookup, RefusesMemoryWithoutRoomForItsTree) {
  const auto plan = plan_sort(Lookup::task(200, 1000));
  ASSERT_TRUE(plan);
  const std::uint64_t least = 2 * (plan->machine_records + 1) + 12;
  EXPECT_THROW(Lookup({.plan = *plan, .memory_words = least - 1, .load = {}}), ContractError);
  EXPECT_NO_THROW(Lookup({.plan = *plan, .memory_words = least, .load = {}}));
}

}  // namespace
}  // namespace roundtrip::mpc
