// Purpose: the transformer that is trained: a table of symbols (and one of places), layers of one attention head and
// a map of one hidden layer, both added to the row, and a linear read-out.
#pragma once

#include <deque>

#include "roundtrip/anna/transformer/model.h"
#include "roundtrip/train/graph.h"
#include "roundtrip/train/task.h"

namespace roundtrip::train {

class Network {
 public:
  static constexpr std::uint32_t kDimension = 64;       ///< of rows, queries and keys
  static constexpr std::uint32_t kValueDimension = 32;  ///< of values

  /// For batches of `sequences`; first parameters drawn by `seed`.
  Network(const Task& task, Similarity::Kind surrogate, std::uint32_t sequences, std::uint64_t seed);
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
  /// those of a table of symbols alone their length 1 too.
  anna::Transformer transformer() const;

 private:
  struct LayerNodes {
    Graph::Node *query, *key, *value, *output, *hidden, *hidden_bias, *back, *back_bias;
    Graph::Node *queries, *keys;  // [rows, 64] before they are made unit vectors
  };
  anna::LayerWeights layer_weights(std::size_t layer) const;

  const Task& task_;
  Graph graph_;
  Similarity similarity_;
  Rows tokens_, places_, answers_;
  Graph::Node *symbol_table_ = nullptr, *place_table_ = nullptr, *read_out_ = nullptr, *read_bias_ = nullptr;
  std::vector<LayerNodes> layers_;
  Graph::Node *logits_ = nullptr, *loss_ = nullptr;
};

}  // namespace roundtrip::train
