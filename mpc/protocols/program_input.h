// Purpose: what the programs of the library share: words of few bits, so that weights of integers below 2^53 can hold
// sums of them.
#pragma once

#include <algorithm>

#include "roundtrip/base/error.h"
#include "roundtrip/mpc/registry.h"
#include "roundtrip/mpc/stages/composition.h"

namespace roundtrip::mpc {

constexpr std::int64_t kProgramBits = 20;  ///< p_in without --param bits

inline OptionInfo bits_option() {
  return {.name = "bits", .fallback = "20", .help = "bits of an input word, signed: 2 .. 32"};
}

/// Most words of a block that a tape is recorded for: a record has a wire or more for each.
constexpr std::uint64_t kProgramBlock = std::uint64_t{1} << 16;

/// Blocks of no more words than there are; ContractError if they are too large for a tape.
inline Sizes program_sizes(Sizes sizes, std::uint64_t n, std::uint64_t most = kProgramBlock) {
  sizes.block_words = std::min(sizes.block_words, n);
  require(sizes.block_words <= most,
          "N is {}, allowed for a program is what has blocks of at most {} words; here b is {}", n, most,
          sizes.block_words);
  return sizes;
}

/// declare_shape() for words of `bits` bits; ContractError naming bits.
inline Shape program_shape(const Parameters& parameters, const Sizes& sizes, std::uint64_t outputs) {
  Shape shape = declare_shape(parameters, program_sizes(sizes, parameters.n), outputs, 1);
  shape.input_bits = static_cast<std::uint32_t>(parameters.integer_option("bits", kProgramBits, 2, 32));
  shape.word_bits = shape.input_bits;
  return shape;
}

/// The largest word as it is stored, x + 2^(p_in - 1).
inline std::int64_t largest_input(const Shape& shape) {
  return (std::int64_t{1} << shape.input_bits) - 1;
}

}  // namespace roundtrip::mpc
