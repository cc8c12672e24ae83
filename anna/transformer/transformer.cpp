#include "roundtrip/anna/transformer/transformer.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "roundtrip/anna/attention/interner.h"
#include "roundtrip/base/error.h"
#include "roundtrip/base/random.h"

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

// A layer's codebook and, numbered on after it, the vectors that its maps computed in this evaluation.
class ExtendedCodebook final : public Codebook {
 public:
  explicit ExtendedCodebook(const Codebook& base) : base_(base), base_size_(base.size()) {
    computed_.reset(sizeof(std::int32_t) * dimension());
  }
  std::uint32_t dimension() const override { return base_.dimension(); }
  Symbol size() const override { return base_size_ + computed_.size(); }
  void vector(Symbol symbol, std::span<std::int32_t> out) const override {
    if (symbol < base_size_) return base_.vector(symbol, out);
    std::memcpy(out.data(), computed_.record(static_cast<std::uint32_t>(symbol - base_size_)),
                out.size_bytes());
  }
  Symbol intern(std::span<const std::int32_t> vector) { return base_size_ + computed_.intern(vector.data()); }
  /// What mechanisms are given: the layer's own codebook, whose codes they may know already, if that is
  /// enough.
  const Codebook& least() const { return computed_.size() == 0 ? base_ : *this; }

 private:
  const Codebook& base_;
  const Symbol base_size_;
  RecordInterner computed_;
};

// Hands a map its row and nothing else, and holds what it writes to the contract. What it wrote goes straight
// into the heads' inputs, or, for tokens that come in any order, into a projection of its own.
class Recorder final : public Projection {
 public:
  Recorder(const Layer& layer, ExtendedCodebook& codebook, const Activations& array,
           std::vector<HeadInput>& heads)
      : layer_(layer),
        shape_(layer.shape()),
        codebook_(codebook),
        array_(array),
        heads_(heads),
        seen_(shape_.heads) {}

  void project(std::uint64_t token, TokenProjection& out) {
    out.clear();
    out_ = &out;
    begin(token);
  }
  /// Tokens ascend.
  void project(std::uint64_t token) {
    out_ = nullptr;
    begin(token);
  }

