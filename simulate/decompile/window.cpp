// A layer of window attention, in 1 round on the C owners: each has its neighbours' rows sent, and sees every token of
// its windows. A window is at most a block wide; for a wider one, memory is raised until it is.
#include "roundtrip/anna/attention/window.h"

#include <algorithm>

#include "roundtrip/simulate/decompile/layer_run.h"

namespace roundtrip::simulate {
namespace {

using anna::WindowSum;
using mpc::Word;

constexpr DecompilePhase kNeighbours{
    "rows to neighbours",
    "Every owner sends its rows to the owners of the blocks before and after its own: windows end there."};

class WindowRun final : public LayerRun {
 public:
  explicit WindowRun(const LayerParts& parts)
      : LayerRun(parts), window_(*parts.mechanism.get_if<anna::Window>()) {}
  std::uint64_t block_scratch_words() const override {
    const std::uint64_t cells = 3 * plan_.block_tokens * sizes_.heads;
    return LayerRun::block_scratch_words() + 4 * scratch_of<Entry>(sizes_.row_dimension) +
           scratch_of<std::int32_t>(cells * layer_.shape().query_dimension) +
           scratch_of<std::int64_t>(cells * sizes_.value_dimension) +
           scratch_of<WindowSum>(3 * plan_.block_tokens + sizes_.value_dimension);
  }
  void append_passes(Decompiled& protocol, std::uint64_t block_scratch_words) override {
    protocol.then(id(kNeighbours), 1, block_scratch_words, [this](const Context& context, std::uint32_t) {
      if (!owner(context.machine)) return;
      const std::span<const Word> rows = new_rows(context);
      for (std::uint64_t block = before(context.machine); block <= after(context.machine); ++block)
        context.out.send(copy(0, block), rows);
    });
  }
  void update(const Context& context, const VisitNext& visit) const override;

 private:
  static std::uint64_t before(std::uint64_t block) { return block - std::min<std::uint64_t>(block, 1); }
  std::uint64_t after(std::uint64_t block) const { return std::min(block + 1, plan_.blocks - 1); }

  const anna::Window window_;
};

void WindowRun::update(const Context& context, const VisitNext& visit) const {
  const std::uint64_t first = before(context.machine), last = after(context.machine);
  const std::uint64_t base = first_token(first), tokens = first_token(last) + block_size(last) - base;
  const std::size_t dimension = layer_.shape().query_dimension, columns = sizes_.value_dimension;
  TokenHeads token(context, layer_);
  const std::span<std::int32_t> buffer = take<std::int32_t>(context, dimension);
  // Of each head, the keys [tokens, m_qk] and the values [tokens, m_v].
  const std::span<std::int32_t> keys = take<std::int32_t>(context, sizes_.heads * tokens * dimension);
  const std::span<std::int64_t> values = take<std::int64_t>(context, sizes_.heads * tokens * columns);
  std::ranges::fill(values, 0);
  for (std::uint64_t block = first; block <= last; ++block) {
    for_each_row(context, block, context.from(copy(0, block)), [&](std::uint64_t, const anna::RowView& row) {
      token.project(row);
      for (std::uint32_t h = 0; h < sizes_.heads; ++h) {
        const std::uint64_t at = h * tokens + row.token - base;
        std::ranges::copy(vector_of(token, h, false, buffer), &keys[at * dimension]);
        for (const Entry& entry : token.value(h))
          values[at * columns + entry.column] = static_cast<std::int64_t>(entry.value);
      }
    });
  }
  TokenOutputs outputs(context, layer_.shape());
  const std::span<WindowSum> scores = take<WindowSum>(context, tokens),
                             totals = take<WindowSum>(context, columns);
  anna::RowWriter writer;
  for_each_row(context, context.machine, context.from(context.machine),
               [&](std::uint64_t, const anna::RowView& row) {
                 const std::uint64_t own = row.token - base;
                 const std::uint64_t from = own - std::min(own, window_.width);
                 const std::uint64_t end = std::min(tokens, own + window_.width + 1);
                 token.project(row);
                 outputs.clear();
                 for (std::uint32_t h = 0; h < sizes_.heads; ++h) {
                   const Numbers query = vector_of(token, h, true, buffer);
                   for (std::uint64_t j = from; j < end; ++j) {
                     scores[j] = 0;
                     for (std::size_t i = 0; i < dimension; ++i)
                       scores[j] += std::int64_t{query[i]} * keys[(h * tokens + j) * dimension + i];
                   }
                   const WindowSum norm = anna::window_sums(
                       window_.scale, scores.subspan(from, end - from),
                       values.subspan((h * tokens + from) * columns, (end - from) * columns), totals);
                   for (std::uint32_t c = 0; c < columns; ++c) {  // both rounded once, then divided once
                     if (totals[c] != 0)
                       outputs.add(h, c, static_cast<double>(totals[c]) / static_cast<double>(norm));
                   }
                 }
                 writer.clear();
                 layer_.update(row, outputs, writer);
                 visit(row.token, writer.entries());
               });
}

std::uint32_t measure(const anna::Layer&, const anna::Mechanism& mechanism, std::uint32_t,
                      DecompiledLayer& sizes) {
  sizes.window = mechanism.get_if<anna::Window>()->width;
  return 0;
}

void count_words(DecompiledLayer& sizes, std::uint64_t next_row, std::uint64_t) {
  sizes.state_words = sizes.most_row_words();
  sizes.token_words = std::max(3 * sizes.most_row_words(), next_row);
}

bool fit(const DecompilePlan& plan, DecompiledLayer& sizes) {
  return plan.blocks <= 1 || sizes.window <= plan.block_tokens;
}

std::vector<Pass> passes(const DecompilePlan& plan, std::size_t l) {
  return {{std::string(kNeighbours.id),
           fmt::format("1 round: {} tokens to each side of a window, blocks of {}; {} owners",
                       plan.layers[l].window, plan.block_tokens, plan.blocks)}};
}

}  // namespace

const LayerDecompiler& window_decompiler() {
  static const LayerDecompiler decompiler{
      .rounds_formula = "1",
      .phases = {kNeighbours},
      .average = "average of the values near by",
      .introduction =
          "In a layer of window attention a token sees the tokens near by. The owners of neighbouring blocks exchange "
          "their rows, once.",
      .measure = measure,
      .count_words = count_words,
      .fit = fit,
      .rounds = [](const DecompiledLayer&) { return std::uint32_t{1}; },
      .machines =
          [](const DecompilePlan& plan, const DecompiledLayer&) {
            return std::vector<MachineGroup>{{"owners", plan.blocks}};
          },
      .passes = passes,
      .make = [](const LayerParts& parts) -> std::unique_ptr<LayerRun> {
        return std::make_unique<WindowRun>(parts);
      }};
  return decompiler;
}

}  // namespace roundtrip::simulate
