#include "roundtrip/base/npy.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <optional>
#include <utility>
#include <vector>

#include "roundtrip/base/error.h"
#include "roundtrip/base/quote.h"
#include "roundtrip/base/read_file.h"

namespace roundtrip {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr std::uint64_t kMaxHeaderBytes = 65535;

// The header is a Python literal: {'descr': '<f8', 'fortran_order': False, 'shape': (3, 4), }
class HeaderParser {
 public:
  HeaderParser(std::string_view text, const std::string& path) : rest_(text), path_(path) {}

  std::optional<std::string> descr;
  std::optional<bool> fortran_order;
  std::optional<std::vector<std::uint64_t>> shape;

  void parse() {
    expect('{');
    while (!accept('}')) {
      const std::string name = text();
      expect(':');
      if (name == "descr" && !descr) {
        descr = text();
      } else if (name == "fortran_order" && !fortran_order) {
        fortran_order = truth();
      } else if (name == "shape" && !shape) {
        shape = tuple();
      } else {
        fail("has the field " + quote(name) + ", which is unknown or there twice");
      }
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    skip_space();
    if (!rest_.empty()) fail("goes on after its '}'");
    if (!descr || !fortran_order || !shape) fail("lacks descr, fortran_order or shape");
  }

  [[noreturn]] void fail(const std::string& message) const {
    throw ContractError(fmt::format("{}: the header {}", quote(path_), message));
  }

 private:
  void skip_space() {
    while (!rest_.empty() && (rest_[0] == ' ' || rest_[0] == '\n' || rest_[0] == '\t'))
      rest_.remove_prefix(1);
  }
  bool accept(char c) {
    skip_space();
    if (rest_.empty() || rest_[0] != c) return false;
    return rest_.remove_prefix(1), true;
  }
  void expect(char c) {
    if (!accept(c)) fail(fmt::format("has {} where '{}' is needed", quote(rest_.substr(0, 20)), c));
  }
  std::string text() {
    skip_space();
    const char mark = rest_.empty() ? ' ' : rest_[0];
    const std::size_t end = mark == '\'' || mark == '"' ? rest_.find(mark, 1) : std::string_view::npos;
    if (end == std::string_view::npos) fail("has " + quote(rest_.substr(0, 20)) + " where a text is needed");
    std::string out(rest_.substr(1, end - 1));
    rest_.remove_prefix(end + 1);
    return out;
  }
  bool truth() {
    skip_space();
    for (const std::string_view word : {"False", "True"}) {
      if (!rest_.starts_with(word)) continue;
      rest_.remove_prefix(word.size());
      return word == "True";
    }
    fail("has " + quote(rest_.substr(0, 20)) + " where True or False is needed");
  }
  std::vector<std::uint64_t> tuple() {
    std::vector<std::uint64_t> out;
    expect('(');
    while (!accept(')')) {
      skip_space();
      std::uint64_t extent = 0;
      const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), extent);
      if (error != std::errc())
        fail("has " + quote(rest_.substr(0, 30)) + " where an extent below 2^64 is needed");
      rest_.remove_prefix(static_cast<std::size_t>(end - rest_.data()));
      out.push_back(extent);
      if (!accept(',')) {
        expect(')');
        break;
      }
    }
    return out;
  }

  std::string_view rest_;
  const std::string& path_;
};

/// `data` of elements of `size` bytes with the bytes of each in the other order.
std::string swapped(std::string_view data, std::size_t size) {
  std::string out(data);
  for (std::size_t i = 0; i < out.size(); i += size) std::reverse(out.data() + i, out.data() + i + size);
  return out;
}

/// `data` of `shape`, first index fastest, as it is with the last index fastest.
std::string in_c_order(std::string_view data, const std::vector<std::uint64_t>& shape, std::size_t size) {
  std::string out;
  out.reserve(data.size());
  std::vector<std::uint64_t> index(shape.size());
  for (std::size_t count = data.size() / size; count > 0; --count) {
    std::uint64_t at = 0;
    for (std::size_t d = shape.size(); d-- > 0;) at = at * shape[d] + index[d];
    out += data.substr(at * size, size);
    for (std::size_t d = shape.size(); d-- > 0 && ++index[d] == shape[d];) index[d] = 0;
  }
  return out;
}

}  // namespace

