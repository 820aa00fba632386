#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Boots the tiny PV kernels of build/kernels as Domain0, one QEMU each, and judges what they and the hypervisor said.
# A line "ok NAME" or "not ok NAME: why" for each boot, then "N passed, N failed". Logs stay in build/kernels/log/.
#
#   run-kernels.sh [--xen] [--tap] [--smp N] [--image FILE] [--seed N] [--count N] [--list] [PATTERN...]
#
# PATTERN is a shell pattern on names (abi-*, attack-cpu/bounce-*). --xen runs the same on Debian's Xen, the peer. --tap: only those with a TAP device (tap.sh).
# docs/hostile-tests.md says what the kernels check.
set -u
cd "$(dirname "$0")/../../.." || exit 2

out=build/kernels
log=$out/log
image=build/collet
smp=2
memory=512M
seed=1
count=1000000
peer=collet
patterns=()

usage() {
    sed -n '3,11s/^# \{0,1\}//p' "$0"
    exit 2
}

list=no
tap=no
while [ $# -gt 0 ]; do
    case $1 in
    --xen) peer=xen ;;
    --tap) tap=yes ;;
    --smp) smp=$2; shift ;;
    --image) image=$2; shift ;;
    --seed) seed=$2; shift ;;
    --count) count=$2; shift ;;
    --list) list=yes ;;
    -*) usage ;;
    *) patterns+=("$1") ;;
    esac
    shift
done

# name | kernel | its command line | outcome: done, crash, either, wild, domu, domu-crash, shares, pest, load | seconds | the hypervisor's options | the machine
# The machine, in words: nic[,DEVICE OPTION...]: a virtio network card on QEMU's user network; tap[,OPTION...]/DEVICE OPTION[,...]: one on tap.sh's; q35; icount=SHIFT; disk=MIB[,DEVICE OPTION...][/DRIVE OPTION,...]: a virtio disk of random content.
boots() {
    local kernel attack outcome
    if [ $tap = yes ]; then
        echo "net-tap|net|quiet=1 part=card peer=1|done|90||tap,queues=2/mq=on,vectors=6"
        echo "net-tap-one-pair|net|quiet=1 part=card peer=1|done|90||tap,queues=2/mq=off,indirect_desc=off,gso=on"
        echo "net-tap-no-merging|net|quiet=1 part=card peer=2|done|90||q35 tap,queues=2/mq=off,mrg_rxbuf=off"
        return
    fi
    for kernel in abi-page abi-bare abi-base0; do
        echo "$kernel|$kernel||done|60"
    done
    echo "abi-one-vcpu|abi-bare|smp=1|done|60"
    echo "abi-four-vcpus|abi-bare|smp=4|done|90"
    [ $peer = collet ] && echo "abi-shared-cpu|abi-bare|smp=1 dom0_max_vcpus=4|done|90"
    for kernel in attack-mm attack-cpu attack-ev-gnt; do
        echo "$kernel|$kernel||done|120"
    done
    while read -r kernel attack outcome; do
        case $kernel in '#'* | '') continue ;; esac
        echo "$kernel/$attack|$kernel|attack=$attack|$outcome|40"
    done < tests/boot/kernels/attacks.list
    echo "fuzz|fuzz|seed=$seed count=$count|either|600"
    echo "fuzz-wild|fuzz|seed=$((seed + 1)) count=20000 wild=1|wild|120"
    [ $peer = xen ] && return
    echo "domu-abi|abi-bare|domu=1 quiet=1|domu|90"
    echo "domu-abi-page|abi-page|domu=1 quiet=1|domu|90"
    echo "domu-attack-mm|attack-mm|domu=1 quiet=1 rounds=2000|domu|120"
    echo "domu-attack-cpu|attack-cpu|domu=1 quiet=1|domu|120"
    echo "domu-attack-ev-gnt|attack-ev-gnt|domu=1 quiet=1|domu|120"
    echo "domu-fuzz|fuzz|domu=1 quiet=1 seed=$((seed + 2)) count=100000|domu|200"
    echo "domu-crash|attack-cpu|domu=1 attack=bounce-kernel-trap-unmapped|domu-crash|60"
    echo "domu-attack-control|attack-control|domu=1 quiet=1|domu|120"
    echo "control|control|quiet=1|done|120|dom0_mem=128M"
    echo "control-shared-cpu|control|part=destroy quiet=1 cycles=100 rounds=1|done|120|dom0_mem=128M dom0_max_vcpus=2"
    echo "control-race|control|part=race quiet=1 seconds=5 seed=$seed|done|60|dom0_mem=128M"
    echo "control-race-four|control|part=race quiet=1 seconds=5 seed=$((seed + 1))|done|60|dom0_mem=128M dom0_max_vcpus=4"
    echo "control-fuzz|control|part=fuzz quiet=1 seed=$seed count=20000|done|120|dom0_mem=128M"
    echo "control-fuzz-disks|control|part=fuzz quiet=1 seed=$((seed + 1)) count=50000|done|120|dom0_mem=128M|disk=24 disk=24 nic"
    blk_boots
    net_boots
    echo "shares|spin|shares|shares|300"
    echo "interference|pest|phase_ms=3500|pest|200"
}

