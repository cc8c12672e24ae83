// Purpose: how a subcommand declares its flags. CLI11 stays behind this in one source file: it takes a
// compiler ten seconds each time it is included.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace roundtrip::cli {

/// The flags of one subcommand. What a `set` throws ends the parsing.
class Flags {
 public:
  virtual ~Flags() = default;
  /// A positional argument, called once for each that is given.
  virtual void positional(const std::string& name, bool required, bool many, const std::string& help,
                          std::function<void(const std::string&)> set) = 0;
  /// `flag VALUE`; `repeatable` ones may be given more than once.
  virtual void value(const std::string& flag, const std::string& value_name, const std::string& help,
                     std::function<void(const std::string&)> set, bool repeatable = false) = 0;
  /// `flag VALUE` with one of `choices`: others are refused by naming these, and completion offers them.
  virtual void choice(const std::string& flag, const std::string& value_name,
                      const std::vector<std::string>& choices, const std::string& help,
                      std::function<void(const std::string&)> set) = 0;
  /// A flag without a value: turns `target` on.
  virtual void toggle(const std::string& flag, bool& target, const std::string& help) = 0;
};

/// What the arguments ask for.
struct Request {
  std::string error;       ///< of usage, in one line; empty if there is none
  std::string text;        ///< to print instead of acting: help or version
  std::string subcommand;  ///< the one to act, if neither error nor text
  /// The subcommand and each flag with its values, in a fixed order: equal if they ask for the same.
  std::vector<std::string> arguments;
};

/// What a subcommand was declared with, in the order of its help; the first is the program itself.
struct Declaration {
  struct Option {
    std::string name;        ///< "--flag", or a positional's
    std::string value_name;  ///< empty: none is taken
    std::string help;
    std::vector<std::string> choices;  ///< all that the value may be; empty: it is something else
    bool positional = false, required = false, many = false;
  };
  std::string name, description, footer;
  std::vector<Option> options;
};

/// The program's subcommands and their flags.
class CommandLine {
 public:
  CommandLine(const std::string& description, const std::string& footer,
              std::function<std::string()> version);
  ~CommandLine();
  CommandLine(const CommandLine&) = delete;
  CommandLine& operator=(const CommandLine&) = delete;
  /// The flags of a new subcommand; they live as long as the command line. `footer` is shown below its help.
  /// A hidden one is not named in the program's help.
  Flags& add(const std::string& name, const std::string& description, const std::string& footer,
             bool hidden = false);
  /// The program, then its subcommands but the hidden ones.
  std::vector<Declaration> declarations() const;
  /// `arguments` without the program's name. An unknown subcommand or flag is answered with the nearest known
  /// one.
  Request parse(std::vector<std::string> arguments);

 private:
  struct Parser;
  std::unique_ptr<Parser> parser_;
};

/// `text` without line breaks, for an error line.
std::string one_line(std::string text);

}  // namespace roundtrip::cli
