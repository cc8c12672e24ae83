#include "roundtrip/cli/input.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <limits>
#include <utility>

#include "roundtrip/base/error.h"
#include "roundtrip/base/npy.h"
#include "roundtrip/base/random.h"
#include "roundtrip/cli/edge_list.h"
#include "roundtrip/cli/memory.h"

namespace roundtrip::cli {
namespace {

struct FormatName {
  std::string_view name;
  std::string_view unit;  ///< what there are N of
};
// By Format.
constexpr std::array<FormatName, 5> kFormats{{
    {"numbers", "numbers"},
    {"words", "words"},
    {"bytes", "bytes"},
    {"npy", "numbers"},
    {"edges", "ends of edges"},
}};

constexpr std::int64_t kMin = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t kGreatest = std::numeric_limits<std::int64_t>::max();

/// `token` for an error line: shortened, and every byte that is not printable ASCII escaped.
std::string shown(std::string_view token) {
  constexpr std::size_t kMaxBytes = 40;
  std::string text;
  for (const char c : token.substr(0, kMaxBytes)) {
    if (c >= ' ' && c <= '~') {
      text += c;
    } else {
      text += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    }
  }
  return token.size() > kMaxBytes ? text + "..." : text;
}

std::uint64_t line_of(std::string_view bytes, std::string_view token) {
  return 1 + static_cast<std::uint64_t>(std::count(bytes.data(), token.data(), '\n'));
}

/// An open file, closed on every way out.
struct File {
  int descriptor;
  ~File() {
    if (descriptor >= 0) ::close(descriptor);
  }
};

/// All bytes of a file, decompressed by zlib if they start as gzip.
std::string read_bytes(const std::string& path, const std::string& name) {
  const auto refuse = [&](const char* why) {
    throw ContractError(fmt::format("cannot read {}: {}", name, why));
  };
  File file{path == "-" ? ::dup(STDIN_FILENO) : ::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  struct stat facts = {};
  if (file.descriptor < 0 || ::fstat(file.descriptor, &facts) != 0) refuse(std::strerror(errno));
  if (S_ISDIR(facts.st_mode)) refuse("it is a directory");
  const std::unique_ptr<gzFile_s, int (*)(gzFile)> stream(::gzdopen(file.descriptor, "rb"), ::gzclose);
  if (stream == nullptr) throw std::bad_alloc();
  file.descriptor = -1;  // the stream's now
  std::string bytes;
  constexpr std::size_t kChunkBytes = std::size_t{1} << 20;
  constexpr std::size_t kMaxBytesAtOnce = std::size_t{1} << 30;  // zlib counts in 32 bits
  // One byte more than the size, so that the end of a regular file is seen without growing.
  std::size_t room = S_ISREG(facts.st_mode) ? static_cast<std::size_t>(facts.st_size) + 1 : kChunkBytes;
  std::size_t used = 0;
  for (;;) {
    if (used + room > bytes.size()) require_memory(room, name);
    bytes.resize(std::max(bytes.size(), used + room));
    const int got = ::gzread(stream.get(), bytes.data() + used,
                             static_cast<unsigned>(std::min(bytes.size() - used, kMaxBytesAtOnce)));
    if (got > 0) {
      used += static_cast<std::size_t>(got);
      room = used < bytes.size() ? 0 : std::max(kChunkBytes, used);
      continue;
    }
    int error = Z_OK;
    ::gzerror(stream.get(), &error);
    if (error == Z_ERRNO) refuse(std::strerror(errno));
    if (error == Z_MEM_ERROR) throw std::bad_alloc();
    if (error != Z_OK) refuse("its gzip data are damaged or cut short");
    break;
  }
  bytes.resize(used);
  return bytes;
}

}  // namespace

std::vector<std::string> format_names() {
  std::vector<std::string> names;
  for (const FormatName& format : kFormats) names.emplace_back(format.name);
  return names;
}

Format format_of(std::string_view name) {
  const auto* const found = std::ranges::find(kFormats, name, &FormatName::name);
  require(found != kFormats.end(), "format '{}' is none of {}", name, fmt::join(format_names(), ", "));
  return static_cast<Format>(found - kFormats.begin());
}

Input Input::read(const std::string& path, Format format, std::optional<std::uint64_t> limit) {
  Input input;
  input.name_ = path == "-" ? "standard input" : fmt::format("'{}'", path);
  input.format_ = format;
  auto bytes = std::make_unique<std::string>(read_bytes(path, input.name_));
  if (format == Format::kNpy) {
    input.values_ = integers_of(NpyFile::parse(std::move(*bytes), path).array(), path);
  }
  input.bytes_ = std::move(bytes);
  const std::uint64_t most = limit.value_or(std::numeric_limits<std::uint64_t>::max());
  switch (format) {
    case Format::kNumbers:
      input.parse_numbers(most);
      break;
    case Format::kWords:
      input.parse_words(most);
      break;
    case Format::kBytes:
      for (const char c : std::string_view(*input.bytes_).substr(0, most)) {
        input.values_.push_back(static_cast<unsigned char>(c));
      }
      break;
    case Format::kNpy:
      input.values_.resize(std::min<std::uint64_t>(input.values_.size(), most));
      break;
    case Format::kEdges:
      require(most % 2 == 0 || !limit, "--n {}: edges are two words each, give an even number", most);
      input.parse_edges(most);
      break;
  }
  const std::string_view unit = kFormats.at(static_cast<std::size_t>(format)).unit;
  require(!input.values_.empty(), "{} holds no {}", input.name_, unit);
  require(!limit || input.size() == *limit, "--n {}: {} holds only {} {}", limit.value_or(0), input.name_,
          input.size(), unit);
  return input;
}

Input Input::generate(const mpc::ProtocolInfo& protocol, const mpc::Parameters& parameters) {
  Input input;
  if (protocol.generate) {
    input.values_ = protocol.generate(parameters);
  } else {
    input.values_.resize(parameters.n);
    RandomStream stream(parameters.seed, Domain::kInstance);
    for (std::int64_t& value : input.values_) value = static_cast<std::int64_t>(stream.below(parameters.n));
  }
  if (input.size() != parameters.n)
    throw InternalError("the protocol generated another number of values than asked for");
  return input;
}

void Input::parse_numbers(std::uint64_t limit) {
  std::size_t position = 0;
  while (values_.size() < limit) {
    const std::string_view token = next_token(*bytes_, position);
    if (token.empty()) return;
    const bool plus = token.size() > 1 && token[0] == '+' && token[1] != '-';
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(token.data() + plus, token.data() + token.size(), value);
    // Not require(): its arguments are evaluated even if all is well, and the line is a walk over all bytes.
    if (end != token.data() + token.size() || error == std::errc::invalid_argument) {
      throw ContractError(fmt::format(
          "{} line {}: '{}' is not a number (format numbers: signed decimals separated by white space)",
          name_, line_of(*bytes_, token), shown(token)));
    }
    // Beyond 64 bits is beyond any protocol's input width: encode() refuses it, with the width known then.
    if (error == std::errc::result_out_of_range) value = token[0] == '-' ? kMin : kGreatest;
    values_.push_back(value);
  }
}

void Input::parse_words(std::uint64_t limit) {
  Numbering numbers;
  std::size_t position = 0;
  while (values_.size() < limit) {
    const std::string_view token = next_token(*bytes_, position);
    if (token.empty()) return;
    add_name(token, numbers);
  }
}

void Input::parse_edges(std::uint64_t limit) {
  Numbering numbers;
  for_each_edge(*bytes_, name_, [&](std::string_view u, std::string_view v) {
    add_name(u, numbers);
    add_name(v, numbers);
    return values_.size() < limit;
  });
}

void Input::add_name(std::string_view name, Numbering& numbers) {
  const auto [entry, fresh] = numbers.try_emplace(name, static_cast<std::int64_t>(words_.size()));
  if (fresh) words_.push_back(name);
  values_.push_back(entry->second);
}

std::vector<mpc::Word> Input::encode(const mpc::Shape& shape) const {
  std::vector<mpc::Word> words(values_.size());
  for (std::size_t i = 0; i < values_.size(); ++i) {
    try {
      words[i] = mpc::encode_input(values_[i], shape, {});
    } catch (const ContractError&) {  // its place is worked out only now, not for every value
      const std::int64_t half = std::int64_t{1} << (shape.input_bits - 1);
      throw ContractError(fmt::format("{} is out of range; allowed is {} to {} (words of {} bits)", place(i),
                                      -half, half - 1, shape.input_bits));
    }
  }
  return words;
}

std::string Input::place(std::uint64_t index) const {
  const std::int64_t value = values_[index];
  if (name_.empty()) return fmt::format("generated value {}: {}", index + 1, value);
  if (format_ != Format::kNumbers && format_ != Format::kWords)
    return fmt::format("{} {} {}: {}", name_, format_ == Format::kBytes ? "byte" : "value", index + 1, value);
  std::size_t position = 0;
  std::string_view token;
  for (std::uint64_t i = 0; i <= index; ++i) token = next_token(*bytes_, position);
  return fmt::format("{} line {}: '{}'", name_, line_of(*bytes_, token), shown(token));
}

std::string Input::text(std::int64_t symbol) const {
  if (format_ != Format::kWords && format_ != Format::kEdges) return fmt::format("{}", symbol);
  require(symbol >= 0 && static_cast<std::uint64_t>(symbol) < words_.size(),
          "the protocol put out {}, which is the number of no {} (0..{})", symbol,
          format_ == Format::kWords ? "word" : "vertex", words_.size() - 1);
  return std::string(words_[static_cast<std::size_t>(symbol)]);
}

}  // namespace roundtrip::cli
