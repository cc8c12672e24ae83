// The passes of a softmax layer, on C^2 machines: copy (t, c) holds the rows of block c, for their queries,
// and those of block t, for their keys. The largest scores meet before anything is weighed, so that all
// weights are the evaluation's: integers, whose sums no order can change.
//
//   copy queries   dc   rows of block c to its copies (copy_rows in decompile.cpp)
//   copy keys      dc   rows of block t to the copies of table t
//   largest up     dc   the largest score of every query and head, to its home
//   largest down   dc   and back to all copies
//   sums up        dc   T = sum of weights and S = sum of weighted values, to the home
#include "roundtrip/simulate/decompile/decompiled.h"

#include <algorithm>

namespace roundtrip::simulate {

using anna::Entry;
using mpc::Context;
using mpc::Word;

namespace {

/// Tables that are reached in `rounds` rounds if in each every table reaches `fan` - 1 others.
std::uint64_t reached(std::uint64_t fan, std::uint32_t rounds) {
  std::uint64_t tables = 1;
  while (rounds-- > 0) tables *= fan;
  return tables;
}

/// Calls visit(cell, <q, k>, key's values) for every query whose vector is in `queries`, [queries, heads,
/// m_qk].
template <typename Visit>
void for_each_score(const LayerRun& run, const TokenHeads& token, std::uint32_t head,
                    std::span<const std::int32_t> key, std::span<const std::int32_t> queries, Visit&& visit) {
  const std::uint64_t cells = queries.size() / key.size();
  for (std::uint64_t cell = head; cell < cells; cell += run.plan.heads) {
    WideInteger score = 0;
    for (std::size_t i = 0; i < key.size(); ++i)
      score += std::int64_t{queries[cell * key.size() + i]} * key[i];
    visit(cell, score, token.value(head));
  }
}

}  // namespace

/// The rows that a copy holds; behind them stand the numbers that it sent to itself.
struct Decompiled::Pair {
  std::uint64_t table, block;  // whose keys and whose queries
  std::span<const Word> queries, keys;
  std::size_t own_rows;  // words of its own message that are rows
};

Decompiled::Pair Decompiled::pair_of(const Context& context, const LayerRun& run) const {
  Pair pair{context.machine / plan_.blocks, context.machine % plan_.blocks, {}, {}, 0};
  const std::span<const Word> own = context.from(context.machine);
  pair.queries = own.first(rows_length(run, pair.block, own));
  pair.keys = own.subspan(pair.queries.size());
  if (pair.keys.empty()) {  // they came in the round before
    pair.keys = context.before(context.machine);
    if (pair.keys.empty()) pair.keys = context.after(context.machine);
    pair.own_rows = own.size();
  }
  if (!pair.keys.empty()) pair.keys = pair.keys.first(rows_length(run, pair.table, pair.keys));
  if (pair.own_rows == 0) pair.own_rows = pair.queries.size() + pair.keys.size();
  return pair;
}

void Decompiled::copy_keys(const LayerRun& run) {
  then("copy keys", run.plan.copy_depth, block_scratch_,
       [this, &run](const Context& context, std::uint32_t round) {
         if (context.machine >= run.copies()) return;
         const std::uint64_t table = context.machine / plan_.blocks, block = context.machine % plan_.blocks;
         // The copies (t, t), (t, t + 1), .. of table t get them in this order.
         const std::uint64_t place = (block + plan_.blocks - table) % plan_.blocks;
         const std::uint64_t holders = reached(plan_.copies_a_round + 1, round - 1);
         const bool holds = place < holders;
         std::span<const Word> queries = context.inbox.words(), keys = queries;
         if (round > 1) {
           const Pair pair = pair_of(context, run);
           queries = pair.queries, keys = pair.keys;
         }
         context.out.send(context.machine, queries);
         if (!holds) return;
         context.out.send(context.machine, keys);
         for (std::uint64_t j = 1; j <= plan_.copies_a_round && place + j * holders < plan_.blocks; ++j)
           context.out.send(run.copy(table, (block + j * holders) % plan_.blocks), keys);
       });
}

std::span<const Word> Decompiled::meet(const Context& context, std::size_t own_rows, std::uint64_t words,
                                       const mpc::Combine& combine) const {
  const std::span<Word> total = context.take(words);
  bool first = true;
  for (const mpc::Run received : context.inbox) {
    const std::size_t rows = received.source == context.machine ? own_rows : 0;
    mpc::expect_received(rows <= received.words.size());
    const std::span<const Word> numbers = received.words.subspan(rows);
    if (numbers.empty()) continue;
    mpc::expect_received(numbers.size() == words);
    if (first) {
      std::ranges::copy(numbers, total.begin());
    } else {
      combine(total, numbers);
    }
    first = false;
  }
  mpc::expect_received(!first);
  return total;
}

std::span<std::int32_t> Decompiled::query_vectors(const Context& context, const LayerRun& run,
                                                  const Pair& pair, TokenHeads& token) const {
  const std::uint64_t dimension = run.layer.shape().query_dimension;
  const std::span<std::int32_t> vectors =
      take<std::int32_t>(context, block_size(pair.block) * run.plan.heads * dimension);
  for_each_row(context, run, pair.block, pair.queries, [&](std::uint64_t i, const anna::RowView& row) {
    token.project(row);
    for (std::uint32_t h = 0; h < run.plan.heads; ++h) {
      const std::span<std::int32_t> out = vectors.subspan((i * run.plan.heads + h) * dimension, dimension);
      const Numbers vector = vector_of(run, token, h, true, out);
      std::copy(vector.begin(), vector.end(), out.begin());
    }
  });
  return vectors;
}

void Decompiled::keep_larger(const LayerRun& run, std::span<Word> left, std::span<const Word> right) {
  const NumberCodec& wire = run.score;
  for (std::size_t i = 0; i < left.size(); i += wire.words()) {
    const WideInteger a = wire.get(&left[i]), b = wire.get(&right[i]);
    wire.put(run.softmax_scale < 0 ? std::min(a, b) : std::max(a, b), &left[i]);
  }
}

std::span<const Word> Decompiled::largest_scores(const Context& context, const LayerRun& run,
                                                 const Pair& pair) const {
  TokenHeads token(context, run.layer);
  const std::span<const std::int32_t> queries = query_vectors(context, run, pair, token);
  const std::span<std::int32_t> room = take<std::int32_t>(context, run.layer.shape().query_dimension);
  const NumberCodec& wire = run.score;
  const std::span<Word> largest = context.take(block_size(pair.block) * run.plan.heads * wire.words());
  for_each_row(context, run, pair.table, pair.keys, [&](std::uint64_t j, const anna::RowView& row) {
    token.project(row);
    for (std::uint32_t h = 0; h < run.plan.heads; ++h) {
      const Numbers key = vector_of(run, token, h, false, room);
      for_each_score(run, token, h, key, queries,
                     [&](std::uint64_t cell, WideInteger score, std::span<const Entry>) {
                       Word* const at = &largest[cell * wire.words()];
                       if (j > 0) {
                         const WideInteger known = wire.get(at);
                         score = run.softmax_scale < 0 ? std::min(known, score) : std::max(known, score);
                       }
                       wire.put(score, at);
                     });
    }
  });
  return largest;
}

void Decompiled::largest_up(const LayerRun& run) {
  const mpc::Combine combine = [&run](std::span<Word> left, std::span<const Word> right) {
    keep_larger(run, left, right);
  };
  then("largest up", run.plan.copy_depth, block_scratch_,
       [this, &run, combine](const Context& context, std::uint32_t round) {
         if (context.machine >= run.copies()) return;
         const Pair pair = pair_of(context, run);
         context.out.send(context.machine, pair.queries);
         context.out.send(context.machine, pair.keys);
         const std::uint64_t receivers = reached(plan_.copies_a_round + 1, run.plan.copy_depth - round);
         if (pair.table >= receivers * (plan_.copies_a_round + 1)) return;
         context.out.send(run.copy(pair.table % receivers, pair.block),
                          round == 1 ? largest_scores(context, run, pair)
                                     : meet(context, pair.own_rows, score_numbers(run, pair.block), combine));
       });
}

void Decompiled::largest_down(const LayerRun& run) {
  const mpc::Combine combine = [&run](std::span<Word> left, std::span<const Word> right) {
    keep_larger(run, left, right);
  };
  then("largest down", run.plan.copy_depth, block_scratch_,
       [this, &run, combine](const Context& context, std::uint32_t round) {
         if (context.machine >= run.copies()) return;
         const Pair pair = pair_of(context, run);
         context.out.send(context.machine, pair.queries);
         context.out.send(context.machine, pair.keys);
         const std::uint64_t holders = reached(plan_.copies_a_round + 1, round - 1);
         if (pair.table >= holders) return;
         const std::span<const Word> largest =
             meet(context, pair.own_rows, score_numbers(run, pair.block), combine);
         context.out.send(context.machine, largest);
         for (std::uint64_t j = 1; j <= plan_.copies_a_round && pair.table + j * holders < plan_.blocks; ++j)
           context.out.send(run.copy(pair.table + j * holders, pair.block), largest);
       });
}

std::span<const Word> Decompiled::weighted_sums(const Context& context, const LayerRun& run,
                                                const Pair& pair) const {
  const std::span<const Word> largest =
      meet(context, pair.own_rows, score_numbers(run, pair.block),
           [&run](std::span<Word> left, std::span<const Word> right) { keep_larger(run, left, right); });
  TokenHeads token(context, run.layer);
  const std::span<const std::int32_t> queries = query_vectors(context, run, pair, token);
  const std::span<std::int32_t> room = take<std::int32_t>(context, run.layer.shape().query_dimension);
  const NumberCodec& wire = run.sum.number();
  const std::span<Word> sums = context.take(sum_numbers(run, pair.block));
  std::ranges::fill(sums, 0);
  for_each_row(context, run, pair.table, pair.keys, [&](std::uint64_t, const anna::RowView& row) {
    token.project(row);
    for (std::uint32_t h = 0; h < run.plan.heads; ++h) {
      const Numbers key = vector_of(run, token, h, false, room);
      for_each_score(run, token, h, key, queries,
                     [&](std::uint64_t cell, WideInteger score, std::span<const Entry> values) {
                       const WideInteger weight = anna::softmax_weight(
                           run.softmax_scale, score - run.score.get(&largest[cell * run.score.words()]));
                       if (weight == 0) return;
                       Word* const out = &sums[cell * run.sum.numbers()];
                       add_number(wire, weight, out);
                       for (const Entry& entry : values) {
                         add_number(wire, weight * static_cast<std::int64_t>(entry.value),
                                    out + (1 + std::uint64_t{entry.column}) * wire.words());
                       }
                     });
    }
  });
  return sums;
}

void Decompiled::weighted_sums_up(const LayerRun& run) {
  const mpc::Combine combine = [&run](std::span<Word> left, std::span<const Word> right) {
    add_numbers(run.sum.number(), left, right);
  };
  then("sums up", run.plan.copy_depth, block_scratch_,
       [this, &run, combine](const Context& context, std::uint32_t round) {
         if (context.machine >= run.copies()) return;
         const std::uint64_t table = context.machine / plan_.blocks, block = context.machine % plan_.blocks;
         const std::uint64_t receivers = reached(plan_.copies_a_round + 1, run.plan.copy_depth - round);
         if (table >= receivers * (plan_.copies_a_round + 1)) return;
         std::span<const Word> sums, rows;
         if (round == 1) {
           const Pair pair = pair_of(context, run);
           rows = pair.queries;
           sums = weighted_sums(context, run, pair);
         } else {
           const std::span<const Word> own = context.from(context.machine);
           if (table == 0) rows = own.first(rows_length(run, block, own));
           sums = meet(context, rows.size(), sum_numbers(run, block), combine);
         }
         if (table == 0) context.out.send(context.machine, rows);
         context.out.send(run.copy(table % receivers, block), sums);
       });
}

void Decompiled::update_softmax(const Context& context, const LayerRun& run, const VisitNext& visit) const {
  const std::span<const Word> own = context.from(context.machine);
  const std::span<const Word> rows = own.first(rows_length(run, context.machine, own));
  const NumberCodec& wire = run.sum.number();
  const std::span<const Word> sums =
      meet(context, rows.size(), sum_numbers(run, context.machine),
           [&wire](std::span<Word> left, std::span<const Word> right) { add_numbers(wire, left, right); });
  TokenOutputs outputs(context, run.layer.shape());
  anna::RowWriter writer;
  for_each_row(context, run, context.machine, rows, [&](std::uint64_t i, const anna::RowView& row) {
    outputs.clear();
    for (std::uint32_t h = 0; h < run.plan.heads; ++h) {
      const Word* const cell = &sums[(i * run.plan.heads + h) * run.sum.numbers()];
      const auto total = static_cast<double>(wire.get(cell));  // at least the largest score's weight
      for (std::uint32_t c = 0; c < run.plan.value_dimension; ++c) {
        // Both rounded once, then divided once.
        if (const WideInteger sum = wire.get(cell + (1 + std::uint64_t{c}) * wire.words()); sum != 0)
          outputs.add(h, c, static_cast<double>(sum) / total);
      }
    }
    writer.clear();
    run.layer.update(row, outputs, writer);
    visit(row.token, writer.entries());
  });
}

}  // namespace roundtrip::simulate
