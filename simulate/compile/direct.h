// Purpose: construction 4a, the direct simulation of MPC by exact-match attention: L = R + 1 layers, one head
// for each outgoing word, packets told apart by a code (identity or cover-free) and proved single by a
// variance test. Its card and its passes are in direct.cpp.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

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

/// The same with words that are scattered over the heads (scattered.h), `load` packets of a head told apart, if it is
/// given.
std::unique_ptr<const Construction> make_direct(const mpc::Shape& shape, const CompileOptions& options,
                                                std::optional<std::uint64_t> load);

}  // namespace roundtrip::simulate
