#include "roundtrip/proofs_check/reductions.h"

#include <algorithm>
#include <map>

#include "roundtrip/base/ensure.h"
#include "roundtrip/base/fault.h"

namespace roundtrip::proofs_check {
namespace {

/// The darts that leave each vertex; dart 2e leaves the first end of edge e.
std::map<std::uint64_t, std::vector<std::uint64_t>> darts_by_vertex(const Edges& edges) {
  std::map<std::uint64_t, std::vector<std::uint64_t>> leaving;
  for (std::uint64_t e = 0; e < edges.size(); ++e) {
    leaving[edges[e].first].push_back(2 * e);
    leaving[edges[e].second].push_back(2 * e + 1);
  }
  return leaving;
}

/// The dart that goes on from each: the one that leaves the vertex where it ends and is not it backwards. Empty if some
/// vertex has not two ends of edges.
std::vector<std::uint64_t> next_darts(const Edges& edges) {
  std::vector<std::uint64_t> next(2 * edges.size());
  for (const auto& [vertex, darts] : darts_by_vertex(edges)) {
    if (darts.size() != 2) return {};
    next[darts[0] ^ 1] = darts[1];
    next[darts[1] ^ 1] = darts[0];
  }
  return next;
}

}  // namespace

std::vector<std::uint64_t> cycle_lengths(const Edges& edges) {
  const std::vector<std::uint64_t> next = next_darts(edges);
  std::vector<std::uint64_t> lengths;
  std::vector<bool> seen(edges.size());
  for (std::uint64_t e = 0; e < edges.size() && !next.empty(); ++e) {
    if (seen[e]) continue;
    lengths.push_back(0);
    for (std::uint64_t dart = 2 * e; !seen[dart / 2]; dart = next[dart]) {
      seen[dart / 2] = true;
      ++lengths.back();
    }
  }
  return lengths;
}

HopInstance cycles_to_hops(const Edges& edges) {
  const std::vector<std::uint64_t> next = next_darts(edges);
  ensure(edges.size() >= 4 && edges.size() % 2 == 0 && !next.empty(),
         "a graph of even size whose vertices have two edges");
  HopInstance instance{.word = {}, .k = edges.size() / 2, .start = 0};
  const auto pair = [&](std::uint64_t dart) {
    instance.word.push_back(static_cast<std::int64_t>(dart));
    instance.word.push_back(static_cast<std::int64_t>(next[dart]));
  };
  const std::uint64_t lists = instance.k - 1 - (seeded("reduction-list-missing") ? 1 : 0);
  for (std::uint64_t list = 0; list < lists; ++list) {
    const std::uint64_t first = seeded("reduction-list-order") ? 1 : 0;
    for (std::uint64_t dart = 0; dart < next.size(); ++dart) pair((dart + first) % next.size());
  }
  pair(0);
  instance.word.push_back(0);
  return instance;
}

Edges hops_to_cycles(std::span<const std::int64_t> word, std::uint64_t k, std::uint64_t s, std::uint64_t t) {
  const std::uint64_t n = word.size();
  ensure(n >= 2 && k >= 1 && s >= 1 && s <= n && t >= 1 && t <= n,
         "a word of two tokens, and positions in it");
  // find_1, from 1; 0 is none.
  std::map<std::int64_t, std::uint64_t> latest;  // of x, the place after its last one
  std::vector<std::uint64_t> find(n + 1), from(n + 1);
  for (std::uint64_t i = 1; i <= n; ++i) {
    if (i >= 2) latest[word[i - 2]] = i;
    const auto found = latest.find(word[i - 1]);
    if (found != latest.end()) from[find[i] = found->second] = i;
  }
  // A path: its nodes are numbered as they are met, on track A by even, on track B by odd numbers.
  struct Path {
    std::uint64_t first, last;
  };
  Edges edges;
  std::uint64_t nodes = 0, turn = 0, own = 0, own_length = 0;  // turn: the node at (t, k)
  std::vector<Path> paths;
  for (std::uint64_t level = 0; level <= k; ++level) {
    for (std::uint64_t start = 1; start <= n; ++start) {
      if (level > 0 && from[start] != 0) continue;  // the path goes through it
      Path path{nodes, nodes};
      std::uint64_t at = start;
      for (std::uint64_t l = level;; ++l) {
        path.last = nodes++;
        if (l > level)
          for (const std::uint64_t track : {0, 1})
            edges.push_back({2 * path.last - 2 + track, 2 * path.last + track});
        if (l == k) break;
        at = find[at];  // find[0] is 0: a dummy
      }
      if (at == t) turn = path.last;
      if (level == 0 && start == s) own = paths.size(), own_length = 2 * (path.last - path.first + 1);
      paths.push_back(path);
    }
  }
  // Half of all is what is not on the path of (s, 0), whose cycle gets dummies for the rest.
  const std::uint64_t others = 2 * nodes - own_length;
  std::uint64_t before = 2 * paths[own].first;
  for (std::uint64_t dummy = 2 * nodes; dummy < 2 * nodes + others - own_length; ++dummy) {
    edges.push_back({before, dummy});
    before = dummy;
  }
  edges.push_back({before, 2 * paths[own].first + 1});
  for (const Path& path : paths)
    if (path.last != turn) edges.push_back({2 * path.last, 2 * path.last + 1});
  // The ring of the others' starts, but for one place, where what turns at (t, k) comes in, crosswise.
  std::vector<std::uint64_t> ring;
  for (std::size_t i = 1; i < paths.size(); ++i) ring.push_back(2 * paths[(own + i) % paths.size()].first);
  for (std::size_t i = 0; i + 1 < ring.size(); ++i) edges.push_back({ring[i] + 1, ring[i + 1]});
  const std::uint64_t crossed = seeded("reduction-uncrossed") ? 1 : 0;
  edges.push_back({ring.back() + 1, 2 * turn + crossed});
  edges.push_back({ring.front(), 2 * turn + 1 - crossed});
  return edges;
}

}  // namespace roundtrip::proofs_check
