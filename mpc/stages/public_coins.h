// Purpose: randomness that every machine has without a message: drawn from the public seed before the input, so that a step
// stays a pure function of its arguments.
#pragma once

#include <cstdint>

#include "roundtrip/base/error.h"
#include "roundtrip/base/random.h"
#include "roundtrip/base/rational.h"
#include "roundtrip/mpc/parameters.h"

namespace roundtrip::mpc {

/// Of protocols: no draw of an instance, a hash function or a construction is among them.
inline constexpr Domain kPublicCoins{8};

/// Coins of one purpose; different purposes of one protocol are independent.
class PublicCoins {
 public:
  PublicCoins(std::uint64_t seed, std::uint64_t purpose) : seed_(seed), purpose_(purpose) {}
  /// 64 bits for (round of the algorithm, thing), equal on every machine.
  [[nodiscard]] std::uint64_t bits(std::uint64_t turn, std::uint64_t thing) const {
    return draw(seed_, kPublicCoins, purpose_, turn, thing);
  }
  [[nodiscard]] bool flip(std::uint64_t turn, std::uint64_t thing) const {
    return (bits(turn, thing) & 1) != 0;
  }
  [[nodiscard]] std::uint64_t below(std::uint64_t bound, std::uint64_t turn, std::uint64_t thing) const {
    return draw_below(bound, seed_, kPublicCoins, purpose_, turn, thing);
  }

 private:
  std::uint64_t seed_, purpose_;
};

/// Turns after which nothing is left but with probability at most eta, if a turn leaves at most half of `things` in
/// expectation: the least T with things / 2^T <= eta (Markov). ContractError unless eta is in (0, 1).
inline std::uint32_t halving_turns(std::uint64_t things, const Rational& eta) {
  require(eta > Rational(0) && eta < Rational(1), "eta is {}, allowed is above 0 and below 1",
          eta.to_string());
  std::uint32_t turns = 0;
  for (double left = static_cast<double>(things); left > eta.to_double(); left /= 2) ++turns;
  return turns;
}

}  // namespace roundtrip::mpc
