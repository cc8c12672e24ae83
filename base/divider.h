// Purpose: division by a number that stays the same, for loops over many words. (libdivide handles every 64-bit n and
// needs an addition more; docs/dependencies.md.)
#pragma once

#include <bit>
#include <cstdint>

namespace roundtrip {

/// floor(n / divisor) for n below 2^53 and divisor >= 1 by one multiplication. With 2^k < divisor <= 2^(k+1)
/// and m = 2^(64+k) / divisor rounded up, n m / 2^(64+k) exceeds n / divisor by less than n / 2^(64+k) <
/// 1 / divisor, the least distance of n / divisor from the next integer.
class Divider {
 public:
  explicit Divider(std::uint64_t divisor) : divisor_(divisor) {
    if (divisor == 1) return;
    shift_ = static_cast<unsigned>(std::bit_width(divisor - 1)) - 1;
    factor_ = static_cast<std::uint64_t>(((Wide{1} << (64 + shift_)) + divisor - 1) / divisor);
  }
  [[nodiscard]] std::uint64_t divisor() const { return divisor_; }
  [[nodiscard]] std::uint64_t operator()(std::uint64_t n) const {
    return factor_ == 0 ? n : static_cast<std::uint64_t>((Wide{n} * factor_) >> 64) >> shift_;
  }

 private:
  __extension__ using Wide = unsigned __int128;
  std::uint64_t divisor_, factor_ = 0;  // 0: by 1
  unsigned shift_ = 0;
};

}  // namespace roundtrip
