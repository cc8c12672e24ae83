// Transformers as protocols: rows equal bit for bit to the sequential evaluation, rounds and machines by the
// formulas, limits held; random models on every mechanism, compiled protocols, models from files; what must
// be refused.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <unistd.h>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "roundtrip/anna/attention/chunked.h"
#include "roundtrip/anna/attention/performer.h"
#include "roundtrip/anna/attention/polynomial.h"
#include "roundtrip/anna/attention/state_space.h"
#include "roundtrip/anna/attention/window.h"
#include "roundtrip/anna/files/model_file.h"
#include "roundtrip/anna/transformer/random_model.h"
#include "roundtrip/base/error.h"
#include "roundtrip/base/random.h"
#include "roundtrip/mpc/runtime.h"
#include "roundtrip/mpc/transport.h"
#include "roundtrip/mpc/violation.h"
#include "roundtrip/simulate/compile/export.h"
#include "roundtrip/simulate/decompile/decompile.h"
#include "roundtrip/simulate/decompile/layer_decompiler.h"
#include "roundtrip/simulate/decompile/layer_run.h"
#include "roundtrip/simulate/native/weights.h"
#include "simulate/test_protocols.h"

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
    if (layer.decompiler == &decompiler_of(anna::Softmax::info()) ||
        layer.decompiler == &decompiler_of(anna::Mechanism(anna::Softmax{1, true}))) {
      std::uint32_t depth = plan.blocks == 1 ? 1 : 0;
      for (std::uint64_t reached = 1; reached < plan.blocks; reached *= plan.copies_a_round + 1) ++depth;
      rounds += 5 * depth;
      continue;
    }
    if (layer.decompiler == &decompiler_of(anna::LowRank::info()) ||
        layer.decompiler == &decompiler_of(anna::Mechanism(anna::LowRank{1, 1, true})) ||
        layer.decompiler == &decompiler_of(anna::StateSpace::info())) {
      std::uint32_t depth = plan.blocks == 1 ? 1 : 0;
      for (std::uint64_t reached = 1; reached < plan.blocks; reached *= layer.scan_fan) ++depth;
      rounds += 2 * depth;
      continue;
    }
    if (layer.decompiler == &decompiler_of(anna::Window::info())) {
      ++rounds;
      continue;
    }
    const bool global = layer.decompiler == &decompiler_of(anna::Mechanism(anna::Window{1, 0, 1}));
    if (global || layer.decompiler == &decompiler_of(anna::Mechanism(anna::Window{1, 0, 1, true}))) {
      std::uint32_t depth = plan.blocks == 1 ? 1 : 0;
      for (std::uint64_t reached = 1; reached < plan.blocks; reached *= layer.scan_fan) ++depth;
      rounds += 2 + (global ? 4 : 1) * depth;
      continue;
    }
    if (layer.decompiler == &decompiler_of(anna::Chunked::info())) {
      const std::uint64_t width =
          layer.code_words + 1 + std::uint64_t{layer.value_dimension} * layer.value_words;
      rounds += 2 + mpc::plan_sort(
                        {.records = plan.tokens,
                         .record_words = width,
                         .memory_words = plan.memory_words / 2,
                         .key_words = std::uint64_t{layer.code_words} + 1,
                         .distinct_keys = true,
                         .machine_records = plan.memory_words /
                                            (2 + std::uint64_t{layer.value_dimension} * layer.sum_words)})
                        ->rounds;
      continue;
    }
    EXPECT_EQ(layer.decompiler, &decompiler_of(anna::ExactMatch::info()))
        << "a kind of layer without a formula here";
    std::uint32_t copies = 0, depth = 0;
    for (std::uint64_t reached = 1; reached < layer.tables; reached *= plan.copies_a_round + 1) ++copies;
    for (std::uint64_t reached = 1; reached < layer.scan_machines; reached *= layer.scan_fan) ++depth;
    rounds += 2 * copies +
              mpc::plan_sort({.records = 2 * plan.tokens,
                              .record_words = layer.code_words + 1,
                              .memory_words = plan.memory_words,
                              .key_words = layer.code_words + 1,
                              .distinct_keys = true})
                  ->rounds +
              2 * depth + 4;
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
  const anna::Activations expected =
      anna::evaluate(model, input_activations(words, model.transformer.tokens));
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

anna::Model random_model(const anna::RandomModel& parameters, std::uint64_t tokens,
                         const anna::Mechanism& mechanism) {
  return anna::make_random_model(parameters, tokens, mechanism);
}
/// ANNA's z and ell as computed, never capped.
anna::Model random_model(const anna::RandomModel& parameters, std::uint64_t tokens, bool anna) {
  if (!anna) return random_model(parameters, tokens, anna::Mechanism(anna::ExactMatch{}));
  return random_model(parameters, tokens,
                      anna::Mechanism(anna::random_model_tables(parameters, tokens, 0.01)));
}

anna::RandomModel random_parameters(std::uint32_t layers, std::uint32_t heads, std::uint32_t dimension = 16,
                                    std::uint64_t seed = 1) {
  anna::RandomModel parameters;
  parameters.layers = layers;
  parameters.heads = heads;
  parameters.dimension = dimension;
  parameters.factor = Rational(8);
  parameters.seed = seed;
  return parameters;
}

