// Purpose: a run told round by round for other programs: a trace for Perfetto or chrome://tracing, and a
// table.
#pragma once

#include <string>

#include "roundtrip/cli/execution.h"

namespace roundtrip::cli {

enum class TraceClock : std::uint8_t {
  kWall,     ///< microseconds on each rank, since it entered its first round
  kLogical,  ///< words: the same bytes on any number of ranks, on either transport
};

/// JSON in Chrome's trace-event format: one track a rank with rounds and, inside them, step, exchange and
/// scatter; counters of the words that the busiest machine sent, received and took as scratch and from the heap, and of all
/// words. On the logical clock there is one track, on which a round's parts last one tick and one more for
/// each word that the busiest machine sent (step) and received (exchange, scatter).
std::string trace_text(const Instance& instance, const mpc::RunResult& result, TraceClock clock);

/// CSV with a header: round, machine, words_sent, words_received, scratch_words, heap_words; by round, then machine.
std::string csv_text(const mpc::Profile& profile);

/// A picture (SVG): a row for each round, a column for each machine (or for each few, the fullest of them), the darker
/// the more of its s words the machine received.
std::string heat_text(const Instance& instance, const mpc::Profile& profile);

}  // namespace roundtrip::cli
