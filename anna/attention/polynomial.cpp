#include "roundtrip/anna/attention/polynomial.h"

#include <algorithm>

#include "roundtrip/anna/files/json_field.h"
#include "roundtrip/anna/lsh/gaussian.h"
#include "roundtrip/anna/transformer/random_model.h"
#include "roundtrip/base/error.h"
#include "roundtrip/base/fault.h"

namespace roundtrip::anna {
namespace {

class SketchFeatures final : public FeatureMap {
 public:
  SketchFeatures(const Polynomial& parameters, std::uint32_t dimension)
      : parameters_(parameters),
        left_(parameters.sketch, dimension, parameters.seed, 17),
        right_(parameters.sketch, dimension, parameters.seed, 18) {}
  std::uint32_t rank() const override { return parameters_.rank(); }
  bool positive() const override { return false; }
  std::uint32_t feature_bits(std::uint32_t) const override { return 2 * kSketchBits + 2; }
  void of(std::span<const std::int32_t> x, bool query, std::span<std::int64_t> out) const override {
    constexpr std::int64_t kMost = std::int64_t{1} << kSketchBits;
    const WideQuotient unit = static_cast<WideQuotient>(parameters_.unit) * kGaussianSigma * kGaussianSigma;
    std::vector<std::int64_t> s(parameters_.sketch);
    for (std::uint32_t r = 0; r < s.size(); ++r) {
      const WideQuotient product = static_cast<WideQuotient>(left_.dot(r, x)) * right_.dot(r, x);
      s[r] =
          static_cast<std::int64_t>(std::clamp<WideQuotient>(rounded_quotient(product, unit), -kMost, kMost));
    }
    const std::int64_t times = query && !seeded("mixed-once") ? 2 : 1;
    std::size_t next = 0;
    for (std::size_t a = 0; a < s.size(); ++a) {
      out[next++] = s[a] * s[a];
      for (std::size_t b = a + 1; b < s.size(); ++b) out[next++] = times * s[a] * s[b];
    }
  }

 private:
  static constexpr std::uint32_t kSketchBits = 24;

  Polynomial parameters_;
  FeatureProjections left_, right_;
};

}  // namespace

void Polynomial::validate(std::uint32_t query_dimension) const {
  require(sketch >= 1 && sketch <= kMaxSketch, "polynomial: sketch is {}; allowed are 1 .. {}", sketch,
          kMaxSketch);
  require(unit >= 1 && unit <= kMaxUnit, "polynomial: unit is {}; allowed are 1 .. {}", unit, kMaxUnit);
  FeatureProjections::validate(info().name, sketch, query_dimension);
}

std::shared_ptr<const FeatureMap> Polynomial::features(std::uint32_t query_dimension) const {
  validate(query_dimension);
  return std::make_shared<SketchFeatures>(*this, query_dimension);
}

std::unique_ptr<Attention> Polynomial::make() const {
  validate(1);
  return make_feature_attention(
      info().name, [self = *this](std::uint32_t dimension) { return self.features(dimension); }, masked);
}

void Polynomial::write(JsonObject& out) const {
  out.json["sketch"] = sketch;
  out.json["seed"] = seed;
  out.json["unit"] = unit;
  if (masked) out.json["causal"] = true;
}

std::string Polynomial::caption() const {
  return fmt::format("{}polynomial kernel by a sketch of {}", masked ? "causal " : "", sketch);
}

const MechanismInfo& Polynomial::info() {
  static const MechanismInfo info{
      .name = "polynomial",
      .card = "Poly-Sketchformer: <q, k>^4 estimated by the square of a product of sketches",
      .finds_equal_keys = false,
      .options = {{"sketch", 2, 1, 64, "numbers of a polynomial kernel's sketch, 1 to 64"},
                  {"unit", 256, 1, kMaxUnit, "what a sketch's products are divided by, 1 to 2^30"},
                  kCausalOption},
      .read = [](const JsonField& object) -> Mechanism {
        object.object({"kind", "sketch", "seed", "unit", "?causal"});
        return Polynomial{object["sketch"].number32(1, kMaxSketch), object["seed"].number(0, UINT64_MAX),
                          object["unit"].number(1, kMaxUnit), object.flag("causal")};
      },
      .draw = [](const MechanismDraw& draw) -> Mechanism {
        return Polynomial{static_cast<std::uint32_t>(draw.options.at(0)), draw.model.seed, draw.options.at(1),
                          draw.options.at(2) != 0};
      },
      .samples =
          [] {
            return std::vector<Mechanism>{Polynomial{}, Polynomial{3, 4, 16, true}, Polynomial{2, 9, 256}};
          }};
  return info;
}

}  // namespace roundtrip::anna
