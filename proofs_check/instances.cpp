#include "roundtrip/proofs_check/instances.h"

#include <algorithm>

namespace roundtrip::proofs_check {
namespace {

using Edges = std::vector<std::pair<std::uint64_t, std::uint64_t>>;

/// Filled up with the first edge; cut if there are too many.
Numbers words_of(Edges edges, std::uint64_t count) {
  edges.resize(count, edges.front());
  Numbers words;
  for (const auto& [u, v] : edges) {
    words.push_back(static_cast<std::int64_t>(u));
    words.push_back(static_cast<std::int64_t>(v));
  }
  return words;
}

}  // namespace

std::vector<NamedInput> number_instances(std::uint64_t n, std::int64_t low, std::int64_t high,
                                         std::uint64_t block) {
  const std::uint64_t range = static_cast<std::uint64_t>(high - low) + 1;
  const auto filled = [&](const auto& at) {
    Numbers x(n);
    for (std::uint64_t i = 0; i < n; ++i) x[i] = at(i);
    return x;
  };
  const auto spaced = [&](std::uint64_t i) {
    return low + static_cast<std::int64_t>(i * (range / n + 1) % range);
  };
  std::vector<NamedInput> all;
  all.push_back({"all equal", filled([&](std::uint64_t) { return high - 1; })});
  if (low <= 0 && high >= 0) all.push_back({"all zero", filled([](std::uint64_t) { return 0; })});
  Numbers sorted = filled(spaced);
  std::ranges::sort(sorted);
  all.push_back({"ascending", sorted});
  std::ranges::reverse(sorted);
  all.push_back({"descending", sorted});
  all.push_back({"two values", filled([&](std::uint64_t i) { return low + (i * i % 7 < 3 ? 0 : 1); })});
  all.push_back({"extremes", filled([&](std::uint64_t i) { return i % 3 == 0 ? low : high; })});
  // Word 0 of a block is the last word of the block before.
  all.push_back({"pairs across blocks",
                 filled([&](std::uint64_t i) { return spaced(i > 0 && i % block == 0 ? i - 1 : i); })});
  all.push_back({"one that differs, at the end of a block",
                 filled([&](std::uint64_t i) { return i + 1 == std::min(block, n) ? high : low; })});
  all.push_back({"triples (x, x, -2x)", filled([&](std::uint64_t i) {
                   const auto x = static_cast<std::int64_t>(1 + i / 3);
                   return std::clamp(i % 3 == 2 ? -2 * x : x, low, high);
                 })});
  return all;
}

std::vector<NamedInput> graph_instances(std::uint64_t n) {
  const std::uint64_t vertices = n / 2;  // and as many edges
  const auto zigzag = [&](std::uint64_t i) { return i % 2 == 0 ? i / 2 : vertices - 1 - i / 2; };
  Edges path, star, lollipop, zig, cycles;
  for (std::uint64_t i = 0; i + 1 < vertices; ++i) {
    path.emplace_back(i, i + 1);
    star.emplace_back(vertices - 1, i);
    zig.emplace_back(zigzag(i), zigzag(i + 1));
  }
  std::uint64_t clique = 2;  // the largest one that leaves half of the edges
  while ((clique + 1) * clique / 2 <= vertices / 2) ++clique;
  for (std::uint64_t u = 0; u < clique; ++u) {
    for (std::uint64_t v = u + 1; v < clique; ++v) lollipop.emplace_back(u, v);
  }
  for (std::uint64_t v = clique; v < vertices && lollipop.size() < vertices; ++v)
    lollipop.emplace_back(v - 1, v);
  // Triangles on the last vertices, up to a quarter of them; one cycle on the others.
  const std::uint64_t in_triangles = vertices / 4 / 3 * 3;
  const std::uint64_t long_cycle = vertices - in_triangles;
  for (std::uint64_t i = 0; i < long_cycle; ++i) cycles.emplace_back(i, (i + 1) % long_cycle);
  for (std::uint64_t i = 0; i < in_triangles; ++i) {
    const std::uint64_t first = long_cycle + i / 3 * 3;
    cycles.emplace_back(first + i % 3, first + (i + 1) % 3);
  }
  return {{"path", words_of(path, vertices)},
          {"star", words_of(star, vertices)},
          {"lollipop", words_of(lollipop, vertices)},
          {"zigzag path", words_of(zig, vertices)},
          {"a long cycle among triangles", words_of(cycles, vertices)}};
}

std::vector<std::uint64_t> around_borders(std::uint64_t low, std::uint64_t high) {
  std::vector<std::uint64_t> sizes;
  for (const Border& border : kBorders) {
    if (border.size < low || border.size > high) continue;
    sizes.insert(sizes.end(), {border.size - 1, border.size, border.size + 1});
  }
  return sizes;
}

std::vector<std::uint64_t> small_sizes() {
  std::vector<std::uint64_t> sizes{1, 2, 3, 4, 5, 48, 49, 50, 81, 97};
  const std::vector<std::uint64_t> borders = around_borders(8, 128);
  sizes.insert(sizes.end(), borders.begin(), borders.end());
  std::ranges::sort(sizes);
  return sizes;
}

}  // namespace roundtrip::proofs_check
