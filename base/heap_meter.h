// Purpose: counts what a stretch of code takes from the heap. heap_meter.cpp replaces every form of operator new and
// delete, in the program and in any that links this library; while a meter runs, they tell it what its thread takes
// and gives back. Counts are of what was asked for, not of addresses or of what the allocator rounds up to: they
// are the same on every machine and in every order.
//
// Not seen: malloc and what calls it by itself (Eigen, C libraries, the objects of exceptions), mmap, memory on the
// stack, and what other threads take.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace roundtrip {

/// Counts in words of 8 bytes, each block rounded up, at least one. What was taken before the meter started, or while
/// it paused, may be given back and counts for nothing; what is given back by nobody counts until it stops.
class HeapMeter {
 public:
  HeapMeter() = default;
  ~HeapMeter() { forget_blocks(); }
  HeapMeter(const HeapMeter&) = delete;
  HeapMeter& operator=(const HeapMeter&) = delete;

  /// Whether this program has the operators below: not under a sanitizer, and not if the program has its own.
  [[nodiscard]] static bool available();

  /// Counts for this thread from nothing on; what ran before goes on when it stops. Each start() has a stop(). What
  /// `caller` takes is not counted, where it says HeapPause(this).
  void start(const void* caller = nullptr) {
    live_words_ = peak_words_ = 0;
    caller_ = caller;
    outer_ = current_;
    current_ = this;
  }
  void stop() {
    current_ = outer_;
    if (blocks_ != 0) [[unlikely]]
      forget_blocks();
  }
  /// Most words that were held at once since start(), those of a request that failed included.
  std::uint64_t peak_words() const { return peak_words_; }

  /// The meter of this thread that runs, if any.
  static HeapMeter* current() { return current_; }
  void took(const void* block, std::size_t bytes);
  void gave_back(const void* block);

 private:
  friend class HeapPause;
  struct Block {
    const void* address;  // null: free
    std::uint64_t words;
  };
  static constexpr std::size_t kFewSlots = 64;  // a power of two

  std::size_t slot_of(const void* address) const;
  void grow();
  void forget_blocks();

  static constinit thread_local HeapMeter* current_;

  HeapMeter* outer_ = nullptr;
  const void* caller_ = nullptr;
  std::uint64_t live_words_ = 0;
  std::uint64_t peak_words_ = 0;
  std::uint64_t paused_ = 0;
  std::size_t blocks_ = 0;  // in slots_, by open addressing with linear probes
  std::size_t mask_ = kFewSlots - 1;
  std::array<Block, kFewSlots> few_{};
  Block* slots_ = few_.data();
};

/// What is taken as long as it lives is not counted: memory of those whom metered code calls.
class HeapPause {
 public:
  HeapPause() : meter_(HeapMeter::current()) {
    if (meter_ != nullptr) ++meter_->paused_;
  }
  /// Unless another than the meter's caller asks for it: metered code may have an object of the same kind.
  explicit HeapPause(const void* caller) : meter_(HeapMeter::current()) {
    if (meter_ != nullptr && meter_->caller_ != caller) meter_ = nullptr;
    if (meter_ != nullptr) ++meter_->paused_;
  }
  ~HeapPause() {
    if (meter_ != nullptr) --meter_->paused_;
  }
  HeapPause(const HeapPause&) = delete;
  HeapPause& operator=(const HeapPause&) = delete;

 private:
  HeapMeter* meter_;
};

}  // namespace roundtrip
