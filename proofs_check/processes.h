// Purpose: pieces of work that depend on nothing that the others do, each in a child process of this one: several at a
// time, and one that crashes ends nothing but itself. Every piece begins in the same state of the process, so that
// results do not depend on how many there are at a time.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

namespace roundtrip::proofs_check {

/// Processors that this process may use, at least 1.
unsigned processors();

/// What became of a piece: the bytes that it returned, or why there are none.
struct Piece {
  std::string bytes;
  std::string failure;  ///< empty: none
};

/// The pieces work(0, ..) .. work(count-1, ..), begun by number; at most `at_a_time` processes at once. What a piece says
/// is heard in this process, and then that it has ended. Only this thread may run in this process. InternalError if no
/// process can be started.
void in_processes(std::size_t count, unsigned at_a_time,
                  const std::function<std::string(std::size_t piece,
                                                  const std::function<void(std::string_view)>& say)>& work,
                  const std::function<void(std::size_t piece, std::string_view said)>& heard,
                  const std::function<void(std::size_t piece, Piece result)>& ended);

}  // namespace roundtrip::proofs_check
