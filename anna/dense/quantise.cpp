#include <algorithm>
#include <cmath>

#include "roundtrip/anna/dense/matrices.h"
#include "roundtrip/base/error.h"

namespace roundtrip::anna {
namespace {

void check(const char* what, const RealRows& rows) {
  require(rows.data.size() == rows.rows * rows.columns, "{}: {} numbers are not {} rows of {}", what,
          rows.data.size(), rows.rows, rows.columns);
  for (std::size_t i = 0; i < rows.data.size(); ++i) {
    require(std::isfinite(rows.data[i]), "{}: row {} column {} is {}; all numbers must be finite", what,
            i / rows.columns, i % rows.columns, rows.data[i]);
  }
}

double norm(const RealRows& rows, std::uint64_t row) {
  double square = 0;
  for (std::uint32_t i = 0; i < rows.columns; ++i) {
    const double x = rows.data[row * rows.columns + i];
    square += x * x;
  }
  return std::sqrt(square);
}

double longest(const RealRows& rows) {
  double most = 0;
  for (std::uint64_t row = 0; row < rows.rows; ++row) most = std::max(most, norm(rows, row));
  return most;
}

FixedRows fixed_points(const char* what, const RealRows& rows, double unit, bool unit_sphere) {
  FixedRows fixed{rows.rows, rows.columns, unit, 0, {}};
  fixed.data.resize(rows.data.size());
  for (std::uint64_t row = 0; row < rows.rows; ++row) {
    const double length = unit_sphere ? norm(rows, row) : 1;
    require(length > 0, "{}: row {} is the zero vector, which has no direction", what, row);
    for (std::uint32_t i = 0; i < rows.columns; ++i) {
      const double x = rows.data[row * rows.columns + i] / length;
      const double integer = std::nearbyint(x / unit);
      fixed.data[row * rows.columns + i] = static_cast<std::int16_t>(integer);
      fixed.max_error = std::max(fixed.max_error, std::fabs(integer * unit - x));
    }
  }
  return fixed;
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

DenseHead quantise(const RealRows& queries, const RealRows& keys, const RealRows& values, bool unit_sphere) {
  check("queries", queries), check("keys", keys), check("values", values);
  const double most = unit_sphere ? 1 : std::max(longest(queries), longest(keys));
  // Rounding moves a coordinate by at most half a unit, a norm by at most sqrt(d) / 2 units.
  const double reach = kHadamardMaxNorm - std::sqrt(static_cast<double>(queries.columns)) / 2 - 1;
  const double unit = most > 0 ? most / reach : 1;
  DenseHead head;
  head.queries = fixed_points("queries", queries, unit, unit_sphere);
  head.keys = fixed_points("keys", keys, unit, unit_sphere);
  double largest = 0;
  for (const float x : values.data) largest = std::max(largest, std::fabs(static_cast<double>(x)));
  int exponent = 0;  // largest < 2^exponent
  if (largest > 0) std::frexp(largest, &exponent);
  double step = std::ldexp(1.0, exponent - 15);
  if (std::nearbyint(largest / step) > 32767) step *= 2;
  head.values = {values.rows, values.columns, step, 0, {}};
  head.values.data.resize(values.data.size());
  for (std::size_t i = 0; i < values.data.size(); ++i) {
    const double integer = std::nearbyint(values.data[i] / step);
    head.values.data[i] = static_cast<std::int16_t>(integer);
    head.values.max_error = std::max(head.values.max_error, std::fabs(integer * step - values.data[i]));
  }
  head.validate();
  return head;
}

}  // namespace roundtrip::anna
