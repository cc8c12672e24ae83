// Purpose: the ranks of one command line act as one program. Rank 0 reads and writes; what it finds, errors
// included, is known to all ranks before anyone goes on (mpc/agree.h).
#pragma once

#include <functional>
#include <utility>

#include "roundtrip/mpc/agree.h"
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

class Communicator {
 public:
  /// `transport` must outlive the communicator.
  explicit Communicator(mpc::Transport& transport) : transport_(transport) {}
  bool root() const { return transport_.rank() == 0; }
  mpc::Transport& transport() const { return transport_; }

  /// Collective: mpc::from_root().
  template <typename Work>
  auto from_root(Work&& work) const {
    return mpc::from_root(transport_, std::forward<Work>(work));
  }
  /// The same for work without a result.
  void on_root(const std::function<void()>& work) const { from_root(work); }

 private:
  mpc::Transport& transport_;
};

}  // namespace roundtrip::cli
