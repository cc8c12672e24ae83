// Purpose: values that a receiver can pick out of an average although hashing mixed in values of other keys,
// at the price of wider values and of a certainty: for experiments with fewer hash functions than the exact
// constructions need. Glossary: d = 128 dimension of vectors and of spread values, W bits of a number, w_j
// weights of an average.
#pragma once

#include <cstdint>
#include <span>

#include "roundtrip/anna/transformer/activations.h"
#include "roundtrip/simulate/native/parity_codebook.h"

namespace roundtrip::simulate {

/// Direct-sequence spreading: key j with number x writes v_j = u_j * s(x), coordinate by coordinate, where
/// u_j is the key's own sign vector and s(x)_c = +-1 by bit c mod W of x. A receiver that asked for symbol q
/// multiplies the average by u_q and adds up the coordinates of each bit: keys of equal vectors add up,
/// others as random signs. Exact if only keys of one vector and one number are in the average. Otherwise each
/// bit is right as long as the noise, standard deviation sqrt(sum of w_j^2 over other keys) / sqrt(floor(d /
/// W)), stays below the weight of q's key.
class Spreader {
 public:
  /// ContractError unless 1 <= bits <= 64.
  Spreader(const ParityCodebook& codebook, std::uint32_t bits);
  static constexpr std::uint32_t value_dimension() { return ParityCodebook::kDimension; }

  /// Calls write(column, value) for all columns, ascending.
  template <typename Write>
  void encode(anna::Symbol symbol, std::uint64_t number, Write&& write) const {
    std::int32_t signs[value_dimension()];
    codebook_.vector(symbol, signs);
    for (std::uint32_t c = 0; c < value_dimension(); ++c) {
      write(c, static_cast<double>((number >> (c % bits_) & 1) != 0 ? signs[c] : -signs[c]));
    }
  }
  std::uint64_t decode(anna::Symbol symbol, anna::EntryView average) const;

 private:
  const ParityCodebook& codebook_;
  std::uint32_t bits_;
};

/// Whether an average of keys' own vectors u_j holds u_q: cos(average, u_q) >= threshold, never for the zero
/// average. 1 if only u_q is in it. If it is not, the cosine exceeds t with probability at most exp(-d t^2 /
/// 2) (Hoeffding over u_q, the average being fixed); false_alarm_threshold(n) bounds that by 1/n.
bool holds_own_vector(const ParityCodebook& codebook, anna::Symbol query, anna::EntryView average,
                      double squared_threshold);
/// t^2 = 2 ceil(log2 n) ln 2 / d. ContractError if t would reach 1.
double squared_false_alarm_threshold(std::uint64_t n);

}  // namespace roundtrip::simulate
