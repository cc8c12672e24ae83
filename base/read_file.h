// Purpose: reads a whole file that may be hostile: only regular files, and never more memory than the file
// has bytes.
#pragma once

#include <string>

namespace roundtrip {

/// ContractError naming the path and the cause unless `path` is a regular file that can be read. Never waits.
std::string read_whole(const std::string& path);

}  // namespace roundtrip
