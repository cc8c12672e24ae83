// Purpose: `run --dump ROUND:MACHINE`: what a machine had and sent, for whoever writes a protocol.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "roundtrip/cli/execution.h"
#include "roundtrip/mpc/runtime.h"
#include "roundtrip/mpc/transport.h"

namespace roundtrip::cli {

/// A round and a machine, or every one.
struct DumpWish {
  std::optional<std::uint32_t> round, machine;
  /// "3:7", "3:*", "*:7" or "*:*"; ContractError otherwise.
  static DumpWish parse(const std::string& text);
};

/// Written down on the rank that hosts the machine; nothing of a step that failed or broke a limit.
class Dump final : public mpc::Observer {
 public:
  Dump(const DumpWish& wish, const Instance& instance) : wish_(wish), instance_(instance) {}
  void stepped(std::uint32_t round, mpc::MachineId machine, const mpc::Inbox& inbox,
               const mpc::Outbox& outbox) override;
  /// Collective: all of it, by round and machine, on rank 0; empty elsewhere.
  std::string text(mpc::Transport& transport) const;

 private:
  DumpWish wish_;
  const Instance& instance_;
  std::vector<std::string> entries_;
};

}  // namespace roundtrip::cli