/// A random model of N tokens on all N words.
Ran check_random(const anna::RandomModel& model, bool anna, const Shape& shape) {
  return check(random_model(model, shape.n, anna), anna::random_words(model, shape.n), parameters_of(shape));
}

void check_anna_at_256(std::uint32_t layers, std::uint32_t heads) {
  check_random(random_parameters(layers, heads), true, {256, Rational(1, 4), Rational(1, 4), {}});
}

TEST(Decompile, DepthsAndNumbersOfHeadsAt256) {
  for (const std::uint32_t layers : {1, 2, 4}) {
    for (const std::uint32_t heads : {1, 2, 4})
      check_random(random_parameters(layers, heads), false, {256, Rational(1, 2), Rational(1, 5), {}});
  }
  check_anna_at_256(1, 4);
  check_anna_at_256(2, 2);
  check_anna_at_256(4, 1);
}
TEST(DecompileLong, EveryDepthAndNumberOfHeadsAt256) {
  for (const std::uint32_t layers : {1, 2, 4}) {
    for (const std::uint32_t heads : {1, 2, 4}) check_anna_at_256(layers, heads);
  }
}

TEST(DecompileLong, WideHeadAt1024) {
  const Ran ran = check_random(random_parameters(1, 1, 64), true, {1024, Rational(1, 4), Rational(1, 4), {}});
  EXPECT_EQ(ran.plan.rounds, 1 + ran.plan.layers[0].rounds() + 1);
}

// A mask changes neither rounds nor machines, only what a running sum is read for.
TEST(Decompile, CausalLayers) {
  const anna::RandomModel parameters = random_parameters(2, 2);
  const auto words = anna::random_words(parameters, 200);
  for (const Shape& shape :
       {Shape{200, Rational(1, 2), Rational(1, 5), {}}, Shape{200, Rational(1, 3), Rational(1, 5), {}}}) {
    const anna::Model open = random_model(parameters, 200, anna::ExactMatch{});
    const anna::Model masked = random_model(parameters, 200, anna::ExactMatch{true});
    const Ran ran = check(masked, words, parameters_of(shape));
    EXPECT_GT(ran.plan.layers[0].scan_machines, 1u);
    const DecompilePlan same = plan_decompile(open, parameters_of(shape), {});
    EXPECT_EQ(ran.plan.rounds, same.rounds);
    EXPECT_EQ(ran.plan.machines, same.machines);
    const anna::Activations input = input_activations(words, 200);
    EXPECT_FALSE(anna::evaluate(masked, input) == anna::evaluate(open, input));
  }
  anna::Anna anna;
  anna.parameters = {.tables = 5, .functions = 6, .seed = 3};
  anna.parameters.causal = true;
  check(random_model(parameters, 200, anna), words, parameters_of({200, Rational(1, 2), Rational(1, 5), {}}));
}

// 2 ceil(log_f C) rounds a layer: none more for twice the tokens, as long as the tree is no deeper.
TEST(Decompile, StateSpaceLayers) {
  const anna::RandomModel model = random_parameters(3, 2, 5);
  std::vector<std::uint32_t> rounds;
  for (const std::uint64_t n : {200, 400, 1000}) {
    anna::Model made = random_model(model, n, anna::StateSpace{});
    const Ran ran =
        check(made, anna::random_words(model, n), parameters_of({n, Rational(1, 2), Rational(1, 5), 64}));
    EXPECT_GT(ran.plan.blocks, 1u);
    rounds.push_back(ran.plan.rounds);
    made.mechanisms[1] = anna::ExactMatch{true};
    check(made, anna::random_words(model, n), parameters_of({n, Rational(1, 2), Rational(1, 5), 64}));
  }
  EXPECT_EQ(rounds[0], rounds[1]);
  EXPECT_EQ(rounds[1], rounds[2]);
}

// One round a layer, whatever N is; a window that is wider than a block with the memory given is refused.
TEST(Decompile, WindowLayers) {
  for (const std::uint64_t width : {0, 1, 4, 60}) {
    for (const double scale : {0.0, 0.01}) {
      const anna::RandomModel model = random_parameters(3, 2, 5);
      anna::Model made = random_model(model, 300, anna::Mechanism(anna::Window{width, scale}));
      const mpc::Parameters parameters =
          parameters_of({300, Rational(1, 2), Rational(1, 5), width == 60 ? 40 : 16});
      const Ran ran = check(made, anna::random_words(model, 300), parameters);
      EXPECT_EQ(ran.plan.rounds, 5u);
      EXPECT_GT(ran.plan.blocks, 1u);
      EXPECT_GE(ran.plan.block_tokens, width);
      if (width == 60) {
        const mpc::Parameters small = parameters_of({300, Rational(1, 2), Rational(1, 5), 16});
        EXPECT_THROW(plan_decompile(made, small), ContractError);
      }
      made.mechanisms[1] = anna::ExactMatch{true};
      check(made, anna::random_words(model, 300), parameters);
    }
  }
}

