// Purpose: numpy's .npy files: one array of 1 or 2 dimensions, little-endian, in C order, or brought into that
// order; or heads of such. Read as hostile input.
#pragma once

#include <memory>
#include <string>

#include "roundtrip/base/tensor.h"

namespace roundtrip {

/// A file in memory.
class NpyFile {
 public:
  enum class Layout : std::uint8_t { kPlain, kAny };
  /// ContractError naming `path` and the field unless `bytes` are a whole file of version 1, 2 or 3 whose
  /// header has exactly descr, fortran_order and shape, of a known dtype and at most 65535 bytes, and whose
  /// data have exactly the bytes of that shape.
  /// Layout::kAny takes big-endian and Fortran order, too, which are undone, and more dimensions.
  static NpyFile parse(std::string bytes, const std::string& path, Layout layout = Layout::kPlain);
  static NpyFile load(const std::string& path);

  const TensorView& array() const { return array_; }
  /// As [heads, rows, columns]: all dimensions before the last two count heads; one dimension is rows of one column.
  std::uint64_t heads() const;
  std::uint64_t rows() const { return array_.shape[array_.shape.size() < 2 ? 0 : array_.shape.size() - 2]; }
  std::uint64_t columns() const { return array_.shape.size() < 2 ? 1 : array_.shape.back(); }
  /// [rows, columns] of head `index` < heads().
  TensorView head(std::uint64_t index) const;

 private:
  std::unique_ptr<const std::string> bytes_;  // on the heap: the view survives a move
  TensorView array_;
};

/// The bytes of a .npy file, version 1.0; `array` has 1 or 2 dimensions and a dtype that numpy has.
std::string write_npy(const TensorView& array);

}  // namespace roundtrip
