#include "roundtrip/base/rational.h"

#include <boost/multiprecision/cpp_int.hpp>
#include <charconv>
#include <limits>
#include <numeric>

#include "roundtrip/base/error.h"

namespace roundtrip {
namespace {

using boost::multiprecision::cpp_int;

std::int64_t parse_integer(std::string_view digits, std::string_view text, std::string_view what) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  require(error == std::errc() && end == digits.data() + digits.size() && !digits.empty(),
          "{} is '{}'; allowed are a fraction such as 1/3, an integer or a decimal such as 0.4", what, text);
  return value;
}

}  // namespace

Rational::Rational(std::int64_t numerator, std::int64_t denominator) {
  require(denominator != 0, "the fraction {}/0 has no value; its denominator must not be 0", numerator);
  const std::int64_t divisor = std::gcd(numerator, denominator);
  numerator_ = (denominator < 0 ? -numerator : numerator) / divisor;
  denominator_ = (denominator < 0 ? -denominator : denominator) / divisor;
  constexpr std::int64_t kLimit = std::numeric_limits<std::int32_t>::max();
  require(denominator_ <= kLimit && numerator_ <= kLimit && numerator_ >= -kLimit,
          "the fraction {}/{} is too fine; both parts must fit 32 bits", numerator_, denominator_);
}

Rational Rational::parse(std::string_view text, std::string_view what) {
  if (const auto slash = text.find('/'); slash != std::string_view::npos) {
    const std::int64_t top = parse_integer(text.substr(0, slash), text, what);
    const std::int64_t bottom = parse_integer(text.substr(slash + 1), text, what);
    require(bottom > 0, "{} is '{}'; its denominator must be positive", what, text);
    return Rational(top, bottom);
  }
  const auto point = text.find('.');
  if (point == std::string_view::npos) return Rational(parse_integer(text, text, what));
  const std::string_view fraction = text.substr(point + 1);
  require(fraction.size() <= 9, "{} is '{}'; at most 9 decimals are read exactly, use a fraction p/q", what,
          text);
  std::int64_t scale = 1;
  for (std::size_t i = 0; i < fraction.size(); ++i) scale *= 10;
  const bool negative = !text.empty() && text.front() == '-';
  const std::string_view whole = text.substr(negative, point - negative);
  require(fraction.find_first_not_of("0123456789") == std::string_view::npos &&
              whole.find_first_not_of("0123456789") == std::string_view::npos &&
              whole.size() + fraction.size() > 0,
          "{} is '{}'; allowed are a fraction such as 1/3, an integer or a decimal such as 0.4", what, text);
  const std::int64_t high = whole.empty() ? 0 : parse_integer(whole, text, what);
  const std::int64_t low = fraction.empty() ? 0 : parse_integer(fraction, text, what);
  require(high <= std::numeric_limits<std::int32_t>::max(), "{} is '{}'; it must fit 32 bits", what, text);
  const std::int64_t value = high * scale + low;
  return Rational(negative ? -value : value, scale);
}

std::string Rational::to_string() const {
  return denominator_ == 1 ? fmt::format("{}", numerator_) : fmt::format("{}/{}", numerator_, denominator_);
}

Rational operator+(const Rational& a, const Rational& b) {
  return {a.numerator_ * b.denominator_ + b.numerator_ * a.denominator_, a.denominator_ * b.denominator_};
}
Rational operator-(const Rational& a, const Rational& b) {
  return {a.numerator_ * b.denominator_ - b.numerator_ * a.denominator_, a.denominator_ * b.denominator_};
}
Rational operator*(const Rational& a, const Rational& b) {
  return {a.numerator_ * b.numerator_, a.denominator_ * b.denominator_};
}
Rational operator/(const Rational& a, const Rational& b) {
  return {a.numerator_ * b.denominator_, a.denominator_ * b.numerator_};
}
bool operator<(const Rational& a, const Rational& b) {
  return a.numerator_ * b.denominator_ < b.numerator_ * a.denominator_;
}

std::uint64_t ceil_power(std::uint64_t base, const Rational& exponent, const Rational& scale) {
  require(exponent.numerator() >= 0 && scale.numerator() > 0,
          "ceil_power: exponent {} and scale {} must not be negative", exponent.to_string(),
          scale.to_string());
  require(exponent.numerator() <= 4096 && exponent.denominator() <= 4096,
          "the exponent {} is too fine for exact roots; both parts must be at most 4096",
          exponent.to_string());
  if (base == 0) return exponent.numerator() == 0 ? ceil_div(scale.numerator(), scale.denominator()) : 0;
  // Least x with x * den(scale) >= num(scale) * base^(p/q), i.e. (x * den)^q >= num^q * base^p.
  const auto q = static_cast<unsigned>(exponent.denominator());
  const cpp_int target =
      boost::multiprecision::pow(cpp_int(scale.numerator()), q) *
      boost::multiprecision::pow(cpp_int(base), static_cast<unsigned>(exponent.numerator()));
  const auto reaches = [&](std::uint64_t x) {
    return boost::multiprecision::pow(cpp_int(x) * scale.denominator(), q) >= target;
  };
  std::uint64_t high = 1;
  while (!reaches(high)) {
    require(high < (std::uint64_t{1} << 62), "{}^({}) times {} does not fit 63 bits", base,
            exponent.to_string(), scale.to_string());
    high *= 2;
  }
  std::uint64_t low = high / 2;  // invariant: low does not reach, high does
  while (high - low > 1) {
    const std::uint64_t middle = low + (high - low) / 2;
    (reaches(middle) ? high : low) = middle;
  }
  return high;
}

}  // namespace roundtrip
