// Purpose: what every mechanism asks of its input before it reads it: a broken head ends in one clear line.
#pragma once

#include <cstdint>

#include "roundtrip/anna/attention/attention.h"

namespace roundtrip::anna {

/// What check_head() found about the values of a head.
struct ValueRange {
  bool zeros = false;      ///< some entry is 0
  bool fits_int64 = true;  ///< max |v| * N' * ell < 2^62: no sum of values over all tables can leave int64
};

/// ContractError naming what is wrong unless tokens ascend below N', symbols lie in the codebook, columns
/// ascend, values are integers below 2^53 in magnitude and N' * tables < 2^62. Cost: linear in what is
/// listed.
ValueRange check_head(const Codebook& codebook, const HeadInput& head, std::uint32_t tables);

}  // namespace roundtrip::anna
