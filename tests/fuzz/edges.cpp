#include <vector>

#include "fuzz/target.h"
#include "roundtrip/base/error.h"
#include "roundtrip/cli/graphs/graph.h"

namespace roundtrip::fuzz {

void try_bytes(std::string_view bytes) {
  const std::vector<char> exact(bytes.begin(), bytes.end());  // its end is one that a sanitizer sees
  const std::string_view text(exact.data(), exact.size());
  constexpr int kMaxEdges = 1 << 20;  // groups of dot are squared
  int edges = 0;
  try {
    cli::for_each_edge(text, "f", [&](std::string_view u, std::string_view v) {
      for (const std::string_view vertex : {u, v}) {
        expect(!vertex.empty() && vertex.find_first_of("\r\n") == std::string_view::npos,
               "a vertex is no part of a line");
      }
      return ++edges < kMaxEdges;
    });
  } catch (const ContractError&) {
  }
}

std::vector<std::string> seeds() {
  return {
      "# a comment\n30\t1412\r\n30 3352 1.5\n\n1412 30",
      "%%MatrixMarket matrix coordinate real general\n% by hand\n3 3 2\n3 1 -0.5\n2 2 7\n",
      "%matrixmarket matrix coordinate complex general\n3 2 1\n3 1 1.0D+0 2\n",
      "% bip weighted\n% 2 3 3\n1 1\t5 1082040961\n2 3\t1 9\n",
      "# Nodes: 4 Edges: 2\r\n1\t2\r3 4\r",
      "c by hand\np edge 4 3\ne 1 2\ne 2 3\ne 3 4\n",
      "p sp 3 2\na 1 2 7\na 2 3 -1\n",
      "% metis\n4 3 11 1\n5 2 1\n1 1 1 3 9\n2 2 9 4 4\n3 3 4\n",
      "source;\"target\";weight\n\"a \"\"b\"\";c;1\nc;d;2\n",
      "1: 2 3\n2:\n3: 1\n",
      "1 2 3 4\n5 6\n",
      "strict digraph { a -> {b; c} -> d:n:s; subgraph s { x -- \"y\" + \"z\" } <h<i>> -> a [weight=2] // c\n# p\n/* */ }",
      "digraph g {\nsize=\"30,40\";\n\"b\" [shape=box];\n\"b\" -> \"a b\"[color=blue];\nx->y--z [w=1];\n}\n"};
}

}  // namespace roundtrip::fuzz
