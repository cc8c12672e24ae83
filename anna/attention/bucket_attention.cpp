#include "roundtrip/anna/attention/bucket_attention.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "roundtrip/anna/attention/checks.h"
#include "roundtrip/anna/attention/interner.h"
#include "roundtrip/base/error.h"
#include "roundtrip/base/fault.h"

namespace roundtrip::anna {
namespace {

__extension__ using Wide = __int128;

constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();

// Symbols of the current codebook to classes of equal vectors; everything is forgotten when another codebook
// comes.
class SymbolClasses {
 public:
  void use(const Codebook& codebook, Bucketing& bucketing) {
    if (known_ && codebook.identity() == identity_) return;
    known_ = false;  // stays so if the lines below throw
    bucketing.reset(codebook.dimension());
    symbols_.reset(sizeof(Symbol));
    class_of_low_symbol_.assign(std::min(codebook.size(), kLowSymbols), kNone);
    bucket_of_low_symbol_ = class_of_low_symbol_;
    vectors_.reset(sizeof(std::int32_t) * codebook.dimension());
    class_of_symbol_.clear();
    vector_.resize(codebook.dimension());
    identity_ = codebook.identity();
    known_ = true;
  }
  std::uint32_t of(const Codebook& codebook, Symbol symbol, Bucketing& bucketing) {
    if (symbol >= class_of_low_symbol_.size()) return find(codebook, symbol, bucketing);
    if (class_of_low_symbol_[symbol] == kNone)
      class_of_low_symbol_[symbol] = find(codebook, symbol, bucketing);
    return class_of_low_symbol_[symbol];
  }
  /// The bucket of the symbol in table 0.
  std::uint32_t first_bucket(const Codebook& codebook, Symbol symbol, Bucketing& bucketing) {
    if (symbol < bucket_of_low_symbol_.size() && bucket_of_low_symbol_[symbol] != kNone)
      return bucket_of_low_symbol_[symbol];
    const std::uint32_t bucket = bucketing.bucket(0, of(codebook, symbol, bucketing));
    if (symbol < bucket_of_low_symbol_.size()) bucket_of_low_symbol_[symbol] = bucket;
    return bucket;
  }
  std::uint32_t size() const { return vectors_.size(); }

 private:
  static constexpr Symbol kLowSymbols = 1 << 16;  // these are looked up in an array

  std::uint32_t find(const Codebook& codebook, Symbol symbol, Bucketing& bucketing) {
    const std::uint32_t number = symbols_.intern(&symbol);
    if (number < class_of_symbol_.size()) return class_of_symbol_[number];
    known_ = false;
    codebook.vector(symbol, vector_);
    const std::uint32_t classes = vectors_.size();
    const std::uint32_t vector_class = vectors_.intern(vector_.data());
    if (vector_class == classes) bucketing.add_class(vector_);
    class_of_symbol_.push_back(vector_class);
    known_ = true;
    return vector_class;
  }
  bool known_ = false;
  std::uint64_t identity_ = 0;
  RecordInterner symbols_, vectors_;
  std::vector<std::uint32_t> class_of_symbol_;       // by number in symbols_
  std::vector<std::uint32_t> class_of_low_symbol_;   // by symbol, kNone if not asked for yet
  std::vector<std::uint32_t> bucket_of_low_symbol_;  // the same
  std::vector<std::int32_t> vector_;
};

// A map from small integers to dense numbers in order of appearance, cleared in the time it was filled in.
class Numbering {
 public:
  void resize(std::size_t domain) {
    if (number_.size() < domain) number_.resize(domain, kNone);
  }
  std::uint32_t add(std::uint32_t value) {
    if (number_[value] == kNone) {
      number_[value] = static_cast<std::uint32_t>(members_.size());
      members_.push_back(value);
    }
    return number_[value];
  }
  std::uint32_t find(std::uint32_t value) const { return number_[value]; }
  const std::vector<std::uint32_t>& members() const { return members_; }
  void clear() {
    for (const std::uint32_t value : members_) number_[value] = kNone;
    members_.clear();
  }

