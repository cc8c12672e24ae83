// Purpose: protocols as programs of the step language (tape.h), which exist twice by one source: run() steps them like
// any other protocol, and simulate/weights turns them into explicit weights. A program says of every round what a machine
// computes, what it keeps, and what it sends where.
//
//   class Total final : public Program {
//    public:
//     explicit Total(const Shape& shape) : Program(shape) {       // N words of p_in bits, on machines of b
//       Affine sum;
//       for (std::uint32_t i = 0; i < shape.block_words; ++i) sum += received(i);
//       send("to machine 0", {{sum, limit}}, [](MachineId) { return 1; },
//            [](MachineId m, std::uint32_t) { return Place{0, m}; }, shape.machines);
//       ..
//       deliver({{total, limit}}, [](MachineId m) { return m == 0 ? 1 : 0; }, [](MachineId, std::uint32_t) { return 0; });
//     }
//   };
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "roundtrip/mpc/program/tape.h"
#include "roundtrip/mpc/protocol.h"

namespace roundtrip::mpc {

/// Problem:   a protocol whose steps are tapes. The inbox of a round is an array of slots, each with a word or 0.
/// Guarantee: a step is defined on every inbox: a word beyond its limit is cut to it, a missing one is 0. Two words for one
///            slot, a slot that there is not, and more routed words than slots end it (MalformedInbox).
/// Cost:      a machine sends what it keeps to itself: K words, and F more; it receives K words and the round's slots.
class Program : public Protocol {
 public:
  /// A word: min(limit, max(0, value)); limit < 2^53.
  struct Out {
    Tape::Expression value;
    std::int64_t limit;
  };
  struct Place {
    std::uint32_t destination;  ///< machine; of the last round, output index
    std::uint32_t slot;         ///< of its next inbox; no other word of the round has the place
  };
  /// An addressed word is for machine address - 1, or for none if the address is 0. No machine may get two of a list.
  struct List {
    Out address;
    std::vector<Out> words;  ///< to consecutive slots; those of the lists follow each other
  };
  struct Round {
    Round(std::uint32_t kept_words, std::uint32_t slots_before)
        : tape(kept_words + slots_before), kept(kept_words) {}
    std::string name;    ///< of what it sends
    Tape tape;           ///< inputs: what was kept, then the slots
    std::uint32_t kept;  ///< of the inputs
    std::uint32_t active =
        0;  ///< machines 0 .. active - 1 step; to the others nothing is sent that they would have to read
    std::vector<Out> keep;  ///< what the next round finds
    // Fixed sends: words 0 .. count(machine) - 1, each to its place; no function of the input.
    std::vector<Out> words;
    std::function<std::uint32_t(MachineId)> count;
    std::function<Place(MachineId, std::uint32_t)> place;
    // Or addressed ones.
    std::vector<List> lists;
    // Or routed ones: any number for a machine that fits its slots, which hold the words in descending order.
    std::vector<List> records;  ///< of one word each, which is not 0
    std::uint32_t slots = 0;    ///< of the next inbox
  };

  const Shape& shape() const final { return shape_; }
  const std::vector<Round>& rounds() const { return rounds_; }
  void step(const Step& step, const Inbox& inbox, Outbox& outbox) const final;

 protected:
  /// `shape` but for rounds, scratch, heap and the width of words. The first round's slots are the machine's b input words.
  explicit Program(const Shape& shape);

  struct Value {
    Affine value;
    std::int64_t limit;
  };
  struct Addressed {
    Addressed(Value to, std::vector<Value> sent) : address(std::move(to)), words(std::move(sent)) {}
    Value address;
    std::vector<Value> words;
  };
  /// The tape of the round that is being recorded; its inputs, and what ends it. send(), send_addressed() and deliver()
  /// end the round; deliver() is the last.
  Tape& tape() { return rounds_.back().tape; }
  Affine kept(std::uint32_t number) { return tape().input(number); }
  Affine received(std::uint32_t slot) { return tape().input(rounds_.back().kept + slot); }
  /// From this round on the first so many machines alone step, all others are idle. Where there come to be more, nothing is
  /// kept from the round before.
  void active(std::uint32_t machines);
  void keep(const Affine& value, std::int64_t limit) { rounds_.back().keep.push_back(out({value, limit})); }
  void send(std::string name, const std::vector<Value>& words, std::function<std::uint32_t(MachineId)> count,
            std::function<Place(MachineId, std::uint32_t)> place, std::uint32_t slots);
  void send_addressed(std::string name, const std::vector<Addressed>& lists);
  /// No machine is sent more than `slots` words.
  void send_routed(std::string name, const std::vector<Addressed>& records, std::uint32_t slots);
  void deliver(const std::vector<Value>& words, std::function<std::uint32_t(MachineId)> count,
               std::function<std::uint32_t(MachineId, std::uint32_t)> index);

 private:
  Out out(const Value& word);
  void next(std::string name, std::uint32_t slots);
  void begin(std::uint32_t slots);
  void receive(const Round& round, std::uint32_t number, MachineId machine, const Inbox& inbox,
               std::span<std::int64_t> inputs) const;

  Shape shape_;
  std::vector<Round> rounds_;
};

}  // namespace roundtrip::mpc
