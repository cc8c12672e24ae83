// A softmax layer, the quadratic contrast, in 5 dc rounds, dc = max(1, ceil(log_{f' + 1} C)), on C^2 machines, one for
// each pair of blocks: copy (t, c) holds the rows of block c, for their queries, and those of block t, for their keys.
// The largest scores meet before anything is weighed, so that all weights are the evaluation's: integers, whose sums no
// order can change.
//
//   copy queries   dc   rows of block c to its copies
//   copy keys      dc   rows of block t to the copies of table t
//   largest up     dc   the largest score of every query and head, to its owner
//   largest down   dc   and back to all copies
//   sums up        dc   T = sum of weights and S = sum of weighted values, to the owner
// With a causal mask block c has the copies t <= c alone: as many rounds, C (C + 1) / 2 machines.
#include <algorithm>

#include "roundtrip/anna/attention/softmax.h"
#include "roundtrip/base/fault.h"
#include "roundtrip/mpc/stages/tree_stages.h"
#include "roundtrip/simulate/decompile/key_code.h"
#include "roundtrip/simulate/decompile/layer_run.h"

namespace roundtrip::simulate {
namespace {

using mpc::Word;

constexpr DecompilePhase kCopyQueries{
    "copy queries",
    "There is a machine for every pair of blocks; the owners send each of theirs its queries."};
constexpr DecompilePhase kCopyKeys{
    "copy keys",
    "In the same way they send the keys and values: each machine has one block's queries and another's keys."};
constexpr DecompilePhase kLargestUp{
    "largest up",
    "Weights are powers of e, which no number could hold; so each query's largest score is found up a tree."};
constexpr DecompilePhase kLargestDown{
    "largest down", "It goes back down: all weights are those of scores beside the largest."};
constexpr DecompilePhase kSumsUp{
    "sums up",
    "Weights and weighted values are added up a tree; at the owner, one sum over the other is the average."};

/// Tables that are reached in `rounds` rounds if in each every table reaches `fan` - 1 others.
std::uint64_t reached(std::uint64_t fan, std::uint32_t rounds) {
  std::uint64_t tables = 1;
  while (rounds-- > 0) tables *= fan;
  return tables;
}

class SoftmaxRun final : public LayerRun {
 public:
  explicit SoftmaxRun(const LayerParts& parts) : LayerRun(parts), score_(numbers(sizes_.score_words)) {
    const auto* mechanism = parts.mechanism.get_if<anna::Softmax>();
    ensure(mechanism != nullptr, "the layer has softmax attention");
    scale_ = mechanism->scale;
  }
  std::uint64_t block_scratch_words() const override {
    return LayerRun::block_scratch_words() + 2 * plan_.block_tokens * sizes_.heads * sizes_.score_words +
           scratch_of<std::int32_t>(plan_.block_tokens * sizes_.heads * layer_.shape().query_dimension) +
           scratch_of<Entry>(sizes_.row_dimension);
  }
  void append_passes(Decompiled& protocol, std::uint64_t block_scratch_words) override {
    copy_rows(protocol, kCopyQueries, block_scratch_words);
    copy_keys(protocol, block_scratch_words);
    largest_up(protocol, block_scratch_words);
    largest_down(protocol, block_scratch_words);
    weighted_sums_up(protocol, block_scratch_words);
  }
  void update(const Context& context, const VisitNext& visit) const override;

 private:
  /// The rows that a copy holds; after them it sent numbers to itself.
  struct Pair {
    std::uint64_t table, block;  // whose keys and whose queries
    std::span<const Word> queries, keys;
    std::size_t own_rows;  // words of its own message that are rows
  };

  void copy_keys(Decompiled& protocol, std::uint64_t block_scratch_words);
  void largest_up(Decompiled& protocol, std::uint64_t block_scratch_words);
  void largest_down(Decompiled& protocol, std::uint64_t block_scratch_words);
  void weighted_sums_up(Decompiled& protocol, std::uint64_t block_scratch_words);

