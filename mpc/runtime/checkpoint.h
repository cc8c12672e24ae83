// Purpose: the state of a run at the end of a round, on disk: enough to go on with the next round on any
// number of ranks, to the same bytes. docs/checkpoints.md tells users how.
//
// A checkpoint is one file of inboxes for each rank that hosts machines, and a manifest, renamed into place
// once those are on disk: what the run is (protocol, parameters, shape, checksum of the input), the round,
// the ledger, and size and checksum of each file of inboxes. No manifest, no checkpoint. The last two are
// kept; older ones go only when the newer manifest is on disk.
//
// A manifest is two lines, "roundtrip-checkpoint VERSION" and the checksum (XXH3, 16 hexadecimal digits) of the
// rest, and the rest, a Boost.Serialization archive. It is opened only if the checksum is right, and even then no
// count in it is believed before it is compared with the bytes there are.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "roundtrip/mpc/parameters.h"

namespace roundtrip::mpc {

class Exchange;            // mpc/runtime/exchange.h
class Transport;           // mpc/transport.h
struct CheckpointOptions;  // mpc/runtime.h
struct Ledger;             // mpc/ledger.h

/// The checkpoints of one run. ContractErrors are the same on every rank.
class Checkpoints {
 public:
  /// Collective. Makes the directory, and locks it while this lives. Refused if it holds another run's
  /// checkpoints.
  Checkpoints(const CheckpointOptions& options, const Shape& shape, std::uint64_t limit_words,
              std::span<const Word> input, Transport& transport);
  ~Checkpoints();

  /// Collective. Loads the newest whole checkpoint; returns its round, or 0 when there is nothing to resume.
  /// The ledger's rounds up to there are then known on rank 0.
  [[nodiscard]] std::uint32_t resume(Exchange& exchange, Ledger& ledger);

  bool wanted() const;
  bool stop_wanted() const;
  bool due(std::uint32_t round) const;

  /// Collective. Writes the inboxes as they are after `round`, with the ledger of all ranks; returns false,
  /// and leaves no checkpoint, if any rank has `failed`.
  [[nodiscard]] bool write(std::uint32_t round, const Exchange& exchange, const Ledger& ledger, bool failed);

 private:
  struct Manifest;
  struct Piece;
  class Lock;
  using Identity = std::vector<std::pair<std::string, std::string>>;
  static std::string encode(Manifest& manifest);
  static Manifest decode(const std::string& bytes);
  Manifest parse(const std::string& bytes, std::uint32_t round) const;
  void load(const Manifest& manifest, std::uint32_t round, Exchange& exchange) const;
  Piece write_inboxes(std::uint32_t round, const Exchange& exchange) const;
  void remove_all_but(std::uint32_t newest, std::uint32_t other) const;

  const CheckpointOptions& options_;
  const Shape& shape_;
  const std::uint64_t limit_words_;
  Transport& transport_;
  Identity identity_;
  std::uint32_t last_ = 0;  // round of the newest whole checkpoint in options_.directory
  std::unique_ptr<Lock> lock_;
};

}  // namespace roundtrip::mpc
