// ANNA and exact match on dense matrices, a table at a time:
//   codes      of all keys and queries, 16 at a time (lsh/family.h)
//   partition  both by the top bits of a bijective mix of the code (counting sort), so that a partition fits
//   the cache join       in each partition: an open-addressing table of the keys' codes, queries looked up,
//   both grouped by bucket add        each bucket that has keys and queries: the sum of its value rows, in
//   registers, added to each query's total
// Threads share codes and partitions; a query has one bucket in a table, so no total is written by two
// threads.
#include <omp.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <chrono>
#include <cstring>
#include <exception>
#include <limits>
#include <optional>

#include "anna/dense.h"
#include "anna/dense_codes.h"
#include "anna/huge_array.h"
#include "anna/interner.h"
#include "anna/kernels/kernels.h"
#include "base/error.h"
#include "base/rational.h"

namespace roundtrip::anna {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Where the codes of a table come from.
class Coder {
 public:
  virtual ~Coder() = default;
  virtual std::string name() const = 0;
  virtual std::uint32_t tables() const = 0;
  virtual void prepare(const DenseHead& head) = 0;  // and the first table
  virtual void use_table(std::uint32_t table) = 0;  // by one thread, while none is in code()
  virtual std::size_t words() const = 0;            // of a code; two are equal iff all words are
  // The codes of the queries or keys in the part'th of `parts` shares. Returns the hash functions evaluated.
  virtual std::uint64_t code(bool queries, std::size_t part, std::size_t parts, const Kernels& kernels,
                             std::uint64_t* codes) const = 0;
};

// The code is the vector itself.
class ExactCoder final : public Coder {
 public:
  std::string name() const override { return "ema"; }
  std::uint32_t tables() const override { return 1; }
  void prepare(const DenseHead& head) override { head_ = &head; }
  void use_table(std::uint32_t) override {}
  std::size_t words() const override { return ceil_div(std::uint64_t{2} * head_->keys.columns, 8); }
  std::uint64_t code(bool queries, std::size_t part, std::size_t parts, const Kernels&,
                     std::uint64_t* codes) const override {
    const FixedRows& rows = queries ? head_->queries : head_->keys;
    for (std::uint64_t i = share(rows.rows, part, parts); i < share(rows.rows, part + 1, parts); ++i) {
      codes[(i + 1) * words() - 1] = 0;  // the end of the last word may lie beyond the row
      std::memcpy(codes + i * words(), rows.row(i).data(), sizeof(std::int16_t) * rows.columns);
    }
    return 0;
  }

 private:
  const DenseHead* head_ = nullptr;
};

class HashCoder final : public Coder {
 public:
  explicit HashCoder(const AnnaParameters& parameters) : parameters_(parameters) {}
  std::string name() const override { return "anna"; }
  std::uint32_t tables() const override { return parameters_.tables; }
  void prepare(const DenseHead& head) override { codes_.emplace(parameters_, head.queries, head.keys); }
  void use_table(std::uint32_t table) override { codes_->use_table(table); }
  std::size_t words() const override { return codes_->words(); }
  std::uint64_t code(bool queries, std::size_t part, std::size_t parts, const Kernels& kernels,
                     std::uint64_t* codes) const override {
    return codes_->of_rows(queries, part, parts, kernels, codes);
  }

 private:
  AnnaParameters parameters_;
  std::optional<DenseCodes> codes_;
};

struct Record {
  std::uint64_t mixed;  // the code, mixed bijectively
  std::uint32_t row;
};

// Rows sorted by partition, the top `bits` bits of the mixed code: each of `parts` threads counts its share
// and, behind a barrier, moves it.
class Partitioned {
 public:
  Partitioned(std::size_t rows, std::uint32_t bits, std::size_t most_parts)
      : bits_(bits), records_(rows), starts_((std::size_t{1} << bits) + 1), counts_(most_parts) {}

