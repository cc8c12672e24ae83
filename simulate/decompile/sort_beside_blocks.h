// Purpose: the sort stage on machines that follow the blocks' own. Internal.
#pragma once

#include <utility>

#include "roundtrip/mpc/stages/sort.h"

namespace roundtrip::simulate {

/// The sort stage, with machines before its own that keep what they have.
class SortBesideBlocks final : public mpc::Stage {
 public:
  struct Options {
    mpc::SortOptions sort;
    mpc::MachineId keepers;  ///< machines 0 .. keepers-1
  };
  explicit SortBesideBlocks(Options options) : sort_(std::move(options.sort)), keepers_(options.keepers) {}
  std::uint32_t rounds() const override { return sort_.rounds(); }
  void step(const mpc::Context& context, std::uint32_t round) const override {
    if (context.machine < keepers_) return context.out.send(context.machine, context.inbox.words());
    sort_.step(context, round);
  }
  std::uint64_t scratch_words() const override { return sort_.scratch_words(); }
  std::uint64_t result_scratch_words() const override { return rounds() > 0 ? 0 : sort_.scratch_words(); }
  const mpc::Sort& sort() const { return sort_; }

 private:
  mpc::Sort sort_;
  mpc::MachineId keepers_;
};

}  // namespace roundtrip::simulate
