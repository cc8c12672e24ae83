// Purpose: the verifier's own executor of protocols, which shares no code with the runtime. It executes several
// runs at once, machine by machine in turns, in one thread: what a machine keeps anywhere but in its messages
// (a static, a member, memory of the thread, memory shared by machines) then reaches another run or is lost.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "roundtrip/mpc/protocol.h"

namespace roundtrip::proofs_check {

/// A fingerprint of a machine's message list: destinations, words and their order. 0 if it sent nothing.
std::uint64_t message_print(const mpc::Outbox& outbox);

struct Run {
  std::function<std::unique_ptr<const mpc::Protocol>()> make;
  std::vector<mpc::Word> input;
};

/// For protocols that are costly to make: hands out `protocol` itself, so that what it keeps in members reaches
/// the other runs.
std::function<std::unique_ptr<const mpc::Protocol>()> same(std::shared_ptr<const mpc::Protocol> protocol);

struct Execution {
  std::vector<std::vector<std::uint64_t>> prints;  ///< [round - 1][machine], of message_print()
  std::vector<mpc::Word> outputs;                  ///< by index, the sum of the words delivered
  /// Message lists that broke a rule of the model, machines that received more than s words, steps that threw.
  std::uint64_t broken = 0;
};

/// Executes all runs; their shapes may differ. In every round the machines step in random order, each of them
/// in all runs before the next one in any; before every step the protocol is made anew, and scratch memory is
/// filled with garbage. Cost: a step and a make() for each run, round and machine, O(log) a word.
std::vector<Execution> execute_in_turns(std::span<const Run> runs, std::uint64_t order_seed);

/// Executes one run, each round in a process of its own that is forked from one in which no round was: what a machine
/// keeps in memory of the process under any key is lost. Call it before anything else steps this protocol on this
/// input. Broken if a process fails. Cost: a process a round, a step and a make() for each machine.
Execution execute_in_own_processes(const Run& run);

/// Message lists that differ from `prints`, outputs that differ, and what the execution broke.
std::uint64_t differences(const Execution& execution, const std::vector<std::vector<std::uint64_t>>& prints,
                          std::span<const mpc::Word> outputs);

}  // namespace roundtrip::proofs_check
