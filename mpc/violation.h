// Purpose: what it means that a protocol broke its model: which machine, in which round, what it used, what
// was allowed.
#pragma once

#include <cstdint>
#include <string>

#include "roundtrip/base/error.h"

namespace roundtrip::mpc {

/// Ends a run on all ranks with the same fields and message; exit status 3, or 70 if a step failed (threw). If
/// several machines break the model in one round, the one reported is the first by (round, sent before
/// received, machine), on every number of ranks.
class ModelViolation : public Error {
 public:
  enum class Kind : std::uint8_t {
    kWordsSent,
    kWordsReceived,
    kWordWidth,
    kDestination,
    kMessageAfterEnd,
    kEarlyOutput,
    kMissingOutput,
    kDuplicateOutput,
    kScratch,
    kHeap,
    kStepFailed,
  };
  struct Facts {
    Kind kind;
    std::uint32_t round;
    std::uint32_t machine;
    std::uint64_t used;     ///< words, bits, or the destination or output index in question
    std::uint64_t allowed;  ///< in the same unit
  };
  /// `detail`: of kStepFailed, what the step threw.
  explicit ModelViolation(const Facts& facts, std::string detail = {});
  const Facts& facts() const { return facts_; }
  const std::string& detail() const { return detail_; }
  /// Whether it is the one to report of two.
  bool before(const ModelViolation& other) const;

 private:
  Facts facts_;
  std::string detail_;
};

}  // namespace roundtrip::mpc
