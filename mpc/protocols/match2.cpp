#include <algorithm>
#include <map>
#include <vector>

#include "roundtrip/base/error.h"
#include "roundtrip/base/fault.h"
#include "roundtrip/base/heap_meter.h"
#include "roundtrip/base/random.h"
#include "roundtrip/mpc/protocols/library.h"
#include "roundtrip/mpc/protocols/oracles.h"
#include "roundtrip/mpc/stages/sort.h"
#include "roundtrip/mpc/stages/tree_stages.h"

// Two ways, chosen by (N, eps, M) alone: if a set of residues, one bit each, is small, the set of those
// present is made and spread over a tree; otherwise every word asks for its counterpart by sorting.
namespace roundtrip::mpc {
namespace {

constexpr std::uint64_t kSetKappa = 2;
constexpr std::uint64_t kSortKappa = 8;
constexpr std::uint64_t kSetWordBits = 48;                   // residues in one word of a set
constexpr std::int64_t kMaxModulus = std::int64_t{1} << 46;  // 2 r + 1 is a word for every residue r

std::uint64_t modulus(const Parameters& parameters) {
  return static_cast<std::uint64_t>(parameters.integer_option("M", 37, 1, kMaxModulus));
}

/// Which way, its sizes and trees.
struct Plan {
  bool by_set;
  std::uint64_t set_words;
  Sizes sizes;
  std::optional<SortPlan> sort;
  Tree tree;  // of the set, or of the scan over the sort machines
};

Plan make_plan(const Parameters& parameters) {
  parameters.validate();
  Plan plan{};
  plan.set_words = ceil_div(modulus(parameters), kSetWordBits);
  const std::uint64_t n = parameters.n;
  // A machine keeps its b words and takes in two sets: s >= 2 b is enough if two sets have at most b words.
  plan.by_set = 2 * plan.set_words <= std::max<std::uint64_t>(2, block_words(parameters, kSetKappa));
  const auto set_fan = [&plan](const Sizes& sizes) {
    return (sizes.memory_words - sizes.block_words) / plan.set_words;
  };
  if (plan.by_set) {
    plan.sizes = choose_sizes(parameters, kSetKappa, [&](const Sizes& sizes) {
      return n <= sizes.block_words || set_fan(sizes) >= 2;
    });
    const std::uint64_t leaves = ceil_div(n, plan.sizes.block_words);
    const std::uint64_t fan = std::max<std::uint64_t>(2, set_fan(plan.sizes));
    plan.tree = Tree::over(0, static_cast<std::uint32_t>(leaves), static_cast<std::uint32_t>(fan));
    return plan;
  }
  require(n <= std::uint64_t{1} << 30, "N is {}, allowed for match2 is 1 to 2^30", n);
  plan.sizes = choose_sizes(parameters, kSortKappa, [&plan, n](const Sizes& sizes) {
    plan.sort = plan_sort({.records = 2 * n, .record_words = 2, .memory_words = sizes.memory_words});
    return plan.sort.has_value();
  });
  // Beside a machine's pairs (key, position) the scan has at least s - 2 B >= 2 B words for 2 f.
  const std::uint64_t fan = (plan.sizes.memory_words - 2 * plan.sort->machine_records) / 2;
  plan.tree = Tree::over(0, static_cast<std::uint32_t>(plan.sort->machines), static_cast<std::uint32_t>(fan));
  return plan;
}

/// A defect: residues that a machine has seen stay in memory of the thread, for all machines and runs of it.
void add_residues_of_thread(std::span<Word> set) {
  static thread_local std::vector<Word> seen;
  if (!seeded("residues-of-thread")) return seen.clear();  // a sound run forgets what a defective one left
  seen.resize(std::max(seen.size(), set.size()));
  for (std::size_t i = 0; i < set.size(); ++i) set[i] = seen[i] |= set[i];
}

/// A defect: a machine's words are kept by its number, in memory of the process that no meter sees.
std::vector<Word>* words_by_machine(MachineId machine) {
  static std::map<MachineId, std::vector<Word>> words;
  if (!seeded("words-by-machine")) return nullptr;
  const HeapPause unseen;
  return &words[machine];
}
void keep_by_machine(MachineId machine, std::span<const Word> words) {
  if (std::vector<Word>* const kept = words_by_machine(machine)) {
    const HeapPause unseen;
    kept->assign(words.begin(), words.end());
  }
}

class Match2 final : public Composition {
 public:
  explicit Match2(const Parameters& parameters) : modulus_(modulus(parameters)) {
    const Plan plan = make_plan(parameters);
    shape_ = declare_shape(parameters, plan.sizes, parameters.n, plan.sort ? plan.sort->machines : 1);
    shape_.heap_words = 0;
    plan.by_set ? compose_by_set(plan) : compose_by_sort(plan);
    shape_.validate();
  }

