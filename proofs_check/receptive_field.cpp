#include "roundtrip/proofs_check/receptive_field.h"

#include <algorithm>

#include "roundtrip/anna/transformer/transformer.h"
#include "roundtrip/base/random.h"

namespace roundtrip::proofs_check {
namespace {

constexpr std::uint32_t kDimension = 64;  // of queries and keys

/// Random sign vectors, one a position; with equal ones, all tokens share the first.
class Positions final : public anna::Codebook {
 public:
  Positions(std::uint64_t tokens, std::uint64_t seed) : tokens_(tokens), seed_(seed) {}
  std::uint32_t dimension() const override { return kDimension; }
  anna::Symbol size() const override { return tokens_; }
  void vector(anna::Symbol symbol, std::span<std::int32_t> out) const override {
    const std::uint64_t bits = draw(seed_, Domain::kTest, 31, symbol);
    for (std::uint32_t i = 0; i < kDimension; ++i) out[i] = (bits >> i & 1) != 0 ? 1 : -1;
  }

 private:
  std::uint64_t tokens_, seed_;
};

/// Row of token t: 1 in column j if the perturbation of token j has reached t; t + 1 in column N. Queries and
/// keys depend on the position alone, so the perturbations do not change who attends to whom.
class Spreading final : public anna::Layer {
 public:
  Spreading(std::uint64_t tokens, bool one_vector, std::uint64_t seed)
      : tokens_(static_cast<std::uint32_t>(tokens)), one_vector_(one_vector), positions_(tokens, seed) {}
  anna::LayerShape shape() const override { return {1, kDimension, tokens_, tokens_ + 1}; }
  const anna::Codebook& codebook() const override { return positions_; }
  anna::Symbol null_query() const override { return 0; }
  anna::Symbol null_key() const override { return 0; }
  void project(const anna::RowView& row, anna::Projection& out) const override {
    const anna::Symbol own = one_vector_ ? 0 : static_cast<anna::Symbol>(row[tokens_]) - 1;
    out.query(0, own);
    out.key(0, own);
    for (const anna::Entry& entry : row.entries) {
      if (entry.column < tokens_) out.value(0, entry.column, 1);
    }
  }
  void update(const anna::RowView& row, const anna::HeadOutputs& heads, anna::RowWriter& out) const override {
    const auto reached = heads.head(0);
    auto kept = row.entries.begin();
    for (const anna::Entry& entry : reached) {
      for (; kept != row.entries.end() && kept->column < entry.column; ++kept) out.set(kept->column, 1);
      if (kept != row.entries.end() && kept->column == entry.column) ++kept;
      if (entry.value > 0) out.set(entry.column, 1);
    }
    for (; kept != row.entries.end(); ++kept) out.set(kept->column, kept->column < tokens_ ? 1 : kept->value);
  }

 private:
  std::uint32_t tokens_;
  bool one_vector_;
  Positions positions_;
};

}  // namespace

ReceptiveField receptive_field(
    std::uint64_t tokens, std::uint32_t layers, bool one_vector, std::uint64_t seed,
    const std::function<std::unique_ptr<anna::Attention>(std::uint32_t layer)>& attention) {
  const auto n = static_cast<std::uint32_t>(tokens);
  anna::Activations array = anna::Activations::with_dimension(n + 1);
  for (std::uint32_t t = 0; t < n; ++t)
    array.append_row(std::vector<anna::Entry>{{t, 1.0}, {n, static_cast<double>(t + 1)}});
  const Spreading layer(n, one_vector, seed);
  for (std::uint32_t l = 0; l < layers; ++l) array = anna::evaluate(layer, *attention(l), array);
  ReceptiveField field{.least = n};
  for (std::uint32_t t = 0; t < n; ++t) {
    const std::uint64_t reached = array.row(t).entries.size() - 1;
    field.least = std::min(field.least, reached);
    field.most = std::max(field.most, reached);
    for (const anna::Entry& entry : array.row(t).entries) field.later += entry.column > t && entry.column < n;
  }
  return field;
}

}  // namespace roundtrip::proofs_check
