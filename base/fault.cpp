#include "roundtrip/base/fault.h"

#include "roundtrip/base/ensure.h"

namespace roundtrip {

void require_faults() {
  require_field(
      kFaultsCompiledIn, "faults",
      "no defects are seeded in this build; they are for tests (cmake -DROUNDTRIP_FAULTS=ON, preset dev)");
}

#ifdef ROUNDTRIP_FAULTS
std::atomic<std::uint64_t> fault_detail::selected = 0;

FaultSwitch::FaultSwitch(std::string_view name) {
  std::uint64_t none = 0;
  ensure(fault_detail::selected.compare_exchange_strong(none, fault_detail::hash(name)),
         "a seeded defect is on already");
}
FaultSwitch::~FaultSwitch() {
  fault_detail::selected = 0;
}
#else
FaultSwitch::FaultSwitch(std::string_view) {
  throw InternalError("this build has no seeded defects");
}
FaultSwitch::~FaultSwitch() = default;
#endif

}  // namespace roundtrip
