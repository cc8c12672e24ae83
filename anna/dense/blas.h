// Purpose: OpenBLAS, loaded when exact attention asks for it and not before. While it is loaded it starts threads
// and takes memory, and where it may not it ends the process, or tries again for ever.
#pragma once

#include <cblas.h>

namespace roundtrip::anna {

constexpr const char* kBlasLibrary = "libopenblas.so.0";

/// While it lives, OpenBLAS computes in the threads that call it and in no others.
class Blas {
 public:
  /// Loads it if need be. `threads`: those that will call it; lowered to as many as have addresses for
  /// OpenBLAS's buffers (128 MiB each). ContractError if not even one has, or if there is no OpenBLAS.
  explicit Blas(int& threads);
  ~Blas();
  Blas(const Blas&) = delete;
  Blas& operator=(const Blas&) = delete;

  decltype(&cblas_sgemm) sgemm = nullptr;

 private:
  decltype(&openblas_set_num_threads) set_threads_ = nullptr;
  int before_ = 0;
};

}  // namespace roundtrip::anna
