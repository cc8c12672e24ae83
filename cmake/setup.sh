# Sourced by tests/run.sh and examples/quickstart.sh, in the repository's top folder: makes a bare Debian 12 ready.

# install_packages KIND...: what cmake/packages.txt lists under these kinds and this machine lacks.
install_packages() {
  local kind package wanted missing=()
  for kind in "$@"; do
    for package in $(awk -v kind="$kind" '$1 == kind { print $2 }' cmake/packages.txt); do
      dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
    done
  done
  [ ${#missing[@]} -eq 0 ] && return 0
  echo "== installing ${#missing[@]} Debian packages: ${missing[*]}"
  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || { echo "needs root or sudo to install: ${missing[*]}" >&2; return 1; }
    as_root=(sudo)
  fi
  # A mirror that hiccups gets a second chance.
  "${as_root[@]}" apt-get update -qq || { sleep 5; "${as_root[@]}" apt-get update -qq; }
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" \
    >/dev/null
}

# Open MPI refuses to run as root, and to start more ranks than cores, unless told so. Containers often forbid the
# cross-memory attach that its shared-memory transport tries first, which then only warns and falls back.
mpi_environment() {
  export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
  export OMPI_MCA_rmaps_base_oversubscribe=1
  export OMPI_MCA_btl_vader_single_copy_mechanism=none
}
