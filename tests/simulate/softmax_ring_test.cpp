// Standard attention around a ring of owners: the evaluation's rows, bit for bit, on every rank count; rounds and
// machines by hand; and beside it the protocol on all pairs of blocks.
#include <gtest/gtest.h>

#include <algorithm>

#include "mpi_main.h"
#include "roundtrip/anna/attention/exact_match.h"
#include "roundtrip/anna/transformer/random_model.h"
#include "roundtrip/base/rational.h"
#include "roundtrip/mpc/runtime.h"
#include "roundtrip/simulate/decompile/decompile.h"
#include "roundtrip/simulate/decompile/layer_decompiler.h"

namespace roundtrip::simulate {
namespace {

anna::RandomModel sizes_of(std::uint32_t layers) {
  anna::RandomModel sizes;
  sizes.layers = layers;
  sizes.heads = 2;
  sizes.dimension = 8;
  return sizes;
}

struct Ran {
  DecompilePlan plan;
  std::vector<mpc::Word> outputs;  ///< on rank 0
};

Ran check(const anna::Model& model, std::uint64_t tokens, std::uint64_t kappa, bool ring) {
  mpc::Parameters parameters;
  parameters.n = tokens;
  parameters.kappa_s = kappa;
  const DecompileOptions options{.word_bits = 62, .input_bits = {}, .name = "model", .softmax_ring = ring};
  Ran ran{plan_decompile(model, parameters, options), {}};
  const auto protocol = decompile(model, parameters, options);
  const std::vector<mpc::Word> words = anna::random_words(sizes_of(1), tokens);
  const auto transport = tests::session().transport();
  mpc::RunResult result = mpc::run(*protocol, words, *transport);
  if (transport->rank() == 0) {
    EXPECT_TRUE(decompiled_rows(ran.plan, result.outputs) ==
                anna::evaluate(model, input_activations(words, model.transformer.tokens)));
    EXPECT_EQ(result.ledger.rounds.size(), ran.plan.rounds);
    const mpc::RoundFacts facts = result.ledger.overall();
    EXPECT_LE(std::max(facts.max_words_sent, facts.max_words_received), ran.plan.memory_words);
    ran.outputs = std::move(result.outputs);
  }
  return ran;
}

TEST(SoftmaxRing, IsTheEvaluation) {
  std::uint64_t most = 0, least = 100;
  for (const double scale : {0.004, -0.03, 0.0}) {
    const anna::Model model = anna::make_random_model(sizes_of(2), 50, anna::Mechanism(anna::Softmax{scale}));
    for (const std::uint64_t kappa : {7, 12, 400}) {
      const Ran ran = check(model, 50, kappa, true);
      const std::uint64_t blocks = ceil_div(50, ran.plan.block_tokens);
      EXPECT_EQ(ran.plan.blocks, blocks);
      EXPECT_EQ(ran.plan.rounds, 2 + 2 * 2 * blocks);
      EXPECT_EQ(ran.plan.layer_machines(0), blocks);
      most = std::max(most, blocks), least = std::min(least, blocks);
    }
  }
  EXPECT_EQ(least, 1u);
  EXPECT_GT(most, 9u);
}

TEST(SoftmaxRing, TradesRoundsForMachines) {
  const anna::Model model = anna::make_random_model(sizes_of(1), 50, anna::Mechanism(anna::Softmax{0.01}));
  const Ran ring = check(model, 50, 9, true), pairs = check(model, 50, 9, false);
  EXPECT_EQ(ring.outputs, pairs.outputs);
  EXPECT_EQ(pairs.plan.layer_machines(0), pairs.plan.blocks * pairs.plan.blocks);
  EXPECT_LT(ring.plan.layer_machines(0) * 2, pairs.plan.layer_machines(0));
  EXPECT_GT(ring.plan.rounds, pairs.plan.rounds);
  // What `contrast` says of standard attention is of pairs.
  mpc::Parameters parameters;
  parameters.n = 50;
  parameters.kappa_s = 9;
  EXPECT_EQ(size_contrast(model, parameters, {.softmax_ring = true})->machines,
            size_contrast(model, parameters, {})->machines);
}

TEST(SoftmaxRing, WithACausalMask) {
  // No key after a query counts: neither in its own block, nor in one that comes around after it.
  std::vector<std::vector<mpc::Word>> outputs;
  for (const bool masked : {true, false}) {
    for (const double scale : {0.02, -0.03, 0.0}) {
      const anna::Model model =
          anna::make_random_model(sizes_of(2), 50, anna::Mechanism(anna::Softmax{scale, masked}));
      for (const std::uint64_t kappa : {9, 400}) {
        const Ran ring = check(model, 50, kappa, true);
        if (kappa == 9) {
          EXPECT_GT(ring.plan.blocks, 3u);
          EXPECT_EQ(ring.outputs, check(model, 50, kappa, false).outputs);
        }
        outputs.push_back(ring.outputs);
      }
    }
  }
  if (outputs[0].empty()) return;  // another rank
  for (std::size_t i = 0; i < 6; ++i) EXPECT_NE(outputs[i], outputs[i + 6]);
}

TEST(SoftmaxRing, BesideOtherLayers) {
  anna::Model model = anna::make_random_model(sizes_of(3), 40, anna::Mechanism(anna::Softmax{0.02}));
  model.mechanisms[1] = anna::ExactMatch{};
  const Ran ran = check(model, 40, 40, true);
  EXPECT_EQ(ran.plan.layers[0].decompiler, &softmax_ring_decompiler());
  EXPECT_EQ(ran.plan.layers[1].decompiler, &decompiler_of(anna::ExactMatch::info()));
}

}  // namespace
}  // namespace roundtrip::simulate
