// Purpose: what the runtime asks of its transport: ranks that exchange flat buffers once a round. Two
// implementations, one conformance suite: in process (one rank), and MPI (any number of ranks).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace roundtrip::mpc {

class Transport {
 public:
  virtual ~Transport() = default;
  virtual std::string_view name() const = 0;  ///< "inprocess" or "mpi"
  virtual int rank() const = 0;
  virtual int ranks() const = 0;
  /// Collective: rank 0's bytes on every rank. For control data (an error line, N), never for a protocol's
  /// words.
  virtual void broadcast(std::string& bytes) = 0;
  /// Collective: values[i] becomes its sum (modulo 2^64) over all ranks, on every rank; equally many values
  /// on each. For counters that each rank keeps of the machines it hosts.
  virtual void sum(std::span<std::uint64_t> values) = 0;
  /// Collective: likewise the greatest.
  virtual void maximum(std::span<std::uint64_t> values) = 0;

  /// Words to or from one other rank. Two pieces between the same ranks arrive in the order of their lists.
  struct SendPiece {
    int rank;
    std::span<const std::uint64_t> words;
  };
  struct ReceivePiece {
    int rank;
    std::span<std::uint64_t> words;
  };
  /// Collective: send[r k .. r k + k) goes to rank r; receive[r k .. r k + k) came from it; k = send.size() /
  /// ranks().
  virtual void all_to_all(std::span<const std::uint64_t> send, std::span<std::uint64_t> receive) = 0;
  /// Collective: moves every piece. Both sides know the sizes (from all_to_all); none is from or to the own
  /// rank.
  virtual void exchange(std::span<const SendPiece> send, std::span<const ReceivePiece> receive) = 0;
  /// Collective: nobody returns before all have called it.
  virtual void barrier() = 0;

  /// Memory that this rank writes and `rank` reads as its incoming() of this rank, in place of messages;
  /// empty if they share none. What was written before a collective is there for who reads after it, until
  /// the writer writes again: a reader says by another collective that it is done. It may be much larger than
  /// the machine's memory, and takes some only where it was touched; what was stays for the next run, for
  /// fresh memory is slow.
  virtual std::span<std::uint64_t> outgoing(int) { return {}; }
  virtual std::span<const std::uint64_t> incoming(int) { return {}; }
  /// Ends all ranks at once with this exit status: for a fault that one rank alone has seen.
  [[noreturn]] virtual void abort(int status) = 0;

  /// Who has a user to talk to says here how: it is called with one line, on the one rank that knows why all
  /// ranks end. Nothing is said otherwise: no library prints.
  void on_end(std::function<void(const std::string& line)> say) { say_ = std::move(say); }
  /// For a fault that this rank alone has seen, and for which the others might wait for ever: has `why` said
  /// with the rank's number, and ends all ranks with the status of an internal fault.
  [[noreturn]] void end_all(const std::string& why);

 private:
  std::function<void(const std::string& line)> say_;
};

[[nodiscard]] std::unique_ptr<Transport> make_in_process_transport();

/// MPI_Init on construction, MPI_Finalize on destruction; one per process. Declared without MPI headers: MPI
/// and Boost.MPI stay inside the transport's own source file.
class MpiSession {
 public:
  MpiSession(int& argc, char**& argv);
  ~MpiSession();
  MpiSession(const MpiSession&) = delete;
  MpiSession& operator=(const MpiSession&) = delete;
  /// Collective. A single message carries at most `chunk_bytes`, below 2^31. Each rank shares at most
  /// `shared_bytes` of its addresses with others on its node; with 0, or ROUNDTRIP_SHARED_MEMORY=0 in the
  /// environment of any rank, all words go by messages.
  [[nodiscard]] std::unique_ptr<Transport> transport(std::uint64_t chunk_bytes = std::uint64_t{1} << 28,
                                                     std::uint64_t shared_bytes = std::uint64_t{1} << 42);
  int rank() const;
  int ranks() const;
  /// Ends all ranks at once with this exit status: for a fault that one rank alone has seen.
  [[noreturn]] void abort(int status);

 private:
  struct Environment;
  std::unique_ptr<Environment> environment_;
};

/// The MPI library in use, in one line; may be asked at any time.
std::string mpi_version();

/// Whether a launcher (mpirun, srun) started this process as one of its ranks.
bool under_launcher();

}  // namespace roundtrip::mpc