// 4 dv + 2 rounds, with a mask dv + 2; owners alone, whatever g is; globals wider than a block are refused.
TEST(Decompile, WindowLayersWithGlobalTokens) {
  std::uint32_t deep = 0;
  for (const bool causal : {false, true}) {
    for (const std::uint64_t globals : {1, 3, 9}) {
      for (const double scale : {0.0, 0.01}) {
        const anna::RandomModel model = random_parameters(2, 2, 5);
        anna::Model made = random_model(model, 300, anna::Mechanism(anna::Window{2, scale, globals, causal}));
        const mpc::Parameters parameters = parameters_of({300, Rational(1, 2), Rational(1, 5), {}});
        const Ran ran = check(made, anna::random_words(model, 300), parameters, {.word_bits = 48});
        EXPECT_GT(ran.plan.blocks, 1u);
        EXPECT_GE(ran.plan.block_tokens, globals);
        EXPECT_EQ(ran.plan.layer_machines(0), ran.plan.blocks);
        deep += ran.plan.layers[0].scan_depth > 1;
        made.mechanisms[0] = anna::Window{2, scale};
        check(made, anna::random_words(model, 300), parameters);
        made.mechanisms[0] = anna::ExactMatch{};
        check(made, anna::random_words(model, 300), parameters);
      }
    }
    // All tokens global, one block, and more globals than tokens.
    const anna::RandomModel model = random_parameters(1, 1, 5);
    for (const std::uint64_t globals : {7, 12})
      check(random_model(model, 12, anna::Mechanism(anna::Window{1, 0.01, globals, causal})),
            anna::random_words(model, 12), parameters_of({12, Rational(1, 2), Rational(1, 5), 400}));
  }
  EXPECT_GT(deep, 0u);
  const anna::RandomModel model = random_parameters(1, 1, 5);
  EXPECT_THROW(plan_decompile(random_model(model, 300, anna::Mechanism(anna::Window{1, 0, 200})),
                              parameters_of({300, Rational(1, 2), Rational(1, 5), 16})),
               ContractError);
}

// T_sort(N', w) + 2 rounds, H n_h M_s sort machines beside the owners.
TEST(Decompile, ChunkedLayers) {
  std::uint32_t spread = 0;
  for (const bool causal : {false, true}) {
    for (const std::uint64_t chunk : {1, 3, 8}) {
      for (const std::uint32_t hashings : {1, 3}) {
        const anna::RandomModel model = random_parameters(2, 2, 5);
        anna::Model made =
            random_model(model, 300,
                         anna::Mechanism(anna::Chunked{
                             .chunk = chunk, .hashings = hashings, .functions = 3, .masked = causal}));
        const mpc::Parameters parameters = parameters_of({300, Rational(1, 2), Rational(1, 5), {}});
        const Ran ran = check(made, anna::random_words(model, 300), parameters, {.word_bits = 48});
        const DecompiledLayer& layer = ran.plan.layers[0];
        spread += layer.sort.machines > 3;
        EXPECT_EQ(ran.plan.layer_machines(0), ran.plan.blocks + 2 * hashings * layer.sort.machines);
        made.mechanisms[1] = anna::ExactMatch{true};
        check(made, anna::random_words(model, 300), parameters);
      }
    }
  }
  EXPECT_GT(spread, 6u);
  const anna::RandomModel model = random_parameters(1, 1, 5);
  check(random_model(model, 20,
                     anna::Mechanism(anna::Chunked{.chunk = 50, .functions = 70})),  // one machine sorts
        anna::random_words(model, 20), parameters_of({20, Rational(1, 2), Rational(1, 5), 400}));
}

// A mask leaves rounds as they are; softmax has C (C + 1) / 2 machines instead of C^2.
TEST(Decompile, CausalAveragesOfAll) {
  for (const std::uint64_t kappa : {8, 40}) {
    const anna::RandomModel model = random_parameters(2, 2, 6);
    const mpc::Parameters parameters = parameters_of({150, Rational(1, 2), Rational(1, 5), kappa});
    const auto words = anna::random_words(model, 150);
    anna::Model softmax = random_model(model, 150, anna::Mechanism(anna::Softmax{0.01, true}));
    const Ran ran = check(softmax, words, parameters);
    EXPECT_GT(ran.plan.blocks, 3u);
    EXPECT_EQ(ran.plan.layer_machines(0), ran.plan.blocks * (ran.plan.blocks + 1) / 2);
    const DecompilePlan open = plan_decompile(random_model(model, 150, anna::Softmax{0.01}), parameters);
    EXPECT_EQ(ran.plan.rounds, open.rounds);
    EXPECT_EQ(open.layer_machines(0), open.blocks * open.blocks);
    softmax.mechanisms[0] = anna::Softmax{0.01};
    check(softmax, words, parameters);
    for (const anna::Mechanism& mechanism :
         {anna::Mechanism(anna::LowRank{2, 7, true}), anna::Mechanism(anna::Performer{2, 7, 16384, 2, true}),
          anna::Mechanism(anna::Polynomial{2, 7, 256, true}),
          anna::Mechanism(anna::Window{2, 0.01, 0, true})}) {
      const mpc::Parameters wide = parameters_of({150, Rational(1, 2), Rational(1, 5), {}});
      anna::Model made = random_model(model, 150, mechanism);
      EXPECT_GT(check(made, words, wide).plan.blocks, 1u);
      made.mechanisms[0] = anna::ExactMatch{};
      check(made, words, wide, {.word_bits = 48});
    }
  }
}

