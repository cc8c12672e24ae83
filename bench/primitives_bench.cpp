// Protocols on the primitives beside the same tasks by hand: rounds, and time of a run in process with limits on, in turn.
//
//   primitives_bench [N, default 2^14] [repetitions, default 9]
//
// By hand: `sum` without a stage; `join`, which asks owners; for word count nothing that does as much, so the sort of the
// words alone, below which no count by sorting can be. Processor time, least of the repetitions; outputs are compared.
#include <time.h>

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "roundtrip/base/random.h"
#include "roundtrip/mpc/registry.h"
#include "roundtrip/mpc/runtime.h"
#include "roundtrip/mpc/stages/lookup.h"
#include "roundtrip/mpc/stages/map_reduce.h"
#include "roundtrip/mpc/transport.h"

namespace roundtrip {
namespace {

using mpc::Context, mpc::Word;
using Made = std::unique_ptr<const mpc::Protocol>;

double cpu_seconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

/// The sum modulo 2^48 up a tree of fan-in s, by hand.
class SumByHand final : public mpc::Protocol {
 public:
  explicit SumByHand(const mpc::Parameters& parameters) {
    const mpc::Sizes sizes =
        mpc::choose_sizes(parameters, 1, [](const mpc::Sizes& at) { return at.memory_words > 1; });
    shape_ = mpc::declare_shape(parameters, sizes, 1, 1);
    shape_.rounds = 1;
    for (std::uint64_t reach = 1; reach < shape_.machines; reach *= shape_.memory_words) ++shape_.rounds;
  }
  const mpc::Shape& shape() const override { return shape_; }
  void step(const mpc::Step& step, const mpc::Inbox& inbox, mpc::Outbox& outbox) const override {
    if (inbox.empty()) return;
    constexpr Word kOffset = Word{1} << 47;
    Word sum = 0;
    for (const Word word : inbox.words()) sum += step.round == 1 ? word - kOffset : word;
    sum &= (Word{1} << 48) - 1;
    std::uint64_t reach = 1;
    for (std::uint32_t round = 0; round < step.round; ++round) reach *= shape_.memory_words;
    if (step.round < shape_.rounds)
      return outbox.send(static_cast<mpc::MachineId>(step.machine / reach * reach), sum);
    outbox.deliver(0, (sum + kOffset) & ((Word{1} << 48) - 1));
  }

 private:
  mpc::Shape shape_;
};

/// Output i is the word at the position that word i names, by a Lookup.
class JoinByLookup final : public mpc::Composition {
 public:
  explicit JoinByLookup(const mpc::Parameters& parameters) {
    mpc::SortPlan plan;
    const mpc::Sizes sizes = mpc::choose_sizes(parameters, 8, [&](const mpc::Sizes& at) {
      mpc::SortTask task = mpc::Lookup::task(2 * parameters.n, at.memory_words);
      task.machine_records = task.machine_records / 2 * 2;
      const auto found = task.machine_records < 2 ? std::nullopt : mpc::plan_sort(task);
      if (found) plan = *found;
      return found && found->machine_records % 2 == 0;
    });
    shape_ = mpc::declare_shape(parameters, sizes, parameters.n, plan.machines);
    const std::uint64_t half = plan.machine_records / 2;  // words whose entry and question a machine has
    then("to the records", 1, 0, [this, half](const Context& context, std::uint32_t) {
      std::uint64_t position = context.machine * shape_.block_words;
      for (const Word word : context.inbox.words())
        context.out.send(static_cast<mpc::MachineId>(position++ / half), word);
    });
    const auto& lookup = then<mpc::Lookup>(
        "look up", {.plan = plan,
                    .memory_words = shape_.memory_words,
                    .load = [this](const Context& context, std::uint64_t first, std::span<Word> records) {
                      constexpr Word kOffset = Word{1} << 47;
                      std::uint64_t index = 0;
                      for (const Word word : context.inbox.words()) {
                        const std::uint64_t position = first / 2 + index / 2;
                        mpc::Lookup::entry(records, index++, position, word - kOffset);
                        mpc::Lookup::question(records, index++, word - kOffset, position);
                      }
                    }});
    then("home", 1, lookup.result_scratch_words(), [this, &lookup](const Context& context, std::uint32_t) {
      lookup.for_each(context, [&](Word asker, Word, std::optional<Word> value) {
        const Word answer[2] = {asker, value.value_or(0)};
        context.out.send(static_cast<mpc::MachineId>(asker / shape_.block_words), answer);
      });
    });
    then("deliver", 1, 0, [](const Context& context, std::uint32_t) {
      const std::span<const Word> words = context.inbox.words();
      for (std::size_t i = 0; i + 1 < words.size(); i += 2) context.out.deliver(words[i], words[i + 1] + 1);
    });
    shape_.validate();
  }
};

mpc::MapReduce word_count() {
  mpc::MapReduce count;
  count.name = "count_words";
  count.jobs = {{.map = [](mpc::Record word, const mpc::Emit& emit) { emit({word[0]}, {1}); },
                 .combine = [](std::span<std::int64_t> left, mpc::Record right) { left[0] += right[0]; }}};
  return count;
}

struct Side {
  std::uint32_t rounds = 0;
  double seconds = 1e9;
  std::vector<Word> outputs{};
};

void compare(const char* task, const Made& primitives, const Made& by_hand, std::uint64_t n, int repetitions,
             bool same_outputs) {
  Side sides[2];
  const auto transport = mpc::make_in_process_transport();
  for (int repetition = 0; repetition < repetitions; ++repetition) {
    for (const int side : {0, 1}) {
      const mpc::Protocol& protocol = side == 0 ? *primitives : *by_hand;
      std::vector<Word> input(n);
      for (std::uint64_t i = 0; i < n; ++i)
        input[i] = draw_below(n, 1, Domain::kInstance, i) + (Word{1} << (protocol.shape().input_bits - 1));
      const double begin = cpu_seconds();
      sides[side].outputs = mpc::run(protocol, input, *transport).outputs;
      sides[side].seconds = std::min(sides[side].seconds, cpu_seconds() - begin);
      sides[side].rounds = protocol.shape().rounds;
    }
  }
  if (same_outputs && sides[0].outputs != sides[1].outputs) std::exit(1);
  std::printf("%-10s rounds %3u / %3u = %.2f   ms %8.3f / %8.3f = %.2f\n", task, sides[0].rounds,
              sides[1].rounds, static_cast<double>(sides[0].rounds) / sides[1].rounds, 1e3 * sides[0].seconds,
              1e3 * sides[1].seconds, sides[0].seconds / sides[1].seconds);
}

}  // namespace
}  // namespace roundtrip

int main(int argc, char** argv) {
  using namespace roundtrip;
  mpc::Parameters parameters;
  parameters.n = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : std::uint64_t{1} << 14;
  const int repetitions = argc > 2 ? std::atoi(argv[2]) : 9;
  const auto library = [&](const char* name) { return mpc::find_protocol(name).make(parameters); };
  compare("sum", library("sum"), std::make_unique<SumByHand>(parameters), parameters.n, repetitions, true);
  compare("join", std::make_unique<JoinByLookup>(parameters), library("join"), parameters.n, repetitions,
          false);
  compare("word count", mpc::map_reduce_protocol(word_count()).make(parameters), library("sort"),
          parameters.n, repetitions, false);
}
