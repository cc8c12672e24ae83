// The bodies of kernels.h; included once for every instruction set, with ROUNDTRIP_KERNELS its namespace.
// Vectors are the compiler's own, as wide as the target's: wider ones would be taken apart number by number.
// Lane = one of 16 tokens.
#include "roundtrip/anna/lsh/kernels/kernels.h"

namespace roundtrip::anna::ROUNDTRIP_KERNELS {
namespace {

#if defined(__AVX2__)
constexpr int kBytes = 32;
#else
constexpr int kBytes = 16;
#endif
constexpr std::uint32_t kShorts = kBytes / 2;
constexpr std::size_t kFloats = kBytes / 4;
typedef std::int16_t Short __attribute__((vector_size(kBytes)));
typedef std::int32_t Int __attribute__((vector_size(kBytes), may_alias));
typedef float Float __attribute__((vector_size(kBytes), may_alias, aligned(4)));

template <typename Vector>
inline Vector load(const void* from) {
  Vector value;
  __builtin_memcpy(&value, from, sizeof(Vector));
  return value;
}

// y_j = sum over i of (-1)^{|i & j|} x_i over 2^kStages vectors, the stages of strides 1 .. kMax.
template <int kStages, int kMax, typename Vector>
inline void butterflies(Vector* x) {
  constexpr int kSize = 1 << kStages;
#pragma GCC unroll 3
  for (int half = kMax; half >= 1; half /= 2) {
#pragma GCC unroll 8
    for (int i = 0; i < kSize; ++i) {
      if ((i & half) != 0) continue;
      const Vector a = x[i], b = x[i + half];
      x[i] = a + b;
      x[i + half] = a - b;
    }
  }
}

// x with the sign of each factor, shifted right by `shift` with rounding: factors as in kernels.h.
template <bool kShift>
inline Short flip(Short x, Short factors, [[maybe_unused]] std::uint32_t shift) {
#if defined(__AVX2__)
  typedef short Builtin __attribute__((vector_size(32)));
  if (!kShift) return (Short)__builtin_ia32_psignw256((Builtin)x, (Builtin)factors);
  return (Short)__builtin_ia32_pmulhrsw256((Builtin)x, (Builtin)factors);  // (x factor + 2^14) >> 15
#else
  const Short mask = factors >> 15;
  x = (x ^ mask) - mask;
  if (!kShift) return x;
  // Variables: with -fsanitize=undefined g++ 12 takes the casts' operands, of 32 bits, for the vector's.
  const auto half = static_cast<std::int16_t>(1 << (shift - 1));
  const auto by = static_cast<std::int16_t>(shift);
  return (x + half) >> by;
#endif
}

template <typename Vector>
inline Vector absolute(Vector x) {
  return x < 0 ? -x : x;
}

// The last stage's pair of numbers whose sum or difference is largest so far: max(|a + b|, |a - b|) = |a| +
// |b|. Of equal ones the pair of least index counts.
template <typename Vector>
struct BestOf {
  Vector magnitude = Vector{} - 1, a = {}, b = {}, index = {};  // index: of a + b

