// Purpose: the inner loops that vector instructions carry, written once (kernels_body.h), compiled for every
// instruction set that the build knows, chosen at run time. All of them work on integers: results are equal
// on every one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace roundtrip::anna {

/// One pass of a Hadamard transform: `stages` butterfly stages (1 .. 3) after a rounding shift right by
/// `shift`. Strides go from the largest down, in the last round from 1 up.
struct HadamardPass {
  std::uint32_t stages;
  std::uint32_t shift;
};
/// The passes of one transform of size 2^log2_size; `growth`, the stages since
/// the values were last in scale, carries over from round to round (kHadamardMaxNorm, family.h, says why
/// nothing overflows).
std::vector<HadamardPass> hadamard_passes(std::uint32_t log2_size, std::uint32_t& growth);

/// Which rows of values and of sums are added up.
struct RowLists {
  const std::uint32_t* value_rows;
  std::size_t value_count;
  const std::uint32_t* sum_rows;
  std::size_t sum_count;
};

struct Kernels {
  const char* name;
  /// out[lane] = 2 i + [y_i < 0] for the i of largest |y_i|, of equal ones that of least i mod size/2, then
  /// of least i; y the rounds of signs and transforms applied to a block [size, 16]. factors [rounds, size,
  /// 16], the same for all lanes, are negative where a sign flips; their magnitude is 2^(15 - shift) of the
  /// round's first pass, 1 if that is 0; passes[rounds] are the rounds' passes. scratch: [size, 16],
  /// aligned 32.
  void (*hadamard_argmax)(const std::int16_t* block, std::uint32_t log2_size, std::uint32_t rounds,
                          const std::int16_t* factors, const HadamardPass* passes,
                          const std::uint32_t* pass_counts, std::int16_t* scratch, std::uint16_t* out);
  /// dots[row * 16 + lane] = <g_row, x_lane> for a block [size, 16], size even; coefficients [rows, size].
  /// The caller knows that every partial sum fits int32. scratch: [size, 16], aligned 32.
  void (*project)(const std::int16_t* block, std::uint32_t size, const std::int16_t* coefficients,
                  std::uint32_t rows, std::int16_t* scratch, std::int32_t* dots);
  /// total (= 0 before, if fresh) += the listed rows of values [rows, columns] and of sums [rows, columns];
  /// columns is a multiple of 16. The caller knows that nothing overflows. sums + c is only read where
  /// listed.
  void (*add_rows)(const std::int16_t* values, const std::int32_t* sums, std::uint32_t columns,
                   const RowLists& rows, bool fresh, std::int32_t* total);
  /// The same in 64 bits.
  void (*add_rows_wide)(const std::int16_t* values, const std::int64_t* sums, std::uint32_t columns,
                        const RowLists& rows, bool fresh, std::int64_t* total);
  /// out[c] = double(total[c]) / count * unit, each step rounded once.
  void (*divide_row)(const std::int32_t* total, std::uint32_t columns, double count, double unit,
                     double* out);
  void (*divide_row_wide)(const std::int64_t* total, std::uint32_t columns, double count, double unit,
                          double* out);
  /// The largest of the numbers' bits without their sign: 0x7f800000 or more iff one is not finite; 0 of none.
  std::uint32_t (*largest_bits)(const float* numbers, std::size_t count);
  /// out[row] = the Euclidean norm of numbers[row * columns ..], squares added in order, in double.
  void (*norms)(const float* numbers, std::size_t rows, std::uint32_t columns, double* out);
  /// out[i] = round(x / unit), half to even, x = numbers[i] / length, each in double; returns the largest
  /// |out[i] unit - x|. The caller knows that every result fits int16.
  double (*quantise)(const float* numbers, std::size_t count, double length, double unit, std::int16_t* out);
  /// The largest of `columns` >= 1 numbers, none of them NaN.
  float (*max_row)(const float* row, std::size_t columns);
  /// row[j] = exp(row[j] - shift), returns their sum; relative error below 2e-7. For exact softmax attention.
  float (*exp_row)(float* row, std::size_t columns, float shift);
};

/// All that were compiled in and this processor can run, portable first, best last.
std::span<const Kernels* const> kernels();
/// The best of them, or the one that the environment variable ROUNDTRIP_KERNELS names; ContractError if it is none of them.
const Kernels& best_kernels();

}  // namespace roundtrip::anna
