// Statement: chunked LSH attention with buckets of constant size B reaches at most B^L positions in L layers,
// so no constant depth reaches all N; one ANNA layer does. Receptive fields are measured: every token is
// perturbed at once, each in a column of its own.
#include <algorithm>
#include <map>

#include "roundtrip/anna/attention/anna.h"
#include "roundtrip/anna/transformer/transformer.h"
#include "roundtrip/base/random.h"
#include "roundtrip/proofs_check/cases.h"
#include "roundtrip/proofs_check/formulas.h"
#include "roundtrip/proofs_check/spread.h"
#include "roundtrip/proofs_check/statements/statements.h"

namespace roundtrip::proofs_check {
namespace {

constexpr const char* kName = "chunked_attention_reach";
constexpr std::uint64_t kBucket = 4;      // B
constexpr std::uint32_t kDeepest = 3;     // L; 4^3 = 64 of N >= 256 positions
constexpr std::uint32_t kDimension = 64;  // of queries and keys

/// Random sign vectors, one a position; with equal ones, all tokens share the first.
class Positions final : public anna::Codebook {
 public:
  Positions(std::uint64_t tokens, std::uint64_t seed) : tokens_(tokens), seed_(seed) {}
  std::uint32_t dimension() const override { return kDimension; }
  anna::Symbol size() const override { return tokens_; }
  void vector(anna::Symbol symbol, std::span<std::int32_t> out) const override {
    const std::uint64_t bits = draw(seed_, Domain::kTest, 31, symbol);
    for (std::uint32_t i = 0; i < kDimension; ++i) out[i] = (bits >> i & 1) != 0 ? 1 : -1;
  }

 private:
  std::uint64_t tokens_, seed_;
};

/// Row of token t: 1 in column j if the perturbation of token j has reached t; t + 1 in column N. Queries and
/// keys depend on the position alone, so the perturbations do not change who attends to whom.
class Spreading final : public anna::Layer {
 public:
  Spreading(std::uint64_t tokens, bool equal_keys, std::uint64_t seed)
      : tokens_(static_cast<std::uint32_t>(tokens)), equal_keys_(equal_keys), positions_(tokens, seed) {}
  anna::LayerShape shape() const override { return {1, kDimension, tokens_, tokens_ + 1}; }
  const anna::Codebook& codebook() const override { return positions_; }
  anna::Symbol null_query() const override { return 0; }
  anna::Symbol null_key() const override { return 0; }
  void project(const anna::RowView& row, anna::Projection& out) const override {
    const anna::Symbol own = equal_keys_ ? 0 : static_cast<anna::Symbol>(row[tokens_]) - 1;
    out.query(0, own);
    out.key(0, own);
    for (const anna::Entry& entry : row.entries) {
      if (entry.column < tokens_) out.value(0, entry.column, 1);
    }
  }
  void update(const anna::RowView& row, const anna::HeadOutputs& heads, anna::RowWriter& out) const override {
    const auto reached = heads.head(0);
    auto kept = row.entries.begin();
    for (const anna::Entry& entry : reached) {
      for (; kept != row.entries.end() && kept->column < entry.column; ++kept) out.set(kept->column, 1);
      if (kept != row.entries.end() && kept->column == entry.column) ++kept;
      if (entry.value > 0) out.set(entry.column, 1);
    }
    for (; kept != row.entries.end(); ++kept) out.set(kept->column, kept->column < tokens_ ? 1 : kept->value);
  }

