#include "roundtrip/base/quote.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>

namespace roundtrip {
namespace {

std::string hex(char byte) {
  return fmt::format("\\x{:02x}", static_cast<unsigned char>(byte));
}

/// Bytes of the UTF-8 character that `text` begins with (Unicode 15, table 3-7), or 0; `code` is its number.
std::size_t character(std::string_view text, std::uint32_t& code) {
  const auto lead = static_cast<unsigned char>(text[0]);
  const std::size_t size = lead < 0x80   ? 1
                           : lead < 0xc2 ? 0
                           : lead < 0xe0 ? 2
                           : lead < 0xf0 ? 3
                           : lead < 0xf5 ? 4
                                         : 0;
  if (size == 0 || size > text.size()) return 0;
  code = size == 1 ? lead : lead & (0x7fu >> size);
  for (std::size_t i = 1; i < size; ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte >> 6 != 2) return 0;
    code = code << 6 | (byte & 0x3f);
  }
  constexpr std::uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};  // shorter forms exist for what is below
  return code < kLeast[size] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000) ? 0 : size;
}

std::string escape(std::string_view text, bool controls) {
  std::string out;
  while (!text.empty()) {
    std::uint32_t code = 0;
    std::size_t size = character(text, code);
    const bool control = code < 0x20 || (code >= 0x7f && code < 0xa0);
    if (size != 0 && !(controls && control)) {
      out += text.substr(0, size);
    } else {
      size = std::max<std::size_t>(size, 1);
      for (const char byte : text.substr(0, size)) out += hex(byte);
    }
    text.remove_prefix(size);
  }
  return out;
}

}  // namespace

std::string quote(std::string_view text, std::size_t max_bytes) {
  std::string out = "'";
  for (const char c : text.substr(0, max_bytes)) {
    if (c >= ' ' && c <= '~' && c != '\'' && c != '\\') {
      out += c;
    } else {
      out += hex(c);
    }
  }
  return out + (text.size() > max_bytes ? "..'" : "'");
}

std::string valid_utf8(std::string_view text) {
  return escape(text, false);
}

std::string printable(std::string_view text) {
  return escape(text, true);
}

}  // namespace roundtrip
