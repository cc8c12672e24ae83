// Purpose: transformers as chains of element-wise maps and attention over an [N', d] array. Nothing but its
// token's row (position included), the layer and the seed reaches an element-wise map: the types below hand
// it nothing else.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "roundtrip/anna/attention/attention.h"
#include "roundtrip/anna/transformer/activations.h"

namespace roundtrip::anna {

struct LayerShape {
  std::uint32_t heads = 1;             ///< H_l
  std::uint32_t query_dimension = 0;   ///< m_qk: of queries and keys, the codebook's dimension
  std::uint32_t value_dimension = 0;   ///< m_v
  std::uint32_t output_dimension = 0;  ///< d of the rows that the layer writes
  std::uint64_t width() const {
    return std::uint64_t{heads} * (query_dimension > value_dimension ? query_dimension : value_dimension);
  }
};

/// Where Q, K and V of one token are written, for all heads of the layer.
class Projection {
 public:
  virtual ~Projection() = default;
  /// At most once a head; default: Layer::null_query().
  virtual void query(std::uint32_t head, Symbol symbol) = 0;
  /// At most once a head; default: Layer::null_key().
  virtual void key(std::uint32_t head, Symbol symbol) = 0;
  /// query(head, symbols[head]) for all heads of the layer.
  virtual void queries(std::span<const Symbol> symbols) {
    for (std::uint32_t head = 0; head < symbols.size(); ++head) query(head, symbols[head]);
  }
  /// The same key in heads 0 .. heads-1.
  virtual void keys(std::uint32_t heads, Symbol symbol) {
    for (std::uint32_t head = 0; head < heads; ++head) key(head, symbol);
  }
  /// The symbol of a query or key that is computed from the row rather than chosen in the codebook: m_qk
  /// coordinates; equal vectors get equal symbols, which hold for this evaluation of this layer only and
  /// number on after the codebook's.
  virtual Symbol intern(std::span<const std::int32_t> vector) = 0;
  /// Columns ascend within a head; absent is 0. The value must be an integer below 2^53 in magnitude.
  virtual void value(std::uint32_t head, std::uint32_t column, double value) = 0;
  /// value(head, column - first_column, value) for each of the entries. Those of the row itself are not
  /// copied.
  virtual void values(std::uint32_t head, std::span<const Entry> entries, std::uint32_t first_column) {
    for (const Entry& entry : entries) value(head, entry.column - first_column, entry.value);
  }
};

/// The head outputs of one token: H_l sparse vectors of dimension m_v.
class HeadOutputs {
 public:
  virtual ~HeadOutputs() = default;
  virtual EntryView head(std::uint32_t head) const = 0;
  /// The heads whose output is not zero, ascending: what a map with many heads should loop over.
  virtual std::span<const std::uint32_t> nonzero_heads() const = 0;
};

/// One layer. Both maps are pure functions of their arguments: const, and evaluated in any order, any number
/// of times.
class Layer {
 public:
  virtual ~Layer() = default;
  virtual LayerShape shape() const = 0;
  virtual const Codebook& codebook() const = 0;
  virtual Symbol null_query() const = 0;  ///< only ever a query
  virtual Symbol null_key() const = 0;    ///< only ever a key
  /// Q, K and V maps of all heads.
  virtual void project(const RowView& row, Projection& out) const = 0;
  /// Output map: the token's previous row and its head outputs to its next row.
  virtual void update(const RowView& row, const HeadOutputs& heads, RowWriter& out) const = 0;
};

struct Transformer {
  std::uint64_t tokens = 0;           ///< N'
  std::uint32_t input_dimension = 0;  ///< d of the first array
  std::vector<std::shared_ptr<const Layer>> layers;

  std::size_t depth() const { return layers.size(); }
  std::uint32_t heads() const;                ///< max over layers
  std::uint32_t embedding_dimension() const;  ///< max d, the input included
  std::uint64_t width() const;                ///< max over layers of H_l * m_l
};

struct EvaluateOptions {
  std::optional<std::uint64_t> order_seed = {};  ///< evaluate rows in random order (tests)
  bool twice = false;  ///< evaluate every map twice and throw InternalError if the two differ
  /// Sees the input (0 layers done) and the array after every layer of a transformer.
  std::function<void(std::size_t layers_done, const Activations&)> observe = {};
};

/// One layer on one array. Cost: time and memory linear in the entries that the maps write plus N'. A map
/// that breaks its contract (a head or column out of range or written twice, a value that is no integer) ends
/// in ContractError naming token, head and value.
Activations evaluate(const Layer& layer, Attention& attention, const Activations& array,
                     const EvaluateOptions& options = {});

/// The whole chain on `input`: [tokens, input_dimension], or ContractError.
Activations evaluate(const Transformer& transformer, Attention& attention, const Activations& input,
                     const EvaluateOptions& options = {});

}  // namespace roundtrip::anna
