#include "roundtrip/anna/attention/low_rank.h"

#include <algorithm>
#include <bit>

#include "roundtrip/anna/files/json_field.h"
#include "roundtrip/anna/lsh/gaussian.h"
#include "roundtrip/anna/transformer/random_model.h"
#include "roundtrip/base/error.h"
#include "roundtrip/base/fault.h"

namespace roundtrip::anna {

void PositiveFeatures::validate(std::uint32_t rank, std::uint32_t dimension) {
  FeatureProjections::validate(LowRank::info().name, rank, dimension);
}

PositiveFeatures::PositiveFeatures(std::uint32_t rank, std::uint64_t seed, std::uint32_t dimension)
    : projections_((validate(rank, dimension), rank + seeded("one-feature-more")), dimension, seed, 2) {}

std::uint32_t PositiveFeatures::feature_bits(std::uint32_t coordinate_bits) const {
  constexpr std::uint32_t kMaxBits = 51;
  static_assert(kGaussianMax < 8 * kGaussianSigma);
  const std::uint64_t most = (std::uint64_t{8} * projections_.dimension()) << (coordinate_bits - 1);
  return std::min(kMaxBits, 1 + static_cast<std::uint32_t>(std::bit_width(most)));
}

void PositiveFeatures::of(std::span<const std::int32_t> x, std::span<std::int64_t> out) const {
  for (std::uint32_t r = 0; r < rank(); ++r) {
    const std::int64_t dot = projections_.dot(r, x);
    const auto quotient = static_cast<std::int64_t>(
        seeded("feature-rounded-down") ? dot / kGaussianSigma : rounded_quotient(dot, kGaussianSigma));
    out[r] = std::max<std::int64_t>(seeded("feature-of-zero") ? 0 : 1,
                                    quotient);  // negative quotients, whatever their rounding, give 1
  }
}

std::shared_ptr<const FeatureMap> LowRank::features(std::uint32_t query_dimension) const {
  return std::make_shared<PositiveFeatures>(rank, seed, query_dimension);
}

std::unique_ptr<Attention> make_model_low_rank(std::uint32_t rank, std::uint64_t seed, bool causal) {
  PositiveFeatures::validate(rank, 1);
  const LowRank parameters{rank, seed, causal};
  return make_feature_attention(
      LowRank::info().name, [parameters](std::uint32_t dimension) { return parameters.features(dimension); },
      causal);
}

void LowRank::write(JsonObject& out) const {
  out.json["rank"] = rank;
  out.json["seed"] = seed;
  if (masked) out.json["causal"] = true;
}

std::string LowRank::caption() const {
  return fmt::format("{}low rank {}", masked ? "causal " : "", rank);
}

const MechanismInfo& LowRank::info() {
  static const MechanismInfo info{
      .name = "low_rank",
      .card =
          "kernel attention: every key weighted by the product of `rank` positive features of query and key",
      .finds_equal_keys = false,
      .options = {{"rank", 4, 1, 1024, "of low-rank attention, 1 to 1024"}, kCausalOption},
      .read = [](const JsonField& object) -> Mechanism {
        object.object({"kind", "rank", "seed", "?causal"});
        return LowRank{object["rank"].number32(1, 65536), object["seed"].number(0, UINT64_MAX),
                       object.flag("causal")};
      },
      .draw = [](const MechanismDraw& draw) -> Mechanism {
        return LowRank{static_cast<std::uint32_t>(draw.options.at(0)), draw.model.seed,
                       draw.options.at(1) != 0};
      },
      .samples =
          [] {
            return std::vector<Mechanism>{LowRank{}, LowRank{2, 4, true}, LowRank{2, 4}};
          }};
  return info;
}

}  // namespace roundtrip::anna
