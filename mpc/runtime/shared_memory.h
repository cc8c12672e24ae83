// Purpose: memory that the ranks of one node share, a part for every pair of them: one writes, the other
// reads. Each rank makes a file in memory (memfd, so /dev/shm and its size play no part, and nothing is left
// when a process is killed), which the others find under /proc. It is much larger than what will be used:
// pages take memory when they are first touched, like those of a private mapping. What can't be had (other
// node, other container, an old kernel, a limit on file sizes or address space) is empty; a rank then sends
// by messages.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace roundtrip::mpc {

class SharedMemory {
 public:
  /// By which another rank finds this rank's memory.
  struct Name {
    std::uint64_t process, descriptor, bytes, cookie;
  };

  /// At most `bytes` in all, for parts of equal size for so many ranks; none if they would be too small.
  SharedMemory(int ranks, std::uint64_t bytes);
  ~SharedMemory();
  SharedMemory(const SharedMemory&) = delete;
  SharedMemory& operator=(const SharedMemory&) = delete;

  const Name& name() const { return name_; }
  /// Maps what `peer` with this name writes for `rank`; false if that can't be.
  bool open(int peer, const Name& name, int rank);
  /// After open() on all ranks: this one's memory can't be found any more, and these could not open it.
  void close(std::span<const std::uint64_t> opened_by);

  std::span<std::uint64_t> outgoing(int rank) const { return outgoing_[static_cast<std::size_t>(rank)]; }
  std::span<const std::uint64_t> incoming(int peer) const {
    return incoming_[static_cast<std::size_t>(peer)];
  }

 private:
  std::vector<std::span<std::uint64_t>> outgoing_, incoming_;
  std::byte* memory_ = nullptr;
  int file_ = -1;
  Name name_{};
};

}  // namespace roundtrip::mpc
