#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <mutex>

#include "roundtrip/anna/dense/matrices.h"
#include "roundtrip/anna/lsh/kernels/kernels.h"
#include "roundtrip/base/error.h"
#include "roundtrip/base/rational.h"

namespace roundtrip::anna {
namespace {

constexpr std::uint32_t kInfinityBits = 0x7f800000;

/// Every row of `rows` in parts of some, by several threads; visit(begin, end) must not throw.
template <typename Visit>
void for_parts(const RealRows& rows, int threads, const Visit& visit) {
  constexpr std::uint64_t kRows = 256;
  const auto parts = static_cast<std::int64_t>(ceil_div(rows.rows, kRows));
#pragma omp parallel for schedule(static) num_threads(threads)
  for (std::int64_t part = 0; part < parts; ++part) {
    const std::uint64_t begin = static_cast<std::uint64_t>(part) * kRows;
    visit(begin, std::min(begin + kRows, rows.rows));
  }
}

/// The largest magnitude; ContractError naming row and column of a number that is not finite.
double largest_of(const char* what, const RealRows& rows, const Kernels& kernels, int threads) {
  require(rows.data.size() == rows.rows * rows.columns, "{}: {} numbers are not {} rows of {}", what,
          rows.data.size(), rows.rows, rows.columns);
  std::atomic<std::uint32_t> most = 0;
  for_parts(rows, threads, [&](std::uint64_t begin, std::uint64_t end) {
    const std::uint32_t bits =
        kernels.largest_bits(rows.data.data() + begin * rows.columns, (end - begin) * rows.columns);
    for (std::uint32_t before = most; before < bits && !most.compare_exchange_weak(before, bits);) continue;
  });
  if (most < kInfinityBits) return std::bit_cast<float>(most.load());
  for (std::size_t i = 0; i < rows.data.size(); ++i) {
    require(std::isfinite(rows.data[i]), "{}: row {} column {} is {}; all numbers must be finite", what,
            i / rows.columns, i % rows.columns, rows.data[i]);
  }
  throw InternalError("a number that is not finite was not found");
}

std::vector<double> norms_of(const RealRows& rows, const Kernels& kernels, int threads) {
  std::vector<double> norms(rows.rows);
  for_parts(rows, threads, [&](std::uint64_t begin, std::uint64_t end) {
    kernels.norms(rows.data.data() + begin * rows.columns, end - begin, rows.columns, norms.data() + begin);
  });
  return norms;
}

/// Each row over its length in `lengths`, or as it is if that is empty, in units.
FixedRows fixed(const RealRows& rows, std::span<const double> lengths, double unit, const Kernels& kernels,
                int threads) {
  FixedRows made{rows.rows, rows.columns, unit, 0, {}};
  made.data.resize(rows.data.size());
  std::mutex held;
  for_parts(rows, threads, [&](std::uint64_t begin, std::uint64_t end) {
    const auto part = [&](std::uint64_t row, std::uint64_t count, double length) {
      const std::uint64_t at = row * rows.columns;
      return kernels.quantise(rows.data.data() + at, count * rows.columns, length, unit,
                              made.data.data() + at);
    };
    double most = 0;
    if (lengths.empty()) most = part(begin, end - begin, 1);
    for (std::uint64_t row = begin; row < end && !lengths.empty(); ++row)
      most = std::max(most, part(row, 1, lengths[row]));
    const std::scoped_lock lock(held);
    made.max_error = std::max(made.max_error, most);
  });
  return made;
}

FixedRows fixed_points(const char* what, const RealRows& rows, const std::vector<double>& norms, double unit,
                       bool unit_sphere, const Kernels& kernels, int threads) {
  if (!unit_sphere) return fixed(rows, {}, unit, kernels, threads);
  const auto zero = std::ranges::find(norms, 0.0);
  require(zero == norms.end(), "{}: row {} is the zero vector, which has no direction", what,
          zero - norms.begin());
  return fixed(rows, norms, unit, kernels, threads);
}

}  // namespace

void DenseHead::validate() const {
  require(queries.columns == keys.columns && queries.columns >= 1,
          "queries have {} columns and keys {}; they must be equal", queries.columns, keys.columns);
  require(keys.rows == values.rows, "there are {} keys and {} values; they must be equal", keys.rows,
          values.rows);
  require(queries.unit == keys.unit, "queries have unit {} and keys {}; they must be equal", queries.unit,
          keys.unit);
  const auto whole = [](const char* what, const FixedRows& rows) {
    require(rows.data.size() == rows.rows * rows.columns && rows.rows < 0xffffffffu,
            "{}: {} numbers are not {} rows (below 2^32 - 1) of {}", what, rows.data.size(), rows.rows,
            rows.columns);
  };
  whole("queries", queries), whole("keys", keys), whole("values", values);
}

DenseHead quantise(const RealRows& queries, const RealRows& keys, const RealRows& values, bool unit_sphere,
                   const DenseOptions& options) {
  const Kernels& kernels = options.kernels != nullptr ? *options.kernels : best_kernels();
  const int threads = threads_for(options.threads, queries.rows + keys.rows);
  (void)largest_of("queries", queries, kernels, threads);
  (void)largest_of("keys", keys, kernels, threads);
  const double largest = largest_of("values", values, kernels, threads);
  const std::vector<double> query_norms = norms_of(queries, kernels, threads),
                            key_norms = norms_of(keys, kernels, threads);
  double most = unit_sphere ? 1 : 0;
  for (const std::vector<double>* norms : {&query_norms, &key_norms}) {
    if (!unit_sphere && !norms->empty()) most = std::max(most, *std::ranges::max_element(*norms));
  }
  // Rounding moves a coordinate by at most half a unit, a norm by at most sqrt(d) / 2 units.
  const double reach = kHadamardMaxNorm - std::sqrt(static_cast<double>(queries.columns)) / 2 - 1;
  const double unit = most > 0 ? most / reach : 1;
  DenseHead head;
  head.queries = fixed_points("queries", queries, query_norms, unit, unit_sphere, kernels, threads);
  head.keys = fixed_points("keys", keys, key_norms, unit, unit_sphere, kernels, threads);
  int exponent = 0;  // largest < 2^exponent
  if (largest > 0) std::frexp(largest, &exponent);
  double step = std::ldexp(1.0, exponent - 15);
  if (std::nearbyint(largest / step) > 32767) step *= 2;
  head.values = fixed(values, {}, step, kernels, threads);
  head.validate();
  return head;
}

}  // namespace roundtrip::anna
