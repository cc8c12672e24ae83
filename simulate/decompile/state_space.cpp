// A state-space layer, in 2 ceil(log_f C) rounds on the C owners: a block's element is, for every head and channel,
// whether a token of the block opened it and the last value that did. A scan over the blocks brings each owner the
// channels as they are before its first token; from there it goes through its tokens.
#include <algorithm>

#include "roundtrip/anna/attention/state_space.h"
#include "roundtrip/base/fault.h"
#include "roundtrip/mpc/stages/tree_stages.h"
#include "roundtrip/simulate/decompile/layer_run.h"

namespace roundtrip::simulate {
namespace {

using mpc::Word;

constexpr DecompilePhase kScanChannels{
    "scan channels",
    "Each block's last values of every channel are combined over a tree: an owner learns what the channels hold before "
    "its first token."};

class StateSpaceRun final : public LayerRun {
 public:
  explicit StateSpaceRun(const LayerParts& parts) : LayerRun(parts) {}
  std::uint64_t block_scratch_words() const override {
    return LayerRun::block_scratch_words() + 2 * sizes_.element_words;
  }
  void append_passes(Decompiled& protocol, std::uint64_t block_scratch_words) override;
  void update(const Context& context, const VisitNext& visit) const override;

 private:
  std::uint64_t channel_words() const { return 1 + value_.numbers(); }
  std::uint64_t channel_at(std::uint32_t head, std::uint32_t channel) const {
    return (std::uint64_t{head} * sizes_.rank + channel) * channel_words();
  }
  void combine(std::span<Word> left, std::span<const Word> right) const {
    for (std::uint64_t at = 0; at < left.size(); at += channel_words()) {
      if (right[at] != 0) std::ranges::copy(right.subspan(at, channel_words()), &left[at]);
    }
  }
  /// The projected token's keys write its values to the channels that they open.
  void write(const TokenHeads& token, std::span<std::int32_t> vector, std::span<Word> channels) const;