  void count(const std::uint64_t* codes, std::size_t part, std::size_t parts) {
    std::vector<std::size_t>& mine = counts_[part];
    mine.assign(starts_.size() - 1, 0);
    const std::size_t end = share(records_.size(), part + 1, parts);
    for (std::size_t i = share(records_.size(), part, parts); i < end; ++i) ++mine[partition(mix(codes[i]))];
  }
  void move(const std::uint64_t* codes, std::size_t part, std::size_t parts) {
    std::vector<std::size_t> to(starts_.size() - 1);
    std::size_t sum = 0;
    for (std::size_t p = 0; p < to.size(); ++p) {
      if (part == 0) starts_[p] = sum;
      for (std::size_t u = 0; u < parts; ++u) {
        if (u == part) to[p] = sum;
        sum += counts_[u][p];
      }
    }
    if (part == 0) starts_.back() = sum;
    const std::size_t end = share(records_.size(), part + 1, parts);
    for (std::size_t i = share(records_.size(), part, parts); i < end; ++i) {
      const std::uint64_t mixed = mix(codes[i]);
      records_[to[partition(mixed)]++] = {mixed, static_cast<std::uint32_t>(i)};
    }
  }
  std::span<const Record> operator[](std::size_t p) const {
    return {records_.data() + starts_[p], starts_[p + 1] - starts_[p]};
  }

 private:
  static std::uint64_t mix(std::uint64_t code) {
    code *= 0x9E3779B97F4A7C15u;  // odd: a bijection, so equal mixes are equal codes
    return code ^ code >> 32;     // so is this
  }
  std::size_t partition(std::uint64_t mixed) const { return bits_ == 0 ? 0 : mixed >> (64 - bits_); }

  std::uint32_t bits_;
  HugeArray<Record> records_;
  std::vector<std::size_t> starts_;               // [partitions + 1]
  std::vector<std::vector<std::size_t>> counts_;  // [parts, partitions]
};

// Codes of several words become numbers.
void number(const HugeArray<std::uint64_t>& key_words, const HugeArray<std::uint64_t>& query_words,
            std::size_t words, HugeArray<std::uint64_t>& keys, HugeArray<std::uint64_t>& queries) {
  RecordInterner seen;
  seen.reset(sizeof(std::uint64_t) * words);
  for (std::size_t i = 0; i < keys.size(); ++i) keys[i] = seen.intern(&key_words[i * words]);
  for (std::size_t i = 0; i < queries.size(); ++i) queries[i] = seen.intern(&query_words[i * words]);
}

// What a thread threw: an exception must not leave a parallel region.
class Failure {
 public:
  template <typename Work>
  void guard(const Work& work) {
    try {
      work();
    } catch (...) {
      if (!failed_.exchange(true)) what_ = std::current_exception();
    }
  }
  explicit operator bool() const { return failed_; }
  void rethrow() const {
    if (what_) std::rethrow_exception(what_);
  }

