// Purpose: what a run did, machine by machine and when: recorded if asked for, gathered on rank 0.
#pragma once

#include <chrono>
#include <cstdint>
#include <vector>

#include "roundtrip/mpc/parameters.h"

namespace roundtrip::mpc {

class Exchange;   // mpc/runtime/exchange.h
class Transport;  // mpc/transport.h

/// What one machine did in one round; received in round R are its output words.
struct MachineFacts {
  std::uint64_t words_sent = 0;
  std::uint64_t words_received = 0;
  std::uint64_t scratch_words = 0;
  friend bool operator==(const MachineFacts&, const MachineFacts&) = default;
};

/// Seconds since its rank entered the first round of this run, each the end of what the round did there.
struct RoundTimes {
  double begun = 0;
  double stepped = 0;    ///< all machines stepped, their words in the streams
  double exchanged = 0;  ///< the streams of all ranks have arrived
  double scattered = 0;  ///< sorted into the inboxes
};

struct Profile {
  std::uint32_t first_round = 1;                    ///< of those recorded: a resumed run has no earlier ones
  std::vector<std::vector<MachineFacts>> rounds{};  ///< [round - first_round][machine]
  std::vector<std::vector<RoundTimes>> ranks{};     ///< [rank][round - first_round]
};

/// Records one rank's part; allocates nothing while it does.
class Profiler {
 public:
  Profiler(const Shape& shape, const Exchange& exchange, std::uint32_t first_round);

  /// Begin, and then the end of each part of a round.
  void mark();
  void stepped(std::uint32_t round, MachineId machine, std::uint64_t words_sent, std::uint64_t scratch_words);
  /// After the inboxes, or the outputs, of a round were filled without a finding.
  void received(std::uint32_t round, const Exchange& exchange);

  /// Collective: on rank 0 what all ranks recorded, nothing elsewhere.
  Profile gather(Transport& transport) const;

 private:
  MachineFacts& facts(std::uint32_t round, MachineId machine) {
    return facts_[std::uint64_t{round - first_round_} * machines_ + machine - first_];
  }

  const Shape shape_;
  const MachineId first_;
  const std::uint32_t machines_;
  const std::uint32_t first_round_;
  std::chrono::steady_clock::time_point start_;
  std::vector<MachineFacts> facts_;  // by round, then machine
  std::vector<double> marks_;
};

}  // namespace roundtrip::mpc
