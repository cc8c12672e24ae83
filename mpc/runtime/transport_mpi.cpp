// The MPI transport. Boost.MPI for what it is good at, environment and control data; the round exchange is
// flat words by MPI itself: one Alltoall for the counts, then, between ranks that share no memory,
// non-blocking messages in chunks. These replace MPI_Alltoallv, which needs all streams in one buffer (a
// further copy of everything sent) and whose displacements Open MPI 4.1 keeps in 32 bits.
#include <mpi.h>

#include <algorithm>
#include <atomic>
#include <boost/mpi/collectives.hpp>
#include <boost/mpi/communicator.hpp>
#include <boost/mpi/environment.hpp>
#include <cstdlib>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "roundtrip/base/error.h"
#include "roundtrip/base/fault.h"
#include "roundtrip/mpc/runtime/mpi_code.h"
#include "roundtrip/mpc/runtime/shared_memory.h"
#include "roundtrip/mpc/transport.h"

namespace roundtrip::mpc {
namespace {

class MpiTransport final : public Transport {
 public:
  MpiTransport(std::uint64_t chunk_bytes, std::uint64_t shared_bytes)
      : world_(MPI_COMM_WORLD, boost::mpi::comm_duplicate),
        chunk_words_(std::max<std::uint64_t>(chunk_bytes / sizeof(std::uint64_t), 1)),
        shared_(world_.size(), world_.size() > 1 ? shared_bytes : 0) {
    require(chunk_words_ <= kMaxChunkWords, "a message is {} bytes at most, allowed is up to {}", chunk_bytes,
            kMaxChunkWords * sizeof(std::uint64_t));
    share();
  }

  std::string_view name() const override { return "mpi"; }
  int rank() const override { return world_.rank(); }
  int ranks() const override { return world_.size(); }

  void broadcast(std::string& bytes) override { boost::mpi::broadcast(world_, bytes, 0); }

  void sum(std::span<std::uint64_t> values) override { reduce(values, std::plus<std::uint64_t>()); }
  void maximum(std::span<std::uint64_t> values) override {
    reduce(values, boost::mpi::maximum<std::uint64_t>());
  }

  void all_to_all(std::span<const std::uint64_t> send, std::span<std::uint64_t> receive) override {
    const auto each = static_cast<int>(send.size() / static_cast<std::size_t>(ranks()));
    // Shared memory is written before and read after it.
    std::atomic_thread_fence(std::memory_order_seq_cst);
    require_mpi(MPI_Alltoall(send.data(), each, MPI_UINT64_T, receive.data(), each, MPI_UINT64_T, world_),
                "MPI_Alltoall");
    std::atomic_thread_fence(std::memory_order_seq_cst);
  }
  void barrier() override {
    std::atomic_thread_fence(std::memory_order_seq_cst);
    require_mpi(MPI_Barrier(world_), "MPI_Barrier");
    std::atomic_thread_fence(std::memory_order_seq_cst);
  }

  std::span<std::uint64_t> outgoing(int rank) override { return shared_.outgoing(rank); }
  std::span<const std::uint64_t> incoming(int rank) override { return shared_.incoming(rank); }

  void exchange(std::span<const SendPiece> send, std::span<const ReceivePiece> receive) override {
    requests_.clear();
    for (const ReceivePiece& piece : receive) {
      for_each_chunk(piece.words.size(), [&](std::uint64_t begin, int count) {
        require_mpi(MPI_Irecv(piece.words.data() + begin, count, MPI_UINT64_T, piece.rank, kTag, world_,
                              &requests_.emplace_back(MPI_REQUEST_NULL)),
                    "MPI_Irecv");
      });
    }
    for (const SendPiece& piece : send) {
      for_each_chunk(piece.words.size(), [&](std::uint64_t begin, int count) {
        require_mpi(MPI_Isend(piece.words.data() + begin, count, MPI_UINT64_T, piece.rank, kTag, world_,
                              &requests_.emplace_back(MPI_REQUEST_NULL)),
                    "MPI_Isend");
      });
    }
    require_mpi(MPI_Waitall(static_cast<int>(requests_.size()), requests_.data(), MPI_STATUSES_IGNORE),
                "MPI_Waitall");
  }

