#include "roundtrip/mpc/runtime/streams.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <new>

#include "roundtrip/base/heap_meter.h"
#include "roundtrip/mpc/transport.h"

namespace roundtrip::mpc {
namespace {

// A bucket has 2^6 machines, or more if a rank would have more than 2^6 buckets: the caches hold a line of
// words and one of headers for each machine of a bucket, and the end of each stream.
constexpr unsigned kMinBucketBits = 6, kMaxBucketsBits = 6;

constexpr Word kHeaderRest = (Word{1} << Streams::kLengthShift) - 1;

/// Of a field for values below `count`.
unsigned bits_for(std::uint64_t count) {
  return static_cast<unsigned>(std::bit_width(std::max<std::uint64_t>(count, 1) - 1));
}

/// Part i of k equal ones, each of whole pages but their first lines: streams that grow alike must not be
/// alike in the address bits by which caches choose their sets.
template <typename T>
std::span<T> part_of(std::span<T> all, std::size_t i, std::size_t k) {
  constexpr std::size_t kWordsPerLine = 8, kWordsPerPage = 512;
  const std::size_t part = all.size() / k / kWordsPerPage * kWordsPerPage;
  if (part == 0) return {};
  const std::size_t skip = i * kWordsPerLine % kWordsPerPage;
  return all.subspan(i * part + skip, part - skip);
}

}  // namespace

Streams::Streams(const Shape& shape, std::uint64_t limit_words, const Placement& placement,
                 Transport& transport)
    : first_(placement.first(transport.rank())),
      bucket_bits_(std::clamp(bits_for(placement.block()), kMinBucketBits + kMaxBucketsBits,
                              kDestinationBits + kMaxBucketsBits) -
                   kMaxBucketsBits),
      buckets_(ceil_div(placement.block(), std::uint64_t{1} << bucket_bits_)),
      sequence_bits_(bits_for(limit_words)),  // at most 32
      source_apart_(sequence_bits_ + bits_for(placement.block()) > kLengthShift - kDestinationBits),
      source_unit_(source_apart_ ? 0 : Word{1} << (sequence_bits_ + kDestinationBits)),
      max_short_(source_apart_ ? 0 : kLongLength - 1),
      output_to_rank_(placement.block() * shape.block_words),
      chunk_bits_(std::min(static_cast<unsigned>(std::countr_zero(placement.block())), bucket_bits_)),
      streams_(static_cast<std::size_t>(transport.ranks()) * buckets_),
      stream_of_(ceil_div(placement.machines(), std::uint64_t{1} << chunk_bits_)) {
  for (std::size_t i = 0; i < stream_of_.size(); ++i) {
    const std::uint64_t machine = i << chunk_bits_, rank = machine / placement.block();
    stream_of_[i] =
        static_cast<std::uint32_t>(rank * buckets_ + ((machine % placement.block()) >> bucket_bits_));
  }
  for (std::size_t i = 0; i < streams_.size(); ++i) {
    streams_[i].shared = part(transport.outgoing(static_cast<int>(i / buckets_)), i % buckets_);
  }
  clear();
}

std::span<Word> Streams::part(std::span<Word> memory, std::size_t bucket) const {
  return part_of(memory, bucket, buckets_);
}
std::span<const Word> Streams::part(std::span<const Word> memory, std::size_t bucket) const {
  return part_of(memory, bucket, buckets_);
}

void Streams::clear() {
  for (Stream& stream : streams_) stream.clear();
  self_messages_.clear();
}

void Streams::Stream::reserve(std::uint64_t words) {
  const std::uint64_t used = size();
  if (in_buffer()) {
    buffer.set_size(used);
  } else {
    buffer.resize(used);
    std::copy(begin, end, buffer.data());
  }
  buffer.reserve_more(words);
  begin = buffer.data();
  end = begin + used;
  limit = begin + buffer.capacity();
}

/// In the stream of the latest run.
void Streams::reserve(std::uint64_t words) {
  if (words <= run_stream_->free_words()) return;
  const auto at = run_ - run_stream_->begin;
  run_stream_->reserve(words);
  run_ = run_stream_->begin + at;
}

void Streams::open_run(Stream& stream, Word header) {
  run_stream_ = &stream;
  run_ = stream.end;
  reserve(kHeaderWords);
  if (source_apart_ && !last_round_) *run_++ = source_;
  *run_ = header;
  stream.end = run_ + 1;
}

/// Whether the latest run's length has a word of its own.
bool Streams::long_run() const {
  const Word field = *run_ >> kLengthShift;
  return field == kLongLength || (field == 0 && run_stream_->end != run_ + 1);  // not one that just began
}

std::uint64_t Streams::run_length() const {
  return long_run() ? run_[1] : *run_ >> kLengthShift;
}

/// Sets the latest run's length, and whether part of it is a self message.
void Streams::set_length(std::uint64_t length, bool has_self) {
  if (length < kLongLength) {
    *run_ = length << kLengthShift | (*run_ & kHeaderRest);
    return;
  }
  if (!long_run()) {
    reserve(1);
    std::memmove(run_ + 2, run_ + 1, run_length() * sizeof(Word));
    ++run_stream_->end;
  }
  run_[1] = length;
  *run_ = (has_self ? 0 : kLongLength) << kLengthShift | (*run_ & kHeaderRest);
}

void Streams::note_self_message(const SelfMessage& message) {
  const HeapPause ours;
  self_messages_.push_back(message);
}

/// Makes the latest run longer, where it goes on.
void Streams::append_to_run(const Word* words, std::uint64_t length, bool to_itself) {
  const std::uint64_t before = run_length();
  bool has_self = *run_ >> kLengthShift == 0 && before != 0;
  bool to_self_words = has_self && self_messages_.back().words == nullptr;
  const auto append_self_words = [&](const Word* from, std::uint64_t count) {
    self_words_.reserve_more(count);
    copy_words(self_words_.data() + self_words_.size(), from, count);
    self_words_.resize(self_words_.size() + count);
    self_messages_.back().length += count;
  };
  if (!has_self && to_itself && before + length >= kMinInPlace && may_stay_in_place()) {
    note_self_message({source_ - first_, 0, nullptr, 0, self_words_.size()});
    append_self_words(run_ + (long_run() ? 2 : 1), before);
    has_self = to_self_words = true;
    set_length(before + length, true);
    run_stream_->end = run_ + 2;
  } else {
    set_length(before + length, has_self);
  }
  if (to_self_words) return append_self_words(words, length);
  reserve(length + 1);
  copy_words(run_stream_->end, words, length);
  run_stream_->end += length;
}

void Streams::append_more(MachineId destination, const Word* words, std::uint64_t length,
                          std::uint64_t sequence) try {
  run_stream_ = &stream_to(destination);
  if (destination != expected_) open_run(*run_stream_, header(destination, sequence));
  expected_ = destination;
  append_to_run(words, length, destination == source_);
} catch (const std::bad_alloc&) {
  note_exhausted();
  throw;
}

void Streams::append_in_place(std::span<const Word> words, std::uint64_t sequence) try {
  if (!may_stay_in_place()) return append_more(source_, words.data(), words.size(), sequence);
  run_stream_ = &stream_to(source_);
  if (source_ != expected_) open_run(*run_stream_, header(source_, sequence));
  expected_ = source_;
  const std::uint64_t before = run_length();
  set_length(before + words.size(), true);
  note_self_message({source_ - first_, static_cast<std::uint32_t>(before), words.data(), words.size(), 0});
} catch (const std::bad_alloc&) {
  note_exhausted();
  throw;
}

void Streams::append_output_more(std::uint32_t index, Word word) try {
  if (index != expected_) {
    const std::uint64_t rank = output_to_rank_(index);
    const std::uint64_t first = rank * output_to_rank_.divisor();
    open_run(streams_[rank * buckets_], index - first);
    outputs_end_ = first + output_to_rank_.divisor();
  }
  append_to_run(&word, 1, false);
  expect_output_after(index);
} catch (const std::bad_alloc&) {
  note_exhausted();
  throw;
}

void Streams::drop_run() {
  if (last_round_ || expected_ == kNone) return;
  const std::uint64_t sequence = *run_ >> kDestinationBits & ((Word{1} << sequence_bits_) - 1);
  if (sequence == 0) return;
  if (*run_ >> kLengthShift == 0) self_messages_.pop_back();
  stream_to(static_cast<MachineId>(expected_)).end = run_ - (source_apart_ ? 1 : 0);
}

}  // namespace roundtrip::mpc
