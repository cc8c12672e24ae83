#include "roundtrip/mpc/violation.h"

#include <tuple>
#include <utility>

namespace roundtrip::mpc {
namespace {

std::string describe(const ModelViolation::Facts& facts, const std::string& detail) {
  using Kind = ModelViolation::Kind;
  const auto [kind, round, machine, used, allowed] = facts;
  const std::string where = fmt::format("machine {} in round {}", machine, round);
  switch (kind) {
    case Kind::kWordsSent:
      return fmt::format("{} sent {} words, allowed {}", where, used, allowed);
    case Kind::kWordsReceived:
      return fmt::format("{} received {} words, allowed {}", where, used, allowed);
    case Kind::kWordWidth:
      return fmt::format("{} sent a word of {} bits, allowed {}", where, used, allowed);
    case Kind::kDestination:
      if (!detail.empty())  // of an output's index (mpc/runtime/step.cpp)
        return fmt::format("{} delivered output word {}, allowed 0 to {}", where, used, allowed);
      return fmt::format("{} sent to {}, allowed 0 to {}", where, used, allowed);
    case Kind::kMessageAfterEnd:
      return fmt::format("{} sent a message to machine {}, allowed in the last round are output words only",
                         where, used);
    case Kind::kEarlyOutput:
      return fmt::format("{} delivered output word {}, allowed in the last round only", where, used);
    case Kind::kMissingOutput:
      return fmt::format("{} did not receive output word {}, each of 0 to {} must be delivered", where, used,
                         allowed);
    case Kind::kDuplicateOutput:
      return fmt::format("{} received output word {} more than once, allowed once", where, used);
    case Kind::kScratch:
      return fmt::format("{} took {} words of scratch memory, allowed {}", where, used, allowed);
    case Kind::kHeap:
      return fmt::format("{} took {} words from the heap, allowed {}", where, used, allowed);
    case Kind::kStepFailed:
      return fmt::format("{} failed: {}", where, detail);
  }
  throw InternalError("unknown kind of model violation");
}

}  // namespace

ModelViolation::ModelViolation(const Facts& facts, std::string detail)
    : Error(describe(facts, detail)), facts_(facts), detail_(std::move(detail)) {}

bool ModelViolation::before(const ModelViolation& other) const {
  const auto order = [](const Facts& facts) {
    const bool on_receipt = facts.kind == Kind::kWordsReceived || facts.kind == Kind::kMissingOutput ||
                            facts.kind == Kind::kDuplicateOutput;
    return std::tuple(facts.round, on_receipt, facts.machine, facts.kind);
  };
  return order(facts_) < order(other.facts_);
}

}  // namespace roundtrip::mpc
