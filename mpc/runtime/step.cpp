#include "roundtrip/mpc/runtime/step.h"

#include <bit>
#include <exception>
#include <new>
#include <string>

#include "roundtrip/base/ensure.h"

namespace roundtrip::mpc {
namespace {

using Kind = ModelViolation::Kind;

ModelViolation violation_of(std::uint32_t round, MachineId machine, const Outbox& outbox) {
  const std::uint64_t value = outbox.fault_value();
  const Outbox::Limits& limits = outbox.limits();
  const auto violation = [&](Kind kind, std::uint64_t used, std::uint64_t allowed) {
    // In the last round a destination is an output.
    return ModelViolation({kind, round, machine, used, allowed}, limits.last_round ? "output" : "");
  };
  switch (outbox.fault()) {
    case Outbox::Fault::kTooManyWords:
      return violation(Kind::kWordsSent, value, limits.words);
    case Outbox::Fault::kWideWord:
      return violation(Kind::kWordWidth, static_cast<std::uint64_t>(std::bit_width(value)), limits.word_bits);
    case Outbox::Fault::kWrongDestination:
      return violation(Kind::kDestination, value, std::uint64_t{limits.destinations} - 1);
    case Outbox::Fault::kMessageAfterEnd:
      return violation(Kind::kMessageAfterEnd, value, 0);
    case Outbox::Fault::kEarlyOutput:
      return violation(Kind::kEarlyOutput, value, 0);
    case Outbox::Fault::kNone:
      break;
  }
  throw InternalError("asked for the violation of a machine that broke no rule");
}

}  // namespace

Outbox::Limits outbox_limits(const Shape& shape, std::uint32_t round, std::uint64_t limit_words) {
  const bool last = round == shape.rounds;
  return {.words = limit_words,
          .word_bits = shape.word_bits,
          .destinations = last ? static_cast<std::uint32_t>(shape.outputs) : shape.machines,
          .last_round = last};
}

std::optional<ModelViolation> run_step(const Protocol& protocol, std::uint32_t round, MachineId machine,
                                       const Inbox& inbox, Outbox& outbox, ScratchArena& scratch) {
  std::optional<ModelViolation> failed;
  const auto fail = [&](const char* what) {
    if (!scratch.exceeded())
      failed.emplace(ModelViolation::Facts{Kind::kStepFailed, round, machine, 0, 0}, what);
  };
  scratch.reset();
  try {
    protocol.step({round, machine, &scratch}, inbox, outbox);
  } catch (const std::bad_alloc&) {
    fail("out of memory");
  } catch (const std::exception& error) {
    fail(error.what());
  } catch (...) {
    fail("threw something that is not a std::exception");
  }
  if (outbox.exhausted()) throw std::bad_alloc();
  if (scratch.exceeded()) {
    return ModelViolation({Kind::kScratch, round, machine, scratch.peak_words(), scratch.allowed_words()});
  }
  if (failed) return failed;
  if (outbox.fault() != Outbox::Fault::kNone) return violation_of(round, machine, outbox);
  return std::nullopt;
}

}  // namespace roundtrip::mpc
