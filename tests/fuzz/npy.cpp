#include "roundtrip/base/npy.h"

#include "fuzz/target.h"
#include "roundtrip/base/error.h"

namespace roundtrip::fuzz {

void try_bytes(std::string_view bytes) {
  try {
    const NpyFile file = NpyFile::parse(std::string(bytes), "f");
    const TensorView& array = file.array();
    expect(file.rows() * file.columns() * element_bytes(array.dtype) == array.bytes.size(),
           "shape and bytes differ");
    const NpyFile again = NpyFile::parse(write_npy(array), "again");
    expect(again.array().dtype == array.dtype && again.array().shape == array.shape &&
               again.array().bytes == array.bytes,
           "an array that was read and written differs");
    if (is_integer(array.dtype)) {
      static_cast<void>(integers_of(array, "f"));
    } else {
      static_cast<void>(reals_of(array, "f"));
    }
  } catch (const ContractError&) {
  }
}

std::vector<std::string> seeds() {
  const std::string data(48, 'x');
  const std::string_view view = data;
  std::vector<std::string> out;
  for (const Dtype dtype : {Dtype::kF64, Dtype::kF32, Dtype::kF16, Dtype::kI64, Dtype::kU16, Dtype::kU8}) {
    const std::size_t bytes = element_bytes(dtype);
    out.push_back(write_npy({dtype, {3}, view.substr(0, 3 * bytes)}));
    out.push_back(write_npy({dtype, {2, 3}, view.substr(0, 6 * bytes)}));
  }
  out.push_back(out[1]);
  out.back()[6] = 2;  // version 2: four bytes of header length
  out.back().insert(10, 2, '\0');
  return out;
}

}  // namespace roundtrip::fuzz
