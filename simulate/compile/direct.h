// Purpose: construction 4a, the direct simulation of MPC by exact-match attention: L = R + 1 layers, one head
// for each outgoing word, packets told apart by a code (identity or cover-free) and proved single by a
// variance test; and 4c, the scattered one, in which a machine's words take heads in an order that chance shifts, so
// that few packets meet in a head and the code is short. Cards and passes are in direct.cpp.
#pragma once

#include <cstdint>
#include <optional>

#include "roundtrip/base/rational.h"
#include "roundtrip/mpc/parameters.h"
#include "roundtrip/simulate/compile/construction.h"
#include "roundtrip/simulate/compile/packet_code.h"

namespace roundtrip::simulate {

/// CompileOptions::specific of "direct" and of "scattered".
struct DirectOptions {
  PacketCode code = PacketCode::kAutomatic;  ///< automatic: identity if 2q <= 4XP
  bool variance_test = true;                 ///< off only as a negative control
  std::optional<std::uint64_t> load = {};    ///< scattered: not that from eta (negative controls)
};

const ConstructionInfo& direct_construction();

/// Of common options, eta bounds the probability of an overflow over the shifts, for every fixed input; seed draws
/// these, before the input.
const ConstructionInfo& scattered_construction();

/// lambda: the most packets that a head of the scattered construction lets through. The least lambda with
/// P[Poisson(1) > lambda] <= eta / ((R - 1) q s), at least 1, at most min(s, q). A head's load at a machine that
/// receives at most s words is a sum of independent indicators, one a sender, of mean at most s / s = 1, whose tail
/// the Poisson tail bounds (Hoeffding 1956); there are (R - 1) q s heads at machines. O(log N / log log N).
std::uint64_t scattered_load(const mpc::Shape& shape, const Rational& eta);

}  // namespace roundtrip::simulate
