// The passes of a layer of exact match or ANNA: records of codes sorted, values fetched, buckets scanned,
// sums returned and added over the tables.
#include "roundtrip/simulate/decompile/decompiled.h"

#include <algorithm>
#include <memory>

#include "roundtrip/base/error.h"
#include "roundtrip/base/fault.h"

namespace roundtrip::simulate {

using anna::Entry;
using mpc::Context;
using mpc::MachineId;
using mpc::Word;

void LayerRun::combine(std::span<Word> left, std::span<const Word> right) const {
  if ((right[0] & kHasRecords) == 0) return;
  const bool goes_on =
      (left[0] & kHasRecords) != 0 && (right[0] & kOneBucket) != 0 &&
      std::equal(left.begin() + 1, left.begin() + static_cast<std::ptrdiff_t>(count_at()), right.begin() + 1);
  if (goes_on) {
    left[count_at()] += right[count_at()];
    add_numbers(sum.number(), left.subspan(sum_at(), sum.numbers()), right.subspan(sum_at(), sum.numbers()));
    return;
  }
  const bool first = (left[0] & kHasRecords) == 0;
  std::ranges::copy(right, left.begin());
  if (!first) left[0] &= ~kOneBucket;
}

Decompiled::State Decompiled::empty_state(const Context& context, const LayerRun& run,
                                          std::uint64_t block) const {
  const std::uint64_t cells = block_size(block) * run.plan.heads;
  const State state{context.take(cells), context.take(cells * run.sum.numbers())};
  std::ranges::fill(state.counts, 0);
  std::ranges::fill(state.sums, 0);
  return state;
}

std::uint64_t Decompiled::add_sum(const LayerRun& run, const State& state, std::uint64_t cell,
                                  std::span<const Word> words) const {
  mpc::expect_received(cell < state.counts.size());
  Word* const sums = state.sums.data() + cell * run.sum.numbers();
  return run.sum.read(words, [&](std::uint32_t column, const Word* number) {
    run.sum.number().add(sums + std::uint64_t{column} * run.sum.number().words(), number);
  });
}

/// What has come to a copy of a block: behind "return", results of the scan machines (`results`); during
/// and behind "add over tables", states of copies, one's own behind the rows that a home keeps.
Decompiled::State Decompiled::collect(const Context& context, const LayerRun& run, bool results) const {
  const std::uint64_t block = context.machine % plan_.blocks;
  const State state = empty_state(context, run, block);
  for (const mpc::Run received : context.inbox) {
    std::span<const Word> words = received.words;
    if (received.source == context.machine && home(context.machine))
      words = words.subspan(rows_length(run, block, words));
    if (results && received.source >= run.copies()) {
      mpc::expect_received(run.scans(received.source));
      const std::uint64_t head = run.scan_group(received.source) % run.plan.heads;
      for (std::uint64_t at = 0; at < words.size();) {
        const Word packed = words[at++];
        const std::uint64_t cell = (packed >> count_bits()) * run.plan.heads + head;
        mpc::expect_received(cell < state.counts.size());
        state.counts[cell] += packed & ((Word{1} << count_bits()) - 1);
        at += add_sum(run, state, cell, words.subspan(at));
      }
    } else if (!results) {
      std::uint64_t at = 0;
      for (std::uint64_t cell = 0; cell < state.counts.size(); ++cell) {
        mpc::expect_received(at < words.size());
        const Word count = words[at++];
        if (count == 0) continue;
        state.counts[cell] += count;
        at += add_sum(run, state, cell, words.subspan(at));
      }
    }
  }
  return state;
}

/// At home, behind a layer: heads meet. Calls visit(token, entries of its next row).
void Decompiled::update_hashed(const Context& context, const LayerRun& run, const VisitNext& visit) const {
  const State state = collect(context, run, run.plan.copy_depth == 0);
  TokenOutputs outputs(context, run.layer.shape());
  anna::RowWriter writer;
  for_each_row(context, run, context.machine, context.from(context.machine),
               [&](std::uint64_t i, const anna::RowView& row) {
                 outputs.clear();
                 for (std::uint32_t h = 0; h < run.plan.heads; ++h) {
                   const std::uint64_t cell = i * run.plan.heads + h;
                   if (state.counts[cell] == 0) continue;
                   const auto count = static_cast<double>(state.counts[cell]);
                   const NumberCodec& number = run.sum.number();
                   const Word* sums = state.sums.data() + cell * run.sum.numbers();
                   for (std::uint32_t c = 0; c < run.sum.dimension(); ++c, sums += number.words()) {
                     // Both rounded once, then divided once.
                     if (const WideInteger sum = number.get(sums); sum != 0)
                       outputs.add(h, c, static_cast<double>(sum) / count);
                   }
                 }
                 writer.clear();
                 run.layer.update(row, outputs, writer);
                 visit(row.token, writer.entries());
               });
}

/// (code, query or key and token) as it is sorted, and as it goes to the scan.
void Decompiled::put_record(const LayerRun& run, const TokenHeads& token, std::uint64_t number,
                            std::uint64_t table, std::uint32_t head, bool query, std::span<Word> out) const {
  const anna::Symbol symbol = token.symbol(head, query);
  run.code->code(static_cast<std::uint32_t>(table), symbol, token.vector(symbol),
                 out.first(run.plan.code_words));
  out[run.plan.code_words] = Word{query} << token_bits_ | number;
}

void Decompiled::hash(const LayerRun& run) {
  then("hash", 1, block_scratch_, [this, &run](const Context& context, std::uint32_t) {
    if (context.machine >= run.copies()) return;
    const std::uint64_t table = context.machine / plan_.blocks;
    const std::uint64_t block = context.machine % plan_.blocks;
    const std::span<const Word> rows =
        run.plan.copy_depth == 0 ? new_rows(context, run) : context.inbox.words();
    context.out.send(context.machine, rows);
    TokenHeads token(context, run.layer);
    const std::span<Word> record = context.take(run.plan.code_words + 1);
    for_each_row(context, run, block, rows, [&](std::uint64_t, const anna::RowView& row) {
      token.project(row);
      for (std::uint32_t h = 0; h < run.plan.heads; ++h) {
        const std::uint64_t group = table * run.plan.heads + h;
        for (const bool query : {false, true}) {
          const std::uint64_t position = 2 * row.token + query;
          put_record(run, token, row.token, table, h, query, record);
          context.out.send(static_cast<MachineId>(run.first_sort + group * run.plan.sort.machines +
                                                  position / run.plan.sort.machine_records),
                           record);
        }
      }
    });
  });
}

const SortBesideBlocks& Decompiled::sort(const LayerRun& run) {
  return then<SortBesideBlocks>(
      "sort", {.sort = {.plan = run.plan.sort,
                        .load =
                            [](const Context& context, std::uint64_t, std::span<Word> records) {
                              mpc::expect_received(context.inbox.words().size() == records.size());
                              std::ranges::copy(context.inbox.words(), records.begin());
                            },
                        .first = run.first_sort,
                        .instances = static_cast<std::uint32_t>(run.groups())},
               .keepers = run.copies()});
}

void Decompiled::fetch_values(const LayerRun& run, const SortBesideBlocks& sorted) {
  then("fetch values", 2, block_scratch_, [this, &run, &sorted](const Context& context, std::uint32_t round) {
    if (context.machine < run.copies()) {
      if (round == 1) return context.out.send(context.machine, context.inbox.words());
      return answer(context, run);
    }
    if (round == 1 && sorted.sort().takes_part(context.machine)) ask(context, run, sorted.sort());
  });
}

void Decompiled::ask(const Context& context, const LayerRun& run, const mpc::Sort& sorted) const {
  const std::uint64_t table = run.sort_group(context.machine) / run.plan.heads;
  const std::uint64_t width = run.plan.code_words + 1;
  const std::span<const Word> records = sorted.result(context);
  std::uint64_t position = sorted.first_position(context.machine);
  for (std::uint64_t at = run.plan.code_words; at < records.size(); at += width, ++position) {
    context.out.send(run.copy(table, token_of(records[at]) / plan_.block_tokens),
                     position << (token_bits_ + 1) | records[at]);
  }
}

void Decompiled::answer(const Context& context, const LayerRun& run) const {
  const std::uint64_t table = context.machine / plan_.blocks;
  const std::uint64_t block = context.machine % plan_.blocks;
  const std::span<const Word> rows = context.from(context.machine);
  if (table == 0) context.out.send(context.machine, rows);
  const std::uint64_t heads = run.plan.heads;
  const std::span<Word> positions = context.take(2 * block_size(block) * heads);
  std::ranges::fill(positions, 0);
  for (const mpc::Run asked : context.inbox) {
    if (asked.source == context.machine) continue;
    mpc::expect_received(asked.source >= run.first_sort && asked.source < run.first_scan);
    const std::uint64_t head = run.sort_group(asked.source) % heads;
    for (const Word word : asked.words) {
      const std::uint64_t i = token_of(word) - first_token(block);
      mpc::expect_received(i < block_size(block));
      positions[2 * (i * heads + head) + is_query(word)] = word >> (token_bits_ + 1);
    }
  }
  TokenHeads token(context, run.layer);
  const std::span<Word> record = context.take(run.plan.code_words + 1 + run.value.most_words());
  for_each_row(context, run, block, rows, [&](std::uint64_t i, const anna::RowView& row) {
    token.project(row);
    for (std::uint32_t h = 0; h < heads; ++h) {
      const std::uint64_t first = run.first_scan + (table * heads + h) * run.plan.scan_machines;
      for (const bool query : {false, true}) {
        put_record(run, token, row.token, table, h, query, record);
        std::uint64_t words = run.plan.code_words + 1;
        if (!query) words += run.value.put(token.value(h), record.data() + words);
        const std::uint64_t position = positions[2 * (i * heads + h) + query];
        context.out.send(static_cast<MachineId>(first + position / run.plan.scan_records),
                         record.first(words));
      }
    }
  });
}

// What a scan machine keeps: the code of its first record; the first bucket, then every bucket that has
// keys and queries here: number of queries, count, sum (the first bucket: only if it has queries), tokens
// of the queries.
std::uint64_t Decompiled::kept_words(const LayerRun& run) const {
  const std::uint64_t records = run.plan.scan_records;
  return run.plan.code_words + 2 + run.sum.most_words() + records / 2 * (1 + run.sum.most_words()) + records;
}

Decompiled::Buckets Decompiled::make_buckets(const Context& context, const LayerRun& run) const {
  const std::uint64_t code_words = run.plan.code_words;
  const std::span<const Word*> records = take<const Word*>(context, run.plan.scan_records);
  std::size_t count = 0;
  for (const mpc::Run received : context.inbox) {
    for (std::uint64_t at = 0; at < received.words.size();) {
      mpc::expect_received(count < records.size() && received.words.size() - at > code_words);
      const Word* const record = received.words.data() + at;
      records[count++] = record;
      at += code_words + 1;
      if (!is_query(record[code_words])) at += run.value.size_at(received.words.subspan(at));
    }
  }
  mpc::expect_received(count > 0);
  std::sort(records.begin(), records.begin() + static_cast<std::ptrdiff_t>(count),
            [&](const Word* a, const Word* b) {
              return std::lexicographical_compare(a, a + code_words + 1, b, b + code_words + 1);
            });
  const std::span<Word> kept = context.take(kept_words(run));
  const std::span<Word> element = context.take(run.element_words());
  std::ranges::fill(element, 0);
  Word* next = std::copy_n(records[0], code_words, kept.data());
  for (std::size_t begin = 0, end = 0; begin < count; begin = end) {
    std::ranges::fill(element.subspan(run.count_at()), 0);
    std::size_t keys = 0;
    for (end = begin; end < count && std::equal(records[end], records[end] + code_words, records[begin]);
         ++end) {
      if (is_query(records[end][code_words])) continue;
      ++keys;
      run.value.read({records[end] + code_words + 1, run.value.most_words()},
                     [&](std::uint32_t column, const Word* number) {
                       add_number(run.sum.number(), run.value.number().get(number),
                                  &element[run.sum_at() + std::uint64_t{column} * run.sum.number().words()]);
                     });
    }
    element[run.count_at()] = keys;
    const std::size_t queries = end - begin - keys;
    if (begin == 0 || (keys > 0 && queries > 0)) {
      *next++ = queries;
      *next++ = keys;
      if (queries > 0) next += run.sum.put_numbers(&element[run.sum_at()], next);
      for (std::size_t i = begin + keys; i < end; ++i) *next++ = token_of(records[i][code_words]);
    }
    if (end == count) {
      std::copy_n(records[begin], code_words, &element[1]);
      element[0] = LayerRun::kHasRecords | (begin == 0 ? LayerRun::kOneBucket : 0);
    }
  }
  return {kept.first(static_cast<std::size_t>(next - kept.data())), element};
}

namespace {

/// What the machine kept in the round before, in front of the scan's own words.
std::span<const Word> kept_before(const Context& context, const mpc::ScanTree& scan, std::uint32_t round) {
  const std::span<const Word> own = context.from(context.machine);
  const std::uint64_t tail = scan.own_tail_words(context.machine, round - 1);
  mpc::expect_received(own.size() >= tail);
  return own.first(own.size() - tail);
}

}  // namespace

void Decompiled::scan_buckets(const LayerRun& run) {
  const auto combine = std::make_shared<const mpc::Combine>(
      [&run](std::span<Word> left, std::span<const Word> right) { run.combine(left, right); });
  then("scan buckets", 2 * run.plan.scan_depth, scan_scratch_,
       [this, &run, combine](const Context& context, std::uint32_t round) {
         if (home(context.machine)) return context.out.send(context.machine, context.inbox.words());
         if (!run.scans(context.machine)) return;
         const mpc::ScanTree scan = scan_tree(run, context.machine, *combine);
         std::span<const Word> element;
         if (round == 1) {
           const Buckets buckets = make_buckets(context, run);
           context.out.send(context.machine, buckets.kept);
           element = buckets.element;
         } else {
           context.out.send(context.machine, kept_before(context, scan, round));
         }
         scan.step(context, round, element,
                   [](std::span<const Word>, std::span<Word> before) { std::ranges::fill(before, 0); });
       });
}

mpc::ScanTree Decompiled::scan_tree(const LayerRun& run, MachineId machine,
                                    const mpc::Combine& combine) const {
  const auto leaves = static_cast<std::uint32_t>(run.plan.scan_machines);
  const auto first = static_cast<MachineId>(run.first_scan + run.scan_group(machine) * leaves);
  return {{run.plan.scan_fan, run.plan.scan_depth, first, leaves}, run.element_words(), combine};
}

void Decompiled::return_sums(const LayerRun& run) {
  then("return", 1, scan_scratch_, [this, &run](const Context& context, std::uint32_t) {
    if (home(context.machine)) return context.out.send(context.machine, context.inbox.words());
    if (!run.scans(context.machine)) return;
    std::span<const Word> kept, before;
    if (run.plan.scan_depth == 0) {
      kept = make_buckets(context, run).kept;
    } else {
      const mpc::Combine unused;
      const mpc::ScanTree scan = scan_tree(run, context.machine, unused);
      kept = kept_before(context, scan, 2 * run.plan.scan_depth + 1);
      before = scan.result(context).first(run.element_words());
    }
    const std::uint64_t table = run.scan_group(context.machine) / run.plan.heads;
    if (table > 0 && seeded("tables-forgotten")) return;
    const std::span<Word> sum = context.take(run.sum.numbers());
    const std::span<Word> result = context.take(1 + run.sum.most_words());
    mpc::expect_received(kept.size() >= run.plan.code_words);
    const bool goes_on =
        !before.empty() && (before[0] & LayerRun::kHasRecords) != 0 &&
        std::ranges::equal(kept.first(run.plan.code_words), before.subspan(1, run.plan.code_words));
    std::span<const Word> rest = kept.subspan(run.plan.code_words);
    for (bool first = true; !rest.empty(); first = false) {
      mpc::expect_received(rest.size() >= 2);
      const Word queries = rest[0];
      Word count = rest[1];
      rest = rest.subspan(2);
      if (queries == 0) continue;
      std::ranges::fill(sum, 0);
      rest = rest.subspan(run.sum.read(rest, [&](std::uint32_t column, const Word* number) {
        std::copy_n(number, run.sum.number().words(), &sum[std::uint64_t{column} * run.sum.number().words()]);
      }));
      mpc::expect_received(queries <= rest.size());
      if (first && goes_on) {
        count += before[run.count_at()];
        add_numbers(run.sum.number(), sum, before.subspan(run.sum_at(), sum.size()));
      }
      if (count > 0) {
        const std::span<const Word> message = result.first(1 + run.sum.put_numbers(sum.data(), &result[1]));
        for (const Word token : rest.first(queries)) {
          const std::uint64_t block = token / plan_.block_tokens;
          result[0] = (token - first_token(block)) << count_bits() | count;
          context.out.send(run.copy(table, block), message);
        }
      }
      rest = rest.subspan(queries);
    }
  });
}

void Decompiled::add_over_tables(const LayerRun& run) {
  then("add over tables", run.plan.copy_depth, block_scratch_,
       [this, &run](const Context& context, std::uint32_t round) {
         const std::uint64_t table = context.machine / plan_.blocks;
         const std::uint64_t block = context.machine % plan_.blocks;
         std::uint64_t receivers = 1;  // tables below this stay
         for (std::uint32_t r = round; r < run.plan.copy_depth; ++r) receivers *= plan_.copies_a_round + 1;
         if (table >= std::min<std::uint64_t>(receivers * (plan_.copies_a_round + 1), run.plan.tables))
           return;
         if (table == 0) {
           const std::span<const Word> own = context.from(context.machine);
           context.out.send(context.machine, own.first(rows_length(run, block, own)));
         }
         const State state = collect(context, run, round == 1);
         const std::span<Word> message = context.take(state.counts.size() * (1 + run.sum.most_words()));
         Word* next = message.data();
         for (std::uint64_t cell = 0; cell < state.counts.size(); ++cell) {
           *next++ = state.counts[cell];
           if (state.counts[cell] == 0) continue;
           next += run.sum.put_numbers(state.sums.data() + cell * run.sum.numbers(), next);
         }
         context.out.send(run.copy(table % receivers, block),
                          message.first(static_cast<std::size_t>(next - message.data())));
       });
}

}  // namespace roundtrip::simulate
