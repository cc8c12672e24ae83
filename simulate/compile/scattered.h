// Purpose: construction 4c, the direct one with words that take heads from a place on that chance picks, so that few
// packets meet in a head and their code is short. Its card is in scattered.cpp, its layers and passes in direct.cpp.
#pragma once

#include <cstdint>

#include "roundtrip/base/rational.h"
#include "roundtrip/mpc/parameters.h"
#include "roundtrip/simulate/compile/construction.h"

namespace roundtrip::simulate {

/// Its own options are DirectOptions. Of the common ones, eta bounds the probability of an overflow over the shifts, for
/// every fixed input; seed draws these, before the input.
const ConstructionInfo& scattered_construction();

/// lambda: the most packets that a head lets through. The least lambda >= 1 with P[Poisson(1) > lambda] <=
/// eta / ((R - 1) q s), at most min(s, q). A head's load at a machine that receives at most s words is a sum of
/// independent indicators, one a sender, of mean at most s / s = 1, whose tail the Poisson tail bounds (Hoeffding 1956);
/// there are (R - 1) q s heads at machines. O(log N / log log N).
std::uint64_t scattered_load(const mpc::Shape& shape, const Rational& eta);

}  // namespace roundtrip::simulate
