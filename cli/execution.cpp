#include "roundtrip/cli/execution.h"

#include <fmt/format.h>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "roundtrip/base/error.h"
#include "roundtrip/base/fault.h"
#include "roundtrip/base/heap_meter.h"
#include "roundtrip/base/nearest_name.h"
#include "roundtrip/base/quote.h"
#include "roundtrip/cli/memory.h"
#include "roundtrip/cli/model_source.h"
#include "roundtrip/cli/progress.h"
#include "roundtrip/cli/verdict.h"
#include "roundtrip/mpc/stages/phase.h"
#include "roundtrip/proofs_check/report/rows.h"

namespace roundtrip::cli {

void check_options(const mpc::ProtocolInfo& info, const mpc::Parameters& parameters) {
  std::vector<std::string> names;
  for (const mpc::OptionInfo& option : info.options) names.push_back(option.name);
  for (const auto& [name, value] : parameters.options) {
    if (std::find(names.begin(), names.end(), name) != names.end()) continue;
    require(!names.empty(), "--param {}: {} has no parameters", name, info.name);
    throw ContractError(fmt::format("--param {}: {} has no such parameter; did you mean '{}'?", name,
                                    info.name, nearest_name(name, names)));
  }
}

namespace {

std::string epsilon_text(const mpc::Parameters& parameters, const mpc::Shape& shape) {
  if (!parameters.memory_words) return parameters.epsilon.to_string();
  // With --memory, eps is what the block size says; it is reported and decides nothing, so floating point
  // will do.
  if (shape.n < 2) return "0";
  return fmt::format(
      "{:.6f}", std::log(static_cast<double>(shape.block_words)) / std::log(static_cast<double>(shape.n)));
}

std::string options_text(const mpc::Parameters& parameters) {
  std::string text;
  for (const auto& [name, value] : parameters.options) text += fmt::format(" {}={}", name, value);
  return text;
}

}  // namespace

const mpc::ProtocolInfo& protocol_named(const std::string& name) {
  require(!names_model(name), "'{}' names a model, not a protocol; `roundtrip decompile` runs models", name);
  return mpc::find_protocol(name);
}

Instance prepare(const ProtocolArguments& arguments, const Communicator& communicator) {
  return prepare(arguments, protocol_named(arguments.protocol), communicator);
}

Instance prepare(const ProtocolArguments& arguments, const mpc::ProtocolInfo& info,
                 const Communicator& communicator) {
  Instance instance;
  instance.info = &info;
  instance.parameters = arguments.parameters;
  mpc::Parameters& parameters = instance.parameters;
  check_options(*instance.info, parameters);
  require(!arguments.input.empty() || !arguments.format, "--format: only with --input");
  require(!arguments.output_names || !arguments.output.empty(), "--output-names: only with --output");
  require(!arguments.output_names || info.drops_absent_tail,
          "--output-names: the outputs of {} are not those of vertices", info.name);

  const mpc::Example& example = info.example;
  instance.example = arguments.input.empty() && !arguments.n;
  if (instance.example && !arguments.epsilon_given) parameters.epsilon = example.epsilon;
  const auto read_example = [&] {
    return Input::of_text(example.text, example.words ? Format::kWords : Format::kNumbers);
  };
  if (instance.example && !example.text.empty()) {
    parameters.n = read_example().size();
  } else if (arguments.input.empty()) {
    parameters.n = arguments.n.value_or(example.n);
  } else {
    parameters.n = communicator.from_root([&] {
      instance.input = Input::read(arguments.input, arguments.format.value_or(Format::kNumbers), arguments.n,
                                   info.takes_weights);
      return instance.input->size();
    });
  }
  parameters.validate();
  instance.protocol = instance.info->make(parameters);
  instance.shape().validate();
  if (arguments.plan) return instance;
  communicator.on_root([&] {
    // Every machine full, sent and received (joins come near that); on rank 0 the input as values and as words,
    // the outputs as words and as values.
    const auto ranks = static_cast<std::uint64_t>(communicator.transport().ranks());
    require_memory(2 * sizeof(mpc::Word) * parameters.n +
                       (sizeof(mpc::Word) + sizeof(mpc::Outputs::value_type)) * instance.shape().outputs,
                   "the run", exchange_bytes(instance.shape()) / ranks);
    if (instance.example && !example.text.empty())
      instance.input = read_example();
    else if (arguments.input.empty())
      instance.input = Input::generate(*instance.info, parameters);
  });
  return instance;
}

std::uint64_t exchange_bytes(const mpc::Shape& shape) {
  return 2 * sizeof(mpc::Word) * shape.machines * shape.memory_words;
}

std::vector<mpc::Word> encode(const Instance& instance, const Communicator& communicator) {
  std::vector<mpc::Word> words;
  communicator.on_root([&] {
    words = instance.input->encode(instance.shape());
    if (instance.info->accept) instance.info->accept(instance.input->values(), instance.parameters);
  });
  return words;
}

Execution execute(const Instance& instance, const ProtocolArguments& arguments,
                  const Communicator& communicator, mpc::RunOptions options,
                  std::optional<std::vector<mpc::Word>> words) {
  Execution execution;
  std::unique_ptr<mpc::Transport> own;
  mpc::Transport* transport = &communicator.transport();
  if (arguments.transport == "inprocess" && transport->name() != "inprocess") {
    require(transport->ranks() == 1, "--transport inprocess: needs a single rank, started with {}",
            transport->ranks());
    own = mpc::make_in_process_transport();
    transport = own.get();
  }
  execution.transport = transport->name();
  execution.ranks = transport->ranks();

  execution.words = words ? std::move(*words) : encode(instance, communicator);

  Progress progress(communicator.root() && !arguments.out.quiet);
  options.limit_words = arguments.limit_words;
  options.one_machine_per_rank = arguments.one_machine_per_rank;
  if (progress.shown()) {
    options.progress = [&](std::uint32_t round, std::uint32_t rounds) {
      progress.draw_step("round", round, rounds);
    };
  }
  try {
    execution.result = mpc::run(*instance.protocol, execution.words, *transport, options);
  } catch (const mpc::ModelViolation& violation) {
    execution.violation = violation;
  }
  return execution;
}

mpc::Outputs decode(const Instance& instance, const std::vector<mpc::Word>& words) {
  return mpc::decode_outputs(*instance.info, *instance.protocol, words);
}

void require_answers(const mpc::ProtocolInfo& info) {
  require(info.has_answers(), "--check: {} has no sequential oracle and no check of its own", info.name);
}

std::string wrong_answers(const Instance& instance, const mpc::Outputs& outputs) {
  const mpc::ProtocolInfo& info = *instance.info;
  if (seeded("answers-unchecked")) return {};
  const auto own_check = [&] {
    return info.check ? one_line(info.check(instance.input->values(), outputs, instance.parameters))
                      : std::string();
  };
  if (!info.oracle) return own_check();
  const mpc::Outputs expected = info.oracle(instance.input->values(), instance.parameters);
  if (outputs.size() != expected.size()) {
    return fmt::format("{} outputs where {} are expected", outputs.size(), expected.size());
  }
  const auto [ours, theirs] = std::mismatch(outputs.begin(), outputs.end(), expected.begin());
  if (ours == outputs.end()) return own_check();
  const auto show = [&](const std::optional<std::int64_t>& value) {
    if (!value) return std::string("none");
    return instance.info->output_form == mpc::OutputForm::kSymbols ? printable(instance.input->text(*value))
                                                                   : fmt::format("{}", *value);
  };
  return fmt::format("output {} is {}, expected {}", ours - outputs.begin(), show(*ours), show(*theirs));
}

std::string output_text(const Instance& instance, const mpc::Outputs& all, bool names) {
  std::span<const std::optional<std::int64_t>> outputs = all;
  while (instance.info->drops_absent_tail && !outputs.empty() && !outputs.back())
    outputs = outputs.first(outputs.size() - 1);
  std::string text;
  switch (instance.info->output_form) {
    case mpc::OutputForm::kSymbols:
      for (std::size_t t = 0; t < outputs.size(); ++t) {
        if (names) text += instance.input->text(static_cast<std::int64_t>(t)) + "\t";
        text += (outputs[t] ? instance.input->text(*outputs[t]) : std::string()) + "\n";
      }
      break;
    case mpc::OutputForm::kNumbers:
      for (const auto& value : outputs) text += (value ? fmt::format("{}", *value) : std::string()) + "\n";
      break;
    case mpc::OutputForm::kTriple:
      for (const auto& value : outputs) {
        if (value) text += (text.empty() ? "" : " ") + fmt::format("{}", *value);
      }
      text += "\n";
      break;
    case mpc::OutputForm::kRecords: {
      const std::string& record = instance.info->output_record;
      for (std::size_t t = 0; t < outputs.size(); ++t) {
        const std::size_t at = t % record.size();
        if (outputs[t])
          text += record[at] == 's' ? instance.input->text(*outputs[t]) : fmt::format("{}", *outputs[t]);
        text += at + 1 == record.size() ? "\n" : " ";
      }
      break;
    }
  }
  return text;
}

std::string heading(const Instance& instance) {
  const mpc::Shape& shape = instance.shape();
  std::string text =
      fmt::format("{}{}: N = {} words, eps = {}\n", printable(instance.info->name),
                  options_text(instance.parameters), shape.n, epsilon_text(instance.parameters, shape));
  text += fmt::format(
      "  machines          q = {}, with b = {} input words and s = {} words of memory each (kappa_s = {})\n",
      shape.machines, shape.block_words, shape.memory_words, shape.kappa_s);
  if (instance.parameters.gamma > Rational(0) && shape.kappa_q) {
    text += fmt::format("  gamma             {}, kappa_q = {}: {}\n", instance.parameters.gamma.to_string(),
                        shape.kappa_q->to_string(),
                        instance.info->uses_more_machines ? "the input is spread over more machines"
                                                          : "machines that are not needed idle");
  }
  const std::string rounds = std::to_string(shape.rounds);
  text += fmt::format(
      "  rounds            R = {}{}\n", rounds,
      instance.info->rounds_formula == rounds ? "" : " = " + std::string(instance.info->rounds_formula));
  if (shape.kappa_raised)
    text += fmt::format(
        "  kappa_s           raised to {}: the smallest for which this algorithm works at this N\n",
        shape.kappa_s);
  if (shape.below_range())
    text += "  below range       s > N/4: one machine could hold the input; bounds prove nothing here\n";
  if (instance.example)
    text += "  input             the protocol's example; yours with --input FILE or --n N\n";
  if (instance.input) {
    for (const std::string& note : instance.input->notes())
      text += fmt::format("  input             {}\n", note);
  }
  return text;
}

std::string run_table(const Instance& instance, const Execution& execution) {
  const mpc::Shape& shape = instance.shape();
  const mpc::RoundFacts facts = execution.result.ledger.overall();
  std::string text =
      fmt::format("ran {}, {:.3f} s\n", proofs_check::where_it_ran(execution.transport, execution.ranks),
                  execution.result.seconds);
  text += fmt::format("  rounds            {} of {}\n", execution.result.ledger.rounds.size(), shape.rounds);
  text += fmt::format("  words sent        {} of {} (most by a machine in a round)\n", facts.max_words_sent,
                      shape.memory_words);
  text += fmt::format("  words received    {} of {}\n", facts.max_words_received, shape.memory_words);
  text += fmt::format("  scratch words     {} of {}\n", facts.max_scratch_words, shape.scratch_words);
  text +=
      HeapMeter::available()
          ? fmt::format("  heap words        {} of {}\n", facts.max_heap_words, shape.allowed_heap_words())
          : "  heap words        not metered: this program has an operator new of its own\n";
  text += fmt::format("  words in all      {}\n", facts.total_words);
  return text;
}

/// Null where it is not metered.
nlohmann::ordered_json heap_json(const mpc::RoundFacts& facts) {
  return HeapMeter::available() ? nlohmann::ordered_json(facts.max_heap_words) : nlohmann::ordered_json();
}

nlohmann::ordered_json run_json(const Instance& instance, const Execution& execution,
                                const std::string& verdict) {
  const mpc::Shape& shape = instance.shape();
  const mpc::Parameters& parameters = instance.parameters;
  const mpc::RoundFacts facts = execution.result.ledger.overall();
  const std::vector<mpc::RoundFacts>& rounds = execution.result.ledger.rounds;
  const mpc::RoundFacts last = rounds.empty() ? mpc::RoundFacts{} : rounds.back();
  nlohmann::ordered_json json = {
      {"schema", "roundtrip/run/1"},
      {"protocol", instance.info->name},
      {"options", parameters.options},
      {"n", shape.n},
      {"epsilon", epsilon_text(parameters, shape)},
      {"gamma", parameters.gamma.to_string()},
      {"delta", parameters.delta.to_string()},
      {"eta", parameters.eta.to_string()},
      {"kappa_s", shape.kappa_s},
      {"kappa_q",
       shape.kappa_q ? nlohmann::ordered_json(shape.kappa_q->to_string()) : nlohmann::ordered_json()},
      {"seed", parameters.seed},
      {"machines", shape.machines},
      {"memory_words", shape.memory_words},
      {"word_bits", shape.word_bits},
      {"rounds", execution.result.ledger.rounds.size()},
      {"rounds_bound", shape.rounds},
      {"max_words_sent", facts.max_words_sent},
      {"max_words_received", facts.max_words_received},
      {"max_scratch_words", facts.max_scratch_words},
      {"max_heap_words", heap_json(facts)},
      {"working_words", shape.scratch_words + shape.allowed_heap_words()},
      {"total_words", facts.total_words - (seeded("total-less-last-round") ? last.total_words : 0)},
      {"below_range", shape.below_range()},
      {"transport", execution.transport},
      {"ranks", execution.ranks},
      {"seconds", execution.result.seconds},
      {"verdict", verdict},
  };
  if (execution.violation) {
    const mpc::ModelViolation::Facts& broken = execution.violation->facts();
    json["violation"] = {{"machine", broken.machine},
                         {"round", broken.round},
                         {"phase", mpc::phase_of(*instance.protocol, broken.round)},
                         {"used", broken.used},
                         {"allowed", broken.allowed},
                         {"message", execution.violation->what()}};
  }
  nlohmann::ordered_json& ledger = json["ledger"] = nlohmann::ordered_json::array();
  for (const mpc::RoundFacts& round : rounds) {
    ledger.push_back(
        {{"max_words_sent", round.max_words_sent},
         {"max_words_received", seeded("received-is-sent") ? round.max_words_sent : round.max_words_received},
         {"max_scratch_words", round.max_scratch_words},
         {"max_heap_words", heap_json(round)},
         {"total_words", round.total_words}});
  }
  return json;
}

void publish(const OutputArguments& arguments, bool output_taken, const std::string& text,
             const nlohmann::ordered_json& json, OutputFiles files) {
  if (!arguments.json.empty()) files.write(arguments.json, json_text(json));
  if (!arguments.quiet && arguments.json != "-" && !output_taken) files.write("-", text);
  files.finish();
}

int conclude(const Instance& instance, const Execution& execution, const OutputArguments& arguments,
             bool output_taken, const Communicator& communicator,
             const std::function<Conclusion(OutputFiles&)>& work) {
  const int status = communicator.from_root([&]() -> int {
    if (execution.violation) {
      const std::string verdict = verdict_of(*execution.violation);
      publish(arguments, output_taken, heading(instance) + "verdict: " + verdict + "\n",
              run_json(instance, execution, verdict));
      return status_of(verdict);
    }
    if (arguments.quiet || output_taken || arguments.json == "-") {  // no report to say it
      for (const std::string& note : instance.input->notes())
        std::fputs(fmt::format("roundtrip: note: {}\n", note).c_str(), stderr);
    }
    OutputFiles files;
    Conclusion conclusion = work(files);
    const std::string& verdict = conclusion.verdict;
    conclusion.json["verdict"] = verdict;
    publish(arguments, output_taken, conclusion.text + "verdict: " + verdict + "\n", conclusion.json,
            std::move(files));
    return status_of(verdict);
  });
  if (execution.violation) throw mpc::ViolationInPhase(*execution.violation, *instance.protocol);
  return status;
}

}  // namespace roundtrip::cli
