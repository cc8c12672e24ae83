#include "roundtrip/anna/attention/attention.h"

#include <atomic>
#include <cmath>

#include "roundtrip/anna/attention/checks.h"
#include "roundtrip/base/error.h"

namespace roundtrip::anna {
namespace {

void check_points(const char* what, const Points& points, const Codebook& codebook, std::uint64_t tokens) {
  const Symbol size = codebook.size();
  require(points.default_symbol < size, "{}: default symbol {} is not below the codebook's size {}", what,
          points.default_symbol, size);
  std::uint64_t least = 0;
  bool good = true;
  for (const TokenSymbol& point : points.listed) {
    good &= (point.token >= least) & (point.symbol < size);
    least = point.token + 1;
  }
  if (good && least <= tokens) return;
  least = 0;
  for (const TokenSymbol& point : points.listed) {
    require(point.token >= least && point.token < tokens, "{}: token {} is out of order or not below {}",
            what, point.token, tokens);
    require(point.symbol < size, "{}: symbol {} of token {} is not below the codebook's size {}", what,
            point.symbol, point.token, size);
    least = point.token + 1;
  }
}

/// Names what is wrong with a row of values.
void refuse_row(std::uint64_t token, EntryView row) {
  std::uint64_t least_column = 0;
  for (const Entry& entry : row) {
    require(entry.column >= least_column && entry.column < 0xffffffffu,
            "values: column {} of token {} is out of order", entry.column, token);
    require(is_exact_integer(entry.value), "values: {} of token {} is not an integer below 2^53 in magnitude",
            entry.value, token);
    least_column = std::uint64_t{entry.column} + 1;
  }
}

}  // namespace

std::uint64_t Codebook::next_identity() {
  static std::atomic<std::uint64_t> next{1};
  return next.fetch_add(1, std::memory_order_relaxed);
}

void SparseRows::copy_borrowed() {
  for (const RowPart& row : borrowed) {
    for (const Entry& entry : row) entries.push_back(entry);
    offsets.push_back(entries.size());
  }
  borrowed.clear();
}

ValueRange check_head(const Codebook& codebook, const HeadInput& head, std::uint32_t tables) {
  constexpr std::uint64_t kMaxTerms = std::uint64_t{1} << 62;  // T must fit 64 bits
  require(head.tokens < kMaxTerms / tables, "{} tokens in {} tables; their product must be below 2^62",
          head.tokens, tables);
  check_points("queries", head.queries, codebook, head.tokens);
  check_points("keys", head.keys, codebook, head.tokens);
  const SparseRows& values = head.values;
  require(values.shared.empty(), "values: {} tokens share rows; only outputs may", values.shared.size());
  const bool borrowed = !values.borrowed.empty();
  require(borrowed ? values.borrowed.size() == values.tokens.size() && values.entries.empty()
                   : values.offsets.size() == values.tokens.size() + 1 && values.offsets.front() == 0 &&
                         values.offsets.back() == values.entries.size(),
          "values: {} tokens have {} row offsets for {} entries, and {} rows that are borrowed",
          values.tokens.size(), values.offsets.size(), values.entries.size(), values.borrowed.size());
  ValueRange range;
  double largest = borrowed && !values.tokens.empty() ? 0x1p53 : 0;  // not looked at
  std::uint64_t least = 0;
  for (std::size_t i = 0; i < values.tokens.size(); ++i) {
    const std::uint64_t token = values.tokens[i];
    require(token >= least && token < head.tokens, "values: token {} is out of order or not below {}", token,
            head.tokens);
    least = token + 1;
    if (borrowed) continue;  // only an array makes such rows, and it has checked them
    require(values.offsets[i] <= values.offsets[i + 1] && values.offsets[i + 1] <= values.entries.size(),
            "values: the row offsets of token {} do not ascend", token);
    std::uint64_t least_column = 0;
    bool good = true;
    for (const Entry& entry : values.row(i)) {
      good &= (entry.column >= least_column) & is_exact_integer(entry.value);
      least_column = std::uint64_t{entry.column} + 1;
      const double magnitude = std::fabs(entry.value);
      largest = magnitude > largest ? magnitude : largest;
      range.zeros |= magnitude == 0;
    }
    if (!good || least_column > 0xffffffffu) refuse_row(token, values.row(i));
  }
  __extension__ using Wide = unsigned __int128;
  range.fits_int64 = static_cast<Wide>(largest) * head.tokens * tables < static_cast<Wide>(1) << 62;
  return range;
}

}  // namespace roundtrip::anna
