#include "roundtrip/cli/flags.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>
#include <utility>

#include "roundtrip/base/error.h"
#include "roundtrip/base/nearest_name.h"
#include "roundtrip/base/quote.h"
#include "roundtrip/mpc/registry.h"

namespace roundtrip::cli {
namespace {

class AppFlags final : public Flags {
 public:
  explicit AppFlags(CLI::App& app) : app_(app) {}

  void positional(const std::string& name, bool required, bool many, const std::string& help,
                  std::function<void(const std::string&)> set) override {
    app_.add_option(name, each(std::move(set)), help)
        ->type_name("")
        ->required(required)
        ->expected(1, many ? -1 : 1)
        ->allow_extra_args(many);
  }
  void value(const std::string& flag, const std::string& value_name, const std::string& help,
             std::function<void(const std::string&)> set, bool repeatable) override {
    CLI::Option* option =
        app_.add_option(flag, each(std::move(set)), help)->type_name(value_name)->expected(1);
    if (repeatable) option->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  }
  void choice(const std::string& flag, const std::string& value_name, const std::vector<std::string>& choices,
              const std::string& help, std::function<void(const std::string&)> set) override {
    choices_[flag] = choices;
    const auto checked = [flag, choices, set = std::move(set)](const std::string& text) {
      require(std::ranges::find(choices, text) != choices.end(), "{} {}: expected {} or {}", flag, text,
              fmt::join(choices.begin(), choices.end() - 1, ", "), choices.back());
      set(text);
    };
    value(flag, value_name, help, checked, /*repeatable=*/false);
  }
  void toggle(const std::string& flag, bool& target, const std::string& help) override {
    app_.add_flag(flag, target, help);
  }
  /// Of a flag's value; empty if it is not one of a few.
  std::vector<std::string> choices(const std::string& flag) const {
    const auto found = choices_.find(flag);
    return found == choices_.end() ? std::vector<std::string>{} : found->second;
  }
  const CLI::App& app() const { return app_; }

 private:
  static CLI::callback_t each(std::function<void(const std::string&)> set) {
    return [set = std::move(set)](const std::vector<std::string>& texts) {
      for (const std::string& text : texts) set(text);
      return true;
    };
  }
  CLI::App& app_;
  std::map<std::string, std::vector<std::string>> choices_;
};

/// The first flag that `app` doesn't know, with the nearest that it does; empty if it knows all of them.
std::string unknown_flag(const CLI::App& app, const std::vector<std::string>& arguments) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  for (const std::string& argument : arguments) {
    if (argument.size() < 3 || argument.compare(0, 2, "--") != 0) continue;
    const std::string name = argument.substr(0, argument.find('='));
    if (std::find(names.begin(), names.end(), name) != names.end()) continue;
    return fmt::format("{}: no such flag; did you mean {}?", name, nearest_name(name, names));
  }
  return {};
}

}  // namespace

struct CommandLine::Parser {
  CLI::App app;
  std::vector<std::unique_ptr<AppFlags>> flags;

  explicit Parser(const std::string& description) : app(description, "roundtrip") {}

  /// What is wrong with the arguments, in one line that names the nearest thing that would be right.
  std::string explain(const std::vector<std::string>& arguments, const CLI::ParseError& error) const {
    if (arguments.empty()) return "no subcommand; see `roundtrip --help`";
    const std::string& first = arguments.front();
    std::string unknown;
    if (first.compare(0, 1, "-") == 0) {
      unknown = unknown_flag(app, arguments);
      return unknown.empty() ? one_line(error.what()) : unknown;
    }
    const std::vector<const CLI::App*> apps = app.get_subcommands([](const CLI::App*) { return true; });
    std::vector<std::string> names;
    for (const CLI::App* subcommand : apps) names.push_back(subcommand->get_name());
    const auto found = std::find(names.begin(), names.end(), first);
    if (found == names.end()) {
      if (std::ranges::any_of(mpc::all_protocols(), [&](const auto* known) { return known->name == first; }))
        return fmt::format("{0}: is a protocol, not a subcommand; did you mean `roundtrip run {0}`?", first);
      return fmt::format("{}: no such subcommand; did you mean '{}'?", first, nearest_name(first, names));
    }
    unknown = unknown_flag(*apps[static_cast<std::size_t>(found - names.begin())],
                           {arguments.begin() + 1, arguments.end()});
    return fmt::format("{}: {}", first, unknown.empty() ? one_line(error.what()) : unknown);
  }
};

