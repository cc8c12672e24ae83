// k-hop by recurrences: no wrong answer on random and on nasty instances, sizes by formula, as protocols.
#include "roundtrip/simulate/native/recurrent_k_hop.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "roundtrip/anna/attention/lstm.h"
#include "roundtrip/anna/attention/rnn.h"
#include "roundtrip/base/error.h"
#include "roundtrip/base/random.h"
#include "roundtrip/simulate/decompile/decompile.h"
#include "simulate/k_hop_texts.h"

namespace roundtrip::simulate {
namespace {

Words answers(std::string_view mechanism, const Words& x, std::uint64_t k, std::uint32_t symbols) {
  const RecurrentKHopOptions options{.n = x.size(), .k = k, .symbols = symbols};
  const anna::Model model = recurrent_k_hop_model(mechanism, options);
  EXPECT_EQ(measure(model.transformer), recurrent_k_hop_sizes(mechanism, options));
  const OutputWords out = read_outputs(evaluate(model, input_activations(x, x.size())), x.size());
  EXPECT_TRUE(out.faulty.empty());
  return out.words;
}

class RecurrentKHop : public testing::TestWithParam<std::string_view> {};

TEST_P(RecurrentKHop, ThousandRandomTexts) {
  for (std::uint64_t seed = 0; seed < 1000; ++seed) {
    std::uint32_t symbols = 0;
    std::uint64_t k = 0;
    const Words x = random_text(seed, symbols, k);
    ASSERT_EQ(answers(GetParam(), x, k, symbols), definition(x, k)) << seed;
  }
}

TEST_P(RecurrentKHop, NastyTexts) {
  for (const Words& x : nasty()) {
    for (const std::uint64_t k : {1, 2, 3, 7})
      ASSERT_EQ(answers(GetParam(), x, k, symbols_of(x)), definition(x, k))
          << testing::PrintToString(x) << ' ' << k;
  }
}

TEST_P(RecurrentKHop, AsAProtocol) {
  std::vector<std::uint32_t> rounds;
  for (const std::uint64_t n : {60, 120, 240}) {
    RandomStream stream(n, Domain::kTest);
    Words x(n);
    for (mpc::Word& word : x) word = stream.below(3);
    const anna::Model model = recurrent_k_hop_model(GetParam(), {.n = n, .k = 3, .symbols = 3});
    mpc::Parameters parameters;
    parameters.n = n;
    parameters.memory_words = 80;
    const DecompiledRun run = run_decompiled(model, x, parameters);
    EXPECT_EQ(read_outputs(run.rows, n).words, definition(x, 3));
    if (GetParam() != "state_space") {
      EXPECT_EQ(run.plan.rounds, 2 + run.plan.blocks + 4 - 1);
    }
    rounds.push_back(run.plan.rounds);
  }
  if (GetParam() == "state_space") return;
  EXPECT_EQ(rounds[2] - rounds[1], 2 * (rounds[1] - rounds[0]));  // as N / b
}

INSTANTIATE_TEST_SUITE_P(Mechanisms, RecurrentKHop, testing::Values("rnn", "lstm", "state_space"),
                         [](const auto& mechanism) { return std::string(mechanism.param); });

TEST(RecurrentKHop, StateIsWhatTheMechanismHolds) {
  for (const std::uint32_t symbols : {1, 2, 5, 17}) {
    const RecurrentKHopOptions options{.n = 4, .k = 2, .symbols = symbols};
    const anna::Model rnn = recurrent_k_hop_model("rnn", options),
                      lstm = recurrent_k_hop_model("lstm", options);
    EXPECT_EQ(rnn.mechanisms[1].get_if<anna::Rnn>()->recurrence()->state_numbers(),
              recurrent_k_hop_state("rnn", options));
    EXPECT_EQ(lstm.mechanisms[2].get_if<anna::Lstm>()->recurrence()->state_numbers(),
              recurrent_k_hop_state("lstm", options));
    EXPECT_EQ(recurrent_k_hop_model("state_space", options).transformer.layers[2]->shape().query_dimension,
              recurrent_k_hop_state("state_space", options));
  }
}

// Layers times width is k sigma exactly, for any recurrence.
TEST(AnyRecurrence, HopsInAnyNumberOfLayers) {
  std::vector<Words> texts = nasty();
  for (std::uint64_t seed = 0; seed < 1000; ++seed) {
    std::uint32_t symbols = 0;
    std::uint64_t k = 0;
    texts.push_back(random_text(seed, symbols, k));
  }
  for (const Words& x : texts) {
    const std::uint32_t symbols = symbols_of(x);
    for (const std::uint64_t k : {1, 2, 4, 6}) {
      for (std::uint32_t layers = 1; layers <= k; ++layers) {
        ASSERT_EQ(k_hop_by_any_recurrence(x, k, symbols, layers), definition(x, k));
        if (k % layers != 0) continue;
        EXPECT_EQ(
            layers * (AnyRecurrence(static_cast<std::uint32_t>(k / layers), symbols).state_numbers() - 1),
            k * symbols);
      }
    }
  }
}

TEST(RecurrentKHop, RefusesWhatItHasNoNetworkFor) {
  const auto message = [](auto body) {
    try {
      body();
    } catch (const ContractError& error) {
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  using testing::HasSubstr;
  const auto model = [&](std::string_view mechanism, RecurrentKHopOptions options) {
    return message([&] { (void)recurrent_k_hop_model(mechanism, options); });
  };
  EXPECT_THAT(model("window", {}), HasSubstr("mechanism is window; allowed are rnn, lstm, state_space"));
  EXPECT_THAT(model("rnn", {.n = 0}), HasSubstr("n is 0; allowed are 1 .."));
  EXPECT_THAT(model("rnn", {.k = 65}), HasSubstr("k is 65; allowed are 1 .. 64"));
  EXPECT_THAT(model("rnn", {.symbols = 0}), HasSubstr("0 symbols; allowed are 1 .. 1024"));
  const Words x{0, 3};
  EXPECT_THAT(message([&] { (void)k_hop_by_any_recurrence(x, 1, 3, 1); }),
              HasSubstr("word 3; allowed are 0 .. 2"));
  EXPECT_THAT(message([&] { (void)k_hop_by_any_recurrence(x, 2, 4, 3); }),
              HasSubstr("3 layers; allowed are 1 .. 2"));
}

}  // namespace
}  // namespace roundtrip::simulate
