// A layer of window attention. Without global tokens, 1 round on the C owners: each has its neighbours' rows sent, and sees
// every token of its windows. A window is at most a block wide, and so is what is global; else memory is raised.
//
// With global tokens all of them are in block 0, and 4 dv + 2 rounds, dv = max(1, ceil(log_f C)):
//   globals to root      1    block 0 sends their rows to the root of a tree over the owners
//   globals down         dv   and they go down to all owners, whose queries see them
//   largest up, down     dv   the largest score of every global query, so that all weights are the evaluation's
//   sums up              dv   the sums of its weights, and of its weighted values
//   rows to neighbours   1    as above; the sums go from the root to block 0
// With a causal mask a global query sees its own block alone: dv + 2 rounds, without the largest scores and the sums.
#include "roundtrip/anna/attention/window.h"

#include <algorithm>

#include "roundtrip/anna/attention/softmax.h"
#include "roundtrip/base/fault.h"
#include "roundtrip/mpc/stages/tree_stages.h"
#include "roundtrip/simulate/decompile/key_code.h"
#include "roundtrip/simulate/decompile/layer_run.h"

namespace roundtrip::simulate {
namespace {

using anna::KeyIntervals;
using mpc::Word;

constexpr DecompilePhase kToRoot{"globals to root",
                                 "The owner of the global tokens sends their rows to the root of a tree."};
constexpr DecompilePhase kGlobalsDown{"globals down",
                                      "They go down the tree: every token will see the global ones."};
constexpr DecompilePhase kLargestUp{
    "largest up", "Global tokens see all: the largest of their queries' scores are found up the tree."};
constexpr DecompilePhase kLargestDown{
    "largest down", "They go back down: all weights are those of scores beside the largest."};
constexpr DecompilePhase kSumsUp{"sums up",
                                 "The global queries' weights and weighted values are added up the tree."};
constexpr DecompilePhase kNeighbours{
    "rows to neighbours",
    "Every owner sends its rows to the owners of the blocks before and after its own: windows end there."};

class WindowRun final : public LayerRun {
 public:
  explicit WindowRun(const LayerParts& parts)
      : LayerRun(parts),
        window_(*parts.mechanism.get_if<anna::Window>()),
        score_(numbers(std::max(1u, sizes_.score_words))) {}
  std::uint64_t block_scratch_words() const override {
    const std::uint64_t tokens = 3 * plan_.block_tokens + sizes_.globals, cells = tokens * sizes_.heads;
    return LayerRun::block_scratch_words() + 4 * scratch_of<Entry>(sizes_.row_dimension) +
           scratch_of<std::int32_t>(cells * layer_.shape().query_dimension) +
           scratch_of<std::int64_t>(cells * sizes_.value_dimension) +
           scratch_of<WideInteger>(tokens + sizes_.value_dimension) + 4 * sizes_.element_words +
           2 * plan_.block_tokens * sizes_.most_row_words();
  }
  void append_passes(Decompiled& protocol, std::uint64_t block_scratch_words) override;
  void update(const Context& context, const VisitNext& visit) const override;

 private:
  /// Tokens that an owner can see: of each head the keys [tokens, m_qk] and the values [tokens, m_v].
  struct Seen {
    std::uint64_t base, tokens;  // the first one, and how many
    std::span<std::int32_t> keys;
    std::span<std::int64_t> values;
  };

