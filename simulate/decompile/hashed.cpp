// A layer of exact match or ANNA: records of codes are sorted, values fetched, buckets scanned, sums returned and added
// over the tables (the table of passes: decompile.h).
//
// Its machines: the copies of the blocks, one for each table; then the sort machines, M_s for each (table, head), and the
// scan machines, M_v for each.
#include <algorithm>
#include <memory>

#include "roundtrip/anna/attention/anna.h"
#include "roundtrip/base/error.h"
#include "roundtrip/base/fault.h"
#include "roundtrip/base/heap_meter.h"
#include "roundtrip/mpc/stages/tree_stages.h"
#include "roundtrip/simulate/decompile/key_code.h"
#include "roundtrip/simulate/decompile/layer_run.h"
#include "roundtrip/simulate/decompile/sort_beside_blocks.h"

namespace roundtrip::simulate {
namespace {

using mpc::MachineId;
using mpc::Word;

constexpr DecompilePhase kCopyRows{
    "copy rows", "Each hash table works on rows of its own: the owners send copies, which send copies on."};
constexpr DecompilePhase kHash{
    "hash",
    "Every token's query and key become one record each: hash code, key or query, token. Records go to the machines "
    "that sort them, each table and head by itself."};
constexpr DecompilePhase kSort{
    "sort",
    "The records are sorted by hash code, so that a query comes after the keys with its code: the matches of "
    "attention."};
constexpr DecompilePhase kFetchValues{"fetch values",
                                      "A sorted record has no value; it asks the token's block for it."};
constexpr DecompilePhase kScanBuckets{
    "scan buckets",
    "A running sum over the sorted records, starting anew at every code, gives each query the sum and the number of its "
    "bucket's values."};
constexpr DecompilePhase kReturn{"return",
                                 "Sum and number go back from the sorted place to the query's token."};
constexpr DecompilePhase kAddOverTables{
    "add over tables",
    "What the tables found is added up on the way to the owner; there, sum / number is the average."};

/// What the machine kept in the round before, in front of the scan's own words.
std::span<const mpc::Word> kept_before(const mpc::Context& context, const mpc::ScanTree& scan,
                                       std::uint32_t round) {
  const std::span<const mpc::Word> own = context.from(context.machine);
  const std::uint64_t tail = scan.own_tail_words(context.machine, round - 1);
  mpc::expect_received(own.size() >= tail);
  return own.first(own.size() - tail);
}

class HashedRun final : public LayerRun {
 public:
  explicit HashedRun(const LayerParts& parts)
      : LayerRun(parts),
        code_(make_key_code(layer_, parts.mechanism, plan_.word_bits)),
        causal_(parts.mechanism.causal()),
        token_bits_(ceil_log(2, plan_.tokens)),
        first_sort_(static_cast<MachineId>(sizes_.tables * plan_.blocks)),
        first_scan_(static_cast<MachineId>(first_sort_ + groups() * sizes_.sort.machines)) {}
  void append_passes(Decompiled& protocol, std::uint64_t block_scratch_words) override {
    copy_rows(protocol, kCopyRows, block_scratch_words);
    hash(protocol, block_scratch_words);
    const SortBesideBlocks& sorted = sort(protocol);
    fetch_values(protocol, block_scratch_words, sorted);
    scan_buckets(protocol);
    return_sums(protocol);
    add_over_tables(protocol, block_scratch_words);
  }
  void update(const Context& context, const VisitNext& visit) const override;

 private:
  /// Sums and counts of the tokens of a block: [block tokens, heads], and as numbers [.., m_v].
  struct State {
    std::span<Word> counts, sums;
  };
  struct Buckets {
    std::span<const Word> kept, element;
  };

  void hash(Decompiled& protocol, std::uint64_t block_scratch_words);
  const SortBesideBlocks& sort(Decompiled& protocol);
  void fetch_values(Decompiled& protocol, std::uint64_t block_scratch_words, const SortBesideBlocks& sorted);
  void scan_buckets(Decompiled& protocol);
  void return_sums(Decompiled& protocol);
  void add_over_tables(Decompiled& protocol, std::uint64_t block_scratch_words);

