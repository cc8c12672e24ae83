// Low-rank attention by averages: equal, bit for bit, to the model after every layer; sizes; refusals.
#include "roundtrip/simulate/native/low_rank.h"

#include <gtest/gtest.h>

#include "roundtrip/anna/attention/performer.h"
#include "roundtrip/anna/attention/polynomial.h"
#include "roundtrip/anna/transformer/random_model.h"
#include "roundtrip/base/error.h"
#include "roundtrip/base/random.h"
#include "roundtrip/simulate/decompile/decompile.h"

namespace roundtrip::simulate {
namespace {

struct Network {
  anna::RandomModel parameters;
  std::uint64_t tokens = 0;
  std::uint32_t rank = 0;
  anna::Model model;
  anna::Activations input;
};

Network make_network(anna::RandomModel parameters, std::uint64_t tokens, std::uint32_t rank) {
  Network network{parameters,
                  tokens,
                  rank,
                  anna::make_random_model(parameters, tokens, anna::LowRank{rank, parameters.seed + 5}),
                  {}};
  network.input = input_activations(anna::random_words(parameters, tokens), tokens);
  return network;
}

Network random_network(std::uint64_t number) {
  RandomStream random(number, Domain::kTest);
  anna::RandomModel parameters;
  parameters.layers = static_cast<std::uint32_t>(1 + random.below(3));
  parameters.heads = static_cast<std::uint32_t>(1 + random.below(3));
  parameters.dimension = static_cast<std::uint32_t>(2 + random.below(8));
  parameters.value_dimension = static_cast<std::uint32_t>(1 + random.below(6));
  parameters.row_dimension = static_cast<std::uint32_t>(1 + random.below(6));
  parameters.seed = number;
  return make_network(parameters, 1 + random.below(number % 50 == 0 ? 1500 : 60),
                      static_cast<std::uint32_t>(1 + random.below(9)));
}

/// After every layer.
std::vector<anna::Activations> arrays(const anna::Transformer& transformer, anna::Attention& attention,
                                      const anna::Activations& input) {
  std::vector<anna::Activations> all{input};
  for (const auto& layer : transformer.layers) all.push_back(evaluate(*layer, attention, all.back()));
  return all;
}

std::vector<anna::Activations> arrays(const anna::Model& model, const anna::Activations& input) {
  std::vector<anna::Activations> all{input};
  for (std::size_t l = 0; l < model.mechanisms.size(); ++l)
    all.push_back(evaluate(*model.transformer.layers[l], *model.mechanisms[l].make(), all.back()));
  return all;
}

TEST(NativeLowRank, AThousandNetworksAreEqualAfterEveryLayer) {
  for (std::uint64_t number = 0; number < 1000; ++number) {
    const Network network = random_network(number);
    const anna::Transformer transformer = low_rank_by_averages(network.model);
    const auto expected = arrays(network.model, network.input);
    const auto exact = anna::make_exact_match();
    ASSERT_EQ(arrays(transformer, *exact, network.input), expected) << number;
    ASSERT_EQ(transformer.depth(), network.model.transformer.depth());
    ASSERT_EQ(transformer.width(), std::uint64_t{network.parameters.heads} * network.rank *
                                       (network.parameters.value_dimension + 1));
    if (number % 10 != 0) continue;
    for (const std::uint32_t tables : {1, 5}) {
      anna::AnnaParameters parameters;
      parameters.tables = tables;
      parameters.functions = 3;
      const auto hashed = anna::make_anna(parameters);
      ASSERT_EQ(arrays(transformer, *hashed, network.input), expected) << number << " " << tables;
    }
  }
}

TEST(NativeLowRank, EveryFeatureMapIsEqualAfterEveryLayer) {
  for (std::uint64_t number = 0; number < 60; ++number) {
    const auto rank = static_cast<std::uint32_t>(1 + number % 4);
    Network network = random_network(number);
    const anna::Mechanism mechanism = number % 2 == 0 ? anna::Mechanism(anna::Performer{rank, number, 16384})
                                                      : anna::Mechanism(anna::Polynomial{rank, number, 256});
    network.model = anna::make_random_model(network.parameters, network.tokens, mechanism);
    const anna::Transformer transformer = low_rank_by_averages(network.model);
    const auto exact = anna::make_exact_match();
    ASSERT_EQ(arrays(transformer, *exact, network.input), arrays(network.model, network.input)) << number;
    const std::uint64_t features = number % 2 == 0 ? rank : rank * (rank + 1) / 2;
    ASSERT_EQ(transformer.width(),
              network.parameters.heads * features * (network.parameters.value_dimension + 1));
  }
}

/// Small enough for a protocol of few machines.
Network small_network(std::uint64_t number) {
  RandomStream random(number, Domain::kTest, 1);
  anna::RandomModel parameters;
  parameters.layers = static_cast<std::uint32_t>(1 + random.below(2));
  parameters.heads = static_cast<std::uint32_t>(1 + random.below(2));
  parameters.dimension = static_cast<std::uint32_t>(2 + random.below(3));
  parameters.value_dimension = static_cast<std::uint32_t>(1 + random.below(2));
  parameters.row_dimension = static_cast<std::uint32_t>(1 + random.below(2));
  parameters.word_bits = 8;
  parameters.seed = number;
  return make_network(parameters, 16 + random.below(17), static_cast<std::uint32_t>(1 + random.below(3)));
}

/// By the protocol that the model becomes, and by the transformer that this one becomes.
void expect_equal_through_the_protocol(std::uint64_t number, bool compiled) {
  const Network network = small_network(number);
  const auto exact = anna::make_exact_match();
  const anna::Activations rows = evaluate(low_rank_by_averages(network.model), *exact, network.input);
  mpc::Parameters sizes;
  sizes.n = network.tokens;
  sizes.epsilon = Rational(1, 4);
  sizes.delta = Rational(1, 4);
  const auto words = anna::random_words(network.parameters, network.tokens);
  if (!compiled) {
    EXPECT_EQ(run_decompiled(network.model, words, sizes, {.word_bits = 48}).rows, rows) << number;
    return;
  }
  const Compiled again = compile_model(network.model, sizes, {.seed = number});
  const anna::Activations last = evaluate(again.transformer, *make_attention(again, "ema"),
                                          input_activations(words, again.transformer.tokens));
  const OutputWords outputs = read_outputs(last, again.protocol->shape().outputs);
  ASSERT_TRUE(outputs.faulty.empty()) << number;
  const DecompilePlan plan = plan_decompile(network.model, sizes, {.word_bits = 48});
  EXPECT_EQ(decompiled_rows(plan, outputs.words), rows) << number;
}

TEST(NativeLowRank, AThousandEqualTheirProtocolsAndTheTransformersOfThese) {
  for (std::uint64_t number = 1; number <= 1000; ++number) {
    expect_equal_through_the_protocol(number, false);
    expect_equal_through_the_protocol(number, true);
  }
}

TEST(NativeLowRank, WidthIsTwentyWhereTheProtocolTakesHundreds) {
  anna::RandomModel parameters;
  parameters.layers = 3;
  parameters.heads = 1;
  parameters.value_dimension = 4;
  const Network network = make_network(parameters, 1024, 4);
  EXPECT_EQ(low_rank_by_averages(network.model).width(), 20u);  // 4 (4 + 1)
  EXPECT_EQ(low_rank_by_averages(network.model).depth(), 3u);
}

TEST(NativeLowRank, OtherMechanismsAreRefused) {
  const anna::Model model = anna::make_random_model({}, 50, anna::ExactMatch{});
  try {
    low_rank_by_averages(model);
    FAIL();
  } catch (const ContractError& error) {
    EXPECT_STREQ(error.what(), "layer 0 has ema attention, allowed is attention by features without a mask");
  }
  const anna::Model masked = anna::make_random_model({}, 50, anna::LowRank{2, 1, true});
  try {
    low_rank_by_averages(masked);
    FAIL();
  } catch (const ContractError& error) {
    EXPECT_STREQ(error.what(),
                 "layer 0 has causal low_rank attention, allowed is attention by features without a mask");
  }
}

}  // namespace
}  // namespace roundtrip::simulate
