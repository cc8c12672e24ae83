#include <rapidcheck.h>

#include <algorithm>

#include "mpc/formula_sort.h"
#include "mpc/protocol_case.h"
#include "roundtrip/base/error.h"
#include "roundtrip/mpc/protocols/library.h"

namespace roundtrip::mpc {
namespace {

using testing::CaseResult;
using testing::formula_sort;
using testing::parameters_of;
using testing::random_values;
using testing::run_case;
using testing::shaken;

/// The definition, word by word: quadratic, and k steps one by one.
Outputs by_definition(const Values& x, std::uint64_t k) {
  const std::size_t n = x.size();
  const auto symbol = [&x](std::size_t position) { return x[position - 1]; };
  std::vector<std::size_t> find(n + 1, 0);
  for (std::size_t i = 1; i <= n; ++i) {
    for (std::size_t j = 2; j <= i; ++j) {
      if (symbol(j - 1) == symbol(i)) find[i] = j;
    }
  }
  Outputs outputs(n);
  for (std::size_t i = 1; i <= n; ++i) {
    std::size_t at = i;
    for (std::uint64_t hop = 0; hop < k && at != 0; ++hop) {
      if (find[at] == at) break;  // here to stay
      at = find[at];
    }
    if (at != 0) outputs[i - 1] = symbol(at);
  }
  return outputs;
}

Parameters hop_parameters(std::uint64_t n, std::uint64_t k, Rational epsilon = {1, 2},
                          std::uint64_t kappa = 8) {
  Parameters parameters = parameters_of(n, epsilon);
  parameters.kappa_s = kappa;
  parameters.options["k"] = std::to_string(k);
  return parameters;
}

void expect_hops(const Parameters& parameters, const Values& values, const Outputs& expected) {
  const std::uint64_t k = std::stoull(parameters.options.at("k"));
  SCOPED_TRACE(fmt::format("N = {}, k = {}, eps = {}", parameters.n, k, parameters.epsilon.to_string()));
  const CaseResult result = run_case("k_hop", parameters, values);
  ASSERT_EQ(result.outputs, expected);
  long log_k = 0;
  while (log_k < 63 && (std::uint64_t{1} << log_k) < k) ++log_k;
  const long t = formula_sort(static_cast<long>(parameters.n), parameters.epsilon.numerator(),
                              parameters.epsilon.denominator(), static_cast<long>(*parameters.kappa_s), 2)
                     .t;
  ASSERT_EQ(result.shape.rounds, t + 3 + log_k);
  ASSERT_EQ(k_hop_rounds(parameters), t + 3 + log_k);
}

TEST(KHop, SmallCasesAgreeWithTheDefinition) {
  for (const std::uint64_t n : {1, 2, 3, 5, 8, 31, 64, 100, 257}) {
    for (const std::int64_t symbols : {1, 2, 4, 30}) {
      const Values values = random_values(n, 0, symbols - 1, n + static_cast<std::uint64_t>(symbols));
      for (const std::uint64_t k :
           {std::uint64_t{1}, std::uint64_t{2}, std::uint64_t{3}, std::uint64_t{4}, std::uint64_t{5},
            std::uint64_t{7}, std::max<std::uint64_t>(n, 2) - 1, n, n + 5}) {
        expect_hops(hop_parameters(n, k), values, by_definition(values, k));
      }
    }
  }
}

TEST(KHop, ManyHops) {
  const Values values = random_values(300, 0, 40, 1);
  for (const std::uint64_t k :
       {std::uint64_t{1000001}, (std::uint64_t{1} << 62) + 1, (std::uint64_t{1} << 63) - 1}) {
    expect_hops(hop_parameters(300, k), values, by_definition(values, k));
  }
}

TEST(KHop, OracleAgreesWithTheDefinition) {
  EXPECT_TRUE(rc::check([] {
    const auto n = *rc::gen::inRange<std::uint64_t>(1, 200);
    const auto k = *rc::gen::inRange<std::uint64_t>(1, 300);
    const auto symbols = *rc::gen::inRange<std::int64_t>(1, 50);
    const Values values = random_values(n, 0, symbols, *rc::gen::arbitrary<std::uint64_t>());
    RC_ASSERT(find_protocol("k_hop").oracle(values, hop_parameters(n, k)) == by_definition(values, k));
  }));
}

TEST(KHop, AnyShapeProperty) {
  EXPECT_TRUE(rc::check([] {
    const auto n = *rc::gen::inRange<std::uint64_t>(1, 1200);
    const auto k = *rc::gen::inRange<std::uint64_t>(1, 40);
    const auto symbols = *rc::gen::inRange<std::int64_t>(1, 90);
    const Rational epsilon(*rc::gen::inRange(2, 10), 10);
    const auto kappa = *rc::gen::inRange<std::uint64_t>(6, 17);
    const Values values = random_values(n, 0, symbols, *rc::gen::arbitrary<std::uint64_t>());
    const Parameters parameters = hop_parameters(n, k, epsilon, kappa);
    expect_hops(parameters, values, find_protocol("k_hop").oracle(values, parameters));
    RC_ASSERT(!::testing::Test::HasFatalFailure());
  }));
}

TEST(KHop, PowersOfTwoAndTheirNeighbours) {
  for (int bits = 8; bits <= 16; ++bits) {
    for (const std::uint64_t n : {(1u << bits) - 1, 1u << bits, (1u << bits) + 1}) {
      Values values = random_values(n, 0, static_cast<std::int64_t>(1) << (bits / 2), n);
      if (n % 2 == 1 && bits % 2 == 0) std::ranges::sort(values);
      const Parameters parameters = hop_parameters(n, 1 + n % 9);
      expect_hops(parameters, values, find_protocol("k_hop").oracle(values, parameters));
    }
  }
}

TEST(KHop, SeededSizesAndAdversarialTexts) {
  RandomStream stream(50, Domain::kTest);
  for (std::uint64_t i = 0; i < 50; ++i) {
    const std::uint64_t n = 256 + stream.below((1u << (8 + i % 7)) - 255);
    Values values = random_values(n, 0, 1000, i);
    for (std::uint64_t j = 0; j < n; ++j) {
      if (i % 5 == 1) values[j] = -77;                                     // all equal: everything stays
      if (i % 5 == 2) values[j] = static_cast<std::int64_t>(j % (2 + i));  // periodic
      if (i % 5 == 3) values[j] = static_cast<std::int64_t>(n - j);        // all different: none anywhere
      if (i % 5 == 4) values[j] = static_cast<std::int64_t>(j * j % 97 * (j % 3));  // long chains
    }
    const Parameters parameters = hop_parameters(n, 1 + stream.below(20));
    expect_hops(parameters, values, find_protocol("k_hop").oracle(values, parameters));
  }
}

TEST(KHop, SymbolsAreAnyWord) {
  const std::int64_t half = std::int64_t{1} << 46;
  Values values = random_values(200, -half, half - 1, 7);
  for (std::size_t i = 100; i < 200; ++i) values[i] = values[i * 7 % 100];
  values[3] = values[50] = half - 1;
  values[4] = values[60] = -half;
  for (const std::uint64_t k : {1, 2, 3})
    expect_hops(hop_parameters(200, k), values, by_definition(values, k));
}

TEST(KHop, RandomOrderAndRebuiltProtocolChangeNothing) {
  const Parameters parameters = hop_parameters(500, 7);
  const Values values = random_values(500, 0, 20, 3);
  const CaseResult plain = run_case("k_hop", parameters, values);
  const CaseResult shuffled = run_case("k_hop", parameters, values, shaken("k_hop", parameters, 9));
  EXPECT_EQ(plain.run.outputs, shuffled.run.outputs);
  EXPECT_EQ(plain.run.ledger, shuffled.run.ledger);
}

TEST(KHop, OneWordLessBreaksTheLimit) {
  const Parameters parameters = hop_parameters(1024, 4);
  const Values values = random_values(1024, 0, 40, 4);
  const RoundFacts facts = run_case("k_hop", parameters, values).run.ledger.overall();
  EXPECT_LE(std::max(facts.max_words_sent, facts.max_words_received), 256u);
  RunOptions options;
  options.limit_words = std::max(facts.max_words_sent, facts.max_words_received) - 1;
  EXPECT_THROW(run_case("k_hop", parameters, values, options), ModelViolation);
}

TEST(KHop, RefusesWhatItCannotServe) {
  EXPECT_THROW(find_protocol("k_hop").make(hop_parameters(100, 0)), ContractError);
  EXPECT_THROW(find_protocol("k_hop").make(hop_parameters(100, 2, {1, 2}, 5)), ContractError);
  Parameters parameters = hop_parameters(100, 2);
  for (const char* k : {"-1", "two", "", "2.5", "9223372036854775808"}) {
    parameters.options["k"] = k;
    EXPECT_THROW(find_protocol("k_hop").make(parameters), ContractError) << k;
  }
}

}  // namespace
}  // namespace roundtrip::mpc