 private:
  std::uint32_t tokens_;
  bool equal_keys_;
  Positions positions_;
};

/// Chunked LSH attention: tokens in the order of a random projection of their keys (ties by position), cut
/// into chunks of `bucket`; a query sees all keys of its own chunk and no others.
class Chunked final : public anna::Attention {
 public:
  Chunked(std::uint64_t bucket, std::uint64_t seed) : bucket_(bucket), seed_(seed) {}
  std::string name() const override { return "chunked"; }
  void attend(const anna::Codebook& codebook, const anna::HeadInput& head, anna::SparseRows& out) override {
    std::vector<std::pair<std::int64_t, std::uint64_t>> order;
    std::vector<std::int32_t> vector(codebook.dimension());
    for (const anna::TokenSymbol& key : head.keys.listed) {
      codebook.vector(key.symbol, vector);
      std::int64_t projection = 0;
      for (std::uint32_t i = 0; i < vector.size(); ++i)
        projection += vector[i] * static_cast<std::int64_t>(draw_below(4096, seed_, Domain::kTest, 32, i)) -
                      vector[i] * 2048;
      order.emplace_back(projection, key.token);
    }
    std::ranges::sort(order);
    std::vector<anna::EntryView> values(head.tokens);
    for (std::size_t i = 0; i < head.values.tokens.size(); ++i)
      values[head.values.tokens[i]] = head.values.row(i);
    std::vector<std::vector<anna::Entry>> rows(head.tokens);
    for (std::size_t begin = 0; begin < order.size(); begin += bucket_) {
      const std::size_t end = std::min<std::size_t>(begin + bucket_, order.size());
      std::map<std::uint32_t, double> sums;
      for (std::size_t i = begin; i < end; ++i) {
        for (const anna::Entry& entry : values[order[i].second]) sums[entry.column] += entry.value;
      }
      for (std::size_t i = begin; i < end; ++i) {
        for (const auto& [column, sum] : sums)
          rows[order[i].second].push_back({column, sum / static_cast<double>(end - begin)});
      }
    }
    out.clear();
    for (std::uint64_t token = 0; token < head.tokens; ++token) {
      if (rows[token].empty()) continue;
      out.tokens.push_back(token);
      out.entries.insert(out.entries.end(), rows[token].begin(), rows[token].end());
      out.offsets.push_back(out.entries.size());
    }
  }

