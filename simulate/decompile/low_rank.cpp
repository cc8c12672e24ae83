// A low-rank layer, in 2 max(1, ceil(log_f C)) rounds on the C owners:
//   sums up     G = sum_j phi(k_j) v_j^T and g = sum_j phi(k_j) of all heads, up a tree of fan-in f
//   sums down   and down to all owners, whose queries form their averages phi(q_i) G / (phi(q_i) . g)
#include <algorithm>

#include "roundtrip/anna/attention/low_rank.h"
#include "roundtrip/base/fault.h"
#include "roundtrip/mpc/stages/tree_stages.h"
#include "roundtrip/simulate/decompile/key_code.h"
#include "roundtrip/simulate/decompile/layer_run.h"

namespace roundtrip::simulate {
namespace {

using mpc::Word;

constexpr DecompilePhase kSumsUp{
    "sums up", "The sums of all values, weighted by their keys' features, are added up a tree."};
constexpr DecompilePhase kSumsDown{
    "sums down", "They go back down the tree, and every owner forms its queries' averages."};

class LowRankRun final : public LayerRun {
 public:
  explicit LowRankRun(const LayerParts& parts) : LayerRun(parts) {
    const auto* mechanism = parts.mechanism.get_if<anna::LowRank>();
    ensure(mechanism != nullptr, "the layer has low-rank attention");
    features_.emplace(mechanism->rank, mechanism->seed, layer_.shape().query_dimension);
  }
  std::uint64_t block_scratch_words() const override {
    return LayerRun::block_scratch_words() + 2 * sizes_.rank;
  }
  void append_passes(Decompiled& protocol, std::uint64_t block_scratch_words) override;
  void update(const Context& context, const VisitNext& visit) const override;

 private:
  void add_keys(const Context& context, std::span<Word> element) const;
  /// Calls visit(r, phi_r, words of its (1 + m_v) numbers) for the features of a query or key: an element
  /// holds, head by head and feature by feature, g_r and the row of G.
  template <typename Visit>
  void for_each_feature(std::uint32_t head, std::span<const std::int32_t> vector, std::span<std::int64_t> phi,
                        Visit&& visit) const {
    features_->of(vector, phi);
    const std::uint64_t width = (1 + std::uint64_t{sizes_.value_dimension}) * sizes_.sum_words;
    for (std::uint32_t r = 0; r < sizes_.rank; ++r)
      visit(phi[r], (std::uint64_t{head} * sizes_.rank + r) * width);
  }