 private:
  std::vector<std::uint32_t> number_, members_;
};

template <typename Sum>
struct Cell {
  std::uint32_t column;
  Sum sum;
};

// Buffers of the sums, in the integer type that provably holds them.
template <typename Sum>
struct Sums {
  std::vector<std::vector<Cell<Sum>>> by_query;  // [distinct query] ascending columns
  std::vector<Cell<Sum>> bucket, merged;
  std::vector<Sum> dense;  // [largest column so far + 1], all 0 between buckets
};

class BucketAttention final : public Attention {
 public:
  explicit BucketAttention(std::unique_ptr<Bucketing> bucketing) : bucketing_(std::move(bucketing)) {}
  std::string name() const override { return bucketing_->name(); }

  void attend(const Codebook& codebook, const HeadInput& head, SparseRows& out) override {
    const ValueRange range = check_head(codebook, head, bucketing_->tables());
    out.clear();
    classes_.use(codebook, *bucketing_);
    if (bucketing_->tables() == 1) {
      range.fits_int64 ? one_table(codebook, head, range.zeros, narrow_, out)
                       : one_table(codebook, head, range.zeros, wide_, out);
      return;
    }
    read_points(codebook, head);
    range.fits_int64 ? average(head, narrow_, out) : average(head, wide_, out);
  }

 private:
  static constexpr std::uint32_t kEmpty = kNone - 1;

  /// A bucket of the only table.
  struct Bucket {
    std::uint64_t keys = 0;
    std::size_t rows = 0, last_row = 0;  // of values; the others are chained by row_before_
    std::uint32_t place = kNone;         // of its average in the output, or kEmpty
  };

  /// With one table a query's average is its bucket's, which is computed once; the row of a single key is
  /// copied as it is, or borrowed on if it is borrowed. Cost: a few operations a listed point and an entry.
  template <typename Sum>
  void one_table(const Codebook& codebook, const HeadInput& head, bool zeros, Sums<Sum>& sums,
                 SparseRows& out) {
    for (const std::uint32_t bucket : filled_) buckets_[bucket] = {};
    filled_.clear();
    const auto bucket_of = [&](Symbol symbol) {
      const std::uint32_t bucket = classes_.first_bucket(codebook, symbol, *bucketing_);
      if (bucket >= buckets_.size()) buckets_.resize(bucket + std::size_t{1});
      return bucket;
    };
    const auto add_keys = [&](std::uint32_t bucket, std::uint64_t tokens) {
      if (buckets_[bucket].keys == 0) filled_.push_back(bucket);
      buckets_[bucket].keys += tokens;
    };
    const SparseRows& values = head.values;
    row_before_.resize(values.tokens.size());
    std::size_t row = 0;
    const auto add_row = [&](std::uint32_t number) {
      Bucket& bucket = buckets_[number];
      row_before_[row] = bucket.last_row;
      bucket.last_row = row++;
      ++bucket.rows;
    };
    const auto& keys = head.keys.listed;
    std::uint32_t other_keys = kNone;
    const bool uncounted = seeded("weight-denominator");
    if (keys.size() < head.tokens) {
      other_keys = bucket_of(head.keys.default_symbol);
      add_keys(other_keys, head.tokens - keys.size());
    }
    for (const TokenSymbol& point : keys) {
      while (row < values.tokens.size() && values.tokens[row] < point.token) add_row(other_keys);
      const std::uint32_t bucket = bucket_of(point.symbol);
      const bool has_row = row < values.tokens.size() && values.tokens[row] == point.token;
      add_keys(bucket, has_row || !uncounted ? 1 : 0);
      if (has_row) add_row(bucket);
    }
    while (row < values.tokens.size()) add_row(other_keys);

    const auto place = [&](const Bucket& bucket) {
      if (bucket.rows == 1 && bucket.keys == 1 && !zeros) {
        for (const Entry& entry : values.row(bucket.last_row)) out.entries.push_back(entry);
      } else {
        rows_.clear();
        for (std::size_t i = 0, at = bucket.last_row; i < bucket.rows; ++i, at = row_before_[at])
          rows_.push_back(at);
        sum_bucket(values, rows_, sums);
        append_average(sums.bucket, bucket.keys, out.entries);
      }
      return end_row(out);
    };
    bool borrowing = !values.borrowed.empty();
    std::uint32_t other_queries = kNone;
    if (head.queries.listed.size() < head.tokens) other_queries = bucket_of(head.queries.default_symbol);
    if (other_queries != kNone && buckets_[other_queries].rows == 0) other_queries = kNone;
    for_each_query(
        head, other_queries, [&](std::size_t i) { return bucket_of(head.queries.listed[i].symbol); },
        [&](std::uint64_t token, std::uint32_t number) {
          Bucket& bucket = buckets_[number];
          if (bucket.rows == 0) return;
          if (borrowing && bucket.rows == 1 && bucket.keys == 1) {
            out.tokens.push_back(token);
            out.borrowed.push_back(values.borrowed[bucket.last_row]);
            return;
          }
          if (borrowing) {  // an average among them
            borrowing = false;
            out.copy_borrowed();
            out.shared.resize(out.tokens.size());
            std::iota(out.shared.begin(), out.shared.end(), 0);
          }
          if (bucket.place == kNone) bucket.place = place(bucket);
          emit(token, bucket.place, out);
        });
  }

