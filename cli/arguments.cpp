#include "roundtrip/cli/arguments.h"

#include <charconv>
#include <functional>

#include "roundtrip/base/error.h"
#include "roundtrip/cli/output_files.h"

namespace roundtrip::cli {
namespace {

constexpr std::uint64_t kMaxWords = std::uint64_t{1}
                                    << 40;  // far beyond any run; N, S, Q stay exact in all products

void add_count(Flags& flags, const std::string& flag, const std::string& value_name, const std::string& help,
               std::uint64_t low, std::uint64_t high, const std::function<void(std::uint64_t)>& set) {
  flags.value(flag, value_name, help,
              [=](const std::string& text) { set(parse_count(text, flag, low, high)); });
}

void add_rational(Flags& flags, const std::string& flag, const std::string& help, Rational& target) {
  flags.value(flag, "P/Q", help,
              [flag, &target](const std::string& text) { target = Rational::parse(text, flag); });
}

void add_output(Flags& flags, const std::string& flag, const std::string& help, std::string& target) {
  flags.value(flag, "FILE", help,
              [&target, flag](const std::string& text) { target = output_path(flag, text); });
}

void add_parameter(mpc::Parameters& parameters, const std::string& text) {
  const std::size_t equals = text.find('=');
  require(equals != std::string::npos && equals > 0, "--param {}: expected name=value", text);
  const std::string name = text.substr(0, equals);
  require(parameters.options.emplace(name, text.substr(equals + 1)).second, "--param {}: given twice", name);
}

}  // namespace

std::uint64_t parse_count(const std::string& text, const std::string& flag, std::uint64_t low,
                          std::uint64_t high) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  require(error == std::errc() && end == text.data() + text.size() && value >= low && value <= high,
          "{} {}: expected an integer in {}..{}", flag, text, low, high);
  return value;
}

std::vector<NamedFile> input_files(const ProtocolArguments& arguments) {
  const std::string& model = arguments.protocol;
  std::vector<NamedFile> files = {{"--input", arguments.input}};
  if (model.ends_with(".json")) {
    files.push_back({"the model", model});
    files.push_back({"the model", model.substr(0, model.rfind('.')) + ".safetensors"});
  }
  return files;
}

void add_output_arguments(Flags& flags, OutputArguments& arguments) {
  add_output(flags, "--json", "Write the measured facts as JSON (- is standard output)", arguments.json);
  flags.toggle("--quiet", arguments.quiet, "No report on standard output");
}

void add_instance_arguments(Flags& flags, ProtocolArguments& a) {
  flags.value(
      "--param", "NAME=VALUE", "A parameter of the protocol, see `roundtrip list NAME`; may be repeated",
      [&a](const std::string& text) { add_parameter(a.parameters, text); }, true);

  flags.value("--input", "FILE", "Read the input words from FILE (- is standard input)",
              [&a](const std::string& text) {
                require(!text.empty(), "--input: the name of the file is empty");
                a.input = text;
              });
  flags.choice("--format", "FORMAT", format_names(),
               "numbers (default), words, bytes, npy or edges; compressed by gzip or not",
               [&a](const std::string& text) { a.format = format_of(text); });
  add_count(flags, "--n", "N", "With --input: the first N values; without: generate N values", 1, kMaxWords,
            [&a](std::uint64_t value) { a.n = value; });
  flags.value("--eps", "P/Q", "b = ceil(N^eps) words a machine, 0 < eps < 1 (default 1/2)",
              [&a](const std::string& text) {
                a.parameters.epsilon = Rational::parse(text, "--eps");
                a.epsilon_given = true;
              });
}

void add_protocol_arguments(Flags& flags, ProtocolArguments& a, const std::string& what) {
  flags.positional(what, true, false,
                   what == "PROTOCOL"
                       ? "A protocol's name, see `roundtrip list`"
                       : "A protocol's name, see `roundtrip list`; or a model: a file with a / or a . in its "
                         "name, or random:L=2,.. as below",
                   [&a](const std::string& text) { a.protocol = text; });
  add_instance_arguments(flags, a);
  add_count(flags, "--seed", "SEED", "Public seed, drawn before the input (default 1)", 0, ~std::uint64_t{0},
            [&a](std::uint64_t value) { a.parameters.seed = value; });

  add_rational(flags, "--gamma",
               "q = ceil(kappa_q N^(1+gamma) / b) machines, kappa_q as gamma = 0 needs (default 0)",
               a.parameters.gamma);
  flags.value("--delta", "P/Q", "Slack exponent of protocols that state one (default 1/5)",
              [&a](const std::string& text) {
                a.parameters.delta = Rational::parse(text, "--delta");
                a.parameters.delta_given = true;
              });
  add_count(flags, "--kappa-s", "K", "Memory s = K * b words (default: the protocol's)", 1, kMaxWords,
            [&a](std::uint64_t value) { a.parameters.kappa_s = value; });
  add_count(flags, "--memory", "S", "Memory s in words instead of --eps: b = floor(S / kappa_s)", 1,
            kMaxWords, [&a](std::uint64_t value) { a.parameters.memory_words = value; });
  add_count(flags, "--machines", "Q", "Number of machines, at least what the protocol needs", 1, kMaxWords,
            [&a](std::uint64_t value) { a.parameters.machines = value; });
  add_count(flags, "--limit-words", "W", "Words that a machine may send or receive in a round (default s)", 1,
            kMaxWords, [&a](std::uint64_t value) { a.limit_words = value; });

  flags.choice("--transport", "NAME", {"inprocess", "mpi"},
               "inprocess or mpi (default: mpi under a launcher)",
               [&a](const std::string& text) { a.transport = text; });
  flags.toggle("--one-machine-per-rank", a.one_machine_per_rank, "One machine a rank: needs exactly q ranks");
  add_output_arguments(flags, a.out);
}

void add_plan_and_output(Flags& flags, ProtocolArguments& a) {
  flags.toggle("--plan", a.plan, "Show sizes, rounds and bytes, and stop before anything starts");
  add_output(flags, "--output", "Write the output words, one a line (- is standard output)", a.output);
  flags.toggle("--output-names", a.output_names,
               "Before each output its vertex and a tab, for protocols with an output for each vertex");
}

}  // namespace roundtrip::cli
