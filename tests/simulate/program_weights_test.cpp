#include <gmock/gmock.h>

#include <iostream>
#include <map>

#include "roundtrip/base/error.h"
#include "roundtrip/base/fault.h"
#include "roundtrip/base/random.h"
#include "roundtrip/mpc/registry.h"
#include "roundtrip/mpc/runtime.h"
#include "roundtrip/mpc/transport.h"
#include "roundtrip/simulate/weights/program_weights.h"

namespace roundtrip::simulate {
namespace {

using mpc::Values;
using mpc::Word;

/// A program of the library at one size, as a protocol and as weights.
struct Case {
  Case(const std::string& name, std::uint64_t n, std::map<std::string, std::string> options = {})
      : info(mpc::find_protocol(name)) {
    parameters.n = n;
    parameters.options = std::move(options);
    protocol = info.make(parameters);
    weights = compile_to_weights(dynamic_cast<const mpc::Program&>(*protocol));
  }
  std::vector<Word> run(const std::vector<Word>& words) const {
    return mpc::run(*protocol, words, *mpc::make_in_process_transport()).outputs;
  }
  OutputWords evaluate(const std::vector<Word>& words) const {
    const anna::Activations rows =
        anna::evaluate(weights.model, input_activations(words, weights.model.transformer.tokens));
    return read_outputs(rows, protocol->shape().outputs);
  }
  std::vector<Word> words_of(const Values& values) const {
    std::vector<Word> words;
    for (const std::int64_t value : values)
      words.push_back(mpc::encode_input(value, protocol->shape(), "a value"));
    return words;
  }
  Values random(std::uint64_t seed) {
    parameters.seed = seed;
    if (info.generate) return info.generate(parameters);
    if (info.name == "word_count_program") {
      RandomStream words(seed, Domain::kTest);
      Values values(parameters.n);
      for (std::int64_t& value : values)
        value = static_cast<std::int64_t>(
            words.below(seed % 2 == 0 ? parameters.n : std::min<std::uint64_t>(3, parameters.n)));
      return values;
    }
    RandomStream stream(seed, Domain::kTest);
    const std::uint64_t range = std::uint64_t{1} << (seed % 2 == 0 ? protocol->shape().input_bits : 2);
    Values values;
    for (std::uint64_t i = 0; i < parameters.n; ++i)
      values.push_back(static_cast<std::int64_t>(stream.below(range)) - static_cast<std::int64_t>(range / 2));
    return values;
  }
  void check(const Values& values) const {
    const std::vector<Word> words = words_of(values);
    const std::vector<Word> expected = run(words);
    const OutputWords outputs = evaluate(words);
    EXPECT_THAT(outputs.faulty, ::testing::IsEmpty()) << info.name;
    EXPECT_EQ(outputs.words, expected) << info.name;
    EXPECT_EQ(mpc::decode_outputs(info, *protocol, expected), info.oracle(values, parameters)) << info.name;
  }

  const mpc::ProtocolInfo& info;
  mpc::Parameters parameters;
  std::unique_ptr<const mpc::Protocol> protocol;
  ProgramWeights weights;
};

std::vector<std::string> programs() {
  std::vector<std::string> names;
  for (const mpc::ProtocolInfo* info : mpc::all_protocols()) {
    if (info->program == info->name) names.push_back(info->name);
  }
  return names;
}

/// Not every number of words is of whole pairs, matrices or tokens.
bool serves(const std::string& name, std::uint64_t n) {
  try {
    Case(name, n);
    return true;
  } catch (const ContractError&) {
    EXPECT_NE(n % 16, 0u) << name;
    return false;
  }
}

TEST(ProgramWeights, AreTheProtocol) {
  for (const std::string& name : programs()) {
    for (const std::uint64_t n : {1, 2, 3, 5, 16, 17, 40, 48, 64}) {
      SCOPED_TRACE(name + " at " + std::to_string(n));
      if (!serves(name, n)) continue;
      Case program(name, n);
      const auto& rounds = dynamic_cast<const mpc::Program&>(*program.protocol).rounds();
      const auto routed =
          std::ranges::count_if(rounds, [](const auto& round) { return !round.records.empty(); });
      EXPECT_EQ(program.weights.bound.depth, rounds.size() + 1 + static_cast<std::size_t>(routed)) << name;
      EXPECT_EQ(measure(program.weights.model.transformer), program.weights.bound) << name << " at " << n;
      for (std::uint64_t seed = 0; seed < 20; ++seed) program.check(program.random(seed));
    }
  }
}

TEST(ProgramWeights, Sizes) {
  for (const std::string& name : programs()) {
    for (const std::uint64_t n : {16, 64, 256}) {
      if (!serves(name, n)) continue;
      const Case program(name, n);
      const WeightFacts facts = weight_facts(program.weights.model);
      std::map<std::string, std::uint64_t> by;
      for (std::size_t l = 0; l < program.weights.layers.size(); ++l) {
        const auto& w =
            dynamic_cast<const anna::WeightLayer&>(*program.weights.model.transformer.layers[l]).weights();
        std::cout << "   " << program.weights.layers[l].name << " columns " << w.row_dimension;
        const auto add = [&](const char* what, const anna::WeightMap& map) {
          std::uint64_t all = 0;
          for (const auto& stage : map) all += stage.weight.nonzeros();
          std::cout << " " << what << " " << all;
        };
        add("q", w.heads[0].query), add("k", w.heads[0].key), add("v", w.heads[0].value),
            add("out", w.output);
        std::cout << " stages " << w.output.size() << "\n";
      }
      std::cout << name << " N " << n << " layers " << facts.layers << " distinct " << facts.distinct_layers
                << " units " << facts.units << " nonzeros " << facts.nonzeros << " all "
                << facts.nonzeros_of_all << " stages " << facts.stages << " bits " << facts.sum_bits
                << " float32 " << facts.float32 << " H " << program.weights.bound.heads << " m "
                << program.weights.bound.value_dimension << "\n";
      for (const auto& layer : program.weights.layers)
        std::cout << "   " << layer.name << " " << to_string(layer.routing) << " " << layer.heads << "\n";
    }
  }
}

}  // namespace
}  // namespace roundtrip::simulate
