// Machines of a layer: copy t of block c is t C + c, copy 0 its home; then the sort machines, M_s for each
// (table, head); then the scan machines, M_v for each. What a machine needs later it sends to itself, and it
// counts.
#include "simulate/decompile.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <iterator>
#include <optional>
#include <span>
#include <utility>

#include "anna/kernel_attention.h"
#include "base/error.h"
#include "base/fault.h"
#include "mpc/stages/composition.h"
#include "mpc/stages/sort.h"
#include "mpc/stages/tree_stages.h"
#include "mpc/transport.h"
#include "simulate/key_code.h"
#include "simulate/wire.h"

namespace roundtrip::simulate {
namespace {

using anna::Entry;
using anna::Symbol;
using mpc::Context;
using mpc::MachineId;
using mpc::Word;

/// `count` objects in the step's scratch, uninitialised.
template <typename T>
std::span<T> take(const Context& context, std::uint64_t count) {
  return {static_cast<T*>(context.scratch->allocate(count * sizeof(T), alignof(T))), count};
}
template <typename T>
constexpr std::uint64_t scratch_of(std::uint64_t count) {
  return ceil_div(count * sizeof(T), sizeof(Word));
}

/// Q, K and V of one token, all heads; buffers in scratch, used again for the next token.
class TokenHeads final : public anna::Projection {
 public:
  TokenHeads(const Context& context, const anna::Layer& layer)
      : layer_(layer),
        shape_(layer.shape()),
        listed_(layer.codebook().size()),
        points_(take<Symbol>(context, 2 * std::uint64_t{shape_.heads})),
        counts_(take<std::uint32_t>(context, shape_.heads)),
        values_(take<Entry>(context, std::uint64_t{shape_.heads} * shape_.value_dimension)),
        vectors_(take<std::int32_t>(context, 2 * std::uint64_t{shape_.heads} * shape_.query_dimension)) {}
  static std::uint64_t scratch_words(const anna::LayerShape& shape) {
    const std::uint64_t heads = shape.heads;
    return scratch_of<Symbol>(2 * heads) + scratch_of<std::uint32_t>(heads) +
           scratch_of<Entry>(heads * shape.value_dimension) +
           scratch_of<std::int32_t>(2 * heads * shape.query_dimension);
  }

  void project(const anna::RowView& row) {
    token_ = row.token;
    for (std::uint32_t h = 0; h < shape_.heads; ++h) {
      points_[2 * h] = layer_.null_key();
      points_[2 * h + 1] = layer_.null_query();
    }
    std::ranges::fill(counts_, 0);
    computed_ = 0;
    layer_.project(row, *this);
  }
  Symbol symbol(std::uint32_t head, bool query) const { return points_[2 * head + query]; }
  /// Of a symbol behind the codebook's.
  std::span<const std::int32_t> vector(Symbol symbol) const {
    if (symbol < listed_) return {};
    return vectors_.subspan((symbol - listed_) * shape_.query_dimension, shape_.query_dimension);
  }
  std::span<const Entry> value(std::uint32_t head) const {
    return values_.subspan(std::uint64_t{head} * shape_.value_dimension, counts_[head]);
  }

  void query(std::uint32_t head, Symbol symbol) override { point(head, symbol, true); }
  void key(std::uint32_t head, Symbol symbol) override { point(head, symbol, false); }
  Symbol intern(std::span<const std::int32_t> vector) override {
    require(vector.size() == shape_.query_dimension && computed_ < 2 * std::uint64_t{shape_.heads},
            "token {}: more queries and keys computed than the layer has, or not of its dimension", token_);
    std::ranges::copy(vector,
                      vectors_.begin() + static_cast<std::ptrdiff_t>(computed_ * shape_.query_dimension));
    return listed_ + computed_++;
  }
  void value(std::uint32_t head, std::uint32_t column, double number) override {
    require(head < shape_.heads && column < shape_.value_dimension && counts_[head] < shape_.value_dimension,
            "token {}: value column {} of head {} is out of range", token_, column, head);
    require(std::fabs(number) < 0x1p53 && number == std::trunc(number),
            "token {} head {}: value {} is not an integer below 2^53 in magnitude", token_, head, number);
    if (number != 0)
      values_[std::uint64_t{head} * shape_.value_dimension + counts_[head]++] = {column, number};
  }

 private:
  void point(std::uint32_t head, Symbol symbol, bool query) {
    require(head < shape_.heads && symbol < listed_ + computed_,
            "token {}: head {} or symbol {} is out of range", token_, head, symbol);
    points_[2 * head + query] = symbol;
  }

  const anna::Layer& layer_;
  const anna::LayerShape shape_;
  const Symbol listed_;
  std::span<Symbol> points_;         // [heads, key and query]
  std::span<std::uint32_t> counts_;  // [heads] entries
  std::span<Entry> values_;          // [heads, m_v]
  std::span<std::int32_t> vectors_;  // [computed, m_qk]
  std::uint64_t computed_ = 0, token_ = 0;
};

/// The head outputs of one token.
class TokenOutputs final : public anna::HeadOutputs {
 public:
  TokenOutputs(const Context& context, const anna::LayerShape& shape)
      : dimension_(shape.value_dimension),
        entries_(take<Entry>(context, std::uint64_t{shape.heads} * dimension_)),
        counts_(take<std::uint32_t>(context, shape.heads)),
        nonzero_(take<std::uint32_t>(context, shape.heads)) {}
  static std::uint64_t scratch_words(const anna::LayerShape& shape) {
    return scratch_of<Entry>(std::uint64_t{shape.heads} * shape.value_dimension) +
           2 * scratch_of<std::uint32_t>(shape.heads);
  }
  void clear() {
    std::ranges::fill(counts_, 0);
    nonzeros_ = 0;
  }
  /// Heads ascend, columns within them too.
  void add(std::uint32_t head, std::uint32_t column, double average) {
    if (counts_[head] == 0) nonzero_[nonzeros_++] = head;
    entries_[std::uint64_t{head} * dimension_ + counts_[head]++] = {column, average};
  }
  std::span<const Entry> head(std::uint32_t head) const override {
    require(head < counts_.size(), "output of head {} of {}", head, counts_.size());
    return entries_.subspan(std::uint64_t{head} * dimension_, counts_[head]);
  }
  std::span<const std::uint32_t> nonzero_heads() const override { return nonzero_.first(nonzeros_); }

