#include "roundtrip/mpc/stages/darts.h"

#include <algorithm>
#include <utility>

#include "roundtrip/base/error.h"
#include "roundtrip/mpc/registry.h"

namespace roundtrip::mpc {
namespace {

constexpr std::uint64_t kSpreadWords = 2;  // V of the totals by which groups move: where to, and from where
constexpr std::uint32_t kTellBits = 26;

/// Records that a machine sent to itself, before all else.
std::span<const Word> own_records(const Context& context, std::uint64_t words) {
  const std::span<const Word> records = context.from(context.machine, 0, words);
  expect_received(records.size() == words);
  return records;
}

/// Calls each(message) for what arrived beside them, `width` words each.
template <typename Each>
void for_each_message(const Context& context, std::uint64_t own_words, std::uint64_t width,
                      const Each& each) {
  for (const std::span<const Word> words :
       {context.before(context.machine), context.from(context.machine, own_words),
        context.after(context.machine)}) {
    expect_received(words.size() % width == 0);
    for (std::size_t i = 0; i < words.size(); i += width) each(words.subspan(i, width));
  }
}

void send_told(const Context& context, const DartPlan& plan, std::span<const Word> records,
               std::uint64_t width, const std::function<Word(const Dart&)>& tell) {
  context.out.send(context.machine, records);
  for (std::size_t i = 0; i < records.size(); i += width) {
    const Dart dart = Dart::of(records.subspan(i));
    const Word word = tell(dart);
    if (word != 0) context.out.send(plan.machine_of(dart.partner), dart.partner << kTellBits | word);
  }
}

/// The round after: records, then what each dart has been told.
std::span<Word> received_told(const Context& context, const DartPlan& plan, std::uint64_t width) {
  const std::uint64_t count = plan.count(context.machine), first = context.machine * plan.block;
  const std::span<Word> kept = context.take(count * (width + 1));
  std::ranges::fill(std::ranges::copy(own_records(context, count * width), kept.begin()).out, kept.end(), 0);
  for_each_message(context, count * width, 1, [&](std::span<const Word> message) {
    const std::uint64_t at = (message[0] >> kTellBits) - first;
    expect_received(at < count);
    kept[count * width + at] = message[0] & ((Word{1} << kTellBits) - 1);
  });
  return kept;
}

/// Records with their position as a last word, in order and without it.
std::span<Word> in_order(const Context& context, const DartPlan& plan) {
  const std::uint64_t width = plan.record_words;
  const std::uint64_t first = context.machine * plan.block;
  const std::span<Word> records = context.take(plan.count(context.machine) * width);
  std::ranges::fill(records, ~Word{0});
  const std::span<const Word> words = context.inbox.words();
  expect_received(words.size() == plan.count(context.machine) * (width + 1));
  for (std::size_t i = 0; i < words.size(); i += width + 1) {
    const std::uint64_t at = words[i + width] - first;
    expect_received(at < plan.count(context.machine) && records[at * width] == ~Word{0});
    std::ranges::copy(words.subspan(i, width), records.subspan(at * width).begin());
  }
  return records;
}

}  // namespace

Dart Dart::of(std::span<const Word> record) {
  return {.group = record[0] >> kDartBits & kDartMask,
          .other = record[0] & kDartMask,
          .partner = record[1] >> kDartBits & kDartMask,
          .tag = record[1] & kDartMask,
          .state = record[0] >> 2 * kDartBits & 15};
}

void Dart::write(std::span<Word> record) const {
  record[0] = state << 2 * kDartBits | group << kDartBits | other;
  record[1] = partner << kDartBits | tag;
}

DartPlan plan_darts(const Parameters& parameters, std::string_view protocol, std::uint64_t edge_words,
                    std::uint64_t value_words,
                    const std::function<bool(const DartPlan&, std::uint64_t)>& serves) {
  DartPlan plan{.darts = 2 * parameters.n / edge_words, .record_words = edge_words};
  require(parameters.n % edge_words == 0 && plan.darts <= std::uint64_t{1} << kDartBits,
          "N is {}, allowed for {} is a multiple of {} (words of an edge) up to {}", parameters.n, protocol,
          edge_words, edge_words << (kDartBits - 1));
  const std::uint64_t child_words = 2 * (1 + 2 * std::max(value_words, kSpreadWords));
  plan.sizes = choose_sizes(parameters, kDartKappa, [&](const Sizes& sizes) {
    const std::uint64_t memory = sizes.memory_words, width = plan.record_words;
    std::optional<DartPlan> best;
    for (const std::uint64_t part :
         {1, 2, 3, 4}) {  // with fewer darts a machine there is more room for the tree
      DartPlan one = plan;
      one.block =
          memory / (part * std::max(width + 3, 2 * width)) / 2 * 2;  // a sort ends with up to 2 B records
      if (one.block == 0) break;
      one.machines = ceil_div(one.darts, one.block);
      const std::uint64_t fan = (memory - (width + 2) * one.block) / child_words;
      const std::uint64_t whole = WholeRecords::received_words(
          {.record_words = width, .positions = 2, .machine_positions = one.block});
      if (whole > memory) continue;
      if (fan < 2 || 2 * sizes.block_words > memory || sizes.block_words + one.machines > memory) continue;
      const auto sort = plan_sort({.records = one.darts,
                                   .record_words = width - 1,
                                   .memory_words = memory,
                                   .machine_records = one.block});
      if (!sort || sort->machine_records != one.block) continue;
      one.sort = *sort;
      one.tree = Tree::over(0, static_cast<std::uint32_t>(one.machines), static_cast<std::uint32_t>(fan));
      one.tree.depth = std::max(one.tree.depth, 1u);
      if (serves && !serves(one, memory)) continue;
      if (!best || one.tree.depth < best->tree.depth ||
          (one.tree.depth == best->tree.depth && one.sort.rounds < best->sort.rounds))
        best = one;
    }
    if (best) plan = *best;
    return best.has_value();
  });
  return plan;
}

// ---- layout: records (vertex, dart; words of the edge) are sorted; an edge's home hears of the positions of both its
// darts, and sends each of them there

DartLayout::DartLayout(const Options& options)
    : options_(options),
      input_({.words = options.shape->n,
              .block_words = options.shape->block_words,
              .record_words = options.plan.record_words,
              .positions = 2,
              .machine_positions = options.plan.block}),
      sort_({.plan = options.plan.sort,
             .load =
                 [this](const Context& context, std::uint64_t first, std::span<Word> records) {
                   const std::uint64_t edge_words = options_.plan.record_words, width = edge_words - 1;
                   const WholeRecords::Result given = input_.result(context);
                   expect_received(2 * given.first <= first &&
                                   given.words.size() / edge_words * 2 * width >= records.size());
                   for (std::uint64_t i = 0; i < records.size() / width; ++i) {
                     const std::uint64_t dart = first + i;
                     const std::span<const Word> edge =
                         given.words.subspan((dart / 2 - given.first) * edge_words, edge_words);
                     const std::int64_t vertex = decode_input(edge[dart % 2], *options_.shape);
                     require(vertex >= 0 && static_cast<std::uint64_t>(vertex) < options_.plan.darts,
                             "vertex {} of edge {} is {}, allowed is 0 to {}", dart % 2, dart / 2, vertex,
                             options_.plan.darts - 1);
                     records[i * width] = static_cast<Word>(vertex) << kDartBits | dart;
                     std::ranges::copy(edge.subspan(2), records.subspan(i * width + 1).begin());
                   }
                 },
             .place = [this](const Context& context, std::uint64_t position,
                             std::span<const Word> record) { to_homes(context, position, record); }}) {}

std::uint64_t DartLayout::scratch_words() const {
  const DartPlan& plan = options_.plan;
  const std::uint64_t sorted = sort_.rounds() == 0 ? plan.darts * (plan.record_words - 1) : 0;
  return std::max(sort_.scratch_words() + sorted, sorted) + plan.block * (plan.record_words + 1) +
         plan.record_words;
}

void DartLayout::to_homes(const Context& context, std::uint64_t position,
                          std::span<const Word> record) const {
  const MachineId home = options_.plan.machine_of(record[0] & kDartMask);
  context.out.send(home, record);
  context.out.send(home, position);
}

void DartLayout::step(const Context& context, std::uint32_t round) const {
  if (round == 1) return input_.step(context, 1);
  if (round <= 1 + sort_.rounds()) return sort_.step(context, round - 1);
  if (context.machine < options_.plan.machines) to_positions(context);
}

void DartLayout::to_positions(const Context& context) const {
  const DartPlan& plan = options_.plan;
  const std::uint64_t width = plan.record_words, first = context.machine * plan.block;
  const std::uint64_t count = plan.count(context.machine);
  // (vertex, dart; words; position) by dart, B of them: a home's are those of consecutive edges.
  const std::span<Word> darts = context.take(count * width);
  std::ranges::fill(darts, ~Word{0});
  const auto put = [&](std::span<const Word> record, Word position) {
    const std::uint64_t at = (record[0] & kDartMask) - first;
    expect_received(at < count && darts[at * width] == ~Word{0} && position < plan.darts);
    std::ranges::copy(record, darts.subspan(at * width).begin());
    darts[at * width + width - 1] = position;
  };
  const std::span<const Word> words = sort_.result(context);
  const bool sorted_here = sort_.rounds() == 0;
  const std::uint64_t stride = sorted_here ? width - 1 : width;
  expect_received(words.size() == count * stride);
  for (std::uint64_t i = 0; i < count; ++i) {
    put(words.subspan(i * stride, width - 1), sorted_here ? i : words[i * stride + width - 1]);
  }
  const std::span<Word> record = context.take(width + 1);
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::span<const Word> own = darts.subspan(i * width, width),
                                other = darts.subspan((i ^ 1) * width, width);
    const Word vertex = own[0] >> kDartBits & kDartMask;
    Dart{.group = vertex,
         .other = other[0] >> kDartBits & kDartMask,
         .partner = other[width - 1],
         .tag = options_.tag_edges ? (first + i) / 2 : vertex}
        .write(record);
    std::ranges::copy(own.subspan(1), record.begin() + 2);  // words of the edge, then the position
    context.out.send(plan.machine_of(own[width - 1]), record);
  }
}

