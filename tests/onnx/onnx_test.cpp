// Graphs of models, run by ONNX Runtime (tests/onnx/run.mjs) and numpy (examples/run_exported.py): rows as our own engine
// gives them, all numbers of them, and other rows where something of the model is another.
#include "roundtrip/anna/files/onnx.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <regex>
#include <set>

#include "roundtrip/anna/attention/softmax.h"
#include "roundtrip/anna/files/model_file.h"
#include "roundtrip/anna/transformer/random_model.h"
#include "roundtrip/base/atomic_file.h"
#include "roundtrip/base/error.h"
#include "roundtrip/base/random.h"
#include "roundtrip/base/read_file.h"
#include "roundtrip/mpc/registry.h"
#include "roundtrip/simulate/native/hard_attention_k_hop.h"
#include "roundtrip/simulate/weights/program_weights.h"

namespace roundtrip::simulate {
namespace {

using mpc::Values;
using mpc::Word;
using Inputs = std::vector<std::vector<Word>>;

std::vector<double> dense(const anna::Activations& rows) {
  std::vector<double> numbers(rows.tokens() * rows.dimension(), 0);
  for (std::uint64_t token = 0; token < rows.tokens(); ++token) {
    for (const anna::Entry& entry : rows.row(token).entries)
      numbers[token * rows.dimension() + entry.column] = entry.value;
  }
  return numbers;
}

void append(std::string& bytes, const std::vector<double>& numbers) {
  bytes.append(reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(double));
}

std::vector<double> evaluate(const anna::Model& model, const std::vector<Word>& words) {
  return dense(anna::evaluate(model, input_activations(words, model.transformer.tokens)));
}

/// Runs of models, in files of a folder that is removed at the end.
class Jobs {
 public:
  Jobs() : folder_(::testing::TempDir() + "onnx_" + std::to_string(::getpid())) {
    std::filesystem::create_directories(folder_);
  }
  ~Jobs() { std::filesystem::remove_all(folder_); }

  /// The name of a file of inputs and of the rows that `expected` gives for them.
  std::string rows(const anna::Model& expected, const Inputs& inputs) {
    const std::string path = fresh();
    std::string rows, rows_out;
    for (const std::vector<Word>& words : inputs) {
      append(rows, dense(input_activations(words, expected.transformer.tokens)));
      append(rows_out, evaluate(expected, words));
    }
    write_whole(path + ".rows", rows);
    write_whole(path + ".rows_out", rows_out);
    return path;
  }
  /// `model` shall run on them.
  void add(const std::string& name, const anna::Model& model, const std::string& rows,
           anna::OnnxNumbers numbers = anna::OnnxNumbers::kFloat64) {
    const std::string path = fresh();
    anna::save_onnx(model, path + ".onnx", numbers);
    anna::save_model(model, path + ".json");
    list_.push_back({{"path", path},
                     {"rows", rows},
                     {"tokens", model.transformer.tokens},
                     {"columns", model.transformer.input_dimension},
                     {"type", numbers == anna::OnnxNumbers::kFloat32 ? "float32" : "float64"}});
    names.push_back(name);
  }
  /// The model shall give its own rows.
  void add(const std::string& name, const anna::Model& model, const Inputs& inputs) {
    const std::string path = rows(model, inputs);
    add(fmt::format("{}, {} inputs", name, inputs.size()), model, path);
    if (anna::fits_float32(model)) add(name + ", float32", model, path, anna::OnnxNumbers::kFloat32);
  }

  /// How many inputs of each job give other rows.
  std::vector<std::uint64_t> run_onnx() const {
    return run("node " PROJECT_FOLDER "/tests/onnx/run.mjs " PROJECT_FOLDER "/build/onnx",
               "needs node (Debian: npm) and tests/onnx/setup.sh");
  }
  std::vector<std::uint64_t> run_numpy() const {
    return run(ROUNDTRIP_PYTHON " -B " ROUNDTRIP_TEST_SOURCES "/run_numpy.py " PROJECT_FOLDER "/examples",
               "needs python3 with numpy (Debian: python3-numpy)");
  }

  std::vector<std::string> names;

 private:
  std::string fresh() { return fmt::format("{}/{}", folder_, files_++); }
  std::vector<std::uint64_t> run(const std::string& command, const char* needs) const {
    write_whole(folder_ + "/jobs", list_.dump());
    const std::string out = folder_ + "/different";
    std::vector<std::uint64_t> different;
    if (std::system((command + " " + folder_ + "/jobs > " + out).c_str()) == 0)
      different = nlohmann::json::parse(read_whole(out)).get<std::vector<std::uint64_t>>();
    EXPECT_EQ(different.size(), names.size()) << needs;
    different.resize(names.size());
    return different;
  }

