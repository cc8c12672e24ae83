// Purpose: records a Profile (mpc/ledger.h) while a run is under way, and gathers it on rank 0.
#pragma once

#include <chrono>
#include <cstdint>
#include <vector>

#include "roundtrip/mpc/ledger.h"
#include "roundtrip/mpc/parameters.h"

namespace roundtrip::mpc {

class Exchange;   // mpc/runtime/exchange.h
class Transport;  // mpc/transport.h

/// Records one rank's part; allocates nothing while it does.
class Profiler {
 public:
  Profiler(const Shape& shape, const Exchange& exchange, std::uint32_t first_round);

  /// Begin, and then the end of each part of a round.
  void mark();
  void stepped(std::uint32_t round, MachineId machine, std::uint64_t words_sent, std::uint64_t scratch_words,
               std::uint64_t heap_words);
  /// After the inboxes, or the outputs, of a round were filled without a finding.
  void received(std::uint32_t round, const Exchange& exchange);

  /// Collective: on rank 0 what all ranks recorded, nothing elsewhere.
  [[nodiscard]] Profile gather(Transport& transport) const;

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
