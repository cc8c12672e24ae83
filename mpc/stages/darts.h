// Purpose: graphs, sorted once. A dart is one end of an edge; the darts of a vertex lie side by side on machines of B
// positions, each with the position of its partner, the other end of its edge. Then every vertex hears of all its
// neighbours in 1 + 2 d rounds, and groups of vertices merge in 4 d + 4, without another sort.
//
// Glossary: n darts, at most 2^22; E words of an edge in the input: u, v and E - 2 more, which both its darts have; a
// record is W = E words (two of the dart, then those of its edge); M = ceil(n / B) machines; d = max(1, ceil(log_f M)).
//
//   stage          rounds                  words in or out, at most
//   DartLayout     T_sort(n, E - 1) + 2    (W + 3) B, beside those of the sort
//   GroupTotals    2 d, + 1 with tell      (W + 2) B + 2 f (1 + 2 V)
//   MergeGroups    4 d + 4                 (W + 3) B, (W + 2) B + 10 f
//   deliver        2                       B out, b + M in
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "roundtrip/mpc/stages/records.h"
#include "roundtrip/mpc/stages/sort.h"
#include "roundtrip/mpc/stages/tree_stages.h"

namespace roundtrip::mpc {

inline constexpr std::uint64_t kDartKappa = 16;  ///< kappa_s unless more is needed
inline constexpr std::uint32_t kDartBits = 22;
inline constexpr Word kDartMask = (Word{1} << kDartBits) - 1;

/// A record's first two words.
struct Dart {
  Word group = 0;    ///< its vertex, or what that has been merged into
  Word other = 0;    ///< the partner's group
  Word partner = 0;  ///< the partner's position
  Word tag = 0;      ///< the vertex at which it began, or its edge's number in the input
  Word state = 0;    ///< 4 bits: kFirst, and the protocol's own

  /// Of a state: no dart of its vertex is before it on the machine on which the layout put it. Nothing clears it.
  static constexpr Word kFirst = 8;

  static Dart of(std::span<const Word> record);
  void write(std::span<Word> record) const;
  bool leaves() const { return group != other; }
};

struct DartPlan {
  Sizes sizes{};
  std::uint64_t darts = 0;         ///< n
  std::uint64_t record_words = 0;  ///< W
  std::uint64_t block = 0;         ///< B, even
  std::uint64_t machines = 0;      ///< M
  SortPlan sort{};
  Tree tree{};

  std::uint64_t count(MachineId machine) const {
    const std::uint64_t first = machine * block;
    return first < darts ? std::min(block, darts - first) : 0;
  }
  MachineId machine_of(Word position) const {
    expect_received(position < darts);
    return static_cast<MachineId>(position / block);
  }
  std::uint32_t layout_rounds() const { return sort.rounds + 2; }
  std::uint32_t totals_rounds(bool tell) const { return 2 * tree.depth + (tell ? 1 : 0); }
  std::uint32_t merge_rounds() const { return 4 * tree.depth + 4; }
};

/// The plan of least depth, then of the fewest rounds of the sort, for totals of up to V words; kappa_s is raised to the
/// least that has one. ContractError naming the protocol unless E divides N and n is at most 2^22. `serves` says whether the
/// protocol's own stages have the memory that they need with a plan; empty: they do.
DartPlan plan_darts(const Parameters& parameters, std::string_view protocol, std::uint64_t edge_words,
                    std::uint64_t value_words,
                    const std::function<bool(const DartPlan&, std::uint64_t memory_words)>& serves = {});

using LoadRecords = std::function<std::span<const Word>(const Context&)>;

/// Edges of the input to records of darts.
class DartLayout final : public Stage {
 public:
  struct Options {
    DartPlan plan;
    const Shape* shape;      ///< the protocol's
    bool tag_edges = false;  ///< tags are numbers of edges, not vertices
  };
  explicit DartLayout(const Options& options);
  std::uint32_t rounds() const override { return options_.plan.layout_rounds(); }
  void step(const Context& context, std::uint32_t round) const override;
  std::uint64_t scratch_words() const override;
  std::uint64_t result_scratch_words() const override {
    return options_.plan.block * options_.plan.record_words;
  }
  /// In the step after the stage: the machine's records, W words each.
  std::span<const Word> result(const Context& context) const;