std::span<const Word> DartLayout::result(const Context& context) const {
  const std::span<Word> records = in_order(context, options_.plan);
  Word last = ~Word{0};
  for (std::size_t i = 0; i < records.size(); i += options_.plan.record_words) {
    Dart dart = Dart::of(records.subspan(i));
    if (std::exchange(last, dart.group) == dart.group) continue;
    dart.state |= Dart::kFirst;
    dart.write(records.subspan(i));
  }
  return records;
}

// ---- totals: what a machine hands on is (ends, V words of its last group, V words of its first group), `ends` the first
// and the last group and whether there is but one

namespace {

constexpr Word kPresent = Word{1} << 2 * kDartBits, kSingle = kPresent << 1;
Word first_group(Word ends) {
  return ends >> kDartBits & kDartMask;
}
Word last_group(Word ends) {
  return ends & kDartMask;
}

Combine by_groups(const Combine& combine, std::uint64_t words) {
  return [combine, words](std::span<Word> left, std::span<const Word> right) {
    if ((right[0] & kPresent) == 0) return;
    if ((left[0] & kPresent) == 0) return void(std::ranges::copy(right, left.begin()));
    const bool joined = last_group(left[0]) == first_group(right[0]);
    const Word single = left[0] & right[0] & (joined ? kSingle : 0);
    if (joined && (left[0] & kSingle) != 0) combine(left.subspan(1 + words), right.subspan(1 + words));
    if (joined && (right[0] & kSingle) != 0) {
      combine(left.subspan(1, words), right.subspan(1, words));
    } else {
      std::ranges::copy(right.subspan(1, words), left.begin() + 1);
    }
    left[0] = single | kPresent | first_group(left[0]) << kDartBits | last_group(right[0]);
  };
}

}  // namespace

