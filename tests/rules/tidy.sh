#!/usr/bin/env bash
# clang-tidy 14 over every source file, the tests too, by .clang-tidy: a finding, or a warning of clang's own, fails.
# tidy.sh [FILE..]: those files alone. After cmake --preset tidy && cmake --build --preset tidy.
set -euo pipefail
cd "$(dirname "$0")/../.."
if [ $# -gt 0 ]; then
  files=("$@")
else
  mapfile -t files < <(find base mpc anna simulate explain proofs_check cli examples bench tests -name '*.cpp')
fi
# Only what the build knows: some files are compiled in other builds alone. The largest first: both cores end together.
mapfile -t files < <(for file in "${files[@]}"; do
  grep -qF "\"file\": \"$PWD/$file\"" build/tidy/compile_commands.json && wc -c "$file"
done | sort -rn | awk '{ print $2 }')
tidy() {
  local more=()
  grep -q '<mpi.h>' "$1" && more=(--checks=clang-analyzer-optin.mpi.MPI-Checker) # each request is waited for, once
  clang-tidy-14 -p build/tidy --quiet "${more[@]}" "$1" 2>/dev/null
}
export -f tidy
printf '%s\0' "${files[@]}" | xargs -0 -P "$(nproc)" -I{} bash -c 'tidy {}'
echo "clang-tidy: ${#files[@]} files, no finding"
