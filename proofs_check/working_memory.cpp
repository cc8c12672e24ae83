#include "roundtrip/proofs_check/working_memory.h"

#include <cstdlib>
#include <memory>
#include <new>
#include <utility>
#include <vector>

#include "roundtrip/base/fault.h"
#include "roundtrip/mpc/protocol.h"
#include "roundtrip/mpc/runtime.h"
#include "roundtrip/mpc/violation.h"
#include "roundtrip/simulate/compile/machine.h"

namespace roundtrip::proofs_check {
namespace {

constexpr std::uint64_t kBlock = 8, kWordBytes = sizeof(mpc::Word);
constexpr std::uint64_t kHeldWords = 200;
constexpr std::uint32_t kRound = 2;
constexpr mpc::MachineId kMachine = 1;

/// How a step holds a number of words at once, at most.
using Form = void (*)(std::uint64_t words);

/// Lets no compiler see that nobody needs a block.
void* kept(void* block) {
  void* volatile here = block;
  return here;
}

void hold_array(std::uint64_t words) {
  delete[] static_cast<mpc::Word*>(kept(new mpc::Word[words]));
}
void hold_bytes(std::uint64_t words) {  // the last word in part
  delete[] static_cast<char*>(kept(new char[words * kWordBytes - 3]));
}
void hold_object(std::uint64_t words) {
  ::operator delete(kept(::operator new(words* kWordBytes)));
}
void hold_aligned(std::uint64_t words) {
  constexpr std::align_val_t kLine{64};
  ::operator delete(kept(::operator new(words* kWordBytes, kLine)), kLine);
}
void hold_aligned_array(std::uint64_t words) {
  constexpr std::align_val_t kLine{64};
  ::operator delete[](kept(::operator new[](words* kWordBytes, kLine)), kLine);
}
void hold_without_throwing(std::uint64_t words) {
  delete[] static_cast<mpc::Word*>(kept(new (std::nothrow) mpc::Word[words]));
}
void hold_aligned_without_throwing(std::uint64_t words) {
  constexpr std::align_val_t kLine{64};
  ::operator delete(kept(::operator new(words* kWordBytes, kLine, std::nothrow)), kLine, std::nothrow);
}
void hold_in_turns(std::uint64_t words) {  // never more at once
  for (int i = 0; i < 3; ++i) hold_array(words);
}
/// Many blocks of a word each, given back in another order than they were taken.
void hold_blocks(std::uint64_t words) {
  struct Node {
    Node* next;
  };
  Node* odd = nullptr;
  Node* even = nullptr;
  for (std::uint64_t i = 0; i < words; ++i) {
    Node*& list = i % 2 == 0 ? even : odd;
    list = static_cast<Node*>(kept(new Node{list}));
  }
  for (Node* list : {even, odd}) {
    while (list != nullptr) delete std::exchange(list, list->next);
  }
}
void hold_empty(std::uint64_t words) {  // a block of nothing is one of a word
  std::vector<char*> blocks;
  blocks.reserve(words / 2);
  for (std::uint64_t i = 0; i < words / 2; ++i) blocks.push_back(static_cast<char*>(kept(new char[0])));
  for (char* block : blocks) delete[] block;
}
/// Kept beyond the step: counts in the step that took it.
void hold_beyond(std::uint64_t words) {
  static thread_local std::vector<mpc::Word> beyond;
  beyond = std::vector<mpc::Word>();  // what an earlier step took counts for nothing
  beyond.resize(words);
}
void hold_and_throw(std::uint64_t words) {  // within the step
  try {
    const std::vector<mpc::Word> gone(words - 1);
    throw gone.size();
  } catch (std::size_t size) {
    hold_array(size + 1);
  }
}
void hold_unseen(std::uint64_t words) {
  std::free(kept(std::malloc(words * kWordBytes)));
}

constexpr Form kForms[] = {
    hold_array,         hold_bytes,  hold_object,           hold_aligned,
    hold_aligned_array, hold_blocks, hold_without_throwing, hold_aligned_without_throwing,
    hold_in_turns,      hold_empty,  hold_beyond,           hold_and_throw};

/// Problem: output the input. Each machine keeps its block by messages to itself, R = 3; machine 1 holds words in
/// round 2.
class Holder final : public mpc::Protocol {
 public:
  Holder(Form form, std::uint64_t declared) : form_(form) {
    shape_.n = shape_.outputs = kHolderSize;
    shape_.block_words = kBlock;
    shape_.memory_words = 2 * kBlock;
    shape_.machines = kHolderSize / kBlock;
    shape_.rounds = 3;
    shape_.kappa_s = 2;
    shape_.heap_words = declared;
  }
  const mpc::Shape& shape() const override { return shape_; }
  void step(const mpc::Step& step, const mpc::Inbox& inbox, mpc::Outbox& outbox) const override {
    std::uint64_t index = step.machine * kBlock;
    for (const mpc::Word word : inbox.words()) {
      step.round == shape_.rounds ? outbox.deliver(index++, word) : outbox.send(step.machine, word);
    }
    if (step.round == kRound && step.machine == kMachine) form_(kHeldWords);
  }

