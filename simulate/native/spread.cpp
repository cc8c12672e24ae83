#include "roundtrip/simulate/native/spread.h"

#include <array>
#include <numbers>

#include "roundtrip/base/error.h"
#include "roundtrip/base/rational.h"

namespace roundtrip::simulate {

Spreader::Spreader(const ParityCodebook& codebook, std::uint32_t bits) : codebook_(codebook), bits_(bits) {
  require(bits >= 1 && bits <= 64, "numbers of {} bits cannot be spread; allowed are 1 .. 64", bits);
}

std::uint64_t Spreader::decode(anna::Symbol symbol, anna::EntryView average) const {
  std::array<std::int32_t, value_dimension()> signs;
  codebook_.vector(symbol, signs);
  std::array<double, 64> sums{};
  for (const anna::Entry& entry : average) sums[entry.column % bits_] += entry.value * signs[entry.column];
  std::uint64_t number = 0;
  for (std::uint32_t bit = 0; bit < bits_; ++bit) number |= std::uint64_t{sums[bit] > 0} << bit;
  return number;
}

bool holds_own_vector(const ParityCodebook& codebook, anna::Symbol query, anna::EntryView average,
                      double squared_threshold) {
  std::array<std::int32_t, ParityCodebook::kDimension> signs;
  codebook.vector(query, signs);
  double product = 0, squared_length = 0;
  for (const anna::Entry& entry : average) {
    product += entry.value * signs[entry.column];
    squared_length += entry.value * entry.value;
  }
  return product > 0 && product * product >= squared_threshold * ParityCodebook::kDimension * squared_length;
}

double squared_false_alarm_threshold(std::uint64_t n) {
  const double squared = 2 * std::numbers::ln2 * ceil_log(2, n) / ParityCodebook::kDimension;
  require(squared < 1, "{} outputs cannot all be checked by vectors of dimension {}", n,
          ParityCodebook::kDimension);
  return squared;
}

}  // namespace roundtrip::simulate
