// Purpose: numbers and sparse vectors as words of p bits, for protocols that carry a transformer's rows,
// values and sums. A number takes w words in two's complement modulo 2^(p w). A vector of d numbers takes at
// most 1 + d w words and tells its own length: the number of nonzeros, then either those with their columns
// or all d, whichever is less.
#pragma once

#include <cstdint>
#include <span>

#include "roundtrip/anna/transformer/activations.h"
#include "roundtrip/base/rational.h"
#include "roundtrip/mpc/parameters.h"
#include "roundtrip/mpc/stages/composition.h"

namespace roundtrip::simulate {

__extension__ using WideInteger = __int128;

class NumberCodec {
 public:
  /// Numbers of `bits` <= 124 bits, the sign included, in words of `word_bits` <= 62.
  NumberCodec(std::uint32_t word_bits, std::uint32_t bits)
      : word_bits_(word_bits), words_(static_cast<std::uint32_t>(ceil_div(bits, word_bits))) {}
  std::uint32_t words() const { return words_; }  ///< w

  void put(WideInteger number, mpc::Word* out) const {
    for (std::uint32_t i = 0; i < words_; ++i, number >>= word_bits_)
      out[i] = static_cast<mpc::Word>(number) & mask();
  }
  WideInteger get(const mpc::Word* in) const {
    const bool negative = (in[words_ - 1] >> (word_bits_ - 1) & 1) != 0;
    WideInteger number = negative ? -1 : 0;
    for (std::uint32_t i = words_; i-- > 0;) number = number * (WideInteger{1} << word_bits_) + in[i];
    return number;
  }
  void add(mpc::Word* left, const mpc::Word* right) const {
    mpc::Word carry = 0;
    for (std::uint32_t i = 0; i < words_; ++i) {
      const mpc::Word sum = left[i] + right[i] + carry;
      left[i] = sum & mask();
      carry = sum >> word_bits_;
    }
  }

 private:
  mpc::Word mask() const { return (mpc::Word{1} << word_bits_) - 1; }

  std::uint32_t word_bits_, words_;
};

class VectorCodec {
 public:
  VectorCodec(NumberCodec number, std::uint32_t dimension) : number_(number), dimension_(dimension) {}
  const NumberCodec& number() const { return number_; }
  std::uint32_t dimension() const { return dimension_; }  ///< d
  std::uint64_t numbers() const {
    return std::uint64_t{dimension_} * number_.words();
  }  ///< words of all d numbers
  std::uint64_t most_words() const { return 1 + numbers(); }

  /// Writes the vector, whose entries are integers in ascending columns; returns the words taken.
  std::uint64_t put(std::span<const anna::Entry> entries, mpc::Word* out) const {
    const bool list = listed(entries.size());
    begin(entries.size(), list, out);
    mpc::Word* next = out + 1;
    for (const anna::Entry& entry : entries) {
      if (list) *next++ = entry.column;
      number_.put(static_cast<WideInteger>(entry.value),
                  list ? next : out + 1 + std::uint64_t{entry.column} * number_.words());
      next += number_.words();
    }
    return size(entries.size());
  }
  /// The same for all d numbers, contiguous as put by number().
  std::uint64_t put_numbers(const mpc::Word* numbers, mpc::Word* out) const {
    const auto zero = [&](std::uint32_t column) {
      mpc::Word any = 0;
      for (std::uint32_t i = 0; i < number_.words(); ++i) any |= numbers[column * number_.words() + i];
      return any == 0;
    };
    std::uint64_t nonzeros = 0;
    for (std::uint32_t column = 0; column < dimension_; ++column) nonzeros += !zero(column);
    const bool list = listed(nonzeros);
    begin(nonzeros, list, out);
    mpc::Word* next = out + 1;
    for (std::uint32_t column = 0; column < dimension_; ++column) {
      if (list && zero(column)) continue;
      if (list) *next++ = column;
      for (std::uint32_t i = 0; i < number_.words(); ++i) *next++ = numbers[column * number_.words() + i];
    }
    return size(nonzeros);
  }
  /// Calls visit(column, words of the number) for the nonzeros, and some zeros; returns the words read.
  /// MalformedInbox unless `in` begins with a vector.
  template <typename Visit>
  std::uint64_t read(std::span<const mpc::Word> in, Visit&& visit) const {
    const std::uint64_t size = size_at(in);
    if (listed(in[0])) {
      for (std::uint64_t i = 1; i < size; i += 1 + number_.words()) {
        mpc::expect_received(in[i] < dimension_);
        visit(static_cast<std::uint32_t>(in[i]), &in[i + 1]);
      }
    } else {
      for (std::uint32_t column = 0; column < dimension_; ++column)
        visit(column, &in[1 + std::uint64_t{column} * number_.words()]);
    }
    return size;
  }
  /// Words of the vector at the beginning of `in`; MalformedInbox if there is none.
  std::uint64_t size_at(std::span<const mpc::Word> in) const {
    mpc::expect_received(!in.empty() && in[0] <= dimension_ && size(in[0]) <= in.size());
    return size(in[0]);
  }

 private:
  bool listed(std::uint64_t nonzeros) const { return nonzeros * (1 + number_.words()) < numbers(); }
  std::uint64_t size(std::uint64_t nonzeros) const {
    return 1 + (listed(nonzeros) ? nonzeros * (1 + number_.words()) : numbers());
  }
  void begin(std::uint64_t nonzeros, bool list, mpc::Word* out) const {
    out[0] = nonzeros;
    if (!list) {
      for (std::uint64_t i = 0; i < numbers(); ++i) out[1 + i] = 0;
    }
  }

  NumberCodec number_;
  std::uint32_t dimension_;
};

}  // namespace roundtrip::simulate
