#include "anna/transformer.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "anna/interner.h"
#include "base/error.h"
#include "base/random.h"

namespace roundtrip::anna {
namespace {

// What one token's projection wrote, in the order of writing.
struct TokenProjection {
  struct Point {
    std::uint32_t head;
    Symbol symbol;
    bool operator==(const Point&) const = default;
  };
  struct Value {
    std::uint32_t head;
    Entry entry;
    bool operator==(const Value&) const = default;
  };
  std::vector<Point> queries, keys;
  std::vector<Value> values;

  void clear() { queries.clear(), keys.clear(), values.clear(); }
  bool operator==(const TokenProjection&) const = default;
};

// A layer's codebook and, behind it, the vectors that its maps computed in this evaluation.
class ExtendedCodebook final : public Codebook {
 public:
  explicit ExtendedCodebook(const Codebook& base) : base_(base) {
    computed_.reset(sizeof(std::int32_t) * dimension());
  }
  std::uint32_t dimension() const override { return base_.dimension(); }
  Symbol size() const override { return base_.size() + computed_.size(); }
  void vector(Symbol symbol, std::span<std::int32_t> out) const override {
    if (symbol < base_.size()) return base_.vector(symbol, out);
    std::memcpy(out.data(), computed_.record(static_cast<std::uint32_t>(symbol - base_.size())),
                out.size_bytes());
  }
  Symbol intern(std::span<const std::int32_t> vector) {
    return base_.size() + computed_.intern(vector.data());
  }
  /// What mechanisms are given: the layer's own codebook, whose codes they may know already, if that is
  /// enough.
  const Codebook& least() const { return computed_.size() == 0 ? base_ : *this; }

 private:
  const Codebook& base_;
  RecordInterner computed_;
};

// Hands a map its row and nothing else, and holds what it writes to the contract.
class Recorder final : public Projection {
 public:
  Recorder(const Layer& layer, ExtendedCodebook& codebook)
      : layer_(layer),
        shape_(layer.shape()),
        codebook_(codebook),
        query_seen_(shape_.heads, 0),
        key_seen_(shape_.heads, 0),
        value_seen_(shape_.heads, 0),
        least_column_(shape_.heads, 0) {}

  void project(const RowView& row, TokenProjection& out) {
    out.clear();
    out_ = &out;
    token_ = row.token;
    ++epoch_;
    layer_.project(row, *this);
  }

  void query(std::uint32_t head, Symbol symbol) override {
    point("query", query_seen_, out_->queries, head, symbol);
  }
  void key(std::uint32_t head, Symbol symbol) override { point("key", key_seen_, out_->keys, head, symbol); }
  Symbol intern(std::span<const std::int32_t> vector) override {
    require(vector.size() == shape_.query_dimension,
            "token {}: a computed query or key has {} coordinates; the layer's have {}", token_,
            vector.size(), shape_.query_dimension);
    return codebook_.intern(vector);
  }
  void value(std::uint32_t head, std::uint32_t column, double value) override {
    require(head < shape_.heads, "token {}: value for head {} of {}", token_, head, shape_.heads);
    if (value_seen_[head] != epoch_) value_seen_[head] = epoch_, least_column_[head] = 0;
    require(column >= least_column_[head] && column < shape_.value_dimension,
            "token {} head {}: value column {} is out of order or not below {}", token_, head, column,
            shape_.value_dimension);
    require(std::fabs(value) < 9007199254740992.0 && value == std::trunc(value),
            "token {} head {}: value {} is not an integer below 2^53 in magnitude", token_, head, value);
    least_column_[head] = std::uint64_t{column} + 1;
    if (value != 0) out_->values.push_back({head, {column, value}});
  }

 private:
  void point(const char* what, std::vector<std::uint64_t>& seen, std::vector<TokenProjection::Point>& to,
             std::uint32_t head, Symbol symbol) {
    require(head < shape_.heads, "token {}: {} for head {} of {}", token_, what, head, shape_.heads);
    require(seen[head] != epoch_, "token {} head {}: a second {}", token_, head, what);
    require(symbol < codebook_.size(), "token {} head {}: {} symbol {} is not below {}", token_, head, what,
            symbol, codebook_.size());
    seen[head] = epoch_;
    to.push_back({head, symbol});
  }

