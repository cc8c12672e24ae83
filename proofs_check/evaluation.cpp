#include "roundtrip/proofs_check/evaluation.h"

#include <algorithm>
#include <utility>

#include "roundtrip/proofs_check/reference_attention.h"

namespace roundtrip::proofs_check {
namespace {

class Padded : public anna::Layer {
 public:
  Padded(std::shared_ptr<const anna::Layer> inner, const Padding& padding)
      : inner_(std::move(inner)), padding_(padding) {}
  anna::LayerShape shape() const override {
    anna::LayerShape shape = inner_->shape();
    shape.heads += padding_.heads;
    shape.value_dimension += padding_.dimension;
    return shape;
  }
  const anna::Codebook& codebook() const override { return inner_->codebook(); }
  anna::Symbol null_query() const override { return inner_->null_query(); }
  anna::Symbol null_key() const override { return inner_->null_key(); }
  void project(const anna::RowView& row, anna::Projection& out) const override {
    if (!padding_.idle) inner_->project(row, out);
  }
  void update(const anna::RowView& row, const anna::HeadOutputs& heads, anna::RowWriter& out) const override {
    if (!padding_.idle) return inner_->update(row, heads, out);
    for (const anna::Entry& entry : row.entries) out.set(entry.column, entry.value);
  }

 private:
  std::shared_ptr<const anna::Layer> inner_;
  Padding padding_;
};

}  // namespace

std::shared_ptr<const anna::Layer> padded(std::shared_ptr<const anna::Layer> inner, const Padding& padding) {
  return std::make_shared<Padded>(std::move(inner), padding);
}

Evaluation evaluate_measured(const Network& network, anna::Attention& attention,
                             std::span<const mpc::Word> input, std::uint64_t outputs,
                             const std::function<bool(std::uint64_t, mpc::Word)>& right) {
  anna::Activations array = anna::Activations::with_dimension(network.input_dimension);
  for (std::uint64_t t = 0; t < network.tokens; ++t) {
    if (t >= input.size()) {
      array.append_row({});
    } else {
      array.append_row(std::vector<anna::Entry>{{0, 1.0}, {1, static_cast<double>(input[t])}});
    }
  }
  Meter meter(attention);
  Evaluation result;
  for (const auto& layer : network.layers) {
    const anna::LayerShape shape = layer->shape();
    array = anna::evaluate(*layer, meter, array);
    const Meter::Used used = meter.take();
    const std::uint64_t heads = std::max<std::uint64_t>(shape.heads, used.heads);
    const std::uint64_t dimension = std::max(
        {std::uint64_t{shape.query_dimension}, std::uint64_t{shape.value_dimension}, used.dimension});
    ++result.depth;
    result.heads = std::max(result.heads, heads);
    result.dimension = std::max(result.dimension, dimension);
    result.width = std::max(result.width, heads * dimension);
  }
  result.tokens = array.tokens();
  for (std::uint64_t t = 0; t < outputs; ++t) {
    if (t >= array.tokens()) {
      ++result.flagged;
      continue;
    }
    const anna::RowView row = array.row(t);
    if (row[0] != 1 || row[2] != 0) {
      ++result.flagged;
    } else {
      result.wrong += !right(t, static_cast<mpc::Word>(row[1]));
    }
  }
  return result;
}

}  // namespace roundtrip::proofs_check
