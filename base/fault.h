// Purpose: defects seeded in our own code, for `roundtrip verify --faults` to switch on one at a time and to
// find. They are compiled into test builds alone (CMake option ROUNDTRIP_FAULTS); elsewhere seeded() is the
// constant false and the branch that asks it vanishes. What each defect is, and which check must reject it,
// says the list in proofs_check/faults.cpp. Ask in source files only: a header would mean different things to
// our targets and to a user's.
#pragma once

#include <string_view>

#ifdef ROUNDTRIP_FAULTS
#include <atomic>
#include <cstdint>
#endif

namespace roundtrip {

#ifdef ROUNDTRIP_FAULTS
constexpr bool kFaultsCompiledIn = true;
namespace fault_detail {
/// Of a name, by FNV-1a; never 0, which is none.
constexpr std::uint64_t hash(std::string_view name) {
  std::uint64_t hash = 0xcbf29ce484222325u;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return hash | 1;
}
struct Name {
  consteval Name(const char* name) : hash(fault_detail::hash(name)) {}
  std::uint64_t hash;
};
extern std::atomic<std::uint64_t> selected;
}  // namespace fault_detail

/// Whether the defect of this name is the one that is on. A name that the list lacks never is.
[[nodiscard]] inline bool seeded(fault_detail::Name name) {
  return fault_detail::selected.load(std::memory_order_relaxed) == name.hash;
}
#else
constexpr bool kFaultsCompiledIn = false;
[[nodiscard]] constexpr bool seeded(const char*) {
  return false;
}
#endif

/// ContractError, in one line, in a build without defects.
void require_faults();

/// Switches a defect on as long as it lives, process-wide, in test builds; one at a time.
class FaultSwitch {
 public:
  explicit FaultSwitch(std::string_view name);
  ~FaultSwitch();
  FaultSwitch(const FaultSwitch&) = delete;
  FaultSwitch& operator=(const FaultSwitch&) = delete;
};

}  // namespace roundtrip