  /// Calls visit(token, number) in the order of tokens: number_of(i) for the i-th listed query, `others` for
  /// those that are not listed, unless it is kNone.
  template <typename NumberOf, typename Visit>
  static void for_each_query(const HeadInput& head, std::uint32_t others, const NumberOf& number_of,
                             const Visit& visit) {
    const auto& listed = head.queries.listed;
    std::uint64_t next = 0;
    for (std::size_t i = 0; i < listed.size(); ++i) {
      for (; others != kNone && next < listed[i].token; ++next) visit(next, others);
      visit(listed[i].token, number_of(i));
      next = listed[i].token + 1;
    }
    for (; others != kNone && next < head.tokens; ++next) visit(next, others);
  }

  template <typename Sum>
  static void append_average(const std::vector<Cell<Sum>>& sums, std::uint64_t total,
                             std::vector<Entry>& entries) {
    for (const Cell<Sum>& cell : sums) {
      if (cell.sum == 0) continue;
      // Both rounded once, then divided once.
      entries.push_back({cell.column, static_cast<double>(cell.sum) / static_cast<double>(total)});
    }
  }
  /// Ends a row at the last entry; returns its number, or kEmpty if it has no entry.
  static std::uint32_t end_row(SparseRows& out) {
    if (out.entries.size() == out.offsets.back()) return kEmpty;
    out.offsets.push_back(out.entries.size());
    return static_cast<std::uint32_t>(out.offsets.size() - 2);
  }
  static void emit(std::uint64_t token, std::uint32_t place, SparseRows& out) {
    if (place == kEmpty) return;
    out.tokens.push_back(token);
    out.shared.push_back(place);
  }

  // Distinct query and key vectors, how many tokens have each key, and the key of every value row.
  void read_points(const Codebook& codebook, const HeadInput& head) {
    queries_.clear(), keys_.clear(), key_counts_.clear();
    query_of_listed_.clear(), class_of_value_.clear();
    const auto class_of = [&](Symbol symbol) {
      const std::uint32_t vector_class = classes_.of(codebook, symbol, *bucketing_);
      queries_.resize(classes_.size()), keys_.resize(classes_.size());
      return vector_class;
    };
    for (const TokenSymbol& point : head.queries.listed)
      query_of_listed_.push_back(queries_.add(class_of(point.symbol)));
    default_query_ = kNone;
    if (head.queries.listed.size() < head.tokens)
      default_query_ = queries_.add(class_of(head.queries.default_symbol));

    const auto count = [&](std::uint32_t vector_class, std::uint64_t tokens) {
      const std::uint32_t key = keys_.add(vector_class);
      if (key == key_counts_.size()) key_counts_.push_back(0);
      key_counts_[key] += tokens;
    };
    std::size_t row = 0;
    const auto& rows = head.values.tokens;
    const auto& listed = head.keys.listed;
    const std::uint64_t unlisted = head.tokens - listed.size();
    const std::uint32_t default_class = unlisted > 0 ? class_of(head.keys.default_symbol) : kNone;
    if (unlisted > 0) count(default_class, unlisted);
    for (const TokenSymbol& point : listed) {
      const std::uint32_t vector_class = class_of(point.symbol);
      count(vector_class, 1);
      for (; row < rows.size() && rows[row] < point.token; ++row) class_of_value_.push_back(default_class);
      if (row < rows.size() && rows[row] == point.token) class_of_value_.push_back(vector_class), ++row;
    }
    class_of_value_.resize(rows.size(), default_class);
  }

