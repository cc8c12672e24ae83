#include "roundtrip/anna/attention/feature_attention.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <numeric>
#include <vector>

#include "roundtrip/anna/attention/checks.h"
#include "roundtrip/anna/attention/dense_values.h"
#include "roundtrip/anna/attention/kernel_attention.h"
#include "roundtrip/anna/lsh/gaussian.h"
#include "roundtrip/base/error.h"
#include "roundtrip/base/fault.h"
#include "roundtrip/base/random.h"

namespace roundtrip::anna {
namespace {

__extension__ using Wide = __int128;

/// Of all distinct vectors of a head's queries or keys: [classes, rank].
struct Features {
  std::vector<std::int64_t> all;
  std::uint64_t largest = 1;  ///< in magnitude
  std::uint32_t rank;

  Features(const FeatureMap& map, const DistinctPoints& points, std::uint32_t dimension, bool query)
      : rank(map.rank()) {
    all.resize(std::size_t{rank} * points.vectors.size());
    for (std::uint32_t c = 0; c < points.vectors.size(); ++c)
      map.of(points.vector(c, dimension), query, std::span(all).subspan(std::size_t{c} * rank, rank));
    for (const std::int64_t x : all) largest = std::max(largest, static_cast<std::uint64_t>(std::abs(x)));
  }
  std::span<const std::int64_t> of(std::uint32_t number) const {
    return std::span(all).subspan(std::size_t{number} * rank, rank);
  }
};

void check_widths(const std::string& name, const Features& queries, const Features& keys,
                  std::uint64_t tokens, double largest_value) {
  const int bits = std::bit_width(queries.largest) + std::bit_width(keys.largest) +
                   std::bit_width(std::uint64_t{keys.rank}) + std::bit_width(tokens) +
                   std::max(1, std::ilogb(std::max(1.0, largest_value)) + 1);
  require(bits <= 126,
          "{} attention: features below {} (queries) and {} (keys), rank {}, {} tokens and values up "
          "to {} need {} bits; 126 are allowed",
          name, queries.largest + 1, keys.largest + 1, keys.rank, tokens, largest_value, bits);
}

/// G [rank, columns] and g [rank] of the keys so far.
class FeatureSums {
 public:
  void reset(std::size_t rank, std::size_t columns) {
    columns_ = columns;
    products_.assign(rank * columns, 0);
    norms_.assign(rank, 0);
    totals_.resize(columns);
  }
  void add_keys(std::span<const std::int64_t> phi, std::uint64_t count) {
    for (std::size_t r = 0; r < phi.size(); ++r) norms_[r] += static_cast<Wide>(phi[r]) * count;
  }
  void add_value(std::span<const std::int64_t> phi, std::size_t column, Wide value) {
    for (std::size_t r = 0; r < phi.size(); ++r) products_[r * columns_ + column] += phi[r] * value;
  }
  /// phi (G, g): totals by column, and the sum of the weights.
  Wide weigh(std::span<const std::int64_t> phi) {
    std::ranges::fill(totals_, 0);
    Wide norm = 0;
    for (std::size_t r = 0; r < phi.size(); ++r) {
      norm += phi[r] * norms_[r];
      for (std::size_t c = 0; c < columns_; ++c) totals_[c] += phi[r] * products_[r * columns_ + c];
    }
    return norm;
  }
  std::span<const Wide> totals() const { return totals_; }

 private:
  std::size_t columns_ = 0;
  std::vector<Wide> products_, norms_, totals_;
};

class FeatureAttention final : public KernelAttention {
 public:
  FeatureAttention(std::string name, MakeFeatures make) : name_(std::move(name)), make_(std::move(make)) {}
  std::string name() const override { return name_; }

 protected:
  void prepare(std::uint32_t dimension, const DistinctPoints& queries, const DistinctPoints& keys,
               const ClassSums& sums) override {
    features_ = make_(dimension);
    phi_.resize(features_->rank());
    const Features of_queries(*features_, queries, dimension, true),
        of_keys(*features_, keys, dimension, false);
    check_widths(name_, of_queries, of_keys, keys.tokens, sums.largest);
    sums_.reset(phi_.size(), sums.columns.size());
    auto sum = sums.sums.begin();
    for (std::uint32_t c = 0; c < keys.vectors.size(); ++c) {
      sums_.add_keys(of_keys.of(c), keys.counts[c]);
      for (; sum != sums.sums.end() && sum->key_class == c; ++sum)
        sums_.add_value(of_keys.of(c), sum->column, sum->value);
    }
  }
  void row(std::span<const std::int32_t> query, const DistinctPoints&, const ClassSums&,
           std::vector<double>& averages) override {
    features_->of(query, true, phi_);
    const Wide norm = sums_.weigh(phi_);
    for (std::size_t c = 0; c < averages.size(); ++c) {
      averages[c] = norm == 0 ? 0 : static_cast<double>(sums_.totals()[c]) / static_cast<double>(norm);
      if (seeded("averages-of-ten-bits")) averages[c] = std::nearbyint(averages[c] * 1024) / 1024;
    }
  }

