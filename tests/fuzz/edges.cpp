#include <vector>

#include "fuzz/target.h"
#include "roundtrip/base/error.h"
#include "roundtrip/cli/edge_list.h"

namespace roundtrip::fuzz {

void try_bytes(std::string_view bytes) {
  const std::vector<char> exact(bytes.begin(), bytes.end());  // its end is one that a sanitizer sees
  const std::string_view text(exact.data(), exact.size());
  try {
    cli::for_each_edge(text, "f", [&](std::string_view u, std::string_view v) {
      for (const std::string_view vertex : {u, v}) {
        expect(!vertex.empty() && vertex.data() >= text.data() &&
                   vertex.data() + vertex.size() <= text.data() + text.size() &&
                   vertex.find('\n') == std::string_view::npos,
               "a vertex is no part of a line");
      }
      return true;
    });
  } catch (const ContractError&) {
  }
}

std::vector<std::string> seeds() {
  return {
      "# a comment\n30\t1412\r\n30 3352 1.5\n\n1412 30",
      "%%MatrixMarket matrix coordinate real general\n% by hand\n3 3 2\n3 1 -0.5\n2 2 7\n",
      "digraph g {\nsize=\"30,40\";\n\"b\" [shape=box];\n\"b\" -> \"a b\"[color=blue];\nx->y--z [w=1];\n}\n"};
}

}  // namespace roundtrip::fuzz
