#include "roundtrip/mpc/stages/tree_stages.h"
#include "roundtrip/base/fault.h"

#include <algorithm>

namespace roundtrip::mpc {

std::span<const Word> TreeStage::kept(const Context& context, std::uint32_t round) const {
  if (!options_.keep) return {};
  if (round == 1) return options_.keep(context);
  const std::size_t own = context.count_from(context.machine);
  const std::uint64_t tail = own_tail_words(context.machine, round - 1);
  expect_received(own >= tail);
  return context.from(context.machine, 0, own - tail);
}

void TreeStage::pass_kept(const Context& context, std::uint32_t round) const {
  context.out.send(context.machine, kept(context, round));
}

std::span<Word> TreeStage::loaded(const Context& context) const {
  const std::span<Word> element = context.take(options_.element_words);
  options_.load(context, element);
  return element;
}

std::span<const Word> TreeReduce::combined(const Context& context, std::uint32_t round) const {
  const Tree& tree = options_.tree;
  const std::uint32_t level = round - 1;  // of the node that this machine may host now
  if (!tree.covers(context.machine) || !tree.hosts(context.machine, level)) return {};
  if (level == 0) return loaded(context);
  const std::uint32_t leaf = context.machine - tree.first;
  const std::span<Word> element = context.take(options_.element_words);
  const std::uint32_t children = tree.children(level, leaf);
  for (std::uint32_t child = 0; child < children - (children > 1 && seeded("last-child")); ++child) {
    const auto part = message(context, tree.child_host(level, leaf, child), options_.element_words);
    child == 0 ? void(std::ranges::copy(part, element.begin())) : options_.combine(element, part);
  }
  return element;
}

void TreeReduce::step(const Context& context, std::uint32_t round) const {
  pass_kept(context, round);
  const std::span<const Word> element = combined(context, round);
  if (element.empty()) return;
  context.out.send(options_.tree.host(round, context.machine - options_.tree.first), element);
}

std::uint64_t TreeReduce::own_tail_words(MachineId machine, std::uint32_t round) const {
  const Tree& tree = options_.tree;
  const bool to_itself = tree.covers(machine) && tree.hosts(machine, round - 1) &&
                         tree.host(round, machine - tree.first) == machine;
  return to_itself ? options_.element_words : 0;
}

void Broadcast::step(const Context& context, std::uint32_t round) const {
  pass_kept(context, round);
  const Tree& tree = options_.tree;
  const std::uint32_t level = tree.depth - round + 1;
  if (!tree.covers(context.machine) || !tree.hosts(context.machine, level)) return;
  const std::uint32_t leaf = context.machine - tree.first;
  const std::span<const Word> element =
      round == 1 ? loaded(context) : message(context, tree.host(level + 1, leaf), options_.element_words);
  const std::uint32_t children = tree.children(level, leaf);
  for (std::uint32_t child = 0; child < children - (children > 1 && seeded("last-not-told")); ++child) {
    context.out.send(tree.child_host(level, leaf, child), element);
  }
}

std::span<const Word> Broadcast::result(const Context& context) const {
  const Tree& tree = options_.tree;
  if (!tree.covers(context.machine)) return {};
  if (tree.depth == 0) return loaded(context);
  return message(context, tree.host(1, context.machine - tree.first), options_.element_words);
}

std::uint64_t Broadcast::own_tail_words(MachineId machine, std::uint32_t round) const {
  const Tree& tree = options_.tree;
  const std::uint32_t level = tree.depth - round + 1;
  const bool to_itself = tree.covers(machine) && tree.hosts(machine, level - 1) &&
                         tree.host(level, machine - tree.first) == machine;
  return to_itself ? options_.element_words : 0;
}

// ScanTree: the self-message of a round ends with the children's elements of this machine's inner node (from
// the round after their arrival to the one before they are used), then the message up or down if it stays
// here.

namespace {

/// The message from `source`, which is the last thing that it sent to this machine.
std::span<const Word> message_from(const Context& context, MachineId source, std::uint64_t words) {
  const std::span<const Word> sent = context.last_from(source, words);
  expect_received(sent.size() == words);
  return sent;
}

/// The level of the inner node with two children or more on this machine, 0 if there is none.
std::uint32_t inner_level(const Tree& tree, MachineId machine) {
  for (std::uint32_t level = 1; level <= tree.depth; ++level) {
    if (tree.hosts(machine, level) && tree.children(level, machine - tree.first) > 1) return level;
  }
  return 0;
}

/// Whether in `round` the machine sends its node's children's elements to itself. They arrive in round
/// `level`, and are used in round 2 depth - level + 1 when the way down reaches them.
bool holds_children(const Tree& tree, std::uint32_t level, std::uint32_t round) {
  return level > 0 && round > level && round < 2 * tree.depth - level + 1;
}

}  // namespace

std::uint64_t ScanTree::own_tail_words(MachineId machine, std::uint32_t round) const {
  const std::uint32_t leaf = machine - tree.first;
  const std::uint32_t inner = inner_level(tree, machine);
  std::uint64_t words = holds_children(tree, inner, round) ? element_words * tree.children(inner, leaf) : 0;
  // The edge of the tree that is used in this round lies between levels below and below + 1.
  const bool up = round <= tree.depth;
  const std::uint32_t below = up ? round - 1 : 2 * tree.depth - round;
  if (tree.hosts(machine, below) && tree.host(below + 1, leaf) == machine)
    words += (up ? 1 : 2) * element_words;
  return words;
}

void ScanTree::step(const Context& context, std::uint32_t round, std::span<const Word> element,
                    const Start& start) const {
  const MachineId machine = context.machine;
  const std::uint32_t leaf = machine - tree.first;
  const auto arrived = [&](std::uint32_t level, std::uint32_t child) {
    return message_from(context, tree.child_host(level, leaf, child), element_words);
  };
  const auto own_tail = [&] { return message_from(context, machine, own_tail_words(machine, round - 1)); };

  if (const std::uint32_t inner = inner_level(tree, machine); holds_children(tree, inner, round)) {
    const std::uint32_t children = tree.children(inner, leaf);
    if (round == inner + 1) {
      for (std::uint32_t child = 0; child < children; ++child)
        context.out.send(machine, arrived(inner, child));
    } else {
      context.out.send(machine, own_tail().first(children * element_words));
    }
  }

  if (round <= tree.depth) {
    const std::uint32_t level = round - 1;
    if (!tree.hosts(machine, level)) return;
    if (level > 0) {
      const std::span<Word> combined = context.take(element_words);
      std::ranges::copy(arrived(level, 0), combined.begin());
      for (std::uint32_t child = 1; child < tree.children(level, leaf); ++child) {
        combine(combined, arrived(level, child));
      }
      element = combined;
    }
    context.out.send(tree.host(round, leaf), element);
    return;
  }

  const std::uint32_t level = 2 * tree.depth - round + 1;
  if (!tree.hosts(machine, level)) return;
  const std::uint32_t children = tree.children(level, leaf);
  const bool top = level == tree.depth;
  // Elements of the children: just arrived at the top, kept here below it (and not needed for an only child).
  const auto element_of = [&](std::uint32_t child) {
    return top ? arrived(level, child) : own_tail().subspan(child * element_words, element_words);
  };
  const std::span<Word> message = context.take(2 * element_words);
  const std::span<Word> before = message.first(element_words);
  if (top) {
    const std::span<Word> total = message.last(element_words);
    std::ranges::copy(element_of(0), total.begin());
    for (std::uint32_t child = 1; child < children; ++child) combine(total, element_of(child));
    start(total, before);
    if (both) start(total, message.last(element_words));
  } else {
    std::ranges::copy(message_from(context, tree.host(level + 1, leaf), 2 * element_words), message.begin());
  }
  const std::span<Word> swap = backward || both ? context.take(element_words) : std::span<Word>{};
  // Sends `sent` to every child, of which `edge` is what precedes the child from the side where the pass begins.
  const auto pass = [&](bool from_behind, std::span<Word> edge, std::span<const Word> sent) {
    for (std::uint32_t i = 0; i < children; ++i) {
      const std::uint32_t child = from_behind ? children - 1 - i : i;
      context.out.send(tree.child_host(level, leaf, child), sent);
      if (i + 1 == children) continue;
      if (from_behind) {
        std::ranges::copy(element_of(child), swap.begin());
        combine(swap, edge);
        std::ranges::copy(swap, edge.begin());
      } else {
        if (children > 2 && child + 2 == children && seeded("scan-skips-one")) continue;
        combine(edge, element_of(child));
      }
    }
  };
  if (both) {
    pass(false, before, before);
    pass(true, message.last(element_words), message.last(element_words));
  } else {
    pass(backward, before, message);
  }
}

std::span<const Word> ScanTree::result(const Context& context) const {
  return message_from(context, tree.host(1, context.machine - tree.first), 2 * element_words);
}

void TreeScan::step(const Context& context, std::uint32_t round) const {
  pass_kept(context, round);
  if (!options_.tree.covers(context.machine)) return;
  const std::span<const Word> element = round == 1 ? loaded(context) : std::span<const Word>{};
  scan().step(context, round, element, [this](std::span<const Word>, std::span<Word> before) {
    std::ranges::copy(options_.identity, before.begin());
  });
}

TreeScan::Result TreeScan::result(const Context& context) const {
  if (!options_.tree.covers(context.machine)) return {};
  if (rounds() == 0) {
    if (options_.both) return {options_.identity, {}, options_.identity};
    return {options_.identity, loaded(context), {}};
  }
  const std::span<const Word> halves = scan().result(context);
  const std::span<const Word> first = halves.first(options_.element_words);
  const std::span<const Word> second = halves.last(options_.element_words);
  if (options_.both) return {first, {}, second};
  return {first, second, {}};
}

Combine segmented(Combine combine) {
  return [combine = std::move(combine)](std::span<Word> left, std::span<const Word> right) {
    if (right[0] != 0) {
      std::ranges::copy(right, left.begin());
    } else {
      combine(left.subspan(1), right.subspan(1));
    }
  };
}

}  // namespace roundtrip::mpc
