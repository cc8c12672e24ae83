// Purpose: a small protocol of the verifier's own that obeys the model, with switches that make it break the
// model in ways that the declared shape or a doctored ledger could hide. Negative controls are made of it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>

#include "roundtrip/mpc/protocol.h"
#include "roundtrip/mpc/violation.h"
#include "roundtrip/proofs_check/cases.h"

namespace roundtrip::proofs_check {

/// Problem: output the input. Each machine keeps its block by messages to itself for R - 1 = 3 rounds,
/// passing a copy of its first word once around the ring, and delivers it. s = 2b, q = ceil(N / b), R = 4, p
/// = 48.
/// Where machines keep what their messages should hold.
enum class ToyMemory : std::uint8_t { kNone, kStatic, kThread, kMember, kSum, kRound, kHash };

struct ToyDefects {
  std::uint64_t extra_words = 0;  ///< machine 0 sends this many more words to itself in round 2
  std::uint32_t wide_bits = 0;    ///< machine 0 sends itself a word of this many bits in round 2
  bool early_stop = false;        ///< delivers in round 3 if the first input word is even: R depends on data
  std::uint32_t more_machines = 0;  ///< machines beyond q, that do nothing
  /// Machines keep the first word of their block there in the round before the last, and deliver it from there.
  /// kSum: each adds 1 to a number of all machines instead, takes 1 away in the last round, and delivers its
  /// first word wrong if the number is larger than q. kRound: memory of the thread, by machine and round. kHash: a
  /// static by a hash of the machine's block, so that no run with another input comes upon it.
  ToyMemory memory = ToyMemory::kNone;
  /// A rule that machine 0 breaks, by one word or bit: in round 2, or in round R if it is about outputs.
  /// Those who send too much to machine 0 are the others.
  std::optional<mpc::ModelViolation::Kind> breaks{};
};

class ToyProtocol : public mpc::Protocol {
 public:
  /// `first_word` stands for a shape that looks at the input, as early_stop does.
  ToyProtocol(const Expectation& expectation, const ToyDefects& defects, mpc::Word first_word);
  const mpc::Shape& shape() const override { return shape_; }
  void step(const mpc::Step& step, const mpc::Inbox& inbox, mpc::Outbox& outbox) const override;

 private:
  void break_rule(const mpc::Step& step, mpc::Outbox& outbox) const;
  /// A machine's first word, by way of the memory that the defect names.
  mpc::Word remembered(const mpc::Step& step, std::span<const mpc::Word> own) const;

  mpc::Shape shape_;
  ToyDefects defects_;
  std::uint32_t machines_ = 0;
  mutable std::map<mpc::MachineId, mpc::Word> kept_;
};

Expectation toy_expectation(std::uint64_t n);
/// What the toy protocol declares of the heap, without defects.
std::uint64_t toy_heap_words(const Expectation& expectation);

}  // namespace roundtrip::proofs_check
