#include "roundtrip/anna/attention/performer.h"

#include <algorithm>
#include <cmath>

#include "roundtrip/anna/attention/softmax.h"
#include "roundtrip/anna/files/json_field.h"
#include "roundtrip/anna/lsh/gaussian.h"
#include "roundtrip/anna/transformer/random_model.h"
#include "roundtrip/base/error.h"
#include "roundtrip/base/fault.h"
#include "roundtrip/base/fixed_point.h"

namespace roundtrip::anna {
namespace {

__extension__ using Wide = __int128;

class ExponentialFeatures final : public FeatureMap {
 public:
  ExponentialFeatures(const Performer& parameters, std::uint32_t dimension)
      : parameters_(parameters), projections_(parameters.rank, dimension, parameters.seed, 16) {}
  std::uint32_t rank() const override { return projections_.rank(); }
  std::uint32_t feature_bits(std::uint32_t) const override { return Performer::kFeatureBits + 1; }
  void of(std::span<const std::int32_t> x, bool, std::span<std::int64_t> out) const override {
    Wide square = 0;
    for (const std::int32_t number : x) square += std::int64_t{number} * number;
    const double half_norm =
        seeded("features-without-norm") ? 0 : static_cast<double>(square) / (2 * parameters_.temperature);
    const double unit = kGaussianSigma * std::sqrt(parameters_.temperature);
    for (std::uint32_t r = 0; r < rank(); ++r) {
      const double exponent =
          static_cast<double>(projections_.dot(r, x)) / unit - half_norm - parameters_.shift;
      out[r] = std::max<std::int64_t>(
          1, round_scaled(exponential(std::min(0.0, exponent)), Performer::kFeatureBits));
    }
  }

 private:
  Performer parameters_;
  FeatureProjections projections_;
};

}  // namespace

void Performer::validate(std::uint32_t query_dimension) const {
  FeatureProjections::validate(info().name, rank, query_dimension);
  require(std::isfinite(temperature) && temperature > 0,
          "performer: temperature is {}; it must be finite and above 0", temperature);
  require(shift >= 0 && shift <= kMaxShift, "performer: shift is {}; allowed are 0 .. {}", shift, kMaxShift);
}

std::shared_ptr<const FeatureMap> Performer::features(std::uint32_t query_dimension) const {
  validate(query_dimension);
  return std::make_shared<ExponentialFeatures>(*this, query_dimension);
}

std::unique_ptr<Attention> Performer::make() const {
  validate(1);
  return make_feature_attention(
      info().name, [self = *this](std::uint32_t dimension) { return self.features(dimension); }, masked);
}

void Performer::write(JsonObject& out) const {
  out.json["rank"] = rank;
  out.json["seed"] = seed;
  out.json["temperature"] = temperature;
  if (shift != Performer{}.shift) out.json["shift"] = shift;
  if (masked) out.json["causal"] = true;
}

std::string Performer::caption() const {
  return fmt::format("{}Performer of rank {}", masked ? "causal " : "", rank);
}

const MechanismInfo& Performer::info() {
  static const MechanismInfo info{
      .name = "performer",
      .card = "Performer: exp(<q, k> / temperature) estimated by products of `rank` positive random features",
      .finds_equal_keys = false,
      .options = {{"rank", 4, 1, 1024, "features of attention by features, 1 to 1024"},
                  {"temperature", 16384, 1, 1 << 30, "weights are exp(<q, k> / it), 1 to 2^30"},
                  kCausalOption},
      .read = [](const JsonField& object) -> Mechanism {
        object.object({"kind", "rank", "seed", "temperature", "?shift", "?causal"});
        const auto of_shift = object.find("shift");
        Performer performer{object["rank"].number32(1, 65536), object["seed"].number(0, UINT64_MAX),
                            object["temperature"].positive()};
        if (of_shift) performer.shift = of_shift->real(0, kMaxShift);
        performer.masked = object.flag("causal");
        return performer;
      },
      .draw = [](const MechanismDraw& draw) -> Mechanism {
        Performer performer{static_cast<std::uint32_t>(draw.options.at(0)), draw.model.seed,
                            static_cast<double>(draw.options.at(1))};
        performer.masked = draw.options.at(2) != 0;
        return performer;
      },
      .samples =
          [] {
            return std::vector<Mechanism>{Performer{}, Performer{3, 4, 16384, 0, true},
                                          Performer{2, 9, 16384, 1.5}};
          }};
  return info;
}

}  // namespace roundtrip::anna
