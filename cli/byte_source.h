// Purpose: the bytes of an input as they come, from a file, a pipe or standard input. gzip is undone on the way; what
// else is compressed, and text that is not UTF-8 but UTF-16 or UTF-32, is refused by name.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

namespace roundtrip::cli {

class ByteSource {
 public:
  /// What the bytes are: text in ASCII or UTF-8, whose byte order mark is skipped, or anything.
  enum class Content : std::uint8_t { kText, kAny };

  /// Opens `path` ("-": standard input); ContractError naming it otherwise.
  ByteSource(const std::string& path, Content content);
  ~ByteSource();
  ByteSource(const ByteSource&) = delete;
  ByteSource& operator=(const ByteSource&) = delete;

  /// As messages name it: standard input, or the path in quotes.
  const std::string& name() const { return name_; }
  /// Appends at least one byte and at most `most` > 0 of them, those that are there: it waits for the first alone. False
  /// at the end. What is not compressed is read from the source only as far as it is handed out, but for the 6 bytes
  /// that may tell what it is.
  bool read(std::string& bytes, std::size_t most);
  /// Appends all that is left.
  void read_all(std::string& bytes);

 private:
  struct Inflater;
  [[noreturn]] void refuse(const std::string& why) const;
  bool read_stored(std::string& bytes, std::size_t most);
  bool read_plain(std::string& bytes, std::size_t most);
  bool inflate(std::string& bytes, std::size_t most);
  void look_at_start();

  std::string name_;
  Content content_;
  int file_ = -1;
  bool started_ = false;
  std::string stored_, plain_;  ///< looked at, not yet handed out: as stored, and after that was undone
  std::unique_ptr<Inflater> inflater_;
};

}  // namespace roundtrip::cli