 private:
  std::uint64_t dimension_;
  std::span<Entry> entries_;
  std::span<std::uint32_t> counts_, nonzero_;
  std::size_t nonzeros_ = 0;
};

/// The sort stage, with machines in front of it that keep what they have.
class SortBesideBlocks final : public mpc::Stage {
 public:
  struct Options {
    mpc::SortOptions sort;
    MachineId keepers;  ///< machines 0 .. keepers-1
  };
  explicit SortBesideBlocks(Options options) : sort_(std::move(options.sort)), keepers_(options.keepers) {}
  std::uint32_t rounds() const override { return sort_.rounds(); }
  void step(const Context& context, std::uint32_t round) const override {
    if (context.machine < keepers_) return context.out.send(context.machine, context.inbox.words());
    sort_.step(context, round);
  }
  std::uint64_t scratch_words() const override { return sort_.scratch_words(); }
  std::uint64_t result_scratch_words() const override { return rounds() > 0 ? 0 : sort_.scratch_words(); }
  const mpc::Sort& sort() const { return sort_; }

 private:
  mpc::Sort sort_;
  MachineId keepers_;
};

/// One layer and where its machines stand.
struct LayerRun {
  const DecompiledLayer& plan;
  const anna::Layer& layer;
  std::unique_ptr<const KeyCode> code;
  VectorWire row, value, sum;
  std::uint64_t blocks;  // C
  MachineId first_sort, first_scan;
  std::optional<anna::PositiveFeatures> features = {};  // of a low-rank layer
  const mpc::Broadcast* sums = nullptr;                 // a low-rank layer's last stage

  MachineId copies() const { return static_cast<MachineId>(plan.tables * blocks); }
  MachineId copy(std::uint64_t table, std::uint64_t block) const {
    return static_cast<MachineId>(table * blocks + block);
  }
  std::uint64_t groups() const { return std::uint64_t{plan.tables} * plan.heads; }
  bool scans(MachineId machine) const {
    return machine >= first_scan && machine - first_scan < groups() * plan.scan_machines;
  }
  /// Number of (table, head), H table + head, of a sort or scan machine.
  std::uint64_t sort_group(MachineId machine) const { return (machine - first_sort) / plan.sort.machines; }
  std::uint64_t scan_group(MachineId machine) const { return (machine - first_scan) / plan.scan_machines; }

  // A scan element: flags, code of the last bucket, count and sum of that bucket's keys.
  static constexpr Word kHasRecords = 1, kOneBucket = 2;
  std::uint64_t element_words() const { return 1 + plan.code_words + 1 + sum.numbers(); }
  std::uint64_t count_at() const { return 1 + plan.code_words; }
  std::uint64_t sum_at() const { return 2 + plan.code_words; }
  void add_numbers(Word* left, const Word* right) const {
    for (std::uint64_t i = 0; i < sum.numbers(); i += sum.number().words())
      sum.number().add(left + i, right + i);
  }
  void combine(std::span<Word> left, std::span<const Word> right) const {
    if ((right[0] & kHasRecords) == 0) return;
    const bool goes_on = (left[0] & kHasRecords) != 0 && (right[0] & kOneBucket) != 0 &&
                         std::equal(left.begin() + 1, left.begin() + static_cast<std::ptrdiff_t>(count_at()),
                                    right.begin() + 1);
    if (goes_on) {
      if (!seeded("bucket-count")) left[count_at()] += right[count_at()];
      add_numbers(&left[sum_at()], &right[sum_at()]);
      return;
    }
    const bool first = (left[0] & kHasRecords) == 0;
    std::ranges::copy(right, left.begin());
    if (!first) left[0] &= ~kOneBucket;
  }
};

class Decompiled final : public mpc::Composition {
 public:
  Decompiled(anna::Model model, DecompilePlan plan) : model_(std::move(model)), plan_(std::move(plan)) {
    shape_.n = plan_.n;
    shape_.outputs = plan_.tokens * plan_.output_dimension * plan_.output_words;
    shape_.block_words = plan_.block_words;
    shape_.memory_words = plan_.memory_words;
    shape_.machines = static_cast<std::uint32_t>(plan_.machines);
    shape_.word_bits = plan_.word_bits;
    shape_.input_bits = plan_.input_bits;
    shape_.kappa_s = plan_.kappa_s;
    shape_.kappa_raised = plan_.kappa_raised;
    token_bits_ = ceil_log(2, plan_.tokens);
    for (std::size_t l = 0; l < plan_.layers.size(); ++l) place_layer(l);
    input_to_blocks();
    for (const auto& layer : layers_) {
      if (layer->plan.low_rank) {
        sums_up_and_down(*layer);
        continue;
      }
      copy_rows(*layer);
      hash(*layer);
      const SortBesideBlocks& sorted = sort(*layer);
      fetch_values(*layer, sorted);
      scan_buckets(*layer);
      return_sums(*layer);
      add_over_tables(*layer);
    }
    deliver();
    shape_.validate();
    if (shape_.rounds != plan_.rounds) {
      throw InternalError(fmt::format("{} rounds composed, {} planned", shape_.rounds, plan_.rounds));
    }
  }