 private:
  void to_homes(const Context& context, std::uint64_t position, std::span<const Word> record) const;
  void to_positions(const Context& context) const;
  Options options_;
  WholeRecords input_;
  Sort sort_;
};

/// What the darts of every group have, combined, to each of them. With `tell`, a dart first hears a word of its partner.
struct GroupTotalsOptions {
  DartPlan plan = {};
  std::uint64_t value_words = 1;   ///< V
  std::uint64_t record_words = 0;  ///< of load; 0: W
  LoadRecords load = {};           ///< the machine's records, in the stage's first step
  /// What a dart tells its partner, 26 bits; 0 costs no word.
  std::function<Word(const Dart&)> tell = {};
  std::function<void(std::uint64_t position, std::span<const Word> record, Word told, std::span<Word> value)>
      value;
  Combine combine;  ///< associative and commutative
  std::uint64_t load_scratch_words = 0;
};

class GroupTotals final : public Stage {
 public:
  using Options = GroupTotalsOptions;
  explicit GroupTotals(const Options& options);
  std::uint32_t rounds() const override { return options_.plan.totals_rounds(options_.tell != nullptr); }
  void step(const Context& context, std::uint32_t round) const override;
  std::uint64_t scratch_words() const override;
  std::uint64_t result_scratch_words() const override;
  /// In the step after the stage: each(position, record, total of its group) for the machine's records in order.
  template <typename Each>
  void for_each(const Context& context, const Each& each) const {
    visit(context,
          std::ref(each));  // a copy could be too large for std::function's own place, and come from the heap
  }

 private:
  using Visit =
      std::function<void(std::uint64_t position, std::span<const Word> record, std::span<const Word> total)>;
  void visit(const Context& context, const Visit& each) const;
  std::span<const Word> with_told(const Context& context) const;
  TreeOptions tree_options() const;
  void total(std::uint64_t position, std::span<const Word> kept, std::uint64_t begin, std::uint64_t end,
             std::span<Word> value, std::span<Word> total) const;
  Options options_;
  std::uint64_t width_;
  TreeScan scan_;
};

/// Groups become part of others: stars, as whoever merges says to whom, and whoever is merged into stays. Their darts move
/// behind the dart that they merge by.
struct MergeGroupsOptions {
  DartPlan plan;
  /// Records of W + 1 words in the stage's first step. Darts of a group that merges have kMerges; one of them kHook too, and
  /// as its last word the number of its group's darts: its partner's group takes them in, and has not kMerges.
  LoadRecords load;
  std::uint64_t load_scratch_words = 0;
};

class MergeGroups final : public Stage {
 public:
  using Options = MergeGroupsOptions;
  static constexpr Word kMerges = 1, kHook = 2;  // of Dart::state; both are cleared
  explicit MergeGroups(const Options& options);
  std::uint32_t rounds() const override { return options_.plan.merge_rounds(); }
  void step(const Context& context, std::uint32_t round) const override;
  std::uint64_t scratch_words() const override;
  std::uint64_t result_scratch_words() const override {
    return options_.plan.block * options_.plan.record_words;
  }
  /// In the step after the stage: the machine's records, W words each.
  std::span<const Word> result(const Context& context) const;

 private:
  std::span<const Word> with_guests(const Context& context) const;
  std::span<const Word> with_bases(const Context& context) const;
  void send_bases(const Context& context) const;
  void tell_places(const Context& context) const;
  void move(const Context& context) const;
  Options options_;
  std::uint64_t width_;  // W + 1
  TreeScan places_;
  GroupTotals bases_;
};

/// A protocol on the darts of a graph: they are laid out, change by turns, and what they end with is delivered. Outputs are
/// by tag.
class OnDarts : public Composition {
 protected:
  using Combined = std::span<const Word>;
  /// On as many machines as the plan needs, or `machines` if that is more.
  OnDarts(const Parameters& parameters, const DartPlan& plan, std::uint64_t outputs, bool tag_edges = false,
          std::uint64_t machines = 1);

  /// Totals of groups, after which every dart changes: options but for plan and load, and change(dart, its group's total).
  void totals(std::string name, GroupTotalsOptions options, std::function<void(Dart&, Combined)> change);
  /// The same for one bit: whether `counts(dart, what it was told)` is true for any dart of the group.
  void any(std::string name, std::function<bool(const Dart&)> tell,
           std::function<bool(const Dart&, bool told)> counts, std::function<void(Dart&, bool)> change);
  /// One round: every dart hears a word of its partner, 26 bits (0 if that says nothing), and changes.
  void tell(std::string name, std::function<Word(const Dart&)> word,
            std::function<void(Dart&, Word told)> change);
  /// Totals, by which groups decide whether they merge: change(dart, its group's total, its position) sets MergeGroups' states,
  /// and returns the number of the group's darts where it sets kHook.
  void merge(std::string name, GroupTotalsOptions options,
             std::function<Word(Dart&, Combined, std::uint64_t position)> change);
  /// Two rounds: output t is 1 + the greatest value of darts of tag t that have one, or 0. For tags that are vertices, darts
  /// that are not kFirst must have none: an owner hears of each of its vertices once, and once more from every machine over
  /// which the layout spread its darts, b + M words.
  void deliver(std::function<std::optional<Word>(const Dart&)> value);

  using Change = std::function<Word(Dart&, Combined, std::uint64_t position)>;
  /// A stage of totals, after which records are read that `change` has changed, of `width` words each; if that is W + 1, the
  /// last is what it returned.
  void append_totals(std::string name, GroupTotalsOptions options, std::uint64_t width, Change change);

  DartPlan plan_;
  LoadRecords load_;  ///< the machine's records as all turns so far have left them
  std::uint64_t load_words_ = 0;
};

}  // namespace roundtrip::mpc
