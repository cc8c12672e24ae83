// Purpose: big buffers on large pages: rows are read and written in random order, and 4 KiB pages would miss
// the TLB on nearly every one.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>
#include <span>

namespace roundtrip {

inline constexpr std::size_t kLargePage = std::size_t{1} << 21;

/// `size` trivial objects, uninitialised, aligned to 64 bytes (2 MiB if large).
template <typename T>
class HugeArray {
 public:
  HugeArray() = default;
  explicit HugeArray(std::size_t size) : size_(size) {
    const std::size_t page = size * sizeof(T) >= kLargePage ? kLargePage : 64;
    const std::size_t bytes = (size * sizeof(T) + page - 1) / page * page;
    if (bytes == 0) return;
    data_.reset(static_cast<T*>(std::aligned_alloc(page, bytes)));
    if (data_ == nullptr) throw std::bad_alloc();
    if (page == kLargePage)
      ::madvise(data_.get(), bytes, MADV_HUGEPAGE);  // a hint: failure costs speed alone
  }
  T* data() { return data_.get(); }
  const T* data() const { return data_.get(); }
  std::size_t size() const { return size_; }
  T& operator[](std::size_t i) { return data_.get()[i]; }
  const T& operator[](std::size_t i) const { return data_.get()[i]; }

 private:
  struct Free {
    void operator()(T* pointer) const { std::free(pointer); }
  };
  std::unique_ptr<T, Free> data_;
  std::size_t size_ = 0;
};

}  // namespace roundtrip
