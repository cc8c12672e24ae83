#include "roundtrip/mpc/stages/sort.h"

#include <algorithm>
#include <bit>

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

std::uint32_t sort_group_bits(std::uint64_t records) {
  return 2 * static_cast<std::uint32_t>(std::bit_width(records - 1));
}

Sort::Sort(Options options)
    : options_(std::move(options)), group_bits_(sort_group_bits(options_.plan.records) / 2) {
  const SortPlan& plan = options_.plan;
  const std::uint64_t block = std::min(plan.machine_records, plan.records) * plan.record_words;
  const std::uint64_t samples = plan.fan * plan.samples * plan.key_words;
  // Loading and arranging: records as loaded, with their group, in parts, and sorted. Nodes: samples gathered
  // and merged, splitters. Scans: counts, one element and its message. Placing: groups gathered, sorted,
  // stripped.
  const std::uint64_t arranging = 4 * block + local_sort_scratch_words(plan.machine_records) + samples;
  const std::uint64_t merging =
      2 * samples + local_sort_scratch_words(plan.fan * plan.samples) + plan.ways * plan.key_words;
  const std::uint64_t scanning = 5 * plan.ways;
  const std::uint64_t placing =
      6 * block + plan.machine_records + local_sort_scratch_words(2 * plan.machine_records);
  scratch_words_ =
      std::max({arranging + options_.load_scratch_words, merging, scanning + 2 * block, placing});
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

// What a machine sends to itself in the rounds of a level starts with its records; extra words follow.
std::span<const Word> Sort::extra_from(const Context& context, MachineId source) const {
  const std::uint64_t own = source == context.machine ? count(source) * options_.plan.record_words : 0;
  expect_received(context.count_from(source) >= own);
  return context.from(source, own);
}

Sort::Slices Sort::slices(MachineId machine, std::span<const Word> records, std::uint32_t level) const {
  const SortPlan& plan = options_.plan;
  const std::uint64_t first = first_position(machine);
  const std::uint64_t end = first + count(machine);
  const MachineId base = machine_of(machine, 0);
  Slices result;
  const auto add = [&](const Group& group, std::uint64_t inside) {
    expect_received(group.start <= inside && inside - group.start < group.length &&
                    group.start + group.length <= plan.records);
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
  const Group head = unpacked(records[plan.record_words - 1]);
  const Group tail = unpacked(records.back());
  if (head.length > plan.machine_records) add(head, first);
  if (tail.length > plan.machine_records && tail.start != head.start) add(tail, end - 1);
  return result;
}

std::span<const Word> Sort::loaded(const Context& context) const {
  const SortPlan& plan = options_.plan;
  const std::span<Word> records = context.take(count(context.machine) * (plan.record_words - 1));
  options_.load(context, first_position(context.machine), records);
  return records;
}

std::span<const Word> Sort::result(const Context& context) const {
  if (rounds() > 0) return context.inbox.words();
  if (!takes_part(context.machine)) return {};
  const SortPlan& plan = options_.plan;
  const std::span<const Word> records = loaded(context);
  const std::span<Word> sorted = context.take(records.size());
  local_sort(records, sorted, plan.record_words - 1, plan.key_words, context.scratch);
  return sorted;
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
  if (round > 1) {
    const std::uint64_t words = count(context.machine) * options_.plan.record_words;
    view.records = context.from(context.machine, 0, words);
    expect_received(view.records.size() == words);
  } else if (level > 0) {
    expect_received(context.inbox.words().size() == count(context.machine) * options_.plan.record_words);
    view.records = arrange(context, context.inbox.words());
  } else {
    const std::uint64_t width = options_.plan.record_words;
    const std::span<const Word> records = loaded(context);
    const std::span<Word> grouped = context.take(count(context.machine) * width);
    const Word everything = packed({0, options_.plan.records});
    for (std::uint64_t i = 0; i < count(context.machine); ++i) {
      std::copy_n(records.data() + i * (width - 1), width - 1, grouped.data() + i * width);
      grouped[i * width + width - 1] = everything;
    }
    view.records = arrange(context, grouped);
  }
  view.slices = slices(context.machine, view.records, level);
  if (round == 4 * depth + 1) return route(context, view);
  context.out.send(context.machine, view.records);
  if (round <= depth) {
    samples_up(context, view, round);
  } else if (round <= 2 * depth) {
    splitters_down(context, view, round - depth);
  } else {
    scan_counts(context, view, round - 2 * depth);
  }
}

// Records arrive in any order within the machine. Those of an active group that lies to the left come first,
// those of one that goes on to the right last, each sorted; groups that are small enough already wait in
// between.
std::span<const Word> Sort::arrange(const Context& context, std::span<const Word> arrived) const {
  const SortPlan& plan = options_.plan;
  const std::uint64_t width = plan.record_words;
  const std::uint64_t first = first_position(context.machine);
  const auto part_of = [&](const Word* record) {
    const Group group = unpacked(record[width - 1]);
    return group.length <= plan.machine_records ? 1 : group.start <= first ? 0 : 2;
  };
  std::uint64_t words[3] = {0, 0, 0};
  for (std::uint64_t i = 0; i < arrived.size(); i += width) words[part_of(arrived.data() + i)] += width;
  std::span<const Word> parts = arrived;
  if (std::max({words[0], words[1], words[2]}) < arrived.size()) {
    const std::span<Word> split = context.take(arrived.size());
    Word* next[3] = {split.data(), split.data() + words[0], split.data() + words[0] + words[1]};
    for (std::uint64_t i = 0; i < arrived.size(); i += width) {
      Word*& to = next[part_of(arrived.data() + i)];
      to = std::copy_n(arrived.data() + i, width, to);
    }
    parts = split;
  }
  const std::span<Word> sorted = context.take(arrived.size());
  local_sort(parts.first(words[0]), sorted.first(words[0]), width, plan.key_words, context.scratch);
  std::ranges::copy(parts.subspan(words[0], words[1]),
                    sorted.begin() + static_cast<std::ptrdiff_t>(words[0]));
  if (seeded("part-unsorted")) {
    std::ranges::copy(parts.last(words[2]), sorted.last(words[2]).begin());
  } else {
    local_sort(parts.last(words[2]), sorted.last(words[2]), width, plan.key_words, context.scratch);
  }
  return sorted;
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

/// The last of every t0 records.
std::span<const Word> Sort::leaf_samples(const Context& context, const View& view, const Slice& slice) const {
  const SortPlan& plan = options_.plan;
  const std::uint64_t samples = slice.count / plan.sample_distance;
  const std::span<Word> keys = context.take(samples * plan.key_words);
  for (std::uint64_t i = 0; i < samples; ++i) {
    const std::uint64_t record = slice.begin + (i + 1) * plan.sample_distance - 1;
    std::copy_n(view.records.data() + record * plan.record_words, plan.key_words,
                keys.data() + i * plan.key_words);
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
  words -= words % plan.key_words;
  const std::span<Word> merged = context.take(words);
  local_sort(gathered.first(words), merged, plan.key_words, plan.key_words, context.scratch);
  if (level == root_level) return merged;
  const std::uint64_t kept = words / plan.key_words / plan.fan;
  for (std::uint64_t i = 0; i < kept; ++i) {
    std::copy_n(merged.data() + ((i + 1) * plan.fan - 1) * plan.key_words, plan.key_words,
                merged.data() + i * plan.key_words);
  }
  return merged.first(kept * plan.key_words);
}

/// Samples floor(j L / F) for j = 1..F-1; none if there is no sample.
std::span<const Word> Sort::splitters(const Context& context, std::span<const Word> samples) const {
  const SortPlan& plan = options_.plan;
  const std::uint64_t count = samples.size() / plan.key_words;
  if (count == 0) return {};
  const std::span<Word> chosen = context.take((plan.ways - 1) * plan.key_words);
  const bool unspaced = seeded("splitters-unspaced");
  for (std::uint64_t j = 1; j < plan.ways; ++j) {
    const std::uint64_t sample = unspaced ? j % count : j * count / plan.ways;
    std::copy_n(samples.data() + sample * plan.key_words, plan.key_words,
                chosen.data() + (j - 1) * plan.key_words);
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
void Sort::count_ways(const View& view, const Slice& slice, std::span<const Word> splitters,
                      std::span<Word> counts) const {
  const SortPlan& plan = options_.plan;
  expect_received(splitters.empty() || splitters.size() == (plan.ways - 1) * plan.key_words);
  const Word* const records = view.records.data() + slice.begin * plan.record_words;
  std::uint64_t begin = 0;
  for (std::uint64_t way = 0; way + 1 < plan.ways && !splitters.empty(); ++way) {
    const Word* const splitter = splitters.data() + way * plan.key_words;
    std::uint64_t end = slice.count;  // first record above the splitter lies in low..end
    for (std::uint64_t low = begin; low < end;) {
      const std::uint64_t middle = (low + end) / 2;
      key_less(splitter, records + middle * plan.record_words, plan.key_words) ? end = middle
                                                                               : low = middle + 1;
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
      count_ways(view, slice, extra_from(context, parent), fresh.subspan(at, plan.ways));
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

void Sort::route(const Context& context, const View& view) const {
  const SortPlan& plan = options_.plan;
  const std::uint64_t width = plan.record_words;
  std::span<const Word> counts = extra_from(context, context.machine);
  expect_received(counts.size() >= view.slices.size * plan.ways);
  std::uint64_t waiting_begin = 0;  // records that belong to no slice
  std::uint64_t waiting_end = count(context.machine);
  for (const Slice& slice : view.slices) {
    slice.begin == 0 ? waiting_begin = slice.count : waiting_end = slice.begin;
  }
  if (waiting_begin < waiting_end) {
    context.out.send(context.machine,
                     view.records.subspan(waiting_begin * width, (waiting_end - waiting_begin) * width));
  }
  for (const Slice& slice : view.slices) {
    const std::span<const Word> offsets = ScanTree{slice.tree, plan.ways, kAddCounts}.result(context);
    const std::span<Word> moved = context.take(slice.count * width);
    std::ranges::copy(view.records.subspan(slice.begin * width, slice.count * width), moved.begin());
    std::uint64_t record = 0;
    std::uint64_t start = slice.group.start;
    for (std::uint64_t way = 0; way < plan.ways; ++way) {
      const std::uint64_t total = offsets[plan.ways + way];
      std::uint64_t position = offsets[way];
      expect_received(counts[way] <= slice.count - record);
      for (const std::uint64_t end = record + counts[way]; record < end;) {
        const std::uint64_t left = plan.machine_records - position % plan.machine_records;
        const std::uint64_t piece = std::min(left, end - record);
        for (std::uint64_t i = record; i < record + piece; ++i)
          moved[i * width + width - 1] = packed({start, total});
        context.out.send(machine_of(context.machine, position), moved.subspan(record * width, piece * width));
        record += piece;
        position += piece;
      }
      start += total;
    }
    counts = counts.subspan(plan.ways);
  }
}

/// A group of at most B records is on the machine of its first position or on that and the next one.
void Sort::gather_groups(const Context& context) const {
  const std::uint64_t width = options_.plan.record_words;
  const std::uint64_t first = first_position(context.machine);
  const std::span<const Word> arrived = context.inbox.words();
  expect_received(arrived.size() % width == 0);
  const std::span<Word> records = context.take(arrived.size());
  std::uint64_t back = 0;  // words for the machine before, in front; words that stay, from the end on
  std::uint64_t stay = arrived.size();
  for (std::uint64_t i = 0; i < arrived.size(); i += width) {
    const Group group = unpacked(arrived[i + width - 1]);
    if (group.length > options_.plan.machine_records)
      throw InternalError("sort: a group exceeds its bound B");
    const bool goes_back = group.start < first;
    if (!goes_back) stay -= width;
    std::copy_n(arrived.data() + i, width, records.data() + (goes_back ? back : stay));
    if (goes_back) back += width;
  }
  if (back > 0) context.out.send(context.machine - 1, records.first(back));
  context.out.send(context.machine, records.subspan(back));
}

void Sort::place_groups(const Context& context) const {
  const SortPlan& plan = options_.plan;
  const std::uint64_t width = plan.record_words;
  const std::uint64_t first = first_position(context.machine);
  const std::span<const Word> arrived = context.inbox.words();
  if (arrived.empty()) return;
  expect_received(arrived.size() % width == 0);
  // Records into the places of their groups; next[p] is the next free place of the group that starts at first
  // + p.
  const std::span<Word> next = context.take(count(context.machine));
  std::ranges::fill(next, ~Word{0});
  const std::span<Word> grouped = context.take(arrived.size());
  std::uint64_t least = ~std::uint64_t{0};  // first position of any group that starts here
  for (std::uint64_t i = 0; i < arrived.size(); i += width) {
    least = std::min(least, unpacked(arrived[i + width - 1]).start);
  }
  for (std::uint64_t i = 0; i < arrived.size(); i += width) {
    const std::uint64_t start = unpacked(arrived[i + width - 1]).start;
    expect_received(start >= first && start - first < next.size());
    Word& place = next[start - first];
    if (place == ~Word{0}) place = start - least;
    expect_received(place < arrived.size() / width);
    std::copy_n(arrived.data() + i, width, grouped.data() + place++ * width);
  }
  const std::span<Word> sorted = context.take(arrived.size());
  for (std::uint64_t i = 0; i < arrived.size();) {
    // One group after the other, each of as many records as it says: no position is empty or was taken twice.
    const std::uint64_t place = i / width;
    const std::uint64_t start = least + place - first;
    expect_received(start < next.size() && next[start] != ~Word{0});
    const Group group = unpacked(grouped[i + width - 1]);
    expect_received(group.start == least + place && next[start] == place + group.length &&
                    group.length <= arrived.size() / width - place);
    const std::uint64_t words = group.length * width;
    local_sort(grouped.subspan(i, words), sorted.subspan(i, words), width, plan.key_words, context.scratch);
    i += words;
  }
  const std::uint64_t narrow = width - 1;
  const std::span<Word> stripped = context.take(arrived.size() / width * narrow);
  for (std::uint64_t i = 0; i < arrived.size() / width; ++i) {
    std::copy_n(sorted.data() + i * width, narrow, stripped.data() + i * narrow);
  }
  place_run(context, least, stripped);
}

void Sort::place_run(const Context& context, std::uint64_t position, std::span<const Word> records) const {
  const std::uint64_t block = options_.plan.machine_records;
  const std::uint64_t narrow = options_.plan.record_words - 1;
  while (!records.empty()) {
    const std::uint64_t piece =
        options_.place ? 1 : std::min(block - position % block, records.size() / narrow);
    if (options_.place) {
      options_.place(context, position, records.first(narrow));
    } else {
      context.out.send(machine_of(context.machine, position), records.first(piece * narrow));
    }
    position += piece;
    records = records.subspan(piece * narrow);
  }
}

}  // namespace roundtrip::mpc
