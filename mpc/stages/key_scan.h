// Purpose: what belongs to one key, combined, however often the key occurs: a scan over sorted records that starts anew
// at every key. A key that fills a hundred machines costs no more rounds than one that occurs once.
//
//   stage     rounds   words in or out, at most               widest fan-in
//   KeyScan    2 d     (B + 1) (K + V) + 2 f (V + 2)          floor((s - (B + 1) (K + V)) / 2 (V + 2))
//   Compact    2 d     B W + 2 f                              floor((s - B W) / 2)      with d = ceil(log_f M)
//   WordScan   2 d     B W + 2 f W                            floor((s - B W) / 2 W)
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "roundtrip/mpc/stages/composition.h"
#include "roundtrip/mpc/stages/tree_stages.h"

namespace roundtrip::mpc {

/// The first word of a record that fills a place and is none. It sorts behind all others.
inline constexpr Word kNoRecord = (Word{1} << 48) - 1;

/// n records of K key and V value words, B a machine, in ascending order of keys from machine tree.first on. Records
/// whose first G key words are equal are a group.
struct KeyScanOptions {
  Tree tree;                          ///< over the M = ceil(n / B) machines, first = 0
  std::uint64_t records = 0;          ///< n
  std::uint64_t machine_records = 1;  ///< B
  std::uint64_t key_words = 1;        ///< K
  std::uint64_t group_words = 1;      ///< G, at most K
  std::uint32_t group_shift =
      0;  ///< lowest bits of the last of those G that order a group, and are no part of its key
  std::uint64_t value_words = 1;  ///< V
  /// The machine's records, then the first one of the machine behind it, if there is one; called in the first step.
  std::function<std::span<const Word>(const Context&)> load;
  Combine combine;                       ///< of two values; associative
  std::uint64_t load_scratch_words = 0;  ///< that one call of load takes
};

class KeyScan final : public Stage {
 public:
  using Options = KeyScanOptions;
  /// One record after the scan.
  struct Entry {
    std::uint64_t position = 0;   ///< of the record, 0 .. n - 1
    std::span<const Word> key;    ///< [K]
    std::span<const Word> own;    ///< [V] its value
    std::span<const Word> value;  ///< [V] those of its group up to it, combined in order
    bool last = false;            ///< in its group
    std::uint64_t group = 0;      ///< its group's number, 0 ..
  };

  explicit KeyScan(Options options);
  std::uint32_t rounds() const override { return scan_.rounds(); }
  void step(const Context& context, std::uint32_t round) const override { scan_.step(context, round); }
  std::uint64_t scratch_words() const override { return scan_.scratch_words(); }
  std::uint64_t result_scratch_words() const override;
  /// In the step after the stage: the machine's records that are some, in order.
  void for_each(const Context& context, const std::function<void(const Entry&)>& visit) const;
  /// In the same step: the number of groups on all machines; on a machine of the tree.
  std::uint64_t groups(const Context& context) const;

 private:
  TreeOptions tree_options() const;
  std::uint64_t own_records(MachineId machine) const;
  bool same_group(std::span<const Word> one, std::span<const Word> other) const;
  /// Goes on from (present, value): visits, and returns how it ends: (flags, groups that end here).
  std::pair<Word, Word> walk(MachineId machine, std::span<const Word> records, bool present,
                             std::span<Word> value, std::uint64_t group,
                             const std::function<void(const Entry&)>& visit) const;

  Options options_;
  TreeScan scan_;
};

/// The records of all machines to consecutive numbers, in order of machines. Who sends them there is the reader.
struct CompactOptions {
  Tree tree;
  /// The machine's records (a multiple of W words, at most B W), on a machine of the tree; called in the first step.
  std::function<std::span<const Word>(const Context&)> load;
  std::uint64_t record_words = 1;        ///< W
  std::uint64_t load_scratch_words = 0;  ///< that one call of load takes
};

class Compact final : public Stage {
 public:
  using Options = CompactOptions;
  struct Result {
    std::uint64_t first = 0;  ///< number of the machine's first record
    std::uint64_t total = 0;  ///< records on all machines
    std::span<const Word> records;
  };
  explicit Compact(Options options);
  std::uint32_t rounds() const override { return scan_.rounds(); }
  void step(const Context& context, std::uint32_t round) const override { scan_.step(context, round); }
  std::uint64_t scratch_words() const override { return scan_.scratch_words(); }
  std::uint64_t result_scratch_words() const override { return scan_.result_scratch_words() + 2; }
  /// In the step after the stage, on a machine of the tree.
  Result result(const Context& context) const;

 private:
  TreeScan scan_;
};

/// A scan over the items of all machines, W words each, forward or backward.
struct WordScanOptions {
  Tree tree;
  std::uint64_t item_words = 1;  ///< W
  /// The machine's items in order, at most B; called in the first step.
  std::function<std::span<const Word>(const Context&)> load;
  Combine combine;             ///< associative, in order of items
  std::vector<Word> identity;  ///< W words
  bool backward = false;
  std::uint64_t load_scratch_words = 0;  ///< that one call of load takes
};

class WordScan final : public Stage {
 public:
  using Options = WordScanOptions;
  explicit WordScan(Options options);
  std::uint32_t rounds() const override { return scan_.rounds(); }
  void step(const Context& context, std::uint32_t round) const override { scan_.step(context, round); }
  std::uint64_t scratch_words() const override { return scan_.scratch_words(); }
  std::uint64_t result_scratch_words() const override {
    return scan_.result_scratch_words() + 2 * options_.item_words;
  }
  /// In the step after the stage: each(item's number on this machine, item, what is up to it and it combined), in order;
  /// backward: it and what is behind it, from the last item to the first.
  void for_each(
      const Context& context,
      const std::function<void(std::size_t, std::span<const Word>, std::span<const Word>)>& each) const;

 private:
  TreeOptions tree_options() const;
  Options options_;
  TreeScan scan_;
};

}  // namespace roundtrip::mpc
