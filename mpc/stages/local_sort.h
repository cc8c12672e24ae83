// Purpose: sorting the records that one machine holds, inside a step: no heap, working memory from the step's
// arena.
#pragma once

#include <cstdint>
#include <memory_resource>
#include <span>

#include "roundtrip/mpc/parameters.h"

namespace roundtrip::mpc {

/// Writes the records of `width` words in `from`, ordered by their first `key_words` words, to `to` (same
/// size, elsewhere); equal ones keep their order. Takes local_sort_scratch_words(records) from `scratch` and
/// gives them back.
void local_sort(std::span<const Word> from, std::span<Word> to, std::uint64_t width, std::uint64_t key_words,
                std::pmr::memory_resource* scratch);

constexpr std::uint64_t local_sort_scratch_words(std::uint64_t records) {
  return 2 * records + records / 2 + 1;
}

}  // namespace roundtrip::mpc
