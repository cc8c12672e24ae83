#include "roundtrip/mpc/runtime/exchange.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include <algorithm>
#include <functional>

#include "roundtrip/base/fault.h"

namespace roundtrip::mpc {
namespace {

constexpr std::size_t kWordsPerLine = 64 / sizeof(Word), kHeadersPerLine = 64 / sizeof(RunHeader);

// Inboxes of this many bytes, more than a core's caches hold, are filled past the caches by runs of this
// length.
constexpr std::uint64_t kMinLarge = std::uint64_t{1} << 20, kMinRun = 4 * kWordsPerLine;

constexpr Word ones(unsigned bits) {
  return (Word{1} << bits) - 1;
}

/// A short one, most often a single word.
inline void copy_run(Word* to, const Word* from, std::uint64_t length) {
  if (length == 1) {
    *to = *from;
  } else {
    copy_words(to, from, length);
  }
}

/// A long one into an inbox of a large buffer: past the caches, which don't hold it, so that its lines are not
/// read before they are overwritten.
inline void copy_long_run(Word* to, const Word* from, std::uint64_t length) {
#if defined(__SSE2__)
  for (; reinterpret_cast<std::uintptr_t>(to) % 64 != 0 && length != 0; --length) *to++ = *from++;
  for (; length >= kWordsPerLine; length -= kWordsPerLine, to += kWordsPerLine, from += kWordsPerLine) {
    for (std::size_t i = 0; i < kWordsPerLine; i += 2) {
      _mm_stream_si128(reinterpret_cast<__m128i*>(to + i),
                       _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i)));
    }
  }
#endif
  copy_words(to, from, length);
}

}  // namespace

Exchange::Exchange(const Shape& shape, std::uint64_t limit_words, Transport& transport)
    : shape_(shape),
      limit_words_(limit_words),
      transport_(transport),
      rank_(transport.rank()),
      placement_(shape.machines, transport.ranks()),
      first_(placement_.first(rank_)),
      count_(placement_.count(rank_)),
      streams_(shape, limit_words, placement_, transport),
      views_(streams_.streams().size()),
      counts_out_(views_.size() + static_cast<std::size_t>(transport.ranks())),
      counts_in_(counts_out_.size()),
      cursors_(std::size_t{count_} + 1) {}

std::uint64_t Exchange::first_output(int rank) const {
  return std::min(placement_.first(rank) * shape_.block_words, shape_.outputs);
}

void Exchange::scatter_input(std::span<const Word> input) {
  const auto begin_of = [&](int rank) {
    return std::min(placement_.first(rank) * shape_.block_words, shape_.n);
  };
  const std::uint64_t begin = begin_of(rank_);
  inbox_words_.resize(begin_of(rank_ + 1) - begin);
  send_pieces_.clear();
  receive_pieces_.clear();
  if (rank_ == 0) {
    std::copy_n(input.data(), inbox_words_.size(), inbox_words_.data());
    for (int rank = 1; rank < placement_.ranks(); ++rank) {
      send_pieces_.push_back({rank, input.subspan(begin_of(rank), begin_of(rank + 1) - begin_of(rank))});
    }
  } else {
    receive_pieces_.push_back({0, {inbox_words_.data(), inbox_words_.size()}});
  }
  transport_.exchange(send_pieces_, receive_pieces_);

  inbox_headers_.clear();
  inbox_headers_.reserve_more(count_);
  for (std::uint32_t m = 0; m < count_; ++m) {
    const std::uint64_t at = cursors_[m].word = std::min<std::uint64_t>(
        m * shape_.block_words + (m > 0 && seeded("input-shifted")), inbox_words_.size());
    cursors_[m].run = inbox_headers_.size();
    if (at == inbox_words_.size()) continue;
    inbox_headers_.resize(inbox_headers_.size() + 1);
    inbox_headers_[inbox_headers_.size() - 1] = {first_ + m, 0, static_cast<std::uint32_t>(at)};
  }
  cursors_[count_] = {inbox_words_.size(), inbox_headers_.size()};
}