blk_boots() {
    echo "blk|blk|quiet=1|done|120||disk=24,serial=first"
    echo "blk-q35|blk|quiet=1 disks=2|done|120||q35 disk=24,num-queues=2 disk=20,disable-legacy=on"
    echo "blk-4096|blk|quiet=1 disks=2|done|120||disk=24,logical_block_size=4096,physical_block_size=4096 disk=20"
    echo "attack-blk|attack-blk|quiet=1 seed=$seed|done|200|dom0_mem=128M|disk=24 disk=24/throttling.iops-total=40"
    echo "attack-blk-shared-cpu|attack-blk|quiet=1|done|200|dom0_mem=128M dom0_max_vcpus=2|disk=24"
    echo "attack-blk-stuck|attack-blk|part=stuck quiet=1|done|200|dom0_mem=128M|disk=24 disk=24/throttling.iops-total=1"
    # Their clock runs ahead while the host writes: a host that is busy for a moment would look like a disk that does not answer.
    echo "blk-load|blk-load|seconds=60 swap_ms=4 guests=3|load|200|disk_timeout_ms=0|icount=3 disk=24/cache=unsafe disk=24/cache=unsafe"
    echo "blk-load-modelled|blk-load|seconds=${LOAD_SECONDS:-600} swap_ms=7 guests=3 model=yes|load|$((${LOAD_SECONDS:-600} / 2))|disk_timeout_ms=0|icount=3 disk=24/cache=unsafe disk=24/cache=unsafe"
    echo "blk-flood|blk-load|phase_ms=3500|flood|200||disk=24"
    echo "blk-one-vector|blk|quiet=1|done|120||disk=24,vectors=1"
    echo "blk-packed|blk|quiet=1 disks=2|done|120||disk=24,packed=on,num-queues=1 disk=20,vectors=2"
    echo "blk-no-indirect|blk|quiet=1 disks=2|done|120||q35 disk=24,indirect_desc=off disk=20,event_idx=off"
    echo "blk-small-queue|blk|quiet=1|done|120||disk=24,queue-size=4,seg-max-adjust=off"
}

net_boots() {
    echo "net|net|quiet=1 seed=$seed|done|120||nic"
    echo "net-shared-cpu|net|quiet=1 seed=$((seed + 1))|done|120|dom0_max_vcpus=2|q35 nic,disable-legacy=on nic"
    echo "net-poor-card|net|quiet=1 part=card|done|90||nic,indirect_desc=off,event_idx=off,mrg_rxbuf=off,ctrl_vq=off,vectors=1"
    echo "attack-net|attack-net|quiet=1 seed=$seed|done|240|dom0_mem=128M|nic"
    echo "net-small-card|net|quiet=1 part=card|done|90||nic,rx_queue_size=256,tx_queue_size=256,packed=on,mq=off,host_mtu=1500"
}