  // ---- machines
  std::uint64_t groups() const { return std::uint64_t{sizes_.tables} * sizes_.heads; }
  bool scans(MachineId machine) const {
    return machine >= first_scan_ && machine - first_scan_ < groups() * sizes_.scan_machines;
  }
  /// Number of (table, head), H table + head, of a sort or scan machine.
  std::uint64_t sort_group(MachineId machine) const { return (machine - first_sort_) / sizes_.sort.machines; }
  std::uint64_t scan_group(MachineId machine) const { return (machine - first_scan_) / sizes_.scan_machines; }

  // ---- records: (code, query or key and token)
  void put_record(const TokenHeads& token, std::uint64_t number, std::uint64_t table, std::uint32_t head,
                  bool query, std::span<Word> out) const;
  /// What orders the records of a code: all keys before all queries; causal: by token, its key before its query.
  Word tie(bool query, std::uint64_t token) const {
    return causal_ ? token << 1 | Word{query} : Word{query} << token_bits_ | token;
  }
  std::uint64_t token_of(Word tie) const { return tie >> (causal_ ? 1 : 0) & ((Word{1} << token_bits_) - 1); }
  bool is_query(Word tie) const { return (tie >> (causal_ ? 0 : token_bits_) & 1) != 0; }
  void ask(const Context& context, const mpc::Sort& sorted) const;
  void answer(const Context& context) const;

  // ---- a scan element: flags, code of the last bucket, count and sum of that bucket's keys
  static constexpr Word kHasRecords = 1, kOneBucket = 2;
  std::uint64_t element_words() const { return 1 + sizes_.code_words + 1 + sum_.numbers(); }
  std::uint64_t count_at() const { return 1 + sizes_.code_words; }
  std::uint64_t sum_at() const { return 2 + sizes_.code_words; }
  void combine(std::span<Word> left, std::span<const Word> right) const;
  std::uint64_t kept_words() const;
  std::uint64_t scan_scratch_words() const {
    return 6 * sizes_.scan_records + kept_words() + 8 * element_words() + 8;
  }
  Buckets make_buckets(const Context& context) const;
  mpc::ScanTree scan_tree(MachineId machine, const mpc::Combine& combine) const;

  // ---- sums at the copies of a block
  std::uint32_t count_bits() const { return token_bits_ + 1; }  // of a count in one table: at most N'
  State empty_state(const Context& context, std::uint64_t block) const;
  std::uint64_t add_sum(const State& state, std::uint64_t cell, std::span<const Word> words) const;
  State collect(const Context& context, bool results) const;

