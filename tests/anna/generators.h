// Purpose: random heads for the attention tests: codebooks with duplicate vectors, defaults that may collide,
// gaps.
#pragma once

#include <rapidcheck.h>

#include <algorithm>
#include <set>
#include <vector>

#include "roundtrip/anna/attention/attention.h"

namespace roundtrip::anna {

class TableCodebook final : public Codebook {
 public:
  TableCodebook(std::uint32_t dimension, std::vector<std::vector<std::int32_t>> vectors)
      : dimension_(dimension), vectors_(std::move(vectors)) {}
  std::uint32_t dimension() const override { return dimension_; }
  Symbol size() const override { return vectors_.size(); }
  void vector(Symbol symbol, std::span<std::int32_t> out) const override {
    std::copy(vectors_[symbol].begin(), vectors_[symbol].end(), out.begin());
  }

 private:
  std::uint32_t dimension_;
  std::vector<std::vector<std::int32_t>> vectors_;
};

/// Few small coordinates, so that equal vectors, opposite vectors and the zero vector all turn up.
inline TableCodebook random_codebook() {
  const auto dimension = *rc::gen::inRange<std::uint32_t>(1, 5);
  const auto size = *rc::gen::inRange<std::size_t>(1, 9);
  const std::int32_t reach = *rc::gen::element(1, 3, 2147483647);
  std::vector<std::vector<std::int32_t>> vectors(size);
  for (auto& vector : vectors) {
    vector = *rc::gen::container<std::vector<std::int32_t>>(
        dimension, rc::gen::map(rc::gen::inRange(-1, 2), [reach](int x) { return x * reach; }));
  }
  return {dimension, vectors};
}

inline std::vector<std::uint64_t> random_tokens(std::uint64_t tokens) {
  std::vector<std::uint64_t> chosen;
  const int percent = *rc::gen::element(0, 20, 80, 100);
  for (std::uint64_t t = 0; t < tokens; ++t) {
    if (*rc::gen::inRange(0, 100) < percent) chosen.push_back(t);
  }
  return chosen;
}

inline Points random_points(std::uint64_t tokens, Symbol symbols) {
  Points points{.default_symbol = *rc::gen::inRange<Symbol>(0, symbols), .listed = {}};
  for (const std::uint64_t t : random_tokens(tokens))
    points.listed.push_back({t, *rc::gen::inRange<Symbol>(0, symbols)});
  return points;
}

/// Values up to `magnitude`; cancellations to zero are likely.
inline HeadInput random_head(const Codebook& codebook, double magnitude) {
  HeadInput head;
  head.tokens = *rc::gen::inRange<std::uint64_t>(0, 13);
  head.queries = random_points(head.tokens, codebook.size());
  head.keys = random_points(head.tokens, codebook.size());
  for (const std::uint64_t t : random_tokens(head.tokens)) {
    head.values.tokens.push_back(t);
    for (std::uint32_t column = 0; column < 4; ++column) {
      const int x = *rc::gen::inRange(-2, 3);
      if (x == 0) continue;
      head.values.entries.push_back({column, x * std::trunc(magnitude / 2) + (x > 0 ? -1 : 0)});
    }
    head.values.offsets.push_back(head.values.entries.size());
  }
  return head;
}

inline bool equal(const SparseRows& a, const SparseRows& b) {
  if (a.tokens != b.tokens) return false;
  for (std::size_t i = 0; i < a.tokens.size(); ++i) {
    if (!std::ranges::equal(a.row(i), b.row(i))) return false;
  }
  return true;
}

}  // namespace roundtrip::anna
