// Purpose: what a subcommand is: its flags on the command line, and what it does once they are parsed.
#pragma once

#include <functional>
#include <string>

#include "roundtrip/cli/communicator.h"
#include "roundtrip/cli/flags.h"

namespace roundtrip::cli {

struct Command {
  std::string name;
  /// Collective; returns the exit status. Errors are thrown, the same on every rank.
  std::function<int(const Communicator&)> act;
  /// The transport that the flags ask for, or empty: mpi under a launcher, else inprocess. What works on one
  /// process says so from the start: it needs no MPI.
  std::function<std::string()> transport = [] { return std::string("inprocess"); };
  /// Called once the arguments are parsed, before MPI starts and anything is read.
  std::function<void()> begin = [] {};
};

Command add_attend(CommandLine& line);
Command add_list(CommandLine& line);
Command add_run(CommandLine& line);
Command add_compare(CommandLine& line);
Command add_compile(CommandLine& line);
Command add_decompile(CommandLine& line);
Command add_explain(CommandLine& line);
Command add_verify(CommandLine& line);
Command add_train(CommandLine& line);
Command add_experiment(CommandLine& line);
Command add_sweep(CommandLine& line);
Command add_demo(CommandLine& line);
/// Of what was added to `line` before it.
Command add_reference(CommandLine& line);

/// Program, compiler, MPI and BLAS, a line each.
std::string version_text();

}  // namespace roundtrip::cli
