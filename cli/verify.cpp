// Purpose: `roundtrip verify [THEOREM...]`: the checks of the theorems and the defects that they must catch.
#include <cstring>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "roundtrip/base/error.h"
#include "roundtrip/cli/arguments.h"
#include "roundtrip/cli/command.h"
#include "roundtrip/cli/execution.h"
#include "roundtrip/cli/model_source.h"
#include "roundtrip/cli/progress.h"
#include "roundtrip/cli/verdict.h"
#include "roundtrip/proofs_check/faults.h"
#include "roundtrip/proofs_check/report/html.h"
#include "roundtrip/proofs_check/report/report.h"
#include "roundtrip/proofs_check/verify.h"

namespace roundtrip::cli {
namespace {

struct VerifyArguments {
  proofs_check::VerifyOptions options;
  bool faults = false;
  ProtocolArguments instance;  ///< of a protocol by its name: --param, --eps, --n, --input, --format
  bool verbose = false;        ///< all checks, not only what was found
  std::string html;            ///< file; empty: none
  OutputArguments out;
};

/// Collective. What --param, --eps, --n, --input and --format say of the one protocol that is named; none of them:
/// nothing.
std::optional<proofs_check::ProtocolInstance> given_instance(const VerifyArguments& arguments,
                                                             const Communicator& communicator) {
  const ProtocolArguments& asked = arguments.instance;
  for (const std::string& name : arguments.options.statements)
    require(!names_model(name), "'{}' names a model, not a protocol; `roundtrip decompile` runs models",
            name);
  if (asked.parameters.options.empty() && asked.parameters.epsilon == mpc::Parameters{}.epsilon && !asked.n &&
      asked.input.empty() && !asked.format)
    return std::nullopt;
  require(
      arguments.options.statements.size() == 1 && !arguments.faults &&
          arguments.options.resume_folder.empty(),
      "--param, --eps, --n, --input and --format: with one protocol's name, without --faults and --resume");
  ProtocolArguments own = asked;
  own.protocol = arguments.options.statements[0];
  own.parameters.seed = arguments.options.seed;
  if (own.input.empty() && !own.n) {  // at the statement's own sizes
    require(!own.format, "--format: only with --input");
    check_options(mpc::find_protocol(own.protocol), own.parameters);
    return proofs_check::ProtocolInstance{own.parameters, {}};
  }
  const Instance instance = prepare(own, communicator);
  proofs_check::ProtocolInstance given{instance.parameters, {}};
  if (own.input.empty()) return given;
  const std::string bytes = communicator.from_root([&] {
    const mpc::Values& values = instance.input->values();
    (void)instance.input->encode(instance.shape());  // ContractError for a value that does not fit
    if (instance.info->accept) instance.info->accept(values, instance.parameters);
    return std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof values[0]);
  });
  given.values.emplace(bytes.size() / sizeof(std::int64_t));
  std::memcpy(given.values->data(), bytes.data(), bytes.size());
  return given;
}

int verify_faults(const VerifyArguments& arguments, const Communicator& communicator) {
  require(arguments.options.sizes == proofs_check::Sizes::kSmall,
          "--faults with --sizes full: each defect is looked for at one small size");
  Progress progress(communicator.root() && !arguments.out.quiet);
  proofs_check::FaultOptions options{.names = arguments.options.statements,
                                     .seed = arguments.options.seed,
                                     .processes = arguments.options.processes};
  options.progress = [&](std::string_view what) { progress.draw(std::string(what)); };
  const proofs_check::FaultReport report = proofs_check::verify_faults(options, communicator.transport());
  progress.wipe();
  communicator.on_root([&] {
    publish(arguments.out, false, proofs_check::terminal_table(report), proofs_check::to_json(report));
  });
  return status_of(report.holds() ? "verified" : "refuted");
}

int verify(const VerifyArguments& arguments, const Communicator& communicator) {
  require(!arguments.faults || (arguments.html.empty() && arguments.options.resume_folder.empty()),
          "--faults has no page and is not resumed: leave out --html and --resume");
  communicator.on_root([&] {
    check_files({{"--html", arguments.html}, {"--json", arguments.out.json}},
                {{"--input", arguments.instance.input}}, arguments.out.quiet);
  });
  const auto given = given_instance(arguments, communicator);
  if (arguments.faults) return verify_faults(arguments, communicator);
  const std::filesystem::path folder = arguments.options.resume_folder;
  communicator.on_root([&] {
    std::error_code ignored;
    require(folder.empty() || !std::filesystem::exists(folder, ignored) ||
                std::filesystem::is_directory(folder, ignored),
            "--resume {}: is a file; the finished statements are kept in a folder", folder.string());
  });
  proofs_check::VerifyOptions options = arguments.options;
  options.given = given;
  Progress progress(communicator.root() && !arguments.out.quiet);
  options.progress = [&](std::string_view statement, std::string_view what) {
    progress.draw(fmt::format("{}: {}", statement, what));
  };
  const proofs_check::Report report = proofs_check::verify(options, communicator.transport());
  communicator.on_root([&] {
    OutputFiles files;
    if (!arguments.html.empty()) {
      progress.draw("the paper's experiments");
      files.write(arguments.html,
                  proofs_check::html_page(report, proofs_check::paper_experiments(options.seed),
                                          proofs_check::machine_description()));
    }
    progress.wipe();
    publish(arguments.out, arguments.html == "-",
            arguments.verbose ? proofs_check::terminal_table(report) : proofs_check::terminal_summary(report),
            proofs_check::to_json(report), std::move(files));
  });
  return status_of(proofs_check::to_string(report.outcome()));
}

}  // namespace

