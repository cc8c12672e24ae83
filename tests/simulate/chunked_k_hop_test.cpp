// k-hop by chunks of one token: no wrong answer on random and on nasty instances, sizes by formula, as a protocol.
#include "roundtrip/simulate/native/chunked_k_hop.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "roundtrip/base/error.h"
#include "roundtrip/simulate/decompile/decompile.h"
#include "simulate/k_hop_texts.h"

namespace roundtrip::simulate {
namespace {

Words answers(const Words& x, std::uint64_t k, std::uint32_t symbols) {
  const ChunkedKHopOptions options{.n = x.size(), .k = k, .symbols = symbols};
  const anna::Model model = chunked_k_hop_model(options);
  EXPECT_EQ(measure(model.transformer), chunked_k_hop_sizes(options));
  const OutputWords out = read_outputs(evaluate(model, input_activations(x, x.size())), x.size());
  EXPECT_TRUE(out.faulty.empty());
  return out.words;
}

TEST(ChunkedKHop, ThousandRandomTexts) {
  for (std::uint64_t seed = 0; seed < 1000; ++seed) {
    std::uint32_t symbols = 0;
    std::uint64_t k = 0;
    Words x = random_text(seed, symbols, k);
    x.resize(std::min<std::size_t>(x.size(), 16));
    if (seed % 3 == 0) k = 1 + seed / 3 % 9;
    ASSERT_EQ(answers(x, k, symbols), definition(x, k)) << seed;
  }
}

TEST(ChunkedKHop, NastyTexts) {
  for (const Words& x : nasty()) {
    for (const std::uint64_t k : {1, 2, 3, 5, 8, 1000})
      ASSERT_EQ(answers(x, k, symbols_of(x)), definition(x, k)) << testing::PrintToString(x) << ' ' << k;
  }
}

TEST(ChunkedKHop, AsAProtocol) {
  std::uint32_t symbols = 0;
  std::uint64_t k = 0;
  Words x = random_text(5, symbols, k);
  x.resize(12);
  mpc::Parameters parameters;
  parameters.n = x.size();
  const anna::Model model = chunked_k_hop_model({.n = x.size(), .k = 2, .symbols = symbols});
  EXPECT_EQ(read_outputs(run_decompiled(model, x, parameters).rows, x.size()).words, definition(x, 2));
}

TEST(ChunkedKHop, RefusesWhatIsOutOfRange) {
  const auto message = [](const ChunkedKHopOptions& options) {
    try {
      (void)chunked_k_hop_model(options);
    } catch (const ContractError& error) {
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  using testing::HasSubstr;
  EXPECT_THAT(message({.n = 1025}), HasSubstr("n is 1025; allowed are 1 .. 1024"));
  EXPECT_THAT(message({.k = 0}), HasSubstr("k is 0; allowed are 1 .."));
  EXPECT_THAT(message({.symbols = 0}), HasSubstr("0 symbols; allowed are 1 .. 1024"));
}

}  // namespace
}  // namespace roundtrip::simulate
