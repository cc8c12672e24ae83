// Purpose: one machine's step within its limits. Who runs a protocol, the runtime or a compiled transformer's
// element-wise maps, does so here: what counts as broken, and which of several broken rules is named, is the same.
#pragma once

#include <cstdint>
#include <optional>

#include "roundtrip/mpc/protocol.h"
#include "roundtrip/mpc/runtime/scratch.h"
#include "roundtrip/mpc/violation.h"

namespace roundtrip::mpc {

/// What a machine may send in `round`, with `limit_words` in place of s.
[[nodiscard]] Outbox::Limits outbox_limits(const Shape& shape, std::uint32_t round,
                                           std::uint64_t limit_words);

/// Steps `machine`, for which `outbox` has begun. Returns the rule that it broke: first of all scratch memory, then an
/// exception of the step (kStepFailed; kHeap if memory ran out beyond what is allowed), then the heap, then what the
/// outbox says. The heap is metered where HeapMeter::available(). Throws std::bad_alloc if the memory that ran out
/// was not the step's but the streams'.
[[nodiscard]] std::optional<ModelViolation> run_step(const Protocol& protocol, std::uint32_t round,
                                                     MachineId machine, const Inbox& inbox, Outbox& outbox,
                                                     ScratchArena& scratch);

}  // namespace roundtrip::mpc
