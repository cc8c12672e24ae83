// Purpose: protocols made of arbitrary lists of transfers, which respect their limits exactly (s is the
// largest load), and a plain sequential interpreter that knows nothing of exchange, streams or ranks.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <memory_resource>
#include <ostream>
#include <tuple>
#include <vector>

#include "roundtrip/base/random.h"
#include "roundtrip/mpc/protocol.h"
#include "roundtrip/mpc/runtime.h"

namespace roundtrip::mpc::tests {

/// `length` consecutive words from machine source mod q to machine destination mod q.
struct Transfer {
  std::uint32_t source, destination, length;
};

/// A protocol as data, so that a failing one shrinks.
struct Case {
  std::uint64_t n = 1, block_words = 1;
  std::uint32_t idle_machines = 0;
  std::uint64_t outputs = 0;  ///< at most q b are used
  std::uint64_t seed = 1;
  std::vector<std::vector<Transfer>> rounds{};  ///< R - 1 lists
};

inline std::ostream& operator<<(std::ostream& out, const Case& c) {
  out << "N " << c.n << " b " << c.block_words << " idle " << c.idle_machines << " outputs " << c.outputs
      << " seed " << c.seed;
  for (const auto& round : c.rounds) {
    out << " |";
    for (const Transfer& t : round) out << " " << t.source << ">" << t.destination << "x" << t.length;
  }
  return out;
}

inline std::uint64_t mix(std::uint64_t a, std::uint64_t b) {
  a = (a ^ (b + 0x9e3779b97f4a7c15 + (a << 6) + (a >> 2))) * 0xbf58476d1ce4e5b9;
  return a ^ (a >> 31);
}

/// Destinations and lengths come from the case alone; the words and how a list is cut into calls come from
/// everything that the machine received, so a word lost or displaced in any round changes all that follows.
class RandomProtocol : public Protocol {
 public:
  explicit RandomProtocol(const Case& c) : case_(c) {
    shape_.n = c.n;
    shape_.block_words = c.block_words;
    shape_.machines = static_cast<std::uint32_t>(shape_.input_machines()) + c.idle_machines;
    shape_.outputs = std::min(c.outputs, shape_.machines * c.block_words);
    shape_.rounds = static_cast<std::uint32_t>(c.rounds.size()) + 1;
    shape_.scratch_words = 64;
    std::uint64_t most = c.block_words;
    for (const auto& round : c.rounds) {
      std::map<MachineId, std::uint64_t> sent, received;
      for (const Transfer& t : round) {
        most = std::max(most, sent[t.source % shape_.machines] += t.length);
        most = std::max(most, received[t.destination % shape_.machines] += t.length);
      }
    }
    std::map<MachineId, std::uint64_t> delivered;
    for (std::uint64_t t = 0; t < shape_.outputs; ++t) most = std::max(most, ++delivered[deliverer(t)]);
    shape_.memory_words = most;
  }
  const Shape& shape() const override { return shape_; }

  void step(const Step& step, const Inbox& inbox, Outbox& outbox) const override {
    std::uint64_t digest = mix(step.round, step.machine);
    for (const Run run : inbox) {
      for (std::size_t i = 0; i < run.words.size(); ++i) {
        digest = mix(mix(mix(digest, run.source), run.sequence + i), run.words[i]);
      }
    }
    std::pmr::vector<Word> scratch(digest % (shape_.scratch_words + 1), step.scratch);
    const auto next = [&] {
      return (digest = mix(digest, case_.seed)) & ((Word{1} << shape_.word_bits) - 1);
    };
    if (step.round == shape_.rounds) {
      for (std::uint64_t i = 0; i < shape_.outputs; ++i) {
        const std::uint64_t t = case_.seed % 2 == 0 ? i : shape_.outputs - 1 - i;  // up or down
        if (deliverer(t) == step.machine) outbox.deliver(t, next());
      }
      return;
    }
    for (const Transfer& transfer : case_.rounds[step.round - 1]) {
      if (transfer.source % shape_.machines != step.machine) continue;
      std::vector<Word> words(transfer.length);
      std::generate(words.begin(), words.end(), next);
      const std::size_t cut = words.empty() ? 0 : digest % words.size();
      const MachineId destination = transfer.destination % shape_.machines;
      outbox.send(destination, std::span(words).first(cut));
      for (const Word word : std::span(words).subspan(cut)) outbox.send(destination, word);
    }
  }

 private:
  /// Rows of a few outputs from one machine, then of another.
  MachineId deliverer(std::uint64_t t) const {
    return static_cast<MachineId>(draw_below(shape_.machines, case_.seed, Domain::kTest, t / 3));
  }

