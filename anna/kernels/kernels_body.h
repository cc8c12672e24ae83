// The bodies of kernels.h; included once for every instruction set, with ROUNDTRIP_KERNELS its namespace.
// Vectors of the compiler (32 bytes) are lowered to what the target has. Glossary: lane = one of 16 tokens.
#include "anna/kernels/kernels.h"

namespace roundtrip::anna::ROUNDTRIP_KERNELS {
namespace {

typedef std::int16_t Short16 __attribute__((vector_size(32), may_alias));
typedef std::int32_t Int8 __attribute__((vector_size(32), may_alias));
typedef std::int16_t Short8 __attribute__((vector_size(16), may_alias));
typedef float Float8 __attribute__((vector_size(32), may_alias, aligned(4)));

template <typename Vector>
inline Vector load(const void* from) {
  Vector value;
  __builtin_memcpy(&value, from, sizeof(Vector));
  return value;
}

// y_j = sum over i of (-1)^{|i & j|} x_i over 2^kStages vectors.
template <int kStages>
inline void butterflies(Short16* x) {
  constexpr int kSize = 1 << kStages;
  for (int half = kSize / 2; half > 0; half /= 2) {
#pragma GCC unroll 8
    for (int i = 0; i < kSize; ++i) {
      if ((i & half) != 0) continue;
      const Short16 a = x[i], b = x[i + half];
      x[i] = a + b;
      x[i + half] = a - b;
    }
  }
}

struct Best {
  Short16 magnitude, value, index;
};

// One pass in place over `data` [2^log2_size, 16] at strides `stride` .. `stride` << (kStages - 1). The first
// pass of a round reads from `source` and flips signs; the last one of all only keeps the best.
template <int kStages, bool kMasks, bool kKeepBest>
inline void pass(const std::int16_t* source, const std::int16_t* masks, Short16* data, std::uint32_t size,
                 std::uint32_t stride, std::uint32_t shift, Best* best) {
  constexpr std::uint32_t kSize = 1u << kStages;
  const std::int16_t half = static_cast<std::int16_t>(shift == 0 ? 0 : 1 << (shift - 1));
  for (std::uint32_t group = 0; group < size; group += kSize * stride) {
    for (std::uint32_t i = group; i < group + stride; ++i) {
      Short16 x[kSize];
#pragma GCC unroll 8
      for (std::uint32_t j = 0; j < kSize; ++j) {
        x[j] = load<Short16>(source + 16 * std::size_t{i + j * stride});
        if (kMasks) {
          const Short16 mask = Short16{} + masks[i + j * stride];
          x[j] = (x[j] ^ mask) - mask;
        }
      }
      if (shift != 0) {
#pragma GCC unroll 8
        for (std::uint32_t j = 0; j < kSize; ++j) x[j] = (x[j] + half) >> static_cast<std::int16_t>(shift);
      }
      butterflies<kStages>(x);
      if (kKeepBest) {
#pragma GCC unroll 8
        for (std::uint32_t j = 0; j < kSize; ++j) {
          const Short16 magnitude = x[j] < 0 ? -x[j] : x[j];
          const Short16 larger = magnitude > best->magnitude;
          best->magnitude = larger ? magnitude : best->magnitude;
          best->value = larger ? x[j] : best->value;
          best->index = larger ? Short16{} + static_cast<std::int16_t>(i + j) : best->index;
        }
      } else {
#pragma GCC unroll 8
        for (std::uint32_t j = 0; j < kSize; ++j) data[i + j * stride] = x[j];
      }
    }
  }
}

template <bool kMasks, bool kKeepBest>
inline void pass_of(std::uint32_t stages, const std::int16_t* source, const std::int16_t* masks,
                    Short16* data, std::uint32_t size, std::uint32_t stride, std::uint32_t shift,
                    Best* best) {
  if (stages == 3) return pass<3, kMasks, kKeepBest>(source, masks, data, size, stride, shift, best);
  if (stages == 2) return pass<2, kMasks, kKeepBest>(source, masks, data, size, stride, shift, best);
  return pass<1, kMasks, kKeepBest>(source, masks, data, size, stride, shift, best);
}

void hadamard_argmax(const std::int16_t* block, std::uint32_t log2_size, std::uint32_t rounds,
                     const std::int16_t* masks, const HadamardPass* passes, const std::uint32_t* pass_counts,
                     std::int16_t* scratch, std::uint16_t* out) {
  const std::uint32_t size = 1u << log2_size;
  Short16* data = reinterpret_cast<Short16*>(scratch);
  Best best = {Short16{} - 1, Short16{}, Short16{}};
  for (std::uint32_t round = 0; round < rounds; ++round) {
    const std::int16_t* source = round == 0 ? block : scratch;
    std::uint32_t stride = size;
    for (std::uint32_t p = 0; p < pass_counts[round]; ++p, ++passes) {
      stride >>= passes->stages;
      const bool last = round + 1 == rounds && p + 1 == pass_counts[round];
      const std::int16_t* mask = masks + std::size_t{round} * size;
      // A single pass is both first and last.
      if (p == 0 && last) {
        pass_of<true, true>(passes->stages, source, mask, data, size, stride, passes->shift, &best);
      } else if (p == 0) {
        pass_of<true, false>(passes->stages, source, mask, data, size, stride, passes->shift, &best);
      } else if (last) {
        pass_of<false, true>(passes->stages, scratch, mask, data, size, stride, passes->shift, &best);
      } else {
        pass_of<false, false>(passes->stages, scratch, mask, data, size, stride, passes->shift, &best);
      }
    }
  }
  const Short16 code = best.index + best.index - (best.value < 0);
  __builtin_memcpy(out, &code, sizeof(code));
}

// Sums of products of neighbours: lane k gets a[2k] b[2k] + a[2k+1] b[2k+1].
inline Int8 multiply_add_pairs(Short16 a, Short16 b) {
#if defined(__AVX2__)
  typedef short Builtin __attribute__((vector_size(32)));
  return (Int8)__builtin_ia32_pmaddwd256((Builtin)a, (Builtin)b);
#else
  Int8 sum;
  for (int k = 0; k < 8; ++k) sum[k] = a[2 * k] * b[2 * k] + a[2 * k + 1] * b[2 * k + 1];
  return sum;
#endif
}

void project(const std::int16_t* block, std::uint32_t size, const std::int16_t* coefficients,
             std::uint32_t rows, std::int16_t* scratch, std::int32_t* dots) {
  // Coordinates 2i and 2i+1 of a token side by side: [size / 2, 2 halves, 8 tokens, 2].
  for (std::uint32_t i = 0; i < size; i += 2) {
    for (std::uint32_t lane = 0; lane < 16; ++lane) {
      scratch[16 * std::size_t{i} + 2 * lane] = block[16 * std::size_t{i} + lane];
      scratch[16 * std::size_t{i} + 2 * lane + 1] = block[16 * std::size_t{i + 1} + lane];
    }
  }
  const Short16* pairs = reinterpret_cast<const Short16*>(scratch);
  for (std::uint32_t row = 0; row < rows; ++row) {
    const std::int16_t* g = coefficients + std::size_t{row} * size;
    Int8 low = {}, high = {};
    for (std::uint32_t i = 0; i < size; i += 2) {
      std::int32_t two;
      __builtin_memcpy(&two, g + i, sizeof(two));
      const Short16 both = (Short16)(Int8{} + two);
      low += multiply_add_pairs(pairs[i], both);
      high += multiply_add_pairs(pairs[i + 1], both);
    }
    __builtin_memcpy(dots + 16 * std::size_t{row}, &low, sizeof(low));
    __builtin_memcpy(dots + 16 * std::size_t{row} + 8, &high, sizeof(high));
  }
}

// kVectors * 8 columns at once.
template <int kVectors, typename Total, typename Vector>
inline void add_columns(const std::int16_t* values, Total* totals, std::uint32_t columns,
                        const std::uint32_t* keys, std::size_t key_count, const std::uint32_t* queries,
                        std::size_t query_count) {
  Vector sum[kVectors] = {};
  for (std::size_t k = 0; k < key_count; ++k) {
    const std::int16_t* row = values + std::size_t{keys[k]} * columns;
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) sum[v] += __builtin_convertvector(load<Short8>(row + 8 * v), Vector);
  }
  for (std::size_t q = 0; q < query_count; ++q) {
    Vector* row = reinterpret_cast<Vector*>(totals + std::size_t{queries[q]} * columns);
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) row[v] += sum[v];
  }
}

