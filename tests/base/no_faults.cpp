// Compiled as a release is, without ROUNDTRIP_FAULTS: no defect can be on, and who asks for one is refused.
#include <cstring>

#include "roundtrip/base/error.h"
#include "roundtrip/base/fault.h"

static_assert(!roundtrip::kFaultsCompiledIn);
static_assert(!roundtrip::seeded("send-limit"));  // a constant: the branches that ask vanish

int main() {
  try {
    roundtrip::require_faults();
  } catch (const roundtrip::ContractError& error) {  // exit status 2
    return error.field() == "faults" && std::strchr(error.what(), '\n') == nullptr ? 0 : 1;
  }
  return 1;
}
