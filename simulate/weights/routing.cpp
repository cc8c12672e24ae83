#include "roundtrip/simulate/weights/routing.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "roundtrip/base/error.h"
#include "roundtrip/base/fault.h"

namespace roundtrip::simulate {
namespace {

using mpc::Affine;
using mpc::MachineId;
using mpc::Program;
using mpc::Tape;

constexpr std::uint32_t kMostRecordBits = 50;  // of a destination and a word together

std::vector<Affine> descending(Tape& tape, const std::vector<Affine>& numbers) {
  std::vector<Affine> sorted = tape.sorted(numbers);
  std::ranges::reverse(sorted);
  return sorted;
}

/// Of two descending lists the `count` largest, descending.
std::vector<Affine> merged(Tape& tape, std::vector<Affine> a, std::vector<Affine> b, std::size_t count) {
  const std::size_t half = std::bit_ceil(std::max(a.size(), b.size()));
  a.resize(half), b.resize(half);
  std::ranges::reverse(a);  // rises, and then b falls
  a.insert(a.end(), b.begin(), b.end());
  std::vector<Affine> all = tape.sorted_bitonic(a);
  std::ranges::reverse(all);
  all.resize(std::min(count, all.size()));
  return all;
}

/// Records to the right by their distances, which never fall from one record to the next; `limit` bounds records.
std::vector<Affine> spread(Tape& tape, std::vector<Affine> records, std::vector<Affine> distances,
                           std::size_t places, std::int64_t limit) {
  records.resize(places), distances.resize(places);
  const Affine nothing;
  for (std::size_t step = std::bit_floor(std::max<std::size_t>(places, 1)); step >= 1; step /= 2) {
    const auto far = static_cast<std::int64_t>(step);
    std::vector<Affine> next(places), left(places);
    for (std::size_t place = 0; place < places; ++place) {
      if (records[place] == nothing) continue;
      if (place + step >= places) {  // nothing of this place goes so far
        next[place] += tape.relu(records[place]), left[place] += tape.relu(distances[place]);
        continue;
      }
      const Affine moves = tape.step(distances[place] - (far - 1));
      next[place] += tape.relu(records[place] - limit * moves);
      left[place] += tape.relu(distances[place] - 2 * far * moves);
      next[place + step] += tape.relu(records[place] - limit * (1 - moves));
      left[place + step] += tape.relu(distances[place] - far - 2 * far * (1 - moves));
    }
    records = std::move(next), distances = std::move(left);
  }
  return records;
}

class Expansion {
 public:
  explicit Expansion(const Program& program) : program_(program), machines_(program.shape().machines) {}

  std::vector<WeightRound> rounds() {
    for (const Program::Round& round : program_.rounds()) {
      // The step that reads what the round before has routed finds it in bundles.
      WeightRound step = routed_ == 0 ? WeightRound{round} : after_routing(round);
      if (!round.records.empty()) {
        deal(step, round);
      } else {
        routed_ = 0;
        made_.push_back(std::move(step));
      }
    }
    return std::move(made_);
  }

 private:
  static Program::Out out(Tape& tape, const Affine& value, std::int64_t limit) {
    return {tape.expression(value), limit};
  }

  /// `round` with its slots merged of the bundles.
  WeightRound after_routing(const Program::Round& round) {
    const std::uint32_t slots = round.tape.inputs() - round.kept;
    WeightRound made{Program::Round(round.kept, machines_ * capacity_)};
    Tape& tape = made.round.tape;
    std::vector<std::vector<Affine>> lists;
    for (std::uint32_t j = 0; j < machines_; ++j) {
      lists.emplace_back();
      for (std::uint32_t c = 0; c < capacity_; ++c)
        lists.back().push_back(tape.input(round.kept + j * capacity_ + c));
    }
    Affine number;  // of words that came
    for (const std::vector<Affine>& list : lists) {
      for (const Affine& word : list) number += tape.step(tape.relu(word));
    }
    if (!seeded("weights-merge-unseen")) made.losses.push_back(tape.expression(tape.relu(number - slots)));
    while (lists.size() > 1) {
      std::vector<std::vector<Affine>> next;
      for (std::size_t i = 0; i < lists.size(); i += 2)
        next.push_back(i + 1 < lists.size() ? merged(tape, lists[i], lists[i + 1], slots) : lists[i]);
      lists = std::move(next);
    }
    std::vector<Affine> inputs;
    for (std::uint32_t k = 0; k < round.kept; ++k) inputs.push_back(tape.input(k));
    lists[0].resize(slots);
    inputs.insert(inputs.end(), lists[0].begin(), lists[0].end());
    const std::vector<Affine> wires = tape.append(round.tape, std::move(inputs));
    const auto here = [&](const Program::Out& theirs) {
      const Affine recorded = round.tape.affine(theirs.value);
      Affine sum = recorded.constant();
      for (const auto& [wire, weight] : recorded.terms()) sum += weight * wires[wire];
      return out(tape, sum, theirs.limit);
    };
    const auto lists_here = [&](const std::vector<Program::List>& theirs) {
      std::vector<Program::List> all;
      for (const Program::List& list : theirs) {
        all.push_back({here(list.address), {}});
        for (const Program::Out& word : list.words) all.back().words.push_back(here(word));
      }
      return all;
    };
    made.round.name = round.name, made.round.active = round.active;
    for (const Program::Out& word : round.keep) made.round.keep.push_back(here(word));
    for (const Program::Out& word : round.words) made.round.words.push_back(here(word));
    made.round.count = round.count, made.round.place = round.place, made.round.slots = round.slots;
    made.round.lists = lists_here(round.lists), made.round.records = lists_here(round.records);
    return made;
  }

