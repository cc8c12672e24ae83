// Purpose: `roundtrip run PROTOCOL`: the protocol on its machines, measured against its declared limits and,
// on request, its sequential oracle.
#include <csignal>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "roundtrip/base/atomic_file.h"
#include "roundtrip/base/error.h"
#include "roundtrip/cli/command.h"
#include "roundtrip/cli/dump.h"
#include "roundtrip/cli/execution.h"
#include "roundtrip/cli/memory.h"
#include "roundtrip/cli/trace.h"
#include "roundtrip/cli/verdict.h"

namespace roundtrip::cli {
namespace {

std::atomic<bool> stop_asked = false;
static_assert(std::atomic<bool>::is_always_lock_free);  // set by a signal's handler

/// SIGUSR1 and SIGTERM ask for a checkpoint at the end of a round, while this lives: also those that arrive while
/// MPI starts or the input is read.
class StopSignals {
 public:
  StopSignals() {
    struct sigaction action = {};
    action.sa_handler = [](int) { stop_asked = true; };
    action.sa_flags = SA_RESTART;
    for (std::size_t i = 0; i < std::size(kSignals); ++i) sigaction(kSignals[i], &action, &before_[i]);
  }
  ~StopSignals() {
    for (std::size_t i = 0; i < std::size(kSignals); ++i) sigaction(kSignals[i], &before_[i], nullptr);
  }
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

