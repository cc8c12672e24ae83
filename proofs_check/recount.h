// Purpose: the verifier's own counters. It sees every message list of a run and counts words, bits, steps and
// outputs for itself; the runtime's ledger is then a claim to be checked, not a source.
#pragma once

#include <cstdint>
#include <vector>

#include "roundtrip/mpc/runtime.h"

namespace roundtrip::proofs_check {

/// What a recount found, over all ranks. Tables are [round - 1][machine].
struct Trace {
  std::uint32_t rounds = 0;  ///< rounds in which some machine stepped
  std::vector<std::vector<std::uint64_t>> sent;
  std::vector<std::vector<std::uint64_t>> received;  ///< as counted at the senders
  std::vector<std::vector<std::uint64_t>> inbox;     ///< words that the machine was handed when it stepped
  std::vector<std::vector<std::uint64_t>> sent_to_itself;
  std::vector<std::vector<std::uint64_t>> prints;  ///< of message_print(), executor.h
  /// (round, machine) pairs that did not step exactly once, or after round R.
  std::uint64_t irregular_steps = 0;
  /// Not ascending by (source, sequence), or neighbouring runs not joined.
  std::uint64_t disordered_inboxes = 0;
  std::uint64_t stray_words = 0;          ///< words for a machine or output that does not exist
  std::uint32_t widest_bits = 0;          ///< of any word sent
  std::uint64_t input_mismatches = 0;     ///< machines whose first inbox is not their block of the input
  std::vector<std::uint64_t> deliveries;  ///< by output index: how often it was delivered
  std::vector<mpc::Word> outputs;         ///< by output index: the sum of the words delivered

  std::uint64_t max_sent() const;
  std::uint64_t max_received() const;
  /// (round, machine) pairs that were handed other than what was sent to them a round earlier.
  std::uint64_t unconserved() const;
  /// The ledger that this trace implies (without scratch, which messages don't show).
  mpc::Ledger ledger() const;
};

/// Counts during one run. Construct it from sizes that the verifier has computed itself.
class Recount : public mpc::Observer {
 public:
  struct Sizes {
    std::uint64_t block_words = 0;  ///< b
    std::uint32_t machines = 0;     ///< q
    std::uint32_t rounds = 0;       ///< R as the protocol declares it; its messages are output words
    std::uint64_t outputs = 0;
  };
  /// `input` is the whole input, equal on every rank, and must outlive the run.
  Recount(const Sizes& sizes, std::span<const mpc::Word> input);
  void stepped(std::uint32_t round, mpc::MachineId machine, const mpc::Inbox& inbox,
               const mpc::Outbox& outbox) override;
  /// Collective: the counts of all ranks together, equal on every rank.
  Trace trace(mpc::Transport& transport) const;

 private:
  enum Table : std::size_t { kSent, kReceived, kInbox, kSelf, kSteps, kPrint, kTables };
  std::uint64_t& cell(Table table, std::uint32_t round, std::uint64_t machine) {
    return cells_[(table * sizes_.rounds + round - 1) * sizes_.machines + machine];
  }
  std::uint64_t cell(Table table, std::uint32_t round, std::uint64_t machine) const {
    return cells_[(table * sizes_.rounds + round - 1) * sizes_.machines + machine];
  }

  Sizes sizes_;
  std::span<const mpc::Word> input_;
  std::vector<std::uint64_t> cells_;
  std::vector<std::uint64_t> deliveries_, outputs_;
  mpc::Word all_bits_ = 0;
  std::uint64_t disordered_ = 0, stray_ = 0, input_mismatches_ = 0, late_steps_ = 0;
};

}  // namespace roundtrip::proofs_check