GroupTotals::GroupTotals(const Options& options)
    : options_(options),
      width_(options.record_words > 0 ? options.record_words : options.plan.record_words),
      scan_(tree_options()) {}

TreeOptions GroupTotals::tree_options() const {
  const std::uint64_t words = options_.value_words;
  return {
      .tree = options_.plan.tree,
      .element_words = 1 + 2 * words,
      .load =
          [this, words](const Context& context, std::span<Word> element) {
            const std::span<const Word> kept = with_told(context);
            const std::uint64_t count = options_.plan.count(context.machine);
            const std::uint64_t position = context.machine * options_.plan.block;
            const auto group = [&](std::uint64_t i) { return Dart::of(kept.subspan(i * width_)).group; };
            std::uint64_t head = 1, tail = count - 1;
            while (head < count && group(head) == group(0)) ++head;
            while (tail > 0 && group(tail - 1) == group(count - 1)) --tail;
            element[0] = kPresent | (head == count ? kSingle : 0) | group(0) << kDartBits | group(count - 1);
            const std::span<Word> value = context.take(words);
            total(position, kept, tail, count, value, element.subspan(1, words));
            total(position, kept, 0, head, value, element.subspan(1 + words));
          },
      .combine = by_groups(options_.combine, words),
      .identity = std::vector<Word>(1 + 2 * words),
      .keep = [this](const Context& context) { return with_told(context); },
      .load_scratch_words = 2 * (options_.load_scratch_words + options_.plan.block * (width_ + 1)) + words,
      .both = true};
}

