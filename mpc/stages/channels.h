// Purpose: messages of several kinds in one round, a machine's state among them. A message is one word that says its
// channel and its length, and then its words; it costs one word more than they do.
#pragma once

#include <cstdint>
#include <span>

#include "roundtrip/mpc/stages/composition.h"

namespace roundtrip::mpc {

/// A kind of messages, 0 .. 255, of up to 2^32 - 1 words each. All that machines send in a round must go by channels if any does.
class Channel {
 public:
  explicit constexpr Channel(std::uint8_t number) : number_(number) {}

  /// Sends the words, which may be none, as one message: 1 + words.size() words.
  void send(const Context& context, MachineId machine, std::span<const Word> words) const {
    context.out.send(machine, Word{number_} << kLengthBits | words.size());
    context.out.send(machine, words);
  }
  /// In the next step: calls each(source, words) for this channel's messages, by source and then in the order sent.
  template <typename Each>
  void for_each(const Context& context, const Each& each) const {
    for (const Run run : context.inbox) {
      for (std::size_t i = 0; i < run.words.size();) {
        const Word head = run.words[i++];
        const std::uint64_t length = head & ((Word{1} << kLengthBits) - 1);
        expect_received(length <= run.words.size() - i);
        if (head >> kLengthBits == number_) each(run.source, run.words.subspan(i, length));
        i += length;
      }
    }
  }

 private:
  static constexpr std::uint32_t kLengthBits = 32;
  std::uint8_t number_;
};

}  // namespace roundtrip::mpc
