#include "roundtrip/mpc/program/program.h"

#include <algorithm>
#include <bit>
#include <functional>
#include <utility>

#include "roundtrip/base/error.h"
#include "roundtrip/base/fault.h"
#include "roundtrip/mpc/stages/composition.h"

namespace roundtrip::mpc {
namespace {

/// How many kinds of addressed words there are; each carries its kind, as no sequence tells it where others are absent.
std::uint64_t kinds(const Program::Round& round) {
  std::uint64_t all = 0;
  for (const Program::List& list : round.lists) all += list.words.size();
  return all;
}

/// What came, as its sender would have cut it.
std::int64_t cut(Word word, std::int64_t limit) {
  return static_cast<std::int64_t>(std::min(word, static_cast<Word>(limit)));
}

std::int64_t word_of(const Tape& tape, const Program::Out& out, std::span<const std::int64_t> wires) {
  return std::clamp<std::int64_t>(tape.value(out.value, wires), 0, out.limit);
}

}  // namespace

Program::Program(const Shape& shape) : shape_(shape) {
  shape_.heap_words = 0;
  shape_.scratch_words = 0;
  shape_.rounds = 0;
  rounds_.emplace_back(0, static_cast<std::uint32_t>(shape_.block_words));
  rounds_.back().active = shape_.machines;
}

void Program::begin(std::uint32_t slots) {
  const std::uint32_t machines = rounds_.back().active;
  rounds_.emplace_back(static_cast<std::uint32_t>(rounds_.back().keep.size()), slots);
  rounds_.back().active = machines;
}

void Program::active(std::uint32_t machines) {
  Round& round = rounds_.back();
  ensure(machines <= shape_.machines && (machines <= round.active || round.kept == 0),
         "machines that were idle have kept nothing");
  round.active = machines;
}

Program::Out Program::out(const Value& word) {
  ensure(word.limit >= 0 && word.limit < std::int64_t{1} << 53, "a word of a program has less than 54 bits");
  return {tape().expression(word.value), word.limit};
}

void Program::next(std::string name, std::uint32_t slots) {
  Round& round = rounds_.back();
  round.name = std::move(name);
  round.slots = slots;
  std::int64_t largest = 0;
  for (const auto* words : {&round.keep, &round.words}) {
    for (const Out& word : *words) largest = std::max(largest, word.limit);
  }
  for (const List& record : round.records) largest = std::max(largest, record.words[0].limit);
  for (const List& list : round.lists) {
    for (const Out& word : list.words)
      largest = std::max(largest, (word.limit + 1) * static_cast<std::int64_t>(kinds(round)));
  }
  shape_.word_bits = std::max(
      shape_.word_bits, static_cast<std::uint32_t>(std::bit_width(static_cast<std::uint64_t>(largest))));
  const std::uint64_t sent =
      std::max<std::uint64_t>({round.words.size(), kinds(round), round.records.size()});
  shape_.scratch_words =
      std::max<std::uint64_t>(shape_.scratch_words, round.tape.wires() + round.keep.size() + sent);
  require(round.keep.size() + std::max<std::uint64_t>(sent, slots) <= shape_.memory_words,
          "s is {}; round {} of the program needs {} words", shape_.memory_words, shape_.rounds + 1,
          round.keep.size() + std::max<std::uint64_t>(sent, slots));
  ++shape_.rounds;
}

void Program::send(std::string name, const std::vector<Value>& words,
                   std::function<std::uint32_t(MachineId)> count,
                   std::function<Place(MachineId, std::uint32_t)> place, std::uint32_t slots) {
  Round& round = rounds_.back();
  for (const Value& word : words) round.words.push_back(out(word));
  round.count = std::move(count);
  round.place = std::move(place);
  next(std::move(name), slots);
  begin(slots);
}

void Program::send_addressed(std::string name, const std::vector<Addressed>& lists) {
  Round& round = rounds_.back();
  for (const Addressed& list : lists) {
    List made{out(list.address), {}};
    for (const Value& word : list.words) made.words.push_back(out(word));
    round.lists.push_back(std::move(made));
  }
  const auto slots = static_cast<std::uint32_t>(kinds(round));
  next(std::move(name), slots);
  begin(slots);
}

void Program::send_routed(std::string name, const std::vector<Addressed>& records, std::uint32_t slots) {
  Round& round = rounds_.back();
  for (const Addressed& record : records) {
    ensure(record.words.size() == 1, "a routed record is one word");
    round.records.push_back({out(record.address), {out(record.words[0])}});
  }
  next(std::move(name), slots);
  begin(slots);
}

void Program::deliver(const std::vector<Value>& words, std::function<std::uint32_t(MachineId)> count,
                      std::function<std::uint32_t(MachineId, std::uint32_t)> index) {
  Round& round = rounds_.back();
  for (const Value& word : words) round.words.push_back(out(word));
  round.count = std::move(count);
  round.place = [at = std::move(index)](MachineId machine, std::uint32_t i) {
    return Place{at(machine, i), 0};
  };
  next("deliver", 0);
  shape_.validate();
}

void Program::receive(const Round& round, std::uint32_t number, MachineId machine, const Inbox& inbox,
                      std::span<std::int64_t> inputs) const {
  std::fill(inputs.begin(), inputs.end(), 0);
  if (number == 1) {
    const std::span<const Word> words = inbox.words();
    for (std::size_t i = 0; i < std::min(words.size(), inputs.size()); ++i)
      inputs[i] = cut(words[i], (std::int64_t{1} << shape_.input_bits) - 1);
    return;
  }
  const Round& sent = rounds_[number - 2];
  const std::span<std::int64_t> slots = inputs.subspan(round.kept);
  std::fill(slots.begin(), slots.end(), -1);
  const auto put = [&](std::uint64_t slot, Word word, std::int64_t limit) {
    expect_received(slot < slots.size() && slots[slot] < 0);
    slots[slot] = cut(word, limit);
  };
  const auto tagged = [&](std::uint64_t tag) {  // the limit of an addressed word
    for (const List& list : sent.lists) {
      if (tag < list.words.size()) return list.words[tag].limit;
      tag -= list.words.size();
    }
    return std::int64_t{0};
  };
  std::int64_t largest = 0;  // of routed words
  for (const List& record : sent.records) largest = std::max(largest, record.words[0].limit);
  std::size_t routed = 0;
  const std::uint64_t tags = std::max<std::uint64_t>(kinds(sent), 1);
  for (const Run run : inbox) {
    for (std::size_t i = 0; i < run.words.size(); ++i) {
      const std::size_t sequence = run.sequence + i;
      const Word word = run.words[i];
      if (sequence < round.kept) {
        expect_received(run.source == machine);
        inputs[sequence] = cut(word, sent.keep[sequence].limit);
      } else if (!sent.records.empty()) {
        if (word != 0) put(routed++, word, largest);
      } else if (!sent.lists.empty()) {
        put(word % tags, word / tags, tagged(word % tags));
      } else {
        const auto index = static_cast<std::uint32_t>(sequence - round.kept);
        expect_received(index < sent.count(run.source));
        const Place place = sent.place(run.source, index);
        expect_received(place.destination == machine);
        put(place.slot, word, sent.words[index].limit);
      }
    }
  }
  std::sort(slots.begin(), slots.begin() + static_cast<std::ptrdiff_t>(routed), std::greater<>());
  for (std::int64_t& slot : slots) slot = std::max<std::int64_t>(slot, 0);
}

void Program::step(const Step& step, const Inbox& inbox, Outbox& outbox) const {
  const Round& round = rounds_[step.round - 1];
  if (step.machine >= round.active) return expect_received(inbox.empty());
  const Context context{step.round, step.machine, inbox, outbox, step.scratch};
  const std::span<Word> memory = context.take(round.tape.wires());
  const std::span wires(reinterpret_cast<std::int64_t*>(memory.data()), memory.size());
  receive(round, step.round, step.machine, inbox, wires.first(round.tape.inputs()));
  round.tape.evaluate(step.machine, wires);

  const std::span<Word> words = context.take(round.keep.size());
  for (std::size_t k = 0; k < words.size(); ++k)
    words[k] = static_cast<Word>(word_of(round.tape, round.keep[k], wires));
  if (!words.empty()) outbox.send(step.machine, words);
  for (const List& record : round.records) {
    const std::int64_t address = word_of(round.tape, record.address, wires);
    if (address > 0)
      outbox.send(static_cast<MachineId>(address - 1),
                  static_cast<Word>(word_of(round.tape, record.words[0], wires)));
  }
  if (!round.records.empty()) return;
  if (!round.lists.empty()) {
    const std::uint64_t tags = kinds(round);
    std::uint64_t tag = 0;
    for (const List& list : round.lists) {
      const std::int64_t address = word_of(round.tape, list.address, wires);
      for (const Out& word : list.words) {
        if (address > 0)
          outbox.send(static_cast<MachineId>(address - 1),
                      static_cast<Word>(word_of(round.tape, word, wires)) * tags + tag);
        ++tag;
      }
    }
    return;
  }
  const std::uint32_t count = round.count(step.machine);
  for (std::uint32_t i = 0; i < count; ++i) {
    const auto word = static_cast<Word>(word_of(round.tape, round.words[i], wires));
    const Place place = round.place(step.machine, i);
    if (step.round == shape_.rounds) {
      outbox.deliver(place.destination, word);
    } else {
      outbox.send(place.destination, word);
    }
  }
}

}  // namespace roundtrip::mpc
