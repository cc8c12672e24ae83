// Purpose: which words of a run carry which input word, for any protocol. It is found by asking, step by
// step, what would have been sent if the input word had been another one.
#pragma once

#include <span>

#include "roundtrip/explain/trace.h"
#include "roundtrip/mpc/protocol.h"

namespace roundtrip::explain {

/// Problem:   fill SentWord::carries and SentWord::depends of all rounds.
/// Method:    for every input word i and each of three changes there is a second world, in which i and the later
///            words equal to it are larger by the change. It is compared with the world in which only the later ones are.
///            Equal words are taken apart from the last on, so that an order that breaks ties by position
///            stays as it is. Each machine's step is run again on what it received in that world, and the two
///            lists that it sends are aligned (destination and word; least number of changes). A word in the
///            same place counts as
///              carrying i      if it is larger by that too, with every change, and of no other input word: a copy;
///              depending on i  if it is another in any world;
///            What is sent elsewhere, or not at all, in the second world is not followed: there the input
///            word decided what happened, and its own way ends. Worlds never leave the run: every step gets
///            what was really received, with the followed words replaced.
/// Precision: a statement about this input and these changes. Input words are first moved apart (multiplied),
///            so that a larger word does not become or pass another one, if the protocol sends as many words
///            to the same places then; else they are followed as they are, and larger by 1, 2 and 3.
/// Cost:      3 N + 1 times the steps of the machines that hold a followed word.
void follow(const mpc::Protocol& protocol, std::span<const mpc::Word> input, std::vector<RoundTrace>& rounds);

/// How well two words go together: the better, the less.
enum class Likeness : std::uint8_t { kEqual = 0, kMoved = 1, kClose = 2, kNone = 255 };

/// The places of two lists that belong together, ascending: [(a, b)]. Least cost, where a pair costs its
/// Likeness (kNone never pairs) and a word without a partner 3.
struct AlignedPair {
  std::size_t a, b;
  friend bool operator==(const AlignedPair&, const AlignedPair&) = default;
};
std::vector<AlignedPair> align(std::size_t a, std::size_t b,
                               const std::function<Likeness(std::size_t, std::size_t)>& likeness);

}  // namespace roundtrip::explain
