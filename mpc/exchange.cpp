#include "mpc/exchange.h"

#include <algorithm>
#include <bit>
#include <functional>

#include "base/fault.h"

namespace roundtrip::mpc {
namespace {

constexpr Word kSourceTag = Word{1} << 63;
// Runs of 2^8 - 1 words and more take a second header: by then it weighs less than a hundredth of the words.
constexpr unsigned kMostLengthBits = 8;
constexpr std::ptrdiff_t kRunsAhead = 16;  // a few hundred ns of scattering: more than DRAM takes
constexpr std::size_t kControlWords = 3;   // flag, headers, words
// Inboxes are staged from this size on, below which caches hold them, if the lines take little beside them.
constexpr std::uint64_t kLeastStaged = std::uint64_t{1} << 20;
constexpr std::uint64_t kInboxesPerLines = 4;
static_assert(Outbox::kLeastKept >= std::size_t{1} << kMostLengthBits);  // kept runs are long ones

constexpr Word ones(unsigned bits) {
  return (Word{1} << bits) - 1;
}

}  // namespace

Exchange::Fields Exchange::fields(std::uint64_t most_destinations, std::uint64_t most_words) {
  // Shape::validate keeps destinations below 2^31 and sequence numbers below 2^32, so 63 bits always suffice.
  const auto bits = [](std::uint64_t count) { return static_cast<unsigned>(std::bit_width(count - 1)); };
  Fields result{bits(std::max<std::uint64_t>(most_destinations, 1)),
                bits(std::max<std::uint64_t>(most_words, 1)), 0};
  result.length = std::min(63 - result.destination - result.sequence, kMostLengthBits);
  return result;
}

Exchange::Exchange(const Shape& shape, std::uint64_t limit_words, Transport& transport)
    : shape_(shape),
      limit_words_(limit_words),
      transport_(transport),
      rank_(transport.rank()),
      placement_(shape.machines, transport.ranks()),
      first_(placement_.first(rank_)),
      count_(placement_.count(rank_)),
      message_fields_(fields(placement_.block(), limit_words)),
      output_fields_(fields(std::min(shape.outputs, placement_.block() * shape.block_words), 1)),
      machine_to_rank_(placement_.block()),
      output_to_rank_(placement_.block() * shape.block_words),
      sending_(static_cast<std::size_t>(transport.ranks())),
      ends_(sending_.size()),
      views_(sending_.size()),
      counts_out_(sending_.size() * kControlWords),
      counts_in_(counts_out_.size()),
      cursors_(std::max<std::size_t>(count_, ones(message_fields_.destination) + 1) + 1) {
  clear_streams();
}

void Exchange::clear_streams() {
  for (Stream& stream : sending_) {
    stream.headers.clear();
    stream.words.clear();
  }
}

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

Inbox Exchange::inbox(MachineId machine) const {
  const Cursor& begin = cursors_[machine - first_];
  const Cursor& end = cursors_[machine - first_ + 1];
  const auto headers = inbox_headers_.span().subspan(begin.run, end.run - begin.run);
  const auto words = inbox_words_.span().subspan(begin.word, end.word - begin.word);
  if (held_.empty() || held_[machine - first_].words.empty()) return {headers, words};
  const Held& held = held_[machine - first_];
  whole_.clear();
  return {headers, words, held.words, held.begin, &whole_};
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

template <bool kLastRound>
void Exchange::pack_runs(MachineId source, const Outbox& outbox) {
  std::span<const Sending> sendings = outbox.sendings();
  const std::span<const Word> words = outbox.words();
  if (seeded("last-message") && !kLastRound && sendings.size() > 1)
    sendings = sendings.first(sendings.size() - 1);
  // Room for the worst case, everything to one rank, so that the loop need not ask.
  for (std::size_t r = 0; r < sending_.size(); ++r) {
    Stream& stream = sending_[r];
    stream.headers.reserve_more(2 * sendings.size() + 1);
    stream.words.reserve_more(words.size());
    ends_[r] = {stream.headers.data() + stream.headers.size(), stream.words.data() + stream.words.size(),
                true};
  }
  StreamEnd* const ends = ends_.data();
  const Fields layout = kLastRound ? output_fields_ : message_fields_;
  const Divider to_rank = kLastRound ? output_to_rank_ : machine_to_rank_;
  const std::uint64_t block = kLastRound ? placement_.block() * shape_.block_words : placement_.block();
  const Word length_mask = ones(layout.length);
  const Outbox::Kept& kept = outbox.kept();
  const Word* from = words.data();
  std::uint64_t sequence = 0;
  std::uint32_t split = 0;  // what is packed of sending i already
  for (std::size_t i = 0; i < sendings.size();) {
    const std::uint32_t destination = sendings[i].destination + split;
    std::uint64_t length = sendings[i].length - split;
    const std::uint32_t rank = to_rank(destination);
    if constexpr (kLastRound) {  // a row of outputs may be for several ranks
      length = std::min(length, (rank + std::uint64_t{1}) * block - destination);
    }
    StreamEnd& end = ends[rank];
    Word* header = end.header;
    if constexpr (!kLastRound) {
      if (end.new_source) {
        end.new_source = false;
        *header++ = kSourceTag | source;
      }
    }
    std::uint64_t copied = length;
    const Word place = (kLastRound ? 0 : sequence << layout.destination) | (destination - rank * block);
    const unsigned length_shift = layout.sequence + layout.destination;
    if (length < length_mask) [[likely]] {
      *header++ = length << length_shift | place;
    } else {
      Word field = length_mask;
      if (!kLastRound && destination == source && length >= Outbox::kLeastKept) {
        const std::uint32_t machine = source - first_;
        if (!kept.words.empty() && i == kept.sending) {
          kept_.push_back({machine, kept.begin, kept.words.data(), kept.words.size(), 0, false});
          copied -= kept.words.size();
          field = 0;
        } else if (kept.words.empty() && (kept_.empty() || kept_.back().machine != machine)) {
          kept_.push_back({machine, 0, nullptr, length,
                           static_cast<std::uint64_t>(end.word - sending_[rank].words.data()), true});
          field = 0;
        }
      }
      *header++ = field << length_shift | place;
      *header++ = length;
    }
    end.header = header;
    copy_words(end.word, from, copied);
    end.word += copied;
    from += copied;
    sequence += length;
    if (kLastRound && split + length < sendings[i].length) {
      split += static_cast<std::uint32_t>(length);
    } else {
      split = 0;
      ++i;
    }
  }
  for (std::size_t r = 0; r < sending_.size(); ++r) {
    Stream& stream = sending_[r];
    stream.headers.set_size(static_cast<std::size_t>(ends_[r].header - stream.headers.data()));
    stream.words.set_size(static_cast<std::size_t>(ends_[r].word - stream.words.data()));
  }
}

void Exchange::pack(MachineId source, const Outbox& outbox) {
  if (outbox.sendings().empty()) return;
  outbox.limits().last_round ? pack_runs<true>(source, outbox) : pack_runs<false>(source, outbox);
}

std::uint64_t Exchange::swap(std::uint64_t own_flags) {
  for (std::size_t r = 0; r < sending_.size(); ++r) {
    counts_out_[r * kControlWords] = own_flags;
    counts_out_[r * kControlWords + 1] = sending_[r].headers.size();
    counts_out_[r * kControlWords + 2] = sending_[r].words.size();
  }
  transport_.all_to_all(counts_out_, counts_in_);
  std::uint64_t flags = 0;
  std::uint64_t total = 0;
  const auto self = static_cast<std::size_t>(rank_);
  for (std::size_t r = 0; r < sending_.size(); ++r) {
    flags |= counts_in_[r * kControlWords];
    if (r != self) total += counts_in_[r * kControlWords + 1] + counts_in_[r * kControlWords + 2];
  }
  if ((flags & kFailed) != 0) return flags;

  received_.clear();
  received_.resize(total);
  send_pieces_.clear();
  receive_pieces_.clear();
  Word* next = received_.data();
  for (std::size_t r = 0; r < sending_.size(); ++r) {
    if (r == self) {
      views_[r] = {sending_[r].headers.span(), sending_[r].words.span()};
      continue;
    }
    const auto add = [&, rank = static_cast<int>(r)](std::span<const Word> outgoing, std::uint64_t incoming) {
      if (!outgoing.empty()) send_pieces_.push_back({rank, outgoing});
      if (incoming != 0) receive_pieces_.push_back({rank, {next, incoming}});
      return std::span<const Word>{std::exchange(next, next + incoming), incoming};
    };
    views_[r].headers = add(sending_[r].headers.span(), counts_in_[r * kControlWords + 1]);
    views_[r].words = add(sending_[r].words.span(), counts_in_[r * kControlWords + 2]);
  }
  transport_.exchange(send_pieces_, receive_pieces_);
  return flags;
}

/// Calls visit(destination, length, source, sequence, words) for each run, in the order of (source,
/// sequence), and visit_kept, which returns how many words of it are in the stream, for those with a kept
/// row. Some runs earlier it calls ahead(destination), whose argument may be any value of the destination's
/// field (what is read there may not be the header of a run).
template <typename Visit, typename Ahead, typename VisitKept>
void Exchange::for_each_run(const Fields& layout, Visit&& visit, Ahead&& ahead,
                            VisitKept&& visit_kept) const {
  const Fields at_shift = layout;  // a copy, which no store of visit's can change
  const Word destination_mask = ones(layout.destination);
  const Word sequence_mask = ones(layout.sequence);
  const Word length_mask = ones(layout.length);
  for (const View& view : views_) {
    const Word* words = view.words.data();
    MachineId source = 0;
    const Word* const end = view.headers.data() + view.headers.size();
    for (const Word* at = view.headers.data(); at != end;) {
      if (end - at > kRunsAhead) ahead(at[kRunsAhead] & destination_mask);
      const Word header = *at++;
      if ((header & kSourceTag) != 0) {
        source = static_cast<MachineId>(header);
        continue;
      }
      const Word destination = header & destination_mask;
      const auto sequence = static_cast<std::uint32_t>((header >> at_shift.destination) & sequence_mask);
      Word length = header >> at_shift.destination >> at_shift.sequence;
      if (length - 1 >= length_mask - 1) [[unlikely]] {  // zero or all ones
        const bool has_kept = length == 0;
        length = *at++;
        if (has_kept) {
          words += visit_kept(destination, length, source, sequence, words);
          continue;
        }
      }
      visit(destination, length, source, sequence, words);
      words += length;
    }
  }
}

/// Decides which kept rows stay in their buffers, which become older_; the others are spare_ or leaving_.
void Exchange::settle_kept() {
  Buffer<Word>& stream = sending_[static_cast<std::size_t>(rank_)].words;
  for (Kept& kept : kept_) {
    if (kept.in_stream) kept.words = stream.data() + kept.place;
  }
  enum class Rows { kNone, kLeave, kStay };
  const auto rows_of = [this](const Buffer<Word>& buffer) {
    std::uint64_t words = 0;
    const auto within = [&](const Kept& kept) {
      return kept.words >= buffer.data() && kept.words < buffer.data() + buffer.size();
    };
    for (const Kept& kept : kept_) words += within(kept) ? kept.length : 0;
    if (words == 0) return Rows::kNone;
    if (2 * words < buffer.size()) return Rows::kLeave;
    for (Kept& kept : kept_) kept.stays |= within(kept);
    return Rows::kStay;
  };
  older_.push_back(std::move(inbox_words_));
  for (std::size_t i = older_.size(); i-- > 0;) {
    const Rows rows = rows_of(older_[i]);
    if (rows == Rows::kStay) continue;
    (rows == Rows::kLeave ? leaving_ : spare_).push_back(std::move(older_[i]));
    older_.erase(older_.begin() + static_cast<std::ptrdiff_t>(i));
  }
  // What else is in the stream is read from there until it is cleared: it goes on as an older inbox. The next
  // stream may well be as large.
  if (rows_of(stream) == Rows::kStay) {
    older_.push_back(std::move(stream));
    stream = take_spare(~std::uint64_t{0});
  }
  held_.clear();
  if (!older_.empty()) held_.resize(count_);
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

/// Where scatter() writes: straight into the inboxes, or by lines.
struct Exchange::PlainSink {
  Word* words;
  RunHeader* headers;

  void ahead(Word, const Cursor& cursor) const {
    __builtin_prefetch(words + cursor.word, 1);
    __builtin_prefetch(headers + cursor.run, 1);
  }
  void put(Word, Cursor& cursor, const RunHeader& header) const { headers[cursor.run++] = header; }
  void put(Word, Cursor& cursor, const Word* from, std::uint64_t count) const {
    copy_words(words + cursor.word, from, count);
    cursor.word += count;
  }
  void finish(std::span<const Cursor>) const {}
};

struct Exchange::StagedSink {
  Word* words;
  RunHeader* headers;
  Lines* lines;

  void ahead(Word machine, const Cursor& cursor) const {
    const Lines& line = lines[machine];
    __builtin_prefetch(line.words.items + cursor.word % Line<Word>::kItems, 1);
    __builtin_prefetch(line.headers.items + cursor.run % Line<RunHeader>::kItems, 1);
  }
  void put(Word machine, Cursor& cursor, const RunHeader& header) const {
    lines[machine].headers.put(header, headers, cursor.run);
  }
  void put(Word machine, Cursor& cursor, const Word* from, std::uint64_t count) const {
    Line<Word>& line = lines[machine].words;
    count == 1 ? line.put(*from, words, cursor.word) : line.put(from, count, words, cursor.word);
  }
  void finish(std::span<const Cursor> ends) const {
    Line<Word>::settle();
    for (std::size_t m = 0; m + 1 < ends.size(); ++m) {
      lines[m].words.finish(words, ends[m].word, ends[m + 1].word);
      lines[m].headers.finish(headers, ends[m].run, ends[m + 1].run);
    }
  }
};

/// Moves the runs to their inboxes; cursors_[m + 1] goes from machine m's begin to its end.
template <typename Sink>
void Exchange::scatter(const Sink sink) {
  auto kept = kept_.begin();
  Cursor* const cursors = cursors_.data() + 1;
  const auto header = [sink](Word machine, Cursor& cursor, MachineId source, std::uint32_t sequence) {
    sink.put(machine, cursor, RunHeader{source, sequence, static_cast<std::uint32_t>(cursor.word)});
  };
  for_each_run(
      message_fields_,
      [=](Word machine, Word length, MachineId source, std::uint32_t sequence, const Word* run) {
        Cursor& cursor = cursors[machine];
        header(machine, cursor, source, sequence);
        sink.put(machine, cursor, run, length);
      },
      [=](Word machine) { sink.ahead(machine, cursors[machine]); },
      [&](Word machine, Word length, MachineId source, std::uint32_t sequence, const Word* run) {
        Cursor& cursor = cursors_[machine + 1];
        header(machine, cursor, source, sequence);
        const Word* from = run;
        sink.put(machine, cursor, from, kept->begin);
        from += kept->begin + (kept->in_stream ? kept->length : 0);
        if (kept->stays) {
          held_[machine] = {{kept->words, kept->length}, cursor.word, cursor.run};
        } else {
          sink.put(machine, cursor, kept->words, kept->length);
        }
        const std::uint64_t behind = length - kept->begin - kept->length;
        sink.put(machine, cursor, from, behind);
        ++kept;
        return static_cast<std::uint64_t>(from - run) + behind;
      });
  sink.finish(std::span(cursors_).first(count_ + 1));
}

Exchange::Received Exchange::fill_inboxes() {
  Received result;
  settle_kept();
  // cursors_[m + 1] first counts machine m, then is where m's next run goes, and so ends at m's end.
  std::fill(cursors_.begin(), cursors_.end(), Cursor{});
  const auto count = [cursors = cursors_.data() + 1](Word machine, Word length, MachineId, std::uint32_t,
                                                     const Word*) {
    cursors[machine].word += length;
    cursors[machine].run += 1;
  };
  auto kept = kept_.begin();
  for_each_run(
      message_fields_, count, [](Word) {},
      [&](Word machine, Word length, MachineId source, std::uint32_t sequence, const Word* words) {
        count(machine, length, source, sequence, words);
        return length - (kept++->in_stream ? 0 : std::prev(kept)->length);
      });
  Cursor next;
  kept = kept_.begin();
  for (std::uint32_t m = 0; m < count_; ++m) {
    Cursor tally = std::exchange(cursors_[m + 1], next);
    result.max_words = std::max(result.max_words, tally.word);
    if (tally.word > limit_words_ + seeded("receive-limit") && !result.overload)
      result.overload = Finding{first_ + m, tally.word};
    if (kept != kept_.end() && kept->machine == m) {
      if (kept->stays) tally.word -= kept->length;
      ++kept;
    }
    next.word += tally.word;
    next.run += tally.run;
  }
  if (!result.overload) {
    inbox_words_ = take_spare(next.word);
    spare_.clear();
    inbox_headers_.clear();
    inbox_words_.resize(next.word);
    inbox_headers_.resize(next.run);
    const std::uint64_t bytes = next.word * sizeof(Word) + next.run * sizeof(RunHeader);
    if (bytes >= kLeastStaged && bytes >= kInboxesPerLines * count_ * sizeof(Lines)) {
      lines_.resize(cursors_.size());  // as far as ahead() may look
      scatter(StagedSink{inbox_words_.data(), inbox_headers_.data(), lines_.data()});
    } else {
      scatter(PlainSink{inbox_words_.data(), inbox_headers_.data()});
    }
    place_held();
  }
  kept_.clear();
  std::swap(spare_, leaving_);  // to be taken in the next round, or given back
  clear_streams();
  return result;
}

/// Runs behind a kept row begin later by its length.
void Exchange::place_held() {
  for (std::uint32_t m = 0; m < held_.size(); ++m) {
    Held& held = held_[m];
    if (held.words.empty()) continue;
    for (std::uint64_t run = held.next_run; run < cursors_[m + 1].run; ++run) {
      inbox_headers_[run].begin += static_cast<std::uint32_t>(held.words.size());
    }
    held.begin -= cursors_[m].word;
  }
}

Exchange::Received Exchange::fill_outputs() {
  Received result;
  const std::uint64_t base = first_output(rank_);
  const std::uint64_t count = first_output(rank_ + 1) - base;
  const auto machine_of = [&](std::uint64_t t) { return shape_.output_machine(base + t); };
  older_.clear();  // read for the last time; outputs take their place
  spare_.clear();
  inbox_words_.release();
  inbox_headers_.release();
  // Rank 0 will gather the others' behind its own, in place.
  outputs_.reserve(rank_ == 0 ? shape_.outputs : count);
  outputs_.assign(count, 0);
  std::vector<bool> present(count);
  std::vector<std::uint64_t> received(count_);
  const bool overlooks = seeded("duplicate-output");
  for_each_run(
      output_fields_,
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
      [](Word) {}, [](Word, Word, MachineId, std::uint32_t, const Word*) { return std::uint64_t{0}; });
  for (std::uint32_t m = 0; m < count_; ++m) {
    result.max_words = std::max(result.max_words, received[m]);
    if (received[m] > limit_words_ && !result.overload) result.overload = Finding{first_ + m, received[m]};
  }
  const auto missing =
      static_cast<std::uint64_t>(std::find(present.begin(), present.end(), false) - present.begin());
  if (missing != count) result.missing_output = Finding{machine_of(missing), base + missing};
  for (Stream& stream : sending_) {
    stream.headers.release();
    stream.words.release();
  }
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
  return rank_ == 0 ? std::move(outputs_) : std::vector<Word>{};
}

}  // namespace roundtrip::mpc
