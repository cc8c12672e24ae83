#!/usr/bin/env bash
# clang-tidy 14 over every source file, the tests too, by .clang-tidy: a finding, or a warning of clang's own, fails.
# tidy.sh [REGEX..]: files whose path matches. After cmake --preset tidy && cmake --build --preset tidy.
set -euo pipefail
cd "$(dirname "$0")/../.."
[ $# -gt 0 ] || set -- "^$PWD/(base|mpc|anna|simulate|train|explain|proofs_check|cli|examples|bench|tests)/"
tidy() { # tidy LOG ARGUMENT..
  run-clang-tidy-14 -p build/tidy -quiet -j "$(nproc)" "${@:2}" >"build/tidy/$1" 2>&1 || failed=1
  grep -E -A2 '(warning|error): ' "build/tidy/$1" || true
}
failed=0
tidy findings.txt "$@"
files=$(grep -c '^clang-tidy-14 ' build/tidy/findings.txt) || { echo "clang-tidy: no file matches $*"; exit 1; }
# That each of MPI's requests is waited for, once, is seen by the analyzer alone, which would take minutes over all files.
tidy mpi.txt '-checks=-*,clang-analyzer-optin.mpi.MPI-Checker' mpc/runtime/transport_mpi
[ "$failed" = 0 ] && echo "clang-tidy: $files files, no finding"