  /// The two rounds of a routed one: `step` sends to intermediates, and these on.
  void deal(WeightRound& step, const Program::Round& round) {
    const std::uint32_t q = machines_, slots = round.slots;
    ensure(round.active == q, "intermediates are all machines");
    std::int64_t largest = 0;
    for (const Program::List& record : round.records) largest = std::max(largest, record.words[0].limit);
    const auto word_bits = static_cast<std::uint32_t>(std::bit_width(static_cast<std::uint64_t>(largest)));
    require(word_bits + std::bit_width(q) <= kMostRecordBits,
            "a routed word of {} bits and one of {} machines are more than {} bits", word_bits, q,
            kMostRecordBits);
    const std::int64_t width = std::int64_t{1} << word_bits, most = (std::int64_t{q} + 1) * width;
    Tape& tape = step.round.tape;
    std::vector<Affine> records;
    for (const Program::List& record : step.round.records) {
      const Affine address = tape.clamp(tape.affine(record.address.value),
                                        std::min<std::int64_t>(record.address.limit, q)),
                   word = tape.clamp(tape.affine(record.words[0].value), record.words[0].limit);
      records.push_back(width * address + tape.gate(word, tape.step(address), largest));
    }
    records = descending(tape, records);
    const auto count = static_cast<std::uint32_t>(records.size()), share = (count + q - 1) / q;
    for (const Affine& record : records) step.round.words.push_back(out(tape, record, most));
    step.round.records.clear();
    step.round.name = round.name + ": to intermediates";
    step.round.count = [count](MachineId) { return count; };
    step.round.place = [=](MachineId m, std::uint32_t i) { return Program::Place{i % q, m * share + i / q}; };
    step.round.slots = q * share;
    const auto kept = static_cast<std::uint32_t>(step.round.keep.size());
    std::vector<std::int64_t> limits;
    for (const Program::Out& word : step.round.keep) limits.push_back(word.limit);
    made_.push_back(std::move(step));

    capacity_ = seeded("weights-bundle-small") ? 1 : bundle_capacity(q, count, slots);
    WeightRound on{Program::Round(kept, q * share)};
    on.round.active = q;
    Tape& there = on.round.tape;
    std::vector<Affine> came;
    for (std::uint32_t slot = 0; slot < q * share; ++slot) came.push_back(there.input(kept + slot));
    came = descending(there, came);
    // Address a = q .. 1 comes first; its places begin at (q - a) C, the record at i is moved on by all that the bundles
    // before its own lack.
    std::vector<std::vector<Affine>> at_least(q + 2);  // [a][record]
    for (std::uint32_t a = 1; a <= q + 1; ++a) {
      for (const Affine& record : came)
        at_least[a].push_back(a <= q ? there.step(record - (width * a - 1)) : Affine());
    }
    std::vector<Affine> distances(came.size());
    // Lost: the sum over a of max(0, n_a - C) = n_a - C + max(0, C - n_a).
    Affine lost = -std::int64_t{q} * capacity_;
    for (const Affine& there_is : at_least[1]) lost += there_is;
    for (std::uint32_t a = 1; a <= q; ++a) {
      Affine number;
      for (std::size_t i = 0; i < came.size(); ++i) number += at_least[a][i] - at_least[a + 1][i];
      const Affine lacking = there.relu(capacity_ - number);
      lost += lacking;
      for (std::size_t i = 0; i < came.size() && a > 1;
           ++i) {  // records of lower addresses, those that are there
        distances[i] += there.gate(lacking, at_least[1][i] - at_least[a][i], capacity_);
      }
    }
    on.losses.push_back(there.expression(lost));
    for (Affine& distance : distances) distance = there.relu(distance);  // a wire of its own
    const std::vector<Affine> places = spread(there, came, distances, std::size_t{q} * capacity_, most);
    for (std::uint32_t k = 0; k < kept; ++k) on.round.keep.push_back(out(there, there.input(k), limits[k]));
    for (std::uint32_t place = 0; place < places.size(); ++place) {
      const std::int64_t a = q - place / capacity_;
      on.round.words.push_back(out(there, places[place] - width * a, largest));
    }
    on.round.name = round.name + ": to machines";
    const std::uint32_t capacity = capacity_;
    on.round.count = [=](MachineId) { return q * capacity; };
    on.round.place = [=](MachineId m, std::uint32_t i) {
      return Program::Place{q - 1 - i / capacity, m * capacity + i % capacity};
    };
    on.round.slots = q * capacity;
    made_.push_back(std::move(on));
    routed_ = 1;
  }

  const Program& program_;
  std::uint32_t machines_;
  std::uint32_t routed_ = 0, capacity_ = 0;
  std::vector<WeightRound> made_;
};

}  // namespace

std::uint32_t bundle_capacity(std::uint32_t machines, std::uint32_t records, std::uint32_t slots) {
  const std::uint32_t share = (records + machines - 1) / machines;
  return std::min(slots / machines + machines - 1, machines * share);
}

std::vector<WeightRound> without_routing(const mpc::Program& program) {
  return Expansion(program).rounds();
}

}  // namespace roundtrip::simulate
