#include "roundtrip/base/tensor.h"

#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include "roundtrip/base/error.h"
#include "roundtrip/base/quote.h"

namespace roundtrip {
namespace {

static_assert(std::endian::native == std::endian::little, "elements are read in place");

struct DtypeInfo {
  std::string_view name, numpy;
  std::size_t bytes;
};
// In the order of Dtype.
constexpr std::array<DtypeInfo, 13> kDtypes = {{{"F64", "<f8", 8},
                                                {"I64", "<i8", 8},
                                                {"U64", "<u8", 8},
                                                {"F32", "<f4", 4},
                                                {"I32", "<i4", 4},
                                                {"U32", "<u4", 4},
                                                {"F16", "<f2", 2},
                                                {"BF16", "", 2},
                                                {"I16", "<i2", 2},
                                                {"U16", "<u2", 2},
                                                {"I8", "|i1", 1},
                                                {"U8", "|u1", 1},
                                                {"BOOL", "|b1", 1}}};

const DtypeInfo& info(Dtype dtype) {
  return kDtypes[static_cast<std::size_t>(dtype)];
}

template <typename T>
T element(std::string_view bytes, std::size_t i) {
  T value;
  std::memcpy(&value, bytes.data() + i * sizeof(T), sizeof(T));
  return value;
}

double half_to_double(std::uint16_t bits) {
  const int exponent = bits >> 10 & 31, fraction = bits & 1023;
  const double magnitude = exponent == 31  ? (fraction != 0 ? std::numeric_limits<double>::quiet_NaN()
                                                            : std::numeric_limits<double>::infinity())
                           : exponent == 0 ? std::ldexp(fraction, -24)
                                           : std::ldexp(1024 + fraction, exponent - 25);
  return bits >> 15 != 0 ? -magnitude : magnitude;
}

}  // namespace

std::string_view dtype_name(Dtype dtype) {
  return info(dtype).name;
}
std::size_t element_bytes(Dtype dtype) {
  return info(dtype).bytes;
}

std::string_view numpy_name(Dtype dtype) {
  return info(dtype).numpy;
}

std::optional<Dtype> dtype_of(std::string_view name) {
  for (std::size_t i = 0; i < kDtypes.size(); ++i) {
    if (!name.empty() && (kDtypes[i].name == name || kDtypes[i].numpy == name)) return static_cast<Dtype>(i);
  }
  return std::nullopt;
}

bool tensor_bytes(Dtype dtype, const std::vector<std::uint64_t>& shape, std::uint64_t& bytes) {
  bytes = element_bytes(dtype);
  for (const std::uint64_t extent : shape) {
    if (__builtin_mul_overflow(bytes, extent, &bytes)) return false;
  }
  return true;
}

bool is_integer(Dtype dtype) {
  return dtype != Dtype::kF64 && dtype != Dtype::kF32 && dtype != Dtype::kF16 && dtype != Dtype::kBf16;
}

std::vector<std::int64_t> integers_of(const TensorView& tensor, std::string_view what) {
  require(is_integer(tensor.dtype), "tensor {} has dtype {}; integers are needed", quote(what),
          dtype_name(tensor.dtype));
  std::vector<std::int64_t> out(tensor.bytes.size() / element_bytes(tensor.dtype));
  for (std::size_t i = 0; i < out.size(); ++i) {
    switch (tensor.dtype) {
      case Dtype::kI64:
        out[i] = element<std::int64_t>(tensor.bytes, i);
        break;
      case Dtype::kI32:
        out[i] = element<std::int32_t>(tensor.bytes, i);
        break;
      case Dtype::kU32:
        out[i] = element<std::uint32_t>(tensor.bytes, i);
        break;
      case Dtype::kI16:
        out[i] = element<std::int16_t>(tensor.bytes, i);
        break;
      case Dtype::kU16:
        out[i] = element<std::uint16_t>(tensor.bytes, i);
        break;
      case Dtype::kI8:
        out[i] = element<std::int8_t>(tensor.bytes, i);
        break;
      case Dtype::kU64: {
        const auto value = element<std::uint64_t>(tensor.bytes, i);
        require(std::in_range<std::int64_t>(value),
                "tensor {} has {} at element {}; at most 2^63 - 1 is allowed", quote(what), value, i);
        out[i] = static_cast<std::int64_t>(value);
        break;
      }
      default:
        out[i] = element<std::uint8_t>(tensor.bytes, i);
        break;
    }
  }
  return out;
}

std::vector<double> reals_of(const TensorView& tensor, std::string_view what) {
  require(!is_integer(tensor.dtype), "tensor {} has dtype {}; floating-point numbers are needed", quote(what),
          dtype_name(tensor.dtype));
  std::vector<double> out(tensor.bytes.size() / element_bytes(tensor.dtype));
  for (std::size_t i = 0; i < out.size(); ++i) {
    switch (tensor.dtype) {
      case Dtype::kF64:
        out[i] = element<double>(tensor.bytes, i);
        break;
      case Dtype::kF32:
        out[i] = element<float>(tensor.bytes, i);
        break;
      case Dtype::kF16:
        out[i] = half_to_double(element<std::uint16_t>(tensor.bytes, i));
        break;
      default:  // BF16: the upper half of an F32
        out[i] = std::bit_cast<float>(std::uint32_t{element<std::uint16_t>(tensor.bytes, i)} << 16);
        break;
    }
  }
  return out;
}

}  // namespace roundtrip