// The same rounds for every feature map.
TEST(Decompile, PerformerAndPolynomialLayers) {
  const anna::RandomModel model = random_parameters(2, 2, 6);
  for (const anna::Mechanism& mechanism :
       {anna::Mechanism(anna::Performer{3, 7, 16384, 2}), anna::Mechanism(anna::Polynomial{2, 7, 256})}) {
    anna::Model made = random_model(model, 200, mechanism);
    for (const std::uint32_t word_bits : {62, 48}) {
      const Ran ran =
          check(made, anna::random_words(model, 200),
                parameters_of({200, Rational(1, 2), Rational(1, 5), {}}), {.word_bits = word_bits});
      EXPECT_EQ(ran.plan.layers[0].rank, 3u);
      EXPECT_GT(ran.plan.blocks, 1u);
      EXPECT_EQ(ran.plan.layer_machines(0), ran.plan.blocks);
    }
    made.mechanisms.back() = anna::ExactMatch{};
    check(made, anna::random_words(model, 200), parameters_of({200, Rational(1, 2), Rational(1, 5), {}}));
  }
}

TEST(Decompile, LowRankLayersAlsoBesideOthers) {
  for (const std::uint32_t layers : {1, 3}) {
    for (const std::uint32_t heads : {1, 2}) {
      const anna::RandomModel model = random_parameters(layers, heads, 8);
      anna::Model made = random_model(model, 200, anna::LowRank{4, 7});
      for (const std::uint32_t word_bits : {62, 48}) {
        const Ran ran =
            check(made, anna::random_words(model, 200),
                  parameters_of({200, Rational(1, 2), Rational(1, 5), {}}), {.word_bits = word_bits});
        std::uint32_t depth = 0;
        for (std::uint64_t reached = 1; reached < ran.plan.blocks; reached *= ran.plan.layers[0].scan_fan)
          ++depth;
        EXPECT_GT(depth, 0u);
        EXPECT_EQ(ran.plan.rounds, 2 + layers * 2 * depth);
        EXPECT_LT(ran.plan.blocks, 200u);
      }
      made.mechanisms.back() = anna::ExactMatch{};
      made.mechanisms.front() = anna::ExactMatch{};
      check(made, anna::random_words(model, 200), parameters_of({200, Rational(1, 2), Rational(1, 5), {}}));
    }
  }
}

// Standard attention as a protocol on a machine for every pair of blocks.
TEST(Decompile, SoftmaxOnAMachineForEveryPairOfBlocks) {
  std::uint32_t many_blocks = 0;
  for (const double scale : {0.004, -0.03, 0.0, 50.0}) {
    for (const std::uint32_t layers : {1, 2}) {
      const anna::RandomModel model = random_parameters(layers, 2, 8);
      anna::Model made = random_model(model, 100, anna::Mechanism(anna::Softmax{scale}));
      for (const std::uint64_t kappa : {5, 8, 30}) {
        const mpc::Parameters parameters = parameters_of({100, Rational(1, 2), Rational(1, 5), kappa});
        const Ran ran = check(made, anna::random_words(model, 100), parameters);
        EXPECT_EQ(ran.plan.machines, std::max<std::uint64_t>(ran.plan.blocks * ran.plan.blocks, 80));
        EXPECT_EQ(ran.plan.blocks, ceil_div(100, ran.plan.block_tokens));
        many_blocks += ran.plan.blocks > 3 * (ran.plan.copies_a_round + 1);
        EXPECT_EQ(size_contrast(random_model(model, 100, false), parameters)->machines, ran.plan.machines);
      }
      made.mechanisms.front() = anna::ExactMatch{};  // beside another kind
      check(made, anna::random_words(model, 100), parameters_of({100, Rational(1, 2), Rational(1, 5), {}}),
            {.word_bits = 48});
    }
  }
  EXPECT_GT(many_blocks, 0u);
}

// --passes, the phases of the composed protocol and the records say the same, for samples of every mechanism.
TEST(Decompile, PhasesAreDeclaredOnce) {
  const anna::RandomModel model = random_parameters(2, 2, 8);
  for (const anna::MechanismInfo* info : anna::mechanisms()) {
    for (const anna::Mechanism& mechanism : info->samples()) {
      SCOPED_TRACE(info->name);
      const DecompilePlan plan = plan_decompile(random_model(model, 40, mechanism),
                                                parameters_of({40, Rational(1, 2), Rational(1, 5), {}}));
      const Decompiled protocol(random_model(model, 40, mechanism), plan);
      const LayerDecompiler& decompiler = decompiler_of(mechanism);
      std::vector<std::string> declared{std::string(kInputToBlocks.id)}, passes = declared;
      for (std::size_t l = 0; l < 2; ++l) {
        ASSERT_EQ(plan.layers[l].decompiler, &decompiler);
        for (const DecompilePhase& phase : decompiler.phases) {
          EXPECT_FALSE(phase.caption.empty());
          declared.emplace_back(phase.id);
          passes.push_back(fmt::format("layer {}: {}", l, phase.id));
        }
      }
      declared.emplace_back(kDeliver.id);
      passes.emplace_back(kDeliver.id);
      std::vector<std::string> composed, listed;
      for (const mpc::Composition::Phase& phase : protocol.phases()) composed.push_back(phase.name);
      for (const Pass& pass : decompile_passes(plan)) listed.push_back(pass.name);
      EXPECT_EQ(composed, declared);
      EXPECT_EQ(listed, passes);
    }
  }
}

