// The native layers as explicit weights: equal rows at the end, on every mechanism and also where hashing
// fails.
#include "roundtrip/simulate/native/weights.h"

#include <gtest/gtest.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "roundtrip/anna/attention/attention.h"
#include "roundtrip/anna/files/model_file.h"
#include "roundtrip/base/atomic_file.h"
#include "roundtrip/base/error.h"
#include "roundtrip/base/fixed_point.h"
#include "roundtrip/base/random.h"
#include "roundtrip/simulate/native/parity_codebook.h"
#include "roundtrip/simulate/native/relu_circuit.h"

namespace roundtrip::simulate {
namespace {

using Words = std::vector<mpc::Word>;

Words random_words(std::uint64_t n, std::uint64_t alphabet, std::uint64_t bound, std::uint64_t seed) {
  RandomStream stream(seed, Domain::kTest, n, alphabet);
  Words symbols(alphabet), x(n);
  for (mpc::Word& symbol : symbols) symbol = stream.below(bound);
  for (mpc::Word& word : x) word = symbols[stream.below(alphabet)];
  return x;
}

void expect_equal(const anna::Transformer& direct, anna::Model& model, const anna::Mechanism& mechanism,
                  const Words& x) {
  model.mechanisms.assign(model.transformer.depth(), mechanism);
  const anna::Activations input = input_activations(x, direct.tokens);
  const auto attention = model.mechanisms[0].make();
  EXPECT_EQ(evaluate(direct, *attention, input), evaluate(model, input));
}

// y of a compiled circuit, by the definition of the stages.
std::vector<std::int64_t> run(const anna::WeightMap& map, std::vector<std::int64_t> x) {
  for (const anna::Stage& stage : map) {
    std::vector<std::int64_t> y;
    for (std::uint32_t i = 0; i < stage.outputs; ++i) {
      std::int64_t sum = stage.bias[i];
      for (std::uint32_t j = 0; j < stage.inputs; ++j) sum += stage.weight(i, j) * x[j];
      sum = roundtrip::drop_bits(sum, stage.weight_fraction_bits);
      if (stage.relu) sum = std::max<std::int64_t>(sum, 0);
      if (stage.clamp) sum = std::clamp(sum, -stage.clamp[i], stage.clamp[i]);
      y.push_back(sum);
    }
    x = y;
  }
  return x;
}

TEST(ReluCircuit, UnitsDoWhatTheirNamesSay) {
  ReluCircuit circuit(2);
  const Affine x = circuit.input(0), bit = circuit.input(1);
  std::vector<Affine> outputs = circuit.bits_of(x, 6);
  outputs.push_back(circuit.bits_of(x - 5, 6)[1]);
  outputs.push_back(circuit.both(outputs[0], bit));
  outputs.push_back(7 - 3 * outputs[1]);
  const anna::WeightMap map = circuit.compile(outputs);
  EXPECT_EQ(map.size(), 4u);  // shifts, bits, and, outputs
  for (std::int64_t value = 0; value < 64; ++value) {
    for (const std::int64_t b : {0, 1}) {
      const auto y = run(map, {value, b});
      for (int k = 0; k < 6; ++k) EXPECT_EQ(y[k], value >> k & 1);
      EXPECT_EQ(y[6], value < 5 ? 0 : (value - 5) >> 1 & 1);
      EXPECT_EQ(y[7], value & 1 & b);
      EXPECT_EQ(y[8], 7 - 3 * (value >> 1 & 1));
    }
  }
}

TEST(ReluCircuit, WhatNobodyReadsIsLeftOut) {
  ReluCircuit circuit(2);
  const Affine sum = circuit.relu(circuit.input(0) - circuit.input(1));
  EXPECT_EQ(circuit.relu(circuit.input(0) - circuit.input(1)), sum);
  circuit.step(circuit.relu(sum + 1));
  const anna::WeightMap map = circuit.compile(std::vector{2 * sum});
  ASSERT_EQ(map.size(), 2u);
  EXPECT_EQ(map[0].outputs, 1u);
  EXPECT_EQ(run(map, {9, 4}), std::vector<std::int64_t>{10});
  EXPECT_EQ(run(map, {4, 9}), std::vector<std::int64_t>{0});
  EXPECT_EQ(ReluCircuit(1).compile(std::vector<Affine>{5}).size(), 1u);
}

TEST(ReluCircuit, EveryUnitHasItsOwnClamp) {
  ReluCircuit circuit(2);
  const Affine x = circuit.input(0), y = circuit.input(1);
  const anna::WeightMap map =
      circuit.compile(std::vector{x + circuit.step(x), circuit.clamp(x + y, 9), (std::int64_t{1} << 40) * y});
  ASSERT_EQ(map.size(), 2u);  // a number passes beside a comparison
  EXPECT_EQ(map[0].weight.nonzeros(), 5u);
  EXPECT_EQ(run(map, {0, 3}), (std::vector<std::int64_t>{0, 3, 3ll << 40}));
  EXPECT_EQ(run(map, {70, 3}), (std::vector<std::int64_t>{71, 9, 3ll << 40}));
}

TEST(NativeWeights, Match2EqualsTheDirectMaps) {
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    const std::uint64_t n = 1 + seed % 33;
    const std::uint64_t moduli[] = {1, 2, 3, 8, 37, 1000, (1 << 24) - 3, 1 << 24};
    const Match2Options options{.n = n, .modulus = moduli[seed % 8], .seed = seed};
    Words x = random_words(n, n, options.modulus, seed);
    if (n > 2) x[1] = (options.modulus - x[0]) % options.modulus, x[2] = 0;
    const anna::Transformer direct = make_match2(options);
    anna::Model model = match2_model(options, anna::ExactMatch{});
    expect_equal(direct, model, anna::ExactMatch{}, x);
    for (const std::uint32_t functions : {1u, 5u, 40u}) {
      anna::Anna mechanism;
      mechanism.parameters = {
          .tables = 1 + static_cast<std::uint32_t>(seed % 3), .functions = functions, .seed = seed};
      expect_equal(direct, model, mechanism, x);
    }
  }
}

TEST(NativeWeights, KHopEqualsTheDirectMaps) {
  for (std::uint64_t seed = 0; seed < 45; ++seed) {
    const std::uint64_t n = 1 + seed % 23;
    const std::uint64_t ks[] = {1, 2, 3, 4, 5, 6, 8, n, 1ull << 40};
    const KHopOptions options{.n = n,
                              .k = ks[seed % 9],
                              .levels = 1 + static_cast<std::uint32_t>(seed % 4),
                              .word_bits = 1 + static_cast<std::uint32_t>(seed * 7 % 24),
                              .seed = seed,
                              .binary = true};
    const Words x = random_words(n, 1 + seed % 6, std::uint64_t{1} << options.word_bits, seed);
    const anna::Transformer direct = make_k_hop(options);
    anna::Model model = k_hop_model(options, anna::ExactMatch{});
    expect_equal(direct, model, anna::ExactMatch{}, x);
    // Also where false collisions make nonsense of every row: the maps are the same functions.
    anna::Anna mechanism;
    mechanism.parameters = {.tables = 1 + static_cast<std::uint32_t>(seed % 2),
                            .functions = seed % 3 == 0 ? 60u : 3u,
                            .seed = seed};
    expect_equal(direct, model, mechanism, x);
  }
}

// Queries and keys that were all mirrored, or a null query that is also the null key, would change no output.
TEST(NativeWeights, QueriesAndKeysAreTheCodebooksVectors) {
  const auto vector_of = [](const ParityCodebook& codebook, anna::Symbol symbol) {
    std::vector<std::int32_t> vector(codebook.dimension());
    codebook.vector(symbol, vector);
    return std::vector<std::int64_t>(vector.begin(), vector.end());
  };
  const auto weights_of = [](const anna::Model& model, std::size_t layer) {
    return dynamic_cast<const anna::WeightLayer&>(*model.transformer.layers.at(layer)).weights();
  };
  const ParityCodebook residues(6 + 1, 3);
  const auto match2 = weights_of(match2_model({.n = 5, .modulus = 37, .seed = 3}, anna::ExactMatch{}), 0);
  for (const std::int64_t x : {0, 1, 36}) {
    EXPECT_EQ(run(match2.heads[0].query, {1, x}), vector_of(residues, x));
    EXPECT_EQ(run(match2.heads[0].key, {1, x}), vector_of(residues, (37 - x) % 37));
  }
  // Five tokens: the last layer's rows are the word's two bits, then P and A, each three bits and one for its
  // presence.
  const ParityCodebook tokens(3 + 1, 3);
  const KHopOptions options{.n = 5, .levels = 2, .word_bits = 2, .seed = 3, .binary = true};
  const auto fetch = weights_of(k_hop_model(options, anna::ExactMatch{}), 2);
  EXPECT_EQ(run(fetch.heads[0].query, {1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0}), vector_of(tokens, 4));
  EXPECT_EQ(run(fetch.heads[0].query, {1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}), vector_of(tokens, 8 + 1));
  EXPECT_EQ(run(fetch.heads[0].key, {1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 1, 1, 0}), vector_of(tokens, 3));
}

TEST(NativeWeights, AtALargerSize) {
  const KHopOptions options{.n = 256, .k = 8, .levels = 2, .word_bits = 8, .binary = true};
  const Words x = random_words(256, 20, 256, 1);
  anna::Model model = k_hop_model(options, anna::ExactMatch{});
  expect_equal(make_k_hop(options), model, anna::ExactMatch{}, x);
}

// Words by a program that knows nothing of ours but the files and what their description says.
Words words_by_numpy(const anna::Model& model, const Words& x) {
  const std::string folder = ::testing::TempDir() + "native_weights_";
  save_model(model, folder + "m.json");
  std::string rows;
  for (const mpc::Word word : x) rows += fmt::format("{}[1, {}]", rows.empty() ? "[" : ", ", word);
  write_whole(folder + "in", rows + "]");
  const std::string command =
      ROUNDTRIP_PYTHON " -B " EVALUATE_MODEL " " + folder + "m.json < " + folder + "in > " + folder + "out";
  EXPECT_EQ(std::system(command.c_str()), 0) << "needs python3 with numpy (Debian: python3-numpy)";
  std::ifstream file(folder + "out");
  Words words;
  for (const auto& row : nlohmann::json::parse(file)) {
    EXPECT_EQ(row.at(kPresentColumn), 1);
    words.push_back(row.at(kWordColumn).get<mpc::Word>());
  }
  for (const char* name : {"m.json", "m.safetensors", "in", "out"}) std::remove((folder + name).c_str());
  return words;
}

TEST(NativeWeights, ExportedModelsGiveTheWordsElsewhere) {
  const Words residues{0, 3, 4, 7, 5, 1, 3, 6, 10, 2};
  EXPECT_EQ(words_by_numpy(match2_model({.n = 10, .modulus = 11}, anna::ExactMatch{}), residues),
            (Words{1, 0, 1, 1, 1, 1, 0, 1, 1, 0}));
  // a b c a b b a c: the word after the last earlier equal one, then that of it; none = 0, others + 1.
  const Words text{0, 1, 2, 0, 1, 1, 0, 2};
  const auto hops = [&](std::uint64_t k) {
    return words_by_numpy(
        k_hop_model({.n = 8, .k = k, .levels = 2, .word_bits = 2, .binary = true}, anna::ExactMatch{}), text);
  };
  EXPECT_EQ(hops(1), (Words{0, 0, 0, 2, 3, 2, 2, 1}));
  EXPECT_EQ(hops(3), (Words{0, 0, 0, 0, 0, 2, 0, 0}));
}

TEST(NativeWeights, SizesAreTheNetworks) {
  const KHopOptions options{.n = 100, .k = 6, .levels = 2, .word_bits = 5, .binary = true};
  const anna::Model model = k_hop_model(options, anna::ExactMatch{});
  TransformerSizes expected = k_hop_sizes(options);
  const TransformerSizes sizes = measure(model.transformer);
  expected.embedding_dimension = 5 + 2 * 7 + 2;  // W + 2 B + 2: more than W + a log2 F + a = 5 + 8 + 2
  EXPECT_EQ(sizes, expected);
  EXPECT_EQ(measure(match2_model({.n = 9, .modulus = 37}, anna::ExactMatch{}).transformer),
            match2_sizes({.n = 9, .modulus = 37}));
  // Seven bits of a symbol: shifts, bits, gate; three folds; outputs. At most 127 parities of them are
  // different.
  const WeightSizes small = measure_weights(match2_model({.n = 9, .modulus = 37}, anna::ExactMatch{}));
  EXPECT_EQ(small.stages, 3u + 3 + 1);
  EXPECT_LE(small.widest_stage, 256u);
  // 25 bits: five folds of 128 different parities.
  const WeightSizes large = measure_weights(match2_model({.n = 9, .modulus = 1 << 24}, anna::ExactMatch{}));
  EXPECT_EQ(large.stages, 3u + 5 + 1);
  EXPECT_EQ(large.widest_stage, 256u);
}

TEST(NativeWeights, RefusesWhatTheMapsCannotHold) {
  const anna::ExactMatch ema;
  EXPECT_THROW(match2_model({.n = 4, .modulus = (1 << 24) + 1}, ema), ContractError);
  EXPECT_THROW(match2_model({.n = 4, .modulus = 5, .tolerant = true}, ema), ContractError);
  EXPECT_THROW(k_hop_model({.n = 4, .word_bits = 25, .binary = true}, ema), ContractError);
  EXPECT_THROW(k_hop_model({.n = 4, .word_bits = 5}, ema), ContractError);
  EXPECT_THROW(k_hop_model({.n = 4, .levels = 1, .word_bits = 5, .binary = true, .tolerant = true}, ema),
               ContractError);
  // A word that is no residue, or too wide.
  EXPECT_THROW(evaluate(match2_model({.n = 1, .modulus = 5}, ema), input_activations(Words{5}, 1)),
               ContractError);
  EXPECT_THROW(
      evaluate(k_hop_model({.n = 1, .word_bits = 3, .binary = true}, ema), input_activations(Words{8}, 1)),
      ContractError);
}

}  // namespace
}  // namespace roundtrip::simulate