template <typename Total, typename Vector>
inline void add_bucket_as(const std::int16_t* values, Total* totals, std::uint32_t columns,
                          const std::uint32_t* keys, std::size_t key_count, const std::uint32_t* queries,
                          std::size_t query_count) {
  std::uint32_t c = 0;
  for (; c + 64 <= columns; c += 64) {
    add_columns<8, Total, Vector>(values + c, totals + c, columns, keys, key_count, queries, query_count);
  }
  for (; c < columns; c += 16) {
    add_columns<2, Total, Vector>(values + c, totals + c, columns, keys, key_count, queries, query_count);
  }
}

typedef std::int64_t Long8 __attribute__((vector_size(64), may_alias, aligned(32)));

void add_bucket(const std::int16_t* values, std::int32_t* totals, std::uint32_t columns,
                const std::uint32_t* keys, std::size_t key_count, const std::uint32_t* queries,
                std::size_t query_count) {
  add_bucket_as<std::int32_t, Int8>(values, totals, columns, keys, key_count, queries, query_count);
}

void add_bucket_wide(const std::int16_t* values, std::int64_t* totals, std::uint32_t columns,
                     const std::uint32_t* keys, std::size_t key_count, const std::uint32_t* queries,
                     std::size_t query_count) {
  add_bucket_as<std::int64_t, Long8>(values, totals, columns, keys, key_count, queries, query_count);
}

