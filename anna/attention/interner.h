// Purpose: numbers distinct fixed-size records (symbols, vectors, hash codes) in order of first appearance,
// comparing them in full: a collision of the table's own hash never merges two records.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace roundtrip::anna {

class RecordInterner {
 public:
  /// Records of `bytes` bytes; forgets all earlier ones.
  void reset(std::size_t bytes);
  /// The number of the record at `record`; equal to size() before the call if it is new. Amortised O(bytes).
  std::uint32_t intern(const void* record);
  std::uint32_t size() const { return size_; }
  const std::byte* record(std::uint32_t number) const { return records_.data() + number * bytes_; }

 private:
  void grow();
  std::size_t bytes_ = 0;
  std::uint32_t size_ = 0;
  std::vector<std::byte> records_;
  std::vector<std::uint32_t> slots_;  // number + 1, 0 = free; a power of two, at most half full
};

}  // namespace roundtrip::anna
