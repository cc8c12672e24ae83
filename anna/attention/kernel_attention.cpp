#include "roundtrip/anna/attention/kernel_attention.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <optional>

#include "roundtrip/anna/attention/checks.h"
#include "roundtrip/anna/attention/interner.h"
#include "roundtrip/anna/lsh/gaussian.h"
#include "roundtrip/base/error.h"
#include "roundtrip/base/fixed_point.h"
#include "roundtrip/base/random.h"

namespace roundtrip::anna {
namespace {

__extension__ using Wide = __int128;

// The distinct vectors among one head's queries or keys, numbered by the first token that has them, so that
// nothing depends on how a codebook numbers its symbols.
struct Distinct {
  RecordInterner vectors;
  std::vector<std::uint64_t> counts;     // [classes] tokens that have the vector
  std::vector<std::uint32_t> of_listed;  // class of listed token number i
  std::uint32_t of_others = 0;           // class of tokens that are not listed, if any
  std::uint64_t tokens = 0;
  std::span<const TokenSymbol> listed;

  Distinct(const Codebook& codebook, const Points& points, std::uint64_t n)
      : tokens(n), listed(points.listed) {
    std::vector<std::int32_t> vector(codebook.dimension());
    vectors.reset(sizeof(std::int32_t) * vector.size());
    RecordInterner symbols;
    symbols.reset(sizeof(Symbol));
    std::vector<std::uint32_t> class_of_symbol;
    const auto class_of = [&](Symbol symbol, std::uint64_t how_many) {
      const std::uint32_t number = symbols.intern(&symbol);
      if (number == class_of_symbol.size()) {
        codebook.vector(symbol, vector);
        class_of_symbol.push_back(vectors.intern(vector.data()));
        counts.resize(vectors.size(), 0);
      }
      counts[class_of_symbol[number]] += how_many;
      return class_of_symbol[number];
    };
    const std::uint64_t others = n - listed.size();
    bool others_seen = others == 0;
    for (std::size_t i = 0; i < listed.size(); ++i) {
      if (!others_seen && listed[i].token > i)
        of_others = class_of(points.default_symbol, others), others_seen = true;
      of_listed.push_back(class_of(listed[i].symbol, 1));
    }
    if (!others_seen) of_others = class_of(points.default_symbol, others);
  }
  std::span<const std::int32_t> vector(std::uint32_t number, std::size_t dimension) const {
    return {reinterpret_cast<const std::int32_t*>(vectors.record(number)), dimension};
  }
  // The class of each of `asked`, tokens that ascend.
  std::vector<std::uint32_t> classes_of(std::span<const std::uint64_t> asked) const {
    std::vector<std::uint32_t> out;
    std::size_t i = 0;
    for (const std::uint64_t token : asked) {
      while (i < listed.size() && listed[i].token < token) ++i;
      out.push_back(i < listed.size() && listed[i].token == token ? of_listed[i] : of_others);
    }
    return out;
  }
};

// Sums of value rows by class of key.
struct ClassSums {
  struct Sum {
    std::uint32_t key_class, column;  // column: a number in `columns`
    Wide value;
  };
  std::vector<std::uint32_t> columns;  // that have a value at all, ascending
  std::vector<Sum> sums;               // by class, then column
  double largest = 0;                  // |v|

  ClassSums(const Distinct& keys, const SparseRows& values) {
    for (std::size_t row = 0; row < values.tokens.size(); ++row)
      for (const Entry& entry : values.row(row)) columns.push_back(entry.column);
    std::sort(columns.begin(), columns.end());
    columns.erase(std::unique(columns.begin(), columns.end()), columns.end());
    const std::vector<std::uint32_t> classes = keys.classes_of(values.tokens);
    for (std::size_t row = 0; row < classes.size(); ++row) {
      for (const Entry& entry : values.row(row)) {
        const auto column = std::lower_bound(columns.begin(), columns.end(), entry.column) - columns.begin();
        sums.push_back({classes[row], static_cast<std::uint32_t>(column), static_cast<Wide>(entry.value)});
        largest = std::max(largest, std::fabs(entry.value));
      }
    }
    const auto place = [](const Sum& s) { return std::uint64_t{s.key_class} << 32 | s.column; };
    std::stable_sort(sums.begin(), sums.end(),
                     [&](const Sum& a, const Sum& b) { return place(a) < place(b); });
    std::size_t kept = 0;
    for (const Sum& sum : sums) {
      if (kept > 0 && place(sums[kept - 1]) == place(sum)) {
        sums[kept - 1].value += sum.value;
      } else {
        sums[kept++] = sum;
      }
    }
    sums.resize(kept);
  }
};

// A query's output depends on its vector alone: one row for each distinct query, copied to the tokens.
class WeighsEveryKey : public Attention {
 public:
  void attend(const Codebook& codebook, const HeadInput& head, SparseRows& out) final {
    check_head(codebook, head, 1);
    require(head.tokens > 0, "{} attention over no tokens: every denominator would be 0", name());
    const Distinct queries(codebook, head.queries, head.tokens), keys(codebook, head.keys, head.tokens);
    const ClassSums sums(keys, head.values);
    prepare(codebook.dimension(), queries, keys, sums);
    std::vector<std::vector<Entry>> rows(queries.vectors.size());
    std::vector<double> averages(sums.columns.size());
    for (std::uint32_t c = 0; c < rows.size(); ++c) {
      row(queries.vector(c, codebook.dimension()), keys, sums, averages);
      for (std::size_t i = 0; i < averages.size(); ++i) {
        if (averages[i] != 0) rows[c].push_back({sums.columns[i], averages[i]});
      }
    }
    out.clear();
    std::size_t next = 0;
    for (std::uint64_t token = 0; token < head.tokens; ++token) {
      const bool is_listed = next < queries.listed.size() && queries.listed[next].token == token;
      const std::vector<Entry>& mine = rows[is_listed ? queries.of_listed[next++] : queries.of_others];
      if (mine.empty()) continue;
      out.tokens.push_back(token);
      out.entries.insert(out.entries.end(), mine.begin(), mine.end());
      out.offsets.push_back(out.entries.size());
    }
  }

