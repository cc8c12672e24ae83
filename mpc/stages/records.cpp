#include "roundtrip/mpc/stages/records.h"

#include <algorithm>

#include "roundtrip/base/error.h"

namespace roundtrip::mpc {

WholeRecords::WholeRecords(const Options& options) : options_(options) {
  require(options.words % options.record_words == 0,
          "N is {}, allowed is a multiple of {}, the words of a record", options.words, options.record_words);
  require(options.positions <= options.machine_positions,
          "a record stands for {} positions, allowed is at most {}, those of a machine", options.positions,
          options.machine_positions);
}

std::uint64_t WholeRecords::received_words(const Options& options) {
  return ((options.machine_positions + options.positions - 2) / options.positions + 1) * options.record_words;
}

void WholeRecords::step(const Context& context, std::uint32_t) const {
  const auto& [words, block, width, positions, machine_positions] = options_;
  std::uint64_t word = context.machine * block;  // of the whole input
  std::span<const Word> left = context.inbox.words();
  while (!left.empty()) {
    const std::uint64_t record = word / width;
    const std::span<const Word> part =
        left.first(std::min<std::uint64_t>((record + 1) * width - word, left.size()));
    const std::uint64_t last = (record * positions + positions - 1) / machine_positions;
    for (std::uint64_t machine = record * positions / machine_positions; machine <= last; ++machine) {
      context.out.send(static_cast<MachineId>(machine), part);
    }
    word += part.size();
    left = left.subspan(part.size());
  }
}

WholeRecords::Result WholeRecords::result(const Context& context) const {
  const std::span<const Word> words = context.inbox.words();
  return {context.machine * options_.machine_positions / options_.positions,
          words.first(words.size() - words.size() % options_.record_words)};
}

}  // namespace roundtrip::mpc
