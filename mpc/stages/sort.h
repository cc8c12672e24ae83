// Purpose: the deterministic sort to exact positions, as a stage.
//
// Problem:   n records of w words are on M machines, B a machine in order of arrival; each shall go to the machine
//            of its position in sorted order, position div B. Keys are several words and a tie word that makes
//            them distinct.
// Guarantee: exact and deterministic; T_sort(n, w; s) rounds (mpc/stages/sort_plan.h), a function of n, w and s
//            alone; every machine sends and receives at most s words a round; q >= M.
// Method:    A level splits every group of more than B positions into F ways. Leaves send every t0-th of their
//            sorted records up a tree of fan-in f over the group's machines; each node merges and keeps every
//            f-th; the root picks F-1 splitters at regular distances. They go down; counts of the ways go up
//            and offsets down; one round moves every record to an exact position within its way, which is a
//            group of the next level. At a leaf's sample fewer than t0 records of the leaf, and at a node's
//            fewer than f samples of t0 f^(level-1) records, are not accounted for, so a way has at most
//            n/F + m t0 d + t0 f^(d-1) records. In the end every group is on at most two machines; its first
//            one sorts it.
// Source:    Goodrich, Sitchinava, Zhang 2011 (sorting in O(log_s N) rounds of MapReduce); constants and exact
//            positions are ours.
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
  /// Called in the stage's first step on each of the M machines: writes its records, w - 1 words each (key
  /// words, tie, payload), those of positions `first_position` and on.
  std::function<void(const Context&, std::uint64_t first_position, std::span<Word> records)> load;
  /// Sends a record of w - 1 words in the stage's last round, in ascending order of positions on each
  /// machine; by default to the machine of its position.
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
  /// A machine's view of a round: its records in order, active slices sorted and at the ends of the block.
  struct View {
    std::span<const Word> records;  ///< w words each
    Slices slices;
  };

  Word packed(const Group& group) const { return group.start << group_bits_ | (group.length - 1); }
  Group unpacked(Word word) const {
    return {word >> group_bits_, (word & ((Word{1} << group_bits_) - 1)) + 1};
  }
  Slices slices(MachineId machine, std::span<const Word> records, std::uint32_t level) const;
  std::span<const Word> loaded(const Context& context) const;
  std::span<const Word> arrange(const Context& context, std::span<const Word> arrived) const;
  std::span<const Word> extra_from(const Context& context, MachineId source) const;

  void step_level(const Context& context, std::uint32_t level, std::uint32_t round) const;
  void samples_up(const Context& context, const View& view, std::uint32_t round) const;
  void splitters_down(const Context& context, const View& view, std::uint32_t round) const;
  void scan_counts(const Context& context, const View& view, std::uint32_t round) const;
  void route(const Context& context, const View& view) const;
  std::span<const Word> leaf_samples(const Context& context, const View& view, const Slice& slice) const;
  std::span<const Word> node_samples(const Context& context, const Tree& tree, std::uint32_t level) const;
  std::span<const Word> splitters(const Context& context, std::span<const Word> samples) const;
  void count_ways(const View& view, const Slice& slice, std::span<const Word> splitters,
                  std::span<Word> counts) const;
  void gather_groups(const Context& context) const;
  void place_groups(const Context& context) const;
  void place_run(const Context& context, std::uint64_t position, std::span<const Word> records) const;

  Options options_;
  std::uint32_t group_bits_ = 0;  // of a start or a length - 1 in a group's word
  std::uint64_t scratch_words_ = 0;
};

/// Width of the word that names a group of `records` records: such a sort needs p at least that.
std::uint32_t sort_group_bits(std::uint64_t records);

}  // namespace roundtrip::mpc
