#include "roundtrip/base/heap_meter.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <new>

#include "roundtrip/base/fault.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define ROUNDTRIP_OWN_OPERATORS 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define ROUNDTRIP_OWN_OPERATORS 0
#endif
#endif
#ifndef ROUNDTRIP_OWN_OPERATORS
#define ROUNDTRIP_OWN_OPERATORS 1
#endif

namespace roundtrip {

constinit thread_local HeapMeter* HeapMeter::current_ = nullptr;

bool HeapMeter::available() {
  static const bool counted = [] {
    HeapMeter meter;
    meter.start();
    void* volatile block = ::operator new(1);  // a pair that a compiler sees through may go
    ::operator delete(block);
    meter.stop();
    return meter.peak_words_ != 0;
  }();
  return counted;
}

/// Where the address is, or the free slot where it belongs.
std::size_t HeapMeter::slot_of(const void* address) const {
  constexpr std::uint64_t kFibonacci = 0x9e3779b97f4a7c15u;  // 2^64 over the golden ratio
  std::size_t i = (std::bit_cast<std::uintptr_t>(address) * kFibonacci >> 32) & mask_;
  while (slots_[i].address != nullptr && slots_[i].address != address) i = (i + 1) & mask_;
  return i;
}

void HeapMeter::took(const void* block, std::size_t bytes) {
  if (paused_ != 0 && !seeded("heap-of-runtime")) return;
  constexpr std::size_t kWord = sizeof(std::uint64_t);
  const std::uint64_t words = std::max<std::uint64_t>(1, bytes / kWord + (bytes % kWord != 0));
  if (block == nullptr) {
    peak_words_ = std::max(peak_words_, live_words_ + words);
    return;
  }
  if (2 * (blocks_ + 1) > mask_) grow();
  if (blocks_ < mask_) {  // else memory for the table ran out, and the block counts to the end
    Block& slot = slots_[slot_of(block)];
    if (slot.address == nullptr) {
      ++blocks_;
    } else {  // given back by another thread
      live_words_ -= slot.words;
    }
    slot = {block, words};
  }
  live_words_ += words;
  peak_words_ = std::max(peak_words_, live_words_);
}

void HeapMeter::gave_back(const void* block) {
  std::size_t hole = slot_of(block);
  if (slots_[hole].address == nullptr) return;
  if (!seeded("heap-never-given-back")) live_words_ -= slots_[hole].words;
  if (seeded("heap-at-end")) peak_words_ = live_words_;
  --blocks_;
  slots_[hole].address = nullptr;
  // What follows without a gap may have been pushed on by this block: each finds its slot again.
  for (std::size_t i = (hole + 1) & mask_; slots_[i].address != nullptr; i = (i + 1) & mask_) {
    const Block moved = slots_[i];
    slots_[i].address = nullptr;
    slots_[slot_of(moved.address)] = moved;
  }
}

void HeapMeter::grow() {
  const std::size_t slots = 2 * (mask_ + 1);
  auto* const larger = static_cast<Block*>(std::calloc(slots, sizeof(Block)));
  if (larger == nullptr) return;
  Block* const old = slots_;
  const std::size_t old_slots = mask_ + 1;
  slots_ = larger;
  mask_ = slots - 1;
  for (std::size_t i = 0; i < old_slots; ++i) {
    if (old[i].address != nullptr) slots_[slot_of(old[i].address)] = old[i];
  }
  if (old != few_.data()) std::free(old);
}

void HeapMeter::forget_blocks() {
  if (slots_ != few_.data()) std::free(slots_);
  slots_ = few_.data();
  mask_ = kFewSlots - 1;
  blocks_ = 0;
  few_.fill({});
}

}  // namespace roundtrip

