#include "roundtrip/anna/transformer/weights.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "roundtrip/base/error.h"
#include "roundtrip/base/fixed_point.h"

namespace roundtrip::anna {
namespace {

__extension__ using Wide = __int128;

constexpr std::uint32_t kMaxFractionBits = 52;

class ZeroCodebook final : public Codebook {
 public:
  explicit ZeroCodebook(std::uint32_t dimension) : dimension_(dimension) {}
  std::uint32_t dimension() const override { return dimension_; }
  Symbol size() const override { return 1; }
  void vector(Symbol, std::span<std::int32_t> out) const override { std::fill(out.begin(), out.end(), 0); }

 private:
  std::uint32_t dimension_;
};

std::int64_t finish(const Stage& stage, std::size_t output, std::int64_t sum, std::uint32_t drop) {
  std::int64_t y = drop_bits(sum, drop);
  if (stage.relu) y = std::max<std::int64_t>(y, 0);
  if (stage.clamp) y = std::clamp(y, -stage.clamp[output], stage.clamp[output]);
  return y;
}

std::uint32_t drop_of(const Stage& stage, std::uint32_t input_fraction_bits) {
  return input_fraction_bits + stage.weight_fraction_bits - stage.output_fraction_bits;
}

void require_limits(const Limits& limits, std::size_t numbers, const char* name, std::string_view where) {
  require(!limits || limits.fit(numbers), "{} has {} of {} numbers; 1 or {} are needed", where, name,
          limits.list().size(), numbers);
  for (const std::int64_t limit : limits.list()) {
    require(limit >= 0 && limit < kMantissaBound, "{} has {} {}; allowed are 0 .. {}", where, name, limit,
            kMantissaBound - 1);
  }
}

// x through the map. The ranges that construction proved keep every partial sum below 2^53.
std::vector<std::int64_t> apply(const WeightMap& map, std::uint32_t fraction_bits,
                                std::vector<std::int64_t> x) {
  for (const Stage& stage : map) {
    const std::uint32_t drop = drop_of(stage, fraction_bits);
    std::vector<std::int64_t> y(stage.bias);
    for (std::size_t i = 0; i < y.size(); ++i) {
      const std::span<const std::uint32_t> columns = stage.weight.columns(i);
      const std::span<const std::int64_t> values = stage.weight.values(i);
      for (std::size_t k = 0; k < columns.size(); ++k) y[i] += values[k] * x[columns[k]];
      y[i] = finish(stage, i, y[i], drop);
    }
    x = std::move(y);
    fraction_bits = stage.output_fraction_bits;
  }
  return x;
}

// The ranges of a stage's outputs: exact for each output alone, as all of its terms can be extreme at once.
std::vector<Range> stage_ranges(const Stage& stage, std::uint32_t fraction_bits, const std::vector<Range>& x,
                                const std::string& where, std::int64_t& largest_sum) {
  require(stage.inputs == x.size(), "{} takes {} numbers; it is given {}", where, stage.inputs, x.size());
  require(stage.outputs >= 1, "{} has no outputs", where);
  require(stage.weight.rows() == stage.outputs && stage.bias.size() == stage.outputs,
          "{} has weights of {} rows and {} biases; {} of each are needed", where, stage.weight.rows(),
          stage.bias.size(), stage.outputs);
  require(stage.weight_fraction_bits <= kMaxFractionBits && stage.output_fraction_bits <= kMaxFractionBits,
          "{} has {} and {} fractional bits; at most {} are allowed", where, stage.weight_fraction_bits,
          stage.output_fraction_bits, kMaxFractionBits);
  require(stage.output_fraction_bits <= fraction_bits + stage.weight_fraction_bits,
          "{} has {} fractional bits in its outputs; its sums have only {}", where,
          stage.output_fraction_bits, fraction_bits + stage.weight_fraction_bits);
  const std::uint32_t drop = drop_of(stage, fraction_bits);
  require(drop <= 62, "{} drops {} fractional bits; at most 62 are allowed", where, drop);
  require_limits(stage.clamp, stage.outputs, "clamp", where);
  std::vector<Range> y(stage.outputs);
  for (std::uint32_t i = 0; i < stage.outputs; ++i) {
    Wide least = stage.bias[i], largest = stage.bias[i], magnitude = stage.bias[i];
    if (magnitude < 0) magnitude = -magnitude;
    const std::span<const std::uint32_t> columns = stage.weight.columns(i);
    for (std::size_t k = 0; k < columns.size(); ++k) {
      const std::uint32_t j = columns[k];
      require(j < stage.inputs && (k == 0 || columns[k - 1] < j),
              "{}: output {} has a weight in column {}; columns rise below {}", where, i, j, stage.inputs);
      const Wide w = stage.weight.values(i)[k];
      require(w > -kMantissaBound && w < kMantissaBound,
              "{}: output {} has a weight of 2^53 or more in magnitude", where, i);
      const Wide a = w * x[j].least, b = w * x[j].largest;
      least += std::min(a, b);
      largest += std::max(a, b);
      magnitude += std::max({a, -a, b, -b});
    }
    require(magnitude < kMantissaBound, "{}: output {} can sum up to 2^53 or more in magnitude", where, i);
    largest_sum = std::max(largest_sum, static_cast<std::int64_t>(magnitude));
    y[i] = {finish(stage, i, static_cast<std::int64_t>(least), drop),
            finish(stage, i, static_cast<std::int64_t>(largest), drop)};
  }
  return y;
}

std::vector<Range> map_ranges(const WeightMap& map, std::uint32_t fraction_bits, std::vector<Range> x,
                              const std::string& where, std::int64_t& largest_sum) {
  require(!map.empty(), "{} has no stages; at least 1 is needed", where);
  for (std::size_t s = 0; s < map.size(); ++s) {
    x = stage_ranges(map[s], fraction_bits, x, fmt::format("{} stage {}", where, s), largest_sum);
    fraction_bits = map[s].output_fraction_bits;
  }
  return x;
}

double magnitude_of(const Range& range) {
  return static_cast<double>(std::max(-range.least, range.largest));
}

void require_32_bits(const std::vector<Range>& ranges, const std::string& where) {
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    require(std::in_range<std::int32_t>(ranges[i].least) && std::in_range<std::int32_t>(ranges[i].largest),
            "{}: coordinate {} can be {} .. {}, which leaves 32 bits", where, i, ranges[i].least,
            ranges[i].largest);
  }
}

}  // namespace

