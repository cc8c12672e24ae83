// Purpose: construction 4a, the direct simulation of MPC by exact-match attention: L = R + 1 layers, one head
// for each outgoing word, packets told apart by a code (identity or cover-free) and proved single by a
// variance test.
#pragma once

#include <memory>

#include "anna/transformer.h"
#include "mpc/protocol.h"
#include "simulate/packet_code.h"
#include "simulate/translation.h"

namespace roundtrip::simulate {

struct DirectOptions {
  PacketCode code = PacketCode::kAutomatic;  ///< automatic: identity if 2q <= 4XP
  bool variance_test = true;                 ///< off only as a negative control
  std::uint64_t seed = 1;                    ///< of the ids
};

/// The transformer of `protocol` (word_bits <= 48). Depth is exactly R + 1. The protocol object is held by
/// the layers, whose maps call its pure steps. ContractError for a protocol that the construction can't
/// serve.
anna::Transformer compile_direct(std::shared_ptr<const mpc::Protocol> protocol,
                                 const DirectOptions& options = {});

}  // namespace roundtrip::simulate
