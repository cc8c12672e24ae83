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
find /usr/share/common-licenses -type f | sort | xargs cat >"$work/text" # not its links: each licence once

show() { # the command as one would type it, then what it says
  printf '\n$ %s\n' "$*" | sed "s|$work/||g; s|build/release/cli/||"
  "$@"
}

cat <<'CAPTION'

== 1. A protocol
A k-hop induction head asks at every word of a text: where did this word last stand, and which word came next? And again
from there, k times over. The text: the licences on this machine. The rules of Massively Parallel Computation: many
machines, none may hold, send or receive more than s words in a round, and the text is far larger than s. So they sort it
together, to learn where each word last stood, and then double the length of their hops.
Two ranks share the machines here; --check compares with a plain sequential program that knows nothing of machines.
CAPTION
show mpirun -q -n 2 "$roundtrip" run k_hop --input "$work/text" --format words --param k=4 --check

cat <<'CAPTION'

== 2. The same protocol as a transformer
A machine becomes a token and a round becomes a layer: attention carries the words that the machines send each other,
maps on single tokens do their computing. Depth = rounds + 1. First by exact-match attention (ema), on 1024 words ...
CAPTION
show "$roundtrip" compile k_hop --input "$work/text" --format words --n 1024 --param k=4

cat <<'CAPTION'

... then by approximate nearest neighbor attention (anna): one table of locality-sensitive hashing is enough, because
every query looks for an identical key.
CAPTION
show "$roundtrip" compile k_hop --input "$work/text" --format words --n 1024 --param k=4 --attention anna

cat <<'CAPTION'

== 3. Breaking the rules
One word less than the busiest machine needs, and the run ends: on all ranks, with the place.
CAPTION
most=$("$roundtrip" run k_hop --input "$work/text" --format words --param k=4 --json - |
  awk -F'[:,]' '/^  "max_words_(sent|received)"/ { if ($2 + 0 > most) most = $2 + 0 } END { print most }')
status=0
show mpirun -q -n 2 "$roundtrip" run k_hop --input "$work/text" --format words --param k=4 --limit-words $((most - 1)) \
  --quiet || status=$?
echo "exit status $status"
[ "$status" -eq 3 ] || { echo "expected 3: the protocol broke its model" >&2; exit 1; }

echo
echo "Next: $roundtrip list, $roundtrip run --help, $roundtrip verify, and README.md."