 private:
  void place_layer(std::size_t l) {
    const DecompiledLayer& plan = plan_.layers[l];
    const anna::Layer& layer = *model_.transformer.layers[l];
    const auto numbers = [&](std::uint32_t words) {
      return NumberWire(plan_.word_bits, words * plan_.word_bits);
    };
    const std::uint64_t first_sort = plan.tables * plan_.blocks;
    const std::uint64_t first_scan =
        first_sort + std::uint64_t{plan.tables} * plan.heads * plan.sort.machines;
    layers_.push_back(std::make_unique<LayerRun>(LayerRun{
        plan, layer, plan.low_rank ? nullptr : make_key_code(layer, model_.mechanisms[l], plan_.word_bits),
        VectorWire(numbers(plan.row_words), plan.row_dimension),
        VectorWire(numbers(plan.value_words), plan.value_dimension),
        VectorWire(numbers(plan.sum_words), plan.value_dimension), plan_.blocks,
        static_cast<MachineId>(first_sort), static_cast<MachineId>(first_scan)}));
    const anna::LayerShape shape = layer.shape();
    if (const auto* low_rank = std::get_if<anna::LowRank>(&model_.mechanisms[l]))
      layers_.back()->features.emplace(low_rank->rank, low_rank->seed, shape.query_dimension);
    const std::uint64_t state = plan_.block_tokens * plan.heads * (2 + layers_.back()->sum.numbers());
    const std::uint64_t next_row =
        l + 1 < plan_.layers.size()
            ? 1 + std::uint64_t{plan_.layers[l + 1].row_dimension} * plan_.layers[l + 1].row_words
            : plan_.output_words;
    const std::uint64_t rows = plan_.block_tokens * std::max(next_row, layers_.back()->row.most_words());
    block_scratch_ = std::max(
        block_scratch_,
        2 * state + rows + 2 * plan_.block_tokens * plan.heads + scratch_of<Entry>(plan.row_dimension) +
            TokenHeads::scratch_words(shape) + TokenOutputs::scratch_words(shape) + plan.code_words + 1 +
            layers_.back()->value.most_words() + 2 * plan.rank +
            2 * scratch_of<std::int32_t>(shape.query_dimension) + 2 * plan.value_dimension + 2);
    scan_scratch_ = std::max(scan_scratch_, 6 * plan.scan_records + kept_words(*layers_.back()) +
                                                8 * layers_.back()->element_words() + 8);
  }

  // ---- rows at home

  std::uint64_t first_token(std::uint64_t block) const { return block * plan_.block_tokens; }
  std::uint64_t block_size(std::uint64_t block) const {
    return std::min(plan_.block_tokens, plan_.tokens - first_token(block));
  }
  bool home(MachineId machine) const { return machine < plan_.blocks; }

  /// Reads the row that starts at `words` into `entries`; returns the words read.
  static std::uint64_t read_row(const VectorWire& wire, std::span<const Word> words, std::span<Entry> entries,
                                std::size_t& count) {
    count = 0;
    return wire.read(words, [&](std::uint32_t column, const Word* number) {
      if (const auto value = static_cast<double>(wire.number().get(number)); value != 0)
        entries[count++] = {column, value};
    });
  }
  /// Calls visit(token, row) for the tokens of an encoded block; returns its length in words.
  template <typename Visit>
  std::uint64_t for_each_row(const Context& context, const LayerRun& run, std::uint64_t block,
                             std::span<const Word> rows, Visit&& visit) const {
    const std::span<Entry> entries = take<Entry>(context, run.row.dimension());
    std::uint64_t at = 0;
    for (std::uint64_t i = 0; i < block_size(block); ++i) {
      std::size_t count = 0;
      at += read_row(run.row, rows.subspan(at), entries, count);
      visit(i, anna::RowView{first_token(block) + i, entries.first(count)});
    }
    return at;
  }
  std::uint64_t rows_length(const LayerRun& run, std::uint64_t block, std::span<const Word> words) const {
    std::uint64_t at = 0;
    for (std::uint64_t i = 0; i < block_size(block); ++i) at += run.row.size_at(words.subspan(at));
    return at;
  }

  static void put_row(const VectorWire& wire, std::uint64_t token, std::span<const Entry> entries, Word* out,
                      std::uint64_t& at) {
    for (const Entry& entry : entries) {
      require(std::fabs(entry.value) < 0x1p53 && entry.value == std::trunc(entry.value),
              "token {}: column {} of a row is {}; a protocol carries integers below 2^53 in magnitude",
              token, entry.column, entry.value);
    }
    at += wire.put(entries, out + at);
  }

  /// In the first step of a layer, at home: the rows of the block, made of what the layer before left.
  std::span<const Word> new_rows(const Context& context, const LayerRun& run) const {
    const std::size_t l = static_cast<std::size_t>(&run.plan - plan_.layers.data());
    const std::uint64_t block = context.machine;
    const std::span<Word> out = context.take(block_size(block) * run.row.most_words());
    std::uint64_t at = 0;
    if (l > 0) {
      update_rows(context, *layers_[l - 1], [&](std::uint64_t token, std::span<const Entry> entries) {
        put_row(run.row, token, entries, out.data(), at);
      });
      return out.first(at);
    }
    const std::span<const Word> words = context.inbox.words();
    for (std::uint64_t i = 0; i < block_size(block); ++i) {
      const bool present = first_token(block) + i < plan_.n;
      mpc::expect_received(!present || i < words.size());
      const Entry row[] = {{0, 1.0}, {1, present ? static_cast<double>(words[i]) : 0.0}};
      put_row(run.row, first_token(block) + i,
              std::span(row, !present        ? 0
                             : words[i] == 0 ? 1
                                             : 2),
              out.data(), at);
    }
    return out.first(at);
  }