  template <typename Sum>
  void average(const HeadInput& head, Sums<Sum>& sums, SparseRows& out) {
    const std::size_t distinct = queries_.members().size();
    if (sums.by_query.size() < distinct) sums.by_query.resize(distinct);
    for (std::size_t q = 0; q < distinct; ++q) sums.by_query[q].clear();
    totals_.assign(distinct, 0);
    if (seeded("pairs-beside")) {  // work that is quadratic and counted by nobody
      volatile std::uint64_t pairs = 0;
      for (std::uint64_t pair = 0; pair < 16 * head.tokens * head.tokens; ++pair) pairs = pairs + 1;
    }
    const std::uint32_t used = bucketing_->tables() - seeded("table-unused");
    for (std::uint32_t table = 0; table < used; ++table) add_table(table, head, sums);

    place_of_query_.assign(distinct, kNone);
    for_each_query(
        head, default_query_, [&](std::size_t i) { return query_of_listed_[i]; },
        [&](std::uint64_t token, std::uint32_t query) {
          std::uint32_t& place = place_of_query_[query];
          if (place == kNone) {
            append_average(sums.by_query[query], totals_[query], out.entries);
            place = end_row(out);
          }
          emit(token, place, out);
        });
  }

  // One table: bucket the keys that some query asks for, sum their values, add sum and count to each query.
  template <typename Sum>
  void add_table(std::uint32_t table, const HeadInput& head, Sums<Sum>& sums) {
    wanted_.clear();
    wanted_.resize(bucketing_->buckets(table));
    for (const std::uint32_t vector_class : queries_.members())
      wanted_.add(bucketing_->bucket(table, vector_class));
    const std::size_t buckets = wanted_.members().size();
    counts_.assign(buckets, 0);
    const bool vectors_alone = seeded("keys-by-vector");
    for (std::size_t key = 0; key < key_counts_.size(); ++key) {
      const std::uint32_t bucket = wanted_.find(bucketing_->bucket(table, keys_.members()[key]));
      if (bucket != kNone) counts_[bucket] += vectors_alone ? 1 : key_counts_[key];
    }
    // Value rows grouped by bucket: a counting sort.
    starts_.assign(buckets + 1, 0);
    bucket_of_value_.clear();
    for (const std::uint32_t vector_class : class_of_value_) {
      const std::uint32_t bucket = wanted_.find(bucketing_->bucket(table, vector_class));
      bucket_of_value_.push_back(bucket);
      if (bucket != kNone) ++starts_[bucket + 1];
    }
    for (std::size_t b = 0; b < buckets; ++b) starts_[b + 1] += starts_[b];
    rows_.resize(starts_.back());
    cursor_.assign(starts_.begin(), starts_.end() - 1);
    for (std::size_t row = 0; row < bucket_of_value_.size(); ++row) {
      if (bucket_of_value_[row] != kNone) rows_[cursor_[bucket_of_value_[row]]++] = row;
    }
    group_queries(table, buckets);
    for (std::size_t b = 0; b < buckets; ++b) {
      sum_bucket(head.values, std::span(rows_).subspan(starts_[b], starts_[b + 1] - starts_[b]), sums);
      for (std::size_t i = query_starts_[b]; i < query_starts_[b + 1]; ++i) {
        const std::uint32_t query = query_rows_[i];
        totals_[query] += counts_[b];
        merge(sums.bucket, sums.by_query[query], sums.merged);
      }
    }
  }

