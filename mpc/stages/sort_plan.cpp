#include "roundtrip/mpc/stages/sort_plan.h"

#include <algorithm>

#include "roundtrip/base/fault.h"
#include "roundtrip/base/rational.h"

namespace roundtrip::mpc {
namespace {

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

/// The best plan with plan.machine_records.
std::optional<SortPlan> plan_block(SortPlan plan, std::uint64_t memory_words) {
  plan.machines = ceil_div(plan.records, plan.machine_records);
  if (plan.machines <= 1) return plan;
  const std::uint64_t spare = memory_words - plan.machine_records * plan.record_words;  // h
  std::optional<SortPlan> best;
  for (std::uint64_t fan = 2; fan <= plan.machines + 1; ++fan) {
    plan.fan = fan;
    plan.samples = spare / (fan * plan.key_words);
    if (plan.samples < 1) break;  // and for no larger f either
    plan.ways = std::min(spare / ((fan + 4) * plan.key_words), plan.samples * std::min(fan, plan.machines));
    if (plan.ways < 2) continue;
    plan.sample_distance = ceil_div(plan.machine_records, plan.samples);
    if (!plan_levels(plan)) continue;
    const bool longest = seeded("longest-sort-plan");
    if (!best || (longest ? plan.rounds > best->rounds : plan.rounds < best->rounds)) best = plan;
  }
  return best;
}

}  // namespace

std::optional<SortPlan> plan_sort(std::uint64_t records, std::uint64_t record_words,
                                  std::uint64_t memory_words, std::uint64_t key_words,
                                  std::uint64_t machines) {
  const std::uint64_t most = memory_words / (2 * record_words);
  if (most == 0) return std::nullopt;
  SortPlan plan{.records = records, .record_words = record_words, .key_words = key_words};
  plan.machine_records = most;
  const std::optional<SortPlan> least = plan_block(plan, memory_words);
  if (!least || least->machines >= machines) return least;
  plan.machine_records = std::max<std::uint64_t>(1, ceil_div(records, machines));
  constexpr std::uint64_t kGrowth = 16;  // a finer search would gain less than a sixteenth
  for (; plan.machine_records < most;
       plan.machine_records += std::max<std::uint64_t>(1, plan.machine_records / kGrowth)) {
    const std::optional<SortPlan> spread = plan_block(plan, memory_words);
    if (spread && spread->rounds <= least->rounds) return spread;
  }
  return least;
}

}  // namespace roundtrip::mpc
