#include "roundtrip/mpc/runtime/profile.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "roundtrip/mpc/runtime/exchange.h"
#include "roundtrip/mpc/transport.h"

namespace roundtrip::mpc {
namespace {

constexpr std::uint64_t kMarks = 4;  // of a round: RoundTimes
static_assert(sizeof(RoundTimes) == kMarks * sizeof(double) && sizeof(double) == sizeof(std::uint64_t));
constexpr std::uint64_t kFacts = 4;  // of a machine: MachineFacts
static_assert(sizeof(MachineFacts) == kFacts * sizeof(std::uint64_t));

}  // namespace

Profiler::Profiler(const Shape& shape, const Exchange& exchange, std::uint32_t first_round)
    : shape_(shape),
      first_(exchange.first_machine()),
      machines_(exchange.machines()),
      first_round_(first_round),
      start_(std::chrono::steady_clock::now()),
      facts_((shape.rounds + std::uint64_t{1} - first_round) * machines_) {
  marks_.reserve(kMarks * (shape.rounds + std::uint64_t{1} - first_round));
}

void Profiler::mark() {
  marks_.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count());
}

void Profiler::stepped(std::uint32_t round, MachineId machine, std::uint64_t words_sent,
                       std::uint64_t scratch_words, std::uint64_t heap_words) {
  facts(round, machine).words_sent = words_sent;
  facts(round, machine).scratch_words = scratch_words;
  facts(round, machine).heap_words = heap_words;
}

void Profiler::received(std::uint32_t round, const Exchange& exchange) {
  for (MachineId machine = first_; machine < first_ + machines_; ++machine) {
    const std::uint64_t first_output = machine * shape_.block_words;
    facts(round, machine).words_received =
        round < shape_.rounds
            ? exchange.inbox(machine).size()
            : std::min(shape_.block_words, shape_.outputs - std::min(shape_.outputs, first_output));
  }
}

Profile Profiler::gather(Transport& transport) const {
  // Each rank's facts, then its marks, in one list.
  std::vector<std::uint64_t> mine(kFacts * facts_.size() + marks_.size());
  if (!facts_.empty()) std::memcpy(mine.data(), facts_.data(), facts_.size() * sizeof(MachineFacts));
  std::memcpy(mine.data() + kFacts * facts_.size(), marks_.data(), marks_.size() * sizeof(double));
  const auto ranks = static_cast<std::size_t>(transport.ranks());
  std::vector<std::uint64_t> send(ranks, machines_), machines(ranks);
  transport.all_to_all(send, machines);
  const std::uint64_t rounds = marks_.size() / kMarks;  // the same on every rank
  std::vector<std::vector<std::uint64_t>> lists(ranks);
  std::vector<Transport::SendPiece> sending;
  std::vector<Transport::ReceivePiece> receiving;
  if (transport.rank() == 0) {
    lists[0] = std::move(mine);
    for (std::size_t rank = 1; rank < ranks; ++rank) {
      lists[rank].resize((kFacts * machines[rank] + kMarks) * rounds);
      receiving.push_back({static_cast<int>(rank), lists[rank]});
    }
  } else {
    sending.push_back({0, mine});
  }
  transport.exchange(sending, receiving);
  Profile profile;
  profile.first_round = first_round_;
  if (transport.rank() != 0) return profile;
  profile.rounds.resize(rounds);
  profile.ranks.resize(ranks);
  for (std::size_t rank = 0; rank < ranks; ++rank) {
    const std::uint64_t* next = lists[rank].data();
    for (auto& round : profile.rounds) {
      for (std::uint64_t m = 0; m < machines[rank]; ++m, next += kFacts)
        round.push_back({next[0], next[1], next[2], next[3]});
    }
    for (std::uint64_t round = 0; round < rounds; ++round, next += kMarks) {
      const auto mark = [&](std::size_t i) { return std::bit_cast<double>(next[i]); };
      profile.ranks[rank].push_back({mark(0), mark(1), mark(2), mark(3)});
    }
  }
  return profile;
}

}  // namespace roundtrip::mpc
