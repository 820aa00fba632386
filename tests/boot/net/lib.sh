# SPDX-License-Identifier: MIT
# shellcheck shell=sh disable=SC2154,SC2034
#
# For scripts that run in Domain0 and test the network; adds to tests/boot/disks/lib.sh: guests with interfaces, their counters, the host's turn.
. /test/disks-lib.sh

# net_guest NAME NUMBER LINE...: writes /tmp/NAME.ini for a quick Debian guest at 10.0.2.NUMBER and fec0::NUMBER; the lines come after [vif 0], further sections may follow.
net_guest() {
    name=$1
    number=$2
    shift 2
    printf '%s\n' "[domain]" "name = $name" "kernel = /boot/debian.vmlinuz" "ramdisk = /boot/nettest.cpio" \
        "cmdline = console=hvc0 pci=off quiet domu.name=$name ip=10.0.2.$number::10.0.2.2:255.255.255.0::eth0:off ip=[fec0::$number]::[fec0::2]:64::eth0:off" \
        "memory = ${memory:-128M}" "vcpus = ${vcpus:-1}" "[vif 0]" "ip = 10.0.2.$number, fec0::$number" "$@" >"/tmp/$name.ini"
}
# answers ADDRESS: to one ping of Domain0's.
answers() { ping -c 1 -W 2 "$1" >/dev/null 2>&1; }
guest_ping() { guest "$1" 15 "ping -c 3 -W 2 $2"; }
# page ADDRESS: its web server's page, for Domain0.
page() { timeout 8 peer page "$1"; }
no_page() { ! page "$1"; }

# vif_number VIF SECTION.FIELD of `collet vif show VIF --json`: .tx.packets, .rx.dropped.rule ...
vif_number() { c vif show "$1" --json | jq -r ".vif$2 // 0"; }
more() { # VIF PATH COMMAND...: afterwards the number is larger, by at least ${by:-1}
    vif=$1
    path=$2
    shift 2
    before=$(vif_number "$vif" "$path")
    "$@"
    after=$(vif_number "$vif" "$path")
    echo "$vif $path: $before, then $after"
    [ "$((after - before))" -ge "${by:-1}" ]
}

# host_turn NAME: the host does something with the machine (run.sh) and types a return when it has.
host_turn() {
    echo "host: $1"
    read -r _
}
