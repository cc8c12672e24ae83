#!/usr/bin/env bash
# package_test.sh BUILD: makes the Debian package of BUILD and tries it. Where mounts are permitted, apt installs it in a root
# that lies over this system's and vanishes at the end; elsewhere it is unpacked, and apt says whether it would install it.
set -euo pipefail
build=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
(cd "$build" && cpack -G DEB -B "$work/cpack" -D CPACK_DEBIAN_COMPRESSION_TYPE=gzip) >"$work/log" || { cat "$work/log"; exit 1; }
mkdir "$work/over" "$work/root"
package=$(basename "$work"/cpack/roundtrip_*.deb)
cp "$work/cpack/$package" "$work"

# The program, README's demo, the manual page, completion, pages and the Python module, all of the package.
cat >"$work/try.sh" <<'END'
set -euo pipefail
root=$1
roundtrip=$root/usr/bin/roundtrip
"$roundtrip" --version
"$roundtrip" run k_hop --check --quiet
"$roundtrip" demo >/dev/null
zgrep -q '^.TH ROUNDTRIP' "$root"/usr/share/man/man1/roundtrip.1*
bash -c 'source "$0" && complete -p roundtrip' "$root/usr/share/bash-completion/completions/roundtrip"
test -s "$root/usr/share/zsh/site-functions/_roundtrip"
docs=$root/usr/share/doc/roundtrip
for link in $(sed -nE 's/(\]\(|(href|src|srcset)=")((docs|examples)\/[^")#]+)/\n@\3\n/gp' "$docs/README.md" | sed -n 's/^@//p'); do
  test -e "$docs/$link" || { echo "README of the package leads to $link, which is not in it"; exit 1; }
done
if [ -d "$root/usr/lib/python3/dist-packages/roundtrip" ]; then
  PYTHONPATH=$root/usr/lib/python3/dist-packages /usr/bin/python3 -c '
import roundtrip, sys
assert roundtrip.__file__.startswith(sys.argv[1] + "/usr/lib"), roundtrip.__file__
assert roundtrip.run("sum", [1, 2, 3]).outputs.tolist() == [6]' "$root"
fi
END

dpkg -I "$work/$package" | tee "$work/control"
for needed in openmpi-bin libc6 libfmt9 libopenmpi3; do # said by the list, and read from the program
  grep -q "^ Depends: .*\b$needed\b" "$work/control" || { echo "the package does not depend on $needed"; exit 1; }
done
# In namespaces of its own: `root` lies over this system.
over() {
  unshare -m bash -euc 'cd "$0" && mount -t tmpfs tmpfs over && mkdir over/upper over/work
    mount -t overlay overlay -o lowerdir=/,upperdir=over/upper,workdir=over/work root
    mount --rbind /dev root/dev && mount -t proc proc root/proc && mkdir -p root/tmp && cp '"$package"' try.sh root/tmp
    '"$1" "$work"
}
if over true 2>/dev/null; then
  over '
    chroot root apt-get install -qq -y --no-install-recommends /tmp/'"$package"' >log 2>&1 || { cat log; exit 1; }
    chroot root bash /tmp/try.sh ""
    chroot root apt-get purge -qq -y roundtrip >log 2>&1 || { cat log; exit 1; }
    [ -z "$(cd root && find usr/bin usr/share/doc usr/share/man -name "roundtrip*")" ] || { echo "files are left"; exit 1; }'
  echo "installed by apt, tried and removed in a root of its own"
else
  dpkg -x "$work/$package" "$work/root"
  bash "$work/try.sh" "$work/root"
  apt-get install -s "$work/$package" | grep '^Inst roundtrip '
  echo "unpacked and tried; apt would install it"
fi