  void group_queries(std::uint32_t table, std::size_t buckets) {
    const auto& members = queries_.members();
    query_starts_.assign(buckets + 1, 0);
    const auto bucket_of = [&](std::uint32_t vector_class) {
      return wanted_.find(bucketing_->bucket(table, vector_class));
    };
    for (const std::uint32_t vector_class : members) ++query_starts_[bucket_of(vector_class) + 1];
    for (std::size_t b = 0; b < buckets; ++b) query_starts_[b + 1] += query_starts_[b];
    cursor_.assign(query_starts_.begin(), query_starts_.end() - 1);
    query_rows_.resize(members.size());
    for (std::uint32_t q = 0; q < members.size(); ++q) query_rows_[cursor_[bucket_of(members[q])]++] = q;
  }

  template <typename Sum>
  void sum_bucket(const SparseRows& values, std::span<const std::size_t> rows, Sums<Sum>& sums) {
    sums.bucket.clear();
    if (rows.size() == 1) {
      for (const Entry& entry : values.row(rows[0]))
        sums.bucket.push_back({entry.column, static_cast<Sum>(entry.value)});
      return;
    }
    touched_.clear();
    for (const std::size_t row : rows.first(rows.size() - (!rows.empty() && seeded("last-value")))) {
      if (const EntryView entries = values.row(row);
          !entries.empty() && entries.back().column >= sums.dense.size())
        sums.dense.resize(entries.back().column + std::size_t{1}, 0);
      for (const Entry& entry : values.row(row)) {
        if (sums.dense[entry.column] == 0) touched_.push_back(entry.column);
        sums.dense[entry.column] += static_cast<Sum>(entry.value);
      }
    }
    std::sort(touched_.begin(), touched_.end());
    for (const std::uint32_t column : touched_) {  // a column is listed twice if its sum passed through 0
      if (sums.dense[column] != 0) sums.bucket.push_back({column, std::exchange(sums.dense[column], 0)});
    }
  }

  template <typename Sum>
  static void merge(const std::vector<Cell<Sum>>& from, std::vector<Cell<Sum>>& into,
                    std::vector<Cell<Sum>>& scratch) {
    if (from.empty()) return;
    if (into.empty()) {
      into = from;
      return;
    }
    scratch.clear();
    std::size_t i = 0, j = 0;
    while (i < from.size() && j < into.size()) {
      if (from[i].column < into[j].column) {
        scratch.push_back(from[i++]);
      } else if (from[i].column > into[j].column) {
        scratch.push_back(into[j++]);
      } else {
        scratch.push_back({from[i].column, from[i].sum + into[j].sum}), ++i, ++j;
      }
    }
    for (; i < from.size(); ++i) scratch.push_back(from[i]);
    for (; j < into.size(); ++j) scratch.push_back(into[j]);
    std::swap(scratch, into);
  }

  std::unique_ptr<Bucketing> bucketing_;
  SymbolClasses classes_;
  // Of the head at hand:
  Numbering queries_, keys_;                    // distinct vectors, by class
  std::vector<std::uint32_t> query_of_listed_;  // [listed queries] number in queries_
  std::uint32_t default_query_ = kNone;
  std::vector<std::uint32_t> place_of_query_;  // [distinct queries] of its average in the output
  std::vector<std::uint64_t> key_counts_;      // [distinct keys] tokens
  std::vector<std::uint32_t> class_of_value_;  // [value rows]
  std::vector<std::uint64_t> totals_;          // [distinct queries] T
  Sums<std::int64_t> narrow_;
  Sums<Wide> wide_;
  // Of the head at hand, with one table:
  std::vector<Bucket> buckets_;          // [buckets]
  std::vector<std::uint32_t> filled_;    // that keys fall into
  std::vector<std::size_t> row_before_;  // [value rows] the row before in the same bucket
  // Of the table at hand:
  Numbering wanted_;                            // buckets that some query asks for
  std::vector<std::uint64_t> counts_;           // [wanted buckets]
  std::vector<std::uint32_t> bucket_of_value_;  // [value rows]
  std::vector<std::size_t> starts_, cursor_, rows_, query_starts_;
  std::vector<std::uint32_t> query_rows_, touched_;
};

// Table by table, tokens in their order: a token's key joins its bucket, then its query reads its bucket.
class CausalBucketAttention final : public Attention {
 public:
  explicit CausalBucketAttention(std::unique_ptr<Bucketing> bucketing) : bucketing_(std::move(bucketing)) {}
  std::string name() const override { return bucketing_->name(); }

