// Purpose: the hash families by one interface. A table is z concatenated functions; what a function is on
// a vector of integers is defined once, by TableHash::value(), in integers alone; block_codes() computes the
// same faster. Glossary: d dimension, D = least power of two >= d, z functions a table, <g, x> a projection
// with Gaussian g.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "roundtrip/base/huge_array.h"

namespace roundtrip::anna {

enum class FamilyKind : std::uint8_t {
  kHyperplane,  ///< [<g, x> >= 0]; angles (Charikar 2002)
  kPStable,     ///< floor((<g, x> + b) / w); Euclidean distance (Datar, Immorlica, Indyk, Mirrokni 2004)
  /// Signed argmax of |G x|, G a d x d Gaussian matrix; angles (Andoni, Indyk, Laarhoven, Razenshteyn, Schmidt 2015).
  kCrossPolytope,
  kCrossPolytopeHadamard,  ///< the same with G replaced by rounds of random signs and a Hadamard transform
  kBitSampling,            ///< [x_i > 0] at a random i; Hamming distance (Indyk, Motwani 1998)
};
std::string to_string(FamilyKind kind);
/// Whether the family compares directions: its distances are those of the unit sphere.
bool compares_directions(FamilyKind kind);
/// The family of that name; ContractError lists the names otherwise.
FamilyKind parse_family(std::string_view name);

/// A family and what fixes its functions: a function is a pure function of these fields, the table and its
/// number.
struct FamilyParameters {
  FamilyKind kind = FamilyKind::kHyperplane;
  std::uint32_t dimension = 0;  ///< d, 1 .. 65536; Hadamard 1 .. 16384, cross-polytope 1 .. 4096
  std::uint32_t functions = 1;  ///< z, 1 .. 1024
  double width = 0;             ///< p-stable only: w in the vectors' integer units, 2^-8 .. 2^40
  std::uint32_t rotations = 2;  ///< Hadamard only: rounds, 1 .. 3
  std::uint64_t seed = 1;
  void validate() const;  ///< ContractError naming field, value and range
};

/// Largest Euclidean norm of an integer vector that the Hadamard family takes: rounds run in 16 bits. A pass
/// of at most 6 butterfly stages grows a coordinate to at most 8 times the norm, each rounding shift adds at
/// most sqrt(D)/2 to the norm, at most 9 of them for D <= 2^14: 8 (2800 + 9 * 64) = 27008 < 2^15.
inline constexpr std::int32_t kHadamardMaxNorm = 2800;

/// Vectors of int16 coordinates, transposed in blocks of 16 for the vector kernels; coordinates d .. D-1 are
/// 0.
struct PointBlocks {
  static constexpr std::size_t kLanes = 16;
  std::uint64_t rows = 0;
  std::uint32_t dimension = 0;         ///< d
  std::uint32_t padded_dimension = 0;  ///< D
  double max_norm = 0;                 ///< largest Euclidean norm of a row, rounded up
  HugeArray<std::int16_t> data;        ///< [ceil(rows / 16), D, 16]
  const std::int16_t* block(std::size_t b) const { return data.data() + b * padded_dimension * kLanes; }
  std::int16_t at(std::uint64_t row, std::uint32_t i) const {
    return block(row / kLanes)[i * kLanes + row % kLanes];
  }
};
/// From [rows, d] integers.
PointBlocks make_blocks(std::span<const std::int16_t> points, std::uint64_t rows, std::uint32_t dimension,
                        int threads = 1);

struct Kernels;  // anna/lsh/kernels/kernels.h

/// The z functions of one table. Immutable: any number of threads may use one.
class TableHash {
 public:
  virtual ~TableHash() = default;
  std::uint32_t functions() const { return functions_; }
  std::uint32_t function_bits() const { return bits_; }  ///< of a function's value
  std::size_t code_words() const { return (functions_ + per_word_ - 1) / per_word_; }
  /// The definition: function f on a vector of d integers. ContractError for a vector outside the family's
  /// range.
  virtual std::uint64_t value(std::uint32_t f, std::span<const std::int32_t> x) const = 0;
  /// The z values, packed; two codes are equal iff all z values are. out[0 .. code_words-1].
  void code(std::span<const std::int32_t> x, std::span<std::uint64_t> out) const;
  /// Whether block_codes() serves these points: codes of one word, kernels whose widths hold them.
  virtual bool has_block_codes(const PointBlocks&) const { return false; }
  /// The codes of the vectors of `count` blocks, out[count, 16]: equal to code() of each, on every
  /// instruction set.
  virtual void block_codes(const Kernels&, const PointBlocks&, std::size_t /*first*/, std::size_t /*count*/,
                           std::uint64_t* /*out*/) const {}

 protected:
  TableHash(std::uint32_t functions, std::uint32_t bits)
      : functions_(functions), bits_(bits), per_word_(64 / bits) {}
  const std::uint32_t functions_, bits_, per_word_;  // bits of a function's value, functions a code word
};

/// The functions of table `table`. Cost: draws z d coefficients (cross-polytope z d^2, Hadamard z * rotations
/// * D bits).
std::unique_ptr<const TableHash> make_table(const FamilyParameters& parameters, std::uint32_t table);

}  // namespace roundtrip::anna