  static std::uint64_t before(std::uint64_t block) { return block - std::min<std::uint64_t>(block, 1); }
  std::uint64_t next(std::uint64_t block) const { return std::min(block + 1, plan_.blocks - 1); }
  /// The last block that an owner sees.
  std::uint64_t after(std::uint64_t block) const { return window_.masked ? block : next(block); }
  /// Whether global queries see more than their block.
  bool sums() const { return sizes_.globals > 0 && !window_.masked; }
  /// At an owner, of the rows that it keeps: its own block's, and of the global ones' padded with zeros.
  struct Kept {
    std::span<const Word> rows, globals;
  };
  Kept split(const Context& context, std::span<const Word> words) const {
    const std::uint64_t own = rows_length(context.machine, words);
    return {words.first(own), words.subspan(own)};
  }
  Seen make_seen(const Context& context, std::uint64_t base, std::uint64_t tokens) const;
  void see(TokenHeads& token, std::span<std::int32_t> buffer, const anna::RowView& row,
           const Seen& seen) const;
  /// Visits the global tokens' rows in the words of their block.
  void for_each_global(const Context& context, std::span<const Word> rows, const VisitRow& visit) const;
  /// Calls visit(cell, <q, k>, key's values) for every global query and key of the machine's block.
  template <typename Visit>
  void for_each_score(const Context& context, const Kept& kept, Visit&& visit) const;
  WideInteger product(Numbers query, const std::int32_t* key) const {
    WideInteger score = 0;
    for (std::size_t i = 0; i < query.size(); ++i) score += std::int64_t{query[i]} * key[i];
    return score;
  }
  void exchange(const Context& context, std::span<const Word> rows) const {
    const std::uint64_t own = context.machine;
    for (std::uint64_t block = window_.masked ? own : before(own); block <= next(own); ++block)
      context.out.send(copy(0, block), rows);
  }

