#include "roundtrip/base/quote.h"

#include <fmt/format.h>

namespace roundtrip {

std::string quote(std::string_view text) {
  constexpr std::size_t kMaxBytes = 80;
  std::string out = "'";
  for (const char c : text.substr(0, kMaxBytes)) {
    if (c >= ' ' && c <= '~' && c != '\'' && c != '\\') {
      out += c;
    } else {
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    }
  }
  return out + (text.size() > kMaxBytes ? "..'" : "'");
}

}  // namespace roundtrip
