// Purpose: what the exchange bench compares with: the same messages moved by MPI_Alltoallv alone, by a
// hand-written pack and scatter around it, and by Boost.MPI.
#pragma once

#include <mpi.h>

#include <boost/mpi/communicator.hpp>
#include <cstdint>
#include <span>
#include <vector>

namespace roundtrip::bench {

using Word = std::uint64_t;

/// `length` words in a row to machine `destination`.
struct Message {
  std::uint32_t destination;
  std::uint32_t length;
};

/// What one rank sends in every round, machine by machine: equally many words each.
struct Workload {
  std::uint32_t machines = 0;      ///< on each rank
  std::vector<std::size_t> first;  ///< [machines + 1], into messages
  std::vector<Message> messages;
  std::vector<Word> words;
  std::uint64_t machine_words() const { return words.size() / machines; }
};

/// A way to move the messages. Buffers stay between rounds.
class Rival {
 public:
  virtual ~Rival() = default;
  virtual void round(const Workload& load) = 0;  ///< collective
  /// A sum over this rank's received messages that all ways must agree on.
  virtual std::uint64_t digest() const = 0;
};

/// The words of all messages sorted by destination rank beforehand; only MPI_Alltoallv is timed.
class RawAlltoallv final : public Rival {
 public:
  RawAlltoallv(const Workload& load, MPI_Comm world);
  void round(const Workload& load) override;
  std::uint64_t digest() const override;

 private:
  MPI_Comm world_;
  std::vector<Word> sending_, receiving_;
  std::vector<int> counts_out_, counts_in_, places_out_, places_in_;
};

/// Pieces of one destination rank in one buffer; headers of 16 bytes in front of each message; MPI_Alltoall
/// of the sizes, MPI_Alltoallv, counting sort by destination machine.
class PackAndScatter final : public Rival {
 public:
  PackAndScatter(const Workload& load, MPI_Comm world);
  void round(const Workload& load) override;
  std::uint64_t digest() const override;

 private:
  MPI_Comm world_;
  int ranks_, rank_;
  std::vector<Word> sending_, receiving_;
  std::vector<int> counts_out_, counts_in_, places_out_, places_in_;
  std::vector<std::size_t> starts_;  ///< [machines + 1] of the inboxes
  std::vector<std::size_t> next_;
  std::vector<Word> inbox_;
};

/// boost::mpi::all_to_all of one vector a rank, then the same counting sort.
class BoostAllToAll final : public Rival {
 public:
  BoostAllToAll(const Workload& load, MPI_Comm world);
  void round(const Workload& load) override;
  std::uint64_t digest() const override;

 private:
  boost::mpi::communicator world_;
  std::vector<std::vector<Word>> sending_, receiving_;
  std::vector<std::size_t> starts_, next_;
  std::vector<Word> inbox_;
};

/// The counts of an empty round: MPI_Alltoall, then MPI_Alltoallv of nothing.
class EmptyRound final {
 public:
  explicit EmptyRound(MPI_Comm world);
  void round();

 private:
  MPI_Comm world_;
  std::vector<int> out_, in_, zeros_;
};

}  // namespace roundtrip::bench
