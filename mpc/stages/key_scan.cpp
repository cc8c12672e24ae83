#include "roundtrip/mpc/stages/key_scan.h"

#include <algorithm>
#include <utility>

namespace roundtrip::mpc {
namespace {

// What a machine hands on is (flags, groups that end on it, value of the group that goes on behind it).
constexpr Word kPresent = 1;  // some group goes on, with this value
constexpr Word kStarts =
    2;  // and began here, or an earlier one ended: nothing before this machine belongs to it
constexpr std::uint64_t kHead = 2;

}  // namespace

KeyScan::KeyScan(Options options) : options_(std::move(options)), scan_(tree_options()) {}

TreeOptions KeyScan::tree_options() const {
  const std::uint64_t value_words = options_.value_words;
  TreeOptions tree{
      .tree = options_.tree,
      .element_words = kHead + value_words,
      .load =
          [this](const Context& context, std::span<Word> element) {
            std::ranges::fill(element, 0);
            const auto [flags, ends] = walk(context.machine, options_.load(context), false,
                                            element.subspan(kHead), 0, [](const Entry&) {});
            element[0] = flags;
            element[1] = ends;
          },
      .combine =
          [this](std::span<Word> left, std::span<const Word> right) {
            left[1] += right[1];
            if ((right[0] & kStarts) != 0 || ((right[0] & kPresent) != 0 && (left[0] & kPresent) == 0)) {
              left[0] = right[0] | (left[0] & kStarts);
              std::ranges::copy(right.subspan(kHead), left.begin() + kHead);
            } else if ((right[0] & kPresent) != 0) {
              options_.combine(left.subspan(kHead), right.subspan(kHead));
            }
          },
      .identity = std::vector<Word>(kHead + value_words),
      .keep = options_.load,
      .load_scratch_words = 2 * options_.load_scratch_words};
  return tree;
}

std::uint64_t KeyScan::result_scratch_words() const {
  return scan_.result_scratch_words() + options_.value_words;
}

std::uint64_t KeyScan::own_records(MachineId machine) const {
  const std::uint64_t first = machine * options_.machine_records;
  return first < options_.records ? std::min(options_.machine_records, options_.records - first) : 0;
}

bool KeyScan::same_group(std::span<const Word> one, std::span<const Word> other) const {
  const std::uint64_t last = options_.group_words - 1;
  return std::ranges::equal(one.first(last), other.first(last)) &&
         one[last] >> options_.group_shift == other[last] >> options_.group_shift;
}

std::pair<Word, Word> KeyScan::walk(MachineId machine, std::span<const Word> records, bool present,
                                    std::span<Word> value, std::uint64_t group,
                                    const std::function<void(const Entry&)>& visit) const {
  const std::uint64_t keys = options_.key_words;
  const std::uint64_t width = keys + options_.value_words;
  const std::uint64_t own = own_records(machine);
  const std::uint64_t position = machine * options_.machine_records;
  const bool followed = position + own < options_.records;
  expect_received(records.size() == (own + (followed ? 1 : 0)) * width);
  Word starts = 0;
  Word ends = 0;
  for (std::uint64_t i = 0; i < own; ++i) {
    const std::span<const Word> record = records.subspan(i * width, width);
    if (record[0] == kNoRecord) return {kStarts, ends};
    const std::span<const Word> own_value = record.subspan(keys);
    present ? options_.combine(value, own_value) : void(std::ranges::copy(own_value, value.begin()));
    const bool last =
        (i + 1 == own && !followed) || !same_group(record, records.subspan((i + 1) * width, width));
    visit({position + i, record.first(keys), own_value, value, last, group + ends});
    present = !last;
    if (last) ++ends, starts = kStarts;
  }
  return {starts | (present ? kPresent : 0), ends};
}

void KeyScan::for_each(const Context& context, const std::function<void(const Entry&)>& visit) const {
  const TreeScan::Result before = scan_.result(context);
  if (before.before.empty()) return;
  const std::span<Word> value = context.take(options_.value_words);
  std::ranges::copy(before.before.subspan(kHead), value.begin());
  walk(context.machine, scan_.kept(context), (before.before[0] & kPresent) != 0, value, before.before[1],
       visit);
}

std::uint64_t KeyScan::groups(const Context& context) const {
  const TreeScan::Result result = scan_.result(context);
  return result.total.empty() ? 0 : result.total[1];
}

Compact::Compact(Options options)
    : scan_({.tree = options.tree,
             .element_words = 1,
             .load = [load = options.load, words = options.record_words](
                         const Context& context,
                         std::span<Word> element) { element[0] = load(context).size() / words; },
             .combine = [](std::span<Word> left, std::span<const Word> right) { left[0] += right[0]; },
             .identity = {0},
             .keep =
                 [load = options.load, tree = options.tree](const Context& context) {
                   return tree.covers(context.machine) ? load(context) : std::span<const Word>{};
                 },
             .load_scratch_words = 2 * options.load_scratch_words}) {}

Compact::Result Compact::result(const Context& context) const {
  const TreeScan::Result counts = scan_.result(context);
  if (counts.before.empty()) return {};
  return {counts.before[0], counts.total[0], scan_.kept(context)};
}

WordScan::WordScan(Options options) : options_(std::move(options)), scan_(tree_options()) {}

TreeOptions WordScan::tree_options() const {
  return {.tree = options_.tree,
          .element_words = options_.item_words,
          .load =
              [this](const Context& context, std::span<Word> element) {
                std::ranges::copy(options_.identity, element.begin());
                const std::span<const Word> items = options_.load(context);
                for (std::size_t i = 0; i + options_.item_words <= items.size(); i += options_.item_words)
                  options_.combine(element, items.subspan(i, options_.item_words));
              },
          .combine = options_.combine,
          .identity = options_.identity,
          .keep = options_.load,
          .load_scratch_words = 2 * options_.load_scratch_words,
          .backward = options_.backward};
}

void WordScan::for_each(
    const Context& context,
    const std::function<void(std::size_t, std::span<const Word>, std::span<const Word>)>& each) const {
  const std::uint64_t width = options_.item_words;
  const std::span<const Word> before = scan_.result(context).before;
  if (before.empty()) return;
  const std::span<const Word> items = scan_.kept(context);
  const std::size_t count = items.size() / width;
  const std::span<Word> scanned = context.take(width);
  const std::span<Word> item = context.take(width);
  std::ranges::copy(before, scanned.begin());
  for (std::size_t step = 0; step < count; ++step) {
    const std::size_t i = options_.backward ? count - 1 - step : step;
    const std::span<const Word> own = items.subspan(i * width, width);
    if (options_.backward) {
      std::ranges::copy(own, item.begin());
      options_.combine(item, scanned);
      std::ranges::copy(item, scanned.begin());
    } else {
      options_.combine(scanned, own);
    }
    each(i, own, scanned);
  }
}

}  // namespace roundtrip::mpc