/// Records, then what each dart has been told.
std::span<const Word> GroupTotals::with_told(const Context& context) const {
  if (options_.tell) return received_told(context, options_.plan, width_);
  const std::uint64_t count = options_.plan.count(context.machine);
  if (count == 0) return {};
  const std::span<const Word> records = options_.load(context);
  expect_received(records.size() == count * width_);
  return records;
}

void GroupTotals::total(std::uint64_t position, std::span<const Word> kept, std::uint64_t begin,
                        std::uint64_t end, std::span<Word> value, std::span<Word> total) const {
  const std::uint64_t count = options_.plan.count(static_cast<MachineId>(position / options_.plan.block));
  for (std::uint64_t i = begin; i < end; ++i) {
    const Word told = options_.tell ? kept[count * width_ + i] : 0;
    options_.value(position + i, kept.subspan(i * width_, width_), told, i == begin ? total : value);
    if (i > begin) options_.combine(total, value);
  }
}

void GroupTotals::step(const Context& context, std::uint32_t round) const {
  if (!options_.tell || round > 1) return scan_.step(context, options_.tell ? round - 1 : round);
  send_told(context, options_.plan, options_.load(context), width_, options_.tell);
}

std::uint64_t GroupTotals::scratch_words() const {
  return std::max(scan_.scratch_words(), options_.load_scratch_words);
}

std::uint64_t GroupTotals::result_scratch_words() const {
  return scan_.result_scratch_words() + 2 * options_.value_words;
}

void GroupTotals::visit(const Context& context, const Visit& each) const {
  const std::uint64_t count = options_.plan.count(context.machine), words = options_.value_words;
  if (count == 0) return;
  const TreeScan::Result around = scan_.result(context);
  const std::span<const Word> kept = scan_.kept(context);
  expect_received(kept.size() == count * (width_ + (options_.tell ? 1 : 0)));
  const std::uint64_t position = context.machine * options_.plan.block;
  const std::span<Word> value = context.take(words), sum = context.take(words);
  for (std::uint64_t begin = 0, end = 0; begin < count; begin = end) {
    const Word group = Dart::of(kept.subspan(begin * width_)).group;
    for (end = begin + 1; end < count && Dart::of(kept.subspan(end * width_)).group == group;) ++end;
    total(position, kept, begin, end, value, sum);
    const auto add = [&](std::span<const Word> element, Word of, std::uint64_t from) {
      if ((element[0] & kPresent) != 0 && of == group) options_.combine(sum, element.subspan(from, words));
    };
    if (begin == 0) add(around.before, last_group(around.before[0]), 1);
    if (end == count) add(around.behind, first_group(around.behind[0]), 1 + words);
    for (std::uint64_t i = begin; i < end; ++i) each(position + i, kept.subspan(i * width_, width_), sum);
  }
}

// ---- merging. The last word of a record is, by and by: how many darts the group brings (at a hook); how many are taken in
// behind the dart; the dart's new position, or where its group goes (at a hook); the new position

