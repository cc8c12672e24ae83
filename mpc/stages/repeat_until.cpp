#include "roundtrip/mpc/stages/repeat_until.h"

#include <algorithm>

#include "roundtrip/base/error.h"

namespace roundtrip::mpc {
namespace {

TreeOptions all_done(const RepeatUntilOptions& options, const RepeatUntilOptions::Load& state,
                     std::uint64_t load_words) {
  Tree tree = options.tree;
  tree.depth = std::max(tree.depth, 1u);  // what the body reads is then always on its way
  return {.tree = tree,
          .load =
              [done = options.done, state](const Context& context, std::span<Word> element) {
                element[0] = done(context.machine, state(context)) ? 1 : 0;
              },
          .combine = [](std::span<Word> left, std::span<const Word> right) { left[0] &= right[0]; },
          .identity = {1},
          .keep = state,
          .load_scratch_words = 2 * load_words};
}

}  // namespace

RepeatUntil::RepeatUntil(const Options& options)
    : options_(options),
      body_(options.body([this](const Context& context) { return first_.kept(context); })),
      first_(all_done(options, options.load, options.load_scratch_words)),
      later_(all_done(
          options, [this](const Context& context) { return result(context); }, result_scratch_words())) {
  require(options.times > 0 && body_->rounds() > 0,
          "a body of {} rounds is repeated {} times, allowed is at least 1 of both", body_->rounds(),
          options.times);
}

std::uint64_t RepeatUntil::scratch_words() const {
  return std::max({first_.scratch_words(), later_.scratch_words(), body_->scratch_words()});
}

std::span<const Word> RepeatUntil::result(const Context& context) const {
  const std::span<const Word> own = context.from(context.machine);
  return !own.empty() && own[0] == kDone ? own.subspan(1) : options_.result(context, *body_);
}

void RepeatUntil::step(const Context& context, std::uint32_t round) const {
  const std::uint32_t turn = (round - 1) / turn_rounds();
  const std::uint32_t within = (round - 1) % turn_rounds() + 1;
  if (within <= first_.rounds()) return (turn == 0 ? first_ : later_).step(context, within);
  const std::uint32_t body_round = within - first_.rounds();
  std::span<const Word> state = context.from(context.machine);
  bool done = body_round > 1 && !state.empty() && state[0] == kDone;
  if (done) {
    state = state.subspan(1);
  } else if (body_round == 1) {
    const std::span<const Word> total = first_.result(context).total;
    done = !total.empty() && total[0] == 1;
    state = first_.kept(context);
  }
  if (!done) return body_->step(context, body_round);
  context.out.send(context.machine, kDone);
  context.out.send(context.machine, state);
}

}  // namespace roundtrip::mpc
