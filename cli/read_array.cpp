#include "roundtrip/cli/read_array.h"

#include <zlib.h>

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <string_view>
#include <utility>
#include <vector>

#include "roundtrip/base/error.h"
#include "roundtrip/base/quote.h"
#include "roundtrip/cli/byte_source.h"
#include "roundtrip/cli/memory.h"

namespace roundtrip::cli {
namespace {

constexpr std::string_view kEnding = ".npz:";
constexpr std::string_view kArchive = "PK\x03\x04";

/// Archives as numpy writes them: zip (PKWARE's APPNOTE 6.3, sections 4.3.7, 4.3.12, 4.3.16), members stored or deflated,
/// below 4 GiB. Every number is checked before it is used.
class Archive {
 public:
  Archive(std::string_view bytes, std::string path) : bytes_(bytes), path_(std::move(path)) {
    const std::size_t end = bytes.rfind("PK\x05\x06");
    if (end == std::string_view::npos) damaged();
    std::uint64_t at = number(end + 16, 4);
    for (std::uint64_t left = number(end + 10, 2); left > 0; --left) {
      if (text(at, 4) != "PK\x01\x02") damaged();
      const std::uint64_t name = number(at + 28, 2);
      members_.push_back({std::string(text(at + 46, name)), at});
      at += 46 + name + number(at + 30, 2) + number(at + 32, 2);
    }
  }

  /// The bytes of `member` with or without .npy, or of the only one if that is empty.
  std::string member(std::string_view member) const {
    std::string names;
    for (const auto& [name, entry] : members_) {
      const std::string_view stem =
          name.ends_with(".npy") ? std::string_view(name).substr(0, name.size() - 4) : name;
      if (member.empty() ? members_.size() == 1 : stem == member || name == member)
        return extract(name, entry);
      names += (names.empty() ? "" : ", ") + std::string(stem);
    }
    throw ContractError(fmt::format("{}: give one of its members as FILE.npz:MEMBER; it has {}",
                                    quote(path_, kMaxPathBytes), names.empty() ? "none" : printable(names)));
  }

 private:
  [[noreturn]] void damaged() const {
    throw ContractError(quote(path_, kMaxPathBytes) + " is a damaged .npz archive");
  }

  std::string_view text(std::uint64_t at, std::uint64_t size) const {
    if (at > bytes_.size() || size > bytes_.size() - at) damaged();
    return bytes_.substr(at, size);
  }
  std::uint64_t number(std::uint64_t at, std::size_t size) const {
    std::uint64_t value = 0;  // little-endian, as this machine is (base/tensor.cpp)
    std::memcpy(&value, text(at, size).data(), size);
    return value;
  }

  std::string extract(const std::string& name, std::uint64_t entry) const {
    const std::uint64_t flags = number(entry + 8, 2), method = number(entry + 10, 2),
                        crc = number(entry + 16, 4), stored = number(entry + 20, 4),
                        size = number(entry + 24, 4), local = number(entry + 42, 4);
    constexpr std::uint64_t kLarge = 0xffffffff;
    require(
        (flags & 1) == 0 && (method == 0 || method == 8) && stored != kLarge && size != kLarge &&
            local != kLarge,
        "{}: member {} is encrypted, of 4 GiB or more, or packed by method {}; stored and deflated ones are read",
        quote(path_, kMaxPathBytes), quote(name), method);
    if (text(local, 4) != kArchive) damaged();
    const std::string_view data = text(local + 30 + number(local + 26, 2) + number(local + 28, 2), stored);
    require_memory(size, quote(path_, kMaxPathBytes));
    std::string out(method == 0 ? data : std::string_view());
    if (method == 8) {
      out.resize(size);
      z_stream stream{};
      constexpr int kRawWindow = -15;
      if (::inflateInit2(&stream, kRawWindow) != Z_OK) throw std::bad_alloc();
      stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(data.data()));  // zlib does not write to it
      stream.avail_in = static_cast<uInt>(data.size());
      stream.next_out = reinterpret_cast<Bytef*>(out.data());
      stream.avail_out = static_cast<uInt>(size);
      const int status = ::inflate(&stream, Z_FINISH);
      const bool whole = status == Z_STREAM_END && stream.avail_out == 0;
      ::inflateEnd(&stream);
      if (!whole) damaged();
    }
    if (out.size() != size || ::crc32_z(0, reinterpret_cast<const Bytef*>(out.data()), out.size()) != crc)
      damaged();
    return out;
  }

  std::string_view bytes_;
  std::string path_;
  std::vector<std::pair<std::string, std::uint64_t>> members_;  // name and central header's place
};

}  // namespace

std::string file_of_array(const std::string& name) {
  const std::size_t at = name.rfind(kEnding);
  std::error_code ignored;
  const bool member = at != std::string::npos && !std::filesystem::exists(name, ignored);
  return member ? name.substr(0, at + kEnding.size() - 1) : name;
}

NpyFile read_array(const std::string& name) {
  const std::string path = file_of_array(name);
  const std::string member = path == name ? "" : name.substr(path.size() + 1);
  ByteSource source(path, ByteSource::Content::kAny);
  std::string bytes;
  source.read_all(bytes);
  if (bytes.starts_with(kArchive)) bytes = Archive(bytes, path).member(member);
  return NpyFile::parse(std::move(bytes), name, NpyFile::Layout::kAny);
}

}  // namespace roundtrip::cli
