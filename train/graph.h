// Purpose: reverse-mode differentiation over matrices: a graph is built once, and run for every batch. In single
// precision: what is trained is rounded to integers afterwards, and everything after that is exact.
#pragma once

#include <Eigen/Core>
#include <cstdint>
#include <deque>
#include <functional>
#include <vector>

#include "roundtrip/train/task.h"

namespace roundtrip::train {

using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// Operations on matrices and the gradients of their last result, a loss.
class Graph {
 public:
  struct Node {
    Matrix value, gradient;
    std::function<void()> forward, backward;  // empty for parameters
  };
  Graph() = default;
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;

  /// Normal numbers of deviation `scale`; the draws are functions of (seed, number of the parameter).
  Node& parameter(std::uint32_t rows, std::uint32_t columns, float scale, std::uint64_t seed);
  /// As a parameter, but no step changes it.
  Node& constant(std::uint32_t rows, std::uint32_t columns, float scale, std::uint64_t seed);
  /// Row numbers[i] of the table as row i.
  Node& gather(Node& table, const Rows& numbers);
  Node& multiply(Node& a, Node& b);
  Node& add(Node& a, Node& b);  ///< equal shapes, or b one row, which is added to every row
  Node& relu(Node& a);
  Node& unit(Node& a);  ///< every row divided by its length
  /// Rows are sequences of `length` tokens: averages of v [.., m_v] with the weights `similarity` of q and k, over
  /// the tokens that it sees, before and at one's own if `causal`. A query whose weights are all 0 gets 0.
  Node& attend(Node& q, Node& k, Node& v, std::uint32_t length, bool causal, const Similarity& similarity);
  Node& product(Node& a, Node& b);  ///< number by number
  Node& sigmoid(Node& a);
  /// exp(sqrt(beta) p - beta |x|^2 / 2), row by row: where p = x W, W normal, the positive random features of x
  /// whose products are exp(beta <x, y>) on average.
  Node& exponential_features(Node& p, Node& x, float beta);
  // In sequences of `length` tokens, from the first to the last, or `backwards`:
  /// The row before each one's own, 0 for the first.
  Node& shift(Node& a, std::uint32_t length, bool backwards);
  /// h_t = tanh(a_t + h_{t-1} W): a [.., d], W [d, d].
  Node& recur(Node& a, Node& matrix, std::uint32_t length, bool backwards);
  /// c_t = f c_{t-1} + i g, h_t = o tanh(c_t), of (i, f, o, g) = a_t + h_{t-1} W: a [.., 4 d], W [d, 4 d], i, f and o
  /// through sigmoids, g through tanh; h [.., d].
  Node& lstm(Node& a, Node& matrix, std::uint32_t length, bool backwards);
  /// H_t = diag(decay_t) H_{t-1} + write_t value_t^T, read_t^T H_t: decay, write and read [.., n], value [.., m].
  Node& scan(Node& decay, Node& write, Node& read, Node& value, std::uint32_t length, bool backwards);
  /// [1, 1]: the mean over rows of -ln softmax(a)[targets[row]].
  Node& cross_entropy(Node& a, const Rows& targets);

  void forward();
  /// Gradients of all nodes, of the last node's value.
  void backward();
  const std::vector<Node*>& parameters() const { return parameters_; }

 private:
  Node& add_node(Eigen::Index rows, Eigen::Index columns);
  Node& drawn(std::uint32_t rows, std::uint32_t columns, float scale, std::uint64_t seed,
              std::uint64_t number);
  std::deque<Node> nodes_;
  std::vector<Node*> parameters_;
};

/// Adam with gradients clipped to norm 1 and a rate that rises over the first fifth of the steps and falls as a
/// cosine after it.
class Adam {
 public:
  Adam(const std::vector<Graph::Node*>& parameters, float rate, std::uint32_t steps);
  void step();

 private:
  struct Moments {
    Matrix first, second;
  };
  std::vector<Graph::Node*> parameters_;
  std::vector<Moments> moments_;
  float rate_;
  std::uint32_t steps_, done_ = 0;
};

}  // namespace roundtrip::train