  const std::unique_ptr<const KeyCode> code_;
  const bool causal_;
  const std::uint32_t token_bits_;
  const MachineId first_sort_, first_scan_;
};

void HashedRun::combine(std::span<Word> left, std::span<const Word> right) const {
  if ((right[0] & kHasRecords) == 0) return;
  const bool goes_on =
      (left[0] & kHasRecords) != 0 && (right[0] & kOneBucket) != 0 &&
      std::equal(left.begin() + 1, left.begin() + static_cast<std::ptrdiff_t>(count_at()), right.begin() + 1);
  if (goes_on) {
    left[count_at()] += right[count_at()];
    add_numbers(sum_.number(), left.subspan(sum_at(), sum_.numbers()),
                right.subspan(sum_at(), sum_.numbers()));
    return;
  }
  const bool first = (left[0] & kHasRecords) == 0;
  std::ranges::copy(right, left.begin());
  if (!first) left[0] &= ~kOneBucket;
}

HashedRun::State HashedRun::empty_state(const Context& context, std::uint64_t block) const {
  const std::uint64_t cells = block_size(block) * sizes_.heads;
  const State state{context.take(cells), context.take(cells * sum_.numbers())};
  std::ranges::fill(state.counts, 0);
  std::ranges::fill(state.sums, 0);
  return state;
}

std::uint64_t HashedRun::add_sum(const State& state, std::uint64_t cell, std::span<const Word> words) const {
  mpc::expect_received(cell < state.counts.size());
  Word* const sums = state.sums.data() + cell * sum_.numbers();
  return sum_.read(words, [&](std::uint32_t column, const Word* number) {
    sum_.number().add(sums + std::uint64_t{column} * sum_.number().words(), number);
  });
}

/// What has come to a copy of a block: after "return", results of the scan machines (`results`); during and after
/// "add over tables", states of copies, one's own after the rows that an owner keeps.
HashedRun::State HashedRun::collect(const Context& context, bool results) const {
  const std::uint64_t block = context.machine % plan_.blocks;
  const State state = empty_state(context, block);
  for (const mpc::Run received : context.inbox) {
    std::span<const Word> words = received.words;
    if (received.source == context.machine && owner(context.machine))
      words = words.subspan(rows_length(block, words));
    if (results && received.source >= copies()) {
      mpc::expect_received(scans(received.source));
      const std::uint64_t head = scan_group(received.source) % sizes_.heads;
      for (std::uint64_t at = 0; at < words.size();) {
        const Word packed = words[at++];
        const std::uint64_t cell = (packed >> count_bits()) * sizes_.heads + head;
        mpc::expect_received(cell < state.counts.size());
        state.counts[cell] += packed & ((Word{1} << count_bits()) - 1);
        at += add_sum(state, cell, words.subspan(at));
      }
    } else if (!results) {
      std::uint64_t at = 0;
      for (std::uint64_t cell = 0; cell < state.counts.size(); ++cell) {
        mpc::expect_received(at < words.size());
        const Word count = words[at++];
        if (count == 0) continue;
        state.counts[cell] += count;
        at += add_sum(state, cell, words.subspan(at));
      }
    }
  }
  return state;
}

/// At an owner, after the layer: heads meet. Calls visit(token, entries of its next row).
void HashedRun::update(const Context& context, const VisitNext& visit) const {
  const State state = collect(context, sizes_.copy_depth == 0);
  TokenOutputs outputs(context, layer_.shape());
  anna::RowWriter writer;
  for_each_row(context, context.machine, context.from(context.machine),
               [&](std::uint64_t i, const anna::RowView& row) {
                 outputs.clear();
                 for (std::uint32_t h = 0; h < sizes_.heads; ++h) {
                   const std::uint64_t cell = i * sizes_.heads + h;
                   if (state.counts[cell] == 0) continue;
                   const auto count = static_cast<double>(state.counts[cell]);
                   const NumberCodec& number = sum_.number();
                   const Word* sums = state.sums.data() + cell * sum_.numbers();
                   for (std::uint32_t c = 0; c < sum_.dimension(); ++c, sums += number.words()) {
                     // Both rounded once, then divided once.
                     if (const WideInteger sum = number.get(sums); sum != 0)
                       outputs.add(h, c, static_cast<double>(sum) / count);
                   }
                 }
                 update_row(layer_, row, outputs, writer);
                 visit(row.token, writer.entries());
               });
}

/// (code, query or key and token) as it is sorted, and as it goes to the scan.
void HashedRun::put_record(const TokenHeads& token, std::uint64_t number, std::uint64_t table,
                           std::uint32_t head, bool query, std::span<Word> out) const {
  const anna::Symbol symbol = token.symbol(head, query);
  const HeapPause models;  // what a model's hash functions take is not the protocol's
  code_->code(static_cast<std::uint32_t>(table), symbol, token.vector(symbol), out.first(sizes_.code_words));
  out[sizes_.code_words] = tie(query, number);
}

void HashedRun::hash(Decompiled& protocol, std::uint64_t block_scratch_words) {
  protocol.then(id(kHash), 1, block_scratch_words, [this](const Context& context, std::uint32_t) {
    if (context.machine >= copies()) return;
    const std::uint64_t table = context.machine / plan_.blocks;
    const std::uint64_t block = context.machine % plan_.blocks;
    const std::span<const Word> rows = sizes_.copy_depth == 0 ? new_rows(context) : context.inbox.words();
    context.out.send(context.machine, rows);
    TokenHeads token(context, layer_);
    const std::span<Word> record = context.take(sizes_.code_words + 1);
    for_each_row(context, block, rows, [&](std::uint64_t, const anna::RowView& row) {
      token.project(row);
      for (std::uint32_t h = 0; h < sizes_.heads; ++h) {
        const std::uint64_t group = table * sizes_.heads + h;
        for (const bool query : {false, true}) {
          const std::uint64_t position = 2 * row.token + query;
          put_record(token, row.token, table, h, query, record);
          context.out.send(static_cast<MachineId>(first_sort_ + group * sizes_.sort.machines +
                                                  position / sizes_.sort.machine_records),
                           record);
        }
      }
    });
  });
}

const SortBesideBlocks& HashedRun::sort(Decompiled& protocol) {
  return protocol.then<SortBesideBlocks>(
      id(kSort), {.sort = {.plan = sizes_.sort,
                           .load =
                               [](const Context& context, std::uint64_t, std::span<Word> records) {
                                 mpc::expect_received(context.inbox.words().size() == records.size());
                                 std::ranges::copy(context.inbox.words(), records.begin());
                               },
                           .first = first_sort_,
                           .instances = static_cast<std::uint32_t>(groups())},
                  .keepers = copies()});
}

void HashedRun::fetch_values(Decompiled& protocol, std::uint64_t block_scratch_words,
                             const SortBesideBlocks& sorted) {
  protocol.then(id(kFetchValues), 2, block_scratch_words,
                [this, &sorted](const Context& context, std::uint32_t round) {
                  if (context.machine < copies()) {
                    if (round == 1) return context.out.send(context.machine, context.inbox.words());
                    return answer(context);
                  }
                  if (round == 1 && sorted.sort().takes_part(context.machine)) ask(context, sorted.sort());
                });
}

void HashedRun::ask(const Context& context, const mpc::Sort& sorted) const {
  const std::uint64_t table = sort_group(context.machine) / sizes_.heads;
  const std::uint64_t width = sizes_.code_words + 1;
  const std::span<const Word> records = sorted.result(context);
  std::uint64_t position = sorted.first_position(context.machine);
  for (std::uint64_t at = sizes_.code_words; at < records.size(); at += width, ++position) {
    context.out.send(copy(table, token_of(records[at]) / plan_.block_tokens),
                     position << (token_bits_ + 1) | records[at]);
  }
}

void HashedRun::answer(const Context& context) const {
  const std::uint64_t table = context.machine / plan_.blocks;
  const std::uint64_t block = context.machine % plan_.blocks;
  const std::span<const Word> rows = context.from(context.machine);
  if (table == 0) context.out.send(context.machine, rows);
  const std::uint64_t heads = sizes_.heads;
  const std::span<Word> positions = context.take(2 * block_size(block) * heads);
  std::ranges::fill(positions, 0);
  for (const mpc::Run asked : context.inbox) {
    if (asked.source == context.machine) continue;
    mpc::expect_received(asked.source >= first_sort_ && asked.source < first_scan_);
    const std::uint64_t head = sort_group(asked.source) % heads;
    for (const Word word : asked.words) {
      const std::uint64_t i = token_of(word) - first_token(block);
      mpc::expect_received(i < block_size(block));
      positions[2 * (i * heads + head) + is_query(word)] = word >> (token_bits_ + 1);
    }
  }
  TokenHeads token(context, layer_);
  const std::span<Word> record = context.take(sizes_.code_words + 1 + value_.most_words());
  for_each_row(context, block, rows, [&](std::uint64_t i, const anna::RowView& row) {
    token.project(row);
    for (std::uint32_t h = 0; h < heads; ++h) {
      const std::uint64_t first = first_scan_ + (table * heads + h) * sizes_.scan_machines;
      for (const bool query : {false, true}) {
        put_record(token, row.token, table, h, query, record);
        std::uint64_t words = sizes_.code_words + 1;
        if (!query) words += value_.put(token.value(h), record.data() + words);
        const std::uint64_t position = positions[2 * (i * heads + h) + query];
        context.out.send(static_cast<MachineId>(first + position / sizes_.scan_records), record.first(words));
      }
    }
  });
}

// What a scan machine keeps: the code of its first record; then every run of queries that has keys of its bucket
// before it here or may have some on machines before (it is of the first bucket), the first bucket even without
// queries: 2 (number of queries) + (whether it is of the first bucket), count and sum of the keys before it (no
// sum without queries), tokens of the queries. Without a causal mask a bucket has one run, after all of its keys.
std::uint64_t HashedRun::kept_words() const {
  const std::uint64_t records = sizes_.scan_records;
  return sizes_.code_words + 2 + sum_.most_words() + records / 2 * (1 + sum_.most_words()) + records;
}

HashedRun::Buckets HashedRun::make_buckets(const Context& context) const {
  const std::uint64_t code_words = sizes_.code_words;
  const std::span<const Word*> records = take<const Word*>(context, sizes_.scan_records);
  std::size_t count = 0;
  for (const mpc::Run received : context.inbox) {
    for (std::uint64_t at = 0; at < received.words.size();) {
      mpc::expect_received(count < records.size() && received.words.size() - at > code_words);
      const Word* const record = received.words.data() + at;
      records[count++] = record;
      at += code_words + 1;
      if (!is_query(record[code_words])) at += value_.size_at(received.words.subspan(at));
    }
  }
  mpc::expect_received(count > 0);
  std::sort(records.begin(), records.begin() + static_cast<std::ptrdiff_t>(count),
            [&](const Word* a, const Word* b) {
              return std::lexicographical_compare(a, a + code_words + 1, b, b + code_words + 1);
            });
  const std::span<Word> kept = context.take(kept_words());
  const std::span<Word> element = context.take(element_words());
  std::ranges::fill(element, 0);
  Word* next = std::copy_n(records[0], code_words, kept.data());
  for (std::size_t begin = 0, end = 0; begin < count; begin = end) {
    std::ranges::fill(element.subspan(count_at()), 0);
    Word& keys = element[count_at()];
    std::size_t queries = 0;  // of the run before record `end`
    const auto end_run = [&] {
      if (begin == 0 || (keys > 0 && queries > 0)) {
        *next++ = 2 * queries + (begin == 0);
        *next++ = keys;
        if (queries > 0) next += sum_.put_numbers(&element[sum_at()], next);
        for (std::size_t i = end - queries; i < end; ++i) *next++ = token_of(records[i][code_words]);
      }
      queries = 0;
    };
    for (end = begin; end < count && std::equal(records[end], records[end] + code_words, records[begin]);
         ++end) {
      if (is_query(records[end][code_words])) {
        ++queries;
        continue;
      }
      if (queries > 0) end_run();
      ++keys;
      value_.read({records[end] + code_words + 1, value_.most_words()},
                  [&](std::uint32_t column, const Word* number) {
                    add_number(sum_.number(), value_.number().get(number),
                               &element[sum_at() + std::uint64_t{column} * sum_.number().words()]);
                  });
    }
    if (queries > 0 || !causal_) end_run();
    if (end == count) {
      std::copy_n(records[begin], code_words, &element[1]);
      element[0] = kHasRecords | (begin == 0 ? kOneBucket : 0);
    }
  }
  return {kept.first(static_cast<std::size_t>(next - kept.data())), element};
}

void HashedRun::scan_buckets(Decompiled& protocol) {
  const auto meet = std::make_shared<const mpc::Combine>(
      [this](std::span<Word> left, std::span<const Word> right) { combine(left, right); });
  protocol.then(id(kScanBuckets), 2 * sizes_.scan_depth, scan_scratch_words(),
                [this, meet](const Context& context, std::uint32_t round) {
                  if (owner(context.machine)) return context.out.send(context.machine, context.inbox.words());
                  if (!scans(context.machine)) return;
                  const mpc::ScanTree scan = scan_tree(context.machine, *meet);
                  std::span<const Word> element;
                  if (round == 1) {
                    const Buckets buckets = make_buckets(context);
                    context.out.send(context.machine, buckets.kept);
                    element = buckets.element;
                  } else {
                    context.out.send(context.machine, kept_before(context, scan, round));
                  }
                  scan.step(context, round, element, [](std::span<const Word>, std::span<Word> before) {
                    std::ranges::fill(before, 0);
                  });
                });
}

mpc::ScanTree HashedRun::scan_tree(MachineId machine, const mpc::Combine& combine) const {
  const auto leaves = static_cast<std::uint32_t>(sizes_.scan_machines);
  const auto first = static_cast<MachineId>(first_scan_ + scan_group(machine) * leaves);
  return {{sizes_.scan_fan, sizes_.scan_depth, first, leaves}, element_words(), combine};
}

void HashedRun::return_sums(Decompiled& protocol) {
  protocol.then(id(kReturn), 1, scan_scratch_words(), [this](const Context& context, std::uint32_t) {
    if (owner(context.machine)) return context.out.send(context.machine, context.inbox.words());
    if (!scans(context.machine)) return;
    std::span<const Word> kept, before;
    if (sizes_.scan_depth == 0) {
      kept = make_buckets(context).kept;
    } else {
      const mpc::Combine unused;
      const mpc::ScanTree scan = scan_tree(context.machine, unused);
      kept = kept_before(context, scan, 2 * sizes_.scan_depth + 1);
      before = scan.result(context).first(element_words());
    }
    const std::uint64_t table = scan_group(context.machine) / sizes_.heads;
    if (table > 0 && seeded("tables-forgotten")) return;
    const std::span<Word> sum = context.take(sum_.numbers());
    const std::span<Word> result = context.take(1 + sum_.most_words());
    mpc::expect_received(kept.size() >= sizes_.code_words);
    const bool goes_on =
        !before.empty() && (before[0] & kHasRecords) != 0 &&
        std::ranges::equal(kept.first(sizes_.code_words), before.subspan(1, sizes_.code_words));
    std::span<const Word> rest = kept.subspan(sizes_.code_words);
    while (!rest.empty()) {
      mpc::expect_received(rest.size() >= 2);
      const bool first = (rest[0] & 1) != 0;
      const Word queries = rest[0] / 2;
      Word count = rest[1];
      rest = rest.subspan(2);
      if (queries == 0) continue;
      std::ranges::fill(sum, 0);
      rest = rest.subspan(sum_.read(rest, [&](std::uint32_t column, const Word* number) {
        std::copy_n(number, sum_.number().words(), &sum[std::uint64_t{column} * sum_.number().words()]);
      }));
      mpc::expect_received(queries <= rest.size());
      if (first && goes_on) {
        count += before[count_at()];
        add_numbers(sum_.number(), sum, before.subspan(sum_at(), sum.size()));
      }
      if (count > 0) {
        const std::span<const Word> message = result.first(1 + sum_.put_numbers(sum.data(), &result[1]));
        for (const Word token : rest.first(queries)) {
          const std::uint64_t block = token / plan_.block_tokens;
          result[0] = (token - first_token(block)) << count_bits() | count;
          context.out.send(copy(table, block), message);
        }
      }
      rest = rest.subspan(queries);
    }
  });
}

void HashedRun::add_over_tables(Decompiled& protocol, std::uint64_t block_scratch_words) {
  protocol.then(id(kAddOverTables), sizes_.copy_depth, block_scratch_words,
                [this](const Context& context, std::uint32_t round) {
                  const std::uint64_t table = context.machine / plan_.blocks;
                  const std::uint64_t block = context.machine % plan_.blocks;
                  std::uint64_t receivers = 1;  // tables below this stay
                  for (std::uint32_t r = round; r < sizes_.copy_depth; ++r)
                    receivers *= plan_.copies_a_round + 1;
                  if (table >= std::min<std::uint64_t>(receivers * (plan_.copies_a_round + 1), sizes_.tables))
                    return;
                  if (table == 0) {
                    const std::span<const Word> own = context.from(context.machine);
                    context.out.send(context.machine, own.first(rows_length(block, own)));
                  }
                  const State state = collect(context, round == 1);
                  const std::span<Word> message = context.take(state.counts.size() * (1 + sum_.most_words()));
                  Word* next = message.data();
                  for (std::uint64_t cell = 0; cell < state.counts.size(); ++cell) {
                    *next++ = state.counts[cell];
                    if (state.counts[cell] == 0) continue;
                    next += sum_.put_numbers(state.sums.data() + cell * sum_.numbers(), next);
                  }
                  context.out.send(copy(table % receivers, block),
                                   message.first(static_cast<std::size_t>(next - message.data())));
                });
}

std::uint32_t measure(const anna::Layer& layer, const anna::Mechanism& mechanism, std::uint32_t word_bits,
                      DecompiledLayer& sizes) {
  const auto tables = mechanism.hash_tables();  // exact match: one, whose code is the vector
  sizes.tables = sizes.copies = tables ? tables->tables : 1;
  sizes.code_words = key_code_words(layer, mechanism, word_bits);
  return ceil_log(2, sizes.tables);
}

void count_words(DecompiledLayer& sizes, std::uint64_t next_row, std::uint64_t copies) {
  const std::uint64_t heads = sizes.heads, row = sizes.most_row_words();
  const std::uint64_t value = 1 + std::uint64_t{sizes.value_dimension} * sizes.value_words;
  const std::uint64_t sum = 1 + std::uint64_t{sizes.value_dimension} * sizes.sum_words;
  const std::uint64_t record = sizes.code_words + 1;
  sizes.copy_depth = ceil_log(copies + 1, sizes.tables);
  const std::uint64_t holders = sizes.copy_depth > 0 ? copies + 1 : 1;
  sizes.state_words = row + heads * (1 + sum);
  sizes.token_words = std::max({holders * row,                       // copied
                                row + 2 * heads * record,            // hashed
                                row + 2 * heads,                     // asked for
                                row + heads * (2 * record + value),  // fetched
                                row + holders * heads * (1 + sum),   // added
                                next_row});
}

/// Words that a scan machine keeps beside its tree's: see Buckets in decompile.cpp.
std::uint64_t scan_kept_words(const DecompiledLayer& layer, std::uint64_t records) {
  const std::uint64_t sum = 1 + std::uint64_t{layer.value_dimension} * layer.sum_words;
  return layer.code_words + 2 + sum + records / 2 * (1 + sum) + records;
}

/// B_v of least depth, and the largest of these: fewest machines.
bool plan_scan(DecompiledLayer& layer, std::uint64_t tokens, std::uint64_t memory_words) {
  const std::uint64_t value = 1 + std::uint64_t{layer.value_dimension} * layer.value_words;
  const std::uint64_t sum = 1 + std::uint64_t{layer.value_dimension} * layer.sum_words;
  const std::uint64_t record = layer.code_words + 1 + value;
  const std::uint64_t element = layer.code_words + 1 + sum;
  bool found = false;
  const std::uint64_t most = std::min(memory_words / std::max(record, 1 + sum), 2 * tokens);
  for (std::uint64_t records = 1; records <= most; ++records) {
    const std::uint64_t machines = ceil_div(2 * tokens, records);
    std::uint32_t fan = 2, depth = 0;
    if (machines > 1) {
      const std::uint64_t kept = scan_kept_words(layer, records);
      if (kept + 4 * element > memory_words) break;
      fan = static_cast<std::uint32_t>(
          std::min<std::uint64_t>((memory_words - kept) / (2 * element), machines));
      fan = std::max(fan, 2u);
      depth = ceil_log(fan, machines);
    }
    if (found && depth + seeded("scan-records") > layer.scan_depth) continue;
    found = true;
    layer.scan_records = records;
    layer.scan_machines = machines;
    layer.scan_fan = fan;
    layer.scan_depth = depth;
  }
  return found;
}

bool fit(const DecompilePlan& plan, DecompiledLayer& sizes) {
  const auto sort = mpc::plan_sort({.records = 2 * plan.tokens,
                                    .record_words = sizes.code_words + 1,
                                    .memory_words = plan.memory_words,
                                    .key_words = sizes.code_words + 1,
                                    .distinct_keys = true});
  if (!sort || !plan_scan(sizes, plan.tokens, plan.memory_words)) return false;
  sizes.sort = *sort;
  return true;
}

std::vector<MachineGroup> machines(const DecompilePlan& plan, const DecompiledLayer& sizes) {
  const std::uint64_t sorts = std::uint64_t{sizes.tables} * sizes.heads;
  return {{"owners", plan.blocks},
          {"copies", (std::uint64_t{sizes.tables} - 1) * plan.blocks},
          {"sort machines", sorts * sizes.sort.machines},
          {"scan machines", sorts * sizes.scan_machines}};
}

std::vector<Pass> passes(const DecompilePlan& plan, std::size_t l) {
  const DecompiledLayer& layer = plan.layers[l];
  return {
      {std::string(kCopyRows.id), fmt::format("dc = {} rounds to ell = {} tables, f' = {} copies a round",
                                              layer.copy_depth, layer.tables, plan.copies_a_round)},
      {std::string(kHash.id), fmt::format("1 round: {} records of {} code words a table and head",
                                          2 * plan.tokens, layer.code_words)},
      {std::string(kSort.id),
       fmt::format("T_sort = {} rounds, H ell = {} sorts on M_s = {} machines each", layer.sort.rounds,
                   std::uint64_t{layer.heads} * layer.tables, layer.sort.machines)},
      {std::string(kFetchValues.id),
       fmt::format("2 rounds: values of {} numbers to M_v = {} scan machines a sort", layer.value_dimension,
                   layer.scan_machines)},
      {std::string(kScanBuckets.id), fmt::format("2 dv = {} rounds, B_v = {} records a machine, fan-in {}",
                                                 2 * layer.scan_depth, layer.scan_records, layer.scan_fan)},
      {std::string(kReturn.id), "1 round: sum and count of each query to its block"},
      {std::string(kAddOverTables.id),
       fmt::format("dc = {} rounds; then {} heads meet at the owner; {} machines, {} rounds in all",
                   layer.copy_depth, layer.heads, plan.layer_machines(l), layer.rounds())}};
}

}  // namespace

const LayerDecompiler& hashed_decompiler() {
  static const LayerDecompiler decompiler{
      .rounds_formula = "(2 dc + T_sort(2 N', w) + 2 dv + 4)",
      .phases = {kCopyRows, kHash, kSort, kFetchValues, kScanBuckets, kReturn, kAddOverTables},
      .average = "average of the values whose keys it matches",
      .introduction =
          "In a layer every token writes a query, a key and a value. Attention gives each query the "
          "average of the values whose keys it matches. Machines can't look at each other's keys: they "
          "sort them by hash code, so that what matches comes together, add up, and send the sums to the "
          "owners.",
      .measure = measure,
      .count_words = count_words,
      .fit = fit,
      .rounds =
          [](const DecompiledLayer& sizes) {
            return 2 * sizes.copy_depth + sizes.sort.rounds + 2 * sizes.scan_depth + 4;
          },
      .machines = machines,
      .passes = passes,
      .make = [](const LayerParts& parts) -> std::unique_ptr<LayerRun> {
        return std::make_unique<HashedRun>(parts);
      }};
  return decompiler;
}

}  // namespace roundtrip::simulate
