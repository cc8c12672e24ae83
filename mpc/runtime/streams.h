// Purpose: what the machines of a rank send in a round, as it goes to the ranks: one stream of runs for every
// bucket of neighbouring destination machines (a bucket has so few that caches hold the ends of all their
// inboxes, and there are so few buckets that they hold the ends of all streams). An outbox writes each
// message here as its machine sends it. A stream for a rank on the same node is in memory that this rank
// reads directly; others, and those that outgrow it, go by messages.
//
// A long message of a machine to itself (a self message) is in no stream and is not copied: if its words are in
// the machine's inbox they stay there, else they go to self_words(), and from then on stay there. A machine has
// one such message a round at most.
//
// Codec. A header announces each run (consecutive words from one source to one destination), which follows:
//   [8 bits: length | source | sequence | 16 bits: destination, modulo 2^16]
// with the source counted from the sending rank's first machine. A length that does not fit is sent as all
// ones, and whole in the next word; likewise, with zero in its field, that of a run with a self message. If
// source and sequence don't fit into 40 bits, the source has a word of its own before the header. In the last
// round a run is consecutive outputs, all in the rank's first bucket:
//   [8 bits: length | 56 bits: first output, counted from the rank's]
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "roundtrip/base/divider.h"
#include "roundtrip/base/ensure.h"
#include "roundtrip/mpc/parameters.h"
#include "roundtrip/mpc/runtime/buffer.h"
#include "roundtrip/mpc/runtime/placement.h"

namespace roundtrip::mpc {

class Transport;

/// Asks for a line that is about to be written. Unlike a prefetch for reading, it takes the line from another
/// core, such as one that has just read a stream.
inline void prefetch_for_writing(const Word* at) {
#if defined(__x86_64__)
  asm volatile("prefetchw %0" ::"m"(*at));  // compilers emit it for some processors only; none refuses it
#else
  __builtin_prefetch(at, 1);
#endif
}

class Streams {
 public:
  static constexpr unsigned kLengthBits = 8, kDestinationBits = 16;
  static constexpr unsigned kLengthShift = 64 - kLengthBits;
  /// Runs of so many words and more take a second word for their length: by then it weighs less than a
  /// hundredth of the words.
  static constexpr Word kLongLength = (Word{1} << kLengthBits) - 1;
  /// Messages of a machine to itself of so many words and more are not in the streams.
  static constexpr std::uint64_t kMinInPlace = 256;
  static_assert(kMinInPlace > kLongLength);  // runs with a self message are long ones

  /// A stream for one bucket: in memory shared with the bucket's rank as far as it goes, else in the buffer.
  struct Stream {
    Word* begin;
    Word* end;
    Word* limit;
    std::span<Word> shared;
    Buffer<Word> buffer;

    void clear() {
      begin = end = shared.empty() ? buffer.data() : shared.data();
      limit = begin + (shared.empty() ? buffer.capacity() : shared.size());
    }
    bool in_buffer() const { return begin == buffer.data(); }
    std::uint64_t size() const { return static_cast<std::uint64_t>(end - begin); }
    std::uint64_t free_words() const { return static_cast<std::uint64_t>(limit - end); }
    void reserve(std::uint64_t words);
  };
  /// Words from a machine to itself that are in no stream.
  struct SelfMessage {
    std::uint32_t machine;  ///< counted from the rank's first
    std::uint32_t begin;    ///< position of its first word in the run
    const Word* words;      ///< null while in self_words(), which may still grow
    std::uint64_t length;
    std::uint64_t position;  ///< in self_words()
    bool in_place = false;   ///< its words stay where they are, for the next inbox to refer to
  };

  Streams(const Shape& shape, std::uint64_t limit_words, const Placement& placement, Transport& transport);

