// Purpose: what a stage of weights is made of: an integer matrix by compressed rows (CSR), and limits of numbers.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <span>
#include <utility>
#include <vector>

namespace roundtrip::anna {

/// Integers by rows, of which those that are not 0 are stored, by rising columns. How many columns there are, its stage
/// says.
class SparseMatrix {
 public:
  SparseMatrix() = default;
  /// Row-major with `columns` >= 1 numbers a row; a last row that is not whole is dropped.
  template <typename Integer>
  static SparseMatrix of_dense(std::uint32_t columns, const std::vector<Integer>& dense) {
    SparseMatrix made;
    for (std::size_t at = 0; at + columns <= dense.size(); at += columns) {
      for (std::uint32_t c = 0; c < columns; ++c) made.put(c, dense[at + c]);
      made.end_row();
    }
    return made;
  }

  /// A number of the row that end_row() ends; columns rise. 0 is not stored.
  void put(std::uint32_t column, std::int64_t value) {
    if (value == 0) return;
    columns_.push_back(column);
    values_.push_back(value);
  }
  void end_row() { starts_.push_back(values_.size()); }

  std::size_t rows() const { return starts_.size() - 1; }
  std::size_t nonzeros() const { return values_.size(); }
  std::span<const std::uint32_t> columns(std::size_t row) const {
    return std::span(columns_).subspan(starts_[row], starts_[row + 1] - starts_[row]);
  }
  std::span<const std::int64_t> values(std::size_t row) const {
    return std::span(values_).subspan(starts_[row], starts_[row + 1] - starts_[row]);
  }
  std::int64_t operator()(std::size_t row,
                          std::uint32_t column) const {  ///< time: logarithm of the row's nonzeros
    const std::span<const std::uint32_t> all = columns(row);
    const auto at = std::lower_bound(all.begin(), all.end(), column);
    return at == all.end() || *at != column ? 0 : values(row)[static_cast<std::size_t>(at - all.begin())];
  }
  /// All rows behind each other: [rows + 1], [nonzeros], [nonzeros].
  std::span<const std::uint64_t> starts() const { return starts_; }
  std::span<const std::uint32_t> columns() const { return columns_; }
  std::span<const std::int64_t> values() const { return values_; }
  friend bool operator==(const SparseMatrix&, const SparseMatrix&) = default;

 private:
  std::vector<std::uint64_t> starts_{0};
  std::vector<std::uint32_t> columns_;
  std::vector<std::int64_t> values_;
};

/// Limits of the magnitudes of some numbers: none, one for all of them, or one each.
class Limits {
 public:
  Limits() = default;
  Limits(std::int64_t all) : limits_{all} {}                           // NOLINT: a number is a limit
  Limits(std::vector<std::int64_t> each) : limits_(std::move(each)) {  // NOLINT: so are several
    if (std::adjacent_find(limits_.begin(), limits_.end(), std::not_equal_to<>()) == limits_.end() &&
        !limits_.empty())
      limits_.erase(limits_.begin() + 1, limits_.end());
  }
  explicit operator bool() const { return !limits_.empty(); }
  std::int64_t operator[](std::size_t number) const { return limits_[limits_.size() == 1 ? 0 : number]; }
  std::int64_t largest() const { return *std::max_element(limits_.begin(), limits_.end()); }
  /// Whether there is one for each of `numbers` numbers, or one for all.
  bool fit(std::size_t numbers) const { return limits_.size() == 1 || limits_.size() == numbers; }
  std::span<const std::int64_t> list() const { return limits_; }  ///< of one number, if one is for all
  friend bool operator==(const Limits&, const Limits&) = default;

 private:
  std::vector<std::int64_t> limits_;
};

}  // namespace roundtrip::anna
