#include "mpc/stages/local_sort.h"

#include <algorithm>
#include <boost/sort/pdqsort/pdqsort.hpp>

namespace roundtrip::mpc {
namespace {

/// What is moved while sorting: the first key word, and where the record stands.
struct Item {
  Word key;
  std::uint64_t record;
};
static_assert(sizeof(Item) == 2 * sizeof(Word));

struct ByFirstWord {
  bool operator()(const Item& a, const Item& b) const { return a.key < b.key; }
};

}  // namespace

void local_sort(std::span<const Word> from, std::span<Word> to, std::uint64_t width, std::uint64_t key_words,
                std::pmr::memory_resource* scratch) {
  const std::size_t records = from.size() / width;
  if (records < 2) {
    std::ranges::copy(from, to.begin());
    return;
  }
  std::pmr::polymorphic_allocator<Item> allocator(scratch);
  Item* const items = allocator.allocate(records);
  for (std::size_t i = 0; i < records; ++i) items[i] = {from[i * width], i};
  boost::sort::pdqsort_branchless(items, items + records, ByFirstWord{});
  // Ties in the first word are settled by the other key words, run by run: that keeps the main sort free of
  // branches.
  for (std::size_t begin = 0; begin + 1 < records;) {
    std::size_t end = begin + 1;
    while (end < records && items[end].key == items[begin].key) ++end;
    if (end - begin > 1) {
      boost::sort::pdqsort(items + begin, items + end, [&](const Item& a, const Item& b) {
        const Word* const x = from.data() + a.record * width;
        const Word* const y = from.data() + b.record * width;
        return std::lexicographical_compare(x + 1, x + key_words, y + 1, y + key_words);
      });
    }
    begin = end;
  }
  for (std::size_t i = 0; i < records; ++i) {
    std::copy_n(from.data() + items[i].record * width, width, to.data() + i * width);
  }
  allocator.deallocate(items, records);
}

}  // namespace roundtrip::mpc