wanted() {
    local pattern
    [ ${#patterns[@]} -eq 0 ] && return 0
    for pattern in "${patterns[@]}"; do
        # shellcheck disable=SC2254
        case $1 in $pattern) return 0 ;; esac
    done
    return 1
}

qemu_pid=
cleanup() {
    [ -n "$qemu_pid" ] && kill "$qemu_pid" 2> /dev/null
    rm -f "$out/.run-$$".*
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# boot LOG SECONDS CPUS MODULES [QEMU OPTION...]: run to the end or the limit; 0, or 1 when it had to be stopped.
boot() {
    local to=$1 seconds=$2 cpus=$3 modules=$4 kernel line rc=0 waited=0
    shift 4
    if [ $peer = xen ]; then
        kernel=$out/xen
        line="console=com1 com1=115200 loglvl=warning guest_loglvl=warning noreboot=0 dom0=pv"
    else
        kernel=$image
        line="console=com1 noreboot=exit audit ${options:-} ${HV_OPTIONS:-}"
    fi
    qemu-system-x86_64 -accel tcg -cpu max,-smap -smp "$cpus" -m $memory -nographic -no-reboot "$@" \
        -kernel "$kernel" -append "$line" -initrd "$modules" < /dev/null > "$to" 2>&1 &
    qemu_pid=$!
    while kill -0 $qemu_pid 2> /dev/null; do
        if [ $waited -ge $((seconds * 10)) ]; then
            kill $qemu_pid 2> /dev/null
            rc=1
            break
        fi
        sleep 0.1
        waited=$((waited + 1))
    done
    wait $qemu_pid 2> /dev/null
    qemu_pid=
    tr -d '\r' < "$to" > "$to.text" && mv "$to.text" "$to"
    return $rc
}

# machine WORD...: QEMU's options into `machine`, the disks' files made.
disk_count=0
make_machine() {
    local word size device drive file
    machine=()
    disk_count=0
    nic_count=0
    for word in $1; do
        case $word in
        q35) machine+=(-machine q35) ;;
        tap*)
            device=${word#*/}
            word=${word%%/*}
            machine+=(-netdev "tap,id=t0,ifname=ctap0,script=no,downscript=no${word#tap}" -device "virtio-net-pci,netdev=t0,$device") ;;
        nic*)
            machine+=(-netdev "user,id=n$nic_count" -device "virtio-net-pci,netdev=n$nic_count${word#nic}")
            nic_count=$((nic_count + 1)) ;;
        icount=*) machine+=(-icount "shift=${word#icount=},sleep=off") ;;
        disk=*)
            word=${word#disk=}
            drive=
            case $word in */*) drive=,${word#*/} word=${word%%/*} ;; esac
            size=${word%%,*}
            device=${word#"$size"}
            file=$out/.run-$$.disk$disk_count
            head -c "${size}M" /dev/urandom > "$file"
            cksum < "$file" > "$file.before"
            machine+=(-drive "if=none,id=d$disk_count,format=raw,discard=unmap,file=$file$drive" -device "virtio-blk-pci,drive=d$disk_count$device")
            disk_count=$((disk_count + 1)) ;;
        esac
    done
}

# What the kernel has seen on the disks is what was and is in their files. Prints why not.
judge_disks() {
    local to=$1 disk file when want
    [ "$kernel" = attack-blk ] && [ "$(grep -c '^(collet) [a-z]*: d0: \|^(collet) d0: ' "$to")" -gt 300 ] && { echo 'the attacker floods the log'; return 1; }
    for ((disk = 0; disk < disk_count; disk++)); do
        file=$out/.run-$$.disk$disk
        for when in before after; do
            grep -q "\[t\] cksum $when disk$disk " "$to" || continue
            want=$(if [ $when = before ]; then cat "$file.before"; else cksum < "$file"; fi)
            grep -q "\[t\] cksum $when disk$disk $want\$" "$to" || { echo "disk$disk $when: the file has $want"; return 1; }
        done
    done
}

# What the hypervisor must have said, whatever the guest did. Prints why not.
hypervisor_unharmed() {
    local to=$1
    if [ $peer = xen ]; then
        grep -q 'Panic on CPU\|FATAL TRAP\|Xen BUG\|Assertion' "$to" && { echo 'the peer itself crashed'; return 1; }
        return 0
    fi
    if grep -q '(collet) \(panic\|PANIC\|BUG\|FATAL\)\|assertion\|rsp=.*rip=' "$to"; then
        echo "hypervisor crash: $(grep -m1 -o '(collet) .*\(panic\|PANIC\|BUG\|FATAL\|assertion\).*' "$to")"
        return 1
    fi
    if ! grep -q '(collet) audit: ' "$to"; then
        echo 'no frame audit at the end'
        return 1
    fi
    if ! grep -q '(collet) audit: .* 0 differences' "$to"; then
        echo "$(grep -m1 '(collet) audit: ' "$to")"
        return 1
    fi
}

crash_line() {
    if [ $peer = xen ]; then
        grep -m1 'Domain 0 crashed\|Domain 0 (vcpu#.*crashed\|Hardware Dom0 crashed\|domain_crash' "$1"
    else
        grep -m1 '(collet) d0: crashed: .' "$1"
    fi
}

# judge LOG OUTCOME TIMED_OUT: prints why not.
judge() {
    local to=$1 outcome=$2 late=$3 failed
    if [ "$late" = 1 ]; then
        echo "stopped at the time limit; last line: $(tail -n 2 "$to" | head -n 1)"
        return 1
    fi
    if ! grep -q '^.*\[t\] start' "$to"; then
        echo "the kernel did not start: $(tail -n 1 "$to")"
        return 1
    fi
    failed=$(grep -c '\[t\] FAIL' "$to")
    [ "$outcome" = wild ] && failed=0 # it may well harm itself
    if [ "$failed" != 0 ]; then
        echo "$failed failed, first: $(grep -m1 -o '\[t\] FAIL.*' "$to" | cut -c10-)"
        return 1
    fi
    hypervisor_unharmed "$to" || return 1
    case $outcome in
    done)
        grep -q '\[t\] done: .* 0 failed' "$to" || { echo "not done: $(crash_line "$to")"; return 1; } ;;
    crash)
        grep -q '\[t\] attack' "$to" || { echo 'did not come to the attack'; return 1; }
        grep -q '\[t\] refused' "$to" || crash_line "$to" > /dev/null || { echo 'the guest was not crashed with a reason'; return 1; } ;;
    wild)
        grep -q '\[t\] done: ' "$to" || crash_line "$to" > /dev/null || { echo 'neither done nor crashed with a reason'; return 1; } ;;
    either)
        grep -q '\[t\] done: .* 0 failed' "$to" || crash_line "$to" > /dev/null ||
            { echo 'neither done nor crashed with a reason'; return 1; } ;;
    esac
}

