// Purpose: the two experiments of Liu, Yu, Sanford, Andoni, Hsu 2025 by construction instead of training: the
// error of Match2 (N = 32, M = 37, one layer) and of induction heads (N = 100, 4 symbols, two layers) against
// the number of hash tables and of hash functions. Glossary: ell tables, z functions per table.
#pragma once

#include <cstdint>
#include <vector>

namespace roundtrip::simulate {

/// One cell of the grid: wrong output words among all outputs of all draws.
struct ErrorPoint {
  std::uint32_t tables = 0;       ///< ell of the first layer
  std::uint32_t last_tables = 0;  ///< ell of the last layer, which in Match2 is the first
  std::uint32_t functions = 0;    ///< z, in every table
  std::uint64_t wrong = 0;
  std::uint64_t outputs = 0;
  double error() const { return static_cast<double>(wrong) / static_cast<double>(outputs); }
};

/// Every combination of the lists is a point. A draw is one network, one set of hash functions and one random
/// input; a draw serves all points, with the same functions as far as they go.
struct ErrorGrid {
  std::uint64_t n = 0;
  std::uint64_t symbols = 0;  ///< M, or the size of the alphabet; inputs are uniform
  bool tolerant = true;       ///< networks that tolerate false collisions, or the plain ones
  std::uint32_t draws = 10;
  std::uint64_t seed = 1;
  std::vector<std::uint32_t> tables, last_tables, functions;
  void validate() const;  ///< ContractError naming field, value and range
};

/// In the plain constructions the query and key of a match are equal, so one table finds every match and more
/// tables only add false collisions: their error falls with z, to 0 at match2_tables / k_hop_tables, and
/// grows with ell. The tolerant ones tell values apart by their keys' vectors; their error falls with both.
std::vector<ErrorPoint> match2_errors(const ErrorGrid& grid);
/// Induction heads: k_hop with k = 1 and one level, L = 2.
std::vector<ErrorPoint> induction_errors(const ErrorGrid& grid);

/// The paper's grids: ell = 1 .. 16 with z = 1 .. 6; ell = 32 .. 96 in the first and 4 .. 32 in the second
/// layer with z = 1 .. 4.
ErrorGrid paper_match2_grid(bool tolerant);
ErrorGrid paper_induction_grid(bool tolerant);

}  // namespace roundtrip::simulate
