#include <algorithm>
#include <array>
#include <limits>

#include "roundtrip/base/error.h"
#include "roundtrip/base/fault.h"
#include "roundtrip/base/random.h"
#include "roundtrip/mpc/protocols/library.h"
#include "roundtrip/mpc/protocols/oracles.h"
#include "roundtrip/mpc/protocols/sort_input.h"
#include "roundtrip/mpc/stages/sort.h"
#include "roundtrip/mpc/stages/tree_stages.h"

// Glossary: g = ceil(sqrt N) blocks of at most ceil(N / g) distinct values, in ascending order; an end is the
// first or last value of a block. A diagonal (a, b), a + b < g, is the row of cells (I, I + a, I + a + b) of
// three blocks; it has its own machine. On a diagonal the intervals of possible sums are disjoint and ascend,
// so at most one cell can hold a sum of 0, and every triple v1 <= v2 <= v3 lies in exactly one cell of one
// diagonal.
//
// Machines: diagonals 0 .. D-1, D = g (g + 1) / 2, by (a, b); then the g block machines; those that sort are
// the first M. A block reaches the diagonals whose cell it belongs to down a tree that carries (role in the
// cell, block, range of diagonals): who is in the range is computed anew from the ends, which all machines
// have, since lists of up to N / 2 targets would not fit.
namespace roundtrip::mpc {
namespace {

constexpr std::uint64_t kDefaultKappa = 3;
constexpr std::uint32_t kValueBits = 46;
constexpr std::uint64_t kOccurrences = 3;  // a triple uses no more of one value
constexpr std::uint64_t kRoles = 3;
constexpr std::uint64_t kHeaderWords =
    4;  // of a bundle; its declared length g + 5 leaves one word a bundle to spare
constexpr std::uint64_t kOutputs = 3;
constexpr Word kNone = (Word{1} << 48) - 1;  // above every value

struct Plan {
  Sizes sizes;
  SortPlan sort;
  std::uint64_t blocks;        // g
  std::uint64_t block_values;  // ceil(N / g)
  std::uint64_t diagonals;     // D
  std::uint64_t fan;           // f: of the trees that carry blocks
  std::uint64_t growth;        // machines that know the ends grow by this factor a round
  std::uint32_t ends_rounds, spread_rounds;
  Tree ranks, witnesses;
};

Plan make_plan(const Parameters& parameters) {
  const std::uint64_t n = parameters.n;
  require(n <= std::uint64_t{1} << 30, "N is {}, allowed for three_sum is 1 to 2^30", n);
  Plan plan{};
  plan.blocks = ceil_power(n, Rational(1, 2));
  plan.block_values = ceil_div(n, plan.blocks);
  plan.diagonals = plan.blocks * (plan.blocks + 1) / 2;
  const std::uint64_t q = plan.diagonals + plan.blocks;
  const std::uint64_t ends_words = 2 * plan.blocks;
  const std::uint64_t cell_words = kRoles * (plan.blocks + 5);  // the bundles that a diagonal gets
  plan.sizes = choose_sizes(
      parameters, kDefaultKappa,
      [&](const Sizes& sizes) {
        const std::uint64_t s = sizes.memory_words;
        if (s < 16 || s < 2 * cell_words + ends_words || s < 2 * kOccurrences * plan.blocks) return false;
        plan.fan = (s - cell_words - ends_words) / cell_words;
        plan.growth = (s - ends_words) / ends_words;
        SortTask task = numbered_words(n, s);
        task.machine_records = s / 4 - (kOccurrences - 1);  // its last three go to the next machine, too
        const auto sort = plan_sort(task);
        if (!sort || plan.fan < 2 || plan.growth < 2) return false;
        plan.sort = *sort;
        return sort->machines <= q && (sort->machines == 1 || sort->machine_records >= kOccurrences);
      },
      parameters.delta);
  plan.ends_rounds = ceil_log(plan.growth, q);
  plan.spread_rounds = std::max(1u, ceil_log(plan.fan, plan.diagonals));
  const auto tree = [](std::uint64_t leaves, std::uint64_t fan, std::uint64_t reach) {
    return Tree{static_cast<std::uint32_t>(fan), ceil_log(fan, reach), 0, static_cast<std::uint32_t>(leaves)};
  };
  plan.ranks = tree(plan.sort.machines, plan.sizes.memory_words / 8, plan.sort.machines);
  plan.witnesses = tree(plan.diagonals, plan.sizes.memory_words / 4, q);
  return plan;
}

using Cell = std::array<std::uint64_t, kRoles>;  // its three blocks, ascending

/// First and last values of the blocks, as every machine knows them.
class Ends {
 public:
  Ends() = default;
  Ends(std::span<const Word> words, std::uint64_t blocks)
      : words_(words.first(std::min<std::uint64_t>(words.size() / 2, blocks) * 2)) {}
  std::uint64_t blocks() const { return words_.size() / 2; }
  std::span<const Word> words() const { return words_; }
  std::int64_t least(const Cell& cell) const { return sum(cell, 0); }
  std::int64_t most(const Cell& cell) const { return sum(cell, 1); }
  bool may_hold_zero(const Cell& cell) const { return least(cell) <= 0 && most(cell) >= 0; }

