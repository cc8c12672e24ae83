#!/usr/bin/env bash
# Every C++ file is as clang-format 14 writes it. format.sh --fix writes it so.
set -euo pipefail
cd "$(dirname "$0")/../.."
mode=(--dry-run -Werror)
[ "${1-}" = --fix ] && mode=(-i)
find base mpc anna simulate train explain proofs_check cli python examples bench tests \( -name '*.h' -o -name '*.cpp' \) -print0 |
  xargs -0 -P "$(nproc)" -n 16 clang-format-14 "${mode[@]}"