  /// Calls visit(cell, <q, k>, key's values) for every query whose vector is in `queries`, [queries, heads,
  /// m_qk]; with a mask, of key number j of the queries' own block, from query j on.
  template <typename Visit>
  void for_each_score(const Pair& pair, std::uint64_t j, const TokenHeads& token, std::uint32_t head,
                      std::span<const std::int32_t> key, std::span<const std::int32_t> queries,
                      Visit&& visit) const {
    const std::uint64_t cells = queries.size() / key.size();
    const std::uint64_t first = triangle_ && pair.table == pair.block && !seeded("diagonal-unmasked") ? j : 0;
    for (std::uint64_t cell = first * sizes_.heads + head; cell < cells; cell += sizes_.heads) {
      WideInteger score = 0;
      for (std::size_t i = 0; i < key.size(); ++i)
        score += std::int64_t{queries[cell * key.size() + i]} * key[i];
      visit(cell, score, token.value(head));
    }
  }
  Pair pair_of(const Context& context) const;
  /// The numbers on their way that have come, combined; what a machine has from itself begins with rows.
  std::span<const Word> meet(const Context& context, std::size_t own_rows, std::uint64_t words,
                             const mpc::Combine& combine) const;
  std::uint64_t score_numbers(std::uint64_t block) const {  // words
    return block_size(block) * sizes_.heads * score_.words();
  }
  std::uint64_t sum_numbers(std::uint64_t block) const {  // words
    return block_size(block) * sizes_.heads * sum_.numbers();
  }
  void keep_larger(std::span<Word> left, std::span<const Word> right) const;
  std::span<std::int32_t> query_vectors(const Context& context, const Pair& pair, TokenHeads& token) const;
  std::span<const Word> largest_scores(const Context& context, const Pair& pair) const;
  std::span<const Word> weighted_sums(const Context& context, const Pair& pair) const;