WeightLayer::WeightLayer(LayerWeights weights, std::string_view where, const std::optional<StateRange>& state)
    : weights_(std::move(weights)) {
  const LayerWeights& w = weights_;
  require(w.row_dimension >= 1, "{} has row dimension 0; at least 1 is needed", where);
  require(w.row_fraction_bits <= kMaxFractionBits,
          "{} has {} fractional bits in its rows; at most {} are allowed", where, w.row_fraction_bits,
          kMaxFractionBits);
  require(static_cast<bool>(w.row_limit), "{} has no row limit; one is needed", where);
  require_limits(w.row_limit, w.row_dimension, "row limit", where);
  require(w.position_digits <= 64, "{} has {} position digits; at most 64 are allowed", where,
          w.position_digits);
  require(w.position_base >= 2 && w.position_base <= 65536, "{} has position base {}; allowed are 2 .. 65536",
          where, w.position_base);
  require(!w.heads.empty(), "{} has no heads; at least 1 is needed", where);

  std::vector<Range> x;
  for (std::uint32_t c = 0; c < w.row_dimension; ++c) x.push_back({-w.row_limit[c], w.row_limit[c]});
  x.resize(x.size() + w.position_digits, {0, std::int64_t{w.position_base} - 1});
  std::vector<Range> after = x;
  for (std::size_t h = 0; h < w.heads.size(); ++h) {
    const HeadMaps& head = w.heads[h];
    const auto named = [&](const char* map) { return fmt::format("{} head {} {} map", where, h, map); };
    const auto query = map_ranges(head.query, w.row_fraction_bits, x, named("query"), largest_sum_);
    const auto key = map_ranges(head.key, w.row_fraction_bits, x, named("key"), largest_sum_);
    const auto value = map_ranges(head.value, w.row_fraction_bits, x, named("value"), largest_sum_);
    require_32_bits(query, named("query"));
    require_32_bits(key, named("key"));
    require(query.size() == key.size(), "{} head {} has queries of {} and keys of {} numbers", where, h,
            query.size(), key.size());
    require(head.query.back().output_fraction_bits == head.key.back().output_fraction_bits,
            "{} head {} has queries with {} and keys with {} fractional bits", where, h,
            head.query.back().output_fraction_bits, head.key.back().output_fraction_bits);
    double score = 0;
    for (std::size_t i = 0; i < query.size(); ++i) score += magnitude_of(query[i]) * magnitude_of(key[i]);
    largest_score_ = std::max(largest_score_, score);
    if (h == 0) {
      shape_.query_dimension = static_cast<std::uint32_t>(query.size());
      shape_.value_dimension = static_cast<std::uint32_t>(value.size());
    }
    require(query.size() == shape_.query_dimension && value.size() == shape_.value_dimension,
            "{} head {} has queries of {} and values of {} numbers; head 0 has {} and {}", where, h,
            query.size(), value.size(), shape_.query_dimension, shape_.value_dimension);
    // An average lies between the values, or is 0 where nothing matched; rounding is monotone.
    for (std::size_t c = 0; c < value.size(); ++c) {
      Range range{std::min<std::int64_t>(value[c].least, 0), std::max<std::int64_t>(value[c].largest, 0)};
      if (state && c < state->numbers)
        range = {std::min(range.least, state->least), std::max(range.largest, state->largest)};
      const double least = in_rows(static_cast<double>(range.least), static_cast<std::uint32_t>(h));
      const double largest = in_rows(static_cast<double>(range.largest), static_cast<std::uint32_t>(h));
      require(std::max(-least, largest) < static_cast<double>(kMantissaBound),
              "{} head {}: its outputs can reach 2^53 at {} fractional bits", where, h, w.row_fraction_bits);
      after.push_back({round_scaled(least, 0), round_scaled(largest, 0)});
    }
  }
  head_ranges_.assign(after.begin() + static_cast<std::ptrdiff_t>(x.size()), after.end());
  output_ranges_ =
      map_ranges(w.output, w.row_fraction_bits, after, fmt::format("{} output map", where), largest_sum_);
  shape_.heads = static_cast<std::uint32_t>(w.heads.size());
  shape_.output_dimension = static_cast<std::uint32_t>(output_ranges_.size());
  codebook_ = std::make_unique<ZeroCodebook>(shape_.query_dimension);
}

