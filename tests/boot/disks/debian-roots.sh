# SPDX-License-Identifier: MIT
# shellcheck shell=sh disable=SC2154
#
# In Domain0: two unmodified Debian systems start from their own root disks, are used, are shut down, and leave clean file systems.
. /test/disks-lib.sh

reboot_comes() {
    console_mark root2
    c reboot root2 && login_comes root2
}
debian_guest root1 part:disk0p1
debian_guest root2 part:disk0p2 "mode = w"
check "create a Debian system on disk0's first partition" env limit=60 timeout 60 collet create /tmp/root1.ini
check "and another on the second" timeout 60 collet create /tmp/root2.ini
debian_guest root3 "/dev/$(basename $d0)1"
check "a third on a partition that is held is refused, with its holder" refused 1 'belongs to disk root of' timeout 60 collet create /tmp/root3.ini
check "and nothing of it is left" gone root3
check "the first comes to its login" login_comes root1
check "the second, too" login_comes root2
check "collet vbd list shows both" sh -c 'collet vbd list >/tmp/vbds; cat /tmp/vbds; [ "$(grep -c "^root.*connected" /tmp/vbds)" = 2 ]'
check "log in" log_in root1
check "its root is its disk" says '/dev/xvda .*ext4' guest root1 30 'findmnt -no SOURCE,FSTYPE /'
check "systemd is content" says 'running' guest root1 60 'systemctl is-system-running --wait'
check "it writes, and syncs" guest root1 30 'echo written-by-root1 >/etc/mark && dd if=/dev/urandom of=/root/big bs=1M count=24 conv=fsync status=none && sha256sum /root/big | cut -c1-64 >/root/sum && sync'
check "it reads it again from its disk" says 'big: OK' guest root1 30 'echo 3 >/proc/sys/vm/drop_caches; echo "$(cat /root/sum)  /root/big" | sha256sum -c'
check "log in to the second" log_in root2
check "the second has no such file" guest root2 20 '[ ! -e /etc/mark ]'
check "no error in their kernels' logs" sh -c "! cat /var/log/collet/console/guest-root[12].log | grep -E 'blk_update_request|I/O error|EXT4-fs error|Buffer I/O|WARNING:|Call Trace'"
check "a reboot of the second comes to its login again" reboot_comes
check "the first shuts down" shut_down root1
check "the second shuts down" shut_down root2
blockdev --flushbufs "$d0"
check "clean, and without a fault: the first file system" e2fsck -fn "${d0}1"
check "the second" e2fsck -fn "${d0}2"
check "Domain0 reads what the first has written" says 'written-by-root1' debugfs -R 'cat /etc/mark' "${d0}1"
