// Purpose: the working memory of a step: a bounded arena that counts what is taken, and the meter of what is taken from
// the heap beside it. Offsets, and so counts, do not depend on addresses; resetting allocates nothing.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory_resource>
#include <new>

#include "roundtrip/base/heap_meter.h"
#include "roundtrip/base/rational.h"
#include "roundtrip/mpc/runtime/buffer.h"

namespace roundtrip::mpc {

/// Memory is taken from one end. Giving back the block taken last frees it, any other block stays taken until the
/// step ends.
class ScratchArena final : public std::pmr::memory_resource {
 public:
  explicit ScratchArena(std::uint64_t words) : allowed_words_(words) {
    storage_.resize(words * sizeof(std::uint64_t));
  }

  void reset() { used_bytes_ = peak_bytes_ = asked_bytes_ = 0; }
  /// Whether nothing was taken or refused since reset().
  bool untouched() const { return (peak_bytes_ | asked_bytes_ | heap_.peak_words()) == 0; }
  std::uint64_t allowed_words() const { return allowed_words_; }
  /// Most words taken at once since reset(), those of a refused request included.
  std::uint64_t peak_words() const {
    return ceil_div(std::max(peak_bytes_, asked_bytes_), sizeof(std::uint64_t));
  }
  /// Whether a request was refused since reset(), even if the step caught the std::bad_alloc.
  bool exceeded() const { return asked_bytes_ != 0; }
  /// What the step that ran last took beside the arena.
  HeapMeter& heap() { return heap_; }
  const HeapMeter& heap() const { return heap_; }

 private:
  static constexpr std::size_t kMaxAlignment = 4096;  // storage starts at a page

  void* do_allocate(std::size_t bytes, std::size_t alignment) override {
    if (alignment > kMaxAlignment) throw std::bad_alloc();
    const std::size_t begin = (used_bytes_ + alignment - 1) / alignment * alignment;
    if (bytes > storage_.size() || begin > storage_.size() - bytes) {
      asked_bytes_ =
          std::max(asked_bytes_, begin + std::min(bytes, ~std::size_t{0} - begin - sizeof(std::uint64_t)));
      throw std::bad_alloc();
    }
    used_bytes_ = begin + bytes;
    peak_bytes_ = std::max(peak_bytes_, used_bytes_);
    return storage_.data() + begin;
  }
  void do_deallocate(void* block, std::size_t bytes, std::size_t) override {
    const auto begin = static_cast<std::size_t>(static_cast<std::byte*>(block) - storage_.data());
    if (begin + bytes == used_bytes_) used_bytes_ = begin;
  }
  bool do_is_equal(const std::pmr::memory_resource& other) const noexcept override { return this == &other; }

  std::uint64_t allowed_words_;
  Buffer<std::byte> storage_;
  HeapMeter heap_;
  std::size_t used_bytes_ = 0;
  std::size_t peak_bytes_ = 0;
  std::size_t asked_bytes_ = 0;
};

}  // namespace roundtrip::mpc
