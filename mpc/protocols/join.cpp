#include <algorithm>

#include "roundtrip/base/error.h"
#include "roundtrip/mpc/protocols/library.h"
#include "roundtrip/mpc/protocols/oracles.h"
#include "roundtrip/mpc/protocols/sort_input.h"
#include "roundtrip/mpc/stages/sort.h"
#include "roundtrip/mpc/stages/tree_stages.h"

// Readers are sorted by what they read; the first reader of each position asks its owner, machine position div
// b, and a scan hands the answer on. So an owner is asked once for each of its words, however many read it.
namespace roundtrip::mpc {
namespace {

constexpr std::uint64_t kDefaultKappa = 8;
constexpr std::uint64_t kMinKappa = 6;    // a machine's 2 B + 3 b words on their way fit s
constexpr std::uint32_t kInputBits = 47;  // an output word is the word plus 1, or 0 for none
constexpr Word kAsks = Word{1} << 47;     // marks a question among words brought to their owners

struct Plan {
  Sizes sizes;
  SortPlan sort;
  Tree tree;
};

Plan make_plan(const Parameters& parameters) {
  Plan plan{};
  require(parameters.n <= std::uint64_t{1} << 30, "N is {}, allowed for join is 1 to 2^30", parameters.n);
  plan.sizes = choose_sizes(parameters, kDefaultKappa, [&](const Sizes& sizes) {
    if (sizes.memory_words < 8 || sizes.kappa_s < kMinKappa) return false;
    // A machine sends its records and one of the machine before, with their number, and at most 3 words a record.
    SortTask task = numbered_words(parameters.n, sizes.memory_words);
    task.machine_records = (sizes.memory_words - 3) / 5;
    const auto sort = plan_sort(task);
    if (!sort) return false;
    plan.sort = *sort;
    // A machine keeps its records, one of the machine before, their number, and up to B answers.
    const std::uint64_t kept = 3 * sort->machine_records + 3;
    const std::uint64_t fan = sizes.memory_words < kept ? 0 : (sizes.memory_words - kept) / 2;
    plan.tree = Tree::over(0, static_cast<std::uint32_t>(sort->machines),
                           static_cast<std::uint32_t>(std::max<std::uint64_t>(fan, 2)));
    return sort->machines == 1 || fan >= 2;
  });
  return plan;
}

class Join final : public Composition {
 public:
  explicit Join(const Parameters& parameters) {
    const Plan plan = make_plan(parameters);
    shape_ = declare_shape(parameters, plan.sizes, parameters.n, plan.sort.machines);
    shape_.heap_words = 0;
    shape_.input_bits = kInputBits;
    const std::uint64_t block = plan.sort.machine_records;
    then("to the sort machines", 1, 0, [this, plan](const Context& context, std::uint32_t) {
      send_input_to_sort(context, shape_, plan.sort);
    });
    const Sort& sort = then<Sort>("sort by what is read",
                                  {.plan = plan.sort,
                                   .load = load_numbered_words,
                                   .place = [this, block](const Context& context, std::uint64_t position,
                                                          std::span<const Word> record) {
                                     const auto machine = static_cast<MachineId>(position / block);
                                     context.out.send(machine, record);
                                     if (position % block == block - 1 && position + 1 < shape_.n)
                                       context.out.send(machine + 1, record);
                                   }});
    then("words to owners, and questions", 1, 0, [this, &sort](const Context& context, std::uint32_t) {
      const std::span<const Word> records = sort.result(context);
      if (records.empty()) return;
      context.out.send(context.machine, records.size());
      context.out.send(context.machine, records);
      for_each_record(context.machine, records, [&](const Word* record, bool first) {
        const Word home_word[2] = {record[1], record[0]};
        context.out.send(home_of(record[1]), home_word);
        const std::uint64_t target = target_of(record[0]);
        if (first && target < shape_.n) context.out.send(home_of(target), kAsks | target);
      });
    });
    then("answers", 1, shape_.block_words,
         [this](const Context& context, std::uint32_t) { answer(context); });
    const TreeScan& scan =
        then<TreeScan>("answers to all readers",
                       {.tree = plan.tree,
                        .load =
                            [this](const Context& context, std::span<Word> element) {
                              element[0] = 0;
                              for_each_answer(context.machine, gathered(context), 0,
                                              [&](const Word*, Word answer) { element[0] = answer; });
                            },
                        .combine =
                            [](std::span<Word> left, std::span<const Word> right) {
                              if (right[0] != 0) left[0] = right[0];
                            },
                        .identity = {0},
                        .keep = [this](const Context& context) { return gathered(context); },
                        .load_scratch_words = 6 * block + 6});
    then("deliver", 1, 0, [this, &scan](const Context& context, std::uint32_t) {
      const std::span<const Word> before = scan.result(context).before;
      for_each_answer(context.machine, scan.kept(context), before.empty() ? 0 : before[0],
                      [&](const Word* record, Word answer) {
                        context.out.deliver(record[1], answer == 0 ? 0 : answer - 1);
                      });
    });
    shape_.validate();
  }

 private:
  MachineId home_of(std::uint64_t position) const {
    return static_cast<MachineId>(position / shape_.block_words);
  }
  /// The position that a word reads, N or more if it reads none.
  std::uint64_t target_of(Word word) const {
    return static_cast<std::uint64_t>(decode_input(word, shape_));  // negative ones become huge
  }

