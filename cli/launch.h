// Purpose: how this process was started. Before MPI starts: what the environment says of a launcher. Once the
// ranks can talk: whether all of them were started alike, for a collective needs equal programs on both sides.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "roundtrip/cli/flags.h"
#include "roundtrip/mpc/transport.h"

namespace roundtrip::cli {

/// What the environment says of who started this process. Variables outlive their launcher, and other MPIs set
/// variables of their own: a statement here is no proof that Open MPI finds its ranks.
struct Launch {
  bool started = false;     ///< some launcher's variables are there
  bool answers = false;     ///< a launcher of ours (Open MPI's, or PMIx in SLURM) takes connections
  std::string silent;       ///< the variable that names such a launcher, if none answers there; else empty
  std::uint64_t tasks = 1;  ///< processes that were started together, as far as the variables say
  std::string claim;        ///< the variable that says so, with its value; empty: none says more than 1
};

/// Of the environment. Connects to the launcher's daemon on this host, waiting 2 seconds at most.
Launch find_launch();

/// Starts MPI by `start`. Open MPI ends the process inside MPI_Init if it fails, with status 1, which is ours
/// for "refuted": meanwhile that status is kInternal's, with a line that says what happened.
void start_mpi(const std::function<void()>& start);

/// Collective. Whether all ranks were started alike: version, build, registered protocols, subcommand and
/// arguments, and none with an error of usage. If not, one rank says what differs, in one line.
bool started_alike(const Request& request, mpc::Transport& transport);

/// Writes "roundtrip: error: MESSAGE" to standard error, as one line and in one piece.
void complain(const std::string& message);

}  // namespace roundtrip::cli
