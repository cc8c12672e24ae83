#include "roundtrip/mpc/stages/odd_even_sort.h"

#include <algorithm>

namespace roundtrip::mpc {

std::uint64_t OddEvenSort::count(MachineId machine) const {
  const std::uint64_t before = machine * options_.block;
  return before >= options_.words ? 0 : std::min(options_.block, options_.words - before);
}

MachineId OddEvenSort::lower(MachineId machine, std::uint32_t round) const {
  return (machine + round) % 2 == 1 || machine == 0 ? machine : machine - 1;
}

std::span<Word> OddEvenSort::block(const Context& context, std::uint32_t round) const {
  const std::uint64_t size = count(context.machine);
  if (size == 0) return {};
  if (round == 1) {
    const std::span<Word> words = context.take(size);
    options_.load(context, words);
    return words;
  }
  const std::span<const Word> arrived = context.inbox.words();
  expect_received(arrived.size() >= size && arrived.size() <= 2 * options_.block);
  const std::span<Word> merged = context.take(arrived.size());
  std::ranges::copy(arrived, merged.begin());
  std::ranges::sort(merged);
  return lower(context.machine, round - 1) == context.machine ? merged.first(size) : merged.last(size);
}

void OddEvenSort::step(const Context& context, std::uint32_t round) const {
  const std::span<const Word> words = block(context, round);
  if (words.empty()) return;
  const MachineId first = lower(context.machine, round);
  // Both partners send to the lower one first, so that their words meet in the same heads of attention.
  if (first == context.machine && !(paired(first) && (first + round) % 2 == 1)) {
    context.out.send(context.machine, words);
    return;
  }
  context.out.send(first, words);
  context.out.send(first + 1, words);
}

}  // namespace roundtrip::mpc
