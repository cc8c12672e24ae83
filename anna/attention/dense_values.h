// Purpose: one head by its tokens instead of by its distinct vectors, for mechanisms whose weights depend on where a key
// is. Internal.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "roundtrip/anna/attention/attention.h"

namespace roundtrip::anna {

/// [tokens, m_qk] vectors of queries or keys.
std::vector<std::int32_t> dense_points(const Codebook& codebook, const Points& points, std::size_t tokens);

struct DenseValues {
  __extension__ using Wide = __int128;

  std::vector<std::uint32_t> columns;  ///< in which a token has a value at all, ascending
  std::vector<std::int64_t> all;       ///< [tokens, columns]

  DenseValues(const SparseRows& values, std::size_t tokens);
  std::span<const std::int64_t> row(std::size_t token) const {
    return std::span(all).subspan(token * columns.size(), columns.size());
  }
  /// Appends the token's row: each total, by column, and the norm are rounded once, then divided once.
  void append_average(std::uint64_t token, std::span<const Wide> totals, Wide norm, SparseRows& out) const;
};

}  // namespace roundtrip::anna