void Exchange::restore(MachineId machine, std::span<const RunHeader> headers, std::span<const Word> words) {
  const std::uint32_t m = machine - first_;
  cursors_[m] = m == 0 ? Cursor{} : cursors_[m];
  const auto [word, run] = cursors_[m];
  inbox_words_.resize(word + words.size());
  inbox_headers_.resize(run + headers.size());
  std::copy(words.begin(), words.end(), inbox_words_.data() + word);
  std::copy(headers.begin(), headers.end(), inbox_headers_.data() + run);
  cursors_[m + 1] = {inbox_words_.size(), inbox_headers_.size()};
}

std::uint64_t Exchange::swap(std::uint64_t own_flags) {
  const auto ranks = static_cast<std::size_t>(placement_.ranks());
  const auto self = static_cast<std::size_t>(rank_);
  // For each rank the flags, then twice the size of each stream, plus one if it is in shared memory.
  const std::size_t buckets = streams_.buckets(), each = buckets + 1;
  const std::span<Streams::Stream> streams = streams_.streams();
  for (std::size_t r = 0; r < ranks; ++r) {
    for (std::size_t b = 0; b < buckets; ++b) {
      const Streams::Stream& stream = streams[r * buckets + b];
      const bool shares = r != self && !stream.in_buffer() && stream.size() != 0;
      counts_out_[r * each + 1 + b] = 2 * stream.size() + (shares ? 1 : 0);
      if (shares) own_flags |= kShared;
    }
  }
  for (std::size_t r = 0; r < ranks; ++r) counts_out_[r * each] = own_flags;
  transport_.all_to_all(counts_out_, counts_in_);
  std::uint64_t flags = 0;
  for (std::size_t r = 0; r < ranks; ++r) flags |= counts_in_[r * each];
  if ((flags & kFailed) != 0) return flags;
  others_read_ = (flags & kShared) != 0;

  std::uint64_t total = 0;
  send_pieces_.clear();
  receive_pieces_.clear();
  for (std::size_t i = 0; i < streams.size(); ++i) {
    const std::size_t r = i / buckets, b = i % buckets;
    const std::uint64_t count = counts_in_[r * each + 1 + b];
    const Streams::Stream& stream = streams[i];
    const std::span<const Word> words{stream.begin, stream.size()};
    if (r == self) {
      views_[i] = words;
      continue;
    }
    if (counts_out_[r * each + 1 + b] % 2 == 0 && !words.empty()) {
      send_pieces_.push_back({static_cast<int>(r), words});
    }
    if (count % 2 == 0) {
      views_[i] = {static_cast<const Word*>(nullptr), count / 2};  // it is received below
      total += count / 2;
    } else {
      views_[i] = streams_.part(transport_.incoming(static_cast<int>(r)), b).first(count / 2);
    }
  }
  if (total == 0 && send_pieces_.empty()) return flags;
  received_.clear();
  received_.resize(total);
  Word* next = received_.data();
  for (std::size_t i = 0; i < views_.size(); ++i) {
    if (views_[i].data() != nullptr || views_[i].empty()) continue;
    receive_pieces_.push_back({static_cast<int>(i / buckets), {next, views_[i].size()}});
    views_[i] = {std::exchange(next, next + views_[i].size()), views_[i].size()};
  }
  transport_.exchange(send_pieces_, receive_pieces_);
  return flags;
}