  void query(std::uint32_t head, Symbol symbol) override {
    point("query", head, symbol, queries_, &Seen::query);
    single_query_ = true;
    if (out_ == nullptr) {
      heads_[head].queries.listed.push_back({token_, symbol});
    } else {
      out_->queries.push_back({head, symbol});
    }
  }
  void key(std::uint32_t head, Symbol symbol) override {
    point("key", head, symbol, keys_, &Seen::key);
    single_key_ = true;
    if (out_ == nullptr) {
      heads_[head].keys.listed.push_back({token_, symbol});
    } else {
      out_->keys.push_back({head, symbol});
    }
  }
  Symbol intern(std::span<const std::int32_t> vector) override {
    require(vector.size() == shape_.query_dimension,
            "token {}: a computed query or key has {} coordinates; the layer's have {}", token_,
            vector.size(), shape_.query_dimension);
    return codebook_.intern(vector);
  }
  void value(std::uint32_t head, std::uint32_t column, double value) override {
    const Entry entry{column, value};
    values(head, {&entry, 1}, 0);
  }
  void values(std::uint32_t head, std::span<const Entry> entries, std::uint32_t first_column) override {
    require(head < shape_.heads, "token {}: value for head {} of {}", token_, head, shape_.heads);
    if (entries.empty()) return;
    Seen& seen = seen_[head];
    if (seen.value != epoch_) seen.value = epoch_, seen.least_column = 0;
    if (out_ != nullptr) {
      hold_to_contract(head, entries, first_column, seen.least_column);
      for (const Entry& entry : entries) {
        if (entry.value != 0) out_->values.push_back({head, {entry.column - first_column, entry.value}});
        seen.least_column = std::uint64_t{entry.column - first_column} + 1;
      }
      return;
    }
    SparseRows& rows = heads_[head].values;
    if (!seen.owned && seen.least_column == 0) {
      if (const auto part = array_.part(token_, entries, first_column, shape_.value_dimension)) {
        seen.least_column = std::uint64_t{entries.back().column - first_column} + 1;
        rows.tokens.push_back(token_);
        rows.borrowed.push_back(*part);
        return;
      }
    }
    if (!seen.owned) rows.copy_borrowed();
    seen.owned = true;
    const std::size_t before = rows.entries.size();
    rows.entries.insert(rows.entries.end(), entries.begin(), entries.end());
    std::uint64_t least = seen.least_column;
    bool good = true, zeros = false;
    for (std::size_t i = before; i < rows.entries.size(); ++i) {
      Entry& entry = rows.entries[i];
      entry.column -= first_column;  // wraps to beyond all columns if it is less
      good &= (entry.column >= least) & is_exact_integer(entry.value);
      least = std::uint64_t{entry.column} + 1;
      zeros |= entry.value == 0;
    }
    if (!good || least > shape_.value_dimension)
      hold_to_contract(head, entries, first_column, seen.least_column);
    seen.least_column = least;
    if (zeros) {
      const auto first = rows.entries.begin() + static_cast<std::ptrdiff_t>(before);
      rows.entries.erase(
          std::remove_if(first, rows.entries.end(), [](const Entry& entry) { return entry.value == 0; }),
          rows.entries.end());
    }
    if (rows.entries.size() == before) return;
    end_row(rows, token_);
  }
  void queries(std::span<const Symbol> symbols) override {
    if (out_ != nullptr || single_query_ || queries_ != 0) return Projection::queries(symbols);
    require(symbols.size() <= shape_.heads, "token {}: {} queries for {} heads", token_, symbols.size(),
            shape_.heads);
    const Symbol size = codebook_.size();
    for (std::uint32_t head = 0; head < symbols.size(); ++head) {
      if (symbols[head] >= size) return query(head, symbols[head]);  // refused
      heads_[head].queries.listed.push_back({token_, symbols[head]});
    }
    queries_ = static_cast<std::uint32_t>(symbols.size());
  }
  void keys(std::uint32_t heads, Symbol symbol) override {
    if (out_ != nullptr || single_key_ || keys_ != 0) return Projection::keys(heads, symbol);
    require(heads <= shape_.heads, "token {}: keys for {} of {} heads", token_, heads, shape_.heads);
    if (heads > 0 && symbol >= codebook_.size()) return key(0, symbol);  // refused
    for (std::uint32_t head = 0; head < heads; ++head) heads_[head].keys.listed.push_back({token_, symbol});
    keys_ = heads;
  }

  static void append(SparseRows& rows, std::uint64_t token, const Entry& entry) {
    rows.entries.push_back(entry);
    end_row(rows, token);
  }

 private:
  /// Entries after the last row belong to the token's.
  static void end_row(SparseRows& rows, std::uint64_t token) {
    if (rows.tokens.empty() || rows.tokens.back() != token) {
      rows.tokens.push_back(token);
      rows.offsets.push_back(0);
    }
    rows.offsets.back() = rows.entries.size();
  }
  void hold_to_contract(std::uint32_t head, std::span<const Entry> entries, std::uint32_t first_column,
                        std::uint64_t least) const {
    for (const Entry& entry : entries) {
      const std::uint32_t column = entry.column - first_column;
      require(column >= least && column < shape_.value_dimension,
              "token {} head {}: value column {} is out of order or not below {}", token_, head, column,
              shape_.value_dimension);
      require(is_exact_integer(entry.value),
              "token {} head {}: value {} is not an integer below 2^53 in magnitude", token_, head,
              entry.value);
      least = std::uint64_t{column} + 1;
    }
  }
  /// When a head last saw each of them from a token.
  struct Seen {
    std::uint64_t query = 0, key = 0, value = 0, least_column = 0;
    bool owned = false;  // some row of the head is not borrowed
  };

  void begin(std::uint64_t token) {
    token_ = token;
    ++epoch_;
    queries_ = keys_ = 0;
    single_query_ = single_key_ = false;
    layer_.project(array_.row(token), *this);
  }
  /// `listed`: heads below it have one of this token already.
  void point(const char* what, std::uint32_t head, Symbol symbol, std::uint32_t listed,
             std::uint64_t Seen::*last) {
    require(head < shape_.heads, "token {}: {} for head {} of {}", token_, what, head, shape_.heads);
    require(head >= listed && seen_[head].*last != epoch_, "token {} head {}: a second {}", token_, head,
            what);
    require(symbol < codebook_.size(), "token {} head {}: {} symbol {} is not below {}", token_, head, what,
            symbol, codebook_.size());
    seen_[head].*last = epoch_;
  }

