// Purpose: work that can't fit in memory is refused before the system ends it.
#pragma once

#include <cstdint>
#include <string_view>

namespace roundtrip::cli {

/// ContractError naming what `work` needs unless this host has that much memory left.
void require_memory(std::uint64_t bytes, std::string_view work);

}  // namespace roundtrip::cli