 private:
  std::atomic<bool> failed_ = false;
  std::exception_ptr what_;
};

// One thread's buffers for a partition's join: keys and queries of equal codes are chained, and the chains of
// codes that have both are laid out one behind the other. Numbers in chains are places in the partition + 1,
// 0 ends them.
struct Join {
  std::vector<std::uint32_t> slots;                 // the first key of a code
  std::vector<std::uint32_t> next_key, next_query;  // [keys], [queries]
  std::vector<std::uint32_t> first_query;           // [keys], of the code whose first key it is
  std::vector<std::uint32_t> wanted;                // first keys of codes that queries have
  std::vector<std::uint32_t> key_starts, query_starts, keys, queries;  // rows, code after code of `wanted`
};

void join_partition(std::span<const Record> keys, std::span<const Record> queries,
                    std::uint32_t partition_bits, Join& j) {
  const std::uint32_t slot_bits = std::min(62 - partition_bits, ceil_log(2, 2 * keys.size() + 1));
  const std::uint64_t mask = (std::uint64_t{1} << slot_bits) - 1;
  const std::uint32_t shift = 64 - partition_bits - slot_bits;
  j.slots.assign(mask + 1, 0);
  j.next_key.resize(keys.size()), j.first_query.resize(keys.size()), j.next_query.resize(queries.size());
  std::uint32_t* const slots = j.slots.data();
  // The slot of a code, or the free one where it would be.
  const auto find = [&](std::uint64_t mixed) {
    std::uint64_t slot = mixed >> shift & mask;
    while (slots[slot] != 0 && keys[slots[slot] - 1].mixed != mixed) slot = (slot + 1) & mask;
    return slot;
  };
  for (std::uint32_t i = 0; i < keys.size(); ++i) {
    const std::uint64_t slot = find(keys[i].mixed);
    j.first_query[i] = 0;
    if (slots[slot] == 0) {
      slots[slot] = i + 1;
      j.next_key[i] = 0;
    } else {
      j.next_key[i] = std::exchange(j.next_key[slots[slot] - 1], i + 1);
    }
  }
  j.wanted.clear();
  for (std::uint32_t i = 0; i < queries.size(); ++i) {
    const std::uint32_t key = slots[find(queries[i].mixed)];
    if (key == 0) continue;
    j.next_query[i] = std::exchange(j.first_query[key - 1], i + 1);
    if (j.next_query[i] == 0) j.wanted.push_back(key);
  }
  j.key_starts.assign(1, 0), j.query_starts.assign(1, 0);
  j.keys.clear(), j.queries.clear();
  for (const std::uint32_t first : j.wanted) {
    for (std::uint32_t k = first; k != 0; k = j.next_key[k - 1]) j.keys.push_back(keys[k - 1].row);
    for (std::uint32_t q = j.first_query[first - 1]; q != 0; q = j.next_query[q - 1])
      j.queries.push_back(queries[q - 1].row);
    j.key_starts.push_back(static_cast<std::uint32_t>(j.keys.size()));
    j.query_starts.push_back(static_cast<std::uint32_t>(j.queries.size()));
  }
}

void add(const Kernels& kernels, const std::int16_t* values, std::int32_t* totals, std::uint32_t columns,
         std::span<const std::uint32_t> keys, std::span<const std::uint32_t> queries) {
  kernels.add_bucket(values, totals, columns, keys.data(), keys.size(), queries.data(), queries.size());
}
void add(const Kernels& kernels, const std::int16_t* values, std::int64_t* totals, std::uint32_t columns,
         std::span<const std::uint32_t> keys, std::span<const std::uint32_t> queries) {
  kernels.add_bucket_wide(values, totals, columns, keys.data(), keys.size(), queries.data(), queries.size());
}

// Adds the buckets of a joined partition; false if a count would exceed `most`.
template <typename Total>
bool add_partition(const Kernels& kernels, const Join& j, const std::int16_t* values, Total* totals,
                   std::uint32_t columns, std::uint64_t* counts, std::uint64_t most) {
  constexpr std::size_t kAhead = 8;  // rows under way: each is a few cache lines from memory
  const auto prefetch = [&](const void* row, std::size_t bytes) {
    for (std::size_t byte = 0; byte < bytes; byte += 64)
      __builtin_prefetch(static_cast<const char*>(row) + byte, 1);
  };
  std::size_t key_ahead = 0, query_ahead = 0;
  for (std::size_t w = 0; w < j.wanted.size(); ++w) {
    const std::size_t key_end = j.key_starts[w + 1], query_end = j.query_starts[w + 1];
    for (; key_ahead < std::min(j.keys.size(), key_end + kAhead); ++key_ahead) {
      prefetch(values + std::size_t{j.keys[key_ahead]} * columns, columns * sizeof(*values));
    }
    for (; query_ahead < std::min(j.queries.size(), query_end + kAhead); ++query_ahead) {
      prefetch(totals + std::size_t{j.queries[query_ahead]} * columns, columns * sizeof(Total));
      __builtin_prefetch(counts + j.queries[query_ahead], 1);
    }
    const auto keys = std::span(j.keys).subspan(j.key_starts[w], key_end - j.key_starts[w]);
    const auto queries = std::span(j.queries).subspan(j.query_starts[w], query_end - j.query_starts[w]);
    for (const std::uint32_t query : queries) {
      counts[query] += keys.size();
      if (counts[query] > most) return false;
    }
    add(kernels, values, totals, columns, keys, queries);
  }
  return true;
}

class DenseBuckets final : public DenseAttention {
 public:
  DenseBuckets(std::function<std::unique_ptr<Coder>()> make_coder, DenseOptions options,
               std::string guarantee, std::string cost)
      : make_coder_(std::move(make_coder)),
        options_(std::move(options)),
        guarantee_(std::move(guarantee)),
        cost_(std::move(cost)) {
    require(options_.threads <= 4096, "threads is {}; allowed are 0 (all) .. 4096", options_.threads);
    require(options_.partition_keys >= 1, "partition_keys is 0; it must be at least 1");
  }
  std::string name() const override { return make_coder_()->name(); }
  std::string guarantee() const override { return guarantee_; }
  std::string cost() const override { return cost_; }

