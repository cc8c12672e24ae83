#include "roundtrip/simulate/native/low_rank.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "roundtrip/anna/attention/feature_attention.h"
#include "roundtrip/base/error.h"
#include "roundtrip/base/fault.h"

namespace roundtrip::simulate {
namespace {

using anna::Entry;
using anna::RowView;
using anna::Symbol;

__extension__ using Wide = __int128;

/// The one vector that all queries and keys are.
class OneVector final : public anna::Codebook {
 public:
  std::uint32_t dimension() const override { return 1; }
  Symbol size() const override { return 1; }
  void vector(Symbol, std::span<std::int32_t> out) const override { out[0] = 1; }
  bool distinct() const override { return true; }
};

/// Queries, keys and values that a layer's map gives one token.
class HeadsOfToken final : public anna::Projection {
 public:
  HeadsOfToken(const anna::Layer& layer, const RowView& row)
      : layer_(layer), points_(2 * std::size_t{layer.shape().heads}), values_(layer.shape().heads) {
    for (std::size_t h = 0; h < values_.size(); ++h) {
      points_[2 * h] = layer.null_key();
      points_[2 * h + 1] = layer.null_query();
    }
    layer.project(row, *this);
  }
  std::vector<std::int32_t> vector(std::uint32_t head, bool query) const {
    const Symbol symbol = points_[2 * std::size_t{head} + query];
    if (symbol >= layer_.codebook().size()) return computed_[symbol - layer_.codebook().size()];
    std::vector<std::int32_t> listed(layer_.shape().query_dimension);
    layer_.codebook().vector(symbol, listed);
    return listed;
  }
  std::span<const Entry> value(std::uint32_t head) const { return values_[head]; }

  void query(std::uint32_t head, Symbol symbol) override { points_[2 * std::size_t{head} + 1] = symbol; }
  void key(std::uint32_t head, Symbol symbol) override { points_[2 * std::size_t{head}] = symbol; }
  Symbol intern(std::span<const std::int32_t> vector) override {
    computed_.emplace_back(vector.begin(), vector.end());
    return layer_.codebook().size() + computed_.size() - 1;
  }
  void value(std::uint32_t head, std::uint32_t column, double number) override {
    if (number != 0) values_[head].push_back({column, number});
  }

 private:
  const anna::Layer& layer_;
  std::vector<Symbol> points_;                       // [heads, key and query]
  std::vector<std::vector<Entry>> values_;           // [heads]
  std::vector<std::vector<std::int32_t>> computed_;  // [symbol after the codebook's]
};

class Outputs final : public anna::HeadOutputs {
 public:
  explicit Outputs(std::uint32_t heads) : heads_(heads) {}
  void add(std::uint32_t head, std::uint32_t column, double average) {
    if (heads_[head].empty()) nonzero_.push_back(head);
    heads_[head].push_back({column, average});
  }
  anna::EntryView head(std::uint32_t head) const override { return std::span<const Entry>(heads_[head]); }
  std::span<const std::uint32_t> nonzero_heads() const override { return nonzero_; }

