#!/bin/sh
# SPDX-License-Identifier: MIT
#
# A ramdisk archive with Debian programs that are linked dynamically, and all shared libraries that they need.
#
#   make-overlay.sh OUTPUT CACHE PACKAGE...
#
# Programs come from the packages; each library from its own package, found by the packages' dependencies: so the host's own
# libraries, perhaps of another release, never get in.
set -eu

output=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
cache=$2
shift 2
here=$(cd "$(dirname "$0")" && pwd)

# All packages that the named ones cannot do without, down to libc.
closure=$(apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces --no-enhances \
    "$@" | grep '^[a-z0-9]' | grep -E '^(lib|gcc-1?[0-9]*-base|zlib)' | sort -u || true)
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
# shellcheck disable=SC2086 # a list of words
"$here/fetch-deb.sh" "$cache" "$@" $closure | while read -r folder; do
    cp -a "$folder/." "$stage/"
done
cd "$stage"
rm -rf usr/share usr/lib/x86_64-linux-gnu/gconv usr/lib/x86_64-linux-gnu/pkgconfig usr/lib/x86_64-linux-gnu/audit
# A compiler in Domain0 links with shared libraries: of the archives it needs only the parts that libc.so itself names.
find . -name '*.a' ! -name 'libc_nonshared.a' ! -name 'libtcc1.a' -delete
# Debian's packages still have /lib and /usr/lib apart, as has our ramdisk; the loader must be at /lib64.
mkdir -p lib64 lib/x86_64-linux-gnu
[ -e lib64/ld-linux-x86-64.so.2 ] || ln -s ../lib/x86_64-linux-gnu/ld-linux-x86-64.so.2 lib64/
# What no program of ours needs: a library that neither a program nor another kept library names.
needed() {
    find . -type f \( -perm -u+x -o -name '*.so*' \) -exec readelf -d {} + 2>/dev/null | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | sort -u
}
while :; do
    needed >"$stage.needed"
    dropped=0
    for library in $(find . \( -name '*.so' -o -name '*.so.*' \) -path '*/lib*/*' -printf '%f\n' | sort -u); do
        case $library in
        ld-linux* | libc.so* | libnss_* | libtcc*) continue ;;
        esac
        # Either the name itself, or a name that is a link to it.
        if ! grep -qxF "$library" "$stage.needed" && ! find . -lname "$library" -printf '%f\n' | grep -qxFf "$stage.needed"; then
            find . -name "$library" -delete
            dropped=1
        fi
    done
    [ "$dropped" = 1 ] || break
done
rm -f "$stage.needed"
"$here/pack.sh" "$stage" "$output"
