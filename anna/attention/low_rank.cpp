#include "roundtrip/anna/attention/low_rank.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <optional>

#include "roundtrip/anna/attention/kernel_attention.h"
#include "roundtrip/anna/files/json_field.h"
#include "roundtrip/anna/lsh/gaussian.h"
#include "roundtrip/anna/transformer/random_model.h"
#include "roundtrip/base/error.h"
#include "roundtrip/base/fault.h"
#include "roundtrip/base/random.h"

namespace roundtrip::anna {
namespace {

__extension__ using Wide = __int128;

class ModelLowRank final : public KernelAttention {
 public:
  ModelLowRank(std::uint32_t rank, std::uint64_t seed) : rank_(rank), seed_(seed) {
    PositiveFeatures::validate(rank, 1);
  }
  std::string name() const override { return LowRank::info().name; }

 protected:
  void prepare(std::uint32_t dimension, const DistinctPoints& queries, const DistinctPoints& keys,
               const ClassSums& sums) override {
    features_.emplace(rank_, seed_, dimension);
    phi_.resize(rank_);
    std::uint64_t largest[2] = {1, 1};
    for (const DistinctPoints* points : {&queries, &keys}) {
      for (std::uint32_t c = 0; c < points->vectors.size(); ++c) {
        features_->of(points->vector(c, dimension), phi_);
        for (const std::int64_t x : phi_)
          largest[points == &keys] = std::max(largest[points == &keys], static_cast<std::uint64_t>(x));
      }
    }
    const int bits = std::bit_width(largest[0]) + std::bit_width(largest[1]) +
                     std::bit_width(std::uint64_t{rank_}) + std::bit_width(keys.tokens) +
                     std::max(1, std::ilogb(std::max(1.0, sums.largest)) + 1);
    require(bits <= 126,
            "low_rank attention: features below {} (queries) and {} (keys), rank {}, {} tokens and values up "
            "to {} need {} bits; 126 are allowed",
            largest[0] + 1, largest[1] + 1, rank_, keys.tokens, sums.largest, bits);
    const std::size_t columns = sums.columns.size();
    products_.assign(rank_ * columns, 0);
    norms_.assign(rank_, 0);
    auto sum = sums.sums.begin();
    for (std::uint32_t c = 0; c < keys.vectors.size(); ++c) {
      features_->of(keys.vector(c, dimension), phi_);
      for (std::uint32_t r = 0; r < rank_; ++r) norms_[r] += static_cast<Wide>(phi_[r]) * keys.counts[c];
      for (; sum != sums.sums.end() && sum->key_class == c; ++sum) {
        for (std::uint32_t r = 0; r < rank_; ++r)
          products_[r * columns + sum->column] += phi_[r] * sum->value;
      }
    }
  }
  void row(std::span<const std::int32_t> query, const DistinctPoints&, const ClassSums& sums,
           std::vector<double>& averages) override {
    features_->of(query, phi_);
    const std::size_t columns = sums.columns.size();
    std::vector<Wide> totals(columns, 0);
    Wide norm = 0;
    for (std::uint32_t r = 0; r < rank_; ++r) {
      norm += phi_[r] * norms_[r];
      for (std::size_t c = 0; c < columns; ++c) totals[c] += phi_[r] * products_[r * columns + c];
    }
    for (std::size_t c = 0; c < columns; ++c)
      averages[c] = static_cast<double>(totals[c]) / static_cast<double>(norm);
  }

 private:
  std::uint32_t rank_;
  std::uint64_t seed_;
  std::optional<PositiveFeatures> features_;
  std::vector<std::int64_t> phi_;
  std::vector<Wide> products_, norms_;  // G [rank, columns], g [rank]
};

}  // namespace

void PositiveFeatures::validate(std::uint32_t rank, std::uint32_t dimension) {
  require(rank >= 1 && rank <= 65536, "low_rank: rank is {}; allowed are 1 .. 65536", rank);
  require(dimension >= 1 && dimension <= 65536, "low_rank: dimension is {}; allowed are 1 .. 65536",
          dimension);
  require(std::uint64_t{rank} * dimension <= 1u << 28, "low_rank: rank {} times dimension {} is above 2^28",
          rank, dimension);
}

PositiveFeatures::PositiveFeatures(std::uint32_t rank, std::uint64_t seed, std::uint32_t dimension)
    : rank_(rank), dimension_(dimension) {
  validate(rank, dimension);
  projections_.resize(std::size_t{rank} * dimension);
  for (std::uint32_t r = 0; r < rank; ++r) {
    for (std::uint32_t i = 0; i < dimension; ++i) {
      // Table numbers of hash functions are below 2^32: these draws are no function's.
      projections_[std::size_t{r} * dimension + i] = static_cast<std::int16_t>(
          gaussian(draw(seed, Domain::kHash, ~std::uint64_t{2}, seeded("one-projection") ? 0 : r, i)));
    }
  }
}

void PositiveFeatures::of(std::span<const std::int32_t> x, std::span<std::int64_t> out) const {
  for (std::uint32_t r = 0; r < rank_; ++r) {
    const std::int16_t* g = projections_.data() + std::size_t{r} * dimension_;
    std::int64_t dot = 0;  // below 2^16 2^31 2^15
    const std::uint32_t used = dimension_ - seeded("last-coordinate");
    for (std::uint32_t i = 0; i < used; ++i) dot += std::int64_t{g[i]} * x[i];
    std::int64_t quotient = dot / kGaussianSigma;
    const std::int64_t twice = 2 * (dot % kGaussianSigma);
    if ((twice > kGaussianSigma || (twice == kGaussianSigma && quotient % 2 != 0)) &&
        !seeded("feature-rounded-down"))
      ++quotient;
    out[r] = std::max<std::int64_t>(seeded("feature-of-zero") ? 0 : 1,
                                    quotient);  // negative quotients, whatever their rounding, give 1
  }
}

std::unique_ptr<Attention> make_model_low_rank(std::uint32_t rank, std::uint64_t seed) {
  return std::make_unique<ModelLowRank>(rank, seed);
}

void LowRank::write(JsonObject& out) const {
  out.json["rank"] = rank;
  out.json["seed"] = seed;
}

std::string LowRank::caption() const {
  return fmt::format("low rank {}", rank);
}

const MechanismInfo& LowRank::info() {
  static const MechanismInfo info{
      .name = "low_rank",
      .card =
          "kernel attention: every key weighted by the product of `rank` positive features of query and key",
      .finds_equal_keys = false,
      .options = {{"rank", 4, 1, 1024, "of low-rank attention, 1 to 1024"}},
      .read = [](const JsonField& object) -> Mechanism {
        object.object({"kind", "rank", "seed"});
        return LowRank{object["rank"].number32(1, 65536), object["seed"].number(0, UINT64_MAX)};
      },
      .draw = [](const MechanismDraw& draw) -> Mechanism {
        return LowRank{static_cast<std::uint32_t>(draw.options.at(0)), draw.model.seed};
      },
      .samples =
          [] {
            return std::vector<Mechanism>{LowRank{}, LowRank{2, 4}};
          }};
  return info;
}

}  // namespace roundtrip::anna
