// ANNA and exact match on dense matrices, a table at a time:
//   codes      of all keys and queries, 16 at a time (lsh/family.h)
//   partition  both by the top bits of a bijective mix of the code, so that a partition fits the cache
//              (bucket_join.h)
//   join       in each partition: every query finds its code's keys. A bucket of one key is that key's value
//              row; of several it is a row of sums, made where the first query asks
//   gather     after a batch of tables: each query's total takes the rows of all its buckets, in registers, so
//              that a total is read and written once a batch
// Threads share rows and partitions; a query has one slot in a table, so none is written by two threads.
#include <omp.h>
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <chrono>
#include <cstring>
#include <exception>
#include <limits>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>

#include "roundtrip/anna/attention/bucket_join.h"
#include "roundtrip/anna/attention/interner.h"
#include "roundtrip/anna/dense/codes.h"
#include "roundtrip/anna/dense/matrices.h"
#include "roundtrip/anna/lsh/kernels/kernels.h"
#include "roundtrip/base/error.h"
#include "roundtrip/base/fault.h"
#include "roundtrip/base/huge_array.h"
#include "roundtrip/base/rational.h"

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
  virtual void prepare(const DenseHead& head, int threads) = 0;  // and the first table
  virtual void use_table(std::uint32_t table) = 0;               // by one thread, while none is in code()
  virtual std::size_t words() const = 0;                         // of a code; two are equal iff all words are
  virtual std::uint32_t bits() const = 0;                        // of a code of one word
  // The codes of the queries or keys begin .. end - 1, begin between two blocks. Returns the hash functions
  // evaluated.
  virtual std::uint64_t code(bool queries, std::uint64_t begin, std::uint64_t end, const Kernels& kernels,
                             std::uint64_t* codes) const = 0;
};

