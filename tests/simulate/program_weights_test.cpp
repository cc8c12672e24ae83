#include <gmock/gmock.h>

#include <iostream>
#include <map>

#include "roundtrip/anna/files/model_file.h"
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

/// Inputs at the borders: nothing but the least word, the largest, both in turn, in order and against it; of what words must
/// be positions or followers, as far as they may.
std::vector<Values> nasty(const Case& program) {
  const auto n = static_cast<std::int64_t>(program.parameters.n);
  const std::int64_t half = std::int64_t{1} << (program.protocol->shape().input_bits - 1);
  std::vector<Values> all;
  const auto add = [&](auto value) {
    Values values;
    for (std::int64_t i = 0; i < n; ++i) values.push_back(value(i));
    try {
      if (program.info.accept) program.info.accept(values, program.parameters);
      all.push_back(std::move(values));
    } catch (const ContractError&) {  // not an input of this protocol
    }
  };
  const std::int64_t least = -half, largest = half - 1;
  add([](std::int64_t) { return 0; });
  add([](std::int64_t) { return -1; });
  add([](std::int64_t) { return 1; });
  add([=](std::int64_t) { return least; });
  add([=](std::int64_t) { return largest; });
  add([=](std::int64_t i) { return i % 2 == 0 ? least : largest; });
  add([=](std::int64_t i) { return std::min(i, largest); });
  add([=](std::int64_t i) { return std::min(n - 1 - i, largest); });
  add([=](std::int64_t i) { return i + 1 < n ? i + 1 : -1; });  // one list
  add([=](std::int64_t i) { return (i + 1) % n; });             // a cycle
  add([=](std::int64_t i) { return i - 1; });                   // a list backwards
  add([=](std::int64_t i) { return i % 2 == 0 && i + 1 < n ? i + 1 : std::int64_t{-1}; });  // pairs
  add([=](std::int64_t i) { return i; });  // everyone follows himself
  add([=](std::int64_t i) { return i == n / 2 ? largest : least; });
  return all;
}

TEST(ProgramWeights, NastyInputs) {
  for (const std::string& name : programs()) {
    for (const std::uint64_t n : {16, 64}) {
      const Case program(name, n);
      const std::vector<Values> inputs = nasty(program);
      EXPECT_GE(inputs.size(), 4u) << name;
      for (const Values& values : inputs) program.check(values);
    }
  }
}

TEST(ProgramWeights, EveryInputOfFourWords) {
  for (const std::string& name : programs()) {
    for (const std::uint64_t n : {1, 2, 3, 4}) {
      if (!serves(name, n)) continue;
      const Case program(name, n);
      for (std::uint64_t code = 0; code < std::uint64_t{1} << (2 * n); ++code) {
        Values values;
        for (std::uint64_t i = 0; i < n; ++i)
          values.push_back(static_cast<std::int64_t>(code >> (2 * i) & 3) - 1);
        try {
          if (program.info.accept) program.info.accept(values, program.parameters);
        } catch (const ContractError&) {
          continue;
        }
        program.check(values);
      }
    }
  }
}

TEST(ProgramWeights, TheirFilesGiveTheSameRows) {
  for (const std::string& name : programs()) {
    Case program(name, 16);
    const anna::ModelFiles files = anna::write_model(program.weights.model, "w");
    const anna::Model again =
        anna::parse_model(
            files.description, "m.json", [&](const std::string&) { return files.weights; }, nullptr)
            .model;
    const WeightFacts facts = weight_facts(program.weights.model), read = weight_facts(again);
    EXPECT_EQ(facts.distinct_layers, read.distinct_layers) << name;
    EXPECT_EQ(facts.nonzeros, read.nonzeros) << name;
    const anna::Activations input =
        input_activations(program.words_of(program.random(5)), again.transformer.tokens);
    EXPECT_EQ(anna::evaluate(again, input), anna::evaluate(program.weights.model, input)) << name;
  }
}

