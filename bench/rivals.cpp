#include "rivals.h"

#include <algorithm>
#include <boost/mpi/collectives.hpp>
#include <boost/serialization/vector.hpp>
#include <cstring>
#include <numeric>

namespace roundtrip::bench {
namespace {

constexpr std::size_t kHeaderWords = 2;  // destination and length, source and sequence

int ranks_of(MPI_Comm world) {
  int ranks = 0;
  MPI_Comm_size(world, &ranks);
  return ranks;
}

int rank_of(MPI_Comm world) {
  int rank = 0;
  MPI_Comm_rank(world, &rank);
  return rank;
}

void place(const std::vector<int>& counts, std::vector<int>& places) {
  std::exclusive_scan(counts.begin(), counts.end(), places.begin(), 0);
}

/// Packed messages, one after another, to inboxes in one buffer, each header in front of its words.
void scatter(std::span<const std::span<const Word>> streams, MPI_Comm world, const Workload& load,
             std::vector<std::size_t>& starts, std::vector<std::size_t>& next, std::vector<Word>& inbox) {
  const std::uint32_t first = static_cast<std::uint32_t>(rank_of(world)) * load.machines;
  const auto for_each = [&](auto&& visit) {
    for (const std::span<const Word> stream : streams) {
      for (std::size_t at = 0; at < stream.size();) {
        const Word header = stream[at];
        const std::size_t words = kHeaderWords + (header >> 32);
        visit(static_cast<std::uint32_t>(header) - first, stream.data() + at, words);
        at += words;
      }
    }
  };
  starts.assign(load.machines + 1, 0);
  for_each([&](std::uint32_t machine, const Word*, std::size_t words) { starts[machine + 1] += words; });
  std::inclusive_scan(starts.begin(), starts.end(), starts.begin());
  next.assign(starts.begin(), starts.end() - 1);
  inbox.resize(starts.back());
  for_each([&](std::uint32_t machine, const Word* from, std::size_t words) {
    std::memcpy(inbox.data() + next[machine], from, words * sizeof(Word));
    next[machine] += words;
  });
}

std::uint64_t digest_of_inboxes(const std::vector<std::size_t>& starts, const std::vector<Word>& inbox) {
  std::uint64_t sum = 0;
  for (std::size_t m = 0; m + 1 < starts.size(); ++m) {
    for (std::size_t at = starts[m]; at < starts[m + 1];) {
      const std::size_t end = at + kHeaderWords + (inbox[at] >> 32);
      for (std::size_t i = at + kHeaderWords; i < end; ++i) sum += inbox[i];
      at = end;
    }
  }
  return sum;
}

/// Calls visit(source machine, message, its sequence, its words) for all of them.
template <typename Visit>
void for_each_message(const Workload& load, Visit&& visit) {
  const Word* words = load.words.data();
  for (std::uint32_t m = 0; m < load.machines; ++m) {
    std::uint64_t sequence = 0;
    for (std::size_t i = load.first[m]; i < load.first[m + 1]; ++i) {
      visit(m, load.messages[i], sequence, words);
      sequence += load.messages[i].length;
      words += load.messages[i].length;
    }
  }
}

}  // namespace

RawAlltoallv::RawAlltoallv(const Workload& load, MPI_Comm world)
    : world_(world), sending_(load.words.size()) {
  const auto ranks = static_cast<std::size_t>(ranks_of(world));
  counts_out_.resize(ranks);
  counts_in_ = places_out_ = places_in_ = counts_out_;
  for (const Message& message : load.messages) {
    counts_out_[message.destination / load.machines] += static_cast<int>(message.length);
  }
  MPI_Alltoall(counts_out_.data(), 1, MPI_INT, counts_in_.data(), 1, MPI_INT, world_);
  place(counts_out_, places_out_);
  place(counts_in_, places_in_);
  receiving_.resize(static_cast<std::size_t>(places_in_.back()) +
                    static_cast<std::size_t>(counts_in_.back()));
  std::vector<int> next = places_out_;
  for_each_message(load, [&](std::uint32_t, const Message& message, std::uint64_t, const Word* words) {
    int& at = next[message.destination / load.machines];
    std::copy_n(words, message.length, sending_.data() + at);
    at += static_cast<int>(message.length);
  });
}

void RawAlltoallv::round(const Workload&) {
  MPI_Alltoallv(sending_.data(), counts_out_.data(), places_out_.data(), MPI_UINT64_T, receiving_.data(),
                counts_in_.data(), places_in_.data(), MPI_UINT64_T, world_);
}

std::uint64_t RawAlltoallv::digest() const {
  return std::accumulate(receiving_.begin(), receiving_.end(), std::uint64_t{0});
}

PackAndScatter::PackAndScatter(const Workload&, MPI_Comm world)
    : world_(world),
      ranks_(ranks_of(world)),
      rank_(rank_of(world)),
      counts_out_(static_cast<std::size_t>(ranks_)),
      counts_in_(counts_out_),
      places_out_(counts_out_),
      places_in_(counts_out_) {}

void PackAndScatter::round(const Workload& load) {
  std::fill(counts_out_.begin(), counts_out_.end(), 0);
  for (const Message& message : load.messages) {
    counts_out_[message.destination / load.machines] += static_cast<int>(message.length + kHeaderWords);
  }
  MPI_Alltoall(counts_out_.data(), 1, MPI_INT, counts_in_.data(), 1, MPI_INT, world_);
  place(counts_out_, places_out_);
  place(counts_in_, places_in_);
  sending_.resize(static_cast<std::size_t>(places_out_.back()) +
                  static_cast<std::size_t>(counts_out_.back()));
  receiving_.resize(static_cast<std::size_t>(places_in_.back()) +
                    static_cast<std::size_t>(counts_in_.back()));
  std::vector<int> next = places_out_;
  const std::uint32_t first = static_cast<std::uint32_t>(rank_) * load.machines;
  for_each_message(load,
                   [&](std::uint32_t m, const Message& message, std::uint64_t sequence, const Word* words) {
                     int& at = next[message.destination / load.machines];
                     Word* const target = sending_.data() + at;
                     target[0] = Word{message.length} << 32 | message.destination;
                     target[1] = Word{first + m} << 32 | sequence;
                     std::memcpy(target + kHeaderWords, words, message.length * sizeof(Word));
                     at += static_cast<int>(message.length + kHeaderWords);
                   });
  MPI_Alltoallv(sending_.data(), counts_out_.data(), places_out_.data(), MPI_UINT64_T, receiving_.data(),
                counts_in_.data(), places_in_.data(), MPI_UINT64_T, world_);
  const std::span<const Word> stream(receiving_);
  scatter({&stream, 1}, world_, load, starts_, next_, inbox_);
}

std::uint64_t PackAndScatter::digest() const {
  return digest_of_inboxes(starts_, inbox_);
}

BoostAllToAll::BoostAllToAll(const Workload&, MPI_Comm world)
    : world_(world, boost::mpi::comm_attach),
      sending_(static_cast<std::size_t>(world_.size())),
      receiving_(sending_.size()) {}

void BoostAllToAll::round(const Workload& load) {
  for (auto& stream : sending_) stream.clear();
  const std::uint32_t first = static_cast<std::uint32_t>(world_.rank()) * load.machines;
  for_each_message(load,
                   [&](std::uint32_t m, const Message& message, std::uint64_t sequence, const Word* words) {
                     std::vector<Word>& stream = sending_[message.destination / load.machines];
                     stream.push_back(Word{message.length} << 32 | message.destination);
                     stream.push_back(Word{first + m} << 32 | sequence);
                     stream.insert(stream.end(), words, words + message.length);
                   });
  boost::mpi::all_to_all(world_, sending_, receiving_);
  const std::vector<std::span<const Word>> streams(receiving_.begin(), receiving_.end());
  scatter(streams, world_, load, starts_, next_, inbox_);
}

std::uint64_t BoostAllToAll::digest() const {
  return digest_of_inboxes(starts_, inbox_);
}

EmptyRound::EmptyRound(MPI_Comm world)
    : world_(world), out_(static_cast<std::size_t>(ranks_of(world))), in_(out_), zeros_(out_) {}

void EmptyRound::round() {
  MPI_Alltoall(out_.data(), 1, MPI_INT, in_.data(), 1, MPI_INT, world_);
  MPI_Alltoallv(nullptr, out_.data(), zeros_.data(), MPI_UINT64_T, nullptr, in_.data(), zeros_.data(),
                MPI_UINT64_T, world_);
}

}  // namespace roundtrip::bench