  std::optional<anna::PositiveFeatures> features_;
  const mpc::Broadcast* sums_ = nullptr;  // the last stage
};

void LowRankRun::add_keys(const Context& context, std::span<Word> element) const {
  std::ranges::fill(element, 0);
  const std::span<const Word> rows = new_rows(context);
  TokenHeads token(context, layer_);
  const std::span<std::int32_t> vector = take<std::int32_t>(context, layer_.shape().query_dimension);
  const std::span<std::int64_t> phi = take<std::int64_t>(context, sizes_.rank);
  const NumberCodec& number = sum_.number();
  for_each_row(context, context.machine, rows, [&](std::uint64_t, const anna::RowView& row) {
    token.project(row);
    for (std::uint32_t h = 0; h < sizes_.heads; ++h) {
      const auto key = vector_of(token, h, false, vector);
      for_each_feature(h, key, phi, [&](std::int64_t feature, std::uint64_t at) {
        add_number(number, feature, &element[at]);
        for (const Entry& entry : token.value(h)) {
          add_number(number, static_cast<WideInteger>(feature) * static_cast<std::int64_t>(entry.value),
                     &element[at + (1 + std::uint64_t{entry.column}) * number.words()]);
        }
      });
    }
  });
}

void LowRankRun::update(const Context& context, const VisitNext& visit) const {
  const std::span<const Word> element = sums_->result(context);
  TokenHeads token(context, layer_);
  TokenOutputs outputs(context, layer_.shape());
  const std::span<std::int32_t> vector = take<std::int32_t>(context, layer_.shape().query_dimension);
  const std::span<std::int64_t> phi = take<std::int64_t>(context, sizes_.rank);
  const std::span<WideInteger> totals = take<WideInteger>(context, sizes_.value_dimension);
  const NumberCodec& number = sum_.number();
  anna::RowWriter writer;
  for_each_row(context, context.machine, sums_->kept(context), [&](std::uint64_t, const anna::RowView& row) {
    token.project(row);
    outputs.clear();
    for (std::uint32_t h = 0; h < sizes_.heads; ++h) {
      WideInteger norm = 0;
      std::ranges::fill(totals, 0);
      const auto query = vector_of(token, h, true, vector);
      for_each_feature(h, query, phi, [&](std::int64_t feature, std::uint64_t at) {
        norm += seeded("norm-of-queries") ? feature : feature * number.get(&element[at]);
        for (std::size_t c = 0; c < totals.size(); ++c)
          totals[c] += feature * number.get(&element[at + (1 + c) * number.words()]);
      });
      for (std::uint32_t c = 0; c < totals.size(); ++c) {
        // Both rounded once, then divided once; features are positive, so norm is.
        if (totals[c] != 0) outputs.add(h, c, static_cast<double>(totals[c]) / static_cast<double>(norm));
      }
    }
    update_row(layer_, row, outputs, writer);
    visit(row.token, writer.entries());
  });
}

void LowRankRun::append_passes(Decompiled& protocol, std::uint64_t block_scratch_words) {
  const mpc::Tree tree{sizes_.scan_fan, sizes_.scan_depth, 0, static_cast<std::uint32_t>(plan_.blocks)};
  const mpc::TreeReduce& up = protocol.then<mpc::TreeReduce>(
      id(kSumsUp),
      {.tree = tree,
       .element_words = sizes_.element_words,
       .load = [this](const Context& context, std::span<Word> element) { add_keys(context, element); },
       .combine = [this](std::span<Word> left,
                         std::span<const Word> right) { add_numbers(sum_.number(), left, right); },
       .keep =
           [this](const Context& context) {
             return owner(context.machine) ? new_rows(context) : std::span<const Word>();
           },
       .load_scratch_words = 2 * block_scratch_words});
  sums_ = &protocol.then<mpc::Broadcast>(
      id(kSumsDown),
      {.tree = tree,
       .element_words = sizes_.element_words,
       .load = [&up](const Context& context,
                     std::span<Word> element) { std::ranges::copy(up.result(context), element.begin()); },
       .keep = [&up](const Context& context) { return up.kept(context); },
       .load_scratch_words = sizes_.element_words});
}

/// Of a positive feature: max(1, <g, x> / sigma), |g| < 8 sigma.
std::uint32_t feature_bits(const anna::Layer& layer) {
  constexpr std::uint32_t kMaxBits = 51;
  const std::uint64_t most = (std::uint64_t{8} * layer.shape().query_dimension)
                             << (coordinate_bits(layer) - 1);
  return std::min(kMaxBits, 1 + static_cast<std::uint32_t>(std::bit_width(most)));
}

std::uint32_t measure(const anna::Layer& layer, const anna::Mechanism& mechanism, std::uint32_t,
                      DecompiledLayer& sizes) {
  sizes.rank = mechanism.get_if<anna::LowRank>()->rank;
  return feature_bits(layer);
}

// Half the memory is for rows, half for sums.
void count_words(DecompiledLayer& sizes, std::uint64_t next_row, std::uint64_t) {
  sizes.element_words =
      std::uint64_t{sizes.heads} * sizes.rank * (1 + std::uint64_t{sizes.value_dimension}) * sizes.sum_words;
  sizes.state_words = sizes.most_row_words();
  sizes.token_words = std::max(2 * sizes.most_row_words(), next_row);
}

bool fit(const DecompilePlan& plan, DecompiledLayer& sizes) {
  sizes.scan_fan = static_cast<std::uint32_t>(std::min<std::uint64_t>(
      plan.memory_words / 2 / sizes.element_words, std::max<std::uint64_t>(2, plan.blocks)));
  if (sizes.scan_fan < 2) return false;
  sizes.scan_depth = std::max(1u, ceil_log(sizes.scan_fan, plan.blocks));
  return true;
}

std::vector<Pass> passes(const DecompilePlan& plan, std::size_t l) {
  const DecompiledLayer& layer = plan.layers[l];
  return {{std::string(kSumsUp.id),
           fmt::format("{} rounds: G and g of {} heads, rank {}, {} words, fan-in {}", layer.scan_depth,
                       layer.heads, layer.rank, layer.element_words, layer.scan_fan)},
          {std::string(kSumsDown.id), fmt::format("{} rounds to {} owners; {} rounds in all",
                                                  layer.scan_depth, plan.blocks, layer.rounds())}};
}

}  // namespace

const LayerDecompiler& low_rank_decompiler() {
  static const LayerDecompiler decompiler{
      .rounds_formula = "2 dv",
      .phases = {kSumsUp, kSumsDown},
      .average = "average of all values, weighted by products of features of query and key",
      .introduction =
          "Low-rank attention gives each query the average of all values, weighted by products of "
          "features of query and key. So the same sums over all keys serve every query: they are "
          "added up a tree and sent to all owners.",
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
        return std::make_unique<LowRankRun>(parts);
      }};
  return decompiler;
}

}  // namespace roundtrip::simulate
