// Purpose: `roundtrip run PROTOCOL`: the protocol on its machines, measured against its declared limits and,
// on request, its sequential oracle.
#include <memory>
#include <nlohmann/json.hpp>

#include "base/atomic_file.h"
#include "base/error.h"
#include "cli/command.h"
#include "cli/execution.h"

namespace roundtrip::cli {
namespace {

struct RunArguments {
  ProtocolArguments common;
  bool check = false;
};

int show_plan(const RunArguments& arguments, const Instance& instance, const Team& team) {
  const std::uint64_t bytes = exchange_bytes(instance.shape());
  team.on_root([&] {
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

int run(const RunArguments& arguments, const Team& team) {
  const ProtocolArguments& common = arguments.common;
  const Instance instance = prepare(common, team);
  require(!arguments.check || instance.info->oracle, "--check: {} has no sequential oracle",
          instance.info->name);
  if (common.plan) return show_plan(arguments, instance, team);
  const Execution execution = execute(instance, common, team);

  // Rank 0 judges and writes; its status is everyone's.
  const std::string status = team.from_root([&] {
    std::string text = heading(instance);
    if (execution.violation) {
      publish(common.out, common.output == "-", text + "verdict: violated\n",
              run_json(instance, execution, "violated"));
      return std::to_string(kViolated);
    }
    const mpc::Outputs outputs = decode(instance, execution.result.outputs);
    text += run_table(instance, execution);
    std::string verdict = "done";
    if (arguments.check) {
      const std::string differs =
          difference(instance, outputs, instance.info->oracle(instance.input->values(), instance.parameters));
      verdict = differs.empty() ? "verified" : "refuted";
      text += fmt::format("  outputs           {}: {}\n", outputs.size(),
                          differs.empty() ? "all equal to the sequential oracle's" : differs);
    }
    if (!common.output.empty()) write_whole(common.output, output_text(instance, outputs));
    publish(common.out, common.output == "-", text + "verdict: " + verdict + "\n",
            run_json(instance, execution, verdict));
    return std::to_string(verdict == "refuted" ? kRefuted : kDone);
  });
  if (execution.violation) throw mpc::ModelViolation(*execution.violation);
  return std::stoi(status);
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
  flags.toggle("--check", arguments->check, "Compare with the protocol's sequential oracle");
  return {.name = "run",
          .act = [arguments](const Team& team) { return run(*arguments, team); },
          .transport = [arguments] { return arguments->common.transport; }};
}

}  // namespace roundtrip::cli
