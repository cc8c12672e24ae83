#include "roundtrip/anna/files/safetensors.h"

#include "fuzz/target.h"
#include "roundtrip/base/error.h"

namespace roundtrip::fuzz {

void try_bytes(std::string_view bytes) {
  try {
    const auto file = anna::SafetensorsFile::parse(std::string(bytes), "f");
    for (const auto& [name, tensor] : file.tensors()) {
      try {
        const std::size_t elements =
            is_integer(tensor.dtype) ? integers_of(tensor, name).size() : reals_of(tensor, name).size();
        expect(elements * element_bytes(tensor.dtype) == tensor.bytes.size(),
               "elements and bytes of a tensor differ");
      } catch (const ContractError&) {  // a U64 beyond 63 bits
      }
    }
    const auto again =
        anna::SafetensorsFile::parse(anna::write_safetensors(file.tensors(), file.metadata()), "again");
    expect(again.metadata() == file.metadata() && again.tensors().size() == file.tensors().size(),
           "what was read and written differs");
    for (const auto& [name, tensor] : file.tensors()) {
      const TensorView& copy = again.tensor(name);
      expect(copy.dtype == tensor.dtype && copy.shape == tensor.shape && copy.bytes == tensor.bytes,
             "a tensor that was read and written differs");
    }
  } catch (const ContractError&) {
  }
}

std::vector<std::string> seeds() {
  const std::string data(64, 'x');
  const std::string_view view = data;
  return {anna::write_safetensors({}),
          anna::write_safetensors({{"a", {Dtype::kF32, {2, 3}, view.substr(0, 24)}},
                                   {"b", {Dtype::kU8, {5}, view.substr(0, 5)}},
                                   {"empty", {Dtype::kI64, {0, 4}, ""}}},
                                  {{"key", "value"}}),
          anna::write_safetensors({{"c", {Dtype::kBf16, {}, view.substr(0, 2)}},
                                   {"d", {Dtype::kI64, {1, 2, 1}, view.substr(0, 16)}},
                                   {"e", {Dtype::kF16, {3}, view.substr(0, 6)}}})};
}

}  // namespace roundtrip::fuzz