  DenseResult attend(const DenseHead& head) const override {
    head.validate();
    const auto start = Clock::now();
    const std::unique_ptr<Coder> coder = make_coder_();
    coder->prepare(head);
    const std::uint32_t columns = static_cast<std::uint32_t>(ceil_div(head.values.columns, 16) * 16);
    HugeArray<std::int16_t> values(head.values.rows * columns);
    std::int32_t largest = 1;
    for (std::uint64_t row = 0; row < head.values.rows; ++row) {
      const auto from = head.values.row(row);
      std::int16_t* to = values.data() + row * columns;
      std::fill(std::copy(from.begin(), from.end(), to), to + columns, std::int16_t{0});
      for (const std::int16_t v : from) largest = std::max(largest, std::abs(std::int32_t{v}));
    }
    DenseResult result;
    // A total of T values is at most T * largest: 32 bits hold it up to this T. Beyond, everything is done in
    // 64, where N ell 2^15 < 2^32 2^20 2^15 has room.
    const auto most = static_cast<std::uint64_t>(std::numeric_limits<std::int32_t>::max() / largest);
    if (!run<std::int32_t>(head, *coder, values, columns, most, result)) {
      result = {};
      result.facts.wide = true;
      run<std::int64_t>(head, *coder, values, columns, ~std::uint64_t{0}, result);
    }
    result.facts.seconds = seconds_since(start);
    return result;
  }