Command add_verify(CommandLine& line) {
  std::string footer =
      "Examples:\n"
      "  roundtrip verify\n"
      "  roundtrip verify --html report.html\n"
      "  mpirun -n 2 roundtrip verify --sizes full --json report.json\n"
      "Theorems:\n";
  for (const auto& statement : proofs_check::all_statements()) {
    footer += fmt::format("  {:<24}  {}\n", statement->name(), statement->title());
  }
  footer += "or a protocol's name (roundtrip list): its model, its oracle's answers, its transformers\n";
  Flags& flags = line.add("verify", "Check the theorems, and that each check catches its defects", footer);
  auto arguments = std::make_shared<VerifyArguments>();
  arguments->options.processes = 0;
  flags.positional("THEOREM", false, true, "Which ones, or protocols by name; all theorems by default",
                   [arguments](const std::string& text) { arguments->options.statements.push_back(text); });
  flags.choice(
      "--sizes", "SIZES", {"small", "full"}, "small (default, within a minute) or full (some minutes)",
      [arguments](const std::string& text) {
        arguments->options.sizes = text == "small" ? proofs_check::Sizes::kSmall : proofs_check::Sizes::kFull;
      });
  flags.value("--seed", "SEED", "Public seed (default 1)", [arguments](const std::string& text) {
    arguments->options.seed = parse_count(text, "--seed", 0, ~std::uint64_t{0});
  });
  flags.value(
      "--html", "FILE",
      "Write the report as one page with plots, and the paper's two experiments (- is standard output)",
      [arguments](const std::string& text) { arguments->html = output_path("--html", text); });
  flags.value(
      "--resume", "DIR",
      "Keep every finished statement in this folder, and take from there what this program has finished "
      "for the same sizes and seed",
      [arguments](const std::string& text) { arguments->options.resume_folder = text; });
  add_instance_arguments(flags, arguments->instance);
  flags.value(
      "--processes", "P",
      "Verify that many statements at a time, each in its own process; 0 (default): as many as processors. "
      "No result depends on it. With mpirun, ranks share the work instead",
      [arguments](const std::string& text) {
        arguments->options.processes = static_cast<unsigned>(parse_count(text, "--processes", 0, 4096));
      });
  flags.toggle(
      "--faults", arguments->faults,
      "Test builds: switch on the defects seeded in our own code one at a time; the names are then of "
      "faults, areas or theorems");
  flags.toggle("--verbose", arguments->verbose, "Show every check, its bound and every defect");
  add_output_arguments(flags, arguments->out);
  return {.name = "verify",
          .act = [arguments](const Communicator& communicator) { return verify(*arguments, communicator); },
          .transport = [] { return std::string(); }};
}

}  // namespace roundtrip::cli