 private:
  std::int64_t sum(const Cell& cell, std::uint64_t side) const {
    std::int64_t total = 0;
    for (const std::uint64_t block : cell)
      total += static_cast<std::int64_t>(words_[2 * block + side] & ((Word{1} << kValueBits) - 1)) -
               (std::int64_t{1} << (kValueBits - 1));
    return total;
  }
  std::span<const Word> words_;
};

/// A block on its way to the diagonals of [first, end) that need it in this role.
struct Bundle {
  std::uint64_t role, block, first, end;
  std::span<const Word> values;  // 4 value + min(multiplicity, 3), ascending
};

template <typename Each>
void for_each_bundle(std::span<const Word> words, const Each& each) {
  while (words.size() >= kHeaderWords) {
    const std::uint64_t count = words[0] >> 2;
    if (count > words.size() - kHeaderWords) return;
    each(Bundle{words[0] & 3, words[1], words[2], words[3], words.subspan(kHeaderWords, count)},
         words.first(kHeaderWords + count));
    words = words.subspan(kHeaderWords + count);
  }
}

/// A list that begins with its length, at the front of `words`; what follows is left in `rest`.
std::span<const Word> counted_list(std::span<const Word> words, std::span<const Word>& rest) {
  if (words.empty()) return rest = {};
  const std::uint64_t count = std::min<std::uint64_t>(words[0], words.size() - 1);
  rest = words.subspan(1 + count);
  return words.subspan(1, count);
}

class ThreeSum final : public Composition {
 public:
  explicit ThreeSum(const Parameters& parameters) : plan_(make_plan(parameters)) {
    shape_ = declare_shape(parameters, plan_.sizes, kOutputs, plan_.diagonals + plan_.blocks);
    shape_.heap_words = 0;
    shape_.input_bits = kValueBits;
    const std::uint64_t s = shape_.memory_words;

    then("to the sort machines", 1, 0,
         [this](const Context& context, std::uint32_t) { send_input_to_sort(context, shape_, plan_.sort); });
    // The last three records of a machine go to the next one too, which can then tell how often its first
    // values were seen before.
    const auto place = [this, block = plan_.sort.machine_records](
                           const Context& context, std::uint64_t position, std::span<const Word> record) {
      const auto machine = static_cast<MachineId>(position / block);
      context.out.send(machine, record);
      const bool is_copied = position % block + kOccurrences >= block;
      if (is_copied && (machine + 1) * block < shape_.n) context.out.send(machine + 1, record);
    };
    const Sort& sort = then<Sort>("sort", {.plan = plan_.sort, .load = load_numbered_words, .place = place});
    const TreeScan& ranks = then<TreeScan>(
        "ranks of values",
        {.tree = plan_.ranks,
         .load =
             [&sort](const Context& context, std::span<Word> element) {
               element[0] = 0;
               for_each_record(context.machine, sort.result(context),
                               [&](Word, Word, std::uint64_t before) { element[0] += before == 0 ? 1 : 0; });
             },
         .combine = [](std::span<Word> left, std::span<const Word> right) { left[0] += right[0]; },
         .identity = {0},
         .keep = [&sort](const Context& context) { return sort.result(context); },
         .load_scratch_words = sort.rounds() > 0 ? 0 : sort.scratch_words()});
    then("values to their blocks", 1, 0, [this, &ranks](const Context& context, std::uint32_t) {
      const std::span<const Word> sorted = ranks.kept(context);
      const std::span<const Word> before_here = ranks.result(context).before;
      if (sorted.empty() || before_here.empty()) return;
      Word rank = before_here[0];  // distinct values so far
      for_each_record(context.machine, sorted, [&](Word value, Word position, std::uint64_t before) {
        rank += before == 0 ? 1 : 0;
        const Word record[2] = {value, position};
        if (before < kOccurrences) context.out.send(block_machine((rank - 1) / plan_.block_values), record);
      });
    });
    then("ends to one machine", 1, s + 1,
         [this](const Context& context, std::uint32_t) { send_ends(context); });
    then("ends to all", plan_.ends_rounds, 2 * plan_.blocks,
         [this](const Context& context, std::uint32_t round) { spread_ends(context, round); });
    then("blocks to diagonals", plan_.spread_rounds, plan_.block_values,
         [this](const Context& context, std::uint32_t round) { spread_blocks(context, round); });
    const TreeReduce& least = then<TreeReduce>(
        "least witness",
        {.tree = plan_.witnesses,
         .element_words = 4,
         .load = [this](const Context& context, std::span<Word> element) { find_witness(context, element); },
         .combine =
             [](std::span<Word> left, std::span<const Word> right) {
               if (std::ranges::lexicographical_compare(right, left)) std::ranges::copy(right, left.begin());
             },
         .keep =
             [this](const Context& context) {
               return is_block(context.machine) ? context.from(context.machine) : std::span<const Word>{};
             }});
    then("ask for positions", 1, 0, [this, &least](const Context& context, std::uint32_t) {
      context.out.send(context.machine, least.kept(context));
      ask(context, least.result(context));
    });
    then("deliver", 1, 0, [this](const Context& context, std::uint32_t) { answer(context); });
    shape_.validate();
  }

