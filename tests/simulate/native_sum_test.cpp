// Sums and Match2 by every mechanism that has a network for them: no wrong answer on random and on nasty inputs, sizes by
// formula, as protocols.
#include "roundtrip/simulate/native/sum.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <string>
#include <vector>

#include "roundtrip/base/error.h"
#include "roundtrip/base/random.h"
#include "roundtrip/simulate/decompile/decompile.h"
#include "roundtrip/simulate/native/match2_sides.h"

namespace roundtrip::simulate {
namespace {

using Words = std::vector<mpc::Word>;
using testing::HasSubstr;

template <typename Make>
std::string message(const Make& make) {
  try {
    (void)make();
  } catch (const ContractError& error) {
    return error.what();
  }
  return "accepted";
}

class NativeSum : public testing::TestWithParam<std::string> {
 protected:
  static mpc::Word total(const Words& x) { return std::accumulate(x.begin(), x.end(), mpc::Word{0}); }
  static SumOptions options(const Words& x, std::uint64_t seed) {
    return {.n = x.size(), .largest = *std::ranges::max_element(x), .seed = seed};
  }
  static mpc::Word answer(const Words& x, std::uint64_t seed) {
    const anna::Model model = sum_model(GetParam(), options(x, seed));
    EXPECT_EQ(measure(model.transformer), sum_sizes());
    const OutputWords out = read_outputs(evaluate(model, input_activations(x, x.size())), x.size());
    EXPECT_TRUE(out.faulty.empty());
    return out.words.back();
  }
};

TEST_P(NativeSum, ThousandRandomInputs) {
  for (std::uint64_t seed = 0; seed < 1000; ++seed) {
    RandomStream stream(seed, Domain::kTest);
    Words x(1 + stream.below(40));
    const std::uint64_t bound = seed % 3 == 0 ? SumOptions::kMaxWord + 1 : 1 + stream.below(100);
    for (mpc::Word& word : x) word = stream.below(bound);
    ASSERT_EQ(answer(x, seed), total(x)) << seed;
  }
}

TEST_P(NativeSum, NastyInputs) {
  const mpc::Word most = SumOptions::kMaxWord;
  for (const Words& x : {Words{0}, Words{most}, Words{0, 0, 0}, Words{most, 0, 0, 0, 0, 0, 1},
                         Words{1, most, most}, Words(1024, most), Words(1000, 1), Words(7, most - 1)})
    ASSERT_EQ(answer(x, 1), total(x)) << x.size() << ' ' << x[0];
}

TEST_P(NativeSum, AsAProtocol) {
  Words x(61);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = i * i % 97;
  mpc::Parameters parameters;
  parameters.n = x.size();
  parameters.kappa_s = 60;
  const DecompiledRun run = run_decompiled(sum_model(GetParam(), options(x, 1)), x, parameters);
  EXPECT_EQ(read_outputs(run.rows, x.size()).words.back(), total(x));
}

INSTANTIATE_TEST_SUITE_P(Mechanisms, NativeSum, testing::ValuesIn(sum_mechanisms()),
                         [](const auto& mechanism) { return mechanism.param; });

TEST(NativeSum, Refusals) {
  EXPECT_EQ(sum_mechanisms().size(), 10u);
  EXPECT_THAT(message([] { return sum_model("state_space", {}); }),
              HasSubstr("mechanism is state_space; allowed are ema"));
  EXPECT_THAT(message([] { return sum_model("rnn", {.n = 0}); }), HasSubstr("n is 0; allowed are 1 .. 4096"));
  EXPECT_THAT(message([] { return sum_model("rnn", {.n = 4097}); }), HasSubstr("n is 4097"));
  EXPECT_THAT(message([] { return sum_model("rnn", {.largest = 16777217}); }),
              HasSubstr("largest word is 16777217; allowed are 0 .. 16777216"));
}

class Match2Sides : public testing::TestWithParam<std::string_view> {
 protected:
  static Words oracle(const Words& x, std::uint64_t modulus) {
    Words answers;
    for (const mpc::Word a : x)
      answers.push_back(std::ranges::any_of(x, [&](mpc::Word b) { return (a + b) % modulus == 0; }) ? 1 : 0);
    return answers;
  }
  static Words answers(const Words& x, const Match2Options& options) {
    const anna::Model model = match2_sides_model(GetParam(), options);
    EXPECT_EQ(measure(model.transformer), match2_sides_sizes(options));
    const OutputWords out = read_outputs(evaluate(model, input_activations(x, x.size())), x.size());
    EXPECT_TRUE(out.faulty.empty());
    return out.words;
  }
};

TEST_P(Match2Sides, EveryInputOfSmallSizes) {
  for (std::uint64_t n = 1; n <= 3; ++n) {
    for (std::uint64_t modulus = 1; modulus <= 6; ++modulus) {
      std::uint64_t inputs = 1;
      for (std::uint64_t i = 0; i < n; ++i) inputs *= modulus;
      for (std::uint64_t code = 0; code < inputs; ++code) {
        Words x;
        for (std::uint64_t i = 0, rest = code; i < n; ++i, rest /= modulus) x.push_back(rest % modulus);
        ASSERT_EQ(answers(x, {.n = n, .modulus = modulus}), oracle(x, modulus)) << n << ' ' << modulus;
      }
    }
  }
}

TEST_P(Match2Sides, ThousandRandomInputs) {
  const std::uint64_t moduli[] = {1, 2, 3, 37, 38, 1000003, 1 << 24};
  for (std::uint64_t seed = 0; seed < 1000; ++seed) {
    RandomStream stream(seed, Domain::kTest);
    const std::uint64_t modulus = moduli[seed % std::size(moduli)];
    Words x(1 + stream.below(40));
    for (mpc::Word& word : x) word = stream.below(modulus);
    if (seed % 2 == 0) x.back() = (modulus - x.front()) % modulus;  // a match, however large the modulus
    ASSERT_EQ(answers(x, {.n = x.size(), .modulus = modulus, .seed = seed}), oracle(x, modulus)) << seed;
  }
}

TEST_P(Match2Sides, NastyInputs) {
  const std::uint64_t modulus = 38;
  for (const Words& x :
       {Words{0}, Words{19}, Words{0, 19}, Words(40, 19), Words(40, 1), Words{1, 37}, Words{18, 20},
        Words{18, 18, 18, 18, 18, 18, 18, 20}, Words{20, 20, 20, 20, 20, 18}, Words{1, 36, 37, 0}})
    ASSERT_EQ(answers(x, {.n = x.size(), .modulus = modulus}), oracle(x, modulus))
        << testing::PrintToString(x);
  Words crowded(300, 5);
  ASSERT_EQ(answers(crowded, {.n = 300, .modulus = 37}), oracle(crowded, 37));
  crowded[150] = 32;
  ASSERT_EQ(answers(crowded, {.n = 300, .modulus = 37}), oracle(crowded, 37));
}

TEST_P(Match2Sides, AsAProtocol) {
  Words x(30);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = i * i % 37;
  mpc::Parameters parameters;
  parameters.n = x.size();
  const DecompiledRun run =
      run_decompiled(match2_sides_model(GetParam(), {.n = x.size(), .modulus = 37}), x, parameters);
  EXPECT_EQ(read_outputs(run.rows, x.size()).words, oracle(x, 37));
}

INSTANTIATE_TEST_SUITE_P(Mechanisms, Match2Sides, testing::Values("softmax", "window", "chunked"),
                         [](const auto& mechanism) { return std::string(mechanism.param); });

TEST(Match2Sides, Refusals) {
  EXPECT_THAT(message([] { return match2_sides_model("lstm", {.n = 2, .modulus = 3}); }),
              HasSubstr("mechanism is lstm; allowed are softmax, window, chunked"));
  EXPECT_THAT(message([] { return match2_sides_model("window", {.n = 40000, .modulus = 3}); }),
              HasSubstr("n is 40000; allowed are 1 .. 32768"));
  EXPECT_THAT(message([] { return match2_sides_model("window", {.n = 2, .modulus = 1 << 25}); }),
              HasSubstr("the modulus is 33554432; allowed are 1 .. 16777216"));
  EXPECT_THAT(message([] { return match2_sides_model("window", {.n = 2, .modulus = 3, .tolerant = true}); }),
              HasSubstr("3, tolerant; allowed"));
}

}  // namespace
}  // namespace roundtrip::simulate