  void keep(const BestOf& other) {
    const Vector better =
        (other.magnitude > magnitude) | ((other.magnitude == magnitude) & (other.index < index));
    magnitude = other.magnitude > magnitude ? other.magnitude : magnitude;
    a = better ? other.a : a;
    b = better ? other.b : b;
    index = better ? other.index : index;
  }
};
using Best = BestOf<Short>;

// The winner of the pairs x_j, x_{j + kPairs}, whose sums have the indices first + j stride, against the
// best. A tree of comparisons: their latencies would add up in a chain.
template <int kPairs, typename Vector>
inline void keep_best(const Vector* x, Vector first, std::int16_t stride, BestOf<Vector>* best) {
  BestOf<Vector> pairs[kPairs];
#pragma GCC unroll 4
  for (int j = 0; j < kPairs; ++j) {
    pairs[j].magnitude = absolute(x[j]) + absolute(x[j + kPairs]);
    pairs[j].a = x[j], pairs[j].b = x[j + kPairs];
    pairs[j].index = first + static_cast<std::int16_t>(j * stride);
  }
#pragma GCC unroll 2
  for (int count = kPairs / 2; count >= 1; count /= 2) {
#pragma GCC unroll 2
    for (int j = 0; j < count; ++j) {
      const BestOf<Vector>&left = pairs[2 * j],
            &right = pairs[2 * j + 1];  // neighbours: the left one's index is less
      const Vector larger = right.magnitude > left.magnitude;
      pairs[j] = {right.magnitude > left.magnitude ? right.magnitude : left.magnitude,
                  larger ? right.a : left.a, larger ? right.b : left.b, larger ? right.index : left.index};
    }
  }
  best->keep(pairs[0]);
}

// One pass of butterflies at strides `stride` .. `stride` << (kStages - 1) from `source` to `data`, both
// [size, 16], on kShorts lanes. The first pass of a round flips signs; the last one of all, at the largest
// strides, only keeps the best.
template <int kStages, bool kFlip, bool kShift, bool kKeepBest>
[[gnu::always_inline]] inline void pass(const std::int16_t* source, const std::int16_t* factors,
                                        std::int16_t* data, std::uint32_t size, std::uint32_t stride,
                                        std::uint32_t shift, Best* best) {
  constexpr std::uint32_t kSize = 1u << kStages;
  const std::int16_t half = static_cast<std::int16_t>(kShift ? 1 << (shift - 1) : 0);
  for (std::uint32_t group = 0; group < size; group += kSize * stride) {
    for (std::uint32_t i = group; i < group + stride; ++i) {
      Short x[kSize];
#pragma GCC unroll 8
      for (std::uint32_t j = 0; j < kSize; ++j) {
        const std::size_t place = 16 * std::size_t{i + j * stride};
        x[j] = load<Short>(source + place);
        if (kFlip) {
          x[j] = flip<kShift>(x[j], load<Short>(factors + place), shift);
        } else if (kShift) {
          x[j] = (x[j] + half) >> static_cast<std::int16_t>(shift);
        }
      }
      if (kKeepBest) {
        butterflies<kStages, kSize / 4>(x);
        keep_best<kSize / 2>(x, Short{} + static_cast<std::int16_t>(i), static_cast<std::int16_t>(stride),
                             best);
      } else {
        butterflies<kStages, kSize / 2>(x);
#pragma GCC unroll 8
        for (std::uint32_t j = 0; j < kSize; ++j) {
          __builtin_memcpy(data + 16 * std::size_t{i + j * stride}, &x[j], sizeof(Short));
        }
      }
    }
  }
}

template <bool kFlip, bool kKeepBest, bool kShift>
inline void pass_of(std::uint32_t stages, const std::int16_t* source, const std::int16_t* factors,
                    std::int16_t* data, std::uint32_t size, std::uint32_t stride, std::uint32_t shift,
                    Best* best) {
  if (stages == 3) return pass<3, kFlip, kShift, kKeepBest>(source, factors, data, size, stride, shift, best);
  if (stages == 2) return pass<2, kFlip, kShift, kKeepBest>(source, factors, data, size, stride, shift, best);
  return pass<1, kFlip, kShift, kKeepBest>(source, factors, data, size, stride, shift, best);
}

// The rounds on kShorts lanes, for any size.
inline void transform(const std::int16_t* block, std::uint32_t size, std::uint32_t rounds,
                      const std::int16_t* factors, const HadamardPass* passes,
                      const std::uint32_t* pass_counts, std::int16_t* data, Best* best) {
  for (std::uint32_t round = 0; round < rounds; ++round) {
    const bool last_round = round + 1 == rounds;
    const std::int16_t* source = round == 0 ? block : data;
    const std::int16_t* flips = factors + 16 * std::size_t{round} * size;
    std::uint32_t done = 1;  // the product of the strides' ranges so far
    for (std::uint32_t p = 0; p < pass_counts[round]; ++p, ++passes) {
      const std::uint32_t stages = passes->stages, shift = passes->shift;
      const std::uint32_t stride = last_round ? done : size / (done << stages);
      done <<= stages;
      const auto run = [&]<bool kFlip, bool kKeepBest>(const std::int16_t* from) {
        if (shift == 0) {
          pass_of<kFlip, kKeepBest, false>(stages, from, flips, data, size, stride, shift, best);
        } else {
          pass_of<kFlip, kKeepBest, true>(stages, from, flips, data, size, stride, shift, best);
        }
      };
      const bool last = last_round && p + 1 == pass_counts[round];
      if (p == 0) {
        last ? run.template operator()<true, true>(source) : run.template operator()<true, false>(source);
      } else {
        last ? run.template operator()<false, true>(data) : run.template operator()<false, false>(data);
      }
    }
  }
}

#if !defined(__AVX512BW__)
// For size 64 in rounds + 1 passes instead of two a round. No shift lies between the six stages of a round,
// so they commute, and the second half of a round's stages, the flips and the first half of the next round's
// work on the same eight vectors.
template <std::uint32_t kStride, bool kFirst, bool kLast>
[[gnu::always_inline]] inline void pass64(const std::int16_t* source, const std::int16_t* factors,
                                          std::uint32_t shift, std::int16_t* data, Best* best) {
  for (std::uint32_t group = 0; group < 8; ++group) {
    const std::uint32_t first = kStride == 8 ? group : 8 * group;
    Short x[8];
#pragma GCC unroll 8
    for (std::uint32_t j = 0; j < 8; ++j) {
      const std::size_t place = 16 * std::size_t{first + j * kStride};
      x[j] = load<Short>(source + place);
      if (kFirst) x[j] = flip<false>(x[j], load<Short>(factors + place), 0);
    }
    if (kLast) {
      butterflies<3, 2>(x);
      keep_best<4>(x, Short{} + static_cast<std::int16_t>(first), kStride, best);
      continue;
    }
    butterflies<3, 4>(x);
    if (!kFirst) {
#pragma GCC unroll 8
      for (std::uint32_t j = 0; j < 8; ++j) {
        x[j] = flip<true>(x[j], load<Short>(factors + 16 * std::size_t{first + j * kStride}), shift);
      }
      butterflies<3, 4>(x);
    }
#pragma GCC unroll 8
    for (std::uint32_t j = 0; j < 8; ++j) {
      __builtin_memcpy(data + 16 * std::size_t{first + j * kStride}, &x[j], sizeof(Short));
    }
  }
}

inline void transform64(const std::int16_t* block, std::uint32_t rounds, const std::int16_t* factors,
                        const HadamardPass* passes, std::int16_t* data, Best* best) {
  constexpr std::size_t kRound = 16 * 64;  // factors
  // The last pass of all is at strides 8 .. 32.
  if (rounds % 2 == 0) {
    pass64<8, true, false>(block, factors, 0, data, best);
  } else {
    pass64<1, true, false>(block, factors, 0, data, best);
  }
  for (std::uint32_t round = 1; round < rounds; ++round) {
    const std::uint32_t shift = passes[2 * round].shift;  // hadamard_passes(): only here
    if ((rounds - round) % 2 == 0) {
      pass64<8, false, false>(data, factors + kRound * round, shift, data, best);
    } else {
      pass64<1, false, false>(data, factors + kRound * round, shift, data, best);
    }
  }
  pass64<8, false, true>(data, nullptr, 0, data, best);
}
#else
// For size 64 in rounds + 1 passes, as no shift lies between the six stages of a round, on two neighbouring rows of 16
// tokens at once: a block is 32 vectors.
typedef std::int16_t TwoRows __attribute__((vector_size(64)));

inline TwoRows flip_two(TwoRows x, TwoRows factors, bool shifts) {
  typedef short Builtin __attribute__((vector_size(64)));
  if (!shifts) return x * factors;                                           // +-1
#if defined(__clang__)
  return (TwoRows)__builtin_ia32_pmulhrsw512((Builtin)x, (Builtin)factors);  // (x factor + 2^14) >> 15
#else
  return (TwoRows)__builtin_ia32_pmulhrsw512_mask((Builtin)x, (Builtin)factors, Builtin{}, ~0u);
#endif
}

// The stage between the two rows of a vector: (a, b) becomes (a + b, a - b).
inline TwoRows butterfly_within(TwoRows x) {
  typedef std::int64_t Halves __attribute__((vector_size(64), may_alias));
  const TwoRows swapped = (TwoRows)__builtin_shufflevector((Halves)x, (Halves)x, 4, 5, 6, 7, 0, 1, 2, 3);
  const TwoRows minus = (TwoRows)Halves{0, 0, 0, 0, -1, -1, -1, -1};
  return swapped + ((x ^ minus) - minus);
}

// Four vectors of neighbouring rows, strides 1 .. 4, or eight vectors at strides 8 .. 32.
template <std::uint32_t kStride, bool kFirst>
[[gnu::always_inline]] inline void pass_two(const std::int16_t* source, const std::int16_t* factors,
                                            std::int16_t* data) {
  constexpr std::uint32_t kVectors = kStride == 8 ? 8 : 4, kApart = kStride == 8 ? 8 : 2;
  for (std::uint32_t group = 0; group < 32 / kVectors; ++group) {
    const std::uint32_t first = kStride == 8 ? 2 * group : 8 * group;
    TwoRows x[kVectors];
    const auto stages = [&]() __attribute__((always_inline)) {
      if constexpr (kStride == 8) {
        butterflies<3, 4>(x);
      } else {
        butterflies<2, 2>(x);
#pragma GCC unroll 4
        for (std::uint32_t j = 0; j < kVectors; ++j) x[j] = butterfly_within(x[j]);
      }
    };
#pragma GCC unroll 8
    for (std::uint32_t j = 0; j < kVectors; ++j) {
      const std::size_t place = 16 * std::size_t{first + j * kApart};
      x[j] = load<TwoRows>(source + place);
      if (kFirst) x[j] = flip_two(x[j], load<TwoRows>(factors + place), false);
    }
    stages();
    if (!kFirst) {
#pragma GCC unroll 8
      for (std::uint32_t j = 0; j < kVectors; ++j) {
        x[j] = flip_two(x[j], load<TwoRows>(factors + 16 * std::size_t{first + j * kApart}), true);
      }
      stages();
    }
#pragma GCC unroll 8
    for (std::uint32_t j = 0; j < kVectors; ++j) {
      __builtin_memcpy(data + 16 * std::size_t{first + j * kApart}, &x[j], sizeof(TwoRows));
    }
  }
}

inline void transform64(const std::int16_t* block, std::uint32_t rounds, const std::int16_t* factors,
                        const HadamardPass*, std::int16_t* data, Best* best) {
  constexpr std::size_t kRound = 16 * 64;  // factors
  // The last pass of all is at strides 8 .. 32.
  if (rounds % 2 == 0) {
    pass_two<8, true>(block, factors, data);
  } else {
    pass_two<1, true>(block, factors, data);
  }
  for (std::uint32_t round = 1; round < rounds; ++round) {
    if ((rounds - round) % 2 == 0) {
      pass_two<8, false>(data, factors + kRound * round, data);
    } else {
      pass_two<1, false>(data, factors + kRound * round, data);
    }
  }
  BestOf<TwoRows> of_both;
  TwoRows second = {};  // 1 in the lanes of a vector's second row
  for (std::uint32_t lane = 16; lane < 32; ++lane) second[lane] = 1;
  for (std::uint32_t first = 0; first < 8; first += 2) {
    TwoRows x[8];
#pragma GCC unroll 8
    for (std::uint32_t j = 0; j < 8; ++j) x[j] = load<TwoRows>(data + 16 * std::size_t{first + 8 * j});
    butterflies<3, 2>(x);
    keep_best<4>(x, second + static_cast<std::int16_t>(first), 8, &of_both);
  }
  const auto half = [](const TwoRows& of, bool other) {
    Short rows[2];
    __builtin_memcpy(rows, &of, sizeof(rows));
    return rows[other];
  };
  for (const bool other : {false, true}) {
    best->keep({half(of_both.magnitude, other), half(of_both.a, other), half(of_both.b, other),
                half(of_both.index, other)});
  }
}
#endif

void hadamard_argmax(const std::int16_t* block, std::uint32_t log2_size, std::uint32_t rounds,
                     const std::int16_t* factors, const HadamardPass* passes,
                     const std::uint32_t* pass_counts, std::int16_t* scratch, std::uint16_t* out) {
  for (std::uint32_t lane = 0; lane < 16; lane += kShorts) {
    Best best;
    if (log2_size == 6) {
      transform64(block + lane, rounds, factors + lane, passes, scratch + lane, &best);
    } else {
      transform(block + lane, 1u << log2_size, rounds, factors + lane, passes, pass_counts, scratch + lane,
                &best);
    }
    const Short sum = best.a + best.b, difference = best.a - best.b;
    const Short second = absolute(difference) > absolute(sum);  // -1 or 0
    const Short negative = (second & (difference < 0)) | (~second & (sum < 0));
    const auto half = static_cast<std::int16_t>(1 << (log2_size - 1));  // see flip_and_shift
    const Short index = best.index + (second & half);
    const Short code = index + index - negative;
    __builtin_memcpy(out + lane, &code, sizeof(code));
  }
}

// Sums of products of neighbours: number k gets a[2k] b[2k] + a[2k+1] b[2k+1].
inline Int multiply_add_pairs(Short a, Short b) {
#if defined(__AVX2__)
  typedef short Builtin __attribute__((vector_size(32)));
  return (Int)__builtin_ia32_pmaddwd256((Builtin)a, (Builtin)b);
#elif defined(__SSE2__)
  typedef short Builtin __attribute__((vector_size(16)));
  return (Int)__builtin_ia32_pmaddwd128((Builtin)a, (Builtin)b);
#else
  Int sum;
  for (std::uint32_t k = 0; k < kShorts / 2; ++k) sum[k] = a[2 * k] * b[2 * k] + a[2 * k + 1] * b[2 * k + 1];
  return sum;
#endif
}

void project(const std::int16_t* block, std::uint32_t size, const std::int16_t* coefficients,
             std::uint32_t rows, std::int16_t* scratch, std::int32_t* dots) {
  constexpr std::uint32_t kParts = 32 / kShorts;  // vectors that hold a pair of coordinates of 16 lanes
  // Coordinates 2i and 2i+1 of a lane side by side: [size / 2, 16, 2].
  for (std::uint32_t i = 0; i < size; i += 2) {
    for (std::uint32_t lane = 0; lane < 16; ++lane) {
      scratch[16 * std::size_t{i} + 2 * lane] = block[16 * std::size_t{i} + lane];
      scratch[16 * std::size_t{i} + 2 * lane + 1] = block[16 * std::size_t{i + 1} + lane];
    }
  }
  for (std::uint32_t row = 0; row < rows; ++row) {
    const std::int16_t* g = coefficients + std::size_t{row} * size;
    Int sums[kParts] = {};
    for (std::uint32_t i = 0; i < size; i += 2) {
      std::int32_t two;
      __builtin_memcpy(&two, g + i, sizeof(two));
      const Short both = (Short)(Int{} + two);
#pragma GCC unroll 4
      for (std::uint32_t part = 0; part < kParts; ++part) {
        sums[part] += multiply_add_pairs(load<Short>(scratch + 16 * std::size_t{i} + kShorts * part), both);
      }
    }
    __builtin_memcpy(dots + 16 * std::size_t{row}, sums, sizeof(sums));
  }
}

// Value rows, widened to the type of their totals.
#if defined(__AVX512BW__)
constexpr int kSumBytes = 64;
#else
constexpr int kSumBytes = kBytes;
#endif
struct To32 {
  using Number = std::int32_t;
  typedef std::int32_t Vector __attribute__((vector_size(kSumBytes), may_alias));
  typedef std::int16_t Narrow __attribute__((vector_size(kSumBytes / 2), may_alias));
};
struct To64 {
  using Number = std::int64_t;
  typedef std::int64_t Vector __attribute__((vector_size(kSumBytes), may_alias));
  typedef std::int16_t Narrow __attribute__((vector_size(kSumBytes / 4), may_alias));
};

// kVectors vectors of columns at once.
template <int kVectors, typename To>
inline void add_columns(const std::int16_t* values, const typename To::Number* sums, std::uint32_t columns,
                        const RowLists& rows, bool fresh, typename To::Number* total) {
  using Vector = typename To::Vector;
  constexpr int kNumbers = kSumBytes / sizeof(typename To::Number);
  Vector sum[kVectors] = {};
  if (!fresh) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) sum[v] = load<Vector>(total + kNumbers * v);
  }
  for (std::size_t k = 0; k < rows.value_count; ++k) {
    const std::int16_t* row = values + std::size_t{rows.value_rows[k]} * columns;
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
      sum[v] += __builtin_convertvector(load<typename To::Narrow>(row + kNumbers * v), Vector);
    }
  }
  for (std::size_t k = 0; k < rows.sum_count; ++k) {
    const typename To::Number* row = sums + std::size_t{rows.sum_rows[k]} * columns;
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) sum[v] += load<Vector>(row + kNumbers * v);
  }
