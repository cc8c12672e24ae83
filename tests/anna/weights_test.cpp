// Weight layers: fixed-point maps against rational arithmetic of another kind, proven ranges, refusals.
#include "roundtrip/anna/transformer/weights.h"
#include "roundtrip/anna/attention/exact_match.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <cfenv>
#include <cmath>

#include "roundtrip/base/error.h"
#include "roundtrip/base/fixed_point.h"

namespace roundtrip::anna {
namespace {

using ::testing::HasSubstr;

constexpr std::int64_t kBound = std::int64_t{1} << 53;

Stage stage(std::uint32_t inputs, std::vector<std::int32_t> weight, std::vector<std::int64_t> bias,
            bool relu = false) {
  Stage out;
  out.inputs = inputs;
  out.outputs = static_cast<std::uint32_t>(bias.size());
  out.weight = SparseMatrix::of_dense(inputs, weight);
  out.bias = std::move(bias);
  out.relu = relu;
  return out;
}

// One head, one column: query, key and value are the row, the output is the head's average.
LayerWeights identity_layer(std::int64_t row_limit = 100) {
  LayerWeights weights;
  weights.row_dimension = 1;
  weights.row_limit = row_limit;
  weights.heads.push_back({{stage(1, {1}, {0})}, {stage(1, {1}, {0})}, {stage(1, {1}, {0})}});
  weights.output = {stage(2, {0, 1}, {0})};
  return weights;
}

Activations rows(const std::vector<std::vector<double>>& numbers) {
  Activations array = Activations::with_dimension(static_cast<std::uint32_t>(numbers.front().size()));
  for (const auto& row : numbers) {
    std::vector<Entry> entries;
    for (std::uint32_t column = 0; column < row.size(); ++column) entries.push_back({column, row[column]});
    array.append_row(entries);
  }
  return array;
}

std::string refusal(const LayerWeights& weights) {
  try {
    WeightLayer layer(weights, "layer 7");
  } catch (const ContractError& error) {
    return error.what();
  }
  return "accepted";
}

TEST(DropBits, RoundsHalfToEven) {
  const std::int64_t expected[] = {-2, -2, -2, -1, -1, -1, 0, 0, 0,
                                   0,  0,  1,  1,  1,  2,  2, 2};  // n / 4, n = -8 .. 8
  for (std::int64_t n = -8; n <= 8; ++n) EXPECT_EQ(drop_bits(n, 2), expected[n + 8]) << n;
  EXPECT_EQ(drop_bits(-7, 0), -7);
  EXPECT_EQ(drop_bits(INT64_MAX, 62), 2);
  EXPECT_EQ(drop_bits(INT64_MIN, 62), -2);
}

TEST(RoundScaled, IsDropBitsAndIgnoresTheRoundingMode) {
  EXPECT_TRUE(rc::check([] {
    const auto n = *rc::gen::inRange<std::int64_t>(-kBound + 1, kBound);
    const auto bits = *rc::gen::inRange<std::uint32_t>(0, 60);
    const std::int64_t expected = drop_bits(n, bits);
    for (const int mode : {FE_TONEAREST, FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO}) {
      std::fesetround(mode);
      const std::int64_t found = round_scaled(static_cast<double>(n), -static_cast<int>(bits));
      std::fesetround(FE_TONEAREST);
      RC_ASSERT(found == expected);
    }
  }));
  EXPECT_EQ(round_scaled(0.3, 3), 2);       // 2.4
  EXPECT_EQ(round_scaled(-0.3125, 3), -2);  // -2.5
}

TEST(WeightLayer, ReluNetworksComputeWhatAffineMapsCannot) {
  // Output = (row XOR average) by relu(a + b) - 2 relu(a + b - 1), on tokens that match themselves alone.
  LayerWeights weights = identity_layer(1);
  weights.position_digits = 2;
  weights.position_base = 2;
  HeadMaps& head = weights.heads[0];
  head.query = {stage(3, {0, 1, 2}, {1})};  // the token's number + 1
  head.key = head.query;
  head.value = {stage(3, {0, 0, 1}, {0})};  // the token's second digit
  weights.output = {stage(4, {1, 0, 0, 1, 1, 0, 0, 1}, {0, -1}, true), stage(2, {1, -2}, {0})};
  const WeightLayer layer(weights);
  const Activations out = evaluate(layer, *make_exact_match(), rows({{0}, {1}, {0}, {1}}));
  EXPECT_EQ(out, rows({{0}, {1}, {1}, {0}}));
  EXPECT_EQ(layer.shape().width(), 1u);
}

TEST(WeightLayer, AveragesAreBroughtToTheRowsFractionalBits) {
  // Values 0, 0, 1 average to 1/3: with 3 fractional bits 8/3 = 3 (2.67), with none 0; values of 2 fractional
  // bits at rows of none: the average 6/4 is 1.5, half to even 2.
  LayerWeights weights = identity_layer();
  weights.heads[0].query = weights.heads[0].key = {stage(1, {0}, {5})};
  const auto average = [&](std::vector<std::vector<double>> numbers) {
    return evaluate(WeightLayer(weights), *make_exact_match(), rows(numbers)).row(0)[0];
  };
  EXPECT_EQ(average({{0}, {0}, {1}}), 0);
  weights.row_fraction_bits = 3;  // the value map drops them: its mantissas are whole numbers
  weights.heads[0].value[0].weight = SparseMatrix::of_dense(1, std::vector{8});
  weights.heads[0].query[0].output_fraction_bits = weights.heads[0].key[0].output_fraction_bits = 3;
  weights.output[0].output_fraction_bits = 3;
  EXPECT_EQ(average({{0}, {0}, {1}}), 3);
  weights.row_fraction_bits = 0;
  weights.heads[0].value[0] = stage(1, {1}, {0});
  weights.heads[0].value[0].weight_fraction_bits = weights.heads[0].value[0].output_fraction_bits = 2;
  weights.heads[0].query[0].output_fraction_bits = weights.heads[0].key[0].output_fraction_bits = 0;
  weights.output[0].output_fraction_bits = 0;
  EXPECT_EQ(average({{6}, {6}}), 2);
  EXPECT_EQ(average({{2}, {2}}), 0);
  EXPECT_EQ(average({{-6}, {-6}}), -2);
}

struct DrawnMap {
  LayerWeights weights;
  std::vector<double> row;
};

// A layer of one token whose value map is drawn, and whose output is the head's output: the value itself.
DrawnMap drawn_map() {
  DrawnMap drawn;
  const auto inputs = *rc::gen::inRange<std::uint32_t>(1, 4);
  drawn.weights = identity_layer(*rc::gen::inRange<std::int64_t>(0, 1000));
  drawn.weights.row_dimension = inputs;
  drawn.weights.row_fraction_bits = *rc::gen::inRange<std::uint32_t>(0, 5);
  drawn.weights.heads[0].query =
      drawn.weights.heads[0].key = {stage(inputs, std::vector<std::int32_t>(inputs), {1})};
  WeightMap& map = drawn.weights.heads[0].value;
  map.clear();
  std::uint32_t from = inputs, bits = drawn.weights.row_fraction_bits;
  for (int s = *rc::gen::inRange(1, 4); s > 0; --s) {
    const auto to = *rc::gen::inRange<std::uint32_t>(1, 4);
    Stage next =
        stage(from, *rc::gen::container<std::vector<std::int32_t>>(from * to, rc::gen::inRange(-300, 301)),
              *rc::gen::container<std::vector<std::int64_t>>(to, rc::gen::inRange<std::int64_t>(-9999, 9999)),
              *rc::gen::arbitrary<bool>());
    next.weight_fraction_bits = *rc::gen::inRange<std::uint32_t>(0, 9);
    next.output_fraction_bits = *rc::gen::inRange<std::uint32_t>(0, bits + next.weight_fraction_bits + 1);
    if (*rc::gen::arbitrary<bool>())
      next.clamp = *rc::gen::container<std::vector<std::int64_t>>(to, rc::gen::inRange<std::int64_t>(0, 500));
    from = to;
    bits = next.output_fraction_bits;
    map.push_back(next);
  }
  drawn.weights.row_fraction_bits = drawn.weights.row_fraction_bits;
  std::vector<std::int32_t> heads((inputs + from) * from);
  for (std::uint32_t i = 0; i < from; ++i) heads[i * (inputs + from) + inputs + i] = 1;
  Stage pass = stage(inputs + from, heads, std::vector<std::int64_t>(from));
  drawn.weights.output = {pass};
  drawn.weights.output[0].output_fraction_bits = drawn.weights.row_fraction_bits;
  for (std::uint32_t j = 0; j < inputs; ++j) {
    drawn.row.push_back(static_cast<double>(
        *rc::gen::inRange<std::int64_t>(-drawn.weights.row_limit[0], drawn.weights.row_limit[0] + 1)));
  }
  return drawn;
}

// The map on real numbers, in long double: exact for these sizes, rounded by the library at each stage's
// bits.
std::vector<long double> reference(const WeightMap& map, std::uint32_t bits, std::vector<long double> x) {
  for (long double& number : x) number = std::ldexp(number, -static_cast<int>(bits));
  for (const Stage& s : map) {
    std::vector<long double> y;
    for (std::uint32_t i = 0; i < s.outputs; ++i) {
      long double sum =
          std::ldexp(static_cast<long double>(s.bias[i]), -static_cast<int>(bits + s.weight_fraction_bits));
      for (std::uint32_t j = 0; j < s.inputs; ++j) {
        sum +=
            std::ldexp(static_cast<long double>(s.weight(i, j)), -static_cast<int>(s.weight_fraction_bits)) *
            x[j];
      }
      const int out = static_cast<int>(s.output_fraction_bits);
      long double mantissa = std::nearbyint(std::ldexp(sum, out));
      if (s.relu && mantissa < 0) mantissa = 0;
      if (s.clamp && std::fabs(mantissa) > static_cast<long double>(s.clamp[i])) {
        mantissa = std::copysign(static_cast<long double>(s.clamp[i]), mantissa);
      }
      y.push_back(std::ldexp(mantissa, -out));
    }
    bits = s.output_fraction_bits;
    x = y;
  }
  return x;
}

TEST(WeightLayer, MapsAreRealArithmeticRoundedAtEachStage) {
  EXPECT_TRUE(rc::check([] {
    const DrawnMap drawn = drawn_map();
    const WeightLayer layer(drawn.weights);
    const Activations out = evaluate(layer, *make_exact_match(), rows({drawn.row}));
    const auto expected = reference(drawn.weights.heads[0].value, drawn.weights.row_fraction_bits,
                                    {drawn.row.begin(), drawn.row.end()});
    for (std::uint32_t column = 0; column < expected.size(); ++column) {
      const auto mantissa =
          std::nearbyint(std::ldexp(expected[column], static_cast<int>(drawn.weights.row_fraction_bits)));
      const double found = out.row(0)[column];
      RC_ASSERT(found == static_cast<double>(mantissa));
      RC_ASSERT(found >= static_cast<double>(layer.output_ranges()[column].least));
      RC_ASSERT(found <= static_cast<double>(layer.output_ranges()[column].largest));
    }
  }));
}

TEST(WeightLayer, RangesAreReachedByOneStage) {
  LayerWeights weights = identity_layer(10);
  weights.row_dimension = 2;
  weights.heads[0] = {{stage(2, {0, 0}, {1})}, {stage(2, {0, 0}, {1})}, {stage(2, {3, -2}, {1})}};
  weights.output = {stage(3, {0, 0, 1}, {0})};
  const WeightLayer layer(weights);
  EXPECT_EQ(layer.output_ranges()[0].least, -49);
  EXPECT_EQ(layer.output_ranges()[0].largest, 51);
  EXPECT_EQ(evaluate(layer, *make_exact_match(), rows({{10, -10}})), rows({{51}}));
  EXPECT_EQ(evaluate(layer, *make_exact_match(), rows({{-10, 10}})), rows({{-49}}));
}

TEST(WeightLayer, SumsThatCouldReach2To53AreRefusedAndOneLessIsExact) {
  LayerWeights weights = identity_layer(std::int64_t{1} << 22);
  const auto with = [&](std::int64_t bias) {
    weights.heads[0].query = weights.heads[0].key = {stage(1, {0}, {0})};
    weights.heads[0].value = {stage(1, {1 << 30}, {bias})};
    return weights;
  };
  const std::int64_t edge = kBound - (std::int64_t{1} << 52);
  EXPECT_THAT(refusal(with(edge)),
              HasSubstr("layer 7 head 0 value map stage 0: output 0 can sum up to 2^53"));
  const Activations out =
      evaluate(WeightLayer(with(edge - 1)), *make_exact_match(), rows({{double(1 << 22)}}));
  EXPECT_EQ(out.row(0)[0], static_cast<double>(kBound - 1));
}

TEST(WeightLayer, BadLayersAreRefusedByName) {
  const LayerWeights good = identity_layer();
  EXPECT_EQ(refusal(good), "accepted");
  const auto bad = [&](auto change) {
    LayerWeights weights = good;
    change(weights);
    return refusal(weights);
  };
  EXPECT_THAT(bad([](auto& w) { w.row_dimension = 0; }), HasSubstr("row dimension 0"));
  EXPECT_THAT(bad([](auto& w) { w.row_dimension = 2; }),
              HasSubstr("query map stage 0 takes 1 numbers; it is given 2"));
  EXPECT_THAT(bad([](auto& w) { w.row_fraction_bits = 53; }), HasSubstr("53 fractional bits"));
  EXPECT_THAT(bad([](auto& w) { w.row_limit = -1; }), HasSubstr("row limit -1"));
  EXPECT_THAT(bad([](auto& w) { w.row_limit = kBound; }), HasSubstr("row limit"));
  EXPECT_THAT(bad([](auto& w) { w.position_digits = 65; }), HasSubstr("65 position digits"));
  EXPECT_THAT(bad([](auto& w) { w.position_base = 1; }), HasSubstr("position base 1"));
  EXPECT_THAT(bad([](auto& w) { w.position_base = 65537; }), HasSubstr("position base 65537"));
  EXPECT_THAT(bad([](auto& w) { w.heads.clear(); }), HasSubstr("no heads"));
  EXPECT_THAT(bad([](auto& w) { w.output.clear(); }), HasSubstr("output map has no stages"));
  EXPECT_THAT(bad([](auto& w) { w.output[0] = stage(2, {}, {}); }), HasSubstr("no outputs"));
  EXPECT_THAT(bad([](auto& w) { w.output[0].weight.end_row(); }), HasSubstr("weights of 2 rows"));
  EXPECT_THAT(bad([](auto& w) {
                w.output[0].weight = SparseMatrix::of_dense(3, std::vector{0, 0, 1});
              }),
              HasSubstr("output 0 has a weight in column 2; columns rise below 2"));
  EXPECT_THAT(bad([](auto& w) {
                w.output[0].weight = {};
                w.output[0].weight.put(1, 1), w.output[0].weight.put(0, 1), w.output[0].weight.end_row();
              }),
              HasSubstr("a weight in column 0; columns rise"));
  EXPECT_THAT(bad([](auto& w) {
                w.output[0].weight = SparseMatrix::of_dense(2, std::vector{kBound, kBound});
              }),
              HasSubstr("a weight of 2^53 or more"));
  EXPECT_THAT(bad([](auto& w) {
                w.output[0].clamp = std::vector<std::int64_t>{1, 2};
              }),
              HasSubstr("has clamp of 2 numbers; 1 or 1 are needed"));
  EXPECT_THAT(bad([](auto& w) {
                w.row_limit = std::vector<std::int64_t>{1, 2};
              }),
              HasSubstr("has row limit of 2 numbers"));
  EXPECT_THAT(bad([](auto& w) { w.row_limit = {}; }), HasSubstr("has no row limit"));
  EXPECT_THAT(bad([](auto& w) { w.output[0].bias.push_back(0); }), HasSubstr("2 biases"));
  EXPECT_THAT(bad([](auto& w) { w.output[0].output_fraction_bits = 1; }), HasSubstr("its sums have only 0"));
  EXPECT_THAT(bad([](auto& w) { w.output[0].weight_fraction_bits = 53; }), HasSubstr("at most 52"));
  EXPECT_THAT(bad([](auto& w) { w.output[0].clamp = -1; }), HasSubstr("clamp -1"));
  EXPECT_THAT(bad([](auto& w) { w.heads[0].key = {stage(1, {1, 1}, {0, 0})}; }), HasSubstr("keys of 2"));
  EXPECT_THAT(bad([](auto& w) {
                w.heads[0].key[0].weight_fraction_bits = w.heads[0].key[0].output_fraction_bits = 1;
              }),
              HasSubstr("keys with 1 fractional bits"));
  EXPECT_THAT(bad([](auto& w) {
                w.heads.push_back({w.heads[0].query, w.heads[0].key, {stage(1, {1, 1}, {0, 0})}});
              }),
              HasSubstr("head 1 has queries of 1 and values of 2"));
  EXPECT_THAT(bad([](auto& w) { w.heads[0].query[0].bias[0] = 2147483548; }), HasSubstr("leaves 32 bits"));
  EXPECT_EQ(bad([](auto& w) { w.heads[0].query[0].bias[0] = 2147483547; }), "accepted");
}

TEST(WeightLayer, RowsBeyondTheDeclaredLimitAreRefusedByToken) {
  const WeightLayer layer(identity_layer(100));
  const auto refused = [&](double number) {
    try {
      evaluate(layer, *make_exact_match(), rows({{0}, {number}}));
    } catch (const ContractError& error) {
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  EXPECT_EQ(refused(100), "accepted");
  EXPECT_EQ(refused(-100), "accepted");
  EXPECT_THAT(refused(101), HasSubstr("token 1 has 101 in column 0"));
  EXPECT_THAT(refused(-101), HasSubstr("magnitude at most 100"));
  EXPECT_THAT(refused(0.5), HasSubstr("0.5"));
}

// A mechanism that adds instead of averaging.
class Sums final : public Attention {
 public:
  std::string name() const override { return "sums"; }
  void attend(const Codebook&, const HeadInput& head, SparseRows& out) override {
    out.clear();
    double sum = 0;
    for (const Entry& entry : head.values.entries) sum += entry.value;
    out.tokens = {0};
    out.entries = {{0, sum}};
    out.offsets = {0, 1};
  }
};

TEST(WeightLayer, OutputsThatAreNoAveragesAreRefused) {
  Sums sums;
  const WeightLayer layer(identity_layer(100));
  EXPECT_NO_THROW(evaluate(layer, sums, rows({{60}, {40}})));
  EXPECT_THROW(evaluate(layer, sums, rows({{60}, {41}})), ContractError);
}

}  // namespace
}  // namespace roundtrip::anna
