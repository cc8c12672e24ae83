#include "roundtrip/mpc/stages/sort.h"

#include <algorithm>

#include "roundtrip/base/error.h"
#include "roundtrip/base/fault.h"
#include "roundtrip/mpc/protocols/library.h"
#include "roundtrip/mpc/protocols/oracles.h"
#include "roundtrip/mpc/protocols/sort_input.h"

namespace roundtrip::mpc {
namespace {

constexpr std::uint64_t kDefaultKappa = 8;

/// L: input words of a record, of which the first is the key.
std::uint64_t record_input_words(const Parameters& parameters) {
  const auto words = static_cast<std::uint64_t>(parameters.integer_option("record", 1, 1, 64));
  require(parameters.n % words == 0, "N is {}, allowed is a multiple of record = {}", parameters.n, words);
  return words;
}

SortTask task_of(const Parameters& parameters, std::uint64_t record_words) {
  return {.records = parameters.n / record_words, .record_words = record_words};
}

class SortProtocol final : public Composition {
 public:
  explicit SortProtocol(const Parameters& parameters) {
    const std::uint64_t words = record_input_words(parameters);
    const SortTask task = task_of(parameters, words);
    const Sizes sizes = sort_sizes(parameters, kDefaultKappa, task);
    const SortShape sorted = declare_sort(parameters, sizes, task);
    const SortPlan& plan = sorted.plan;
    shape_ = sorted.shape;
    // With everything on one sort machine there is no round in which to deliver but the first, and that will
    // do only if the input is on one machine too.
    const bool at_once = plan.rounds == 0 && parameters.n <= shape_.block_words;
    if (!at_once)
      then("to the sort machines", 1, 0, [this, plan, words](const Context& context, std::uint32_t) {
        send_input_to_sort(context, shape_, plan, words);
      });
    const auto place = [words](const Context& context, std::uint64_t position, std::span<const Word> record) {
      for (std::uint64_t i = 0; i < words; ++i) context.out.deliver(position * words + i, record[i]);
    };
    const Sort& sort = then<Sort>("sort", {.plan = plan, .load = load_words, .place = place});
    if (sort.rounds() == 0) {
      then("deliver", 1, 0, [&sort, place, words](const Context& context, std::uint32_t) {
        const std::span<const Word> records = sort.result(context);
        for (std::uint64_t i = 0; i < records.size() / words; ++i)
          place(context, i, records.subspan(i * words, words));
      });
    }
    shape_.validate();
  }

 private:
  static void load_words(const Context& context, std::uint64_t, std::span<Word> records) {
    const std::span<const Word> words = context.inbox.words();
    expect_received(words.size() == records.size());
    std::ranges::copy(words, records.begin());
  }
};

}  // namespace

Sizes sort_sizes(const Parameters& parameters, std::uint64_t default_kappa_s, SortTask task) {
  require(parameters.n <= std::uint64_t{1} << 31, "N is {}, allowed is 1 to 2^31 for protocols that sort",
          parameters.n);
  return choose_sizes(parameters, default_kappa_s, [&](const Sizes& sizes) {
    task.memory_words = sizes.memory_words;
    return plan_sort(task).has_value();
  });
}

SortShape declare_sort(const Parameters& parameters, const Sizes& sizes, SortTask task) {
  task.memory_words = sizes.memory_words;
  SortShape sorted{.shape = {}, .plan = *plan_sort(task)};
  sorted.shape = declare_shape(parameters, sizes, parameters.n, sorted.plan.machines);
  sorted.shape.heap_words = 0;
  if (parameters.gamma > Rational(0) && !seeded("gamma-idle")) {
    task.machines = sorted.shape.machines;
    sorted.plan = *plan_sort(task);
  }
  return sorted;
}

void send_input_to_sort(const Context& context, const Shape& shape, const SortPlan& plan,
                        std::uint64_t record_input_words) {
  const std::uint64_t machine_words = plan.machine_records * record_input_words;
  std::uint64_t position = context.machine * shape.block_words;
  std::span<const Word> words = context.inbox.words();
  while (!words.empty()) {
    const std::uint64_t left = machine_words - position % machine_words;
    const std::uint64_t piece = std::min<std::uint64_t>(left, words.size());
    context.out.send(static_cast<MachineId>(position / machine_words), words.first(piece));
    position += piece;
    words = words.subspan(piece);
  }
}

void load_numbered_words(const Context& context, std::uint64_t first_position, std::span<Word> records) {
  const std::span<const Word> words = context.inbox.words();
  expect_received(2 * words.size() == records.size());
  const std::uint64_t origin = seeded("local-positions") ? 0 : first_position;
  for (std::uint64_t i = 0; i < words.size(); ++i) {
    records[2 * i] = words[i];
    records[2 * i + 1] = origin + i;
  }
}

std::uint32_t sort_rounds(const Parameters& parameters) {
  const SortTask task = task_of(parameters, record_input_words(parameters));
  const Sizes sizes = sort_sizes(parameters, kDefaultKappa, task);
  const std::uint32_t rounds = declare_sort(parameters, sizes, task).plan.rounds;
  const bool spread = parameters.n > sizes.block_words;
  return rounds > 0 ? 1 + rounds : spread ? 2 : 1;
}

ProtocolInfo sort_protocol() {
  ProtocolInfo info;
  info.name = "sort";
  info.program = "sort_program";
  info.summary = "all words, or records of several, in ascending order";
  info.card =
      R"(Problem: N / L records of L signed numbers of 48 bits, L the parameter `record`; output the records in ascending
order of their first numbers.
Guarantee: exact and deterministic; records of equal keys keep their order, so every record has one exact
position.
Cost: R = 1 + T_sort(N / L, L) rounds (2 if everything fits one sort machine but is on several); at most
s = kappa_s b words sent and received by a machine; q = max(ceil(N / b), ceil(N / L B)), B of T_sort.
kappa_s is 8, raised to the least that has a plan at tiny N. With gamma above 0, B is the least that takes no more rounds
on ceil(q N^gamma) machines.
Source: sample sort over trees, after Goodrich, Sitchinava, Zhang 2011; constants, exact positions and ties that
take no words ours.)";
  info.rounds_formula = "1 + T_sort(N / record, record)";
  info.kappa_s = kDefaultKappa;
  info.options = {
      {"record", "1", "L, words a record, of which the first is the key, an integer from 1 to 64"}};
  info.make = [](const Parameters& parameters) { return std::make_unique<SortProtocol>(parameters); };
  info.decode = [](const Protocol& protocol, std::uint64_t, Word word) -> std::optional<std::int64_t> {
    return decode_input(word, protocol.shape());
  };
  info.uses_more_machines = true;
  info.output_form = OutputForm::kSymbols;
  info.oracle = [](std::span<const std::int64_t> values, const Parameters& parameters) {
    return oracles::sort(values, record_input_words(parameters));
  };
  return info;
}

}  // namespace roundtrip::mpc
