// Purpose: `roundtrip reference man|completion`: the manual page, and the completion of bash and zsh, both of
// what the subcommands declare, so that neither can say anything else. Not named in the help: installing
// writes them.
#include <fmt/format.h>
#include <memory>

#include "roundtrip/base/atomic_file.h"
#include "roundtrip/base/error.h"
#include "roundtrip/cli/command.h"
#include "roundtrip/mpc/registry.h"
#include "roundtrip/proofs_check/statement.h"

namespace roundtrip::cli {
namespace {

/// Text as roff takes it literally.
std::string roff(const std::string& text) {
  std::string out;
  for (const char c : text) {
    const bool line_begins = out.empty() || out.back() == '\n';
    if (line_begins && (c == '.' || c == '\'')) out += "\\&";
    out += c == '\\' ? "\\e" : c == '-' ? "\\-" : std::string(1, c);
  }
  return out;
}

/// Lines as they stand.
std::string literal(const std::string& text) {
  return text.empty() ? "" : fmt::format(".PP\n.nf\n{}{}.fi\n", roff(text), text.back() == '\n' ? "" : "\n");
}

std::string synopsis(const Declaration& command) {
  std::string text = "roundtrip " + command.name;
  for (const Declaration::Option& option : command.options) {
    if (!option.positional) continue;
    const std::string name = option.name + (option.many ? "..." : "");
    text += option.required ? " " + name : " [" + name + "]";
  }
  return text + " [flags]";
}

std::string manual(const std::vector<Declaration>& declarations) {
  const Declaration& program = declarations.front();
  std::string text = fmt::format(
      ".TH ROUNDTRIP 1 \"\" \"roundtrip {}\" \"User Commands\"\n.SH NAME\nroundtrip \\- {}\n.SH SYNOPSIS\n",
      ROUNDTRIP_VERSION, roff(program.description));
  const auto options_of = [&](const Declaration& command) {
    for (const Declaration::Option& option : command.options) {
      text += fmt::format(".TP\n\\fB{}\\fR", roff(option.name));
      if (!option.value_name.empty()) text += fmt::format(" \\fI{}\\fR", roff(option.value_name));
      text += "\n" + roff(option.help) + "\n";
    }
  };
  for (std::size_t i = 1; i < declarations.size(); ++i)
    text += fmt::format("{}\\fB{}\\fR\n", i == 1 ? "" : ".br\n", roff(synopsis(declarations[i])));
  text += ".SH OPTIONS\n";
  options_of(program);
  text += ".SH SUBCOMMANDS\n";
  for (std::size_t i = 1; i < declarations.size(); ++i) {
    text +=
        fmt::format(".SS \"{}\"\n{}.\n", roff(synopsis(declarations[i])), roff(declarations[i].description));
    options_of(declarations[i]);
    text += literal(declarations[i].footer);
  }
  return text + ".SH EXAMPLES AND EXIT STATUS\n" + literal(program.footer);
}

/// What completes the value: an option of compgen.
std::string candidates(const Declaration::Option& option) {
  if (!option.choices.empty()) return "-W";
  const std::string& what = option.positional ? option.name : option.value_name;
  if (what == "FILE" || what == "QKV") return "-f";
  if (what == "DIR") return "-d";
  return "";
}

std::string completion(const std::vector<Declaration>& declarations) {
  std::string names, flags, values;
  for (std::size_t i = 1; i < declarations.size(); ++i) {
    const Declaration& command = declarations[i];
    names += " " + command.name;
    flags += fmt::format("    {}) flags='", command.name);
    for (const Declaration::Option& option : command.options) {
      if (!option.positional) flags += " " + option.name;
      if (!option.positional && !option.value_name.empty())
        values += fmt::format("    {}:{}) compgen_options='{}' choices='{}' ;;\n", command.name, option.name,
                              candidates(option), fmt::join(option.choices, " "));
    }
    flags += "'";
    for (const Declaration::Option& option : command.options) {
      if (option.positional && candidates(option).empty())
        flags += fmt::format(" names={}{}", option.many ? "many" : "one",
                             option.name.find("MODEL") == std::string::npos ? "" : " model=1");
      if (option.positional && !candidates(option).empty())
        flags += fmt::format(" files={}", candidates(option));
    }
    flags += " ;;\n";
  }
  return "# Completion of roundtrip for bash, and for zsh after bashcompinit. Written by `roundtrip "
         "reference\n"
         "# completion`.\n"
         "_roundtrip_files() {\n"
         "  compopt -o filenames 2>/dev/null  # zsh has none\n"
         "  COMPREPLY=($(compgen \"$1\" -- \"$2\"))\n"
         "}\n"
         "_roundtrip() {\n"
         "  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} "
         "command=${COMP_WORDS[1]}\n"
         "  local flags='' names='' files='' model='' choices='' compgen_options=none\n"
         "  COMPREPLY=()\n"
         "  if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
         "    COMPREPLY=($(compgen -W '" +
         names.substr(1) +
         " --help --version' -- \"$word\"))\n"
         "    return\n"
         "  fi\n"
         "  case $command:$before in\n" +
         values +
         "  esac\n"
         "  if [ \"$compgen_options\" = -W ]; then\n"
         "    COMPREPLY=($(compgen -W \"$choices\" -- \"$word\"))\n"
         "    return\n"
         "  elif [ \"$compgen_options\" != none ]; then  # a value: files, or what only the user knows\n"
         "    [ -z \"$compgen_options\" ] || _roundtrip_files $compgen_options \"$word\"\n"
         "    return\n"
         "  fi\n"
         "  case $command in\n" +
         flags +
         "  esac\n"
         "  case $word in\n"
         "    -*) ;;\n"
         "    */*|.*) [ -z \"$model$files\" ] || { _roundtrip_files -f \"$word\"; return; } ;;\n"
         "    *) case $names:$COMP_CWORD:${COMP_WORDS[2]} in\n"
         "         :*|one:[!2]:[!-]*|one:??*:[!-]*) ;;  # none is taken, or it stands there already\n"
         "         *) flags=$(\"${COMP_WORDS[0]}\" reference names \"$command\" 2>/dev/null) ;;\n"
         "       esac\n"
         "       [ -z \"$files\" ] || { _roundtrip_files \"$files\" \"$word\"; return; } ;;\n"
         "  esac\n"
         "  COMPREPLY=($(compgen -W \"$flags\" -- \"$word\"))\n"
         "}\n"
         "complete -F _roundtrip roundtrip\n";
}

/// What a positional name of `command` may be.
std::string names_for(const std::string& command) {
  std::string names;
  if (command == "verify") {
    for (const auto& statement : proofs_check::all_statements()) names += statement->name() + "\n";
  }
  for (const mpc::ProtocolInfo* info : mpc::all_protocols()) names += info->name + "\n";
  return names;
}

}  // namespace

Command add_reference(CommandLine& line) {
  Flags& flags = line.add("reference", "The manual page, or the completion of bash and zsh",
                          "Examples:\n"
                          "  source <(roundtrip reference completion)\n"
                          "  roundtrip reference man --output roundtrip.1\n",
                          true);
  auto arguments = std::make_shared<std::vector<std::string>>();
  auto output = std::make_shared<std::string>("-");
  flags.positional("WHAT", true, true, "man, completion, or names SUBCOMMAND: what can stand behind it",
                   [arguments](const std::string& text) { arguments->push_back(text); });
  flags.value("--output", "FILE", "Where to (- is standard output, the default)",
              [output](const std::string& text) { *output = text; });
  return {.name = "reference", .act = [arguments, output, &line](const Communicator& communicator) {
            const std::vector<std::string>& what = *arguments;
            require((what.size() == 1 && (what[0] == "man" || what[0] == "completion")) ||
                        (what.size() == 2 && what[0] == "names"),
                    "reference {}: expected man, completion or names SUBCOMMAND", fmt::join(what, " "));
            communicator.on_root([&] {
              const std::vector<Declaration> declarations = line.declarations();
              write_whole(*output, what[0] == "man"          ? manual(declarations)
                                   : what[0] == "completion" ? completion(declarations)
                                                             : names_for(what[1]));
            });
            return kDone;
          }};
}

}  // namespace roundtrip::cli
