// Purpose: sequential references for the library's protocols, on signed integers and with the standard
// library alone: they share no code with what they judge.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace roundtrip::mpc::oracles {

using Input = std::span<const std::int64_t>;
using Output = std::vector<std::optional<std::int64_t>>;

/// The sum modulo 2^bits, as a signed number of that width.
Output sum(Input values, int bits);
/// Records of `record` values in ascending order of their first ones; equal ones keep their order.
Output sort(Input values, std::uint64_t record);
/// 1 where some value, itself included, adds up to 0 modulo `modulus` with this one, else 0.
Output match2(Input values, std::int64_t modulus);
/// x at find_k(i), find_1(i) being one more than the previous position that holds x_i; nothing where there is
/// none.
Output k_hop(Input values, std::uint64_t k);

/// For every value it and all before it combined by "sum" (modulo 2^48, signed), "min" or "max".
Output prefix_scan(Input values, std::string_view operation);
/// The same over pairs (flag, value), from the last pair on whose flag is not 0.
Output segmented_scan(Input values, std::string_view operation);
/// The product of a `rows` x k and a k x `rows` matrix, row by row, modulo 2^48, signed.
Output matrix_product(Input values, std::uint64_t rows);
/// For tokens (phi(q), phi(k), v): phi(q) sum of phi(k) v^T, then phi(q) . sum of phi(k), modulo 2^48,
/// signed.
Output low_rank_sums(Input values, std::uint64_t rank, std::uint64_t dimension);
/// The value at the position (from 0) that each value names; nothing where there is none.
Output join(Input values);
/// How many follow each element; value i is what follows element i, or -1. Nothing on a cycle.
Output list_ranking(Input values);
/// The number of cycles of a graph of which every vertex has degree 2, otherwise nothing; edges u0 v0 u1 v1
/// ..
Output cycles(Input values);
/// The least vertex of every vertex's component, for vertices 0 .. N - 1; nothing for one without edges.
Output components(Input values);
/// What is wrong with 1 and 0 as the vertices in a maximal independent set and the others, nothing for those without edges;
/// empty if nothing is.
std::string not_maximal_independent(Input values, const Output& in_set);
/// The same for 1 and 0 as the edges in a maximal matching and the others.
std::string not_maximal_matching(Input values, const Output& in_matching);
/// 1 for every edge (u, v, weight) of the minimum spanning forest, of equal weights the earlier; else 0.
Output minimum_spanning_forest(Input values);
/// Edges of a shortest path from `source` to every vertex 0 .. N - 1 that has one of at most `depth`; otherwise nothing.
Output bfs(Input values, std::int64_t source, std::uint64_t depth);
/// The least vertex at most `distance` edges away from every vertex 0 .. N - 1; nothing for one without edges.
Output least_within(Input values, std::uint64_t distance);
/// The number of triangles; edges u0 v0 u1 v1 .., of which parallel ones are one and those from a vertex to itself none.
Output triangles(Input values);
/// Parent, depth and vertices of its subtree for every vertex of the tree, the root's parent being itself.
Output rooted_tree(Input values, std::int64_t root);
/// The discrete Fourier transform modulo 15 2^27 + 1 by the root of unity 31^(15 2^27 / N), or its inverse.
Output fourier(Input values, bool inverse);
/// Positions (from 1) of three values that add up to 0: of the least such values the first occurrences; or
/// nothing.
Output three_sum(Input values);

/// For every number t below N how often it occurs.
Output word_count(Input values);

}  // namespace roundtrip::mpc::oracles
