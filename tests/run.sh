#!/usr/bin/env bash
# Everything from a bare Debian 12 to tested: packages, all builds, clang-tidy, all tests, the installed package.
# Usage: tests/run.sh [--long]    --long also runs the tests that take more than a minute each.
#
#   build     compiler                          holds
#   dev       g++ 12, precompiled headers       everything, with assertions and seeded faults; all tests
#   release   g++ 12, no precompiled headers    the library and the program as they are installed: no warning at -O3
#   asan      clang 14, precompiled headers     address and undefined-behaviour sanitizers: tests in process and under mpirun;
#                                               the fuzzers, which run with --long
#   tsan      clang 14                          thread sanitizer: tests of the dense engine, which has threads
#   tidy      clang 14, with --long             nothing is built: clang-tidy reads every file, with clang's own warnings
set -euo pipefail
cd "$(dirname "$0")/.."
source cmake/setup.sh

configuration=()
case "${1-}" in
  "") ;;
  --long) configuration=(-C Long) ;;
  *) echo "usage: tests/run.sh [--long]" >&2; exit 2 ;;
esac

install_packages build test
[ ${#configuration[@]} -eq 0 ] || install_packages long
command -v npm >/dev/null || install_packages npm
tests/browser/setup.sh
tests/onnx/setup.sh
mpi_environment

build() { # build PRESET [FLAG..]
  echo "== build: $1"
  cmake --preset "$@" >/dev/null
  cmake --build --preset "$1"
}
build dev -DROUNDTRIP_TESTS=ON
build asan -DROUNDTRIP_TESTS=ON
build tsan -DROUNDTRIP_TESTS=ON
build release -DROUNDTRIP_TESTS=OFF -DROUNDTRIP_EXAMPLES=OFF

if [ ${#configuration[@]} -ne 0 ]; then # the tests' precompiled headers and the commands for clang-tidy, which takes long
  build tidy -DROUNDTRIP_TESTS=ON -DROUNDTRIP_EXAMPLES=ON
  tests/rules/tidy.sh
fi

# One ctest over all builds, so that its summary counts everything and a failure anywhere is the script's.
mkdir -p build/all
printf 'subdirs("%s" "%s" "%s")\n' "$PWD/build/dev" "$PWD/build/asan" "$PWD/build/tsan" >build/all/CTestTestfile.cmake
echo "== tests"
ctest --test-dir build/all "${configuration[@]}" --output-on-failure --parallel "$(nproc)"
