// Purpose: what the programs of the library share: words of few bits, so that weights of integers below 2^53 can hold
// sums of them.
#pragma once

#include "roundtrip/mpc/registry.h"
#include "roundtrip/mpc/stages/composition.h"

namespace roundtrip::mpc {

constexpr std::int64_t kProgramBits = 20;  ///< p_in without --param bits

inline OptionInfo bits_option() {
  return {.name = "bits", .fallback = "20", .help = "bits of an input word, signed: 2 .. 32"};
}

/// declare_shape() for words of `bits` bits; ContractError naming bits.
inline Shape program_shape(const Parameters& parameters, const Sizes& sizes, std::uint64_t outputs) {
  Shape shape = declare_shape(parameters, sizes, outputs, 1);
  shape.input_bits = static_cast<std::uint32_t>(parameters.integer_option("bits", kProgramBits, 2, 32));
  shape.word_bits = shape.input_bits;
  return shape;
}

/// The largest word as it is stored, x + 2^(p_in - 1).
inline std::int64_t largest_input(const Shape& shape) {
  return (std::int64_t{1} << shape.input_bits) - 1;
}

}  // namespace roundtrip::mpc
