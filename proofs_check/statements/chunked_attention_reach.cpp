// Statement: chunked LSH attention with buckets of constant size B reaches at most B^L positions in L layers,
// so no constant depth reaches all N; one ANNA layer does. Receptive fields are measured: every token is
// perturbed at once, each in a column of its own.
#include <algorithm>
#include <map>

#include "roundtrip/anna/attention/anna.h"
#include "roundtrip/anna/attention/chunked.h"
#include "roundtrip/base/random.h"
#include "roundtrip/proofs_check/cases.h"
#include "roundtrip/proofs_check/formulas.h"
#include "roundtrip/proofs_check/receptive_field.h"
#include "roundtrip/proofs_check/spread.h"
#include "roundtrip/proofs_check/statements/statements.h"

namespace roundtrip::proofs_check {
namespace {

constexpr const char* kName = "chunked_attention_reach";
constexpr std::uint64_t kBucket = 4;         // B
constexpr std::uint32_t kDeepest = 3;        // L; 4^3 = 64 of N >= 256 positions
constexpr std::uint64_t kReformerChunk = 2;  // its own and the chunk before: B keys

/// Chunked LSH attention by the verifier, one projection in place of a code: tokens in the order of a random projection of their keys (ties by position), cut
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

enum class Kind : std::uint8_t { kAnna, kChunks, kReformer };

/// What a network is made of: chunks of so many keys, of the verifier's or of the mechanism's.
struct Reach {
  std::uint64_t n;
  std::uint32_t layers;
  Kind kind;
  std::uint64_t bucket;
};

/// Least and largest number of positions whose perturbation reaches a token.
std::vector<std::uint64_t> fields(const Reach& reach, std::uint64_t seed) {
  const auto attention = [&](std::uint32_t layer) -> std::unique_ptr<anna::Attention> {
    const std::uint64_t layer_seed = draw(seed, Domain::kTest, 33, layer);
    if (reach.kind == Kind::kChunks) return std::make_unique<Chunked>(reach.bucket, layer_seed);
    if (reach.kind == Kind::kReformer) return anna::Chunked{.chunk = reach.bucket, .seed = layer_seed}.make();
    return anna::make_anna({.tables = 1, .functions = 16, .seed = layer_seed});
  };
  const ReceptiveField field =
      receptive_field(reach.n, reach.layers, reach.kind == Kind::kAnna, seed, attention);
  return {field.least, field.most};
}

constexpr const char* kAnnaReaches = "ANNA, 1 layer: positions that reach a token";

std::string chunked_quantity(std::uint32_t layers) {
  return "chunks of 4, L = " + std::to_string(layers) + ": positions that reach a token";
}

std::string reformer_quantity(std::uint32_t layers) {
  return "Reformer, chunks of 2, L = " + std::to_string(layers) + ": positions that reach a token";
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
           an output depends on at most B^L positions, so depth log_B N is needed. One ANNA layer reaches all N. So for
           the mechanism `chunked` (Reformer), by one hashing: two chunks of B / 2 keys.
Check:     every token is perturbed, in a column of its own, and the columns that reach a token are counted; keys and
           queries are those of the position, so a perturbation changes no chunk; fresh orders in every layer.
Source:    Liu, Yu, Sanford, Andoni, Hsu 2025 (why constant buckets lose expressive power); the measurement is ours.)";
  }
  std::vector<Constant> constants() const override {
    return {{"B", "4", "keys of a chunk; Reformer's two chunks have 2 each"},
            {"L", "1, 2, 3", "layers of chunked attention; 1 of ANNA"}};
  }
  std::vector<Check> checks(Context& context) const override {
    std::vector<std::pair<std::string, Reach>> jobs;
    for (const std::uint64_t n : sizes(context.sizes)) {
      for (std::uint32_t layers = 1; layers <= kDeepest; ++layers)
        jobs.push_back({chunked_quantity(layers), {n, layers, Kind::kChunks, kBucket}});
      for (std::uint32_t layers = 1; layers <= kDeepest; ++layers)
        jobs.push_back({reformer_quantity(layers), {n, layers, Kind::kReformer, kReformerChunk}});
      jobs.push_back({kAnnaReaches, {n, 1, Kind::kAnna, 0}});
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
    std::vector<std::pair<std::string, Reach>> jobs{
        {kAnnaReaches, {kTokens, 1, Kind::kAnna, 0}},
        {kAnnaReaches, {kTokens, 1, Kind::kChunks, kBucket}},
        {kAnnaReaches, {kTokens, 1, Kind::kReformer, kReformerChunk}}};
    for (std::uint32_t layers = 1; layers <= kDeepest; ++layers) {
      jobs.push_back({chunked_quantity(layers), {kTokens, layers, Kind::kChunks, kBucket}});
      jobs.push_back({chunked_quantity(layers), {kTokens, layers, Kind::kChunks, kBucket + 1}});
      jobs.push_back({reformer_quantity(layers), {kTokens, layers, Kind::kReformer, kReformerChunk}});
      jobs.push_back({reformer_quantity(layers), {kTokens, layers, Kind::kReformer, 4 * kReformerChunk}});
    }
    jobs.push_back({chunked_quantity(1), {kTokens, 1, Kind::kAnna, 0}});
    jobs.push_back({reformer_quantity(1), {kTokens, 1, Kind::kAnna, 0}});
    const auto checks = reach_checks(jobs, context);
    std::vector<Control> all;
    const auto judge = [&](const char* control, std::size_t defective, std::size_t sound) {
      all.push_back(judge_control(kName, control, jobs[sound].first, checks[defective], checks[sound]));
    };
    judge("chunks of 4 in ANNA's place", 1, 0);
    judge("Reformer's chunks in ANNA's place", 2, 0);
    judge("chunks of 5 keys, L = 1", 4, 3);
    judge("chunks of 5 keys, L = 2", 8, 7);
    judge("chunks of 5 keys, L = 3", 12, 11);
    judge("Reformer's chunks of 8 keys, L = 1", 6, 5);
    judge("Reformer's chunks of 8 keys, L = 2", 10, 9);
    judge("Reformer's chunks of 8 keys, L = 3", 14, 13);
    judge("ANNA in the chunks' place", 15, 3);
    judge("ANNA in Reformer's place", 16, 5);
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
