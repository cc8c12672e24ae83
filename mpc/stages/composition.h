// Purpose: how protocols are written: as a composition of stages. A stage is a number of rounds with a format
// of what it leaves in the inbox after its last round; the next stage reads that through a function given by
// the protocol, so local computation between stages costs no round. Nothing is kept in objects but plan
// constants computed from the shape.
//
//   class Maximum final : public Composition {
//    public:
//     explicit Maximum(const Parameters& parameters) {
//       ...
//       then<TreeReduce>("maximum", {...});
//       then("deliver", ...);
//     }
//   };
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <memory_resource>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "roundtrip/base/error.h"
#include "roundtrip/mpc/protocol.h"

namespace roundtrip::mpc {

/// A machine received what no run of its protocol sends. A compiled transformer that overflowed loses words,
/// so a step must be defined on any inbox: what it can't make sense of ends it with this.
class MalformedInbox : public Error {
 public:
  MalformedInbox();
};

/// What a step relies on in its inbox.
inline void expect_received(bool condition) {
  if (!condition) throw MalformedInbox();
}

/// One machine's view of one round.
struct Context {
  std::uint32_t round;  ///< of the whole protocol, 1..R
  MachineId machine;
  const Inbox& inbox;
  Outbox& out;
  std::pmr::memory_resource* scratch;

  /// Working memory of this step, uninitialised; the arena takes it back when the step ends.
  std::span<Word> take(std::size_t words) const {
    return {static_cast<Word*>(scratch->allocate(words * sizeof(Word), alignof(Word))), words};
  }
  /// Of the words from one source, in sequence order, `count` from position `begin` on, or as many as there are.
  std::span<const Word> from(MachineId source, std::size_t begin = 0,
                             std::size_t count = ~std::size_t{0}) const;
  /// The last `count` of them, or as many as there are.
  std::span<const Word> last_from(MachineId source, std::size_t count) const;
  /// How many words came from one source.
  std::size_t count_from(MachineId source) const;
  /// All words from the sources before that one, and from those after it.
  std::span<const Word> before(MachineId source) const;
  std::span<const Word> after(MachineId source) const;
};

class Stage {
 public:
  virtual ~Stage() = default;
  /// Rounds in which the stage sends; what the last one sent is in the inbox of the next stage's first step.
  virtual std::uint32_t rounds() const = 0;
  /// `round` is 1..rounds(), counted within the stage.
  virtual void step(const Context& context, std::uint32_t round) const = 0;
  /// Most words that a step takes from scratch, its input function included.
  virtual std::uint64_t scratch_words() const = 0;
  /// Most words that reading the stage's result takes from the scratch of the next stage's first step.
  virtual std::uint64_t result_scratch_words() const { return 0; }
};

/// A protocol as a sequence of stages: R is the sum of their rounds, scratch the most that any step takes.
/// Derived constructors set shape_ (all but rounds and scratch_words) first and then append stages.
class Composition : public Protocol {
 public:
  struct Phase {
    std::string name;
    std::uint32_t first_round;
    std::uint32_t rounds;
  };

  Composition() = default;
  Composition(const Composition&) = delete;  // stages refer to their protocol
  Composition& operator=(const Composition&) = delete;

  const Shape& shape() const final { return shape_; }
  void step(const Step& step, const Inbox& inbox, Outbox& outbox) const final;
  /// What the rounds are for, in order; for explanations.
  const std::vector<Phase>& phases() const { return phases_; }

 protected:
  /// Appends a stage and returns it, for the next one to read its result from.
  template <typename S>
  const S& then(std::string name, typename S::Options options) {
    auto stage = std::make_unique<S>(std::move(options));
    const S& reference = *stage;
    append(std::move(name), std::move(stage));
    return reference;
  }
  /// Appends `rounds` rounds of the protocol's own; `body` gets the round within them, from 1.
  void then(std::string name, std::uint32_t rounds, std::uint64_t scratch_words,
            std::function<void(const Context&, std::uint32_t)> body);

  Shape shape_;

 private:
  void append(std::string name, std::unique_ptr<const Stage> stage);

  std::vector<Phase> phases_;
  std::vector<std::unique_ptr<const Stage>> stages_;
  std::uint64_t pending_result_words_ = 0;  // scratch of results that the next step may read
};

/// kappa_s, b and s of a run.
struct Sizes {
  std::uint64_t kappa_s;
  std::uint64_t block_words;
  std::uint64_t memory_words;
  bool kappa_raised;
};

/// The user's kappa_s or else the protocol's default, raised to the least with which `has_plan` holds; a
/// function of (N, eps) and kappa alone. A protocol that states a delta passes it: s = kappa_s ceil(N^(eps +
/// delta)) then. With Parameters::memory_words nothing is raised, and s = kappa_s b whatever the delta: ContractError naming
/// S if there is no plan.
Sizes choose_sizes(const Parameters& parameters, std::uint64_t default_kappa_s,
                   const std::function<bool(const Sizes&)>& has_plan, const Rational& delta = Rational(0));

/// A shape of `outputs` outputs on exactly max(ceil(N / b), machines, output machines) machines, or
/// Parameters::machines if that is no less (ContractError otherwise). p = p_in = 48; nothing from the heap; rounds and
/// scratch are left to the composition.
Shape declare_shape(const Parameters& parameters, const Sizes& sizes, std::uint64_t outputs,
                    std::uint64_t machines);

}  // namespace roundtrip::mpc