NpyFile NpyFile::parse(std::string bytes, const std::string& path, Layout layout) {
  NpyFile file;
  file.bytes_ = std::make_unique<const std::string>(std::move(bytes));
  const std::string_view all = *file.bytes_;
  require(all.starts_with(kMagic) && all.size() >= kMagic.size() + 2,
          "{} is not an .npy file: it does not begin with {}", quote(path), quote(kMagic));
  const int version = static_cast<unsigned char>(all[kMagic.size()]);
  require(version >= 1 && version <= 3, "{} has .npy version {}; allowed are 1 .. 3", quote(path), version);
  const std::size_t length_bytes = version == 1 ? 2 : 4, begin = kMagic.size() + 2 + length_bytes;
  require(all.size() >= begin, "{}: {} bytes end within the header's length", quote(path), all.size());
  std::uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, all.data() + begin - length_bytes, length_bytes);
  require(header_bytes <= all.size() - begin && header_bytes <= kMaxHeaderBytes,
          "{}: the header claims {} bytes; the file has {} behind its length, and at most {} are allowed",
          quote(path), header_bytes, all.size() - begin, kMaxHeaderBytes);
  HeaderParser header(all.substr(begin, header_bytes), path);
  header.parse();
  const bool any = layout == Layout::kAny, big_endian = any && header.descr->starts_with('>');
  const std::string little = big_endian ? "<" + header.descr->substr(1) : *header.descr;
  const std::optional<Dtype> dtype = dtype_of(little);
  if (!dtype || numpy_name(*dtype) != little) {
    header.fail("has the dtype " + quote(*header.descr) + "; " + (any ? "" : "little-endian ") +
                "f2 f4 f8 i1..i8 u1..u8 and b1 are read");
  }
  const std::size_t dimensions = header.shape->size(), most = any ? 4 : 2;
  if (dimensions < 1 || dimensions > most)
    header.fail(fmt::format("has {} dimensions; 1 {} {} are read", dimensions, any ? "to" : "or", most));
  if (*header.fortran_order && dimensions >= 2 && !any) {
    header.fail("has fortran_order True; write the array in C order (numpy.ascontiguousarray)");
  }
  for (const std::uint64_t extent : *header.shape) {
    if (extent == 0) header.fail("has an extent of 0; at least 1 is needed");  // or 2^59 rows of nothing
  }
  const std::string_view data = all.substr(begin + header_bytes);
  std::uint64_t size = 0;
  if (!tensor_bytes(*dtype, *header.shape, size) || size != data.size()) {
    header.fail(fmt::format("has shape ({}) of {}, which are not the {} bytes behind it",
                            fmt::join(*header.shape, ", "), *header.descr, data.size()));
  }
  std::unique_ptr<const std::string> ordered;
  const auto reorder = [&](std::string other) {
    ordered = std::make_unique<const std::string>(std::move(other));
  };
  if (big_endian) reorder(swapped(data, element_bytes(*dtype)));
  if (*header.fortran_order && dimensions >= 2)
    reorder(in_c_order(ordered ? *ordered : data, *header.shape, element_bytes(*dtype)));
  file.array_ = {*dtype, std::move(*header.shape), ordered ? std::string_view(*ordered) : data};
  if (ordered) file.bytes_ = std::move(ordered);
  return file;
}

std::uint64_t NpyFile::heads() const {
  std::uint64_t heads = 1;
  for (std::size_t d = 0; d + 2 < array_.shape.size(); ++d) heads *= array_.shape[d];
  return heads;
}

TensorView NpyFile::head(std::uint64_t index) const {
  const std::size_t bytes = array_.bytes.size() / heads();
  return {array_.dtype, {rows(), columns()}, array_.bytes.substr(index * bytes, bytes)};
}

NpyFile NpyFile::load(const std::string& path) {
  return parse(read_whole(path), path);
}

std::string write_npy(const TensorView& array) {
  std::uint64_t size = 0;
  require((array.shape.size() == 1 || array.shape.size() == 2) && !numpy_name(array.dtype).empty() &&
              tensor_bytes(array.dtype, array.shape, size) && size == array.bytes.size(),
          "an array of {} dimensions, dtype {} and {} bytes cannot be written as .npy", array.shape.size(),
          dtype_name(array.dtype), array.bytes.size());
  std::string header =
      fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({},{}), }}", numpy_name(array.dtype),
                  array.shape[0], array.shape.size() == 2 ? fmt::format(" {}", array.shape[1]) : "");
  // The data begin at a multiple of 64, as numpy has it; the header ends with a newline.
  const std::size_t before = kMagic.size() + 4;
  header.resize((before + header.size() + 1 + 63) / 64 * 64 - before - 1, ' ');
  header += '\n';
  std::string out(kMagic);
  out += {'\1', '\0', static_cast<char>(header.size() & 255), static_cast<char>(header.size() >> 8)};
  out += header;
  out += array.bytes;
  return out;
}

}  // namespace roundtrip
