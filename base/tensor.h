// Purpose: arrays of numbers as files hold them: element type, shape, and bytes that live elsewhere
// (little-endian, row-major). What the safetensors and npy readers share.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace roundtrip {

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

[[nodiscard]] std::size_t element_bytes(Dtype dtype);
[[nodiscard]] bool is_integer(Dtype dtype);              ///< one of I8..I64, U8..U64, BOOL
[[nodiscard]] std::string_view dtype_name(Dtype dtype);  ///< as safetensors writes it: "F64", "BF16", ..
[[nodiscard]] std::string_view numpy_name(
    Dtype dtype);  ///< as numpy writes it: "<f8"; empty for BF16, which numpy lacks
/// By either name; nullopt for others, big-endian ones among them.
[[nodiscard]] std::optional<Dtype> dtype_of(std::string_view name);

struct TensorView {
  Dtype dtype = Dtype::kU8;
  std::vector<std::uint64_t> shape;
  std::string_view bytes;  ///< product of shape * element_bytes(dtype)
};

/// The elements as integers; ContractError naming `what` for a floating dtype, or an element above 2^63 - 1.
[[nodiscard]] std::vector<std::int64_t> integers_of(const TensorView& tensor, std::string_view what);
/// The elements as doubles, exactly; ContractError naming `what` for an integer dtype. NaN and infinity pass.
[[nodiscard]] std::vector<double> reals_of(const TensorView& tensor, std::string_view what);
/// element_bytes * product of `shape`; false if it leaves 64 bits.
[[nodiscard]] bool tensor_bytes(Dtype dtype, const std::vector<std::uint64_t>& shape, std::uint64_t& bytes);

}  // namespace roundtrip