TEST(Decompile, AMechanismWithoutRoundsIsRefused) {
  static const anna::MechanismInfo unknown{.name = "unknown", .card = "", .options = {}};
  EXPECT_THROW(decompiler_of(unknown), ContractError);
}

// A formula for each kind of layer, once.
TEST(Decompile, RoundsFormulaOfMixedLayers) {
  EXPECT_EQ(rounds_formula({&decompiler_of(anna::LowRank::info()), &decompiler_of(anna::Softmax::info()),
                            &decompiler_of(anna::LowRank::info())}),
            "2 + sum over layers of 2 dv or 5 dc");
}

// Transformer to protocol to transformer: the last transformer's words are the first one's rows.
TEST(Decompile, AndCompiledAgain) {
  const anna::RandomModel model = random_parameters(2, 2, 8);
  for (const anna::MechanismInfo* info : anna::mechanisms()) {
    SCOPED_TRACE(info->name);
    const anna::Mechanism mechanism = info->samples().back();
    const anna::Model made = random_model(model, 40, mechanism);
    const std::vector<mpc::Word> words = anna::random_words(model, 40);
    const mpc::Parameters parameters = parameters_of({40, Rational(1, 2), Rational(1, 5), {}});
    const DecompilePlan plan = plan_decompile(made, parameters, {.word_bits = 48});
    const anna::Activations expected = anna::evaluate(made, input_activations(words, 40));
    for (const ConstructionInfo* construction : all_constructions()) {
      const Compiled compiled = compile_model(made, parameters, {.construction = construction->name});
      const Comparison comparison = compare(compiled, words, *make_attention(compiled, "ema"));
      EXPECT_TRUE(comparison.equal);
      EXPECT_EQ(comparison.sizes, compiled.bound);
      EXPECT_EQ(compiled.protocol->shape().rounds, plan.rounds);
      EXPECT_TRUE(decompiled_rows(plan, comparison.outputs.words) == expected);
    }
  }
}

// Any shape: sizes that are no powers or squares, one token, fewer words than tokens, any kappa that has a
// plan.
TEST(Decompile, AnyShape) {
  EXPECT_TRUE(rc::check([] {
    const auto in = [](int low, int high) {
      return static_cast<std::uint64_t>(*rc::gen::inRange(low, high));
    };
    const std::uint64_t tokens = in(1, 60);
    anna::RandomModel model;
    model.layers = static_cast<std::uint32_t>(in(1, 4));
    model.heads = static_cast<std::uint32_t>(in(1, 4));
    model.dimension = static_cast<std::uint32_t>(in(2, 9));
    model.value_dimension = static_cast<std::uint32_t>(in(1, 5));
    model.row_dimension = static_cast<std::uint32_t>(in(1, 6));
    model.seed = in(1, 1000);
    anna::Mechanism mechanism = anna::ExactMatch{};
    const std::uint64_t kind = in(0, 11);
    const bool causal = in(0, 2) == 0;
    if (kind == 5) mechanism = anna::Softmax{0.01 * static_cast<double>(in(0, 9)) - 0.04, causal};
    if (kind == 1) mechanism = anna::LowRank{static_cast<std::uint32_t>(in(1, 5)), model.seed, causal};
    if (kind == 6)
      mechanism = anna::Performer{static_cast<std::uint32_t>(in(1, 5)), model.seed, 16384, 2, causal};
    if (kind == 7)
      mechanism = anna::Polynomial{static_cast<std::uint32_t>(in(1, 4)), model.seed, 256, causal};
    if (kind == 8) mechanism = anna::Window{in(0, 9), 0.01 * static_cast<double>(in(0, 2)), in(0, 5), causal};
    if (kind >= 9) {
      mechanism = anna::Chunked{
          .chunk = in(1, 9),
          .hashings = static_cast<std::uint32_t>(in(1, 4)),
          .functions = static_cast<std::uint32_t>(in(1, 4)),
          .seed = model.seed,
          .family = in(0, 2) == 0 ? anna::FamilyKind::kHyperplane : anna::FamilyKind::kCrossPolytope,
          .masked = causal};
    }
    if (kind > 1 && kind < 5) {
      anna::Anna anna;
      constexpr anna::FamilyKind kFamilies[] = {
          anna::FamilyKind::kHyperplane, anna::FamilyKind::kPStable, anna::FamilyKind::kCrossPolytope,
          anna::FamilyKind::kCrossPolytopeHadamard, anna::FamilyKind::kBitSampling};
      anna.parameters.family = kFamilies[in(0, 5)];
      anna.parameters.tables = static_cast<std::uint32_t>(in(1, 30));
      anna.parameters.functions = static_cast<std::uint32_t>(in(1, 4));
      anna.parameters.seed = model.seed;
      if (anna.parameters.family == anna::FamilyKind::kPStable) anna.parameters.width = 50;
      mechanism = anna;
    }
    mpc::Parameters parameters;
    parameters.n = in(1, static_cast<int>(tokens) + 1);
    parameters.epsilon = Rational(static_cast<std::int64_t>(in(1, 4)), 5);
    parameters.delta = Rational(1, static_cast<std::int64_t>(in(3, 10)));
    DecompileOptions options;
    options.word_bits = in(0, 2) == 0 ? 62 : 40;
    if (in(0, 2) == 0) {  // the least memory that works
      parameters.memory_words = 1;
      try {
        plan_decompile(random_model(model, tokens, mechanism), parameters, options);
        RC_FAIL("a plan with one word");
      } catch (const ContractError& error) {
        const std::string text = error.what(), before = "the least s that works is ";
        parameters.memory_words = std::stoull(text.substr(text.find(before) + before.size()));
      }
    }
    const anna::Model model_made = random_model(model, tokens, mechanism);
    const std::vector<mpc::Word> words = anna::random_words(model, parameters.n);
    const DecompilePlan plan = plan_decompile(model_made, parameters, options);
    const auto transport = mpc::make_in_process_transport();
    const mpc::RunResult result = mpc::run(*decompile(model_made, parameters, options), words, *transport);
    RC_ASSERT(decompiled_rows(plan, result.outputs) ==
              anna::evaluate(model_made, input_activations(words, tokens)));
    RC_ASSERT(result.ledger.rounds.size() == rounds_by_formula(plan));
    if (parameters.memory_words) RC_ASSERT(plan.memory_words == *parameters.memory_words);
  }));
}

