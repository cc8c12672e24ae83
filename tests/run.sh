#!/usr/bin/env bash
# Everything from a bare Debian 12 to tested: packages, both builds, all tests, the sanitizers, the installed package.
# Usage: tests/run.sh [--long]    --long also runs the tests that take more than a minute each.
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
command -v npm >/dev/null || install_packages npm
tests/browser/setup.sh
mpi_environment

echo "== build: dev (optimised, assertions and seeded faults) and asan (address and undefined-behaviour sanitizers)"
for preset in dev asan; do
  cmake --preset "$preset" -DROUNDTRIP_TESTS=ON >/dev/null
  cmake --build --preset "$preset"
done

# One ctest over both builds, so that its summary counts everything and a failure anywhere is the script's.
mkdir -p build/all
printf 'subdirs("%s" "%s")\n' "$PWD/build/dev" "$PWD/build/asan" >build/all/CTestTestfile.cmake
echo "== tests"
ctest --test-dir build/all "${configuration[@]}" --output-on-failure --parallel "$(nproc)"
