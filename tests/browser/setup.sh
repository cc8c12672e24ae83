#!/usr/bin/env bash
# Installs what the browser tests load beside Debian's packages (axe-core, the accessibility checker) into build/browser:
# the version and checksum of package-lock.json, from whatever registry npm is configured for. Does nothing if it is there.
set -euo pipefail
cd "$(dirname "$0")/../.."
target=build/browser
if [ -f "$target/node_modules/axe-core/axe.min.js" ] && cmp -s tests/browser/package-lock.json "$target/package-lock.json"; then
  exit 0
fi
mkdir -p "$target"
cp tests/browser/package.json "$target/"
echo "== installing axe-core with npm into $target"
cp tests/browser/package-lock.json "$target/package-lock.json.new"
mv "$target/package-lock.json.new" "$target/package-lock.json"
# A registry that hiccups gets a second chance; what fails leaves no lock that would count as installed.
npm ci --prefix "$target" --ignore-scripts --no-audit --no-fund --silent ||
  { sleep 5; npm ci --prefix "$target" --ignore-scripts --no-audit --no-fund --silent; } ||
  { rm -f "$target/package-lock.json"; echo "npm could not install axe-core" >&2; exit 1; }