  Case case_;
  Shape shape_;
};

using Fingerprint = std::array<std::uint64_t, 3>;  ///< two sums of hashes, number of words

/// The multiset of (round, source, destination, sequence, word), in any order.
inline void add(Fingerprint& print, std::uint32_t round, std::uint64_t source, std::uint64_t destination,
                std::uint64_t sequence, Word word) {
  const std::uint64_t h = mix(mix(mix(mix(mix(17, round), source), destination), sequence), word);
  print[0] += h;
  print[1] += mix(h, 29);
  print[2] += 1;
}

/// Fingerprints of everything sent and received as messages, and of what was delivered as outputs.
struct Recorder final : Observer {
  Fingerprint sent{}, received{}, delivered{};
  bool canonical = true;  ///< inboxes were sorted, their runs neither adjacent nor empty

  void stepped(std::uint32_t round, MachineId machine, const Inbox& inbox, const Outbox& outbox) override {
    std::uint64_t i = 0;
    outbox.for_each_word([&](std::uint64_t destination, Word word) {
      add(outbox.limits().last_round ? delivered : sent, round, machine, destination, i++, word);
    });
    const Word* expected = inbox.words().data();
    std::uint64_t least_next = 0;
    for (const Run run : inbox) {
      const std::uint64_t place = std::uint64_t{run.source} << 32 | run.sequence;
      canonical &= place >= least_next && !run.words.empty() && run.words.data() == expected;
      least_next = place + run.words.size() + 1;
      expected += run.words.size();
      if (round == 1) continue;
      for (std::size_t j = 0; j < run.words.size(); ++j) {
        add(received, round - 1, run.source, machine, run.sequence + j, run.words[j]);
      }
    }
    canonical &= expected == inbox.words().data() + inbox.words().size();
  }
};

struct Interpreted {
  std::vector<Word> outputs;
  Ledger ledger;  ///< without scratch
  Fingerprint sent{}, delivered{};
};

/// Sequential, with a list of messages and a sort.
inline Interpreted interpret(const Protocol& protocol, const std::vector<Word>& input) {
  using Message =
      std::tuple<MachineId, MachineId, std::uint64_t, Word>;  // destination, source, sequence, word
  const Shape& shape = protocol.shape();
  Interpreted result;
  result.outputs.resize(shape.outputs);
  std::vector<Message> messages;
  for (std::uint64_t i = 0; i < input.size(); ++i) {
    const auto machine = static_cast<MachineId>(i / shape.block_words);
    messages.emplace_back(machine, machine, i % shape.block_words, input[i]);
  }
  for (std::uint32_t round = 1; round <= shape.rounds; ++round) {
    std::sort(messages.begin(), messages.end());
    std::vector<Message> sent;
    RoundFacts facts;
    std::map<MachineId, std::uint64_t> received;
    std::size_t at = 0;
    for (MachineId machine = 0; machine < shape.machines; ++machine) {
      std::vector<Word> words;
      std::vector<RunHeader> runs;
      for (; at < messages.size() && std::get<0>(messages[at]) == machine; ++at) {
        const auto& [destination, source, sequence, word] = messages[at];
        const bool continues = !words.empty() && std::get<1>(messages[at - 1]) == source &&
                               std::get<2>(messages[at - 1]) + 1 == sequence;
        if (!continues) {
          runs.push_back(
              {source, static_cast<std::uint32_t>(sequence), static_cast<std::uint32_t>(words.size())});
        }
        words.push_back(word);
      }
      Outbox outbox;
      const bool last = round == shape.rounds;
      outbox.reset({.words = ~std::uint64_t{0},
                    .word_bits = shape.word_bits,
                    .destinations = last ? static_cast<std::uint32_t>(shape.outputs) : shape.machines,
                    .last_round = last});
      std::pmr::monotonic_buffer_resource scratch;  // a step gives nothing back
      protocol.step({round, machine, &scratch}, Inbox(runs, words), outbox);
      std::uint64_t sequence = 0;
      outbox.for_each_word([&](std::uint32_t destination, Word word) {
        add(last ? result.delivered : result.sent, round, machine, destination, sequence, word);
        if (last) result.outputs[destination] = word;
        ++received[last ? shape.output_machine(destination) : destination];
        sent.emplace_back(destination, machine, sequence++, word);
      });
      facts.max_words_sent = std::max(facts.max_words_sent, sequence);
      facts.total_words += sequence;
    }
    for (const auto& [machine, words] : received) {
      facts.max_words_received = std::max(facts.max_words_received, words);
    }
    result.ledger.rounds.push_back(facts);
    messages = std::move(sent);
  }
  return result;
}

}  // namespace roundtrip::mpc::tests
