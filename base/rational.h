// Purpose: exact rational exponents and the integer roots that the theory's sizes need. ceil(pow(1024, .4)) is 17 in
// floating point and 16 in truth; nothing that decides a size may use pow().
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace roundtrip {

/// A rational number in lowest terms with a positive denominator.
class Rational {
 public:
  constexpr Rational() = default;
  /// Throws ContractError if `denominator` is 0 or a part leaves 32 bits after reduction.
  Rational(std::int64_t numerator, std::int64_t denominator = 1);

  /// Reads `p`, `p/q` or a decimal exactly as written (`.4` is 2/5); throws ContractError naming `what` otherwise.
  [[nodiscard]] static Rational parse(std::string_view text, std::string_view what);

  [[nodiscard]] std::int64_t numerator() const { return numerator_; }
  [[nodiscard]] std::int64_t denominator() const { return denominator_; }
  [[nodiscard]] double to_double() const {
    return static_cast<double>(numerator_) / static_cast<double>(denominator_);
  }
  [[nodiscard]] std::string to_string() const;

  friend Rational operator+(const Rational& a, const Rational& b);
  friend Rational operator-(const Rational& a, const Rational& b);
  friend Rational operator*(const Rational& a, const Rational& b);
  friend Rational operator/(const Rational& a, const Rational& b);
  friend bool operator==(const Rational& a, const Rational& b) = default;
  friend bool operator<(const Rational& a, const Rational& b);
  friend bool operator>(const Rational& a, const Rational& b) { return b < a; }
  friend bool operator<=(const Rational& a, const Rational& b) { return !(b < a); }
  friend bool operator>=(const Rational& a, const Rational& b) { return !(a < b); }

 private:
  std::int64_t numerator_ = 0;
  std::int64_t denominator_ = 1;
};

/// ceil(scale * base^exponent) in exact arithmetic, for exponent >= 0 and scale > 0. Throws ContractError if the value
/// leaves 63 bits.
[[nodiscard]] std::uint64_t ceil_power(std::uint64_t base, const Rational& exponent,
                                       const Rational& scale = Rational(1));

/// ceil(a / b), b > 0.
[[nodiscard]] constexpr std::uint64_t ceil_div(std::uint64_t a, std::uint64_t b) {
  return a / b + (a % b != 0);
}

/// Least e >= 0 with base^e >= value; base >= 2, value >= 1.
[[nodiscard]] constexpr std::uint32_t ceil_log(std::uint64_t base, std::uint64_t value) {
  std::uint32_t e = 0;
  // Dividing the target instead of multiplying a power cannot overflow.
  for (std::uint64_t rest = value; rest > 1; rest = ceil_div(rest, base)) ++e;
  return e;
}

}  // namespace roundtrip
