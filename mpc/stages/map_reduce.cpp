#include "roundtrip/mpc/stages/map_reduce.h"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "roundtrip/base/error.h"
#include "roundtrip/mpc/stages/composition.h"
#include "roundtrip/mpc/stages/key_scan.h"
#include "roundtrip/mpc/stages/records.h"
#include "roundtrip/mpc/stages/sort.h"

namespace roundtrip::mpc {
namespace {

constexpr std::uint32_t kBits = 48;
constexpr std::uint32_t kInputBits = 47;  // of an input word, so that none is kNoRecord
constexpr std::int64_t kOffset = std::int64_t{1} << (kInputBits - 1);
constexpr std::int64_t kMost = (std::int64_t{1} << kInputBits) - 1;

Word word_of(std::int64_t number) {
  if (number < -kOffset || number > kMost) {
    throw Error(fmt::format("the number {} of a record is outside of {} to {}", number, -kOffset, kMost));
  }
  return static_cast<Word>(number + kOffset);
}

/// Words and numbers share their places in scratch memory.
std::span<std::int64_t> numbers(std::span<Word> words) {
  return {reinterpret_cast<std::int64_t*>(words.data()), words.size()};
}

std::span<std::int64_t> numbers_of(std::span<const Word> words, std::span<Word> place) {
  const std::span<std::int64_t> out = numbers(place.first(words.size()));
  for (std::size_t i = 0; i < words.size(); ++i)
    out[i] = static_cast<std::int64_t>(words[i] & ((Word{1} << kBits) - 1)) - kOffset;
  return out;
}

std::uint64_t record_words(const MapReduceJob& job) {
  return job.record_words > 0 ? job.record_words : job.key_words + job.value_words;
}

bool reduce(const MapReduceJob& job, const Reduced& reduced, std::span<std::int64_t> record) {
  if (job.reduce) return job.reduce(reduced, record);
  std::ranges::copy(reduced.value, std::ranges::copy(reduced.key, record.begin()).out);
  return true;
}

struct JobPlan {
  std::uint64_t records = 0;  // of its input, at most
  std::uint64_t pairs = 0;    // n_i
  std::uint64_t results = 0;  // records that it makes, at most
  SortPlan sort;
  Tree scan, compact;
  bool compacts = false;  // its records are numbered, by a second scan
  std::uint32_t rounds() const {
    return sort.rounds + 2 * scan.depth + (compacts ? 2 * compact.depth : 0) + 1;
  }
};

struct Plan {
  Sizes sizes;
  std::vector<JobPlan> jobs;
  std::uint32_t rounds() const {
    std::uint32_t rounds = 1;
    for (const JobPlan& job : jobs) rounds += job.rounds();
    return rounds;
  }
};

std::optional<Tree> widest_tree(const SortPlan& sort, std::uint64_t memory, std::uint64_t kept,
                                std::uint64_t child) {
  const std::uint64_t fan = memory < kept ? 0 : (memory - kept) / child;
  if (fan < 2 && sort.machines > 1) return {};
  return Tree::over(0, static_cast<std::uint32_t>(sort.machines),
                    static_cast<std::uint32_t>(std::max<std::uint64_t>(fan, 2)));
}

/// The plan of job i for `memory` words; the sort gets so large a part of them that what its B records become still
/// fits: pairs for the next job's machines, or output words.
bool plan_job(const MapReduce& work, std::size_t i, std::uint64_t records, std::uint64_t memory,
              JobPlan& plan) {
  const MapReduceJob& job = work.jobs[i];
  const bool last = i + 1 == work.jobs.size();
  const std::uint64_t width = job.key_words + job.value_words, made = record_words(job);
  plan.records = records;
  plan.pairs = records * job.pairs;
  plan.compacts = job.most != nullptr || (last && (job.each || job.reduce));
  plan.results = job.most ? std::min(job.most(records), plan.pairs) : plan.pairs;
  std::uint64_t behind = 2 * made;  // words that a sorted record may become in a round
  if (!last) {
    const MapReduceJob& next = work.jobs[i + 1];
    behind = std::max(behind, next.pairs * (next.key_words + next.value_words));
  }
  const std::uint64_t part = std::max<std::uint64_t>(1, ceil_div(behind, 2 * width));
  if (memory < 4 * (width + 1)) return false;
  const auto sort =
      plan_sort({.records = plan.pairs,
                 .record_words = width,
                 .memory_words = memory / part,
                 .key_words = job.key_words,
                 .machine_records = memory / (2 * (width + 1)) - 1});  // with their number, twice
  if (!sort || sort->machine_records < job.pairs) return false;
  plan.sort = *sort;
  const std::uint64_t block = sort->machine_records;
  if ((2 * block + 2) * (width + 1) > memory) return false;
  const auto scan = widest_tree(*sort, memory, (block + 1) * width, 2 * (job.value_words + 2));
  const auto compact = widest_tree(*sort, memory, block * made, 2);
  if (!scan || !compact) return false;
  plan.scan = *scan;
  plan.compact = *compact;
  return true;
}

Plan make_plan(const MapReduce& work, const Parameters& parameters) {
  require(parameters.n % work.record_words == 0,
          "N is {}, allowed for {} is a multiple of {}, the words of a record", parameters.n, work.name,
          work.record_words);
  Plan plan{};
  plan.sizes = choose_sizes(parameters, work.kappa_s, [&](const Sizes& sizes) {
    plan.jobs.clear();
    std::uint64_t records = parameters.n / work.record_words;
    for (std::size_t i = 0; i < work.jobs.size(); ++i) {
      if (!plan_job(work, i, records, sizes.memory_words, plan.jobs.emplace_back())) return false;
      records = plan.jobs.back().results;
    }
    const SortPlan& first = plan.jobs.front().sort;
    const std::uint64_t in = WholeRecords::received_words({.record_words = work.record_words,
                                                           .positions = work.jobs[0].pairs,
                                                           .machine_positions = first.machine_records});
    return 2 * sizes.block_words <= sizes.memory_words && in <= sizes.memory_words;
  });
  return plan;
}

class MapReduceProtocol final : public Composition {
 public:
  MapReduceProtocol(std::shared_ptr<const MapReduce> work, const Parameters& parameters)
      : work_(std::move(work)), plan_(make_plan(*work_, parameters)) {
    std::uint64_t machines = 1;
    for (const JobPlan& job : plan_.jobs) machines = std::max(machines, job.sort.machines);
    const std::uint64_t made = record_words(work_->jobs.back());
    shape_ = declare_shape(parameters, plan_.sizes, plan_.jobs.back().results * made, machines);
    shape_.word_bits = kBits;
    shape_.input_bits = kInputBits;
    const WholeRecords& input =
        then<WholeRecords>("whole records", {.words = parameters.n,
                                             .block_words = shape_.block_words,
                                             .record_words = work_->record_words,
                                             .positions = work_->jobs[0].pairs,
                                             .machine_positions = plan_.jobs[0].sort.machine_records});
    for (std::size_t i = 0; i < work_->jobs.size(); ++i) append_job(i, input);
    shape_.validate();
  }

