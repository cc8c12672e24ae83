// Purpose: the array that a transformer works on, [N', d] numbers, stored sparsely (a compiled transformer's
// rows hold little besides the words they move), and its file, so that a layer can be evaluated by a process
// that knows no more. Glossary: N' tokens, d embedding dimension, m head dimension, H heads.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "roundtrip/base/ensure.h"

namespace roundtrip::anna {

/// One nonzero number of a sparse vector.
struct Entry {
  std::uint32_t column;
  double value;
  friend bool operator==(const Entry&, const Entry&) = default;
};

/// Whether `value` is an integer below 2^53 in magnitude; without branches and calls, for loops over many.
/// From 2^52 on every number is an integer; below, adding 2^52 rounds to one.
inline bool is_exact_integer(double value) {
  const double magnitude = value < 0 ? -value : value;
  return (magnitude < 0x1p53) & ((magnitude >= 0x1p52) | (magnitude + 0x1p52 - 0x1p52 == magnitude));
}

/// A borrowed sparse vector: entries stored elsewhere, of which column `first_column` is the vector's column 0.
class EntryView {
 public:
  class Iterator {
   public:
    using iterator_category = std::forward_iterator_tag;
    using value_type = Entry;
    using difference_type = std::ptrdiff_t;
    using pointer = const Entry*;
    using reference = Entry;
    Iterator() = default;
    Iterator(const Entry* at, std::uint32_t first_column) : at_(at), first_column_(first_column) {}
    Entry operator*() const { return {at_->column - first_column_, at_->value}; }
    Iterator& operator++() { return ++at_, *this; }
    Iterator operator++(int) { return {at_++, first_column_}; }
    friend bool operator==(const Iterator& a, const Iterator& b) { return a.at_ == b.at_; }

   private:
    const Entry* at_ = nullptr;
    std::uint32_t first_column_ = 0;
  };

  EntryView() = default;
  template <typename Entries>
  requires std::convertible_to<const Entries&, std::span<const Entry>> EntryView(
      const Entries& entries, std::uint32_t first_column = 0)
      : data_(std::span<const Entry>(entries).data()),
        size_(static_cast<std::uint32_t>(std::span<const Entry>(entries).size())),
        first_column_(first_column) {}
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  const Entry* data() const { return data_; }  ///< as they are stored, with the columns there
  double value(std::uint32_t column) const;    ///< binary search; absent is 0
  Entry operator[](std::size_t i) const {
    ensure_debug(i < size_, "an entry beyond the vector's");
    return {data_[i].column - first_column_, data_[i].value};
  }
  Entry back() const { return (*this)[size_ - 1]; }
  Iterator begin() const { return {data_, first_column_}; }
  Iterator end() const { return {data_ + size_, first_column_}; }

 private:
  const Entry* data_ = nullptr;
  std::uint32_t size_ = 0, first_column_ = 0;
};

/// A part of a row of an array, borrowed. Only arrays make them: columns ascend, and every number is
/// an integer below 2^53 in magnitude and not 0. Valid until the array changes.
class RowPart : public EntryView {
 private:
  friend class Activations;
  using EntryView::EntryView;
};

/// A token's row: all that an element-wise map may know, its position included. Entries ascend by column;
/// absent is 0.
struct RowView {
  std::uint64_t token = 0;
  std::span<const Entry> entries;
  double operator[](std::uint32_t column) const { return EntryView(entries).value(column); }
};

/// An allocator that leaves the elements of a resized vector uninitialised, for vectors that are then written to.
template <typename T>
struct Uninitialised : std::allocator<T> {
  template <typename U>
  struct rebind {
    using other = Uninitialised<U>;
  };
  template <typename U, typename... Args>
  void construct(U* place, Args&&... args) {
    if constexpr (sizeof...(Args) == 0) {
      ::new (static_cast<void*>(place)) U;
    } else {
      ::new (static_cast<void*>(place)) U(std::forward<Args>(args)...);
    }
  }
};

/// [N', d] numbers in compressed rows.
class Activations {
 public:
  Activations() = default;
  Activations(std::uint64_t tokens, std::uint32_t dimension);  ///< all zero
  std::uint64_t tokens() const { return offsets_.size() - 1; }
  std::uint32_t dimension() const { return dimension_; }
  RowView row(std::uint64_t token) const {
    ensure_debug(token < tokens(), "a row beyond the array's");
    return {token, std::span(entries_).subspan(offsets_[token], offsets_[token + 1] - offsets_[token])};
  }
  std::uint64_t nonzeros() const { return entries_.size(); }
  /// Appends the next token's row while the array is built in order; entries ascend, zeros are dropped.
  void append_row(std::span<const Entry> entries);
  /// `entries`, contiguous ones of token's row, as a vector of `dimension` numbers from column
  /// `first_column` on; nothing unless they are that and all numbers of the array are integers below 2^53.
  std::optional<RowPart> part(std::uint64_t token, std::span<const Entry> entries, std::uint32_t first_column,
                              std::uint32_t dimension) const;
  /// No tokens, `dimension` columns; keeps its memory.
  void clear(std::uint32_t dimension) {
    dimension_ = dimension, integers_ = true;
    offsets_.assign(1, 0), entries_.clear();
  }
  static Activations with_dimension(std::uint32_t dimension) { return Activations(0, dimension); }
  friend bool operator==(const Activations&, const Activations&) = default;

  void save(const std::string& path) const;
  /// Reads what save() wrote; hostile bytes end in ContractError naming the path and the field.
  static Activations load(const std::string& path);

 private:
  friend class RowWriter;
  void end_row();              // the entries after the last row are the next one
  [[noreturn]] void refuse();  // drops it and names the entry that is wrong

  std::uint32_t dimension_ = 0;
  bool integers_ = true;  // all of them, and below 2^53
  std::vector<std::uint64_t> offsets_{0};
  std::vector<Entry, Uninitialised<Entry>> entries_;
};

/// Where a map writes a row: into an array, after its rows, or into a buffer of its own.
class RowWriter {
 public:
  RowWriter() : array_(&own_) {}
  explicit RowWriter(Activations& array) : array_(&array) {}
  RowWriter(const RowWriter&) = delete;
  RowWriter& operator=(const RowWriter&) = delete;
  /// Columns ascend.
  void set(std::uint32_t column, double value) { array_->entries_.push_back({column, value}); }
  /// Space for `count` entries after those that are there, to be written; columns ascend.
  std::span<Entry> append(std::size_t count) {
    array_->entries_.resize(array_->entries_.size() + count);
    return std::span(array_->entries_).last(count);
  }
  std::span<const Entry> entries() const {
    return std::span(array_->entries_).subspan(array_->offsets_.back());
  }
  void clear() { array_->entries_.resize(array_->offsets_.back()); }
  /// The row is complete, and the array's next one follows; zeros are dropped. ContractError unless columns
  /// ascend below the array's dimension and numbers are finite.
  void end_row() {
    if (entries().empty()) return array_->offsets_.push_back(array_->offsets_.back());
    array_->end_row();
  }

 private:
  Activations* array_;
  Activations own_;
};

}  // namespace roundtrip::anna
