// A softmax layer on its C owners alone, in 2 C rounds: the owners are a ring, and the rows of every block go around it
// twice. In a lap each owner sees the keys of one block a round, its own first. The first lap finds the largest score
// of every query; only then are all weights known, as integers, and the second lap adds them up. Against the pairs of
// blocks (softmax.cpp) this is the other end of a trade: C machines and 2 C rounds, not C^2 machines and O(1) rounds.
// With a causal mask keys after a query are passed on unseen.
#include <algorithm>

#include "roundtrip/anna/attention/softmax.h"
#include "roundtrip/simulate/decompile/key_code.h"
#include "roundtrip/simulate/decompile/layer_run.h"

namespace roundtrip::simulate {
namespace {

using mpc::Word;

constexpr DecompilePhase kLargestLap{
    "largest around",
    "The owners are a ring. Rows go around it once, and each query learns its largest score."};
constexpr DecompilePhase kSumsLap{
    "sums around",
    "Rows go around once more: weights and weighted values are added up beside the largest score."};

class SoftmaxRingRun final : public LayerRun {
 public:
  explicit SoftmaxRingRun(const LayerParts& parts)
      : LayerRun(parts),
        scale_(parts.mechanism.get_if<anna::Softmax>()->scale),
        causal_(parts.mechanism.causal()),
        score_(numbers(sizes_.score_words)) {}
  std::uint64_t block_scratch_words() const override {
    const std::uint64_t cells = plan_.block_tokens * sizes_.heads;
    return LayerRun::block_scratch_words() + cells * (sizes_.score_words + sum_.numbers()) +
           scratch_of<std::int32_t>(cells * layer_.shape().query_dimension) +
           scratch_of<std::uint8_t>(cells) + scratch_of<Entry>(2 * std::uint64_t{sizes_.row_dimension});
  }
  void append_passes(Decompiled& protocol, std::uint64_t block_scratch_words) override {
    for (const bool sums : {false, true}) {
      protocol.then(id(sums ? kSumsLap : kLargestLap), static_cast<std::uint32_t>(plan_.blocks),
                    block_scratch_words, [this, sums](const Context& context, std::uint32_t round) {
                      if (owner(context.machine)) visit_block(context, sums, round);
                    });
    }
  }
  void update(const Context& context, const VisitNext& visit) const override;

 private:
  /// What an owner sends to itself.
  struct Held {
    std::span<const Word> rows, largest, sums;  // empty: not begun
  };
  Held held(const Context& context) const;
  void visit_block(const Context& context, bool sums, std::uint32_t round) const;
  /// Calls visit(cell, score, key's values) for the keys of `block` and every query of the own block that sees them.
  template <typename Visit>
  void for_each_score(const Context& context, std::span<const Word> own, std::uint64_t block,
                      std::span<const Word> rows, Visit&& visit) const;

  std::uint64_t neighbour(const Context& context, std::uint64_t steps) const {
    return (context.machine + steps) % plan_.blocks;
  }
  std::uint64_t cells(std::uint64_t block) const { return block_size(block) * sizes_.heads; }

