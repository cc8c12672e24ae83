#include "roundtrip/mpc/stages/doubling.h"

#include <algorithm>

#include "roundtrip/base/error.h"

namespace roundtrip::mpc {

Doubling::State Doubling::read(const Context& context, std::uint32_t doublings) const {
  const std::uint64_t first = context.machine * options_.block_words;
  if (first >= options_.elements) return {};
  const std::uint64_t count = std::min(options_.block_words, options_.elements - first);
  const std::span<Word> words = context.take(4 * count);
  std::ranges::fill(words, 0);
  const auto array = [&](std::uint64_t i) { return words.subspan(i * count, count); };
  const State state{first, array(kNext), array(kPrevious), array(kOwn)};
  const std::span<Word> after = array(kAfter);
  constexpr Word kPresent = Word{1} << 63;
  const Word low = (Word{1} << bits_) - 1;
  const std::span<const Word> own = context.from(context.machine, kept(context).size());
  for (const std::span<const Word> sent :
       {context.before(context.machine), own, context.after(context.machine)}) {
    for (const Word word : sent) {
      const Word kind = word >> (2 * bits_);
      const std::uint64_t slot = (word >> bits_ & low) - first;
      if (kind > kAfter || slot >= count) continue;
      Word& place = words[kind * count + slot];
      require(kind != kPrevious || place == 0, "elements {} and {} are both followed by {}; allowed is one",
              std::min(place, word & low) - 1, std::max(place, word & low) - 1, first + slot);
      place = (word & low) | (kind == kAfter ? kPresent : 0);
    }
  }
  for (std::uint64_t i = 0; i < count; ++i) {
    if (doublings == 0) {
      state.value[i] = options_.start(first + i, state.next[i] != 0);
    } else if (after[i] != 0) {
      state.value[i] = options_.combine(state.value[i], after[i] & low);
    }
  }
  return state;
}

std::span<const Word> Doubling::kept(const Context& context) const {
  if (!options_.keep) return {};
  const std::span<const Word> words = context.from(context.machine, 0, options_.kept_words(context.machine));
  expect_received(words.size() == options_.kept_words(context.machine));
  return words;
}

void Doubling::step(const Context& context, std::uint32_t round) const {
  if (options_.keep) context.out.send(context.machine, round == 1 ? options_.keep(context) : kept(context));
  if (round == 1) return options_.links(context, *this);
  const State state = read(context, round - 2);
  for (std::uint64_t i = 0; i < state.next.size(); ++i) {
    const std::uint64_t element = state.first + i;
    send(context, kOwn, element, state.value[i]);
    if (state.next[i] != 0) send(context, kPrevious, state.next[i] - 1, state.previous[i]);
    if (state.previous[i] == 0) continue;
    send(context, kAfter, state.previous[i] - 1, state.value[i]);
    send(context, kNext, state.previous[i] - 1, state.next[i]);
  }
}

}  // namespace roundtrip::mpc
