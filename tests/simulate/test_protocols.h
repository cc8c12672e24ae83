// Purpose: protocols made in tests: any step function with a shape, and one that loads every machine fully
// and whose words hash all that a machine received, so that any word lost, changed or moved changes the
// output.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "roundtrip/anna/attention/mechanisms.h"
#include "roundtrip/base/random.h"
#include "roundtrip/mpc/protocol.h"

namespace roundtrip::simulate {

using StepFunction =
    std::function<void(const mpc::Shape&, const mpc::Step&, const mpc::Inbox&, mpc::Outbox&)>;

class TestProtocol final : public mpc::Protocol {
 public:
  TestProtocol(const mpc::Shape& shape, StepFunction step) : shape_(shape), step_(std::move(step)) {}
  const mpc::Shape& shape() const override { return shape_; }
  void step(const mpc::Step& step, const mpc::Inbox& inbox, mpc::Outbox& outbox) const override {
    step_(shape_, step, inbox, outbox);
  }

 private:
  mpc::Shape shape_;
  StepFunction step_;
};

inline mpc::Shape make_shape(std::uint64_t n, std::uint64_t b, std::uint64_t s, std::uint32_t q,
                             std::uint32_t rounds, std::uint64_t outputs) {
  mpc::Shape shape;
  shape.n = n;
  shape.outputs = outputs;
  shape.block_words = b;
  shape.memory_words = s;
  shape.machines = q;
  shape.rounds = rounds;
  shape.word_bits = 48;
  shape.input_bits = 48;
  shape.scratch_words = 64;
  shape.kappa_s = s / b;
  return shape;
}

/// A hash of everything that the inbox says, the cut into runs included.
inline std::uint64_t digest(const mpc::Inbox& inbox) {
  std::uint64_t hash = 1;
  for (const mpc::Run run : inbox) {
    hash = draw(hash, Domain::kTest, run.source, run.sequence, run.words.size());
    for (const mpc::Word word : run.words) hash = draw(hash, Domain::kTest, word);
  }
  return hash;
}

/// Destinations of a round in which every machine sends and receives exactly s words: [machine * s + h],
/// shuffled.
inline std::vector<std::uint32_t> full_load_destinations(const mpc::Shape& shape, std::uint64_t seed,
                                                         std::uint32_t round) {
  std::vector<std::uint32_t> to;
  for (std::uint64_t g = 0; g < shape.machines * shape.memory_words; ++g) {
    to.push_back(static_cast<std::uint32_t>(g / shape.memory_words));
  }
  RandomStream random(seed, Domain::kTest, round);
  for (std::size_t i = to.size(); i > 1; --i) std::swap(to[i - 1], to[random.below(i)]);
  return to;
}

/// Every machine sends and receives exactly s words in every round but the last, destinations by a random
/// permutation; output t is delivered by machine t mod q. Needs outputs <= q * s and outputs <= q * b.
inline std::shared_ptr<const mpc::Protocol> full_load(const mpc::Shape& shape, std::uint64_t seed) {
  std::vector<std::vector<std::uint32_t>> destination;
  for (std::uint32_t r = 1; r < shape.rounds; ++r)
    destination.push_back(full_load_destinations(shape, seed, r));
  return std::make_shared<TestProtocol>(shape, [destination](const mpc::Shape& s, const mpc::Step& step,
                                                             const mpc::Inbox& inbox, mpc::Outbox& outbox) {
    const std::uint64_t hash = digest(inbox);
    if (step.round < s.rounds) {
      for (std::uint64_t h = 0; h < s.memory_words; ++h) {
        outbox.send(destination[step.round - 1][step.machine * s.memory_words + h],
                    draw(hash, Domain::kTest, step.machine, h) >> (64 - s.word_bits));
      }
    } else {
      for (std::uint64_t t = step.machine; t < s.outputs; t += s.machines) {
        outbox.deliver(t, draw(hash, Domain::kTest, t) >> (64 - s.word_bits));
      }
    }
  });
}

inline std::vector<mpc::Word> random_input(const mpc::Shape& shape, std::uint64_t seed) {
  std::vector<mpc::Word> input;
  for (std::uint64_t i = 0; i < shape.n; ++i) {
    input.push_back(draw(seed, Domain::kInstance, i) >> (64 - shape.input_bits));
  }
  return input;
}

/// Exchanges the keys of the first two tokens that have different ones, in every head.
class SwapKeys final : public anna::Attention {
 public:
  std::string name() const override { return "swapped keys"; }
  void attend(const anna::Codebook& codebook, const anna::HeadInput& head, anna::SparseRows& out) override {
    anna::HeadInput changed = head;
    auto& keys = changed.keys.listed;
    for (std::size_t i = 1; i < keys.size(); ++i) {
      if (keys[i].symbol == keys[0].symbol) continue;
      std::swap(keys[i].symbol, keys[0].symbol);
      break;
    }
    exact_->attend(codebook, changed, out);
  }

 private:
  std::unique_ptr<anna::Attention> exact_ = anna::make_exact_match();
};

}  // namespace roundtrip::simulate
