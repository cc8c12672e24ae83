#include "roundtrip/mpc/stages/sort_plan.h"

#include <algorithm>

#include "roundtrip/base/ensure.h"
#include "roundtrip/base/fault.h"
#include "roundtrip/base/rational.h"

namespace roundtrip::mpc {
namespace {

// Two blocks of records must fit a machine in the end. Fewer records leave more words for samples: worth it where s is
// small.
constexpr std::uint64_t kMinSortPart = 2;
constexpr std::uint64_t kMaxSortPart = 4;

/// The levels and rounds with plan.fan; false if some level does not shrink the groups enough.
bool plan_levels(SortPlan& plan) {
  plan.levels.clear();
  plan.rounds = 2;
  std::uint64_t size = plan.records;
  while (size > plan.machine_records) {
    const std::uint64_t machines = ceil_div(size, plan.machine_records) + 1;
    const std::uint32_t depth = std::max(1u, ceil_log(plan.fan, machines));
    std::uint64_t top_distance =
        plan.sample_distance;  // records between two samples below the root; at most about f n
    for (std::uint32_t level = 1; level < depth; ++level) top_distance *= plan.fan;
    const std::uint64_t next =
        ceil_div(size, plan.ways) + machines * plan.sample_distance * depth + top_distance;
    if (20 * next >= 19 * size) return false;
    plan.levels.push_back({size, machines, depth});
    plan.rounds += 4 * depth + 1;
    size = next;
  }
  return true;
}

/// The plan of least rounds with plan.machine_records, if there is one that takes fewer than `best`.
void plan_fans(SortPlan plan, std::uint64_t memory_words, std::optional<SortPlan>& best) {
  plan.machines = ceil_div(plan.records, plan.machine_records);
  const std::uint64_t taken = plan.machine_records * plan.record_words + kSortGroupWords;
  if (plan.machines > 1 && taken > memory_words) return;
  const bool longest = seeded("longest-sort-plan");
  const auto offer = [&] {
    if (!best || (longest ? plan.rounds > best->rounds : plan.rounds < best->rounds)) best = plan;
  };
  if (plan.machines == 1) return offer();
  const std::uint64_t spare = memory_words - taken;  // h
  for (std::uint64_t fan = 2; fan <= plan.machines + 1; ++fan) {
    plan.fan = fan;
    plan.samples = spare / (fan * plan.sample_words);
    if (plan.samples < 1) break;  // and for no larger f either
    plan.ways =
        std::min(spare / ((fan + 4) * plan.sample_words), plan.samples * std::min(fan, plan.machines));
    if (plan.ways < 2) continue;
    plan.sample_distance = ceil_div(plan.machine_records, plan.samples);
    if (plan_levels(plan)) offer();
  }
}

}  // namespace

std::optional<SortPlan> plan_sort(const SortTask& task) {
  ensure(!task.distinct_keys || task.key_words > 1, "distinct keys of one word");  // counts need w_k >= 2
  SortPlan plan{.records = task.records, .record_words = task.record_words, .key_words = task.key_words};
  plan.sample_words = task.key_words + (task.distinct_keys ? 0 : 1);
  std::optional<SortPlan> best;
  for (std::uint64_t part = kMinSortPart; part <= kMaxSortPart; ++part) {
    plan.machine_records = std::min(task.machine_records, task.memory_words / (part * task.record_words));
    if (plan.machine_records > 0) plan_fans(plan, task.memory_words, best);
  }
  if (!best || task.machines <= best->machines) return best;
  constexpr std::uint64_t kGrowth = 16;  // a finer search would gain less than a sixteenth
  plan.machine_records = ceil_div(task.records, task.machines);
  for (; plan.machine_records < best->machine_records;
       plan.machine_records += std::max<std::uint64_t>(1, plan.machine_records / kGrowth)) {
    std::optional<SortPlan> spread;
    plan_fans(plan, task.memory_words, spread);
    if (spread && spread->rounds <= best->rounds) return spread;
  }
  return best;
}

}  // namespace roundtrip::mpc