  /// Empties all streams for another round's messages, or outputs.
  void clear();
  void begin_round(bool last_round) { last_round_ = last_round; }
  /// What follows is sent by this machine; machines ascend within a round.
  void begin(MachineId source) {
    source_ = source;
    middle_ = (source - first_) * source_unit_;
    expected_ = kNone;
  }
  /// Rounds before the last: consecutive words, one at least, the first with this sequence number.
  void append(MachineId destination, const Word* words, std::uint64_t length, std::uint64_t sequence) {
    ensure_debug(!last_round_ && length != 0, "a message of no words, or in the last round");
    if (destination == expected_ || length > max_short_) [[unlikely]]
      return append_more(destination, words, length, sequence);
    Stream& stream = stream_to(destination);
    Word* const end = stream.end;
    if (length >= stream.free_words()) [[unlikely]]
      return append_more(destination, words, length, sequence);
    stream.end = end + 1 + length;
    for (std::uint64_t i = 0; i < length; i += kWordsPerLine)
      prefetch_for_writing(end + 1 + length + kWordsPerLine + i);
    *end = length << kLengthShift | header(destination, sequence);
    length == 1 ? void(end[1] = *words) : copy_words(end + 1, words, length);
    expected_ = destination;
    run_ = end;
  }
  /// Likewise kMinInPlace words or more of the machine's inbox, to the machine itself.
  void append_in_place(std::span<const Word> words, std::uint64_t sequence);
  /// Last round: one output word.
  void append_output(std::uint32_t index, Word word) {
    ensure_debug(last_round_, "an output word before the last round");
    // Most often it makes a long run longer.
    if (index != expected_ || *run_ >> kLengthShift != kLongLength || run_stream_->free_words() == 0)
      return append_output_more(index, word);
    ++run_[1];
    *run_stream_->end++ = word;
    expect_output_after(index);
  }
  /// For a defect: forgets the machine's last run.
  void drop_run();
  /// Whether memory ran out, so that words are missing.
  bool exhausted() const { return exhausted_; }

  /// Of each rank, and all of them by destination rank, bucket.
  std::size_t buckets() const { return buckets_; }
  std::span<Stream> streams() { return streams_; }
  /// The part of a rank's shared memory that is for a bucket.
  std::span<Word> part(std::span<Word> memory, std::size_t bucket) const;
  std::span<const Word> part(std::span<const Word> memory, std::size_t bucket) const;
  std::vector<SelfMessage>& self_messages() { return self_messages_; }  ///< of this round, machines ascending
  Buffer<Word>& self_words() { return self_words_; }

  /// The layout of a header.
  unsigned bucket_bits() const {
    return bucket_bits_;
  }  ///< of a destination machine's position in its bucket
  unsigned sequence_bits() const { return sequence_bits_; }
  bool source_apart() const { return source_apart_; }

 private:
  static constexpr std::size_t kWordsPerLine = 64 / sizeof(Word);
  static constexpr std::uint64_t kHeaderWords = 3;  // of a run at most
  static constexpr std::uint64_t kNone = ~std::uint64_t{0};

  Stream& stream_to(MachineId destination) {
    ensure_debug(destination >> chunk_bits_ < stream_of_.size(), "a message to a machine that there is not");
    return streams_[stream_of_[destination >> chunk_bits_]];
  }
  /// Without the length.
  Word header(MachineId destination, std::uint64_t sequence) const {
    return middle_ | sequence << kDestinationBits | static_cast<std::uint16_t>(destination);
  }
  void append_more(MachineId destination, const Word* words, std::uint64_t length, std::uint64_t sequence);
  void append_output_more(std::uint32_t index, Word word);
  /// A run ends where its rank's outputs do.
  void expect_output_after(std::uint32_t index) {
    expected_ = std::uint64_t{index} + 1 == outputs_end_ ? kNone : std::uint64_t{index} + 1;
  }
  void open_run(Stream& stream, Word header);
  void reserve(std::uint64_t words);
  bool long_run() const;
  std::uint64_t run_length() const;
  void set_length(std::uint64_t length, bool has_self);
  void note_self_message(const SelfMessage& message);
  void append_to_run(const Word* words, std::uint64_t length, bool to_itself);
  /// The step may go on to send, but nothing makes the unfinished run longer.
  void note_exhausted() {
    exhausted_ = true;
    expected_ = kNone;
  }
  bool may_stay_in_place() const {
    return self_messages_.empty() || self_messages_.back().machine != source_ - first_;
  }

  const MachineId first_;
  const unsigned bucket_bits_;
  const std::size_t buckets_;
  const unsigned sequence_bits_;
  const bool source_apart_;
  const Word source_unit_;         // in a header
  const std::uint64_t max_short_;  // words of a run that append() writes itself
  const Divider output_to_rank_;
  const unsigned chunk_bits_;  // so many consecutive machines share a stream

  std::vector<Stream> streams_;
  std::vector<std::uint32_t> stream_of_;  // by chunk of destination machines
  std::vector<SelfMessage> self_messages_;
  Buffer<Word> self_words_;
  bool last_round_ = false;
  bool exhausted_ = false;

  // The machine that sends, and its latest run, which a message to the expected destination, or the expected
  // output, makes longer.
  MachineId source_ = 0;
  Word middle_ = 0;  // of its headers, without the sequence number
  std::uint64_t expected_ = kNone;
  Word* run_ = nullptr;            // its header
  Stream* run_stream_ = nullptr;   // which holds it; append() leaves that to append_more()
  std::uint64_t outputs_end_ = 0;  // of its rank's outputs
};

}  // namespace roundtrip::mpc
