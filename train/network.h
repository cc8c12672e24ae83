// Purpose: the network that is trained: a table of symbols (and one of places), layers of one head of a mechanism and
// a map of one hidden layer, both added to the row, and a linear read-out.
#pragma once

#include <deque>

#include "roundtrip/anna/transformer/model.h"
#include "roundtrip/train/graph.h"
#include "roundtrip/train/task.h"

namespace roundtrip::train {

class Network {
 public:
  static constexpr std::uint32_t kDimension = 64;  ///< of rows, queries and keys

  /// For batches of `sequences`; first parameters drawn by `seed`. A recurrent mixer reads a task that is not causal in
  /// both directions, with a state for each.
  Network(const Task& task, const Mixer& mixer, std::uint32_t sequences, std::uint64_t seed);
  Network(const Network&) = delete;
  Network& operator=(const Network&) = delete;

  /// The next batch.
  void use(const Sequences& batch);
  void forward() { graph_.forward(); }
  void backward() { graph_.backward(); }
  Graph& graph() { return graph_; }
  Similarity& similarity() { return similarity_; }
  float loss() const { return loss_->value(0, 0); }
  /// Share of the batch's tokens whose largest logit is not the answer's.
  double error() const;

  /// The maps as integers, in units of 2^-12; tables of symbols are exact as sums of ReLUs. The rows of the last
  /// layer are the logits: its answer is the first of the largest. Queries and keys keep their direction only,
  /// those of a table of symbols alone their length 1 too. The mixer is kAnna or kSoftmax.
  anna::Transformer transformer() const;

 private:
  struct LayerNodes {
    Graph::Node *query, *key, *value, *output, *hidden, *hidden_bias, *back, *back_bias;
    Graph::Node *queries, *keys;  // [rows, 64] before they are made unit vectors
    Graph::Node *first, *second;  // constant maps of features
  };
  /// What the rows get from each other through layer `l`'s mixer, [rows, 64]; `by_symbol`: `of` has a row a symbol.
  Graph::Node& mix(LayerNodes& n, Graph::Node& of, bool by_symbol, std::uint64_t seed);
  Graph::Node& attention(LayerNodes& n, Graph::Node& of, bool by_symbol, std::uint64_t seed);
  Graph::Node& recurrence(Graph::Node& x, bool backwards, std::uint64_t seed);
  Graph::Node& matrix(std::uint32_t inputs, std::uint32_t outputs, std::uint64_t seed, float gain = 1);
  anna::LayerWeights layer_weights(std::size_t layer) const;

  const Task& task_;
  const Mixer mixer_;
  Graph graph_;
  Similarity similarity_;
  Rows tokens_, places_, answers_;
  Graph::Node *symbol_table_ = nullptr, *place_table_ = nullptr, *read_out_ = nullptr, *read_bias_ = nullptr;
  std::vector<LayerNodes> layers_;
  Graph::Node *logits_ = nullptr, *loss_ = nullptr;
};

}  // namespace roundtrip::train