 protected:
  virtual void prepare(std::uint32_t dimension, const Distinct& queries, const Distinct& keys,
                       const ClassSums& sums) = 0;
  // averages[i]: of column sums.columns[i].
  virtual void row(std::span<const std::int32_t> query, const Distinct& keys, const ClassSums& sums,
                   std::vector<double>& averages) = 0;
};

class ModelSoftmax final : public WeighsEveryKey {
 public:
  explicit ModelSoftmax(double scale) : scale_(scale) {
    require(std::isfinite(scale), "softmax: scale is {}; it must be finite", scale);
  }
  std::string name() const override { return "softmax"; }

 protected:
  void prepare(std::uint32_t, const Distinct&, const Distinct& keys, const ClassSums& sums) override {
    const int bits = static_cast<int>(kSoftmaxWeightBits) + std::bit_width(keys.tokens) +
                     std::max(1, std::ilogb(std::max(1.0, sums.largest)) + 1);
    require(bits <= 126, "softmax: weights, {} tokens and values up to {} need {} bits; 126 are allowed",
            keys.tokens, sums.largest, bits);
    weights_.resize(keys.vectors.size());
    scores_.resize(keys.vectors.size());
    totals_.resize(sums.columns.size());
  }
  void row(std::span<const std::int32_t> query, const Distinct& keys, const ClassSums& sums,
           std::vector<double>& averages) override {
    for (std::uint32_t c = 0; c < scores_.size(); ++c) {
      const auto key = keys.vector(c, query.size());
      Wide dot = 0;
      for (std::size_t i = 0; i < query.size(); ++i) dot += std::int64_t{query[i]} * key[i];
      scores_[c] = dot;
    }
    const Wide top = scale_ < 0 ? *std::min_element(scores_.begin(), scores_.end())
                                : *std::max_element(scores_.begin(), scores_.end());
    Wide norm = 0;
    for (std::size_t c = 0; c < scores_.size(); ++c) {
      weights_[c] = softmax_weight(scale_, scores_[c] - top);
      norm += static_cast<Wide>(weights_[c]) * keys.counts[c];
    }
    std::fill(totals_.begin(), totals_.end(), 0);
    for (const ClassSums::Sum& sum : sums.sums) totals_[sum.column] += weights_[sum.key_class] * sum.value;
    for (std::size_t c = 0; c < totals_.size(); ++c)
      averages[c] = static_cast<double>(totals_[c]) / static_cast<double>(norm);
  }

 private:
  double scale_;
  std::vector<Wide> scores_;  // [key classes] <q, k>
  std::vector<std::int64_t> weights_;
  std::vector<Wide> totals_;  // [columns]
};

class ModelLowRank final : public WeighsEveryKey {
 public:
  ModelLowRank(std::uint32_t rank, std::uint64_t seed) : rank_(rank), seed_(seed) {
    PositiveFeatures::validate(rank, 1);
  }
  std::string name() const override { return "low_rank"; }

 protected:
  void prepare(std::uint32_t dimension, const Distinct& queries, const Distinct& keys,
               const ClassSums& sums) override {
    features_.emplace(rank_, seed_, dimension);
    phi_.resize(rank_);
    std::uint64_t largest[2] = {1, 1};
    for (const Distinct* points : {&queries, &keys}) {
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
            "to {} "
            "need {} bits; 126 are allowed",
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
  void row(std::span<const std::int32_t> query, const Distinct&, const ClassSums& sums,
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
      projections_[std::size_t{r} * dimension + i] =
          static_cast<std::int16_t>(gaussian(draw(seed, Domain::kHash, ~std::uint64_t{2}, r, i)));
    }
  }
}

void PositiveFeatures::of(std::span<const std::int32_t> x, std::span<std::int64_t> out) const {
  for (std::uint32_t r = 0; r < rank_; ++r) {
    const std::int16_t* g = projections_.data() + std::size_t{r} * dimension_;
    std::int64_t dot = 0;  // below 2^16 2^31 2^15
    for (std::uint32_t i = 0; i < dimension_; ++i) dot += std::int64_t{g[i]} * x[i];
    std::int64_t quotient = dot / kGaussianSigma;
    const std::int64_t twice = 2 * (dot % kGaussianSigma);
    if (twice > kGaussianSigma || (twice == kGaussianSigma && quotient % 2 != 0)) ++quotient;
    out[r] = std::max<std::int64_t>(1, quotient);  // negative quotients, whatever their rounding, give 1
  }
}

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

std::int64_t softmax_weight(double scale, Wide below) {
  return round_scaled(exponential(scale * static_cast<double>(below)), kSoftmaxWeightBits - 1);
}

std::unique_ptr<Attention> make_model_softmax(double scale) {
  return std::make_unique<ModelSoftmax>(scale);
}
std::unique_ptr<Attention> make_model_low_rank(std::uint32_t rank, std::uint64_t seed) {
  return std::make_unique<ModelLowRank>(rank, seed);
}

}  // namespace roundtrip::anna
