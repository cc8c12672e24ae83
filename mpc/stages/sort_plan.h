// Purpose: the sizes and the round formula T_sort of the deterministic sort (mpc/stages/sort.h), as a
// function of the number of records, their width and s alone.
//
// Glossary: n records of w words, of which w_k are key and tie, and one names the record's group; B records a
// machine; M machines; h words a machine beside its records; f fan-in; sigma samples a child sends up; t0
// records between two samples of a leaf; F ways of a split; n_l bound on the size of a group at level l, m_l
// on its machines, d_l its tree depth.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace roundtrip::mpc {

struct SortPlan {
  struct Level {
    std::uint64_t group_records;   ///< n_l
    std::uint64_t group_machines;  ///< m_l
    std::uint32_t depth;           ///< d_l
  };
  std::uint64_t records = 0;          ///< n
  std::uint64_t record_words = 0;     ///< w
  std::uint64_t key_words = 0;        ///< w_k, the tie included
  std::uint64_t machine_records = 0;  ///< B = floor(s / 2w), or less on more machines
  std::uint64_t machines = 0;         ///< M = ceil(n / B)
  std::uint64_t fan = 0;              ///< f
  std::uint64_t samples = 0;          ///< sigma
  std::uint64_t ways = 0;             ///< F
  std::uint64_t sample_distance = 0;  ///< t0
  std::vector<Level> levels = {};     ///< while n_l > B
  std::uint32_t rounds = 0;           ///< T_sort(n, w; s); 0 if M = 1

  std::uint32_t level_rounds(std::size_t level) const { return 4 * levels[level].depth + 1; }
};

/// The plan of least T_sort, of the smallest f among equals; nothing if no f in 2..M+1 serves. Every split
/// shrinks the bound on the largest group by at least one twentieth, so that the levels are bounded by the
/// exponents alone. With more `machines` than ceil(n / floor(s / 2w)) records are spread over them as far as that takes no
/// more rounds: B is the least from ceil(n / machines) on with such a plan, to within a sixteenth.
[[nodiscard]] std::optional<SortPlan> plan_sort(std::uint64_t records, std::uint64_t record_words,
                                                std::uint64_t memory_words, std::uint64_t key_words = 2,
                                                std::uint64_t machines = 1);

}  // namespace roundtrip::mpc
