// Purpose: what the mechanisms share in which every key has a weight that is a function of query and key:
// distinct queries and keys, sums of values by distinct key, and one output row for each distinct query. Internal.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "roundtrip/anna/attention/attention.h"
#include "roundtrip/anna/attention/interner.h"

namespace roundtrip::anna {

/// The distinct vectors among one head's queries or keys, numbered by the first token that has them, so that
/// nothing depends on how a codebook numbers its symbols.
struct DistinctPoints {
  RecordInterner vectors;
  std::vector<std::uint64_t> counts;     ///< [classes] tokens that have the vector
  std::vector<std::uint32_t> of_listed;  ///< class of listed token number i
  std::uint32_t of_others = 0;           ///< class of tokens that are not listed, if any
  std::uint64_t tokens = 0;
  std::span<const TokenSymbol> listed;

  DistinctPoints(const Codebook& codebook, const Points& points, std::uint64_t n);
  std::span<const std::int32_t> vector(std::uint32_t number, std::size_t dimension) const {
    return {reinterpret_cast<const std::int32_t*>(vectors.record(number)), dimension};
  }
  /// The class of each of `asked`, tokens that ascend.
  std::vector<std::uint32_t> classes_of(std::span<const std::uint64_t> asked) const;
};

/// Sums of value rows by class of key.
struct ClassSums {
  __extension__ using Wide = __int128;
  struct Sum {
    std::uint32_t key_class, column;  ///< column: a number in `columns`
    Wide value;
  };
  std::vector<std::uint32_t> columns;  ///< that have a value at all, ascending
  std::vector<Sum> sums;               ///< by class, then column
  double largest = 0;                  ///< |v|

  ClassSums(const DistinctPoints& keys, const SparseRows& values);
};

/// A query's output depends on its vector alone: one row for each distinct query, copied to the tokens.
class KernelAttention : public Attention {
 public:
  void attend(const Codebook& codebook, const HeadInput& head, SparseRows& out) final;

 protected:
  virtual void prepare(std::uint32_t dimension, const DistinctPoints& queries, const DistinctPoints& keys,
                       const ClassSums& sums) = 0;
  /// averages[i]: of column sums.columns[i].
  virtual void row(std::span<const std::int32_t> query, const DistinctPoints& keys, const ClassSums& sums,
                   std::vector<double>& averages) = 0;
};

}  // namespace roundtrip::anna
