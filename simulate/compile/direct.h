// Purpose: construction 4a, the direct simulation of MPC by exact-match attention: L = R + 1 layers, one head
// for each outgoing word, packets told apart by a code (identity or cover-free) and proved single by a
// variance test. Its card and its passes are in direct.cpp.
#pragma once

#include "roundtrip/simulate/compile/construction.h"
#include "roundtrip/simulate/compile/packet_code.h"

namespace roundtrip::simulate {

/// CompileOptions::specific of "direct".
struct DirectOptions {
  PacketCode code = PacketCode::kAutomatic;  ///< automatic: identity if 2q <= 4XP
  bool variance_test = true;                 ///< off only as a negative control
};

const ConstructionInfo& direct_construction();

}  // namespace roundtrip::simulate
