// Purpose: what the formats of graphs share: where they deliver, how they refuse, and their words.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "roundtrip/cli/graphs/graph.h"

namespace roundtrip::cli {

/// A line with its number, kept.
struct KeptLine {
  std::uint64_t number;
  std::string text;
};

class GraphSink {
 public:
  GraphSink(const std::string& name, const GraphVisitor& visitor) : name_(name), visitor_(visitor) {}

  /// Dropped once the visitor wants no more.
  void edge(std::string_view u, std::string_view v, std::string_view weight = {});
  bool weighted() const { return visitor_.weighted_edge != nullptr; }
  void vertex(std::string_view name);
  bool full() const { return full_; }
  std::uint64_t edges() const { return edges_; }
  void note(const std::string& sentence);  ///< once each
  void declare_vertices(std::uint64_t count) { facts_.vertices = count; }
  /// ContractError: the line is not `expected`.
  [[noreturn]] void refuse(std::uint64_t line, std::string_view text, std::string_view expected) const;
  /// ContractError of the whole file.
  [[noreturn]] void refuse(const std::string& what) const;
  GraphFacts& facts() { return facts_; }

 private:
  const std::string& name_;
  const GraphVisitor& visitor_;
  GraphFacts facts_;
  std::uint64_t edges_ = 0;
  bool full_ = false;
};

/// Reads the lines of one format, from the first of the file.
class GraphFormat {
 public:
  virtual ~GraphFormat() = default;
  virtual void line(std::uint64_t number, std::string_view text) = 0;
  /// All lines were read. Not called if the sink was full before.
  virtual void end() = 0;
};

std::unique_ptr<GraphFormat> make_matrix_market(GraphSink& sink);
std::unique_ptr<GraphFormat> make_dimacs(GraphSink& sink);
std::unique_ptr<GraphFormat> make_metis(GraphSink& sink);
std::unique_ptr<GraphFormat> make_dot(GraphSink& sink);
std::unique_ptr<GraphFormat> make_table(GraphSink& sink);

/// Whether lines, from the first that is no comment on, are a METIS file: as many lines as vertices, each edge at both
/// of its ends. An edge list that begins "n m" is none with near certainty, and most are told by their second line.
class MetisCheck {
 public:
  enum class Answer : std::uint8_t { kNo, kNotYet, kYes };
  Answer add(std::string_view line);  ///< all that is known after this line

 private:
  std::optional<std::vector<std::uint64_t>> header_;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> ends_;
  std::uint64_t vertices_ = 0;
  bool no_ = false;
};

/// "n m [fmt [ncon]]"; nullopt if it isn't.
std::optional<std::vector<std::uint64_t>> metis_header(std::string_view line);
/// The neighbours on the line of a vertex; nullopt if it can't be one under `header`.
std::optional<std::vector<std::uint64_t>> metis_neighbours(const std::vector<std::uint64_t>& header,
                                                           std::string_view line);

std::vector<std::string_view> tokens_of(std::string_view line);
bool is_number(std::string_view text);                             ///< a decimal, with a fraction or not
std::optional<std::uint64_t> whole_number(std::string_view text);  ///< digits alone
std::string lower_case(std::string_view text);                     ///< of ASCII
inline bool is_comment(std::string_view trimmed) {
  return trimmed.starts_with('#') || trimmed.starts_with('%');
}
std::string_view trim(std::string_view text);

}  // namespace roundtrip::cli
