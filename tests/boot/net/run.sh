#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The network: Domain0, unmodified guests, the host beyond the card. Result lines: "ok - ..." and "not ok - ...".
#
#   run.sh [BOOT...]     basic data host spoof rules reload large capture trouble plugins: one boot each (basic comes first in all of them); all: one boot for these but large and plugins; debian: a Debian system on its own disk and
#                        network. None named: all large debian
#
# Environment: as domains/run.sh. The card is in QEMU's user network; ports of this host's loopback, from PORT on, lead to Domain0 and a guest. Consoles: build/tests/net-<boot>.log.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
build=${BUILD:-build}
image=${IMAGE:-$build/collet}
slow=${SLOW:-1}
cpus=${CPUS:-2}
out=$build/tests
work=$out/net
packing=$here/../../../plugins-dom0/image
failed=0
mkdir -p "$out"
rm -rf "$work" && mkdir -p "$work/overlay/test" "$work/overlay/bin" "$work/overlay/boot" "$work/guest/bin" "$work/guest/etc"
work=$(cd "$work" && pwd)

# Ports that nobody listens at.
port=${PORT:-$((20000 + $$ % 9000))}
while ss -Htln 2>/dev/null | grep -qE ":($port|$((port + 1))|$((port + 2))|$((port + 3))|$((port + 4))|$((port + 5))) "; do
    port=$((port + 7))
done

gcc -std=gnu11 -O2 -static -Wall -Wextra -Werror -o "$work/peer" "$here/peer.c"
strip "$work/peer"
gcc -std=gnu11 -O2 -static -Wall -Wextra -Werror -I"$here/../../../sdk/include" -o "$work/reload" "$here/reload.c" "$here/../../../sdk/rules/ruleset-write.c" "$build/dom0/lib/libcollet.a" -lz -llzma -lzstd -llz4
strip "$work/reload"
cp "$here"/*.sh "$here/../domains/all.sh" "$work/overlay/test/"
cp "$here/lib.sh" "$work/overlay/test/net-lib.sh"
cp "$here/../disks/lib.sh" "$work/overlay/test/disks-lib.sh"
cp "$here/../domains/lib.sh" "$work/overlay/test/lib.sh"
cp "$work/peer" "$work/reload" "$work/overlay/bin/"
# The guests' ramdisk: the quick guests' one with iperf3, the other end of our tests, and a web server.
cp "$work/peer" "$work/guest/bin/"
cat >"$work/guest/etc/start-more" <<'MORE'
#!/bin/sh
mkdir -p /www
echo "hello from $(hostname)" >/www/name
dd if=/bin/busybox of=/www/large bs=64k 2>/dev/null
httpd -h /www
peer serve >/tmp/peer.log 2>&1 &
MORE
chmod 755 "$work/guest/etc/start-more"
"$packing/pack.sh" "$work/guest" "$work/guest.cpio"
(cd "$work" && cpio -i --quiet --to-stdout boot/net.cpio <"$OLDPWD/$build/debian/net-tools.cpio") | cat - "$work/guest.cpio" >"$work/overlay/boot/nettest.cpio"
"$packing/pack.sh" "$work/overlay" "$work/overlay.cpio"
"$packing/make-key.sh" "$build/debian/ssh" "${SSH_PORT:-2222}"
kernel_line="console=hvc0 acpi=off pci=off swiotlb=noforce initcall_blacklist=cmos_init nopvspin quiet"

# What the host itself does with the machine while that waits (host_turn).
cat >"$work/host" <<HOST
#!/bin/sh
set -eu
cd "$work"
ssh_to() { timeout 60 ssh -F "$(cd "$build" && pwd)/debian/ssh/config" -p $port "\$@"; }
case \$1 in
page) [ "\$(curl -sS --max-time 30 http://127.0.0.1:$((port + 1))/name)" = "hello from a" ] ;;
large) for try in 1 2 3; do curl -sS --max-time 60 -o large http://127.0.0.1:$((port + 1))/large; cmp large "$(find "$build/debian/packages" -path '*busybox-static*/bin/busybox' | head -n 1 | xargs realpath)"; done ;;
stream) PEER_PORT=$((port + 2)) timeout 90 ./peer tcp 127.0.0.1 3000000 4000000 ;;
shell) [ "\$(ssh_to dom0 'cat /tmp/for-the-host')" = "written by Domain0" ] && ssh_to dom0 collet vif list ;;
leaves)
    head -c 2000000 /dev/urandom >file
    ssh_to dom0 'cat >/tmp/from-the-host' <file
    sha256sum <file | ssh_to dom0 'cat >/tmp/from-the-host.sum'
    ;;
