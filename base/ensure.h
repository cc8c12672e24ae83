// Purpose: assertions. What a caller may get wrong is a ContractError (base/error.h); what only a bug of ours can break
// is held here, where it would otherwise do damage in silence.
//   ensure        always on: a broken one ends the work with an InternalError, exit status 70
//   ensure_debug  in builds with ROUNDTRIP_ASSERTIONS (presets dev and asan): for accessors in inner loops
#pragma once

#include <fmt/format.h>

#include "roundtrip/base/error.h"

namespace roundtrip {

#ifdef ROUNDTRIP_ASSERTIONS
inline constexpr bool kAssertions = true;
#else
inline constexpr bool kAssertions = false;
#endif

/// Throws InternalError, "what" with file and line, unless `condition` holds.
constexpr void ensure(bool condition, const char* what, const char* file = __builtin_FILE(),
                      int line = __builtin_LINE()) {  // clang 14 has no std::source_location
  if (!condition) [[unlikely]]
    throw InternalError(fmt::format("{} ({}:{})", what, file, line));
}

/// The same in builds with assertions, and nothing elsewhere.
constexpr void ensure_debug(bool condition, const char* what, const char* file = __builtin_FILE(),
                            int line = __builtin_LINE()) {
  if constexpr (kAssertions) ensure(condition, what, file, line);
}

}  // namespace roundtrip
