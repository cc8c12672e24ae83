#include "anna/lsh/hyperplane.h"

#include <algorithm>

#include "anna/lsh/gaussian.h"
#include "base/error.h"

namespace roundtrip::anna {

Hyperplanes::Hyperplanes(std::uint32_t dimension, std::uint32_t tables, std::uint32_t functions,
                         std::uint64_t seed)
    : dimension_(dimension), functions_(functions), seed_(seed), coefficients_(tables) {
  constexpr std::uint32_t kMaxDimension = 1u << 16;
  static_assert(kGaussianMax < 1 << 15);
  require(dimension >= 1 && dimension <= kMaxDimension,
          "dimension of queries and keys is {}; hyperplanes take 1 .. {}", dimension, kMaxDimension);
}

void Hyperplanes::code(std::uint32_t table, std::span<const std::int32_t> vector,
                       std::span<std::uint64_t> out) {
  std::vector<std::int16_t>& coefficients = coefficients_[table];
  if (coefficients.empty()) {
    coefficients.resize(std::size_t{functions_} * dimension_);
    for (std::uint32_t f = 0; f < functions_; ++f) {
      for (std::uint32_t i = 0; i < dimension_; ++i) {
        coefficients[std::size_t{f} * dimension_ + i] =
            static_cast<std::int16_t>(gaussian(draw(seed_, Domain::kHash, table, f, i)));
      }
    }
  }
  std::fill(out.begin(), out.end(), 0);
  for (std::uint32_t f = 0; f < functions_; ++f) {
    const std::int16_t* g = coefficients.data() + std::size_t{f} * dimension_;
    std::int64_t dot = 0;
    for (std::uint32_t i = 0; i < dimension_; ++i) dot += std::int64_t{g[i]} * vector[i];
    if (dot >= 0) out[f / 64] |= std::uint64_t{1} << (f % 64);
  }
}

}  // namespace roundtrip::anna
