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

/// A size at which a type, a code or a block of the engines and of the runtime changes.
struct Border {
  std::uint64_t size;
  const char* what;
};
inline constexpr Border kBorders[] = {{8, "words of a vector register"},
                                      {16, "vectors hashed at once, columns and tables of a batch"},
                                      {32, "numbers of 16 bits in a vector register"},
                                      {64, "bits of a mask of machines"},
                                      {128, "dimension of ids"},
                                      {256, "counts of 8 bits"},
                                      {512, "keys of a partition"},
                                      {1024, "words of a run that is not copied"},
                                      {1 << 15, "numbers of 15 bits and a sign"},
                                      {1 << 16, "counts of 16 bits"},
                                      {1 << 24, "integers that a float holds; sizes by plan"}};
/// Each border of [low, high] with the sizes beside it, ascending. Statements take from here at which sizes they look,
/// as far as their work allows.
std::vector<std::uint64_t> around_borders(std::uint64_t low, std::uint64_t high);

/// Sizes at both sides of what changes something on machines of ceil(sqrt N) words: 1, 2, 3, primes, squares and their
/// neighbours, and the borders up to 128.
std::vector<std::uint64_t> small_sizes();

}  // namespace roundtrip::proofs_check
