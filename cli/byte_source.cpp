#include "roundtrip/cli/byte_source.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <span>
#include <string_view>
#include <utility>

#include "roundtrip/base/error.h"
#include "roundtrip/base/quote.h"
#include "roundtrip/cli/memory.h"

namespace roundtrip::cli {
namespace {

using namespace std::string_view_literals;

constexpr std::size_t kChunkBytes = std::size_t{1} << 20;

struct Signature {
  std::string_view bytes;
  std::string_view name;
};
constexpr std::string_view kGzip = "gzip";
constexpr Signature kCompressed[] = {{"\x1f\x8b", kGzip},
                                     {"\xfd"
                                      "7zXZ\0"sv,
                                      "xz"},
                                     {"\x28\xb5\x2f\xfd", "zstd"},
                                     {"BZh", "bzip2"},
                                     {"\x04\x22\x4d\x18", "lz4"},
                                     {"PK\x03\x04", "zip"},
                                     {"7z\xbc\xaf\x27\x1c", "7z"},
                                     {"LZIP", "lzip"},
                                     {"\x1f\x9d", "compress"},
                                     {"Rar!\x1a\x07", "rar"},
                                     {"\x5d\0\0"sv, "lzma"}};
constexpr std::string_view kUtf8 = "UTF-8";
constexpr Signature kEncodings[] = {{"\xef\xbb\xbf", kUtf8},
                                    {"\xff\xfe", "UTF-16"},
                                    {"\xfe\xff", "UTF-16"},
                                    {"\xff\xfe\0\0"sv, "UTF-32"},
                                    {"\0\0\xfe\xff"sv, "UTF-32"}};

/// The longest of `known` that the bytes begin with; `head` has those that were needed to tell. `more` appends a byte.
template <typename More>
const Signature* start_of(std::span<const Signature> known, std::string& head, More&& more) {
  const auto open = [&](const Signature& one) {
    return one.bytes.size() > head.size() && one.bytes.starts_with(head);
  };
  while (std::ranges::any_of(known, open) && more()) {
  }
  const Signature* found = nullptr;
  for (const Signature& one : known) {
    if (head.starts_with(one.bytes) && (found == nullptr || one.bytes.size() > found->bytes.size()))
      found = &one;
  }
  return found;
}

/// Moves at most `most` bytes from the front of `from`.
bool hand_out(std::string& from, std::string& to, std::size_t most) {
  to.append(from, 0, most);
  from.erase(0, most);
  return true;
}

}  // namespace

struct ByteSource::Inflater {
  z_stream stream{};
  std::string input;
  unsigned member = 1;    // of the file, from 1
  bool finished = false;  // that member

