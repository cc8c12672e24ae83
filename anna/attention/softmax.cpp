#include "roundtrip/anna/attention/softmax.h"

#include <algorithm>
#include <cmath>

#include "roundtrip/anna/attention/interval_softmax.h"
#include "roundtrip/anna/attention/kernel_attention.h"
#include "roundtrip/anna/files/json_field.h"
#include "roundtrip/base/error.h"
#include "roundtrip/base/fault.h"
#include "roundtrip/base/fixed_point.h"

namespace roundtrip::anna {
namespace {

class ModelSoftmax final : public KernelAttention {
 public:
  explicit ModelSoftmax(double scale) : scale_(scale) { Softmax{scale}.validate(1); }
  std::string name() const override { return Softmax::info().name; }

 protected:
  void prepare(std::uint32_t, const DistinctPoints&, const DistinctPoints& keys,
               const ClassSums& sums) override {
    check_softmax_widths(name(), keys.tokens, sums.largest);
    weights_.resize(keys.vectors.size());
    scores_.resize(keys.vectors.size());
    totals_.resize(sums.columns.size());
  }
  void row(std::span<const std::int32_t> query, const DistinctPoints& keys, const ClassSums& sums,
           std::vector<double>& averages) override {
    for (std::uint32_t c = 0; c < scores_.size(); ++c) {
      const auto key = keys.vector(c, query.size());
      Score dot = 0;
      for (std::size_t i = 0; i < query.size(); ++i) dot += std::int64_t{query[i]} * key[i];
      scores_[c] = dot;
    }
    const Score top = scale_ < 0 ? *std::min_element(scores_.begin(), scores_.end())
                                 : *std::max_element(scores_.begin(), scores_.end());
    Score norm = 0;
    for (std::size_t c = 0; c < scores_.size(); ++c) {
      weights_[c] = softmax_weight(scale_, scores_[c] - top);
      norm += static_cast<Score>(weights_[c]) * keys.counts[c];
    }
    std::fill(totals_.begin(), totals_.end(), 0);
    for (const ClassSums::Sum& sum : sums.sums) totals_[sum.column] += weights_[sum.key_class] * sum.value;
    for (std::size_t c = 0; c < totals_.size(); ++c)
      averages[c] = static_cast<double>(totals_[c]) / static_cast<double>(norm);
  }

 private:
  double scale_;
  std::vector<Score> scores_;  // [key classes] <q, k>
  std::vector<std::int64_t> weights_;
  std::vector<Score> totals_;  // [columns]
};

}  // namespace

double exponential(double x) {
  if (!(x > -708)) return 0;  // 2^-1022 and below: nothing beside the largest weight, which is 1
  // x = n ln 2 + r, |r| <= ln(2) / 2, n ln 2 in two parts of which the first has room for n's 10 bits
  // (fdlibm's split).
  const double n = std::nearbyint(x * 1.44269504088896338700);
  const double r = (x - n * 6.93147180369123816490e-01) - n * 1.90821492927058770002e-10;
  // Taylor: the next term, r^14 / 14!, is below 2^-57.
  double sum = 1;
  for (int k = 13; k >= 1; --k) sum = 1 + sum * r / k;
  return std::ldexp(sum, static_cast<int>(n));
}

std::int64_t softmax_weight(double scale, Score below) {
  return round_scaled(exponential(scale * static_cast<double>(below)), kSoftmaxWeightBits - 1);
}

std::unique_ptr<Attention> make_model_softmax(double scale, bool causal) {
  if (!causal) return std::make_unique<ModelSoftmax>(scale);
  Softmax{scale}.validate(1);
  return make_interval_softmax(Softmax::info().name, scale, [](std::uint64_t token, std::uint64_t) {
    return KeyIntervals{.first = 0, .last = token + 1};
  });
}

void Softmax::validate(std::uint32_t) const {
  require(std::isfinite(scale), "softmax: scale is {}; it must be finite", scale);
}

void Softmax::write(JsonObject& out) const {
  out.json["scale"] = scale;
  if (masked) out.json["causal"] = true;
}

const MechanismInfo& Softmax::info() {
  static const MechanismInfo info{
      .name = "softmax",
      .card = "standard attention: every key weighted by exp(scale <q, k>)",
      .finds_equal_keys = false,
      .for_equal_keys = [](const std::function<AnnaParameters()>&) -> Mechanism {
        return Softmax{seeded("softmax-too-warm") ? 1 : kEqualKeysScale};
      },
      .needs_fallback = true,
      .options = {{"temperature", 256, 1, 1 << 30,
                   "of softmax attention, weights exp(<q, k> / it), 1 to 2^30"},
                  kCausalOption},
      .read = [](const JsonField& object) -> Mechanism {
        object.object({"kind", "scale", "?causal"});
        return Softmax{object["scale"].positive(), object.flag("causal")};
      },
      .draw = [](const MechanismDraw& draw) -> Mechanism {
        return Softmax{1.0 / static_cast<double>(draw.options.at(0)), draw.options.at(1) != 0};
      },
      .samples =
          [] {
            return std::vector<Mechanism>{Softmax{}, Softmax{0.02, true}, Softmax{0.01}};
          }};
  return info;
}

}  // namespace roundtrip::anna
