// Purpose: `roundtrip compile PROTOCOL`: the transformer that a protocol is, evaluated beside the run and
// compared.
#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "roundtrip/anna/attention/mechanisms.h"
#include "roundtrip/anna/files/model_file.h"
#include "roundtrip/anna/files/onnx.h"
#include "roundtrip/base/atomic_file.h"
#include "roundtrip/base/error.h"
#include "roundtrip/cli/certificate.h"
#include "roundtrip/cli/command.h"
#include "roundtrip/cli/construction.h"
#include "roundtrip/cli/execution.h"
#include "roundtrip/cli/memory.h"
#include "roundtrip/cli/native.h"
#include "roundtrip/cli/progress.h"
#include "roundtrip/cli/verdict.h"
#include "roundtrip/proofs_check/report/rows.h"
#include "roundtrip/simulate/compile/counterexample.h"
#include "roundtrip/simulate/compile/export.h"
#include "roundtrip/simulate/compile/scattered.h"
#include "roundtrip/simulate/decompile/decompile.h"
#include "roundtrip/simulate/weights/program_weights.h"

namespace roundtrip::cli {
namespace {

struct CompileArguments {
  ProtocolArguments common;
  ConstructionArguments construction;
  bool check = false;
  bool native = false;
  bool weights = false;
  bool dense = false;       ///< --export: no sparse matrices
  std::string export_to;    ///< FILE; empty: none
  std::string certificate;  ///< FILE; empty: none
};

nlohmann::ordered_json weights_json(const simulate::WeightFacts& facts) {
  return {{"layers", facts.layers},  {"distinct_layers", facts.distinct_layers},
          {"units", facts.units},    {"nonzeros", facts.nonzeros},
          {"stages", facts.stages},  {"sum_bits", facts.sum_bits},
          {"float32", facts.float32}};
}
std::string weights_text(const simulate::WeightFacts& facts) {
  return fmt::format(
      "  weights           {} layers, {} of them different; in these {} units, {} weights that are not 0\n"
      "  exact in          {}: sums of at most {} bits\n",
      facts.layers, facts.distinct_layers, facts.units, facts.nonzeros,
      facts.float32 ? "float32 and float64" : "float64", facts.sum_bits);
}

int show_plan(const CompileArguments& arguments, const Instance& instance,
              const simulate::EvaluationPlan& plan, const std::vector<simulate::Pass>& passes,
              const Communicator& communicator, const std::optional<simulate::WeightFacts>& weights = {}) {
  communicator.on_root([&] {
    const mpc::Shape& shape = instance.shape();
    nlohmann::ordered_json json = {{"schema", "roundtrip/plan/1"},
                                   {"protocol", instance.info->name},
                                   {"n", shape.n},
                                   {"machines", shape.machines},
                                   {"memory_words", shape.memory_words},
                                   {"rounds_bound", shape.rounds},
                                   {"exchange_bytes", exchange_bytes(shape)},
                                   {"construction", arguments.construction.construction}};
    json.update(sizes_json(plan.sizes));
    json["evaluation_bytes"] = plan.peak_bytes;
    json["passes"] = passes_json(passes);
    if (weights) json["weights"] = weights_json(*weights);
    const simulate::TransformerSizes& sizes = plan.sizes;
    publish(
        arguments.common.out, false,
        heading(instance) +
            fmt::format(
                "  transformer       L = {} layers; most in one: {} heads, m = {}, width H * m = {}, d = {}\n"
                "  bytes             at most {} for words in flight, {} to evaluate the transformer\n",
                sizes.depth, sizes.heads, std::max(sizes.query_dimension, sizes.value_dimension), sizes.width,
                sizes.embedding_dimension, exchange_bytes(shape), plan.peak_bytes) +
            (weights ? weights_text(*weights) : "") +
            (arguments.construction.passes ? passes_text(passes) : ""),
        json);
  });
  return kDone;
}

/// "H * m = 5 * 128 = 640", of the widest layer alone: the largest H and the largest m may be of two.
std::string width_text(const anna::Transformer& transformer) {
  anna::LayerShape widest;
  for (const auto& layer : transformer.layers) {
    if (layer->shape().width() > widest.width()) widest = layer->shape();
  }
  return fmt::format("H * m = {} * {} = {}", widest.heads,
                     std::max(widest.query_dimension, widest.value_dimension), widest.width());
}

/// What rank 0 found: the transformer's outputs, their comparison with the run and, on request, with the
/// oracle.
struct Findings {
  simulate::Comparison comparison;
  mpc::Outputs outputs;
  std::string transport_differs;
  std::string oracle_differs;
  std::optional<simulate::DecompiledRun> again;  ///< --roundtrip: the transformer as a protocol
  bool again_equal = false;
  std::optional<simulate::WeightFacts> weights;  ///< --weights
  std::optional<simulate::Counterexample>
      counterexample;  ///< of outputs that differ, or fault without overflow
  std::string verdict;
};

/// Where run and transformer part, on the smallest input found: other N where the protocol takes them, and
/// not on tables that were drawn for the ids of one N.
std::optional<simulate::Counterexample> counterexample(const CompileArguments& arguments,
                                                       const Instance& instance, const Execution& execution,
                                                       const simulate::Compiled& compiled,
                                                       anna::Attention& attention) {
  const auto compile_at = [&](std::uint64_t n) -> std::optional<simulate::Compiled> {
    if (n == instance.shape().n) return compiled;
    if (arguments.construction.mechanism().drawn) return {};
    mpc::Parameters parameters = instance.parameters;
    parameters.n = n;
    try {
      return simulate::compile(std::shared_ptr<const mpc::Protocol>(instance.info->make(parameters)),
                               compiled.options);
    } catch (const ContractError&) {  // not at this N
      return {};
    }
  };
  const mpc::Word zero = mpc::encode_input(0, instance.shape(), "zero");
  return simulate::find_counterexample(compile_at, execution.words, zero, attention);
}

Findings evaluate(const CompileArguments& arguments, const Instance& instance, const Execution& execution,
                  const simulate::Compiled& compiled) {
  const std::string& mechanism = arguments.construction.mechanism().name;
  const std::unique_ptr<anna::Attention> attention = simulate::make_attention(compiled, mechanism);
  Findings found;
  found.comparison = simulate::compare(compiled, execution.words, *attention);
  const simulate::Comparison& comparison = found.comparison;
  if (!comparison.equal && !comparison.overflow)
    found.counterexample = counterexample(arguments, instance, execution, compiled, *attention);
  if (!comparison.fault) found.outputs = decode(instance, comparison.outputs.words);
  if (comparison.run_words != execution.result.outputs)
    found.transport_differs = "the run in process gave other words";
  if (arguments.check && !comparison.fault) {
    found.oracle_differs = wrong_answers(instance, found.outputs);
  }
  if (arguments.construction.round_trip && !comparison.fault) {
    mpc::Parameters own;
    own.n = instance.shape().n;
    own.epsilon = instance.parameters.epsilon;
    own.delta = instance.parameters.delta;
    found.again =
        simulate::run_decompiled(simulate::as_model(compiled, mechanism), execution.words, own,
                                 {.input_bits = instance.shape().input_bits, .name = instance.info->name});
    const simulate::OutputWords outputs = simulate::read_outputs(found.again->rows, instance.shape().outputs);
    found.again_equal = outputs.faulty.empty() && outputs.words == execution.result.outputs;
  }
  const std::string translation =
      judge({!found.again || found.again_equal, comparison.equal,
             within_bound(comparison.sizes, compiled.bound), found.transport_differs.empty()},
            comparison.overflow);
  // Wrong answers of a sound translation may be its protocol's, which draws.
  const bool sound = translation == "verified";
  found.verdict = judge({sound, found.oracle_differs.empty()},
                        comparison.overflow || (sound && instance.info->failure_probability > 0));
  return found;
}

std::string side_by_side(const CompileArguments& arguments, const Instance& instance,
                         const Execution& execution, const simulate::Compiled& compiled,
                         const Findings& found) {
  const mpc::Shape& shape = instance.shape();
  const mpc::RoundFacts facts = execution.result.ledger.overall();
  const simulate::Comparison& comparison = found.comparison;
  const simulate::TransformerSizes& sizes = comparison.sizes;
  std::string text = heading(instance);
  const auto row = [&](std::string_view what, const std::string& run, const std::string& transformer) {
    text += fmt::format("  {:<17} {:<38} {}\n", what, run, transformer);
  };
  row("", fmt::format("RUN {}", proofs_check::where_it_ran(execution.transport, execution.ranks)),
      fmt::format("TRANSFORMER ({}, {})", arguments.construction.construction,
                  arguments.construction.protocol_attention()));
  row("steps", fmt::format("R = {} rounds", execution.result.ledger.rounds.size()),
      fmt::format("L = {} layers (formula: {})", sizes.depth, compiled.bound.depth));
  row("machines, tokens", fmt::format("q = {} machines", shape.machines),
      fmt::format("N' = {} tokens", compiled.transformer.tokens));
  row("memory", fmt::format("s = {} words a machine", shape.memory_words),
      width_text(compiled.transformer) + " numbers a token");
  row("used at most", fmt::format("{} words out, {} in", facts.max_words_sent, facts.max_words_received),
      fmt::format("d = {} numbers between layers", sizes.embedding_dimension));
  row("outputs", fmt::format("{} words", execution.result.outputs.size()),
      comparison.equal   ? "equal, word for word"
      : comparison.fault ? fmt::format("{} report a fault", comparison.outputs.faulty.size())
                         : fmt::format("differ, first at output {}", comparison.first_difference->output));
  row("seconds", fmt::format("{:.3f}", execution.result.seconds),
      fmt::format("{:.3f}", comparison.evaluate_seconds));
  if (found.weights) text += weights_text(*found.weights);
  if (!found.transport_differs.empty()) text += "  " + found.transport_differs + "\n";
  if (arguments.check) {
    text += fmt::format("  oracle            {}\n", !found.oracle_differs.empty() ? found.oracle_differs
                                                    : instance.info->oracle
                                                        ? "equal, word for word"
                                                        : "right, by the protocol's own check");
  }
  if (comparison.overflow) {
    text += fmt::format(
        "  overflow          a bundle was too small for the intermediates of seed {}: try another\n",
        instance.parameters.seed);
  }
  if (found.again) {
    const simulate::DecompilePlan& plan = found.again->plan;
    text += fmt::format("  decompiled        R = {} rounds on q = {} machines of s = {} words: {}\n",
                        plan.rounds, plan.machines, plan.memory_words,
                        found.again_equal ? "equal, word for word" : "outputs differ");
  }
  if (arguments.construction.passes) text += passes_text(compiled.passes);
  if (found.counterexample) text += simulate::describe(*found.counterexample);
  return text;
}

nlohmann::ordered_json compile_json(const CompileArguments& arguments, const Instance& instance,
                                    const Execution& execution, const simulate::Compiled& compiled,
                                    const Findings& found) {
  nlohmann::ordered_json json = run_json(instance, execution, found.verdict);
  json["schema"] = "roundtrip/compile/1";
  json["construction"] = arguments.construction.construction;
  json["attention"] = arguments.construction.protocol_attention();
  json.update(specific_json(compiled.construction.get()));
  json.update(sizes_json(found.comparison.sizes));
  json["depth_bound"] = compiled.bound.depth;
  json["width_bound"] = compiled.bound.width;
  json["tokens"] = compiled.transformer.tokens;
  json["overflow"] = found.comparison.overflow;
  json["equal"] = found.comparison.equal;
  json["evaluate_seconds"] = found.comparison.evaluate_seconds;
  json["passes"] = passes_json(compiled.passes);
  if (found.weights) json["weights"] = weights_json(*found.weights);
  if (found.counterexample) {
    const simulate::Divergence& at = found.counterexample->divergence;
    json["counterexample"] = {{"input", found.counterexample->input},
                              {"layer", at.layer},
                              {"round", at.round},
                              {"machine", at.source},
                              {"text", simulate::describe(*found.counterexample)}};
  }
  if (found.again) {
    const simulate::DecompilePlan& plan = found.again->plan;
    const mpc::RoundFacts facts = found.again->run.ledger.overall();
    json["roundtrip"] = {{"rounds", found.again->run.ledger.rounds.size()},
                         {"rounds_bound", plan.rounds},
                         {"machines", plan.machines},
                         {"memory_words", plan.memory_words},
                         {"max_words_sent", facts.max_words_sent},
                         {"max_words_received", facts.max_words_received},
                         {"equal", found.again_equal}};
  }
  return json;
}

/// A file of an export beside its .json.
std::string beside(const std::string& path, const std::string& ending) {
  return path.substr(0, path.rfind('.')) + ending;
}

/// Writes what rank 0 found, and what it says.
Conclusion tell(const CompileArguments& arguments, const Instance& instance, const Execution& execution,
                const simulate::Compiled& compiled, const Findings& found, OutputFiles& files) {
  const ProtocolArguments& common = arguments.common;
  if (!common.output.empty() && !found.comparison.fault) {
    files.write(common.output, output_text(instance, found.outputs, common.output_names));
  }
  return {found.verdict, side_by_side(arguments, instance, execution, compiled, found),
          compile_json(arguments, instance, execution, compiled, found)};
}

/// Collective: runs the protocol; unless it breaks its model, rank 0 goes on with the transformer.
int beside_run(const CompileArguments& arguments, const Instance& instance, const Communicator& communicator,
               const std::function<Conclusion(const Execution&, OutputFiles&)>& evaluate_and_tell) {
  const ProtocolArguments& common = arguments.common;
  const Execution execution = execute(instance, common, communicator);
  return conclude(instance, execution, common.out, common.output == "-" || arguments.certificate == "-",
                  communicator, [&](OutputFiles& files) {
                    Progress progress(!common.out.quiet);
                    progress.draw("evaluating the transformer");
                    return evaluate_and_tell(execution, files);
                  });
}

/// --native: a transformer of weight matrices that was not made of the protocol, and must give its words.
int compile_native(CompileArguments arguments, const Communicator& communicator) {
  ConstructionArguments& construction = arguments.construction;
  require(construction.construction == ConstructionArguments{}.construction &&
              construction.specific.empty() && !construction.passes && !construction.round_trip &&
              !arguments.common.plan && arguments.certificate.empty(),
          "--native: goes without --construction and its options, --passes, --roundtrip, --plan and "
          "--certificate");
  construction.construction = "native";
  const Instance instance = prepare(arguments.common, communicator);
  return beside_run(arguments, instance, communicator, [&](const Execution& execution, OutputFiles& files) {
    const anna::MechanismInfo& mechanism = *anna::find_mechanism(construction.protocol_attention());
    const NativeTask task = native_task(instance, mechanism);
    simulate::Compiled compiled;
    compiled.transformer = task.model.transformer;
    compiled.bound = task.bound;
    const auto begun = std::chrono::steady_clock::now();
    const anna::Activations rows =
        anna::evaluate(task.model, simulate::input_activations(task.words, task.model.transformer.tokens));
    Findings found;
    simulate::Comparison& comparison = found.comparison;
    comparison.evaluate_seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
    comparison.sizes = simulate::measure(task.model.transformer);
    const mpc::Outputs expected = decode(instance, execution.result.outputs);
    found.outputs = native_outputs(instance, task, rows);
    comparison.equal = found.outputs == expected;
    for (std::uint64_t t = 0; t < expected.size() && !comparison.first_difference; ++t) {
      if (found.outputs[t] != expected[t]) comparison.first_difference.emplace().output = t;
    }
    if (arguments.check) {
      found.oracle_differs = wrong_answers(instance, found.outputs);
    }
    // With ANNA it may differ with probability eta, where hash functions of different words collide.
    found.verdict =
        judge({comparison.equal, within_bound(comparison.sizes, task.bound), found.oracle_differs.empty()},
              mechanism.drawn && !comparison.equal);
    const std::string& path = arguments.export_to;
    if (!path.empty() && found.verdict == "verified") {
      files.attempt([&] {
        anna::save_model(task.model, path,
                         arguments.dense ? anna::Matrices::kDense : anna::Matrices::kSmaller);
      });
      files.write(beside(path, ".tables.json"), json_text(native_tables(instance, task, expected), 1));
    }
    return tell(arguments, instance, execution, compiled, found, files);
  });
}

/// How the file of a program's weights is to be used: what goes in and comes out, and this input with its outputs.
nlohmann::ordered_json program_tables(const Instance& instance, const Execution& execution,
                                      std::uint64_t tokens) {
  const std::uint64_t offset = std::uint64_t{1} << (instance.shape().input_bits - 1);
  return {
      {"schema", "roundtrip/tables/1"},
      {"task", instance.info->name},
      {"tokens", tokens},
      {"input", "the first row of token t is (1, word t), of tokens without a word (0, 0)"},
      {"output", "output t is in the last row of token t: (1, word) in its first two columns"},
      {"offset", offset},
      {"words",
       fmt::format(
           "N = {} of them, no fewer: a number x of the input is the word x + offset; what an output word means "
           "is the protocol's",
           instance.shape().n)},
      {"example", {{"words", execution.words}, {"outputs", execution.result.outputs}}}};
}

/// --weights: the program's steps as weight matrices, with standard softmax attention.
int compile_weights(CompileArguments arguments, const Communicator& communicator) {
  ConstructionArguments& construction = arguments.construction;
  require(
      construction.construction == ConstructionArguments{}.construction && construction.specific.empty() &&
          !construction.passes && !construction.round_trip && arguments.certificate.empty() &&
          !arguments.native && (construction.attention.empty() || construction.attention == "softmax"),
      "--weights: goes without --native, --construction and its options, --attention but softmax, --passes, --roundtrip "
      "and --certificate");
  construction.construction = "weights";
  construction.attention = "softmax";
  const std::string& program_name = mpc::find_protocol(arguments.common.protocol).program;
  if (program_name.empty()) {
    std::vector<std::string> names;
    for (const mpc::ProtocolInfo* info : mpc::all_protocols()) {
      if (!info->program.empty()) names.push_back(info->name);
    }
    throw ContractError(fmt::format("--weights: {} has no program of the step language; allowed are {}",
                                    arguments.common.protocol, fmt::join(names, ", ")));
  }
  arguments.common.protocol = program_name;
  const Instance instance = prepare(arguments.common, communicator);
  const auto* const program = dynamic_cast<const mpc::Program*>(instance.protocol.get());
  require(program != nullptr, "--weights: {} is no program of the step language", instance.info->name);
  const simulate::ProgramWeights weights = simulate::compile_to_weights(*program);
  const anna::Transformer& transformer = weights.model.transformer;
  const simulate::WeightFacts facts = simulate::weight_facts(weights.model);
  simulate::EvaluationPlan plan;
  plan.sizes = weights.bound;
  plan.peak_bytes = transformer.tokens * weights.bound.width * 2 * sizeof(anna::Entry);
  if (arguments.common.plan) return show_plan(arguments, instance, plan, {}, communicator, facts);
  communicator.on_root([&] { require_memory(plan.peak_bytes, "evaluating the transformer"); });
  return beside_run(arguments, instance, communicator, [&](const Execution& execution, OutputFiles& files) {
    simulate::Compiled compiled;
    compiled.transformer = transformer;
    compiled.bound = weights.bound;
    Findings found;
    found.weights = facts;
    simulate::Comparison& comparison = found.comparison;
    const auto begun = std::chrono::steady_clock::now();
    const anna::Activations rows =
        anna::evaluate(weights.model, simulate::input_activations(execution.words, transformer.tokens));
    comparison.evaluate_seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
    comparison.sizes = simulate::measure(transformer);
    comparison.outputs = simulate::read_outputs(rows, instance.shape().outputs);
    comparison.run_words = execution.result.outputs;
    comparison.fault = !comparison.outputs.faulty.empty();
    const std::vector<mpc::Word>& words = comparison.outputs.words;
    comparison.equal = !comparison.fault && words == execution.result.outputs;
    for (std::uint64_t t = 0; t < words.size() && !comparison.equal && !comparison.first_difference; ++t) {
      if (words[t] != execution.result.outputs[t]) comparison.first_difference.emplace().output = t;
    }
    found.outputs = decode(instance, words);
    if (arguments.check) found.oracle_differs = wrong_answers(instance, found.outputs);
    found.verdict = judge(
        {comparison.equal, within_bound(comparison.sizes, weights.bound), found.oracle_differs.empty()});
    const std::string& path = arguments.export_to;
    if (!path.empty() && found.verdict == "verified") {
      files.attempt([&] {  // the tables last: of a graph that is refused nothing is left
        if (path.ends_with(".onnx")) {
          anna::save_onnx(weights.model, path);
        } else {
          anna::save_model(weights.model, path,
                           arguments.dense ? anna::Matrices::kDense : anna::Matrices::kSmaller);
        }
        write_whole(beside(path, ".tables.json"),
                    json_text(program_tables(instance, execution, transformer.tokens), 1));
      });
    }
    return tell(arguments, instance, execution, compiled, found, files);
  });
}

int compile(const CompileArguments& arguments, const Communicator& communicator) {
  const ProtocolArguments& common = arguments.common;
  const bool onnx = arguments.export_to.ends_with(".onnx");
  require(arguments.export_to.empty() || onnx || arguments.export_to.ends_with(".json"),
          "--export {}: a model's file ends in .json or, with --weights, .onnx", arguments.export_to);
  require(!onnx || (arguments.weights && !arguments.dense),
          "--export {}: an ONNX graph is of --weights, and dense without --dense", arguments.export_to);
  require(arguments.certificate.empty() || !common.plan, "--certificate: goes without --plan");
  require(arguments.certificate.empty() || arguments.construction.mechanism().finds_equal_keys,
          "--certificate: goes without --attention {}; a certificate's checker compares ids or their codes",
          arguments.construction.protocol_attention());
  require(
      arguments.certificate.empty() ||
          arguments.construction.construction != simulate::scattered_construction().name,
      "--certificate: goes without --construction scattered; a certificate's checker does not know its shifts");
  if (arguments.check) require_answers(mpc::find_protocol(common.protocol));
  communicator.on_root([&] {
    std::vector<NamedFile> outputs = {
        {"--output", common.output}, {"--json", common.out.json}, {"--certificate", arguments.certificate}};
    if (!arguments.export_to.empty()) {
      outputs.push_back({"--export", arguments.export_to});
      if (!onnx) outputs.push_back({"--export", beside(arguments.export_to, ".safetensors")});
      outputs.push_back({"--export", beside(arguments.export_to, ".tables.json")});
    }
    check_files(outputs, input_files(common), common.out.quiet);
  });
  require(!arguments.dense || !arguments.export_to.empty(), "--dense: goes with --export");
  if (arguments.weights) return compile_weights(arguments, communicator);
  if (arguments.native) return compile_native(arguments, communicator);
  require(!arguments.dense, "--dense: goes with --native or --weights; other models have no matrices");
  (void)arguments.construction.mechanism();  // refused before anything runs
  const Instance instance = prepare(common, communicator);
  const simulate::CompileOptions options =
      arguments.construction.protocol_options(instance.parameters, instance.info->name);
  const simulate::EvaluationPlan plan = simulate::plan(instance.shape(), options);
  simulate::Compiled compiled = simulate::compile(instance.protocol, options);
  compiled.parameters = instance.parameters;
  if (common.plan) return show_plan(arguments, instance, plan, compiled.passes, communicator);
  communicator.on_root([&] { require_memory(plan.peak_bytes, "evaluating the transformer"); });
  const auto certified = [&](const Execution& execution, const Findings& found) {
    const mpc::RoundFacts facts = execution.result.ledger.overall();
    nlohmann::ordered_json claims = sizes_json(found.comparison.sizes);
    claims["tokens"] = compiled.transformer.tokens;
    claims["max_words_sent"] = facts.max_words_sent;
    claims["max_words_received"] = facts.max_words_received;
    claims["total_words"] = facts.total_words;
    return certificate_bytes(compiled, arguments.construction.mechanism().name, instance, execution, claims,
                             found.outputs);
  };
  return beside_run(arguments, instance, communicator, [&](const Execution& execution, OutputFiles& files) {
    const Findings found = evaluate(arguments, instance, execution, compiled);
    if (!arguments.export_to.empty() && found.verdict == "verified") {
      files.attempt([&] {
        anna::save_model(simulate::as_model(compiled, arguments.construction.mechanism().name),
                         arguments.export_to);
      });
    }
    if (!arguments.certificate.empty() && found.verdict == "verified") {
      files.attempt([&] { write_whole(arguments.certificate, certified(execution, found)); });
    }
    return tell(arguments, instance, execution, compiled, found, files);
  });
}

}  // namespace

Command add_compile(CommandLine& line) {
  Flags& flags = line.add("compile", "Compile a protocol to an ANNA-transformer and compare the two",
                          R"(Examples:
  roundtrip compile k_hop --input text.txt --format words --n 1024 --param k=4
  roundtrip compile sort --n 256 --attention anna --json facts.json
  roundtrip compile k_hop --native --n 64 --export k_hop.json
  roundtrip compile list_ranking --weights --n 16 --export ranks.json
)");
  auto arguments = std::make_shared<CompileArguments>();
  add_protocol_arguments(flags, arguments->common);
  add_plan_and_output(flags, arguments->common);
  add_construction_arguments(
      flags, arguments->construction, arguments->common.parameters, anna::mechanism_names(),
      "ema (default): exact match; anna: one table of locality-sensitive hashing; softmax: standard attention, so cold "
      "that equal keys win; the others, with --native alone and where the task has such a network",
      "Turn the transformer into a protocol again and compare all outputs");
  flags.toggle(
      "--native", arguments->native,
      "k_hop, match2 and sum: instead of the protocol's, the transformer made for the task, of weight "
      "matrices with ReLU");
  flags.toggle(
      "--weights", arguments->weights,
      "The protocol's program as weight matrices with standard softmax attention, as a stock runtime executes it");
  flags.toggle("--dense", arguments->dense,
               "Export matrices with their zeros, for readers that know no others");
  flags.value(
      "--export", "FILE",
      "Save the verified transformer as a model, FILE ending in .json; of --native and --weights with "
      "weights and tables, else as the protocol's name, whose maps this program makes. Of --weights, FILE may "
      "end in .onnx: a graph that ONNX runtimes execute",
      [arguments](const std::string& text) { arguments->export_to = text; });
  flags.value(
      "--certificate", "FILE",
      "Write run and verified transformer, all messages, queries, keys, values and rows, for a checker "
      "that shares nothing with this program (JSON Lines, gzip)",
      [arguments](const std::string& text) { arguments->certificate = output_path("--certificate", text); });
  flags.toggle("--check", arguments->check,
               "Compare with the protocol's sequential oracle, or ask its check, as well");
  return {.name = "compile",
          .act = [arguments](const Communicator& communicator) { return compile(*arguments, communicator); },
          .transport = [arguments] { return arguments->common.transport; }};
}

}  // namespace roundtrip::cli