 private:
  template <typename Total>
  bool run(const DenseHead& head, Coder& coder, const HugeArray<std::int16_t>& values, std::uint32_t columns,
           std::uint64_t most, DenseResult& result) const {
    const Kernels& kernels = options_.kernels != nullptr ? *options_.kernels : best_kernels();
    const int threads = threads_for(options_.threads, head.queries.rows + head.keys.rows);
    const std::uint64_t n_queries = head.queries.rows, n_keys = head.keys.rows;
    HugeArray<Total> totals(n_queries * columns);
    HugeArray<std::uint64_t> counts(n_queries), key_codes(n_keys), query_codes(n_queries);
    const std::size_t words = coder.words();
    HugeArray<std::uint64_t> key_words(words > 1 ? n_keys * words : 0),
        query_words(words > 1 ? n_queries * words : 0);
    if (n_queries > 0) std::memset(totals.data(), 0, n_queries * columns * sizeof(Total));
    std::fill(counts.data(), counts.data() + n_queries, 0);
    const std::uint32_t bits = std::min(14u, ceil_log(2, ceil_div(n_keys + 1, options_.partition_keys)));
    const std::size_t partitions = std::size_t{1} << bits;
    Partitioned keys(n_keys, bits, static_cast<std::size_t>(threads)),
        queries(n_queries, bits, static_cast<std::size_t>(threads));
    DenseFacts& facts = result.facts;
    std::uint64_t evaluated = 0, key_rows = 0, query_rows = 0;
    std::atomic<std::size_t> next_partition = 0;
    std::atomic<bool> fits = true;
    // Each is read by all threads right behind the barrier that ends the part of a table in which it may be
    // set, so that all leave at the same place.
    Failure coding_or_joining, moving;
#pragma omp parallel num_threads(threads) reduction(+ : evaluated, key_rows, query_rows)
    {
      const auto part = static_cast<std::size_t>(omp_get_thread_num()),
                 parts = static_cast<std::size_t>(omp_get_num_threads());
      Join join;
      // Two barriers a table: on a busy machine threads wait long for one that has lost its core.
      for (std::uint32_t table = 0; table < coder.tables(); ++table) {
        const auto start = Clock::now();
        coding_or_joining.guard([&] {
          evaluated +=
              coder.code(false, part, parts, kernels, words > 1 ? key_words.data() : key_codes.data());
          evaluated +=
              coder.code(true, part, parts, kernels, words > 1 ? query_words.data() : query_codes.data());
        });
        if (words > 1) {
#pragma omp barrier
#pragma omp single
          coding_or_joining.guard([&] { number(key_words, query_words, words, key_codes, query_codes); });
        }
        const auto coded = Clock::now();
        coding_or_joining.guard([&] {
          keys.count(key_codes.data(), part, parts), queries.count(query_codes.data(), part, parts);
        });
#pragma omp barrier
        if (coding_or_joining || !fits) break;
#pragma omp single nowait
        {
          next_partition = 0;
          if (table + 1 < coder.tables()) moving.guard([&] { coder.use_table(table + 1); });
        }
        moving.guard(
            [&] { keys.move(key_codes.data(), part, parts), queries.move(query_codes.data(), part, parts); });
#pragma omp barrier
        if (moving) break;
        const auto grouped = Clock::now();
        coding_or_joining.guard([&] {
          for (std::size_t p; fits && (p = next_partition++) < partitions;) {
            if (keys[p].empty() || queries[p].empty()) continue;
            join_partition(keys[p], queries[p], bits, join);
            if (!add_partition(kernels, join, values.data(), totals.data(), columns, counts.data(), most))
              fits = false;
            key_rows += join.keys.size(), query_rows += join.queries.size();
          }
        });
        if (part != 0) continue;
        const auto seconds = [](auto from, auto to) {
          return std::chrono::duration<double>(to - from).count();
        };
        facts.hash_seconds += seconds(start, coded), facts.group_seconds += seconds(coded, grouped);
        facts.add_seconds += seconds(grouped, Clock::now());
        if (options_.progress) coding_or_joining.guard([&] { options_.progress(table + 1, coder.tables()); });
      }
    }
    coding_or_joining.rethrow();
    moving.rethrow();
    if (!fits) return false;
    facts.hash_evaluations = evaluated, facts.key_rows_added = key_rows, facts.query_rows_added = query_rows;
    for (std::uint64_t q = 0; q < n_queries; ++q) {
      facts.collisions += counts[q];
      if (counts[q] == 0) ++facts.empty_queries;
    }
    const std::uint32_t m = head.values.columns;
    result.rows.resize(n_queries * m);
#pragma omp parallel for schedule(static) num_threads(threads)
    for (std::int64_t row = 0; row < static_cast<std::int64_t>(n_queries); ++row) {
      const auto q = static_cast<std::uint64_t>(row);
      const auto count = static_cast<double>(counts[q]);
      const Total* total = totals.data() + q * columns;
      for (std::uint32_t c = 0; c < m; ++c) {
        // Both rounded once, divided once; the unit is a power of two.
        result.rows[q * m + c] =
            counts[q] == 0 ? 0.0 : static_cast<double>(total[c]) / count * head.values.unit;
      }
    }
    return true;
  }

