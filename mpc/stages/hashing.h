// Purpose: how much memory a hashing step needs: balls in bins. Items that public coins send to machines make no machine
// overflow but with a stated probability, and kappa_s follows from that.
#pragma once

#include <cmath>
#include <cstdint>

#include "roundtrip/base/error.h"
#include "roundtrip/base/rational.h"

namespace roundtrip::mpc {

/// An upper bound on the probability that some bin gets more than `capacity` of `items` that are hashed to `bins`.
/// Proof: hash values that are independent, as PublicCoins are, put a binomial number of items with mean items / bins into one
/// bin. Its tail is summed term by term from `capacity` + 1 on, and the union bound over all bins multiplies it by `bins`.
/// Exact but for that: bins that overflow together are counted twice. O(items) time.
[[nodiscard]] inline double overflow_bound(std::uint64_t items, std::uint64_t bins, std::uint64_t capacity) {
  require(bins >= 1, "bins is {}, allowed is at least 1", bins);
  if (capacity >= items) return 0;
  if (bins == 1) return 1;
  const auto n = static_cast<double>(items), m = static_cast<double>(bins);
  double k = static_cast<double>(capacity) + 1;
  double term = std::exp(std::lgamma(n + 1) - std::lgamma(k + 1) - std::lgamma(n - k + 1) - k * std::log(m) +
                         (n - k) * std::log1p(-1 / m));
  double sum = 0;
  for (; k <= n && sum + term > sum; ++k) {
    sum += term;
    term *= (n - k) / (k + 1) / (m - 1);
  }
  return std::fmin(1, m * sum);
}

/// The least capacity, at least the mean ceil(items / bins), with overflow_bound() <= eta. kappa_s of a step that hashes b words a
/// machine to as many machines is at least bin_capacity(N, ceil(N / b), eta) / b, rounded up. ContractError unless eta is in
/// (0, 1).
[[nodiscard]] inline std::uint64_t bin_capacity(std::uint64_t items, std::uint64_t bins,
                                                const Rational& eta) {
  require(eta > Rational(0) && eta < Rational(1), "eta is {}, allowed is above 0 and below 1",
          eta.to_string());
  std::uint64_t low = ceil_div(items, bins), high = items;
  while (low < high) {
    const std::uint64_t middle = low + (high - low) / 2;
    overflow_bound(items, bins, middle) <= eta.to_double() ? high = middle : low = middle + 1;
  }
  return low;
}

}  // namespace roundtrip::mpc
