// Purpose: the flags that several subcommands share, and what they mean: which protocol at which size on
// which input.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "roundtrip/cli/flags.h"
#include "roundtrip/cli/input.h"
#include "roundtrip/cli/output_files.h"
#include "roundtrip/mpc/parameters.h"

namespace roundtrip::cli {

/// What every subcommand is told.
struct OutputArguments {
  std::string json;  ///< FILE or "-"; empty: none
  bool quiet = false;
};

/// What subcommands that run a protocol are told.
struct ProtocolArguments {
  std::string protocol;
  mpc::Parameters parameters;  ///< n is known once the input is read
  bool epsilon_given = false;
  std::string input;  ///< FILE or "-"; empty: generated
  std::optional<Format> format;
  std::optional<std::uint64_t> n;
  std::uint64_t limit_words = 0;
  std::string transport;  ///< "inprocess", "mpi" or empty
  bool one_machine_per_rank = false;
  bool plan = false;
  std::string output;         ///< FILE or "-"; empty: none
  bool output_names = false;  ///< with the vertex that each output is of
  OutputArguments out;
};

/// What they read: --input, and the files of a model.
std::vector<NamedFile> input_files(const ProtocolArguments& arguments);

/// A decimal integer in low..high; ContractError naming flag, text and range otherwise.
std::uint64_t parse_count(const std::string& text, const std::string& flag, std::uint64_t low,
                          std::uint64_t high);

/// --json, --quiet.
void add_output_arguments(Flags& flags, OutputArguments& arguments);
/// --param, --input, --format, --n, --eps.
void add_instance_arguments(Flags& flags, ProtocolArguments& arguments);
/// PROTOCOL and the flags of input, shape, transport and output.
/// `what`: PROTOCOL, or PROTOCOL|MODEL where a transformer may be given instead.
void add_protocol_arguments(Flags& flags, ProtocolArguments& arguments, const std::string& what = "PROTOCOL");
/// --plan, --output and --output-names.
void add_plan_and_output(Flags& flags, ProtocolArguments& arguments);

}  // namespace roundtrip::cli