/// Calls visit(destination, length, source, sequence, words) for each run in a bucket's streams, and
/// visit_self, which returns how many words of it are in the stream, for those with a self message; for each
/// destination in the order of (source, sequence). Destinations are counted from the first one here.
template <bool kLastRound, typename Visit, typename VisitSelf>
void Exchange::for_each_run(std::size_t bucket, Visit&& visit, VisitSelf&& visit_self) const {
  constexpr unsigned kDestinationBits = Streams::kDestinationBits;
  const unsigned source_shift = kDestinationBits + streams_.sequence_bits();
  const Word sequence_mask = ones(streams_.sequence_bits());
  const bool source_apart = streams_.source_apart() && !kLastRound;
  const Word bucket_begin = Word{bucket} << streams_.bucket_bits();
  const Word machine_begin = first_ + bucket_begin;
  for (int rank = 0; rank < placement_.ranks(); ++rank) {
    const std::span<const Word> view = views_[static_cast<std::size_t>(rank) * streams_.buckets() + bucket];
    const MachineId first_source = seeded("source-within-rank") ? 0 : placement_.first(rank);
    const Word* const end = view.data() + view.size();
    for (const Word* at = view.data(); at != end;) {
      MachineId source = 0;
      if (source_apart) [[unlikely]]
        source = static_cast<MachineId>(*at++);
      const Word header = *at++;
      Word length = header >> Streams::kLengthShift;
      Word destination = header & ones(Streams::kLengthShift);
      std::uint32_t sequence = 0;
      if constexpr (!kLastRound) {
        sequence = static_cast<std::uint32_t>(destination >> kDestinationBits & sequence_mask);
        if (!source_apart) source = first_source + static_cast<MachineId>(destination >> source_shift);
        destination = bucket_begin + static_cast<std::uint16_t>(header - machine_begin);
      }
      if (length - 1 >= Streams::kLongLength - 1) [[unlikely]] {  // zero or all ones
        const bool has_self = length == 0;
        length = *at++;
        if (has_self) {
          at += visit_self(destination, length, source, sequence, at);
          continue;
        }
      }
      visit(destination, length, source, sequence, at);
      at += length;
    }
  }
}

/// Decides which self messages stay in their buffers, which become older_; the others are spare_ or leaving_.
void Exchange::settle_self_messages() {
  const auto words_in_place = [this](const Buffer<Word>& buffer) {
    std::uint64_t words = 0;
    const auto within = [&](const SelfMessage& self_message) {
      return self_message.words >= buffer.data() && self_message.words < buffer.data() + buffer.size();
    };
    for (const SelfMessage& self_message : streams_.self_messages())
      words += within(self_message) ? self_message.length : 0;
    if (2 * words < buffer.size() || words == 0) return std::pair(false, words != 0);
    for (SelfMessage& self_message : streams_.self_messages()) self_message.in_place |= within(self_message);
    return std::pair(true, true);
  };
  older_.push_back(std::move(inbox_words_));
  for (std::size_t i = older_.size(); i-- > 0;) {
    const auto [stay, needed] = words_in_place(older_[i]);
    if (stay) continue;
    (needed ? leaving_ : spare_).push_back(std::move(older_[i]));
    older_.erase(older_.begin() + static_cast<std::ptrdiff_t>(i));
  }
  Buffer<Word>& self_words = streams_.self_words();
  if (self_words.size() != 0) {
    for (SelfMessage& self_message : streams_.self_messages()) {
      if (self_message.words != nullptr) continue;
      self_message.words = self_words.data() + self_message.position;
      self_message.in_place = true;
    }
    older_.push_back(std::move(self_words));
    self_words = take_spare(~std::uint64_t{0});  // the next ones may well be as many
  }
  in_place_.clear();
  if (!older_.empty()) in_place_.resize(count_);
}

/// The smallest spare buffer that holds so many words, else the largest, else a new one.
Buffer<Word> Exchange::take_spare(std::uint64_t words) {
  if (spare_.empty()) return {};
  std::ranges::sort(spare_, {}, &Buffer<Word>::capacity);
  auto chosen = std::ranges::find_if(spare_, [&](const auto& buffer) { return buffer.capacity() >= words; });
  if (chosen == spare_.end()) --chosen;
  Buffer<Word> result = std::move(*chosen);
  spare_.erase(chosen);
  result.clear();
  return result;
}

