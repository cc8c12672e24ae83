// Purpose: whether gamma gives the machines that the model says, q = ceil(kappa_q N^(1 + gamma) / b), with the same
// outputs; and whether those beyond gamma = 0 take part where a protocol says so, and nowhere else.
#pragma once

#include <cstdint>

#include "roundtrip/mpc/transport.h"

namespace roundtrip::proofs_check {

constexpr std::uint64_t kSpareSize = 1024;  ///< N

/// Over protocols and gamma = 0, 1/4, 1/2.
struct SpareMachines {
  std::uint64_t wrong_q = 0;        ///< shapes of another q, or of another kappa_q than b q / N at gamma = 0
  std::uint64_t wrong_outputs = 0;  ///< words
  std::uint64_t wrong_use = 0;      ///< protocols whose spare machines idle and should not, or the reverse
};

/// What may be wrong about gamma.
enum class GammaDefect : std::uint8_t { kNone, kOverlooked, kIdle, kOutput };

/// Collective.
SpareMachines spare_machines(mpc::Transport& transport, std::uint64_t seed, GammaDefect defect);

}  // namespace roundtrip::proofs_check
