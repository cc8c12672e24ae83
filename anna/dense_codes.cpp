#include "anna/dense_codes.h"

#include <algorithm>
#include <span>
#include <vector>

#include "anna/kernels/kernels.h"

namespace roundtrip::anna {

DenseCodes::DenseCodes(const AnnaParameters& parameters, const FixedRows& queries, const FixedRows& keys)
    : family_(parameters.functions_of(keys.columns)) {
  family_.validate();
  keys_ = make_blocks(keys.data, keys.rows, keys.columns);
  queries_ = make_blocks(queries.data, queries.rows, queries.columns);
  use_table(0);
}

void DenseCodes::use_table(std::uint32_t table) {
  hash_ = make_table(family_, table);
}

std::uint64_t DenseCodes::of_rows(bool queries, std::size_t part, std::size_t parts, const Kernels& kernels,
                                  std::uint64_t* codes) const {
  const PointBlocks& points = queries ? queries_ : keys_;
  const std::uint64_t begin = share(points.rows, part, parts), end = share(points.rows, part + 1, parts);
  if (hash_->has_block_codes(points)) {
    for (std::uint64_t row = begin; row < end; row += PointBlocks::kLanes) {
      std::uint64_t of_block[PointBlocks::kLanes];
      hash_->block_codes(kernels, points, row / PointBlocks::kLanes, of_block);
      std::copy(of_block, of_block + (std::min(end, row + PointBlocks::kLanes) - row), codes + row);
    }
  } else {
    std::vector<std::int32_t> x(points.dimension);
    for (std::uint64_t row = begin; row < end; ++row) {
      for (std::uint32_t i = 0; i < points.dimension; ++i) x[i] = points.at(row, i);
      hash_->code(x, std::span(codes + row * words(), words()));
    }
  }
  return (end - begin) * hash_->functions();
}

}  // namespace roundtrip::anna