  /// Sums and counts of the tokens of a block: [block tokens, heads], and as numbers [.., m_v].
  struct State {
    std::span<Word> counts, sums;
  };
  State empty_state(const Context& context, const LayerRun& run, std::uint64_t block) const {
    const std::uint64_t cells = block_size(block) * run.plan.heads;
    const State state{context.take(cells), context.take(cells * run.sum.numbers())};
    std::ranges::fill(state.counts, 0);
    std::ranges::fill(state.sums, 0);
    return state;
  }
  std::uint64_t add_sum(const LayerRun& run, const State& state, std::uint64_t cell,
                        std::span<const Word> words) const {
    mpc::expect_received(cell < state.counts.size());
    Word* const sums = state.sums.data() + cell * run.sum.numbers();
    return run.sum.read(words, [&](std::uint32_t column, const Word* number) {
      run.sum.number().add(sums + std::uint64_t{column} * run.sum.number().words(), number);
    });
  }
  /// What has come to a copy of a block: behind "return", results of the scan machines (`results`); during
  /// and behind "add over tables", states of copies, one's own behind the rows that a home keeps.
  State collect(const Context& context, const LayerRun& run, bool results) const {
    const std::uint64_t block = context.machine % plan_.blocks;
    const State state = empty_state(context, run, block);
    for (const mpc::Run received : context.inbox) {
      std::span<const Word> words = received.words;
      if (received.source == context.machine && home(context.machine))
        words = words.subspan(rows_length(run, block, words));
      if (results && received.source >= run.copies()) {
        mpc::expect_received(run.scans(received.source));
        const std::uint64_t head = run.scan_group(received.source) % run.plan.heads;
        for (std::uint64_t at = 0; at < words.size();) {
          const Word packed = words[at++];
          const std::uint64_t cell = (packed >> count_bits()) * run.plan.heads + head;
          mpc::expect_received(cell < state.counts.size());
          state.counts[cell] += packed & ((Word{1} << count_bits()) - 1);
          at += add_sum(run, state, cell, words.subspan(at));
        }
      } else if (!results) {
        std::uint64_t at = 0;
        for (std::uint64_t cell = 0; cell < state.counts.size(); ++cell) {
          mpc::expect_received(at < words.size());
          const Word count = words[at++];
          if (count == 0) continue;
          state.counts[cell] += count;
          at += add_sum(run, state, cell, words.subspan(at));
        }
      }
    }
    return state;
  }
  std::uint32_t count_bits() const { return token_bits_ + 1; }  // of a count in one table: at most N'

  /// At home, behind a layer: heads meet. Calls visit(token, entries of its next row).
  template <typename Visit>
  void update_rows(const Context& context, const LayerRun& run, Visit&& visit) const {
    if (run.plan.low_rank) return update_low_rank(context, run, visit);
    const State state = collect(context, run, run.plan.copy_depth == 0);
    TokenOutputs outputs(context, run.layer.shape());
    anna::RowWriter writer;
    for_each_row(context, run, context.machine, context.from(context.machine),
                 [&](std::uint64_t i, const anna::RowView& row) {
                   outputs.clear();
                   for (std::uint32_t h = 0; h < run.plan.heads; ++h) {
                     const std::uint64_t cell = i * run.plan.heads + h;
                     if (state.counts[cell] == 0) continue;
                     const auto count = static_cast<double>(state.counts[cell]);
                     const NumberWire& number = run.sum.number();
                     const Word* sums = state.sums.data() + cell * run.sum.numbers();
                     for (std::uint32_t c = 0; c < run.sum.dimension(); ++c, sums += number.words()) {
                       // Both rounded once, then divided once.
                       if (const WideInteger sum = number.get(sums); sum != 0)
                         outputs.add(h, c, static_cast<double>(sum) / count);
                     }
                   }
                   writer.clear();
                   run.layer.update(row, outputs, writer);
                   visit(row.token, writer.entries());
                 });
  }

  // ---- low rank: an element holds, head by head and feature by feature, g_r and the row of G

  /// Calls visit(r, phi_r, words of its (1 + m_v) numbers) for the features of a query or key.
  template <typename Visit>
  void for_each_feature(const LayerRun& run, const TokenHeads& token, std::uint32_t head, bool query,
                        std::span<std::int32_t> vector, std::span<std::int64_t> phi, Visit&& visit) const {
    const Symbol symbol = token.symbol(head, query);
    std::span<const std::int32_t> x = token.vector(symbol);
    if (x.empty()) {
      run.layer.codebook().vector(symbol, vector);
      x = vector;
    }
    run.features->of(x, phi);
    const std::uint64_t width = (1 + std::uint64_t{run.plan.value_dimension}) * run.plan.sum_words;
    for (std::uint32_t r = 0; r < run.plan.rank; ++r)
      visit(phi[r], (std::uint64_t{head} * run.plan.rank + r) * width);
  }

