# SPDX-License-Identifier: MIT
# shellcheck shell=sh disable=SC2154,SC2034
#
# For scripts that run in Domain0 and test disks; adds to tests/boot/domains/lib.sh: guests with disks, commands typed into them, Domain0's own view of the disks.
. /test/lib.sh

# Domain0's devices for the whole disks: xvda and xvdb under Collet; without a hypervisor, vda and vdb.
d0=/dev/xvda
d1=/dev/xvdb
[ -d /proc/xen ] || { d0=/dev/vda; d1=/dev/vdb; }

# As lib.sh's, with longer sleeps: Domain0 must not take the processor from the systems that it waits for.
within() {
    until_cs=$(($(uptime_cs) + $1 * 100))
    shift
    while ! "$@"; do
        [ "$(uptime_cs)" -lt "$until_cs" ] || return 1
        sleep "${pause:-1}"
    done
}
# login_comes NAME: a Debian system shows its prompt; else what it said last.
login_comes() { pause=4 within "${patience:-420}" spoke "$1" "$1 login:" || { console_of "$1" | tail -n 12; return 1; }; }

# disk_guest NAME LINE...: writes /tmp/NAME.ini for a quick Debian guest with blkfront, ext4 and fio; the lines come after [domain], usually [vbd ...] sections.
disk_guest() {
    name=$1
    shift
    printf '%s\n' "[domain]" "name = $name" "kernel = /boot/debian.vmlinuz" "ramdisk = /boot/disk.cpio" "cmdline = console=hvc0 pci=off quiet domu.name=$name" "memory = ${memory:-144M}" \
        "vcpus = ${vcpus:-1}" "$@" >"/tmp/$name.ini"
}
# debian_guest NAME BACKING LINE...: the same for a Debian system on its own root disk.
debian_guest() {
    name=$1
    backing=$2
    shift 2
    printf '%s\n' "[domain]" "name = $name" "kernel = /boot/debian.vmlinuz" "ramdisk = /boot/debian.initrd" "cmdline = root=/dev/xvda rw console=hvc0 quiet systemd.hostname=$name" \
        "memory = 256M" "vcpus = 1" "[vbd root]" "backing = $backing" "device = xvda" "$@" >"/tmp/$name.ini"
}
# bring_up NAME: create it from /tmp/NAME.ini and wait for the shell of a quick guest.
bring_up() { console_mark "$1"; limit=120 c create "/tmp/$1.ini" && within 120 spoke "$1" "domU: hello $1" && within 20 guest_can "$1" 10 true; }

# type_into NAME TEXT: as somebody would who sits at its console, and a return.
type_into() { (printf '%s\r' "$2"; sleep 1; printf '\035') | timeout 20 collet console "$1" >/dev/null 2>&1; }
# guest NAME SECONDS COMMAND: run it in the guest's shell, print what it said; its exit status (124: there was no end in time). The mark is computed by the guest: what
# was typed, and comes back as an echo, does not have it.
guest() {
    guest_begin "$1" "$3" && guest_end "$1" "$2"
}
guest_begin() { # NAME COMMAND: does not wait for its end
    echo $(($(cat "/tmp/typed.$1" 2>/dev/null || echo 0) + 1)) >"/tmp/typed.$1"
    console_of "$1" | wc -c >"/tmp/from.$1"
    type_into "$1" "echo B\$((1000 + $(cat "/tmp/typed.$1"))); $2; echo E\$?N\$((1000 + $(cat "/tmp/typed.$1")))"
}
guest_end() { # NAME SECONDS
    end="^E[0-9]+N$((1000 + $(cat "/tmp/typed.$1")))"
    within "$2" guest_said "$1" "$end" || { guest_text "$1" | tail -n 5; echo "$1: no end within $2 s"; return 124; }
    # What was typed comes back over several lines: what counts begins behind the first mark.
    guest_text "$1" | sed "1,/^B$((1000 + $(cat "/tmp/typed.$1")))\$/d; /$(echo "$end" | tr -d '+' | sed 's/\[0-9\]/[0-9]*/')/,\$d"
    return "$(guest_text "$1" | grep -oE "$end" | sed 's/^E\([0-9]*\)N.*/\1/')"
}
guest_text() { console_of "$1" | tail -c +"$(($(cat "/tmp/from.$1") + 1))" | tr -d '\r'; }
guest_said() { guest_text "$1" | grep -qE "$2"; }
guest_can() { guest "$@" >/dev/null; }

# log_in NAME: to a Debian system that shows its prompt.
log_in() { type_into "$1" root && within 60 spoke "$1" 'root@.*#'; }
shut_down() { timeout "${2:-90}" collet shutdown --wait "$1" && within 30 gone "$1"; }

# sum_of DEVICE SECTOR SECTORS: sha256 of these sectors as Domain0 reads them from the disk: what it had in its cache may be older than what a guest has written.
sum_of() { blockdev --flushbufs "$1"; dd if="$1" bs=512 skip="$2" count="$3" iflag=direct 2>/dev/null | sha256sum | cut -d' ' -f1; }
# part_start DEVICE NUMBER, part_sectors: by sysfs.
part_start() { cat "/sys/class/block/$(basename "$1")$2/start"; }
part_sectors() { cat "/sys/class/block/$(basename "$1")$2/size"; }
modules() { c disk sched list --json | jq -r '.modules[].name'; }

# The one place that knows how these commands are written.
vbd_add() { # DOMAIN NAME BACKING WORD...
    who=$1
    what=$2
    from=$3
    shift 3
    c vbd add "$who" "$what" "$from" "$@"
}
vbd_del() { c vbd del "$@"; }