# The attacker is domain 1, beside a well-behaved domain 2 and a sleeping Domain0: only the attacker may have come to harm.
judge_domu() {
    local to=$1 outcome=$2
    hypervisor_unharmed "$to" || return 1
    grep -q '\[t\] FAIL' "$to" && { echo "first: $(grep -m1 -o 'd[0-9]: \[t\] FAIL.*' "$to")"; return 1; }
    grep -q '(collet) d2: \[t\] done: .* 0 failed' "$to" || { echo 'the bystander did not come through'; return 1; }
    grep -q '(collet) d1: destroyed' "$to" || { echo 'the attacker was not destroyed'; return 1; }
    if [ "$outcome" = domu-crash ]; then
        grep -q '(collet) d1: crashed: .' "$to" || { echo 'not crashed with a reason'; return 1; }
    else
        grep -q '(collet) d1: \[t\] done: .* 0 failed' "$to" || { echo "not done: $(grep -m1 '(collet) d1: crashed' "$to")"; return 1; }
    fi
}

# Four CPU-bound domains of weights 1, 2, 4, 8 on one CPU: their virtual run times after ten seconds, within 1% of their shares.
judge_shares() {
    local to=$1
    hypervisor_unharmed "$to" || return 1
    awk '
        match($0, /\[t\] spin weight=[0-9]+ vcpu=0 real=[0-9]+ virtual=[0-9]+/) {
            n = split(substr($0, RSTART, RLENGTH), word, /[ =]/)
            weight = word[4]; real = word[8]; virtual = word[10]
            if (!(weight in first_real)) { first_real[weight] = real; first_virtual[weight] = virtual }
            last_real[weight] = real; last_virtual[weight] = virtual; lines[weight]++
        }
        END {
            for (weight in last_real) { domains++; weights += weight; run = last_virtual[weight] - first_virtual[weight]; total += run }
            if (domains != 4) { print domains + 0 " of 4 domains reported"; exit 1 }
            for (weight in last_real) {
                run = last_virtual[weight] - first_virtual[weight]
                got = run / total; want = weight / weights
                text = text sprintf("weight %d: %.4f of %.4f; ", weight, got, want)
                if (got > want * 1.01 || got < want * 0.99) bad = 1
                if (last_real[weight] - first_real[weight] < 9000000000) bad = 1
            }
            print text
            exit bad
        }' "$to"
}

