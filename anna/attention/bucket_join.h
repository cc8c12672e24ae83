// Purpose: the buckets of one table of the dense engine: rows are moved to partitions of the codes that fit
// the cache, and in a partition every query finds the keys of its code. Internal.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <vector>

#include "roundtrip/base/huge_array.h"

namespace roundtrip::anna {

/// Rows by partition of their codes. A code of w bits is multiplied by an odd number modulo 2^w, which is a
/// bijection; its top bits, which depend on all others, are the partition. A record is what the partition
/// leaves of the code, and below it the row: 8 bytes.
class Partitioned {
 public:
  /// Of `rows` rows in 2^partition_bits partitions, partition_bits >= 1, handled by at most `most_parts`
  /// threads. A code of w bits fits if w - partition_bits + row_bits <= 64.
  Partitioned(std::size_t rows, std::uint32_t partition_bits, std::uint32_t row_bits, std::size_t most_parts)
      : bits_(partition_bits),
        row_bits_(row_bits),
        records_(rows),
        starts_((std::size_t{1} << partition_bits) + 1),
        counts_(most_parts) {}
  bool fits(std::uint32_t code_bits) const { return code_bits + row_bits_ <= 64 + bits_; }

  /// Of a thread: nothing is counted yet.
  void start(std::size_t part) { counts_[part].assign(starts_.size() - 1, 0); }
  /// Mixes the codes of a run of the thread's rows in place and counts them.
  void count(std::span<std::uint64_t> codes, std::uint32_t code_bits, std::size_t part) {
    std::uint32_t* const counts = counts_[part].data();
    for (std::uint64_t& code : codes) {
      code = (code << (64 - code_bits)) * 0x9E3779B97F4A7C15u;
      ++counts[code >> (64 - bits_)];
    }
  }
  /// After a barrier: moves the thread's rows begin .. end - 1 of the mixed codes to their partitions.
  void move(const std::uint64_t* mixed, std::uint64_t begin, std::uint64_t end, std::size_t part,
            std::size_t parts);
  /// After another: the records of partition p.
  std::span<const std::uint64_t> operator[](std::size_t p) const {
    return {records_.data() + starts_[p], starts_[p + 1] - starts_[p]};
  }
  std::size_t partitions() const { return starts_.size() - 1; }
  std::uint32_t row_bits() const { return row_bits_; }

 private:
  std::uint32_t bits_, row_bits_;
  HugeArray<std::uint64_t> records_;
  std::vector<std::size_t> starts_;                 // [partitions + 1]
  std::vector<std::vector<std::uint32_t>> counts_;  // [parts, partitions]
};

/// Where a query's bucket lies: 0 if it has none; 1 + the key's row if its bucket holds one key; else
/// 1 + the number of keys + the bucket's row among the sums.
using Slot = std::uint32_t;

/// Rows for the sums of buckets, given out by chunks to threads.
class SumRows {
 public:
  static constexpr std::uint32_t kChunk = 32;
  std::uint32_t take(std::atomic<std::uint32_t>& given) {
    if (next_ == end_) next_ = given.fetch_add(kChunk), end_ = next_ + kChunk;
    return next_++;
  }
  void drop() { next_ = end_ = 0; }

 private:
  std::uint32_t next_ = 0, end_ = 0;
};

/// One thread's join of a partition.
class BucketJoin {
 public:
  /// Writes the slot of every query of the partition, by its row. Buckets of several keys that a query has
  /// take a row of sums each. Expected time linear, however many keys share a code.
  void join(std::span<const std::uint64_t> keys, std::span<const std::uint64_t> queries,
            std::uint32_t row_bits, std::uint64_t n_keys, SumRows& rows, std::atomic<std::uint32_t>& given,
            Slot* slots);
  /// The buckets that took a row: the row, and their keys' rows.
  struct Bucket {
    std::uint32_t row, first_key;
  };
  std::size_t buckets() const { return buckets_.size() - 1; }
  std::uint32_t row(std::size_t bucket) const { return buckets_[bucket].row; }
  std::span<const std::uint32_t> keys(std::size_t bucket) const {
    const std::uint32_t begin = buckets_[bucket].first_key;
    return std::span(keys_).subspan(begin, buckets_[bucket + 1].first_key - begin);
  }
  std::span<const std::uint32_t> all_keys() const { return keys_; }
  std::size_t queries_with_a_bucket() const { return found_; }
  std::size_t keys_in_buckets() const { return keys_.size() + singles_; }

 private:
  std::vector<std::uint32_t> heads_;       // by the code's next bits: the last key, 1 + its place; 0: none
  std::vector<std::uint32_t> next_;        // [keys] the key before it of the same bits
  std::vector<Slot> slot_of_;              // [keys] of the code whose last key it is; 0: not asked for yet
  std::vector<std::uint32_t> candidates_;  // queries whose bits some key has
  std::vector<Bucket> buckets_;
  std::vector<std::uint32_t> keys_;
  std::size_t found_ = 0, singles_ = 0;
};

}  // namespace roundtrip::anna
