// Purpose: the lines of a report, the same in the terminal and in the page: one a quantity, over all sizes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "roundtrip/proofs_check/verify.h"

namespace roundtrip::proofs_check {

/// At most 9 columns: integers below 10^9 in full (they are counts), anything else to 3 digits.
std::string short_number(double value);
/// Powers of two as 2^e, others in full.
std::string short_size(std::uint64_t n);
/// "in one process", or "on 2 MPI ranks".
std::string where_it_ran(std::string_view transport, int ranks);

/// The checks of one quantity at one exponent, over all sizes.
struct Row {
  std::vector<const Check*> checks;

  bool holds(const Check& check) const;  ///< whether it is of this row
  std::size_t count(Verdict verdict) const;
  std::string sizes() const;
  /// The check to show: a refuted one, else an open one, else the one that comes nearest to its bound.
  const Check& shown() const;
};

/// In the order of the statement's checks, which outlive the rows.
std::vector<Row> rows_of(const StatementReport& statement);

}  // namespace roundtrip::proofs_check
