// Purpose: sign vectors for the symbols of the native layers, whose keys are made of data: far too many
// symbols to list, so a vector is a linear function of the symbol's bits over F_2, computed on demand and
// fixed by the seed. Glossary: B bits of a symbol, d = 128 dimension, U symbols in play, z hash functions,
// ell tables.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "roundtrip/anna/attention/anna.h"

namespace roundtrip::simulate {

/// Coordinate c of symbol x is (-1)^<g_c, x>, with g_c random B-bit masks: a random linear code.
///
/// Guarantees: distinct symbols have distinct vectors, with certainty (the masks are drawn again until they
/// have rank B, which fails with probability below 2^(B-128)); so exact match on vectors is exact match on
/// symbols. For each fixed pair x != y the distance is Bin(d, 1/2) as for independent sign vectors (G(x ^ y)
/// is uniform), and a union bound over pairs asks for nothing more; so anna::choose_functions' bound holds
/// for these vectors, too. Why not independent vectors: parity of bits is a map of O(B) ReLU units a
/// coordinate, a table would need 2^B.
class ParityCodebook final : public anna::Codebook {
 public:
  static constexpr std::uint32_t kDimension = 128;
  static constexpr std::uint32_t kMaxBits = 62;

  /// Symbols are 0 .. 2^bits - 1; ContractError unless 1 <= bits <= kMaxBits.
  ParityCodebook(std::uint32_t bits, std::uint64_t seed);

  std::uint32_t dimension() const override { return kDimension; }
  anna::Symbol size() const override { return anna::Symbol{1} << bits_; }
  void vector(anna::Symbol symbol, std::span<std::int32_t> out) const override;
  bool distinct() const override { return true; }

  std::uint32_t bits() const { return bits_; }
  std::span<const std::uint64_t> masks() const { return masks_; }  ///< g_c, [d]

 private:
  std::uint32_t bits_;
  std::array<std::uint64_t, kDimension> masks_{};
};

/// Bits of the numbers 0 .. count-1, at least 1.
std::uint32_t bits_for(std::uint64_t count);

/// Hyperplane tables that tell apart all pairs of U symbols in play (fixed before code and hash functions are
/// drawn) except with probability eta: the least z with
///   ell C(U,2) sum_t Bin(d,1/2)(t) (1 - arccos(1-2t/d)/pi)^z <= eta.
/// Equal vectors collide in every table, so ell = 1 is enough and more tables only cost functions.
anna::AnnaParameters symbol_tables(std::uint64_t symbols_in_play, double eta, std::uint64_t seed,
                                   std::uint32_t tables = 1);

}  // namespace roundtrip::simulate
