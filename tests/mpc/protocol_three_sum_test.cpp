#include <rapidcheck.h>

#include <algorithm>

#include "mpc/formula_sort.h"
#include "mpc/protocol_case.h"
#include "roundtrip/base/error.h"
#include "roundtrip/mpc/protocols/library.h"

namespace roundtrip::mpc {
namespace {

using testing::CaseResult;
using testing::formula_b;
using testing::formula_plan;
using testing::FormulaPlan;
using testing::parameters_of;
using testing::random_values;
using testing::run_case;
using testing::shaken;

/// All triples of distinct positions: cubic.
bool has_triple(const Values& x) {
  for (std::size_t a = 0; a < x.size(); ++a) {
    for (std::size_t b = a + 1; b < x.size(); ++b) {
      for (std::size_t c = b + 1; c < x.size(); ++c) {
        if (x[a] + x[b] + x[c] == 0) return true;
      }
    }
  }
  return false;
}

bool is_witness(const Values& x, const Outputs& found) {
  if (found.size() != 3 || !found[0] || !found[1] || !found[2]) return false;
  std::int64_t sum = 0;
  for (const auto& position : found) {
    if (*position < 1 || *position > static_cast<std::int64_t>(x.size())) return false;
    sum += x[static_cast<std::size_t>(*position) - 1];
  }
  return sum == 0 && found[0] != found[1] && found[0] != found[2] && found[1] != found[2];
}

/// R from the statement in words: "T_sort(N, 2) + 5 + 2 d1 + db + dd + dr", g = ceil(sqrt N), W = g + 5,
/// f = floor((s - 3W - 2g) / 3W); d1 = ceil(log_{floor(s/8)} M); db = ceil(log_{floor((s-2g)/2g)} q);
/// dd = ceil(log_f g(g+1)/2), at least 1; dr = ceil(log_{floor(s/4)} q).
long formula_rounds(long n, long s, long* machines) {
  const long g = formula_b(n, 1, 2);
  const long q = g * (g + 1) / 2 + g;
  const auto log = [](long base, long value) {
    long e = 0;
    for (long power = 1; power < value; power *= base) ++e;
    return e;
  };
  const FormulaPlan sort = formula_plan(n, 2, s, 2, s / 4 - 2);
  *machines = q;
  return sort.T + 5 + 2 * log(s / 8, sort.M) + log((s - 2 * g) / (2 * g), q) +
         std::max(1L, log((s - 3 * (g + 5) - 2 * g) / (3 * (g + 5)), g * (g + 1) / 2)) + log(s / 4, q);
}

CaseResult expect_triple(const Parameters& parameters, const Values& values) {
  const CaseResult result = run_case("three_sum", parameters, values);
  EXPECT_EQ(result.outputs, find_protocol("three_sum").oracle(values, parameters));
  if (result.outputs[0]) {
    EXPECT_TRUE(is_witness(values, result.outputs));
  }
  long machines = 0;
  const long rounds = formula_rounds(static_cast<long>(parameters.n),
                                     static_cast<long>(result.shape.memory_words), &machines);
  EXPECT_EQ(result.shape.rounds, rounds);
  EXPECT_EQ(three_sum_rounds(parameters), rounds);
  EXPECT_EQ(result.run.ledger.rounds.size(), static_cast<std::size_t>(rounds));
  const long outputs_machines = 3 / static_cast<long>(result.shape.block_words);  // N = 1 has more of them
  EXPECT_EQ(result.shape.machines, std::max(machines, outputs_machines));
  return result;
}

CaseResult expect_triple(const Values& values) {
  SCOPED_TRACE(fmt::format("N = {}", values.size()));
  return expect_triple(parameters_of(values.size()), values);
}

TEST(ThreeSum, OracleAgreesWithTheDefinition) {
  EXPECT_TRUE(rc::check([] {
    const auto n = *rc::gen::inRange<std::uint64_t>(1, 40);
    const auto range = *rc::gen::inRange<std::int64_t>(0, 500);
    const Values values = random_values(n, -range, range, *rc::gen::arbitrary<std::uint64_t>());
    const Outputs found = find_protocol("three_sum").oracle(values, parameters_of(n));
    RC_ASSERT(found.size() == 3u);
    const bool right = has_triple(values) ? is_witness(values, found) : found == Outputs(3);
    RC_ASSERT(right);
  }));
}

TEST(ThreeSum, SmallCases) {
  for (std::uint64_t n = 1; n <= 40; ++n) {
    for (const std::int64_t range : {0, 1, 5, 60, 2000}) expect_triple(random_values(n, -range, range, n));
    expect_triple(random_values(n, 1, 30, n));  // positive: none
  }
}

TEST(ThreeSum, AnySizeProperty) {
  EXPECT_TRUE(rc::check([] {
    const auto n = *rc::gen::inRange<std::uint64_t>(1, 900);
    const auto range = *rc::gen::element<std::int64_t>(3, 40, 1000, 100000, 100000000);
    const auto shift = *rc::gen::inRange<std::int64_t>(-1, 2) * range / 3;
    Parameters parameters = parameters_of(n, Rational(*rc::gen::inRange(3, 8), 10));
    parameters.delta = Rational(*rc::gen::inRange(1, 4), 10);
    parameters.kappa_s = *rc::gen::inRange<std::uint64_t>(1, 12);
    Values values = random_values(n, shift - range, shift + range, *rc::gen::arbitrary<std::uint64_t>());
    if (*rc::gen::arbitrary<bool>()) {  // few values, each often
      for (std::size_t i = 0; i < n; ++i) values[i] = values[i % (1 + n / 5)];
    }
    expect_triple(parameters, values);
    RC_ASSERT(!::testing::Test::HasFailure());
  }));
}

TEST(ThreeSum, PowersOfTwoAndTheirNeighbours) {
  for (int bits = 8; bits <= 12; ++bits) {
    for (const std::uint64_t n : {(1u << bits) - 1, 1u << bits, (1u << bits) + 1}) {
      const auto range = static_cast<std::int64_t>(n * n);
      expect_triple(random_values(n, -range, range, n));
      const Values generated = find_protocol("three_sum").generate(parameters_of(n));
      expect_triple(generated);
    }
  }
}

TEST(ThreeSum, RoundsOfTheTable) {
  // kappa 3, delta 1/5; s and R as worked out by hand.
  EXPECT_EQ(three_sum_rounds(parameters_of(1 << 12)), 33u);
  EXPECT_EQ(three_sum_rounds(parameters_of(1 << 13)), 33u);
  for (int bits = 14; bits <= 16; ++bits) EXPECT_EQ(three_sum_rounds(parameters_of(1u << bits)), 31u) << bits;
  const std::uint64_t memory[] = {1014, 1647, 2676};
  for (int bits = 12; bits <= 14; ++bits) {
    const auto protocol = find_protocol("three_sum").make(parameters_of(1u << bits));
    EXPECT_EQ(protocol->shape().memory_words, memory[bits - 12]);
    EXPECT_FALSE(protocol->shape().below_range());
  }
}

TEST(ThreeSum, AllZero) {
  for (const std::uint64_t n : {1, 2, 3, 4, 100, 1000, 4096}) {
    const CaseResult result = expect_triple(Values(n, 0));
    EXPECT_EQ(result.outputs[0].has_value(), n >= 3) << n;
  }
}

TEST(ThreeSum, WitnessByDuplicates) {
  // Odd numbers alone have no triple; two of v and one of -2v, at the ends and in the middle of the order.
  for (const std::uint64_t n : {64, 500, 4096}) {
    for (const std::int64_t v :
         {std::int64_t{1}, std::int64_t{-77}, std::int64_t{8000001}, -(std::int64_t{1} << 43) + 1}) {
      Values values(n);
      for (std::uint64_t i = 0; i < n; ++i) values[i] = 4 * static_cast<std::int64_t>(i) + 100000001;
      EXPECT_FALSE(expect_triple(values).outputs[0]);
      values[3] = values[n - 1] = v;
      values[n / 2] = -2 * v;
      const CaseResult twice = expect_triple(values);
      EXPECT_TRUE(is_witness(values, twice.outputs));
      values[n - 1] = 99999999;
      expect_triple(values);
    }
    Values zeros = random_values(n, 1, 1000000, n);
    zeros[5] = zeros[9] = 0;  // two zeros are no triple
    EXPECT_FALSE(expect_triple(zeros).outputs[0]);
    zeros[n - 1] = 0;
    EXPECT_TRUE(is_witness(zeros, expect_triple(zeros).outputs));
  }
}

TEST(ThreeSum, ClusteredAndSpreadValues) {
  for (const std::uint64_t n : {300, 2048, 4096}) {
    const auto size = static_cast<std::int64_t>(n);
    Values clusters(n), consecutive(n), powers(n), halves(n);
    for (std::uint64_t i = 0; i < n; ++i) {
      const auto j = static_cast<std::int64_t>(i);
      clusters[i] = (j % 3 - 1) * 1000000 + j / 3 * 2 + 1;  // odd around three places: their sums are odd
      consecutive[i] = j - size / 3;                        // every diagonal has its cell
      powers[i] = (i % 2 == 0 ? 1 : -1) * (std::int64_t{1} << j % 45) + j % 7;
      halves[i] = j < size / 2 ? -2 * size - j : size + j / 3;  // two far heaps
    }
    expect_triple(clusters);
    expect_triple(consecutive);
    expect_triple(powers);
    expect_triple(halves);
    clusters[7] = -2 * clusters[4];
    expect_triple(clusters);
  }
}

TEST(ThreeSum, AtMostThreeBlocksReachADiagonal) {
  // With all values consecutive every diagonal wants three blocks: 3 (g + 4) words and the ends, and not a
  // fourth.
  Values values(4096);
  for (std::uint64_t i = 0; i < values.size(); ++i) values[i] = static_cast<std::int64_t>(i) - 1365;
  const CaseResult result = expect_triple(values);
  const std::uint64_t g = 64;
  const std::size_t last_spread =
      result.shape.rounds - 4u;  // before the witness goes up, is asked for and delivered
  std::uint64_t most = 0;
  for (std::size_t round = last_spread - 2; round < last_spread; ++round)
    most = std::max(most, result.run.ledger.rounds[round].max_words_received);
  EXPECT_EQ(most, std::max(4 * g + 1, 3 * (g + 4) + 2 * g + 1));
}

TEST(ThreeSum, RandomOrderAndRebuiltProtocolChangeNothing) {
  const Parameters parameters = parameters_of(600);
  const Values values = random_values(600, -90000, 90000, 3);
  const CaseResult plain = run_case("three_sum", parameters, values);
  const CaseResult shuffled = run_case("three_sum", parameters, values, shaken("three_sum", parameters, 9));
  EXPECT_EQ(plain.run.outputs, shuffled.run.outputs);
  EXPECT_EQ(plain.run.ledger, shuffled.run.ledger);
  const RoundFacts facts = plain.run.ledger.overall();
  RunOptions options;
  options.limit_words = std::max(facts.max_words_sent, facts.max_words_received) - 1;
  EXPECT_THROW(run_case("three_sum", parameters, values, options), ModelViolation);
}

TEST(ThreeSum, RefusesWhatItCannotServe) {
  Parameters parameters = parameters_of(1024);
  parameters.memory_words = 200;
  EXPECT_THROW(find_protocol("three_sum").make(parameters), ContractError);
  parameters.memory_words.reset();
  parameters.machines = 32 * 33 / 2 + 31;
  EXPECT_THROW(find_protocol("three_sum").make(parameters), ContractError);
  Values wide(16, std::int64_t{1} << 45);
  EXPECT_THROW(run_case("three_sum", parameters_of(16), wide), ContractError);
}

}  // namespace
}  // namespace roundtrip::mpc
