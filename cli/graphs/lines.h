// Purpose: lines of bytes that arrive bit by bit, ended by LF, CR LF or CR.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace roundtrip::cli {

class Lines {
 public:
  /// `more` appends at least one byte, or returns false at the end.
  explicit Lines(std::function<bool(std::string&)> more) : more_(std::move(more)) {}

  /// The next line without its end; nullopt after the last. Lives until the next call.
  std::optional<std::string_view> next();
  /// Of the line that next() returned, from 1.
  std::uint64_t number() const { return number_; }

 private:
  std::function<bool(std::string&)> more_;
  std::string buffer_;
  std::size_t begin_ = 0;  // of what is not handed out
  bool after_cr_ = false;  // an LF that comes next belongs to the line before
  std::uint64_t number_ = 0;
};

constexpr bool is_space(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}
/// The next maximal run of bytes that are not ASCII white space, from `position` on, which moves behind it; empty at the
/// end.
std::string_view next_token(std::string_view bytes, std::size_t& position);

}  // namespace roundtrip::cli
