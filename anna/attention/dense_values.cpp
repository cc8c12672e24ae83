#include "roundtrip/anna/attention/dense_values.h"

#include <algorithm>

namespace roundtrip::anna {

std::vector<std::int32_t> dense_points(const Codebook& codebook, const Points& points, std::size_t tokens) {
  const std::size_t dimension = codebook.dimension();
  std::vector<std::int32_t> all(tokens * dimension);
  std::size_t next = 0;
  for (std::size_t token = 0; token < tokens; ++token) {
    const bool listed = next < points.listed.size() && points.listed[next].token == token;
    codebook.vector(listed ? points.listed[next++].symbol : points.default_symbol,
                    std::span(all).subspan(token * dimension, dimension));
  }
  return all;
}

DenseValues::DenseValues(const SparseRows& values, std::size_t tokens) {
  for (std::size_t i = 0; i < values.tokens.size(); ++i) {
    for (const Entry& entry : values.row(i)) columns.push_back(entry.column);
  }
  std::sort(columns.begin(), columns.end());
  columns.erase(std::unique(columns.begin(), columns.end()), columns.end());
  all.resize(tokens * columns.size());
  for (std::size_t i = 0; i < values.tokens.size(); ++i) {
    for (const Entry& entry : values.row(i)) {
      const auto column = std::lower_bound(columns.begin(), columns.end(), entry.column) - columns.begin();
      all[values.tokens[i] * columns.size() + static_cast<std::size_t>(column)] =
          static_cast<std::int64_t>(entry.value);
    }
  }
}

void DenseValues::append_average(std::uint64_t token, std::span<const Wide> totals, Wide norm,
                                 SparseRows& out) const {
  for (std::size_t c = 0; c < columns.size(); ++c) {
    if (totals[c] != 0)
      out.entries.push_back({columns[c], static_cast<double>(totals[c]) / static_cast<double>(norm)});
  }
  if (out.entries.size() == out.offsets.back()) return;
  out.tokens.push_back(token);
  out.offsets.push_back(out.entries.size());
}

}  // namespace roundtrip::anna
