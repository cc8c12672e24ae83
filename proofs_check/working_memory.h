// Purpose: whether what a step takes from the heap is metered and limited: a toy protocol that holds exactly the words
// it declares, in every form of operator new, and must pass; with one word less declared it must be stopped.
#pragma once

#include <cstdint>

#include "roundtrip/mpc/transport.h"

namespace roundtrip::proofs_check {

/// N of the toy protocol, and the words that its machine 1 holds in round 2.
constexpr std::uint64_t kHolderSize = 64;

/// Collective: how many of the toy protocol's runs, and of its steps in a compiled transformer, are not judged as they
/// must be: let pass and counted, or stopped with machine, round, words used and allowed. In order and in random order
/// of machines. `unseen`: as if nobody metered, by words that come from malloc.
std::uint64_t working_memory_mistakes(mpc::Transport& transport, std::uint64_t seed, bool unseen);

}  // namespace roundtrip::proofs_check
