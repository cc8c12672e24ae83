// Purpose: the protocol interface. A protocol is a pure function of (round, machine, received messages) to
// messages, plus its declared shape. It keeps nothing between rounds but what it sends itself. The same
// object runs in process, under MPI and inside the element-wise maps of a compiled transformer.
//
// A message is one word. Its sequence is its index in the sender's whole output list of that round. The inbox
// is sorted by (source, sequence). Source, sequence and, in round R, the index of the output word come free
// of charge.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <memory_resource>
#include <span>
#include <vector>

#include "roundtrip/base/ensure.h"
#include "roundtrip/mpc/parameters.h"

namespace roundtrip::mpc {

class Streams;  // mpc/runtime/streams.h: where the runtime has the words of an outbox written

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
  /// As above, but `words` lack those from position `in_place_begin` on, which are in `in_place`: a long message
  /// of a machine to itself is not copied. `whole` is for a reader who asks for words on both sides of an end of
  /// `in_place`; it is empty, and belongs to this inbox until the next one is made.
  Inbox(std::span<const RunHeader> headers, std::span<const Word> words, std::span<const Word> in_place,
        std::size_t in_place_begin, std::vector<Word>* whole)
      : headers_(headers),
        words_(words),
        in_place_(in_place),
        in_place_begin_(in_place_begin),
        whole_(whole) {}

  std::size_t runs() const { return headers_.size(); }
  Run operator[](std::size_t i) const {
    ensure_debug(i < runs(), "a run that the inbox does not have");
    const std::size_t begin = run_begin(i);
    return {headers_[i].source, headers_[i].sequence, words(begin, run_begin(i + 1) - begin)};
  }
  Iterator begin() const { return {this, 0}; }
  Iterator end() const { return {this, headers_.size()}; }
  /// Words received.
  std::size_t size() const { return words_.size() + in_place_.size(); }
  bool empty() const { return size() == 0; }
  /// All words in (source, sequence) order.
  std::span<const Word> words() const { return words(0, size()); }
  /// `count` of them from position `begin` on; begin + count is at most size().
  std::span<const Word> words(std::size_t begin, std::size_t count) const {
    ensure_debug(begin <= size() && count <= size() - begin, "words that the inbox does not have");
    return in_place_.empty() ? words_.subspan(begin, count) : words_around_in_place(begin, count);
  }
  /// Source of run i, and the position of its first word; run_begin(runs()) is size().
  MachineId source(std::size_t i) const {
    ensure_debug(i < runs(), "the source of a run that the inbox does not have");
    return headers_[i].source;
  }
  std::size_t run_begin(std::size_t i) const {
    ensure_debug(i <= runs(), "the begin of a run that the inbox does not have");
    return i < headers_.size() ? headers_[i].begin - headers_[0].begin : size();
  }
  /// Whether these are words of the inbox itself, not copies.
  bool holds(std::span<const Word> words) const { return within(words, words_) || within(words, in_place_); }

 private:
  static bool within(std::span<const Word> part, std::span<const Word> all) {
    const std::less_equal<const Word*> before;
    return before(all.data(), part.data()) && before(part.data() + part.size(), all.data() + all.size());
  }
  std::span<const Word> words_around_in_place(std::size_t begin, std::size_t count) const;

  std::span<const RunHeader> headers_;
  std::span<const Word> words_;
  std::span<const Word> in_place_;
  std::size_t in_place_begin_ = 0;
  std::vector<Word>* whole_ = nullptr;
};

/// A destination and how many consecutive words go there: to a machine, or in the last round to this output
/// index and the ones after it.
struct Sending {
  std::uint32_t destination;
  std::uint32_t length;
};

/// What a machine sends in one round. Counts every word (self-messages included) and passes none on that
/// breaks a rule or follows one that did. Under the runtime, words go straight into the rank's streams;
/// elsewhere they are stored for whoever called the step. The caller asks for fault() after the step.
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

  /// Sends one word to machine `destination`; only in rounds 1..R-1.
  void send(MachineId destination, Word word);
  /// Sends consecutive words to machine `destination`; only in rounds 1..R-1.
  void send(MachineId destination, std::span<const Word> words);
  /// Delivers output word `index`; only in round R, each index exactly once over all machines.
  void deliver(std::uint64_t index, Word word);

  /// Empties the outbox (keeping its capacity) for the next machine. What follows is for who calls steps.
  void reset(const Limits& limits) {
    begin_round(limits, nullptr);
    begin(0, nullptr);
  }
  /// The same in two parts, for many machines with the same limits. Without `streams`, words are stored. With
  /// streams and `inbox` (whose words must be of p bits), long consecutive words of the inbox that `machine`
  /// sends to itself may stay where they are.
  void begin_round(const Limits& limits, Streams* streams);
  void begin(MachineId machine, const Inbox* inbox);
  /// Whether memory for the streams ran out, so that words are missing, even if the step caught the
  /// std::bad_alloc.
  bool exhausted() const;

  /// Words sent so far, also those beyond the limit; the sequence number of the next word.
  std::uint64_t sent() const { return sent_; }
  /// What is stored; nothing under the runtime.
  std::span<const Sending> sendings() const { return {sendings_.data(), sendings_used_}; }
  std::span<const Word> words() const { return {words_.data(), words_used_}; }
  /// Calls visit(destination, word) for each stored word in order, destination being an output index in the
  /// last round.
  template <typename Visit>
  void for_each_word(Visit&& visit) const {
    const Word* word = words_.data();
    for (const Sending& sending : sendings()) {
      for (std::uint32_t i = 0; i < sending.length; ++i, ++word) {
        visit(sending.destination + (limits_.last_round ? i : 0), *word);
      }
    }
  }
  const Limits& limits() const { return limits_; }
  /// The first rule broken, with its value (a word, a destination); kTooManyWords, with sent(), only if
  /// nothing else.
  Fault fault() const {
    return fault_ != Fault::kNone ? fault_ : sent_ > limits_.words ? Fault::kTooManyWords : fault_;
  }
  std::uint64_t fault_value() const { return fault() == Fault::kTooManyWords ? sent_ : fault_value_; }

 private:
  void store(std::uint32_t destination, std::span<const Word> words);
  void push(std::uint32_t destination, std::span<const Word> words, bool output);
  void set_fault(Fault fault, std::uint64_t value) {
    if (fault_ == Fault::kNone) fault_ = fault, fault_value_ = value;
    message_budget_ = output_budget_ = 0;
  }

  std::uint64_t sent_ = 0;
  std::uint64_t message_budget_ = 0;  // how far sent_ may go by messages into streams
  std::uint64_t output_budget_ = 0;   // how far by outputs
  std::uint64_t round_budget_ = 0;    // the budget of the round's kind when a machine begins
  Word wide_ = 0;                     // bits that a word may not have
  Streams* streams_ = nullptr;
  const Inbox* inbox_ = nullptr;
  MachineId machine_ = 0;
  Fault fault_ = Fault::kNone;
  Limits limits_;
  std::uint64_t fault_value_ = 0;
  // Equally many elements, the first ..._used_ of them in use: one check is enough for both.
  std::vector<Sending> sendings_;
  std::vector<Word> words_;
  std::size_t sendings_used_ = 0;
  std::size_t words_used_ = 0;
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
