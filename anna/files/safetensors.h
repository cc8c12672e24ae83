// Purpose: the safetensors file format, which PyTorch, numpy and others read and write: 8 bytes little-endian
// length n of the header; n bytes of JSON {name: {"dtype", "shape", "data_offsets": [begin, end)},
// "__metadata__": {text: text}}; then the tensors' bytes, little-endian, row-major, without gaps. Read as
// hostile input.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "roundtrip/base/tensor.h"

namespace roundtrip::anna {

using Tensors = std::map<std::string, TensorView, std::less<>>;
using TensorMetadata = std::map<std::string, std::string, std::less<>>;

/// A file in memory. Cost: memory at most twice the file's size; nothing is believed before it is compared
/// with it.
class SafetensorsFile {
 public:
  /// ContractError naming `path`, the tensor and the field unless `bytes` are a whole, well-formed file:
  /// header within the file, no name twice, offsets in range that match shape and dtype and cover the data
  /// without overlap, hole or trailing byte. A tensor of an unknown dtype is refused when it is asked for.
  static SafetensorsFile parse(std::string bytes, const std::string& path);
  static SafetensorsFile load(const std::string& path);

  /// Those of known dtypes.
  const Tensors& tensors() const { return tensors_; }
  const TensorMetadata& metadata() const { return metadata_; }
  /// ContractError naming the file and the nearest name it has, or the tensor's unknown dtype.
  const TensorView& tensor(std::string_view name) const;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  std::unique_ptr<const std::string> bytes_;  // on the heap: the views survive a move
  Tensors tensors_;
  std::map<std::string, std::string, std::less<>> unread_;  // dtypes of tensors that have others than ours
  TensorMetadata metadata_;
};

/// The bytes of a file with these tensors; larger elements first, then by name, so that every tensor is
/// aligned.
std::string write_safetensors(const Tensors& tensors, const TensorMetadata& metadata = {});

}  // namespace roundtrip::anna
