#include "roundtrip/mpc/protocols/graph_input.h"

#include <algorithm>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "roundtrip/base/error.h"
#include "roundtrip/mpc/stages/darts.h"

namespace roundtrip::mpc {

void require_edges(std::uint64_t n, std::string_view protocol, std::uint64_t most) {
  require(n % 2 == 0 && n <= most, "N is {}, allowed for {} is an even number (two words an edge) up to {}",
          n, protocol, most);
}

void require_vertex(std::uint64_t index, std::int64_t vertex, std::uint64_t n) {
  require(vertex >= 0 && vertex < static_cast<std::int64_t>(n),
          "word {} is {}, allowed is the number of a vertex, 0 to {}", index, vertex, n - 1);
}

namespace {

/// Two ends of edge `edge` of `edges`, by the kind of the graph.
using Ends = std::pair<std::uint64_t, std::uint64_t>;
Ends drawn_edge(const std::string& kind, std::uint64_t edge, std::uint64_t edges, RandomStream& stream) {
  const std::uint64_t vertices = std::max<std::uint64_t>(2, ceil_div(4 * edges, 3));
  const auto below = [&](std::uint64_t bound) { return stream.below(std::max<std::uint64_t>(1, bound)); };
  if (kind == "power") {
    // Every vertex is joined to an end of an earlier edge's number, halved again and again: few have most of the edges.
    std::uint64_t hub = edge;
    while (hub > 0 && below(2) == 0) hub = below(hub);
    return {hub, edge + 1};
  }
  if (kind == "grid") {
    // Right and down in a square of about edges / 2 vertices.
    std::uint64_t side = 1;
    while (2 * side * (side + 1) < edges) ++side;
    const std::uint64_t at = edge / 2, row = at / (side + 1), column = at % (side + 1);
    const std::uint64_t next = edge % 2 == 0 ? at + 1 : at + side + 1;
    return edge % 2 == 0 && column == side ? Ends{at, (row + 1) * (side + 1)} : Ends{at, next};
  }
  if (kind == "planted") {
    // Sixteen vertices a part; one edge in thirty-two leaves it.
    const std::uint64_t u = below(vertices), part = u / 16 * 16;
    return {u, below(32) == 0 ? below(vertices) : std::min(part + below(16), vertices - 1)};
  }
  return {below(vertices), below(vertices)};
}

}  // namespace

void take_edges(ProtocolInfo& info, std::uint64_t edge_words) {
  static const std::vector<std::string> kKinds = {"random", "gnp", "power", "grid", "planted"};
  info.kappa_s = kDartKappa;
  info.takes_weights = edge_words > 2;
  info.decode = [](const Protocol&, std::uint64_t, Word word) {
    return word == 0 ? std::nullopt : std::optional<std::int64_t>(word - 1);
  };
  info.options.push_back(
      {"graph", "random",
       "of generated edges: between random vertices, random; different ones, G(n, p) given its edges, gnp; to few of high degree, power; of a square, grid; "
       "mostly within parts of 16 vertices, planted"});
  const auto kind_of = [](const Parameters& parameters) {
    const auto found = parameters.options.find("graph");
    const std::string kind = found == parameters.options.end() ? kKinds[0] : found->second;
    require(std::ranges::find(kKinds, kind) != kKinds.end(),
            "graph is '{}', allowed is random, gnp, power, grid or planted", kind);
    return kind;
  };
  info.make = [make = info.make, kind_of](const Parameters& parameters) {
    (void)kind_of(parameters);
    return make(parameters);
  };
  info.accept = [edge_words](std::span<const std::int64_t> values, const Parameters&) {
    for (std::size_t i = 0; i < values.size(); ++i)
      if (i % edge_words < 2) require_vertex(i, values[i], 2 * (values.size() / edge_words));
  };
  info.generate = [edge_words, kind_of](const Parameters& parameters) {
    const std::uint64_t edges = parameters.n / edge_words;
    RandomStream stream(parameters.seed, Domain::kInstance);
    const std::string kind = kind_of(parameters);
    const std::vector<std::uint64_t> places = random_order(edges, stream);
    Values ends(2 * edges);
    std::unordered_set<std::uint64_t> drawn;
    for (std::uint64_t e = 0; e < edges; ++e) {
      auto [u, v] = drawn_edge(kind, e, edges, stream);
      // Given how many there are, the edges of G(n, p) are a uniform set of pairs.
      while (kind == "gnp" && (u == v || !drawn.insert(std::min(u, v) << 32 | std::max(u, v)).second))
        std::tie(u, v) = drawn_edge(kind, e, edges, stream);
      ends[2 * places[e]] = static_cast<std::int64_t>(u);
      ends[2 * places[e] + 1] = static_cast<std::int64_t>(v);
    }
    ends = numbered_by_first_occurrence(ends);
    Values values;
    for (std::uint64_t e = 0; e < edges; ++e) {
      values.insert(values.end(), {ends[2 * e], ends[2 * e + 1]});
      for (std::uint64_t i = 2; i < edge_words; ++i)
        values.push_back(static_cast<std::int64_t>(stream.below(edges)));
    }
    return values;
  };
}

std::vector<std::uint64_t> random_order(std::uint64_t count, RandomStream& stream) {
  std::vector<std::uint64_t> order(count);
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t j = stream.below(i + 1);
    order[i] = order[j];
    order[j] = i;
  }
  return order;
}

Values numbered_by_first_occurrence(const Values& values) {
  std::unordered_map<std::int64_t, std::int64_t> numbers;
  Values result;
  result.reserve(values.size());
  for (const std::int64_t value : values)
    result.push_back(numbers.try_emplace(value, static_cast<std::int64_t>(numbers.size())).first->second);
  return result;
}

}  // namespace roundtrip::mpc