  void add_keys(const Context& context, const LayerRun& run, std::span<Word> element) const {
    std::ranges::fill(element, 0);
    const std::span<const Word> rows = new_rows(context, run);
    TokenHeads token(context, run.layer);
    const std::span<std::int32_t> vector = take<std::int32_t>(context, run.layer.shape().query_dimension);
    const std::span<std::int64_t> phi = take<std::int64_t>(context, run.plan.rank);
    const NumberWire& number = run.sum.number();
    const auto add = [&](WideInteger value, Word* to) {
      Word words[4];
      number.put(value, words);
      number.add(to, words);
    };
    for_each_row(context, run, context.machine, rows, [&](std::uint64_t, const anna::RowView& row) {
      token.project(row);
      for (std::uint32_t h = 0; h < run.plan.heads; ++h) {
        for_each_feature(run, token, h, false, vector, phi, [&](std::int64_t feature, std::uint64_t at) {
          add(feature, &element[at]);
          for (const Entry& entry : token.value(h)) {
            add(static_cast<WideInteger>(feature) * static_cast<std::int64_t>(entry.value),
                &element[at + (1 + std::uint64_t{entry.column}) * number.words()]);
          }
        });
      }
    });
  }

  template <typename Visit>
  void update_low_rank(const Context& context, const LayerRun& run, Visit&& visit) const {
    const std::span<const Word> element = run.sums->result(context);
    TokenHeads token(context, run.layer);
    TokenOutputs outputs(context, run.layer.shape());
    const std::span<std::int32_t> vector = take<std::int32_t>(context, run.layer.shape().query_dimension);
    const std::span<std::int64_t> phi = take<std::int64_t>(context, run.plan.rank);
    const std::span<WideInteger> totals = take<WideInteger>(context, run.plan.value_dimension);
    const NumberWire& number = run.sum.number();
    anna::RowWriter writer;
    for_each_row(
        context, run, context.machine, run.sums->kept(context), [&](std::uint64_t, const anna::RowView& row) {
          token.project(row);
          outputs.clear();
          for (std::uint32_t h = 0; h < run.plan.heads; ++h) {
            WideInteger norm = 0;
            std::ranges::fill(totals, 0);
            for_each_feature(run, token, h, true, vector, phi, [&](std::int64_t feature, std::uint64_t at) {
              norm += seeded("norm-of-queries") ? feature : feature * number.get(&element[at]);
              for (std::size_t c = 0; c < totals.size(); ++c)
                totals[c] += feature * number.get(&element[at + (1 + c) * number.words()]);
            });
            for (std::uint32_t c = 0; c < totals.size(); ++c) {
              // Both rounded once, then divided once; features are positive, so norm is.
              if (totals[c] != 0)
                outputs.add(h, c, static_cast<double>(totals[c]) / static_cast<double>(norm));
            }
          }
          writer.clear();
          run.layer.update(row, outputs, writer);
          visit(row.token, writer.entries());
        });
  }

  // ---- passes

  void sums_up_and_down(LayerRun& run) {
    const mpc::Tree tree{run.plan.scan_fan, run.plan.scan_depth, 0, static_cast<std::uint32_t>(plan_.blocks)};
    const mpc::TreeReduce& up = then<mpc::TreeReduce>(
        "sums up", {.tree = tree,
                    .element_words = run.plan.element_words,
                    .load = [this, &run](const Context& context,
                                         std::span<Word> element) { add_keys(context, run, element); },
                    .combine =
                        [&run](std::span<Word> left, std::span<const Word> right) {
                          for (std::size_t i = 0; i < left.size(); i += run.sum.number().words())
                            run.sum.number().add(&left[i], &right[i]);
                        },
                    .keep =
                        [this, &run](const Context& context) {
                          return home(context.machine) ? new_rows(context, run) : std::span<const Word>();
                        },
                    .load_scratch_words = 2 * block_scratch_});
    run.sums = &then<mpc::Broadcast>(
        "sums down",
        {.tree = tree,
         .element_words = run.plan.element_words,
         .load = [&up](const Context& context,
                       std::span<Word> element) { std::ranges::copy(up.result(context), element.begin()); },
         .keep = [&up](const Context& context) { return up.kept(context); },
         .load_scratch_words = run.plan.element_words});
  }

  void input_to_blocks() {
    then("input to blocks", 1, 0, [this](const Context& context, std::uint32_t) {
      std::uint64_t token = context.machine * plan_.block_words;
      for (const Word word : context.inbox.words())
        context.out.send(static_cast<MachineId>(token++ / plan_.block_tokens), word);
    });
  }

  void copy_rows(const LayerRun& run) {
    then("copy rows", run.plan.copy_depth, block_scratch_,
         [this, &run](const Context& context, std::uint32_t round) {
           const std::uint64_t table = context.machine / plan_.blocks;
           std::uint64_t holders = 1;  // tables that have their copies
           for (std::uint32_t r = 1; r < round; ++r) holders *= plan_.copies_a_round + 1;
           if (table >= std::min<std::uint64_t>(holders, run.plan.tables)) return;
           const std::span<const Word> rows = round == 1 ? new_rows(context, run) : context.inbox.words();
           context.out.send(context.machine, rows);
           for (std::uint64_t j = 1; j <= plan_.copies_a_round && table + j * holders < run.plan.tables; ++j)
             context.out.send(run.copy(table + j * holders, context.machine % plan_.blocks), rows);
         });
  }

  /// (code, query or key and token) as it is sorted, and as it goes to the scan.
  void put_record(const LayerRun& run, const TokenHeads& token, std::uint64_t number, std::uint64_t table,
                  std::uint32_t head, bool query, std::span<Word> out) const {
    const Symbol symbol = token.symbol(head, query);
    run.code->code(static_cast<std::uint32_t>(table), symbol, token.vector(symbol),
                   out.first(run.plan.code_words));
    out[run.plan.code_words] = Word{query} << token_bits_ | number;
  }
  std::uint64_t token_of(Word tie) const { return tie & ((Word{1} << token_bits_) - 1); }
  bool is_query(Word tie) const { return (tie >> token_bits_ & 1) != 0; }

