// Purpose: which rank hosts which machine, and so which rank an output word is delivered to.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/rational.h"
#include "mpc/parameters.h"

namespace roundtrip::mpc {

/// Machines in blocks of ceil(q / ranks), in order; the last ranks may host none. With ranks = q: one each.
class Placement {
 public:
  Placement(std::uint32_t machines, int ranks)
      : machines_(machines), block_(ceil_div(machines, static_cast<std::uint64_t>(ranks))), ranks_(ranks) {}

  int ranks() const { return ranks_; }
  std::uint32_t machines() const { return machines_; }
  /// Most machines on one rank.
  std::uint64_t block() const { return block_; }
  MachineId first(int rank) const {
    return static_cast<MachineId>(
        std::min<std::uint64_t>(static_cast<std::uint64_t>(rank) * block_, machines_));
  }
  std::uint32_t count(int rank) const { return first(rank + 1) - first(rank); }

 private:
  std::uint32_t machines_;
  std::uint64_t block_;
  int ranks_;
};

}  // namespace roundtrip::mpc
