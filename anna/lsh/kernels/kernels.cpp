#include "roundtrip/anna/lsh/kernels/kernels.h"

#include <cstdlib>
#include <string>
#include <string_view>

#include "roundtrip/base/error.h"

namespace roundtrip::anna {

namespace portable {
extern const Kernels kKernels;
}
#ifdef ROUNDTRIP_HAS_AVX2
namespace avx2 {
extern const Kernels kKernels;
}
#endif

#ifdef ROUNDTRIP_HAS_AVX512
namespace avx512 {
extern const Kernels kKernels;
}
#endif

std::vector<HadamardPass> hadamard_passes(std::uint32_t log2_size, std::uint32_t& growth) {
  constexpr std::uint32_t kMaxGrowth = 6;  // stages: a factor of at most 8
  std::vector<HadamardPass> passes;
  for (std::uint32_t left = log2_size; left > 0;) {
    const std::uint32_t stages = left < 3 ? left : 3;
    std::uint32_t shift = 0;
    if (growth + stages > kMaxGrowth) shift = growth / 2, growth -= 2 * shift;
    growth += stages;
    left -= stages;
    passes.push_back({stages, shift});
  }
  return passes;
}

std::span<const Kernels* const> kernels() {
  static const std::vector<const Kernels*> kAll = [] {
    std::vector<const Kernels*> all = {&portable::kKernels};
#ifdef ROUNDTRIP_HAS_AVX2
    if (__builtin_cpu_supports("avx2")) all.push_back(&avx2::kKernels);
#endif
#ifdef ROUNDTRIP_HAS_AVX512
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
      all.push_back(&avx512::kKernels);
#endif
    return all;
  }();
  return kAll;
}

const Kernels& best_kernels() {
  const char* const wanted = std::getenv("ROUNDTRIP_KERNELS");
  if (wanted == nullptr) return *kernels().back();
  std::string names;
  for (const Kernels* known : kernels()) {
    if (std::string_view(known->name) == wanted) return *known;
    names += (names.empty() ? "" : ", ") + std::string(known->name);
  }
  throw ContractError(fmt::format("ROUNDTRIP_KERNELS is {}; allowed here are {}", wanted, names));
}

}  // namespace roundtrip::anna
