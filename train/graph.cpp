#include "roundtrip/train/graph.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>

#include "roundtrip/base/error.h"
#include "roundtrip/base/random.h"
#include "roundtrip/train/kernels.h"

namespace roundtrip::train {
namespace {

using Index = Eigen::Index;

std::size_t size(Index index) {
  return static_cast<std::size_t>(index);
}

/// c += a b, a or b transposed on request.
void add_product(const Matrix& a, bool a_transposed, const Matrix& b, bool b_transposed, Matrix& c) {
  Matrix turned;
  if (b_transposed) turned = b.transpose();
  const Matrix& right = b_transposed ? turned : b;
  const std::size_t columns = size(a.cols());
  const Strided<float> left =
      a_transposed ? Strided<float>{a.data(), 1, columns} : Strided<float>{a.data(), columns, 1};
  kernels().multiply(size(c.rows()), size(c.cols()), size(right.rows()), left, right.data(),
                     size(right.cols()), c.data(), size(c.cols()));
}

/// Uniform in (0, 1).
double uniform(std::uint64_t seed, std::uint64_t a, std::uint64_t b) {
  return (static_cast<double>(draw(seed, Domain::kModel, a, b) >> 11) + 0.5) * 0x1p-53;
}

/// The rows of token `token` in every sequence of `length`: [sequences, columns].
using TokenRows = Eigen::Map<Matrix, 0, Eigen::OuterStride<>>;
TokenRows token_rows(Matrix& of, Index length, Index token) {
  return {of.data() + token * of.cols(), of.rows() / length, of.cols(),
          Eigen::OuterStride<>(length * of.cols())};
}
/// The token that is read in step `step`, -1 .. length.
Index token_of(Index step, Index length, bool backwards) {
  return backwards ? length - 1 - step : step;
}

void require_sequences(const Matrix& rows, std::uint32_t length) {
  require(length >= 1 && rows.rows() % length == 0, "{} rows are no sequences of {}", rows.rows(), length);
}

template <typename Numbers>
auto sigmoid_of(const Numbers& x) {
  return 0.5f * ((0.5f * x).tanh() + 1.0f);
}

/// weight = x or x^2, and its derivative.
void weigh_product(Similarity::Kind kind, std::size_t count, const float* x, float* weight, float* slope) {
  const bool square = kind == Similarity::Kind::kSquare;
  for (std::size_t i = 0; i < count; ++i) {
    weight[i] = square ? x[i] * x[i] : x[i];
    slope[i] = square ? 2 * x[i] : 1;
  }
}

/// Of one sequence: where each token's code sorts it, and the code.
struct Sorted {
  std::vector<std::uint64_t> codes;
  std::vector<Index> places;
};
Sorted sort_by_code(const Matrix& keys, Index first, Index length, const Matrix& planes) {
  Sorted sorted{std::vector<std::uint64_t>(size(length)), std::vector<Index>(size(length))};
  const Matrix sides = keys.middleRows(first, length) * planes;
  for (Index i = 0; i < length; ++i) {
    for (Index bit = 0; bit < planes.cols(); ++bit)
      sorted.codes[size(i)] |= (sides(i, bit) > 0 ? std::uint64_t{1} : 0) << bit;
  }
  std::vector<Index> order(size(length));
  std::iota(order.begin(), order.end(), Index{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](Index a, Index b) { return sorted.codes[size(a)] < sorted.codes[size(b)]; });
  for (Index place = 0; place < length; ++place) sorted.places[size(order[size(place)])] = place;
  return sorted;
}

}  // namespace

Graph::Node& Graph::add_node(Index rows, Index columns) {
  Node& node = nodes_.emplace_back();
  node.value = Matrix::Zero(rows, columns);
  node.gradient = Matrix::Zero(rows, columns);
  return node;
}

Graph::Node& Graph::drawn(std::uint32_t rows, std::uint32_t columns, float scale, std::uint64_t seed,
                          std::uint64_t number) {
  Node& node = add_node(rows, columns);
  for (Index i = 0; i < node.value.size(); ++i) {
    const auto place = static_cast<std::uint64_t>(i);  // Box and Muller
    const double radius = std::sqrt(-2 * std::log(uniform(seed, number, 2 * place)));
    const double angle = 2 * 3.14159265358979323846 * uniform(seed, number, 2 * place + 1);
    node.value.data()[i] = scale * static_cast<float>(radius * std::cos(angle));
  }
  return node;
}

Graph::Node& Graph::parameter(std::uint32_t rows, std::uint32_t columns, float scale, std::uint64_t seed) {
  Node& node = drawn(rows, columns, scale, seed, parameters_.size());
  parameters_.push_back(&node);
  return node;
}

Graph::Node& Graph::constant(std::uint32_t rows, std::uint32_t columns, float scale, std::uint64_t seed) {
  constexpr std::uint64_t kConstants = std::uint64_t{1} << 32;  // numbers beyond those of parameters
  return drawn(rows, columns, scale, seed, kConstants + nodes_.size());
}

Graph::Node& Graph::gather(Node& table, const Rows& numbers) {
  Node& node = add_node(static_cast<Index>(numbers.size()), table.value.cols());
  node.forward = [&node, &table, &numbers] {
    for (Index i = 0; i < node.value.rows(); ++i) node.value.row(i) = table.value.row(numbers[size(i)]);
  };
  node.backward = [&node, &table, &numbers] {
    for (Index i = 0; i < node.value.rows(); ++i)
      table.gradient.row(numbers[size(i)]) += node.gradient.row(i);
  };
  return node;
}

Graph::Node& Graph::multiply(Node& a, Node& b) {
  require(a.value.cols() == b.value.rows(), "a product of {} columns and {} rows", a.value.cols(),
          b.value.rows());
  Node& node = add_node(a.value.rows(), b.value.cols());
  node.forward = [&node, &a, &b] {
    node.value.setZero();
    add_product(a.value, false, b.value, false, node.value);
  };
  node.backward = [&node, &a, &b] {
    add_product(node.gradient, false, b.value, true, a.gradient);
    add_product(a.value, true, node.gradient, false, b.gradient);
  };
  return node;
}

Graph::Node& Graph::add(Node& a, Node& b) {
  const bool row = b.value.rows() == 1;
  require(a.value.cols() == b.value.cols() && (row || a.value.rows() == b.value.rows()),
          "a sum of [{}, {}] and [{}, {}]", a.value.rows(), a.value.cols(), b.value.rows(), b.value.cols());
  Node& node = add_node(a.value.rows(), a.value.cols());
  node.forward = [&node, &a, &b, row] {
    if (row) {
      node.value = a.value.rowwise() + b.value.row(0);
    } else {
      node.value = a.value + b.value;
    }
  };
  node.backward = [&node, &a, &b, row] {
    a.gradient += node.gradient;
    if (row) {
      b.gradient += node.gradient.colwise().sum();
    } else {
      b.gradient += node.gradient;
    }
  };
  return node;
}

Graph::Node& Graph::relu(Node& a) {
  Node& node = add_node(a.value.rows(), a.value.cols());
  node.forward = [&node, &a] { node.value = a.value.cwiseMax(0.0f); };
  node.backward = [&node, &a] {
    a.gradient.array() += (a.value.array() > 0).select(node.gradient.array(), 0.0f);
  };
  return node;
}

Graph::Node& Graph::unit(Node& a) {
  Node& node = add_node(a.value.rows(), a.value.cols());
  node.forward = [&node, &a] {
    for (Index i = 0; i < a.value.rows(); ++i)
      node.value.row(i) = a.value.row(i) / std::max(a.value.row(i).norm(), 1e-12f);
  };
  node.backward = [&node, &a] {
    for (Index i = 0; i < a.value.rows(); ++i) {
      const float along = node.gradient.row(i).dot(node.value.row(i));
      a.gradient.row(i) +=
          (node.gradient.row(i) - along * node.value.row(i)) / std::max(a.value.row(i).norm(), 1e-12f);
    }
  };
  return node;
}

Graph::Node& Graph::attend(Node& q, Node& k, Node& v, std::uint32_t length, bool causal,
                           const Similarity& similarity) {
  require_sequences(q.value, length);
  Node& node = add_node(q.value.rows(), v.value.cols());
  constexpr std::uint64_t kPlanesSeed = 1;
  const Node* const planes = similarity.chunk == 0 ? nullptr
                                                   : &constant(static_cast<std::uint32_t>(k.value.cols()),
                                                               similarity.code_bits, 1, kPlanesSeed);
  struct Weights {
    Matrix weight, slope;  // [rows, length]
    Eigen::VectorXf total;
    std::uint64_t runs = 0;
  };
  const auto held = std::make_shared<Weights>();
  held->weight = held->slope = Matrix::Zero(q.value.rows(), length);
  held->total = Eigen::VectorXf::Ones(q.value.rows());
  node.forward = [&node, &q, &k, &v, length, causal, &similarity, planes, held] {
    Weights& w = *held;
    const Index n = length;
    ++w.runs;
    Matrix cosines(n, n), turned(q.value.cols(), n), sums(n, v.value.cols());
    for (Index first = 0; first < q.value.rows(); first += n) {
      turned = k.value.middleRows(first, n).transpose();
      cosines.setZero();
      kernels().multiply(length, length, size(q.value.cols()), {&q.value(first, 0), size(q.value.cols()), 1},
                         turned.data(), length, cosines.data(), length);
      Sorted sorted;
      if (planes != nullptr) sorted = sort_by_code(k.value, first, n, planes->value);
      for (Index i = 0; i < n; ++i) {
        const std::size_t keys = causal ? size(i) + 1 : length;
        float* const weight = &w.weight(first + i, 0);
        float* const slope = &w.slope(first + i, 0);
        if (similarity.kind == Similarity::Kind::kCollision) {
          kernels().collision(keys, similarity.sharpness, &cosines(i, 0), weight, slope);
        } else if (similarity.kind == Similarity::Kind::kExponential) {
          kernels().exponential(keys, similarity.sharpness, &cosines(i, 0), weight, slope);
        } else {
          weigh_product(similarity.kind, keys, &cosines(i, 0), weight, slope);
        }
        for (std::size_t j = 0; j < keys; ++j) {
          const Index away = std::abs(static_cast<Index>(j) - i);
          bool hidden = similarity.window > 0 && away > similarity.window;
          if (planes != nullptr) {
            const Index chunks =
                sorted.places[size(i)] / similarity.chunk - sorted.places[j] / similarity.chunk;
            hidden |= sorted.codes[size(i)] != sorted.codes[j] || chunks < 0 || chunks > 1;
          }
          if (hidden) weight[j] = slope[j] = 0;
        }
        if (similarity.tables > 0) {
          kernels().noise(
              keys, similarity.tables,
              draw(similarity.noise_seed, Domain::kModel, w.runs, static_cast<std::uint64_t>(first + i)),
              weight, slope);
        }
        const float total = w.weight.row(first + i).sum();
        w.total(first + i) = total > 0 ? total : 1;
      }
      sums.setZero();
      kernels().multiply(length, size(v.value.cols()), length, {&w.weight(first, 0), length, 1},
                         &v.value(first, 0), size(v.value.cols()), sums.data(), size(v.value.cols()));
      for (Index i = 0; i < n; ++i) node.value.row(first + i) = sums.row(i) / w.total(first + i);
    }
  };
  node.backward = [&node, &q, &k, &v, length, held] {
    const Weights& w = *held;
    const Index n = length;
    const std::size_t m = size(q.value.cols()), m_v = size(v.value.cols());
    Matrix scaled(n, v.value.cols()), turned(v.value.cols(), n), by_cosine(n, n);
    for (Index first = 0; first < q.value.rows(); first += n) {
      for (Index i = 0; i < n; ++i) scaled.row(i) = node.gradient.row(first + i) / w.total(first + i);
      turned = v.value.middleRows(first, n).transpose();
      by_cosine.setZero();
      kernels().multiply(length, length, m_v, {scaled.data(), m_v, 1}, turned.data(), length,
                         by_cosine.data(), length);
      for (Index i = 0; i < n; ++i) {
        const float along = scaled.row(i).dot(node.value.row(first + i));
        by_cosine.row(i) = (by_cosine.row(i).array() - along) * w.slope.row(first + i).array();
      }
      kernels().multiply(length, m, length, {by_cosine.data(), length, 1}, &k.value(first, 0), m,
                         &q.gradient(first, 0), m);
      kernels().multiply(length, m, length, {by_cosine.data(), 1, length}, &q.value(first, 0), m,
                         &k.gradient(first, 0), m);
      kernels().multiply(length, m_v, length, {&w.weight(first, 0), 1, length}, scaled.data(), m_v,
                         &v.gradient(first, 0), m_v);
    }
  };
  return node;
}

Graph::Node& Graph::product(Node& a, Node& b) {
  require(a.value.rows() == b.value.rows() && a.value.cols() == b.value.cols(),
          "a product of [{}, {}] and [{}, {}], number by number", a.value.rows(), a.value.cols(),
          b.value.rows(), b.value.cols());
  Node& node = add_node(a.value.rows(), a.value.cols());
  node.forward = [&node, &a, &b] { node.value.array() = a.value.array() * b.value.array(); };
  node.backward = [&node, &a, &b] {
    a.gradient.array() += node.gradient.array() * b.value.array();
    b.gradient.array() += node.gradient.array() * a.value.array();
  };
  return node;
}

Graph::Node& Graph::sigmoid(Node& a) {
  Node& node = add_node(a.value.rows(), a.value.cols());
  node.forward = [&node, &a] { node.value.array() = sigmoid_of(a.value.array()); };
  node.backward = [&node, &a] {
    a.gradient.array() += node.gradient.array() * node.value.array() * (1.0f - node.value.array());
  };
  return node;
}

Graph::Node& Graph::exponential_features(Node& p, Node& x, float beta) {
  require(p.value.rows() == x.value.rows(), "features of {} rows from products of {}", x.value.rows(),
          p.value.rows());
  Node& node = add_node(p.value.rows(), p.value.cols());
  const float root = std::sqrt(beta);
  node.forward = [&node, &p, &x, beta, root] {
    for (Index i = 0; i < p.value.rows(); ++i)
      node.value.row(i) = (root * p.value.row(i).array() - beta / 2 * x.value.row(i).squaredNorm()).exp();
  };
  node.backward = [&node, &p, &x, beta, root] {
    for (Index i = 0; i < p.value.rows(); ++i) {
      const auto slope = node.gradient.row(i).array() * node.value.row(i).array();
      p.gradient.row(i).array() += root * slope;
      x.gradient.row(i) -= beta * slope.sum() * x.value.row(i);
    }
  };
  return node;
}

Graph::Node& Graph::shift(Node& a, std::uint32_t length, bool backwards) {
  require_sequences(a.value, length);
  Node& node = add_node(a.value.rows(), a.value.cols());
  const Index n = length;
  node.forward = [&node, &a, n, backwards] {
    for (Index t = 1; t < n; ++t)
      token_rows(node.value, n, token_of(t, n, backwards)) =
          token_rows(a.value, n, token_of(t - 1, n, backwards));
  };
  node.backward = [&node, &a, n, backwards] {
    for (Index t = 1; t < n; ++t) {
      token_rows(a.gradient, n, token_of(t - 1, n, backwards)) +=
          token_rows(node.gradient, n, token_of(t, n, backwards));
    }
  };
  return node;
}

Graph::Node& Graph::recur(Node& a, Node& matrix, std::uint32_t length, bool backwards) {
  require_sequences(a.value, length);
  require(matrix.value.rows() == a.value.cols() && matrix.value.cols() == a.value.cols(),
          "a state of {} numbers through [{}, {}]", a.value.cols(), matrix.value.rows(), matrix.value.cols());
  Node& node = add_node(a.value.rows(), a.value.cols());
  const Index n = length;
  const auto states = std::make_shared<std::vector<Matrix>>(
      size(n + 1), Matrix::Zero(a.value.rows() / n, a.value.cols()));  // before step 0, after each
  node.forward = [&node, &a, &matrix, n, backwards, states] {
    for (Index t = 0; t < n; ++t) {
      Matrix& h = (*states)[size(t + 1)];
      h = token_rows(a.value, n, token_of(t, n, backwards));
      add_product((*states)[size(t)], false, matrix.value, false, h);
      h.array() = h.array().tanh();
      token_rows(node.value, n, token_of(t, n, backwards)) = h;
    }
  };
  node.backward = [&node, &a, &matrix, n, backwards, states] {
    Matrix later = Matrix::Zero(a.value.rows() / n, a.value.cols()), slope = later;
    for (Index t = n - 1; t >= 0; --t) {
      const Matrix& h = (*states)[size(t + 1)];
      slope = token_rows(node.gradient, n, token_of(t, n, backwards)) + later;
      slope.array() *= 1.0f - h.array().square();
      token_rows(a.gradient, n, token_of(t, n, backwards)) += slope;
      add_product((*states)[size(t)], true, slope, false, matrix.gradient);
      later.setZero();
      add_product(slope, false, matrix.value, true, later);
    }
  };
  return node;
}

Graph::Node& Graph::lstm(Node& a, Node& matrix, std::uint32_t length, bool backwards) {
  require_sequences(a.value, length);
  const Index d = a.value.cols() / 4, n = length, sequences = a.value.rows() / n;
  require(a.value.cols() == 4 * d && matrix.value.rows() == d && matrix.value.cols() == 4 * d,
          "{} numbers of gates through [{}, {}]", a.value.cols(), matrix.value.rows(), matrix.value.cols());
  Node& node = add_node(a.value.rows(), d);
  struct Step {
    Matrix h, cell, squashed, gates;  // after the step
  };
  const Matrix zero = Matrix::Zero(sequences, d);
  const auto steps = std::make_shared<std::vector<Step>>(
      size(n + 1), Step{zero, zero, zero, Matrix::Zero(sequences, 4 * d)});
  node.forward = [&node, &a, &matrix, d, n, backwards, steps] {
    for (Index t = 0; t < n; ++t) {
      const Step& before = (*steps)[size(t)];
      Step& now = (*steps)[size(t + 1)];
      now.gates = token_rows(a.value, n, token_of(t, n, backwards));
      add_product(before.h, false, matrix.value, false, now.gates);
      now.gates.leftCols(3 * d) = sigmoid_of(now.gates.leftCols(3 * d).array()).eval();
      now.gates.rightCols(d) = now.gates.rightCols(d).array().tanh().eval();
      const auto in = now.gates.leftCols(d).array(), forget = now.gates.middleCols(d, d).array(),
                 out = now.gates.middleCols(2 * d, d).array(), candidate = now.gates.rightCols(d).array();
      now.cell = forget * before.cell.array() + in * candidate;
      now.squashed = now.cell.array().tanh();
      now.h = out * now.squashed.array();
      token_rows(node.value, n, token_of(t, n, backwards)) = now.h;
    }
  };
  node.backward = [&node, &a, &matrix, d, n, backwards, steps, zero] {
    Matrix by_h = zero, by_cell = zero, by_gates = Matrix::Zero(zero.rows(), 4 * d);
    for (Index t = n - 1; t >= 0; --t) {
      const Step& before = (*steps)[size(t)];
      const Step& now = (*steps)[size(t + 1)];
      const auto in = now.gates.leftCols(d).array(), forget = now.gates.middleCols(d, d).array(),
                 out = now.gates.middleCols(2 * d, d).array(), candidate = now.gates.rightCols(d).array();
      by_h += token_rows(node.gradient, n, token_of(t, n, backwards));
      by_cell.array() += by_h.array() * out * (1.0f - now.squashed.array().square());
      by_gates.leftCols(d) = by_cell.array() * candidate * in * (1.0f - in);
      by_gates.middleCols(d, d) = by_cell.array() * before.cell.array() * forget * (1.0f - forget);
      by_gates.middleCols(2 * d, d) = by_h.array() * now.squashed.array() * out * (1.0f - out);
      by_gates.rightCols(d) = by_cell.array() * in * (1.0f - candidate.square());
      token_rows(a.gradient, n, token_of(t, n, backwards)) += by_gates;
      add_product(before.h, true, by_gates, false, matrix.gradient);
      by_h.setZero();
      add_product(by_gates, false, matrix.value, true, by_h);
      by_cell.array() *= forget;
    }
  };
  return node;
}

Graph::Node& Graph::scan(Node& decay, Node& write, Node& read, Node& value, std::uint32_t length,
                         bool backwards) {
  require_sequences(value.value, length);
  const Index n = length, state = decay.value.cols(), m = value.value.cols(), rows = value.value.rows();
  for (const Node* const part : {&decay, &write, &read}) {
    require(part->value.rows() == rows && part->value.cols() == state, "a state of {} numbers from [{}, {}]",
            state, part->value.rows(), part->value.cols());
  }
  Node& node = add_node(rows, m);
  // The state after every token, row by row: [rows, state * m].
  const auto states = std::make_shared<Matrix>(Matrix::Zero(rows, state * m));
  using State = Eigen::Map<Matrix>;
  const auto state_of = [states, state, m](Index row) { return State(&(*states)(row, 0), state, m); };
  node.forward = [&node, &decay, &write, &read, &value, n, backwards, state_of] {
    for (Index first = 0; first < node.value.rows(); first += n) {
      for (Index t = 0; t < n; ++t) {
        const Index row = first + token_of(t, n, backwards);
        State now = state_of(row);
        now.noalias() = write.value.row(row).transpose() * value.value.row(row);
        if (t > 0) {
          const State before = state_of(first + token_of(t - 1, n, backwards));
          now.array() += before.array().colwise() * decay.value.row(row).transpose().array();
        }
        node.value.row(row).noalias() = read.value.row(row) * now;
      }
    }
  };
  node.backward = [&node, &decay, &write, &read, &value, n, state, m, backwards, state_of] {
    Matrix by_state(state, m);
    for (Index first = 0; first < node.value.rows(); first += n) {
      by_state.setZero();
      for (Index t = n - 1; t >= 0; --t) {
        const Index row = first + token_of(t, n, backwards);
        by_state.noalias() += read.value.row(row).transpose() * node.gradient.row(row);
        read.gradient.row(row).noalias() += node.gradient.row(row) * state_of(row).transpose();
        write.gradient.row(row).noalias() += value.value.row(row) * by_state.transpose();
        value.gradient.row(row).noalias() += write.value.row(row) * by_state;
        if (t > 0) {
          const State before = state_of(first + token_of(t - 1, n, backwards));
          decay.gradient.row(row) += (by_state.array() * before.array()).rowwise().sum().matrix().transpose();
        }
        by_state.array().colwise() *= decay.value.row(row).transpose().array();
      }
    }
  };
  return node;
}

Graph::Node& Graph::cross_entropy(Node& a, const Rows& targets) {
  require(size(a.value.rows()) == targets.size(), "{} rows have {} targets", a.value.rows(), targets.size());
  Node& node = add_node(1, 1);
  const auto probability = std::make_shared<Matrix>(a.value.rows(), a.value.cols());
  node.forward = [&node, &a, &targets, probability] {
    double sum = 0;
    for (Index i = 0; i < a.value.rows(); ++i) {
      probability->row(i) = (a.value.row(i).array() - a.value.row(i).maxCoeff()).exp();
      probability->row(i) /= probability->row(i).sum();
      sum -= std::log(std::max((*probability)(i, targets[size(i)]), 1e-30f));
    }
    node.value(0, 0) = static_cast<float>(sum / static_cast<double>(a.value.rows()));
  };
  node.backward = [&node, &a, &targets, probability] {
    const float scale = node.gradient(0, 0) / static_cast<float>(a.value.rows());
    a.gradient += scale * *probability;
    for (Index i = 0; i < a.value.rows(); ++i) a.gradient(i, targets[size(i)]) -= scale;
  };
  return node;
}

void Graph::forward() {
  for (Node& node : nodes_) {
    if (node.forward) node.forward();
  }
}

void Graph::backward() {
  for (Node& node : nodes_) node.gradient.setZero();
  nodes_.back().gradient.setOnes();
  for (auto node = nodes_.rbegin(); node != nodes_.rend(); ++node) {
    if (node->backward) node->backward();
  }
}

Adam::Adam(const std::vector<Graph::Node*>& parameters, float rate, std::uint32_t steps)
    : parameters_(parameters), rate_(rate), steps_(steps) {
  for (const Graph::Node* parameter : parameters) {
    const Matrix zero = Matrix::Zero(parameter->value.rows(), parameter->value.cols());
    moments_.push_back({zero, zero});
  }
}

void Adam::step() {
  constexpr float kFirst = 0.9f, kSecond = 0.999f, kRise = 0.2f;
  double square = 0;
  for (const Graph::Node* parameter : parameters_) square += parameter->gradient.squaredNorm();
  const float clip = static_cast<float>(std::min(1.0, 1 / std::sqrt(std::max(square, 1e-30))));
  const float at = static_cast<float>(done_) / static_cast<float>(steps_);
  const float rate = rate_ * (at < kRise ? 0.04f + 0.96f * at / kRise
                                         : 0.5f * (1 + std::cos(3.14159265f * (at - kRise) / (1 - kRise))));
  ++done_;
  const float first_share = 1 - std::pow(kFirst, static_cast<float>(done_));
  const float second_share = 1 - std::pow(kSecond, static_cast<float>(done_));
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    const auto gradient = clip * parameters_[i]->gradient.array();
    Moments& m = moments_[i];
    m.first.array() = kFirst * m.first.array() + (1 - kFirst) * gradient;
    m.second.array() = kSecond * m.second.array() + (1 - kSecond) * gradient.square();
    parameters_[i]->value.array() -=
        rate * (m.first.array() / first_share) / ((m.second.array() / second_share).sqrt() + 1e-8f);
  }
}

}  // namespace roundtrip::train
