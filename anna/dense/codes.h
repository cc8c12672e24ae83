// Purpose: the codes of a whole head in one table, by the kernels where they can, by the definition
// elsewhere: what the engine buckets by and what weights are measured by.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>

#include "roundtrip/anna/dense/matrices.h"
#include "roundtrip/anna/lsh/family.h"

namespace roundtrip::anna {

/// Where the part'th of `parts` shares of `rows` rows begins: between two blocks, so that no two threads
/// write to one cache line of codes.
inline std::uint64_t share(std::uint64_t rows, std::size_t part, std::size_t parts) {
  const std::uint64_t blocks = (rows + PointBlocks::kLanes - 1) / PointBlocks::kLanes;
  return std::min<std::uint64_t>(rows, blocks * part / parts * PointBlocks::kLanes);
}

class DenseCodes {
 public:
  /// The functions of table 0 are drawn at once. `threads` transpose the points.
  DenseCodes(const AnnaParameters& parameters, const FixedRows& queries, const FixedRows& keys,
             int threads = 1);
  /// Draws the functions of `table`, of which of_rows() tells from then on. Not while another thread is in
  /// of_rows().
  void use_table(std::uint32_t table);
  /// Words of a row's code: two rows share all z values iff all words are equal.
  std::size_t words() const { return hash_->code_words(); }
  /// Bits of a code of one word.
  std::uint32_t bits() const { return hash_->functions() * hash_->function_bits(); }
  /// The codes of the queries or keys begin .. end - 1, to their places in codes[rows, words]; begin is a
  /// multiple of 16, end too or the number of rows. Returns the number of hash functions evaluated.
  /// ContractError for a vector outside the family's range.
  std::uint64_t of_rows(bool queries, std::uint64_t begin, std::uint64_t end, const Kernels& kernels,
                        std::uint64_t* codes) const;

 private:
  FamilyParameters family_;
  PointBlocks queries_, keys_;
  std::unique_ptr<const TableHash> hash_;
};

}  // namespace roundtrip::anna