  const NumberCodec score_;
  double scale_ = 0;
};

SoftmaxRun::Pair SoftmaxRun::pair_of(const Context& context) const {
  const Copy own_copy = copy_at(context.machine);
  Pair pair{own_copy.table, own_copy.block, {}, {}, 0};
  const std::span<const Word> own = context.from(context.machine);
  pair.queries = own.first(rows_length(pair.block, own));
  pair.keys = own.subspan(pair.queries.size());
  if (pair.keys.empty()) {  // they came in the round before
    pair.keys = context.before(context.machine);
    if (pair.keys.empty()) pair.keys = context.after(context.machine);
    pair.own_rows = own.size();
  }
  if (!pair.keys.empty()) pair.keys = pair.keys.first(rows_length(pair.table, pair.keys));
  if (pair.own_rows == 0) pair.own_rows = pair.queries.size() + pair.keys.size();
  return pair;
}

void SoftmaxRun::copy_keys(Decompiled& protocol, std::uint64_t block_scratch_words) {
  protocol.then(id(kCopyKeys), sizes_.copy_depth, block_scratch_words,
                [this](const Context& context, std::uint32_t round) {
                  if (context.machine >= copies()) return;
                  const auto [table, block] = copy_at(context.machine);
                  // The copies (t, t), (t, t + 1), .. of table t get them in this order.
                  const std::uint64_t place = (block + plan_.blocks - table) % plan_.blocks;
                  const std::uint64_t places = triangle_ ? plan_.blocks - table : plan_.blocks;
                  const std::uint64_t holders = reached(plan_.copies_a_round + 1, round - 1);
                  const bool holds = place < holders;
                  std::span<const Word> queries = context.inbox.words(), keys = queries;
                  if (round > 1) {
                    const Pair pair = pair_of(context);
                    queries = pair.queries, keys = pair.keys;
                  }
                  context.out.send(context.machine, queries);
                  if (!holds) return;
                  context.out.send(context.machine, keys);
                  for (std::uint64_t j = 1; j <= plan_.copies_a_round && place + j * holders < places; ++j)
                    context.out.send(copy(table, (block + j * holders) % plan_.blocks), keys);
                });
}

std::span<const Word> SoftmaxRun::meet(const Context& context, std::size_t own_rows, std::uint64_t words,
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

std::span<std::int32_t> SoftmaxRun::query_vectors(const Context& context, const Pair& pair,
                                                  TokenHeads& token) const {
  const std::uint64_t dimension = layer_.shape().query_dimension;
  const std::span<std::int32_t> vectors =
      take<std::int32_t>(context, block_size(pair.block) * sizes_.heads * dimension);
  for_each_row(context, pair.block, pair.queries, [&](std::uint64_t i, const anna::RowView& row) {
    token.project(row);
    for (std::uint32_t h = 0; h < sizes_.heads; ++h) {
      const std::span<std::int32_t> out = vectors.subspan((i * sizes_.heads + h) * dimension, dimension);
      const Numbers vector = vector_of(token, h, true, out);
      std::copy(vector.begin(), vector.end(), out.begin());
    }
  });
  return vectors;
}

void SoftmaxRun::keep_larger(std::span<Word> left, std::span<const Word> right) const {
  const NumberCodec& codec = score_;
  for (std::size_t i = 0; i < left.size(); i += codec.words()) {
    const WideInteger a = codec.get(&left[i]), b = codec.get(&right[i]);
    codec.put(scale_ < 0 ? std::min(a, b) : std::max(a, b), &left[i]);
  }
}

std::span<const Word> SoftmaxRun::largest_scores(const Context& context, const Pair& pair) const {
  TokenHeads token(context, layer_);
  const std::span<const std::int32_t> queries = query_vectors(context, pair, token);
  const std::span<std::int32_t> buffer = take<std::int32_t>(context, layer_.shape().query_dimension);
  const NumberCodec& codec = score_;
  const std::span<Word> largest = context.take(block_size(pair.block) * sizes_.heads * codec.words());
  for_each_row(context, pair.table, pair.keys, [&](std::uint64_t j, const anna::RowView& row) {
    token.project(row);
    for (std::uint32_t h = 0; h < sizes_.heads; ++h) {
      const Numbers key = vector_of(token, h, false, buffer);
      for_each_score(pair, j, token, h, key, queries,
                     [&](std::uint64_t cell, WideInteger score, std::span<const Entry>) {
                       Word* const at = &largest[cell * codec.words()];
                       if (j > 0) {
                         const WideInteger known = codec.get(at);
                         score = scale_ < 0 ? std::min(known, score) : std::max(known, score);
                       }
                       codec.put(score, at);
                     });
    }
  });
  return largest;
}

void SoftmaxRun::largest_up(Decompiled& protocol, std::uint64_t block_scratch_words) {
  const mpc::Combine combine = [this](std::span<Word> left, std::span<const Word> right) {
    keep_larger(left, right);
  };
  protocol.then(
      id(kLargestUp), sizes_.copy_depth, block_scratch_words,
      [this, combine](const Context& context, std::uint32_t round) {
        if (context.machine >= copies()) return;
        const Pair pair = pair_of(context);
        context.out.send(context.machine, pair.queries);
        context.out.send(context.machine, pair.keys);
        const std::uint64_t receivers = reached(plan_.copies_a_round + 1, sizes_.copy_depth - round);
        if (pair.table >= receivers * (plan_.copies_a_round + 1)) return;
        context.out.send(copy(pair.table % receivers, pair.block),
                         round == 1 ? largest_scores(context, pair)
                                    : meet(context, pair.own_rows, score_numbers(pair.block), combine));
      });
}

void SoftmaxRun::largest_down(Decompiled& protocol, std::uint64_t block_scratch_words) {
  const mpc::Combine combine = [this](std::span<Word> left, std::span<const Word> right) {
    keep_larger(left, right);
  };
  protocol.then(id(kLargestDown), sizes_.copy_depth, block_scratch_words,
                [this, combine](const Context& context, std::uint32_t round) {
                  if (context.machine >= copies()) return;
                  const Pair pair = pair_of(context);
                  context.out.send(context.machine, pair.queries);
                  context.out.send(context.machine, pair.keys);
                  const std::uint64_t holders = reached(plan_.copies_a_round + 1, round - 1);
                  if (pair.table >= holders) return;
                  const std::span<const Word> largest =
                      meet(context, pair.own_rows, score_numbers(pair.block), combine);
                  context.out.send(context.machine, largest);
                  for (std::uint64_t j = 1;
                       j <= plan_.copies_a_round && pair.table + j * holders < copies_of(pair.block); ++j)
                    context.out.send(copy(pair.table + j * holders, pair.block), largest);
                });
}

std::span<const Word> SoftmaxRun::weighted_sums(const Context& context, const Pair& pair) const {
  const std::span<const Word> largest =
      meet(context, pair.own_rows, score_numbers(pair.block),
           [this](std::span<Word> left, std::span<const Word> right) { keep_larger(left, right); });
  TokenHeads token(context, layer_);
  const std::span<const std::int32_t> queries = query_vectors(context, pair, token);
  const std::span<std::int32_t> buffer = take<std::int32_t>(context, layer_.shape().query_dimension);
  const NumberCodec& codec = sum_.number();
  const std::span<Word> sums = context.take(sum_numbers(pair.block));
  std::ranges::fill(sums, 0);
  for_each_row(context, pair.table, pair.keys, [&](std::uint64_t j, const anna::RowView& row) {
    token.project(row);
    for (std::uint32_t h = 0; h < sizes_.heads; ++h) {
      const Numbers key = vector_of(token, h, false, buffer);
      for_each_score(pair, j, token, h, key, queries,
                     [&](std::uint64_t cell, WideInteger score, std::span<const Entry> values) {
                       const WideInteger weight =
                           anna::softmax_weight(scale_, score - score_.get(&largest[cell * score_.words()]));
                       if (weight == 0) return;
                       Word* const out = &sums[cell * sum_.numbers()];
                       add_number(codec, weight, out);
                       for (const Entry& entry : values) {
                         add_number(codec, weight * static_cast<std::int64_t>(entry.value),
                                    out + (1 + std::uint64_t{entry.column}) * codec.words());
                       }
                     });
    }
  });
  return sums;
}

void SoftmaxRun::weighted_sums_up(Decompiled& protocol, std::uint64_t block_scratch_words) {
  const mpc::Combine combine = [this](std::span<Word> left, std::span<const Word> right) {
    add_numbers(sum_.number(), left, right);
  };
  protocol.then(id(kSumsUp), sizes_.copy_depth, block_scratch_words,
                [this, combine](const Context& context, std::uint32_t round) {
                  if (context.machine >= copies()) return;
                  const auto [table, block] = copy_at(context.machine);
                  const std::uint64_t receivers =
                      reached(plan_.copies_a_round + 1, sizes_.copy_depth - round);
                  if (table >= receivers * (plan_.copies_a_round + 1)) return;
                  std::span<const Word> sums, rows;
                  if (round == 1) {
                    const Pair pair = pair_of(context);
                    rows = pair.queries;
                    sums = weighted_sums(context, pair);
                  } else {
                    const std::span<const Word> own = context.from(context.machine);
                    if (table == 0) rows = own.first(rows_length(block, own));
                    sums = meet(context, rows.size(), sum_numbers(block), combine);
                  }
                  if (table == 0) context.out.send(context.machine, rows);
                  context.out.send(copy(table % receivers, block), sums);
                });
}

void SoftmaxRun::update(const Context& context, const VisitNext& visit) const {
  const std::span<const Word> own = context.from(context.machine);
  const std::span<const Word> rows = own.first(rows_length(context.machine, own));
  const NumberCodec& codec = sum_.number();
  const std::span<const Word> sums =
      meet(context, rows.size(), sum_numbers(context.machine),
           [&codec](std::span<Word> left, std::span<const Word> right) { add_numbers(codec, left, right); });
  TokenOutputs outputs(context, layer_.shape());
  anna::RowWriter writer;
  for_each_row(context, context.machine, rows, [&](std::uint64_t i, const anna::RowView& row) {
    outputs.clear();
    for (std::uint32_t h = 0; h < sizes_.heads; ++h) {
      const Word* const cell = &sums[(i * sizes_.heads + h) * sum_.numbers()];
      const auto total = static_cast<double>(codec.get(cell));  // at least the largest score's weight
      for (std::uint32_t c = 0; c < sizes_.value_dimension; ++c) {
        // Both rounded once, then divided once.
        if (const WideInteger sum = codec.get(cell + (1 + std::uint64_t{c}) * codec.words()); sum != 0)
          outputs.add(h, c, static_cast<double>(sum) / total);
      }
    }
    update_row(layer_, row, outputs, writer);
    visit(row.token, writer.entries());
  });
}

std::uint32_t measure(const anna::Layer& layer, const anna::Mechanism& mechanism, std::uint32_t word_bits,
                      DecompiledLayer& sizes) {
  sizes.triangle = mechanism.causal();
  const std::uint32_t bits =
      2 * coordinate_bits(layer) + ceil_log(2, std::uint64_t{layer.shape().query_dimension}) + 1;
  sizes.score_words = NumberCodec(word_bits, bits).words();
  sizes.sum_dimension = 1 + sizes.value_dimension;  // T and S
  return anna::kSoftmaxWeightBits;
}

void count_words(DecompiledLayer& sizes, std::uint64_t next_row, std::uint64_t copies) {
  const std::uint64_t row = sizes.most_row_words(), heads = sizes.heads;
  const std::uint64_t weighted = heads * (1 + std::uint64_t{sizes.value_dimension}) * sizes.sum_words;
  sizes.state_words = row + weighted;
  sizes.token_words = std::max({(copies + 2) * row,                                  // keys copied
                                2 * row + (copies + 1) * heads * sizes.score_words,  // largest scores
                                row + (copies + 1) * weighted, next_row});           // sums
}

bool fit(const DecompilePlan& plan, DecompiledLayer& sizes) {
  sizes.copies = static_cast<std::uint32_t>(plan.blocks);
  sizes.copy_depth = std::max(1u, ceil_log(plan.copies_a_round + 1, plan.blocks));
  return true;
}

std::vector<Pass> passes(const DecompilePlan& plan, std::size_t l) {
  const DecompiledLayer& layer = plan.layers[l];
  const std::string rounds = fmt::format("dc = {} rounds", layer.copy_depth);
  return {{std::string(kCopyQueries.id), fmt::format("{}: C = {} blocks to {} copies each, f' = {} a round",
                                                     rounds, plan.blocks, plan.blocks, plan.copies_a_round)},
          {std::string(kCopyKeys.id),
           fmt::format("{}: a machine for every pair of blocks, {}", rounds, plan.layer_machines(l))},
          {std::string(kLargestUp.id), rounds + ": the largest score of every query and head to its owner"},
          {std::string(kLargestDown.id), rounds + ": to all copies"},
          {std::string(kSumsUp.id), fmt::format("{}: {} heads' weights and weighted values; {} rounds in all",
                                                rounds, layer.heads, layer.rounds())}};
}

/// Causal layers differ in the words that describe them alone.
LayerDecompiler make_decompiler() {
  return {
      .rounds_formula = "5 dc",
      .phases = {kCopyQueries, kCopyKeys, kLargestUp, kLargestDown, kSumsUp},
      .average = "average of all values, weighted by e to the power of how well their keys fit",
      .introduction =
          "Softmax gives each query the average of all values, weighted by how well their keys fit. "
          "No sorting helps there: a machine for every pair of blocks of tokens computes the "
          "weights, and the sums go to the owners. So it takes quadratically many machines.",
      .measure = measure,
      .count_words = count_words,
      .fit = fit,
      .rounds = [](const DecompiledLayer& sizes) { return 5 * sizes.copy_depth; },
      .machines =
          [](const DecompilePlan& plan, const DecompiledLayer& sizes) {
            return std::vector<MachineGroup>{
                {"owners", plan.blocks},
                {"machines of pairs of blocks", (plan.blocks - 1) * plan.blocks / (sizes.triangle ? 2 : 1)}};
          },
      .passes = passes,
      .make = [](const LayerParts& parts) -> std::unique_ptr<LayerRun> {
        return std::make_unique<SoftmaxRun>(parts);
      }};
}

}  // namespace

const LayerDecompiler& softmax_decompiler() {
  static const LayerDecompiler decompiler = make_decompiler();
  return decompiler;
}

const LayerDecompiler& causal_softmax_decompiler() {
  static const LayerDecompiler decompiler = [] {
    LayerDecompiler made = make_decompiler();
    made.takes = [](const anna::Mechanism& mechanism) { return mechanism.causal(); };
    made.average = "average of the values so far, weighted by e to the power of how well their keys fit";
    made.introduction =
        "Causal softmax gives each query the average of the values up to its own, weighted by how well their keys "
        "fit. There is a machine for every pair of a block and one before it, or itself.";
    return made;
  }();
  return decompiler;
}

}  // namespace roundtrip::simulate
