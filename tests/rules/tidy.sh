#!/usr/bin/env bash
# clang-tidy 14 over every source file, the tests too, by .clang-tidy: a finding, or a warning of clang's own, fails.
# tidy.sh [FILE..]: those files alone. Wants build/asan configured and its tests' precompiled headers built.
set -euo pipefail
cd "$(dirname "$0")/../.."
if [ $# -gt 0 ]; then
  files=("$@")
else
  mapfile -t files < <(find base mpc anna simulate explain proofs_check cli tests -name '*.cpp' ! -path 'tests/rules/*')
fi
# Only what the build knows: some files are compiled in other builds alone. The largest first: both cores end together.
mapfile -t files < <(for file in "${files[@]}"; do
  grep -qF "\"file\": \"$PWD/$file\"" build/asan/compile_commands.json && wc -c "$file"
done | sort -rn | awk '{ print $2 }')
tidy() {
  local more=()
  grep -q '<mpi.h>' "$1" && more=(--checks=clang-analyzer-optin.mpi.MPI-Checker) # each request is waited for, once
  clang-tidy-14 -p build/asan --quiet "${more[@]}" "$1" 2>/dev/null
}
export -f tidy
printf '%s\0' "${files[@]}" | xargs -0 -P "$(nproc)" -I{} bash -c 'tidy {}'
echo "clang-tidy: ${#files[@]} files, no finding"