 private:
  static constexpr int kSignals[] = {SIGUSR1, SIGTERM};
  struct sigaction before_[std::size(kSignals)] = {};
};

struct RunArguments {
  ProtocolArguments common;
  bool check = false;
  std::string checkpoint;                ///< directory; empty: none
  std::optional<std::uint32_t> every{};  ///< rounds
  std::string resume;                    ///< directory; empty: from the start
  std::string trace, csv, heat;          ///< FILE or "-"; empty: none
  std::optional<TraceClock> clock{};
  std::optional<DumpWish> dump{};
  std::optional<StopSignals> signals{};  ///< while checkpoints are kept
};

mpc::CheckpointOptions checkpoint_options(const RunArguments& arguments, const Instance& instance) {
  mpc::CheckpointOptions options;
  options.resume = arguments.resume;
  options.directory = arguments.checkpoint.empty() ? arguments.resume : arguments.checkpoint;
  require(!options.directory.empty() || !arguments.every, "--every: only with --checkpoint or --resume");
  options.every = arguments.every.value_or(1);
  const mpc::Parameters& parameters = instance.parameters;
  options.identity = {{"version", ROUNDTRIP_VERSION},
                      {"protocol", instance.info->name},
                      {"seed", std::to_string(parameters.seed)},
                      {"epsilon", parameters.epsilon.to_string()},
                      {"gamma", parameters.gamma.to_string()},
                      {"delta", parameters.delta.to_string()},
                      {"eta", parameters.eta.to_string()}};
  for (const auto& [name, value] : parameters.options) options.identity.emplace_back("param " + name, value);
  options.stop = &stop_asked;
  options.warn = [](const std::string& line) {
    std::fputs(("roundtrip: warning: " + one_line(line) + "\n").c_str(), stderr);
  };
  return options;
}

int show_plan(const RunArguments& arguments, const Instance& instance, const Communicator& communicator) {
  const std::uint64_t bytes = exchange_bytes(instance.shape());
  communicator.on_root([&] {
    const mpc::Shape& shape = instance.shape();
    const nlohmann::ordered_json json = {
        {"schema", "roundtrip/plan/1"}, {"protocol", instance.info->name},    {"n", shape.n},
        {"machines", shape.machines},   {"memory_words", shape.memory_words}, {"rounds_bound", shape.rounds},
        {"exchange_bytes", bytes}};
    publish(arguments.common.out, false,
            heading(instance) +
                fmt::format("  bytes             at most {} for words in flight, over all ranks\n", bytes),
            json);
  });
  return kDone;
}

int run(const RunArguments& arguments, const Communicator& communicator) {
  const ProtocolArguments& common = arguments.common;
  communicator.on_root([&] {
    check_files({{"--output", common.output},
                 {"--json", common.out.json},
                 {"--trace", arguments.trace},
                 {"--csv", arguments.csv},
                 {"--heat", arguments.heat}},
                input_files(common), common.out.quiet);
  });
  Instance instance = prepare(common, communicator);
  if (arguments.check) require_answers(*instance.info);
  require(!arguments.clock || !arguments.trace.empty(), "--trace-clock: only with --trace");
  if (common.plan) return show_plan(arguments, instance, communicator);
  mpc::RunOptions options;
  options.checkpoint = checkpoint_options(arguments, instance);
  options.profile = !arguments.trace.empty() || !arguments.csv.empty() || !arguments.heat.empty();
  if (options.profile) {
    constexpr std::uint64_t kRowBytes =
        2 * sizeof(mpc::MachineFacts) + 32;  // on rank 0: gathered, and as text
    communicator.on_root([&] {
      require_memory(kRowBytes * instance.shape().rounds * instance.shape().machines,
                     "--trace, --csv or --heat");
    });
  }
  const std::uint32_t rounds = instance.shape().rounds;
  if (communicator.root() && arguments.every && *arguments.every >= rounds) {
    options.checkpoint.warn(fmt::format(
        "--every {}: the run has {} rounds, so only a signal leaves a checkpoint", *arguments.every, rounds));
  }
  const std::string directory = options.checkpoint.directory;
  const bool output_taken =
      common.output == "-" || arguments.trace == "-" || arguments.csv == "-" || arguments.heat == "-";
  std::optional<Dump> dump;
  if (arguments.dump) {
    require(!output_taken && common.out.json != "-" && !common.out.quiet,
            "--dump: is shown on standard output, and nothing else may go there");
    const DumpWish& wish = *arguments.dump;
    require(wish.round.value_or(1) >= 1 && wish.round.value_or(1) <= rounds,
            "--dump: round {}, allowed is 1 to {}", wish.round.value_or(1), rounds);
    require(wish.machine.value_or(0) < instance.shape().machines, "--dump: machine {}, allowed is 0 to {}",
            wish.machine.value_or(0), instance.shape().machines - 1);
    options.observer = &dump.emplace(wish, instance);
  }
  std::vector<mpc::Word> words = encode(instance, communicator);
  // Only a check asks for the values again: 8 bytes a word that the run has no use for.
  if (!arguments.check) communicator.on_root([&] { instance.input->forget_values(); });
  const Execution execution = execute(instance, common, communicator, std::move(options), std::move(words));
  if (dump) {
    const std::string text = dump->text(communicator.transport());
    communicator.on_root([&] { write_whole("-", text); });
  }
  if (const auto round = execution.result.stopped_after) {
    communicator.on_root([&] {
      std::fputs(
          one_line(fmt::format("roundtrip: stopped at the checkpoint after round {} of {}; the same command "
                               "with --resume {} goes on",
                               *round, instance.shape().rounds, directory))
              .append("\n")
              .c_str(),
          stderr);
    });
    return kStopped;
  }

  const auto tell = [&](OutputFiles& files) -> Conclusion {
    const mpc::Outputs outputs = decode(instance, execution.result.outputs);
    std::string text = heading(instance) + run_table(instance, execution), verdict = "done";
    if (arguments.check) {
      const std::string wrong = wrong_answers(instance, outputs);
      verdict = judge({wrong.empty()}, instance.info->failure_probability > 0);
      text += fmt::format("  outputs           {}: {}\n", outputs.size(),
                          !wrong.empty()          ? wrong
                          : instance.info->oracle ? "all equal to the sequential oracle's"
                                                  : "right, by the protocol's own check");
      if (verdict == "inconclusive") {
        text += fmt::format(
            "                    with probability up to {} a seed may do so; `roundtrip verify {}` counts how often\n",
            instance.info->failure_probability, instance.info->name);
      }
    } else if (common.output.empty()) {
      text += fmt::format("  outputs           {}: --output FILE writes them{}\n", outputs.size(),
                          instance.info->oracle  ? ", --check compares them with an oracle's"
                          : instance.info->check ? ", --check judges them"
                                                 : "");
    }
    if (!common.output.empty())
      files.write(common.output, output_text(instance, outputs, common.output_names));
    if (!arguments.trace.empty()) {
      files.write(arguments.trace,
                  trace_text(instance, execution.result, arguments.clock.value_or(TraceClock::kWall)));
    }
    if (!arguments.csv.empty()) files.write(arguments.csv, csv_text(execution.result.profile));
    if (!arguments.heat.empty()) files.write(arguments.heat, heat_text(instance, execution.result.profile));
    return {verdict, text, run_json(instance, execution, verdict)};
  };
  return conclude(instance, execution, common.out, output_taken, communicator, tell);
}

}  // namespace

Command add_run(CommandLine& line) {
  Flags& flags = line.add("run", "Run a protocol on its machines and count every word",
                          "Examples:\n"
                          "  roundtrip run k_hop --input text.txt --format words --param k=4 --check\n"
                          "  mpirun -n 2 roundtrip run sort --n 1048576 --json facts.json\n"
                          "Any number of ranks gives the same outputs and the same counts.\n");
  auto arguments = std::make_shared<RunArguments>();
  add_protocol_arguments(flags, arguments->common);
  add_plan_and_output(flags, arguments->common);
  flags.toggle("--check", arguments->check,
               "Compare with the protocol's sequential oracle, or ask its check");
  const auto path = [&flags](const std::string& flag, const std::string& kind, const std::string& help,
                             std::string& target) {
    flags.value(flag, kind, help, [flag, &target](const std::string& text) {
      require(!text.empty(), "{}: the name is empty", flag);
      target = text;
    });
  };
  path("--checkpoint", "DIR", "Keep the last two checkpoints in DIR; SIGUSR1 stops at the next one",
       arguments->checkpoint);
  flags.value("--every", "R", "Rounds from one checkpoint to the next (default 1)",
              [arguments](const std::string& text) {
                arguments->every = static_cast<std::uint32_t>(parse_count(text, "--every", 1, 0xffffffffu));
              });
  path("--resume", "DIR", "Go on from the last checkpoint in DIR, and keep checkpoints there",
       arguments->resume);
  const auto output = [&flags](const std::string& flag, const std::string& help, std::string& target) {
    flags.value(flag, "FILE", help,
                [flag, &target](const std::string& text) { target = output_path(flag, text); });
  };
  output("--trace", "Write rounds and words as Chrome trace events, for Perfetto or chrome://tracing",
         arguments->trace);
  flags.choice("--trace-clock", "CLOCK", {"wall", "logical"},
               "wall (default), or logical: the same bytes on any ranks",
               [arguments](const std::string& text) {
                 arguments->clock = text == "wall" ? TraceClock::kWall : TraceClock::kLogical;
               });
  flags.value("--dump", "R:M", "Show what machine M had and sent in round R (either may be *)",
              [arguments](const std::string& text) { arguments->dump = DumpWish::parse(text); });
  output("--csv", "Write words sent, received and held, a row for each round and machine", arguments->csv);
  output("--heat", "Write a picture (SVG) of the words received, by round and machine", arguments->heat);
  return {.name = "run",
          .act = [arguments](const Communicator& communicator) { return run(*arguments, communicator); },
          .transport = [arguments] { return arguments->common.transport; },
          .begin =
              [arguments] {
                if (!arguments->checkpoint.empty() || !arguments->resume.empty())
                  arguments->signals.emplace();
              }};
}

}  // namespace roundtrip::cli