 private:
  std::string name_;
  MakeFeatures make_;
  std::shared_ptr<const FeatureMap> features_;
  std::vector<std::int64_t> phi_;
  FeatureSums sums_;
};

class CausalFeatureAttention final : public Attention {
 public:
  CausalFeatureAttention(std::string name, MakeFeatures make)
      : name_(std::move(name)), make_(std::move(make)) {}
  std::string name() const override { return name_; }
  void attend(const Codebook& codebook, const HeadInput& head, SparseRows& out) override {
    (void)check_head(codebook, head, 1);
    out.clear();
    if (head.tokens == 0) return;
    const std::uint32_t dimension = codebook.dimension();
    const std::shared_ptr<const FeatureMap> map = make_(dimension);
    const DistinctPoints queries(codebook, head.queries, head.tokens), keys(codebook, head.keys, head.tokens);
    const Features of_queries(*map, queries, dimension, true), of_keys(*map, keys, dimension, false);
    const DenseValues values(head.values, head.tokens);
    double largest = 0;
    for (const std::int64_t value : values.all)
      largest = std::max(largest, std::fabs(static_cast<double>(value)));
    check_widths(name_, of_queries, of_keys, head.tokens, largest);
    std::vector<std::uint64_t> tokens(head.tokens);
    std::iota(tokens.begin(), tokens.end(), std::uint64_t{0});
    const auto query_class = queries.classes_of(tokens), key_class = keys.classes_of(tokens);
    sums_.reset(map->rank(), values.columns.size());
    for (std::uint64_t token = 0; token < head.tokens; ++token) {
      const auto add = [&] {
        const auto phi = of_keys.of(key_class[token]);
        sums_.add_keys(phi, 1);
        const auto row = values.row(token);
        for (std::size_t c = 0; c < row.size(); ++c) {
          if (row[c] != 0) sums_.add_value(phi, c, row[c]);
        }
      };
      const bool own_later = seeded("prefix-without-own");
      if (!own_later) add();
      const Wide norm = sums_.weigh(of_queries.of(query_class[token]));
      if (norm != 0) values.append_average(token, sums_.totals(), norm, out);
      if (own_later) add();
    }
  }

 private:
  std::string name_;
  MakeFeatures make_;
  FeatureSums sums_;
};

}  // namespace

std::unique_ptr<Attention> make_feature_attention(std::string name, MakeFeatures features, bool causal) {
  if (causal) return std::make_unique<CausalFeatureAttention>(std::move(name), std::move(features));
  return std::make_unique<FeatureAttention>(std::move(name), std::move(features));
}

void FeatureProjections::validate(std::string_view name, std::uint32_t rank, std::uint32_t dimension) {
  require(rank >= 1 && rank <= 65536, "{}: rank is {}; allowed are 1 .. 65536", name, rank);
  require(dimension >= 1 && dimension <= 65536, "{}: dimension is {}; allowed are 1 .. 65536", name,
          dimension);
  require(std::uint64_t{rank} * dimension <= 1u << 28, "{}: rank {} times dimension {} is above 2^28", name,
          rank, dimension);
}

FeatureProjections::FeatureProjections(std::uint32_t rank, std::uint32_t dimension, std::uint64_t seed,
                                       std::uint64_t stream)
    : rank_(rank), dimension_(dimension), coefficients_(std::size_t{rank} * dimension) {
  for (std::uint32_t r = 0; r < rank; ++r) {
    for (std::uint32_t i = 0; i < dimension; ++i) {
      // Table numbers of hash functions are below 2^32: these draws are no function's.
      coefficients_[std::size_t{r} * dimension + i] = static_cast<std::int16_t>(
          gaussian(draw(seed, Domain::kHash, ~stream, seeded("one-projection") ? 0 : r, i)));
    }
  }
}

std::int64_t FeatureProjections::dot(std::uint32_t r, std::span<const std::int32_t> x) const {
  const std::int16_t* g = coefficients_.data() + std::size_t{r} * dimension_;
  std::int64_t dot = 0;  // below 2^16 2^31 2^15
  const std::uint32_t used = dimension_ - seeded("last-coordinate");
  for (std::uint32_t i = 0; i < used; ++i) dot += std::int64_t{g[i]} * x[i];
  return dot;
}

WideQuotient rounded_quotient(WideQuotient numerator, WideQuotient denominator) {
  WideQuotient quotient = numerator / denominator;
  const WideQuotient rest = numerator % denominator, twice = rest < 0 ? -2 * rest : 2 * rest;
  if (twice > denominator || (twice == denominator && quotient % 2 != 0)) quotient += rest < 0 ? -1 : 1;
  return quotient;
}

}  // namespace roundtrip::anna