 private:
  void append_job(std::size_t i, const WholeRecords& input) {
    const MapReduceJob& job = work_->jobs[i];
    const JobPlan& plan = plan_.jobs[i];
    const std::string number = work_->jobs.size() == 1 ? "" : fmt::format(", job {}", i + 1);
    const std::uint64_t block = plan.sort.machine_records;
    const std::uint64_t keys = job.key_words, width = keys + job.value_words;
    const Sort& sort = then<Sort>(
        "sort by key" + number,
        {.plan = plan.sort,
         .load =
             [this, i, &input](const Context& context, std::uint64_t first, std::span<Word> records) {
               i == 0 ? load_input(context, input, first, records) : load_pairs(context, i, records);
             },
         .place =
             [block, keys](const Context& context, std::uint64_t position, std::span<const Word> record) {
               const auto machine = static_cast<MachineId>(position / block);
               for (const MachineId to : {machine - 1, machine}) {
                 if (to != machine && (position % block != 0 || position == 0)) continue;
                 context.out.send(to, record.first(keys));
                 context.out.send(to, record.subspan(keys));
               }
             },
         .load_scratch_words = work_->record_words + 2 * width});
    // On one machine nothing is sent, and whoever reads a result sorts anew: three times what one reading takes.
    const std::uint64_t load_words = sort.rounds() == 0 ? 3 * (sort.scratch_words() + plan.pairs * width) : 0;
    const KeyScan& scan = then<KeyScan>(
        "combine" + number,
        {.tree = plan.scan,
         .records = plan.pairs,
         .machine_records = block,
         .key_words = keys,
         .group_words = job.group_words > 0 ? job.group_words : keys,
         .value_words = job.value_words,
         .load = [&sort](const Context& context) { return sort.result(context); },
         .combine = [&job](std::span<Word> left, std::span<const Word> right) { combine(job, left, right); },
         .load_scratch_words = load_words});
    const std::uint64_t made_words = block * record_words(job);
    const std::uint64_t reduce_words = made_words + width + job.value_words + record_words(job);
    const Compact* compact = nullptr;
    if (plan.compacts) {
      compact = &then<Compact>(
          "number the records" + number,
          {.tree = plan.compact,
           .load = [this, i, &scan](const Context& context) { return results(context, i, scan); },
           .record_words = record_words(job),
           .load_scratch_words = reduce_words + scan.result_scratch_words()});
    }
    const bool last = i + 1 == work_->jobs.size();
    const std::uint64_t pair_words =
        last ? 0 : record_words(job) + work_->jobs[i + 1].key_words + work_->jobs[i + 1].value_words;
    then(last ? "deliver" : "map" + number, 1, reduce_words + pair_words,
         [this, i, &scan, compact, last](const Context& context, std::uint32_t) {
           if (context.machine >= plan_.jobs[i].sort.machines) return;
           const Compact::Result records = numbered(context, i, scan, compact);
           last ? deliver(context, records) : map_on(context, i + 1, records);
         });
  }