  Inflater() {
    constexpr int kGzipWindow = 15 + 16;
    if (::inflateInit2(&stream, kGzipWindow) != Z_OK) throw std::bad_alloc();
  }
  ~Inflater() { ::inflateEnd(&stream); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;
};

ByteSource::ByteSource(const std::string& path, Content content)
    : name_(path == "-" ? "standard input" : quote(path, kMaxPathBytes)), content_(content) {
  file_ = path == "-" ? ::dup(STDIN_FILENO) : ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY);
  struct stat facts = {};
  if (file_ < 0 || ::fstat(file_, &facts) != 0) refuse(std::strerror(errno));
  if (S_ISDIR(facts.st_mode)) refuse("it is a directory");
}

ByteSource::~ByteSource() {
  if (file_ >= 0) ::close(file_);
}

void ByteSource::refuse(const std::string& why) const {
  throw ContractError(fmt::format("cannot read {}: {}", name_, why));
}

bool ByteSource::read_stored(std::string& bytes, std::size_t most) {
  if (!stored_.empty()) return hand_out(stored_, bytes, most);
  const std::size_t used = bytes.size();
  if (used + most > bytes.capacity()) require_memory(most, name_);
  bytes.resize(used + most);
  for (;;) {
    const ssize_t got = ::read(file_, bytes.data() + used, most);
    if (got >= 0) {
      bytes.resize(used + static_cast<std::size_t>(got));
      return got > 0;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN) refuse(std::strerror(errno));
    pollfd waiting = {file_, POLLIN, 0};
    ::poll(&waiting, 1, -1);  // if it fails, so does read()
  }
}

bool ByteSource::inflate(std::string& bytes, std::size_t most) {
  Inflater& it = *inflater_;
  const auto damaged = [&] {
    refuse("its gzip data are damaged or cut short" +
           (it.member > 1 ? fmt::format(", in member {}", it.member) : std::string()));
  };
  const std::size_t used = bytes.size();
  if (used + most > bytes.capacity()) require_memory(most, name_);
  bytes.resize(used + most);
  for (;;) {
    if (it.stream.avail_in == 0) {
      it.input.clear();
      const bool more = read_stored(it.input, std::clamp<std::size_t>(most, 512, 1 << 16));
      it.stream.next_in = reinterpret_cast<Bytef*>(it.input.data());
      it.stream.avail_in = static_cast<uInt>(it.input.size());
      if (!more) {
        if (!it.finished) damaged();
        bytes.resize(used);
        return false;
      }
    }
    if (it.finished && *it.stream.next_in == 0) {  // padding, as tapes have it
      const Bytef* const begin = it.stream.next_in;
      if (std::any_of(begin, begin + it.stream.avail_in, [](Bytef byte) { return byte != 0; })) {
        ++it.member;
        damaged();
      }
      it.stream.avail_in = 0;
      continue;
    }
    if (it.finished) {
      it.finished = false;
      ++it.member;
      ::inflateReset(&it.stream);
    }
    constexpr std::size_t kMaxBytesAtOnce = std::size_t{1} << 30;  // zlib counts in 32 bits
    it.stream.next_out = reinterpret_cast<Bytef*>(bytes.data() + used);
    it.stream.avail_out = static_cast<uInt>(std::min(most, kMaxBytesAtOnce));
    const int status = ::inflate(&it.stream, Z_NO_FLUSH);
    if (status == Z_MEM_ERROR) throw std::bad_alloc();
    if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR) damaged();
    it.finished = status == Z_STREAM_END;
    const std::size_t got = std::min(most, kMaxBytesAtOnce) - it.stream.avail_out;
    if (got == 0) continue;
    bytes.resize(used + got);
    return true;
  }
}

bool ByteSource::read_plain(std::string& bytes, std::size_t most) {
  if (!plain_.empty()) return hand_out(plain_, bytes, most);
  return inflater_ != nullptr ? inflate(bytes, most) : read_stored(bytes, most);
}

void ByteSource::look_at_start() {
  std::string head;
  const auto stored_byte = [&] { return read_stored(head, 1); };
  const Signature* const compressed = start_of(kCompressed, head, stored_byte);
  stored_ = std::exchange(head, {});
  if (compressed != nullptr && compressed->name == kGzip) {
    inflater_ = std::make_unique<Inflater>();
  } else if (compressed != nullptr && content_ == Content::kText) {
    refuse(fmt::format("it is compressed by {}; gzip alone is undone here", compressed->name));
  }
  if (content_ != Content::kText) return;
  const auto byte = [&] { return read_plain(head, 1); };
  const Signature* const encoding = start_of(kEncodings, head, byte);
  if (encoding != nullptr && encoding->name != kUtf8)
    refuse(fmt::format("it is {} text; ASCII and UTF-8 are read", encoding->name));
  plain_ = head.substr(encoding != nullptr ? encoding->bytes.size() : 0);
}

bool ByteSource::read(std::string& bytes, std::size_t most) {
  if (!std::exchange(started_, true)) look_at_start();
  return read_plain(bytes, most);
}

void ByteSource::read_all(std::string& bytes) {
  struct stat facts = {};
  // One byte more than the size, so that the end of a regular file is seen without growing.
  const bool regular = ::fstat(file_, &facts) == 0 && S_ISREG(facts.st_mode);
  const std::size_t expected = regular ? static_cast<std::size_t>(facts.st_size) + 1 : 0;
  const auto room = [&] {
    return bytes.size() < expected ? expected - bytes.size() : std::max(kChunkBytes, bytes.size());
  };
  while (read(bytes, room())) {
  }
}

}  // namespace roundtrip::cli