 private:
  std::uint64_t residue(Word word) const {
    const std::int64_t value = decode_input(word, shape_);
    const auto m = static_cast<std::int64_t>(modulus_);
    return static_cast<std::uint64_t>((value % m + m) % m);
  }
  std::uint64_t counterpart(std::uint64_t residue) const { return residue == 0 ? 0 : modulus_ - residue; }

  void compose_by_set(const Plan& plan) {
    const TreeReduce& present = then<TreeReduce>(
        "residues present", {.tree = plan.tree,
                             .element_words = plan.set_words,
                             .load =
                                 [this](const Context& context, std::span<Word> set) {
                                   std::ranges::fill(set, 0);
                                   for (const Word word : context.inbox.words()) {
                                     set[residue(word) / kSetWordBits] |= Word{1}
                                                                          << residue(word) % kSetWordBits;
                                   }
                                   add_residues_of_thread(set);
                                   keep_by_machine(context.machine, context.inbox.words());
                                 },
                             .combine =
                                 [](std::span<Word> left, std::span<const Word> right) {
                                   for (std::size_t i = 0; i < left.size(); ++i) left[i] |= right[i];
                                 },
                             .keep = [](const Context& context) { return context.inbox.words(); }});
    const Broadcast& known = then<Broadcast>(
        "residues to all",
        {.tree = plan.tree,
         .element_words = plan.set_words,
         .load = [&present](const Context& context,
                            std::span<Word> set) { std::ranges::copy(present.result(context), set.begin()); },
         .keep = [&present](const Context& context) { return present.kept(context); },
         .load_scratch_words = plan.set_words});
    then("deliver", 1, 0, [this, &known](const Context& context, std::uint32_t) {
      std::span<const Word> words = known.kept(context);
      if (words.empty()) return;
      if (const auto* const kept = words_by_machine(context.machine))
        words = std::span(*kept).first(std::min(kept->size(), words.size()));
      expect_received(known.tree().covers(context.machine));
      const std::span<const Word> set = known.result(context);
      std::uint64_t index = context.machine * shape_.block_words;
      for (const Word word : words) {
        const std::uint64_t other = counterpart(residue(word));
        context.out.deliver(index++, set[other / kSetWordBits] >> other % kSetWordBits & 1);
      }
    });
  }

  // Word i is a record of its residue, and a question for its counterpart after all records of that residue:
  // keys 2 r and 2 r' + 1, ties i and N + i. A question is answered by the last record before it, which is
  // the largest.
  void compose_by_sort(const Plan& plan) {
    const std::uint64_t block = plan.sort->machine_records;
    then("to the sort machines", 1, 0, [this, block](const Context& context, std::uint32_t) {
      for (const bool asks : {false, true}) {
        std::uint64_t tie = context.machine * shape_.block_words + (asks ? shape_.n : 0);
        for (const Word word : context.inbox.words()) {
          const std::uint64_t r = residue(word);
          context.out.send(static_cast<MachineId>(tie++ / block), asks ? 2 * counterpart(r) + 1 : 2 * r);
        }
      }
    });
    const Sort& sort = then<Sort>("sort by residue", {.plan = *plan.sort, .load = load_in_tie_order()});
    const TreeScan& scan =
        then<TreeScan>("largest record before",
                       {.tree = plan.tree,
                        .load =
                            [&sort](const Context& context, std::span<Word> element) {
                              element[0] = 0;
                              const std::span<const Word> sorted = sort.result(context);
                              for (std::size_t i = 0; i + 1 < sorted.size(); i += 2)
                                element[0] = largest(element[0], sorted[i]);
                            },
                        .combine = [](std::span<Word> left,
                                      std::span<const Word> right) { left[0] = std::max(left[0], right[0]); },
                        .identity = {0},
                        .keep = [&sort](const Context& context) { return sort.result(context); },
                        .load_scratch_words = sort.rounds() > 0 ? 0 : sort.scratch_words()});
    then("deliver", 1, 0, [this, &scan](const Context& context, std::uint32_t) {
      const std::span<const Word> sorted = scan.kept(context);
      if (sorted.empty()) return;
      expect_received(scan.tree().covers(context.machine));
      Word before = scan.result(context).before[0];
      for (std::size_t i = 0; i + 1 < sorted.size(); i += 2) {
        before = largest(before, sorted[i]);
        if (sorted[i + 1] >= shape_.n)
          context.out.deliver(sorted[i + 1] - shape_.n, before == sorted[i] / 2 + 1 ? 1 : 0);
      }
    });
  }

