// Purpose: the protocol that a transformer is, for the files that hold its passes (decompile.h says what it
// does). A pass that every kind of layer needs is in decompile.cpp; those of hashed, low-rank and softmax
// layers are in hashed.cpp, low_rank.cpp and softmax.cpp.
//
// Machines of a layer: copy t of block c is t C + c, copy 0 its home; then, in a hashed layer, the sort
// machines, M_s for each (table, head), and the scan machines, M_v for each. In a softmax layer copy t of
// block c weighs block t's keys for block c's queries. What a machine needs later it sends to itself, and it
// counts.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "roundtrip/anna/attention/kernel_attention.h"
#include "roundtrip/mpc/stages/composition.h"
#include "roundtrip/mpc/stages/sort.h"
#include "roundtrip/mpc/stages/tree_stages.h"
#include "roundtrip/simulate/decompile/codec.h"
#include "roundtrip/simulate/decompile/decompile.h"
#include "roundtrip/simulate/decompile/key_code.h"
#include "roundtrip/simulate/decompile/token_maps.h"

namespace roundtrip::simulate {

/// Adds numbers of `wire`, one behind another, to as many others.
inline void add_numbers(const NumberCodec& wire, std::span<mpc::Word> left,
                        std::span<const mpc::Word> right) {
  for (std::size_t i = 0; i < left.size(); i += wire.words()) wire.add(&left[i], &right[i]);
}
/// left += number.
inline void add_number(const NumberCodec& wire, WideInteger number, mpc::Word* left) {
  mpc::Word words[4];
  wire.put(number, words);
  wire.add(left, words);
}

/// The sort stage, with machines in front of it that keep what they have.
class SortBesideBlocks final : public mpc::Stage {
 public:
  struct Options {
    mpc::SortOptions sort;
    mpc::MachineId keepers;  ///< machines 0 .. keepers-1
  };
  explicit SortBesideBlocks(Options options) : sort_(std::move(options.sort)), keepers_(options.keepers) {}
  std::uint32_t rounds() const override { return sort_.rounds(); }
  void step(const mpc::Context& context, std::uint32_t round) const override {
    if (context.machine < keepers_) return context.out.send(context.machine, context.inbox.words());
    sort_.step(context, round);
  }
  std::uint64_t scratch_words() const override { return sort_.scratch_words(); }
  std::uint64_t result_scratch_words() const override { return rounds() > 0 ? 0 : sort_.scratch_words(); }
  const mpc::Sort& sort() const { return sort_; }

 private:
  mpc::Sort sort_;
  mpc::MachineId keepers_;
};

/// One layer and where its machines stand.
struct LayerRun {
  const DecompiledLayer& plan;
  const anna::Layer& layer;
  std::unique_ptr<const KeyCode> code;
  VectorCodec row, value, sum;  // sum: of a softmax layer T and S, 1 + m_v numbers
  NumberCodec score;            // of a softmax layer
  std::uint64_t blocks;         // C
  mpc::MachineId first_sort, first_scan;
  std::optional<anna::PositiveFeatures> features = {};  // of a low-rank layer
  const mpc::Broadcast* sums = nullptr;                 // a low-rank layer's last stage
  double softmax_scale = 0;                             // of a softmax layer

  mpc::MachineId copies() const { return static_cast<mpc::MachineId>(plan.tables * blocks); }
  mpc::MachineId copy(std::uint64_t table, std::uint64_t block) const {
    return static_cast<mpc::MachineId>(table * blocks + block);
  }
  std::uint64_t groups() const { return std::uint64_t{plan.tables} * plan.heads; }
  bool scans(mpc::MachineId machine) const {
    return machine >= first_scan && machine - first_scan < groups() * plan.scan_machines;
  }
  /// Number of (table, head), H table + head, of a sort or scan machine.
  std::uint64_t sort_group(mpc::MachineId machine) const {
    return (machine - first_sort) / plan.sort.machines;
  }
  std::uint64_t scan_group(mpc::MachineId machine) const {
    return (machine - first_scan) / plan.scan_machines;
  }

  // A scan element: flags, code of the last bucket, count and sum of that bucket's keys.
  static constexpr mpc::Word kHasRecords = 1, kOneBucket = 2;
  std::uint64_t element_words() const { return 1 + plan.code_words + 1 + sum.numbers(); }
  std::uint64_t count_at() const { return 1 + plan.code_words; }
  std::uint64_t sum_at() const { return 2 + plan.code_words; }
  void combine(std::span<mpc::Word> left, std::span<const mpc::Word> right) const;
};

/// The rows of a block: number within the block, row.
using VisitRow = std::function<void(std::uint64_t, const anna::RowView&)>;
/// Next rows: token, entries.
using VisitNext = std::function<void(std::uint64_t, std::span<const anna::Entry>)>;

class Decompiled final : public mpc::Composition {
 public:
  Decompiled(anna::Model model, DecompilePlan plan);

 private:
  using Entry = anna::Entry;
  using Context = mpc::Context;
  using MachineId = mpc::MachineId;
  using Word = mpc::Word;
  using Numbers = std::span<const std::int32_t>;

