#include "roundtrip/anna/attention/recurrence.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "roundtrip/anna/attention/checks.h"
#include "roundtrip/anna/files/json_field.h"
#include "roundtrip/anna/transformer/random_model.h"
#include "roundtrip/base/error.h"
#include "roundtrip/base/fault.h"
#include "roundtrip/base/random.h"

namespace roundtrip::anna {
namespace {

constexpr std::int64_t kBound = std::int64_t{1} << 53;

class RecurrentAttention final : public Attention {
 public:
  RecurrentAttention(std::string name, std::unique_ptr<const Recurrence> recurrence)
      : name_(std::move(name)), recurrence_(std::move(recurrence)) {}
  std::string name() const override { return name_; }

  void attend(const Codebook& codebook, const HeadInput& head, SparseRows& out) override {
    (void)check_head(codebook, head, 1);
    out.clear();
    std::vector<std::int64_t> x(recurrence_->inputs()), state(recurrence_->state_numbers(), 0),
        after(state.size());
    std::size_t next_row = 0;
    for (std::uint64_t token = 0; token < head.tokens; ++token) {
      std::ranges::fill(x, 0);
      if (next_row < head.values.tokens.size() && head.values.tokens[next_row] == token) {
        for (const Entry& entry : head.values.row(next_row++)) {
          if (entry.column < x.size()) x[entry.column] = static_cast<std::int64_t>(entry.value);
        }
      }
      recurrence_->step(x, state, after);
      state.swap(after);
      for (std::uint32_t i = 0; i < recurrence_->outputs(); ++i) {
        if (state[i] != 0) out.entries.push_back({i, static_cast<double>(state[i])});
      }
      if (out.entries.size() == out.offsets.back()) continue;
      out.tokens.push_back(token);
      out.offsets.push_back(out.entries.size());
    }
  }

 private:
  const std::string name_;
  const std::unique_ptr<const Recurrence> recurrence_;
};

std::vector<std::int64_t> read_row(const JsonField& field, std::int64_t limit) {
  std::vector<std::int64_t> row;
  for (const JsonField& item : field.items()) row.push_back(item.integer(-limit, limit));
  return row;
}

/// Rows of one length, appended to each other; returns the length.
std::uint32_t read_rows(const JsonField& field, std::vector<std::int32_t>& out) {
  const std::vector<JsonField> rows = field.items();
  std::size_t columns = 0;
  for (const JsonField& item : rows) {
    const std::vector<std::int64_t> row = read_row(item, INT32_MAX);
    if (out.empty()) columns = row.size();
    if (row.empty() || row.size() != columns)
      item.fail(fmt::format("has {} numbers; {} are needed", row.size(), std::max<std::size_t>(1, columns)));
    for (const std::int64_t number : row) out.push_back(static_cast<std::int32_t>(number));
  }
  return static_cast<std::uint32_t>(columns);
}

nlohmann::ordered_json rows_json(const std::vector<std::int32_t>& weights, std::uint32_t columns) {
  auto rows = nlohmann::ordered_json::array();
  for (auto row = weights.begin(); row != weights.end(); row += columns)
    rows.push_back(std::vector<std::int32_t>(row, row + columns));
  return rows;
}

}  // namespace

void RecurrentWeights::validate(const std::string& name, std::uint32_t gates) const {
  require(state >= 1 && state <= kMaxDimension, "{}: the state has {} numbers; allowed are 1 .. {}", name,
          state, kMaxDimension);
  require(inputs >= 1 && inputs <= kMaxDimension, "{}: {} inputs; allowed are 1 .. {}", name, inputs,
          kMaxDimension);
  require(fraction_bits <= 52, "{}: fraction_bits is {}; allowed are 0 .. 52", name, fraction_bits);
  const std::size_t rows = std::size_t{gates} * state;
  require(recurrent.size() == rows * state && input.size() == rows * inputs && bias.size() == rows,
          "{}: {} recurrent weights, {} input weights and {} biases; {}, {} and {} are needed", name,
          recurrent.size(), input.size(), bias.size(), rows * state, rows * inputs, rows);
  for (const std::int64_t b : bias)
    require(b > -kBound && b < kBound, "{}: bias is {}; allowed are magnitudes below 2^53", name, b);
}

RecurrentWeights::Sum RecurrentWeights::sum(std::size_t row, std::span<const std::int64_t> x,
                                            std::span<const std::int64_t> h) const {
  // Weights are below 2^31, numbers below 2^53, and there are at most 2^13 of them.
  Sum sum = seeded("recurrence-without-bias") ? 0 : bias[row];
  const std::size_t offset = row * state;
  for (std::uint32_t j = 0; j < state; ++j) sum += Sum{recurrent[offset + j]} * h[j];
  for (std::uint32_t j = 0; j < inputs; ++j) sum += Sum{input[row * inputs + j]} * x[j];
  return sum;
}

void RecurrentWeights::write(JsonObject& out) const {
  out.json["fraction_bits"] = fraction_bits;
  out.json["recurrent_weight"] = rows_json(recurrent, state);
  out.json["input_weight"] = rows_json(input, inputs);
  out.json["bias"] = bias;
}

RecurrentWeights RecurrentWeights::read(const JsonField& object, std::uint32_t gates) {
  RecurrentWeights weights;
  weights.fraction_bits = object["fraction_bits"].number32(0, 52);
  weights.state = read_rows(object["recurrent_weight"], weights.recurrent);
  weights.inputs = read_rows(object["input_weight"], weights.input);
  weights.bias = read_row(object["bias"], kBound - 1);
  weights.validate(object["kind"].text(), gates);
  return weights;
}

RecurrentWeights RecurrentWeights::draw(const MechanismDraw& draw, std::uint32_t gates,
                                        std::uint32_t fraction_bits) {
  constexpr std::int64_t kWeight = 7;
  RecurrentWeights weights;
  weights.state = weights.inputs = draw.model.value_dimension;
  weights.fraction_bits = fraction_bits;
  // Layers' numbers are below 2^32: these draws are no layer's.
  RandomStream stream(draw.model.seed, Domain::kModel, ~std::uint64_t{0}, gates);
  const auto integer = [&](std::int64_t magnitude) {
    return static_cast<std::int64_t>(stream.below(2 * static_cast<std::uint64_t>(magnitude) + 1)) - magnitude;
  };
  const std::size_t rows = std::size_t{gates} * weights.state;
  for (std::size_t i = 0; i < rows * weights.state; ++i)
    weights.recurrent.push_back(static_cast<std::int32_t>(integer(kWeight)));
  for (std::size_t i = 0; i < rows * weights.inputs; ++i)
    weights.input.push_back(static_cast<std::int32_t>(integer(kWeight)));
  for (std::size_t i = 0; i < rows; ++i) weights.bias.push_back(integer(std::int64_t{16} << fraction_bits));
  return weights;
}

RecurrentWeights::Sum round_half_even(RecurrentWeights::Sum sum, std::uint32_t bits) {
  using Sum = RecurrentWeights::Sum;
  if (bits == 0) return sum;
  const Sum floor = sum >> bits, rest = sum - (floor << bits), half = Sum{1} << (bits - 1);
  return floor + (rest > half || (rest == half && (floor & 1) != 0));
}

std::unique_ptr<Attention> make_recurrent(std::string name, std::unique_ptr<const Recurrence> recurrence) {
  return std::make_unique<RecurrentAttention>(std::move(name), std::move(recurrence));
}

}  // namespace roundtrip::anna
