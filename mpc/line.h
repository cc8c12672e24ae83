// Purpose: scattering to very many places. Words for one place are gathered in a line of cache lines of its
// own and go out a line at a time, past the caches: a scatter to more places than the TLB and the caches hold
// then costs the bandwidth of its bytes, not a miss for each of them and a read of every line that is about
// to be overwritten.
#pragma once

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>

#include "mpc/buffer.h"

namespace roundtrip::mpc {

/// The last items of one place, up to a whole number of cache lines, on their way into an array that begins
/// at a cache line and is shared with other places' items.
template <typename T>
struct alignas(64) Line {
  static constexpr std::size_t kItems = std::lcm(std::size_t{64}, sizeof(T)) / sizeof(T);
  T items[kItems];

  /// Item `at` of `all`.
  void put(const T& item, T* all, std::uint64_t& at) {
    items[at % kItems] = item;
    if (++at % kItems == 0) stream(all + at - kItems, items);
  }
  /// The items from `at` on.
  void put(const T* from, std::size_t count, T* all, std::uint64_t& at) {
    while (count != 0) {
      const std::size_t place = at % kItems;
      const std::size_t some = std::min(count, kItems - place);
      if (some == kItems) {
        stream(all + at, from);
      } else {
        copy_words(items + place, from, some);
        if (place + some == kItems) stream(all + at + some - kItems, items);
      }
      at += some, from += some, count -= some;
    }
  }
  /// Afterwards, for all places in ascending order: what is left of one that holds `begin` up to `end`. A
  /// line that was put whole may have overwritten items of the places before it, which are put here.
  void finish(T* all, std::uint64_t begin, std::uint64_t end) const {
    const std::uint64_t from = std::max(begin, end - end % kItems);
    std::copy_n(items + from % kItems, end - from, all + from);
  }

  /// Between the last put() and the first finish().
  static void settle() {
#if defined(__SSE2__)
    _mm_sfence();
#endif
  }

 private:
  static void stream(T* to, const T* from) {
#if defined(__SSE2__)
    for (std::size_t i = 0; i < sizeof(Line) / sizeof(__m128i); ++i) {
      _mm_stream_si128(reinterpret_cast<__m128i*>(to) + i,
                       _mm_loadu_si128(reinterpret_cast<const __m128i*>(from) + i));
    }
#else
    std::copy_n(from, kItems, to);
#endif
  }
};

}  // namespace roundtrip::mpc
