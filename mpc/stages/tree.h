// Purpose: trees of fan-in f over consecutive machines, with inner nodes on distinct machines, so that no
// machine needs more than one node's memory: the ground of reduce, broadcast, scan and sort.
//
// A node of level l is named by the first leaf of its subtree, a multiple of f^l. A node with two children or
// more is on the first leaf of its second child: of a leaf j >= 1, the lowest nonzero digit in base f
// decides for which node it could serve (digit 1 at place l-1: for level l), so inner nodes are on distinct
// machines and never on the first. A node with one child is its child, on the same machine.
#pragma once

#include <algorithm>
#include <cstdint>

#include "roundtrip/base/rational.h"
#include "roundtrip/mpc/parameters.h"

namespace roundtrip::mpc {

struct Tree {
  std::uint32_t fan;     ///< f >= 2
  std::uint32_t depth;   ///< levels of inner nodes; f^depth >= leaves
  MachineId first;       ///< machine of leaf 0
  std::uint32_t leaves;  ///< on machines first .. first + leaves - 1

  /// The least depth that reaches over `leaves` machines.
  static Tree over(MachineId first, std::uint32_t leaves, std::uint32_t fan) {
    return {fan, ceil_log(fan, leaves), first, leaves};
  }
  /// Leaves below a full node of level `level`, or something at least `leaves` if there are more.
  std::uint64_t span(std::uint32_t level) const {
    std::uint64_t power = 1;
    while (level-- > 0 && power < leaves) power *= fan;
    return power;
  }
  /// The machine of the node of that level over `leaf`.
  MachineId host(std::uint32_t level, std::uint32_t leaf) const {
    const std::uint64_t start = node(level, leaf);
    for (; level > 0; --level) {
      const std::uint64_t second_child = start + span(level - 1);
      if (second_child < leaves) return static_cast<MachineId>(first + second_child);
    }
    return static_cast<MachineId>(first + start);
  }
  /// The first leaf of the node of that level over `leaf`.
  std::uint32_t node(std::uint32_t level, std::uint32_t leaf) const {
    return static_cast<std::uint32_t>(leaf - leaf % span(level));
  }
  /// Whether `machine` holds a leaf.
  bool covers(MachineId machine) const { return machine >= first && machine - first < leaves; }
  /// Whether `machine`, a leaf's, hosts a node of that level (then the one over its own leaf).
  bool hosts(MachineId machine, std::uint32_t level) const { return host(level, machine - first) == machine; }
  /// Children of the node of level `level` >= 1 over `leaf`.
  std::uint32_t children(std::uint32_t level, std::uint32_t leaf) const {
    const std::uint64_t rest = leaves - node(level, leaf);
    return static_cast<std::uint32_t>(std::min<std::uint64_t>(fan, ceil_div(rest, span(level - 1))));
  }
  /// The machine of child `child` of the node of level `level` >= 1 over `leaf`.
  MachineId child_host(std::uint32_t level, std::uint32_t leaf, std::uint32_t child) const {
    return host(level - 1, static_cast<std::uint32_t>(node(level, leaf) + child * span(level - 1)));
  }
  MachineId root() const { return host(depth, 0); }
};

}  // namespace roundtrip::mpc