  void attend(const Codebook& codebook, const HeadInput& head, SparseRows& out) override {
    (void)check_head(codebook, head, bucketing_->tables());
    out.clear();
    classes_.use(codebook, *bucketing_);
    const std::vector<std::uint32_t> queries = classes_of(codebook, head.queries, head.tokens);
    const std::vector<std::uint32_t> keys = classes_of(codebook, head.keys, head.tokens);
    std::size_t columns = 0;
    for (std::size_t row = 0; row < head.values.tokens.size(); ++row) {
      const EntryView entries = head.values.row(row);
      if (!entries.empty()) columns = std::max<std::size_t>(columns, entries.back().column + std::size_t{1});
    }
    std::vector<Wide> sums(head.tokens * columns, 0), in_bucket;
    std::vector<std::uint64_t> totals(head.tokens, 0), keys_in_bucket;
    for (std::uint32_t table = 0; table < bucketing_->tables(); ++table) {
      in_bucket.assign(bucketing_->buckets(table) * columns, 0);
      keys_in_bucket.assign(bucketing_->buckets(table), 0);
      std::size_t row = 0;
      const auto join = [&](std::uint64_t token) {
        const std::size_t bucket = bucketing_->bucket(table, keys[token]);
        ++keys_in_bucket[bucket];
        if (row == head.values.tokens.size() || head.values.tokens[row] != token) return;
        for (const Entry& entry : head.values.row(row++))
          in_bucket[bucket * columns + entry.column] += static_cast<Wide>(entry.value);
      };
      for (std::uint64_t token = 0; token < head.tokens; ++token) {
        join(token);
        const std::size_t bucket = bucketing_->bucket(table, queries[token]);
        totals[token] += keys_in_bucket[bucket];
        for (std::size_t c = 0; c < columns; ++c)
          sums[token * columns + c] += in_bucket[bucket * columns + c];
      }
    }
    for (std::uint64_t token = 0; token < head.tokens; ++token) {
      for (std::size_t c = 0; c < columns; ++c) {
        const Wide sum = sums[token * columns + c];
        if (sum == 0) continue;  // both rounded once, then divided once
        out.entries.push_back(
            {static_cast<std::uint32_t>(c), static_cast<double>(sum) / static_cast<double>(totals[token])});
      }
      if (out.entries.size() == out.offsets.back()) continue;
      out.tokens.push_back(token);
      out.offsets.push_back(out.entries.size());
    }
  }

 private:
  /// [tokens]
  std::vector<std::uint32_t> classes_of(const Codebook& codebook, const Points& points,
                                        std::uint64_t tokens) {
    std::vector<std::uint32_t> all(tokens, kNone);
    for (const TokenSymbol& point : points.listed)
      all[point.token] = classes_.of(codebook, point.symbol, *bucketing_);
    if (points.listed.size() == tokens) return all;
    const std::uint32_t other = classes_.of(codebook, points.default_symbol, *bucketing_);
    std::replace(all.begin(), all.end(), kNone, other);
    return all;
  }

  std::unique_ptr<Bucketing> bucketing_;
  SymbolClasses classes_;
};

}  // namespace

std::unique_ptr<Attention> make_causal_bucket_attention(std::unique_ptr<Bucketing> bucketing) {
  return std::make_unique<CausalBucketAttention>(std::move(bucketing));
}

std::unique_ptr<Attention> make_bucket_attention(std::unique_ptr<Bucketing> bucketing) {
  return std::make_unique<BucketAttention>(std::move(bucketing));
}

}  // namespace roundtrip::anna