// exp(x) = 2^n exp(f), n = round(x / ln 2), |f| <= ln 2 / 2; a polynomial of degree 6 (Cephes) for exp(f).
inline Float8 exponential(Float8 x) {
  const Float8 least = Float8{} - 87.0f;
  x = x < least ? least : x;
  const Float8 magic = Float8{} + 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
  const Float8 shifted = x * 1.44269504088896341f + magic;
  const Float8 n = shifted - magic;
  const Float8 f = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  Float8 p = Float8{} + 1.9875691500e-4f;
  p = p * f + 1.3981999507e-3f;
  p = p * f + 8.3334519073e-3f;
  p = p * f + 4.1665795894e-2f;
  p = p * f + 1.6666665459e-1f;
  p = p * f + 5.0000001201e-1f;
  p = p * (f * f) + f + 1.0f;
  typedef std::int32_t Bits __attribute__((vector_size(32), may_alias, aligned(4)));
  const Bits power = ((Bits)shifted - (Bits)magic + 127) << 23;
  return p * (Float8)power;
}

float exp_row(float* row, std::size_t columns, float shift) {
  Float8 sum = {};
  std::size_t j = 0;
  for (; j + 8 <= columns; j += 8) {
    const Float8 y = exponential(load<Float8>(row + j) - shift);
    __builtin_memcpy(row + j, &y, sizeof(y));
    sum += y;
  }
  float total = 0;
  for (int k = 0; k < 8; ++k) total += sum[k];
  for (; j < columns; ++j) {
    row[j] = exponential(Float8{} + (row[j] - shift))[0];
    total += row[j];
  }
  return total;
}

}  // namespace

extern const Kernels kKernels;
const Kernels kKernels = {
#if defined(__AVX2__)
    "avx2",
#else
    "portable",
#endif
    hadamard_argmax, project, add_bucket, add_bucket_wide, exp_row,
};

}  // namespace roundtrip::anna::ROUNDTRIP_KERNELS
