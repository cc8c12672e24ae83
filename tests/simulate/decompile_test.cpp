// Transformers as protocols: rows equal bit for bit to the sequential evaluation, rounds and machines by the formulas,
// limits held; random models on every mechanism, compiled protocols, models from files; what must be refused.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <string>
#include <vector>

#include "base/error.h"
#include "mpc/runtime.h"
#include "mpc/transport.h"
#include "mpc/violation.h"
#include "simulate/decompile.h"

namespace roundtrip::simulate {
namespace {

struct Shape {
  std::uint64_t n;
  Rational epsilon, delta;
  std::optional<std::uint64_t> kappa;
};

mpc::Parameters parameters_of(const Shape& shape) {
  mpc::Parameters parameters;
  parameters.n = shape.n;
  parameters.epsilon = shape.epsilon;
  parameters.delta = shape.delta;
  parameters.kappa_s = shape.kappa;
  return parameters;
}

/// R as the derivation states it, from the sizes alone.
std::uint32_t rounds_by_formula(const DecompilePlan& plan) {
  std::uint32_t rounds = 2;
  for (const DecompiledLayer& layer : plan.layers) {
    std::uint32_t copies = 0, depth = 0;
    for (std::uint64_t reached = 1; reached < layer.tables; reached *= plan.copies_a_round + 1) ++copies;
    for (std::uint64_t reached = 1; reached < layer.scan_machines; reached *= layer.scan_fan) ++depth;
    rounds += 2 * copies + mpc::plan_sort(2 * plan.tokens, layer.code_words + 2, plan.memory_words,
                                          layer.code_words + 1)->rounds + 2 * depth + 4;
  }
  return rounds;
}

struct Ran {
  DecompilePlan plan;
  mpc::RunResult result;
};

Ran check(const anna::Model& model, const std::vector<mpc::Word>& words, const mpc::Parameters& parameters,
          const DecompileOptions& options = {}) {
  Ran ran{plan_decompile(model, parameters, options), {}};
  const auto protocol = decompile(model, parameters, options);
  const auto transport = mpc::make_in_process_transport();
  ran.result = mpc::run(*protocol, words, *transport);
  const anna::Embedding expected = anna::evaluate(model, input_embedding(words, model.transformer.tokens));
  EXPECT_TRUE(decompiled_rows(ran.plan, ran.result.outputs) == expected);
  EXPECT_EQ(ran.result.ledger.rounds.size(), rounds_by_formula(ran.plan));
  EXPECT_EQ(ran.plan.rounds, rounds_by_formula(ran.plan));
  EXPECT_EQ(protocol->shape().machines, ran.plan.machines);
  const mpc::RoundFacts facts = ran.result.ledger.overall();
  EXPECT_LE(facts.max_words_sent, ran.plan.memory_words);
  EXPECT_LE(facts.max_words_received, ran.plan.memory_words);
  fmt::print("N {} s {} T_b {} R {} q {}: sent {} received {} scratch {} of {}, {} words in all, {:.3f} s\n",
             ran.plan.n, ran.plan.memory_words, ran.plan.block_tokens, ran.plan.rounds, ran.plan.machines,
             facts.max_words_sent, facts.max_words_received, facts.max_scratch_words,
             protocol->shape().scratch_words, facts.total_words, ran.result.seconds);
  return ran;
}

anna::Model random_model(anna::RandomModel& parameters, std::uint64_t tokens, bool anna) {
  return anna::make_random_model(
      parameters, tokens,
      anna ? anna::Mechanism(anna::random_model_tables(parameters, tokens, 0.01)) : anna::ExactMatch{});
}

TEST(Decompile, RandomModelsOnBothMechanisms) {
  for (const bool anna : {false, true}) {
    anna::RandomModel parameters;
    parameters.layers = 2;
    parameters.heads = 2;
    parameters.factor = Rational(8);
    check(random_model(parameters, 64, anna), anna::random_words(parameters, 64),
          parameters_of({64, Rational(1, 2), Rational(1, 5), {}}));
  }
}

}  // namespace
}  // namespace roundtrip::simulate
