#include "roundtrip/mpc/protocol.h"

#include <algorithm>
#include <utility>

#include "roundtrip/base/heap_meter.h"
#include "roundtrip/mpc/runtime/streams.h"

namespace roundtrip::mpc {

std::span<const Word> Inbox::words_around_in_place(std::size_t begin, std::size_t count) const {
  const std::size_t end = begin + count;
  const std::size_t in_place_end = in_place_begin_ + in_place_.size();
  if (whole_->empty()) {
    if (end <= in_place_begin_) return words_.subspan(begin, count);
    if (begin >= in_place_end) return words_.subspan(begin - in_place_.size(), count);
    if (begin >= in_place_begin_ && end <= in_place_end)
      return in_place_.subspan(begin - in_place_begin_, count);
    const HeapPause ours;
    const auto middle = words_.begin() + static_cast<std::ptrdiff_t>(in_place_begin_);
    whole_->reserve(size());
    whole_->assign(words_.begin(), middle);
    whole_->insert(whole_->end(), in_place_.begin(), in_place_.end());
    whole_->insert(whole_->end(), middle, words_.end());
  }
  return std::span<const Word>(*whole_).subspan(begin, count);
}

void Outbox::begin_round(const Limits& limits, Streams* streams) {
  limits_ = limits;
  wide_ = limits.word_bits < 64 ? ~Word{0} << limits.word_bits : 0;
  streams_ = streams;
  round_budget_ = streams == nullptr ? 0 : limits.words;
}

void Outbox::begin(MachineId machine, const Inbox* inbox) {
  machine_ = machine;
  inbox_ = inbox;
  sent_ = words_used_ = sendings_used_ = 0;
  fault_ = Fault::kNone;
  message_budget_ = limits_.last_round ? 0 : round_budget_;
  output_budget_ = limits_.last_round ? round_budget_ : 0;
  if (streams_ != nullptr) streams_->begin(machine);
}

bool Outbox::exhausted() const {
  return streams_ != nullptr && streams_->exhausted();
}

void Outbox::send(MachineId destination, Word word) {
  if (sent_ >= message_budget_ || destination >= limits_.destinations || (word & wide_) != 0) [[unlikely]]
    return push(destination, {&word, 1}, false);
  streams_->append(destination, &word, 1, sent_++);
}

void Outbox::send(MachineId destination, std::span<const Word> words) {
  if (words.size() - 1 >= Streams::kMinInPlace - 1) [[unlikely]]
    return push(destination, words, false);
  Word all = 0;
  for (const Word word : words) all |= word;
  if (sent_ + words.size() > message_budget_ || destination >= limits_.destinations || (all & wide_) != 0)
      [[unlikely]]
    return push(destination, words, false);
  streams_->append(destination, words.data(), words.size(), sent_);
  sent_ += words.size();
}

void Outbox::deliver(std::uint64_t index, Word word) {
  const auto destination = static_cast<std::uint32_t>(std::min<std::uint64_t>(index, 0xffffffffu));
  if (sent_ >= output_budget_ || destination >= limits_.destinations || (word & wide_) != 0) [[unlikely]]
    return push(destination, {&word, 1}, true);
  ++sent_;
  streams_->append_output(destination, word);
}

void Outbox::push(std::uint32_t destination, std::span<const Word> words, bool output) {
  if (words.empty()) return;
  if (output != limits_.last_round)
    set_fault(output ? Fault::kEarlyOutput : Fault::kMessageAfterEnd, destination);
  if (destination >= limits_.destinations) set_fault(Fault::kWrongDestination, destination);
  const bool in_place = streams_ != nullptr && inbox_ != nullptr && destination == machine_ &&
                        words.size() >= Streams::kMinInPlace && inbox_->holds(words);
  if (!in_place) {
    Word all = 0;
    for (const Word word : words) all |= word;
    if ((all & wide_) != 0) set_fault(Fault::kWideWord, all);
  }
  const std::uint64_t sequence = std::exchange(sent_, sent_ + words.size());
  if (sent_ > limits_.words || fault_ != Fault::kNone) return;
  if (streams_ == nullptr) {
    store(destination, words);
  } else if (output) {
    streams_->append_output(destination, words.front());
  } else if (in_place) {
    streams_->append_in_place(words, sequence);
  } else {
    streams_->append(destination, words.data(), words.size(), sequence);
  }
}

void Outbox::store(std::uint32_t destination, std::span<const Word> words) {
  if (words_used_ + words.size() > words_.size()) {
    const HeapPause ours(this);  // not of an outbox that a step makes
    words_.resize(std::max({words_used_ + words.size(), 2 * words_.size(), std::size_t{64}}));
    sendings_.resize(words_.size());
  }
  copy_words(words_.data() + words_used_, words.data(), words.size());
  words_used_ += words.size();
  const auto count = static_cast<std::uint32_t>(words.size());
  if (sendings_used_ != 0) {
    Sending& last = sendings_[sendings_used_ - 1];
    if (last.destination + (limits_.last_round ? last.length : 0) == destination) {
      last.length += count;
      return;
    }
  }
  sendings_[sendings_used_++] = {destination, count};
}

}  // namespace roundtrip::mpc
