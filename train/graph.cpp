#include "roundtrip/train/graph.h"

#include <algorithm>
#include <cmath>
#include <memory>

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

}  // namespace

Graph::Node& Graph::add_node(Index rows, Index columns) {
  Node& node = nodes_.emplace_back();
  node.value = Matrix::Zero(rows, columns);
  node.gradient = Matrix::Zero(rows, columns);
  return node;
}

Graph::Node& Graph::parameter(std::uint32_t rows, std::uint32_t columns, float scale, std::uint64_t seed) {
  Node& node = add_node(rows, columns);
  const std::uint64_t number = parameters_.size();
  for (Index i = 0; i < node.value.size(); ++i) {
    const auto place = static_cast<std::uint64_t>(i);  // Box and Muller
    const double radius = std::sqrt(-2 * std::log(uniform(seed, number, 2 * place)));
    const double angle = 2 * 3.14159265358979323846 * uniform(seed, number, 2 * place + 1);
    node.value.data()[i] = scale * static_cast<float>(radius * std::cos(angle));
  }
  parameters_.push_back(&node);
  return node;
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
  require(length >= 1 && q.value.rows() % length == 0, "{} rows are no sequences of {}", q.value.rows(),
          length);
  Node& node = add_node(q.value.rows(), v.value.cols());
  struct Weights {
    Matrix weight, slope;  // [rows, length]
    Eigen::VectorXf total;
    std::uint64_t runs = 0;
  };
  const auto held = std::make_shared<Weights>();
  held->weight = held->slope = Matrix::Zero(q.value.rows(), length);
  held->total = Eigen::VectorXf::Ones(q.value.rows());
  node.forward = [&node, &q, &k, &v, length, causal, &similarity, held] {
    Weights& w = *held;
    const Index n = length;
    ++w.runs;
    Matrix cosines(n, n), turned(q.value.cols(), n), sums(n, v.value.cols());
    for (Index first = 0; first < q.value.rows(); first += n) {
      turned = k.value.middleRows(first, n).transpose();
      cosines.setZero();
      kernels().multiply(length, length, size(q.value.cols()), {&q.value(first, 0), size(q.value.cols()), 1},
                         turned.data(), length, cosines.data(), length);
      for (Index i = 0; i < n; ++i) {
        const std::size_t keys = causal ? size(i) + 1 : length;
        float* const weight = &w.weight(first + i, 0);
        float* const slope = &w.slope(first + i, 0);
        const auto weigh =
            similarity.kind == Similarity::Kind::kCollision ? kernels().collision : kernels().exponential;
        weigh(keys, similarity.sharpness, &cosines(i, 0), weight, slope);
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
