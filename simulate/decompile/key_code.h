// Purpose: what a query or key is to a protocol: words of p bits that are equal iff the attention mechanism
// lets the two meet in a table.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "roundtrip/anna/transformer/model.h"
#include "roundtrip/mpc/parameters.h"

namespace roundtrip::simulate {

class KeyCode {
 public:
  virtual ~KeyCode() = default;
  virtual std::uint32_t tables() const = 0;  ///< ell
  virtual std::uint32_t words() const = 0;   ///< of a code
  /// Writes the code in `table` of a symbol of the layer's codebook, or of the vector if the symbol lies
  /// after it.
  virtual void code(std::uint32_t table, anna::Symbol symbol, std::span<const std::int32_t> vector,
                    std::span<mpc::Word> out) const = 0;
};

/// Bits of a coordinate of a query or key, the sign included: what the weights' clamps allow, else all 32.
std::uint32_t coordinate_bits(const anna::Layer& layer);

/// Exact match: the symbol itself where the codebook says that different symbols have different vectors, else
/// the vector's coordinates. ANNA: the table's z function values. `layer` must outlive the code; made before
/// any input.
std::unique_ptr<const KeyCode> make_key_code(const anna::Layer& layer, const anna::Mechanism& mechanism,
                                             std::uint32_t word_bits);

/// The number of words of such a code, without drawing a hash function.
std::uint32_t key_code_words(const anna::Layer& layer, const anna::Mechanism& mechanism,
                             std::uint32_t word_bits);

}  // namespace roundtrip::simulate