 private:
  MachineId block_machine(std::uint64_t block) const {
    return static_cast<MachineId>(plan_.diagonals + block);
  }
  bool is_block(MachineId machine) const {
    return machine >= plan_.diagonals && machine < plan_.diagonals + plan_.blocks;
  }

  /// Calls each(value, position, how many of this value precede, 3 standing for more) for the machine's own
  /// records.
  template <typename Each>
  static void for_each_record(MachineId machine, std::span<const Word> sorted, const Each& each) {
    const std::uint64_t copies = machine > 0 ? 2 * kOccurrences : 0;  // words
    std::uint64_t before = 0;
    for (std::uint64_t i = 0; i + 1 < sorted.size(); i += 2) {
      before = i > 0 && sorted[i] == sorted[i - 2] ? std::min(before + 1, kOccurrences) : 0;
      if (i >= copies) each(sorted[i], sorted[i + 1], before);
    }
  }

  /// A block machine keeps, after their number, words (4 value + count, then that many positions) for each
  /// value.
  void send_ends(const Context& context) const {
    const std::span<const Word> arrived = context.inbox.words();
    if (!is_block(context.machine)) return;
    const std::span<Word> list = context.take(arrived.size() + 1);
    std::uint64_t size = 1;
    std::uint64_t entry = 0;
    for (std::uint64_t i = 0; i + 1 < arrived.size(); i += 2) {
      const Word value = arrived[i] & ((Word{1} << kValueBits) - 1);
      if (entry == 0 || list[entry] >> 2 != value) list[entry = size++] = value << 2;
      if ((list[entry] & 3) == kOccurrences) continue;
      ++list[entry];
      list[size++] = arrived[i + 1];
    }
    list[0] = size - 1;
    context.out.send(context.machine, list.first(size));
    if (size == 1) return;
    const Word ends[2] = {list[1] >> 2, list[entry] >> 2};
    context.out.send(0, ends);
  }

  /// In round r the first growth^(r-1) machines know the ends, and each tells growth - 1 others.
  std::uint64_t knowing(std::uint32_t round) const {
    std::uint64_t count = 1;
    while (--round > 0) count *= plan_.growth;
    return count;
  }

  /// What a machine has before `round` of telling the ends: block machines their list, and the ends.
  struct Held {
    std::span<const Word> list;  // with its length
    std::span<const Word> ends;
  };
  Held held(const Context& context, std::uint32_t round) const {
    Held result;
    std::span<const Word> own = context.from(context.machine);
    if (is_block(context.machine) && !own.empty()) {
      std::span<const Word> rest;
      const std::span<const Word> list = counted_list(own, rest);
      result.list = own.first(list.size() + 1);
      own = rest;
    }
    if (round > 1) {
      const std::uint64_t senders = knowing(round - 1);
      result.ends =
          context.machine < senders ? own : context.from(static_cast<MachineId>(context.machine % senders));
    } else if (context.machine == 0) {
      const std::span<Word> ends = context.take(2 * plan_.blocks);
      std::uint64_t blocks = 0;
      for (; blocks < plan_.blocks; ++blocks) {
        const std::span<const Word> both = context.from(block_machine(blocks));
        if (both.size() != 2) break;  // there are no values for this block, nor for a later one
        std::ranges::copy(both, ends.begin() + static_cast<std::ptrdiff_t>(2 * blocks));
      }
      result.ends = ends.first(2 * blocks);
    }
    return result;
  }

