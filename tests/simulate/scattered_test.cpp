// Scattered words, short ids and softmax: outputs, what a head lets through, and what is said when it is not enough.
#include <gtest/gtest.h>

#include <algorithm>

#include "roundtrip/anna/attention/identity.h"
#include "roundtrip/base/error.h"
#include "roundtrip/base/random.h"
#include "roundtrip/simulate/compile/compare.h"
#include "roundtrip/simulate/compile/direct.h"
#include "roundtrip/simulate/compile/scattered.h"
#include "test_protocols.h"

namespace roundtrip::simulate {
namespace {

const mpc::Shape kShape = make_shape(64, 4, 16, 16, 3, 64);

std::vector<mpc::Word> random_words(std::uint64_t n, std::uint64_t seed) {
  RandomStream random(seed, Domain::kTest);
  std::vector<mpc::Word> words(n);
  for (mpc::Word& word : words) word = random() >> 16;
  return words;
}

Comparison compared(const Compiled& compiled, std::string_view mechanism, std::uint64_t seed) {
  const auto attention = make_attention(compiled, mechanism);
  return compare(compiled, random_words(compiled.protocol->shape().n, seed), *attention);
}

TEST(Scattered, AHeadLetsThroughWhatTheTailAsksFor) {
  // 2 rounds, 16 machines, 16 heads: 512 heads, eta / 512 = 1.95e-5. P[Poisson(1) > 6] = 8.3e-5, > 7: 1.02e-5.
  EXPECT_EQ(scattered_load(kShape, Rational(1, 100)), 7u);
  EXPECT_EQ(scattered_load(make_shape(64, 4, 16, 16, 1, 64), Rational(1, 100)), 1u);  // nothing is routed
  EXPECT_EQ(scattered_load(make_shape(64, 4, 4, 16, 3, 64), Rational(1, 1'000'000'000)),
            4u);  // never more than s
}

TEST(Scattered, FullLoadGivesTheRunsWordsWithAllIds) {
  for (const std::uint64_t seed : {1, 2, 3}) {
    for (const Ids ids : {Ids::kLong, Ids::kShort, Ids::kFallback}) {
      const Compiled compiled = compile(full_load(kShape, seed),
                                        {.construction = "scattered", .ids = ids, .seed = seed, .name = "p"});
      for (const char* mechanism : {"ema", "anna", "softmax"}) {
        if (std::string_view(mechanism) == "softmax" && ids != Ids::kFallback) continue;
        const Comparison result = compared(compiled, mechanism, seed);
        EXPECT_TRUE(result.equal) << mechanism << " " << static_cast<int>(ids) << " " << seed;
        EXPECT_EQ(result.sizes, compiled.bound);
        EXPECT_EQ(result.sizes.depth, kShape.rounds + 1u);
      }
    }
  }
}

TEST(Scattered, AFullHeadIsReportedAtEveryOutputAndNoWordIsWrong) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const Compiled compiled = compile(
        full_load(kShape, seed),
        {.construction = "scattered", .specific = DirectOptions{.load = 1}, .seed = seed, .name = "p"});
    const Comparison result = compared(compiled, "ema", seed);
    ASSERT_TRUE(result.overflow) << seed;  // 16 words from 16 machines in 16 heads of 16 machines
    EXPECT_EQ(result.outputs.faulty.size(), kShape.outputs);
    for (const FaultKind reason : result.outputs.reasons) EXPECT_EQ(reason, FaultKind::kOverflow);
  }
}

TEST(Scattered, AProtocolThatBreaksItsModelIsNotAnOverflow) {
  // All machines send all words to machine 0: it receives q s of them.
  const auto flood = std::make_shared<TestProtocol>(
      kShape, [](const mpc::Shape& shape, const mpc::Step& step, const mpc::Inbox&, mpc::Outbox& outbox) {
        if (step.round < shape.rounds) {
          if (step.machine < 2)
            for (std::uint64_t i = 0; i < shape.memory_words; ++i) outbox.send(0, i);
          return;
        }
        for (std::uint64_t i = 0; i < shape.block_words; ++i)
          outbox.deliver(step.machine * shape.block_words + i, i);
      });
  const Compiled compiled = compile(flood, {.construction = "scattered", .name = "p"});
  const Comparison result = compared(compiled, "ema", 1);
  EXPECT_NE(result.run_violation, "");
  EXPECT_EQ(result.outputs.faulty.size(), kShape.outputs);
  EXPECT_FALSE(result.overflow);  // two packets a head pass the code; their sum is too much
}

TEST(Ids, BinaryOnesAreDistinctAndAFallbackLiesBetween) {
  for (const anna::Symbol size :
       {anna::Symbol{1}, anna::Symbol{2}, anna::Symbol{3}, anna::Symbol{64}, anna::Symbol{100}}) {
    const anna::BinaryCodebook plain(size);
    EXPECT_EQ(plain.dimension(), std::max(1u, ceil_log(2, size)));
    EXPECT_FALSE(plain.fallback());
    const anna::BinaryCodebook codebook(size, size - 1);
    EXPECT_EQ(codebook.dimension(), plain.dimension() + 1);
    std::vector<std::vector<std::int32_t>> vectors(size, std::vector<std::int32_t>(codebook.dimension()));
    for (anna::Symbol symbol = 0; symbol < size; ++symbol) codebook.vector(symbol, vectors[symbol]);
    const auto score = [&](anna::Symbol a, anna::Symbol b) {
      std::int32_t sum = 0;
      for (std::size_t i = 0; i < vectors[a].size(); ++i) sum += vectors[a][i] * vectors[b][i];
      return sum;
    };
    for (anna::Symbol a = 0; a + 1 < size; ++a) {
      EXPECT_EQ(score(a, a), score(a, size - 1) + 1);
      for (anna::Symbol b = 0; b + 1 < size; ++b) {
        if (a == b) continue;
        EXPECT_LT(score(a, b), score(a, size - 1)) << a << " " << b;
      }
    }
  }
  EXPECT_THROW(anna::BinaryCodebook(0), ContractError);
  EXPECT_THROW(anna::BinaryCodebook(anna::IdentityCodebook::kMaxSize + 1), ContractError);
}

TEST(Ids, SoftmaxIsRefusedWithoutAFallback) {
  for (const Ids ids : {Ids::kLong, Ids::kShort}) {
    const Compiled compiled = compile(full_load(kShape, 1), {.ids = ids, .name = "p"});
    try {
      make_attention(compiled, "softmax");
      FAIL();
    } catch (const ContractError& error) {
      EXPECT_STREQ(error.what(),
                   "ids: are without a fallback, which softmax needs for queries that no key equals");
    }
  }
  EXPECT_EQ(ids_for("softmax"), Ids::kFallback);
  EXPECT_EQ(ids_for("ema"), CompileOptions{}.ids);
  EXPECT_THROW(ids_for("low_rank"), ContractError);
}

TEST(Ids, EveryConstructionServesSoftmax) {
  for (const ConstructionInfo* info : all_constructions()) {
    const Compiled compiled =
        compile(full_load(kShape, 4), {.construction = info->name, .ids = Ids::kFallback, .name = "p"});
    const Comparison result = compared(compiled, "softmax", 4);
    EXPECT_TRUE(result.equal) << info->name;
    EXPECT_EQ(result.sizes, compiled.bound) << info->name;
  }
}

}  // namespace
}  // namespace roundtrip::simulate