  std::string folder_;
  std::uint64_t files_ = 0;
  nlohmann::json list_ = nlohmann::json::array();
};

std::vector<const mpc::ProtocolInfo*> programs() {
  std::vector<const mpc::ProtocolInfo*> all;
  for (const mpc::ProtocolInfo* info : mpc::all_protocols()) {
    if (info->program == info->name) all.push_back(info);
  }
  return all;
}

std::unique_ptr<const mpc::Protocol> make(const mpc::ProtocolInfo& info, std::uint64_t n) {
  mpc::Parameters parameters;
  parameters.n = n;
  return info.make(parameters);
}

anna::Model model_of(const mpc::Protocol& protocol) {
  return compile_to_weights(dynamic_cast<const mpc::Program&>(protocol)).model;
}

/// Those that an implementation gets wrong first.
std::vector<Values> nasty(const mpc::ProtocolInfo& info, const mpc::Shape& shape) {
  const auto n = static_cast<std::int64_t>(shape.n);
  std::vector<Values> all;
  const auto add = [&](const std::function<std::int64_t(std::int64_t)>& value_of) {
    Values values;
    for (std::int64_t i = 0; i < n; ++i) values.push_back(value_of(i));
    all.push_back(std::move(values));
  };
  if (info.name.starts_with("list_ranking")) {                    // the element after, -1 for none
    add([&](std::int64_t i) { return i + 1 < n ? i + 1 : -1; });  // one list
    add([](std::int64_t i) { return i - 1; });
    add([](std::int64_t) { return -1; });              // all single
    add([&](std::int64_t i) { return (i + 1) % n; });  // cycles
    add([](std::int64_t i) { return i ^ 1; });
    add([](std::int64_t i) { return i; });
  } else if (!info.generate) {
    const std::int64_t least = -(std::int64_t{1} << (shape.input_bits - 1)), largest = -least - 1;
    for (const std::int64_t value : {least, std::int64_t{-1}, std::int64_t{0}, std::int64_t{1}, largest})
      add([=](std::int64_t) { return value; });
    add([=](std::int64_t i) { return least + i; });  // sorted, and its reverse
    add([=](std::int64_t i) { return largest - i; });
    add([=](std::int64_t i) { return i % 2 == 0 ? least : largest; });
    for (const std::int64_t place : {std::int64_t{0}, n / 2, n - 1}) {
      add([=](std::int64_t i) { return i == place ? largest : 0; });
      add([=](std::int64_t i) { return i == place ? least : 0; });
    }
  }
  return all;
}

Inputs inputs_of(const mpc::ProtocolInfo& info, const mpc::Protocol& protocol, std::uint64_t random) {
  const mpc::Shape& shape = protocol.shape();
  std::vector<Values> all = nasty(info, shape);
  mpc::Parameters parameters;
  parameters.n = shape.n;
  for (std::uint64_t seed = 0; seed < random; ++seed) {
    parameters.seed = seed;
    if (info.generate) {
      all.push_back(info.generate(parameters));
      continue;
    }
    RandomStream stream(seed, Domain::kTest);
    const std::uint64_t range = std::uint64_t{1} << (seed % 2 == 0 ? shape.input_bits : 2);
    if (info.accept) {  // words from 0 to N - 1
      Values& numbers = all.emplace_back();
      for (std::uint64_t i = 0; i < shape.n; ++i)
        numbers.push_back(static_cast<std::int64_t>(stream.below(seed % 2 == 0 ? shape.n : 3)));
      continue;
    }
    Values& values = all.emplace_back();
    for (std::uint64_t i = 0; i < shape.n; ++i)
      values.push_back(static_cast<std::int64_t>(stream.below(range)) - static_cast<std::int64_t>(range / 2));
  }
  Inputs inputs;
  for (const Values& values : all) {
    try {
      if (info.accept) info.accept(values, parameters);
    } catch (const ContractError&) {  // not an input of this protocol
      continue;
    }
    std::vector<Word>& words = inputs.emplace_back();
    for (const std::int64_t value : values) words.push_back(mpc::encode_input(value, shape, "a value"));
  }
  return inputs;
}

Inputs random_inputs(std::uint64_t n, std::uint64_t symbols, std::uint64_t count) {
  Inputs inputs(count);
  for (std::uint64_t i = 0; i < count; ++i) {
    RandomStream stream(i, Domain::kTest);
    for (std::uint64_t t = 0; t < n; ++t) inputs[i].push_back(stream.below(symbols - i % symbols));
  }
  return inputs;
}

void expect_equal_rows(const Jobs& jobs) {
  const std::vector<std::uint64_t> onnx = jobs.run_onnx(), numpy = jobs.run_numpy();
  for (std::size_t job = 0; job < jobs.names.size(); ++job) {
    std::cout << jobs.names[job] << ": " << onnx[job] << " differ in ONNX Runtime, " << numpy[job]
              << " in numpy\n";
    EXPECT_EQ(onnx[job], 0u) << jobs.names[job];
    EXPECT_EQ(numpy[job], 0u) << jobs.names[job];
  }
}

/// Numbers of the dense matrices of a graph.
std::uint64_t constants(const anna::Model& model) {
  std::set<const anna::Layer*> seen;
  std::uint64_t numbers = 0;
  const auto add = [&](const anna::WeightMap& map) {
    for (const anna::Stage& stage : map) numbers += std::uint64_t{stage.inputs} * stage.outputs;
  };
  for (const auto& layer : model.transformer.layers) {
    if (!seen.insert(layer.get()).second) continue;
    const auto& weights = dynamic_cast<const anna::WeightLayer&>(*layer).weights();
    for (const anna::HeadMaps& head : weights.heads) add(head.query), add(head.key), add(head.value);
    add(weights.output);
  }
  return numbers;
}

/// Programs whose graphs have at most so many constants: all at N = 16, and what is left out is said.
void expect_programs_equal(std::uint64_t random, std::uint64_t random_256, std::uint64_t most_constants) {
  Jobs jobs;
  for (const mpc::ProtocolInfo* info : programs()) {
    for (const std::uint64_t n : {16, 64, 256}) {
      const auto protocol = make(*info, n);
      const anna::Model model = model_of(*protocol);
      EXPECT_EQ(anna::fits_float32(model), weight_facts(model).float32) << info->name;
      if (constants(model) > most_constants) {
        EXPECT_GT(n, 16u) << info->name;
        std::cout << info->name << " N " << n << ": left out, " << constants(model) << " constants\n";
        continue;
      }
      jobs.add(fmt::format("{} N {}", info->name, n), model,
               inputs_of(*info, *protocol, n == 256 ? random_256 : random));
    }
  }
  expect_equal_rows(jobs);
}

TEST(Onnx, RuntimesGiveTheRowsOfTheEngine) {
  expect_programs_equal(12, 2, 3'000'000);
}

TEST(Long, RuntimesGiveTheRowsOfTheEngine) {
  expect_programs_equal(1000, 100, 60'000'000);
}

// Causal masks; and stages with fractional bits, limits for both signs, and heads that look everywhere. With 2^6 tokens:
// equal weights are powers of two, so that averages that are a half exactly are so in every runtime.
TEST(Onnx, RuntimesGiveTheRowsOfOtherModels) {
  Jobs jobs;
  jobs.add("native k_hop, k 8", hard_attention_k_hop_model("softmax", {.n = 100, .k = 8, .symbols = 10}),
           random_inputs(100, 10, 50));
  for (const double scale : {0.01, 0.25}) {
    jobs.add(fmt::format("random model, scale {}", scale),
             anna::make_random_model(anna::RandomModel::parse("random:L=3,H=3,d=5,m=3,w=4,seed=6"), 64,
                                     anna::Softmax{scale}),
             random_inputs(64, 60000, 20));
  }
  expect_equal_rows(jobs);
}

/// The model with other weights in a layer; none if those are refused.
std::optional<anna::Model> with(anna::Model model, std::size_t layer, anna::LayerWeights weights) {
  try {
    model.transformer.layers[layer] = std::make_shared<anna::WeightLayer>(std::move(weights));
    model.validate();
    return model;
  } catch (const ContractError&) {
    return std::nullopt;
  }
}

void change_weight(anna::Stage& stage, std::size_t at) {
  anna::SparseMatrix changed;
  for (std::size_t row = 0, k = 0; row < stage.weight.rows(); ++row) {
    for (std::size_t i = 0; i < stage.weight.columns(row).size(); ++i, ++k)
      changed.put(stage.weight.columns(row)[i], stage.weight.values(row)[i] + (k == at ? 1 : 0));
    changed.end_row();
  }
  stage.weight = changed;
}

void change_clamp(anna::Stage& stage, std::size_t at) {
  std::vector<std::int64_t> limits;
  for (std::size_t i = 0; i < stage.outputs; ++i) limits.push_back(stage.clamp[i]);
  limits[at] = std::max<std::int64_t>(limits[at] - 1, 0);
  stage.clamp = limits;
}

using Defects = std::vector<std::pair<std::string, anna::Model>>;

/// One of each kind that changes the rows of some input, where there is such a one.
Defects defects_of(const anna::Model& model, const Inputs& inputs) {
  std::map<std::string, anna::Model> found;
  const auto changes = [&](const anna::Model& changed) {
    try {
      return std::any_of(inputs.begin(), inputs.end(), [&](const std::vector<Word>& words) {
        return evaluate(changed, words) != evaluate(model, words);
      });
    } catch (const ContractError&) {  // rows leave their limits, which a graph does not have
      return false;
    }
  };
  const auto consider = [&](const std::string& kind, const std::optional<anna::Model>& changed) {
    if (changed && !found.contains(kind) && changes(*changed)) found.emplace(kind, *changed);
  };
  anna::Model warm = model;
  warm.mechanisms.assign(model.mechanisms.size(), anna::Softmax{12});
  consider("beta 12", warm);
  for (std::size_t l = 0; l < model.transformer.depth(); ++l) {
    anna::Model missing = model;
    const auto at = static_cast<std::ptrdiff_t>(l);
    missing.transformer.layers.erase(missing.transformer.layers.begin() + at);
    missing.mechanisms.pop_back();
    try {
      missing.validate();
      if (missing.transformer.layers.back()->shape().output_dimension ==
          model.transformer.layers.back()->shape().output_dimension)
        consider("a layer missing", missing);
    } catch (const ContractError&) {  // rows that do not fit the next layer
    }
    const anna::LayerWeights& weights =
        dynamic_cast<const anna::WeightLayer&>(*model.transformer.layers[l]).weights();
    const auto every = [&](const std::string& kind, anna::WeightMap anna::HeadMaps::*map, auto&& count,
                           auto&& change) {
      const anna::WeightMap& stages = map == nullptr ? weights.output : weights.heads[0].*map;
      for (std::size_t s = 0; s < stages.size(); ++s) {
        for (std::size_t i = 0; i < count(stages[s]) && !found.contains(kind); ++i) {
          anna::LayerWeights changed = weights;
          change((map == nullptr ? changed.output : changed.heads[0].*map)[s], i);
          consider(kind, with(model, l, std::move(changed)));
        }
      }
    };
    const auto weights_in = [](const anna::Stage& stage) { return stage.weight.nonzeros(); };
    const auto outputs_in = [](const anna::Stage& stage) { return std::size_t{stage.outputs}; };
    every("a weight", nullptr, weights_in, change_weight);
    every("a weight of a key", &anna::HeadMaps::key, weights_in, change_weight);
    every("a bias", nullptr, outputs_in, [](anna::Stage& stage, std::size_t i) { ++stage.bias[i]; });
    every(
        "a clamp", nullptr,
        [&](const anna::Stage& stage) { return stage.clamp ? outputs_in(stage) : std::size_t{0}; },
        change_clamp);
  }
  return {found.begin(), found.end()};
}

TEST(Onnx, DefectsAreSeen) {
  Jobs jobs;
  std::map<std::string, std::uint64_t> kinds;
  for (const mpc::ProtocolInfo* info : programs()) {
    const auto protocol = make(*info, 16);
    const anna::Model model = model_of(*protocol);
    const Inputs inputs = inputs_of(*info, *protocol, 20);
    const std::string rows = jobs.rows(model, inputs);
    for (const auto& [kind, changed] : defects_of(model, inputs)) {
      jobs.add(fmt::format("{}: {}", info->name, kind), changed, rows);
      ++kinds[kind];
    }
  }
  const std::vector<std::uint64_t> onnx = jobs.run_onnx(), numpy = jobs.run_numpy();
  for (std::size_t job = 0; job < jobs.names.size(); ++job) {
    std::cout << jobs.names[job] << ": " << onnx[job] << " differ in ONNX Runtime, " << numpy[job]
              << " in numpy\n";
    EXPECT_GT(onnx[job], 0u) << jobs.names[job];
    EXPECT_EQ(onnx[job], numpy[job]) << jobs.names[job];
  }
  for (const char* kind :
       {"beta 12", "a layer missing", "a weight", "a weight of a key", "a bias", "a clamp"})
    EXPECT_GT(kinds[kind], 0u) << "no program has this defect: " << kind;
}

// Other weights are another task: what runs the files knows none of them.
TEST(Onnx, RunnersNameNoProtocol) {
  for (const char* runner :
       {"/tests/onnx/run.mjs", "/tests/onnx/run_numpy.py", "/examples/run_exported.py"}) {
    const std::string text = read_whole(std::string(PROJECT_FOLDER) + runner);
    for (const mpc::ProtocolInfo* info : mpc::all_protocols()) {
      const std::regex name("(^|[^.\\w])" + info->name + "\\b");  // .sum() is numpy's
      EXPECT_FALSE(std::regex_search(text, name)) << runner << " has " << info->name;
    }
  }
}

}  // namespace
}  // namespace roundtrip::simulate