  std::function<std::unique_ptr<Coder>()> make_coder_;
  DenseOptions options_;
  std::string guarantee_, cost_;
};

// Every pair, every table, by the definition; shares the hash functions alone with the engine above.
class DenseBruteForce final : public DenseAttention {
 public:
  explicit DenseBruteForce(const AnnaParameters& parameters) : parameters_(parameters) {}
  std::string name() const override { return "brute-force anna"; }
  std::string guarantee() const override { return "the definition of ANNA by LSH, pair by pair"; }
  std::string cost() const override { return "time O(ell N_q N_k)"; }

  DenseResult attend(const DenseHead& head) const override {
    head.validate();
    const auto start = Clock::now();
    const FamilyParameters family = parameters_.functions_of(head.keys.columns);
    std::vector<std::uint64_t> weights(head.queries.rows * head.keys.rows, 0);  // c_ij
    for (std::uint32_t t = 0; t < parameters_.tables; ++t) {
      const auto hash = make_table(family, t);
      const auto codes = [&](const FixedRows& rows) {
        std::vector<std::vector<std::uint64_t>> all;
        for (std::uint64_t i = 0; i < rows.rows; ++i) {
          all.emplace_back(hash->code_words());
          hash->code(std::vector<std::int32_t>(rows.row(i).begin(), rows.row(i).end()), all.back());
        }
        return all;
      };
      const auto query_codes = codes(head.queries), key_codes = codes(head.keys);
      for (std::size_t i = 0; i < query_codes.size(); ++i) {
        for (std::size_t j = 0; j < key_codes.size(); ++j) {
          weights[i * key_codes.size() + j] += query_codes[i] == key_codes[j];
        }
      }
    }
    DenseResult result;
    const std::uint32_t m = head.values.columns;
    for (std::uint64_t i = 0; i < head.queries.rows; ++i) {
      std::uint64_t total = 0;
      std::vector<std::int64_t> sum(m, 0);
      for (std::uint64_t j = 0; j < head.keys.rows; ++j) {
        const std::uint64_t weight = weights[i * head.keys.rows + j];
        total += weight;
        for (std::uint32_t c = 0; c < m; ++c)
          sum[c] += static_cast<std::int64_t>(weight) * head.values.row(j)[c];
      }
      result.facts.collisions += total;
      result.facts.empty_queries += total == 0;
      for (std::uint32_t c = 0; c < m; ++c) {
        result.rows.push_back(
            total == 0 ? 0.0 : static_cast<double>(sum[c]) / static_cast<double>(total) * head.values.unit);
      }
    }
    result.facts.seconds = seconds_since(start);
    return result;
  }

 private:
  AnnaParameters parameters_;
};

}  // namespace

int threads_for(unsigned requested, std::uint64_t rows) {
  constexpr std::uint64_t kRowsWorthAThread = 2048;
  if (requested != 0) return static_cast<int>(requested);
  return static_cast<int>(std::clamp<std::uint64_t>(rows / kRowsWorthAThread, 1,
                                                    static_cast<std::uint64_t>(omp_get_max_threads())));
}

std::unique_ptr<DenseAttention> make_dense_anna(const AnnaParameters& parameters, DenseOptions options) {
  parameters.validate();
  return std::make_unique<DenseBuckets>(
      [parameters] { return std::make_unique<HashCoder>(parameters); }, std::move(options),
      "weights are numbers of shared codes, exact; approximate nearest neighbors by choice of (z, ell)",
      "time O(ell (z d' + m) (N_q + N_k)), d' a function's own cost; memory O((d + m) (N_q + N_k))");
}

std::unique_ptr<DenseAttention> make_dense_exact_match(DenseOptions options) {
  return std::make_unique<DenseBuckets>([] { return std::make_unique<ExactCoder>(); }, std::move(options),
                                        "uniform weights over the keys equal to the query, exact",
                                        "time and memory O((d + m) (N_q + N_k))");
}

std::unique_ptr<DenseAttention> make_dense_brute_force(const AnnaParameters& parameters) {
  parameters.validate();
  return std::make_unique<DenseBruteForce>(parameters);
}

}  // namespace roundtrip::anna
