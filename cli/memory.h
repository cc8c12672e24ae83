// Purpose: work that can't fit in memory is refused before the system ends it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string_view>

namespace roundtrip::mpc {
class Transport;
}

namespace roundtrip::cli {

/// Bytes of memory that this host may still give to this process and to others beside it: the least of what it has
/// and of what the process's control group and each group above it may still take (versions 1 and 2; files that
/// they cache are given back first). Empty if the system doesn't say. `root` stands for / in tests.
std::optional<std::uint64_t> available_bytes(const std::filesystem::path& root = "/");

/// Collective. Counts the ranks of `transport` that run on this host; until then it is one.
void count_ranks_here(mpc::Transport& transport);

/// ContractError naming what `work` needs unless this host may still give that: `bytes` for this rank alone, and
/// `each` for every rank that runs here. Limits on this process's addresses (ulimit -v) count as well.
void require_memory(std::uint64_t bytes, std::string_view work, std::uint64_t each = 0);

}  // namespace roundtrip::cli