MergeGroups::MergeGroups(const Options& options)
    : options_(options),
      width_(options.plan.record_words + 1),
      places_({.tree = options.plan.tree,
               .load =
                   [this](const Context& context, std::span<Word> element) {
                     const std::span<const Word> records = with_guests(context);
                     element[0] = 0;
                     for (std::size_t i = 0; i < records.size(); i += width_) {
                       if ((Dart::of(records.subspan(i)).state & kMerges) == 0)
                         element[0] += 1 + records[i + width_ - 1];
                     }
                   },
               .combine = [](std::span<Word> left, std::span<const Word> right) { left[0] += right[0]; },
               .identity = {0},
               .keep = [this](const Context& context) { return with_guests(context); },
               .load_scratch_words = 2 * options.plan.block * (options.plan.record_words + 1)}),
      bases_({.plan = options.plan,
              .value_words = kSpreadWords,
              .record_words = options.plan.record_words + 1,
              .load = [this](const Context& context) { return with_bases(context); },
              .value =
                  [this](std::uint64_t position, std::span<const Word> record, Word, std::span<Word> value) {
                    const Dart dart = Dart::of(record);
                    value[0] = (dart.state & kHook) != 0 ? record[width_ - 1] << kDartBits | dart.other : 0;
                    value[1] = position;
                  },
              .combine =
                  [](std::span<Word> left, std::span<const Word> right) {
                    left[0] = std::max(left[0], right[0]);
                    left[1] = std::min(left[1], right[1]);
                  },
              .load_scratch_words = options.plan.block * (options.plan.record_words + 1)}) {}

std::uint64_t MergeGroups::scratch_words() const {
  const std::uint64_t records = options_.plan.block * width_;
  return std::max({options_.load_scratch_words, places_.scratch_words(),
                   records + places_.result_scratch_words(), bases_.scratch_words(),
                   records + bases_.result_scratch_words() + width_});
}

void MergeGroups::step(const Context& context, std::uint32_t round) const {
  const DartPlan& plan = options_.plan;
  const std::uint32_t scan = 2 * plan.tree.depth;
  if (context.machine >= plan.machines) return;
  if (round == 1) {
    const std::span<const Word> records = options_.load(context);
    expect_received(records.size() == plan.count(context.machine) * width_);
    context.out.send(context.machine, records);
    for (std::size_t i = 0; i < records.size(); i += width_) {
      const Dart dart = Dart::of(records.subspan(i));
      if ((dart.state & kHook) == 0) continue;
      context.out.send(plan.machine_of(dart.partner),
                       dart.partner << kDartBits | (records[i + width_ - 1] & kDartMask));
    }
  } else if (round <= 1 + scan) {
    places_.step(context, round - 1);
  } else if (round == 2 + scan) {
    send_bases(context);
  } else if (round <= 2 + 2 * scan) {
    bases_.step(context, round - 2 - scan);
  } else if (round == 3 + 2 * scan) {
    tell_places(context);
  } else {
    move(context);
  }
}

std::span<const Word> MergeGroups::with_guests(const Context& context) const {
  const DartPlan& plan = options_.plan;
  const std::uint64_t count = plan.count(context.machine);
  const std::span<Word> records = context.take(count * width_);
  std::ranges::copy(own_records(context, records.size()), records.begin());
  for (std::uint64_t i = 0; i < count; ++i) records[i * width_ + width_ - 1] = 0;
  for_each_message(context, records.size(), 1, [&](std::span<const Word> message) {
    const std::uint64_t at = (message[0] >> kDartBits) - context.machine * plan.block;
    expect_received(at < count);
    records[at * width_ + width_ - 1] = message[0] & kDartMask;
  });
  return records;
}

void MergeGroups::send_bases(const Context& context) const {
  const std::span<const Word> before = places_.result(context).before;
  const std::span<const Word> kept = places_.kept(context);
  const std::span<Word> records = context.take(kept.size());
  expect_received(kept.size() == options_.plan.count(context.machine) * width_);
  std::ranges::copy(kept, records.begin());
  Word place = before[0];
  for (std::size_t i = 0; i < records.size(); i += width_) {
    if ((Dart::of(records.subspan(i)).state & kMerges) != 0) continue;
    Word& last = records[i + width_ - 1];
    place += 1 + std::exchange(last, place);
  }
  context.out.send(context.machine, records);
  place = before[0];
  for (std::size_t i = 0; i < records.size(); i += width_) {
    const Dart dart = Dart::of(records.subspan(i));
    if ((dart.state & kMerges) != 0) continue;
    const Word guests = kept[i + width_ - 1];
    if (guests > 0) {
      const Word base = records[i + width_ - 1] + 1;
      context.out.send(options_.plan.machine_of(dart.partner),
                       dart.partner << kDartBits | (base & kDartMask));
    }
  }
}

