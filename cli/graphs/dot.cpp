// The language of graphviz (dot(1), "The DOT Language"):
//   graph      [strict] (graph | digraph) [id] { statements }
//   statement  (node | subgraph) [(-> | --) (node | subgraph)]... [attributes]  |  id = id  |
//              (graph | node | edge) attributes,  each with or without a ; behind it
//   subgraph   [subgraph [id]] { statements }          an edge to it is one to each of its nodes
//   node       id [: id [: id]],  id in "quotes" (joined by +), <html>, or bare
// Comments are /* */, // and lines that begin with #. More than graphviz takes: bare ids with . and +, both arrows in
// one graph.
#include <algorithm>
#include <unordered_set>

#include "roundtrip/cli/graphs/format.h"

namespace roundtrip::cli {
namespace {

struct Token {
  enum class Kind : std::uint8_t { kEnd, kId, kArrow, kMark } kind = Kind::kEnd;
  std::string text;   // of a mark, the character
  bool bare = false;  // an id without quotes: it may be a keyword
  std::uint64_t line = 0;
};

class Tokens {
 public:
  Tokens(std::string_view text, const GraphSink& sink) : text_(text), sink_(sink) { advance(); }

  const Token& peek() const { return token_; }
  Token take() {
    Token taken = std::move(token_);
    advance();
    return taken;
  }
  bool accept(char mark) {
    const bool found = is(mark);
    if (found) advance();
    return found;
  }
  bool is(char mark) const { return token_.kind == Token::Kind::kMark && token_.text[0] == mark; }
  bool is_word(std::string_view keyword) const {
    return token_.kind == Token::Kind::kId && token_.bare && lower_case(token_.text) == keyword;
  }
  [[noreturn]] void refuse(std::string_view expected) const { refuse_at(token_.line, expected); }

 private:
  [[noreturn]] void refuse_at(std::uint64_t line, std::string_view expected) const {
    std::string_view rest = text_;
    for (std::uint64_t i = 1; i < line; ++i)
      rest.remove_prefix(std::min(rest.find('\n'), rest.size() - 1) + 1);
    sink_.refuse(line, rest.substr(0, rest.find('\n')), expected);
  }

  bool starts(std::string_view what) const { return text_.substr(at_).starts_with(what); }

  void skip(std::size_t end) {
    end = std::min(end, text_.size());
    line_ += static_cast<std::uint64_t>(std::count(text_.begin() + static_cast<std::ptrdiff_t>(at_),
                                                   text_.begin() + static_cast<std::ptrdiff_t>(end), '\n'));
    at_ = end;
  }

  void skip_space() {
    for (;;) {
      while (at_ < text_.size() && is_space(text_[at_])) skip(at_ + 1);
      const bool line_begins = at_ == 0 || text_[at_ - 1] == '\n';
      if (starts("//") || (line_begins && starts("#"))) {
        skip(text_.find('\n', at_));
      } else if (starts("/*")) {
        const std::size_t end = text_.find("*/", at_ + 2);
        if (end == std::string_view::npos) refuse_at(line_, "closed: a comment begins here");
        skip(end + 2);
      } else {
        return;
      }
    }
  }

  void advance() {
    skip_space();
    token_ = {.kind = Token::Kind::kEnd, .text = {}, .bare = false, .line = line_};
    if (at_ == text_.size()) return;
    const char c = text_[at_];
    if (starts("->") || starts("--")) {
      token_.kind = Token::Kind::kArrow;
      skip(at_ + 2);
    } else if (std::string_view("{}[];,:=").find(c) != std::string_view::npos) {
      token_.kind = Token::Kind::kMark;
      token_.text = c;
      skip(at_ + 1);
    } else {
      token_.kind = Token::Kind::kId;
      token_.bare = c != '"' && c != '<';
      c == '"' ? quoted() : c == '<' ? html() : bare();
    }
  }

  void quoted() {
    for (;;) {
      std::size_t end = at_ + 1;
      for (; end < text_.size() && text_[end] != '"'; ++end) {
        if (text_.substr(end, 2) == "\\\n") {  // goes on in the next line
          ++end;
          continue;
        }
        if (text_.substr(end, 2) == "\\\"") ++end;
        token_.text += text_[end];
      }
      if (end == text_.size()) refuse_at(token_.line, "closed: a quote begins here");
      skip(end + 1);
      skip_space();
      if (!starts("+")) return;
      skip(at_ + 1);
      skip_space();
      if (!starts("\"")) refuse_at(line_, "a joined name: a quote is needed after +");
    }
  }

  void html() {
    std::size_t depth = 0, end = at_;
    for (; end < text_.size(); ++end) {
      depth += text_[end] == '<';
      depth -= text_[end] == '>';
      if (depth == 0) break;
    }
    if (end == text_.size()) refuse_at(token_.line, "closed: a < begins here");
    token_.text = text_.substr(at_ + 1, end - at_ - 1);
    skip(end + 1);
  }

  void bare() {
    std::size_t end = at_;
    while (end < text_.size() && !is_space(text_[end]) &&
           std::string_view("{}[];,:=\"<>").find(text_[end]) == std::string_view::npos) {
      const std::string_view next = text_.substr(end, 2);
      if (next == "->" || next == "--" || next == "//" || next == "/*") break;
      ++end;
    }
    if (end == at_) refuse_at(line_, "in dot");
    token_.text = text_.substr(at_, end - at_);
    skip(end);
  }

