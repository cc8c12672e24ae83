#include "roundtrip/mpc/stages/local_sort.h"

#include <algorithm>
#include <bit>
#include <boost/sort/pdqsort/pdqsort.hpp>
#include <utility>

#include "roundtrip/base/fault.h"
#include "roundtrip/mpc/runtime/buffer.h"

namespace roundtrip::mpc {
namespace {

/// What is moved while sorting: one key word, and the position of the record.
struct Item {
  Word key;
  std::uint64_t record;
};
static_assert(sizeof(Item) == 2 * sizeof(Word));

}  // namespace

// One pass by the leading bits of the first key word that differs at all, into about as many buckets as
// records; then each bucket, of a record or two if words are spread evenly, by comparison.
void local_sort(std::span<const Word> from, std::span<Word> to, std::uint64_t width, std::uint64_t key_words,
                std::pmr::memory_resource* scratch) {
  const std::size_t records = from.size() / width;
  Word least = 0;
  Word range = 0;
  std::uint64_t key_word = 0;
  for (; key_word < key_words && range == 0 && records > 1; ++key_word) {
    Word greatest = least = from[key_word];
    for (std::size_t at = key_word; at < from.size(); at += width) {
      least = std::min(least, from[at]);
      greatest = std::max(greatest, from[at]);
    }
    range = greatest - least;
  }
  if (range == 0) {
    std::ranges::copy(from, to.begin());
    return;
  }
  const Word* const keys = from.data() + key_word - 1;
  const auto bits = static_cast<unsigned>(std::bit_width(range));
  const auto wanted = static_cast<unsigned>(std::bit_width(records)) - 1;
  const unsigned shift = bits > wanted ? bits - wanted : 0;
  const std::size_t buckets = (range >> shift) + 1;  // at most as many as records
  std::pmr::polymorphic_allocator<Item> item_allocator(scratch);
  std::pmr::polymorphic_allocator<std::uint32_t> end_allocator(scratch);
  Item* const items = item_allocator.allocate(records);
  std::uint32_t* const ends = end_allocator.allocate(buckets);
  std::fill_n(ends, buckets, 0);
  for (std::size_t i = 0; i < records; ++i) ++ends[(keys[i * width] - least) >> shift];
  std::uint32_t begin = 0;
  for (std::size_t b = 0; b < buckets; ++b) begin += std::exchange(ends[b], begin);
  for (std::size_t i = 0; i < records; ++i) {
    const Word key = keys[i * width];
    items[ends[(key - least) >> shift]++] = {key, i};
  }
  const bool reversed = seeded("tie-rule");
  const std::uint64_t rest = key_words - key_word;
  const auto less = [&](const Item& a, const Item& b) {
    if (a.key != b.key) return a.key < b.key;
    const Word* const x = keys + a.record * width + 1;
    const Word* const y = keys + b.record * width + 1;
    for (std::uint64_t i = 0; i < rest; ++i) {
      if (x[i] != y[i]) return x[i] < y[i];
    }
    return reversed ? b.record < a.record : a.record < b.record;
  };
  begin = 0;
  for (std::size_t b = 0; b < buckets; begin = ends[b++]) {
    if (ends[b] - begin == 2) {
      if (less(items[begin + 1], items[begin])) std::swap(items[begin], items[begin + 1]);
    } else if (ends[b] - begin > 2) {
      boost::sort::pdqsort(items + begin, items + ends[b], less);
    }
  }
  for (std::size_t i = 0; i < records; ++i) {
    copy_words(to.data() + i * width, from.data() + items[i].record * width, width);
  }
  end_allocator.deallocate(ends, buckets);
  item_allocator.deallocate(items, records);
}

}  // namespace roundtrip::mpc
