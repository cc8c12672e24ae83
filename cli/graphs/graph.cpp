// Which format it is: what the first lines declare.
#include "roundtrip/cli/graphs/graph.h"

#include <algorithm>
#include <charconv>

#include "roundtrip/base/error.h"
#include "roundtrip/base/quote.h"
#include "roundtrip/cli/graphs/format.h"

namespace roundtrip::cli {
namespace {

struct Foreign {
  std::string_view start, name;
};
constexpr Foreign kForeign[] = {{"<", "XML (GraphML, GEXF)"},
                                {"{", "JSON"},
                                {"[", "JSON"},
                                {"*", "Pajek"},
                                {"nodedef>", "GDF"},
                                {">>graph6", "graph6"},
                                {">>sparse6", "sparse6"},
                                {"LEDA.", "LEDA"},
                                {"dl ", "UCINET"},
                                {"graph [", "GML"},
                                {"graph[", "GML"},
                                {"Creator \"", "GML"}};

bool begins_dot(const std::vector<std::string_view>& words) {
  if (words.empty()) return false;
  if (words[0].starts_with("//") || words[0].starts_with("/*")) return true;
  std::string first = lower_case(words[0]);
  first = first.substr(0, first.find('{'));
  return first == "graph" || first == "digraph" || first == "strict";
}

/// Looks at lines until it knows their format.
class Detector {
 public:
  explicit Detector(GraphSink& sink) : sink_(sink) {}

  /// The format, once it is known after this line.
  std::unique_ptr<GraphFormat> add(std::uint64_t number, std::string_view text) {
    const std::string_view line = trim(text);
    if (number == 1) {
      const std::string start = lower_case(line.substr(0, 14));
      if (start.starts_with("%%matrixmarket") || start.starts_with("%matrixmarket"))
        return make_matrix_market(sink_);
    }
    if (is_comment(line) || (line.empty() && data_lines_ == 0)) return nullptr;
    ++data_lines_;
    const std::vector<std::string_view> words = tokens_of(line);
    if (data_lines_ == 1) {
      for (const Foreign& one : kForeign) {
        if (line.starts_with(one.start))
          sink_.refuse(number, text,
                       fmt::format("a line of a format that is read here: this is {}", one.name));
      }
      dot_ = begins_dot(words);
      comments_ = words[0] == "c" || words[0] == "p";
    }
    if (dot_) {
      // Before the brace stand two keywords and a name at most, on lines of their own.
      if (words.empty()) return nullptr;
      if (line.find('{') != std::string_view::npos || words[0].starts_with('/')) return make_dot(sink_);
      return data_lines_ <= 2 ? nullptr : make_table(sink_);
    }
    if (comments_) {
      if (words.empty() || words[0] == "c") return nullptr;
      const bool problem =
          words[0] == "p" && words.size() == 4 && !is_number(words[1]) && is_number(words[2]);
      return problem ? make_dimacs(sink_) : make_table(sink_);
    }
    switch (metis_.add(text)) {
      case MetisCheck::Answer::kNo:
        return make_table(sink_);
      case MetisCheck::Answer::kYes:
        return make_metis(sink_);
      case MetisCheck::Answer::kNotYet:
        break;
    }
    return nullptr;
  }

 private:
  GraphSink& sink_;
  std::uint64_t data_lines_ = 0;
  bool dot_ = false, comments_ = false;
  MetisCheck metis_;
};

}  // namespace

void GraphSink::edge(std::string_view u, std::string_view v, std::string_view weight) {
  if (full_) return;
  ++edges_;
  if (weighted() && weight.empty())
    refuse("has an edge without a weight that is read: allowed are lines 'u v w', or DIMACS with 'a u v w'");
  full_ = weighted() ? !visitor_.weighted_edge(u, v, weight) : !visitor_.edge(u, v);
}

void GraphSink::vertex(std::string_view name) {
  if (visitor_.vertex) visitor_.vertex(name);
}

void GraphSink::note(const std::string& sentence) {
  if (std::ranges::find(facts_.notes, sentence) == facts_.notes.end()) facts_.notes.push_back(sentence);
}

void GraphSink::refuse(std::uint64_t line, std::string_view text, std::string_view expected) const {
  throw ContractError(
      fmt::format("{} line {}: {} is not {} (format edges)", name_, line, quote(text), expected));
}

void GraphSink::refuse(const std::string& what) const {
  throw ContractError(fmt::format("{} {} (format edges)", name_, what));
}

GraphFacts scan_graph(Lines& lines, const std::string& name, const GraphVisitor& visitor) {
  GraphSink sink(name, visitor);
  Detector detector(sink);
  std::vector<KeptLine> before;  // the format is known
  std::unique_ptr<GraphFormat> format;
  const auto replay = [&] {
    for (const KeptLine& line : before) {
      if (sink.full()) break;
      format->line(line.number, line.text);
    }
    before.clear();
  };
  bool whole = false;
  while (!sink.full()) {
    const auto line = lines.next();
    if (!line) {
      whole = true;
      break;
    }
    if (format != nullptr) {
      format->line(lines.number(), *line);
      continue;
    }
    before.push_back({lines.number(), std::string(*line)});
    format = detector.add(lines.number(), before.back().text);
    if (format != nullptr) replay();
  }
  if (format == nullptr) {
    format = make_table(sink);
    replay();
  }
  if (whole && !sink.full()) format->end();
  sink.facts().whole = whole && !sink.full();
  return std::move(sink.facts());
}

void for_each_edge(std::string_view bytes, const std::string& name,
                   const std::function<bool(std::string_view, std::string_view)>& visit) {
  Lines lines([&](std::string& buffer) {
    buffer += bytes;
    return !std::exchange(bytes, {}).empty();
  });
  scan_graph(lines, name, {.edge = visit, .vertex = {}});
}

std::vector<std::string_view> tokens_of(std::string_view line) {
  std::vector<std::string_view> tokens;
  std::size_t position = 0;
  for (std::string_view token = next_token(line, position); !token.empty();
       token = next_token(line, position))
    tokens.push_back(token);
  return tokens;
}

bool is_number(std::string_view text) {
  if (text.size() > 1 && text[0] == '+' && text[1] != '-') text.remove_prefix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return !text.empty() && error != std::errc::invalid_argument && end == text.data() + text.size();
}

std::optional<std::uint64_t> whole_number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string lower_case(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

}  // namespace roundtrip::cli
