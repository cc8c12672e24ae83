// Purpose: the protocol interface. A protocol is a pure function of (round, machine, received messages) to
// messages, plus its declared shape. It keeps nothing between rounds but what it sends itself. The same
// object runs in process, under MPI and inside the element-wise maps of a compiled transformer.
//
// A message is one word. Its sequence is its index in the sender's whole output list of that round. The inbox
// is sorted by (source, sequence). Source, sequence and, in round R, the index of the output word come free
// of charge.
#pragma once

#include <cstdint>
#include <memory_resource>
#include <span>
#include <vector>

#include "mpc/parameters.h"

namespace roundtrip::mpc {

/// A maximal run of consecutive sequence numbers from one source. Runs are canonical: two neighbouring runs
/// of one source never have adjacent sequence numbers, so where a sender happened to cut its output tells the
/// receiver nothing.
struct Run {
  MachineId source;
  std::uint32_t sequence;  ///< of words[0]
  std::span<const Word> words;
};

/// Where a run starts among the words of one inbox, counted (modulo 2^32) from any origin that the inbox's
/// headers share; its end is the next run's begin.
struct RunHeader {
  MachineId source;
  std::uint32_t sequence;
  std::uint32_t begin;
};

/// What a machine received in the last round: a view, sorted by (source, sequence). In round 1 it is the
/// machine's input block as one run from itself with sequence 0 (no run on a machine without input).
class Inbox {
 public:
  class Iterator {
   public:
    using value_type = Run;
    using difference_type = std::ptrdiff_t;
    Iterator() = default;
    Iterator(const Inbox* inbox, std::size_t index) : inbox_(inbox), index_(index) {}
    Run operator*() const { return (*inbox_)[index_]; }
    Iterator& operator++() { return ++index_, *this; }
    Iterator operator++(int) { return {inbox_, index_++}; }
    bool operator==(const Iterator&) const = default;

   private:
    const Inbox* inbox_ = nullptr;
    std::size_t index_ = 0;
  };

  Inbox() = default;
  /// Run 0 starts at words[0]; run i holds headers[i+1].begin - headers[i].begin words, the last one all that
  /// are left.
  Inbox(std::span<const RunHeader> headers, std::span<const Word> words) : headers_(headers), words_(words) {}

  std::size_t runs() const { return headers_.size(); }
  Run operator[](std::size_t i) const {
    const std::size_t end = i + 1 < headers_.size() ? offset(i + 1) : words_.size();
    return {headers_[i].source, headers_[i].sequence, words_.subspan(offset(i), end - offset(i))};
  }
  Iterator begin() const { return {this, 0}; }
  Iterator end() const { return {this, headers_.size()}; }
  /// All words in (source, sequence) order; size() is the number of words received.
  std::span<const Word> words() const { return words_; }
  bool empty() const { return words_.empty(); }

 private:
  std::uint32_t offset(std::size_t i) const { return headers_[i].begin - headers_[0].begin; }

  std::span<const RunHeader> headers_;
  std::span<const Word> words_;
};

/// A destination and how many words in a row go there: machine, or output index in the last round.
struct Sending {
  std::uint32_t destination;
  std::uint32_t length;
};

/// What a machine sends in one round. Counts every word (self-messages included) and stores none beyond the
/// limit. The caller (runtime or translator) asks `violation()` after the step.
class Outbox {
 public:
  struct Limits {
    std::uint64_t words = 0;         ///< most words that may be sent
    std::uint32_t word_bits = 48;    ///< p
    std::uint32_t destinations = 0;  ///< machines, or outputs in the last round
    bool last_round = false;         ///< deliver() instead of send()
  };
  enum class Fault : std::uint8_t {
    kNone,
    kTooManyWords,
    kWideWord,
    kWrongDestination,
    kMessageAfterEnd,
    kEarlyOutput
  };

  /// Empties the outbox (keeping its capacity) for the next machine.
  void reset(const Limits& limits) {
    limits_ = limits;
    sendings_.clear();
    words_.clear();
    sent_ = 0;
    fault_ = Fault::kNone;
    fault_value_ = 0;
  }

  /// Sends one word to machine `destination`; only in rounds 1..R-1.
  void send(MachineId destination, Word word) { push(destination, {&word, 1}, false); }
  /// Sends words in a row to machine `destination`; only in rounds 1..R-1.
  void send(MachineId destination, std::span<const Word> words) { push(destination, words, false); }
  /// Delivers output word `index`; only in round R, each index exactly once over all machines.
  void deliver(std::uint64_t index, Word word) {
    push(index > 0xffffffffu ? 0xffffffffu : static_cast<std::uint32_t>(index), {&word, 1}, true);
  }

  /// Words sent so far, also those beyond the limit; the sequence number of the next word.
  std::uint64_t sent() const { return sent_; }
  std::span<const Sending> sendings() const { return sendings_; }
  std::span<const Word> words() const { return words_; }
  const Limits& limits() const { return limits_; }
  /// The first rule broken, with its value (a word, a destination); kTooManyWords, with sent(), only if
  /// nothing else.
  Fault fault() const {
    return fault_ != Fault::kNone ? fault_ : sent_ > limits_.words ? Fault::kTooManyWords : fault_;
  }
  std::uint64_t fault_value() const { return fault() == Fault::kTooManyWords ? sent_ : fault_value_; }

 private:
  void push(std::uint32_t destination, std::span<const Word> words, bool output) {
    if (words.empty()) return;
    if (output != limits_.last_round)
      set_fault(output ? Fault::kEarlyOutput : Fault::kMessageAfterEnd, destination);
    if (destination >= limits_.destinations) set_fault(Fault::kWrongDestination, destination);
    Word all = 0;
    for (const Word word : words) all |= word;
    if (all >> limits_.word_bits != 0) set_fault(Fault::kWideWord, all);
    sent_ += words.size();
    if (sent_ > limits_.words || fault_ != Fault::kNone) return;
    words_.insert(words_.end(), words.begin(), words.end());
    if (!output && !sendings_.empty() && sendings_.back().destination == destination) {
      sendings_.back().length += static_cast<std::uint32_t>(words.size());
    } else {
      sendings_.push_back({destination, static_cast<std::uint32_t>(words.size())});
    }
  }
  void set_fault(Fault fault, std::uint64_t value) {
    if (fault_ == Fault::kNone) fault_ = fault, fault_value_ = value;
  }

  Limits limits_;
  std::vector<Sending> sendings_;
  std::vector<Word> words_;
  std::uint64_t sent_ = 0;
  std::uint64_t fault_value_ = 0;
  Fault fault_ = Fault::kNone;
};

/// Which step is asked for. `scratch` is a bounded arena, empty at the start of every step; a step that takes
/// more than Shape::scratch_words from it breaks the model.
struct Step {
  std::uint32_t round;  ///< 1..R
  MachineId machine;    ///< 0..q-1
  std::pmr::memory_resource* scratch;
};

class Protocol {
 public:
  virtual ~Protocol() = default;
  virtual const Shape& shape() const = 0;
  /// One machine's computation in one round: a pure function of its arguments and the protocol's parameters.
  virtual void step(const Step& step, const Inbox& inbox, Outbox& outbox) const = 0;
};

}  // namespace roundtrip::mpc
