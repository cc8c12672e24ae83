#include "roundtrip/mpc/protocols/part_table.h"

#include <algorithm>

#include "roundtrip/base/fault.h"

namespace roundtrip::mpc {
namespace {

std::span<Word>::iterator entry_of(std::span<Word> table, Word label) {
  return std::lower_bound(table.begin(), table.end(), label << kPartBits);
}

}  // namespace

Word root_of_part(std::span<Word> table, Word label) {
  for (;;) {
    const auto entry = entry_of(table, label);
    if (entry == table.end() || *entry >> kPartBits != label) {
      if (table.empty() || table.back() != kNoPart) return label;  // more labels than there can be
      std::copy_backward(entry, table.end() - 1, table.end());
      *entry = label << kPartBits | label;
      return label;
    }
    const Word parent = *entry & kPartMask;
    if (parent >= label) return label;
    if (seeded("one-parent")) return parent;
    label = parent;
  }
}

void unite_parts(std::span<Word> table, Word a, Word b) {
  const Word root_a = root_of_part(table, a);
  const Word root_b = root_of_part(table, b);
  if (root_a == root_b) return;
  const auto entry = entry_of(table, std::max(root_a, root_b));
  if (entry != table.end() && *entry >> kPartBits == std::max(root_a, root_b))
    *entry = std::max(root_a, root_b) << kPartBits | std::min(root_a, root_b);
}

}  // namespace roundtrip::mpc
