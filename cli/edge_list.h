// Purpose: edge lists as published graph collections ship them, one edge a line:
//   "u v" and whatever follows, which is ignored (weights, times): SNAP, KONECT;
//   Matrix Market coordinates ("%%MatrixMarket matrix coordinate ..."): the line of sizes is no edge, its
//   number of entries must be the file's;
//   dot ("digraph G {"), as `apt-cache dotty` prints it: u -> v [..], u -- v, quoted or not; one statement a
//   line, lines without an arrow are no edges.
// Lines that are empty or start with # or % are comments. Vertices are any runs of bytes that are not white
// space.
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace roundtrip::cli {

/// Calls visit(u, v), views into `bytes`, for each edge in order, until it returns false. ContractError
/// naming `name`, the line and what it holds for a line that is no edge, or a Matrix Market file that lacks
/// some.
void for_each_edge(std::string_view bytes, const std::string& name,
                   const std::function<bool(std::string_view, std::string_view)>& visit);

/// The next maximal run of bytes that are not ASCII white space, from `position` on, which moves behind it;
/// empty at the end.
std::string_view next_token(std::string_view bytes, std::size_t& position);

}  // namespace roundtrip::cli
