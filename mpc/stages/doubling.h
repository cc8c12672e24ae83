// Purpose: pointer doubling along lists and cycles, one push round a doubling. Every element has at most one
// next and at most one previous element, so an element tells its previous one 2^t back what lies 2^t ahead,
// and nobody is asked: no sort, no hot spot. Element i (from 0) lives on machine i div b.
//
//   stage      rounds            words in or out, at most
//   Doubling   1 + doublings     K + 4 b, or K and the links that a machine makes, two words each
//
// K are the words of `keep`.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <functional>
#include <span>
#include <utility>

#include "roundtrip/mpc/stages/composition.h"

namespace roundtrip::mpc {

class Doubling;

struct DoublingOptions {
  std::uint64_t elements;     ///< N
  std::uint64_t block_words;  ///< b
  std::uint32_t doublings;    ///< ceil(log2 L) to reach over lists or cycles of L elements
  /// Calls doubling.link() for links that this machine, an owner of elements or not, knows of; in the first step.
  std::function<void(const Context&, const Doubling& doubling)> links;
  /// The value of an element alone, at most N.
  std::function<Word(std::uint64_t element, bool has_next)> start;
  /// The values of 2^t consecutive elements and of the 2^t (or fewer, at a list's end) after them; at most N.
  std::function<Word(Word own, Word after)> combine;
  /// Words that this machine will still want after the stage, kept_words(machine) of them; called in the first step.
  std::function<std::span<const Word>(const Context&)> keep = {};
  std::function<std::uint64_t(MachineId)> kept_words = {};
  std::uint64_t load_scratch_words = 0;  ///< that links and keep take together
};

class Doubling final : public Stage {
 public:
  using Options = DoublingOptions;
  /// What a machine knows of its elements first, first + 1, ..: the element 2^doublings ahead plus 1, or 0 if
  /// the list ends before; and the values of that many elements combined.
  struct State {
    std::uint64_t first = 0;
    std::span<Word> next, previous, value;
  };

  explicit Doubling(Options options)
      : options_(std::move(options)), bits_(static_cast<std::uint32_t>(std::bit_width(options_.elements))) {}

  std::uint32_t rounds() const override { return 1 + options_.doublings; }
  void step(const Context& context, std::uint32_t round) const override;
  std::uint64_t scratch_words() const override {
    return std::max(4 * options_.block_words, options_.load_scratch_words);
  }
  std::uint64_t result_scratch_words() const override { return 4 * options_.block_words; }
  /// Width of the words that the stage sends.
  std::uint32_t word_bits() const { return 2 + 2 * bits_; }

  /// `next` comes after `element`. Two words.
  void link(const Context& context, std::uint64_t element, std::uint64_t next) const {
    send(context, kNext, element, next + 1);
    send(context, kPrevious, next, element + 1);
  }
  /// In the step after the stage. ContractError if two elements were linked to the same one.
  State result(const Context& context) const { return read(context, options_.doublings); }
  /// In the same step: what this machine kept.
  std::span<const Word> kept(const Context& context) const;

 private:
  enum Kind : Word { kNext, kPrevious, kOwn, kAfter };

  void send(const Context& context, Kind kind, std::uint64_t element, Word value) const {
    context.out.send(static_cast<MachineId>(element / options_.block_words),
                     Word{kind} << (2 * bits_) | element << bits_ | value);
  }
  State read(const Context& context, std::uint32_t doublings) const;

  Options options_;
  std::uint32_t bits_;  // of an element plus 1, or of a value
};

}  // namespace roundtrip::mpc
