#include "roundtrip/mpc/stages/lookup.h"

#include <algorithm>

#include "roundtrip/base/error.h"

// A record is (key, 0 for an entry or 1), (value or who asks, 1 for an entry or 0), a bit each. Entries come first in their
// group, so that the first value of a group is its key's, if it is an entry's.
namespace roundtrip::mpc {
namespace {

constexpr std::uint64_t kWords = Lookup::kRecordWords;
constexpr std::uint64_t kChildWords = 2 * (1 + 2);  // of the scan: V + 2 words, up and down

constexpr Word kQuestion = 1, kEntry = 1;  // of a record's first and second word

void write(std::span<Word> records, std::uint64_t index, Word first, Word second) {
  expect_received((index + 1) * kWords <= records.size());
  records[index * kWords] = first;
  records[index * kWords + 1] = second;
}

SortOptions sort_options(const LookupOptions& options) {
  return {.plan = options.plan,
          .load =
              [load = options.load](const Context& context, std::uint64_t first, std::span<Word> records) {
                std::ranges::fill(records, kNoRecord);
                load(context, first, records);
              },
          .place =
              [block = options.plan.machine_records](const Context& context, std::uint64_t position,
                                                     std::span<const Word> record) {
                const auto machine = static_cast<MachineId>(position / block);
                if (position % block == 0 && position > 0) context.out.send(machine - 1, record);
                context.out.send(machine, record);
              },
          .load_scratch_words = options.load_scratch_words};
}

/// At least one level: what is read twice is then on its way between, not computed twice.
Tree scan_tree(const LookupOptions& options) {
  const std::uint64_t kept = (options.plan.machine_records + 1) * kWords;
  const std::uint64_t fan = options.memory_words < kept ? 0 : (options.memory_words - kept) / kChildWords;
  require(fan >= 2, "s is {}, allowed for a lookup of {} records a machine is at least {}",
          options.memory_words, options.plan.machine_records, kept + 2 * kChildWords);
  Tree tree =
      Tree::over(0, static_cast<std::uint32_t>(options.plan.machines), static_cast<std::uint32_t>(fan));
  tree.depth = std::max(tree.depth, 1u);
  return tree;
}

}  // namespace

SortTask Lookup::task(std::uint64_t records, std::uint64_t memory_words) {
  // A machine sends its records, and one of them twice; beside them two children of the scan must fit.
  const std::uint64_t room =
      std::min(memory_words / 2, memory_words - std::min(memory_words, 2 * kChildWords));
  return {.records = records,
          .record_words = kWords,
          .memory_words = memory_words,
          .key_words = 1,
          .machine_records = room < 2 * kWords ? 0 : room / kWords - 1};
}

Lookup::Lookup(const Options& options)
    : options_(options),
      sort_(sort_options(options)),
      scan_({.tree = scan_tree(options),
             .records = options.plan.records,
             .machine_records = options.plan.machine_records,
             .group_shift = 1,
             .load = [this](const Context& context) { return sort_.result(context); },
             .combine = [](std::span<Word>, std::span<const Word>) {},
             .load_scratch_words =
                 sort_.rounds() > 0 ? 0 : sort_.scratch_words() + options.plan.records * kWords}) {}

void Lookup::entry(std::span<Word> records, std::uint64_t index, Word key, Word value) {
  write(records, index, key << 1, value << 1 | kEntry);
}

void Lookup::question(std::span<Word> records, std::uint64_t index, Word key, Word asker) {
  write(records, index, key << 1 | kQuestion, asker << 1);
}

void Lookup::step(const Context& context, std::uint32_t round) const {
  if (round <= sort_.rounds()) return sort_.step(context, round);
  if (sort_.rounds() > 0 || context.machine < options_.plan.machines)
    scan_.step(context, round - sort_.rounds());
}

std::uint64_t Lookup::scratch_words() const {
  return std::max(sort_.scratch_words(), scan_.scratch_words());
}

void Lookup::visit(const Context& context,
                   const std::function<void(Word asker, Word key, std::optional<Word> value)>& each) const {
  if (context.machine >= options_.plan.machines) return;
  scan_.for_each(context, [&](const KeyScan::Entry& entry) {
    if ((entry.key[0] & kQuestion) == 0) return;
    const bool found = (entry.value[0] & kEntry) != 0;
    each(entry.own[0] >> 1, entry.key[0] >> 1,
         found ? std::optional<Word>(entry.value[0] >> 1) : std::nullopt);
  });
}

}  // namespace roundtrip::mpc
