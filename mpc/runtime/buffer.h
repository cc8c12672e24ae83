// Purpose: a growable array for the exchange. Growing remaps pages instead of copying them, and pages never
// written take no memory: the peak stays at what was really used, not at twice that as while a std::vector
// grows. Large arrays ask for large pages: a scatter to many machines writes to more 4 KiB pages than the TLB
// holds.
#pragma once

#include <sys/mman.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <span>
#include <type_traits>
#include <utility>

#include "roundtrip/base/ensure.h"

namespace roundtrip::mpc {

/// Copies words between arrays that don't overlap; the short runs that messages mostly are, without a call.
template <typename T>
inline void copy_words(T* to, const T* from, std::size_t count) {
  constexpr std::size_t kMaxInline = 32;
  if (count > kMaxInline) {
    std::memcpy(to, from, count * sizeof(T));
    return;
  }
  for (; count >= 4; count -= 4, to += 4, from += 4) std::memcpy(to, from, 4 * sizeof(T));
  if ((count & 2) != 0) {
    std::memcpy(to, from, 2 * sizeof(T));
    to += 2, from += 2;
  }
  if ((count & 1) != 0) *to = *from;
}

/// How often any Buffer of this process has grown; a steady round grows none (tests).
inline std::uint64_t buffer_growths = 0;

template <typename T>
class Buffer {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  Buffer() = default;
  ~Buffer() { release(); }
  Buffer(Buffer&& other) noexcept { swap(other); }
  Buffer& operator=(Buffer&& other) noexcept {
    swap(other);
    return *this;
  }

  T* data() { return data_; }
  const T* data() const { return data_; }
  std::size_t size() const { return size_; }
  std::size_t capacity() const { return capacity_; }
  T& operator[](std::size_t i) {
    ensure_debug(i < size_, "an element that the buffer does not have");
    return data_[i];
  }
  const T& operator[](std::size_t i) const {
    ensure_debug(i < size_, "an element that the buffer does not have");
    return data_[i];
  }
  std::span<const T> span() const { return {data_, size_}; }

  void clear() { size_ = 0; }
  /// Empties it and gives its memory back.
  void release() {
    if (data_ != nullptr) munmap(data_, capacity_ * sizeof(T));
    data_ = nullptr;
    size_ = capacity_ = 0;
  }
  /// Capacity for `more` elements after the present ones; these stay, new ones have arbitrary values.
  void reserve_more(std::size_t more) {
    if (size_ + more > capacity_) grow(size_ + more);
  }
  /// Sets the size within the capacity, after writing through data().
  void set_size(std::size_t size) {
    ensure_debug(size <= capacity_, "a size beyond the buffer's capacity");
    size_ = size;
  }
  /// Sets the size; new elements have arbitrary values.
  void resize(std::size_t size) {
    if (size > capacity_) grow(size);
    size_ = size;
  }

 private:
  // Only where the unused end of the last large page is small beside the array.
  static constexpr std::size_t kMinBytesForLargePages = std::size_t{8} << 20;
  static constexpr std::size_t kLargePage = std::size_t{2} << 20;

  /// Fresh pages; a large array begins at a large page, so that remapping moves large pages whole.
  static void* map(std::size_t bytes) {
    const std::size_t slack = bytes >= kMinBytesForLargePages ? kLargePage : 0;
    void* const mapped =
        mmap(nullptr, bytes + slack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED) throw std::bad_alloc();
    if (slack == 0) return mapped;
    auto* const begin = static_cast<std::byte*>(mapped);
    const std::size_t before =
        (kLargePage - reinterpret_cast<std::uintptr_t>(begin) % kLargePage) % kLargePage;
    if (before != 0) munmap(begin, before);
    if (before != slack) munmap(begin + before + bytes, slack - before);
    return begin + before;
  }

  void grow(std::size_t least) {
    constexpr std::size_t kPage = 4096;
    const std::size_t wanted = std::max(least, capacity_ + capacity_ / 2) * sizeof(T);
    const std::size_t bytes = (wanted + kPage - 1) / kPage * kPage;
    // The capacity in bytes is remembered through the element count, so it must divide.
    const std::size_t count = bytes / sizeof(T);
    void* const grown = map(count * sizeof(T));
    if (data_ != nullptr) {
      if (size_ == 0) {  // nothing to keep: fresh pages are large from the start
        munmap(data_, capacity_ * sizeof(T));
      } else if (mremap(data_, capacity_ * sizeof(T), count * sizeof(T), MREMAP_MAYMOVE | MREMAP_FIXED,
                        grown) == MAP_FAILED) {
        munmap(grown, count * sizeof(T));
        throw std::bad_alloc();
      }
    }
    // A refusal costs nothing but time.
    if (count * sizeof(T) >= kMinBytesForLargePages) madvise(grown, count * sizeof(T), MADV_HUGEPAGE);
    ++buffer_growths;
    data_ = static_cast<T*>(grown);
    capacity_ = count;
  }
  void swap(Buffer& other) {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(capacity_, other.capacity_);
  }

  T* data_ = nullptr;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

}  // namespace roundtrip::mpc
