// The loops of kernels.h in namespace ROUNDTRIP_TRAIN_KERNELS. Includes nothing that defines inline functions.
#include "roundtrip/train/kernels.h"

namespace roundtrip::train::ROUNDTRIP_TRAIN_KERNELS {
namespace {

constexpr std::size_t kRows = 4;     // of a tile of c
constexpr std::size_t kDepth = 256;  // numbers of k that are summed in registers at once

template <typename T>
struct Wide {
  typedef T Vector __attribute__((vector_size(32), aligned(4), may_alias));
  static constexpr std::size_t kNumbers = 32 / sizeof(T);
  static constexpr std::size_t kColumns = 2 * kNumbers;  // of a tile
};

template <typename T, std::size_t kTileRows>
inline void tile(std::size_t k, Strided<T> a, const T* b, std::size_t b_row, T* c, std::size_t c_row) {
  using Vector = typename Wide<T>::Vector;
  constexpr std::size_t kHalf = Wide<T>::kNumbers;
  Vector sum[kTileRows][2];
  for (std::size_t i = 0; i < kTileRows; ++i) {
    sum[i][0] = *reinterpret_cast<const Vector*>(c + i * c_row);
    sum[i][1] = *reinterpret_cast<const Vector*>(c + i * c_row + kHalf);
  }
  for (std::size_t p = 0; p < k; ++p) {
    const Vector left = *reinterpret_cast<const Vector*>(b + p * b_row);
    const Vector right = *reinterpret_cast<const Vector*>(b + p * b_row + kHalf);
    for (std::size_t i = 0; i < kTileRows; ++i) {
      const T factor = a.data[i * a.row + p * a.column];
      sum[i][0] += factor * left;
      sum[i][1] += factor * right;
    }
  }
  for (std::size_t i = 0; i < kTileRows; ++i) {
    *reinterpret_cast<Vector*>(c + i * c_row) = sum[i][0];
    *reinterpret_cast<Vector*>(c + i * c_row + kHalf) = sum[i][1];
  }
}

template <typename T>
void rows_of_tiles(std::size_t m, std::size_t k, Strided<T> a, const T* b, std::size_t b_row, T* c,
                   std::size_t c_row) {
  std::size_t i = 0;
  for (; i + kRows <= m; i += kRows)
    tile<T, kRows>(k, {a.data + i * a.row, a.row, a.column}, b, b_row, c + i * c_row, c_row);
  for (; i < m; ++i) tile<T, 1>(k, {a.data + i * a.row, a.row, a.column}, b, b_row, c + i * c_row, c_row);
}

template <typename T>
void multiply(std::size_t m, std::size_t n, std::size_t k, Strided<T> a, const T* b, std::size_t b_row, T* c,
              std::size_t c_row) {
  constexpr std::size_t kColumns = Wide<T>::kColumns;
  for (std::size_t p = 0; p < k; p += kDepth) {
    const std::size_t depth = k - p < kDepth ? k - p : kDepth;
    const Strided<T> left{a.data + p * a.column, a.row, a.column};
    std::size_t j = 0;
    for (; j + kColumns <= n; j += kColumns)
      rows_of_tiles(m, depth, left, b + p * b_row + j, b_row, c + j, c_row);
    if (j == n) continue;
    // The last columns, fewer than a tile has, in copies that zeros make as wide.
    T right[kDepth * kColumns], rows[kRows * kColumns];
    for (std::size_t q = 0; q < depth; ++q) {
      for (std::size_t x = 0; x < kColumns; ++x)
        right[q * kColumns + x] = j + x < n ? b[(p + q) * b_row + j + x] : T(0);
    }
    for (std::size_t i = 0; i < m; i += kRows) {
      const std::size_t tall = m - i < kRows ? m - i : kRows;
      for (T& number : rows) number = 0;
      rows_of_tiles(tall, depth, {left.data + i * left.row, left.row, left.column}, right, kColumns, rows,
                    kColumns);
      for (std::size_t y = 0; y < tall; ++y) {
        for (std::size_t x = 0; j + x < n; ++x) c[(i + y) * c_row + j + x] += rows[y * kColumns + x];
      }
    }
  }
}

inline float from_bits(std::int32_t bits) {
  float x;
  __builtin_memcpy(&x, &bits, sizeof x);
  return x;
}
inline std::int32_t to_bits(float x) {
  std::int32_t bits;
  __builtin_memcpy(&bits, &x, sizeof bits);
  return bits;
}

/// 2^x for -126 <= x <= 0: Taylor in the fraction around 1/2, whose next term is below 2e-8.
inline float power_of_two(float x) {
  const auto whole = static_cast<std::int32_t>(x) - 1;  // the fraction x - whole is within 0 .. 1
  const float t = (x - static_cast<float>(whole) - 0.5f) * 0.69314718f;
  const float series =
      1 + t * (1 + t * (1.0f / 2 + t * (1.0f / 6 + t * (1.0f / 24 + t * (1.0f / 120 + t / 720)))));
  return 1.41421356f * series * from_bits((whole + 127) << 23);
}

/// log2 x for normal x > 0: the series of atanh for a mantissa within 2^-1/2 .. 2^1/2.
inline float binary_logarithm(float x) {
  const std::int32_t bits = to_bits(x) - 0x3f3504f3;  // of 2^-1/2
  const std::int32_t exponent = bits >> 23;
  const float mantissa = from_bits((bits & 0x7fffff) + 0x3f3504f3);
  const float t = (mantissa - 1) / (mantissa + 1), s = t * t;
  return static_cast<float>(exponent) +
         2.88539008f * t * (1 + s * (1.0f / 3 + s * (1.0f / 5 + s * (1.0f / 7 + s / 9))));
}

void collision(std::size_t count, float z, const float* cosine, float* weight, float* slope) {
  constexpr float kPi = 3.14159265f;
  for (std::size_t i = 0; i < count; ++i) {
    float c = cosine[i];
    c = c > 0.999999f ? 0.999999f : c;
    c = c < -0.9999f ? -0.9999f : c;
    // acos |c|: Abramowitz and Stegun 4.4.46.
    const float x = c < 0 ? -c : c;
    const float root = __builtin_sqrtf(1 - x);
    const float angle =
        root * (1.5707963050f +
                x * (-0.2145988016f +
                     x * (0.0889789874f +
                          x * (-0.0501743046f +
                               x * (0.0308918810f +
                                    x * (-0.0170881256f + x * (0.0066700901f + x * -0.0012624911f)))))));
    const float p = (c < 0 ? angle : kPi - angle) * (1 / kPi);
    float exponent = z * binary_logarithm(p);
    exponent = exponent < -100 ? -100 : exponent;
    const float w = power_of_two(exponent);
    weight[i] = w;
    slope[i] = z * w / (p * kPi * root * __builtin_sqrtf(1 + x));
  }
}

void exponential(std::size_t count, float beta, const float* cosine, float* weight, float* slope) {
  for (std::size_t i = 0; i < count; ++i) {
    float exponent = beta * 1.44269504f * (cosine[i] - 1);
    exponent = exponent < -100 ? -100 : exponent;
    exponent = exponent > 0 ? 0 : exponent;
    const float w = power_of_two(exponent);
    weight[i] = w;
    slope[i] = beta * w;
  }
}

void noise(std::size_t count, float tables, std::uint64_t seed, float* weight, float* slope) {
  const float scale = 1 / tables;
  for (std::size_t i = 0; i < count; ++i) {
    std::uint64_t x = seed + (i + 1) * 0x9e3779b97f4a7c15u;  // splitmix64
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    x ^= x >> 31;
    // The sum of four uniform numbers has variance 4 / 12.
    const auto sum =
        static_cast<std::int32_t>((x & 0xffff) + (x >> 16 & 0xffff) + (x >> 32 & 0xffff) + (x >> 48));
    const float e = static_cast<float>(sum - 2 * 65535) * (1.73205081f / 65536);
    const float w = weight[i];
    float spread = w * (1 - w) * scale;
    spread = spread > 0 ? spread : 0;
    const float y = w + __builtin_sqrtf(spread) * e;
    weight[i] = y > 0 ? y : 0;
    slope[i] = y > 0 ? slope[i] : 0;
  }
}

}  // namespace

extern const Kernels kKernels;
const Kernels kKernels = {multiply<float>, multiply<double>, collision, exponential, noise};

}  // namespace roundtrip::train::ROUNDTRIP_TRAIN_KERNELS