WeightLayer::~WeightLayer() = default;

const Codebook& WeightLayer::codebook() const {
  return *codebook_;
}

double WeightLayer::in_rows(double output, std::uint32_t head) const {
  return std::ldexp(output, static_cast<int>(weights_.row_fraction_bits) -
                                static_cast<int>(weights_.heads[head].value.back().output_fraction_bits));
}

void WeightLayer::require_range(const StateRange& state, std::string_view where) const {
  for (std::uint32_t h = 0; h < shape_.heads; ++h) {
    for (std::uint32_t c = 0; c < state.numbers; ++c) {
      const Range& range = head_ranges_[std::size_t{h} * shape_.value_dimension + c];
      require(round_scaled(in_rows(static_cast<double>(state.least), h), 0) >= range.least &&
                  round_scaled(in_rows(static_cast<double>(state.largest), h), 0) <= range.largest,
              "{}: the state's numbers are {} .. {}; head {} was made for {} .. {} in column {}", where,
              state.least, state.largest, h, range.least, range.largest, c);
    }
  }
}

std::vector<std::int64_t> WeightLayer::inputs(const RowView& row) const {
  std::vector<std::int64_t> x(weights_.row_dimension + weights_.position_digits, 0);
  for (const Entry& entry : row.entries) {
    require(entry.column < weights_.row_dimension, "token {} has column {}; its layer takes {} columns",
            row.token, entry.column, weights_.row_dimension);
    const std::int64_t limit = weights_.row_limit[entry.column];
    require(std::fabs(entry.value) <= static_cast<double>(limit) && entry.value == std::trunc(entry.value),
            "token {} has {} in column {}; its layer takes integers of magnitude at most {}", row.token,
            entry.value, entry.column, limit);
    x[entry.column] = static_cast<std::int64_t>(entry.value);
  }
  std::uint64_t rest = row.token;
  for (std::uint32_t digit = 0; digit < weights_.position_digits; ++digit, rest /= weights_.position_base) {
    x[weights_.row_dimension + digit] = static_cast<std::int64_t>(rest % weights_.position_base);
  }
  return x;
}

void WeightLayer::project(const RowView& row, Projection& out) const {
  const std::vector<std::int64_t> x = inputs(row);
  std::vector<std::int32_t> vector(shape_.query_dimension);
  const auto symbol = [&](const WeightMap& map) {
    const std::vector<std::int64_t> y = apply(map, weights_.row_fraction_bits, x);
    std::transform(y.begin(), y.end(), vector.begin(),
                   [](std::int64_t c) { return static_cast<std::int32_t>(c); });
    return out.intern(vector);
  };
  for (std::uint32_t h = 0; h < shape_.heads; ++h) {
    out.query(h, symbol(weights_.heads[h].query));
    out.key(h, symbol(weights_.heads[h].key));
    const std::vector<std::int64_t> value = apply(weights_.heads[h].value, weights_.row_fraction_bits, x);
    for (std::uint32_t column = 0; column < value.size(); ++column) {
      if (value[column] != 0) out.value(h, column, static_cast<double>(value[column]));
    }
  }
}

void WeightLayer::update(const RowView& row, const HeadOutputs& heads, RowWriter& out) const {
  std::vector<std::int64_t> x = inputs(row);
  const std::size_t first = x.size();
  x.resize(first + std::size_t{shape_.heads} * shape_.value_dimension, 0);
  for (std::uint32_t h = 0; h < shape_.heads; ++h) {
    for (const Entry& entry : heads.head(h)) {
      const std::size_t at = std::size_t{h} * shape_.value_dimension + entry.column;
      const double scaled = in_rows(entry.value, h);
      // Also false for NaN. A mechanism that gives averages, or the state that it was made for, cannot come here.
      require(entry.column < shape_.value_dimension &&
                  std::fabs(scaled) < static_cast<double>(kMantissaBound) &&
                  round_scaled(scaled, 0) >= head_ranges_[at].least &&
                  round_scaled(scaled, 0) <= head_ranges_[at].largest,
              "token {} head {}: the attention's output {} in column {} is no average of the head's values",
              row.token, h, entry.value, entry.column);
      x[first + at] = round_scaled(scaled, 0);
    }
  }
  const std::vector<std::int64_t> y = apply(weights_.output, weights_.row_fraction_bits, std::move(x));
  for (std::uint32_t column = 0; column < y.size(); ++column) {
    if (y[column] != 0) out.set(column, static_cast<double>(y[column]));
  }
}

}  // namespace roundtrip::anna
