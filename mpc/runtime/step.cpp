#include "roundtrip/mpc/runtime/step.h"

#include <bit>
#include <exception>
#include <new>
#include <string>

#include "roundtrip/base/ensure.h"
#include "roundtrip/base/fault.h"
#include "roundtrip/base/heap_meter.h"

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

/// A meter that runs as long as it lives.
class Metered {
 public:
  Metered(HeapMeter& meter, const Outbox& outbox) : meter_(meter) {
    meter_.start(&outbox);
    if (unmetered_) meter_.stop();
  }
  ~Metered() {
    if (!unmetered_) meter_.stop();
  }
  Metered(const Metered&) = delete;
  Metered& operator=(const Metered&) = delete;

 private:
  HeapMeter& meter_;
  const bool unmetered_ = seeded("heap-unmetered");
};

bool takes_too_much(const Protocol& protocol, const HeapMeter& heap) {
  if (heap.peak_words() == 0 || seeded("heap-unlimited")) return false;  // most steps take nothing
  return heap.peak_words() > protocol.shape().allowed_heap_words() + seeded("heap-limit");
}

/// What a step threw, in one line.
std::string text_of(const std::exception_ptr& thrown, bool& out_of_memory) {
  try {
    std::rethrow_exception(thrown);
  } catch (const std::bad_alloc&) {
    out_of_memory = true;
    return "out of memory";
  } catch (const std::exception& error) {
    return error.what();
  } catch (...) {
    return "threw something that is not a std::exception";
  }
}

/// The first rule that a step broke, if any, in the order that run_step() states.
std::optional<ModelViolation> broken_rule(const Protocol& protocol, const Step& step, const Outbox& outbox,
                                          const ScratchArena& scratch, const std::exception_ptr& thrown) {
  const auto violation = [&](Kind kind, std::uint64_t used, std::uint64_t allowed) {
    return ModelViolation({kind, step.round, step.machine, used, allowed});
  };
  if (scratch.exceeded()) return violation(Kind::kScratch, scratch.peak_words(), scratch.allowed_words());
  const bool too_much = takes_too_much(protocol, scratch.heap());
  if (thrown) {
    bool out_of_memory = false;
    const std::string text = text_of(thrown, out_of_memory);
    if (!out_of_memory || !too_much)
      return ModelViolation({Kind::kStepFailed, step.round, step.machine, 0, 0}, text);
  }
  if (too_much)
    return violation(Kind::kHeap, scratch.heap().peak_words(), protocol.shape().allowed_heap_words());
  if (outbox.fault() != Outbox::Fault::kNone) return violation_of(step.round, step.machine, outbox);
  return std::nullopt;
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
  std::exception_ptr thrown;
  scratch.reset();
  try {
    const Metered metered(scratch.heap(), outbox);
    protocol.step({round, machine, &scratch}, inbox, outbox);
  } catch (...) {
    thrown = std::current_exception();
  }
  if (outbox.exhausted()) throw std::bad_alloc();
  const bool plain = !thrown && !scratch.exceeded() && scratch.heap().peak_words() == 0;
  if (plain && outbox.fault() == Outbox::Fault::kNone) [[likely]]
    return std::nullopt;
  return broken_rule(protocol, {round, machine, &scratch}, outbox, scratch, thrown);
}

}  // namespace roundtrip::mpc