# Two CPU-bound domains beside one that does all kinds of costly things, all of one weight on one CPU: in each of its phases both get their third at least, within 1%.
judge_pest() {
    local to=$1
    hypervisor_unharmed "$to" || return 1
    awk -v wanted="${2:-9}" -v fair="${3:-0.3333}" '
        match($0, /\[t\] pest phase=[a-z]+ from=[0-9]+ to=[0-9]+/) {
            split(substr($0, RSTART, RLENGTH), word, /[ =]/)
            phases++; name[phases] = word[4]; from[phases] = word[6] + 200000000; to[phases] = word[8]
        }
        match($0, /\[t\] spin weight=[0-9]+ vcpu=0 real=[0-9]+ virtual=[0-9]+/) {
            split(substr($0, RSTART, RLENGTH), word, /[ =]/)
            who = word[4]; real = word[8]; virtual = word[10]
            if (phases == 0 || real < from[phases] || real > to[phases]) next
            if (!((phases, who) in first_real)) { first_real[phases, who] = real; first_virtual[phases, who] = virtual }
            last_real[phases, who] = real; last_virtual[phases, who] = virtual
        }
        END {
            for (i = 1; i <= phases; i++) {
                if (from[i] + 3000000000 > to[phases]) break # the last may be cut short
                text = text name[i]
                for (who = 1; who <= 2; who++) {
                    real = last_real[i, who] - first_real[i, who]
                    if (real < 2500000000) { text = text " (too few reports)"; bad = 1; continue }
                    share = (last_virtual[i, who] - first_virtual[i, who]) / real
                    text = text sprintf(" %.4f", share)
                    if (share < fair * 0.99) bad = 1
                }
                text = text "; "
                seen++
            }
            print text
            if (seen < wanted) { print seen + 0 " of " wanted " phases"; bad = 1 }
            exit bad
        }' "$to"
}

# Guests that look at all that they read, beside a Domain0 that swaps modules.
judge_load() {
    local to=$1 late=$2
    if [ "$late" = 1 ]; then
        echo "stopped at the time limit; last line: $(tail -n 2 "$to" | head -n 1)"
        return 1
    fi
    grep -q '\[t\] FAIL' "$to" && { echo "first: $(grep -m1 -o '\[t\] FAIL.*' "$to")"; return 1; }
    hypervisor_unharmed "$to" || return 1
    grep -o '\[t\] load seconds=.*' "$to" | cut -c5- | tr -d '\n'
    grep -q '\[t\] load seconds=' "$to"
}

[ -x /usr/bin/qemu-system-x86_64 ] || { echo 'needs qemu-system-x86'; exit 2; }
mkdir -p $log
if [ $peer = xen ]; then
    xen=$(ls /boot/xen-*-amd64.gz 2> /dev/null | tail -n 1)
    [ -n "$xen" ] || { echo "needs Debian's xen-hypervisor package"; exit 2; }
    gzip -dc "$xen" > $out/xen
fi