  void hash(const LayerRun& run) {
    then("hash", 1, block_scratch_, [this, &run](const Context& context, std::uint32_t) {
      if (context.machine >= run.copies()) return;
      const std::uint64_t table = context.machine / plan_.blocks;
      const std::uint64_t block = context.machine % plan_.blocks;
      const std::span<const Word> rows =
          run.plan.copy_depth == 0 ? new_rows(context, run) : context.inbox.words();
      context.out.send(context.machine, rows);
      TokenHeads token(context, run.layer);
      const std::span<Word> record = context.take(run.plan.code_words + 1);
      for_each_row(context, run, block, rows, [&](std::uint64_t, const anna::RowView& row) {
        token.project(row);
        for (std::uint32_t h = 0; h < run.plan.heads; ++h) {
          const std::uint64_t group = table * run.plan.heads + h;
          for (const bool query : {false, true}) {
            const std::uint64_t position = 2 * row.token + query;
            put_record(run, token, row.token, table, h, query, record);
            context.out.send(static_cast<MachineId>(run.first_sort + group * run.plan.sort.machines +
                                                    position / run.plan.sort.machine_records),
                             record);
          }
        }
      });
    });
  }

  const SortBesideBlocks& sort(const LayerRun& run) {
    return then<SortBesideBlocks>(
        "sort", {.sort = {.plan = run.plan.sort,
                          .load =
                              [](const Context& context, std::uint64_t, std::span<Word> records) {
                                mpc::expect_received(context.inbox.words().size() == records.size());
                                std::ranges::copy(context.inbox.words(), records.begin());
                              },
                          .first = run.first_sort,
                          .instances = static_cast<std::uint32_t>(run.groups())},
                 .keepers = run.copies()});
  }

  void fetch_values(const LayerRun& run, const SortBesideBlocks& sorted) {
    then("fetch values", 2, block_scratch_,
         [this, &run, &sorted](const Context& context, std::uint32_t round) {
           if (context.machine < run.copies()) {
             if (round == 1) return context.out.send(context.machine, context.inbox.words());
             return answer(context, run);
           }
           if (round == 1 && sorted.sort().takes_part(context.machine)) ask(context, run, sorted.sort());
         });
  }

  void ask(const Context& context, const LayerRun& run, const mpc::Sort& sorted) const {
    const std::uint64_t table = run.sort_group(context.machine) / run.plan.heads;
    const std::uint64_t width = run.plan.code_words + 1;
    const std::span<const Word> records = sorted.result(context);
    std::uint64_t position = sorted.first_position(context.machine);
    for (std::uint64_t at = run.plan.code_words; at < records.size(); at += width, ++position) {
      context.out.send(run.copy(table, token_of(records[at]) / plan_.block_tokens),
                       position << (token_bits_ + 1) | records[at]);
    }
  }

  void answer(const Context& context, const LayerRun& run) const {
    const std::uint64_t table = context.machine / plan_.blocks;
    const std::uint64_t block = context.machine % plan_.blocks;
    const std::span<const Word> rows = context.from(context.machine);
    if (table == 0) context.out.send(context.machine, rows);
    const std::uint64_t heads = run.plan.heads;
    const std::span<Word> positions = context.take(2 * block_size(block) * heads);
    std::ranges::fill(positions, 0);
    for (const mpc::Run asked : context.inbox) {
      if (asked.source == context.machine) continue;
      mpc::expect_received(asked.source >= run.first_sort && asked.source < run.first_scan);
      const std::uint64_t head = run.sort_group(asked.source) % heads;
      for (const Word word : asked.words) {
        const std::uint64_t i = token_of(word) - first_token(block);
        mpc::expect_received(i < block_size(block));
        positions[2 * (i * heads + head) + is_query(word)] = word >> (token_bits_ + 1);
      }
    }
    TokenHeads token(context, run.layer);
    const std::span<Word> record = context.take(run.plan.code_words + 1 + run.value.most_words());
    for_each_row(context, run, block, rows, [&](std::uint64_t i, const anna::RowView& row) {
      token.project(row);
      for (std::uint32_t h = 0; h < heads; ++h) {
        const std::uint64_t first = run.first_scan + (table * heads + h) * run.plan.scan_machines;
        for (const bool query : {false, true}) {
          put_record(run, token, row.token, table, h, query, record);
          std::uint64_t words = run.plan.code_words + 1;
          if (!query) words += run.value.put(token.value(h), record.data() + words);
          const std::uint64_t position = positions[2 * (i * heads + h) + query];
          context.out.send(static_cast<MachineId>(first + position / run.plan.scan_records),
                           record.first(words));
        }
      }
    });
  }

