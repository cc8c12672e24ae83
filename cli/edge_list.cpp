#include "roundtrip/cli/edge_list.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>

#include "roundtrip/base/error.h"
#include "roundtrip/base/quote.h"

namespace roundtrip::cli {
namespace {

constexpr bool is_space(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

/// A vertex of a dot statement: in quotes, or a run of bytes that can't be part of an arrow or attributes.
std::optional<std::string_view> dot_vertex(std::string_view line, std::size_t& position) {
  while (position < line.size() && is_space(line[position])) ++position;
  const bool quoted = position < line.size() && line[position] == '"';
  const std::size_t begin = position + quoted;
  const std::size_t end =
      std::min(quoted ? line.find('"', begin) : line.find_first_of(" \t\r-[];{}\"", position), line.size());
  if (end <= begin || (quoted && end == line.size())) return std::nullopt;
  position = end + quoted;
  return line.substr(begin, end - begin);
}

bool dot_arrow(std::string_view line, std::size_t& position) {
  std::size_t after = position;
  const std::string_view token = next_token(line, after);
  if (!token.starts_with("->") && !token.starts_with("--")) return false;
  position = static_cast<std::size_t>(token.data() - line.data()) + 2;
  return true;
}

}  // namespace

std::string_view next_token(std::string_view bytes, std::size_t& position) {
  while (position < bytes.size() && is_space(bytes[position])) ++position;
  const std::size_t begin = position;
  while (position < bytes.size() && !is_space(bytes[position])) ++position;
  return bytes.substr(begin, position - begin);
}

void for_each_edge(std::string_view bytes, const std::string& name,
                   const std::function<bool(std::string_view, std::string_view)>& visit) {
  std::uint64_t line_number = 0;
  std::uint64_t edges = 0;
  const auto fail = [&](std::string_view line, std::string_view expected) {
    throw ContractError(
        fmt::format("{} line {}: {} is not {} (format edges)", name, line_number, quote(line), expected));
  };
  // What the first line that is no comment says of the others.
  enum class Kind { kUnknown, kPairs, kDot } kind = Kind::kUnknown;
  const bool matrix_market = bytes.starts_with("%%MatrixMarket");
  std::optional<std::uint64_t> entries;
  for (std::size_t next = 0; next < bytes.size();) {
    const std::size_t begin = next;
    const std::size_t end = std::min(bytes.find('\n', begin), bytes.size());
    next = end + 1;
    ++line_number;
    const std::string_view line = bytes.substr(begin, end - begin);
    if (line_number == 1 && matrix_market && line.find(" coordinate") == std::string_view::npos)
      fail(line, "a header of Matrix Market coordinates");
    std::size_t position = 0;
    const std::string_view u = next_token(line, position);
    if (u.empty() || u[0] == '#' || u[0] == '%') continue;
    if (kind == Kind::kUnknown) {
      const bool dot = (u == "digraph" || u == "graph" || u == "strict") && line.find('{') != line.npos;
      kind = dot ? Kind::kDot : Kind::kPairs;
      if (dot) continue;
    }
    if (kind == Kind::kDot) {
      position = 0;
      std::optional<std::string_view> from = dot_vertex(line, position);
      while (from && dot_arrow(line, position)) {
        const std::optional<std::string_view> to = dot_vertex(line, position);
        if (!to) fail(line, "an edge from vertex to vertex");
        if (!visit(*from, *to)) return;
        from = to;
      }
      continue;
    }
    const std::string_view v = next_token(line, position);
    if (matrix_market && !entries) {
      const std::string_view count = next_token(line, position);
      entries = 0;
      const auto [stop, error] = std::from_chars(count.data(), count.data() + count.size(), *entries);
      if (error != std::errc() || stop != count.data() + count.size())
        fail(line, "rows, columns and entries");
      continue;
    }
    if (v.empty()) fail(line, "two vertices");
    ++edges;
    if (!visit(u, v)) return;
  }
  require(edges == entries.value_or(edges),
          "{} has {} entries, its line of sizes announces {} (format edges)", name, edges,
          entries.value_or(edges));
}

}  // namespace roundtrip::cli