nobody) ! timeout 30 ssh -F /dev/null -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o PubkeyAuthentication=no -o NumberOfPasswordPrompts=0 -p $port root@127.0.0.1 true </dev/null ;;
captures)
    for file in icmp.pcapng dropped.pcapng stream.pcap; do ssh_to dom0 "cat /tmp/\$file" >\$file; done
    ;;
icmp) [ "\$(tshark -r icmp.pcapng -Y icmp 2>/dev/null | wc -l)" = 6 ] && tshark -r icmp.pcapng -T fields -e frame.interface_name 2>/dev/null | grep -q '^a' ;;
dropped) tshark -r dropped.pcapng -Y 'tcp.dstport == 80 && tcp.flags.syn == 1' 2>/dev/null | grep -q . && tshark -r dropped.pcapng -T fields -e frame.comment 2>/dev/null | grep -qi drop ;;
stream-captured) [ "\$(tshark -r stream.pcap -Y 'tcp.port == 80' 2>/dev/null | wc -l)" = 8 ] && [ "\$(tshark -r stream.pcap -T fields -e frame.cap_len 2>/dev/null | sort -n | tail -n 1)" -le 96 ] ;;
esac
HOST
chmod 755 "$work/host"

network="-netdev user,id=net0,hostfwd=tcp:127.0.0.1:$port-10.0.2.15:22,hostfwd=tcp:127.0.0.1:$((port + 1))-10.0.2.16:80,hostfwd=tcp:127.0.0.1:$((port + 2))-10.0.2.16:7001,hostfwd=tcp:127.0.0.1:$((port + 3))-10.0.2.16:22 -device virtio-net-pci,netdev=net0"
PEER_PORT=$((port + 4)) "$work/peer" serve >"$work/peer.log" 2>&1 &
server=$!
trap 'pkill -P $server 2>/dev/null; kill $server 2>/dev/null; rm -f "$work"/*.cpio "$work"/*.img' EXIT

after_all() {
    cat <<SCRIPT
send \n
exit $((60 * slow)) poweroff ends QEMU
forbid /WARNING: |BUG: |Oops|Call Trace|Kernel panic|rcu.*stall|soft lockup|blocked for more than|general protection|segfault at|Bad page|bad pte|traps: / no complaint of Domain0's kernel
forbid /^\(collet\) (error|panic)/ no complaint of the hypervisor
count 1 /^\(collet\) audit: .* 0 differences/ every frame is accounted for
SCRIPT
}
turns() { # which turns of the host the named scripts have, SECONDS before each
    case "$1" in *host*)
        cat <<SCRIPT
follow $2 /^host: reaches/ the guests are there for the host
run 60 /$(slashes "$work/host") page/ the host has a guest's page by a forwarded port
run 120 /$(slashes "$work/host") large/ and a large file three times, the same contents
run 100 /$(slashes "$work/host") stream/ a stream between host and guest, both ways, contents compared
send \n
follow 60 /^host: shell/ Domain0 waits for its visitor
run 70 /$(slashes "$work/host") shell/ ssh into Domain0, by key
run 70 /$(slashes "$work/host") leaves/ a file goes the other way
run 40 /$(slashes "$work/host") nobody/ nobody comes in without the key
send \n
SCRIPT
        ;;
    esac
    case "$1" in *capture*)
        cat <<SCRIPT
