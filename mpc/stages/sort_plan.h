// Purpose: the sizes and the round formula T_sort of the deterministic sort (mpc/stages/sort.h), as a
// function of the number of records, their width and s alone.
//
// Glossary: n records of w words, the first of them their key; B records a machine; M machines; h words a machine
// beside its records and the groups of its ends; f fan-in; w_k words of a sample, a key and the position that breaks
// ties; sigma samples a child sends up; t0 records between two samples of a leaf; F ways of a split; n_l bound on the
// size of a group at level l, m_l on its machines, d_l its tree depth.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace roundtrip::mpc {

/// What is to be sorted, and in what memory.
struct SortTask {
  std::uint64_t records = 0;                          ///< n
  std::uint64_t record_words = 1;                     ///< w
  std::uint64_t memory_words = 0;                     ///< s
  std::uint64_t key_words = 1;                        ///< of a record's w
  bool distinct_keys = false;                         ///< of at least two words: samples need no position
  std::uint64_t machine_records = ~std::uint64_t{0};  ///< B at most, for protocols that need the words beside
  std::uint64_t machines = 1;                         ///< that there are, if more than the plan needs
};

struct SortPlan {
  struct Level {
    std::uint64_t group_records;   ///< n_l
    std::uint64_t group_machines;  ///< m_l
    std::uint32_t depth;           ///< d_l
  };
  std::uint64_t records = 0;          ///< n
  std::uint64_t record_words = 0;     ///< w
  std::uint64_t key_words = 0;        ///< of a record
  std::uint64_t sample_words = 0;     ///< w_k: the key, and its position unless keys are distinct
  std::uint64_t machine_records = 0;  ///< B = floor(s / j w), j = 2, 3 or 4, or less if the task says so
  std::uint64_t machines = 0;         ///< M = ceil(n / B)
  std::uint64_t fan = 0;              ///< f
  std::uint64_t samples = 0;          ///< sigma
  std::uint64_t ways = 0;             ///< F
  std::uint64_t sample_distance = 0;  ///< t0
  std::vector<Level> levels = {};     ///< while n_l > B
  std::uint32_t rounds = 0;           ///< T_sort(n, w; s); 0 if M = 1

  std::uint32_t level_rounds(std::size_t level) const { return 4 * levels[level].depth + 1; }
};

/// Words that a machine sends itself in every round of a level, before its records: start and length of the groups of
/// its first and its last position.
constexpr std::uint64_t kSortGroupWords = 4;

/// The plan of least T_sort, of the smallest j, then f, among equals; nothing if no f in 2..M+1 serves. Every split
/// shrinks the bound on the largest group by at least one twentieth, so that the levels are bounded by the
/// exponents alone. Records are spread over more machines, where the task has them, as far as that takes no more rounds: B
/// is the least from ceil(n / machines) on with such a plan, to within a sixteenth.
[[nodiscard]] std::optional<SortPlan> plan_sort(const SortTask& task);

}  // namespace roundtrip::mpc