  /// Sums and counts of the tokens of a block: [block tokens, heads], and as numbers [.., m_v].
  struct State {
    std::span<Word> counts, sums;
  };
  struct Buckets {
    std::span<const Word> kept, element;
  };

  void place_layer(std::size_t l);

  // ---- rows at home
  std::uint64_t first_token(std::uint64_t block) const { return block * plan_.block_tokens; }
  std::uint64_t block_size(std::uint64_t block) const {
    return std::min(plan_.block_tokens, plan_.tokens - first_token(block));
  }
  bool home(MachineId machine) const { return machine < plan_.blocks; }
  /// Visits the tokens of an encoded block; returns its length in words.
  std::uint64_t for_each_row(const Context& context, const LayerRun& run, std::uint64_t block,
                             std::span<const Word> rows, const VisitRow& visit) const;
  std::uint64_t rows_length(const LayerRun& run, std::uint64_t block, std::span<const Word> words) const;
  /// In the first step of a layer, at home: the rows of the block, made of what the layer before left.
  std::span<const Word> new_rows(const Context& context, const LayerRun& run) const;
  /// At home, behind a layer: heads meet.
  void update_rows(const Context& context, const LayerRun& run, const VisitNext& visit) const;
  /// The vector of a head's query or key: computed, or listed and then written to `room`.
  static Numbers vector_of(const LayerRun& run, const TokenHeads& token, std::uint32_t head, bool query,
                           std::span<std::int32_t> room);

  // ---- passes of every kind of layer
  void input_to_blocks();
  void copy_rows(const LayerRun& run);
  void deliver();

  // ---- passes of a hashed layer
  void hash(const LayerRun& run);
  const SortBesideBlocks& sort(const LayerRun& run);
  void fetch_values(const LayerRun& run, const SortBesideBlocks& sorted);
  void scan_buckets(const LayerRun& run);
  void return_sums(const LayerRun& run);
  void add_over_tables(const LayerRun& run);

  void put_record(const LayerRun& run, const TokenHeads& token, std::uint64_t number, std::uint64_t table,
                  std::uint32_t head, bool query, std::span<Word> out) const;
  std::uint64_t token_of(Word tie) const { return tie & ((Word{1} << token_bits_) - 1); }
  bool is_query(Word tie) const { return (tie >> token_bits_ & 1) != 0; }
  void ask(const Context& context, const LayerRun& run, const mpc::Sort& sorted) const;
  void answer(const Context& context, const LayerRun& run) const;
  std::uint64_t kept_words(const LayerRun& run) const;
  Buckets make_buckets(const Context& context, const LayerRun& run) const;
  mpc::ScanTree scan_tree(const LayerRun& run, MachineId machine, const mpc::Combine& combine) const;
  State empty_state(const Context& context, const LayerRun& run, std::uint64_t block) const;
  std::uint64_t add_sum(const LayerRun& run, const State& state, std::uint64_t cell,
                        std::span<const Word> words) const;
  State collect(const Context& context, const LayerRun& run, bool results) const;
  std::uint32_t count_bits() const { return token_bits_ + 1; }  // of a count in one table: at most N'
  void update_hashed(const Context& context, const LayerRun& run, const VisitNext& visit) const;

  // ---- passes of a low-rank layer
  void sums_up_and_down(LayerRun& run);
  void add_keys(const Context& context, const LayerRun& run, std::span<Word> element) const;
  void update_low_rank(const Context& context, const LayerRun& run, const VisitNext& visit) const;

  // ---- passes of a softmax layer
  void copy_keys(const LayerRun& run);
  void largest_up(const LayerRun& run);
  void largest_down(const LayerRun& run);
  void weighted_sums_up(const LayerRun& run);
  struct Pair;  // softmax.cpp
  Pair pair_of(const Context& context, const LayerRun& run) const;
  /// The numbers on their way that have come, combined; what a machine has from itself begins with rows.
  std::span<const Word> meet(const Context& context, std::size_t own_rows, std::uint64_t words,
                             const mpc::Combine& combine) const;
  std::uint64_t score_numbers(const LayerRun& run, std::uint64_t block) const {  // words
    return block_size(block) * run.plan.heads * run.score.words();
  }
  std::uint64_t sum_numbers(const LayerRun& run, std::uint64_t block) const {  // words
    return block_size(block) * run.plan.heads * run.sum.numbers();
  }
  static void keep_larger(const LayerRun& run, std::span<Word> left, std::span<const Word> right);
  std::span<std::int32_t> query_vectors(const Context& context, const LayerRun& run, const Pair& pair,
                                        TokenHeads& token) const;
  std::span<const Word> largest_scores(const Context& context, const LayerRun& run, const Pair& pair) const;
  std::span<const Word> weighted_sums(const Context& context, const LayerRun& run, const Pair& pair) const;
  void update_softmax(const Context& context, const LayerRun& run, const VisitNext& visit) const;

  anna::Model model_;
  DecompilePlan plan_;
  std::uint32_t token_bits_ = 0;
  std::uint64_t block_scratch_ = 0, scan_scratch_ = 0;
  std::vector<std::unique_ptr<LayerRun>> layers_;
};

}  // namespace roundtrip::simulate