// The code is the vector itself.
class ExactCoder final : public Coder {
 public:
  std::string name() const override { return "ema"; }
  std::uint32_t tables() const override { return 1; }
  void prepare(const DenseHead& head, int) override { head_ = &head; }
  void use_table(std::uint32_t) override {}
  std::size_t words() const override { return ceil_div(std::uint64_t{2} * head_->keys.columns, 8); }
  std::uint32_t bits() const override { return 64; }
  std::uint64_t code(bool queries, std::uint64_t begin, std::uint64_t end, const Kernels&,
                     std::uint64_t* codes) const override {
    const FixedRows& rows = queries ? head_->queries : head_->keys;
    for (std::uint64_t i = begin; i < end; ++i) {
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
  void prepare(const DenseHead& head, int threads) override {
    codes_.emplace(parameters_, head.queries, head.keys, threads);
  }
  void use_table(std::uint32_t table) override { codes_->use_table(table); }
  std::size_t words() const override { return codes_->words(); }
  std::uint32_t bits() const override { return codes_->bits(); }
  std::uint64_t code(bool queries, std::uint64_t begin, std::uint64_t end, const Kernels& kernels,
                     std::uint64_t* codes) const override {
    if (seeded("codes-twice")) codes_->of_rows(queries, begin, end, kernels, codes);
    return codes_->of_rows(queries, begin, end, kernels, codes);
  }

 private:
  AnnaParameters parameters_;
  std::optional<DenseCodes> codes_;
};

// Codes of several words, or too wide for a record beside a row, become numbers.
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

// `size` zeros in an empty vector, on large pages where some fit, which `threads` ask for.
template <typename T>
void assign_on_large_pages(std::vector<T>& vector, std::size_t size, int threads) {
  vector.reserve(size);
  const auto begin = reinterpret_cast<std::uintptr_t>(vector.data()), end = begin + size * sizeof(T);
  const std::uintptr_t first = (begin + kLargePage - 1) / kLargePage * kLargePage;
  // Hints: failure costs speed alone.
  if (first + kLargePage <= end) {
    ::madvise(reinterpret_cast<void*>(first), end - first, MADV_HUGEPAGE);
#if defined(MADV_POPULATE_WRITE)
    const auto pages = static_cast<std::int64_t>((end - first) / kLargePage);
#pragma omp parallel for schedule(static) num_threads(threads)
    for (std::int64_t page = 0; page < pages; ++page) {
      ::madvise(reinterpret_cast<void*>(first + static_cast<std::uintptr_t>(page) * kLargePage), kLargePage,
                MADV_POPULATE_WRITE);
    }
#endif
  }
  vector.resize(size);
}

void add(const Kernels& kernels, const std::int16_t* values, const std::int32_t* sums, std::uint32_t columns,
         const RowLists& rows, bool fresh, std::int32_t* total) {
  kernels.add_rows(values, sums, columns, rows, fresh, total);
}
void add(const Kernels& kernels, const std::int16_t* values, const std::int64_t* sums, std::uint32_t columns,
         const RowLists& rows, bool fresh, std::int64_t* total) {
  kernels.add_rows_wide(values, sums, columns, rows, fresh, total);
}

void divide(const Kernels& kernels, const std::int32_t* total, std::uint32_t columns, double count,
            double unit, double* out) {
  kernels.divide_row(total, columns, count, unit, out);
}
void divide(const Kernels& kernels, const std::int64_t* total, std::uint32_t columns, double count,
            double unit, double* out) {
  kernels.divide_row_wide(total, columns, count, unit, out);
}

// The start of a row that will be read soon; the rest of a long one the processor fetches by itself.
void prefetch(const void* row, std::size_t bytes) {
  for (std::size_t byte = 0; byte < std::min<std::size_t>(bytes, 512); byte += 64)
    __builtin_prefetch(static_cast<const char*>(row) + byte);
}

// The buckets of a batch of tables and the totals that they go into.
template <typename Total>
class Batch {
 public:
  static constexpr std::uint32_t kTables = 16;  // at most, in a batch

  // A total of T values is at most T * largest in magnitude; it fits while T <= most.
  Batch(const Kernels& kernels, const std::int16_t* values, std::uint32_t columns, std::uint64_t n_keys,
        std::uint64_t n_queries, std::uint32_t tables, int threads, std::uint64_t most)
      : kernels_(kernels),
        values_(values),
        columns_(columns),
        n_keys_(n_keys),
        n_queries_(n_queries),
        most_(most),
        // A bucket with a row has two keys or more; each thread may leave a chunk unused.
        most_rows_(n_keys / 2 + static_cast<std::uint64_t>(threads) * SumRows::kChunk),
        totals_(n_queries * columns),
        sums_(2 * most_rows_ * columns),
        sum_counts_(2 * most_rows_),
        counts_(n_queries),
        slots_(n_queries * std::min(tables, kTables)) {}

  // The slots of the table'th table of the batch.
  Slot* slots(std::uint32_t table) { return slots_.data() + table * n_queries_; }
  // Whether another table's rows of sums might not fit.
  bool full(std::uint32_t tables, std::uint32_t given) const {
    return tables == kTables || given + most_rows_ > 2 * most_rows_;
  }
  // The sums of a joined partition's buckets; false if one would not fit.
  bool add_up(const BucketJoin& join) {
    const std::size_t row_bytes = columns_ * sizeof(*values_);
    const std::span<const std::uint32_t> all = join.all_keys();
    const bool short_count = seeded("bucket-size");
    const std::uint32_t kept_bits = seeded("counts-of-16-bits") ? 0xffff : ~0u;
    constexpr std::size_t kAhead = 12;  // rows under way: each is a few cache lines from memory
    std::size_t ahead = 0, at = 0;
    for (std::size_t b = 0; b < join.buckets(); ++b) {
      const std::span<const std::uint32_t> keys = join.keys(b);
      at += keys.size();
      for (; ahead < std::min(all.size(), at + kAhead); ++ahead)
        prefetch(values_ + std::size_t{all[ahead]} * columns_, row_bytes);
      if (keys.size() > most_) return false;
      sum_counts_[join.row(b)] = static_cast<std::uint32_t>(keys.size() - short_count) & kept_bits;
      for (int times = seeded("sums-twice") ? 2 : 1; times > 0; --times) {
        add(kernels_, values_, sums_.data(), columns_, {keys.data(), keys.size(), nullptr, 0}, true,
            sums_.data() + std::size_t{join.row(b)} * columns_);
      }
    }
    return true;
  }
  // Adds the buckets of the batch's tables to the totals of the queries begin .. end - 1; false if one would
  // not fit.
  bool gather(std::uint32_t tables, bool first, std::uint64_t begin, std::uint64_t end) {
    if (seeded("batch-begins-anew")) first = true;
    if (seeded("whole-chunks-alone") && end - begin > kChunk) end -= (end - begin) % kChunk;
    Lists lists[2];
    prepare(tables, begin, end, lists[0]);
    for (std::uint64_t q = begin, chunk = 0; q < end; q += kChunk, ++chunk) {
      prepare(tables, q + kChunk, end, lists[(chunk + 1) % 2]);
      const Lists& now = lists[chunk % 2];
      for (std::uint64_t i = 0; i < std::min(kChunk, end - q); ++i) {
        std::uint64_t& count = counts_[q + i];
        count = (first ? 0 : count) + (seeded("single-uncounted") ? 0 : now.singles[i]);
        for (std::uint32_t s = 0; s < now.several[i]; ++s) count += sum_counts_[now.sum_rows[i][s]];
        if (count > most_) return false;
        if (!first && now.singles[i] + now.several[i] == 0) continue;
        add(kernels_, values_, sums_.data(), columns_,
            {now.value_rows[i], now.singles[i], now.sum_rows[i], now.several[i]}, first,
            totals_.data() + (q + i) * columns_);
      }
    }
    return true;
  }
  const Total* total(std::uint64_t query) const { return totals_.data() + query * columns_; }
  std::uint64_t count(std::uint64_t query) const { return counts_[query]; }

 private:
  static constexpr std::uint64_t kChunk = 8;  // queries whose rows are fetched while eight others are added
  struct Lists {
    std::uint32_t value_rows[kChunk][kTables], sum_rows[kChunk][kTables];
    std::uint32_t singles[kChunk], several[kChunk];
  };
  void prepare(std::uint32_t tables, std::uint64_t begin, std::uint64_t end, Lists& lists) const {
    const auto n = static_cast<std::uint32_t>(n_keys_);
    for (std::uint64_t i = 0; begin + i < std::min(begin + kChunk, end); ++i) {
      std::uint32_t singles = 0, several = 0;
      for (std::uint32_t t = 0; t < tables; ++t) {  // no branches: they would be guessed wrong
        const Slot slot = slots_[t * n_queries_ + begin + i];
        lists.value_rows[i][singles] = slot - 1;
        singles += slot - 1 < n;  // 0 - 1 is the largest number
        lists.sum_rows[i][several] = slot - 1 - n;
        several += slot > n;
      }
      for (std::uint32_t s = 0; s < singles; ++s)
        prefetch(values_ + std::size_t{lists.value_rows[i][s]} * columns_, columns_ * sizeof(*values_));
      for (std::uint32_t s = 0; s < several; ++s)
        prefetch(sums_.data() + std::size_t{lists.sum_rows[i][s]} * columns_, columns_ * sizeof(Total));
      lists.singles[i] = singles, lists.several[i] = several;
    }
  }

  const Kernels& kernels_;
  const std::int16_t* const values_;
  const std::uint32_t columns_;
  const std::uint64_t n_keys_, n_queries_, most_, most_rows_;
  HugeArray<Total> totals_, sums_;       // [N_q, columns], [rows, columns]
  HugeArray<std::uint32_t> sum_counts_;  // [rows] keys
  HugeArray<std::uint64_t> counts_;      // [N_q]
  HugeArray<Slot> slots_;                // [tables of the batch, N_q]
};

// One evaluation, in totals of one width: what its threads share, and the parts of a table's work.
template <typename Total>
class Evaluation {
 public:
  // `values`: [N_k, columns]. A total of T values fits while T <= most. All outlive it.
  Evaluation(const DenseHead& head, Coder& coder, const HugeArray<std::int16_t>& values,
             std::uint32_t columns, int threads, std::uint64_t most, const DenseOptions& options)
      : head_(head),
        coder_(coder),
        options_(options),
        kernels_(options.kernels != nullptr ? *options.kernels : best_kernels()),
        n_queries_(head.queries.rows),
        n_keys_(head.keys.rows),
        threads_(threads),
        row_bits_(ceil_log(2, std::max<std::uint64_t>(2, std::max(n_queries_, n_keys_)))),
        keys_(n_keys_, partition_bits(), row_bits_, static_cast<std::size_t>(threads)),
        queries_(n_queries_, partition_bits(), row_bits_, static_cast<std::size_t>(threads)),
        words_(coder.words()),
        numbered_(words_ > 1 || !keys_.fits(coder.bits())),
        code_bits_(numbered_ ? ceil_log(2, std::max<std::uint64_t>(2, n_keys_ + n_queries_)) : coder.bits()),
        key_codes_(n_keys_),
        query_codes_(n_queries_),
        key_words_(numbered_ ? n_keys_ * words_ : 0),
        query_words_(numbered_ ? n_queries_ * words_ : 0),
        batch_(kernels_, values.data(), columns, n_keys_, n_queries_, coder.tables(), threads, most) {}

  // False if a total or a sum did not fit; then there is no result.
  bool run(DenseResult& result) {
#pragma omp parallel num_threads(threads_)
    {
      Worker worker{.part = static_cast<std::size_t>(omp_get_thread_num()),
                    .parts = static_cast<std::size_t>(omp_get_num_threads())};
      run_tables(worker, result.facts);
#pragma omp critical
      {
        result.facts.hash_evaluations += worker.evaluated;
        result.facts.key_rows_added += worker.key_rows;
        result.facts.query_rows_added += worker.query_rows;
      }
    }
    coding_or_joining_.rethrow();
    moving_.rethrow();
    if (!sums_fit_ || !totals_fit_) return false;
    divide_totals(result);
    return true;
  }

 private:
  // A thread's own.
  struct Worker {
    std::size_t part, parts;
    BucketJoin join = {};
    SumRows rows = {};
    std::uint32_t batches = 0, in_batch = 0;  // tables joined
    std::uint64_t evaluated = 0, key_rows = 0, query_rows = 0;
    std::uint64_t begin(std::uint64_t of) const { return share(of, part, parts); }
    std::uint64_t end(std::uint64_t of) const { return share(of, part + 1, parts); }
  };

  std::uint32_t partition_bits() const {
    return std::clamp(ceil_log(2, ceil_div(n_keys_ + 1, options_.partition_keys)), 1u, 14u);
  }

  // All tables, by one thread of the team. Two barriers a table: on a busy machine threads wait long for one that
  // has lost its core.
  void run_tables(Worker& worker, DenseFacts& facts) {
    const std::uint32_t tables = coder_.tables();
    for (std::uint32_t table = 0; table < tables; ++table) {
      const auto start = Clock::now();
      code_table(worker);
      const auto coded = Clock::now();
#pragma omp barrier
      if (coding_or_joining_ || !sums_fit_) break;
      const bool full = batch_.full(worker.in_batch, given_[worker.batches % 2]);
#pragma omp single nowait
      {
        next_partition_ = 0;
        if (full) given_[(worker.batches + 1) % 2] = 0;
        if (table + 1 < tables) moving_.guard([&] { coder_.use_table(table + 1); });
      }
      if (full) moving_.guard([&] { gather(worker); });
      const auto gathered = Clock::now();
      moving_.guard([&] { move(worker); });
#pragma omp barrier
      if (moving_ || !totals_fit_) break;
      const auto grouped = Clock::now();
      coding_or_joining_.guard([&] { join(worker); });
      ++worker.in_batch;
      if (table + 1 == tables) {
#pragma omp barrier
        if (!coding_or_joining_ && sums_fit_) moving_.guard([&] { gather(worker); });
      }
      if (worker.part != 0) continue;
      const auto seconds = [](auto from, auto to) {
        return std::chrono::duration<double>(to - from).count();
      };
      facts.hash_seconds += seconds(start, coded);
      facts.group_seconds += seconds(gathered, grouped);
      facts.add_seconds += seconds(coded, gathered) + seconds(grouped, Clock::now());
      if (options_.progress) coding_or_joining_.guard([&] { options_.progress(table + 1, tables); });
    }
  }

  // The codes of the thread's rows, mixed and counted by partition.
  void code_table(Worker& worker) {
    coding_or_joining_.guard([&] { code(worker, false), code(worker, true); });
    if (!numbered_) return;
#pragma omp barrier
#pragma omp single
    coding_or_joining_.guard([&] { number(key_words_, query_words_, words_, key_codes_, query_codes_); });
    coding_or_joining_.guard(
        [&] { count(worker, keys_, key_codes_), count(worker, queries_, query_codes_); });
  }
  void code(Worker& worker, bool of_queries) {
    Partitioned& partitioned = of_queries ? queries_ : keys_;
    HugeArray<std::uint64_t>& codes = of_queries ? query_codes_ : key_codes_;
    std::uint64_t* const to = !numbered_ ? codes.data() : (of_queries ? query_words_ : key_words_).data();
    const std::uint64_t end = worker.end(codes.size());
    constexpr std::uint64_t kAtOnce = 128;  // codes are counted while they are in the cache
    partitioned.start(worker.part);
    for (std::uint64_t i = worker.begin(codes.size()); i < end; i += kAtOnce) {
      const std::uint64_t stop = std::min(end, i + kAtOnce);
      worker.evaluated += coder_.code(of_queries, i, stop, kernels_, to);
      if (!numbered_) partitioned.count({to + i, stop - i}, code_bits_, worker.part);
    }
  }
  void count(const Worker& worker, Partitioned& partitioned, HugeArray<std::uint64_t>& codes) {
    const std::uint64_t begin = worker.begin(codes.size());
    partitioned.count({codes.data() + begin, worker.end(codes.size()) - begin}, code_bits_, worker.part);
  }

  void move(const Worker& worker) {
    keys_.move(key_codes_.data(), worker.begin(n_keys_), worker.end(n_keys_), worker.part, worker.parts);
    queries_.move(query_codes_.data(), worker.begin(n_queries_), worker.end(n_queries_), worker.part,
                  worker.parts);
  }

  // Partitions, as threads are free.
  void join(Worker& worker) {
    for (std::size_t p; (p = next_partition_++) < keys_.partitions();) {
      worker.join.join(keys_[p], queries_[p], row_bits_, n_keys_, worker.rows, given_[worker.batches % 2],
                       batch_.slots(worker.in_batch));
      if (!batch_.add_up(worker.join)) sums_fit_ = false;
      worker.key_rows += worker.join.keys_in_buckets();
      worker.query_rows += worker.join.queries_with_a_bucket();
    }
  }

  void gather(Worker& worker) {
    if (!batch_.gather(worker.in_batch, worker.batches == 0, worker.begin(n_queries_),
                       worker.end(n_queries_)))
      totals_fit_ = false;
    ++worker.batches, worker.in_batch = 0, worker.rows.drop();
  }

  void divide_totals(DenseResult& result) const {
    const std::uint32_t m = head_.values.columns;
    if (result.rows.size() != n_queries_ * m) {
      result.rows = {};
      assign_on_large_pages(result.rows, n_queries_ * m, threads_);
    }
    std::uint64_t collisions = 0, empty = 0;
#pragma omp parallel for schedule(static) num_threads(threads_) reduction(+ : collisions, empty)
    for (std::int64_t row = 0; row < static_cast<std::int64_t>(n_queries_); ++row) {
      const auto q = static_cast<std::uint64_t>(row);
      const std::uint64_t shared = batch_.count(q);
      collisions += shared, empty += shared == 0;
      // Both rounded once, divided once; the unit is a power of two. Zero stays zero.
      divide(kernels_, batch_.total(q), m, static_cast<double>(std::max<std::uint64_t>(1, shared)),
             head_.values.unit, result.rows.data() + q * m);
    }
    result.facts.collisions = collisions, result.facts.empty_queries = empty;
  }

  const DenseHead& head_;
  Coder& coder_;
  const DenseOptions& options_;
  const Kernels& kernels_;
  const std::uint64_t n_queries_, n_keys_;
  const int threads_;
  const std::uint32_t row_bits_;
  Partitioned keys_, queries_;
  const std::size_t words_;  // of a code
  const bool numbered_;      // codes do not fit beside a row, and become numbers
  const std::uint32_t code_bits_;
  HugeArray<std::uint64_t> key_codes_, query_codes_;  // [N_k], [N_q]
  HugeArray<std::uint64_t> key_words_, query_words_;  // [N_k, words], [N_q, words] if numbered
  Batch<Total> batch_;
  std::atomic<std::size_t> next_partition_ = 0;
  std::atomic<std::uint32_t> given_[2] = {0, 0};  // rows of sums, of even and odd batches
  // Each is read by all threads right after the barrier that ends the part of a table in which it may be set, so
  // that all leave at the same place.
  std::atomic<bool> sums_fit_ = true, totals_fit_ = true;
  Failure coding_or_joining_, moving_;
};

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

  DenseResult evaluate(const DenseHead& head, std::vector<double> memory) const override {
    head.validate();
    const auto start = Clock::now();
    // A slot numbers keys and rows of sums.
    require(head.keys.rows < (1u << 31) - (1u << 18) && head.queries.rows < (1u << 31),
            "there are {} queries and {} keys; allowed are less than 2^31 - 2^18", head.queries.rows,
            head.keys.rows);
    const int threads = threads_for(options_.threads, head.queries.rows + head.keys.rows);
    const std::unique_ptr<Coder> coder = make_coder_();
    coder->prepare(head, threads);
    const std::uint32_t columns = static_cast<std::uint32_t>(ceil_div(head.values.columns, 16) * 16);
    HugeArray<std::int16_t> values(head.values.rows * columns);
    std::int32_t largest = 1;
#pragma omp parallel for schedule(static) reduction(max : largest) num_threads(threads)
    for (std::int64_t i = 0; i < static_cast<std::int64_t>(head.values.rows); ++i) {
      const auto row = static_cast<std::uint64_t>(i);
      const auto from = head.values.row(row);
      std::int16_t* to = values.data() + row * columns;
      const bool cut = from.size() % 16 == 1 && seeded("column-tail");
      std::fill(std::copy(from.begin(), from.end() - cut, to), to + columns, std::int16_t{0});
      for (const std::int16_t v : from) largest = std::max(largest, std::abs(std::int32_t{v}));
    }
    DenseResult result{std::move(memory), {}};
    // A total of T values is at most T * largest: 32 bits hold it up to this T. Beyond, everything is done in
    // 64, which hold N ell 2^15 < 2^32 2^20 2^15.
    const auto most = static_cast<std::uint64_t>(std::numeric_limits<std::int32_t>::max() / largest);
    if (!Evaluation<std::int32_t>(head, *coder, values, columns, threads, most, options_).run(result)) {
      result.facts = {};
      result.facts.wide = true;
      coder->use_table(0);
      Evaluation<std::int64_t>(head, *coder, values, columns, threads, ~std::uint64_t{0}, options_)
          .run(result);
    }
    if (seeded("all-pairs")) compare_all_pairs(head);
    result.facts.seconds = seconds_since(start);
    return result;
  }

 private:
  /// A defect: work that is quadratic and counted by nobody.
  static void compare_all_pairs(const DenseHead& head) {
    volatile std::uint64_t equal = 0;
    for (std::uint64_t q = 0; q < 8 * head.queries.rows; ++q) {
      for (std::uint64_t k = 0; k < head.keys.rows; ++k)
        equal = equal + (head.queries.data[q / 8] == head.keys.data[k]);
    }
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

  DenseResult evaluate(const DenseHead& head, std::vector<double>) const override {
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

namespace {

/// `threads`, or as many as the system lets this process start, itself included: OpenMP ends a process that it
/// can't start a thread for. Tried once for each larger number, by threads that are all there at once.
int startable(int threads) {
  static std::mutex mutex;
  static int tried = 1, started = 1;
  const std::lock_guard lock(mutex);
  if (threads > tried) {
    std::atomic<bool> all = false;
    std::vector<std::thread> probes;
    try {
      probes.reserve(static_cast<std::size_t>(threads) - 1);
      while (static_cast<int>(probes.size()) < threads - 1) probes.emplace_back([&] { all.wait(false); });
    } catch (const std::system_error&) {  // EAGAIN: no more of them
    }
    all = true;
    all.notify_all();
    for (std::thread& probe : probes) probe.join();
    tried = threads;
    started = std::max(started, static_cast<int>(probes.size()) + 1);
  }
  return std::min(threads, started);
}

}  // namespace

int threads_for(unsigned requested, std::uint64_t rows) {
  constexpr std::uint64_t kRowsWorthAThread = 2048;
  // Every table is a barrier for all of them: with 2000 a core a run took 60 times as long.
  constexpr unsigned kThreadsPerCore = 64;
  const unsigned most = kThreadsPerCore * static_cast<unsigned>(omp_get_num_procs());
  require(requested <= most, "threads is {}, allowed are 0 to {} ({} for each of {} cores)", requested, most,
          kThreadsPerCore, omp_get_num_procs());
  if (requested != 0) return startable(static_cast<int>(requested));
  return startable(static_cast<int>(std::clamp<std::uint64_t>(
      rows / kRowsWorthAThread, 1, std::min(most, static_cast<unsigned>(omp_get_max_threads())))));
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