  void spread_ends(const Context& context, std::uint32_t round) const {
    const Held have = held(context, round);
    context.out.send(context.machine, have.list);
    const std::uint64_t senders = knowing(round);
    if (context.machine >= senders) return;
    context.out.send(context.machine, have.ends);
    for (std::uint64_t i = 1; i < plan_.growth; ++i) {
      const std::uint64_t to = context.machine + i * senders;
      if (to >= plan_.diagonals + plan_.blocks) break;
      context.out.send(static_cast<MachineId>(to), have.ends);
    }
  }

  /// Calls each(t) for the diagonals t of [first, end) whose cell has `block` in `role`.
  template <typename Each>
  void for_each_target(const Ends& ends, std::uint64_t role, std::uint64_t block, std::uint64_t first,
                       std::uint64_t end, const Each& each) const {
    std::uint64_t a = 0;
    std::uint64_t b = first;
    for (; a < plan_.blocks && b >= plan_.blocks - a; ++a) b -= plan_.blocks - a;
    for (std::uint64_t t = first; t < std::min(end, plan_.diagonals); ++t) {
      const std::uint64_t offset = role == 0 ? 0 : role == 1 ? a : a + b;
      if (block >= offset && block - offset + a + b < ends.blocks() &&
          ends.may_hold_zero({block - offset, block - offset + a, block - offset + a + b}))
        each(t);
      if (++b == plan_.blocks - a) ++a, b = 0;
    }
  }

  /// Sends the bundle to the first target of each of f parts of its targets.
  void spread(const Context& context, const Ends& ends, const Bundle& bundle) const {
    std::uint64_t targets = 0;
    for_each_target(ends, bundle.role, bundle.block, bundle.first, bundle.end,
                    [&](std::uint64_t) { ++targets; });
    const std::uint64_t parts = std::min(plan_.fan, targets);
    std::uint64_t index = 0;
    std::uint64_t part = 0;
    std::uint64_t first = 0;
    for_each_target(ends, bundle.role, bundle.block, bundle.first, bundle.end, [&](std::uint64_t t) {
      if (index == part * targets / parts) first = t;
      if (++index != (part + 1) * targets / parts) return;
      ++part;
      const Word header[kHeaderWords] = {bundle.values.size() << 2 | bundle.role, bundle.block, first, t + 1};
      context.out.send(static_cast<MachineId>(first), header);
      context.out.send(static_cast<MachineId>(first), bundle.values);
    });
  }

  /// What a diagonal's machine has between rounds: the ends, bundles that it passed on, and new ones.
  struct Diagonal {
    Ends ends;
    std::span<const Word> passed;
    std::span<const Word> fresh[2];
    template <typename Each>
    void for_each(const Each& each) const {
      for (const std::span<const Word> words : {passed, fresh[0], fresh[1]}) for_each_bundle(words, each);
    }
  };
  Diagonal diagonal(const Context& context) const {
    Diagonal result;
    result.ends = Ends(counted_list(context.from(context.machine), result.passed), plan_.blocks);
    result.fresh[0] = context.before(context.machine);
    result.fresh[1] = context.after(context.machine);
    return result;
  }

