// A layer of attention by features (low_rank, performer, polynomial), in 2 max(1, ceil(log_f C)) rounds on the C owners:
//   sums up       G = sum_j phi(k_j) v_j^T and g = sum_j phi(k_j) of all heads, up a tree of fan-in f
//   sums down     and down to all owners, whose queries form their averages phi(q_i) G / (phi(q_i) . g)
// With a causal mask:
//   prefix sums   each owner gets the sums of the blocks before its own, and goes on from there token by token
#include <algorithm>

#include "roundtrip/anna/attention/feature_attention.h"
#include "roundtrip/base/fault.h"
#include "roundtrip/base/heap_meter.h"
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

constexpr DecompilePhase kPrefixSums{
    "prefix sums",
    "The sums of all values, weighted by their keys' features, are scanned over a tree: an owner gets those of the "
    "blocks before its own."};

class LowRankRun final : public LayerRun {
 public:
  explicit LowRankRun(const LayerParts& parts)
      : LayerRun(parts),
        causal_(parts.mechanism.causal()),
        features_(parts.mechanism.features(layer_.shape().query_dimension)) {
    ensure(features_ != nullptr, "the layer has attention by features");
  }
  std::uint64_t block_scratch_words() const override {
    return LayerRun::block_scratch_words() + 2 * sizes_.rank + sizes_.element_words;
  }
  void append_passes(Decompiled& protocol, std::uint64_t block_scratch_words) override;
  void update(const Context& context, const VisitNext& visit) const override;

 private:
  void add_block(const Context& context, std::span<Word> element) const;
  void add_keys(const TokenHeads& token, std::span<std::int32_t> vector, std::span<std::int64_t> phi,
                std::span<Word> element) const;
  /// Calls visit(r, phi_r, words of its (1 + m_v) numbers) for the features of a query or key: an element
  /// holds, head by head and feature by feature, g_r and the row of G.
  template <typename Visit>
  void for_each_feature(std::uint32_t head, bool query, std::span<const std::int32_t> vector,
                        std::span<std::int64_t> phi, Visit&& visit) const {
    {
      const HeapPause models;  // what a model's features take is not the protocol's
      features_->of(vector, query, phi);
    }
    const std::uint64_t width = (1 + std::uint64_t{sizes_.value_dimension}) * sizes_.sum_words;
    for (std::uint32_t r = 0; r < sizes_.rank; ++r)
      visit(phi[r], (std::uint64_t{head} * sizes_.rank + r) * width);
  }

  const bool causal_;
  const std::shared_ptr<const anna::FeatureMap> features_;
  const mpc::Broadcast* sums_ = nullptr;   // the last stage,
  const mpc::TreeScan* prefix_ = nullptr;  // causal
};

void LowRankRun::add_keys(const TokenHeads& token, std::span<std::int32_t> vector,
                          std::span<std::int64_t> phi, std::span<Word> element) const {
  const NumberCodec& number = sum_.number();
  for (std::uint32_t h = 0; h < sizes_.heads; ++h) {
    const auto key = vector_of(token, h, false, vector);
    for_each_feature(h, false, key, phi, [&](std::int64_t feature, std::uint64_t at) {
      if (feature == 0) return;
      add_number(number, feature, &element[at]);
      for (const Entry& entry : token.value(h)) {
        add_number(number, static_cast<WideInteger>(feature) * static_cast<std::int64_t>(entry.value),
                   &element[at + (1 + std::uint64_t{entry.column}) * number.words()]);
      }
    });
  }
}

void LowRankRun::add_block(const Context& context, std::span<Word> element) const {
  std::ranges::fill(element, 0);
  const std::span<const Word> rows = new_rows(context);
  TokenHeads token(context, layer_);
  const std::span<std::int32_t> vector = take<std::int32_t>(context, layer_.shape().query_dimension);
  const std::span<std::int64_t> phi = take<std::int64_t>(context, sizes_.rank);
  for_each_row(context, context.machine, rows, [&](std::uint64_t, const anna::RowView& row) {
    token.project(row);
    add_keys(token, vector, phi, element);
  });
}

void LowRankRun::update(const Context& context, const VisitNext& visit) const {
  std::span<Word> prefix;  // of a causal layer: the sums up to the token, its own among them
  if (prefix_ != nullptr) {
    prefix = context.take(sizes_.element_words);
    std::ranges::copy(prefix_->result(context).before, prefix.begin());
  }
  const std::span<const Word> element = prefix_ != nullptr ? prefix : sums_->result(context);
  TokenHeads token(context, layer_);
  TokenOutputs outputs(context, layer_.shape());
  const std::span<std::int32_t> vector = take<std::int32_t>(context, layer_.shape().query_dimension);
  const std::span<std::int64_t> phi = take<std::int64_t>(context, sizes_.rank);
  const std::span<WideInteger> totals = take<WideInteger>(context, sizes_.value_dimension);
  const NumberCodec& number = sum_.number();
  anna::RowWriter writer;
  const auto rows = prefix_ != nullptr ? prefix_->kept(context) : sums_->kept(context);
  for_each_row(context, context.machine, rows, [&](std::uint64_t, const anna::RowView& row) {
    token.project(row);
    if (prefix_ != nullptr && !seeded("prefix-of-blocks")) add_keys(token, vector, phi, prefix);
    outputs.clear();
    for (std::uint32_t h = 0; h < sizes_.heads; ++h) {
      WideInteger norm = 0;
      std::ranges::fill(totals, 0);
      const auto query = vector_of(token, h, true, vector);
      for_each_feature(h, true, query, phi, [&](std::int64_t feature, std::uint64_t at) {
        norm += seeded("norm-of-queries") ? feature : feature * number.get(&element[at]);
        for (std::size_t c = 0; c < totals.size(); ++c)
          totals[c] += feature * number.get(&element[at + (1 + c) * number.words()]);
      });
      if (norm == 0) continue;  // no key has a weight, since none is negative
      for (std::uint32_t c = 0; c < totals.size(); ++c) {
        // Both rounded once, then divided once.
        if (totals[c] != 0) outputs.add(h, c, static_cast<double>(totals[c]) / static_cast<double>(norm));
      }
    }
    update_row(layer_, row, outputs, writer);
    visit(row.token, writer.entries());
  });
}