passed=0
bad=0
while IFS='|' read -r name kernel args outcome seconds options words; do
    wanted "$name" || continue
    if [ $list = yes ]; then
        echo "$name"
        continue
    fi
    cpus=$smp
    case $name in *-shared-cpu) cpus=1 ;; esac
    case $args in smp=*) # of the machine, not of the kernel
        cpus=${args#smp=}
        options=${cpus#* }
        [ "$options" = "$cpus" ] && options=
        cpus=${cpus%% *}
        args= ;;
    esac
    to=$out/.run-$$.log # of this run alone, until it has been judged
    late=0
    make_machine "$words"
    if [ "$outcome" = shares ]; then
        [ $peer = xen ] && continue
        modules="$out/spin.elf role=idle"
        modules+=",/dev/null"
        for weight in 1 2 4 8; do
            modules+=",$out/spin.elf name=w$weight mem=16M vcpus=1 weight=$weight -- domu=1 weight=$weight"
        done
        boot "$to" "$seconds" 1 "$modules" -icount shift=2,sleep=off || late=1
        why=$(if [ $late = 1 ]; then echo 'stopped at the time limit'; false; else judge_shares "$to"; fi)
    elif [ "$outcome" = pest ]; then
        modules="$out/spin.elf role=idle seconds=33,/dev/null,$out/pest.elf name=pest mem=16M vcpus=1 weight=1 -- domu=1 $args"
        for who in 1 2; do
            modules+=",$out/spin.elf name=bystander$who mem=16M vcpus=1 weight=1 -- weight=$who report_ms=100"
        done
        boot "$to" "$seconds" 1 "$modules" -icount shift=4,sleep=off || late=1
        why=$(if [ $late = 1 ]; then echo 'stopped at the time limit'; false; else judge_pest "$to"; fi)
    elif [ "$outcome" = load ]; then
        modules="$out/$kernel.elf role=dom0 $args,/dev/null"
        for who in 1 2 3; do
            modules+=",$out/$kernel.elf name=guest$who mem=24M vcpus=1 weight=1 -- role=guest seed=$((seed * 10 + who))"
        done
        boot "$to" "$seconds" "$cpus" "$modules" "${machine[@]}" || late=1
        why=$(judge_load "$to" $late)
    elif [ "$outcome" = flood ]; then
        modules="$out/$kernel.elf role=dom0 guests=1 swap_ms=0 seconds=1,/dev/null"
        modules+=",$out/$kernel.elf name=flood mem=24M vcpus=2 weight=1 -- role=flood $args"
        for who in 1 2; do
            modules+=",$out/spin.elf name=bystander$who mem=16M vcpus=1 weight=1 -- weight=$who report_ms=100"
        done
        boot "$to" "$seconds" 1 "$modules" "${machine[@]}" -icount shift=4,sleep=off || late=1
        why=$(if [ $late = 1 ]; then echo 'stopped at the time limit'; false; else judge_pest "$to" 5 0.25; fi)
    elif [ "${outcome#domu}" != "$outcome" ]; then
        modules="$out/spin.elf role=idle seconds=$((seconds / 2)) until=2,/dev/null"
        modules+=",$out/$kernel.elf name=attacker mem=32M vcpus=2 weight=1 -- $args"
        modules+=",$out/abi-bare.elf name=bystander mem=32M vcpus=2 weight=1 -- domu=2 quiet=1"
        boot "$to" "$seconds" "$cpus" "$modules" || late=1
        why=$(if [ $late = 1 ]; then echo 'stopped at the time limit'; false; else judge_domu "$to" "$outcome"; fi)
    else
        [ $peer = xen ] && args="$args end=reboot peer=xen"
        boot "$to" "$seconds" "$cpus" "$out/$kernel.elf $args" "${machine[@]}" || late=1
        why=$(judge "$to" "$outcome" $late && judge_disks "$to")
    fi
    good=$?
    mv "$to" "$log/$(echo "$name" | tr / -).log"
    if [ $good -eq 0 ]; then
        passed=$((passed + 1))
        echo "ok $name${why:+ ($why)}"
    else
        bad=$((bad + 1))
        echo "not ok $name: $why"
    fi
done < <(boots)
[ $list = yes ] && exit 0
echo "$passed passed, $bad failed"
[ $bad -eq 0 ]