#if ROUNDTRIP_OWN_OPERATORS
namespace {

using roundtrip::HeapMeter;

/// Null if there is no memory, and no handler that could find some.
void* take(std::size_t bytes, std::size_t alignment) {
  const std::size_t some = std::max<std::size_t>(bytes, 1);
  for (;;) {
    const bool aligned = alignment > __STDCPP_DEFAULT_NEW_ALIGNMENT__;
    const std::size_t whole = aligned ? (some + alignment - 1) / alignment * alignment : some;
    void* const block = whole < some ? nullptr
                        : aligned    ? std::aligned_alloc(alignment, whole)
                                     : std::malloc(some);
    if (HeapMeter* const meter = HeapMeter::current()) [[unlikely]] {
      if (!aligned || !roundtrip::seeded("heap-aligned")) meter->took(block, bytes);
    }
    if (block != nullptr) return block;
    const std::new_handler handler = std::get_new_handler();
    if (handler == nullptr) return nullptr;
    handler();
  }
}

void* take_or_throw(std::size_t bytes, std::size_t alignment) {
  void* const block = take(bytes, alignment);
  if (block == nullptr) throw std::bad_alloc();
  return block;
}

void* take_or_null(std::size_t bytes, std::size_t alignment) noexcept {
  try {
    return take(bytes, alignment);
  } catch (const std::bad_alloc&) {  // of the handler
    return nullptr;
  }
}

void give_back(void* block) noexcept {
  if (HeapMeter* const meter = HeapMeter::current()) [[unlikely]]
    meter->gave_back(block);
  std::free(block);
}

constexpr std::size_t number(std::align_val_t alignment) {
  return static_cast<std::size_t>(alignment);
}

}  // namespace

// Weak: a program that has its own keeps them, and is not metered.
#define ROUNDTRIP_WEAK __attribute__((weak))
using Align = std::align_val_t;
using Nothrow = const std::nothrow_t&;
// clang-format off
ROUNDTRIP_WEAK void* operator new(std::size_t n) { return take_or_throw(n, 1); }
ROUNDTRIP_WEAK void* operator new[](std::size_t n) { return take_or_throw(n, 1); }
ROUNDTRIP_WEAK void* operator new(std::size_t n, Align a) { return take_or_throw(n, number(a)); }
ROUNDTRIP_WEAK void* operator new[](std::size_t n, Align a) { return take_or_throw(n, number(a)); }
ROUNDTRIP_WEAK void* operator new(std::size_t n, Nothrow) noexcept { return take_or_null(n, 1); }
ROUNDTRIP_WEAK void* operator new[](std::size_t n, Nothrow) noexcept { return take_or_null(n, 1); }
ROUNDTRIP_WEAK void* operator new(std::size_t n, Align a, Nothrow) noexcept { return take_or_null(n, number(a)); }
ROUNDTRIP_WEAK void* operator new[](std::size_t n, Align a, Nothrow) noexcept { return take_or_null(n, number(a)); }
ROUNDTRIP_WEAK void operator delete(void* block) noexcept { give_back(block); }
ROUNDTRIP_WEAK void operator delete[](void* block) noexcept { give_back(block); }
ROUNDTRIP_WEAK void operator delete(void* block, std::size_t) noexcept { give_back(block); }
ROUNDTRIP_WEAK void operator delete[](void* block, std::size_t) noexcept { give_back(block); }
ROUNDTRIP_WEAK void operator delete(void* block, Align) noexcept { give_back(block); }
ROUNDTRIP_WEAK void operator delete[](void* block, Align) noexcept { give_back(block); }
ROUNDTRIP_WEAK void operator delete(void* block, std::size_t, Align) noexcept { give_back(block); }
ROUNDTRIP_WEAK void operator delete[](void* block, std::size_t, Align) noexcept { give_back(block); }
ROUNDTRIP_WEAK void operator delete(void* block, Nothrow) noexcept { give_back(block); }
ROUNDTRIP_WEAK void operator delete[](void* block, Nothrow) noexcept { give_back(block); }
ROUNDTRIP_WEAK void operator delete(void* block, Align, Nothrow) noexcept { give_back(block); }
ROUNDTRIP_WEAK void operator delete[](void* block, Align, Nothrow) noexcept { give_back(block); }
// clang-format on
#endif