/// Counts the words and runs of a bucket's machines; returns the self message after theirs.
std::vector<Streams::SelfMessage>::iterator Exchange::count(std::size_t bucket,
                                                            std::vector<SelfMessage>::iterator self_message) {
  const auto count = [cursors = cursors_.data() + 1](Word machine, Word length, MachineId, std::uint32_t,
                                                     const Word*) {
    cursors[machine].word += length;
    cursors[machine].run += 1;
  };
  for_each_run<false>(
      bucket, count,
      [&](Word machine, Word length, MachineId source, std::uint32_t sequence, const Word* words) {
        count(machine, length, source, sequence, words);
        const std::uint64_t in_stream = length - self_message->length;
        if (self_message->in_place) cursors_[machine + 1].word -= self_message->length;
        ++self_message;
        return in_stream;
      });
  return self_message;
}

/// Moves a bucket's runs to their inboxes; cursors_[m + 1] goes from machine m's begin to its end.
void Exchange::scatter(std::size_t bucket, bool large, std::vector<SelfMessage>::iterator self_message) {
  Cursor* const cursors = cursors_.data() + 1;
  Word* const all_words = inbox_words_.data();
  RunHeader* const all_headers = inbox_headers_.data();
  for_each_run<false>(
      bucket,
      [=](Word machine, Word length, MachineId source, std::uint32_t sequence, const Word* run) {
        const auto [word, header] = cursors[machine];
        cursors[machine] = {word + length, header + 1};
        all_headers[header] = {source, sequence, static_cast<std::uint32_t>(word)};
        // Each inbox is a stream of its own, too many of them for the processor to foresee.
        __builtin_prefetch(all_words + word + length + kWordsPerLine, 1);
        __builtin_prefetch(all_headers + header + 1 + kHeadersPerLine, 1);
        large&& length >= kMinRun ? copy_long_run(all_words + word, run, length)
                                  : copy_run(all_words + word, run, length);
      },
      [&](Word machine, Word length, MachineId source, std::uint32_t sequence, const Word* run) {
        Cursor& cursor = cursors[machine];
        const auto put = [&](const Word* words, std::uint64_t count) {
          copy_words(all_words + cursor.word, words, count);
          cursor.word += count;
        };
        all_headers[cursor.run++] = {source, sequence, static_cast<std::uint32_t>(cursor.word)};
        const Word* from = run;
        put(from, self_message->begin);
        from += self_message->begin;
        if (self_message->in_place) {
          in_place_[machine] = {{self_message->words, self_message->length}, cursor.word, cursor.run};
        } else {
          put(self_message->words, self_message->length);
        }
        const std::uint64_t after = length - self_message->begin - self_message->length;
        put(from, after);
        ++self_message;
        return static_cast<std::uint64_t>(from - run) + after;
      });
}

Exchange::Received Exchange::fill_inboxes() {
  Received result;
  settle_self_messages();
  std::uint64_t words = 0;  // and headers, so more than the inboxes will have
  for (const auto& view : views_) words += view.size();
  inbox_words_ = take_spare(words);
  spare_.clear();
  inbox_words_.reserve_more(words);
  inbox_headers_.clear();
  // cursors_[m + 1] first counts machine m, then is where m's next run goes, and so ends at m's end.
  std::fill(cursors_.begin(), cursors_.end(), Cursor{});
  const std::uint32_t bucket_size = std::uint32_t{1} << streams_.bucket_bits();
  Cursor next;
  auto next_self = streams_.self_messages().begin();
  for (std::size_t b = 0; words != 0 && b < streams_.buckets() && !result.overload; ++b) {
    const auto begin = static_cast<std::uint32_t>(b) * bucket_size;
    const auto self_begin = std::exchange(next_self, count(b, next_self));
    auto of_machine = self_begin;
    for (std::uint32_t m = begin; m < std::min(begin + bucket_size, count_); ++m) {
      const Cursor tally = std::exchange(cursors_[m + 1], next);
      next.word += tally.word;
      next.run += tally.run;
      std::uint64_t received = tally.word;
      if (of_machine != next_self && of_machine->machine == m) {
        if (of_machine->in_place) received += of_machine->length;
        ++of_machine;
      }
      result.max_words = std::max(result.max_words, received);
      const bool one_more = seeded("receive-limit") || (placement_.ranks() > 1 && seeded("limit-of-ranks"));
      if (received > limit_words_ + one_more && !result.overload)
        result.overload = Finding{first_ + m, received};
    }
    if (result.overload) break;
    inbox_words_.resize(next.word);
    inbox_headers_.resize(next.run);
    scatter(b, words * sizeof(Word) >= kMinLarge, self_begin);
  }
  if (!result.overload) shift_after_in_place();
  std::swap(spare_, leaving_);  // to be taken in the next round, or given back
  if (others_read_) transport_.barrier();
  streams_.clear();
  return result;
}

