// Model files: what is saved is loaded, what another program computes from them is the same, what is broken
// is refused by the name of its place.
#include "roundtrip/anna/files/model_file.h"
#include "anna/sparse_sample.h"
#include "roundtrip/anna/transformer/random_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "roundtrip/base/atomic_file.h"
#include "roundtrip/base/error.h"
#include "roundtrip/base/read_file.h"

namespace roundtrip::anna {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

// A folder of this process alone (the sanitizer's build of this test runs at the same time), removed at the
// end.
class Folder {
 public:
  Folder() : path_(::testing::TempDir() + "model_file_" + std::to_string(::getpid())) {
    std::filesystem::create_directories(path_);
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

Model sample(const Mechanism& mechanism = ExactMatch{},
             const char* name = "random:L=2,H=3,d=5,m=3,w=4,seed=6", std::uint64_t tokens = 40) {
  return make_random_model(RandomModel::parse(name), tokens, mechanism);
}

Activations input_of(const Model& model) {
  const bool words = model.transformer.input_dimension == 2;
  Activations array = Activations::with_dimension(model.transformer.input_dimension);
  for (const std::uint64_t word : random_words(RandomModel(), model.transformer.tokens)) {
    array.append_row(std::vector<Entry>{{0, 1}, {1, static_cast<double>(words ? word : word % 100)}});
  }
  return array;
}

void expect_equal(const Model& a, const Model& b) {
  EXPECT_EQ(a.transformer.tokens, b.transformer.tokens);
  EXPECT_EQ(a.transformer.input_dimension, b.transformer.input_dimension);
  EXPECT_EQ(a.mechanisms, b.mechanisms);
  EXPECT_EQ(a.protocol, b.protocol);
  ASSERT_EQ(a.transformer.layers.size(), b.transformer.layers.size());
  for (std::size_t l = 0; l < a.transformer.layers.size(); ++l) {
    EXPECT_EQ(dynamic_cast<const WeightLayer&>(*a.transformer.layers[l]).weights(),
              dynamic_cast<const WeightLayer&>(*b.transformer.layers[l]).weights());
  }
}

std::string message_of(const std::function<void()>& body) {
  try {
    body();
  } catch (const ContractError& error) {
    std::string message = error.what();
    EXPECT_EQ(message.find_first_of("\n\r\x1b"), std::string::npos) << message;
    EXPECT_LT(message.size(), 500u) << message;
    return message;
  }
  return "accepted";
}

LoadedModel parse(const std::string& description, const std::string& weights,
                  const Resolver& resolver = nullptr) {
  return parse_model(
      description, "m.json", [&](const std::string&) { return weights; }, resolver);
}

TEST(ModelFile, EveryMechanismIsSavedAndLoaded) {
  const Folder folder;
  const std::string path = folder / "m.json";
  Anna anna;
  anna.parameters.tables = 77;
  anna.parameters.functions = 13;
  anna.parameters.seed = UINT64_MAX;
  anna.near_radius = std::sqrt(2.0) / 8;
  anna.factor = 8;
  std::vector<Mechanism> all{anna};
  for (const MechanismInfo* info : mechanisms()) {
    const std::vector<Mechanism> samples = info->samples();
    ASSERT_FALSE(samples.empty()) << info->name;
    for (const Mechanism& mechanism : samples) {
      EXPECT_EQ(&mechanism.info(), info);
      all.push_back(mechanism);
    }
  }
  for (const Mechanism& mechanism : all) {
    Model model = sample(mechanism);
    model.mechanisms[0] = LowRank{};
    save_model(model, path);
    const LoadedModel loaded = load_model(path);
    expect_equal(model, loaded.model);
    EXPECT_EQ(loaded.largest_rounding, 0);
  }
}

// The table of mechanisms has every one of the registry, and no other.
TEST(ModelFile, TheDocsListEveryMechanism) {
  const std::string page = read_whole(ROUNDTRIP_TEST_SOURCES "/../../docs/attention.md");
  std::vector<std::string> names;
  for (std::size_t row = page.find("\n| "); row != std::string::npos; row = page.find("\n| ", row + 1)) {
    const std::size_t end = page.find(" | ", row);  // of the first cell
    const std::size_t begin = page.find('`', row);
    if (begin < end) names.push_back(page.substr(begin + 1, page.find('`', begin + 1) - begin - 1));
    if (page.find("\n\n", row) < page.find("\n| ", row + 1)) break;  // the end of the first table
  }
  EXPECT_THAT(names, testing::UnorderedElementsAreArray(mechanism_names()));
}

TEST(ModelFile, ALoadedModelEvaluatesAsTheSavedOne) {
  const Folder folder;
  std::vector<Activations> rows;
  for (const MechanismInfo* info : mechanisms()) {
    const Model model = sample(info->samples().back());
    save_model(model, folder / "m.json");
    rows.push_back(evaluate(model, input_of(model)));
    EXPECT_EQ(evaluate(load_model(folder / "m.json").model, input_of(model)), rows.back());
    EXPECT_EQ(std::count(rows.begin(), rows.end(), rows.back()), 1) << "a mechanism that makes no difference";
  }
}

TEST(ModelFile, NumpyComputesTheSameRowsFromTheFiles) {
  const Folder folder;
  for (const Model& model :
       {sample(), sample(ExactMatch{}, "random:L=3,H=2,seed=8"), sample(Softmax{0.004}), sparse_sample()}) {
    save_model(model, folder / "m.json");
    const Activations input = input_of(model);
    const auto to_json = [](const Activations& array) {
      json rows = json::array();
      for (std::uint64_t token = 0; token < array.tokens(); ++token) {
        rows.push_back(json::array());
        for (std::uint32_t column = 0; column < array.dimension(); ++column) {
          rows.back().push_back(static_cast<std::int64_t>(array.row(token)[column]));
        }
      }
      return rows;
    };
    write_whole(folder / "in", to_json(input).dump());
    const std::string command = std::string(ROUNDTRIP_PYTHON) +
                                " -B " ROUNDTRIP_TEST_SOURCES "/evaluate_model.py " + (folder / "m.json") +
                                " < " + (folder / "in") + " > " + (folder / "out");
    ASSERT_EQ(std::system(command.c_str()), 0) << "needs python3 with numpy (Debian: python3-numpy)";
    EXPECT_EQ(json::parse(read_whole(folder / "out")), to_json(evaluate(model, input)));
  }
}

// One layer, one head, one column: query, key, value and output are the row. Tensors as another program names
// and types them.
json tiny_description() {
  const auto stage = [](const char* weight) {
    return json::array(
        {{{"weight", weight}, {"weight_fraction_bits", 8}, {"output_fraction_bits", 0}, {"relu", false}}});
  };
  return {{"schema", "roundtrip-model"},
          {"version", 1},
          {"tokens", 3},
          {"input_dimension", 1},
          {"maps", {{"kind", "weights"}, {"file", "w.safetensors"}}},
          {"layers",
           {{{"heads", 1},
             {"query_dimension", 1},
             {"value_dimension", 1},
             {"output_dimension", 1},
             {"mechanism", {{"kind", "ema"}}},
             {"weights",
              {{"row_limit", 100},
               {"row_fraction_bits", 0},
               {"position_digits", 0},
               {"position_base", 2},
               {"heads", {{{"query", stage("q")}, {"key", stage("k")}, {"value", stage("v")}}}},
               {"output", stage("o")}}}}}}};
}

std::string tiny_weights(const std::vector<float>& numbers = {1, 1, 1.25f, 0, 1}) {
  static_assert(sizeof(float) == 4);
  const auto at = [&](std::size_t i, std::size_t count) {
    return std::string_view(reinterpret_cast<const char*>(numbers.data() + i), count * sizeof(float));
  };
  return write_safetensors({{"q", {Dtype::kF32, {1, 1}, at(0, 1)}},
                            {"k", {Dtype::kF32, {1, 1}, at(1, 1)}},
                            {"v", {Dtype::kF32, {1, 1}, at(2, 1)}},
                            {"o", {Dtype::kF32, {1, 2}, at(3, 2)}},
                            {"more", {Dtype::kF32, {1}, at(0, 1)}},
                            {"empty", {Dtype::kF32, {0, 1}, at(0, 0)}}});
}

TEST(ModelFile, FloatingPointWeightsAreRoundedAtTheDoorWithTheErrorStated) {
  const LoadedModel exact = parse(tiny_description().dump(), tiny_weights());
  EXPECT_EQ(exact.largest_rounding, 0);
  Activations input = Activations::with_dimension(1);
  for (const double number : {4, 4, -8}) input.append_row(std::vector<Entry>{{0, number}});
  const Activations out = evaluate(exact.model, input);
  EXPECT_EQ(out.row(0)[0], 5);
  EXPECT_EQ(out.row(2)[0], -10);
  const LoadedModel rounded = parse(tiny_description().dump(), tiny_weights({1, 1, 0.1f, 0, 1}));
  EXPECT_EQ(rounded.largest_rounding, std::fabs(26.0 / 256 - double{0.1f}));
  const auto& layer = dynamic_cast<const WeightLayer&>(*rounded.model.transformer.layers[0]);
  EXPECT_EQ(layer.weights().heads[0].value[0].weight(0, 0), 26);
  EXPECT_EQ(layer.weights().heads[0].value[0].bias, std::vector<std::int64_t>{0});
  for (const float bad : {NAN, INFINITY, -INFINITY, 1e30f}) {
    EXPECT_THAT(message_of([&] {
                  parse(tiny_description().dump(), tiny_weights({1, 1, bad, 0, 1}));
                }),
                HasSubstr("layers[0].weights.heads[0].value[0].weight has"));
  }
  EXPECT_THAT(message_of([&] {
                parse(tiny_description().dump(), tiny_weights({1, 1, 3.6e13f, 0, 1}));
              }),
              HasSubstr("does not fit 53 bits with 8 fractional bits"));
}

TEST(ModelFile, EveryFieldIsCheckedAndNamed) {
  const auto with = [](const std::string& pointer, const json& value) {
    json description = tiny_description();
    description[json::json_pointer(pointer)] = value;
    return message_of([&] { parse(description.dump(), tiny_weights()); });
  };
  ASSERT_EQ(with("/tokens", 3), "accepted");
  struct Case {
    const char* pointer;
    json value;
    const char* message;
  };
  const char* w = "/layers/0/weights";
  const Case cases[] = {
      {"/schema", "other", "schema is not 'roundtrip-model'"},
      {"/version", 3, "version is 3; allowed are whole numbers 1 .. 2"},
      {"/input_dimension", 1 << 21, "input_dimension is 2097152; allowed are whole numbers 1 .. 1048576"},
      {"/tokens", 0, "tokens is 0"},
      {"/tokens", -1, "tokens is -1"},
      {"/tokens", 1.5, "tokens is 1.5"},
      {"/tokens", 1e300, "tokens is 1e+300"},
      {"/tokens", "3", "tokens is '3'"},
      {"/tokens", nullptr, "tokens is null"},
      {"/tokens", json::array(), "tokens is a list"},
      {"/input_dimension", 2, "layers[0] head 0 query map stage 0 takes 1 numbers; it is given 2"},
      {"/maps", 3, "maps is 3; an object is needed"},
      {"/maps/kind", "tables", "maps.kind is 'tables'; allowed are weights and protocol"},
      {"/maps/file", "../w.safetensors", "maps.file is '../w.safetensors'"},
      {"/maps/file", "", "maps.file is ''"},
      {"/maps/file", "..", "maps.file is '..'"},
      {"/maps/file", std::string("a\0b", 3), "maps.file is 'a\\x00b'"},
      {"/maps/fiel", "x", "maps has the unknown field 'fiel'; nearest is 'file'"},
      {"/maps/xxh3", "0123456789abcdef",
       "maps.xxh3 is '0123456789abcdef'; the bytes of 'w.safetensors' have"},
      {"/layers", 7, "layers is 7; a list is needed"},
      {"/layers/0", 7, "layers[0] is 7; an object is needed"},
      {"/layers/0/heads", 2, "layers[0].heads is 2; the maps have 1"},
      {"/layers/0/heads", 0, "layers[0].heads is 0"},
      {"/layers/0/query_dimension", 2, "layers[0].query_dimension is 2; the maps have 1"},
      {"/layers/0/value_dimension", 2, "layers[0].value_dimension is 2"},
      {"/layers/0/output_dimension", 2, "layers[0].output_dimension is 2"},
      {"/layers/0/extra", 2, "layers[0] has the unknown field 'extra'"},
      {"/layers/0/mechanism", {{"kind", "magic"}}, "layers[0].mechanism.kind is 'magic'"},
      {"/layers/0/mechanism", {{"kind", "ema"}, {"seed", 1}}, "unknown field 'seed'"},
      {"/layers/0/mechanism", {{"kind", "anna"}}, "layers[0].mechanism lacks the field 'family'"},
      {"/layers/0/mechanism",
       {{"kind", "anna"}, {"family", "hyperplane"}, {"tables", 0}, {"functions", 1}, {"seed", 1}},
       "layers[0].mechanism.tables is 0"},
      {"/layers/0/mechanism",
       {{"kind", "anna"}, {"family", "hyperplane"}, {"tables", 1}, {"functions", 1025}, {"seed", 1}},
       "layers[0].mechanism.functions is 1025"},
      {"/layers/0/mechanism",
       {{"kind", "anna"}, {"family", "hyperplane"}, {"tables", 1}, {"functions", 1}, {"seed", -1}},
       "layers[0].mechanism.seed is -1"},
      {"/layers/0/mechanism",
       {{"kind", "anna"}, {"family", "hyperplane"}, {"tables", 1}, {"functions", 1}, {"seed", 1}, {"r", 0}},
       "layers[0].mechanism.r is 0"},
      {"/layers/0/mechanism",
       {{"kind", "anna"}, {"family", "m\noons"}, {"tables", 1}, {"functions", 1}, {"seed", 1}},
       "layers[0].mechanism.family is 'm\\x0aoons'; allowed are hyperplane"},
      {"/layers/0/mechanism",
       {{"kind", "anna"}, {"family", "p-stable"}, {"tables", 1}, {"functions", 1}, {"seed", 1}},
       "layers[0].mechanism lacks the field 'width'"},
      {"/layers/0/mechanism",
       {{"kind", "anna"},
        {"family", "p-stable"},
        {"tables", 1},
        {"functions", 1},
        {"seed", 1},
        {"width", 1e300}},
       "layer 0: width is 1e+300"},
      {"/layers/0/mechanism",
       {{"kind", "anna"},
        {"family", "hyperplane"},
        {"tables", 1},
        {"functions", 1},
        {"seed", 1},
        {"rotations", 1}},
       "layers[0].mechanism.rotations is for the hadamard family only"},
      {"/layers/0/mechanism",
       {{"kind", "low_rank"}, {"rank", 0}, {"seed", 1}},
       "layers[0].mechanism.rank is 0"},
      {"/layers/0/mechanism", {{"kind", "softmax"}, {"scale", -1}}, "layers[0].mechanism.scale is -1"},
      {"/layers/0/mechanism",
       {{"kind", "softmax"}, {"scale", 1}, {"causal", 1}},
       "layers[0].mechanism.causal is 1; true or false is needed"},
      {"/layers/0/mechanism",
       {{"kind", "performer"}, {"rank", 65537}, {"seed", 1}, {"temperature", 1}},
       "layers[0].mechanism.rank is 65537"},
      {"/layers/0/mechanism",
       {{"kind", "performer"}, {"rank", 1}, {"seed", 1}, {"temperature", 0}},
       "layers[0].mechanism.temperature is 0"},
      {"/layers/0/mechanism",
       {{"kind", "performer"}, {"rank", 1}, {"seed", 1}, {"temperature", 1}, {"shift", 701}},
       "layers[0].mechanism.shift is 701; allowed are 0 .. 700"},
      {"/layers/0/mechanism",
       {{"kind", "polynomial"}, {"sketch", 362}, {"seed", 1}, {"unit", 1}},
       "layers[0].mechanism.sketch is 362"},
      {"/layers/0/mechanism",
       {{"kind", "polynomial"}, {"sketch", 1}, {"seed", 1}, {"unit", 0}},
       "layers[0].mechanism.unit is 0"},
      {"/layers/0/mechanism",
       {{"kind", "window"}, {"width", 1}, {"globals", -1}},
       "layers[0].mechanism.globals is -1"},
      {"/layers/0/mechanism",
       {{"kind", "chunked"}, {"chunk", 0}, {"hashings", 1}, {"functions", 1}, {"seed", 1}},
       "layers[0].mechanism.chunk is 0"},
      {"/layers/0/mechanism",
       {{"kind", "chunked"}, {"chunk", 1}, {"hashings", 257}, {"functions", 1}, {"seed", 1}},
       "layers[0].mechanism.hashings is 257"},
      {"/layers/0/mechanism",
       {{"kind", "chunked"},
        {"chunk", 1},
        {"hashings", 1},
        {"functions", 1},
        {"seed", 1},
        {"family", "p-stable"}},
       "layers[0].mechanism.family is 'p-stable'; allowed is cross-polytope"},
      {"/layers/0/weights/row_limit", std::uint64_t{1} << 53,
       "layers[0].weights.row_limit is 9007199254740992"},
      {"/layers/0/weights/row_fraction_bits", 53, "layers[0].weights.row_fraction_bits is 53"},
      {"/layers/0/weights/position_digits", 65, "layers[0].weights.position_digits is 65"},
      {"/layers/0/weights/position_digits", 1, "takes 1 numbers; it is given 2"},
      {"/layers/0/weights/position_base", 1, "layers[0].weights.position_base is 1"},
      {"/layers/0/weights/heads", json::array(), "layers[0] has no heads"},
      {"/layers/0/weights/output", json::array(), "layers[0] output map has no stages"},
      {"/layers/0/weights/output/0/weight", "nothing", "'w.safetensors' has no tensor 'nothing'"},
      {"/layers/0/weights/output/0/weight", 3, "layers[0].weights.output[0].weight is 3; a text is needed"},
      {"/layers/0/weights/output/0/weight", "q",
       "layers[0].weights.output[0].weight uses the tensor 'q' again"},
      {"/layers/0/weights/output/0/weight", "more", "is a tensor of 1 dimensions; 2 are needed"},
      {"/layers/0/weights/output/0/weight", "empty", "has an extent of 0"},
      {"/layers/0/weights/output/0/bias", "o", "uses the tensor 'o' again"},
      {"/layers/0/weights/output/0/relu", 1,
       "layers[0].weights.output[0].relu is 1; true or false is needed"},
      {"/layers/0/weights/output/0/clamp", -1, "layers[0].weights.output[0].clamp is -1"},
      {"/layers/0/weights/output/0/clamp", "q", "clamp uses the tensor 'q' again"},
      {"/layers/0/weights", "there", "layers[0].weights is 'there'; there is no such block"},
      {"/blocks", {{"idle", 1}}, "blocks.idle is a block that no layer names"},
      {"/layers/0/weights/output/0/weight", {{"values", "more"}}, "lacks the field"},
      {"/layers/0/weights/output/0/weight_fraction_bits", 53, "weight_fraction_bits is 53"},
      {"/layers/0/weights/output/0/output_fraction_bits", 9,
       "9 fractional bits in its outputs; its sums have only 8"},
  };
  for (const Case& c : cases) EXPECT_THAT(with(c.pointer, c.value), HasSubstr(c.message)) << c.pointer;
  // Every field is needed.
  const std::vector<std::pair<std::string, std::vector<const char*>>> needed = {
      {"", {"schema", "version", "tokens", "input_dimension", "maps", "layers"}},
      {"/maps", {"kind", "file"}},
      {"/layers/0",
       {"heads", "query_dimension", "value_dimension", "output_dimension", "mechanism", "weights"}},
      {w, {"row_limit", "row_fraction_bits", "position_digits", "position_base", "heads", "output"}},
      {"/layers/0/weights/heads/0", {"query", "key", "value"}},
      {"/layers/0/weights/output/0", {"weight", "weight_fraction_bits", "output_fraction_bits", "relu"}},
  };
  for (const auto& [pointer, names] : needed) {
    for (const char* name : names) {
      json description = tiny_description();
      description[json::json_pointer(pointer)].erase(name);
      EXPECT_THAT(message_of([&] { parse(description.dump(), tiny_weights()); }),
                  HasSubstr(std::string("lacks the field '") + name + "'"));
    }
  }
}

TEST(ModelFile, SparseMatricesLimitsAndSharedLayersAreSavedAndLoaded) {
  const Model model = sparse_sample();
  Activations input = Activations::with_dimension(12);
  for (const double x : {0, 5, 111, 7}) input.append_row(std::vector<Entry>{{2, x}, {3, 2 * x}, {11, x}});
  const Activations out = evaluate(model, input);
  EXPECT_EQ(out.row(0)[1], 1 + 2 + 3) << "moved by three layers, each with its bias";
  EXPECT_EQ(out.row(2)[8], 108) << "column 8 has its own limit";
  for (const Matrices matrices : {Matrices::kSmaller, Matrices::kDense}) {
    const ModelFiles files = write_model(model, "w.safetensors", matrices);
    const json description = json::parse(files.description);
    EXPECT_EQ(description["blocks"].size(), 1u);
    EXPECT_EQ(description["layers"][2]["weights"], "block 0");
    EXPECT_EQ(description["blocks"]["block 0"]["output"][0]["weight"].is_object(),
              matrices == Matrices::kSmaller);
    const Model loaded = parse(files.description, files.weights).model;
    expect_equal(loaded, model);
    EXPECT_EQ(loaded.transformer.layers[0], loaded.transformer.layers[2]) << "one object";
    EXPECT_EQ(evaluate(loaded, input), out);
    EXPECT_EQ(write_model(loaded, "w.safetensors", matrices).weights, files.weights);
  }
}

TEST(ModelFile, SparseMatricesThatAreNoneAreRefused) {
  const ModelFiles files = write_model(sparse_sample(), "w.safetensors");
  const json good = json::parse(files.description);
  const SafetensorsFile written = SafetensorsFile::parse(files.weights, "w");
  const std::string output = "block 0.output.0.";
  // The description with another inputs, and the weights with one tensor of 8-bit numbers changed.
  const auto with = [&](const std::string& tensor, std::vector<std::int8_t> numbers,
                        std::uint64_t inputs = 24) {
    json description = good;
    description["maps"].erase("xxh3");
    description["blocks"]["block 0"]["output"][0]["weight"]["inputs"] = inputs;
    Tensors tensors = written.tensors();
    if (!tensor.empty()) {
      tensors[output + tensor] = {
          Dtype::kI8, {numbers.size()}, {reinterpret_cast<const char*>(numbers.data()), numbers.size()}};
    }
    return message_of([&] { parse(description.dump(), write_safetensors(tensors)); });
  };
  const std::vector<std::int8_t> starts{0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13},
      columns{1, 23, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 11}, values{1, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
  EXPECT_EQ(with("", {}), "accepted");
  EXPECT_EQ(with("weight.starts", starts), "accepted") << "as it was written";
  const auto changed = [](std::vector<std::int8_t> numbers, std::size_t at, std::int8_t number) {
    numbers.at(at) = number;
    return numbers;
  };
  for (const auto& [at, number] :
       {std::pair<std::size_t, std::int8_t>{0, 1}, {12, 12}, {3, 2}, {12, 14}, {1, -1}})
    EXPECT_THAT(with("weight.starts", changed(starts, at, number)),
                HasSubstr("starts must rise from 0 to 13"));
  EXPECT_THAT(with("weight.starts", {0}), HasSubstr("starts must rise"));
  EXPECT_THAT(with("weight.starts", std::vector<std::int8_t>(starts.begin(), starts.end() - 1)),
              HasSubstr("starts must rise from 0 to 13"));
  EXPECT_THAT(with("weight.columns", changed(columns, 1, 24)),
              HasSubstr("has 24 in row 0; columns rise below 24"));
  EXPECT_THAT(with("weight.columns", changed(columns, 1, 1)),
              HasSubstr("has 1 in row 0; columns rise below 24"));
  EXPECT_THAT(with("weight.columns", changed(columns, 5, -1)), HasSubstr("has -1 in row 4"));
  EXPECT_THAT(with("weight.columns", {1, 2}), HasSubstr("columns has 2 numbers; there are 13 values"));
  EXPECT_THAT(with("weight.values", changed(values, 12, 0)), HasSubstr("values has a 0 in row 11"));
  EXPECT_THAT(with("clamp", {1, 2}), HasSubstr("clamp has 2 numbers; 12 are limited"));
  EXPECT_THAT(with("clamp", std::vector<std::int8_t>(12, -1)), HasSubstr("has clamp -1; allowed are 0"));
  EXPECT_THAT(with("", {}, 23), HasSubstr("has 23 in row 0; columns rise below 23"));
  EXPECT_THAT(with("", {}, 25), HasSubstr("takes 25 numbers; it is given 24"));
  EXPECT_THAT(with("", {}, (1u << 20) + 1),
              HasSubstr("inputs is 1048577; allowed are whole numbers 1 .. 1048576"));
}

TEST(ModelFile, BytesThatAreNoDescriptionAreRefused) {
  const auto refused = [](const std::string& text) {
    return message_of([&] { parse(text, tiny_weights()); });
  };
  EXPECT_THAT(refused(""), HasSubstr("'m.json': not JSON"));
  EXPECT_THAT(refused("{"), HasSubstr("not JSON at its byte"));
  EXPECT_THAT(refused("[]"), HasSubstr("the description is a list"));
  EXPECT_THAT(refused(std::string(1'000'000, '[')), HasSubstr("nest deeper than 32"));
  EXPECT_THAT(refused(R"({"a":{"b":1,"b":2}})"), HasSubstr("the name 'b' occurs twice"));
  EXPECT_THAT(refused(std::string((16 << 20) + 1, ' ')), HasSubstr("at most 16777216"));
  json description = tiny_description();
  description["layers"] = std::vector<int>(65537, 1);
  EXPECT_THAT(refused(description.dump()), HasSubstr("layers has 65537 items; at most 65536"));
  std::string claim = tiny_weights();
  claim[4] = 1;  // a 4 GiB header
  EXPECT_THAT(message_of([&] { parse(tiny_description().dump(), claim); }),
              HasSubstr("'w.safetensors': the header claims"));
}

TEST(ModelFile, LayersThatDoNotFitAreRefused) {
  json description = tiny_description();
  description["layers"].push_back(description["layers"][0]);
  EXPECT_THAT(message_of([&] { parse(description.dump(), tiny_weights()); }),
              HasSubstr("layers[1].weights.heads[0].query[0].weight uses the tensor 'q' again"));
  // A second layer whose limit is below what the first can write.
  const Model model = sample();
  ModelFiles files = write_model(model, "w.safetensors");
  json changed = json::parse(files.description);
  EXPECT_EQ(message_of([&] { parse(changed.dump(), files.weights); }), "accepted");
  changed["layers"][1]["weights"]["row_limit"] = 1022;
  EXPECT_THAT(message_of([&] { parse(changed.dump(), files.weights); }),
              HasSubstr("'m.json': layer 1 takes magnitudes up to 1022; layer 0 can write"));
}

// A layer that only some protocol knows how to make.
class Foreign final : public Layer {
 public:
  LayerShape shape() const override { return {2, 3, 4, 5}; }
  const Codebook& codebook() const override { throw InternalError("not evaluated"); }
  Symbol null_query() const override { return 0; }
  Symbol null_key() const override { return 0; }
  void project(const RowView&, Projection&) const override {}
  void update(const RowView&, const HeadOutputs&, RowWriter&) const override {}
};

TEST(ModelFile, ProtocolMapsAreStoredByNameAndRefusedWhereTheyDiffer) {
  Model model;
  model.transformer.tokens = 16;
  model.transformer.input_dimension = 2;
  model.transformer.layers = {std::make_shared<Foreign>(), std::make_shared<Foreign>()};
  model.mechanisms = {ExactMatch{}, ExactMatch{}};
  EXPECT_THAT(message_of([&] { write_model(model, "x"); }), HasSubstr("layer 0 has neither weights nor"));
  model.protocol = ProtocolMaps{"k_hop", "routed", "3", 9, {{"n", "16"}, {"k", "2"}}};
  const ModelFiles files = write_model(model, "x");
  EXPECT_EQ(files.weights, "");

  const auto load = [&](const Resolver& resolver) {
    LoadedModel loaded;
    std::string message = message_of([&] {
      loaded = parse_model(
          files.description, "m.json", [](const std::string&) -> std::string { throw InternalError("read"); },
          resolver);
    });
    if (message == "accepted")
      expect_equal({{16, 2, {}}, loaded.model.mechanisms, loaded.model.protocol},
                   {{16, 2, {}}, model.mechanisms, model.protocol});
    return message;
  };
  Resolved resolved{model.transformer, "3"};
  const Resolver knows = [&](const ProtocolMaps& maps) {
    EXPECT_EQ(maps, *model.protocol);
    return std::optional(resolved);
  };
  EXPECT_EQ(load(knows), "accepted");
  EXPECT_THAT(
      load(nullptr),
      HasSubstr("maps.protocol is 'k_hop' by the construction 'routed', which is not registered here"));
  EXPECT_THAT(load([](const ProtocolMaps&) { return std::nullopt; }), HasSubstr("not registered here"));
  resolved.version = "4";
  EXPECT_THAT(load(knows), HasSubstr("is 'k_hop' version '3'; registered here is version '4'"));
  resolved.version = "3";
  resolved.transformer.tokens = 17;
  EXPECT_THAT(load(knows), HasSubstr("tokens is 16; the maps have 17"));
  resolved.transformer = model.transformer;
  resolved.transformer.input_dimension = 3;
  EXPECT_THAT(load(knows), HasSubstr("input_dimension is 2; the maps have 3"));
  resolved.transformer = model.transformer;
  resolved.transformer.layers.pop_back();
  EXPECT_THAT(load(knows), HasSubstr("layers are 2; the maps have 1"));
  resolved.transformer.layers.push_back(sample().transformer.layers[0]);
  EXPECT_THAT(load(knows), HasSubstr("layers[1].heads is 2; the maps have 3"));
}

TEST(ModelFile, RegisteredResolversAreAskedInOrder) {
  const Folder folder;
  Model model;
  model.transformer = {16, 2, {std::make_shared<Foreign>()}};
  model.mechanisms = {ExactMatch{}};
  model.protocol = ProtocolMaps{"registered_by_a_test", "direct", "1", 9, {}};
  save_model(model, folder / "m.json");
  EXPECT_THAT(message_of([&] { load_model(folder / "m.json"); }), HasSubstr("not registered here"));
  EXPECT_THAT(message_of([] { register_resolver(nullptr); }), HasSubstr("callable"));
  std::vector<int> asked;
  register_resolver([&](const ProtocolMaps&) { return asked.push_back(1), std::nullopt; });
  register_resolver([&](const ProtocolMaps& maps) -> std::optional<Resolved> {
    asked.push_back(2);
    if (maps.protocol != "registered_by_a_test") return std::nullopt;
    return Resolved{model.transformer, "1"};
  });
  register_resolver([&](const ProtocolMaps&) { return asked.push_back(3), std::nullopt; });
  const Model loaded = load_model(folder / "m.json").model;
  EXPECT_EQ(loaded.protocol, model.protocol);
  EXPECT_EQ(loaded.transformer.layers, model.transformer.layers);
  EXPECT_EQ(asked, (std::vector<int>{1, 2}));
}

TEST(ModelFile, SavingReplacesWholeFilesAndMixedPairsAreRefused) {
  const Folder folder;
  const std::string path = folder / "m.json", weights = folder / "m.safetensors";
  const Model first = sample(), second = sample(ExactMatch{}, "random:L=2,H=3,d=5,m=3,w=4,seed=7");
  EXPECT_THAT(message_of([&] { save_model(first, folder / "m.model"); }), HasSubstr("ends in .json"));
  EXPECT_THAT(message_of([&] { save_model(first, folder / "none/m.json"); }), HasSubstr("cannot write"));
  save_model(first, path);
  const std::string old_description = read_whole(path);
  save_model(second, path);
  expect_equal(load_model(path).model, second);
  // A crash between the two writes leaves the new weights beside the old description.
  write_whole(path, old_description);
  EXPECT_THAT(message_of([&] { load_model(path); }), HasSubstr("maps.xxh3"));
  std::filesystem::remove(weights);
  EXPECT_THAT(message_of([&] { load_model(path); }), HasSubstr("m.safetensors"));
  EXPECT_THAT(message_of([&] { load_model(folder / "absent.json"); }), HasSubstr("absent.json"));
}

}  // namespace
}  // namespace roundtrip::anna
