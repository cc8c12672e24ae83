// Purpose: how one-or-two-cycles and k-hop induction heads become each other, as a few lines of code: why the depth
// O(log k) of k-hop is near-optimal. Glossary: n vertices of a graph in which every vertex has two edges; a dart is an
// edge with a direction, dart 2e and 2e + 1 the two of edge e; find_1 as in oracles.h, positions from 1.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "roundtrip/proofs_check/oracles.h"

namespace roundtrip::proofs_check {

using Edges = std::vector<std::pair<std::uint64_t, std::uint64_t>>;

/// How many cycles a graph is whose vertices all have two ends of edges, and the length of each; empty if some vertex has
/// not. By walking.
std::vector<std::uint64_t> cycle_lengths(const Edges& edges);

struct HopInstance {
  Numbers word;         ///< over darts
  std::uint64_t k = 0;  ///< n / 2
  /// The last token's answer is this if and only if there are two cycles.
  std::int64_t start = 0;
};
/// Problem:   one cycle of n vertices or two of n / 2, as k-hop with k = n / 2 on (n / 2 - 1) 4 n + 3 tokens: lists of all
///            pairs (dart, the dart that goes on from it), n / 2 - 1 times, and once the pair of dart 0; then dart 0.
/// Guarantee: hop m from the end is at the m-th dart of the walk from dart 0. For before a dart that stands second in its
///            pair, the last place with the same dart has it first: in the lists each dart stands first and second in
///            turns, and the pair of dart 0 begins each list, so that its second dart stands first after that. The n / 2-th
///            dart of the walk is dart 0 itself if cycles have n / 2 vertices, another if there is one of n.
/// Cost:      a dart's next needs the two darts of a vertex, O(1) sorts of 2 n records; the rest is copying.
/// Source:    that k-hop is as hard as one-or-two-cycles: Sanford, Hsu, Telgarsky 2024; this encoding is ours.
HopInstance cycles_to_hops(const Edges& edges);

/// Problem:   whether find_k(s) = t in a word of N tokens, 1 <= t, s <= N, N >= 2, as a graph that is two cycles of equal
///            length if not, and one if so.
/// Guarantee: find_1 is injective where it is not 0, so nodes (i, l), l = 0..k, joined to (find_1(i), l + 1), are paths;
///            one that stops goes on by dummies up to l = k. Each path is walked there and back on two tracks, and the
///            tracks of all paths are joined to one ring at their starts. Two exchanges of ends take the tracks of (s, 0) out
///            of the ring, as a cycle of its own with as many dummies as make it half of all, and then join what turns at
///            (t, k) with the rest: that is one cycle if (t, k) ends the path of (s, 0). If it does not, it lies in the rest,
///            which the exchange leaves a cycle.
/// Cost:      find_1 is a sort of N records; all else is local. 4 (N - 1)(k + 1) + 2 sigma k (k + 1) vertices, sigma
///            the distinct symbols of the word: each first one stops a path on every level.
/// Source:    ours.
Edges hops_to_cycles(std::span<const std::int64_t> word, std::uint64_t k, std::uint64_t s, std::uint64_t t);

}  // namespace roundtrip::proofs_check