  /// In the values' own places: a step need not be told how large they are.
  static void combine(const MapReduceJob& job, std::span<Word> left, std::span<const Word> right) {
    if (!job.combine) return;
    constexpr std::size_t kMostWords = 64;
    std::int64_t other[kMostWords];
    expect_received(right.size() <= kMostWords);
    for (std::size_t i = 0; i < right.size(); ++i) other[i] = static_cast<std::int64_t>(right[i]) - kOffset;
    const std::span<std::int64_t> values = numbers_of(left, left);
    job.combine(values, Record(other, right.size()));
    for (std::size_t i = 0; i < left.size(); ++i) left[i] = word_of(values[i]);
  }

  /// map() of one record: each(number of the pair, key, value), 0 .. E - 1.
  template <typename Each>
  void map_record(const MapReduceJob& job, Record record, const Each& each) const {
    std::uint64_t made = 0;
    const Emit::Take take = [&](Record key, Record value) {
      if (made == job.pairs || key.size() != job.key_words || value.size() != job.value_words) {
        throw Error(fmt::format("map made pair {} of {} and {} numbers, allowed are {} of {} and {}",
                                made + 1, key.size(), value.size(), job.pairs, job.key_words,
                                job.value_words));
      }
      each(made++, key, value);
    };
    job.map(record, Emit(take));
  }

  /// A record of the sort: key, value.
  static void fill(std::span<Word> place, Record key, Record value) {
    for (std::size_t i = 0; i < key.size(); ++i) place[i] = word_of(key[i]);
    for (std::size_t i = 0; i < value.size(); ++i) place[key.size() + i] = word_of(value[i]);
  }

  /// Pair e of record r is at position r E + e.
  void load_input(const Context& context, const WholeRecords& input, std::uint64_t first,
                  std::span<Word> records) const {
    const MapReduceJob& job = work_->jobs[0];
    const std::uint64_t width = job.key_words + job.value_words;
    const std::uint64_t count = records.size() / width;
    std::ranges::fill(records, kNoRecord);
    const WholeRecords::Result given = input.result(context);
    const std::span<Word> place = context.take(work_->record_words);
    for (std::uint64_t r = 0; r * work_->record_words < given.words.size(); ++r) {
      const auto record =
          numbers_of(given.words.subspan(r * work_->record_words, work_->record_words), place);
      map_record(job, record, [&](std::uint64_t pair, Record key, Record value) {
        const std::uint64_t at = (given.first + r) * job.pairs + pair - first;
        if (at < count) fill(records.subspan(at * width, width), key, value);
      });
    }
  }

  /// Pairs as they arrived, in any order of the records before, on places of their machine.
  void load_pairs(const Context& context, std::size_t i, std::span<Word> records) const {
    const MapReduceJob& job = work_->jobs[i];
    const std::span<const Word> arrived = context.inbox.words();
    expect_received(arrived.size() % (job.key_words + job.value_words) == 0 &&
                    arrived.size() <= records.size());
    std::ranges::fill(std::ranges::copy(arrived, records.begin()).out, records.end(), kNoRecord);
  }

