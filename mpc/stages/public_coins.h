// Purpose: randomness that every machine has without a message: drawn from the public seed before the input, so that a step
// stays a pure function of its arguments.
#pragma once

#include <cstdint>

#include "roundtrip/base/error.h"
#include "roundtrip/base/random.h"
#include "roundtrip/base/rational.h"
#include "roundtrip/mpc/parameters.h"

namespace roundtrip::mpc {

/// Coins of one purpose; different purposes of one protocol are independent.
class PublicCoins {
 public:
  PublicCoins(std::uint64_t seed, std::uint64_t purpose) : seed_(seed), purpose_(purpose) {}
  /// 64 bits for (round of the algorithm, thing), equal on every machine.
  [[nodiscard]] std::uint64_t bits(std::uint64_t turn, std::uint64_t thing) const {
    return draw(seed_, Domain::kPublicCoins, purpose_, turn, thing);
  }
  [[nodiscard]] bool flip(std::uint64_t turn, std::uint64_t thing) const {
    return (bits(turn, thing) & 1) != 0;
  }
  [[nodiscard]] std::uint64_t below(std::uint64_t bound, std::uint64_t turn, std::uint64_t thing) const {
    return draw_below(bound, seed_, Domain::kPublicCoins, purpose_, turn, thing);
  }

 private:
  std::uint64_t seed_, purpose_;
};

/// Turns after which nothing is left but with probability at most eta, if a turn leaves at most `left` of `things` in
/// expectation: the least T with things left^T <= eta (Markov). ContractError unless left and eta are in (0, 1).
inline std::uint32_t turns_until_none(std::uint64_t things, const Rational& left, const Rational& eta) {
  for (const Rational& part : {left, eta}) {
    require(part > Rational(0) && part < Rational(1), "a part is {}, allowed is above 0 and below 1",
            part.to_string());
  }
  std::uint32_t turns = 0;
  for (double rest = static_cast<double>(things); rest > eta.to_double(); rest *= left.to_double()) ++turns;
  return turns;
}

}  // namespace roundtrip::mpc