  const mpc::TreeScan* scan_ = nullptr;
};

void StateSpaceRun::write(const TokenHeads& token, std::span<std::int32_t> vector,
                          std::span<Word> channels) const {
  for (std::uint32_t h = 0; h < sizes_.heads; ++h) {
    const Numbers key = vector_of(token, h, false, vector);
    for (std::uint32_t r = 0; r < sizes_.rank; ++r) {
      if (key[r] <= 0) continue;
      const std::span<Word> channel = channels.subspan(channel_at(h, r), channel_words());
      std::ranges::fill(channel, 0);
      channel[0] = 1;
      for (const Entry& entry : token.value(h)) {
        value_.number().put(static_cast<WideInteger>(entry.value),
                            &channel[1 + std::uint64_t{entry.column} * value_.number().words()]);
      }
    }
  }
}

void StateSpaceRun::update(const Context& context, const VisitNext& visit) const {
  const std::span<Word> channels = context.take(sizes_.element_words);
  std::ranges::copy(scan_->result(context).before, channels.begin());
  TokenHeads token(context, layer_);
  TokenOutputs outputs(context, layer_.shape());
  const std::span<std::int32_t> vector = take<std::int32_t>(context, layer_.shape().query_dimension);
  const std::span<WideInteger> totals = take<WideInteger>(context, sizes_.value_dimension);
  anna::RowWriter writer;
  for_each_row(context, context.machine, scan_->kept(context), [&](std::uint64_t, const anna::RowView& row) {
    token.project(row);
    write(token, vector, channels);
    outputs.clear();
    for (std::uint32_t h = 0; h < sizes_.heads; ++h) {
      const Numbers query = vector_of(token, h, true, vector);
      WideInteger weights = 0;
      std::ranges::fill(totals, 0);
      for (std::uint32_t r = 0; r < sizes_.rank; ++r) {
        const Word* const channel = &channels[channel_at(h, r)];
        if (query[r] <= 0 || channel[0] == 0) continue;
        weights += query[r];
        for (std::size_t c = 0; c < totals.size(); ++c) {
          const WideInteger number = value_.number().get(channel + 1 + c * value_.number().words());
          mpc::expect_received(number > -(WideInteger{1} << 53) && number < WideInteger{1} << 53);
          totals[c] += query[r] * number;
        }
      }
      for (std::uint32_t c = 0; c < totals.size(); ++c) {  // both rounded once, then divided once
        if (totals[c] != 0) outputs.add(h, c, static_cast<double>(totals[c]) / static_cast<double>(weights));
      }
    }
    writer.clear();
    layer_.update(row, outputs, writer);
    visit(row.token, writer.entries());
  });
}

void StateSpaceRun::append_passes(Decompiled& protocol, std::uint64_t block_scratch_words) {
  scan_ = &protocol.then<mpc::TreeScan>(
      id(kScanChannels),
      {.tree = {sizes_.scan_fan, sizes_.scan_depth, 0, static_cast<std::uint32_t>(plan_.blocks)},
       .element_words = sizes_.element_words,
       .load =
           [this](const Context& context, std::span<Word> element) {
             std::ranges::fill(element, 0);
             TokenHeads token(context, layer_);
             const std::span<std::int32_t> vector =
                 take<std::int32_t>(context, layer_.shape().query_dimension);
             for_each_row(context, context.machine, new_rows(context),
                          [&](std::uint64_t, const anna::RowView& row) {
                            token.project(row);
                            write(token, vector, element);
                          });
           },
       .combine = [this](std::span<Word> left, std::span<const Word> right) { combine(left, right); },
       .identity = std::vector<Word>(sizes_.element_words, 0),
       .keep =
           [this](const Context& context) {
             return owner(context.machine) ? new_rows(context) : std::span<const Word>();
           },
       .load_scratch_words = 2 * block_scratch_words});
}

std::uint32_t measure(const anna::Layer& layer, const anna::Mechanism&, std::uint32_t,
                      DecompiledLayer& sizes) {
  sizes.rank = layer.shape().query_dimension;
  return 0;
}

// Half the memory is for rows, half for channels.
void count_words(DecompiledLayer& sizes, std::uint64_t next_row, std::uint64_t) {
  sizes.element_words = std::uint64_t{sizes.heads} * sizes.rank *
                        (1 + std::uint64_t{sizes.value_dimension} * sizes.value_words);
  sizes.state_words = sizes.most_row_words();
  sizes.token_words = std::max(2 * sizes.most_row_words(), next_row);
}

bool fit(const DecompilePlan& plan, DecompiledLayer& sizes) {
  sizes.scan_fan = static_cast<std::uint32_t>(std::min<std::uint64_t>(
      plan.memory_words / 4 / sizes.element_words, std::max<std::uint64_t>(2, plan.blocks)));
  if (sizes.scan_fan < 2) return false;
  sizes.scan_depth = std::max(1u, ceil_log(sizes.scan_fan, plan.blocks));
  return true;
}

std::vector<Pass> passes(const DecompilePlan& plan, std::size_t l) {
  const DecompiledLayer& layer = plan.layers[l];
  return {{std::string(kScanChannels.id),
           fmt::format("2 dv = {} rounds: {} channels of {} heads, {} words, fan-in {}; {} owners",
                       layer.rounds(), layer.rank, layer.heads, layer.element_words, layer.scan_fan,
                       plan.blocks)}};
}

}  // namespace

const LayerDecompiler& state_space_decompiler() {
  static const LayerDecompiler decompiler{
      .rounds_formula = "2 dv",
      .phases = {kScanChannels},
      .average = "average of what the channels that it reads hold",
      .introduction =
          "In a state-space layer every token's key opens some channels, which then hold the token's value; its "
          "query reads channels. What a block leaves in the channels is combined over a tree of blocks.",
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
        return std::make_unique<StateSpaceRun>(parts);
      }};
  return decompiler;
}

}  // namespace roundtrip::simulate
