#!/usr/bin/env bash
# consumer_test.sh BUILD MPIEXEC: installs BUILD to a fresh prefix, builds this folder against it and nothing else, and
# runs the result in process and under mpirun.
set -euo pipefail
build=$1 mpiexec=$2
here=$(cd "$(dirname "$0")" && pwd)
source "$here/../../cmake/setup.sh"
mpi_environment
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cmake --install "$build" --prefix "$work/prefix" >/dev/null
cp -r "$here" "$work/source" # outside the repository: no header of its tree can be found by accident
cmake -S "$work/source" -B "$work/build" -G Ninja -DCMAKE_PREFIX_PATH="$work/prefix" >/dev/null
cmake --build "$work/build"

expect() { # expect NAME FILE: FILE holds the reversed words
  printf 'four\nthree\ntwo\none\n' | cmp - "$2" || { echo "$1: wrong output"; exit 1; }
}
cd "$work"
echo one two three four >text
program=build/my_roundtrip
"$program" list | grep -q '^reverse'
"$program" list | grep -q '^k_hop'
"$program" run reverse --input text --format words --check --quiet --output in_process
expect "run" in_process
for ranks in 1 3; do
  "$mpiexec" --oversubscribe -n $ranks "$program" run reverse --input text --format words --check --quiet --output mpi_$ranks
  expect "run with $ranks ranks" mpi_$ranks
done
"$program" compile reverse --input text --format words --check --quiet --output transformer --json - | tee facts
expect "compile" transformer
grep -q '"depth": 2' facts
grep -q '"verdict": "verified"' facts
"$work/prefix/bin/roundtrip" --version
