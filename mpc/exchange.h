// Purpose: the round exchange. Machines' message lists are packed into one stream of run headers and one of
// words for each destination rank; streams are swapped; a counting sort by destination machine makes the
// inboxes, which are views into one buffer. A steady round allocates nothing: the dead inboxes' buffer takes
// the new ones.
//
// A long row of words that a machine sends to itself stays where it is, in the buffer of an older inbox or in
// the own stream, as long as at least half of that buffer is such words; then what is left of it is copied,
// so that buffers take at most twice the words in them. An inbox has one such row at most.
//
// Wire format. One header of 8 bytes announces each run (words in a row from one source to one destination):
//   [0 | length | sequence | destination]   destination counted from the receiving rank's first machine
//   [1 | source machine]                    before the first run of each source
// A length that does not fit its field is sent as all ones there, and whole in the next header; likewise,
// with zero in the field, that of a run with a kept row. In the last round destinations are output indices
// and a run is a row of ascending ones.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "mpc/buffer.h"
#include "mpc/line.h"
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
  void pack(MachineId source, const Outbox& outbox);

  /// What a rank tells all others along with its counts.
  static constexpr std::uint64_t kFailed = 1, kStop = 2;
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
  /// A stream for, or from, one rank.
  struct Stream {
    Buffer<Word> headers;
    Buffer<Word> words;
  };
  struct StreamEnd {
    Word* header;
    Word* word;
    bool new_source;  ///< no run of this source is in the stream
  };
  struct View {
    std::span<const Word> headers;
    std::span<const Word> words;
  };
  /// Position of the next word and run of a machine among the inboxes' words and headers.
  struct Cursor {
    std::uint64_t word = 0;
    std::uint64_t run = 0;
  };
  /// Bits of the fields of a run header.
  struct Fields {
    unsigned destination;
    unsigned sequence;
    unsigned length;
  };

  /// A row of words from machine `machine` (counted from first_) to itself.
  struct Kept {
    std::uint32_t machine;
    std::uint32_t begin;  ///< its place in the run
    const Word* words;    ///< null while in this round's own stream, which may still grow
    std::uint64_t length;
    std::uint64_t place;  ///< in the own stream
    bool in_stream;
    bool stays = false;
  };
  /// Where the kept row of an inbox is; without words on most machines.
  struct Held {
    std::span<const Word> words = {};
    std::uint64_t begin = 0;     ///< its place in the inbox
    std::uint64_t next_run = 0;  ///< the header behind its run's
  };

  /// Of one machine's inbox.
  struct Lines {
    Line<Word> words;
    Line<RunHeader> headers;
  };

  static Fields fields(std::uint64_t most_destinations, std::uint64_t most_words);
  template <bool kLastRound>
  void pack_runs(MachineId source, const Outbox& outbox);
  template <typename Visit, typename Ahead, typename VisitKept>
  void for_each_run(const Fields& layout, Visit&& visit, Ahead&& ahead, VisitKept&& visit_kept) const;
  void clear_streams();
  struct PlainSink;
  struct StagedSink;
  template <typename Sink>
  void scatter(Sink sink);
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
  const Fields message_fields_, output_fields_;
  const Divider machine_to_rank_, output_to_rank_;

  std::vector<Stream> sending_;                        // by destination rank
  std::vector<StreamEnd> ends_;                        // of these, while one machine's list is packed
  Buffer<Word> received_;                              // streams from the other ranks
  std::vector<View> views_;                            // by source rank
  std::vector<std::uint64_t> counts_out_, counts_in_;  // flag, headers, words; by rank
  std::vector<Transport::SendPiece> send_pieces_;
  std::vector<Transport::ReceivePiece> receive_pieces_;

  std::vector<Kept> kept_;             // of this round, machines ascending
  std::vector<Held> held_;             // by machine hosted here; empty if no inbox has a kept row
  std::vector<Buffer<Word>> older_;    // that hold kept rows
  std::vector<Buffer<Word>> leaving_;  // whose kept rows are being copied
  std::vector<Buffer<Word>> spare_;    // empty ones
  mutable std::vector<Word> whole_;    // an inbox whose reader wants its kept row in a row with the rest
  Buffer<Word> inbox_words_;
  Buffer<RunHeader> inbox_headers_;
  Buffer<Lines> lines_;  // by machine hosted here, while inboxes are scattered
  // [0] and, after a fill, the end of machine m's inbox at [m + 1]; then zeros up to the most that a header's
  // destination field holds.
  std::vector<Cursor> cursors_;
  std::vector<Word> outputs_;  // of the machines hosted here
};

}  // namespace roundtrip::mpc
