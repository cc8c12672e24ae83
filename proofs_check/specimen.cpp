#include "proofs_check/specimen.h"

#include <algorithm>

#include "proofs_check/formulas.h"

namespace roundtrip::proofs_check {

Claim specimen_claim(std::uint64_t n) {
  const std::uint64_t b = root_ceil(n, Rational(1, 2));
  return {.block_words = b,
          .memory_words = 2 * b,
          .machines = (n + b - 1) / b,
          .rounds = 4,
          .word_bits = 48,
          .outputs = n,
          .n = n};
}

Specimen::Specimen(const Claim& claim, const SpecimenDefects& defects, mpc::Word first_word)
    : defects_(defects), machines_(static_cast<std::uint32_t>(claim.machines)) {
  shape_.n = claim.n;
  shape_.outputs = claim.n;
  shape_.block_words = claim.block_words;
  shape_.memory_words = claim.memory_words;
  shape_.machines = machines_ + defects.more_machines;
  shape_.rounds =
      static_cast<std::uint32_t>(claim.rounds) - (defects.early_stop && first_word % 2 == 0 ? 1 : 0);
  shape_.word_bits = std::max(claim.word_bits, defects.wide_bits);
  shape_.input_bits = claim.word_bits;
  shape_.kappa_s = 2;
}

void Specimen::step(const mpc::Step& step, const mpc::Inbox& inbox, mpc::Outbox& outbox) const {
  if (step.machine >= machines_) return;
  const std::uint64_t begin = step.machine * shape_.block_words;
  const std::uint64_t size = std::min(shape_.block_words, shape_.n - begin);
  std::vector<mpc::Word> own;
  for (const mpc::Run run : inbox) {
    if (run.source == step.machine) own.insert(own.end(), run.words.begin(), run.words.end());
  }
  own.resize(size);  // the copy from the neighbour and extra words are dropped
  if (step.round == shape_.rounds) {
    for (std::uint64_t i = 0; i < size; ++i) outbox.deliver(begin + i, own[i]);
    return;
  }
  outbox.send(step.machine, own);
  outbox.send((step.machine + 1) % machines_, own[0]);
  if (step.round == 2 && step.machine == 0) {
    outbox.send(0, std::vector<mpc::Word>(defects_.extra_words, 0));
    if (defects_.wide_bits > 0) outbox.send(0, mpc::Word{1} << (defects_.wide_bits - 1));
  }
}

}  // namespace roundtrip::proofs_check
