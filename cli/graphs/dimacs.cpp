// DIMACS: comments "c ..", one line "p KIND vertices edges", then "e u v" for the kinds edge and col (second challenge:
// colouring), "a u v w" for sp (ninth challenge: shortest paths).
#include "roundtrip/cli/graphs/format.h"

namespace roundtrip::cli {
namespace {

class Dimacs final : public GraphFormat {
 public:
  explicit Dimacs(GraphSink& sink) : sink_(sink) {}

  void line(std::uint64_t number, std::string_view text) override {
    const std::vector<std::string_view> words = tokens_of(text);
    if (words.empty() || words[0] == "c" || is_comment(words[0])) return;
    if (!edge_) return problem(number, text, words);
    const std::uint64_t u = words.size() > 1 ? whole_number(words[1]).value_or(0) : 0;
    const std::uint64_t v = words.size() > 2 ? whole_number(words[2]).value_or(0) : 0;
    const auto vertex = [&](std::uint64_t x) { return x >= 1 && x <= vertices_; };
    if (words[0] != *edge_ || words.size() > 4 || !vertex(u) || !vertex(v) ||
        (words.size() == 4 ? !is_number(words[3]) : *edge_ == "a")) {
      sink_.refuse(
          number, text,
          fmt::format("'{} u v{}' with vertices 1 .. {}", *edge_, *edge_ == "a" ? " w" : "", vertices_));
    }
    const std::string_view weight = words.size() == 4 ? words[3] : std::string_view{};
    if (words.size() == 4 && !sink_.weighted()) sink_.note("weights of edges are ignored");
    sink_.edge(std::to_string(u), std::to_string(v), weight);
  }

  void end() override {
    const std::uint64_t found = sink_.edges();
    // Files of colouring instances count each edge once and list it twice, or the other way round.
    const bool twice = *edge_ == "e" && (found == 2 * edges_ || 2 * found == edges_);
    if (found != edges_ && !twice)
      sink_.refuse(fmt::format("has {} edges, its line p announces {}", found, edges_));
    if (found != edges_) sink_.note(fmt::format("line p announces {} edges, there are {}", edges_, found));
  }

 private:
  void problem(std::uint64_t number, std::string_view text, const std::vector<std::string_view>& words) {
    const bool right = words.size() == 4 && words[0] == "p";
    const auto vertices = right ? whole_number(words[2]) : std::nullopt;
    const auto edges = right ? whole_number(words[3]) : std::nullopt;
    const bool colouring = right && (words[1] == "edge" || words[1] == "edges" || words[1] == "col");
    if (!vertices || !edges || !(colouring || words[1] == "sp"))
      sink_.refuse(number, text, "'p edge', 'p col' or 'p sp' with the numbers of vertices and edges");
    edge_ = colouring ? "e" : "a";
    vertices_ = *vertices, edges_ = *edges;
    sink_.declare_vertices(vertices_);
  }

  GraphSink& sink_;
  std::optional<std::string_view> edge_;  // how a line of one begins; known after the line p
  std::uint64_t vertices_ = 0, edges_ = 0;
};

}  // namespace

std::unique_ptr<GraphFormat> make_dimacs(GraphSink& sink) {
  return std::make_unique<Dimacs>(sink);
}

}  // namespace roundtrip::cli