/// Runs after a self message that stays in place begin later by its length.
void Exchange::shift_after_in_place() {
  for (std::uint32_t m = 0; m < in_place_.size(); ++m) {
    InPlace& in_place = in_place_[m];
    if (in_place.words.empty()) continue;
    for (std::uint64_t run = in_place.next_run; run < cursors_[m + 1].run; ++run) {
      inbox_headers_[run].begin += static_cast<std::uint32_t>(in_place.words.size());
    }
    in_place.begin -= cursors_[m].word;
  }
}

Exchange::Received Exchange::fill_outputs() {
  Received result;
  const std::uint64_t base = first_output(rank_);
  const std::uint64_t count = first_output(rank_ + 1) - base;
  const auto machine_of = [&](std::uint64_t t) { return shape_.output_machine(base + t); };
  older_.clear();  // read for the last time; outputs are next
  spare_.clear();
  inbox_words_.release();
  streams_.self_words().release();
  inbox_headers_.release();
  // Rank 0 will gather the others' after its own, in place.
  outputs_.reserve(rank_ == 0 ? shape_.outputs : count);
  outputs_.assign(count, 0);
  std::vector<bool> present(count);
  std::vector<std::uint64_t> received(count_);
  const bool overlooks = seeded("duplicate-output");
  for_each_run<true>(
      0,
      [&](Word first, Word length, MachineId, std::uint32_t, const Word* words) {
        for (std::uint64_t t = first; t < first + length; ++t) {
          ++received[machine_of(t) - first_];
          if (present[t] && !overlooks &&
              (!result.duplicate_output || base + t < result.duplicate_output->value)) {
            result.duplicate_output = Finding{machine_of(t), base + t};
          }
          present[t] = true;
          outputs_[t] = words[t - first];
        }
      },
      [](Word, Word, MachineId, std::uint32_t, const Word*) { return std::uint64_t{0}; });
  for (std::uint32_t m = 0; m < count_; ++m) {
    result.max_words = std::max(result.max_words, received[m]);
    if (received[m] > limit_words_ && !result.overload) result.overload = Finding{first_ + m, received[m]};
  }
  const auto missing =
      static_cast<std::uint64_t>(std::find(present.begin(), present.end(), false) - present.begin());
  if (missing != count) result.missing_output = Finding{machine_of(missing), base + missing};
  if (others_read_) transport_.barrier();
  for (Streams::Stream& stream : streams_.streams()) stream.buffer.release();
  streams_.clear();
  received_.release();
  return result;
}

std::vector<Word> Exchange::gather_outputs() {
  send_pieces_.clear();
  receive_pieces_.clear();
  const std::uint64_t own = outputs_.size();
  if (rank_ == 0) {
    outputs_.resize(shape_.outputs);
    for (int rank = 1; rank < placement_.ranks(); ++rank) {
      receive_pieces_.push_back({rank, std::span(outputs_).subspan(
                                           first_output(rank), first_output(rank + 1) - first_output(rank))});
    }
  } else {
    send_pieces_.push_back({0, {outputs_.data(), own}});
  }
  transport_.exchange(send_pieces_, receive_pieces_);
  if (placement_.ranks() > 1 && !outputs_.empty() && seeded("last-of-ranks")) outputs_.back() ^= 1;
  return rank_ == 0 ? std::move(outputs_) : std::vector<Word>{};
}

}  // namespace roundtrip::mpc
