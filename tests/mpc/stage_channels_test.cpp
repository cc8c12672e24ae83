// Channels beside each other in one round, and coins that all machines share.
#include <gtest/gtest.h>

#include <map>

#include "roundtrip/base/error.h"
#include "roundtrip/mpc/runtime.h"
#include "roundtrip/mpc/stages/channels.h"
#include "roundtrip/mpc/stages/public_coins.h"
#include "roundtrip/mpc/transport.h"

namespace roundtrip::mpc {
namespace {

constexpr Channel kState(0), kEdges(1), kEmpty(2), kSilent(255);

/// Every machine keeps its words, sends each to the machine of its value, and an empty message to the next machine.
class Channelled final : public Composition {
 public:
  Channelled(std::uint32_t machines, std::uint64_t block, bool raw) {
    shape_.n = shape_.outputs = machines * block;
    shape_.block_words = block;
    shape_.machines = machines;
    shape_.memory_words = 64;
    then("send", 1, 0, [machines, raw](const Context& context, std::uint32_t) {
      const std::span<const Word> words = context.inbox.words();
      for (const Word word : words) {
        const Word edge[2] = {word, context.machine};
        kEdges.send(context, static_cast<MachineId>(word % machines), edge);
        if (word == words[0]) kState.send(context, context.machine, words);
      }
      kEmpty.send(context, (context.machine + 1) % machines, {});
      if (raw) context.out.send(0, 77);
    });
    then("look", 1, 0, [this, machines](const Context& context, std::uint32_t) {
      kSilent.for_each(context, [](MachineId, std::span<const Word>) { throw Error("nobody sent that"); });
      std::uint64_t empty = 0;
      kEmpty.for_each(context, [&](MachineId source, std::span<const Word> words) {
        empty += words.empty() && (source + 1) % machines == context.machine ? 1 : 100;
      });
      if (empty != 1) throw Error("not one empty message");
      kEdges.for_each(context, [&](MachineId source, std::span<const Word> words) {
        if (words.size() != 2 || words[1] != source || words[0] % machines != context.machine)
          throw Error("an edge of another");
        ++edges;
      });
      kState.for_each(context, [&](MachineId source, std::span<const Word> words) {
        if (source != context.machine) throw Error("another's state");
        for (std::size_t i = 0; i < words.size(); ++i)
          context.out.deliver(context.machine * shape_.block_words + i, words[i]);
      });
    });
    shape_.validate();
  }
  mutable std::uint64_t edges = 0;
};

TEST(Channels, StateAndMessagesBesideEachOther) {
  for (const std::uint32_t machines : {1u, 2u, 5u}) {
    const Channelled protocol(machines, 4, false);
    std::vector<Word> input;
    for (std::uint64_t i = 0; i < 4 * machines; ++i) input.push_back(100 + 7 * i);
    const auto transport = make_in_process_transport();
    EXPECT_EQ(run(protocol, input, *transport).outputs, input);
    EXPECT_EQ(protocol.edges, input.size());
  }
}

TEST(Channels, WordsOfNoChannelAreMalformed) {
  const Channelled protocol(3, 4, true);
  const auto transport = make_in_process_transport();
  EXPECT_THROW((void)run(protocol, std::vector<Word>(12, 5), *transport), ModelViolation);
}

TEST(PublicCoins, AreFunctionsOfSeedPurposeTurnAndThing) {
  const PublicCoins coins(1, 0), other(1, 1), seeded(2, 0);
  EXPECT_EQ(coins.bits(3, 4), PublicCoins(1, 0).bits(3, 4));
  EXPECT_NE(coins.bits(3, 4), coins.bits(4, 3));
  EXPECT_NE(coins.bits(3, 4), other.bits(3, 4));
  EXPECT_NE(coins.bits(3, 4), seeded.bits(3, 4));
  EXPECT_NE(coins.bits(3, 4), draw(1, Domain::kInstance, 0, 3, 4));
  int heads = 0;
  for (std::uint64_t i = 0; i < 4096; ++i) {
    heads += coins.flip(0, i) ? 1 : 0;
    EXPECT_LT(coins.below(7, 1, i), 7u);
  }
  EXPECT_NEAR(heads, 2048, 6 * 32);  // six standard deviations: one draw in 10^9 fails, and the seed is fixed
}

TEST(PublicCoins, TurnsUntilNothingIsLeft) {
  EXPECT_EQ(turns_until_none(1, {1, 2}, {1, 2}), 1u);
  EXPECT_EQ(turns_until_none(1024, {1, 2}, {1, 2}), 11u);
  EXPECT_EQ(turns_until_none(100, {1, 2}, {1, 100}), 14u);  // 100 / 2^14 = 0.0061
  EXPECT_EQ(turns_until_none(16, {3, 4}, {1, 2}), 13u);     // 16 (3/4)^12 = 0.507
  for (const Rational& none : {Rational(0), Rational(1)}) {
    EXPECT_THROW((void)turns_until_none(8, {1, 2}, none), ContractError);
    EXPECT_THROW((void)turns_until_none(8, none, {1, 2}), ContractError);
  }
}

}  // namespace
}  // namespace roundtrip::mpc
