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
  /// A flag without a value: turns `target` on.
  virtual void toggle(const std::string& flag, bool& target, const std::string& help) = 0;
};

/// What the arguments ask for.
struct Request {
  std::string error;       ///< of usage, in one line; empty if there is none
  std::string text;        ///< to print instead of acting: help or version
  std::string subcommand;  ///< the one to act, if neither error nor text
};

/// The program's subcommands and their flags.
class CommandLine {
 public:
  CommandLine(const std::string& description, const std::string& footer,
              std::function<std::string()> version);
  ~CommandLine();
  CommandLine(const CommandLine&) = delete;
  CommandLine& operator=(const CommandLine&) = delete;
  /// The flags of a new subcommand; they live as long as the command line. `footer` is asked for when help is
  /// shown.
  Flags& add(const std::string& name, const std::string& description, const std::string& footer);
  /// `arguments` without the program's name. An unknown subcommand or flag is answered with the nearest known
  /// one.
  Request parse(const std::vector<std::string>& arguments);

 private:
  struct Parser;
  std::unique_ptr<Parser> parser_;
};

/// `text` without line breaks, for an error line.
std::string one_line(std::string text);

}  // namespace roundtrip::cli
