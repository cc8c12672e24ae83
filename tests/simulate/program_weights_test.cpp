#include <gmock/gmock.h>

#include <map>

#include "roundtrip/anna/files/model_file.h"
#include "roundtrip/base/error.h"
#include "roundtrip/base/fixed_point.h"
#include "roundtrip/base/random.h"
#include "roundtrip/mpc/registry.h"
#include "roundtrip/mpc/runtime.h"
#include "roundtrip/mpc/transport.h"
#include "roundtrip/simulate/weights/program_weights.h"
#include "roundtrip/simulate/weights/routing.h"

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
    if (machines == 8) {
      EXPECT_LE(weight_facts(weights.model).nonzeros, 15'000u);  // a routed round of 16 words a machine
    }
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

TEST(RoutedWords, AreFewWeights) {
  const OneRoutedRound program(8, 112);
  EXPECT_LE(weight_facts(compile_to_weights(program).model).nonzeros, 120'000u);
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

/// Every tape of every program, those of routing included, on rows that no run has: what the record computes, the matrices do.
void compare_on_malformed_rows(std::uint64_t rows) {
  for (const std::string& name : programs()) {
    const Case program(name, 16);
    RandomStream stream(rows, Domain::kTest);
    for (const WeightRound& step : without_routing(dynamic_cast<const mpc::Program&>(*program.protocol))) {
      const mpc::Program::Round& round = step.round;
      std::vector<mpc::Program::Out> outs = round.keep;
      outs.insert(outs.end(), round.words.begin(), round.words.end());
      for (const mpc::Program::List& list : round.lists) {
        outs.push_back(list.address);
        outs.insert(outs.end(), list.words.begin(), list.words.end());
      }
      for (const mpc::Tape::Expression& loss : step.losses) outs.push_back({loss, 1});
      if (outs.empty()) continue;
      const anna::WeightMap map = compile_tape(round.tape, outs, round.active);
      const std::uint32_t inputs = round.tape.inputs(), digits = map[0].inputs - inputs;
      std::vector<std::int64_t> wires(round.tape.wires());
      for (std::uint64_t row = 0; row < rows; ++row) {
        const std::uint64_t kind = stream.below(4);
        for (std::uint32_t i = 0; i < inputs; ++i)
          wires[i] = static_cast<std::int64_t>(
              kind == 0 ? stream.below(3) : stream.below(std::uint64_t{1} << stream.below(6 * kind + 2)));
        const auto machine = static_cast<mpc::MachineId>(stream.below(round.active));
        std::vector<std::int64_t> x(wires.begin(), wires.begin() + inputs);
        for (std::uint32_t d = 0; d < digits; ++d) x.push_back(machine >> d & 1);
        round.tape.evaluate(machine, wires);
        for (const anna::Stage& stage : map) {
          std::vector<std::int64_t> y(stage.bias);
          for (std::size_t i = 0; i < y.size(); ++i) {
            for (std::size_t k = 0; k < stage.weight.columns(i).size(); ++k)
              y[i] += stage.weight.values(i)[k] * x[stage.weight.columns(i)[k]];
            y[i] = drop_bits(y[i], stage.weight_fraction_bits);
            if (stage.relu) y[i] = std::max<std::int64_t>(y[i], 0);
            if (stage.clamp) y[i] = std::min(y[i], stage.clamp[i]);
          }
          x = std::move(y);
        }
        for (std::size_t i = 0; i < outs.size(); ++i) {
          const std::int64_t expected =
              std::clamp<std::int64_t>(round.tape.value(outs[i].value, wires), 0, outs[i].limit);
          ASSERT_EQ(x[i], expected) << name << ", " << round.name << ", output " << i << ", machine "
                                    << machine;
        }
      }
    }
  }
}

TEST(ProgramWeights, MalformedRowsAreComputedAlike) {
  compare_on_malformed_rows(300);
}
TEST(ProgramWeightsLong, MalformedRowsAreComputedAlike) {
  compare_on_malformed_rows(100'000);
}

TEST(ProgramWeightsLong, ThousandInputs) {
  for (const std::string& name : programs()) {
    for (const std::uint64_t n : {16, 64}) {
      Case program(name, n);
      for (std::uint64_t seed = 0; seed < 1000; ++seed) program.check(program.random(seed));
    }
  }
}

TEST(ProgramWeights, ShareLayersThatAreEqual) {
  const auto distinct = [](const std::string& name, std::uint64_t n,
                           std::map<std::string, std::string> options) {
    return weight_facts(Case(name, n, std::move(options)).weights.model).distinct_layers;
  };
  EXPECT_EQ(distinct("list_ranking_program", 16, {}), distinct("list_ranking_program", 256, {}));
  EXPECT_EQ(distinct("list_ranking_routed_program", 16, {}), distinct("list_ranking_routed_program", 64, {}));
  EXPECT_EQ(distinct("prefix_scan_program", 64, {{"way", "doubling"}}),
            distinct("prefix_scan_program", 1024, {{"way", "doubling"}}));
}

}  // namespace
}  // namespace roundtrip::simulate
