// Purpose: the rounds of a program as weights can carry them out: routed words by deterministic routing, in two rounds of
// fixed places, and all that would be lost without a word noticed.
#pragma once

#include <cstdint>
#include <vector>

#include "roundtrip/mpc/program/program.h"

namespace roundtrip::simulate {

/// A round of fixed or addressed sends, and the conditions, numbers above 0, under which something was lost before its step.
struct WeightRound {
  mpc::Program::Round round;
  std::vector<mpc::Tape::Expression> losses = {};
};

/// Problem:   a program's rounds without routed sends.
/// Method:    a sender sorts its F records by destination and deals them, the i-th to intermediate i mod q. An intermediate
///            sorts what came and spreads it: C places for each destination, found by moving every record by the bits of
///            its distance, the highest first, in which no two meet. A destination merges its q bundles and keeps its slots.
/// Guarantee: the same inboxes. With at most S words to a machine, no bundle has more than C = floor(S / q) + q - 1 words
///            (of a sender's n words to a destination an intermediate gets at most ceil(n / q)). Otherwise, and with more
///            words than slots, a loss is above 0.
/// Cost:      two rounds for a routed one.
/// Source:    ours, stronger than the random intermediates of Liu et al. 2025; monotone spread: Nassimi, Sahni 1981.
std::vector<WeightRound> without_routing(const mpc::Program& program);

/// C.
std::uint32_t bundle_capacity(std::uint32_t machines, std::uint32_t records, std::uint32_t slots);

}  // namespace roundtrip::simulate