follow $2 /^host: fetch/ a capture waits for a stream
run 60 /$(slashes "$work/host") page/ the host fetches a page
send \n
follow 60 /^host: captures/ there are captures
run 100 /$(slashes "$work/host") captures/ the host copies them
run 60 /$(slashes "$work/host") icmp/ tshark finds six packets of a ping, at an interface of that name
run 60 /$(slashes "$work/host") dropped/ tshark finds what was dropped, and why
run 60 /$(slashes "$work/host") stream-captured/ tshark finds the stream, cut as asked
send \n
SCRIPT
        ;;
    esac
}
slashes() { echo "$1" | sed 's|/|\\x2f|g'; }

# boot NAME SCRIPT+SCRIPT... SECONDS
boot() {
    cat "$build/dom0.cpio" "$build/debian/net-tools.cpio" "$build/debian/ssh/key.cpio" "$build/debian/jq.cpio" "$work/overlay.cpio" >"$work/dom0.cpio"
    {
        turns "$2" $(($3 * slow))
        echo "follow $(($3 * slow)) /^checks: done/ the checks came to their end"
        after_all
    } >"$work/$1.script"
    # shellcheck disable=SC2086 # lists of words
    "$build/tests/drive" -l "$out/net-$1.log" -p "net: " -T "$((($3 + 200) * slow))" "$work/$1.script" -- \
        qemu-system-x86_64 -accel tcg -cpu max,-smap -smp "$cpus" -m "${MEM:-2G}" -display none -serial stdio -monitor none -no-reboot $network ${EXTRA_QEMU:-} \
        -kernel "$image" -append "console=com1 audit dom0_mem=${DOM0_MEM:-640M} ${COLLET_ARGS:-}" \
        -initrd "$build/debian/vmlinux $kernel_line nr_cpus=$cpus collet.run=/test/all.sh test.scripts=$2 test.port=$((port + 4)),$work/dom0.cpio" || failed=1
}
# A Debian system on its own disk: systemd-networkd takes the addresses from the command line; secure shell from the host.
boot_debian() {
    "$packing/make-disks.sh" "$work" "$build/debian/rootfs.ext4" >/dev/null
    cat "$build/dom0-disks.cpio" "$build/debian/net-tools.cpio" "$build/debian/ssh/key.cpio" "$build/debian/jq.cpio" "$work/overlay.cpio" >"$work/dom0.cpio"
    config=$(slashes "$(cd "$build" && pwd)/debian/ssh/config")
    {
        echo "follow $((300 * slow)) /^host: debian/ the Debian system waits for its visitor"
        echo "run 90 /timeout 80 ssh -F $config -p $((port + 3)) guest16 systemctl is-system-running --wait/ ssh into the Debian system, which is content"
        echo "send \n"
        echo "follow $((200 * slow)) /^checks: done/ the checks came to their end"
        after_all
    } >"$work/debian.script"
    # shellcheck disable=SC2086 # lists of words
    "$build/tests/drive" -l "$out/net-debian.log" -p "net: " -T "$((600 * slow))" "$work/debian.script" -- \
        qemu-system-x86_64 -accel tcg -cpu max,-smap -smp "$cpus" -m "${MEM:-2G}" -display none -serial stdio -monitor none -no-reboot $network \
        -drive "if=none,id=disk0,format=raw,file=$work/disk0.img,cache=writeback,aio=threads,discard=unmap" -device "virtio-blk-pci,drive=disk0,serial=disk0,num-queues=$cpus" \
        -kernel "$image" -append "console=com1 audit dom0_mem=${DOM0_MEM:-640M} ${COLLET_ARGS:-}" \
        -initrd "$build/debian/vmlinux $kernel_line nr_cpus=$cpus collet.run=/test/all.sh test.scripts=debian test.port=$((port + 4)),$work/dom0.cpio" || failed=1
}

[ $# != 0 ] || set -- all large debian
for name; do
    echo "# boot: net $name"
    started=$(date +%s)
    case $name in
    all) boot all basic+data+host+spoof+rules+reload+capture+trouble 700 ;;
    basic) boot basic basic 300 ;;
    data | host | spoof | rules | reload | large | plugins | capture | trouble) boot "$name" "basic+$name" 400 ;;
    debian) boot_debian ;;
    *) echo "run.sh: no boot $name" >&2 && exit 2 ;;
    esac
    echo "# boot: net $name took $(($(date +%s) - started)) s"
done
exit $failed
