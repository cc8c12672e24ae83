#include "roundtrip/proofs_check/report/rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <set>

namespace roundtrip::proofs_check {

std::string short_number(double value) {
  if (value == std::floor(value) && std::abs(value) < 1e9) return fmt::format("{:.0f}", value);
  return fmt::format("{:.3g}", value);
}

std::string short_size(std::uint64_t n) {
  return n >= 16 && std::has_single_bit(n) ? fmt::format("2^{}", std::bit_width(n) - 1) : std::to_string(n);
}

std::string where_it_ran(std::string_view transport, int ranks) {
  if (transport == "inprocess") return "in one process";
  return fmt::format("on {} MPI rank{}", ranks, ranks == 1 ? "" : "s");
}

bool Row::holds(const Check& check) const {
  return check.quantity == checks[0]->quantity &&
         check.configuration.epsilon == checks[0]->configuration.epsilon &&
         check.configuration.delta == checks[0]->configuration.delta && check.relation == checks[0]->relation;
}

std::size_t Row::count(Verdict verdict) const {
  return static_cast<std::size_t>(
      std::ranges::count_if(checks, [&](const Check* check) { return check->verdict == verdict; }));
}

std::string Row::sizes() const {
  std::set<std::uint64_t> sizes;
  for (const Check* check : checks) sizes.insert(check->configuration.n);
  return sizes.size() == 1 ? short_size(*sizes.begin())
                           : short_size(*sizes.begin()) + ".." + short_size(*sizes.rbegin());
}

const Check& Row::shown() const {
  const auto rank = [](const Check* check) {
    const double ratio = check->bound != 0 ? check->measured / check->bound : 0;
    return std::pair(check->verdict == Verdict::kRefuted        ? 2
                     : check->verdict == Verdict::kInconclusive ? 1
                                                                : 0,
                     check->relation == Relation::kAtLeast ? -ratio : ratio);
  };
  return **std::ranges::max_element(checks, {}, rank);
}

std::vector<Row> rows_of(const StatementReport& statement) {
  std::vector<Row> rows;
  for (const Check& check : statement.checks) {
    auto row = std::ranges::find_if(rows, [&](const Row& candidate) { return candidate.holds(check); });
    if (row == rows.end()) row = rows.insert(row, Row{});
    row->checks.push_back(&check);
  }
  return rows;
}

}  // namespace roundtrip::proofs_check
