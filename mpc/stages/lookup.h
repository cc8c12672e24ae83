// Purpose: a join as a stage: readers ask for the value of a key, whoever holds it and however many ask for the same.
// Entries and questions are sorted by key, and a scan hands the value of a key on to all who ask: no owner is asked.
//
//   stage     rounds                 words in or out, at most
//   Lookup    T_sort(n, 2) + 2 d     s, if (2 B + 2) 2 is at most s      d = max(1, ceil(log_f M)), f = floor((s - 2 (B + 1)) / 6)
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>

#include "roundtrip/mpc/stages/key_scan.h"
#include "roundtrip/mpc/stages/sort.h"

namespace roundtrip::mpc {

struct LookupOptions {
  SortPlan plan;                   ///< of Lookup::task()
  std::uint64_t memory_words = 0;  ///< s
  /// Called in the stage's first step on each of the plan's machines: its records, by Lookup::entry() and
  /// Lookup::question(); those not written stay out.
  std::function<void(const Context&, std::uint64_t first_position, std::span<Word> records)> load;
  std::uint64_t load_scratch_words = 0;
};

class Lookup final : public Stage {
 public:
  using Options = LookupOptions;
  static constexpr std::uint64_t kRecordWords = 2;
  /// What is to be planned for `records` entries and questions together.
  static SortTask task(std::uint64_t records, std::uint64_t memory_words);

  /// ContractError unless two children of the scan's tree fit beside a machine's records.
  explicit Lookup(const Options& options);
  /// The key has this value, below 2^47; of two entries of a key the first counts. Keys are below 2^47 - 1.
  static void entry(std::span<Word> records, std::uint64_t index, Word key, Word value);
  /// Who asks, below 2^47, wants the value of the key.
  static void question(std::span<Word> records, std::uint64_t index, Word key, Word asker);

  std::uint32_t rounds() const override { return sort_.rounds() + scan_.rounds(); }
  void step(const Context& context, std::uint32_t round) const override;
  std::uint64_t scratch_words() const override;
  std::uint64_t result_scratch_words() const override { return scan_.result_scratch_words(); }
  /// In the step after the stage: each(asker, key, value) for the answers to B questions at most, by key; the value is
  /// std::nullopt if no entry has the key.
  template <typename Each>
  void for_each(const Context& context, const Each& each) const {
    visit(context, std::ref(each));
  }

 private:
  void visit(const Context& context,
             const std::function<void(Word asker, Word key, std::optional<Word> value)>& each) const;
  Options options_;
  Sort sort_;
  KeyScan scan_;
};

}  // namespace roundtrip::mpc