std::span<const Word> MergeGroups::with_bases(const Context& context) const {
  const DartPlan& plan = options_.plan;
  const std::uint64_t count = plan.count(context.machine);
  const std::span<Word> records = context.take(count * width_);
  std::ranges::copy(own_records(context, records.size()), records.begin());
  for_each_message(context, records.size(), 1, [&](std::span<const Word> message) {
    const std::uint64_t at = (message[0] >> kDartBits) - context.machine * plan.block;
    expect_received(at < count);
    records[at * width_ + width_ - 1] = message[0] & kDartMask;
  });
  return records;
}

/// (partner's position, the dart's new one), its new group.
void MergeGroups::tell_places(const Context& context) const {
  const DartPlan& plan = options_.plan;
  const std::span<Word> records = context.take(plan.count(context.machine) * width_);
  std::size_t at = 0;
  bases_.for_each(context,
                  [&](std::uint64_t position, std::span<const Word> record, std::span<const Word> total) {
                    const std::span<Word> own = records.subspan(at, width_);
                    std::ranges::copy(record, own.begin());
                    Dart dart = Dart::of(record);
                    if ((dart.state & kMerges) != 0) {
                      own[width_ - 1] = (total[0] >> kDartBits) + position - total[1];
                      dart.group = total[0] & kDartMask;
                    }
                    dart.state &= ~(kMerges | kHook);
                    dart.write(own);
                    at += width_;
                  });
  context.out.send(context.machine, records);
  for (std::size_t i = 0; i < records.size(); i += width_) {
    const Dart dart = Dart::of(records.subspan(i));
    const Word words[2] = {dart.partner << kDartBits | (records[i + width_ - 1] & kDartMask), dart.group};
    context.out.send(plan.machine_of(dart.partner), words);
  }
}

void MergeGroups::move(const Context& context) const {
  const DartPlan& plan = options_.plan;
  const std::uint64_t count = plan.count(context.machine);
  const std::span<Word> records = context.take(count * width_);
  std::ranges::copy(own_records(context, records.size()), records.begin());
  for_each_message(context, records.size(), 2, [&](std::span<const Word> message) {
    const std::uint64_t at = (message[0] >> kDartBits) - context.machine * plan.block;
    expect_received(at < count);
    const std::span<Word> own = records.subspan(at * width_, width_);
    Dart dart = Dart::of(own);
    dart.partner = message[0] & kDartMask;
    dart.other = message[1] & kDartMask;
    dart.write(own);
  });
  for (std::size_t i = 0; i < records.size(); i += width_)
    context.out.send(plan.machine_of(records[i + width_ - 1]), records.subspan(i, width_));
}

std::span<const Word> MergeGroups::result(const Context& context) const {
  return in_order(context, options_.plan);
}

// ---- protocols

OnDarts::OnDarts(const Parameters& parameters, const DartPlan& plan, std::uint64_t outputs, bool tag_edges,
                 std::uint64_t machines)
    : plan_(plan) {
  shape_ = declare_shape(parameters, plan.sizes, outputs, std::max(plan.machines, machines));
  const auto& layout =
      then<DartLayout>("darts by vertex", {.plan = plan, .shape = &shape_, .tag_edges = tag_edges});
  load_ = [&layout](const Context& context) { return layout.result(context); };
  load_words_ = layout.result_scratch_words();
}

void OnDarts::append_totals(std::string name, GroupTotalsOptions options, std::uint64_t width,
                            Change change) {
  options.plan = plan_;
  options.load = load_;
  options.load_scratch_words = load_words_;
  const auto& stage = then<GroupTotals>(std::move(name), std::move(options));
  load_words_ = stage.result_scratch_words() + plan_.block * width;
  load_ = [this, &stage, change = std::move(change), width](const Context& context) -> std::span<const Word> {
    const std::span<Word> records = context.take(plan_.count(context.machine) * width);
    std::size_t at = 0;
    stage.for_each(context, [&](std::uint64_t position, std::span<const Word> record, Combined total) {
      std::ranges::copy(record, records.subspan(at).begin());
      Dart dart = Dart::of(record);
      const Word last = change(dart, total, position);
      dart.write(records.subspan(at));
      if (width > record.size()) records[at + record.size()] = last;
      at += width;
    });
    return records;
  };
}

