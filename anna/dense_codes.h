// Purpose: the codes of a whole head in one table, by the kernels where they can, by the definition
// elsewhere: what the engine buckets by and what weights are measured by.
#pragma once

#include <cstdint>
#include <span>

#include "anna/dense.h"
#include "anna/lsh/family.h"

namespace roundtrip::anna {

class DenseCodes {
 public:
  DenseCodes(const AnnaParameters& parameters, const FixedRows& queries, const FixedRows& keys);
  /// queries[0 .. N_q-1] and keys[0 .. N_k-1]: two numbers are equal iff the two vectors share all z values
  /// of `table`. ContractError for a vector outside the family's range.
  std::uint64_t of_table(std::uint32_t table, const Kernels& kernels, int threads,
                         std::span<std::uint64_t> queries, std::span<std::uint64_t> keys) const;

 private:
  FamilyParameters family_;
  PointBlocks queries_, keys_;
};

}  // namespace roundtrip::anna