  void spread_blocks(const Context& context, std::uint32_t round) const {
    if (context.machine >= plan_.diagonals + plan_.blocks) return;
    if (round > 1) {
      if (is_block(context.machine)) return context.out.send(context.machine, context.from(context.machine));
      const Diagonal have = diagonal(context);
      context.out.send(context.machine, have.ends.words().size());
      context.out.send(context.machine, have.ends.words());
      have.for_each(
          [&](const Bundle&, std::span<const Word> words) { context.out.send(context.machine, words); });
      for (const std::span<const Word> fresh : have.fresh) {
        for_each_bundle(fresh, [&](Bundle bundle, std::span<const Word>) {
          bundle.first = context.machine + 1;
          spread(context, have.ends, bundle);
        });
      }
      return;
    }
    const Held have = held(context, plan_.ends_rounds + 1);
    const Ends ends(have.ends, plan_.blocks);
    if (!is_block(context.machine)) {
      context.out.send(context.machine, ends.words().size());
      context.out.send(context.machine, ends.words());
      return;
    }
    context.out.send(context.machine, have.list);
    std::span<const Word> list = have.list.empty() ? have.list : have.list.subspan(1);
    const std::span<Word> values = context.take(plan_.block_values);
    std::uint64_t count = 0;
    while (!list.empty() && count < values.size()) {
      values[count++] = list[0];
      list = list.subspan(std::min<std::uint64_t>(list.size(), 1 + (list[0] & 3)));
    }
    for (std::uint64_t role = 0; role < kRoles && count > 0; ++role) {
      spread(context, ends,
             {role, context.machine - plan_.diagonals, 0, plan_.diagonals, values.first(count)});
    }
  }

  /// The only cell of diagonal t that may hold a sum of 0: the first whose sums reach it.
  std::optional<Cell> cell_of(const Ends& ends, std::uint64_t t) const {
    std::uint64_t a = 0;
    std::uint64_t b = t;
    for (; a < plan_.blocks && b >= plan_.blocks - a; ++a) b -= plan_.blocks - a;
    if (a + b >= ends.blocks()) return std::nullopt;
    const auto cell = [&](std::uint64_t i) { return Cell{i, i + a, i + a + b}; };
    std::uint64_t low = 0;
    std::uint64_t high = ends.blocks() - a - b;
    while (low < high) {
      const std::uint64_t middle = (low + high) / 2;
      ends.most(cell(middle)) >= (seeded("cell-above") ? 1 : 0) ? high = middle : low = middle + 1;
    }
    if (low == ends.blocks() - a - b || !ends.may_hold_zero(cell(low))) return std::nullopt;
    return cell(low);
  }

  /// (v1, v2, v3, blocks), least first, or kNone: two pointers for every v1.
  void find_witness(const Context& context, std::span<Word> element) const {
    std::ranges::fill(element, kNone);
    const Diagonal have = diagonal(context);
    const std::optional<Cell> cell = cell_of(have.ends, context.machine);
    if (!cell) return;
    std::span<const Word> values[kRoles];
    have.for_each([&](const Bundle& bundle, std::span<const Word>) {
      if (bundle.role < kRoles && bundle.block == (*cell)[bundle.role]) values[bundle.role] = bundle.values;
    });
    const auto number = [](Word word) {
      return static_cast<std::int64_t>(word >> 2 & ((Word{1} << kValueBits) - 1)) -
             (std::int64_t{1} << (kValueBits - 1));
    };
    const bool first_two_share = (*cell)[0] == (*cell)[1];
    const bool last_two_share = (*cell)[1] == (*cell)[2];
    for (std::uint64_t i = 0; i < values[0].size(); ++i) {
      std::uint64_t j = first_two_share ? i : 0;
      std::uint64_t k = values[2].size();  // one after the third
      while (j < values[1].size() && k > (last_two_share ? j : 0)) {
        const Word chosen[kRoles] = {values[0][i], values[1][j], values[2][k - 1]};
        const std::int64_t sum = number(chosen[0]) + number(chosen[1]) + number(chosen[2]);
        if (sum == 0) {
          const std::uint64_t same = chosen[0] == chosen[1] && chosen[1] == chosen[2]   ? 3
                                     : chosen[0] == chosen[1] || chosen[1] == chosen[2] ? 2
                                                                                        : 1;
          if ((chosen[1] & 3) >= same ||
              seeded("position-twice")) {  // whichever are equal, the second is one of them
            for (std::uint64_t role = 0; role < kRoles; ++role) element[role] = chosen[role] >> 2;
            element[3] = (*cell)[0] << 32 | (*cell)[1] << 16 | (*cell)[2];
            return;
          }
        }
        sum <= 0 ? ++j : --k;
      }
    }
  }

  /// The root asks the block machines of its values for occurrences 1, 2, 3 of them, in the order of the
  /// outputs; without a witness it reminds itself of that.
  void ask(const Context& context, std::span<const Word> witness) const {
    if (witness.size() < 4) return;
    if (witness[0] == kNone) return context.out.send(context.machine, 0);
    std::uint64_t occurrence = 0;
    for (std::uint64_t role = 0; role < kRoles; ++role) {
      occurrence =
          role > 0 && witness[role] == witness[role - 1] && !seeded("first-occurrence") ? occurrence + 1 : 1;
      const std::uint64_t block = witness[3] >> (16 * (kRoles - 1 - role)) & 0xffff;
      context.out.send(block_machine(block), witness[role] << 2 | occurrence);
    }
  }

