// The tree stages on protocols of the test's own: every fan-in and number of machines, a combination that
// does not commute, words kept beside the elements, limits exactly as the stages' table says.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <set>

#include "roundtrip/mpc/runtime.h"
#include "roundtrip/mpc/stages/tree_stages.h"
#include "roundtrip/mpc/transport.h"

namespace roundtrip::mpc {
namespace {

constexpr std::uint64_t kWidth = 3;
constexpr Word kMask = (Word{1} << 40) - 1;

/// Affine maps x -> a x + c modulo 2^40 and the number of maps composed: associative, not commutative.
void compose(std::span<Word> left, std::span<const Word> right) {
  left[1] = (right[0] * left[1] + right[1]) & kMask;
  left[0] = left[0] * right[0] & kMask;
  left[2] += right[2];
}

std::vector<Word> element_of(MachineId machine, std::span<const Word> input) {
  return {2 * machine + 3, input.empty() ? 0 : input[0] & kMask, 1};
}

enum class Which { kReduce, kBroadcast, kScan, kBothWays };

/// One stage over `leaves` of `machines` machines, each of which holds `block` input words and keeps them;
/// then every leaf (of a reduce, the root) delivers what it got, checked against what it should be by the
/// caller.
class OneStage final : public Composition {
 public:
  OneStage(Which which, std::uint32_t machines, std::uint64_t block, Tree tree) {
    const std::uint64_t words = which == Which::kScan || which == Which::kBothWays ? 2 * kWidth : kWidth;
    shape_.n = machines * block;
    shape_.block_words = block;
    shape_.machines = machines;
    shape_.memory_words = std::max<std::uint64_t>(block + tree.fan * words, 3 * block);
    shape_.outputs = shape_.n;
    TreeOptions options{.tree = tree,
                        .element_words = kWidth,
                        .load =
                            [](const Context& context, std::span<Word> element) {
                              std::ranges::copy(element_of(context.machine, context.inbox.words()),
                                                element.begin());
                            },
                        .combine = compose,
                        .identity = {1, 0, 0},
                        .keep = [](const Context& context) { return context.inbox.words(); }};
    switch (which) {
      case Which::kReduce: {
        const TreeReduce& stage = then<TreeReduce>("stage", options);
        finish(stage, [&stage](const Context& context) { return stage.result(context); });
        break;
      }
      case Which::kBroadcast: {
        const Broadcast& stage = then<Broadcast>("stage", options);
        finish(stage, [&stage](const Context& context) { return stage.result(context); });
        break;
      }
      case Which::kBothWays:
        options.both = true;
        [[fallthrough]];
      case Which::kScan: {
        const TreeScan& stage = then<TreeScan>("stage", options);
        finish(stage, [&stage](const Context& context) {
          const TreeScan::Result result = stage.result(context);
          if (result.before.empty()) return std::span<const Word>{};
          const std::span<Word> both = context.take(2 * kWidth);
          std::ranges::copy(second_half(result), std::ranges::copy(result.before, both.begin()).out);
          return std::span<const Word>(both);
        });
        break;
      }
    }
    shape_.validate();
  }

  mutable std::vector<std::vector<Word>> results = {};  // of each machine: what the test looks at
  mutable std::vector<std::vector<Word>> kept = {};

