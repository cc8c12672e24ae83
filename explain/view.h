// Purpose: what terminal and page both say about a trace: which words go together, and the captions in plain
// words. They differ in how they lay it out alone.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "roundtrip/explain/trace.h"

namespace roundtrip::explain {

/// The words that one machine sent another in a round.
struct Batch {
  std::uint32_t source = 0, destination = 0;
  std::vector<std::uint32_t> words;  ///< indices in RoundTrace::words
};
/// By source, then destination.
std::vector<Batch> batches(const RoundTrace& round);

/// Heads in which one query met the same keys with the same weights.
struct Meeting {
  std::uint32_t query = 0;
  std::vector<Match::Key> keys;
  std::uint64_t total = 0;
  std::vector<std::uint32_t> heads;
  std::string name;                  ///< of the query's vector, if it is the same in all of them
  std::vector<std::uint32_t> words;  ///< of the round that arrive with them, as RoundTrace::words has them
  const Match* first = nullptr;      ///< the match in the first of the heads
};
/// By query, then least head.
std::vector<Meeting> meetings(const LayerTrace& layer);

/// "0-3, 8".
std::string ranges(const std::vector<std::uint32_t>& ascending);
/// "a", "a and b", "a, b and c".
std::string listed(const std::vector<std::string>& items);
/// "1 word", "2 words".
std::string count_of(std::uint64_t count, const std::string& one);
/// Words from one kind of machine to another, for rounds that are too large to list.
struct Total {
  std::string from, to;
  std::uint64_t words = 0;
};
std::vector<Total> totals(const Trace& trace, std::uint32_t round);
bool too_large(const Trace& trace, std::uint32_t round);

/// "round 3 of 11"; what the round is for and how full the machines are.
std::string round_caption(const Trace& trace, std::uint32_t round);
/// What this layer does, and how it does the round's work (forward), or what it computes (reverse).
std::string layer_caption(const Trace& trace, std::size_t layer);
/// Reverse: what the round is to its layer.
std::string part_caption(const Trace& trace, std::uint32_t round);
/// What the whole is about, a paragraph each.
std::vector<std::string> introduction(const Trace& trace);

/// A bound and how near the run came to it.
struct Bound {
  std::string what;
  std::uint64_t used = 0, allowed = 0;
  std::string unit;
};
std::vector<Bound> bounds(const Trace& trace);

/// Where an input word is, round by round: one entry for each round in which some word carries it.
struct Stop {
  std::uint32_t round = 0;
  std::string text;
};
struct Journey {
  std::string start;
  std::vector<Stop> stops;
  std::string end;
};
Journey journey(const Trace& trace, std::uint32_t origin);

}  // namespace roundtrip::explain
