// Purpose: runs a protocol for its R rounds on a transport, holding every machine in every round to its
// limits, and counts. Outputs, ledger and trace are equal bit for bit on any transport and number of ranks.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "roundtrip/mpc/protocol.h"
#include "roundtrip/mpc/runtime/checkpoint.h"
#include "roundtrip/mpc/runtime/profile.h"
#include "roundtrip/mpc/violation.h"

namespace roundtrip::mpc {

class Transport;  // mpc/transport.h

/// Measured facts of one round, over all machines.
struct RoundFacts {
  std::uint64_t max_words_sent = 0;
  std::uint64_t max_words_received = 0;
  std::uint64_t max_scratch_words = 0;
  std::uint64_t total_words = 0;
  friend bool operator==(const RoundFacts&, const RoundFacts&) = default;
};

/// Measured facts of a run: one entry a round. Output words count as sent and received in round R; the input
/// does not.
struct Ledger {
  std::vector<RoundFacts> rounds{};
  RoundFacts overall() const;  ///< maxima over the rounds; total_words is the sum
  friend bool operator==(const Ledger&, const Ledger&) = default;
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
  std::function<void(std::uint32_t round, std::uint32_t rounds)>
      progress{};  ///< called on rank 0 after each round
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
/// ModelViolation (the same on all ranks) or ContractError (likewise). Any other exception may be known to
/// one rank alone: with several ranks it ends them all, with one line on standard error and status 70.
RunResult run(const Protocol& protocol, std::span<const Word> input, Transport& transport,
              const RunOptions& options = {});

}  // namespace roundtrip::mpc