 private:
  std::vector<std::vector<Entry>> heads_;
  std::vector<std::uint32_t> nonzero_;
};

/// Column r (m_v + 1) + c of a value: phi_r times number c of the model's value, times 1 for c = m_v.
class AveragedLayer final : public anna::Layer {
 public:
  AveragedLayer(std::shared_ptr<const anna::Layer> layer, std::shared_ptr<const anna::FeatureMap> features,
                std::uint64_t tokens)
      : layer_(std::move(layer)), features_(std::move(features)), tokens_(tokens) {}
  anna::LayerShape shape() const override {
    anna::LayerShape shape = layer_->shape();
    shape.query_dimension = 1;
    shape.value_dimension = features_->rank() * columns();
    return shape;
  }
  const anna::Codebook& codebook() const override { return codebook_; }
  Symbol null_query() const override { return 0; }  // every token's
  Symbol null_key() const override { return 0; }
  void project(const RowView& row, anna::Projection& out) const override {
    const HeadsOfToken token(*layer_, row);
    std::vector<std::int64_t> phi(features_->rank());
    for (std::uint32_t h = 0; h < layer_->shape().heads; ++h) {
      features_->of(token.vector(h, seeded("features-of-queries")), false, phi);
      for (std::uint32_t r = 0; r < phi.size(); ++r) {
        for (const Entry& entry : token.value(h)) {
          const Wide product = static_cast<Wide>(phi[r]) * static_cast<std::int64_t>(entry.value);
          require(product > -kMaxValue && product < kMaxValue,
                  "token {}: a feature times a value is 2^53 or more in magnitude", row.token);
          if (product != 0)
            out.value(h, r * columns() + entry.column,
                      static_cast<double>(static_cast<std::int64_t>(product)));
        }
        if (phi[r] != 0) out.value(h, r * columns() + columns() - 1, static_cast<double>(phi[r]));
      }
    }
  }
  void update(const RowView& row, const anna::HeadOutputs& heads, anna::RowWriter& out) const override {
    const HeadsOfToken token(*layer_, row);
    const std::uint32_t count = layer_->shape().heads;
    Outputs outputs(count);
    std::vector<std::int64_t> phi(features_->rank());
    std::vector<Wide> sums(columns());  // phi(q) (G, g)
    const auto times = static_cast<double>(tokens_);
    for (std::uint32_t h = 0; h < count; ++h) {
      features_->of(token.vector(h, true), true, phi);
      std::ranges::fill(sums, 0);
      for (const Entry& entry : heads.head(h)) {
        const double sum = std::nearbyint(entry.value * times);
        require(std::fabs(sum) < 0x1p50, "token {}: a sum over all tokens is 2^50 or more in magnitude",
                row.token);
        sums[entry.column % columns()] +=
            static_cast<Wide>(phi[entry.column / columns()]) * static_cast<std::int64_t>(sum);
      }
      const double norm = static_cast<double>(sums.back()) * (seeded("keys-twice") ? 2 : 1);
      require(norm > 0 || !features_->positive(), "token {}: its head {} was given no average", row.token, h);
      if (norm == 0) continue;  // no key has a weight
      for (std::uint32_t c = 0; c + 1 < columns(); ++c) {
        if (sums[c] != 0) outputs.add(h, c, static_cast<double>(sums[c]) / norm);
      }
    }
    layer_->update(row, outputs, out);
  }

 private:
  static constexpr std::int64_t kMaxValue = std::int64_t{1} << 53;
  std::uint32_t columns() const { return layer_->shape().value_dimension + 1; }

  std::shared_ptr<const anna::Layer> layer_;
  std::shared_ptr<const anna::FeatureMap> features_;
  std::uint64_t tokens_;
  OneVector codebook_;
};

}  // namespace

anna::Transformer low_rank_by_averages(const anna::Model& model) {
  model.validate();
  anna::Transformer transformer = model.transformer;
  for (std::size_t l = 0; l < transformer.depth(); ++l) {
    const anna::Mechanism& mechanism = model.mechanisms[l];
    const anna::LayerShape shape = transformer.layers[l]->shape();
    auto features = mechanism.features(shape.query_dimension);
    require(features != nullptr && !mechanism.causal(),
            "layer {} has {} attention, allowed is attention by features without a mask", l,
            features == nullptr ? mechanism.name() : "causal " + mechanism.name());
    const std::uint64_t columns =
        std::uint64_t{features->rank()} * (std::uint64_t{shape.value_dimension} + 1);
    require(columns < std::uint64_t{1} << 31, "layer {}: rank {} times {} numbers are 2^31 or more", l,
            features->rank(), shape.value_dimension + 1);
    transformer.layers[l] =
        std::make_shared<AveragedLayer>(transformer.layers[l], std::move(features), transformer.tokens);
  }
  return transformer;
}

}  // namespace roundtrip::simulate