  const Layer& layer_;
  const LayerShape shape_;
  ExtendedCodebook& codebook_;
  std::vector<std::uint64_t> query_seen_, key_seen_, value_seen_, least_column_;  // [heads]
  std::uint64_t epoch_ = 0, token_ = 0;
  TokenProjection* out_ = nullptr;
};

// Calls body(token, pass) for every token in the order and as often as the options ask; the second pass runs
// backwards.
template <typename Body>
void for_each_token(std::uint64_t tokens, const EvaluateOptions& options, std::uint64_t stage,
                    const Body& body) {
  std::vector<std::uint64_t> order;
  if (options.order_seed) {
    order.resize(tokens);
    std::iota(order.begin(), order.end(), 0);
    RandomStream stream(*options.order_seed, Domain::kOrder, stage);
    for (std::uint64_t i = tokens; i > 1; --i) std::swap(order[i - 1], order[stream.below(i)]);
  }
  for (std::uint64_t i = 0; i < tokens; ++i) body(order.empty() ? i : order[i], 0);
  if (!options.twice) return;
  for (std::uint64_t i = tokens; i-- > 0;) body(order.empty() ? i : order[i], 1);
}

bool plain(const EvaluateOptions& options) {
  return !options.order_seed && !options.twice;
}

void distribute(std::uint64_t token, const TokenProjection& projection, std::vector<HeadInput>& heads) {
  for (const auto& point : projection.queries)
    heads[point.head].queries.listed.push_back({token, point.symbol});
  for (const auto& point : projection.keys) heads[point.head].keys.listed.push_back({token, point.symbol});
  for (const auto& value : projection.values) {
    SparseRows& rows = heads[value.head].values;
    if (rows.tokens.empty() || rows.tokens.back() != token) {
      rows.tokens.push_back(token);
      rows.offsets.push_back(rows.offsets.back());
    }
    rows.entries.push_back(value.entry);
    ++rows.offsets.back();
  }
}

std::vector<HeadInput> project_all(const Layer& layer, ExtendedCodebook& codebook, const Embedding& array,
                                   const EvaluateOptions& options) {
  const std::uint64_t tokens = array.tokens();
  std::vector<HeadInput> heads(layer.shape().heads);
  for (HeadInput& head : heads) {
    head.tokens = tokens;
    head.queries.default_symbol = layer.null_query();
    head.keys.default_symbol = layer.null_key();
  }
  Recorder recorder(layer, codebook);
  if (plain(options)) {
    TokenProjection projection;
    for (std::uint64_t token = 0; token < tokens; ++token) {
      recorder.project(array.row(token), projection);
      distribute(token, projection, heads);
    }
    return heads;
  }
  std::vector<TokenProjection> projections(tokens);
  TokenProjection again;
  for_each_token(tokens, options, 0, [&](std::uint64_t token, int pass) {
    recorder.project(array.row(token), pass == 0 ? projections[token] : again);
    if (pass == 1 && again != projections[token]) {
      throw InternalError(fmt::format("the projection of token {} differs between two evaluations", token));
    }
  });
  for (std::uint64_t token = 0; token < tokens; ++token) distribute(token, projections[token], heads);
  return heads;
}

// The outputs of all heads, regrouped by token.
class OutputsByToken final : public HeadOutputs {
 public:
  OutputsByToken(std::uint64_t tokens, std::uint32_t heads)
      : heads_(heads), outputs_(heads), starts_(tokens + 1, 0) {}

  SparseRows& of_head(std::uint32_t head) { return outputs_[head]; }
  void regroup() {
    for (const SparseRows& rows : outputs_) {
      for (const std::uint64_t token : rows.tokens) ++starts_[token + 1];
    }
    for (std::size_t t = 0; t + 1 < starts_.size(); ++t) starts_[t + 1] += starts_[t];
    cell_heads_.resize(starts_.back());
    cell_rows_.resize(starts_.back());
    std::vector<std::uint64_t> cursor(starts_.begin(), starts_.end() - 1);
    for (std::uint32_t head = 0; head < heads_; ++head) {
      for (std::size_t row = 0; row < outputs_[head].tokens.size(); ++row) {
        const std::uint64_t cell = cursor[outputs_[head].tokens[row]]++;
        cell_heads_[cell] = head;
        cell_rows_[cell] = row;
      }
    }
  }
  void select(std::uint64_t token) { begin_ = starts_[token], end_ = starts_[token + 1]; }

