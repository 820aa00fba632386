# SPDX-License-Identifier: MIT
# shellcheck shell=sh disable=SC2154
#
# For scripts that make a ramdisk out of single files of large packages: they set $here (this folder), $stage (the ramdisk's root) and $pool (a scratch folder), and source this.
# A library that a program names (NEEDED) is looked for in the named packages only, never on the host; one that is missing is an error here rather than in the machine.

# pick_from CACHE PACKAGE...: fetch these; their files and libraries can be picked from then on.
pick_from() {
    "$here/fetch-deb.sh" "$@" >"$pool/folders"
    mkdir -p "$pool/lib" "$stage/lib/x86_64-linux-gnu" "$stage/lib64"
    while read -r folder; do
        for libraries in "$folder/lib/x86_64-linux-gnu" "$folder/usr/lib/x86_64-linux-gnu"; do
            [ ! -d "$libraries" ] || find "$libraries" -maxdepth 1 -name '*.so*' -exec cp -P {} "$pool/lib/" \;
        done
    done <"$pool/folders"
    [ -L "$stage/lib64/ld-linux-x86-64.so.2" ] || ln -s ../lib/x86_64-linux-gnu/ld-linux-x86-64.so.2 "$stage/lib64/"
    library ld-linux-x86-64.so.2
}
find_file() { # path within a package: prints where it is
    while read -r folder; do
        [ ! -e "$folder/$1" ] || { echo "$folder/$1"; return 0; }
    done <"$pool/folders"
    echo "$(basename "$0"): no package has $1" >&2
    return 1
}
program() { # path in a package, path in the ramdisk if another
    mkdir -p "$stage/$(dirname "${2:-$1}")"
    cp "$(find_file "$1")" "$stage/${2:-$1}"
}
library() { # a name as NEEDED says it; with all that it needs itself
    [ ! -e "$stage/lib/x86_64-linux-gnu/$1" ] || return 0
    [ ! -e "$stage/usr/lib/fio/$1" ] || return 0
    [ -e "$pool/lib/$1" ] || { echo "$(basename "$0"): no package has the library $1" >&2; return 1; }
    cp -L "$pool/lib/$1" "$stage/lib/x86_64-linux-gnu/$1"
    needs "$stage/lib/x86_64-linux-gnu/$1"
}
needs() { # file: all libraries that it names
    for name in $(readelf -d "$1" 2>/dev/null | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'); do
        library "$name"
    done
}
needs_of_all() { # every program that is in the ramdisk so far
    find "$stage" -type f ! -name '*.so*' ! -name '*.ko' -perm -u+x >"$pool/programs"
    while read -r file; do
        needs "$file"
    done <"$pool/programs"
}
module() { # kernel package's folder, module: into lib/modules, unpacked; nothing if the kernel has it built in
    mkdir -p "$stage/lib/modules"
    find "$1/lib/modules" "$1/usr/lib/modules" -name "$2.ko*" 2>/dev/null | while read -r file; do
        case $file in
        *.ko) cp "$file" "$stage/lib/modules/$2.ko" ;;
        *.ko.xz) xz -dc "$file" >"$stage/lib/modules/$2.ko" ;;
        *.ko.zst) zstd -qdc "$file" >"$stage/lib/modules/$2.ko" ;;
        esac
    done
}
kernel_package() { # meta package: prints the package of today's kernel
    apt-cache depends "$1" | sed -n 's/^ *Depends: \(linux-image-.*\)$/\1/p' | head -n 1
}
# stand_in LIBRARY VERSION FILE...: an empty library instead of one that these name but do not use here: the functions of that version that they want do nothing and return 0.
stand_in() {
    stand_in_name=$1
    stand_in_version=$2
    shift 2
    readelf --dyn-syms -W "$@" | sed -n "s/.* \([A-Za-z_0-9]*\)@@*$stand_in_version .*/long \1(void) { return 0; }/p" | sort -u >"$pool/stand-in.c"
    echo "$stand_in_version { global: *; };" >"$pool/stand-in.map"
    gcc -w -fno-builtin -shared -nostdlib -fPIC -s -Wl,-soname,"$stand_in_name" -Wl,--version-script="$pool/stand-in.map" -o "$stage/lib/x86_64-linux-gnu/$stand_in_name" "$pool/stand-in.c"
}
# libpcap, without the D-Bus, systemd and crypto libraries that its capture of D-Bus messages would bring.
pcap_library() {
    stand_in libdbus-1.so.3 LIBDBUS_1_3 "$(readlink -f "$(find_file usr/lib/x86_64-linux-gnu/libpcap.so.0.8)")"
    library libpcap.so.0.8
}
