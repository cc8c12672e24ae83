#include "cli/input.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <limits>
#include <unordered_map>
#include <utility>

#include "base/error.h"
#include "base/nearest_name.h"
#include "base/random.h"

namespace roundtrip::cli {
namespace {

constexpr std::array<std::pair<std::string_view, Format>, 3> kFormats{{
    {"numbers", Format::kNumbers},
    {"words", Format::kWords},
    {"bytes", Format::kBytes},
}};

constexpr std::int64_t kLeast = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t kGreatest = std::numeric_limits<std::int64_t>::max();

constexpr bool is_space(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

/// The next maximal run of bytes that are not white space, from `position` on, which moves behind it; empty
/// at the end.
std::string_view next_token(std::string_view bytes, std::size_t& position) {
  while (position < bytes.size() && is_space(bytes[position])) ++position;
  const std::size_t begin = position;
  while (position < bytes.size() && !is_space(bytes[position])) ++position;
  return bytes.substr(begin, position - begin);
}

/// `token` for an error line: shortened, and every byte that is not printable ASCII escaped.
std::string shown(std::string_view token) {
  constexpr std::size_t kMostBytes = 24;
  std::string text;
  for (const char c : token.substr(0, kMostBytes)) {
    if (c >= ' ' && c <= '~') {
      text += c;
    } else {
      text += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    }
  }
  return token.size() > kMostBytes ? text + "..." : text;
}

std::uint64_t line_of(std::string_view bytes, std::string_view token) {
  return 1 + static_cast<std::uint64_t>(std::count(bytes.data(), token.data(), '\n'));
}

/// An open file, closed on every way out.
struct File {
  int descriptor;
  ~File() {
    if (descriptor > STDIN_FILENO) ::close(descriptor);
  }
};

std::string read_bytes(const std::string& path, const std::string& name) {
  const File file{path == "-" ? STDIN_FILENO : ::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  const auto refuse = [&] {
    throw ContractError(fmt::format("cannot read {}: {}", name, std::strerror(errno)));
  };
  struct stat facts = {};
  if (file.descriptor < 0 || ::fstat(file.descriptor, &facts) != 0) refuse();
  if (S_ISDIR(facts.st_mode)) throw ContractError(fmt::format("cannot read {}: it is a directory", name));
  std::string bytes;
  constexpr std::size_t kChunkBytes = std::size_t{1} << 20;
  // One byte more than the size, so that the end of a regular file is seen without growing.
  std::size_t room = S_ISREG(facts.st_mode) ? static_cast<std::size_t>(facts.st_size) + 1 : kChunkBytes;
  std::size_t used = 0;
  for (;;) {
    bytes.resize(std::max(bytes.size(), used + room));
    const ssize_t got = ::read(file.descriptor, bytes.data() + used, bytes.size() - used);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) refuse();
    if (got == 0) break;
    used += static_cast<std::size_t>(got);
    room = used < bytes.size() ? 0 : std::max(kChunkBytes, used);
  }
  bytes.resize(used);
  return bytes;
}

}  // namespace

Format parse_format(std::string_view name) {
  std::vector<std::string> names;
  for (const auto& [known, format] : kFormats) {
    if (known == name) return format;
    names.emplace_back(known);
  }
  throw ContractError(fmt::format("--format {}: no such format; did you mean '{}'? (numbers, words, bytes)",
                                  shown(name), nearest_name(name, names)));
}

Input Input::read(const std::string& path, Format format, std::optional<std::uint64_t> limit) {
  Input input;
  input.name_ = path == "-" ? "standard input" : fmt::format("'{}'", path);
  input.format_ = format;
  input.bytes_ = std::make_unique<const std::string>(read_bytes(path, input.name_));
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
  }
  const std::string_view unit = kFormats.at(static_cast<std::size_t>(format)).first;
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
    if (error == std::errc::result_out_of_range) value = token[0] == '-' ? kLeast : kGreatest;
    values_.push_back(value);
  }
}

void Input::parse_words(std::uint64_t limit) {
  std::unordered_map<std::string_view, std::int64_t> numbers;
  std::size_t position = 0;
  while (values_.size() < limit) {
    const std::string_view token = next_token(*bytes_, position);
    if (token.empty()) return;
    const auto [entry, fresh] = numbers.try_emplace(token, static_cast<std::int64_t>(words_.size()));
    if (fresh) words_.push_back(token);
    values_.push_back(entry->second);
  }
}

std::vector<mpc::Word> Input::encode(const mpc::Shape& shape) const {
  std::vector<mpc::Word> words(values_.size());
  for (std::size_t i = 0; i < values_.size(); ++i) {
    try {
      words[i] = mpc::encode_input(values_[i], shape, {});
    } catch (const ContractError&) {  // its place is worked out only now, not for every value
      mpc::encode_input(values_[i], shape, place(i));
    }
  }
  return words;
}

std::string Input::place(std::uint64_t index) const {
  if (name_.empty()) return fmt::format("generated value {}", index + 1);
  if (format_ == Format::kBytes) return fmt::format("{} byte {}", name_, index + 1);
  std::size_t position = 0;
  std::string_view token;
  for (std::uint64_t i = 0; i <= index; ++i) token = next_token(*bytes_, position);
  const bool cut = format_ == Format::kNumbers && (values_[index] == kLeast || values_[index] == kGreatest);
  return fmt::format("{} line {}: '{}'{}", name_, line_of(*bytes_, token), shown(token),
                     cut ? ", cut to 64 bits," : "");
}

std::string Input::text(std::int64_t symbol) const {
  if (format_ != Format::kWords) return fmt::format("{}", symbol);
  require(symbol >= 0 && static_cast<std::uint64_t>(symbol) < words_.size(),
          "the protocol put out {}, which is no word's number (0..{})", symbol, words_.size() - 1);
  return std::string(words_[static_cast<std::size_t>(symbol)]);
}

}  // namespace roundtrip::cli
