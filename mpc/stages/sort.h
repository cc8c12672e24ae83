// Purpose: the deterministic sort to exact positions, as a stage.
//
// Problem:   n records of w words are on M machines, B a machine in order of arrival; each shall go to the machine
//            of its position in the order of keys, position div B. Records of equal keys keep their order.
// Guarantee: exact, stable and deterministic; T_sort(n, w; s) rounds, a function of n, w and s alone; every machine
//            sends and receives at most s words a round; q >= M.
// Method:    A level splits every group of more than B consecutive positions into F ways. Each machine sorts its
//            records, stably; leaves send every t0-th up a tree of fan-in f over the group's machines; each node
//            merges and keeps every f-th; the root picks F-1 splitters at regular distances. They go down; counts of
//            the ways go up and offsets down; one round moves every record to an exact position within its way,
//            which is a group of the next level. In the end every group is on at most two machines; its first one
//            sorts it.
// Ties:      A sample is its key and its position; a record of an equal key belongs above a splitter if its position
//            is. So equal keys are split like distinct ones, and no record carries a tie. Proof that equal keys keep
//            their order: let x precede y. On one machine the sort is stable. If a split puts them into different
//            ways, that of x is the lower one; if into the same, offsets grow with machines, and a machine sends in
//            its own order. Who receives both has them in this order: its inbox is by source, then sequence, and
//            groups that meet on a machine were on the left and on the right of it before.
// Groups:    No record says what group it is of. The groups that are not sorted are intervals of positions, and a
//            machine that sorts all it holds puts right whatever ends inside. It must know the groups of its first and
//            its last position alone. It is a leaf of the tree of either, which has told it the totals of all ways: so
//            it finds both groups of the next level by itself, and tells itself.
//
// T_sort(n, w; s): for j = 2, 3, 4: B = floor(s / j w), M = ceil(n / B), h = s - B w - 4, w_k = key words + 1. If
// M = 1, T = 0. For f = 2 .. M + 1: sigma = floor(h / (f w_k)), F = min(floor(h / ((f + 4) w_k)), sigma min(f, M)); f
// is skipped if sigma < 1 or F < 2; t0 = ceil(B / sigma), n_0 = n; while n_l > B: m_l = ceil(n_l / B) + 1,
// d_l = max(1, ceil(log_f m_l)), n_(l+1) = ceil(n_l / F) + m_l t0 d_l + t0 f^(d_l - 1); f is rejected if
// 20 n_(l+1) >= 19 n_l. T = 2 + sum (4 d_l + 1); the least T wins, ties the smaller j, then f. At a leaf's sample fewer
// than t0 records of the leaf, and at a node's fewer than f samples of t0 f^(level-1) records, are not accounted for:
// hence the bound on a way.
//
//   rounds   what is sent, beside B w + 4 words to oneself in all but the last two      words out / in, at most
//   d_l      samples up; the root keeps all that it gets                                f sigma w_k / f sigma w_k
//   d_l      splitters down; leaves have those of two groups                            f F w_k / 2 F w_k
//   d_l      counts of the ways up; each node keeps its children's                      (f + 4) F / (f + 4) F
//   d_l      offsets and totals down                                                    2 f F + 4 F / 8 F
//   1        every record to its exact position                                         B w + 4 / B w + 4
//   1        records of a group that began on the machine before go there               B w / (2 B - 1) w
//   1        every record to its exact position                                         (2 B - 1) w / B w
//
// Source:    Goodrich, Sitchinava, Zhang 2011 (sorting in O(log_s N) rounds of MapReduce); constants, exact positions
//            and ties without words are ours.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "roundtrip/mpc/stages/composition.h"
#include "roundtrip/mpc/stages/sort_plan.h"
#include "roundtrip/mpc/stages/tree.h"
#include "roundtrip/mpc/stages/tree_stages.h"