  /// The largest residue of a record so far, plus 1.
  static Word largest(Word before, Word key) { return key % 2 == 0 ? std::max(before, key / 2 + 1) : before; }

  /// Records come from their machine in tie order, but a machine's questions after its own records: those of
  /// ties up to N - 1 are all first, then the questions, each kind in the order of the machines.
  std::function<void(const Context&, std::uint64_t, std::span<Word>)> load_in_tie_order() {
    return [this](const Context& context, std::uint64_t first, std::span<Word> records) {
      std::uint64_t record = first;                        // next tie of a record here
      std::uint64_t question = std::max(first, shape_.n);  // and of a question
      const std::uint64_t end = first + records.size() / 2;
      expect_received(2 * context.inbox.words().size() == records.size());
      for (const Word key : context.inbox.words()) {
        expect_received(key % 2 == 0 ? record < std::min(shape_.n, end) : question < end);
        const std::uint64_t tie = key % 2 == 0 ? record++ : question++;
        records[2 * (tie - first)] = key;
        records[2 * (tie - first) + 1] = tie;
      }
    };
  }

  std::uint64_t modulus_;
};

}  // namespace

std::uint32_t match2_rounds(const Parameters& parameters) {
  const Plan plan = make_plan(parameters);
  return plan.by_set ? 2 * plan.tree.depth + 1 : 1 + plan.sort->rounds + 2 * plan.tree.depth + 1;
}

ProtocolInfo match2_protocol() {
  ProtocolInfo info;
  info.name = "match2";
  info.program = "match2_program";
  info.summary = "for every word whether some word is its counterpart modulo M";
  info.card =
      R"(Problem: signed numbers x_1..x_N of 48 bits; output i is 1 iff some j (j = i allowed) has x_i + x_j = 0 mod M.
Guarantee: exact and deterministic, for 1 <= M <= 2^46.
Cost: with W = ceil(M / 48) and 2 W <= b (or M <= 48): R = 2 ceil(log_f ceil(N / b)) + 1, f = floor((s - b) / W),
kappa_s = 2, q = ceil(N / b). Otherwise R = T_sort(2N, 2) + 2 ceil(log_f M_s) + 2, M_s = ceil(2N / B) machines that
sort, B of T_sort, f = floor((s - 2B) / 2), kappa_s = 8. At most s words sent and received by a machine.
Source: the task is of Sanford, Hsu, Telgarsky 2023 (arXiv 2306.02896), studied for ANNA by Liu et al. 2025.)";
  info.rounds_formula =
      "2 ceil(log_f ceil(N / b)) + 1 if M is small, else T_sort(2N, 2) + 2 ceil(log_f M_s) + 2";
  info.kappa_s = kSetKappa;
  info.options = {
      {"M", "37", "the modulus, an integer from 1 to 2^46; large ones (above 24 b) are served by sorting"}};
  info.output_form = OutputForm::kNumbers;
  info.make = [](const Parameters& parameters) { return std::make_unique<Match2>(parameters); };
  info.decode = [](const Protocol&, std::uint64_t, Word word) -> std::optional<std::int64_t> {
    return static_cast<std::int64_t>(word);
  };
  info.oracle = [](std::span<const std::int64_t> values, const Parameters& parameters) {
    return oracles::match2(values, static_cast<std::int64_t>(modulus(parameters)));
  };
  info.generate = [](const Parameters& parameters) {
    RandomStream stream(parameters.seed, Domain::kInstance);
    Values values(parameters.n);
    for (std::int64_t& value : values) value = static_cast<std::int64_t>(stream.below(modulus(parameters)));
    return values;
  };
  return info;
}

}  // namespace roundtrip::mpc
