// Purpose: named instances that go wrong where random ones do not: ties, duplicates, extremes, words that are
// alike at the borders of blocks, graphs of large diameter. Statements and registered protocols loop over them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "roundtrip/proofs_check/oracles.h"

namespace roundtrip::proofs_check {

struct NamedInput {
  std::string name;
  Numbers values;
};

/// N >= 1 numbers of [low, high], low < high, on machines of `block` words: all equal, all zero (if in range),
/// ascending, descending, two values, both extremes, pairs across the borders of blocks, one that differs at
/// the end of a block, triples (x, x, -2x) as far as they are in range.
std::vector<NamedInput> number_instances(std::uint64_t n, std::int64_t low, std::int64_t high,
                                         std::uint64_t block);

/// N even, N >= 8: N/2 edges u0 v0 u1 v1 .. over vertices 0 .. N/2 - 1: a path, a star, a lollipop (a clique
/// on a path), a path whose labels zigzag between the least and the largest, a long cycle among triangles.
std::vector<NamedInput> graph_instances(std::uint64_t n);

/// N sizes at both sides of what changes something on machines of ceil(sqrt N) words: 1, 2, 3, primes, squares
/// and their neighbours, powers of two and theirs.
std::vector<std::uint64_t> small_sizes();

}  // namespace roundtrip::proofs_check