 private:
  Form form_;
  mpc::Shape shape_;
};

/// Takes memory of its own, which is no step's.
class Copier final : public mpc::Observer {
 public:
  void stepped(std::uint32_t, mpc::MachineId, const mpc::Inbox&, const mpc::Outbox& outbox) override {
    copied_ = std::vector<mpc::Word>(outbox.words().begin(), outbox.words().end());
  }

 private:
  std::vector<mpc::Word> copied_;
};

/// Whether a run with these options ends as it must.
bool judged(Form form, std::uint64_t declared, mpc::Transport& transport, mpc::RunOptions options) {
  const Holder holder(form, declared);
  options.rebuild = [=] { return std::make_unique<Holder>(form, declared); };
  const std::vector<mpc::Word> input(kHolderSize, 1);
  try {
    const mpc::RunResult result = mpc::run(holder, input, transport, options);
    return declared >= kHeldWords && result.ledger.rounds[kRound - 1].max_heap_words == kHeldWords &&
           result.ledger.rounds[0].max_heap_words == 0 && result.ledger.rounds[2].max_heap_words == 0;
  } catch (const mpc::ModelViolation& violation) {
    const mpc::ModelViolation::Facts& said = violation.facts();
    return declared < kHeldWords && said.kind == mpc::ModelViolation::Kind::kHeap && said.round == kRound &&
           said.machine == kMachine && said.used == kHeldWords && said.allowed == declared;
  }
}

/// Likewise of the machine's step within an element-wise map.
bool judged_in_map(Form form, std::uint64_t declared) {
  std::vector<simulate::Message> messages;
  for (std::uint32_t i = 0; i < kBlock; ++i) messages.push_back({kMachine, i, 1});
  const simulate::Stepped stepped = simulate::run_step(Holder(form, declared), kRound, kMachine, messages);
  if (declared >= kHeldWords) return stepped.fault.kind == simulate::FaultKind::kNone;
  return stepped.fault == simulate::RowFault{simulate::FaultKind::kHeap, kRound, kHeldWords};
}

}  // namespace

std::uint64_t working_memory_mistakes(mpc::Transport& transport, std::uint64_t seed, bool unseen) {
  std::uint64_t mistakes = 0;
  Copier observer;
  for (const Form form : kForms) {
    const Form taken = unseen ? hold_unseen : form;
    for (const std::uint64_t declared : {kHeldWords, kHeldWords - 1, std::uint64_t{0}}) {
      mistakes += !judged(taken, declared, transport, {});
      mistakes += !judged(taken, declared, transport, {.order_seed = seed, .observer = &observer});
      mistakes += !judged_in_map(taken, declared);
    }
  }
  return seeded("blind-heap") ? 0 : mistakes;
}

}  // namespace roundtrip::proofs_check
