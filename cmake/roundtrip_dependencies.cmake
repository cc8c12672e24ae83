# Every library that a translation unit of ours includes, found once. Also read by the installed package, so that a
# consumer finds what the static libraries link. docs/dependencies.md says why each is here.
include(CMakeFindDependencyMacro)
find_dependency(Threads)
find_dependency(MPI COMPONENTS CXX)
find_dependency(Boost 1.74 COMPONENTS mpi serialization)
find_dependency(Eigen3 3.4 NO_MODULE)
find_dependency(OpenMP COMPONENTS CXX)
find_dependency(fmt)
find_dependency(nlohmann_json)
find_dependency(CLI11)
find_dependency(ZLIB)
# OpenBLAS by name, for its header: the library is loaded when exact attention asks for it (anna/dense/blas.cpp).
set(BLA_VENDOR OpenBLAS)
find_dependency(BLAS)