// Every word counts: one word below what a machine sends or receives at most ends the run.
TEST(Decompile, EveryWordCounts) {
  const anna::RandomModel model = random_parameters(2, 2);
  const mpc::Parameters parameters = parameters_of({64, Rational(1, 2), Rational(1, 5), {}});
  const anna::Model made = random_model(model, 64, true);
  const std::vector<mpc::Word> words = anna::random_words(model, 64);
  const mpc::RoundFacts facts = check(made, words, parameters).result.ledger.overall();
  const auto transport = mpc::make_in_process_transport();
  mpc::RunOptions options;
  options.limit_words = std::max(facts.max_words_sent, facts.max_words_received);
  EXPECT_NO_THROW(mpc::run(*decompile(made, parameters), words, *transport, options));
  --options.limit_words;
  EXPECT_THROW(mpc::run(*decompile(made, parameters), words, *transport, options), mpc::ModelViolation);
}

// Nothing is kept but messages: every step on a protocol made anew, in random order.
TEST(Decompile, NothingIsKeptBetweenSteps) {
  const anna::RandomModel model = random_parameters(2, 2);
  anna::Anna anna;
  anna.parameters.tables = 3;
  anna.parameters.functions = 2;
  const anna::Model made = random_model(model, 12, anna);
  const std::vector<mpc::Word> words = anna::random_words(model, 12);
  const mpc::Parameters parameters = parameters_of({12, Rational(1, 2), Rational(1, 5), {}});
  const auto transport = mpc::make_in_process_transport();
  mpc::RunOptions options;
  options.order_seed = 5;
  options.rebuild = [&] { return decompile(made, parameters); };
  const mpc::RunResult result = mpc::run(*decompile(made, parameters), words, *transport, options);
  EXPECT_TRUE(decompiled_rows(plan_decompile(made, parameters), result.outputs) ==
              anna::evaluate(made, input_activations(words, 12)));
}

// Steps are defined on any inbox: words lost, doubled and changed end in an answer or an exception.
TEST(Decompile, AnyInbox) {
  const anna::RandomModel model = random_parameters(2, 2, 4);
  for (const anna::MechanismInfo* info : anna::mechanisms()) {
    SCOPED_TRACE(info->name);
    for (const anna::Mechanism& mechanism : info->samples()) {
      const anna::Model made = random_model(model, 100, mechanism);
      struct Mutator final : mpc::Observer {
        const mpc::Protocol* protocol = nullptr;
        std::uint64_t steps = 0, thrown = 0;
        void stepped(std::uint32_t round, mpc::MachineId machine, const mpc::Inbox& inbox,
                     const mpc::Outbox&) override {
          std::vector<mpc::RunHeader> headers;
          std::vector<mpc::Word> words;
          for (const mpc::Run run : inbox) {
            headers.push_back({run.source, run.sequence, static_cast<std::uint32_t>(words.size())});
            words.insert(words.end(), run.words.begin(), run.words.end());
          }
          const std::uint64_t choice = draw(1, Domain::kTest, round, machine);
          if (words.empty()) return;
          if (choice % 3 == 0) words[choice / 3 % words.size()] = choice >> 8 & 0xfffff;
          if (choice % 3 == 1) words.back() = (std::uint64_t{1} << 62) - 1;
          if (choice % 3 == 2 && headers.back().begin + 1 < words.size()) words.pop_back();
          mpc::Outbox outbox;
          const mpc::Shape& shape = protocol->shape();
          const bool last = round == shape.rounds;
          outbox.reset({.words = shape.memory_words,
                        .word_bits = shape.word_bits,
                        .destinations = last ? static_cast<std::uint32_t>(shape.outputs) : shape.machines,
                        .last_round = last});
          std::pmr::monotonic_buffer_resource scratch;
          ++steps;
          try {
            protocol->step({round, machine, &scratch}, mpc::Inbox(headers, words), outbox);
          } catch (const Error&) {
            ++thrown;
          }
        }
      } mutator;
      const auto protocol = decompile(made, parameters_of({100, Rational(1, 2), Rational(1, 5), {}}));
      mutator.protocol = protocol.get();
      const auto transport = mpc::make_in_process_transport();
      mpc::RunOptions options;
      options.observer = &mutator;
      mpc::run(*protocol, anna::random_words(model, 100), *transport, options);
      EXPECT_GE(mutator.steps, 20u);
      EXPECT_GT(mutator.thrown, 0u);
    }
  }
}

