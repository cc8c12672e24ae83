// Purpose: reduce, broadcast and prefix scan over a tree of machines. Elements are W words; every machine of
// the tree holds one. A machine may keep further words of its own beside them (`keep`), K at most: it sends
// them to itself, and they count.
//
//   stage       rounds   words in or out, at most   widest fan-in
//   TreeReduce    d      K + f W                    floor((s - K) / W)
//   Broadcast     d      K + f W                    floor((s - K) / W)
//   TreeScan     2 d     K + 2 f W                  floor((s - K) / 2W)       with d = ceil(log_f machines)
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "roundtrip/mpc/stages/composition.h"
#include "roundtrip/mpc/stages/tree.h"

namespace roundtrip::mpc {

/// left := left combined with right; associative, elements in machine order.
using Combine = std::function<void(std::span<Word> left, std::span<const Word> right)>;

struct TreeOptions {
  Tree tree;
  std::uint64_t element_words = 1;  ///< W
  /// The machine's element, called in the stage's first step: on every leaf (Broadcast: on tree.root()
  /// alone).
  std::function<void(const Context&, std::span<Word> element)> load;
  Combine combine = {};             ///< TreeReduce and TreeScan
  std::vector<Word> identity = {};  ///< TreeScan: W words
  /// Words that this machine (of the tree or not) will still want after the stage; called in the first step.
  std::function<std::span<const Word>(const Context&)> keep = {};
  std::uint64_t load_scratch_words = 0;  ///< that load and keep take together
  bool backward = false;  ///< TreeScan: what is behind a machine's element, instead of before it
  bool both = false;      ///< TreeScan: what is before it, and what is behind it instead of the total
};

/// What the three have in common: elements of W words, and words kept by their machine.
class TreeStage : public Stage {
 public:
  using Options = TreeOptions;
  explicit TreeStage(Options options) : options_(std::move(options)) {}
  std::uint64_t result_scratch_words() const override {
    return rounds() > 0 ? 0 : 2 * options_.element_words + options_.load_scratch_words;
  }
  /// In the step after the stage: what this machine kept.
  std::span<const Word> kept(const Context& context) const { return kept(context, rounds() + 1); }
  const Tree& tree() const { return options_.tree; }

 protected:
  /// Words that follow the kept ones in what `machine` sent to itself in `round` of the stage.
  virtual std::uint64_t own_tail_words(MachineId machine, std::uint32_t round) const = 0;
  std::span<const Word> kept(const Context& context, std::uint32_t round) const;
  void pass_kept(const Context& context, std::uint32_t round) const;
  std::span<Word> loaded(const Context& context) const;
  /// The message from `source`, which is the last thing that it sent to this machine.
  static std::span<const Word> message(const Context& context, MachineId source, std::uint64_t words) {
    const std::span<const Word> sent = context.last_from(source, words);
    expect_received(sent.size() == words);
    return sent;
  }

  Options options_;
};

/// All elements combined, at tree.root().
class TreeReduce final : public TreeStage {
 public:
  using TreeStage::TreeStage;
  std::uint32_t rounds() const override { return options_.tree.depth; }
  void step(const Context& context, std::uint32_t round) const override;
  std::uint64_t scratch_words() const override {
    return options_.element_words + options_.load_scratch_words;
  }
  std::uint64_t result_scratch_words() const override {
    return options_.element_words + options_.load_scratch_words;
  }
  /// In the step after the stage: the result on tree().root(), nothing elsewhere.
  std::span<const Word> result(const Context& context) const { return combined(context, rounds() + 1); }

 private:
  std::uint64_t own_tail_words(MachineId machine, std::uint32_t round) const override;
  std::span<const Word> combined(const Context& context, std::uint32_t round) const;
};

/// The root's element, on every machine of the tree.
class Broadcast final : public TreeStage {
 public:
  using TreeStage::TreeStage;
  std::uint32_t rounds() const override { return options_.tree.depth; }
  void step(const Context& context, std::uint32_t round) const override;
  std::uint64_t scratch_words() const override {
    return options_.element_words + options_.load_scratch_words;
  }
  /// In the step after the stage: the element, on every machine of the tree.
  std::span<const Word> result(const Context& context) const;

 private:
  std::uint64_t own_tail_words(MachineId machine, std::uint32_t round) const override;
};

/// One scan over one tree, round by round, for stages that run several or start in their own way. What the
/// machine sends to itself for the scan comes last in its self-message of the round.
struct ScanTree {
  using Start = std::function<void(std::span<const Word> total, std::span<Word> before)>;

  Tree tree;
  std::uint64_t element_words;
  const Combine& combine;
  bool backward =
      false;  ///< what is behind instead of what is before; `start`: what is behind the last element
  bool both =
      false;  ///< what is behind an element in the place of the total; `start` is called for both ends

  /// The part of the self-message of `round` (1..2 depth) that belongs to the scan, at its end.
  std::uint64_t own_tail_words(MachineId machine, std::uint32_t round) const;
  /// Sends for `round`, on a machine of the tree. `element` is read in round 1; `start` computes what
  /// precedes the first element from the total, at the root.
  void step(const Context& context, std::uint32_t round, std::span<const Word> element,
            const Start& start) const;
  /// After round 2 depth >= 2: (what precedes this machine's element, the total; or what is behind it), 2 W words.
  std::span<const Word> result(const Context& context) const;
};

/// On every machine of the tree: all elements before its own combined (the identity on the first; backward: those
/// behind it), and those of all machines; with `both` those before and those behind. A segmented scan is a scan over (flag, value) elements: see segmented().
class TreeScan final : public TreeStage {
 public:
  using TreeStage::TreeStage;
  struct Result {
    std::span<const Word> before;
    std::span<const Word> total;   ///< without `both`
    std::span<const Word> behind;  ///< with `both`
  };
  std::uint32_t rounds() const override { return 2 * options_.tree.depth; }
  void step(const Context& context, std::uint32_t round) const override;
  std::uint64_t scratch_words() const override {
    return (options_.backward || options_.both ? 4 : 3) * options_.element_words +
           options_.load_scratch_words;
  }
  Result result(const Context& context) const;

 private:
  std::uint64_t own_tail_words(MachineId machine, std::uint32_t round) const override {
    return options_.tree.covers(machine) ? scan().own_tail_words(machine, round) : 0;
  }
  ScanTree scan() const {
    return {options_.tree, options_.element_words, options_.combine, options_.backward, options_.both};
  }
};

/// The combination of a segmented scan: elements are one word that is 1 where a segment starts, then those of
/// `combine`.
Combine segmented(Combine combine);

}  // namespace roundtrip::mpc