void LowRankRun::append_passes(Decompiled& protocol, std::uint64_t block_scratch_words) {
  const mpc::Tree tree{sizes_.scan_fan, sizes_.scan_depth, 0, static_cast<std::uint32_t>(plan_.blocks)};
  if (causal_) {
    prefix_ = &protocol.then<mpc::TreeScan>(
        id(kPrefixSums),
        {.tree = tree,
         .element_words = sizes_.element_words,
         .load = [this](const Context& context, std::span<Word> element) { add_block(context, element); },
         .combine = [this](std::span<Word> left,
                           std::span<const Word> right) { add_numbers(sum_.number(), left, right); },
         .identity = std::vector<Word>(sizes_.element_words, 0),
         .keep =
             [this](const Context& context) {
               return owner(context.machine) ? new_rows(context) : std::span<const Word>();
             },
         .load_scratch_words = 2 * block_scratch_words});
    return;
  }
  const mpc::TreeReduce& up = protocol.then<mpc::TreeReduce>(
      id(kSumsUp),
      {.tree = tree,
       .element_words = sizes_.element_words,
       .load = [this](const Context& context, std::span<Word> element) { add_block(context, element); },
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

std::uint32_t measure(const anna::Layer& layer, const anna::Mechanism& mechanism, std::uint32_t,
                      DecompiledLayer& sizes) {
  const auto features = mechanism.features(layer.shape().query_dimension);
  sizes.rank = features->rank();
  return features->feature_bits(coordinate_bits(layer));
}

// Half the memory is for rows, half for sums.
void count_words(DecompiledLayer& sizes, std::uint64_t next_row, std::uint64_t) {
  sizes.element_words =
      std::uint64_t{sizes.heads} * sizes.rank * (1 + std::uint64_t{sizes.value_dimension}) * sizes.sum_words;
  sizes.state_words = sizes.most_row_words();
  sizes.token_words = std::max(2 * sizes.most_row_words(), next_row);
}

/// `parts` of the memory are for f elements: 2, or 4 in a scan, which holds the children's while theirs are on the way.
template <std::uint64_t parts>
bool fit(const DecompilePlan& plan, DecompiledLayer& sizes) {
  sizes.scan_fan = static_cast<std::uint32_t>(std::min<std::uint64_t>(
      plan.memory_words / parts / sizes.element_words, std::max<std::uint64_t>(2, plan.blocks)));
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

std::vector<Pass> causal_passes(const DecompilePlan& plan, std::size_t l) {
  const DecompiledLayer& layer = plan.layers[l];
  return {{std::string(kPrefixSums.id),
           fmt::format("2 dv = {} rounds: G and g of {} heads, rank {}, {} words, fan-in {}; {} owners",
                       layer.rounds(), layer.heads, layer.rank, layer.element_words, layer.scan_fan,
                       plan.blocks)}};
}

/// What both have in common.
LayerDecompiler sums_decompiler() {
  LayerDecompiler decompiler;
  decompiler.rounds_formula = "2 dv";
  decompiler.measure = measure;
  decompiler.count_words = count_words;
  decompiler.rounds = [](const DecompiledLayer& sizes) { return 2 * sizes.scan_depth; };
  decompiler.machines = [](const DecompilePlan& plan, const DecompiledLayer&) {
    return std::vector<MachineGroup>{{"owners", plan.blocks}};
  };
  decompiler.make = [](const LayerParts& parts) -> std::unique_ptr<LayerRun> {
    return std::make_unique<LowRankRun>(parts);
  };
  return decompiler;
}

}  // namespace

const LayerDecompiler& low_rank_decompiler() {
  static const LayerDecompiler decompiler = [] {
    LayerDecompiler made = sums_decompiler();
    made.phases = {kSumsUp, kSumsDown};
    made.average = "average of all values, weighted by products of features of query and key";
    made.introduction =
        "Low-rank attention gives each query the average of all values, weighted by products of "
        "features of query and key. So the same sums over all keys serve every query: they are "
        "added up a tree and sent to all owners.";
    made.fit = fit<2>;
    made.passes = passes;
    return made;
  }();
  return decompiler;
}

const LayerDecompiler& causal_low_rank_decompiler() {
  static const LayerDecompiler decompiler = [] {
    LayerDecompiler made = sums_decompiler();
    made.takes = [](const anna::Mechanism& mechanism) { return mechanism.causal(); };
    made.phases = {kPrefixSums};
    made.average = "average of the values so far, weighted by products of features of query and key";
    made.introduction =
        "Causal low-rank attention gives each query the average of the values up to its own, weighted by "
        "products of features. An owner needs the sums of the blocks before its own: a scan over a tree brings "
        "them.";
    made.fit = fit<4>;
    made.passes = causal_passes;
    return made;
  }();
  return decompiler;
}

}  // namespace roundtrip::simulate
