#include "roundtrip/mpc/ledger.h"

#include <algorithm>

namespace roundtrip::mpc {

RoundFacts Ledger::overall() const {
  RoundFacts result;
  for (const RoundFacts& facts : rounds) {
    result.max_words_sent = std::max(result.max_words_sent, facts.max_words_sent);
    result.max_words_received = std::max(result.max_words_received, facts.max_words_received);
    result.max_scratch_words = std::max(result.max_scratch_words, facts.max_scratch_words);
    result.max_heap_words = std::max(result.max_heap_words, facts.max_heap_words);
    result.total_words += facts.total_words;
  }
  return result;
}

}  // namespace roundtrip::mpc
