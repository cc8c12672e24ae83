#include "mpc/protocols/oracles.h"

#include <algorithm>

namespace roundtrip::mpc::oracles {

Output sum(Input values, int bits) {
  std::int64_t total = 0;
  const std::int64_t half = std::int64_t{1} << (bits - 1);
  for (const std::int64_t value : values) {  // both below 2^61: no overflow
    total += value;
    while (total >= half) total -= 2 * half;
    while (total < -half) total += 2 * half;
  }
  return {total};
}

Output sort(Input values) {
  Output sorted(values.begin(), values.end());
  std::stable_sort(sorted.begin(), sorted.end());
  return sorted;
}

}  // namespace roundtrip::mpc::oracles
