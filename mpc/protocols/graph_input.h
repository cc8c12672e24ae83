// Purpose: what protocols on graphs share. The input is a list of edges u0 v0 u1 v1 .., N = 2E words;
// vertices are numbered from 0, as readers of edge lists number them: by first occurrence.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "roundtrip/base/random.h"
#include "roundtrip/mpc/registry.h"

namespace roundtrip::mpc {

/// ContractError naming the protocol unless N is even and at most `most`.
void require_edges(std::uint64_t n, std::string_view protocol, std::uint64_t most);

/// ContractError unless `vertex`, word `index` of the input, is in 0 .. n - 1.
void require_vertex(std::uint64_t index, std::int64_t vertex, std::uint64_t n);

/// What protocols on the darts of a graph have in common: kappa_s, outputs as OnDarts delivers them, a generator of graphs, and that vertices are below the number of
/// darts. Edges of E words, u, v and E - 2 more. Option "graph" says how edges are drawn, on about 2/3 as many vertices as
/// there are edges (see the option's help).
void take_edges(ProtocolInfo& info, std::uint64_t edge_words);

/// 0 .. count-1 in random order.
std::vector<std::uint64_t> random_order(std::uint64_t count, RandomStream& stream);

Values numbered_by_first_occurrence(const Values& values);

}  // namespace roundtrip::mpc
