// Purpose: the measured facts of a run: words and working memory round by round (always), machine by machine and
// with times (if asked for).
#pragma once

#include <cstdint>
#include <vector>

namespace roundtrip::mpc {

/// Measured facts of one round, over all machines.
struct RoundFacts {
  std::uint64_t max_words_sent = 0;
  std::uint64_t max_words_received = 0;
  std::uint64_t max_scratch_words = 0;
  std::uint64_t max_heap_words = 0;  ///< 0 if HeapMeter::available() is false
  std::uint64_t total_words = 0;
  friend bool operator==(const RoundFacts&, const RoundFacts&) = default;
};

/// Measured facts of a run: one entry a round. Output words count as sent and received in round R; the input
/// does not.
struct Ledger {
  std::vector<RoundFacts> rounds{};
  /// Maxima over the rounds; total_words is the sum.
  [[nodiscard]] RoundFacts overall() const;
  friend bool operator==(const Ledger&, const Ledger&) = default;
};

/// What one machine did in one round; received in round R are its output words.
struct MachineFacts {
  std::uint64_t words_sent = 0;
  std::uint64_t words_received = 0;
  std::uint64_t scratch_words = 0;
  std::uint64_t heap_words = 0;
  friend bool operator==(const MachineFacts&, const MachineFacts&) = default;
};

/// Seconds since its rank entered the first round of this run, each the end of what the round did there.
struct RoundTimes {
  double begun = 0;
  double stepped = 0;    ///< all machines stepped, their words in the streams
  double exchanged = 0;  ///< the streams of all ranks have arrived
  double scattered = 0;  ///< sorted into the inboxes
};

/// What a run did, machine by machine and when.
struct Profile {
  std::uint32_t first_round = 1;                    ///< of those recorded: a resumed run has no earlier ones
  std::vector<std::vector<MachineFacts>> rounds{};  ///< [round - first_round][machine]
  std::vector<std::vector<RoundTimes>> ranks{};     ///< [rank][round - first_round]
};

}  // namespace roundtrip::mpc
