#include "roundtrip/anna/dense/codes.h"

#include <algorithm>
#include <span>
#include <vector>

#include "roundtrip/anna/lsh/kernels/kernels.h"
#include "roundtrip/base/fault.h"

namespace roundtrip::anna {

DenseCodes::DenseCodes(const AnnaParameters& parameters, const FixedRows& queries, const FixedRows& keys,
                       int threads)
    : family_(parameters.functions_of(keys.columns)) {
  family_.validate();
  keys_ = make_blocks(keys.data, keys.rows, keys.columns, threads);
  queries_ = make_blocks(queries.data, queries.rows, queries.columns, threads);
  use_table(0);
}

void DenseCodes::use_table(std::uint32_t table) {
  hash_ = make_table(family_, table);
}

std::uint64_t DenseCodes::of_rows(bool queries, std::uint64_t begin, std::uint64_t end,
                                  const Kernels& kernels, std::uint64_t* codes) const {
  const PointBlocks& points = queries ? queries_ : keys_;
  if (hash_->has_block_codes(points)) {
    constexpr std::size_t kLanes = PointBlocks::kLanes,
                          kMax = 4;  // blocks at once: they stay in the first cache
    for (std::uint64_t row = begin; row < end; row += kMax * kLanes) {
      const std::uint64_t rows = std::min<std::uint64_t>(end - row, kMax * kLanes);
      std::uint64_t of_blocks[kMax * kLanes];
      hash_->block_codes(kernels, points, row / kLanes, (rows + kLanes - 1) / kLanes, of_blocks);
      std::copy(of_blocks, of_blocks + rows, codes + row);
    }
  } else {
    std::vector<std::int32_t> x(points.dimension);
    for (std::uint64_t row = begin; row < end; ++row) {
      for (std::uint32_t i = 0; i < points.dimension; ++i) x[i] = points.at(row, i);
      hash_->code(x, std::span(codes + row * words(), words()));
    }
  }
  if (seeded("codes-of-32-bits")) {
    for (std::uint64_t i = begin * words(); i < end * words(); ++i)
      codes[i] &= i % words() == 0 ? 0xffffffffu : 0;
  }
  return (end - begin) * hash_->functions();
}

}  // namespace roundtrip::anna
