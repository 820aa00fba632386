#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Where do the instructions of a disk request go? By function, of the median batch of a row, after `SYMBOLS=1 disk.sh`. With BENCH=net those of a packet, after net.sh.
#
#   disk-profile.sh SYSTEM ROW [OTHER-SYSTEM]     with another system: the functions whose cost differs most (native, usually)
#
# Instructions a request, then the function. Functions of the guest's kernel have its names (kallsyms of the measured system; another domain's modules may lie at the same addresses under Xen), those of the hypervisor Collet's own.
set -eu
build=${BUILD:-build}
out=$build/bench/${BENCH:-disk}

profile() { # system, row: "function instructions"
    number=$(awk -v row="$2" '$1 == row { print $6 }' "$out/$1.rows")
    [ -n "$number" ] || { echo "disk-profile: $1 has no row $2" >&2; exit 1; }
    requests=$(tr -d '\r' <"$out/$1.log" | sed -n 's/.*batch \([a-z0-9@-]*\)\(\/second\)\{0,1\} \([0-9]*\)$/\1 \3/p' | awk -v row="$2" '$1 == row { print $2; exit }')
    {
        symbols=$out/$1.symbols
        [ -s "$symbols" ] || symbols=$build/bench/disk/native.symbols
        [ ! -s "$symbols" ] || awk '$2 ~ /[tTwW]/ { print $1, "S", $3 }' "$symbols"
        case $1 in
        collet*) nm -n "${ELF:-$build/hv/collet.elf}" | awk '$2 ~ /[tT]/ { print $1, "S", "collet:" $3 }' ;;
        esac
        cat "$out/$1.count.$number"
    } | LC_ALL=C sort -k1,1 -k2,2r | awk -v requests="$requests" '
        $2 == "S" { symbol = $3; next }
        {
            where = symbol
            if ($1 == "0000000000000000") where = "(user program)"
            else if ($1 >= "ffff880000000000" && (symbol == "" || symbol ~ /^collet:/)) where = "(guest kernels)"
            else if ($1 >= "ffff800000000000" && $1 < "ffff880000000000" && symbol !~ /^collet:/) where = "(hypervisor)"
            sum[where] += $2
        }
        END { for (where in sum) printf "%s %.1f\n", where, sum[where] / requests }' | LC_ALL=C sort
}

if [ $# -lt 3 ]; then
    profile "$1" "$2" | awk '{ printf "%9.1f  %s\n", $2, $1 }' | sort -rn | head -n "${TOP:-60}"
    exit
fi
one=$(mktemp)
other=$(mktemp)
trap 'rm -f "$one" "$other"' EXIT
profile "$1" "$2" >"$one"
profile "$3" "$2" >"$other"
echo "# more on $1 than on $3, instructions a request"
LC_ALL=C join -a 1 -a 2 -e 0 -o 0,1.2,2.2 "$one" "$other" | awk -v least="${ALL:+0}" 'BEGIN { if (least == "") least = 5 } { d = $2 - $3; if (d >= least || d <= -least) printf "%9.1f  (%.1f, %.1f)  %s\n", d, $2, $3, $1 }' | sort -rn
