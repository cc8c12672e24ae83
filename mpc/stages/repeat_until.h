// Purpose: a body of stages that is repeated until it has nothing left to do, at most a declared number of times.
//
// Problem:   every machine has a state; a turn of the body changes it, unless all machines are done.
// Guarantee: the state after min(times, the first turn before which all are done) turns of the body.
// Cost:      R = times (2 d + rounds of the body), d = max(1, ceil(log_f machines)): a formula, whatever the input. An AND goes
//            up a tree and down again before every turn. When all are done, a machine only sends its state to itself.
//            K + 2 f words in or out beside the body's, K those of a state.
// Why:       layers of a transformer are as many as the rounds declared, so an early end saves words and time, not rounds.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include "roundtrip/mpc/stages/composition.h"
#include "roundtrip/mpc/stages/tree_stages.h"

namespace roundtrip::mpc {

struct RepeatUntilOptions {
  using Load = std::function<std::span<const Word>(const Context&)>;
  Tree tree;                ///< over all machines that take part in the body, of any depth
  std::uint32_t times = 1;  ///< at least 1
  Load load;                ///< the machine's state at the start, in the stage's first step
  std::function<bool(MachineId, std::span<const Word> state)> done;
  /// Makes the body, a stage of at least one round, from what reads the state in its first step.
  std::function<std::unique_ptr<const Stage>(Load state)> body;
  /// The state that the body left, in the step after it. What a machine sends to itself in the body's last round must not
  /// begin with the word kDone.
  std::function<std::span<const Word>(const Context&, const Stage& body)> result;
  std::uint64_t load_scratch_words = 0;    ///< that one call of load takes
  std::uint64_t result_scratch_words = 0;  ///< that one call of result takes beside the body's own
};

class RepeatUntil final : public Stage {
 public:
  using Options = RepeatUntilOptions;
  static constexpr Word kDone = (Word{1} << 48) - 2;

  explicit RepeatUntil(const Options& options);
  std::uint32_t rounds() const override { return options_.times * turn_rounds(); }
  void step(const Context& context, std::uint32_t round) const override;
  std::uint64_t scratch_words() const override;
  std::uint64_t result_scratch_words() const override {
    return body_->result_scratch_words() + options_.result_scratch_words;
  }
  /// In the step after the stage: the machine's state.
  std::span<const Word> result(const Context& context) const;

 private:
  std::uint32_t turn_rounds() const { return first_.rounds() + body_->rounds(); }

  Options options_;
  std::unique_ptr<const Stage> body_;
  TreeScan first_, later_;  // of the first turn, and of all others
};

}  // namespace roundtrip::mpc