  /// What reduce() makes here, in order.
  std::span<const Word> results(const Context& context, std::size_t i, const KeyScan& scan) const {
    const MapReduceJob& job = work_->jobs[i];
    if (context.machine >= plan_.jobs[i].sort.machines) return {};
    const std::uint64_t made = record_words(job);
    const std::span<Word> all = context.take(plan_.jobs[i].sort.machine_records * made);
    const std::span<Word> key = context.take(job.key_words);
    const std::span<Word> own = context.take(job.value_words);
    const std::span<Word> value = context.take(job.value_words);
    const std::span<Word> record = context.take(made);
    std::size_t used = 0;
    scan.for_each(context, [&](const KeyScan::Entry& entry) {
      if (!job.each && !entry.last) return;
      const Reduced reduced{numbers_of(entry.key, key), numbers_of(entry.value, value),
                            numbers_of(entry.own, own)};
      const std::span<std::int64_t> out = numbers(record);
      if (!reduce(job, reduced, out)) return;
      for (const std::int64_t number : out) all[used++] = word_of(number);
    });
    return all.first(used);
  }

  /// The records of job i on this machine, with their number among all: by the compaction; without one, those of
  /// groups by their groups, which are numbered by the scan, or else by a place that no other record has.
  Compact::Result numbered(const Context& context, std::size_t i, const KeyScan& scan,
                           const Compact* compact) const {
    if (compact != nullptr) {
      const Compact::Result result = compact->result(context);
      if (result.total > plan_.jobs[i].results)
        throw Error(fmt::format("job {} made {} records, declared were at most {}", i + 1, result.total,
                                plan_.jobs[i].results));
      return result;
    }
    Compact::Result result{.first = context.machine * plan_.jobs[i].sort.machine_records,
                           .total = scan.groups(context),
                           .records = results(context, i, scan)};
    if (i + 1 == work_->jobs.size()) {
      bool found = false;
      scan.for_each(context, [&](const KeyScan::Entry& entry) {
        if (!std::exchange(found, true)) result.first = entry.group;
      });
    }
    return result;
  }

  void map_on(const Context& context, std::size_t next, const Compact::Result& records) const {
    const MapReduceJob& job = work_->jobs[next];
    const std::uint64_t made = record_words(work_->jobs[next - 1]);
    const std::uint64_t block = plan_.jobs[next].sort.machine_records;
    const std::span<Word> place = context.take(made);
    const std::span<Word> pair = context.take(job.key_words + job.value_words);
    for (std::uint64_t r = 0; r * made < records.records.size(); ++r) {
      map_record(job, numbers_of(records.records.subspan(r * made, made), place),
                 [&](std::uint64_t number, Record key, Record value) {
                   for (std::size_t k = 0; k < key.size(); ++k) pair[k] = word_of(key[k]);
                   for (std::size_t v = 0; v < value.size(); ++v) pair[key.size() + v] = word_of(value[v]);
                   context.out.send(
                       static_cast<MachineId>(((records.first + r) * job.pairs + number) / block), pair);
                 });
    }
  }

  /// Every machine of the last sort also delivers its share of the outputs that are not there.
  void deliver(const Context& context, const Compact::Result& records) const {
    const std::uint64_t made = record_words(work_->jobs.back());
    for (std::uint64_t t = 0; t < records.records.size(); ++t)
      context.out.deliver(records.first * made + t, records.records[t]);
    const std::uint64_t share = ceil_div(shape_.outputs, plan_.jobs.back().sort.machines);
    const std::uint64_t end = std::min(shape_.outputs, (context.machine + 1) * share);
    for (std::uint64_t t = std::max(context.machine * share, records.total * made); t < end; ++t)
      context.out.deliver(t, kNoRecord);
  }

