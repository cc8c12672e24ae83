// The quadratic oracles. They share with what they check the definition of the hash functions alone: dense
// vectors, every pair, every table, no codebook symbols, no buckets.
#include <algorithm>

#include "roundtrip/anna/attention/anna.h"
#include "roundtrip/anna/attention/exact_match.h"
#include "roundtrip/anna/attention/state_space.h"
#include "roundtrip/anna/lsh/family.h"
#include "roundtrip/base/error.h"

namespace roundtrip::anna {
namespace {

__extension__ using Wide = __int128;

class BruteForce : public Attention {
 public:
  explicit BruteForce(bool causal) : causal_(causal) {}
  void attend(const Codebook& codebook, const HeadInput& head, SparseRows& out) final {
    const std::size_t n = head.tokens, d = codebook.dimension();
    const std::vector<std::int32_t> queries = dense_points(codebook, head.queries, n);
    const std::vector<std::int32_t> keys = dense_points(codebook, head.keys, n);
    std::size_t columns = 0;
    std::vector<std::int64_t> row_of(n, -1);  // of token j in head.values
    for (std::size_t i = 0; i < head.values.tokens.size(); ++i) {
      row_of[head.values.tokens[i]] = static_cast<std::int64_t>(i);
      for (const Entry& entry : head.values.row(i))
        columns = std::max<std::size_t>(columns, entry.column + std::size_t{1});
    }
    prepare(queries, keys, n, d);
    out.clear();
    for (std::size_t i = 0; i < n; ++i) {
      std::vector<Wide> sum(columns, 0);
      Wide total = 0;
      for (std::size_t j = 0; j < (causal_ ? i + 1 : n); ++j) {
        const std::int64_t weight = collisions(i, j);
        if (weight == 0) continue;
        total += weight;
        if (row_of[j] < 0) continue;
        for (const Entry& entry : head.values.row(static_cast<std::size_t>(row_of[j]))) {
          sum[entry.column] += weight * static_cast<Wide>(entry.value);
        }
      }
      const std::size_t before = out.entries.size();
      for (std::size_t c = 0; c < columns; ++c) {
        if (sum[c] == 0) continue;
        out.entries.push_back(
            {static_cast<std::uint32_t>(c), static_cast<double>(sum[c]) / static_cast<double>(total)});
      }
      if (out.entries.size() == before) continue;
      out.tokens.push_back(i);
      out.offsets.push_back(out.entries.size());
    }
  }

 protected:
  virtual void prepare(const std::vector<std::int32_t>& queries, const std::vector<std::int32_t>& keys,
                       std::size_t n, std::size_t d) = 0;
  virtual std::int64_t collisions(std::size_t i, std::size_t j) const = 0;  // c_ij

 private:
  const bool causal_;
  // [n, d]
  static std::vector<std::int32_t> dense_points(const Codebook& codebook, const Points& points,
                                                std::size_t n) {
    std::vector<Symbol> symbols(n, points.default_symbol);
    for (const TokenSymbol& point : points.listed) symbols.at(point.token) = point.symbol;
    const std::size_t d = codebook.dimension();
    std::vector<std::int32_t> dense(n * d);
    for (std::size_t i = 0; i < n; ++i) codebook.vector(symbols[i], std::span(dense).subspan(i * d, d));
    return dense;
  }
};

class BruteForceExactMatch final : public BruteForce {
 public:
  using BruteForce::BruteForce;
  std::string name() const override { return "brute-force ema"; }

 protected:
  void prepare(const std::vector<std::int32_t>& queries, const std::vector<std::int32_t>& keys, std::size_t,
               std::size_t d) override {
    queries_ = queries, keys_ = keys, d_ = d;
  }
  std::int64_t collisions(std::size_t i, std::size_t j) const override {
    for (std::size_t k = 0; k < d_; ++k) {
      if (queries_[i * d_ + k] != keys_[j * d_ + k]) return 0;
    }
    return 1;
  }

 private:
  std::vector<std::int32_t> queries_, keys_;
  std::size_t d_ = 0;
};

class BruteForceAnna final : public BruteForce {
 public:
  explicit BruteForceAnna(const AnnaParameters& parameters)
      : BruteForce(parameters.causal), parameters_(parameters) {
    parameters.validate();
  }
  std::string name() const override { return "brute-force anna"; }

 protected:
  void prepare(const std::vector<std::int32_t>& queries, const std::vector<std::int32_t>& keys, std::size_t n,
               std::size_t d) override {
    const FamilyParameters family = parameters_.functions_of(static_cast<std::uint32_t>(d));
    code_words_ = make_table(family, 0)->code_words();
    words_ = code_words_ * parameters_.tables;
    const auto codes = [&](const std::vector<std::int32_t>& points) {
      std::vector<std::uint64_t> all(n * words_);
      for (std::uint32_t t = 0; t < parameters_.tables; ++t) {
        const auto hash = make_table(family, t);
        for (std::size_t i = 0; i < n; ++i) {
          hash->code(std::span(points).subspan(i * d, d),
                     std::span(all).subspan(i * words_ + t * code_words_, code_words_));
        }
      }
      return all;
    };
    query_codes_ = codes(queries), key_codes_ = codes(keys);
  }
  std::int64_t collisions(std::size_t i, std::size_t j) const override {
    std::int64_t count = 0;
    for (std::size_t t = 0; t < parameters_.tables; ++t) {
      bool equal = true;
      for (std::size_t w = 0; w < code_words_; ++w) {
        equal = equal && query_codes_[i * words_ + t * code_words_ + w] ==
                             key_codes_[j * words_ + t * code_words_ + w];
      }
      count += equal;
    }
    return count;
  }

 private:
  AnnaParameters parameters_;
  std::size_t code_words_ = 0, words_ = 0;              // of one table, of all tables
  std::vector<std::uint64_t> query_codes_, key_codes_;  // [n, words]
};

class BruteForceStateSpace final : public BruteForce {
 public:
  BruteForceStateSpace() : BruteForce(true) {}
  std::string name() const override { return "brute-force state_space"; }

 protected:
  void prepare(const std::vector<std::int32_t>& queries, const std::vector<std::int32_t>& keys, std::size_t,
               std::size_t d) override {
    queries_ = queries, keys_ = keys, d_ = d;
  }
  /// The weight of the channels that key j was the last to open when query i reads.
  std::int64_t collisions(std::size_t i, std::size_t j) const override {
    std::int64_t weight = 0;
    for (std::size_t r = 0; r < d_; ++r) {
      bool last = keys_[j * d_ + r] > 0;
      for (std::size_t later = j + 1; later <= i; ++later) last = last && keys_[later * d_ + r] <= 0;
      if (last) weight += std::max<std::int64_t>(0, queries_[i * d_ + r]);
    }
    return weight;
  }

 private:
  std::vector<std::int32_t> queries_, keys_;
  std::size_t d_ = 0;
};

}  // namespace

std::unique_ptr<Attention> make_brute_force_state_space() {
  return std::make_unique<BruteForceStateSpace>();
}
std::unique_ptr<Attention> make_brute_force_exact_match(bool causal) {
  return std::make_unique<BruteForceExactMatch>(causal);
}
std::unique_ptr<Attention> make_brute_force_anna(const AnnaParameters& parameters) {
  return std::make_unique<BruteForceAnna>(parameters);
}

}  // namespace roundtrip::anna
