// Statement: a program of the step language is a transformer of explicit weights with standard softmax attention, of one
// layer a round and one for the input: evaluated in exact integers, and in doubles as a stock runtime does.
#include <algorithm>
#include <cmath>
#include <functional>
#include <memory>
#include <optional>

#include "roundtrip/anna/attention/softmax.h"
#include "roundtrip/base/error.h"
#include "roundtrip/base/random.h"
#include "roundtrip/mpc/program/program.h"
#include "roundtrip/mpc/registry.h"
#include "roundtrip/proofs_check/cases.h"
#include "roundtrip/proofs_check/formulas.h"
#include "roundtrip/proofs_check/statements/statements.h"
#include "roundtrip/simulate/weights/program_weights.h"

namespace roundtrip::proofs_check {
namespace {

constexpr const char* kName = "program_weights";
constexpr const char* kExact = ": outputs unlike the oracle's, in integers";
constexpr const char* kStock = ": outputs unlike the oracle's, in doubles";
constexpr const char* kLayers = ": layers";
constexpr const char* kNonzeros = ": weights that are not 0";
constexpr const char* kLosses = "losses: inputs whose outputs are not all faults";
constexpr std::uint64_t kInputs = 8;

/// A program, and what is stated of it: layers by the formula of its task, and at N = 64 a ceiling of its weights.
struct Stated {
  const char* program;
  std::function<std::uint64_t(std::uint64_t n)> layers;
  std::uint64_t ceiling = 0;  ///< 0: none
};

/// k of 2^k machines that sort N words in blocks of the power of two above the root.
std::uint64_t sorters(std::uint64_t n) {
  std::uint64_t block = 1, levels = 0;
  while (block * block < n) block *= 2;
  for (std::uint64_t machines = 1; machines * block < n; machines *= 2) ++levels;
  return levels;
}
std::uint64_t sorting(std::uint64_t n) {
  return sorters(n) * (sorters(n) + 1) / 2;
}

std::vector<Stated> stated() {
  const auto doublings = [](std::uint64_t n) { return std::uint64_t{log_ceil(2, n)}; };
  // All at eps = 1/2, where a tree over the machines has one level; k_hop with k = 2.
  return {{"sum_program", [](std::uint64_t) { return 3; }, 450},
          {"reduce_program", [](std::uint64_t) { return 3; }},
          {"broadcast_program", [](std::uint64_t) { return 3; }},
          {"prefix_scan_program", [](std::uint64_t) { return 4; }, 1700},
          {"matrix_product_program", [](std::uint64_t) { return 4; }},
          {"low_rank_sums_program", [](std::uint64_t) { return 5; }},
          {"sort_program", [](std::uint64_t n) { return sorting(n) + 2; }, 2700},
          {"k_hop_program", [](std::uint64_t n) { return sorting(n) + 7; }, 3500},
          {"word_count_program", [](std::uint64_t n) { return sorting(n) + 4; }},
          {"join_program", [](std::uint64_t n) { return sorting(n) + 5; }},
          {"match2_program", [](std::uint64_t n) { return sorting(n) + 5; }},
          {"list_ranking_program", [=](std::uint64_t n) { return doublings(n) + 3; }, 1300},
          {"list_ranking_routed_program", [=](std::uint64_t n) { return 2 * doublings(n) + 4; }, 150'000}};
}

/// A defect of a compiled model, for controls.
using Mutate = std::function<void(anna::Model&)>;

/// The model with one layer's weights changed.
Mutate in_layer(std::size_t number, std::function<void(anna::LayerWeights&)> change) {
  return [=](anna::Model& model) {
    anna::LayerWeights weights =
        dynamic_cast<const anna::WeightLayer&>(*model.transformer.layers[number]).weights();
    change(weights);
    model.transformer.layers[number] = std::make_shared<anna::WeightLayer>(std::move(weights), "mutant");
  };
}

void add_to_weight(anna::Stage& stage, std::int64_t number) {
  anna::SparseMatrix changed;
  for (std::size_t row = 0; row < stage.weight.rows(); ++row, changed.end_row()) {
    for (std::size_t k = 0; k < stage.weight.columns(row).size(); ++k)
      changed.put(stage.weight.columns(row)[k],
                  stage.weight.values(row)[k] + (row == 0 && k == 0 ? number : 0));
  }
  stage.weight = std::move(changed);
}

/// The model as a stock runtime evaluates it: products, ReLU, rounding half to even, exp and a division, in doubles.
class Doubles {
 public:
  explicit Doubles(const anna::Model& model) : model_(model) {}

  std::vector<std::vector<double>> rows(const std::vector<mpc::Word>& words) const {
    std::vector<std::vector<double>> rows(model_.transformer.tokens, {0, 0});
    for (std::size_t t = 0; t < words.size(); ++t) rows[t] = {1, static_cast<double>(words[t])};
    for (std::size_t l = 0; l < model_.transformer.layers.size(); ++l) {
      const auto& weights = dynamic_cast<const anna::WeightLayer&>(*model_.transformer.layers[l]).weights();
      const double scale = model_.mechanisms[l].get_if<anna::Softmax>()->scale;
      for (std::size_t t = 0; t < rows.size(); ++t) {
        for (std::uint32_t digit = 0; digit < weights.position_digits; ++digit)
          rows[t].push_back(static_cast<double>(t >> digit & 1));
      }
      std::vector<std::vector<double>> seen = rows;
      for (const anna::HeadMaps& head : weights.heads) {
        std::vector<std::vector<double>> queries, keys, values;
        for (const auto& row : rows) {
          queries.push_back(map(head.query, row));
          keys.push_back(map(head.key, row));
          values.push_back(map(head.value, row));
        }
        for (std::size_t t = 0; t < rows.size(); ++t) attend(queries[t], keys, values, scale, seen[t]);
      }
      for (std::size_t t = 0; t < rows.size(); ++t) rows[t] = map(weights.output, seen[t]);
    }
    return rows;
  }

 private:
  static std::vector<double> map(const anna::WeightMap& stages, std::vector<double> x) {
    for (const anna::Stage& stage : stages) {
      std::vector<double> y(stage.outputs);
      for (std::uint32_t row = 0; row < stage.outputs; ++row) {
        y[row] = static_cast<double>(stage.bias[row]);
        for (std::size_t k = 0; k < stage.weight.columns(row).size(); ++k)
          y[row] += static_cast<double>(stage.weight.values(row)[k]) * x[stage.weight.columns(row)[k]];
        y[row] = std::nearbyint(std::ldexp(y[row], -static_cast<int>(stage.weight_fraction_bits)));
        if (stage.relu) y[row] = std::max(y[row], 0.0);
        if (stage.clamp) y[row] = std::min(y[row], static_cast<double>(stage.clamp[row]));
      }
      x = std::move(y);
    }
    return x;
  }
  static void attend(const std::vector<double>& query, const std::vector<std::vector<double>>& keys,
                     const std::vector<std::vector<double>>& values, double scale, std::vector<double>& out) {
    std::vector<double> weights;
    for (const auto& key : keys) {
      double score = 0;
      for (std::size_t c = 0; c < key.size(); ++c) score += query[c] * key[c];
      weights.push_back(scale * score);
    }
    const double top = *std::max_element(weights.begin(), weights.end());
    double total = 0;
    for (double& weight : weights) total += weight = std::exp(weight - top);
    for (std::size_t c = 0; c < values[0].size(); ++c) {
      double sum = 0;
      for (std::size_t j = 0; j < values.size(); ++j) sum += weights[j] / total * values[j][c];
      out.push_back(std::nearbyint(sum));
    }
  }

  const anna::Model& model_;
};

/// A program at one size, compiled, and inputs of it.
struct Compiled {
  Compiled(const std::string& name, std::uint64_t n, std::uint64_t seed) : info(mpc::find_protocol(name)) {
    parameters.n = n;
    parameters.seed = seed;
    protocol = info.make(parameters);
    weights = simulate::compile_to_weights(dynamic_cast<const mpc::Program&>(*protocol));
  }
  mpc::Values values(std::uint64_t seed) {
    parameters.seed = seed;
    if (info.generate) return info.generate(parameters);
    RandomStream stream(seed, Domain::kInstance, parameters.n);
    mpc::Values made(parameters.n);
    for (std::int64_t& value : made) value = static_cast<std::int64_t>(stream.below(parameters.n));
    return made;
  }
  /// Outputs that have no word, or another than the oracle's.
  std::uint64_t wrong(const mpc::Values& input, bool doubles) const {
    std::vector<mpc::Word> words;
    for (const std::int64_t value : input)
      words.push_back(mpc::encode_input(value, protocol->shape(), "a value"));
    simulate::OutputWords outputs;
    if (doubles) {
      const auto rows = Doubles(weights.model).rows(words);
      for (std::uint64_t t = 0; t < protocol->shape().outputs; ++t) {
        outputs.words.push_back(rows[t][1] >= 0 ? static_cast<mpc::Word>(rows[t][1]) : 0);
        if (rows[t][0] != 1) outputs.faulty.push_back(t);
      }
    } else {
      outputs = simulate::read_outputs(
          anna::evaluate(weights.model, simulate::input_activations(words, weights.model.transformer.tokens)),
          protocol->shape().outputs);
    }
    return outputs.faulty.size() +
           mpc::wrong_outputs(info, input, mpc::decode_outputs(info, *protocol, outputs.words), parameters);
  }

  const mpc::ProtocolInfo& info;
  mpc::Parameters parameters;
  std::unique_ptr<const mpc::Protocol> protocol;
  simulate::ProgramWeights weights;
};

Configuration at(std::uint64_t n, const Context& context) {
  return {.theorem = kName, .n = n, .epsilon = Rational(1, 2), .seed = context.seed};
}

Check check_outputs(const Stated& program, std::uint64_t n, bool doubles, const Context& context,
                    const Mutate& mutate = {}) {
  Compiled compiled(program.program, n, context.seed);
  if (mutate) mutate(compiled.weights.model);
  std::uint64_t wrong = 0;
  for (std::uint64_t i = 0; i < (doubles ? 2 : kInputs); ++i)
    wrong += compiled.wrong(compiled.values(context.seed + i), doubles);
  return compare(at(n, context), std::string(program.program) + (doubles ? kStock : kExact),
                 static_cast<double>(wrong), Relation::kEqual, 0);
}

Check check_layers(const Stated& program, std::uint64_t n, const Context& context, std::uint64_t more = 0) {
  const Compiled compiled(program.program, n, context.seed);
  return compare(at(n, context), std::string(program.program) + kLayers,
                 static_cast<double>(simulate::measure(compiled.weights.model.transformer).depth + more),
                 Relation::kEqual, static_cast<double>(program.layers(n)));
}

Check check_nonzeros(const Stated& program, std::uint64_t n, const Context& context,
                     std::uint64_t times = 1) {
  const Compiled compiled(program.program, n, context.seed);
  return compare(at(n, context), std::string(program.program) + kNonzeros,
                 static_cast<double>(times * simulate::weight_facts(compiled.weights.model).nonzeros),
                 Relation::kAtMost, static_cast<double>(program.ceiling));
}

/// Routed words that say where they go: machine plus 1, times 8, and a number of 1 to 7. 4 machines of 4 words.
class Routed final : public mpc::Program {
 public:
  static constexpr std::uint32_t kMachines = 4, kSlots = 4;
  Routed() : Program(shape_of()) {
    std::vector<Addressed> records;
    for (std::uint32_t i = 0; i < kSlots; ++i) {
      const mpc::Affine address = tape().floor_shift(received(i), 3);
      records.push_back({{address, kMachines}, {{received(i) - 8 * address, 7}}});
    }
    send_routed("route", records, kSlots);
    std::vector<Value> words;
    for (std::uint32_t i = 0; i < kSlots; ++i) words.push_back({received(i), 7});
    deliver(
        words, [](mpc::MachineId) { return kSlots; },
        [](mpc::MachineId m, std::uint32_t i) { return m * kSlots + i; });
  }

 private:
  static mpc::Shape shape_of() {
    mpc::Shape shape;
    shape.n = shape.outputs = std::uint64_t{kMachines} * kSlots;
    shape.block_words = shape.memory_words = kSlots;
    shape.kappa_s = 1;
    shape.machines = kMachines;
    shape.input_bits = shape.word_bits = 6;
    return shape;
  }
};

/// Inputs that break what a program relies on: two senders where one may be, and a word more than slots. `less`: the defect
/// of a control, that the same inputs are without it.
Check check_losses(const Context& context, bool less = false) {
  std::uint64_t unseen = 0;
  const auto count = [&](const anna::Model& model, const std::vector<mpc::Word>& words,
                         std::uint64_t outputs) {
    const auto read = simulate::read_outputs(
        anna::evaluate(model, simulate::input_activations(words, model.transformer.tokens)), outputs);
    unseen += read.faulty.size() != outputs;
  };
  const Compiled ranking("list_ranking_program", 16, context.seed);
  for (std::uint64_t other = 1; other < 16; ++other) {
    std::vector<mpc::Word> words;
    for (std::uint64_t i = 0; i < 16; ++i)
      words.push_back(
          mpc::encode_input(i == 0 || (i == other && !less) ? 5 : -1, ranking.protocol->shape(), "a value"));
    count(ranking.weights.model, words, 16);
  }
  const Routed routed;
  const simulate::ProgramWeights weights = simulate::compile_to_weights(routed);
  for (std::uint64_t machine = 1; machine <= Routed::kMachines; ++machine) {
    std::vector<mpc::Word> words;
    for (std::uint64_t i = 0; i < routed.shape().n; ++i)
      words.push_back(8 * (i <= Routed::kSlots - less ? machine : 0) + 1 + i % 7);
    count(weights.model, words, routed.shape().n);
  }
  return compare(at(16, context), kLosses, static_cast<double>(unseen), Relation::kEqual, 0);
}

class ProgramWeightsStatement final : public Statement {
 public:
  std::string name() const override { return kName; }
  std::string title() const override {
    return "a program is a transformer of explicit weights, a layer a round";
  }
  std::string card() const override {
    return R"(Problem:   a protocol whose steps are recorded operations; its transformer as matrices that a stock runtime executes.
Guarantee: R + 1 layers, one more for each round of routed words; standard softmax of scale 32 or 64; the outputs of the
           protocol on every input, in exact integers and in doubles. What would be lost silently is a fault of all outputs.
Check:     thirteen programs at N = 16 and 64, eight of them at 256, against oracles; layers by the formulas of their tasks; weights
           that are not 0 below ceilings that were declared before; inputs that break what a program relies on.
Source:    the direct construction of Liu, Yu, Sanford, Andoni, Hsu 2025, whose maps are arbitrary functions; maps ours.)";
  }
  std::vector<Constant> constants() const override {
    return {{"inputs", std::to_string(kInputs), "random ones of each program and size; 2 in doubles"},
            {"ceilings", "450 to 150000", "of weights that are not 0, at N = 64"}};
  }
  std::vector<Check> checks(Context& context) const override {
    std::vector<Check> all;
    for (const Stated& program : stated()) {
      const std::string name = program.program;
      for (const std::uint64_t n : {16, 64, 256}) {
        if (n == 256 && sorting(n) + 2 < program.layers(n)) continue;  // the larger ones: seconds each
        if (context.wants(name + kExact, n)) context.progress(name + ", N = " + std::to_string(n));
        if (context.wants(name + kExact, n)) all.push_back(check_outputs(program, n, false, context));
        if (context.wants(name + kLayers, n)) all.push_back(check_layers(program, n, context));
        if (n < 256 && program.ceiling < 10'000 && context.wants(name + kStock, n))
          all.push_back(check_outputs(program, n, true, context));
        if (n == 64 && program.ceiling != 0 && context.wants(name + kNonzeros, n))
          all.push_back(check_nonzeros(program, n, context));
      }
    }
    if (context.wants(kLosses, 16)) all.push_back(check_losses(context));
    return all;
  }
  std::vector<Control> controls(Context& context) const override {
    std::vector<Control> all;
    const std::vector<Stated> programs = stated();
    const auto judge = [&](const char* defect, const Check& defective, const Check& sound) {
      all.push_back(judge_control(kName, defect, sound.quantity, {defective}, {sound}));
    };
    const Stated& sort = *std::ranges::find(programs, std::string("sort_program"), &Stated::program);
    const auto mutant = [&](const char* defect, const Mutate& mutate) {
      for (const bool doubles : {false, true})
        judge(defect, check_outputs(sort, 64, doubles, context, mutate),
              check_outputs(sort, 64, doubles, context));
    };
    mutant("one weight changed by 1",
           in_layer(2, [](anna::LayerWeights& w) { add_to_weight(w.output[0], 1); }));
    mutant("one bias changed by 1", in_layer(1, [](anna::LayerWeights& w) { ++w.output.back().bias[0]; }));
    mutant("one clamp of 0", in_layer(1, [](anna::LayerWeights& w) {
             std::vector<std::int64_t> limits(w.output.back().outputs, w.output.back().clamp.largest());
             limits[0] = 0;
             w.output.back().clamp = limits;
           }));
    mutant("one weight of the keys 0",
           in_layer(3, [](anna::LayerWeights& w) { add_to_weight(w.heads[0].key.back(), -2); }));
    mutant("a layer missing", [](anna::Model& model) {
      model.transformer.layers.erase(model.transformer.layers.begin() + 3);
      model.mechanisms.pop_back();
    });
    mutant("a scale of 1",
           [](anna::Model& model) { model.mechanisms.assign(model.mechanisms.size(), anna::Softmax{1}); });
    judge("a layer too many", check_layers(sort, 64, context, 1), check_layers(sort, 64, context));
    judge("twice the weights", check_nonzeros(sort, 64, context, 2), check_nonzeros(sort, 64, context));
    judge("nothing to be lost", check_losses(context, true), check_losses(context));
    return all;
  }
};

}  // namespace

std::unique_ptr<const Statement> make_program_weights() {
  return std::make_unique<ProgramWeightsStatement>();
}

}  // namespace roundtrip::proofs_check