/// A compiled protocol as a protocol again: the same words as its run.
void check_compiled(const std::string& name, std::uint64_t n, const CompileOptions& options,
                    std::string_view mechanism) {
  SCOPED_TRACE(name);
  mpc::Parameters parameters;
  parameters.n = n;
  const Compiled compiled = compile(name, parameters, options);
  const std::vector<mpc::Word> words = random_input(compiled.protocol->shape(), 3);
  const auto transport = mpc::make_in_process_transport();
  const mpc::RunResult run = mpc::run(*compiled.protocol, words, *transport);
  const Ran ran = check(as_model(compiled, mechanism), words, parameters);
  const OutputWords outputs =
      read_outputs(decompiled_rows(ran.plan, ran.result.outputs), compiled.protocol->shape().outputs);
  EXPECT_TRUE(outputs.faulty.empty());
  EXPECT_EQ(outputs.words, run.outputs);
}

TEST(Decompile, CompiledProtocolsBecomeProtocolsAgain) {
  const CompileOptions direct, routed{.construction = "routed"};
  check_compiled("sum", 256, direct, "ema");
  check_compiled("sum", 256, direct, "anna");
  check_compiled("sum", 256, routed, "ema");
  check_compiled("sum", 256, routed, "anna");
  check_compiled("k_hop", 64, routed, "ema");
}
TEST(DecompileLong, CompiledKHopAt256) {
  const CompileOptions direct, routed{.construction = "routed"};
  check_compiled("k_hop", 256, routed, "ema");
  check_compiled("k_hop", 256, routed, "anna");
  check_compiled("k_hop", 256, direct, "ema");
}

TEST(Decompile, NativeLayersAndModelsFromFiles) {
  mpc::Parameters parameters;
  parameters.n = 60;
  std::vector<mpc::Word> words;
  for (std::uint64_t i = 0; i < 60; ++i) words.push_back(draw_below(5, 1, Domain::kTest, i));
  const KHopOptions k_hop{.n = 60, .k = 3, .word_bits = 20};
  const Match2Options match2{.n = 60, .modulus = 11};
  for (const bool anna : {false, true}) {
    const auto of = [anna](const anna::Transformer& transformer, const anna::AnnaParameters& tables) {
      anna::Model model{transformer, {}, {}};
      const anna::Mechanism mechanism =
          anna ? anna::Mechanism(anna::Anna{tables, {}, {}}) : anna::ExactMatch{};
      model.mechanisms.assign(transformer.depth(), mechanism);
      model.protocol.emplace().protocol = "native";
      return model;
    };
    check(of(make_k_hop(k_hop), k_hop_tables(k_hop, 0.01)), words, parameters);
    check(of(make_match2(match2), match2_tables(match2, 0.01)), words, parameters);
  }
  // Through a file, as explicit weights and by name.
  const std::string folder =
      (std::filesystem::temp_directory_path() / ("roundtrip_decompile_" + std::to_string(getpid()))).string();
  std::filesystem::create_directories(folder);
  anna::save_model(match2_model(match2, anna::ExactMatch{}), folder + "/match2.json");
  check(anna::load_model(folder + "/match2.json").model, words, parameters);
  const anna::RandomModel random = random_parameters(1, 2);
  anna::save_model(random_model(random, 256, true), folder + "/random.json");  // and its safetensors file
  check(anna::load_model(folder + "/random.json").model, anna::random_words(random, 256),
        parameters_of({256, Rational(1, 4), Rational(1, 4), {}}));
  mpc::Parameters sum;
  sum.n = 64;
  const Compiled compiled = compile("sum", sum, {.construction = "routed"});
  anna::save_model(as_model(compiled, "ema"), folder + "/sum.json");
  const anna::Model loaded = anna::load_model(folder + "/sum.json", protocol_resolver()).model;
  EXPECT_EQ(loaded.protocol, as_model(compiled, "ema").protocol);
  check(loaded, random_input(compiled.protocol->shape(), 4), sum);
  std::filesystem::remove_all(folder);
}