#pragma GCC unroll 8
  for (int v = 0; v < kVectors; ++v) {
    __builtin_memcpy(total + kNumbers * v, &sum[v], sizeof(Vector));
  }
}

template <typename To>
inline void add_rows_as(const std::int16_t* values, const typename To::Number* sums, std::uint32_t columns,
                        const RowLists& rows, bool fresh, typename To::Number* total) {
  constexpr int kMany = 256 / kSumBytes < 8 ? 256 / kSumBytes : 8;  // 64 numbers of 32 bits, in registers
  constexpr std::uint32_t kOne = kSumBytes / sizeof(typename To::Number), kAtOnce = kMany * kOne;
  const auto from = [](const auto* rows_of, std::uint32_t c) {  // null: no list names a row of these
    return rows_of == nullptr ? rows_of : rows_of + c;
  };
  std::uint32_t c = 0;
  for (; c + kAtOnce <= columns; c += kAtOnce) {
    add_columns<kMany, To>(from(values, c), from(sums, c), columns, rows, fresh, total + c);
  }
  for (; c < columns; c += kOne) {
    add_columns<1, To>(from(values, c), from(sums, c), columns, rows, fresh, total + c);
  }
}

void add_rows(const std::int16_t* values, const std::int32_t* sums, std::uint32_t columns,
              const RowLists& rows, bool fresh, std::int32_t* total) {
  add_rows_as<To32>(values, sums, columns, rows, fresh, total);
}

