#include "roundtrip/proofs_check/executor.h"

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <memory_resource>
#include <numeric>
#include <optional>
#include <tuple>

#include "roundtrip/base/error.h"
#include "roundtrip/base/fault.h"
#include "roundtrip/base/random.h"

namespace roundtrip::proofs_check {
namespace {

/// Scratch memory of one step: garbage at first, and never the memory of another step's numbers.
class Garbage final : public std::pmr::memory_resource {
 public:
  explicit Garbage(std::uint64_t words) : words_(words) {}

 private:
  void* do_allocate(std::size_t bytes, std::size_t alignment) override {
    // The runtime gives no more than this at once; what is taken bit by bit is for the runtime to count.
    if (bytes > words_ * sizeof(mpc::Word)) throw std::bad_alloc();
    void* block = storage_.allocate(bytes, alignment);
    std::memset(block, 0xa5, bytes);
    return block;
  }
  void do_deallocate(void*, std::size_t, std::size_t) override {}
  bool do_is_equal(const std::pmr::memory_resource& other) const noexcept override { return this == &other; }

  std::uint64_t words_;
  std::pmr::monotonic_buffer_resource storage_;
};

class Same final : public mpc::Protocol {
 public:
  explicit Same(std::shared_ptr<const mpc::Protocol> protocol) : protocol_(std::move(protocol)) {}
  const mpc::Shape& shape() const override { return protocol_->shape(); }
  void step(const mpc::Step& step, const mpc::Inbox& inbox, mpc::Outbox& outbox) const override {
    protocol_->step(step, inbox, outbox);
  }

 private:
  std::shared_ptr<const mpc::Protocol> protocol_;
};

struct Message {
  mpc::MachineId source;
  std::uint32_t sequence;
  mpc::Word word;
};

/// One of the runs, between two steps of a machine.
class Stepper {
 public:
  explicit Stepper(const Run& run) : run_(run), shape_(run.make()->shape()) {
    result_.prints.assign(shape_.rounds, std::vector<std::uint64_t>(shape_.machines));
    result_.outputs.resize(shape_.outputs);
    arriving_.resize(shape_.machines);
    for (std::uint64_t i = 0; i < run.input.size(); ++i) {
      const auto machine = static_cast<mpc::MachineId>(i / shape_.block_words);
      arriving_[machine].push_back(
          {machine, static_cast<std::uint32_t>(i % shape_.block_words), run.input[i]});
    }
  }
  std::uint32_t machines() const { return shape_.machines; }
  std::uint32_t rounds() const { return shape_.rounds; }
  void begin_round() {
    inboxes_ = std::exchange(arriving_, std::vector<std::vector<Message>>(shape_.machines));
    received_.assign(shape_.machines, 0);
  }
  void step(std::uint32_t round, mpc::MachineId machine) {
    std::vector<Message>& messages = inboxes_[machine];
    std::ranges::sort(messages, {}, [](const Message& m) { return std::tuple(m.source, m.sequence); });
    std::vector<mpc::RunHeader> headers;
    std::vector<mpc::Word> words;
    for (std::size_t i = 0; i < messages.size(); ++i) {
      const bool joins = i > 0 && messages[i].source == messages[i - 1].source &&
                         messages[i].sequence == messages[i - 1].sequence + 1;
      if (!joins)
        headers.push_back(
            {messages[i].source, messages[i].sequence, static_cast<std::uint32_t>(words.size())});
      words.push_back(messages[i].word);
    }
    const bool last = round == shape_.rounds;
    mpc::Outbox outbox;
    outbox.reset({.words = shape_.memory_words,
                  .word_bits = shape_.word_bits,
                  .destinations = last ? static_cast<std::uint32_t>(shape_.outputs) : shape_.machines,
                  .last_round = last});
    Garbage scratch(shape_.scratch_words);
    try {
      run_.make()->step({round, machine, &scratch}, mpc::Inbox(headers, words), outbox);
    } catch (const std::exception&) {
      ++result_.broken;
      return;
    }
    if (outbox.fault() != mpc::Outbox::Fault::kNone) {
      ++result_.broken;
      return;
    }
    result_.prints[round - 1][machine] = message_print(outbox);
    std::uint32_t sequence = 0;
    outbox.for_each_word([&](std::uint64_t destination, mpc::Word word) {
      if (last) {
        result_.outputs[destination] += word;
        destination /= shape_.block_words;
      } else {
        arriving_[destination].push_back({machine, sequence++, word});
      }
      result_.broken += ++received_[destination] == shape_.memory_words + 1;
    });
  }
  Execution result() && { return std::move(result_); }
  void fail() { ++result_.broken; }

  /// What a round changed, to and from another process.
  std::vector<std::uint64_t> changes(std::uint32_t round) const {
    std::vector<std::uint64_t> list = result_.prints[round - 1];
    list.insert(list.end(), result_.outputs.begin(), result_.outputs.end());
    list.push_back(result_.broken);
    for (const std::vector<Message>& messages : arriving_) {
      list.push_back(messages.size());
      for (const Message& m : messages) list.insert(list.end(), {m.source, m.sequence, m.word});
    }
    return list;
  }
  void change(std::uint32_t round, std::span<const std::uint64_t> list) {
    std::size_t at = 0;
    const auto next = [&] { return at < list.size() ? list[at++] : 0; };
    for (std::uint64_t& print : result_.prints[round - 1]) print = next();
    for (mpc::Word& word : result_.outputs) word = next();
    result_.broken = next();
    for (std::vector<Message>& messages : arriving_) {
      for (std::uint64_t left = next(); left > 0; --left) {
        const auto source = static_cast<mpc::MachineId>(next());
        const auto sequence = static_cast<std::uint32_t>(next());
        messages.push_back({source, sequence, next()});
      }
    }
    if (at != list.size()) fail();
  }

