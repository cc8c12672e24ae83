// Purpose: the round exchange. The streams of runs that the machines have written are swapped; bucket by
// bucket, while caches hold its streams, a counting sort by destination machine makes the inboxes, which are
// views into one buffer. A steady round allocates nothing: the dead inboxes' buffer takes the new ones.
//
// A long message of a machine to itself (a self message) stays where it is, in the buffer of an older inbox or
// of self messages that were new in their round, as long as at least half of that buffer is such words; then
// what is left of it is copied, so that buffers take at most twice the words in them. An inbox has one such
// message at most.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "roundtrip/base/ensure.h"
#include "roundtrip/mpc/protocol.h"
#include "roundtrip/mpc/runtime/buffer.h"
#include "roundtrip/mpc/runtime/placement.h"
#include "roundtrip/mpc/runtime/streams.h"
#include "roundtrip/mpc/transport.h"

namespace roundtrip::mpc {

class Exchange {
 public:
  Exchange(const Shape& shape, std::uint64_t limit_words, Transport& transport);

  /// The machines hosted here.
  MachineId first_machine() const { return first_; }
  std::uint32_t machines() const { return count_; }

  /// Collective: hands rank 0's input to the machines as their inboxes of round 1.
  void scatter_input(std::span<const Word> input);
  Inbox inbox(MachineId machine) const;
  /// Instead of scatter_input: a machine's inbox as it was, for the machines hosted here in order.
  void restore(MachineId machine, std::span<const RunHeader> headers, std::span<const Word> words);

  /// Where the machines hosted here write what they send in a round.
  Streams& streams() { return streams_; }

  /// What a rank tells all others along with its counts; kShared is the exchange's own.
  static constexpr std::uint64_t kFailed = 1, kStop = 2, kShared = 4;
  /// Collective: swaps the streams unless any rank raises kFailed; returns the flags that any rank raised.
  std::uint64_t swap(std::uint64_t flags);

  /// A machine's count of received words, or output word, that breaks a rule.
  struct Finding {
    MachineId machine;
    std::uint64_t value;
  };
  /// What the receiving machines of a round got.
  struct Received {
    std::uint64_t max_words = 0;
    std::optional<Finding> overload;  ///< first machine with more than the limit; its inbox is not made
    std::optional<Finding> duplicate_output;  ///< first output word delivered twice
    std::optional<Finding> missing_output;    ///< first output word not delivered
  };
  /// After swap() in rounds before the last: sorts the streams into the inboxes.
  Received fill_inboxes();
  /// After swap() in the last round: puts output words in order.
  Received fill_outputs();
  /// Collective: all output words on rank 0, nothing elsewhere.
  std::vector<Word> gather_outputs();

 private:
  /// Position of the next word and run of a machine among the inboxes' words and headers.
  struct Cursor {
    std::uint64_t word = 0;
    std::uint64_t run = 0;
  };
  using SelfMessage = Streams::SelfMessage;
  /// Where the self message of an inbox is; without words on most machines.
  struct InPlace {
    std::span<const Word> words = {};
    std::uint64_t begin = 0;     ///< position of its first word in the inbox
    std::uint64_t next_run = 0;  ///< the header after its run's
  };

  template <bool kLastRound, typename Visit, typename VisitSelf>
  void for_each_run(std::size_t bucket, Visit&& visit, VisitSelf&& visit_self) const;
  std::vector<SelfMessage>::iterator count(std::size_t bucket,
                                           std::vector<SelfMessage>::iterator self_message);
  void scatter(std::size_t bucket, bool large, std::vector<SelfMessage>::iterator self_message);
  void settle_self_messages();
  void shift_after_in_place();
  Buffer<Word> take_spare(std::uint64_t words);
  std::uint64_t first_output(int rank) const;

  const Shape shape_;
  const std::uint64_t limit_words_;
  Transport& transport_;
  const int rank_;
  const Placement placement_;
  const MachineId first_;
  const std::uint32_t count_;

  Streams streams_;
  Buffer<Word> received_;                              // streams that came by messages
  std::vector<std::span<const Word>> views_;           // streams by source rank, bucket
  std::vector<std::uint64_t> counts_out_, counts_in_;  // by rank: flags, sizes of its streams
  std::vector<Transport::SendPiece> send_pieces_;
  std::vector<Transport::ReceivePiece> receive_pieces_;
  bool others_read_ = false;  // streams in shared memory, until all ranks are done with this round's

  std::vector<InPlace> in_place_;      // by machine hosted here; empty if no inbox has a self message
  std::vector<Buffer<Word>> older_;    // that hold self messages
  std::vector<Buffer<Word>> leaving_;  // whose self messages are being copied
  std::vector<Buffer<Word>> spare_;    // empty ones
  mutable std::vector<Word> whole_;    // an inbox whose reader wants its words contiguous
  Buffer<Word> inbox_words_;
  Buffer<RunHeader> inbox_headers_;
  // [0] and, after a fill, the end of machine m's inbox at [m + 1].
  std::vector<Cursor> cursors_;
  std::vector<Word> outputs_;  // of the machines hosted here
};

inline Inbox Exchange::inbox(MachineId machine) const {
  ensure_debug(machine - first_ < count_, "the inbox of a machine that is on another rank");
  const Cursor& begin = cursors_[machine - first_];
  const Cursor& end = cursors_[machine - first_ + 1];
  const auto headers = inbox_headers_.span().subspan(begin.run, end.run - begin.run);
  const auto words = inbox_words_.span().subspan(begin.word, end.word - begin.word);
  if (in_place_.empty() || in_place_[machine - first_].words.empty()) return {headers, words};
  const InPlace& in_place = in_place_[machine - first_];
  whole_.clear();
  return {headers, words, in_place.words, in_place.begin, &whole_};
}

}  // namespace roundtrip::mpc
