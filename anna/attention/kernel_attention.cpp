#include "roundtrip/anna/attention/kernel_attention.h"

#include <algorithm>
#include <cmath>

#include "roundtrip/anna/attention/checks.h"
#include "roundtrip/base/error.h"

namespace roundtrip::anna {

DistinctPoints::DistinctPoints(const Codebook& codebook, const Points& points, std::uint64_t n)
    : tokens(n), listed(points.listed) {
  std::vector<std::int32_t> vector(codebook.dimension());
  vectors.reset(sizeof(std::int32_t) * vector.size());
  RecordInterner symbols;
  symbols.reset(sizeof(Symbol));
  std::vector<std::uint32_t> class_of_symbol;
  const auto class_of = [&](Symbol symbol, std::uint64_t how_many) {
    const std::uint32_t number = symbols.intern(&symbol);
    if (number == class_of_symbol.size()) {
      codebook.vector(symbol, vector);
      class_of_symbol.push_back(vectors.intern(vector.data()));
      counts.resize(vectors.size(), 0);
    }
    counts[class_of_symbol[number]] += how_many;
    return class_of_symbol[number];
  };
  const std::uint64_t others = n - listed.size();
  bool others_seen = others == 0;
  for (std::size_t i = 0; i < listed.size(); ++i) {
    if (!others_seen && listed[i].token > i)
      of_others = class_of(points.default_symbol, others), others_seen = true;
    of_listed.push_back(class_of(listed[i].symbol, 1));
  }
  if (!others_seen) of_others = class_of(points.default_symbol, others);
}

std::vector<std::uint32_t> DistinctPoints::classes_of(std::span<const std::uint64_t> asked) const {
  std::vector<std::uint32_t> out;
  std::size_t i = 0;
  for (const std::uint64_t token : asked) {
    while (i < listed.size() && listed[i].token < token) ++i;
    out.push_back(i < listed.size() && listed[i].token == token ? of_listed[i] : of_others);
  }
  return out;
}

ClassSums::ClassSums(const DistinctPoints& keys, const SparseRows& values) {
  for (std::size_t row = 0; row < values.tokens.size(); ++row)
    for (const Entry& entry : values.row(row)) columns.push_back(entry.column);
  std::sort(columns.begin(), columns.end());
  columns.erase(std::unique(columns.begin(), columns.end()), columns.end());
  const std::vector<std::uint32_t> classes = keys.classes_of(values.tokens);
  for (std::size_t row = 0; row < classes.size(); ++row) {
    for (const Entry& entry : values.row(row)) {
      const auto column = std::lower_bound(columns.begin(), columns.end(), entry.column) - columns.begin();
      sums.push_back({classes[row], static_cast<std::uint32_t>(column), static_cast<Wide>(entry.value)});
      largest = std::max(largest, std::fabs(entry.value));
    }
  }
  const auto place = [](const Sum& s) { return std::uint64_t{s.key_class} << 32 | s.column; };
  std::stable_sort(sums.begin(), sums.end(), [&](const Sum& a, const Sum& b) { return place(a) < place(b); });
  std::size_t kept = 0;
  for (const Sum& sum : sums) {
    if (kept > 0 && place(sums[kept - 1]) == place(sum)) {
      sums[kept - 1].value += sum.value;
    } else {
      sums[kept++] = sum;
    }
  }
  sums.resize(kept);
}

void KernelAttention::attend(const Codebook& codebook, const HeadInput& head, SparseRows& out) {
  check_head(codebook, head, 1);
  require(head.tokens > 0, "{} attention over no tokens: every denominator would be 0", name());
  const DistinctPoints queries(codebook, head.queries, head.tokens), keys(codebook, head.keys, head.tokens);
  const ClassSums sums(keys, head.values);
  prepare(codebook.dimension(), queries, keys, sums);
  std::vector<std::vector<Entry>> rows(queries.vectors.size());
  std::vector<double> averages(sums.columns.size());
  for (std::uint32_t c = 0; c < rows.size(); ++c) {
    row(queries.vector(c, codebook.dimension()), keys, sums, averages);
    for (std::size_t i = 0; i < averages.size(); ++i) {
      if (averages[i] != 0) rows[c].push_back({sums.columns[i], averages[i]});
    }
  }
  out.clear();
  std::size_t next = 0;
  for (std::uint64_t token = 0; token < head.tokens; ++token) {
    const bool is_listed = next < queries.listed.size() && queries.listed[next].token == token;
    const std::vector<Entry>& mine = rows[is_listed ? queries.of_listed[next++] : queries.of_others];
    if (mine.empty()) continue;
    out.tokens.push_back(token);
    out.entries.insert(out.entries.end(), mine.begin(), mine.end());
    out.offsets.push_back(out.entries.size());
  }
}

}  // namespace roundtrip::anna