 private:
  const Run& run_;
  mpc::Shape shape_;
  Execution result_;
  std::vector<std::vector<Message>> inboxes_, arriving_;
  std::vector<std::uint64_t> received_;
};

/// What `work` returns in a process of its own; nothing if that fails.
std::optional<std::vector<std::uint64_t>> in_own_process(
    const std::function<std::vector<std::uint64_t>()>& work) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(fdopen(memfd_create("round", MFD_CLOEXEC), "w+"),
                                                             std::fclose);
  if (!file) throw InternalError("no file for a round's messages");
  const pid_t child = fork();
  if (child < 0) throw InternalError("no process for a round");
  if (child == 0) {
    try {
      const std::vector<std::uint64_t> list = work();
      const bool whole = std::fwrite(list.data(), sizeof(list[0]), list.size(), file.get()) == list.size();
      _exit(whole && std::fflush(file.get()) == 0 ? 0 : 1);
    } catch (...) {
      _exit(1);
    }
  }
  int status = 0;
  if (waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status) != 0) return {};
  std::fseek(file.get(), 0, SEEK_END);
  std::vector<std::uint64_t> list(static_cast<std::size_t>(std::ftell(file.get())) / sizeof(std::uint64_t));
  std::rewind(file.get());
  if (std::fread(list.data(), sizeof(list[0]), list.size(), file.get()) != list.size()) return {};
  return list;
}

}  // namespace

std::uint64_t message_print(const mpc::Outbox& outbox) {
  std::uint64_t print = 0;
  outbox.for_each_word([&](std::uint64_t destination, mpc::Word word) {
    // Odd multipliers, and shifts that bring the high bits down: every step is a bijection of `print`.
    for (const std::uint64_t part : {destination + 1, word + 1}) {
      print = (print ^ part) * 0x9e3779b97f4a7c15u;
      print ^= print >> 29;
    }
  });
  return print;
}

std::function<std::unique_ptr<const mpc::Protocol>()> same(std::shared_ptr<const mpc::Protocol> protocol) {
  return [protocol = std::move(protocol)] { return std::make_unique<Same>(protocol); };
}

std::vector<Execution> execute_in_turns(std::span<const Run> runs, std::uint64_t order_seed) {
  std::vector<Stepper> steppers;
  std::uint32_t machines = 0;
  std::uint32_t rounds = 0;
  for (const Run& run : runs) {
    steppers.emplace_back(run);
    machines = std::max(machines, steppers.back().machines());
    rounds = std::max(rounds, steppers.back().rounds());
  }
  std::vector<mpc::MachineId> order(machines);
  std::iota(order.begin(), order.end(), 0);
  for (std::uint32_t round = 1; round <= rounds; ++round) {
    RandomStream random(order_seed, Domain::kOrder, round);
    for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random.below(i)]);
    for (Stepper& stepper : steppers) stepper.begin_round();
    for (const mpc::MachineId machine : order) {
      for (Stepper& stepper : steppers) {
        if (round <= stepper.rounds() && machine < stepper.machines()) stepper.step(round, machine);
      }
    }
  }
  std::vector<Execution> results;
  for (Stepper& stepper : steppers) results.push_back(std::move(stepper).result());
  return results;
}

Execution execute_in_own_processes(const Run& run) {
  Stepper stepper(run);
  for (std::uint32_t round = 1; round <= stepper.rounds(); ++round) {
    stepper.begin_round();
    const auto work = [&] {
      for (mpc::MachineId machine = 0; machine < stepper.machines(); ++machine) stepper.step(round, machine);
      return stepper.changes(round);
    };
    if (seeded("blind-rounds")) {
      work();
    } else if (const auto list = in_own_process(work)) {
      stepper.change(round, *list);
    } else {
      stepper.fail();
    }
  }
  return std::move(stepper).result();
}

std::uint64_t differences(const Execution& execution, const std::vector<std::vector<std::uint64_t>>& prints,
                          std::span<const mpc::Word> outputs) {
  const auto count = [](const auto& a, const auto& b) {
    const std::size_t both = std::min(a.size(), b.size());
    std::uint64_t different = std::max(a.size(), b.size()) - both;
    for (std::size_t i = 0; i < both; ++i) different += a[i] != b[i];
    return different;
  };
  if (seeded("blind-turns")) return 0;
  std::uint64_t different = execution.broken + count(execution.outputs, outputs);
  const std::size_t rounds = std::min(prints.size(), execution.prints.size());
  different += std::max(prints.size(), execution.prints.size()) - rounds;
  for (std::size_t r = 0; r < rounds; ++r) different += count(execution.prints[r], prints[r]);
  return different;
}

}  // namespace roundtrip::proofs_check
