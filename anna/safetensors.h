// Purpose: the safetensors file format, which PyTorch, numpy and others read and write: 8 bytes little-endian
// length n of the header; n bytes of JSON {name: {"dtype", "shape", "data_offsets": [begin, end)},
// "__metadata__": {text: text}}; then the tensors' bytes, little-endian, row-major, without gaps. Read as
// hostile input.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace roundtrip::anna {

enum class Dtype : std::uint8_t {
  kF64,
  kI64,
  kU64,
  kF32,
  kI32,
  kU32,
  kF16,
  kBf16,
  kI16,
  kU16,
  kI8,
  kU8,
  kBool
};

std::string_view dtype_name(Dtype dtype);  ///< as the format writes it: "F64", "BF16", ..
std::size_t element_bytes(Dtype dtype);

/// A tensor whose bytes live elsewhere: in a SafetensorsFile, or with the caller that writes one.
struct TensorView {
  Dtype dtype = Dtype::kU8;
  std::vector<std::uint64_t> shape;
  std::string_view bytes;  ///< product of shape * element_bytes(dtype)
};

using Tensors = std::map<std::string, TensorView, std::less<>>;
using TensorMetadata = std::map<std::string, std::string, std::less<>>;

/// A file in memory. Cost: memory at most twice the file's size; nothing is believed before it is compared
/// with it.
class SafetensorsFile {
 public:
  /// ContractError naming `path`, the tensor and the field unless `bytes` are a whole, well-formed file:
  /// header within the file, known dtypes, no name twice, offsets in range that match shape and dtype and
  /// cover the data without overlap, hole or trailing byte.
  static SafetensorsFile parse(std::string bytes, const std::string& path);
  static SafetensorsFile load(const std::string& path);

  const Tensors& tensors() const { return tensors_; }
  const TensorMetadata& metadata() const { return metadata_; }
  /// ContractError naming the file and the nearest name it has.
  const TensorView& tensor(std::string_view name) const;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  std::unique_ptr<const std::string> bytes_;  // on the heap: the views survive a move
  Tensors tensors_;
  TensorMetadata metadata_;
};

bool is_integer(Dtype dtype);  ///< one of I8..I64, U8..U64, BOOL
/// The elements as integers; ContractError naming `what` for a floating dtype, or an element above 2^63 - 1.
std::vector<std::int64_t> integers_of(const TensorView& tensor, std::string_view what);
/// The elements as doubles, exactly; ContractError naming `what` for an integer dtype. NaN and infinity pass.
std::vector<double> reals_of(const TensorView& tensor, std::string_view what);

/// The bytes of a file with these tensors; larger elements first, then by name, so that every tensor is
/// aligned.
std::string write_safetensors(const Tensors& tensors, const TensorMetadata& metadata = {});

}  // namespace roundtrip::anna
