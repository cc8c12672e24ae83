// Purpose: the loops in which training and scoring spend their time, compiled once for every instruction set.
// Internal. Sums are rounded in an order that depends on the instruction set: numbers that training makes may
// differ between machines; integers below 2^53 in double are exact in every order.
#pragma once

#include <cstddef>
#include <cstdint>

namespace roundtrip::train {

/// An [m, k] matrix whose number (i, p) is data[i * row + p * column]: transposed by the strides.
template <typename T>
struct Strided {
  const T* data;
  std::size_t row, column;
};

struct Kernels {
  /// c [m, n] (rows of c_row) += a [m, k] times b [k, n] (rows of b_row, contiguous columns).
  void (*multiply)(std::size_t m, std::size_t n, std::size_t k, Strided<float> a, const float* b,
                   std::size_t b_row, float* c, std::size_t c_row);
  void (*multiply_exact)(std::size_t m, std::size_t n, std::size_t k, Strided<double> a, const double* b,
                         std::size_t b_row, double* c, std::size_t c_row);
  /// weight[i] = p^z, p = 1 - acos(cosine[i]) / pi: the probability that two unit vectors share a code of z
  /// hyperplanes; slope[i] its derivative by the cosine. Cosines are within -1 .. 1; within 1e-5 relative.
  void (*collision)(std::size_t count, float z, const float* cosine, float* weight, float* slope);
  /// weight[i] = exp(beta (cosine[i] - 1)) and its derivative.
  void (*exponential)(std::size_t count, float beta, const float* cosine, float* weight, float* slope);
  /// What `tables` tables make of a probability: weight += sqrt(weight (1 - weight) / tables) e, e nearly normal,
  /// at least 0; where it is 0, so is the slope. `seed` makes the draws.
  void (*noise)(std::size_t count, float tables, std::uint64_t seed, float* weight, float* slope);
};

/// Of the best instruction set that this machine has.
const Kernels& kernels();

}  // namespace roundtrip::train