  // What a scan machine keeps: the code of its first record; the first bucket, then every bucket that has
  // keys and queries here: number of queries, count, sum (the first bucket: only if it has queries), tokens
  // of the queries.
  std::uint64_t kept_words(const LayerRun& run) const {
    const std::uint64_t records = run.plan.scan_records;
    return run.plan.code_words + 2 + run.sum.most_words() + records / 2 * (1 + run.sum.most_words()) +
           records;
  }
  struct Buckets {
    std::span<const Word> kept, element;
  };
  Buckets make_buckets(const Context& context, const LayerRun& run) const {
    const std::uint64_t code_words = run.plan.code_words;
    const std::span<const Word*> records = take<const Word*>(context, run.plan.scan_records);
    std::size_t count = 0;
    for (const mpc::Run received : context.inbox) {
      for (std::uint64_t at = 0; at < received.words.size();) {
        mpc::expect_received(count < records.size() && received.words.size() - at > code_words);
        const Word* const record = received.words.data() + at;
        records[count++] = record;
        at += code_words + 1;
        if (!is_query(record[code_words])) at += run.value.size_at(received.words.subspan(at));
      }
    }
    mpc::expect_received(count > 0);
    std::sort(records.begin(), records.begin() + static_cast<std::ptrdiff_t>(count),
              [&](const Word* a, const Word* b) {
                return std::lexicographical_compare(a, a + code_words + 1, b, b + code_words + 1);
              });
    const std::span<Word> kept = context.take(kept_words(run));
    const std::span<Word> element = context.take(run.element_words());
    std::ranges::fill(element, 0);
    Word* next = std::copy_n(records[0], code_words, kept.data());
    for (std::size_t begin = 0, end = 0; begin < count; begin = end) {
      std::ranges::fill(element.subspan(run.count_at()), 0);
      std::size_t keys = 0;
      for (end = begin; end < count && std::equal(records[end], records[end] + code_words, records[begin]);
           ++end) {
        if (is_query(records[end][code_words])) continue;
        ++keys;
        run.value.read({records[end] + code_words + 1, run.value.most_words()},
                       [&](std::uint32_t column, const Word* number) {
                         add_value(run, run.value.number().get(number), column, &element[run.sum_at()]);
                       });
      }
      element[run.count_at()] = keys;
      const std::size_t queries = end - begin - keys;
      if (begin == 0 || (keys > 0 && queries > 0)) {
        *next++ = queries;
        *next++ = keys;
        if (queries > 0) next += run.sum.put_numbers(&element[run.sum_at()], next);
        for (std::size_t i = begin + keys; i < end; ++i) *next++ = token_of(records[i][code_words]);
      }
      if (end == count) {
        std::copy_n(records[begin], code_words, &element[1]);
        element[0] = LayerRun::kHasRecords | (begin == 0 ? LayerRun::kOneBucket : 0);
      }
    }
    return {kept.first(static_cast<std::size_t>(next - kept.data())), element};
  }
  static void add_value(const LayerRun& run, WideInteger value, std::uint32_t column, Word* sums) {
    Word words[4];
    run.sum.number().put(value, words);
    run.sum.number().add(sums + std::uint64_t{column} * run.sum.number().words(), words);
  }

  void scan_buckets(const LayerRun& run) {
    const auto combine = std::make_shared<const mpc::Combine>(
        [&run](std::span<Word> left, std::span<const Word> right) { run.combine(left, right); });
    then("scan buckets", 2 * run.plan.scan_depth, scan_scratch_,
         [this, &run, combine](const Context& context, std::uint32_t round) {
           if (home(context.machine)) return context.out.send(context.machine, context.inbox.words());
           if (!run.scans(context.machine)) return;
           const mpc::ScanTree scan = scan_tree(run, context.machine, *combine);
           std::span<const Word> element;
           if (round == 1) {
             const Buckets buckets = make_buckets(context, run);
             context.out.send(context.machine, buckets.kept);
             element = buckets.element;
           } else {
             context.out.send(context.machine, kept_before(context, scan, round));
           }
           scan.step(context, round, element,
                     [](std::span<const Word>, std::span<Word> before) { std::ranges::fill(before, 0); });
         });
  }
  /// What the machine kept in the round before, in front of the scan's own words.
  static std::span<const Word> kept_before(const Context& context, const mpc::ScanTree& scan,
                                           std::uint32_t round) {
    const std::span<const Word> own = context.from(context.machine);
    const std::uint64_t tail = scan.own_tail_words(context.machine, round - 1);
    mpc::expect_received(own.size() >= tail);
    return own.first(own.size() - tail);
  }
  mpc::ScanTree scan_tree(const LayerRun& run, MachineId machine, const mpc::Combine& combine) const {
    const auto leaves = static_cast<std::uint32_t>(run.plan.scan_machines);
    const auto first = static_cast<MachineId>(run.first_scan + run.scan_group(machine) * leaves);
    return {{run.plan.scan_fan, run.plan.scan_depth, first, leaves}, run.element_words(), combine};
  }

  void return_sums(const LayerRun& run) {
    then("return", 1, scan_scratch_, [this, &run](const Context& context, std::uint32_t) {
      if (home(context.machine)) return context.out.send(context.machine, context.inbox.words());
      if (!run.scans(context.machine)) return;
      std::span<const Word> kept, before;
      if (run.plan.scan_depth == 0) {
        kept = make_buckets(context, run).kept;
      } else {
        const mpc::Combine unused;
        const mpc::ScanTree scan = scan_tree(run, context.machine, unused);
        kept = kept_before(context, scan, 2 * run.plan.scan_depth + 1);
        before = scan.result(context).first(run.element_words());
      }
      const std::uint64_t table = run.scan_group(context.machine) / run.plan.heads;
      const std::span<Word> sum = context.take(run.sum.numbers());
      const std::span<Word> result = context.take(1 + run.sum.most_words());
      mpc::expect_received(kept.size() >= run.plan.code_words);
      const bool goes_on =
          !before.empty() && (before[0] & LayerRun::kHasRecords) != 0 &&
          std::ranges::equal(kept.first(run.plan.code_words), before.subspan(1, run.plan.code_words));
      std::span<const Word> rest = kept.subspan(run.plan.code_words);
      for (bool first = true; !rest.empty(); first = false) {
        mpc::expect_received(rest.size() >= 2);
        const Word queries = rest[0];
        Word count = rest[1];
        rest = rest.subspan(2);
        if (queries == 0) continue;
        std::ranges::fill(sum, 0);
        rest = rest.subspan(run.sum.read(rest, [&](std::uint32_t column, const Word* number) {
          std::copy_n(number, run.sum.number().words(),
                      &sum[std::uint64_t{column} * run.sum.number().words()]);
        }));
        mpc::expect_received(queries <= rest.size());
        if (first && goes_on) {
          count += before[run.count_at()];
          run.add_numbers(sum.data(), &before[run.sum_at()]);
        }
        if (count > 0) {
          const std::span<const Word> message = result.first(1 + run.sum.put_numbers(sum.data(), &result[1]));
          for (const Word token : rest.first(queries)) {
            const std::uint64_t block = token / plan_.block_tokens;
            result[0] = (token - first_token(block)) << count_bits() | count;
            context.out.send(run.copy(table, block), message);
          }
        }
        rest = rest.subspan(queries);
      }
    });
  }

