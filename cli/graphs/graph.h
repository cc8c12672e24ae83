// Purpose: graphs as published collections and other programs ship them, read line by line. What a file declares is
// checked; what is not understood is refused with its line; what has no place in a list of edges is noted.
//
//   pairs             u v a line, separated by white space, comma, semicolon or tab: SNAP, KONECT, CSV with or without a
//                     row of column names, quotes as CSV has them; further columns of numbers are noted, the first
//                     of them being weights where those are wanted
//   adjacency lists   u v1 v2 .. a line where the lines differ in length, or "u: v1 v2 .."; of integers
//   Matrix Market     coordinates; rows and columns of a matrix that is not square are two sides
//   DIMACS            p edge, p col (lines e u v) and p sp (lines a u v w)
//   METIS             n m [fmt [ncon]], then the neighbours of vertex 1, 2, .. a line each
//   dot               the language of graphviz: edges, chains, subgraphs, ports, comments, attributes
//
// Lines end in LF, CR LF or CR. Outside of these, lines that begin with # or % are comments.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "roundtrip/cli/graphs/lines.h"

namespace roundtrip::cli {

/// What is called for each thing in the order of the file. The views live until the call returns.
struct GraphVisitor {
  std::function<bool(std::string_view u, std::string_view v)> edge;  ///< false: no more edges are wanted
  std::function<void(std::string_view)> vertex;                      ///< one that is named without an edge
  /// In place of `edge`, if edges are to have weights: a file without any is refused.
  std::function<bool(std::string_view u, std::string_view v, std::string_view weight)> weighted_edge = {};
};

/// What the file says of itself besides its edges.
struct GraphFacts {
  bool whole = false;                     ///< read to its end
  std::optional<std::uint64_t> vertices;  ///< how many it declares
  std::vector<std::string> notes;         ///< what was left out or assumed, each a sentence for the report
};

/// Reads a graph of `name` from `lines`. ContractError naming it, the line and what it holds for what isn't understood
/// or contradicts what the file declares. Memory: the line, a METIS file's or a dot file's whole text.
GraphFacts scan_graph(Lines& lines, const std::string& name, const GraphVisitor& visitor);

/// The same for `bytes`; edges alone.
void for_each_edge(std::string_view bytes, const std::string& name,
                   const std::function<bool(std::string_view, std::string_view)>& visit);

}  // namespace roundtrip::cli
