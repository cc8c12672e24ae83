// k-hop by softmax and by windows, whose best key has all the weight: no wrong answer on random and on nasty instances,
// sizes by formula, as protocols.
#include "roundtrip/simulate/native/hard_attention_k_hop.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "roundtrip/base/error.h"
#include "roundtrip/simulate/decompile/decompile.h"
#include "simulate/k_hop_texts.h"

namespace roundtrip::simulate {
namespace {

Words answers(std::string_view mechanism, const Words& x, std::uint64_t k, std::uint32_t symbols) {
  const HardAttentionKHopOptions options{.n = x.size(), .k = k, .symbols = symbols};
  const anna::Model model = hard_attention_k_hop_model(mechanism, options);
  EXPECT_EQ(measure(model.transformer), hard_attention_k_hop_sizes(options));
  const OutputWords out = read_outputs(evaluate(model, input_activations(x, x.size())), x.size());
  EXPECT_TRUE(out.faulty.empty());
  return out.words;
}

class HardAttentionKHop : public testing::TestWithParam<std::string_view> {};

TEST_P(HardAttentionKHop, ThousandRandomTexts) {
  for (std::uint64_t seed = 0; seed < 1000; ++seed) {
    std::uint32_t symbols = 0;
    std::uint64_t k = 0;
    const Words x = random_text(seed, symbols, k);
    if (seed % 3 == 0) k = 1 + seed / 3 % 20;
    ASSERT_EQ(answers(GetParam(), x, k, symbols), definition(x, k)) << seed;
  }
}

TEST_P(HardAttentionKHop, NastyTexts) {
  for (const Words& x : nasty()) {
    for (const std::uint64_t k : {1, 2, 3, 4, 5, 6, 7, 8, 9, 31, 1000})
      ASSERT_EQ(answers(GetParam(), x, k, symbols_of(x)), definition(x, k))
          << testing::PrintToString(x) << ' ' << k;
  }
}

TEST_P(HardAttentionKHop, AsAProtocol) {
  std::uint32_t symbols = 0;
  std::uint64_t k = 0;
  for (const std::uint64_t seed : {2, 5}) {
    const Words x = random_text(seed, symbols, k);
    const anna::Model model =
        hard_attention_k_hop_model(GetParam(), {.n = x.size(), .k = 5, .symbols = symbols});
    mpc::Parameters parameters;
    parameters.n = x.size();
    const DecompiledRun run = run_decompiled(model, x, parameters);
    EXPECT_EQ(read_outputs(run.rows, x.size()).words, definition(x, 5));
  }
}

INSTANTIATE_TEST_SUITE_P(Mechanisms, HardAttentionKHop, testing::Values("softmax", "window"),
                         [](const auto& mechanism) { return std::string(mechanism.param); });

TEST(HardAttentionKHop, RefusesWhatItHasNoNetworkFor) {
  const auto message = [](std::string_view mechanism, const HardAttentionKHopOptions& options) {
    try {
      (void)hard_attention_k_hop_model(mechanism, options);
    } catch (const ContractError& error) {
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  using testing::HasSubstr;
  EXPECT_THAT(message("rnn", {}), HasSubstr("mechanism is rnn; allowed are softmax, window"));
  EXPECT_THAT(message("window", {.n = 40000}), HasSubstr("n is 40000; allowed are 1 .. 32768"));
  EXPECT_THAT(message("window", {.k = 0}), HasSubstr("k is 0; allowed are 1 .."));
  EXPECT_THAT(message("window", {.symbols = 0}), HasSubstr("0 symbols; allowed are 1 .. 32768"));
}

}  // namespace
}  // namespace roundtrip::simulate
