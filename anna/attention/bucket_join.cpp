#include "roundtrip/anna/attention/bucket_join.h"

#include <algorithm>

#include "roundtrip/base/rational.h"

namespace roundtrip::anna {

void Partitioned::move(const std::uint64_t* mixed, std::uint64_t begin, std::uint64_t end, std::size_t part,
                       std::size_t parts) {
  std::vector<std::size_t> to(partitions());
  std::size_t sum = 0;
  for (std::size_t p = 0; p < to.size(); ++p) {
    if (part == 0) starts_[p] = sum;
    for (std::size_t u = 0; u < parts; ++u) {
      if (u == part) to[p] = sum;
      sum += counts_[u][p];
    }
  }
  if (part == 0) starts_.back() = sum;
  std::uint64_t* const records = records_.data();
  for (std::uint64_t i = begin; i < end; ++i) {
    records[to[mixed[i] >> (64 - bits_)]++] = mixed[i] << bits_ | i;
  }
}

void BucketJoin::join(std::span<const std::uint64_t> keys, std::span<const std::uint64_t> queries,
                      std::uint32_t row_bits, std::uint64_t n_keys, SumRows& rows,
                      std::atomic<std::uint32_t>& given, Slot* slots) {
  const std::uint64_t row_mask = (std::uint64_t{1} << row_bits) - 1;
  buckets_.clear(), keys_.clear();
  found_ = singles_ = 0;
  if (keys.empty()) {
    for (const std::uint64_t query : queries) slots[query & row_mask] = 0;
    buckets_.push_back({});
    return;
  }
  const std::uint32_t head_bits = std::clamp(ceil_log(2, 4 * keys.size()), 1u, 64 - row_bits);
  heads_.assign(std::size_t{1} << head_bits, 0);
  next_.resize(keys.size()), slot_of_.resize(keys.size()), candidates_.resize(queries.size() + 1);
  const std::uint32_t shift = 64 - head_bits;
  for (std::uint32_t k = 0; k < keys.size(); ++k) {
    std::uint32_t& head = heads_[keys[k] >> shift];
    next_[k] = head, head = k + 1;
    slot_of_[k] = 0;
  }
  // No branch on whether a key is there: it would be guessed wrong half of the time.
  std::size_t candidates = 0;
  for (std::uint32_t q = 0; q < queries.size(); ++q) {
    slots[queries[q] & row_mask] = 0;
    candidates_[candidates] = q;
    candidates += heads_[queries[q] >> shift] != 0;
  }
  const auto same = [&](std::uint64_t a, std::uint64_t b) { return (a ^ b) >> row_bits == 0; };
  for (std::size_t c = 0; c < candidates; ++c) {
    const std::uint64_t query = queries[candidates_[c]];
    std::uint32_t k = heads_[query >> shift];
    while (k != 0 && !same(keys[k - 1], query)) k = next_[k - 1];
    if (k == 0) continue;
    ++found_;
    Slot& slot = slot_of_[k - 1];
    if (slot == 0) {  // the code's first query
      const auto first_key = static_cast<std::uint32_t>(keys_.size());
      const auto own = static_cast<std::uint32_t>(keys[k - 1] & row_mask);
      for (std::uint32_t other = next_[k - 1]; other != 0; other = next_[other - 1]) {
        if (same(keys[other - 1], query)) {
          keys_.push_back(static_cast<std::uint32_t>(keys[other - 1] & row_mask));
        }
      }
      if (keys_.size() == first_key) {
        slot = own + 1;
        ++singles_;
      } else {
        keys_.push_back(own);
        buckets_.push_back({rows.take(given), first_key});
        slot = static_cast<Slot>(1 + n_keys + buckets_.back().row);
      }
    }
    slots[query & row_mask] = slot;
  }
  buckets_.push_back({0, static_cast<std::uint32_t>(keys_.size())});
}

}  // namespace roundtrip::anna
