# SPDX-License-Identifier: MIT
# shellcheck shell=sh
#
# Runs in Domain0 (collet.run=/test/checks): looks at what a Domain0 is promised and prints "ok NAME" / "not ok NAME" lines, which tests/boot/drive counts.
# Words of the kernel's command line: test.cpus=N what nproc must say; test.stress=SECONDS run stress-ng so long.
# The end waits for a line on the console, so that the driver can use the hypervisor's keys meanwhile; then power off.

check() { # name, command...
    name=$1
    shift
    if "$@" >/tmp/check.out 2>&1; then
        echo "ok $name"
    else
        echo "not ok $name"
        sed 's/^/#   /' /tmp/check.out | head -n 20
    fi
}
cpus=1
stress=0
for word in $(cat /proc/cmdline); do
    case $word in
    test.cpus=*) cpus=${word#*=} ;;
    test.stress=*) stress=${word#*=} ;;
    esac
done

says() { # expected, command...
    expected=$1
    shift
    got=$("$@" 2>&1)
    echo "got: $got"
    [ "$got" = "$expected" ]
}
each_cpu_runs() {
    n=0
    while [ $n -lt "$cpus" ]; do
        taskset -c $n sh -c 'i=0; while [ $i -lt 2000 ]; do i=$((i + 1)); done' || return 1
        n=$((n + 1))
    done
}
clock_advances() { # a sleep of a second takes about one by the clock
    before=$(cut -d' ' -f1 /proc/uptime | tr -d .)
    sleep 1
    after=$(cut -d' ' -f1 /proc/uptime | tr -d .)
    echo "hundredths: $((after - before))"
    [ $((after - before)) -ge 99 ] && [ $((after - before)) -le 250 ]
}
pipes_carry() {
    [ "$(dd if=/dev/zero bs=64k count=200 2>/dev/null | tr '\0' 'a' | wc -c)" = 13107200 ]
}
many_forks() {
    i=0
    while [ $i -lt 200 ]; do
        /bin/true || return 1
        i=$((i + 1))
    done
}
files_hold() {
    dd if=/dev/urandom of=/tmp/a bs=1M count=8 2>/dev/null
    cp /tmp/a /tmp/b
    cmp /tmp/a /tmp/b && rm /tmp/a /tmp/b
}
device() { [ -c "$1" ]; }
contains() { grep -q "$@"; }

check "hypervisor type is xen" says xen cat /sys/hypervisor/type
check "nproc says $cpus" says "$cpus" nproc
check "all CPUs are online" says "$cpus" grep -c '^processor' /proc/cpuinfo
check "/dev/xen/privcmd" device /dev/xen/privcmd
check "/dev/xen/evtchn" device /dev/xen/evtchn
check "/dev/xen/gntdev" device /dev/xen/gntdev
check "/dev/xen/gntalloc" device /dev/xen/gntalloc
check "/proc/xen/capabilities says control_d" contains control_d /proc/xen/capabilities
check "xenfs offers xsd_port" test -e /proc/xen/xsd_port
# With one CPU the kernel may trust the TSC by itself (in Domain0 it ranks above the xen clock).
check "clock source is xen or tsc" contains -x -E 'xen|tsc' /sys/devices/system/clocksource/clocksource0/current_clocksource
check "the xen clock source is offered" contains xen /sys/devices/system/clocksource/clocksource0/available_clocksource
check "each CPU runs a program" each_cpu_runs
check "a second is a second" clock_advances
check "pipes carry 13 MB" pipes_carry
check "200 programs run" many_forks
check "8 MiB of files compare" files_hold
check "memory is there" contains '^MemTotal: *[1-9][0-9][0-9][0-9][0-9]' /proc/meminfo

compile() { # a compiler run: tcc compiles a program of some hundred functions and the result runs
    cd /tmp || return 1
    {
        echo '#include <stdio.h>'
        i=0
        while [ $i -lt 300 ]; do
            echo "static long f$i(long x) { for (int i = 0; i < 10; i++) x = x * 31 + $i; return x; }"
            i=$((i + 1))
        done
        echo 'int main(void) { long x = 1;'
        i=0
        while [ $i -lt 300 ]; do
            echo "x = f$i(x);"
            i=$((i + 1))
        done
        echo 'printf("%ld\n", x); return 0; }'
    } >program.c
    first=
    for n in 1 2 3 4 5; do
        tcc -o program program.c || return 1
        out=$(./program) || return 1
        [ -z "$first" ] || [ "$first" = "$out" ] || return 1
        first=$out
    done
    echo "$first"
}
if [ "$stress" != 0 ]; then
    check "a compiler run" compile
    # One worker of each kind for each CPU, memory bounded; --verify makes them check their own results.
    mkdir -p /tmp/stress
    check "stress-ng for $stress s" stress-ng --temp-path /tmp/stress --timeout "${stress}s" --verify --metrics-brief --oomable \
        --cpu 1 --fork 1 --vm 2 --vm-bytes 48M --switch 1 --kill 1 --sigsegv 1 --sigrt 1 --mmap 1 --mmap-bytes 32M --timer 1 --pipe 1 --futex 1
    [ "$stress" -lt 60 ] || sed 's/^/#   /' /tmp/check.out
    check "after it, programs still run" many_forks
fi
check "the kernel is not tainted" says 0 cat /proc/sys/kernel/tainted
echo "checks: done"
read -r _
poweroff -f
