#include "roundtrip/anna/attention/rnn.h"

#include <algorithm>

#include "roundtrip/anna/files/json_field.h"
#include "roundtrip/base/error.h"
#include "roundtrip/base/fault.h"
#include "roundtrip/base/quote.h"

namespace roundtrip::anna {
namespace {

constexpr std::int64_t kMaxLimit = (std::int64_t{1} << 53) - 1;

class RnnRecurrence final : public Recurrence {
 public:
  explicit RnnRecurrence(Rnn rnn) : rnn_(std::move(rnn)) {}
  std::uint32_t inputs() const override { return rnn_.weights.inputs; }
  std::uint32_t outputs() const override { return rnn_.weights.state; }
  std::uint32_t state_numbers() const override { return rnn_.weights.state; }
  std::int64_t state_limit() const override { return rnn_.limit; }
  void step(std::span<const std::int64_t> x, std::span<const std::int64_t> before,
            std::span<std::int64_t> after) const override {
    const StateRange range = rnn_.state_range();
    const std::uint32_t bits = rnn_.weights.fraction_bits;
    for (std::size_t i = 0; i < after.size(); ++i) {
      const RecurrentWeights::Sum sum = rnn_.weights.sum(i, x, before);
      const RecurrentWeights::Sum rounded =
          seeded("rnn-rounded-down") ? sum >> bits : round_half_even(sum, bits);
      after[i] = static_cast<std::int64_t>(std::clamp<RecurrentWeights::Sum>(
          rounded, seeded("rnn-without-relu") ? -rnn_.limit : range.least, range.largest));
    }
  }

 private:
  const Rnn rnn_;
};

}  // namespace

void Rnn::validate(std::uint32_t) const {
  weights.validate(info().name, 1);
  require(limit >= 1 && limit <= kMaxLimit, "rnn: limit is {}; allowed are 1 .. {}", limit, kMaxLimit);
}

std::unique_ptr<const Recurrence> Rnn::recurrence() const {
  validate(1);
  return std::make_unique<RnnRecurrence>(*this);
}

std::unique_ptr<Attention> Rnn::make() const {
  return make_recurrent(info().name, recurrence());
}

void Rnn::write(JsonObject& out) const {
  out.json["activation"] = relu ? "relu" : "hard_tanh";
  out.json["limit"] = limit;
  weights.write(out);
}

const MechanismInfo& Rnn::info() {
  static const MechanismInfo info{
      .name = "rnn",
      .card = "a recurrent network: every token's value updates a state, by weights, and gets the state",
      .finds_equal_keys = false,
      .options = {},
      .read = [](const JsonField& object) -> Mechanism {
        object.object(
            {"kind", "activation", "limit", "fraction_bits", "recurrent_weight", "input_weight", "bias"});
        Rnn rnn;
        const JsonField activation = object["activation"];
        rnn.relu = activation.text() == "relu";
        if (!rnn.relu && activation.text() != "hard_tanh")
          activation.fail(fmt::format("is {}; allowed are relu and hard_tanh", quote(activation.text())));
        rnn.limit = object["limit"].integer(1, kMaxLimit);
        rnn.weights = RecurrentWeights::read(object, 1);
        return rnn;
      },
      .draw = [](const MechanismDraw& draw) -> Mechanism {
        return Rnn{RecurrentWeights::draw(draw, 1, 4), false, 127};
      },
      .samples =
          [] {
            RecurrentWeights two;
            two.state = 2;
            two.inputs = 2;
            two.fraction_bits = 3;
            two.recurrent = {5, -7, 3, 4};
            two.input = {6, 5, -9, 8};
            two.bias = {12, -5};
            RecurrentWeights one;
            one.state = 1;
            one.inputs = 3;
            one.recurrent = {-1};
            one.input = {1, -2, 1};
            one.bias = {0};
            return std::vector<Mechanism>{Rnn{one, true, 60}, Rnn{two, true, 90}, Rnn{two, false, 100}};
          }};
  return info;
}

}  // namespace roundtrip::anna