  void answer(const Context& context) const {
    const MachineId root = plan_.witnesses.root();
    if (context.machine == root && !context.from(root).empty()) {
      for (std::uint64_t i = 0; i < kOutputs; ++i) context.out.deliver(i, 0);
    }
    if (!is_block(context.machine)) return;
    for (const Run run : context.inbox) {
      if (run.source != root) continue;
      for (std::uint64_t i = 0; i < run.words.size() && run.sequence + i < kOutputs; ++i) {
        std::span<const Word> rest;
        std::span<const Word> list = counted_list(context.from(context.machine), rest);
        while (!list.empty()) {
          const std::uint64_t count = std::min<std::uint64_t>(list[0] & 3, list.size() - 1);
          const std::uint64_t occurrence = run.words[i] & 3;
          if (list[0] >> 2 == run.words[i] >> 2 && occurrence >= 1 && occurrence <= count)
            context.out.deliver(run.sequence + i, list[occurrence] + 1);
          list = list.subspan(1 + count);
        }
      }
    }
  }

  Plan plan_;
};

}  // namespace

std::uint32_t three_sum_rounds(const Parameters& parameters) {
  const Plan plan = make_plan(parameters);
  return plan.sort.rounds + 5 + 2 * plan.ranks.depth + plan.ends_rounds + plan.spread_rounds +
         plan.witnesses.depth;
}

ProtocolInfo three_sum_protocol() {
  ProtocolInfo info;
  info.name = "three_sum";
  info.summary = "positions a, b, c of three words that add up to 0, if there are any";
  info.card =
      R"(Problem: numbers x_1..x_N, |x| < 2^45; output distinct positions a, b, c (from 1) with x_a + x_b + x_c = 0, or
nothing. Of all solutions the one whose values, ascending, are least; of equal values the first ones.
Guarantee: exact and deterministic.
Cost: R = T_sort(N, 2) + 5 + 2 d1 + db + dd + dr rounds with g = ceil(sqrt N), q = g (g + 1) / 2 + g,
W = g + 5, f = floor((s - 3 W - 2 g) / 3 W): d1 = ceil(log_(floor(s / 8)) M) for M = ceil(N / B) machines that
sort, T_sort's B at most floor(s / 4) - 2; db = ceil(log_F q), F = floor((s - 2 g) / 2 g);
dd = max(1, ceil(log_f (q - g))); dr = ceil(log_(floor(s / 4)) q). At most s = kappa_s ceil(N^(eps + delta)) words sent and received by a
machine, kappa_s = 3 with delta = 1/5, raised to the least that has a plan; at most three blocks of values reach
a machine.
Source: Liu, Yu, Sanford, Andoni, Hsu 2025 (3-SUM in O(1) layers of width O(N^(1/2 + delta))); the diagonals of
disjoint sum intervals, trees over recomputed targets and constants are ours.)";
  info.rounds_formula = "T_sort(N, 2) + 5 + 2 d1 + db + dd + dr";
  info.kappa_s = kDefaultKappa;
  info.output_form = OutputForm::kTriple;
  info.make = [](const Parameters& parameters) { return std::make_unique<ThreeSum>(parameters); };
  info.decode = [](const Protocol&, std::uint64_t, Word word) -> std::optional<std::int64_t> {
    if (word == 0) return std::nullopt;
    return static_cast<std::int64_t>(word);
  };
  info.oracle = [](std::span<const std::int64_t> values, const Parameters&) {
    return oracles::three_sum(values);
  };
  info.generate = [](const Parameters& parameters) {
    // Within N^2 of 0: there are about N / 12 solutions, of about N^3 / 6 triples.
    const std::uint64_t bound = std::min(parameters.n * parameters.n, std::uint64_t{1} << 44);
    RandomStream stream(parameters.seed, Domain::kInstance);
    Values values(parameters.n);
    for (std::int64_t& value : values)
      value = static_cast<std::int64_t>(stream.below(2 * bound + 1)) - static_cast<std::int64_t>(bound);
    return values;
  };
  return info;
}

}  // namespace roundtrip::mpc
