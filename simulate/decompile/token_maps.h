// Purpose: the maps of one layer on one token inside a step of a protocol: its Q, K and V, and its head
// outputs, in the step's scratch.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>

#include "roundtrip/anna/transformer/transformer.h"
#include "roundtrip/base/error.h"
#include "roundtrip/base/heap_meter.h"
#include "roundtrip/base/rational.h"
#include "roundtrip/mpc/stages/composition.h"

namespace roundtrip::simulate {

/// `count` objects in the step's scratch, uninitialised.
template <typename T>
std::span<T> take(const mpc::Context& context, std::uint64_t count) {
  return {static_cast<T*>(context.scratch->allocate(count * sizeof(T), alignof(T))), count};
}
template <typename T>
constexpr std::uint64_t scratch_of(std::uint64_t count) {
  return ceil_div(count * sizeof(T), sizeof(mpc::Word));
}

/// Q, K and V of one token, all heads; buffers in scratch, used again for the next token.
class TokenHeads final : public anna::Projection {
 public:
  TokenHeads(const mpc::Context& context, const anna::Layer& layer)
      : layer_(layer),
        shape_(layer.shape()),
        listed_(layer.codebook().size()),
        points_(take<anna::Symbol>(context, 2 * std::uint64_t{shape_.heads})),
        counts_(take<std::uint32_t>(context, shape_.heads)),
        values_(take<anna::Entry>(context, std::uint64_t{shape_.heads} * shape_.value_dimension)),
        vectors_(take<std::int32_t>(context, 2 * std::uint64_t{shape_.heads} * shape_.query_dimension)) {}
  static std::uint64_t scratch_words(const anna::LayerShape& shape) {
    const std::uint64_t heads = shape.heads;
    return scratch_of<anna::Symbol>(2 * heads) + scratch_of<std::uint32_t>(heads) +
           scratch_of<anna::Entry>(heads * shape.value_dimension) +
           scratch_of<std::int32_t>(2 * heads * shape.query_dimension);
  }

  void project(const anna::RowView& row) {
    token_ = row.token;
    for (std::uint32_t h = 0; h < shape_.heads; ++h) {
      points_[2 * h] = layer_.null_key();
      points_[2 * h + 1] = layer_.null_query();
    }
    std::ranges::fill(counts_, 0);
    computed_ = 0;
    const HeapPause models;  // what a model's maps take is not the protocol's
    layer_.project(row, *this);
  }
  anna::Symbol symbol(std::uint32_t head, bool query) const { return points_[2 * head + query]; }
  /// Of a symbol after the codebook's; empty for one of the codebook's.
  std::span<const std::int32_t> vector(anna::Symbol symbol) const {
    if (symbol < listed_) return {};
    return vectors_.subspan((symbol - listed_) * shape_.query_dimension, shape_.query_dimension);
  }
  std::span<const anna::Entry> value(std::uint32_t head) const {
    return values_.subspan(std::uint64_t{head} * shape_.value_dimension, counts_[head]);
  }

  void query(std::uint32_t head, anna::Symbol symbol) override { point(head, symbol, true); }
  void key(std::uint32_t head, anna::Symbol symbol) override { point(head, symbol, false); }
  anna::Symbol intern(std::span<const std::int32_t> vector) override {
    require(vector.size() == shape_.query_dimension && computed_ < 2 * std::uint64_t{shape_.heads},
            "token {}: more queries and keys computed than the layer has, or not of its dimension", token_);
    std::ranges::copy(vector,
                      vectors_.begin() + static_cast<std::ptrdiff_t>(computed_ * shape_.query_dimension));
    return listed_ + computed_++;
  }
  void value(std::uint32_t head, std::uint32_t column, double number) override {
    require(head < shape_.heads && column < shape_.value_dimension && counts_[head] < shape_.value_dimension,
            "token {}: value column {} of head {} is out of range", token_, column, head);
    require(std::fabs(number) < 0x1p53 && number == std::trunc(number),
            "token {} head {}: value {} is not an integer below 2^53 in magnitude", token_, head, number);
    if (number != 0)
      values_[std::uint64_t{head} * shape_.value_dimension + counts_[head]++] = {column, number};
  }

 private:
  void point(std::uint32_t head, anna::Symbol symbol, bool query) {
    require(head < shape_.heads && symbol < listed_ + computed_,
            "token {}: head {} or symbol {} is out of range", token_, head, symbol);
    points_[2 * head + query] = symbol;
  }

  const anna::Layer& layer_;
  const anna::LayerShape shape_;
  const anna::Symbol listed_;
  std::span<anna::Symbol> points_;   // [heads, key and query]
  std::span<std::uint32_t> counts_;  // [heads] entries
  std::span<anna::Entry> values_;    // [heads, m_v]
  std::span<std::int32_t> vectors_;  // [computed, m_qk]
  std::uint64_t computed_ = 0, token_ = 0;
};

/// The head outputs of one token.
class TokenOutputs final : public anna::HeadOutputs {
 public:
  TokenOutputs(const mpc::Context& context, const anna::LayerShape& shape)
      : dimension_(shape.value_dimension),
        entries_(take<anna::Entry>(context, std::uint64_t{shape.heads} * dimension_)),
        counts_(take<std::uint32_t>(context, shape.heads)),
        nonzero_(take<std::uint32_t>(context, shape.heads)) {}
  static std::uint64_t scratch_words(const anna::LayerShape& shape) {
    return scratch_of<anna::Entry>(std::uint64_t{shape.heads} * shape.value_dimension) +
           2 * scratch_of<std::uint32_t>(shape.heads);
  }
  void clear() {
    std::ranges::fill(counts_, 0);
    nonzeros_ = 0;
  }
  /// Heads ascend, columns within them too.
  void add(std::uint32_t head, std::uint32_t column, double average) {
    if (counts_[head] == 0) nonzero_[nonzeros_++] = head;
    entries_[std::uint64_t{head} * dimension_ + counts_[head]++] = {column, average};
  }
  anna::EntryView head(std::uint32_t head) const override {
    require(head < counts_.size(), "output of head {} of {}", head, counts_.size());
    return entries_.subspan(std::uint64_t{head} * dimension_, counts_[head]);
  }
  std::span<const std::uint32_t> nonzero_heads() const override { return nonzero_.first(nonzeros_); }

 private:
  std::uint64_t dimension_;
  std::span<anna::Entry> entries_;
  std::span<std::uint32_t> counts_, nonzero_;
  std::size_t nonzeros_ = 0;
};

/// The layer's next row of a token, in place of what `writer` holds. What a model's maps take from the heap is not the
/// protocol's.
inline void update_row(const anna::Layer& layer, const anna::RowView& row, const TokenOutputs& outputs,
                       anna::RowWriter& writer) {
  const HeapPause models;
  writer.clear();
  layer.update(row, outputs, writer);
}

}  // namespace roundtrip::simulate
