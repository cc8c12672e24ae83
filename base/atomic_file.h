// Purpose: outputs are written whole or not at all: to a temporary file beside the target, flushed to disk, renamed.
#pragma once

#include <string>
#include <string_view>

namespace roundtrip {

/// Replaces `path` by `bytes`, or leaves it as it was and throws ContractError naming the path and the cause. A `path`
/// of "-" writes to standard output. Something that is not a regular file (a pipe, /dev/null) is written directly.
void write_whole(const std::string& path, std::string_view bytes);

}  // namespace roundtrip
