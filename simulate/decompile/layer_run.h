// Purpose: what the passes of every kind of layer share, for the files that hold them (layer_decompiler.h). Internal.
//
// Copy t of block c is machine t C + c, copy 0 the owner of the block; the machines of a kind's own follow. What a
// machine needs later it sends to itself, and it counts.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "roundtrip/mpc/stages/composition.h"
#include "roundtrip/simulate/decompile/codec.h"
#include "roundtrip/simulate/decompile/decompile.h"
#include "roundtrip/simulate/decompile/layer_decompiler.h"
#include "roundtrip/simulate/decompile/token_maps.h"

namespace roundtrip::simulate {

/// Adds numbers of `codec`, one after another, to as many others.
inline void add_numbers(const NumberCodec& codec, std::span<mpc::Word> left,
                        std::span<const mpc::Word> right) {
  for (std::size_t i = 0; i < left.size(); i += codec.words()) codec.add(&left[i], &right[i]);
}
/// left += number.
inline void add_number(const NumberCodec& codec, WideInteger number, mpc::Word* left) {
  mpc::Word words[4];
  codec.put(number, words);
  codec.add(left, words);
}

/// The rows of a block: number within the block, row.
using VisitRow = std::function<void(std::uint64_t, const anna::RowView&)>;
/// Next rows: token, entries.
using VisitNext = std::function<void(std::uint64_t, std::span<const anna::Entry>)>;

/// The protocol that a model is.
class Decompiled final : public mpc::Composition {
 public:
  Decompiled(anna::Model model, DecompilePlan plan);
  using Composition::shape_;
  using Composition::then;  // the layers append their passes

 private:
  void input_to_blocks();
  void deliver(std::uint64_t scratch_words);

  anna::Model model_;
  DecompilePlan plan_;
  std::vector<std::unique_ptr<LayerRun>> layers_;
};

/// What a layer's passes are made of; all outlive it.
struct LayerParts {
  const DecompilePlan& plan;
  std::size_t number;
  const anna::Layer& layer;
  const anna::Mechanism& mechanism;
  const LayerRun* before;  ///< the layer before; null: the input
};

/// One layer of a protocol.
class LayerRun {
 public:
  explicit LayerRun(const LayerParts& parts);
  virtual ~LayerRun() = default;
  LayerRun(const LayerRun&) = delete;
  LayerRun& operator=(const LayerRun&) = delete;

  /// Scratch memory of a step of the layer at a block's machines, in words; the protocol reserves the most over
  /// its layers.
  virtual std::uint64_t block_scratch_words() const;
  /// Appends the rounds of the layer. Their first step calls rows_in().
  virtual void append_passes(Decompiled& protocol, std::uint64_t block_scratch_words) = 0;
  /// After them, at an owner: the heads meet, and the tokens of the block get their next rows.
  virtual void update(const mpc::Context& context, const VisitNext& visit) const = 0;

  bool owner(mpc::MachineId machine) const { return machine < plan_.blocks; }

 protected:
  using Entry = anna::Entry;
  using Context = mpc::Context;
  using MachineId = mpc::MachineId;
  using Word = mpc::Word;
  using Numbers = std::span<const std::int32_t>;

  std::string id(const DecompilePhase& phase) const { return std::string(phase.id); }
  NumberCodec numbers(std::uint32_t words) const {
    return NumberCodec(plan_.word_bits, words * plan_.word_bits);
  }
  /// A copy of a block: number `table` of it, 0 the owner.
  struct Copy {
    std::uint64_t table, block;
  };
  /// How many a block has.
  std::uint64_t copies_of(std::uint64_t block) const { return triangle_ ? block + 1 : sizes_.copies; }
  MachineId copies() const { return copy(sizes_.copies, triangle_ ? sizes_.copies : 0); }
  MachineId copy(std::uint64_t table, std::uint64_t block) const {
    if (!triangle_) return static_cast<MachineId>(table * plan_.blocks + block);
    // Blocks 0 .. C - 1, then 1 .. C - 1, ..
    return static_cast<MachineId>(table * plan_.blocks - table * (table + 1) / 2 + block);
  }
  Copy copy_at(MachineId machine) const {
    if (!triangle_) return {machine / plan_.blocks, machine % plan_.blocks};
    std::uint64_t least = 0;  // the last table whose copies begin at or before the machine
    for (std::uint64_t most = plan_.blocks; most - least > 1;) {
      const std::uint64_t middle = (least + most) / 2;
      (copy(middle, middle) <= machine ? least : most) = middle;
    }
    return {least, machine - copy(least, 0)};
  }
  std::uint64_t first_token(std::uint64_t block) const { return block * plan_.block_tokens; }
  std::uint64_t block_size(std::uint64_t block) const {
    return std::min(plan_.block_tokens, plan_.tokens - first_token(block));
  }
  /// Visits the tokens of an encoded block; returns its length in words.
  std::uint64_t for_each_row(const Context& context, std::uint64_t block, std::span<const Word> rows,
                             const VisitRow& visit) const;
  std::uint64_t rows_length(std::uint64_t block, std::span<const Word> words) const;
  /// In the first step of the layer, at an owner: the rows of the block, made of what the layer before left.
  std::span<const Word> new_rows(const Context& context) const;
  /// The vector of a head's query or key: computed, or listed and then written to `buffer`.
  Numbers vector_of(const TokenHeads& token, std::uint32_t head, bool query,
                    std::span<std::int32_t> buffer) const;
  /// Pass: rows to the machines of all copies of their block, dc rounds.
  void copy_rows(Decompiled& protocol, const DecompilePhase& phase, std::uint64_t scratch_words) const;

  const DecompilePlan& plan_;
  const DecompiledLayer& sizes_;
  const anna::Layer& layer_;
  const LayerRun* const before_;
  const bool triangle_ = sizes_.triangle;
  const VectorCodec row_, value_, sum_;
};

}  // namespace roundtrip::simulate
