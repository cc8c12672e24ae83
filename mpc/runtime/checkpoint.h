// Purpose: the state of a run at the end of a round, on disk: enough to go on with the next round on any
// number of ranks, to the same bytes. docs/checkpoints.md tells users how.
//
// A checkpoint is one file of inboxes for each rank that hosts machines, and a manifest, renamed into place
// once those are on disk: what the run is (protocol, parameters, shape, checksum of the input), the round,
// the ledger, and size and checksum of each file of inboxes. No manifest, no checkpoint. The last two are
// kept; older ones go only when the newer manifest is on disk.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "roundtrip/mpc/parameters.h"

namespace roundtrip::mpc {

class Exchange;   // mpc/runtime/exchange.h
class Transport;  // mpc/transport.h
struct Ledger;    // mpc/runtime.h

struct CheckpointOptions {
  std::string directory{};  ///< where to write them, seen by all ranks; empty: nowhere
  std::uint32_t every = 1;  ///< rounds from one checkpoint to the next
  std::string resume{};     ///< directory to go on from; empty: start with round 1
  /// Names and values that make a run this run, beside its shape and input: a checkpoint of another is
  /// refused.
  std::vector<std::pair<std::string, std::string>> identity{};
  /// Once set on any rank, the run leaves at the end of the round, with a checkpoint.
  const std::atomic<bool>* stop = nullptr;
  std::function<void(const std::string& line)>
      warn{};  ///< called on rank 0: a checkpoint that could not be used
};

/// The checkpoints of one run. ContractErrors are the same on every rank.
class Checkpoints {
 public:
  /// Collective. Makes the directory, and locks it while this lives. Refused if it holds another run's
  /// checkpoints.
  Checkpoints(const CheckpointOptions& options, const Shape& shape, std::uint64_t limit_words,
              std::span<const Word> input, Transport& transport);
  ~Checkpoints();

  /// Collective. Loads the newest whole checkpoint; returns its round, or 0 when there is nothing to resume.
  /// The ledger's rounds up to there stand on rank 0.
  std::uint32_t resume(Exchange& exchange, Ledger& ledger);

  bool wanted() const { return !options_.directory.empty(); }
  bool stop_wanted() const {
    return options_.stop != nullptr && options_.stop->load(std::memory_order_relaxed);
  }
  bool due(std::uint32_t round) const { return round % options_.every == 0; }

  /// Collective. Writes the inboxes as they are after `round`, with the ledger of all ranks; returns false,
  /// and leaves no checkpoint, if any rank has `failed`.
  bool write(std::uint32_t round, const Exchange& exchange, const Ledger& ledger, bool failed);

 private:
  struct Manifest;
  struct Piece;
  class Lock;
  std::string encode(const Manifest& manifest) const;
  Manifest parse(const std::string& text, std::uint32_t round) const;
  void load(const Manifest& manifest, std::uint32_t round, Exchange& exchange) const;
  Piece write_inboxes(std::uint32_t round, const Exchange& exchange) const;
  void remove_all_but(std::uint32_t newest, std::uint32_t other) const;

  const CheckpointOptions& options_;
  const Shape& shape_;
  const std::uint64_t limit_words_;
  Transport& transport_;
  std::vector<std::pair<std::string, std::string>> identity_;
  std::uint32_t last_ = 0;  // round of the newest whole checkpoint in options_.directory
  std::unique_ptr<Lock> lock_;
};

}  // namespace roundtrip::mpc
