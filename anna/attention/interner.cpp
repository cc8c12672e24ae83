#include "roundtrip/anna/attention/interner.h"

#include <cstring>

#include "roundtrip/base/error.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace roundtrip::anna {

void RecordInterner::reset(std::size_t bytes) {
  bytes_ = bytes;
  size_ = 0;
  records_.clear();
  slots_.assign(16, 0);
}

std::uint32_t RecordInterner::intern(const void* record) {
  if (2 * (std::size_t{size_} + 1) > slots_.size()) grow();
  const std::size_t mask = slots_.size() - 1;
  std::size_t slot = XXH3_64bits(record, bytes_) & mask;
  for (; slots_[slot] != 0; slot = (slot + 1) & mask) {
    if (std::memcmp(this->record(slots_[slot] - 1), record, bytes_) == 0) return slots_[slot] - 1;
  }
  require(size_ < 0xfffffffeu, "more than {} distinct records", size_);
  const auto* begin = static_cast<const std::byte*>(record);
  records_.insert(records_.end(), begin, begin + bytes_);
  slots_[slot] = ++size_;
  return size_ - 1;
}

void RecordInterner::grow() {
  slots_.assign(2 * slots_.size(), 0);
  const std::size_t mask = slots_.size() - 1;
  for (std::uint32_t number = 0; number < size_; ++number) {
    std::size_t slot = XXH3_64bits(record(number), bytes_) & mask;
    while (slots_[slot] != 0) slot = (slot + 1) & mask;
    slots_[slot] = number + 1;
  }
}

}  // namespace roundtrip::anna
