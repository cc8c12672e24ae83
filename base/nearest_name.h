// Purpose: "did you mean": the known name nearest to what was typed, for protocols, flags, subcommands and
// theorems.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace roundtrip {

/// The name of least edit distance (insertions, deletions, substitutions, swaps of neighbours) to `typed`,
/// the first of them on a tie; empty if `names` is empty.
[[nodiscard]] std::string nearest_name(std::string_view typed, std::span<const std::string> names);

}  // namespace roundtrip