void add_rows_wide(const std::int16_t* values, const std::int64_t* sums, std::uint32_t columns,
                   const RowLists& rows, bool fresh, std::int64_t* total) {
  add_rows_as<To64>(values, sums, columns, rows, fresh, total);
}

template <typename Number>
void divide_row(const Number* total, std::uint32_t columns, double count, double unit, double* out) {
  for (std::uint32_t c = 0; c < columns; ++c) out[c] = static_cast<double>(total[c]) / count * unit;
}

std::uint32_t largest_bits(const float* numbers, std::size_t count) {
  std::int32_t largest = 0;
  for (std::size_t i = 0; i < count; ++i) {
    std::int32_t bits;
    __builtin_memcpy(&bits, numbers + i, sizeof(bits));
    bits &= 0x7fffffff;
    largest = bits > largest ? bits : largest;
  }
  return static_cast<std::uint32_t>(largest);
}

void norms(const float* numbers, std::size_t rows, std::uint32_t columns, double* out) {
  constexpr std::size_t kAtOnce = 8;  // sums of several rows: each waits for its last addition
  std::size_t row = 0;
  for (; row + kAtOnce <= rows; row += kAtOnce) {
    double squares[kAtOnce] = {};
    const float* const first = numbers + row * columns;
    for (std::size_t i = 0; i < columns; ++i) {
#pragma GCC unroll 8
      for (std::size_t r = 0; r < kAtOnce; ++r) {
        const double x = first[r * columns + i];
        squares[r] += x * x;
      }
    }
    for (std::size_t r = 0; r < kAtOnce; ++r) out[row + r] = __builtin_sqrt(squares[r]);
  }
  for (; row < rows; ++row) {
    double square = 0;
    for (std::size_t i = 0; i < columns; ++i) {
      const double x = numbers[row * columns + i];
      square += x * x;
    }
    out[row] = __builtin_sqrt(square);
  }
}

