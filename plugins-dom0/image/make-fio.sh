#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Debian's fio, small enough for a ramdisk: FOLDER/usr/bin/fio, and FOLDER/usr/lib/fio with libraries that stand in for those of Ceph, Gluster, RDMA, NBD and persistent memory.
#
#   make-fio.sh FOLDER FIO-PACKAGE      (unpacked, as fetch-deb.sh leaves it)
#
# Debian links fio with all of its engines, 70 MiB of libraries, which all have to be there before it starts. Only engines for local files and disks are of use here: the
# others' functions end the program. fio itself is Debian's, unchanged; it finds them by LD_LIBRARY_PATH, which a wrapper sets. libaio, libnuma, zlib, libm and libc are
# for the caller to bring.
set -eu

folder=$(cd "$1" && pwd)
fio=$2/usr/bin/fio
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$folder/usr/bin" "$folder/usr/lib/fio"

# "symbol version" of what fio wants from others; a symbol without a version has "-".
readelf --dyn-syms -W "$fio" | awk '$7 == "UND" && $8 != "" { n = split($8, part, "@"); print part[1], (n > 1 ? part[n] : "-") }' >"$work/symbols"
readelf -V -W "$fio" | awk '/File: / { for (i = 1; i < NF; i++) if ($i == "File:") file = $(i + 1) } / Name: / { for (i = 1; i < NF; i++) if ($i == "Name:") print $(i + 1), file }' >"$work/versions"

stub() { # library
    awk -v library="$1" -v text="$work/stub.c" -v map="$work/stub.map" '
        NR == FNR { if ($2 == library) mine[$1] = 1; next }
        ($2 in mine) || ($2 == "-" && !claimed) { if ($2 in mine) names[$2] = names[$2] " " $1 ";"; print "void " $1 "(void) { __builtin_trap(); }" >text }
        END { for (version in mine) print version " {" (names[version] ? " global:" names[version] : "") " };" >map }' claimed="$claimed" "$work/versions" "$work/symbols"
    touch "$work/stub.c" "$work/stub.map"
    # -w: these are no declarations of anybody's; some names are the compiler's own.
    gcc -w -fno-builtin -shared -nostdlib -fPIC -s -Wl,-soname,"$1" $([ ! -s "$work/stub.map" ] || echo "-Wl,--version-script=$work/stub.map") -o "$folder/usr/lib/fio/$1" "$work/stub.c"
    rm "$work/stub.c" "$work/stub.map"
    claimed=1
}
# Symbols without a version come from libraries without versions: any one of the stand-ins may have them. Weak ones of the compiler's run-time are not missed.
grep -v -E '^(__gmon_start__|_ITM_.*|__cxa_finalize) ' "$work/symbols" >"$work/s" && mv "$work/s" "$work/symbols"
claimed=
for library in $(readelf -d "$fio" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'); do
    case $library in
    libc.* | libm.* | libz.* | libaio.* | libnuma.*) ;;
    *) stub "$library" ;;
    esac
done
cp "$fio" "$folder/usr/lib/fio/fio"
printf '#!/bin/sh\nLD_LIBRARY_PATH=/usr/lib/fio exec /usr/lib/fio/fio "$@"\n' >"$folder/usr/bin/fio"
chmod 755 "$folder/usr/bin/fio"
