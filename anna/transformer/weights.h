// Purpose: layers whose element-wise maps are explicit weight matrices with ReLU, in fixed point: exact
// integers in every order of summation, on every machine. They evaluate with any attention mechanism.
//
// Every number is a mantissa, an integer; a number with f fractional bits represents mantissa / 2^f. A map is
// a chain of stages x -> y with
//   y = clamp(relu(round((W x + b) / 2^drop))),  drop = f_x + f_W - f_y >= 0,
// rounding half to even; relu and clamp where declared. b has f_x + f_W fractional bits.
// Glossary: d columns of a row, P digits of the token's position, H heads, m_qk and m_v dimensions of a head.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "roundtrip/anna/attention/mechanism.h"
#include "roundtrip/anna/transformer/sparse_matrix.h"
#include "roundtrip/anna/transformer/transformer.h"

namespace roundtrip::anna {

/// No sum of absolute values of a stage's terms may reach this: below it integers are exact in double, too.
constexpr std::int64_t kMantissaBound = std::int64_t{1} << 53;

struct Stage {
  std::uint32_t inputs = 0, outputs = 0;
  SparseMatrix weight;                     ///< [outputs, inputs], mantissas below 2^53
  std::vector<std::int64_t> bias;          ///< [outputs]
  std::uint32_t weight_fraction_bits = 0;  ///< f_W, 0 .. 52
  std::uint32_t output_fraction_bits = 0;  ///< f_y, 0 .. 52
  bool relu = false;
  Limits clamp;  ///< |y| <= clamp, after the rest, of each output; 0 .. 2^53 - 1; may be none
  friend bool operator==(const Stage&, const Stage&) = default;
};
using WeightMap = std::vector<Stage>;  ///< at least one stage

struct HeadMaps {
  WeightMap query, key, value;  ///< of [row, position digits]: to m_qk, m_qk and m_v numbers
  friend bool operator==(const HeadMaps&, const HeadMaps&) = default;
};

/// The maps of one layer. The head outputs, averages of values, are first brought to row_fraction_bits,
/// rounding half to even; the output map then sees [row, position digits, head 0, head 1, ..]: d + P + H m_v
/// numbers.
struct LayerWeights {
  std::uint32_t row_dimension = 0;      ///< d >= 1
  std::uint32_t row_fraction_bits = 0;  ///< 0 .. 52
  Limits row_limit = 0;                 ///< of the mantissas of a row, integers; 0 .. 2^53 - 1
  std::uint32_t position_digits = 0;    ///< P, 0 .. 64: the token's number, least significant digit first
  std::uint32_t position_base = 2;      ///< 2 .. 65536; a digit is a mantissa of no fractional bits
  std::vector<HeadMaps> heads;          ///< at least one; equal m_qk, equal m_v
  WeightMap output;
  friend bool operator==(const LayerWeights&, const LayerWeights&) = default;
};

/// Least and largest mantissa that a number can be.
struct Range {
  std::int64_t least = 0, largest = 0;
};

/// A layer of weights. Construction proves that no row within row_limit, and no attention mechanism whose
/// outputs are averages or within `state`, makes a sum reach 2^53 or a query or key leave 32 bits; ContractError naming
/// `where`, the map and the stage otherwise. Evaluation refuses a row beyond row_limit, naming token and
/// column. Cost: depth 1, H heads, width H max(m_qk, m_v); each map takes as many multiplications as it has
/// weights that are not 0, per token.
class WeightLayer final : public Layer {
 public:
  /// `state`: of a recurrence that the layer shall be evaluated with, in the units of values.
  explicit WeightLayer(LayerWeights weights, std::string_view where = "layer",
                       const std::optional<StateRange>& state = {});
  ~WeightLayer() override;

  const LayerWeights& weights() const { return weights_; }
  /// [columns] of the rows that it writes.
  std::span<const Range> output_ranges() const { return output_ranges_; }
  /// [H m_v] of the head outputs, in the units of rows.
  std::span<const Range> head_ranges() const { return head_ranges_; }
  /// Most that the magnitudes of the terms of one sum can add up to, in any stage.
  std::int64_t largest_sum() const { return largest_sum_; }
  /// Most that the magnitudes of the terms of one <q, k> can add up to, of any head.
  double largest_score() const { return largest_score_; }
  /// ContractError naming `where` unless every head's outputs can be a state's numbers.
  void require_range(const StateRange& state, std::string_view where) const;
  std::uint32_t output_fraction_bits() const { return weights_.output.back().output_fraction_bits; }

  LayerShape shape() const override { return shape_; }
  /// Queries and keys are computed: the codebook holds the zero vector only, which no token is left without.
  const Codebook& codebook() const override;
  Symbol null_query() const override { return 0; }
  Symbol null_key() const override { return 0; }
  void project(const RowView& row, Projection& out) const override;
  void update(const RowView& row, const HeadOutputs& heads, RowWriter& out) const override;

 private:
  std::vector<std::int64_t> inputs(const RowView& row) const;
  /// A head's output in the units of rows, unrounded.
  double in_rows(double output, std::uint32_t head) const;

  LayerWeights weights_;
  LayerShape shape_;
  std::unique_ptr<const Codebook> codebook_;
  std::vector<Range> head_ranges_;    // [H m_v] of the head outputs at row_fraction_bits
  std::vector<Range> output_ranges_;  // [columns]
  std::int64_t largest_sum_ = 0;
  double largest_score_ = 0;
};

}  // namespace roundtrip::anna
