#include "roundtrip/anna/attention/lstm.h"

#include <algorithm>

#include "roundtrip/anna/files/json_field.h"
#include "roundtrip/base/error.h"
#include "roundtrip/base/fault.h"

namespace roundtrip::anna {
namespace {

using Sum = RecurrentWeights::Sum;
constexpr std::int64_t kMaxLimit = (std::int64_t{1} << 53) - 1;

class LstmRecurrence final : public Recurrence {
 public:
  explicit LstmRecurrence(Lstm lstm) : lstm_(std::move(lstm)), one_(std::int64_t{1} << lstm_.unit_bits) {}
  std::uint32_t inputs() const override { return lstm_.weights.inputs; }
  std::uint32_t outputs() const override { return lstm_.weights.state; }
  std::uint32_t state_numbers() const override { return 2 * lstm_.weights.state; }
  std::int64_t state_limit() const override { return lstm_.limit; }
  void step(std::span<const std::int64_t> x, std::span<const std::int64_t> before,
            std::span<std::int64_t> after) const override {
    const std::size_t cells = lstm_.weights.state;
    const std::span<const std::int64_t> h = before.first(cells), c = before.subspan(cells);
    const std::uint32_t unit = lstm_.unit_bits;
    for (std::size_t i = 0; i < cells; ++i) {
      const auto sum = [&](std::size_t gate) { return lstm_.weights.sum(gate * cells + i, x, h); };
      const Sum input = gate(sum(0)), forget = seeded("lstm-never-forgets") ? Sum{one_} : gate(sum(1));
      const Sum candidate =
          std::clamp<Sum>(round_half_even(sum(2), lstm_.weights.fraction_bits), -one_, one_);
      const Sum kept = forget * c[i], added = input * candidate;
      const Sum cell = seeded("lstm-products-rounded-apart")
                           ? round_half_even(kept, unit) + round_half_even(added, unit)
                           : round_half_even(kept + added, unit);
      after[cells + i] = static_cast<std::int64_t>(std::clamp<Sum>(cell, -lstm_.limit, lstm_.limit));
      const Sum squashed =
          std::clamp<Sum>(seeded("lstm-shows-the-cell-before") ? c[i] : after[cells + i], -one_, one_);
      after[i] = static_cast<std::int64_t>(round_half_even(gate(sum(3)) * squashed, unit));
    }
  }

 private:
  /// clamp(1/2 + z/4, 0, 1) for z = sum / 2^(f + u), rounded once.
  Sum gate(Sum sum) const {
    const std::uint32_t bits = lstm_.weights.fraction_bits;
    return std::clamp<Sum>(round_half_even(sum + (Sum{one_} << (bits + 1)), bits + 2), 0, one_);
  }

  const Lstm lstm_;
  const std::int64_t one_;
};

}  // namespace

void Lstm::validate(std::uint32_t) const {
  weights.validate(info().name, kGates);
  require(unit_bits <= 52, "lstm: unit_bits is {}; allowed are 0 .. 52", unit_bits);
  require(limit >= std::int64_t{1} << unit_bits && limit <= kMaxLimit,
          "lstm: limit is {}; allowed are {} .. {}", limit, std::int64_t{1} << unit_bits, kMaxLimit);
}

std::unique_ptr<const Recurrence> Lstm::recurrence() const {
  validate(1);
  return std::make_unique<LstmRecurrence>(*this);
}

std::unique_ptr<Attention> Lstm::make() const {
  return make_recurrent(info().name, recurrence());
}

void Lstm::write(JsonObject& out) const {
  out.json["unit_bits"] = unit_bits;
  out.json["limit"] = limit;
  weights.write(out);
}

const MechanismInfo& Lstm::info() {
  static const MechanismInfo info{
      .name = "lstm",
      .card = "a recurrent network whose cells are kept, written and shown through gates",
      .finds_equal_keys = false,
      .options = {},
      .read = [](const JsonField& object) -> Mechanism {
        object.object(
            {"kind", "unit_bits", "limit", "fraction_bits", "recurrent_weight", "input_weight", "bias"});
        Lstm lstm;
        lstm.unit_bits = object["unit_bits"].number32(0, 52);
        lstm.limit = object["limit"].integer(std::int64_t{1} << lstm.unit_bits, kMaxLimit);
        lstm.weights = RecurrentWeights::read(object, kGates);
        return lstm;
      },
      .draw = [](const MechanismDraw& draw) -> Mechanism {
        return Lstm{RecurrentWeights::draw(draw, kGates, 4), 6, 200};
      },
      .samples =
          [] {
            RecurrentWeights two;
            two.state = 2;
            two.inputs = 2;
            two.fraction_bits = 3;
            two.recurrent = {5, -7, 3, 4, -6, 2, 1, 7, 9, -3, 2, 8, -4, 5, 6, -1};
            two.input = {6, 5, -9, 8, 2, -3, 4, 7, 5, -8, 1, 9, -2, 6, 3, 4};
            two.bias = {12, -5, 90, 70, 33, -21, 40, 8};
            RecurrentWeights one;
            one.state = 1;
            one.inputs = 1;
            one.recurrent = {1, 0, -1, 1};
            one.input = {1, -1, 1, 1};
            one.bias = {0, 16, 0, 8};
            return std::vector<Mechanism>{Lstm{one, 4, 16}, Lstm{two, 6, 150}};
          }};
  return info;
}

}  // namespace roundtrip::anna
