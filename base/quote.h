// Purpose: text from a file or a command line inside an error message: one line, printable, of bounded
// length.
#pragma once

#include <string>
#include <string_view>

namespace roundtrip {

/// 'text' in quotes; bytes outside printable ASCII, quotes and backslashes as \xNN; cut with ".." after 80
/// bytes.
std::string quote(std::string_view text);

}  // namespace roundtrip
