#include "roundtrip/proofs_check/reference_attention.h"

#include <algorithm>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "roundtrip/anna/attention/low_rank.h"

namespace roundtrip::proofs_check {
namespace {

__extension__ using Int128 = __int128;

using Vector = std::vector<std::int32_t>;

/// The code of a vector in one table: two vectors meet iff their codes are equal.
using Code = std::function<Vector(const Vector&)>;

anna::Symbol symbol_of(const anna::Points& points, std::uint64_t token) {
  const auto it = std::ranges::lower_bound(points.listed, token, {}, &anna::TokenSymbol::token);
  return it != points.listed.end() && it->token == token ? it->symbol : points.default_symbol;
}

Vector vector_of(const anna::Codebook& codebook, anna::Symbol symbol) {
  Vector vector(codebook.dimension());
  codebook.vector(symbol, vector);
  return vector;
}

/// Sums of a query over some keys.
struct Sums {
  std::uint64_t count = 0;
  std::map<std::uint32_t, Int128> columns;
  void add(const Sums& other) {
    count += other.count;
    for (const auto& [column, sum] : other.columns) columns[column] += sum;
  }
};

void write_average(std::uint64_t token, const Sums& sums, double divisor, anna::SparseRows& out) {
  const std::size_t before = out.entries.size();
  for (const auto& [column, sum] : sums.columns) {
    if (sum != 0) out.entries.push_back({column, static_cast<double>(sum) / divisor});
  }
  if (out.entries.size() == before) return;
  out.tokens.push_back(token);
  out.offsets.push_back(out.entries.size());
}

class ReferenceBuckets : public anna::Attention {
 public:
  ReferenceBuckets(std::string name, std::vector<Code> tables, bool sums)
      : name_(std::move(name)), tables_(std::move(tables)), sums_(sums) {}
  std::string name() const override { return name_; }

  void attend(const anna::Codebook& codebook, const anna::HeadInput& head, anna::SparseRows& out) override {
    std::map<anna::Symbol, Sums> totals;  // by the symbol of the query
    for (const Code& table : tables_) {
      std::map<anna::Symbol, Vector> codes;
      const auto code_of = [&](anna::Symbol symbol) -> const Vector& {
        const auto it = codes.find(symbol);
        return it != codes.end() ? it->second
                                 : codes.emplace(symbol, table(vector_of(codebook, symbol))).first->second;
      };
      std::map<Vector, Sums> buckets;
      const std::uint64_t unlisted = head.tokens - head.keys.listed.size();
      if (unlisted > 0) buckets[code_of(head.keys.default_symbol)].count += unlisted;
      for (const anna::TokenSymbol& key : head.keys.listed) ++buckets[code_of(key.symbol)].count;
      for (std::size_t i = 0; i < head.values.tokens.size(); ++i) {
        Sums& bucket = buckets[code_of(symbol_of(head.keys, head.values.tokens[i]))];
        for (const anna::Entry& entry : head.values.row(i))
          bucket.columns[entry.column] += static_cast<Int128>(entry.value);
      }
      std::set<anna::Symbol> asked{head.queries.default_symbol};
      for (const anna::TokenSymbol& query : head.queries.listed) asked.insert(query.symbol);
      for (const anna::Symbol symbol : asked) {
        const auto bucket = buckets.find(code_of(symbol));
        if (bucket != buckets.end()) totals[symbol].add(bucket->second);
      }
    }
    out.clear();
    for (std::uint64_t token = 0; token < head.tokens; ++token) {
      const auto total = totals.find(symbol_of(head.queries, token));
      if (total == totals.end()) continue;
      write_average(token, total->second, static_cast<double>(sums_ ? 1 : total->second.count), out);
    }
  }

 private:
  std::string name_;
  std::vector<Code> tables_;
  bool sums_;
};

class ReferenceLowRank : public anna::Attention {
 public:
  ReferenceLowRank(std::uint32_t rank, std::uint64_t seed) : rank_(rank), seed_(seed) {}
  std::string name() const override { return "reference low rank"; }