double quantise(const float* numbers, std::size_t count, double length, double unit, std::int16_t* out) {
  constexpr double kMagic = 6755399441055744.0;  // 1.5 * 2^52: adding it rounds to an integer, half to even
#if !defined(__AVX2__)
  // Two numbers of a vector would be converted one by one.
  double largest = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const double x = numbers[i] / length;
    const double integer = x / unit + kMagic - kMagic;
    const double error = __builtin_fabs(integer * unit - x);
    largest = error > largest ? error : largest;
    out[i] = static_cast<std::int16_t>(static_cast<std::int32_t>(integer));
  }
  return largest;
#else
  constexpr std::size_t kDoubles = kBytes / 8;
  typedef double Double __attribute__((vector_size(kBytes)));
  typedef std::int64_t Bits __attribute__((vector_size(kBytes)));
  typedef float Floats __attribute__((vector_size(kBytes / 2)));
  typedef std::int32_t Ints __attribute__((vector_size(kBytes / 2)));
  typedef std::int16_t Shorts __attribute__((vector_size(kBytes / 4)));
  Double largest = {};
  const auto round = [&](Double real) __attribute__((always_inline)) {
    const Double x = real / length;
    const Double integer = x / unit + kMagic - kMagic;
    const Double difference = integer * unit - x;
    const Double error = (Double)((Bits)difference & 0x7fffffffffffffff);
    largest = error > largest ? error : largest;
    return __builtin_convertvector(__builtin_convertvector(integer, Ints), Shorts);
  };
  std::size_t i = 0;
  for (; i + kDoubles <= count; i += kDoubles) {
    const Shorts rounded = round(__builtin_convertvector(load<Floats>(numbers + i), Double));
    __builtin_memcpy(out + i, &rounded, sizeof(rounded));
  }
  for (; i < count; ++i) out[i] = round(Double{} + static_cast<double>(numbers[i]))[0];
  double most = 0;
  for (std::size_t k = 0; k < kDoubles; ++k) most = largest[k] > most ? largest[k] : most;
  return most;
