// Purpose: text from a file or a command line inside a message or a report: printable, and on one line.
#pragma once

#include <string>
#include <string_view>

namespace roundtrip {

inline constexpr std::size_t kMaxPathBytes = 4096;  // PATH_MAX

/// 'text' in quotes; bytes outside printable ASCII, quotes and backslashes as \xNN; cut with ".." after
/// `max_bytes`.
std::string quote(std::string_view text, std::size_t max_bytes = 80);

/// `text` with every byte that belongs to no UTF-8 character as \xNN: what JSON can hold.
std::string valid_utf8(std::string_view text);
/// The same with control characters, which a terminal would obey, as \xNN too.
std::string printable(std::string_view text);

}  // namespace roundtrip
