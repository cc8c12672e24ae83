// Purpose: runs a protocol for its R rounds on a transport, holding every machine in every round to its
// limits, and counts. Outputs, ledger and trace are equal bit for bit on any transport and number of ranks.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "roundtrip/mpc/ledger.h"
#include "roundtrip/mpc/protocol.h"
#include "roundtrip/mpc/violation.h"

namespace roundtrip::mpc {

class Transport;  // mpc/transport.h

/// Where a run's state is saved at the end of rounds, and where it goes on from. docs/checkpoints.md.
struct CheckpointOptions {
  std::string directory{};  ///< where to write them, seen by all ranks; empty: nowhere
  std::uint32_t every = 1;  ///< rounds from one checkpoint to the next
  std::string resume{};     ///< directory to go on from; empty: start with round 1
  /// Names and values that make a run this run, beside its shape and input: a checkpoint of another is
  /// refused.
  std::vector<std::pair<std::string, std::string>> identity{};
  /// Once set on any rank, the run leaves at the end of the round, with a checkpoint.
  const std::atomic<bool>* stop = nullptr;
  /// Called on rank 0: a checkpoint that could not be used.
  std::function<void(const std::string& line)> warn{};
};

/// Sees each message list right after its step, on the rank that hosts the machine, in no fixed order of
/// machines.
class Observer {
 public:
  virtual ~Observer() = default;
  virtual void stepped(std::uint32_t round, MachineId machine, const Inbox& inbox, const Outbox& outbox) = 0;
};

struct RunOptions {
  std::uint64_t limit_words = 0;      ///< enforced instead of s, without the protocol's knowledge; 0: s
  bool one_machine_per_rank = false;  ///< ContractError naming q unless ranks = q
  std::optional<std::uint64_t> order_seed{};  ///< step machines in random order (tests)
  /// Makes the protocol anew before every step (tests that nothing is kept in it); empty: the object given.
  std::function<std::unique_ptr<const Protocol>()> rebuild{};
  Observer* observer = nullptr;
  /// Called on rank 0 after each round.
  std::function<void(std::uint32_t round, std::uint32_t rounds)> progress{};
  CheckpointOptions checkpoint{};
  bool profile = false;  ///< record RunResult::profile
};

struct RunResult {
  std::vector<Word> outputs{};  ///< by output index; on rank 0, empty elsewhere
  Ledger ledger{};              ///< equal on all ranks
  double seconds = 0;           ///< wall clock of the rounds, this rank
  /// The round after which the run was stopped at a checkpoint, with no outputs; equal on all ranks.
  std::optional<std::uint32_t> stopped_after{};
  Profile profile{};  ///< if asked for, on rank 0; empty elsewhere, and of a run that was stopped
};

/// Runs all R rounds. `input` is read on rank 0 only: N words of input_bits bits. Collective. Throws
/// ModelViolation, ContractError or AgreedFault (mpc/agree.h), the same on all ranks. Any other exception may be
/// known to one rank alone: with several ranks it ends them all (Transport::end_all).
RunResult run(const Protocol& protocol, std::span<const Word> input, Transport& transport,
              const RunOptions& options = {});

}  // namespace roundtrip::mpc