  void add_over_tables(const LayerRun& run) {
    then("add over tables", run.plan.copy_depth, block_scratch_,
         [this, &run](const Context& context, std::uint32_t round) {
           const std::uint64_t table = context.machine / plan_.blocks;
           const std::uint64_t block = context.machine % plan_.blocks;
           std::uint64_t receivers = 1;  // tables below this stay
           for (std::uint32_t r = round; r < run.plan.copy_depth; ++r) receivers *= plan_.copies_a_round + 1;
           if (table >= std::min<std::uint64_t>(receivers * (plan_.copies_a_round + 1), run.plan.tables))
             return;
           if (table == 0) {
             const std::span<const Word> own = context.from(context.machine);
             context.out.send(context.machine, own.first(rows_length(run, block, own)));
           }
           const State state = collect(context, run, round == 1);
           const std::span<Word> message = context.take(state.counts.size() * (1 + run.sum.most_words()));
           Word* next = message.data();
           for (std::uint64_t cell = 0; cell < state.counts.size(); ++cell) {
             *next++ = state.counts[cell];
             if (state.counts[cell] == 0) continue;
             next += run.sum.put_numbers(state.sums.data() + cell * run.sum.numbers(), next);
           }
           context.out.send(run.copy(table % receivers, block),
                            message.first(static_cast<std::size_t>(next - message.data())));
         });
  }

  void deliver() {
    then("deliver", 1, block_scratch_, [this](const Context& context, std::uint32_t) {
      if (!home(context.machine)) return;
      const NumberWire number(plan_.word_bits, plan_.output_words * plan_.word_bits);
      const std::span<Word> row = context.take(std::uint64_t{plan_.output_dimension} * number.words());
      update_rows(context, *layers_.back(), [&](std::uint64_t token, std::span<const Entry> entries) {
        std::ranges::fill(row, 0);
        for (const Entry& entry : entries) {
          require(std::fabs(entry.value) < 0x1p53 && entry.value == std::trunc(entry.value),
                  "token {}: column {} of the last row is {}; a protocol delivers integers below 2^53", token,
                  entry.column, entry.value);
          number.put(static_cast<WideInteger>(entry.value),
                     &row[std::uint64_t{entry.column} * number.words()]);
        }
        for (std::uint64_t i = 0; i < row.size(); ++i) context.out.deliver(token * row.size() + i, row[i]);
      });
    });
  }

  anna::Model model_;
  DecompilePlan plan_;
  std::uint32_t token_bits_ = 0;
  std::uint64_t block_scratch_ = 0, scan_scratch_ = 0;
  std::vector<std::unique_ptr<LayerRun>> layers_;
};

}  // namespace

std::unique_ptr<const mpc::Protocol> decompile(const anna::Model& model, const mpc::Parameters& parameters,
                                               const DecompileOptions& options) {
  return std::make_unique<Decompiled>(model, plan_decompile(model, parameters, options));
}

anna::Embedding decompiled_rows(const DecompilePlan& plan, std::span<const mpc::Word> outputs) {
  const NumberWire number(plan.word_bits, plan.output_words * plan.word_bits);
  require(outputs.size() == plan.tokens * plan.output_dimension * number.words(),
          "{} output words are not {} rows of {} numbers", outputs.size(), plan.tokens,
          plan.output_dimension);
  auto rows = anna::Embedding::with_dimension(plan.output_dimension);
  std::vector<Entry> entries;
  const Word* next = outputs.data();
  for (std::uint64_t token = 0; token < plan.tokens; ++token) {
    entries.clear();
    for (std::uint32_t column = 0; column < plan.output_dimension; ++column, next += number.words())
      entries.push_back({column, static_cast<double>(number.get(next))});
    rows.append_row(entries);
  }
  return rows;
}

Compiled compile_model(const anna::Model& model, const mpc::Parameters& parameters,
                       const CompileOptions& options) {
  const DecompileOptions words{.word_bits = 48, .input_bits = {}, .name = options.name};
  Compiled compiled =
      compile(std::shared_ptr<const mpc::Protocol>(decompile(model, parameters, words)), options);
  std::vector<Pass> passes = decompile_passes(plan_decompile(model, parameters, words));
  std::ranges::move(compiled.passes, std::back_inserter(passes));
  compiled.passes = std::move(passes);
  return compiled;
}

DecompiledRun run_decompiled(const anna::Model& model, std::span<const mpc::Word> input,
                             const mpc::Parameters& parameters, const DecompileOptions& options) {
  DecompiledRun result{plan_decompile(model, parameters, options), {}, {}};
  const Decompiled protocol(model, result.plan);
  const auto transport = mpc::make_in_process_transport();
  result.run = mpc::run(protocol, input, *transport);
  result.rows = decompiled_rows(result.plan, result.run.outputs);
  return result;
}

}  // namespace roundtrip::simulate
