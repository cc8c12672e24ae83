// Purpose: how the packets of several senders that meet in one head's average are told apart. A head gives
// the receiver the AVERAGE of the value vectors addressed to it and nothing else, so a packet is a sparse
// vector in which the receiver recognises single writers by their occupancy. Glossary: q sources, s' = min(s,
// q) the most packets that may meet, k digits, P prime, X evaluation points, j = source, f_j = polynomial
// over F_P whose k coefficients are j's base-P digits.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "roundtrip/anna/transformer/activations.h"
#include "roundtrip/mpc/parameters.h"

namespace roundtrip::simulate {

enum class PacketCode : std::uint8_t { kAutomatic, kIdentity, kCoverFree };

/// Kautz-Singleton superimposed code: source j writes at the slots (x, f_j(x)), x = 0 .. points-1.
struct CoverFreeParameters {
  std::uint32_t digits = 1;  ///< k; P^k >= q
  std::uint32_t points = 1;  ///< X = (k-1)(s'-1) + 1 <= P
  std::uint32_t prime = 2;   ///< P, the least prime >= max(X, 2) with P^k >= q
  std::uint64_t value_dimension() const { return 4ull * points * prime; }
};

/// The k that minimises 4XP (ties: the smaller k). q >= 1, max_sources >= 1.
CoverFreeParameters choose_cover_free(std::uint64_t sources, std::uint64_t max_sources);

struct Packet {
  std::uint32_t source;
  mpc::Word word;
  friend bool operator==(const Packet&, const Packet&) = default;
};

enum class DecodeError : std::uint8_t {
  kNone,
  kOverload,     ///< the average proves more than s' packets
  kUndecodable,  ///< no set of at most s' packets has this average
};

/// Encoder and decoder. Value dimension: 2q (identity) or 4XP (cover-free).
///
/// Guarantee: the average of the packets of any set of at most s' distinct sources decodes to exactly these
/// packets; the average of the packets of any larger set (up to 2^26) is rejected. The decoder is not told
/// how many packets met. Preconditions: q <= 2^24, words below 2^48, at most one packet of a source in a
/// head. Liu, Yu, Sanford, Andoni, Hsu 2025, Theorem 4.1 (EMA step) needs such a code and leaves it open; the
/// code is Kautz, Singleton 1964, the decoder from averages is ours.
class PacketCoder {
 public:
  /// Automatic: identity if 2q <= 4XP. ContractError for q or dimensions out of range.
  PacketCoder(PacketCode code, std::uint64_t sources, std::uint64_t max_sources, bool variance_test = true);

  bool cover_free() const { return cover_free_; }
  const CoverFreeParameters& parameters() const {
    return parameters_;
  }                                                           ///< of the cover-free code, chosen or not
  std::uint64_t max_sources() const { return max_sources_; }  ///< s'
  std::uint32_t value_dimension() const { return value_dimension_; }
  /// Nonzero numbers that one packet may need: 2 or 4X.
  std::uint64_t entries_a_packet() const { return cover_free_ ? 4ull * parameters_.points : 2; }

  /// Calls write(column, value), columns ascending, for the nonzero numbers of the packet.
  template <typename Write>
  void encode(std::uint32_t source, mpc::Word word, Write&& write) const {
    const double exact_word = static_cast<double>(word);
    if (!cover_free_) {
      write(2 * source, 1.0);
      if (word != 0) write(2 * source + 1, exact_word);
      return;
    }
    const double id = source;
    for (std::uint32_t x = 0; x < parameters_.points; ++x) {
      const std::uint32_t column = 4 * (x * parameters_.prime + evaluate(source, x));
      write(column, 1.0);
      if (source != 0) write(column + 1, id), write(column + 2, id * id);
      if (word != 0) write(column + 3, exact_word);
    }
  }

  /// Appends the packets whose average is `average` (columns ascending) to `packets`, by source; nothing on a
  /// fault.
  DecodeError decode(anna::EntryView average, std::vector<Packet>& packets) const;

 private:
  std::uint32_t evaluate(std::uint32_t source, std::uint32_t x) const;  ///< f_source(x) in F_P
  DecodeError decode_slots(anna::EntryView average, std::uint64_t count, std::vector<Packet>& packets) const;

  bool cover_free_ = false;
  bool variance_test_ = true;
  std::uint64_t sources_ = 0;
  std::uint64_t max_sources_ = 0;
  CoverFreeParameters parameters_;
  std::uint32_t value_dimension_ = 0;
};

}  // namespace roundtrip::simulate
