#include "proofs_check/reference_attention.h"

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

namespace roundtrip::proofs_check {
namespace {

__extension__ using Int128 = __int128;

using Vector = std::vector<std::int32_t>;

class ReferenceExactMatch : public anna::Attention {
 public:
  explicit ReferenceExactMatch(bool sums) : sums_(sums) {}
  std::string name() const override { return "reference exact match"; }

  void attend(const anna::Codebook& codebook, const anna::HeadInput& head, anna::SparseRows& out) override {
    const auto vector_of = [&](anna::Symbol symbol) {
      Vector vector(codebook.dimension());
      codebook.vector(symbol, vector);
      return vector;
    };
    struct Group {
      std::uint64_t count = 0;
      std::map<std::uint32_t, Int128> sums;  // by column
    };
    std::map<Vector, Group> groups;
    const std::uint64_t unlisted = head.tokens - head.keys.listed.size();
    if (unlisted > 0) groups[vector_of(head.keys.default_symbol)].count += unlisted;
    for (const anna::TokenSymbol& key : head.keys.listed) ++groups[vector_of(key.symbol)].count;
    for (std::size_t i = 0; i < head.values.tokens.size(); ++i) {
      Group& group = groups[vector_of(symbol_of(head.keys, head.values.tokens[i]))];
      for (const anna::Entry& entry : head.values.row(i))
        group.sums[entry.column] += static_cast<Int128>(entry.value);
    }
    out.clear();
    const auto group_of = [&](anna::Symbol symbol) -> const Group* {
      const auto it = groups.find(vector_of(symbol));
      return it == groups.end() ? nullptr : &it->second;
    };
    const auto answer = [&](std::uint64_t token, const Group* group) {
      if (group == nullptr) return;
      const std::size_t before = out.entries.size();
      for (const auto& [column, sum] : group->sums) {
        if (sum != 0)
          out.entries.push_back(
              {column, static_cast<double>(sum) / static_cast<double>(sums_ ? 1 : group->count)});
      }
      if (out.entries.size() == before) return;
      out.tokens.push_back(token);
      out.offsets.push_back(out.entries.size());
    };
    const Group* const unasked = group_of(head.queries.default_symbol);
    auto listed = head.queries.listed.begin();
    for (std::uint64_t token = 0; token < head.tokens; ++token) {
      if (listed != head.queries.listed.end() && listed->token == token) {
        answer(token, group_of(listed->symbol));
        ++listed;
      } else {
        answer(token, unasked);
      }
    }
  }

 private:
  static anna::Symbol symbol_of(const anna::Points& points, std::uint64_t token) {
    const auto it = std::ranges::lower_bound(points.listed, token, {}, &anna::TokenSymbol::token);
    return it != points.listed.end() && it->token == token ? it->symbol : points.default_symbol;
  }

  bool sums_;
};

}  // namespace

std::unique_ptr<anna::Attention> make_reference_exact_match(bool sums) {
  return std::make_unique<ReferenceExactMatch>(sums);
}

void Meter::attend(const anna::Codebook& codebook, const anna::HeadInput& head, anna::SparseRows& out) {
  ++used_.heads;
  used_.dimension = std::max<std::uint64_t>(used_.dimension, codebook.dimension());
  for (const anna::Entry& entry : head.values.entries) {
    used_.dimension = std::max<std::uint64_t>(used_.dimension, entry.column + std::uint64_t{1});
  }
  inner_.attend(codebook, head, out);
}

Meter::Used Meter::take() {
  return std::exchange(used_, {});
}

}  // namespace roundtrip::proofs_check
