// Purpose: sorting on a line of machines that talk to their neighbours alone: easy to draw and to follow, and it
// needs no more memory than two blocks, at any N. For few rounds there is mpc/stages/sort.h.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "roundtrip/mpc/stages/composition.h"

namespace roundtrip::mpc {

/// Problem:   words w_0 .. w_{N-1} that are all different; machine i holds the b of ranks i b .. i b + b - 1.
/// Method:    odd-even merge-split. In round r machines i and i + 1 are partners where i + r is odd. Each sends its
///            block to both of them; the first then keeps the lower half of what came, the second the upper one. A
///            machine without a partner sends its block to itself.
/// Guarantee: exact and deterministic. By the 0-1 principle ceil(N / b) rounds do; a shorter last block is one
///            filled up with words that are larger than all.
/// Cost:      ceil(N / b) rounds; at most 2 b words sent and received by a machine; 2 b words of scratch.
/// Source:    Baudet, Stevenson 1978 (merge-split); the transposition sort of Habermann 1972.
class OddEvenSort final : public Stage {
 public:
  struct Options {
    std::uint64_t words;  ///< N
    std::uint64_t block;  ///< b
    /// Fills a machine's first block (of b words, fewer on the last machine) in the stage's first step.
    std::function<void(const Context&, std::span<Word> block)> load;
  };
  explicit OddEvenSort(Options options) : options_(std::move(options)) {}

  std::uint32_t rounds() const override {
    return static_cast<std::uint32_t>(ceil_div(options_.words, options_.block));
  }
  void step(const Context& context, std::uint32_t round) const override;
  std::uint64_t scratch_words() const override { return 2 * options_.block; }
  std::uint64_t result_scratch_words() const override { return 2 * options_.block; }

  /// In the step after the stage: the machine's block, ascending; nothing on a machine that has none.
  std::span<Word> result(const Context& context) const { return block(context, rounds() + 1); }
  /// Words of a machine's block.
  std::uint64_t count(MachineId machine) const;

 private:
  std::span<Word> block(const Context& context, std::uint32_t round) const;
  /// The lower machine of the pair that `machine` belongs to in `round`; `machine` itself if it has no partner.
  MachineId lower(MachineId machine, std::uint32_t round) const;
  bool paired(MachineId lower) const { return count(lower + 1) > 0; }

  Options options_;
};

}  // namespace roundtrip::mpc
