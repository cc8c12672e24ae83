// Purpose: a table of parts of a graph that grow together, small enough for one machine: words (label, parent), ascending,
// kNoPart after the last; roots are their own parents, and the least labels of their trees.
#pragma once

#include <cstdint>
#include <span>

#include "roundtrip/mpc/parameters.h"

namespace roundtrip::mpc {

inline constexpr std::uint32_t kPartBits = 24;
inline constexpr Word kPartMask = (Word{1} << kPartBits) - 1;
inline constexpr Word kNoPart = (Word{1} << 2 * kPartBits) - 1;

/// The root over a label, which is entered if it is new and there is a place left.
Word root_of_part(std::span<Word> table, Word label);
void unite_parts(std::span<Word> table, Word a, Word b);

}  // namespace roundtrip::mpc
