// Purpose: a growable array for the exchange. Growing remaps pages instead of copying them, and pages never
// written take no memory: the peak stays at what was really used, not at twice that as while a std::vector
// grows.
#pragma once

#include <sys/mman.h>

#include <algorithm>
#include <cstddef>
#include <new>
#include <span>
#include <type_traits>
#include <utility>

namespace roundtrip::mpc {

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
  T& operator[](std::size_t i) { return data_[i]; }
  const T& operator[](std::size_t i) const { return data_[i]; }
  std::span<const T> span() const { return {data_, size_}; }

  void clear() { size_ = 0; }
  /// Empties it and gives its memory back.
  void release() {
    if (data_ != nullptr) munmap(data_, capacity_ * sizeof(T));
    data_ = nullptr;
    size_ = capacity_ = 0;
  }
  /// Room for `more` elements behind the present ones; these stay, new ones have arbitrary values.
  void reserve_more(std::size_t more) {
    if (size_ + more > capacity_) grow(size_ + more);
  }
  /// Sets the size within the reserved room, after writing through data().
  void set_size(std::size_t size) { size_ = size; }
  /// Sets the size; new elements have arbitrary values.
  void resize(std::size_t size) {
    if (size > capacity_) grow(size);
    size_ = size;
  }

 private:
  void grow(std::size_t least) {
    constexpr std::size_t kPage = 4096;
    const std::size_t wanted = std::max(least, capacity_ + capacity_ / 2) * sizeof(T);
    const std::size_t bytes = (wanted + kPage - 1) / kPage * kPage;
    // The capacity in bytes is remembered through the element count, so it must divide.
    const std::size_t count = bytes / sizeof(T);
    void* grown = data_ == nullptr ? mmap(nullptr, count * sizeof(T), PROT_READ | PROT_WRITE,
                                          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
                                   : mremap(data_, capacity_ * sizeof(T), count * sizeof(T), MREMAP_MAYMOVE);
    if (grown == MAP_FAILED) throw std::bad_alloc();
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