  void abort(int status) override {
    MPI_Abort(world_, status);
    std::_Exit(status);  // where MPI could not
  }

 private:
  static constexpr int kTag = 1;
  // Open MPI 4.1 misbehaves at 2^31 bytes and above.
  static constexpr std::uint64_t kMaxChunkWords = (std::uint64_t{1} << 31) / sizeof(std::uint64_t) - 1;

  /// Collective: every rank maps what the others share with it, and tells them whether it could.
  void share() {
    constexpr std::size_t kNameWords = sizeof(SharedMemory::Name) / sizeof(std::uint64_t);
    const auto size = static_cast<std::size_t>(ranks());
    const std::vector<SharedMemory::Name> names(size, shared_.name());
    std::vector<SharedMemory::Name> theirs(size);
    all_to_all({&names[0].process, kNameWords * size}, {&theirs[0].process, kNameWords * size});
    std::vector<std::uint64_t> opened(size), opened_by(size);
    for (int peer = 0; peer < ranks(); ++peer) {
      const auto at = static_cast<std::size_t>(peer);
      opened[at] = peer != rank() && shared_.open(peer, theirs[at], rank()) ? 1 : 0;
    }
    all_to_all(opened, opened_by);
    shared_.close(opened_by);
  }

  template <typename Operation>
  void reduce(std::span<std::uint64_t> values, Operation operation) {
    // Not in place: Boost.MPI 1.74 binds a reference to MPI_IN_PLACE there, which is no address.
    mine_.assign(values.begin(), values.end());
    boost::mpi::all_reduce(world_, mine_.data(), static_cast<int>(mine_.size()), values.data(), operation);
  }

  template <typename Call>
  void for_each_chunk(std::uint64_t words, Call&& call) const {
    for (std::uint64_t begin = 0; begin < words; begin += chunk_words_) {
      call(begin, static_cast<int>(std::min(chunk_words_, words - begin)));
    }
  }

  boost::mpi::communicator world_;
  std::uint64_t chunk_words_;
  SharedMemory shared_;
  std::vector<MPI_Request> requests_;
  std::vector<std::uint64_t> mine_;  // what this rank brings to a reduction
};

}  // namespace

void require_mpi(int code, const char* call) {
  static_assert(MPI_SUCCESS == 0);
  if (code == MPI_SUCCESS || seeded("mpi-code")) return;
  std::string what = fmt::format("error code {}", code);
  int initialized = 0, finalized = 0;  // MPI has words for its codes only in between
  char text[MPI_MAX_ERROR_STRING] = {};
  int length = 0;
  if (MPI_Initialized(&initialized) == MPI_SUCCESS && initialized != 0 &&
      MPI_Finalized(&finalized) == MPI_SUCCESS && finalized == 0 &&
      MPI_Error_string(code, text, &length) == MPI_SUCCESS)
    what = text;
  throw InternalError(fmt::format("{}: {}", call, what));
}

struct MpiSession::Environment {
  boost::mpi::environment environment;
  boost::mpi::communicator world;
};

MpiSession::MpiSession(int& argc, char**& argv) : environment_(new Environment{{argc, argv}, {}}) {}
MpiSession::~MpiSession() = default;

std::unique_ptr<Transport> MpiSession::transport(std::uint64_t chunk_bytes, std::uint64_t shared_bytes) {
  const char* const wanted = std::getenv("ROUNDTRIP_SHARED_MEMORY");
  const bool off = wanted != nullptr && std::string_view(wanted) == "0";
  return std::make_unique<MpiTransport>(chunk_bytes, off ? 0 : shared_bytes);
}
int MpiSession::rank() const {
  return environment_->world.rank();
}
int MpiSession::ranks() const {
  return environment_->world.size();
}
void MpiSession::abort(int status) {
  MPI_Abort(MPI_COMM_WORLD, status);
  std::_Exit(status);  // where MPI could not
}

std::string mpi_version() {
  char text[MPI_MAX_LIBRARY_VERSION_STRING] = {};
  int length = 0;
  require_mpi(MPI_Get_library_version(text, &length), "MPI_Get_library_version");
  return text;
}

}  // namespace roundtrip::mpc