 private:
  std::uint64_t bucket_, seed_;
};

/// What a network is made of: chunks of so many keys, or (0) ANNA.
struct Reach {
  std::uint64_t n;
  std::uint32_t layers;
  std::uint64_t bucket;
};

/// Least and largest number of positions whose perturbation reaches a token.
std::vector<std::uint64_t> fields(const Reach& reach, std::uint64_t seed) {
  const auto n = static_cast<std::uint32_t>(reach.n);
  anna::Activations array = anna::Activations::with_dimension(n + 1);
  for (std::uint32_t t = 0; t < n; ++t)
    array.append_row(std::vector<anna::Entry>{{t, 1.0}, {n, static_cast<double>(t + 1)}});
  const Spreading layer(n, reach.bucket == 0, seed);
  for (std::uint32_t l = 0; l < reach.layers; ++l) {
    const std::uint64_t layer_seed = draw(seed, Domain::kTest, 33, l);
    std::unique_ptr<anna::Attention> attention;
    if (reach.bucket > 0) {
      attention = std::make_unique<Chunked>(reach.bucket, layer_seed);
    } else {
      attention = anna::make_anna({.tables = 1, .functions = 16, .seed = layer_seed});
    }
    array = anna::evaluate(layer, *attention, array);
  }
  std::uint64_t least = n;
  std::uint64_t most = 0;
  for (std::uint32_t t = 0; t < n; ++t) {
    const std::uint64_t field = array.row(t).entries.size() - 1;
    least = std::min(least, field);
    most = std::max(most, field);
  }
  return {least, most};
}

constexpr const char* kAnnaReaches = "ANNA, 1 layer: positions that reach a token";

std::string chunked_quantity(std::uint32_t layers) {
  return "chunks of 4, L = " + std::to_string(layers) + ": positions that reach a token";
}

std::vector<std::vector<Check>> reach_checks(const std::vector<std::pair<std::string, Reach>>& jobs,
                                             Context& context) {
  const auto found = spread(context.transport, jobs.size(), [&](std::size_t i) {
    context.progress("receptive fields N = " + std::to_string(jobs[i].second.n));
    return fields(jobs[i].second, context.seed);
  });
  std::vector<std::vector<Check>> all;
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    const auto& [quantity, reach] = jobs[i];
    const Configuration configuration{.theorem = kName, .n = reach.n, .seed = context.seed};
    std::uint64_t power = 1;
    for (std::uint32_t l = 0; l < reach.layers; ++l) power *= kBucket;
    all.push_back({quantity == kAnnaReaches
                       ? compare(configuration, quantity, static_cast<double>(found[i][0]), Relation::kEqual,
                                 static_cast<double>(reach.n))
                       : compare(configuration, quantity, static_cast<double>(found[i][1]), Relation::kAtMost,
                                 static_cast<double>(power))});
  }
  return all;
}

class ChunkedAttentionReach : public Statement {
 public:
  std::string name() const override { return kName; }
  std::string title() const override {
    return "LSH attention in chunks of constant size needs depth log N to reach all; ANNA 1";
  }
  std::string card() const override {
    return R"(Problem:   an output that depends on all N positions (an average, say).
Guarantee: chunked LSH attention, in which a query sees the B keys of its chunk of the order of a hash: after L layers
           an output depends on at most B^L positions, so depth log_B N is needed. One ANNA layer reaches all N.
Check:     every token is perturbed, in a column of its own, and the columns that reach a token are counted; keys and
           queries are those of the position, so a perturbation changes no chunk; fresh orders in every layer.
Source:    Liu, Yu, Sanford, Andoni, Hsu 2025 (why constant buckets lose expressive power); the measurement is ours.)";
  }
  std::vector<Constant> constants() const override {
    return {{"B", "4", "keys of a chunk"}, {"L", "1, 2, 3", "layers of chunked attention; 1 of ANNA"}};
  }
  std::vector<Check> checks(Context& context) const override {
    std::vector<std::pair<std::string, Reach>> jobs;
    for (const std::uint64_t n : sizes(context.sizes)) {
      for (std::uint32_t layers = 1; layers <= kDeepest; ++layers)
        jobs.push_back({chunked_quantity(layers), {n, layers, kBucket}});
      jobs.push_back({kAnnaReaches, {n, 1, 0}});
    }
    std::vector<Check> all;
    for (const auto& checks : reach_checks(jobs, context))
      all.insert(all.end(), checks.begin(), checks.end());
    return all;
  }
  std::vector<Metric> metrics(const Context& context) const override {
    std::vector<Metric> all;
    for (const std::uint64_t n : sizes(context.sizes))
      all.push_back(
          {"layers of chunks of 4 to reach all: log_4 N", n, static_cast<double>(log_ceil(kBucket, n))});
    return all;
  }
  std::vector<Control> controls(Context& context) const override {
    constexpr std::uint64_t kTokens = 256;
    std::vector<std::pair<std::string, Reach>> jobs{{kAnnaReaches, {kTokens, 1, 0}},
                                                    {kAnnaReaches, {kTokens, 1, kBucket}}};
    for (std::uint32_t layers = 1; layers <= kDeepest; ++layers) {
      jobs.push_back({chunked_quantity(layers), {kTokens, layers, kBucket}});
      jobs.push_back({chunked_quantity(layers), {kTokens, layers, kBucket + 1}});
    }
    jobs.push_back({chunked_quantity(1), {kTokens, 1, 0}});
    const auto checks = reach_checks(jobs, context);
    std::vector<Control> all;
    const auto judge = [&](const char* control, std::size_t defective, std::size_t sound) {
      all.push_back(judge_control(kName, control, jobs[sound].first, checks[defective], checks[sound]));
    };
    judge("chunks of 4 in ANNA's place", 1, 0);
    judge("chunks of 5 keys, L = 1", 3, 2);
    judge("chunks of 5 keys, L = 2", 5, 4);
    judge("chunks of 5 keys, L = 3", 7, 6);
    judge("ANNA in the chunks' place", 8, 2);
    return all;
  }

 private:
  static std::vector<std::uint64_t> sizes(Sizes sizes) {
    if (sizes == Sizes::kSmall) return {256, 512, 1000};
    return {256, 512, 1000, 2048, 4096};
  }
};

}  // namespace

std::unique_ptr<const Statement> make_chunked_attention_reach() {
  return std::make_unique<ChunkedAttentionReach>();
}

}  // namespace roundtrip::proofs_check
