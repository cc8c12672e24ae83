// Purpose: rounding of fixed-point numbers, equal on every machine and in every rounding mode.
#pragma once

#include <cstdint>

namespace roundtrip {

/// round(mantissa / 2^bits), half to even; bits <= 62.
[[nodiscard]] std::int64_t drop_bits(std::int64_t mantissa, std::uint32_t bits);
/// round(value * 2^bits), half to even, for |value * 2^bits| < 2^53; independent of the rounding mode.
[[nodiscard]] std::int64_t round_scaled(double value, int bits);

}  // namespace roundtrip