#endif
}

// Largest of n numbers, NaN-free.
float max_row(const float* row, std::size_t columns) {
  float largest = row[0];
  std::size_t j = 0;
  if (columns >= kFloats) {
    Float best = load<Float>(row);
    for (j = kFloats; j + kFloats <= columns; j += kFloats) {
      const Float x = load<Float>(row + j);
      best = x > best ? x : best;
    }
    for (std::size_t k = 0; k < kFloats; ++k) largest = best[k] > largest ? best[k] : largest;
  }
  for (; j < columns; ++j) largest = row[j] > largest ? row[j] : largest;
  return largest;
}

// exp(x) = 2^n exp(f), n = round(x / ln 2), |f| <= ln 2 / 2; a polynomial of degree 6 (Cephes) for exp(f).
inline Float exponential(Float x) {
  const Float least = Float{} - 87.0f;
  x = x < least ? least : x;
  const Float magic = Float{} + 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
  const Float shifted = x * 1.44269504088896341f + magic;
  const Float n = shifted - magic;
  const Float f = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  Float p = Float{} + 1.9875691500e-4f;
  p = p * f + 1.3981999507e-3f;
  p = p * f + 8.3334519073e-3f;
  p = p * f + 4.1665795894e-2f;
  p = p * f + 1.6666665459e-1f;
  p = p * f + 5.0000001201e-1f;
  p = p * (f * f) + f + 1.0f;
  typedef std::int32_t Bits __attribute__((vector_size(kBytes), may_alias, aligned(4)));
  const Bits power = ((Bits)shifted - (Bits)magic + 127) << 23;
  return p * (Float)power;
}

float exp_row(float* row, std::size_t columns, float shift) {
  Float sum = {};
  std::size_t j = 0;
  for (; j + kFloats <= columns; j += kFloats) {
    const Float y = exponential(load<Float>(row + j) - shift);
    __builtin_memcpy(row + j, &y, sizeof(y));
    sum += y;
  }
  float total = 0;
  for (std::size_t k = 0; k < kFloats; ++k) total += sum[k];
  for (; j < columns; ++j) {
    row[j] = exponential(Float{} + (row[j] - shift))[0];
    total += row[j];
  }
  return total;
}

}  // namespace

extern const Kernels kKernels;
const Kernels kKernels = {
#if defined(__AVX512BW__)
    "avx512",
#elif defined(__AVX2__)
    "avx2",
#else
    "portable",
#endif
    hadamard_argmax, project, add_rows, add_rows_wide, divide_row, divide_row,
    largest_bits,    norms,   quantise, max_row,       exp_row,
};

}  // namespace roundtrip::anna::ROUNDTRIP_KERNELS
