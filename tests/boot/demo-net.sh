#!/bin/sh
# SPDX-License-Identifier: MIT
# The third part of `make demo`: two guests on the router, one serves a page to this host; a rule file stops scans, spoofing and floods; captures of what was blocked and of what passed are left as
# build/demo/net-blocked.pcapng and net-all.pcapng. tests/boot/net/demo-net.sh is what runs in Domain0.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
. "$here/plain.sh"
build=$(cd "${BUILD:-build}" && pwd)
out=$build/tests
log=$out/demo-net.log
work=$out/demo-net
demo=$build/demo
image=$here/../../plugins-dom0/image
port=${PORT:-$((29000 + $$ % 900))}
started=$(date +%s)
rm -rf "$work" && mkdir -p "$work/overlay/test" "$work/overlay/boot" "$work/guest/bin" "$work/guest/etc" "$demo"
gcc -std=gnu11 -O2 -static -Wall -Wextra -Werror -o "$work/guest/bin/peer" "$here/net/peer.c"
strip "$work/guest/bin/peer"
cp "$here/net/demo-net.sh" "$work/overlay/test/"
cp "$here/net/lib.sh" "$work/overlay/test/net-lib.sh"
cp "$here/disks/lib.sh" "$work/overlay/test/disks-lib.sh"
cp "$here/domains/lib.sh" "$work/overlay/test/lib.sh"
cat >"$work/guest/etc/start-more" <<'MORE'
#!/bin/sh
mkdir -p /www
echo "<h1>Hello from $(hostname), an unmodified Linux behind Collet's router</h1>" >/www/index.html
httpd -h /www
MORE
chmod 755 "$work/guest/etc/start-more"
"$image/pack.sh" "$work/guest" "$work/guest.cpio"
(cd "$work" && cpio -i --quiet --to-stdout boot/domu.cpio <"$build/debian/domu.cpio") | cat - "$work/guest.cpio" >"$work/overlay/boot/nettest.cpio"
"$image/pack.sh" "$work/overlay" "$work/overlay.cpio"
"$image/make-key.sh" "$build/debian/ssh" "${SSH_PORT:-2222}"
cat "$build/dom0.cpio" "$build/debian/net-tools.cpio" "$build/debian/ssh/key.cpio" "$build/debian/jq.cpio" "$work/overlay.cpio" >"$work/dom0.cpio"
cat >"$work/page" <<HOST
#!/bin/sh
curl -sS --max-time 30 http://127.0.0.1:$((port + 1))/ >$work/page.html && grep -q 'Hello from web' $work/page.html
HOST
cat >"$work/fetch" <<HOST
#!/bin/sh
for name in all blocked; do
    timeout 60 ssh -F $build/debian/ssh/config -p $port dom0 cat /tmp/\$name.pcapng >$demo/net-\$name.pcapng && [ -s $demo/net-\$name.pcapng ] || exit 1
done
HOST
chmod 755 "$work/page" "$work/fetch"
slashes() { echo "$1" | sed 's|/|\\x2f|g'; }
status=0
"$out/drive" -v -l "$log" -T "${LIMIT:-500}" - -- qemu-system-x86_64 -accel tcg -cpu max,-smap -smp 2 -m 2G -display none -serial stdio -monitor none -no-reboot \
    -netdev "user,id=net0,hostfwd=tcp:127.0.0.1:$port-10.0.2.15:22,hostfwd=tcp:127.0.0.1:$((port + 1))-10.0.2.16:80" -device virtio-net-pci,netdev=net0 \
    -kernel "$build/collet" -append "console=com1 dom0_mem=640M ${COLLET_ARGS:-}" \
    -initrd "$build/debian/vmlinux console=hvc0 acpi=off pci=off swiotlb=noforce initcall_blacklist=cmos_init nr_cpus=2 nopvspin quiet collet.run=/test/demo-net.sh,$work/dom0.cpio" \
    >"$out/demo-net.result" <<END2 || status=1
expect 240 /^host: page/ two guests are there, one serves a page
run 60 /$(slashes "$work/page")/ this host has the page, by a forwarded port
send \n
expect 120 /^host: page-by-rules/ the rules are in force, and refused spoofing, a scan and a flood
run 60 /$(slashes "$work/page")/ and this host still has the page
send \n
expect 120 /^host: captures/ captures are complete
run 130 /$(slashes "$work/fetch")/ this host has them
send \n
expect 60 /^demo of the network: all as promised/ what was blocked was counted
expect 60 /collet.run: ended with status 0/ the demo came to its end
exit 30 poweroff ended QEMU
END2
rm -f "$work"/*.cpio
echo
echo "---- demo of the network: $(($(date +%s) - started)) s ----"
tr -d '\r' <"$log" | sed -n '/^---- what was seen: network/,/^demo of the network:/p' | plain
tr -d '\r' <"$log" | sed -n '/^---- what was seen: network/,/^demo of the network:/p' | uncolour >"$demo/net.txt"
ls -l "$demo"/net-*.pcapng 2>/dev/null || true
if command -v tshark >/dev/null && [ -s "$demo/net-blocked.pcapng" ]; then
    echo "Some of what was blocked, as tshark reads it:"
    tshark -r "$demo/net-blocked.pcapng" -T fields -e frame.interface_name -e ip.src -e ip.dst -e _ws.col.Info -e frame.comment 2>/dev/null | awk '!seen[$NF, $2]++' | head -n 8
fi
cat "$out/demo-net.result"
exit $status
