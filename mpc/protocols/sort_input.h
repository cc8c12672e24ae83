// Purpose: what protocols share that begin by sorting their input words: sizes, the first round, records of
// three words.
#pragma once

#include <cstdint>
#include <span>

#include "roundtrip/mpc/stages/composition.h"
#include "roundtrip/mpc/stages/sort_plan.h"

namespace roundtrip::mpc {

/// kappa_s raised until T_sort(N / L, L + 2; s) has a plan: records of L input words.
Sizes sort_sizes(const Parameters& parameters, std::uint64_t default_kappa_s,
                 std::uint64_t record_input_words = 1);
/// The shape of N / L records on the machines that they need, or with gamma > 0 on more, and the sort over those.
struct SortShape {
  Shape shape;
  SortPlan plan;
};
SortShape declare_sort(const Parameters& parameters, const Sizes& sizes,
                       std::uint64_t record_input_words = 1);
/// T_sort(N, 3; s) with the sizes of sort_sizes().
std::uint32_t sort_stage_rounds(const Parameters& parameters, std::uint64_t default_kappa_s);

/// One round: input word i (from 0), of record i div L, to sort machine (i div L) div B, which gets its words
/// in order; L = w - 2. At most b out, B L in.
void send_input_to_sort(const Context& context, const Shape& shape, const SortPlan& plan);
/// After it: records (word, i).
void load_input_words(const Context& context, std::uint64_t first_position, std::span<Word> records);

}  // namespace roundtrip::mpc
