#include "roundtrip/cli/input.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <unordered_set>
#include <utility>

#include "roundtrip/base/error.h"
#include "roundtrip/base/npy.h"
#include "roundtrip/base/random.h"
#include "roundtrip/cli/byte_source.h"
#include "roundtrip/cli/graphs/graph.h"

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

/// The bytes of `source` that hold its first `limit` values, and what ends the last; all of them without a limit.
std::string bytes_of(ByteSource& source, Format format, std::optional<std::uint64_t> limit) {
  std::string bytes;
  if (!limit || format == Format::kNpy) {
    source.read_all(bytes);
    return bytes;
  }
  // A value is a byte, or a token that ends before a byte more: no read takes what may belong to others.
  std::uint64_t values = 0;
  bool inside = false;  // a token
  const auto least = [&] {
    const std::uint64_t left = *limit - values;
    return std::min<std::uint64_t>(format == Format::kBytes ? left : 2 * left - inside,
                                   std::max<std::uint64_t>(1 << 20, bytes.size()));
  };
  for (std::size_t seen = 0; values < *limit && source.read(bytes, least());) {
    for (; seen < bytes.size(); ++seen) {
      const bool space = is_space(bytes[seen]);
      values += format == Format::kBytes || (inside && space);
      inside = !space;
    }
  }
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
  require(found != kFormats.end(), "format '{}' is not one of {}", name, fmt::join(format_names(), ", "));
  return static_cast<Format>(found - kFormats.begin());
}

Input Input::read(const std::string& path, Format format, std::optional<std::uint64_t> limit, bool weighted) {
  Input input;
  const bool any = format == Format::kBytes || format == Format::kNpy;
  ByteSource source(path, any ? ByteSource::Content::kAny : ByteSource::Content::kText);
  input.name_ = source.name();
  input.format_ = format;
  auto bytes = std::make_unique<std::string>();
  if (format != Format::kEdges) *bytes = bytes_of(source, format, limit);
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
      require(weighted || most % 2 == 0 || !limit, "--n {}: edges are two words each, give an even number",
              most);
      require(!weighted || most % 3 == 0 || !limit,
              "--n {}: edges with weights are three words each, give a multiple of 3", most);
      input.parse_edges(source, most, weighted);
      break;
  }
  const std::string_view unit = kFormats.at(static_cast<std::size_t>(format)).unit;
  require(!input.values_.empty(), "{} holds no {}", input.name_, unit);
  require(!limit || input.size() == *limit, "--n {}: {} holds only {} {}", limit.value_or(0), input.name_,
          input.size(), unit);
  return input;
}

Input Input::of_text(std::string text, Format format) {
  Input input;
  input.name_ = "the example";
  input.format_ = format;
  input.bytes_ = std::make_unique<const std::string>(std::move(text));
  constexpr std::uint64_t kAll = std::numeric_limits<std::uint64_t>::max();
  format == Format::kWords ? input.parse_words(kAll) : input.parse_numbers(kAll);
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
          "{} line {}: '{}' is not a number (format numbers: signed decimals separated by white space; text is --format words)",
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

void Input::parse_edges(ByteSource& source, std::uint64_t limit, bool weighted) {
  Numbering numbers;
  std::unordered_set<std::string> alone;  // named without an edge
  Lines lines([&](std::string& buffer) {
    // An end of an edge takes at least a byte: no read takes what may belong to others.
    return source.read(buffer, std::clamp<std::uint64_t>(limit - values_.size() - 1, 1, 1 << 20));
  });
  const auto kept = [&](std::string_view name) -> std::string_view {
    return numbers.contains(name) ? name : names_.emplace_back(name);
  };
  GraphVisitor visitor{.edge =
                           [&](std::string_view u, std::string_view v) {
                             add_name(kept(u), numbers);
                             add_name(kept(v), numbers);
                             return values_.size() < limit;
                           },
                       .vertex = [&](std::string_view name) { alone.emplace(name); }};
  if (weighted) {
    visitor.weighted_edge = [&](std::string_view u, std::string_view v, std::string_view weight) {
      std::int64_t value = 0;
      const auto [end, error] = std::from_chars(weight.data(), weight.data() + weight.size(), value);
      require(end == weight.data() + weight.size() && error == std::errc(),
              "{} edge {}: the weight '{}' is not a whole number", name_, values_.size() / 3 + 1,
              shown(weight));
      visitor.edge(u, v);
      values_.push_back(value);
      return values_.size() < limit;
    };
  }
  const GraphFacts facts = scan_graph(lines, name_, visitor);
  notes_ = facts.notes;
  if (!facts.whole) return;
  const std::uint64_t on_edges = words_.size();
  std::erase_if(alone, [&](const std::string& name) { return numbers.contains(name); });
  const std::uint64_t vertices = facts.vertices.value_or(on_edges + alone.size());
  if (vertices > on_edges)
    notes_.push_back(
        fmt::format("{} of {} vertices are on no edge: left out", vertices - on_edges, vertices));
  if (vertices < on_edges)
    notes_.push_back(fmt::format("a comment declares {} vertices, there are {}", vertices, on_edges));
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