  const anna::Window window_;
  const NumberCodec score_;
  std::uint64_t row_words() const { return sizes_.globals * sizes_.most_row_words(); }
  std::uint64_t score_numbers() const { return sizes_.globals * sizes_.heads * score_.words(); }
  std::uint64_t sum_numbers() const { return sizes_.globals * sizes_.heads * sum_.numbers(); }
  mpc::Tree tree() const {
    return {sizes_.scan_fan, sizes_.scan_depth, 0, static_cast<std::uint32_t>(plan_.blocks)};
  }
};

WindowRun::Seen WindowRun::make_seen(const Context& context, std::uint64_t base, std::uint64_t tokens) const {
  const Seen seen{base, tokens,
                  take<std::int32_t>(context, sizes_.heads * tokens * layer_.shape().query_dimension),
                  take<std::int64_t>(context, sizes_.heads * tokens * sizes_.value_dimension)};
  std::ranges::fill(seen.values, 0);
  return seen;
}

void WindowRun::see(TokenHeads& token, std::span<std::int32_t> buffer, const anna::RowView& row,
                    const Seen& seen) const {
  token.project(row);
  for (std::uint32_t h = 0; h < sizes_.heads; ++h) {
    const std::uint64_t at = h * seen.tokens + row.token - seen.base;
    const Numbers key = vector_of(token, h, false, buffer);
    std::ranges::copy(key, seen.keys.begin() + static_cast<std::ptrdiff_t>(at * key.size()));
    for (const Entry& entry : token.value(h))
      seen.values[at * sizes_.value_dimension + entry.column] = static_cast<std::int64_t>(entry.value);
  }
}

void WindowRun::for_each_global(const Context& context, std::span<const Word> rows,
                                const VisitRow& visit) const {
  const std::span<Entry> entries = take<Entry>(context, row_.dimension());
  std::uint64_t at = 0;
  for (std::uint64_t token = 0; token < sizes_.globals; ++token) {
    std::size_t count = 0;
    at += row_.read(rows.subspan(at), [&](std::uint32_t column, const Word* number) {
      if (const auto value = static_cast<double>(row_.number().get(number)); value != 0)
        entries[count++] = {column, value};
    });
    visit(token, anna::RowView{token, entries.first(count)});
  }
}

template <typename Visit>
void WindowRun::for_each_score(const Context& context, const Kept& kept, Visit&& visit) const {
  const std::size_t dimension = layer_.shape().query_dimension;
  TokenHeads token(context, layer_);
  const std::span<std::int32_t> buffer = take<std::int32_t>(context, dimension);
  const Seen seen = make_seen(context, first_token(context.machine), block_size(context.machine));
  for_each_row(context, context.machine, kept.rows,
               [&](std::uint64_t, const anna::RowView& row) { see(token, buffer, row, seen); });
  for_each_global(context, kept.globals, [&](std::uint64_t number, const anna::RowView& row) {
    token.project(row);
    for (std::uint32_t h = 0; h < sizes_.heads; ++h) {
      const Numbers query = vector_of(token, h, true, buffer);
      for (std::uint64_t j = 0; j < seen.tokens; ++j) {
        const std::uint64_t at = h * seen.tokens + j;
        visit(number * sizes_.heads + h, product(query, &seen.keys[at * dimension]),
              seen.values.subspan(at * sizes_.value_dimension, sizes_.value_dimension), j == 0);
      }
    }
  });
}

void WindowRun::append_passes(Decompiled& protocol, std::uint64_t scratch) {
  if (sizes_.globals == 0) {
    protocol.then(id(kNeighbours), 1, scratch, [this](const Context& context, std::uint32_t) {
      if (owner(context.machine)) exchange(context, new_rows(context));
    });
    return;
  }
  protocol.then(id(kToRoot), 1, scratch, [this](const Context& context, std::uint32_t) {
    if (!owner(context.machine)) return;
    const std::span<const Word> rows = new_rows(context);
    context.out.send(context.machine, rows);
    if (context.machine != 0) return;
    std::uint64_t globals = 0;
    for (std::uint64_t i = 0; i < sizes_.globals; ++i) globals += row_.size_at(rows.subspan(globals));
    context.out.send(tree().root(), rows.first(globals));
  });
  const mpc::Broadcast& down = protocol.then<mpc::Broadcast>(
      id(kGlobalsDown), {.tree = tree(),
                         .element_words = row_words(),
                         .load =
                             [this](const Context& context, std::span<Word> element) {
                               std::span<const Word> rows = context.from(copy(0, 0));
                               if (context.machine == 0) rows = split(context, rows).globals;
                               mpc::expect_received(rows.size() <= element.size());
                               std::ranges::fill(element, 0);
                               std::ranges::copy(rows, element.begin());
                             },
                         .keep =
                             [this](const Context& context) {
                               if (!owner(context.machine)) return std::span<const Word>();
                               return split(context, context.from(context.machine)).rows;
                             },
                         .load_scratch_words = scratch});
  if (!sums()) {
    protocol.then(id(kNeighbours), 1, scratch, [this, &down](const Context& context, std::uint32_t) {
      if (!owner(context.machine)) return;
      exchange(context, down.kept(context));
      context.out.send(context.machine, down.result(context));
    });
    return;
  }
  const mpc::TreeReduce& up = protocol.then<mpc::TreeReduce>(
      id(kLargestUp), {.tree = tree(),
                       .element_words = score_numbers(),
                       .load =
                           [this, &down](const Context& context, std::span<Word> element) {
                             for_each_score(context, {down.kept(context), down.result(context)},
                                            [&](std::uint64_t cell, WideInteger score,
                                                std::span<const std::int64_t>, bool first) {
                                              Word* const at = &element[cell * score_.words()];
                                              score_.put(first ? score : std::max(score, score_.get(at)), at);
                                            });
                           },
                       .combine =
                           [this](std::span<Word> left, std::span<const Word> right) {
                             for (std::size_t i = 0; i < left.size(); i += score_.words())
                               score_.put(std::max(score_.get(&left[i]), score_.get(&right[i])), &left[i]);
                           },
                       .keep =
                           [this, &down](const Context& context) {
                             if (!owner(context.machine)) return std::span<const Word>();
                             const std::span<const Word> rows = down.kept(context),
                                                         globals = down.result(context);
                             const std::span<Word> both = context.take(rows.size() + globals.size());
                             std::ranges::copy(globals, std::ranges::copy(rows, both.begin()).out);
                             return std::span<const Word>(both);
                           },
                       .load_scratch_words = 2 * scratch});
  const mpc::Broadcast& largest = protocol.then<mpc::Broadcast>(
      id(kLargestDown),
      {.tree = tree(),
       .element_words = score_numbers(),
       .load = [&up](const Context& context,
                     std::span<Word> element) { std::ranges::copy(up.result(context), element.begin()); },
       .keep = [&up](const Context& context) { return up.kept(context); },
       .load_scratch_words = scratch});
  const mpc::TreeReduce& added = protocol.then<mpc::TreeReduce>(
      id(kSumsUp),
      {.tree = tree(),
       .element_words = sum_numbers(),
       .load =
           [this, &largest](const Context& context, std::span<Word> element) {
             const std::span<const Word> tops = largest.result(context);
             std::ranges::fill(element, 0);
             for_each_score(context, split(context, largest.kept(context)),
                            [&](std::uint64_t cell, WideInteger score, std::span<const std::int64_t> values,
                                bool first) {
                              if (first && seeded("first-key-unweighed")) return;
                              const NumberCodec& number = sum_.number();
                              const WideInteger weight = anna::softmax_weight(
                                  window_.scale, score - score_.get(&tops[cell * score_.words()]));
                              if (weight == 0) return;
                              Word* out = &element[cell * sum_.numbers()];
                              add_number(number, weight, out);
                              for (const std::int64_t value : values)
                                add_number(number, weight * value, out += number.words());
                            });
           },
       .combine = [this](std::span<Word> left,
                         std::span<const Word> right) { add_numbers(sum_.number(), left, right); },
       .keep = [&largest](const Context& context) { return largest.kept(context); },
       .load_scratch_words = 2 * scratch});
  protocol.then(id(kNeighbours), 1, scratch + sum_numbers(),
                [this, &added](const Context& context, std::uint32_t) {
                  if (!owner(context.machine)) return;
                  const Kept kept = split(context, added.kept(context));
                  exchange(context, kept.rows);
                  context.out.send(context.machine, kept.globals);
                  if (context.machine == tree().root()) context.out.send(copy(0, 0), added.result(context));
                });
}

void WindowRun::update(const Context& context, const VisitNext& visit) const {
  const std::uint64_t first = before(context.machine), last = after(context.machine);
  const std::uint64_t base = first_token(first), tokens = first_token(last) + block_size(last) - base;
  const std::size_t dimension = layer_.shape().query_dimension, columns = sizes_.value_dimension;
  TokenHeads token(context, layer_);
  const std::span<std::int32_t> buffer = take<std::int32_t>(context, dimension);
  const Seen seen = make_seen(context, base, tokens), globals = make_seen(context, 0, sizes_.globals);
  for (std::uint64_t block = first; block <= last; ++block) {
    for_each_row(context, block, context.from(copy(0, block)),
                 [&](std::uint64_t, const anna::RowView& row) { see(token, buffer, row, seen); });
  }
  const Kept own = split(context, context.from(context.machine));
  if (sizes_.globals > 0) {
    for_each_global(context, own.globals,
                    [&](std::uint64_t, const anna::RowView& row) { see(token, buffer, row, globals); });
  }
  std::span<const Word> global_sums;
  if (sums() && context.machine == 0) {
    global_sums = context.last_from(tree().root(), sum_numbers());
    mpc::expect_received(global_sums.size() == sum_numbers());
  }
  TokenOutputs outputs(context, layer_.shape());
  const std::span<WideInteger> scores = take<WideInteger>(context, tokens + sizes_.globals),
                               totals = take<WideInteger>(context, columns);
  anna::RowWriter writer;
  for_each_row(context, context.machine, own.rows, [&](std::uint64_t, const anna::RowView& row) {
    const bool summed = sums() && row.token < sizes_.globals;
    const KeyIntervals of = summed ? KeyIntervals{} : window_.keys_of(row.token, plan_.tokens);
    // A key by its number among the query's: whose place it is, and where.
    const auto place_of = [&](std::uint32_t head,
                              std::uint64_t number) -> std::pair<const Seen&, std::uint64_t> {
      if (number < of.before) return {globals, head * globals.tokens + number};
      return {seen, head * seen.tokens + of.first + (number - of.before) - base};
    };
    const std::uint64_t count = of.before + of.last - of.first;
    token.project(row);
    outputs.clear();
    for (std::uint32_t h = 0; h < sizes_.heads; ++h) {
      WideInteger norm = 0;
      if (summed) {
        const NumberCodec& number = sum_.number();
        const Word* cell = &global_sums[(row.token * sizes_.heads + h) * sum_.numbers()];
        norm = number.get(cell);
        for (WideInteger& total : totals) total = number.get(cell += number.words());
        mpc::expect_received(norm > 0);
      } else {
        const Numbers query = vector_of(token, h, true, buffer);
        for (std::uint64_t j = 0; j < count; ++j) {
          const auto& [where, at] = place_of(h, j);
          scores[j] = product(query, &where.keys[at * dimension]);
        }
        norm = anna::softmax_sums(
            window_.scale, scores.first(count),
            [&](std::size_t j) -> std::span<const std::int64_t> {
              const auto& [where, at] = place_of(h, j);
              return where.values.subspan(at * columns, columns);
            },
            totals);
      }
      for (std::uint32_t c = 0; c < columns; ++c) {  // both rounded once, then divided once
        if (totals[c] != 0) outputs.add(h, c, static_cast<double>(totals[c]) / static_cast<double>(norm));
      }
    }
    update_row(layer_, row, outputs, writer);
    visit(row.token, writer.entries());
  });
}

std::uint32_t measure(const anna::Layer& layer, const anna::Mechanism& mechanism, std::uint32_t word_bits,
                      DecompiledLayer& sizes) {
  const auto& window = *mechanism.get_if<anna::Window>();
  sizes.window = window.width;
  sizes.globals = window.globals;
  if (sizes.globals == 0) return 0;
  sizes.sum_dimension = 1 + sizes.value_dimension;  // T and S
  sizes.score_words =
      NumberCodec(word_bits,
                  2 * coordinate_bits(layer) + ceil_log(2, std::uint64_t{layer.shape().query_dimension}) + 1)
          .words();
  return anna::kSoftmaxWeightBits;
}

// With global tokens, a quarter of the memory is for what the tree carries.
void count_words(DecompiledLayer& sizes, std::uint64_t next_row, std::uint64_t) {
  sizes.state_words = sizes.most_row_words();
  sizes.token_words = std::max((sizes.globals > 0 ? 4 : 3) * sizes.most_row_words(), next_row);
  sizes.element_words =
      sizes.globals * std::max({sizes.most_row_words(), std::uint64_t{sizes.heads} * sizes.score_words,
                                std::uint64_t{sizes.heads} * sizes.sum_dimension * sizes.sum_words});
}

bool fit(const DecompilePlan& plan, DecompiledLayer& sizes) {
  if (plan.blocks > 1 && std::max(sizes.window, sizes.globals) > plan.block_tokens) return false;
  sizes.globals = std::min(sizes.globals, plan.tokens);
  if (sizes.globals == 0) return true;
  // An owner keeps a quarter's rows and the global tokens', and f elements meet at it; in the last round it has three
  // quarters' rows, the global ones and sums.
  if (8 * sizes.element_words > plan.memory_words) return false;
  sizes.scan_fan = static_cast<std::uint32_t>(std::min<std::uint64_t>(
      plan.memory_words / 2 / sizes.element_words, std::max<std::uint64_t>(2, plan.blocks)));
  sizes.scan_depth = std::max(1u, ceil_log(sizes.scan_fan, plan.blocks));
  return true;
}

std::vector<Pass> passes(const DecompilePlan& plan, std::size_t l) {
  const DecompiledLayer& layer = plan.layers[l];
  std::vector<Pass> all;
  for (const DecompilePhase& phase : layer.decompiler->phases) {
    const bool tree = phase.id != kToRoot.id && phase.id != kNeighbours.id;
    std::string did = tree ? fmt::format("dv = {} rounds, fan-in {}", layer.scan_depth, layer.scan_fan)
                           : std::string("1 round");
    if (phase.id == kGlobalsDown.id) did += fmt::format(": {} global tokens to all owners", layer.globals);
    if (phase.id == kSumsUp.id)
      did += fmt::format(": {} words", layer.globals * layer.heads * layer.sum_dimension * layer.sum_words);
    if (phase.id == kNeighbours.id)
      did += fmt::format(": {} tokens to each side of a window, blocks of {}; {} owners", layer.window,
                         plan.block_tokens, plan.blocks);
    all.push_back({std::string(phase.id), std::move(did)});
  }
  return all;
}

/// What all three have in common.
LayerDecompiler window_layers() {
  LayerDecompiler decompiler;
  decompiler.average = "average of the values near by";
  decompiler.measure = measure;
  decompiler.count_words = count_words;
  decompiler.fit = fit;
  decompiler.machines = [](const DecompilePlan& plan, const DecompiledLayer&) {
    return std::vector<MachineGroup>{{"owners", plan.blocks}};
  };
  decompiler.passes = passes;
  decompiler.make = [](const LayerParts& parts) -> std::unique_ptr<LayerRun> {
    return std::make_unique<WindowRun>(parts);
  };
  return decompiler;
}

bool has_globals(const anna::Mechanism& mechanism) {
  return mechanism.get_if<anna::Window>()->globals > 0;
}

}  // namespace

const LayerDecompiler& window_decompiler() {
  static const LayerDecompiler decompiler = [] {
    LayerDecompiler made = window_layers();
    made.rounds_formula = "1";
    made.phases = {kNeighbours};
    made.introduction =
        "In a layer of window attention a token sees the tokens near by. The owners of neighbouring blocks exchange "
        "their rows, once.";
    made.rounds = [](const DecompiledLayer&) { return std::uint32_t{1}; };
    return made;
  }();
  return decompiler;
}

const LayerDecompiler& global_window_decompiler() {
  static const LayerDecompiler decompiler = [] {
    LayerDecompiler made = window_layers();
    made.takes = [](const anna::Mechanism& mechanism) {
      return has_globals(mechanism) && !mechanism.causal();
    };
    made.rounds_formula = "(4 dv + 2)";
    made.phases = {kToRoot, kGlobalsDown, kLargestUp, kLargestDown, kSumsUp, kNeighbours};
    made.introduction =
        "In a layer of window attention a token sees the tokens near by and the global ones, which see all. Global rows "
        "go down a tree to all owners. What a global token sees is added up the tree.";
    made.rounds = [](const DecompiledLayer& sizes) { return 4 * sizes.scan_depth + 2; };
    return made;
  }();
  return decompiler;
}

const LayerDecompiler& causal_window_decompiler() {
  static const LayerDecompiler decompiler = [] {
    LayerDecompiler made = window_layers();
    made.takes = [](const anna::Mechanism& mechanism) {
      return has_globals(mechanism) && mechanism.causal();
    };
    made.rounds_formula = "(dv + 2)";
    made.phases = {kToRoot, kGlobalsDown, kNeighbours};
    made.introduction =
        "In a causal layer of window attention a token sees the tokens before it near by, and the global ones, the "
        "first. Global rows go down a tree to all owners.";
    made.rounds = [](const DecompiledLayer& sizes) { return sizes.scan_depth + 2; };
    return made;
  }();
  return decompiler;
}

}  // namespace roundtrip::simulate