  const Layer& layer_;
  const LayerShape shape_;
  ExtendedCodebook& codebook_;
  const Activations& array_;
  std::vector<HeadInput>& heads_;
  std::vector<Seen> seen_;
  std::uint64_t epoch_ = 0, token_ = 0;
  std::uint32_t queries_ = 0, keys_ = 0;            // of the token, listed for heads 0 ..
  bool single_query_ = false, single_key_ = false;  // .. and one by one
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
  for (const auto& value : projection.values) Recorder::append(heads[value.head].values, token, value.entry);
}

/// Fills heads[0 .. H-1], whose memory is used again.
void project_all(const Layer& layer, ExtendedCodebook& codebook, const Activations& array,
                 const EvaluateOptions& options, std::vector<HeadInput>& heads) {
  const std::uint64_t tokens = array.tokens();
  const std::uint32_t count = layer.shape().heads;
  if (heads.size() < count) heads.resize(count);
  for (std::uint32_t h = 0; h < count; ++h) {
    HeadInput& head = heads[h];
    head.tokens = tokens;
    head.queries.default_symbol = layer.null_query();
    head.keys.default_symbol = layer.null_key();
    head.queries.listed.clear();
    head.keys.listed.clear();
    head.values.clear();
  }
  Recorder recorder(layer, codebook, array, heads);
  if (plain(options)) {
    for (std::uint64_t token = 0; token < tokens; ++token) recorder.project(token);
    return;
  }
  std::vector<TokenProjection> projections(tokens);
  TokenProjection again;
  for_each_token(tokens, options, 0, [&](std::uint64_t token, int pass) {
    recorder.project(token, pass == 0 ? projections[token] : again);
    if (pass == 1 && again != projections[token]) {
      throw InternalError(fmt::format("the projection of token {} differs between two evaluations", token));
    }
  });
  for (std::uint64_t token = 0; token < tokens; ++token) distribute(token, projections[token], heads);
}

// The outputs of all heads, regrouped by token.
class OutputsByToken final : public HeadOutputs {
 public:
  /// For another layer; memory is used again.
  void reset(std::uint64_t tokens, std::uint32_t heads) {
    heads_ = heads;
    if (outputs_.size() < heads) outputs_.resize(heads);
    starts_.assign(tokens + 1, 0);
  }
  SparseRows& of_head(std::uint32_t head) { return outputs_[head]; }
  void regroup() {
    for (std::uint32_t head = 0; head < heads_; ++head) {
      for (const std::uint64_t token : outputs_[head].tokens) ++starts_[token + 1];
    }
    for (std::size_t t = 0; t + 1 < starts_.size(); ++t) starts_[t + 1] += starts_[t];
    cell_heads_.resize(starts_.back());
    cells_.resize(starts_.back());
    cursor_.assign(starts_.begin(), starts_.end() - 1);
    for (std::uint32_t head = 0; head < heads_; ++head) {
      const SparseRows& rows = outputs_[head];
      for (std::size_t row = 0; row < rows.tokens.size(); ++row) {
        const std::uint64_t cell = cursor_[rows.tokens[row]]++;
        cell_heads_[cell] = head;
        cells_[cell] = rows.row(row);
      }
    }
  }
  void select(std::uint64_t token) { begin_ = next_ = starts_[token], end_ = starts_[token + 1]; }

  EntryView head(std::uint32_t head) const override {
    require(head < heads_, "output of head {} of {}", head, heads_);
    // Most maps ask for the heads in order. Lent rows are scattered over the array.
    if (next_ < end_ && cell_heads_[next_] == head) {
      if (next_ + kAhead < cells_.size()) {
        const Entry* const later = cells_[next_ + kAhead].data();
        __builtin_prefetch(later), __builtin_prefetch(later + 4);
      }
      return cells_[next_++];
    }
    const auto nonzero = nonzero_heads();
    const auto found = std::lower_bound(nonzero.begin(), nonzero.end(), head);
    if (found == nonzero.end() || *found != head) return {};
    return cells_[begin_ + static_cast<std::size_t>(found - nonzero.begin())];
  }
  std::span<const std::uint32_t> nonzero_heads() const override {
    return std::span(cell_heads_).subspan(begin_, end_ - begin_);
  }

