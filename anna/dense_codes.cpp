#include "anna/dense_codes.h"

#include <algorithm>
#include <exception>
#include <vector>

#include "anna/interner.h"
#include "anna/kernels/kernels.h"
#include "base/rational.h"

namespace roundtrip::anna {
namespace {

// Both return the number of hash functions that they evaluated.
std::uint64_t by_blocks(const TableHash& hash, const Kernels& kernels, int threads, const PointBlocks& points,
                        std::span<std::uint64_t> out) {
  const auto blocks = static_cast<std::int64_t>(ceil_div(points.rows, 16));
  std::uint64_t evaluated = 0;
#pragma omp parallel for schedule(static) num_threads(threads) reduction(+ : evaluated)
  for (std::int64_t b = 0; b < blocks; ++b) {
    std::uint64_t codes[16];
    hash.block_codes(kernels, points, static_cast<std::size_t>(b), codes);
    const std::uint64_t begin = 16 * static_cast<std::uint64_t>(b), end = std::min(points.rows, begin + 16);
    std::copy(codes, codes + (end - begin), out.data() + begin);
    evaluated += (end - begin) * hash.functions();
  }
  return evaluated;
}

std::uint64_t by_definition(const TableHash& hash, int threads, const PointBlocks& points,
                            std::span<std::uint64_t> out, RecordInterner& wide) {
  const std::size_t words = hash.code_words();
  std::vector<std::uint64_t> codes(points.rows * words);
  const auto rows = static_cast<std::int64_t>(points.rows);
  std::exception_ptr refused;  // an exception must not leave a parallel region
  std::uint64_t evaluated = 0;
#pragma omp parallel num_threads(threads) reduction(+ : evaluated)
  {
    std::vector<std::int32_t> x(points.dimension);
#pragma omp for schedule(static)
    for (std::int64_t row = 0; row < rows; ++row) {
      const auto r = static_cast<std::uint64_t>(row);
      for (std::uint32_t i = 0; i < points.dimension; ++i) x[i] = points.at(r, i);
      try {
        hash.code(x, std::span(codes).subspan(r * words, words));
        evaluated += hash.functions();
      } catch (...) {
#pragma omp critical
        refused = std::current_exception();
      }
    }
  }
  if (refused) std::rethrow_exception(refused);
  for (std::uint64_t row = 0; row < points.rows; ++row) {
    out[row] = words == 1 ? codes[row] : wide.intern(&codes[row * words]);
  }
  return evaluated;
}

}  // namespace

DenseCodes::DenseCodes(const AnnaParameters& parameters, const FixedRows& queries, const FixedRows& keys)
    : family_(parameters.functions_of(keys.columns)) {
  family_.validate();
  keys_ = make_blocks(keys.data, keys.rows, keys.columns);
  queries_ = make_blocks(queries.data, queries.rows, queries.columns);
}

std::uint64_t DenseCodes::of_table(std::uint32_t table, const Kernels& kernels, int threads,
                                   std::span<std::uint64_t> queries, std::span<std::uint64_t> keys) const {
  const auto hash = make_table(family_, table);
  if (hash->has_block_codes(keys_) && hash->has_block_codes(queries_)) {
    return by_blocks(*hash, kernels, threads, keys_, keys) +
           by_blocks(*hash, kernels, threads, queries_, queries);
  }
  RecordInterner wide;  // codes of several words become numbers
  wide.reset(8 * hash->code_words());
  const std::uint64_t evaluated = by_definition(*hash, threads, keys_, keys, wide);
  return evaluated + by_definition(*hash, threads, queries_, queries, wide);
}

}  // namespace roundtrip::anna