  std::shared_ptr<const MapReduce> work_;
  Plan plan_;
};

}  // namespace

std::uint32_t map_reduce_rounds(const MapReduce& work, const Parameters& parameters) {
  return make_plan(work, parameters).rounds();
}

std::vector<std::vector<std::int64_t>> map_reduce_reference(const MapReduce& work,
                                                            std::span<const std::int64_t> values) {
  using Numbers = std::vector<std::int64_t>;
  std::vector<Numbers> records;
  for (std::size_t i = 0; i + work.record_words <= values.size(); i += work.record_words)
    records.emplace_back(values.begin() + static_cast<std::ptrdiff_t>(i),
                         values.begin() + static_cast<std::ptrdiff_t>(i + work.record_words));
  for (const MapReduceJob& job : work.jobs) {
    std::map<Numbers, std::multimap<Numbers, Numbers>>
        groups;  // by group; in it by key, equal ones as they came
    for (const Numbers& record : records) {
      const Emit::Take take = [&](Record key, Record value) {
        const Numbers whole(key.begin(), key.end());
        const auto words = static_cast<std::ptrdiff_t>(job.group_words > 0 ? job.group_words : key.size());
        groups[Numbers(whole.begin(), whole.begin() + words)].emplace(whole,
                                                                      Numbers(value.begin(), value.end()));
      };
      job.map(record, Emit(take));
    }
    records.clear();
    for (const auto& [group, pairs] : groups) {
      Numbers so_far;
      std::size_t left = pairs.size();
      for (const auto& [key, value] : pairs) {
        if (so_far.empty()) {
          so_far = value;
        } else if (job.combine) {
          job.combine(so_far, value);
        }
        --left;
        Numbers record(record_words(job));
        if ((job.each || left == 0) && reduce(job, {key, so_far, value}, record)) records.push_back(record);
      }
    }
  }
  return records;
}

ProtocolInfo map_reduce_protocol(const MapReduce& given) {
  const auto work = std::make_shared<const MapReduce>(given);
  require(work->record_words > 0 && !work->jobs.empty(), "{} has no jobs, or records of no words",
          work->name);
  for (const MapReduceJob& job : work->jobs) {
    require(job.map != nullptr, "a job of {} has no map", work->name);
    require(
        job.pairs > 0 && job.key_words > 0 && job.value_words > 0 && job.value_words <= 64 &&
            job.group_words <= job.key_words,
        "a job of {} has {} pairs of {} key words ({} of the group) and {} value words, allowed are at least 1, and 64 "
        "value words at most",
        work->name, job.pairs, job.key_words, job.group_words, job.value_words);
  }
  ProtocolInfo info;
  info.name = work->name;
  info.summary = work->summary;
  info.card =
      R"(Problem: records of the input to pairs of key and value (map), the values of each key combined, one record of each.
Guarantee: exact and deterministic, for any distribution of keys.
Cost: R = 1 + sum over jobs of (T_sort(n, K + V + 2) + 2 d + 2 e + 1), n pairs of K key and V value words, d and e depths
of trees over the sort's machines; at most s = kappa_s b words sent and received by a machine.
Source: Dean, Ghemawat 2004; by sorting as in Goodrich, Sitchinava, Zhang 2011.)";
  info.rounds_formula = work->jobs.size() == 1 ? "T_sort(n, K + V + 2) + 2 d + 2 e + 2"
                                               : "1 + sum of (T_sort(n, K + V + 2) + 2 d + 2 e + 1)";
  info.kappa_s = work->kappa_s;
  info.output_form = OutputForm::kRecords;
  info.output_record =
      work->output.empty() ? std::string(record_words(work->jobs.back()), 'n') : work->output;
  require(info.output_record.size() == record_words(work->jobs.back()) &&
              info.output_record.find_first_not_of("sn") == std::string::npos,
          "output of {} is '{}', allowed is s or n for each of {} words", work->name, work->output,
          record_words(work->jobs.back()));
  info.drops_absent_tail = true;
  info.make = [work](const Parameters& parameters) {
    return std::make_unique<MapReduceProtocol>(work, parameters);
  };
  info.decode = [](const Protocol&, std::uint64_t, Word word) -> std::optional<std::int64_t> {
    if (word == kNoRecord) return std::nullopt;
    return static_cast<std::int64_t>(word) - kOffset;
  };
  info.oracle = [work](std::span<const std::int64_t> values, const Parameters& parameters) {
    Outputs outputs;
    for (const std::vector<std::int64_t>& record : map_reduce_reference(*work, values))
      outputs.insert(outputs.end(), record.begin(), record.end());
    outputs.resize(make_plan(*work, parameters).jobs.back().results * record_words(work->jobs.back()));
    return outputs;
  };
  info.generate = work->generate;
  return info;
}

}  // namespace roundtrip::mpc