namespace roundtrip::mpc {

struct SortOptions {
  SortPlan plan;
  /// Called in the stage's first step on each of the M machines: writes its records, w words each (key words, then
  /// payload), those of positions `first_position` and on.
  std::function<void(const Context&, std::uint64_t first_position, std::span<Word> records)> load;
  /// Sends a record in the stage's last round, in ascending order of positions on each machine, of which there are
  /// fewer than 2 B; by default to the machine of its position.
  std::function<void(const Context&, std::uint64_t position, std::span<const Word> record)> place = {};
  MachineId first = 0;          ///< machine of position 0
  std::uint32_t instances = 1;  ///< independent sorts on M machines each, one after another
  std::uint64_t load_scratch_words = 0;
};

class Sort final : public Stage {
 public:
  using Options = SortOptions;
  explicit Sort(Options options);

  std::uint32_t rounds() const override { return options_.plan.rounds; }
  void step(const Context& context, std::uint32_t round) const override;
  std::uint64_t scratch_words() const override { return scratch_words_; }
  /// In the step after the stage: what this machine received in its last round, with the default `place` its
  /// sorted records; if there are no rounds (M = 1), the machine's records sorted here and now.
  std::span<const Word> result(const Context& context) const;

  const SortPlan& plan() const { return options_.plan; }
  /// The machine that holds a position of the sort that this machine takes part in.
  MachineId machine_of(MachineId near, std::uint64_t position) const;
  /// Whether a machine holds records.
  bool takes_part(MachineId machine) const;
  /// Position of the first record that a machine holds, and how many it holds.
  std::uint64_t first_position(MachineId machine) const;
  std::uint64_t count(MachineId machine) const;

 private:
  /// Consecutive positions whose records are still to be put in order among themselves.
  struct Group {
    std::uint64_t start;
    std::uint64_t length;
  };
  /// The part of an active group (longer than B) on one machine: records begin .. begin + count - 1 of its
  /// block.
  struct Slice {
    Group group;
    std::uint64_t begin;
    std::uint64_t count;
    Tree tree;
  };
  struct Slices {
    Slice slice[2];
    std::uint32_t size = 0;
    const Slice* begin() const { return slice; }
    const Slice* end() const { return slice + size; }
  };
  /// The groups of a machine's first and last position.
  struct Ends {
    Group head;
    Group tail;
  };
  /// A machine's view of a round: its records sorted, active slices at the ends of the block.
  struct View {
    std::span<const Word> records;  ///< w words each
    Ends ends;
    Slices slices;
  };

  Ends ends_from(const Context& context) const;
  void send_ends(const Context& context, const Ends& ends) const;
  Ends next_ends(const Context& context, const View& view) const;
  Slices slices(MachineId machine, const Ends& ends, std::uint32_t level) const;
  std::span<const Word> loaded(const Context& context) const;
  std::span<const Word> arrived(const Context& context) const;
  std::span<const Word> sorted(const Context& context, std::span<const Word> records) const;
  std::span<const Word> extra_from(const Context& context, MachineId source) const;

  void step_level(const Context& context, std::uint32_t level, std::uint32_t round) const;
  void samples_up(const Context& context, const View& view, std::uint32_t round) const;
  void splitters_down(const Context& context, const View& view, std::uint32_t round) const;
  void scan_counts(const Context& context, const View& view, std::uint32_t round) const;
  void route(const Context& context, const View& view) const;
  std::span<const Word> leaf_samples(const Context& context, const View& view, const Slice& slice) const;
  std::span<const Word> node_samples(const Context& context, const Tree& tree, std::uint32_t level) const;
  std::span<const Word> splitters(const Context& context, std::span<const Word> samples) const;
  void count_ways(const Context& context, const View& view, const Slice& slice,
                  std::span<const Word> splitters, std::span<Word> counts) const;
  void gather_groups(const Context& context) const;
  void place_groups(const Context& context) const;
  void place_run(const Context& context, std::uint64_t position, std::span<const Word> records) const;

  Options options_;
  std::uint64_t scratch_words_ = 0;
};

}  // namespace roundtrip::mpc