  std::span<const Entry> head(std::uint32_t head) const override {
    require(head < heads_, "output of head {} of {}", head, heads_);
    const auto nonzero = nonzero_heads();
    const auto found = std::lower_bound(nonzero.begin(), nonzero.end(), head);
    if (found == nonzero.end() || *found != head) return {};
    return outputs_[head].row(cell_rows_[begin_ + static_cast<std::size_t>(found - nonzero.begin())]);
  }
  std::span<const std::uint32_t> nonzero_heads() const override {
    return std::span(cell_heads_).subspan(begin_, end_ - begin_);
  }

 private:
  std::uint32_t heads_;
  std::vector<SparseRows> outputs_;    // [heads]
  std::vector<std::uint64_t> starts_;  // [tokens + 1] into the cells, by head within a token
  std::vector<std::uint32_t> cell_heads_;
  std::vector<std::size_t> cell_rows_;
  std::uint64_t begin_ = 0, end_ = 0;  // cells of the selected token
};

Embedding update_all(const Layer& layer, OutputsByToken& outputs, const Embedding& array,
                     const EvaluateOptions& options) {
  const std::uint64_t tokens = array.tokens();
  Embedding next = Embedding::with_dimension(layer.shape().output_dimension);
  RowWriter writer;
  const auto update = [&](std::uint64_t token) {
    writer.clear();
    outputs.select(token);
    layer.update(array.row(token), outputs, writer);
  };
  if (plain(options)) {
    for (std::uint64_t token = 0; token < tokens; ++token) {
      update(token);
      next.append_row(writer.entries());
    }
    return next;
  }
  std::vector<std::vector<Entry>> rows(tokens);
  for_each_token(tokens, options, 1, [&](std::uint64_t token, int pass) {
    update(token);
    if (pass == 0) {
      rows[token].assign(writer.entries().begin(), writer.entries().end());
    } else if (!std::equal(rows[token].begin(), rows[token].end(), writer.entries().begin(),
                           writer.entries().end())) {
      throw InternalError(fmt::format("the output row of token {} differs between two evaluations", token));
    }
  });
  for (const auto& row : rows) next.append_row(row);
  return next;
}

}  // namespace

std::uint32_t Transformer::heads() const {
  std::uint32_t most = 0;
  for (const auto& layer : layers) most = std::max(most, layer->shape().heads);
  return most;
}

std::uint32_t Transformer::embedding_dimension() const {
  std::uint32_t most = input_dimension;
  for (const auto& layer : layers) most = std::max(most, layer->shape().output_dimension);
  return most;
}

std::uint64_t Transformer::width() const {
  std::uint64_t most = 0;
  for (const auto& layer : layers) most = std::max(most, layer->shape().width());
  return most;
}

Embedding evaluate(const Layer& layer, Attention& attention, const Embedding& array,
                   const EvaluateOptions& options) {
  const LayerShape shape = layer.shape();
  require(shape.query_dimension == layer.codebook().dimension(),
          "a layer declares query dimension {} and has a codebook of dimension {}", shape.query_dimension,
          layer.codebook().dimension());
  ExtendedCodebook codebook(layer.codebook());
  OutputsByToken outputs(array.tokens(), shape.heads);
  {
    std::vector<HeadInput> heads = project_all(layer, codebook, array, options);
    for (std::uint32_t head = 0; head < shape.heads; ++head) {
      attention.attend(codebook.least(), heads[head], outputs.of_head(head));
      heads[head] = HeadInput();
    }
  }
  outputs.regroup();
  return update_all(layer, outputs, array, options);
}

Embedding evaluate(const Transformer& transformer, Attention& attention, const Embedding& input,
                   const EvaluateOptions& options) {
  require(input.tokens() == transformer.tokens && input.dimension() == transformer.input_dimension,
          "the input array is {} x {}; the transformer takes {} x {}", input.tokens(), input.dimension(),
          transformer.tokens, transformer.input_dimension);
  if (options.observe) options.observe(0, input);
  Embedding array = input;
  for (std::size_t l = 0; l < transformer.layers.size(); ++l) {
    array = evaluate(*transformer.layers[l], attention, array, options);
    if (options.observe) options.observe(l + 1, array);
  }
  return array;
}

}  // namespace roundtrip::anna
