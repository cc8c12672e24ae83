// Purpose: the hyperplane family (Charikar 2002) on integer vectors: h(x) = [<g, x> >= 0] with g Gaussian.
// Two vectors at angle theta agree on a function with probability 1 - theta/pi. Codes are integer-exact.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/random.h"

namespace roundtrip::anna {

/// The z functions of every table, for vectors of one dimension. [tables, functions, dimension] coefficients.
class Hyperplanes {
 public:
  /// Coefficients are pure functions of (seed, table, function, coordinate), drawn when a table is first
  /// used. ContractError unless 1 <= dimension <= 65536: |x| <= 2^31 and |g| < 2^15 keep every dot product
  /// below 2^62.
  Hyperplanes(std::uint32_t dimension, std::uint32_t tables, std::uint32_t functions, std::uint64_t seed);
  std::size_t code_words() const { return (functions_ + 63) / 64; }
  /// The z-bit code of `vector` in `table`, bit f of it in bit f % 64 of out[f / 64]. z * dimension
  /// operations.
  void code(std::uint32_t table, std::span<const std::int32_t> vector, std::span<std::uint64_t> out);

 private:
  std::uint32_t dimension_, functions_;
  std::uint64_t seed_;
  std::vector<std::vector<std::int16_t>> coefficients_;  // [table][functions, dimension]
};

}  // namespace roundtrip::anna