 private:
  static std::span<const Word> second_half(const TreeScan::Result& result) {
    return result.total.empty() ? result.behind : result.total;
  }
  void finish(const TreeStage& stage, std::function<std::span<const Word>(const Context&)> read) {
    results.resize(shape_.machines);
    kept.resize(shape_.machines);
    then("look", 1, 3 * kWidth, [this, &stage, read](const Context& context, std::uint32_t) {
      const std::span<const Word> result = read(context);
      const std::span<const Word> own = stage.kept(context);
      results[context.machine].assign(result.begin(), result.end());
      kept[context.machine].assign(own.begin(), own.end());
      for (std::uint64_t i = 0; i < shape_.block_words; ++i) {
        context.out.deliver(context.machine * shape_.block_words + i, 0);
      }
    });
  }
};

struct Observed {
  std::unique_ptr<OneStage> protocol;
  std::vector<Word> input;
  Ledger ledger;
};

Observed observe(Which which, std::uint32_t machines, std::uint64_t block, Tree tree) {
  Observed observed{
      .protocol = std::make_unique<OneStage>(which, machines, block, tree), .input = {}, .ledger = {}};
  for (std::uint64_t i = 0; i < machines * block; ++i) observed.input.push_back(1000 + 17 * i);
  const auto transport = make_in_process_transport();
  observed.ledger = run(*observed.protocol, observed.input, *transport).ledger;
  return observed;
}

std::vector<Word> fold(const Observed& observed, std::uint64_t block, MachineId from, MachineId to) {
  std::vector<Word> all = {1, 0, 0};
  for (MachineId machine = from; machine < to; ++machine) {
    compose(all, element_of(machine, std::span(observed.input).subspan(machine * block, block)));
  }
  return all;
}

struct Case {
  std::uint32_t machines;
  std::uint64_t block;
  Tree tree;
};

Case any_case() {
  const auto machines = *rc::gen::inRange<std::uint32_t>(1, 60);
  const auto first = *rc::gen::inRange<MachineId>(0, machines);
  const auto leaves = *rc::gen::inRange<std::uint32_t>(1, machines - first + 1);
  const auto fan = *rc::gen::inRange<std::uint32_t>(2, 12);
  Tree tree = Tree::over(first, leaves, fan);
  if (leaves > 1) tree.depth += *rc::gen::inRange<std::uint32_t>(0, 3);  // deeper than needed is allowed
  return {machines, *rc::gen::inRange<std::uint64_t>(1, 4), tree};
}

TEST(Tree, InnerNodesStandOnDistinctMachinesButTheFirst) {
  for (std::uint32_t leaves = 2; leaves <= 130; ++leaves) {
    for (std::uint32_t fan = 2; fan <= leaves + 1; ++fan) {
      const Tree tree = Tree::over(7, leaves, fan);
      std::set<MachineId> used;
      for (std::uint32_t level = 1; level <= tree.depth; ++level) {
        std::uint64_t covered = 0;
        for (std::uint64_t leaf = 0; leaf < leaves; leaf += tree.span(level)) {
          const auto at = static_cast<std::uint32_t>(leaf);
          const std::uint32_t children = tree.children(level, at);
          covered += children;
          ASSERT_LE(children, fan);
          const MachineId host = tree.host(level, at);
          if (children == 1) {
            ASSERT_EQ(host, tree.child_host(level, at, 0));
          }
          if (children > 1) {
            ASSERT_TRUE(used.insert(host).second) << leaves << " " << fan;
          }
          ASSERT_NE(host == 7 && children > 1, true);
          ASSERT_TRUE(tree.covers(host));
          ASSERT_EQ(tree.node(level, host - 7), leaf);
        }
        ASSERT_EQ(covered, (leaves + tree.span(level - 1) - 1) / tree.span(level - 1));
      }
      ASSERT_EQ(tree.children(tree.depth, 0) > 1, true);
    }
  }
}

TEST(TreeReduce, CombinesInMachineOrderAndKeepsWords) {
  EXPECT_TRUE(rc::check([] {
    const Case c = any_case();
    const Observed seen = observe(Which::kReduce, c.machines, c.block, c.tree);
    for (MachineId machine = 0; machine < c.machines; ++machine) {
      const bool root = machine == c.tree.root();
      RC_ASSERT(
          seen.protocol->results[machine] ==
          (root ? fold(seen, c.block, c.tree.first, c.tree.first + c.tree.leaves) : std::vector<Word>{}));
      const auto own = std::span(seen.input).subspan(machine * c.block, c.block);
      RC_ASSERT(std::ranges::equal(seen.protocol->kept[machine], own));
    }
    RC_ASSERT(seen.ledger.rounds.size() == c.tree.depth + 1);
  }));
}

TEST(Broadcast, ReachesEveryMachine) {
  EXPECT_TRUE(rc::check([] {
    const Case c = any_case();
    const Observed seen = observe(Which::kBroadcast, c.machines, c.block, c.tree);
    const MachineId root = c.tree.root();
    const std::vector<Word> element =
        element_of(root, std::span(seen.input).subspan(root * c.block, c.block));
    for (MachineId machine = 0; machine < c.machines; ++machine) {
      if (c.tree.covers(machine)) RC_ASSERT(seen.protocol->results[machine] == element);
      const auto own = std::span(seen.input).subspan(machine * c.block, c.block);
      RC_ASSERT(std::ranges::equal(seen.protocol->kept[machine], own));
    }
  }));
}

TEST(TreeScan, GivesWhatPrecedesAndTheTotal) {
  EXPECT_TRUE(rc::check([] {
    const Case c = any_case();
    const Observed seen = observe(Which::kScan, c.machines, c.block, c.tree);
    for (MachineId machine = c.tree.first; machine < c.tree.first + c.tree.leaves; ++machine) {
      std::vector<Word> expected = fold(seen, c.block, c.tree.first, machine);
      std::ranges::copy(fold(seen, c.block, c.tree.first, c.tree.first + c.tree.leaves),
                        std::back_inserter(expected));
      RC_ASSERT(seen.protocol->results[machine] == expected);
    }
    for (MachineId machine = 0; machine < c.machines; ++machine) {
      const auto own = std::span(seen.input).subspan(machine * c.block, c.block);
      RC_ASSERT(std::ranges::equal(seen.protocol->kept[machine], own));
    }
    RC_ASSERT(seen.ledger.rounds.size() == 2 * c.tree.depth + 1);
  }));
}

TEST(TreeScan, BothWaysInTheRoundsOfOne) {
  EXPECT_TRUE(rc::check([] {
    const Case c = any_case();
    const Observed seen = observe(Which::kBothWays, c.machines, c.block, c.tree);
    const MachineId end = c.tree.first + c.tree.leaves;
    for (MachineId machine = c.tree.first; machine < end; ++machine) {
      std::vector<Word> expected = fold(seen, c.block, c.tree.first, machine);
      std::ranges::copy(fold(seen, c.block, machine + 1, end), std::back_inserter(expected));
      RC_ASSERT(seen.protocol->results[machine] == expected);
    }
    RC_ASSERT(seen.ledger.rounds.size() == 2 * c.tree.depth + 1);
  }));
}

TEST(Segmented, StartsAnewWhereAFlagStands) {
  const Combine add =
      segmented([](std::span<Word> left, std::span<const Word> right) { left[0] += right[0]; });
  const auto combined = [&add](std::vector<Word> left, const std::vector<Word>& right) {
    add(left, right);
    return left;
  };
  EXPECT_EQ(combined({1, 5}, {0, 7}), (std::vector<Word>{1, 12}));
  EXPECT_EQ(combined({1, 5}, {1, 7}), (std::vector<Word>{1, 7}));
  EXPECT_EQ(combined({0, 5}, {0, 7}), (std::vector<Word>{0, 12}));
  EXPECT_TRUE(rc::check([&] {  // associative
    const auto any = [] {
      return std::vector<Word>{*rc::gen::inRange<Word>(0, 2), *rc::gen::inRange<Word>(0, 100)};
    };
    const auto a = any(), b = any(), c = any();
    RC_ASSERT(combined(combined(a, b), c) == combined(a, combined(b, c)));
  }));
}

}  // namespace
}  // namespace roundtrip::mpc
