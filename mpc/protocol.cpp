#include "mpc/protocol.h"

namespace roundtrip::mpc {

std::span<const Word> Inbox::words_beside_kept(std::size_t begin, std::size_t count) const {
  const std::size_t end = begin + count;
  const std::size_t kept_end = kept_begin_ + kept_.size();
  if (whole_->empty()) {
    if (end <= kept_begin_) return words_.subspan(begin, count);
    if (begin >= kept_end) return words_.subspan(begin - kept_.size(), count);
    if (begin >= kept_begin_ && end <= kept_end) return kept_.subspan(begin - kept_begin_, count);
    const auto middle = words_.begin() + static_cast<std::ptrdiff_t>(kept_begin_);
    whole_->reserve(size());
    whole_->assign(words_.begin(), middle);
    whole_->insert(whole_->end(), kept_.begin(), kept_.end());
    whole_->insert(whole_->end(), middle, words_.end());
  }
  return std::span<const Word>(*whole_).subspan(begin, count);
}

void Outbox::push(std::uint32_t destination, std::span<const Word> words, bool output) {
  if (words.empty()) return;
  if (output != limits_.last_round)
    set_fault(output ? Fault::kEarlyOutput : Fault::kMessageAfterEnd, destination);
  if (destination >= limits_.destinations) set_fault(Fault::kWrongDestination, destination);
  const bool keeps = inbox_ != nullptr && destination == machine_ && words.size() >= kLeastKept &&
                     kept_.words.empty() && inbox_->holds(words);
  if (!keeps) {
    Word all = 0;
    for (const Word word : words) all |= word;
    if ((all & wide_) != 0) set_fault(Fault::kWideWord, all);
  }
  sent_ += words.size();
  if (sent_ > limits_.words || fault_ != Fault::kNone) return;
  const std::size_t used = words_used_ + (keeps ? 1 : words.size());
  if (used > words_.size() || sendings_used_ == sendings_.size()) {
    words_.resize(std::max({used, 2 * words_.size(), std::size_t{64}}));
    sendings_.resize(words_.size());
  }
  note(destination, static_cast<std::uint32_t>(words.size()));
  if (keeps) {
    const Sending& sending = sendings_[sendings_used_ - 1];
    kept_ = {sendings_used_ - 1, sending.length - static_cast<std::uint32_t>(words.size()), words};
  } else {
    std::copy(words.begin(), words.end(), words_.begin() + static_cast<std::ptrdiff_t>(words_used_));
    words_used_ += words.size();
  }
  set_room();
}

}  // namespace roundtrip::mpc
