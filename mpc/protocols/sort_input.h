// Purpose: what protocols share that begin by sorting their input words: sizes, the first round, records of a word
// and its position.
#pragma once

#include <cstdint>
#include <span>

#include "roundtrip/mpc/stages/composition.h"
#include "roundtrip/mpc/stages/sort_plan.h"

namespace roundtrip::mpc {

/// N records (word, its position), ordered by word.
constexpr SortTask numbered_words(std::uint64_t n, std::uint64_t memory_words = 0) {
  return {.records = n, .record_words = 2, .memory_words = memory_words};
}

/// kappa_s raised until the task has a plan with s words of memory, whatever it says of them itself.
Sizes sort_sizes(const Parameters& parameters, std::uint64_t default_kappa_s, SortTask task);

/// The shape of a protocol that begins with the task on the machines that it needs, or with gamma > 0 on more, and the
/// plan over those.
struct SortShape {
  Shape shape;
  SortPlan plan;
};
SortShape declare_sort(const Parameters& parameters, const Sizes& sizes, SortTask task);

/// One round: input word i (from 0), of record i div L, to sort machine (i div L) div B, which gets its words
/// in order. At most b out, B L in.
void send_input_to_sort(const Context& context, const Shape& shape, const SortPlan& plan,
                        std::uint64_t record_input_words = 1);
/// After it: records (word, i).
void load_numbered_words(const Context& context, std::uint64_t first_position, std::span<Word> records);

}  // namespace roundtrip::mpc
