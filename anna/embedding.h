// Purpose: the array that a transformer works on, [N', d] numbers, stored sparsely (a compiled transformer's
// rows hold little besides the words they move), and its file, so that a layer can be evaluated by a process
// that knows no more. Glossary: N' tokens, d embedding dimension, m head dimension, H heads.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace roundtrip::anna {

/// One nonzero number of a sparse vector.
struct Entry {
  std::uint32_t column;
  double value;
  friend bool operator==(const Entry&, const Entry&) = default;
};

/// Whether `value` is an integer below 2^53 in magnitude; no call of a library function, unlike std::trunc.
inline bool is_exact_integer(double value) {
  return value > -0x1p53 && value < 0x1p53 && static_cast<double>(static_cast<std::int64_t>(value)) == value;
}

/// A token's row: all that an element-wise map may know, its position included. Entries ascend by column;
/// absent is 0.
struct RowView {
  std::uint64_t token = 0;
  std::span<const Entry> entries;
  double operator[](std::uint32_t column) const;  ///< binary search
};

/// [N', d] numbers in compressed rows.
class Embedding {
 public:
  Embedding() = default;
  Embedding(std::uint64_t tokens, std::uint32_t dimension);  ///< all zero
  std::uint64_t tokens() const { return offsets_.size() - 1; }
  std::uint32_t dimension() const { return dimension_; }
  RowView row(std::uint64_t token) const {
    return {token, std::span(entries_).subspan(offsets_[token], offsets_[token + 1] - offsets_[token])};
  }
  std::uint64_t nonzeros() const { return entries_.size(); }
  /// Appends the next token's row while the array is built in order; entries ascend, zeros are dropped.
  void append_row(std::span<const Entry> entries);
  /// No tokens, `dimension` columns; keeps its memory.
  void clear(std::uint32_t dimension) { dimension_ = dimension, offsets_.assign(1, 0), entries_.clear(); }
  static Embedding with_dimension(std::uint32_t dimension) { return Embedding(0, dimension); }
  friend bool operator==(const Embedding&, const Embedding&) = default;

  void save(const std::string& path) const;
  /// Reads what save() wrote; hostile bytes end in ContractError naming the path and the field.
  static Embedding load(const std::string& path);

 private:
  void refuse(std::span<const Entry> entries) const;  // names the entry that is wrong

  std::uint32_t dimension_ = 0;
  std::vector<std::uint64_t> offsets_{0};
  std::vector<Entry> entries_;
};

}  // namespace roundtrip::anna