CommandLine::CommandLine(const std::string& description, const std::string& footer,
                         std::function<std::string()> version)
    : parser_(std::make_unique<Parser>(description)) {
  parser_->app.footer(footer);
  parser_->app.set_version_flag("-V,--version", std::move(version), "Program, compiler, MPI and BLAS");
  parser_->app.require_subcommand(1);
}

CommandLine::~CommandLine() = default;

Flags& CommandLine::add(const std::string& name, const std::string& description, const std::string& footer,
                        bool hidden) {
  CLI::App* app = parser_->app.add_subcommand(name, description)->footer(footer);
  if (hidden) app->group("");
  return *parser_->flags.emplace_back(std::make_unique<AppFlags>(*app));
}

std::vector<Declaration> CommandLine::declarations() const {
  std::vector<const CLI::App*> apps = {&parser_->app};
  for (const CLI::App* app : parser_->app.get_subcommands([](const CLI::App*) { return true; })) {
    if (!app->get_group().empty()) apps.push_back(app);
  }
  std::vector<Declaration> declarations;
  for (const CLI::App* app : apps) {
    Declaration& declaration = declarations.emplace_back();
    declaration.name = app->get_name(), declaration.description = app->get_description();
    declaration.footer = app->get_footer();
    const auto flags =
        std::ranges::find_if(parser_->flags, [app](const auto& known) { return &known->app() == app; });
    for (const CLI::Option* option : app->get_options()) {
      const bool positional = option->get_positional();
      const std::string name = positional ? option->get_name(true) : "--" + option->get_lnames().front();
      declaration.options.push_back(
          {.name = name,
           .value_name = positional || option->get_expected_max() == 0 ? "" : option->get_type_name(),
           .help = option->get_description(),
           .choices = flags == parser_->flags.end() ? std::vector<std::string>{} : (*flags)->choices(name),
           .positional = positional,
           .required = option->get_required(),
           .many = option->get_expected_max() > 1});
    }
  }
  return declarations;
}

Request CommandLine::parse(std::vector<std::string> arguments) {
  // `help`, `help SUBCOMMAND` and `version`, as other programs have them.
  if (arguments == std::vector<std::string>{"help"}) {
    arguments.front() = "--help";
  } else if (!arguments.empty() && arguments.front() == "help") {
    arguments.erase(arguments.begin());
    const auto known = parser_->app.get_subcommands(
        [&](const CLI::App* subcommand) { return subcommand->get_name() == arguments.front(); });
    if (!known.empty()) arguments.insert(arguments.begin() + 1, "--help");
  } else if (!arguments.empty() && arguments.front() == "version") {
    arguments.front() = "--version";
  }
  CLI::App& app = parser_->app;
  Request request;
  try {
    // CLI11 takes the arguments from the back of the vector.
    app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
    const CLI::App& chosen = *app.get_subcommands().front();
    request.subcommand = chosen.get_name();
    request.arguments.push_back(request.subcommand);
    for (const CLI::Option* option : chosen.get_options()) {
      if (option->count() == 0) continue;
      const bool toggle = option->get_expected_max() == 0;
      request.arguments.push_back(option->get_name() +
                                  (toggle ? "" : fmt::format(" {}", fmt::join(option->results(), " "))));
    }
    return request;
  } catch (const CLI::CallForHelp&) {
    request.text = app.help();
  } catch (const CLI::CallForVersion& version) {
    request.text = version.what();
  } catch (const CLI::ParseError& error) {
    request.error = parser_->explain(arguments, error);
  } catch (const ContractError& error) {
    request.error = error.what();
  }
  request.arguments = arguments;
  return request;
}

std::string one_line(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  while (!text.empty() && text.back() == ' ') text.pop_back();
  return printable(text);
}

}  // namespace roundtrip::cli
