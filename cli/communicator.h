// Purpose: the ranks of one command line act as one program. Rank 0 reads and writes; what it finds, errors
// included, is known to all ranks before anyone goes on, so that no rank waits in a collective for another
// that has left.
#pragma once

#include <functional>
#include <string>

#include "roundtrip/base/error.h"
#include "roundtrip/mpc/transport.h"

namespace roundtrip::cli {

/// Exit statuses, the same on every rank.
enum Status : int {
  kDone = 0,          ///< verified or done
  kRefuted = 1,       ///< outputs differ, or a bound is broken in a check
  kUsage = 2,         ///< usage or bad input
  kViolated = 3,      ///< the protocol broke its model
  kInconclusive = 4,  ///< too few samples, or no size in range
  kStopped = 5,       ///< at a checkpoint
  kInternal = 70,     ///< a fault of ours, or a step that threw
};

/// A fault on rank 0 that every rank has been told of.
class AgreedFault : public InternalError {
 public:
  using InternalError::InternalError;
};

class Communicator {
 public:
  /// `transport` must outlive the team.
  explicit Communicator(mpc::Transport& transport) : transport_(transport) {}
  bool root() const { return transport_.rank() == 0; }
  mpc::Transport& transport() const { return transport_; }

  /// Collective. Runs `work` on rank 0 alone; every rank returns its string, or throws what it threw: a
  /// ContractError as one, anything else as AgreedFault.
  std::string from_root(const std::function<std::string()>& work) const;
  /// The same for work without a result.
  void on_root(const std::function<void()>& work) const;

 private:
  mpc::Transport& transport_;
};

}  // namespace roundtrip::cli
