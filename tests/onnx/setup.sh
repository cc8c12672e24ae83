#!/usr/bin/env bash
# Installs what the tests of ONNX graphs run them in (ONNX Runtime, whose npm package has its library inside) into
# build/onnx: the version and checksums of package-lock.json, from whatever registry npm is configured for. No install
# script of a package is run: that one's would download CUDA. Does nothing if it is there.
set -euo pipefail
cd "$(dirname "$0")/../.."
target=build/onnx
if [ -f "$target/node_modules/onnxruntime-node/package.json" ] && cmp -s tests/onnx/package-lock.json "$target/package-lock.json"; then
  exit 0
fi
mkdir -p "$target"
cp tests/onnx/package.json "$target/"
echo "== installing ONNX Runtime with npm into $target"
cp tests/onnx/package-lock.json "$target/package-lock.json.new"
mv "$target/package-lock.json.new" "$target/package-lock.json"
# A registry that hiccups gets a second chance; what fails leaves no lock that would count as installed.
npm ci --prefix "$target" --ignore-scripts --no-audit --no-fund --silent ||
  { sleep 5; npm ci --prefix "$target" --ignore-scripts --no-audit --no-fund --silent; } ||
  { rm -f "$target/package-lock.json"; echo "npm could not install ONNX Runtime" >&2; exit 1; }
