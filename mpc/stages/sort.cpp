#include "roundtrip/mpc/stages/sort.h"

#include <algorithm>

#include "roundtrip/base/error.h"
#include "roundtrip/base/fault.h"
#include "roundtrip/mpc/stages/local_sort.h"

namespace roundtrip::mpc {
namespace {

const Combine kAddCounts = [](std::span<Word> left, std::span<const Word> right) {
  for (std::size_t i = 0; i < left.size(); ++i) left[i] += right[i];
};

bool key_less(const Word* a, const Word* b, std::uint64_t words) {
  return std::lexicographical_compare(a, a + words, b, b + words);
}

}  // namespace

Sort::Sort(Options options) : options_(std::move(options)) {
  const SortPlan& plan = options_.plan;
  const std::uint64_t block = std::min(plan.machine_records, plan.records) * plan.record_words;
  const std::uint64_t samples = plan.fan * plan.samples * plan.sample_words;
  // Loading: records as loaded or arrived, and sorted; a leaf's samples. Nodes: samples gathered and merged,
  // splitters. Scans: counts, one element and its message. Placing: two blocks, sorted.
  const std::uint64_t loading = 2 * block + local_sort_scratch_words(plan.machine_records) + samples;
  const std::uint64_t merging =
      2 * samples + local_sort_scratch_words(plan.fan * plan.samples) + plan.ways * plan.sample_words;
  const std::uint64_t scanning = 5 * plan.ways;
  const std::uint64_t placing = 2 * block + local_sort_scratch_words(2 * plan.machine_records);
  scratch_words_ = std::max({loading + options_.load_scratch_words, merging, scanning, placing});
}

MachineId Sort::machine_of(MachineId near, std::uint64_t position) const {
  const SortPlan& plan = options_.plan;
  const std::uint64_t instance = (near - options_.first) / plan.machines;
  return static_cast<MachineId>(options_.first + instance * plan.machines + position / plan.machine_records);
}

bool Sort::takes_part(MachineId machine) const {
  return machine >= options_.first && machine - options_.first < options_.instances * options_.plan.machines;
}

std::uint64_t Sort::first_position(MachineId machine) const {
  return (machine - options_.first) % options_.plan.machines * options_.plan.machine_records;
}

std::uint64_t Sort::count(MachineId machine) const {
  return std::min(options_.plan.machine_records, options_.plan.records - first_position(machine));
}

// What a machine sends to itself in the rounds of a level starts with the groups of its ends and its records;
// extra words follow.
std::span<const Word> Sort::extra_from(const Context& context, MachineId source) const {
  const std::uint64_t own =
      source == context.machine ? kSortGroupWords + count(source) * options_.plan.record_words : 0;
  expect_received(context.count_from(source) >= own);
  return context.from(source, own);
}

Sort::Ends Sort::ends_from(const Context& context) const {
  const std::span<const Word> words = context.from(context.machine, 0, kSortGroupWords);
  expect_received(words.size() == kSortGroupWords);
  const Ends ends{{words[0], words[1]}, {words[2], words[3]}};
  const std::uint64_t first = first_position(context.machine);
  const std::uint64_t last = first + count(context.machine) - 1;
  const auto holds = [this](const Group& group, std::uint64_t position) {
    return group.start <= position && position - group.start < group.length &&
           group.length <= options_.plan.records - group.start;
  };
  expect_received(holds(ends.head, first) && holds(ends.tail, last));
  return ends;
}

void Sort::send_ends(const Context& context, const Ends& ends) const {
  const Word words[kSortGroupWords] = {ends.head.start, ends.head.length, ends.tail.start, ends.tail.length};
  context.out.send(context.machine, words);
}

Sort::Slices Sort::slices(MachineId machine, const Ends& ends, std::uint32_t level) const {
  const SortPlan& plan = options_.plan;
  const std::uint64_t first = first_position(machine);
  const std::uint64_t end = first + count(machine);
  const MachineId base = machine_of(machine, 0);
  Slices result;
  const auto add = [&](const Group& group) {
    if (group.length > plan.levels[level].group_records)
      throw InternalError("sort: a group exceeds its bound n_l");
    const std::uint64_t group_end = group.start + group.length;
    const std::uint64_t begin = std::max(group.start, first);
    const auto first_leaf = static_cast<std::uint32_t>(group.start / plan.machine_records);
    const auto last_leaf = static_cast<std::uint32_t>((group_end - 1) / plan.machine_records);
    const Tree tree{static_cast<std::uint32_t>(plan.fan), plan.levels[level].depth, base + first_leaf,
                    last_leaf - first_leaf + 1};
    result.slice[result.size++] = {group, begin - first, std::min(group_end, end) - begin, tree};
  };
  if (ends.head.length > plan.machine_records) add(ends.head);
  if (ends.tail.length > plan.machine_records && ends.tail.start != ends.head.start) {
    expect_received(result.size == 0 || ends.tail.start >= ends.head.start + ends.head.length);
    add(ends.tail);
  }
  return result;
}

std::span<const Word> Sort::loaded(const Context& context) const {
  const SortPlan& plan = options_.plan;
  const std::span<Word> records = context.take(count(context.machine) * plan.record_words);
  options_.load(context, first_position(context.machine), records);
  return records;
}

/// The records that a level has brought here, in the order of their former positions.
std::span<const Word> Sort::arrived(const Context& context) const {
  const std::span<Word> records = context.take(count(context.machine) * options_.plan.record_words);
  expect_received(context.inbox.size() == records.size() + kSortGroupWords);
  auto next = records.begin();
  for (const std::span<const Word> words :
       {context.before(context.machine), context.from(context.machine, kSortGroupWords),
        context.after(context.machine)})
    next = std::ranges::copy(words, next).out;
  return records;
}

/// Ties in the order in which they are.
std::span<const Word> Sort::sorted(const Context& context, std::span<const Word> records) const {
  const SortPlan& plan = options_.plan;
  const std::span<Word> result = context.take(records.size());
  local_sort(records, result, plan.record_words, plan.key_words, context.scratch);
  if (seeded("part-unsorted")) {
    const std::size_t half = records.size() / plan.record_words / 2 * plan.record_words;
    std::ranges::copy(records.subspan(half), result.subspan(half).begin());
  }
  return result;
}

std::span<const Word> Sort::result(const Context& context) const {
  if (rounds() > 0) return context.inbox.words();
  if (!takes_part(context.machine)) return {};
  return sorted(context, loaded(context));
}

void Sort::step(const Context& context, std::uint32_t round) const {
  if (!takes_part(context.machine)) return;
  for (std::uint32_t level = 0; level < options_.plan.levels.size(); ++level) {
    const std::uint32_t rounds_here = options_.plan.level_rounds(level);
    if (round <= rounds_here) return step_level(context, level, round);
    round -= rounds_here;
  }
  round == 1 ? gather_groups(context) : place_groups(context);
}

void Sort::step_level(const Context& context, std::uint32_t level, std::uint32_t round) const {
  const std::uint32_t depth = options_.plan.levels[level].depth;
  View view;
  if (level == 0 && round == 1) {
    view.ends.head = view.ends.tail = {0, options_.plan.records};
    view.records = sorted(context, loaded(context));
  } else {
    view.ends = ends_from(context);
    if (round == 1) {
      view.records = sorted(context, arrived(context));
    } else {
      const std::uint64_t words = count(context.machine) * options_.plan.record_words;
      view.records = context.from(context.machine, kSortGroupWords, words);
      expect_received(view.records.size() == words);
    }
  }
  view.slices = slices(context.machine, view.ends, level);
  if (round == 4 * depth + 1) return route(context, view);
  send_ends(context, view.ends);
  context.out.send(context.machine, view.records);
  if (round <= depth) {
    samples_up(context, view, round);
  } else if (round <= 2 * depth) {
    splitters_down(context, view, round - depth);
  } else {
    scan_counts(context, view, round - 2 * depth);
  }
}

void Sort::samples_up(const Context& context, const View& view, std::uint32_t round) const {
  const std::uint32_t level = round - 1;
  for (const Slice& slice : view.slices) {
    if (!slice.tree.hosts(context.machine, level)) continue;
    context.out.send(
        slice.tree.host(round, context.machine - slice.tree.first),
        level == 0 ? leaf_samples(context, view, slice) : node_samples(context, slice.tree, level));
  }
}

/// The last of every t0 records: its key, and its position unless keys are distinct.
std::span<const Word> Sort::leaf_samples(const Context& context, const View& view, const Slice& slice) const {
  const SortPlan& plan = options_.plan;
  const std::uint64_t samples = slice.count / plan.sample_distance;
  const std::span<Word> keys = context.take(samples * plan.sample_words);
  for (std::uint64_t i = 0; i < samples; ++i) {
    const std::uint64_t record = slice.begin + (i + 1) * plan.sample_distance - 1;
    Word* const sample = keys.data() + i * plan.sample_words;
    std::copy_n(view.records.data() + record * plan.record_words, plan.key_words, sample);
    if (plan.sample_words > plan.key_words) sample[plan.key_words] = first_position(context.machine) + record;
  }
  return keys;
}

/// What the node of this machine has from its children: merged, and the last of every f kept below the root.
/// All samples of a level thus represent the same number of records, an only child's too. Above the root of a
/// small group nothing happens.
std::span<const Word> Sort::node_samples(const Context& context, const Tree& tree,
                                         std::uint32_t level) const {
  const SortPlan& plan = options_.plan;
  const std::uint32_t leaf = context.machine - tree.first;
  const std::uint32_t children = tree.children(level, leaf);
  const std::uint32_t root_level = ceil_log(tree.fan, tree.leaves);
  if (level > root_level) return extra_from(context, context.machine);
  std::uint64_t words = 0;
  for (std::uint32_t child = 0; child < children; ++child) {
    words += extra_from(context, tree.child_host(level, leaf, child)).size();
  }
  const std::span<Word> gathered = context.take(words);
  auto next = gathered.begin();
  for (std::uint32_t child = 0; child < children; ++child) {
    next = std::ranges::copy(extra_from(context, tree.child_host(level, leaf, child)), next).out;
  }
  words -= words % plan.sample_words;
  const std::span<Word> merged = context.take(words);
  local_sort(gathered.first(words), merged, plan.sample_words, plan.sample_words, context.scratch);
  if (level == root_level) return merged;
  const std::uint64_t kept = words / plan.sample_words / plan.fan;
  for (std::uint64_t i = 0; i < kept; ++i) {
    std::copy_n(merged.data() + ((i + 1) * plan.fan - 1) * plan.sample_words, plan.sample_words,
                merged.data() + i * plan.sample_words);
  }
  return merged.first(kept * plan.sample_words);
}

/// Samples floor(j L / F) for j = 1..F-1; none if there is no sample.
std::span<const Word> Sort::splitters(const Context& context, std::span<const Word> samples) const {
  const SortPlan& plan = options_.plan;
  const std::uint64_t count = samples.size() / plan.sample_words;
  if (count == 0) return {};
  const std::span<Word> chosen = context.take((plan.ways - 1) * plan.sample_words);
  const bool unspaced = seeded("splitters-unspaced");
  for (std::uint64_t j = 1; j < plan.ways; ++j) {
    const std::uint64_t sample = unspaced ? j % count : j * count / plan.ways;
    std::copy_n(samples.data() + sample * plan.sample_words, plan.sample_words,
                chosen.data() + (j - 1) * plan.sample_words);
  }
  return chosen;
}

void Sort::splitters_down(const Context& context, const View& view, std::uint32_t round) const {
  for (const Slice& slice : view.slices) {
    const Tree& tree = slice.tree;
    const std::uint32_t level = tree.depth - round + 1;
    if (!tree.hosts(context.machine, level)) continue;
    const std::uint32_t leaf = context.machine - tree.first;
    const std::span<const Word> chosen = round == 1 ? splitters(context, node_samples(context, tree, level))
                                                    : extra_from(context, tree.host(level + 1, leaf));
    for (std::uint32_t child = 0; child < tree.children(level, leaf); ++child) {
      context.out.send(tree.child_host(level, leaf, child), chosen);
    }
  }
}

/// Way j holds the records above splitter j and not above splitter j + 1.
void Sort::count_ways(const Context& context, const View& view, const Slice& slice,
                      std::span<const Word> splitters, std::span<Word> counts) const {
  const SortPlan& plan = options_.plan;
  expect_received(splitters.empty() || splitters.size() == (plan.ways - 1) * plan.sample_words);
  const Word* const records = view.records.data() + slice.begin * plan.record_words;
  const std::uint64_t first = first_position(context.machine) + slice.begin;
  const bool positions = plan.sample_words > plan.key_words;
  const bool tied_below = seeded("ties-unsplit");
  const auto is_above = [&](std::uint64_t record, const Word* splitter) {
    const Word* const key = records + record * plan.record_words;
    if (!positions || !std::equal(key, key + plan.key_words, splitter))
      return key_less(splitter, key, plan.key_words);
    return !tied_below && splitter[plan.key_words] < first + record;
  };
  std::uint64_t begin = 0;
  for (std::uint64_t way = 0; way + 1 < plan.ways && !splitters.empty(); ++way) {
    const Word* const splitter = splitters.data() + way * plan.sample_words;
    std::uint64_t end = slice.count;  // first record above the splitter lies in low..end
    for (std::uint64_t low = begin; low < end;) {
      const std::uint64_t middle = (low + end) / 2;
      is_above(middle, splitter) ? end = middle : low = middle + 1;
    }
    counts[way] = end - begin;
    begin = end;
  }
  if (splitters.empty()) std::ranges::fill(counts, 0);
  counts.back() = slice.count - begin;
}

// Counts go up and offsets down; a machine's own counts follow its records in what it sends to itself. A
// machine hosts inner nodes of its first slice's tree only (of a second one it is the first leaf), so at most
// one scan keeps words here.
void Sort::scan_counts(const Context& context, const View& view, std::uint32_t round) const {
  const SortPlan& plan = options_.plan;
  std::span<const Word> counts;
  if (round == 1) {
    const std::span<Word> fresh = context.take(view.slices.size * plan.ways);
    std::uint64_t at = 0;
    for (const Slice& slice : view.slices) {
      const MachineId parent = slice.tree.host(1, context.machine - slice.tree.first);
      count_ways(context, view, slice, extra_from(context, parent), fresh.subspan(at, plan.ways));
      at += plan.ways;
    }
    counts = fresh;
  } else {
    counts = extra_from(context, context.machine);
    expect_received(counts.size() >= view.slices.size * plan.ways);
    counts = counts.first(view.slices.size * plan.ways);
  }
  context.out.send(context.machine, counts);
  std::uint64_t at = 0;
  for (const Slice& slice : view.slices) {
    const ScanTree scan{slice.tree, plan.ways, kAddCounts};
    scan.step(context, round, counts.subspan(at, plan.ways),
              [&slice](std::span<const Word> total, std::span<Word> before) {
                Word start = slice.group.start;
                for (std::size_t way = 0; way < total.size(); ++way) {
                  before[way] = start;
                  start += total[way] - (total[way] > 0 && seeded("ways-overlap"));
                }
              });
    at += plan.ways;
  }
}

/// The groups of the ends after the level: those of active groups are ways, whose totals came down the tree.
Sort::Ends Sort::next_ends(const Context& context, const View& view) const {
  const SortPlan& plan = options_.plan;
  Ends ends = view.ends;
  const auto way_of = [&](const Slice& slice, std::uint64_t position) {
    const std::span<const Word> totals =
        ScanTree{slice.tree, plan.ways, kAddCounts}.result(context).subspan(plan.ways);
    std::uint64_t start = slice.group.start;
    std::size_t way = 0;
    for (; way < totals.size() && totals[way] <= position - start; ++way) start += totals[way];
    expect_received(way < totals.size());
    return Group{start, totals[way]};
  };
  for (const Slice& slice : view.slices) {
    const std::uint64_t first = first_position(context.machine) + slice.begin;
    if (slice.begin == 0) ends.head = way_of(slice, first);
    if (slice.begin + slice.count == count(context.machine))
      ends.tail = way_of(slice, first + slice.count - 1);
  }
  return ends;
}

/// In the order of positions, so that a receiver has equal keys in theirs: a slice at the front, records of groups
/// that are short enough already, a slice at the back.
void Sort::route(const Context& context, const View& view) const {
  const SortPlan& plan = options_.plan;
  const std::uint64_t width = plan.record_words;
  std::span<const Word> counts = extra_from(context, context.machine);
  expect_received(counts.size() >= view.slices.size * plan.ways);
  send_ends(context, next_ends(context, view));
  std::uint64_t sent = 0;  // records
  const auto keep_until = [&](std::uint64_t end) {
    context.out.send(context.machine, view.records.subspan(sent * width, (end - sent) * width));
    sent = end;
  };
  for (const Slice& slice : view.slices) {
    keep_until(slice.begin);
    const std::span<const Word> offsets = ScanTree{slice.tree, plan.ways, kAddCounts}.result(context);
    const std::uint64_t slice_end = slice.begin + slice.count;
    for (std::uint64_t way = 0; way < plan.ways; ++way) {
      std::uint64_t position = offsets[way];
      expect_received(
          counts[way] <= slice_end - sent &&
          (counts[way] == 0 || (position < plan.records && counts[way] <= plan.records - position)));
      for (const std::uint64_t end = sent + counts[way]; sent < end;) {
        const std::uint64_t left = plan.machine_records - position % plan.machine_records;
        const std::uint64_t piece = std::min(left, end - sent);
        context.out.send(machine_of(context.machine, position),
                         view.records.subspan(sent * width, piece * width));
        sent += piece;
        position += piece;
      }
    }
    expect_received(sent == slice_end);
    counts = counts.subspan(plan.ways);
  }
  keep_until(count(context.machine));
}

/// A group of at most B records is on the machine of its first position or on that and the next one.
void Sort::gather_groups(const Context& context) const {
  const SortPlan& plan = options_.plan;
  const Ends ends = ends_from(context);
  if (std::max(ends.head.length, ends.tail.length) > plan.machine_records)
    throw InternalError("sort: a group exceeds its bound B");
  const std::span<const Word> records = sorted(context, arrived(context));
  const std::uint64_t first = first_position(context.machine);
  const std::uint64_t back =
      ends.head.start < first ? std::min(ends.head.start + ends.head.length - first, count(context.machine))
                              : 0;
  if (back > 0) context.out.send(context.machine - 1, records.first(back * plan.record_words));
  context.out.send(context.machine, records.subspan(back * plan.record_words));
}

void Sort::place_groups(const Context& context) const {
  const SortPlan& plan = options_.plan;
  const std::span<const Word> records = context.inbox.words();
  if (records.empty()) return;
  const std::uint64_t own = context.count_from(context.machine);
  const std::uint64_t here = count(context.machine);
  expect_received(own % plan.record_words == 0 && own <= here * plan.record_words);
  const std::uint64_t position = first_position(context.machine) + here - own / plan.record_words;
  expect_received(records.size() % plan.record_words == 0 &&
                  records.size() <= 2 * plan.machine_records * plan.record_words &&
                  records.size() / plan.record_words <= plan.records - position);
  place_run(context, position, sorted(context, records));
}

void Sort::place_run(const Context& context, std::uint64_t position, std::span<const Word> records) const {
  const std::uint64_t block = options_.plan.machine_records;
  const std::uint64_t width = options_.plan.record_words;
  while (!records.empty()) {
    const std::uint64_t piece =
        options_.place ? 1 : std::min(block - position % block, records.size() / width);
    if (options_.place) {
      options_.place(context, position, records.first(width));
    } else {
      context.out.send(machine_of(context.machine, position), records.first(piece * width));
    }
    position += piece;
    records = records.subspan(piece * width);
  }
}

}  // namespace roundtrip::mpc
