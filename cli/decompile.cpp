// Purpose: `roundtrip decompile MODEL|PROTOCOL`: the protocol that a transformer is, run on its machines and
// compared with the transformer's evaluation, and on request compiled again.
#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "roundtrip/base/atomic_file.h"
#include "roundtrip/base/error.h"
#include "roundtrip/base/fault.h"
#include "roundtrip/cli/command.h"
#include "roundtrip/cli/construction.h"
#include "roundtrip/cli/execution.h"
#include "roundtrip/cli/expected.h"
#include "roundtrip/cli/memory.h"
#include "roundtrip/cli/model_source.h"
#include "roundtrip/cli/progress.h"
#include "roundtrip/cli/verdict.h"
#include "roundtrip/mpc/transport.h"
#include "roundtrip/simulate/decompile/decompile.h"
#include "roundtrip/simulate/native/low_rank.h"

namespace roundtrip::cli {
namespace {

struct DecompileArguments {
  ProtocolArguments common;
  ConstructionArguments construction;
  bool native = false;
};

/// A low-rank model as as many layers of exact match.
struct Layers {
  simulate::TransformerSizes sizes;
  bool equal = false;  ///< to the model, after every layer
};

/// What rank 0 found.
struct Findings {
  anna::Activations rows;
  bool equal = false;                              ///< to the evaluation
  std::optional<bool> equals_protocol;             ///< the compiled protocol's own run
  std::optional<SourceDifference> source;          ///< of a file that holds what its source gives
  std::optional<simulate::Comparison> recompiled;  ///< --roundtrip
  simulate::TransformerSizes recompiled_bound;
  std::optional<Layers> layers;  ///< --native
  std::string verdict;
};

Layers examine_layers(const anna::Model& model, std::span<const mpc::Word> words) {
  const anna::Transformer transformer = simulate::low_rank_by_averages(model);
  const auto exact = anna::make_exact_match();
  Layers layers{simulate::measure(transformer), true};
  anna::Activations array = simulate::input_activations(words, model.transformer.tokens), expected = array;
  for (std::size_t l = 0; l < transformer.depth(); ++l) {
    array = anna::evaluate(*transformer.layers[l], *exact, array);
    expected = anna::evaluate(*model.transformer.layers[l], *model.mechanisms[l].make(), expected);
    layers.equal = layers.equal && array == expected;
  }
  return layers;
}

Findings examine(const DecompileArguments& arguments, const Instance& instance,
                 const ModelSource& model_source, const Execution& execution) {
  Findings found;
  found.rows = simulate::decompiled_rows(model_source.plan, execution.result.outputs);
  found.equal = found.rows == anna::evaluate(model_source.model,
                                             simulate::input_activations(
                                                 execution.words, model_source.model.transformer.tokens)) ||
                seeded("rows-uncompared");
  bool overflow = false;
  if (model_source.compiled) {
    const mpc::Protocol& protocol = *model_source.compiled->protocol;
    const auto transport = mpc::make_in_process_transport();
    const simulate::OutputWords outputs = simulate::read_outputs(found.rows, protocol.shape().outputs);
    overflow = std::ranges::find(outputs.reasons, simulate::FaultKind::kOverflow) != outputs.reasons.end();
    found.equals_protocol =
        outputs.faulty.empty() && outputs.words == mpc::run(protocol, execution.words, *transport).outputs;
  }
  if (model_source.is_file())
    found.source = compare_with_source(model_source.name, model_source.model, model_source.plan.input_bits);
  if (arguments.construction.round_trip) {
    const simulate::CompileOptions options =
        arguments.construction.options(instance.parameters, model_source.name);
    require_memory(simulate::plan(instance.shape(), options).peak_bytes,
                   "evaluating the transformer made again");
    const simulate::Compiled again = simulate::compile(instance.protocol, options);
    found.recompiled_bound = again.bound;
    found.recompiled = simulate::compare(again, execution.words, *simulate::make_attention(again, "ema"));
    overflow |= found.recompiled->overflow;
  }
  if (arguments.native) found.layers = examine_layers(model_source.model, execution.words);
  found.verdict =
      judge({found.equal, !found.layers || found.layers->equal, found.equals_protocol.value_or(true),
             !found.source || found.source->within(),
             !found.recompiled ||
                 (found.recompiled->equal && within_bound(found.recompiled->sizes, found.recompiled_bound))},
            overflow);
  return found;
}

std::string model_text(const ModelSource& model_source) {
  const simulate::DecompilePlan& plan = model_source.plan;
  const simulate::TransformerSizes sizes = simulate::measure(model_source.model.transformer);
  std::uint64_t tables = 0;
  for (const simulate::DecompiledLayer& layer : plan.layers)
    tables = std::max<std::uint64_t>(tables, layer.tables);
  std::string text =
      fmt::format("  transformer       L = {} layers, H = {} heads, width H * m = {}, N' = {} tokens{}\n",
                  sizes.depth, sizes.heads, sizes.width, plan.tokens,
                  tables == 0 ? "" : fmt::format(", at most ell = {} tables", tables));
  text += fmt::format("  blocks            C = {} of T_b = {} tokens, W = {} words each\n", plan.blocks,
                      plan.block_tokens, plan.token_words);
  if (const auto& contrast = model_source.contrast) {
    text += fmt::format(
        "  contrast          standard attention: (N / B)^2 = {} machines, B = {} tokens: {}; R = {} rounds\n",
        contrast->machines, contrast->block_tokens, contrast->machines < plan.machines ? "fewer" : "no fewer",
        contrast->rounds);
  }
  if (plan.below_range())
    text +=
        "  below range       s > N W / 16: a few machines could hold all rows; bounds prove nothing here\n";
  return text;
}

nlohmann::ordered_json model_json(const ModelSource& model_source,
                                  const std::vector<simulate::Pass>& passes) {
  const simulate::DecompilePlan& plan = model_source.plan;
  nlohmann::ordered_json json = sizes_json(simulate::measure(model_source.model.transformer));
  json["tokens"] = plan.tokens;
  json["block_tokens"] = plan.block_tokens;
  json["token_words"] = plan.token_words;
  json["state_below_range"] = plan.below_range();
  json["softmax_machines"] = model_source.contrast ? nlohmann::ordered_json(model_source.contrast->machines)
                                                   : nlohmann::ordered_json();
  json["passes"] = passes_json(passes);
  return json;
}

/// One output word a line: of the protocol that was compiled, else the numbers of the rows, token by token.
std::string outputs_text(const Instance& instance, const ModelSource& model_source,
                         const anna::Activations& rows) {
  if (model_source.compiled) {
    const std::shared_ptr<const mpc::Protocol>& protocol = model_source.compiled->protocol;
    const simulate::OutputWords words = simulate::read_outputs(rows, protocol->shape().outputs);
    mpc::Outputs outputs;
    for (std::size_t t = 0; t < words.words.size(); ++t)
      outputs.push_back(model_source.compiled_info->decode(*protocol, t, words.words[t]));
    Instance original;
    original.info = model_source.compiled_info;
    original.protocol = protocol;
    std::string text;
    for (const auto& output : outputs) {
      const bool symbol = original.info->output_form == mpc::OutputForm::kSymbols;
      text += (!output  ? std::string()
               : symbol ? instance.input->text(*output)
                        : fmt::format("{}", *output)) +
              "\n";
    }
    return text;
  }
  std::string text;
  for (std::uint64_t token = 0; token < rows.tokens(); ++token) {
    for (std::uint32_t column = 0; column < rows.dimension(); ++column)
      text += fmt::format("{}\n", static_cast<std::int64_t>(rows.row(token)[column]));
  }
  return text;
}

int decompile(const DecompileArguments& arguments, const Communicator& communicator) {
  const ProtocolArguments& common = arguments.common;
  communicator.on_root([&] {
    check_files({{"--output", common.output}, {"--json", common.out.json}}, input_files(common),
                common.out.quiet);
  });
  ModelSource model_source = make_model_source(common.protocol);
  const mpc::ProtocolInfo info = as_protocol(arguments.construction, model_source);
  const Instance instance = prepare(common, info, communicator);
  if (arguments.native)
    (void)simulate::low_rank_by_averages(model_source.model);  // refuses others before anything runs
  const std::vector<simulate::Pass> passes = simulate::decompile_passes(model_source.plan);
  const std::string passes_shown = arguments.construction.passes ? passes_text(passes) : "";
  if (common.plan) {
    communicator.on_root([&] {
      const mpc::Shape& shape = instance.shape();
      nlohmann::ordered_json json = {{"schema", "roundtrip/plan/1"},
                                     {"protocol", info.name},
                                     {"n", shape.n},
                                     {"machines", shape.machines},
                                     {"memory_words", shape.memory_words},
                                     {"rounds_bound", shape.rounds},
                                     {"exchange_bytes", exchange_bytes(shape)}};
      json.update(model_json(model_source, passes));
      publish(common.out, false,
              heading(instance) + model_text(model_source) +
                  fmt::format("  bytes             at most {} for words in flight, over all ranks\n",
                              exchange_bytes(shape)) +
                  passes_shown,
              json);
    });
    return kDone;
  }
  const Execution execution = execute(instance, common, communicator);

  const auto tell = [&](OutputFiles& files) -> Conclusion {
    Progress progress(!common.out.quiet);
    progress.draw("evaluating the transformer");
    const Findings found = examine(arguments, instance, model_source, execution);
    if (!common.output.empty()) files.write(common.output, outputs_text(instance, model_source, found.rows));
    std::string text =
        heading(instance) + model_text(model_source) + run_table(instance, execution) + passes_shown;
    text +=
        fmt::format("  rows              {} of {} numbers: {}\n", found.rows.tokens(), found.rows.dimension(),
                    found.equal ? "equal to the evaluation, bit for bit" : "differ from the evaluation");
    if (found.source) text += source_text(*found.source);
    if (found.equals_protocol) {
      text += fmt::format("  compiled protocol {}\n", *found.equals_protocol ? "its run gives the same words"
                                                                             : "its run gives other words");
    }
    nlohmann::ordered_json json = run_json(instance, execution, found.verdict);
    json["schema"] = "roundtrip/decompile/1";
    json.update(model_json(model_source, passes));
    json["equal"] = found.equal && found.equals_protocol.value_or(true);
    json["source"] = source_json(found.source);
    if (found.layers) {
      const simulate::TransformerSizes& sizes = found.layers->sizes;
      text += fmt::format("  in ANNA layers    L = {}, H = {}, width {}: {}\n", sizes.depth, sizes.heads,
                          sizes.width,
                          found.layers->equal ? "equal after every layer, bit for bit" : "arrays differ");
      json["layers"] = sizes_json(sizes);
      json["layers"]["equal"] = found.layers->equal;
    }
    if (found.recompiled) {
      const simulate::TransformerSizes& sizes = found.recompiled->sizes;
      text += fmt::format("  compiled again    {}: L = {}, H = {}, width {}: {}\n",
                          arguments.construction.construction, sizes.depth, sizes.heads, sizes.width,
                          found.recompiled->equal ? "equal, word for word" : "outputs differ or are faults");
      json["roundtrip"] = sizes_json(sizes);
      json["roundtrip"]["construction"] = arguments.construction.construction;
      json["roundtrip"]["depth_bound"] = found.recompiled_bound.depth;
      json["roundtrip"]["width_bound"] = found.recompiled_bound.width;
      json["roundtrip"]["overflow"] = found.recompiled->overflow;
      json["roundtrip"]["equal"] = found.recompiled->equal;
    }
    return {found.verdict, text, json};
  };
  return conclude(instance, execution, common.out, common.output == "-", communicator, tell);
}

}  // namespace

Command add_decompile(CommandLine& line) {
  Flags& flags = line.add("decompile", "Turn a transformer into a protocol, run it and compare the two",
                          R"(A PROTOCOL is compiled first. The keys of a random model, with their defaults:
random:L=2,H=4,d=16,m=8,w=8,p=16,c=4,seed=1 has L layers of H heads, queries and keys of d numbers,
values of m, rows of w, input words of p bits; with --attention anna keys are near within r, far
beyond c r.
Examples:
  roundtrip decompile random:L=2,H=4,d=16,c=8,seed=1 --n 256 --eps 1/4 --delta 1/4
  roundtrip decompile ./k_hop.json --n 64    (written by an example of `roundtrip compile --help`)
  roundtrip decompile random:L=2,m=4 --attention low_rank --n 256 --native
  roundtrip decompile sum --n 256 --construction routed --roundtrip
)");
  auto arguments = std::make_shared<DecompileArguments>();
  add_protocol_arguments(flags, arguments->common, "PROTOCOL|MODEL");
  add_plan_and_output(flags, arguments->common);
  flags.choice(
      "--softmax", "WAY", {"pairs", "ring"},
      "Softmax layers: a machine for every pair of blocks (default), or for every block, in a ring",
      [arguments](const std::string& text) { arguments->construction.softmax_ring = text == "ring"; });
  add_construction_arguments(
      flags, arguments->construction, arguments->common.parameters, anna::mechanism_names(),
      fmt::format(
          "{}: of a random model (default anna) or a compiled protocol (default ema); {}: of a random model. With "
          "a file: its weights with this attention in place of its own",
          attention_names(true, " or "), attention_names(false, ", ")),
      "Compile the protocol again (words of 48 bits), by --construction, and compare all outputs");
  flags.toggle(
      "--native", arguments->native,
      "Low-rank models: also as as many ANNA layers, by averages over all tokens, and compare all arrays");
  return {
      .name = "decompile",
      .act = [arguments](const Communicator& communicator) { return decompile(*arguments, communicator); },
      .transport = [arguments] { return arguments->common.transport; }};
}

}  // namespace roundtrip::cli