  void attend(const anna::Codebook& codebook, const anna::HeadInput& head, anna::SparseRows& out) override {
    const anna::PositiveFeatures features(rank_, seed_, codebook.dimension());
    const auto phi = [&](anna::Symbol symbol) {
      std::vector<std::int64_t> of(rank_);
      features.of(vector_of(codebook, symbol), of);
      return of;
    };
    std::vector<std::vector<std::int64_t>> keys;
    for (std::uint64_t token = 0; token < head.tokens; ++token)
      keys.push_back(phi(symbol_of(head.keys, token)));
    std::vector<anna::EntryView> values(head.tokens);
    for (std::size_t i = 0; i < head.values.tokens.size(); ++i)
      values[head.values.tokens[i]] = head.values.row(i);
    out.clear();
    for (std::uint64_t token = 0; token < head.tokens; ++token) {
      const auto query = phi(symbol_of(head.queries, token));
      Sums sums;
      Int128 weights = 0;
      for (std::uint64_t j = 0; j < head.tokens; ++j) {
        Int128 weight = 0;
        for (std::uint32_t r = 0; r < rank_; ++r) weight += static_cast<Int128>(query[r]) * keys[j][r];
        weights += weight;
        for (const anna::Entry& entry : values[j])
          sums.columns[entry.column] += weight * static_cast<Int128>(entry.value);
      }
      write_average(token, sums, static_cast<double>(weights), out);
    }
  }

 private:
  std::uint32_t rank_;
  std::uint64_t seed_;
};

class ReferenceAverages : public anna::Attention {
 public:
  explicit ReferenceAverages(ReferenceWeights weights) : weights_(std::move(weights)) {}
  std::string name() const override { return "reference averages"; }

  void attend(const anna::Codebook& codebook, const anna::HeadInput& head, anna::SparseRows& out) override {
    ReferenceVectors queries, keys;
    for (std::uint64_t token = 0; token < head.tokens; ++token) {
      queries.push_back(vector_of(codebook, symbol_of(head.queries, token)));
      keys.push_back(vector_of(codebook, symbol_of(head.keys, token)));
    }
    const std::vector<Int128> weights = weights_(queries, keys);
    out.clear();
    for (std::uint64_t token = 0; token < head.tokens; ++token) {
      Sums sums;
      Int128 norm = 0;
      for (std::uint64_t j = 0; j < head.tokens; ++j) norm += weights[token * head.tokens + j];
      for (std::size_t i = 0; i < head.values.tokens.size(); ++i) {
        for (const anna::Entry& entry : head.values.row(i))
          sums.columns[entry.column] +=
              weights[token * head.tokens + head.values.tokens[i]] * static_cast<Int128>(entry.value);
      }
      write_average(token, sums, static_cast<double>(norm), out);
    }
  }

 private:
  ReferenceWeights weights_;
};

}  // namespace

std::unique_ptr<anna::Attention> make_reference_averages(ReferenceWeights weights) {
  return std::make_unique<ReferenceAverages>(std::move(weights));
}

std::unique_ptr<anna::Attention> make_reference_exact_match(bool sums) {
  return std::make_unique<ReferenceBuckets>(
      "reference exact match", std::vector<Code>{[](const Vector& vector) { return vector; }}, sums);
}

std::unique_ptr<anna::Attention> make_reference_anna(const anna::AnnaParameters& parameters) {
  std::vector<Code> tables;
  for (std::uint32_t table = 0; table < parameters.tables; ++table) {
    // Made when the dimension is known, and kept.
    auto hash = std::make_shared<std::unique_ptr<const anna::TableHash>>();
    tables.push_back([parameters, table, hash](const Vector& vector) {
      if (*hash == nullptr)
        *hash = anna::make_table(parameters.functions_of(static_cast<std::uint32_t>(vector.size())), table);
      Vector code;
      for (std::uint32_t f = 0; f < parameters.functions; ++f) {
        const std::uint64_t value = (*hash)->value(f, vector);
        code.push_back(static_cast<std::int32_t>(value >> 32));
        code.push_back(static_cast<std::int32_t>(value & 0xffffffff));
      }
      return code;
    });
  }
  return std::make_unique<ReferenceBuckets>("reference ANNA", std::move(tables), false);
}

std::unique_ptr<anna::Attention> make_reference_low_rank(std::uint32_t rank, std::uint64_t seed) {
  return std::make_unique<ReferenceLowRank>(rank, seed);
}

void Meter::attend(const anna::Codebook& codebook, const anna::HeadInput& head, anna::SparseRows& out) {
  if (before_next_) std::exchange(before_next_, nullptr)();
  ++used_.heads;
  used_.dimension = std::max<std::uint64_t>(used_.dimension, codebook.dimension());
  for (std::size_t row = 0; row < head.values.tokens.size(); ++row) {
    for (const anna::Entry& entry : head.values.row(row))
      used_.dimension = std::max<std::uint64_t>(used_.dimension, entry.column + std::uint64_t{1});
  }
  inner_.attend(codebook, head, out);
}

Meter::Used Meter::take() {
  return std::exchange(used_, {});
}

}  // namespace roundtrip::proofs_check
