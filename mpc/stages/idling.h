// Purpose: a protocol that idles before it starts, so that its rounds, and the layers of its transformer, are
// a number given beforehand: R may be declared as the maximum of a formula over a range of N.
#pragma once

#include <cstdint>
#include <memory>

#include "roundtrip/mpc/protocol.h"

namespace roundtrip::mpc {

/// Problem:   the function of `protocol` in exactly `rounds` rounds.
/// Guarantee: in each of the rounds put in front every machine sends its input block to itself, so that step 1
///            finds the inbox of a first round; outputs, words and limits of all later rounds are the protocol's.
/// Cost:      rounds - R more rounds, in which a machine sends and receives at most b words.
/// ContractError unless rounds >= R.
[[nodiscard]] std::shared_ptr<const Protocol> idle_to(std::shared_ptr<const Protocol> protocol,
                                                      std::uint32_t rounds);

}  // namespace roundtrip::mpc
