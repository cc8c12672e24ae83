// Purpose: the command line from argv to exit status. All ranks parse the same arguments; only rank 0 speaks.
#include <algorithm>
#include <array>
#include <csignal>
#include <cstdio>
#include <memory>
#include <optional>
#include <vector>

#include "roundtrip/anna/files/model_file.h"
#include "roundtrip/base/atomic_file.h"
#include "roundtrip/base/error.h"
#include "roundtrip/cli/cli.h"
#include "roundtrip/cli/command.h"
#include "roundtrip/cli/communicator.h"
#include "roundtrip/cli/fields.h"
#include "roundtrip/cli/launch.h"
#include "roundtrip/cli/memory.h"
#include "roundtrip/cli/verdict.h"
#include "roundtrip/mpc/transport.h"
#include "roundtrip/mpc/violation.h"
#include "roundtrip/simulate/compile/export.h"

namespace roundtrip::cli {
namespace {

constexpr const char* kDescription =
    "Massively Parallel Computation protocols and ANNA-transformers, each compiled to the other.";
constexpr const char* kFooter =
    "Examples:\n"
    "  roundtrip list\n"
    "  mpirun -n 2 roundtrip run k_hop --input text.txt --format words --param k=4 --check\n"
    "  roundtrip compile k_hop --input text.txt --format words --n 1024 --param k=4\n"
    "  roundtrip decompile random:L=2,H=2,c=8 --n 64\n"
    "  roundtrip explain k_hop --input text.txt --format words --n 16 --html page.html\n"
    "  roundtrip verify\n"
    "`roundtrip SUBCOMMAND --help` shows each one's flags and an example.\n"
    "Exit status: 0 done or verified, 1 refuted, 2 usage or bad input, 3 the protocol broke its model,\n"
    "4 inconclusive, 5 stopped at a checkpoint, 70 a bug in Roundtrip, or a protocol's step threw an exception.\n";

int act(const Command* command, const Request& request, const Communicator& communicator) {
  if (command != nullptr) return command->act(communicator);
  communicator.on_root([&] { write_whole("-", request.text + (request.text.back() == '\n' ? "" : "\n")); });
  return kDone;
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGXFSZ,
              SIG_IGN);  // a file above the process's limit is then an error of writing, with its name
  anna::register_resolver(simulate::protocol_resolver());
  CommandLine line(kDescription, kFooter, version_text);
  const std::array commands = {add_demo(line),      add_list(line),   add_run(line),        add_compile(line),
                               add_decompile(line), add_attend(line), add_explain(line),    add_sweep(line),
                               add_verify(line),    add_train(line),  add_experiment(line), add_compare(line),
                               add_reference(line)};
  const Request request = line.parse({argv + std::min(argc, 1), argv + argc});
  const auto found = std::find_if(commands.begin(), commands.end(),
                                  [&](const Command& command) { return command.name == request.subcommand; });
  const Command* command = found == commands.end() ? nullptr : &*found;

  const std::string wanted = command == nullptr ? "inprocess" : command->transport();
  const Launch launch = find_launch();
  // What needs no MPI starts it only beside other ranks, of whom rank 0 alone must speak.
  const bool mpi =
      wanted == "inprocess" ? launch.answers && launch.tasks > 1 : wanted == "mpi" || launch.started;
  if (mpi && !launch.silent.empty()) {
    complain(fmt::format("{}: no launcher answers there; start with mpirun, or clear its variables",
                         launch.silent));
    return kUsage;
  }
  if (command != nullptr) command->begin();
  std::optional<mpc::MpiSession> session;
  std::unique_ptr<mpc::Transport> transport;
  try {
    if (mpi) start_mpi([&] { session.emplace(argc, argv); });
    transport = mpi ? session->transport() : mpc::make_in_process_transport();
    if (!started_alike(request, *transport)) return kUsage;
    count_ranks_here(*transport);
  } catch (const std::exception& error) {
    complain(error.what());
    return kInternal;
  }
  if (wanted != "inprocess" && transport->ranks() == 1 && launch.tasks > 1) {
    complain(
        fmt::format("{}: one of {} tasks, but MPI sees one. Start with Open MPI's mpirun or srun --mpi=pmix; "
                    "--transport inprocess makes separate runs",
                    launch.claim, launch.tasks));
    return kUsage;
  }
  transport->on_end(complain);
  const Communicator communicator(*transport);
  // These are the same on every rank: each leaves with the status, rank 0 says why.
  const auto leave = [&](const std::string& message, int status) {
    if (communicator.root()) complain(message);
    if (const int signal = interrupted_by()) std::raise(signal);
    return status;
  };
  try {
    return act(command, request, communicator);
  } catch (const ContractError& error) {
    return leave(message_of(error), kUsage);
  } catch (const mpc::ModelViolation& violation) {
    return leave(violation.what(), status_of(verdict_of(violation)));
  } catch (const mpc::AgreedFault& fault) {
    return leave(fault.what(), kInternal);
  } catch (const std::bad_alloc&) {
    complain("out of memory");
  } catch (const std::exception& error) {
    complain(error.what());
  } catch (...) {
    complain("something was thrown that is not a std::exception");
  }
  // A fault that this rank alone may have seen: the others could be waiting for it.
  transport->abort(kInternal);
  return kInternal;
}

}  // namespace roundtrip::cli
