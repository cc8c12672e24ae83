#!/usr/bin/env bash
# consumer_test.sh BUILD MPIEXEC: installs BUILD to a fresh prefix, builds examples/own_protocol.cpp against it and nothing
# else, and runs the result in process and under mpirun. The project has folders of its own named as ours, first on its
# include path, whose headers end a compilation. Every installed header compiles by itself.
set -euo pipefail
build=$1 mpiexec=$2
here=$(cd "$(dirname "$0")" && pwd)
source "$here/../../cmake/setup.sh"
mpi_environment
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cmake --install "$build" --prefix "$work/prefix" >/dev/null
mkdir "$work/source" # outside the repository: no header of its tree can be found by accident
cp "$here/CMakeLists.txt" "$here/heap.cpp" "$here/../../examples/own_protocol.cpp" "$work/source"
(cd "$work/prefix/include/roundtrip" && find . -name '*.h' -printf '%P\n') >"$work/headers"
grep -qx mpc/protocol.h "$work/headers"
if grep -v -e '^base/' -e '^mpc/' -e '^anna/' -e '^simulate/' -e '^cli/cli.h$' "$work/headers"; then
  echo "these headers are not public"; exit 1
fi
while read -r header; do
  mkdir -p "$work/source/$(dirname "$header")"
  echo "#error \"the consumer's own $header is taken for Roundtrip's\"" >"$work/source/$header"
done <"$work/headers"
cmake -S "$work/source" -B "$work/build" -G Ninja -DCMAKE_PREFIX_PATH="$work/prefix" >/dev/null
cmake --build "$work/build"

cd "$work"
printf '%s\n' 3 -1 4 1 -5 9 2 -6 >numbers # the mean is 7/8
expect() { # expect NAME FILE: FILE holds the answers
  printf '%s\n' 1 0 1 1 0 1 1 0 | cmp - "$2" || { echo "$1: wrong output"; exit 1; }
}
program=build/my_roundtrip
"$program" list | grep -q '^above_mean'
"$program" list | grep -q '^k_hop'
"$program" run above_mean --input numbers --check --quiet --output in_process
expect "run" in_process
for ranks in 1 3; do
  "$mpiexec" --oversubscribe -n $ranks "$program" run above_mean --input numbers --check --quiet --output mpi_$ranks
  expect "run with $ranks ranks" mpi_$ranks
done
"$program" compile above_mean --input numbers --check --quiet --output transformer --json - | tee facts
expect "compile" transformer
grep -q '"verdict": "verified"' facts
grep -q '"max_heap_words": 0' facts
[ "$(build/heap 100)" = "held 100" ]
status=0; said=$(build/heap 101) || status=$?
[ $status = 3 ] && [ "$said" = "machine 1 in round 1 took 101 words from the heap, allowed 100" ] || { echo "$said"; exit 1; }
"$program" compile above_mean --input numbers --quiet --certificate certificate
"$work/prefix/share/roundtrip/check_certificate.py" certificate | grep 'accepted: above_mean .* not looked at'
"$program" verify above_mean | tee verified
"$mpiexec" --oversubscribe -n 2 "$program" verify above_mean | grep -q '^verified: 1 statement,'
grep -q '^verified: 1 statement,' verified
"$work/prefix/bin/roundtrip" --version
grep -q '^.TH ROUNDTRIP' "$work/prefix/share/man/man1/roundtrip.1"
bash -c 'source "$0" && complete -p roundtrip' "$work/prefix/share/bash-completion/completions/roundtrip"
test -s "$work/prefix/share/zsh/site-functions/_roundtrip"
if [ -d "$work/prefix/lib/python3" ]; then # built with the Python module
  PYTHONPATH="$work/prefix/lib/python3/dist-packages" /usr/bin/python3 -c '
import os, roundtrip, roundtrip.torch
assert roundtrip.__file__.startswith(os.environ["PYTHONPATH"])
assert roundtrip.run("sum", [1, 2, 3]).outputs.tolist() == [6]'
  test -e "$work/prefix/lib/python3/dist-packages/roundtrip/py.typed"
fi