  /// Calls each(record (word, position), whether it is the first with that word) for the machine's own
  /// records.
  template <typename Each>
  static void for_each_record(MachineId machine, std::span<const Word> records, const Each& each) {
    for (std::uint64_t i = machine > 0 ? 2 : 0; i + 1 < records.size(); i += 2)
      each(records.data() + i, i == 0 || records[i] != records[i - 2]);
  }

  /// What a machine sent to itself begins with its records, after their number of words.
  std::span<const Word> own_records(const Context& context) const {
    const std::span<const Word> own = context.from(context.machine);
    return own.empty() ? own : own.subspan(1, std::min<std::uint64_t>(own[0], own.size() - 1));
  }

  /// An owner collects its words, then answers in the order of the questions: a reader's questions ascend, and
  /// so do owners, so its answers come back in the order of its questions.
  void answer(const Context& context) const {
    const std::span<const Word> records = own_records(context);
    if (!records.empty()) {
      context.out.send(context.machine, records.size());
      context.out.send(context.machine, records);
    }
    const std::uint64_t first = context.machine * shape_.block_words;
    const std::span<Word> table = context.take(shape_.block_words);
    std::ranges::fill(table, 0);
    const auto for_each_arrived = [&](const auto& on_word, const auto& on_question) {
      std::size_t records_left = records.empty() ? 0 : 1 + records.size();
      for (const Run run : context.inbox) {
        const std::size_t skipped =
            run.source == context.machine ? std::min(records_left, run.words.size()) : 0;
        const std::span<const Word> words = run.words.subspan(skipped);
        records_left -= skipped;
        for (std::uint64_t i = 0; i < words.size(); ++i) {
          const std::uint64_t slot = (words[i] & (kAsks - 1)) - first;
          if ((words[i] & kAsks) != 0) {
            if (slot < table.size()) on_question(run.source, slot);
          } else if (++i < words.size() && slot < table.size()) {
            on_word(slot, words[i]);
          }
        }
      }
    };
    for_each_arrived([&](std::uint64_t slot, Word word) { table[slot] = word; },
                     [](MachineId, std::uint64_t) {});
    for_each_arrived([](std::uint64_t, Word) {},
                     [&](MachineId reader, std::uint64_t slot) { context.out.send(reader, table[slot]); });
  }

  /// (number of words of records, records, answers): a reader's words after the answers.
  std::span<const Word> gathered(const Context& context) const {
    const std::span<const Word> records = own_records(context);
    if (records.empty()) return {};
    const std::span<Word> kept = context.take(context.inbox.size());
    kept[0] = records.size();
    auto next = kept.begin() + 1;
    for (const std::span<const Word> words :
         {records, context.before(context.machine), context.from(context.machine, 1 + records.size()),
          context.after(context.machine)})
      next = std::ranges::copy(words, next).out;
    return kept;
  }

  /// Calls each(record, answer plus 2, or 1 if nothing can be read) for the machine's own records. `carried`
  /// is the answer of the readers that go on from the machine before.
  template <typename Each>
  void for_each_answer(MachineId machine, std::span<const Word> kept, Word carried, const Each& each) const {
    if (kept.empty()) return;
    const std::uint64_t count = std::min<std::uint64_t>(kept[0], kept.size() - 1);
    std::span<const Word> answers = kept.subspan(1 + count);
    for_each_record(machine, kept.subspan(1, count), [&](const Word* record, bool first) {
      if (first) {
        carried = 1;
        if (target_of(record[0]) < shape_.n && !answers.empty()) {
          carried = answers.front() + 2;
          answers = answers.subspan(1);
        }
      }
      each(record, carried);
    });
  }
};

}  // namespace

std::uint32_t join_rounds(const Parameters& parameters) {
  const Plan plan = make_plan(parameters);
  return plan.sort.rounds + 2 * plan.tree.depth + 4;
}

ProtocolInfo join_protocol() {
  ProtocolInfo info;
  info.name = "join";
  info.program = "join_program";
  info.summary = "every position reads the word at a position of its choice, many perhaps the same";
  info.card =
      R"(Problem: numbers x_0..x_(N-1) of 47 bits; output i is the word at position x_i (from 0), or nothing if x_i is not
in 0..N-1.
Guarantee: exact and deterministic, however many read one position.
Cost: R = T_sort(N, 2) + 2 ceil(log_f M) + 4 rounds, M = ceil(N / B) machines that sort, T_sort's B at
most floor((s - 3) / 5), f = floor((s - 3 B - 3) / 2); at most s = kappa_s b words sent and received by a
machine, kappa_s = 8 (at least 6); q = max(ceil(N / b), M).
Source: concurrent reads by sorting, as in Goodrich, Sitchinava, Zhang 2011.)";
  info.rounds_formula = "T_sort(N, 2) + 2 ceil(log_f M) + 4";
  info.kappa_s = kDefaultKappa;
  info.output_form = OutputForm::kSymbols;
  info.make = [](const Parameters& parameters) { return std::make_unique<Join>(parameters); };
  info.decode = [](const Protocol& protocol, std::uint64_t, Word word) -> std::optional<std::int64_t> {
    if (word == 0) return std::nullopt;
    return decode_input(word - 1, protocol.shape());
  };
  info.oracle = [](std::span<const std::int64_t> values, const Parameters&) { return oracles::join(values); };
  return info;
}

}  // namespace roundtrip::mpc
