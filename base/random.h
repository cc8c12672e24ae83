// Purpose: all randomness of the project. A counter-based generator (Random123's Philox4x64-10), so that any draw is a
// pure function of (seed, domain, counter) and equal on every rank, thread, transport and machine. The samplers are
// integer-exact: std distributions and libm differ between systems.
#pragma once

#include <cstdint>

namespace roundtrip {

/// What a draw is for; two domains never share a stream.
enum class Domain : std::uint32_t {
  kTest = 1,
  kInstance = 2,      // generated inputs
  kIdentity = 3,      // sign vectors that stand for ids
  kHash = 4,          // LSH functions
  kIntermediate = 5,  // intermediate machines of the routed construction
  kOrder = 6,         // random order of machines and rows in tests
  kModel = 7,         // random transformers
  kPublicCoins = 8,   // of protocols that draw, by Parameters::seed
  kScatter = 9,       // heads of the scattered construction
};

/// One 64-bit draw; a pure function of its arguments.
[[nodiscard]] std::uint64_t draw(std::uint64_t seed, Domain domain, std::uint64_t a, std::uint64_t b = 0,
                                 std::uint64_t c = 0);

/// draw(...) reduced to 0..bound-1; bias below bound / 2^64 (128-bit multiply), bound > 0.
[[nodiscard]] std::uint64_t draw_below(std::uint64_t bound, std::uint64_t seed, Domain domain,
                                       std::uint64_t a, std::uint64_t b = 0, std::uint64_t c = 0);

/// A stream of draws under one (seed, domain, a, b): a UniformRandomBitGenerator for std::shuffle-like loops of ours.
class RandomStream {
 public:
  using result_type = std::uint64_t;
  RandomStream(std::uint64_t seed, Domain domain, std::uint64_t a = 0, std::uint64_t b = 0)
      : seed_(seed), domain_(domain), a_(a), b_(b) {}
  static constexpr result_type min() { return 0; }
  static constexpr result_type max() { return ~result_type{0}; }
  result_type operator()() { return draw(seed_, domain_, a_, b_, next_++); }
  /// Uniform in 0..bound-1, exactly (rejection), bound > 0.
  std::uint64_t below(std::uint64_t bound);

 private:
  std::uint64_t seed_;
  Domain domain_;
  std::uint64_t a_, b_;
  std::uint64_t next_ = 0;
};

}  // namespace roundtrip
