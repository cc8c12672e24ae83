#include "roundtrip/cli/graphs/lines.h"

namespace roundtrip::cli {

std::optional<std::string_view> Lines::next() {
  std::size_t looked = begin_;
  for (;;) {
    if (after_cr_ && looked < buffer_.size()) {
      after_cr_ = false;
      if (buffer_[looked] == '\n') begin_ = ++looked;
    }
    const std::size_t end = buffer_.find_first_of("\r\n", looked);
    if (end != std::string::npos) {
      const std::string_view line = std::string_view(buffer_).substr(begin_, end - begin_);
      after_cr_ = buffer_[end] == '\r';
      begin_ = end + 1;
      ++number_;
      return line;
    }
    buffer_.erase(0, begin_);
    begin_ = 0;
    looked = buffer_.size();
    if (more_(buffer_)) continue;
    if (buffer_.empty()) return std::nullopt;
    buffer_ += '\n';  // the last line may lack its end
  }
}

std::string_view next_token(std::string_view bytes, std::size_t& position) {
  while (position < bytes.size() && is_space(bytes[position])) ++position;
  const std::size_t begin = position;
  while (position < bytes.size() && !is_space(bytes[position])) ++position;
  return bytes.substr(begin, position - begin);
}

}  // namespace roundtrip::cli
