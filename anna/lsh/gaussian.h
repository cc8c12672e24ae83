// Purpose: Gaussian coefficients as integers, equal bit for bit on every machine: the projections of hash
// functions.
#pragma once

#include <cstdint>

namespace roundtrip::anna {

/// Standard deviation of a coefficient, and the largest magnitude that one has (8 standard deviations).
inline constexpr std::int32_t kGaussianSigma = 1 << 12;
inline constexpr std::int32_t kGaussianMax = 8 * kGaussianSigma - 1;

/// Maps 64 uniform bits to a draw from the discrete Gaussian P(k) ~ exp(-k^2 / 2 sigma^2), |k| <=
/// kGaussianMax, up to a total variation distance below 2e-12 (see gaussian.cpp). The characteristic function
/// of the untruncated discrete Gaussian is that of the continuous one up to exp(-2 pi^2 sigma^2), so vectors
/// of such coefficients are spherically symmetric for every purpose of locality-sensitive hashing.
std::int32_t gaussian(std::uint64_t bits);

}  // namespace roundtrip::anna
