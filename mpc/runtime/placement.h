// Purpose: which rank hosts which machine, and so which rank an output word is delivered to.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>

#include "roundtrip/base/rational.h"
#include "roundtrip/mpc/parameters.h"

namespace roundtrip::mpc {

/// Machines in blocks, in order; the last ranks may host none. A block is ceil(q / ranks), if that is 2^13 or
/// more rounded up to 13 bits, so that few chunks of equal size make up the blocks. With ranks = q: one each.
class Placement {
 public:
  Placement(std::uint32_t machines, int ranks) : machines_(machines), ranks_(ranks) {
    const std::uint64_t least = ceil_div(machines, static_cast<std::uint64_t>(ranks));
    const std::uint64_t unit = std::max<std::uint64_t>(std::bit_floor(least) >> 12, 1);
    block_ = ceil_div(least, unit) * unit;
  }

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
  std::uint64_t block_ = 0;
  int ranks_;
};

}  // namespace roundtrip::mpc
