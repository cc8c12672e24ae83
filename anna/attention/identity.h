// Purpose: ids as queries and keys: sign vectors, random or as short as can be, and hash functions that provably tell
// all of them apart, so that ANNA with one table is exact-match attention on them. Glossary: U ids, d dimension of
// their vectors, z hash functions, eta failure probability of one draw.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "roundtrip/anna/attention/anna.h"

namespace roundtrip::anna {

/// U = size random vectors of {-1, +1}^128, a pure function of (size, seed). Drawn again, and counted, until
/// every pair is at Hamming distance >= kMinimumDistance (which makes them distinct); a draw of 2^24 fails
/// with probability < 2^-40. Memory: 16 bytes an id. Time: O(U) expected up to 2^16 ids, O(U^2 / 2^16)
/// beyond.
class IdentityCodebook final : public Codebook {
 public:
  static constexpr std::uint32_t kDimension = 128;
  static constexpr std::uint32_t kMinimumDistance = 8;
  static constexpr Symbol kMaxSize = Symbol{1} << 24;

  /// ContractError unless 1 <= size <= kMaxSize.
  IdentityCodebook(Symbol size, std::uint64_t seed);

  std::uint32_t dimension() const override { return kDimension; }
  Symbol size() const override { return bits_.size() / 2; }
  void vector(Symbol symbol, std::span<std::int32_t> out) const override;
  bool distinct() const override { return true; }
  std::uint32_t draws() const { return draws_; }  ///< 1 unless a draw was rejected

 private:
  bool far_apart() const;
  std::vector<std::uint64_t> bits_;  // [size, 2]; a set bit is -1
  std::uint32_t draws_ = 0;
};

/// U = size vectors of {-1, +1}^d, d = max(1, ceil(log2 U)): the signs of a symbol's binary digits. Distinct for every
/// U, without a draw and with no fewer coordinates than U different sign vectors need. Nearest ones differ in one sign:
/// hash functions that are to tell them apart are more than random vectors of O(log U) coordinates need, but still
/// O(log^2 U). With `fallback`, for mechanisms that give every key a weight, there is one coordinate more: 1 for all
/// symbols but this one, whose vector is (0, .., 0, d). Then <id, id> = d + 1, <id, fallback> = d, and two other ids'
/// product is at most d - 1: of the keys the one that equals the query scores most; if there is none, the fallback.
class BinaryCodebook final : public Codebook {
 public:
  /// ContractError unless 1 <= size <= IdentityCodebook::kMaxSize.
  explicit BinaryCodebook(Symbol size, std::optional<Symbol> fallback = {});

  std::uint32_t dimension() const override { return digits_ + (fallback_ ? 1 : 0); }
  Symbol size() const override { return size_; }
  void vector(Symbol symbol, std::span<std::int32_t> out) const override;
  bool distinct() const override { return true; }
  std::optional<Symbol> fallback() const override { return fallback_; }

 private:
  Symbol size_;
  std::uint32_t digits_;
  std::optional<Symbol> fallback_;
};

/// The least z for which the expected number of pairs of U random sign vectors of dimension d that share a z-bit
/// hyperplane code is at most eta:
///   sum over distances t >= 1 of C(U,2) C(d,t) 2^-d (1 - arccos(1 - 2t/d) / pi)^z <= eta.
/// ContractError unless U >= 1, 1 <= d <= 4096, 0 < eta < 1, or if z would leave 1 .. 1024.
std::uint32_t choose_functions(std::uint64_t ids, std::uint32_t dimension, double eta);

/// One table whose functions were checked to give distinct vectors of a codebook distinct codes.
struct VerifiedDraw {
  AnnaParameters parameters;
  std::uint32_t draws = 0;  ///< seeds tried, the accepted one included
};

/// Draws the z functions of one table by seed, seed' , .. until distinct vectors among all `codebook.size()`
/// symbols have distinct codes: with the parameters returned, ANNA on this codebook IS exact-match attention,
/// with certainty. ContractError after `most_draws` failures (z is too low for this many ids). Cost: size * z
/// * dimension operations and size * (4 dimension + z / 8) bytes a draw.
VerifiedDraw verified_draw(const Codebook& codebook, std::uint32_t functions, std::uint64_t seed,
                           std::uint32_t most_draws = 16);

}  // namespace roundtrip::anna
