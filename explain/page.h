// Purpose: a trace as one self-contained page, and as JSON. The page loads nothing and can be read from top
// to bottom without scripts; its script only helps to step and to follow a word.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "roundtrip/explain/trace.h"

namespace roundtrip::explain {

/// The trace; keys as documented in docs/explain.md.
nlohmann::ordered_json to_json(const Trace& trace);

/// The page, as UTF-8. What the user wrote is escaped in it.
std::string page(const Trace& trace);

}  // namespace roundtrip::explain