  const double scale_;
  const bool causal_;
  const NumberCodec score_;
};

SoftmaxRingRun::Held SoftmaxRingRun::held(const Context& context) const {
  const std::span<const Word> own = context.from(context.machine);
  const std::size_t rows = rows_length(context.machine, own),
                    scores = cells(context.machine) * score_.words();
  mpc::expect_received(own.size() >= rows + scores);
  return {own.first(rows), own.subspan(rows, scores), own.subspan(rows + scores)};
}

template <typename Visit>
void SoftmaxRingRun::for_each_score(const Context& context, std::span<const Word> own, std::uint64_t block,
                                    std::span<const Word> rows, Visit&& visit) const {
  if (causal_ && block > context.machine) return;
  const std::uint64_t dimension = layer_.shape().query_dimension;
  TokenHeads token(context, layer_);
  const std::span<std::int32_t> queries = take<std::int32_t>(context, cells(context.machine) * dimension);
  const std::span<std::int32_t> buffer = take<std::int32_t>(context, dimension);
  for_each_row(context, context.machine, own, [&](std::uint64_t i, const anna::RowView& row) {
    token.project(row);
    for (std::uint32_t h = 0; h < sizes_.heads; ++h)
      std::ranges::copy(vector_of(token, h, true, buffer), &queries[(i * sizes_.heads + h) * dimension]);
  });
  for_each_row(context, block, rows, [&](std::uint64_t j, const anna::RowView& row) {
    token.project(row);
    const bool masked = causal_ && block == context.machine;
    for (std::uint32_t h = 0; h < sizes_.heads; ++h) {
      const Numbers key = vector_of(token, h, false, buffer);
      for (std::uint64_t i = masked ? j : 0; i < block_size(context.machine); ++i) {
        const std::uint64_t cell = i * sizes_.heads + h;
        WideInteger score = 0;
        for (std::uint64_t x = 0; x < dimension; ++x)
          score += std::int64_t{queries[cell * dimension + x]} * key[x];
        visit(cell, score, token.value(h));
      }
    }
  });
}

void SoftmaxRingRun::visit_block(const Context& context, bool sums, std::uint32_t round) const {
  const std::uint64_t blocks = plan_.blocks, block = neighbour(context, blocks - (round - 1));
  const bool first = round == 1;
  Held before;
  if (sums || !first) {
    before = held(context);
  } else {
    before.rows = new_rows(context);
  }
  const std::span<const Word> rows =
      first ? before.rows : context.from(copy(0, neighbour(context, blocks - 1)));
  mpc::expect_received(rows.size() == rows_length(block, rows));

  context.out.send(context.machine, before.rows);
  if (!sums) {
    const std::span<Word> largest = context.take(cells(context.machine) * score_.words());
    std::ranges::copy(before.largest, largest.begin());
    const std::span<std::uint8_t> known = take<std::uint8_t>(context, cells(context.machine));
    std::ranges::fill(known, first ? 0 : 1);
    for_each_score(context, before.rows, block, rows,
                   [&](std::uint64_t cell, WideInteger score, std::span<const Entry>) {
                     Word* const at = &largest[cell * score_.words()];
                     if (known[cell] != 0)
                       score = scale_ < 0 ? std::min(score, score_.get(at)) : std::max(score, score_.get(at));
                     known[cell] = 1;
                     score_.put(score, at);
                   });
    context.out.send(context.machine, largest);
  } else {
    const NumberCodec& codec = sum_.number();
    const std::span<Word> totals = context.take(cells(context.machine) * sum_.numbers());
    std::ranges::fill(totals, 0);
    if (!first) std::ranges::copy(before.sums, totals.begin());
    for_each_score(context, before.rows, block, rows,
                   [&](std::uint64_t cell, WideInteger score, std::span<const Entry> values) {
                     const WideInteger weight = anna::softmax_weight(
                         scale_, score - score_.get(&before.largest[cell * score_.words()]));
                     if (weight == 0) return;
                     Word* const out = &totals[cell * sum_.numbers()];
                     add_number(codec, weight, out);
                     for (const Entry& entry : values) {
                       add_number(codec, weight * static_cast<std::int64_t>(entry.value),
                                  out + (1 + std::uint64_t{entry.column}) * codec.words());
                     }
                   });
    context.out.send(context.machine, before.largest);
    context.out.send(context.machine, totals);
  }
  // The lap ends at the block that follows: its owner has it.
  if (round < blocks) context.out.send(copy(0, neighbour(context, 1)), rows);
}

void SoftmaxRingRun::update(const Context& context, const VisitNext& visit) const {
  const Held own = held(context);
  const NumberCodec& codec = sum_.number();
  TokenOutputs outputs(context, layer_.shape());
  anna::RowWriter writer;
  for_each_row(context, context.machine, own.rows, [&](std::uint64_t i, const anna::RowView& row) {
    outputs.clear();
    for (std::uint32_t h = 0; h < sizes_.heads; ++h) {
      const Word* const cell = &own.sums[(i * sizes_.heads + h) * sum_.numbers()];
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

std::uint32_t measure(const anna::Layer& layer, const anna::Mechanism&, std::uint32_t word_bits,
                      DecompiledLayer& sizes) {
  const std::uint32_t bits =
      2 * coordinate_bits(layer) + ceil_log(2, std::uint64_t{layer.shape().query_dimension}) + 1;
  sizes.score_words = NumberCodec(word_bits, bits).words();
  sizes.sum_dimension = 1 + sizes.value_dimension;  // T and S
  return anna::kSoftmaxWeightBits;
}

void count_words(DecompiledLayer& sizes, std::uint64_t next_row, std::uint64_t) {
  const std::uint64_t heads = sizes.heads;
  sizes.state_words = sizes.most_row_words() + heads * sizes.score_words +
                      heads * (1 + std::uint64_t{sizes.value_dimension}) * sizes.sum_words;
  sizes.token_words = std::max(sizes.state_words + sizes.most_row_words(), next_row);
}

bool fit(const DecompilePlan& plan, DecompiledLayer& sizes) {
  sizes.scan_depth = static_cast<std::uint32_t>(plan.blocks);
  return true;
}

std::vector<Pass> passes(const DecompilePlan& plan, std::size_t l) {
  return {{std::string(kLargestLap.id),
           fmt::format("C = {} rounds: the rows of C blocks around a ring of {} owners", plan.blocks,
                       plan.blocks)},
          {std::string(kSumsLap.id),
           fmt::format("C = {} rounds: once more, for {} heads' weights and weighted values", plan.blocks,
                       plan.layers[l].heads)}};
}

}  // namespace

const LayerDecompiler& softmax_ring_decompiler() {
  static const LayerDecompiler decompiler{
      .rounds_formula = "2 C",
      .phases = {kLargestLap, kSumsLap},
      .average = "average of all values, weighted by e to the power of how well their keys fit",
      .introduction =
          "Softmax gives each query the average of all values, weighted by how well their keys fit. Here the owners "
          "of blocks are a ring, and the rows go around it twice. So it takes few machines, but many rounds.",
      .measure = measure,
      .count_words = count_words,
      .fit = fit,
      .rounds = [](const DecompiledLayer& sizes) { return 2 * sizes.scan_depth; },
      .machines =
          [](const DecompilePlan& plan, const DecompiledLayer&) {
            return std::vector<MachineGroup>{{"owners", plan.blocks}};
          },
      .passes = passes,
      .make = [](const LayerParts& parts) -> std::unique_ptr<LayerRun> {
        return std::make_unique<SoftmaxRingRun>(parts);
      }};
  return decompiler;
}

}  // namespace roundtrip::simulate
