// Purpose: reads a whole file that may be hostile: only regular files, and never more memory than the file
// has bytes.
#pragma once

#include <string>

namespace roundtrip::anna {

/// ContractError naming the path and the cause unless `path` is a regular file that can be read.
std::string read_file_bytes(const std::string& path);

}  // namespace roundtrip::anna