  std::string_view text_;
  const GraphSink& sink_;
  std::size_t at_ = 0;
  std::uint64_t line_ = 1;
  Token token_;
};

/// Nodes, each once, in the order in which they were named.
class Nodes {
 public:
  void add(const std::string& node) {
    if (known_.insert(node).second) order_.push_back(node);
  }
  const std::vector<std::string>& order() const { return order_; }

 private:
  std::vector<std::string> order_;
  std::unordered_set<std::string> known_;
};

class Parser {
 public:
  Parser(std::string_view text, GraphSink& sink) : tokens_(text, sink), sink_(sink) {}

  void graph() {
    if (tokens_.is_word("strict")) tokens_.take();
    if (!tokens_.is_word("graph") && !tokens_.is_word("digraph")) tokens_.refuse("a graph or digraph");
    tokens_.take();
    if (tokens_.peek().kind == Token::Kind::kId) tokens_.take();
    if (!tokens_.accept('{')) tokens_.refuse("the { of a graph");
    Nodes all;
    statements(all, 0);
    if (!sink_.full() && tokens_.peek().kind != Token::Kind::kEnd)
      tokens_.refuse("the end: there is more after the graph");
  }

 private:
  static constexpr int kMaxDepth = 256;  // of braces; more would be for the stack, not for a graph

  void statements(Nodes& nodes, int depth) {
    if (depth > kMaxDepth) tokens_.refuse(fmt::format("in at most {} braces", kMaxDepth));
    while (!tokens_.accept('}')) {
      if (tokens_.peek().kind == Token::Kind::kEnd) tokens_.refuse("the } of a graph");
      if (sink_.full()) return;
      statement(nodes, depth);
      while (tokens_.accept(';') || tokens_.accept(',')) {
      }
    }
  }

  void statement(Nodes& nodes, int depth) {
    if (tokens_.accept(';')) return;
    if (tokens_.is_word("graph") || tokens_.is_word("node") || tokens_.is_word("edge")) {
      tokens_.take();
      if (!tokens_.is('[')) tokens_.refuse("attributes in [ ]");
      return attributes(false);
    }
    Nodes from;
    if (!operand(from, depth)) return;
    bool edge = false;
    while (tokens_.peek().kind == Token::Kind::kArrow) {
      tokens_.take();
      edge = true;
      for (const std::string& node : from.order()) nodes.add(node);
      Nodes to;
      const Token::Kind kind = tokens_.peek().kind;
      if ((kind != Token::Kind::kId && !tokens_.is('{')) || !operand(to, depth))
        tokens_.refuse("an edge from vertex to vertex");
      for (const std::string& u : from.order()) {
        for (const std::string& v : to.order()) {
          if (sink_.full()) return;
          sink_.edge(u, v);
        }
      }
      from = std::move(to);
    }
    for (const std::string& node : from.order()) {
      nodes.add(node);
      if (!edge) sink_.vertex(node);
    }
    attributes(edge);
  }

  /// A node, or a subgraph's nodes; false for a setting, id = id.
  bool operand(Nodes& nodes, int depth) {
    if (tokens_.is_word("subgraph")) {
      tokens_.take();
      if (tokens_.peek().kind == Token::Kind::kId) tokens_.take();
      if (!tokens_.is('{')) tokens_.refuse("the { of a subgraph");
    }
    if (tokens_.accept('{')) return statements(nodes, depth + 1), true;
    if (tokens_.peek().kind != Token::Kind::kId) tokens_.refuse("a statement of dot");
    if (tokens_.peek().text.find_first_of("\r\n") != std::string::npos || tokens_.peek().text.empty())
      tokens_.refuse("a name of a vertex: it is empty or longer than a line");
    const Token name = tokens_.take();
    if (tokens_.accept('=')) {
      id();
      return false;
    }
    if (tokens_.accept(':')) {
      id();  // a port, and where it is
      if (tokens_.accept(':')) id();
    }
    nodes.add(name.text);
    return true;
  }

  Token id() {
    if (tokens_.peek().kind != Token::Kind::kId) tokens_.refuse("a name after : or =");
    return tokens_.take();
  }

  void attributes(bool of_edge) {
    while (tokens_.accept('[')) {
      while (!tokens_.accept(']')) {
        const Token name = id();
        if (tokens_.accept('=')) id();
        if (of_edge && name.text == "weight") sink_.note("weights of edges are ignored");
        while (tokens_.accept(',') || tokens_.accept(';')) {
        }
      }
    }
  }

  Tokens tokens_;
  GraphSink& sink_;
};

class Dot final : public GraphFormat {
 public:
  explicit Dot(GraphSink& sink) : sink_(sink) {}

  void line(std::uint64_t, std::string_view text) override { text_.append(text) += '\n'; }
  void end() override { Parser(text_, sink_).graph(); }

 private:
  GraphSink& sink_;
  std::string text_;
};

}  // namespace

std::unique_ptr<GraphFormat> make_dot(GraphSink& sink) {
  return std::make_unique<Dot>(sink);
}

}  // namespace roundtrip::cli