 private:
  static constexpr std::uint64_t kAhead = 6;  // cells whose rows are fetched before they are asked for

  std::uint32_t heads_ = 0;
  std::vector<SparseRows> outputs_;    // [heads], or more from another layer
  std::vector<std::uint64_t> starts_;  // [tokens + 1] into the cells, by head within a token
  std::vector<std::uint32_t> cell_heads_;
  std::vector<EntryView> cells_;
  std::vector<std::uint64_t> cursor_;
  std::uint64_t begin_ = 0, end_ = 0;  // cells of the selected token
  mutable std::uint64_t next_ = 0;     // the cell after the one asked for last
};

void update_all(const Layer& layer, OutputsByToken& outputs, const Activations& array,
                const EvaluateOptions& options, Activations& next) {
  const std::uint64_t tokens = array.tokens();
  next.clear(layer.shape().output_dimension);
  const auto update = [&](std::uint64_t token, RowWriter& writer) {
    outputs.select(token);
    layer.update(array.row(token), outputs, writer);
  };
  if (plain(options)) {
    RowWriter writer(next);
    for (std::uint64_t token = 0; token < tokens; ++token) {
      update(token, writer);
      writer.end_row();
    }
    return;
  }
  RowWriter writer;
  std::vector<std::vector<Entry>> rows(tokens);
  for_each_token(tokens, options, 1, [&](std::uint64_t token, int pass) {
    writer.clear();
    update(token, writer);
    if (pass == 0) {
      rows[token].assign(writer.entries().begin(), writer.entries().end());
    } else if (!std::equal(rows[token].begin(), rows[token].end(), writer.entries().begin(),
                           writer.entries().end())) {
      throw InternalError(fmt::format("the output row of token {} differs between two evaluations", token));
    }
  });
  for (const auto& row : rows) next.append_row(row);
}

/// What evaluating a layer works in, for the next layer to use again.
struct Workspace {
  std::vector<HeadInput> heads;
  OutputsByToken outputs;
};

void evaluate_into(const Layer& layer, Attention& attention, const Activations& array,
                   const EvaluateOptions& options, Workspace& workspace, Activations& next) {
  const LayerShape shape = layer.shape();
  require(shape.query_dimension == layer.codebook().dimension(),
          "a layer declares query dimension {} and has a codebook of dimension {}", shape.query_dimension,
          layer.codebook().dimension());
  ExtendedCodebook codebook(layer.codebook());
  workspace.outputs.reset(array.tokens(), shape.heads);
  project_all(layer, codebook, array, options, workspace.heads);
  for (std::uint32_t head = 0; head < shape.heads; ++head)
    attention.attend(codebook.least(), workspace.heads[head], workspace.outputs.of_head(head));
  workspace.outputs.regroup();
  update_all(layer, workspace.outputs, array, options, next);
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

Activations evaluate(const Layer& layer, Attention& attention, const Activations& array,
                     const EvaluateOptions& options) {
  Workspace workspace;
  Activations next;
  evaluate_into(layer, attention, array, options, workspace, next);
  return next;
}

Activations evaluate(const Transformer& transformer, Attention& attention, const Activations& input,
                     const EvaluateOptions& options) {
  require(input.tokens() == transformer.tokens && input.dimension() == transformer.input_dimension,
          "the input array is {} x {}; the transformer takes {} x {}", input.tokens(), input.dimension(),
          transformer.tokens, transformer.input_dimension);
  if (options.observe) options.observe(0, input);
  Workspace workspace;
  Activations array = input, next;
  for (std::size_t l = 0; l < transformer.layers.size(); ++l) {
    evaluate_into(*transformer.layers[l], attention, array, options, workspace, next);
    std::swap(array, next);
    if (options.observe) options.observe(l + 1, array);
  }
  return array;
}

}  // namespace roundtrip::anna
