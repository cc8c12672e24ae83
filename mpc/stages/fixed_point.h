// Purpose: real numbers in protocols: fixed point, so that every machine, rank and transformer has the same bits. Sums and
// differences are exact; products and quotients are rounded to the nearest multiple of 1 / kOne, halves away from zero.
// Beyond the range of 64 bits is a ContractError, not a wrong number.
#pragma once

#include <cstdint>

#include "roundtrip/base/error.h"

namespace roundtrip::mpc {

/// A multiple of 1 / kOne: Fixed<1'000'000> is in millionths, Fixed<1 << 16> has 16 binary places. A product or quotient is
/// at most 1 / (2 kOne) from the exact one.
template <std::int64_t kOne>
class Fixed {
  static_assert(kOne > 0 && kOne < std::int64_t{1} << 31, "an error of a product fits a word");

 public:
  constexpr Fixed() = default;
  /// That many times 1 / kOne, as they go in words of messages.
  static constexpr Fixed of_units(std::int64_t units) {
    Fixed number;
    number.units_ = units;
    return number;
  }
  /// The nearest to a / b; b is not 0.
  static Fixed ratio(std::int64_t a, std::int64_t b) { return of_units(rounded(a, kOne, b)); }
  [[nodiscard]] constexpr std::int64_t units() const { return units_; }

  friend Fixed operator+(Fixed a, Fixed b) {
    std::int64_t sum = 0;
    require(!__builtin_add_overflow(a.units_, b.units_, &sum), "{} + {} units is beyond 64 bits", a.units_,
            b.units_);
    return of_units(sum);
  }
  friend Fixed operator-(Fixed a, Fixed b) {
    std::int64_t difference = 0;
    require(!__builtin_sub_overflow(a.units_, b.units_, &difference), "{} - {} units is beyond 64 bits",
            a.units_, b.units_);
    return of_units(difference);
  }
  friend Fixed operator*(Fixed a, Fixed b) { return of_units(rounded(a.units_, b.units_, kOne)); }
  friend Fixed operator/(Fixed a, Fixed b) { return of_units(rounded(a.units_, kOne, b.units_)); }
  friend constexpr auto operator<=>(Fixed, Fixed) = default;

 private:
  /// a b / c to the nearest, halves away from zero. The product has 128 bits.
  static std::int64_t rounded(std::int64_t a, std::int64_t b, std::int64_t c) {
    require(c != 0, "a quotient by 0, allowed is any other number");
    const bool negative = (a < 0) != (b < 0) ? c > 0 : c < 0;
    __extension__ using Wide = unsigned __int128;
    const Wide product = Wide{magnitude(a)} * magnitude(b);
    const Wide quotient = (product + magnitude(c) / 2) / magnitude(c);
    require(quotient <= Wide{0x7fffffffffffffff}, "{} times {} by {} is beyond 64 bits", a, b, c);
    const auto result = static_cast<std::int64_t>(quotient);
    return negative ? -result : result;
  }
  static constexpr std::uint64_t magnitude(std::int64_t value) {
    return value < 0 ? 0 - static_cast<std::uint64_t>(value) : static_cast<std::uint64_t>(value);
  }

  std::int64_t units_ = 0;
};

}  // namespace roundtrip::mpc
