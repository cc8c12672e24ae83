#include "mpc/parameters.h"

#include "base/error.h"

namespace roundtrip::mpc {

std::uint64_t block_words(const Parameters& parameters, std::uint64_t kappa_s) {
  if (parameters.memory_words) return *parameters.memory_words / kappa_s;
  return ceil_power(parameters.n, parameters.epsilon);
}

}  // namespace roundtrip::mpc