TEST(Decompile, Refusals) {
  const anna::RandomModel model = random_parameters(1, 2);
  const anna::Model made = random_model(model, 64, true);
  const auto message = [&](const mpc::Parameters& parameters, const anna::Model& of,
                           DecompileOptions options = {}) {
    try {
      plan_decompile(of, parameters, options);
    } catch (const ContractError& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  mpc::Parameters parameters = parameters_of({64, Rational(1, 2), Rational(1, 5), 1});
  const std::string few = message(parameters, made);
  EXPECT_NE(few.find("the least s that works is "), std::string::npos) << few;
  EXPECT_NE(few.find("kappa_s = "), std::string::npos) << few;
  const std::uint64_t least = std::stoull(few.substr(few.find("kappa_s = ") + 10));
  parameters.kappa_s = least;
  EXPECT_EQ(message(parameters, made), "");
  parameters.kappa_s = least - 1;
  EXPECT_NE(message(parameters, made), "");
  parameters.kappa_s = {};
  parameters.n = 65;
  EXPECT_EQ(message(parameters, made), "model: N is 65; the model has 64 tokens");
  parameters.n = 64;
  EXPECT_EQ(message(parameters, made, {.word_bits = 31}), "model: words of 31 bits; allowed are 32 .. 62");
  parameters.machines = 3;
  EXPECT_NE(message(parameters, made).find("machines is 3, allowed is at least "), std::string::npos);
}

// The machines of ANNA's protocol against standard attention's (N / B)^2, at one memory: near-linear against
// quadratic, from which N on the former is the less. Sizes by the formulas that the runs above confirm.
TEST(Decompile, CrossingWithStandardAttention) {
  const anna::RandomModel model = random_parameters(1, 1);
  fmt::print(
      "q of ANNA against (N / B)^2 of standard attention: L = 1, H = 1, d = 16, eps = delta = 1/4, "
      "kappa_s = 16, eta = 1/100\n{:>5} {:>7} {:>8} {:>16}",
      "N", "s", "B", "(N / B)^2");
  const std::vector<std::int64_t> factors = {4, 8, 12};
  for (const std::int64_t c : factors)
    fmt::print(" {:>6} {:>12} {:>8}", "ell", fmt::format("q, c = {}", c), "ratio");
  fmt::print("\n");
  std::map<std::int64_t, std::uint32_t> crossing;
  for (std::uint32_t bits = 8; bits <= 28; bits += 2) {
    const std::uint64_t n = std::uint64_t{1} << bits;
    const mpc::Parameters parameters = parameters_of({n, Rational(1, 4), Rational(1, 4), 16});
    std::optional<DecompilePlan> contrast;
    for (const std::int64_t c : factors) {
      anna::RandomModel at = model;
      at.factor = Rational(c);
      const anna::Model made = random_model(at, n, true);
      if (!contrast) {
        contrast = size_contrast(made, parameters);
        fmt::print(" 2^{:<2} {:>7} {:>8} {:>16}", bits, contrast->memory_words, contrast->block_tokens,
                   contrast->machines);
      }
      const DecompilePlan plan = size_decompile(made, parameters);
      const double ratio = static_cast<double>(plan.machines) / static_cast<double>(contrast->machines);
      fmt::print(" {:>6} {:>12} {:>8.3g}", plan.layers[0].tables, plan.machines, ratio);
      if (ratio < 1 && !crossing.contains(c)) crossing[c] = bits;
      if (ratio >= 1) crossing.erase(c);
    }
    fmt::print("\n");
  }
  for (const std::int64_t c : factors) {
    fmt::print("c = {}: fewer machines from N = 2^{} on\n", c, crossing.contains(c) ? crossing[c] : 0);
    EXPECT_TRUE(crossing.contains(c)) << "no crossing up to 2^28";
  }
  EXPECT_GE(crossing[4], crossing[8]);
  EXPECT_GE(crossing[8], crossing[12]);
}

TEST(DecompileLong, LargerSizesInRange) {
  // In range: s = kappa ceil(N^(1/2)) <= N / 4. No kappa with a plan is at 2^9.
  for (const auto& [n, kappa] : {std::pair(512u, 16u), std::pair(1024u, 8u), std::pair(2048u, 8u),
                                 std::pair(4096u, 8u), std::pair(4096u, 16u)}) {
    for (const auto& [layers, heads] : {std::pair(1u, 4u), std::pair(4u, 1u), std::pair(2u, 2u)}) {
      const Ran ran =
          check_random(random_parameters(layers, heads), true, {n, Rational(1, 4), Rational(1, 4), kappa});
      EXPECT_TRUE(n == 512 || ran.plan.memory_words <= n / 4);
      // R within L R_layer, besides the first and the last round.
      EXPECT_EQ(ran.plan.rounds, 2 + layers * ran.plan.layers[0].rounds());
    }
  }
}
TEST(DecompileLong, AtFactorFour) {
  anna::RandomModel model = random_parameters(2, 2);
  model.factor = Rational(4);
  check_random(model, true, {256, Rational(1, 4), Rational(1, 4), {}});
  check_random(model, true, {1024, Rational(1, 4), Rational(1, 4), {}});
}

}  // namespace
}  // namespace roundtrip::simulate
