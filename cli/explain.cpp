// Purpose: `roundtrip explain PROTOCOL|MODEL`: rounds beside layers, in the terminal or as a page.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "roundtrip/base/atomic_file.h"
#include "roundtrip/base/error.h"
#include "roundtrip/base/quote.h"
#include "roundtrip/cli/command.h"
#include "roundtrip/cli/construction.h"
#include "roundtrip/cli/execution.h"
#include "roundtrip/cli/expected.h"
#include "roundtrip/cli/memory.h"
#include "roundtrip/cli/model_source.h"
#include "roundtrip/cli/verdict.h"
#include "roundtrip/explain/page.h"
#include "roundtrip/explain/terminal.h"
#include "roundtrip/explain/trace.h"

namespace roundtrip::cli {
namespace {

struct ExplainArguments {
  ProtocolArguments common;
  ConstructionArguments construction;
  std::optional<std::uint32_t> round, word;
  std::string html;  ///< FILE or "-"; empty: none
};

/// Larger runs take too long to read, and their pages too long to open.
constexpr std::uint64_t kMaxSent = 1'000'000;

bool on_terminal() {
  return isatty(STDOUT_FILENO) == 1;
}

bool coloured() {
  const char* terminal = std::getenv("TERM");
  return on_terminal() && std::getenv("NO_COLOR") == nullptr && terminal != nullptr &&
         std::string_view(terminal) != "dumb";
}

/// On a terminal through $PAGER or less, where there is one; as it is otherwise.
void show(const std::string& text) {
  if (on_terminal()) {
    const char* pager = std::getenv("PAGER");
    const auto before = std::signal(SIGPIPE, SIG_IGN);  // a reader may leave before the end
    std::FILE* pipe = popen(pager != nullptr && *pager != '\0' ? pager : "less -FRX 2>/dev/null", "w");
    int status = -1;
    if (pipe != nullptr) {
      std::fwrite(text.data(), 1, text.size(), pipe);
      status = pclose(pipe);
    }
    std::signal(SIGPIPE, before);
    constexpr int kNotFound = 127;
    if (status != -1 && !(WIFEXITED(status) && WEXITSTATUS(status) == kNotFound)) return;
  }
  write_whole("-", text);
}

std::string title(const Instance& instance) {
  std::string text = printable(instance.info->name);
  for (const auto& [name, value] : instance.parameters.options) text += fmt::format(" {}={}", name, value);
  return text;
}

explain::Names names(const Instance& instance) {
  explain::Names names;
  names.title = title(instance);
  names.summary = instance.info->summary;
  names.rounds_formula = instance.info->rounds_formula;
  for (const std::int64_t value : instance.input->values())
    names.input.push_back(printable(instance.input->text(value)));
  if (!instance.parameters.kappa_s && !instance.parameters.memory_words && !instance.parameters.machines) {
    // Only where k is a number at all: the protocol was made with it.
    const bool hops =
        std::ranges::any_of(instance.info->options, [](const auto& option) { return option.name == "k"; });
    constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();
    names.play = explain::Play{
        .protocol = instance.info->name,
        .epsilon = instance.parameters.epsilon,
        .k = hops ? static_cast<std::uint64_t>(instance.parameters.integer_option("k", 2, 0, kMax)) : 0};
  }
  names.output = [&instance](std::uint64_t output, mpc::Word word) -> std::string {
    const auto value = instance.info->decode(*instance.protocol, output, word);
    if (!value) return {};
    return instance.info->output_form == mpc::OutputForm::kSymbols ? printable(instance.input->text(*value))
                                                                   : fmt::format("{}", *value);
  };
  return names;
}

int explain_instance(const ExplainArguments& arguments, const Instance& instance,
                     const Communicator& communicator,
                     const std::function<explain::Trace(const std::vector<mpc::Word>&)>& record,
                     const std::function<std::optional<SourceDifference>()>& source = {}) {
  const Execution execution = execute(instance, arguments.common, communicator);
  if (execution.violation) throw mpc::ModelViolation(*execution.violation);
  const std::uint64_t words = execution.result.ledger.overall().total_words;
  require(words <= kMaxSent, "{} sends {} words, too many to draw: at most {}; take a smaller N or model",
          instance.info->name, words, kMaxSent);
  return communicator.from_root([&]() -> int {
    const explain::Trace trace = record(execution.words);
    const std::optional<SourceDifference> difference = source ? source() : std::nullopt;
    const std::string verdict = difference ? judge({difference->within()}) : "done";
    explain::TerminalOptions options{.colours = coloured(), .round = arguments.round, .word = arguments.word};
    const std::string text = explain::terminal_text(trace, options);  // its errors come before any file
    OutputFiles files;
    if (!arguments.html.empty()) files.write(arguments.html, explain::page(trace));
    const std::string& json = arguments.common.out.json;
    if (!json.empty()) files.write(json, json_text(explain::to_json(trace)));
    const bool shown = arguments.html.empty() && json != "-" && !arguments.common.out.quiet;
    if (shown)
      show(text + (difference ? source_text(*difference) + "verdict: " + verdict + "\n" : std::string()));
    files.finish();
    return status_of(verdict);
  });
}

int explain_command(const ExplainArguments& arguments, const Communicator& communicator) {
  const ProtocolArguments& common = arguments.common;
  communicator.on_root([&] {
    check_files({{"--html", arguments.html}, {"--json", common.out.json}}, input_files(common),
                common.out.quiet || !arguments.html.empty());
  });
  require(!arguments.round || !arguments.word, "--round and --word: one of them");
  require(arguments.html.empty() || (!arguments.round && !arguments.word),
          "--html: a page has all rounds and words");
  const auto check_size = [](const Instance& instance) {
    const std::uint64_t n = instance.shape().n;
    require(n >= explain::kMinWords && n <= explain::kMaxWords,
            "explain draws every word: N is {}, allowed is {} to {}; --n takes the first N", n,
            explain::kMinWords, explain::kMaxWords);
  };
  if (names_model(common.protocol)) {
    ModelSource model_source = make_model_source(common.protocol);
    const mpc::ProtocolInfo info = as_protocol(arguments.construction, model_source);
    const Instance instance = prepare(common, info, communicator);
    check_size(instance);
    return explain_instance(
        arguments, instance, communicator,
        [&](const std::vector<mpc::Word>& words) {
          return explain::record(model_source.model, model_source.plan, *instance.protocol, words,
                                 names(instance));
        },
        [&]() -> std::optional<SourceDifference> {
          if (!model_source.is_file()) return std::nullopt;
          return compare_with_source(model_source.name, model_source.model, model_source.plan.input_bits);
        });
  }
  require_of_protocols(arguments.construction);
  const Instance instance = prepare(common, communicator);
  check_size(instance);
  const simulate::CompileOptions options =
      arguments.construction.protocol_options(instance.parameters, instance.info->name);
  communicator.on_root([&] {
    require_memory(simulate::plan(instance.shape(), options).peak_bytes * 4, "drawing the transformer");
  });
  return explain_instance(arguments, instance, communicator, [&](const std::vector<mpc::Word>& words) {
    return explain::record(simulate::compile(instance.protocol, options),
                           arguments.construction.mechanism().name, words, names(instance));
  });
}

}  // namespace

Command add_explain(CommandLine& line) {
  Flags& flags = line.add(
      "explain", "Show rounds beside layers: every word a machine sends, every key a query matches",
      R"(PROTOCOL is compiled; a MODEL becomes a protocol (`roundtrip decompile --help` has the keys of random
ones).
N is 2 to 64. In the terminal round r is on the left and layer r on the right. A page has the same and lets
one follow a word through both.
Examples:
  echo the cat sat on the mat and the dog sat on the rug by the fire |
    roundtrip explain k_hop --input - --format words --html k_hop.html
  roundtrip explain sum --n 16
  roundtrip explain k_hop --n 16 --round 9
  roundtrip explain k_hop --n 16 --word 3
  roundtrip explain random:L=1,H=2,d=8,m=2,w=2,c=8 --n 12 --html model.html
)");
  auto arguments = std::make_shared<ExplainArguments>();
  add_protocol_arguments(flags, arguments->common, "PROTOCOL|MODEL");
  add_construction_arguments(
      flags, arguments->construction, arguments->common.parameters, anna::mechanism_names(),
      fmt::format("ema (default of protocols) or anna (default of random models): exact or by hash tables; "
                  "{}: of a random model",
                  attention_names(false, ", ")),
      "");
  flags.value("--round", "R", "This round only, 0 being the input", [arguments](const std::string& text) {
    arguments->round = static_cast<std::uint32_t>(parse_count(text, "--round", 0, 0xffffffffu));
  });
  flags.value(
      "--word", "I", "The way of input word I, from 0, instead", [arguments](const std::string& text) {
        arguments->word = static_cast<std::uint32_t>(parse_count(text, "--word", 0, explain::kMaxWords - 1));
      });
  flags.value("--html", "FILE", "Write a page instead; it needs no network (- is standard output)",
              [arguments](const std::string& text) { arguments->html = output_path("--html", text); });
  return {.name = "explain",
          .act = [arguments](
                     const Communicator& communicator) { return explain_command(*arguments, communicator); },
          .transport = [arguments] { return arguments->common.transport; }};
}

}  // namespace roundtrip::cli
