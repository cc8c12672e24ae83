// Purpose: texts for the tests of k-hop networks, and the task by its definition.
#pragma once

#include <algorithm>
#include <vector>

#include "roundtrip/base/random.h"
#include "roundtrip/mpc/parameters.h"

namespace roundtrip::simulate {

using Words = std::vector<mpc::Word>;

/// By the definition: k times to the place behind the latest earlier place of one's symbol; x + 1 there, 0 for none.
inline Words definition(const Words& x, std::uint64_t k) {
  Words out;
  for (std::size_t i = 0; i < x.size(); ++i) {
    std::size_t at = i;
    bool none = false;
    for (std::uint64_t hop = 0; hop < k && !none; ++hop) {
      std::size_t j = at;
      while (j > 0 && x[j - 1] != x[at]) --j;
      none = j == 0;
      at = j;
    }
    out.push_back(none ? 0 : x[at] + 1);
  }
  return out;
}

/// Texts on which hops are far, near, many or none.
inline std::vector<Words> nasty() {
  std::vector<Words> all{{0}, {0, 0}, {0, 1}, Words(30, 0)};
  Words counting, alternating, there_and_back, steps, halves;
  for (mpc::Word i = 0; i < 16; ++i) counting.push_back(i), halves.push_back(i);
  for (mpc::Word i = 0; i < 16; ++i) halves.push_back(i);
  for (mpc::Word i = 0; i < 40; ++i) alternating.push_back(i % 2);
  for (mpc::Word i = 0; i < 15; ++i) there_and_back.push_back(i);
  for (mpc::Word i = 15; i-- > 0;) there_and_back.push_back(i);
  for (mpc::Word i = 0; i < 8; ++i) steps.insert(steps.end(), i + 1, i);
  Words late = counting;  // the first symbol again at the very end only
  late.push_back(0);
  Words backwards = counting;
  std::ranges::reverse(backwards);
  backwards.insert(backwards.end(), counting.begin(), counting.end());
  for (const Words& words : {counting, alternating, there_and_back, steps, halves, late, backwards})
    all.push_back(words);
  return all;
}

inline std::uint32_t symbols_of(const Words& x) {
  return static_cast<std::uint32_t>(*std::ranges::max_element(x)) + 1;
}

inline Words random_text(std::uint64_t seed, std::uint32_t& symbols, std::uint64_t& k) {
  RandomStream stream(seed, Domain::kTest);
  symbols = static_cast<std::uint32_t>(1 + stream.below(6));
  k = 1 + stream.below(4);
  Words x(1 + stream.below(40));
  for (mpc::Word& word : x) word = stream.below(symbols);
  return x;
}

}  // namespace roundtrip::simulate
