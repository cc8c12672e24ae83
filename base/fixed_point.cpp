#include "roundtrip/base/fixed_point.h"

#include <cmath>

namespace roundtrip {

std::int64_t drop_bits(std::int64_t mantissa, std::uint32_t bits) {
  if (bits == 0) return mantissa;
  const std::int64_t floor = mantissa >> bits;
  const std::int64_t rest = mantissa - floor * (std::int64_t{1} << bits),
                     half = std::int64_t{1} << (bits - 1);
  return floor + (rest > half || (rest == half && (floor & 1) != 0) ? 1 : 0);
}

std::int64_t round_scaled(double value, int bits) {
  const double scaled = std::ldexp(value, bits);
  const double floor = std::floor(scaled), rest = scaled - floor;  // exact: both below 2^53
  const auto integer = static_cast<std::int64_t>(floor);
  return integer + (rest > 0.5 || (rest == 0.5 && (integer & 1) != 0) ? 1 : 0);
}

}  // namespace roundtrip
