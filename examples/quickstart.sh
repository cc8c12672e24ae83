#!/usr/bin/env bash
# From a bare Debian 12 to the point of it all: k-hop induction heads on a real text, as a Massively Parallel Computation
# on machines with small memories, and as the ANNA-transformer that the same protocol compiles to.
set -euo pipefail
cd "$(dirname "$0")/.."
source cmake/setup.sh

install_packages build
mpi_environment

echo "== building"
cmake --preset release -DROUNDTRIP_TESTS=OFF >/dev/null
cmake --build --preset release --target roundtrip
roundtrip=build/release/cli/roundtrip

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat /usr/share/common-licenses/* >"$work/text"

show() { echo; echo "\$ $*" | sed "s|$work/||g; s|build/release/cli/||"; "$@"; }

cat <<'CAPTION'

== 1. A protocol
A k-hop induction head asks, at every word of a text: where did this word last occur, and which word came next; and
then again from there, k times. Below, the licence texts of this machine. No machine may hold, send or receive
more than s words in a round, and the text is far larger: the machines have to sort it together, and hop by doubling.
CAPTION
show mpirun -q -n 2 "$roundtrip" run k_hop --input "$work/text" --format words --param k=4 --check

cat <<'CAPTION'

== 2. The same protocol as a transformer
Each machine becomes a token, each round a layer: attention delivers the words that machines send each other, and
element-wise maps compute. On the first 1024 words, because a transformer of this kind writes every word it moves.
CAPTION
show "$roundtrip" compile k_hop --input "$work/text" --format words --n 1024 --param k=4 --check --json "$work/facts.json"
