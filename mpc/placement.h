// Purpose: which rank hosts which machine, and so which rank an output word is delivered to.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/rational.h"
#include "mpc/parameters.h"

namespace roundtrip::mpc {

/// floor(n / divisor) for 32-bit n by one multiplication. With m = floor((2^64 - 1) / d) + 1, n m / 2^64
/// exceeds n / d by at most n / 2^64, which is below 1 / d, the least distance of n / d from the next
/// integer, as n < 2^32 and d <= 2^32.
class Divider {
 public:
  explicit Divider(std::uint64_t divisor)
      : factor_(divisor == 1 ? 0 : ~std::uint64_t{0} / std::min(divisor, std::uint64_t{1} << 32) + 1) {}
  std::uint32_t operator()(std::uint32_t n) const {
    __extension__ using Wide = unsigned __int128;
    return factor_ == 0 ? n : static_cast<std::uint32_t>((Wide{n} * factor_) >> 64);
  }

 private:
  std::uint64_t factor_;  // 0 stands for 2^64
};

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
