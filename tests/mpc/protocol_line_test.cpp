// Odd-even sort, k-hop by walkers and word count: every size near their edges against the oracles, limits that are met
// with one word less refused, and memory that is small at small N, which is what they are for.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "mpc/protocol_case.h"
#include "roundtrip/base/error.h"
#include "roundtrip/mpc/protocols/library.h"

namespace roundtrip::mpc {
namespace {

using testing::CaseResult;
using testing::parameters_of;
using testing::random_values;
using testing::run_case;
using testing::shaken;

using Rounds = std::uint32_t (*)(const Parameters&);
const std::map<std::string, Rounds> kRounds = {{"odd_even_sort", odd_even_sort_rounds},
                                               {"k_hop_walk", k_hop_walk_rounds},
                                               {"word_count", word_count_rounds}};

void check(const std::string& name, const Parameters& parameters, const Values& values) {
  const CaseResult result = run_case(name, parameters, values);
  SCOPED_TRACE(::testing::Message() << name << " N = " << parameters.n
                                    << " b = " << result.shape.block_words);
  EXPECT_EQ(result.outputs, find_protocol(name).oracle(values, parameters));
  EXPECT_EQ(result.shape.rounds, kRounds.at(name)(parameters));
  EXPECT_EQ(result.run.ledger.rounds.size(), result.shape.rounds);
  const RoundFacts used = result.run.ledger.overall();
  const std::uint64_t most = std::max(used.max_words_sent, used.max_words_received);
  if (most < 2) return;
  EXPECT_THROW(run_case(name, parameters, values, {.limit_words = most - 1}), ModelViolation);
}

TEST(LineProtocols, EverySmallSize) {
  for (const auto& [name, unused] : kRounds) {
    for (std::uint64_t n = 1; n <= 70; ++n) {
      for (const Rational epsilon : {Rational(1, 4), Rational(1, 2), Rational(9, 10)}) {
        const auto top = static_cast<std::int64_t>(n) - 1;
        check(name, parameters_of(n, epsilon), random_values(n, 0, top, n));
        check(name, parameters_of(n, epsilon), random_values(n, 0, std::min<std::int64_t>(top, 2), n));
      }
    }
  }
}

TEST(LineProtocols, WorstCases) {
  for (const std::uint64_t n : {16, 63, 64, 100, 1000}) {
    const auto last = static_cast<std::int64_t>(n) - 1;
    Values falling, equal(n, 0), spread, blocks;
    for (std::int64_t i = 0; i <= last; ++i) {
      falling.push_back(last - i);
      spread.push_back(i);
      blocks.push_back(i % 8 * 8 % (last + 1));  // the same few words on every machine, of one owner
    }
    for (const auto& [name, unused] : kRounds) {
      for (const Values& values : {falling, equal, spread, blocks})
        check(name, parameters_of(n, {1, 3}), values);
    }
  }
}

TEST(LineProtocols, HopsFarAndLong) {
  for (const char* k : {"1", "3", "7", "40"}) {
    Parameters parameters = parameters_of(48, {1, 4});
    parameters.options = {{"k", k}};
    check("k_hop_walk", parameters, random_values(48, 0, 3, 5));
    check("k_hop_walk", parameters, Values(48, 9));  // every walker goes one place at a time
    check("k_hop_walk", parameters, random_values(48, -131072, 131071, 5));
  }
}

TEST(LineProtocols, MemoryIsSmallAtSmallSizes) {
  for (std::uint64_t n = 16; n <= 64; ++n) {
    EXPECT_LT(find_protocol("odd_even_sort").make(parameters_of(n, {1, 3}))->shape().memory_words * 2, n)
        << n;
    EXPECT_LT(find_protocol("k_hop_walk").make(parameters_of(n, {1, 5}))->shape().memory_words * 2, n) << n;
  }
}

TEST(LineProtocols, OrderOfMachinesChangesNothing) {
  for (const auto& [name, unused] : kRounds) {
    const Parameters parameters = parameters_of(50, {1, 3});
    const Values values = random_values(50, 0, 9, 3);
    EXPECT_EQ(run_case(name, parameters, values).run.outputs,
              run_case(name, parameters, values, shaken(name, parameters, 7)).run.outputs);
  }
}

TEST(LineProtocols, Refusals) {
  const auto refused = [](const std::string& name, const Parameters& parameters) {
    EXPECT_THROW(static_cast<void>(find_protocol(name).make(parameters)), ContractError) << name;
  };
  refused("odd_even_sort", parameters_of((1u << 20) + 1));
  refused("k_hop_walk", parameters_of((1u << 14) + 1));
  refused("word_count", parameters_of((1u << 20) + 1));
  Parameters hops = parameters_of(16);
  for (const char* k : {"0", "4097", "x"}) {
    hops.options = {{"k", k}};
    refused("k_hop_walk", hops);
  }
  const ProtocolInfo& count = find_protocol("word_count");
  EXPECT_THROW(count.accept(Values{0, 1, 3}, parameters_of(3)), ContractError);
  EXPECT_THROW(count.accept(Values{0, -1, 2}, parameters_of(3)), ContractError);
  EXPECT_NO_THROW(count.accept(Values{2, 2, 0}, parameters_of(3)));
  Parameters memory = parameters_of(64);
  memory.memory_words = 1;
  for (const auto& [name, unused] : kRounds) refused(name, memory);
}

}  // namespace
}  // namespace roundtrip::mpc