/// Words that say where they go: machine, plus 1, times 8, and a number of 1 .. 7. Machine m's slots are its outputs.
class OneRoutedRound final : public mpc::Program {
 public:
  OneRoutedRound(std::uint32_t machines, std::uint32_t slots) : Program(shape_of(machines, slots)) {
    std::vector<Addressed> records;
    for (std::uint32_t i = 0; i < slots; ++i) {
      const mpc::Affine address = tape().floor_shift(received(i), 3);
      records.push_back({{address, machines}, {{received(i) - 8 * address, 7}}});
    }
    send_routed("route", records, slots);
    std::vector<Value> words;
    for (std::uint32_t i = 0; i < slots; ++i) words.push_back({received(i), 7});
    deliver(
        words, [slots](mpc::MachineId) { return slots; },
        [slots](mpc::MachineId m, std::uint32_t i) { return m * slots + i; });
  }

 private:
  static mpc::Shape shape_of(std::uint32_t machines, std::uint32_t slots) {
    mpc::Shape shape;
    shape.n = shape.outputs = std::uint64_t{machines} * slots;
    shape.block_words = shape.memory_words = slots;
    shape.kappa_s = 1;
    shape.machines = machines;
    shape.input_bits = shape.word_bits = 8;
    return shape;
  }
};

TEST(RoutedWords, ArriveWhateverTheirMachines) {
  const std::pair<std::uint32_t, std::uint32_t> sizes[] = {{2, 3}, {3, 5}, {4, 16}, {8, 16}, {5, 7}};
  for (const auto& [machines, slots] : sizes) {
    const OneRoutedRound program(machines, slots);
    const ProgramWeights weights = compile_to_weights(program);
    EXPECT_EQ(weights.bound.depth, program.shape().rounds + 2u);
    EXPECT_LE(weight_facts(weights.model).nonzeros, 20000u);
    RandomStream stream(machines, Domain::kTest);
    for (std::uint64_t trial = 0; trial < 40; ++trial) {
      // Full loads, in patterns that concentrate, and half of the time words that go nowhere.
      std::vector<std::uint64_t> destinations;
      for (std::uint64_t i = 0; i < std::uint64_t{machines} * slots; ++i)
        destinations.push_back(i % machines + 1);
      if (trial % 4 == 1) std::ranges::sort(destinations);
      if (trial % 4 >= 2) {
        for (std::size_t i = destinations.size(); i-- > 1;)
          std::swap(destinations[i], destinations[stream.below(i + 1)]);
      }
      std::vector<Word> words;
      for (const std::uint64_t destination : destinations)
        words.push_back(8 * (trial % 2 == 1 && stream.below(2) == 0 ? 0 : destination) + 1 + stream.below(7));
      const std::vector<Word> expected = mpc::run(program, words, *mpc::make_in_process_transport()).outputs;
      const OutputWords outputs = read_outputs(
          anna::evaluate(weights.model, input_activations(words, weights.model.transformer.tokens)),
          expected.size());
      EXPECT_THAT(outputs.faulty, ::testing::IsEmpty());
      EXPECT_EQ(outputs.words, expected);
    }
    // One word too many for a machine, among others: no output has a word.
    std::vector<Word> words(std::size_t{machines} * slots, 8 * 2 + 3);
    for (std::size_t i = 0; i < words.size(); ++i)
      words[i] = 8 * (i <= slots ? 1 : i % (machines - 1) + 2) + 1;
    EXPECT_ANY_THROW((void)mpc::run(program, words, *mpc::make_in_process_transport()));
    const OutputWords outputs = read_outputs(
        anna::evaluate(weights.model, input_activations(words, weights.model.transformer.tokens)),
        words.size());
    EXPECT_EQ(outputs.faulty.size(), words.size());
    EXPECT_THAT(outputs.reasons, ::testing::Each(FaultKind::kUndecodable));
  }
}

TEST(AddressedWords, OfTwoSendersAreAFault) {
  for (const std::uint64_t n : {16, 64}) {
    const Case program("list_ranking_program", n);
    for (const std::uint64_t other : {std::uint64_t{1}, n / 2, n - 1}) {
      Values values(n, -1);
      values[0] = values[other] = 3;  // both are followed by element 3
      EXPECT_ANY_THROW(program.run(program.words_of(values)));
      const OutputWords outputs = program.evaluate(program.words_of(values));
      EXPECT_EQ(outputs.faulty.size(), n) << other;
      EXPECT_THAT(outputs.reasons, ::testing::Each(FaultKind::kUndecodable));
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