void OnDarts::totals(std::string name, GroupTotalsOptions options,
                     std::function<void(Dart&, Combined)> change) {
  append_totals(std::move(name), std::move(options), plan_.record_words,
                [change = std::move(change)](Dart& dart, Combined total, std::uint64_t) -> Word {
                  change(dart, total);
                  return 0;
                });
}

void OnDarts::any(std::string name, std::function<bool(const Dart&)> tell,
                  std::function<bool(const Dart&, bool told)> counts,
                  std::function<void(Dart&, bool)> change) {
  GroupTotalsOptions options;
  options.tell = [tell](const Dart& dart) { return Word{tell(dart)}; };
  options.value = [counts](std::uint64_t, std::span<const Word> record, Word told, std::span<Word> value) {
    value[0] = counts(Dart::of(record), told != 0) ? 1 : 0;
  };
  options.combine = [](std::span<Word> left, Combined right) { left[0] |= right[0]; };
  totals(std::move(name), std::move(options),
         [change](Dart& dart, Combined total) { change(dart, total[0] != 0); });
}

void OnDarts::tell(std::string name, std::function<Word(const Dart&)> word,
                   std::function<void(Dart&, Word)> change) {
  const std::uint64_t width = plan_.record_words;
  then(std::move(name), 1, load_words_,
       [this, load = load_, word, width](const Context& context, std::uint32_t) {
         if (context.machine < plan_.machines) send_told(context, plan_, load(context), width, word);
       });
  load_ = [this, change, width](const Context& context) -> std::span<const Word> {
    const std::span<Word> records = received_told(context, plan_, width);
    const std::uint64_t count = plan_.count(context.machine);
    for (std::uint64_t i = 0; i < count; ++i) {
      Dart dart = Dart::of(records.subspan(i * width));
      change(dart, records[count * width + i]);
      dart.write(records.subspan(i * width));
    }
    return records.first(count * width);
  };
  load_words_ = plan_.block * (width + 1);
}

void OnDarts::merge(std::string name, GroupTotalsOptions options,
                    std::function<Word(Dart&, Combined, std::uint64_t)> change) {
  append_totals(name + ", chosen", std::move(options), plan_.record_words + 1, std::move(change));
  const auto& merged =
      then<MergeGroups>(std::move(name), {.plan = plan_, .load = load_, .load_scratch_words = load_words_});
  load_ = [&merged](const Context& context) { return merged.result(context); };
  load_words_ = merged.result_scratch_words();
}

void OnDarts::deliver(std::function<std::optional<Word>(const Dart&)> value) {
  then("to the owners", 1, load_words_, [this, load = load_, value](const Context& context, std::uint32_t) {
    if (context.machine >= plan_.machines) return;
    const std::span<const Word> records = load(context);
    for (std::size_t i = 0; i < records.size(); i += plan_.record_words) {
      const Dart dart = Dart::of(records.subspan(i));
      const std::optional<Word> word = value(dart);
      if (!word) continue;
      expect_received(dart.tag < shape_.outputs);
      context.out.send(static_cast<MachineId>(dart.tag / shape_.block_words),
                       dart.tag << kDartBits | (*word & kDartMask));
    }
  });
  then("deliver", 1, shape_.block_words, [this](const Context& context, std::uint32_t) {
    const std::uint64_t first = context.machine * shape_.block_words;
    if (first >= shape_.outputs) return;
    const std::span<Word> output = context.take(std::min(shape_.block_words, shape_.outputs - first));
    std::ranges::fill(output, 0);
    for (const Word word : context.inbox.words()) {
      const std::uint64_t at = (word >> kDartBits) - first;
      expect_received(at < output.size());
      output[at] = std::max(output[at], (word & kDartMask) + 1);
    }
    for (std::uint64_t i = 0; i < output.size(); ++i) context.out.deliver(first + i, output[i]);
  });
  shape_.validate();
}

}  // namespace roundtrip::mpc
