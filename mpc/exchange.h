// Purpose: the round exchange. Machines' message lists are packed into streams of runs, one for each bucket
// of neighbouring destination machines; streams are swapped; a counting sort by destination machine makes the
// inboxes, which are views into one buffer. A bucket has so few machines that caches hold the ends of all
// their inboxes. A steady round allocates nothing: the dead inboxes' buffer takes the new ones.
//
// A stream to a rank on the same node is written into memory that this rank reads in its place; others, and
// those that outgrow this memory, go by messages.
//
// A long row of words that a machine sends to itself stays where it is, in the buffer of an older inbox or of
// rows that were new in their round, as long as at least half of that buffer is such words; then what is left
// of it is copied, so that buffers take at most twice the words in them. An inbox has one such row at most.
//
// Wire format. A header announces each run (words in a row from one source to one destination), which
// follows:
//   [8 bits: length | source | sequence | 16 bits: destination]
// with the source counted from the sending rank's first machine, the destination from the bucket's. A length
// that does not fit is sent as all ones, and whole in the next word; likewise, with zero in its place, that
// of a run with a kept row. If source and sequence don't fit into 40 bits, the source stands in a word of its
// own before the header. In the last round a run is a row of ascending outputs, all in the rank's first
// bucket:
//   [8 bits: length | 56 bits: first output, counted from the rank's]
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/divider.h"
#include "mpc/buffer.h"
#include "mpc/placement.h"
#include "mpc/protocol.h"
#include "mpc/transport.h"

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

  /// Appends a message list to the streams; sources ascend within a round.
  void pack(MachineId source, const Outbox& outbox) {
    if (outbox.sendings().empty()) return;
    outbox.limits().last_round ? pack_runs<true>(source, outbox) : pack_runs<false>(source, outbox);
  }

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
    std::uint64_t room() const { return static_cast<std::uint64_t>(limit - end); }
    void make_room(std::uint64_t words);
  };
  /// Position of the next word and run of a machine among the inboxes' words and headers.
  struct Cursor {
    std::uint64_t word = 0;
    std::uint64_t run = 0;
  };
  /// A row of words from machine `machine` (counted from first_) to itself.
  struct Kept {
    std::uint32_t machine;
    std::uint32_t begin;  ///< its place in the run
    const Word* words;    ///< null while in rows_, which may still grow
    std::uint64_t length;
    std::uint64_t place;  ///< in rows_
    bool stays = false;
  };
  /// Where the kept row of an inbox is; without words on most machines.
  struct Held {
    std::span<const Word> words = {};
    std::uint64_t begin = 0;     ///< its place in the inbox
    std::uint64_t next_run = 0;  ///< the header behind its run's
  };

  template <bool kLastRound>
  void pack_runs(MachineId source, const Outbox& outbox);
  const Word* pack_long_run(MachineId source, const Outbox& outbox, std::size_t i, Stream& stream,
                            Word header, std::uint64_t length, const Word* from);
  template <bool kLastRound, typename Visit, typename VisitKept>
  void for_each_run(Visit&& visit, VisitKept&& visit_kept) const;
  void clear_streams();
  void scatter();
  void settle_kept();
  void place_held();
  Buffer<Word> take_spare(std::uint64_t words);
  std::uint64_t first_output(int rank) const;

  const Shape shape_;
  const std::uint64_t limit_words_;
  Transport& transport_;
  const int rank_;
  const Placement placement_;
  const MachineId first_;
  const std::uint32_t count_;
  const unsigned bucket_bits_;    // of a destination machine's place in its bucket
  const std::size_t buckets_;     // of each rank
  const unsigned sequence_bits_;  // in a header
  const bool source_apart_;       // from the header
  const Divider machine_to_rank_, output_to_rank_;

  std::vector<Stream> sending_;                        // by destination rank, bucket
  Buffer<Word> received_;                              // streams that came by messages
  std::vector<std::span<const Word>> views_;           // streams by source rank, bucket
  std::vector<std::uint64_t> counts_out_, counts_in_;  // by rank: flags, sizes of its streams
  std::vector<Transport::SendPiece> send_pieces_;
  std::vector<Transport::ReceivePiece> receive_pieces_;
  bool others_read_ = false;  // streams in shared memory, until all ranks are done with this round's

  std::vector<Kept> kept_;             // of this round, machines ascending
  Buffer<Word> rows_;                  // of this round that are not in an inbox yet
  std::vector<Held> held_;             // by machine hosted here; empty if no inbox has a kept row
  std::vector<Buffer<Word>> older_;    // that hold kept rows
  std::vector<Buffer<Word>> leaving_;  // whose kept rows are being copied
  std::vector<Buffer<Word>> spare_;    // empty ones
  mutable std::vector<Word> whole_;    // an inbox whose reader wants its kept row in a row with the rest
  Buffer<Word> inbox_words_;
  Buffer<RunHeader> inbox_headers_;
  // [0] and, after a fill, the end of machine m's inbox at [m + 1].
  std::vector<Cursor> cursors_;
  std::vector<Word> outputs_;  // of the machines hosted here
};

inline Inbox Exchange::inbox(MachineId machine) const {
  const Cursor& begin = cursors_[machine - first_];
  const Cursor& end = cursors_[machine - first_ + 1];
  const auto headers = inbox_headers_.span().subspan(begin.run, end.run - begin.run);
  const auto words = inbox_words_.span().subspan(begin.word, end.word - begin.word);
  if (held_.empty() || held_[machine - first_].words.empty()) return {headers, words};
  const Held& held = held_[machine - first_];
  whole_.clear();
  return {headers, words, held.words, held.begin, &whole_};
}

}  // namespace roundtrip::mpc
