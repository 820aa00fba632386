# SPDX-License-Identifier: MIT
# shellcheck shell=sh
#
# In Domain0: the policy plugins do what they say, and the bad ones of tests/plugins (in /test/plugins) harm nobody.
. /test/lib.sh

create() { limit=120 c create "$@"; }
plugin() { c plugin show "$1" --json | jq -r ".plugin.$2"; }
plugin_is() { # NAME MEMBER VALUE
    now=$(plugin "$1" "$2")
    echo "$1 $2: $now"
    [ "$now" = "$3" ]
}
parameter() { c sched get "$1" "$2" | sed -n "s/.*$2=\([^ ]*\).*/\1/p" | head -n 1; }
parameter_is() { # DOMAIN PARAMETER VALUE
    now=$(parameter "$1" "$2")
    echo "$1 $2: $now"
    [ "$now" = "$3" ]
}
settings() { # NAME LINE...
    settings_of=$1
    shift
    mkdir -p /etc/collet/plugins
    printf '%s\n' "$@" >"/etc/collet/plugins/$settings_of.ini"
}

check "colletd answers" within 20 sh -c 'collet plugin list >/dev/null'
check "Domain0 keeps to CPU 0" c vcpu pin Domain-0 all 0
for n in 1 2 4; do
    tiny "s$n" "" "cpus = 1"
    check "create s$n, which spins on CPU 1" create "/tmp/s$n.ini"
done

# ---- shares ----
settings shares "[domain s1]" "share = 5%" "[domain s2]" "share = 10%" "[domain s4]" "share = 20%"
check "load shares" c plugin load shares
check "it runs" within 10 plugin_is shares state running
check "weights are in force" within 10 parameter_is s4 weight 2000
check "the rest is Domain0's" parameter_is Domain-0 weight 3250
check "show tells the arithmetic" says 'share 20%: 20% x 100 = 2000' c plugin show shares
# What each has run, in one look. An emulator that is kept waiting charges whoever ran then: that is paid back, but not within seconds.
ran() { c list --json | jq -r '[.domains[] | {key: .name, value: .run_ns}] | from_entries | "\(.s1) \(.s2) \(.s4)"'; }
shares_hold() {
    before=$(ran)
    sleep 10
    echo "$before $(ran)" | awk '{ split("1 2 4", w, " "); for (i = 1; i <= 3; i++) s += $(i + 3) - $i; for (i = 1; i <= 3; i++) { e = ($(i + 3) - $i) / s * 7 / w[i] - 1; print ($(i + 3) - $i) / 1e9, e; if (e > 0.05 || e < -0.05) bad = 1 } exit bad }'
}
check "measured shares are 1:2:4 within 5%" within 40 shares_hold
settings shares "[domain s1]" "share = 60%" "[domain s2]" "share = 41%"
check "shares above 100% are refused with file and line" refused 1 'shares.ini:4: share = 41%: with this one the shares add up to 101%' c plugin reload shares
check "and the old ones stay" parameter_is s4 weight 2000
check "the old plugin goes on" plugin_is shares state running
check "another scheduler gets the weights, too" c sched use stride
check "at once" within 10 parameter_is s4 weight 2000
check "and back" c sched use bvt
check "at once, too" within 10 parameter_is s4 weight 2000

# ---- a worker dies ----
started_anew() { c plugin show shares --json | jq -e --argjson pid "$pid" --argjson restarts "$restarts" '.plugin | .state == "running" and .pid != $pid and .restarts > $restarts'; }
worker_dies() {
    pid=$(plugin shares pid)
    restarts=$(plugin shares restarts)
    kill -9 "$pid" && parameter_is s4 weight 2000 && within 20 started_anew && parameter_is s4 weight 2000 && c plugin show shares | grep 'signal 9'
}
check "kill -9 of its worker: values stay, another one starts" worker_dies
rights_of() {
    pid=$(plugin shares pid)
    grep -E '^(Uid|CapEff|NoNewPrivs|Seccomp):' "/proc/$pid/status" | tr '\t' ' ' >/tmp/rights
    cat /tmp/rights
    ls -l "/proc/$pid/fd"
    grep -q '^Uid: 65534 65534' /tmp/rights && grep -q '^CapEff: 0*$' /tmp/rights && grep -q '^NoNewPrivs: 1' /tmp/rights && [ "$(find "/proc/$pid/fd" -mindepth 1 | wc -l)" = 4 ]
}
check "a worker is nobody, without capabilities and files" rights_of

# ---- latency ----
tiny tick "role=tick period_us=20000 work_us=500" "cpus = 1" "[plugin latency]" "latency = 5ms"
check "create tick, which waits for its timer" create /tmp/tick.ini
settings latency "[domain s1]" "latency = none"
check "load latency" c plugin load latency
check "warp, limit and unwarp are in force" within 10 parameter_is tick warp_limit_ns 1ms
check "unwarp" parameter_is tick unwarp_ns 9ms
check "the arithmetic is shown" says 'U = L x \(1/cpu - 1\) = 1 ms x \(1 vCPU / 10% - 1\)' c plugin show latency
settings latency "[domain tick]" "latency = 1us"
check "an impossible target is refused" refused 1 'latency.ini:2: latency = 1us: 1 us is less than a switch takes' c plugin reload latency
tiny late "role=tick" "[plugin latency]" "latency = 2ms" "burst = 6ms"
check "one that would break another's is refused at creation, with numbers" refused 1 'latency = 5 ms of tick cannot be kept: it may wait 6.3 ms' create /tmp/late.ini
check "and nothing of it was made" gone late

# ---- autowarp ----
tiny busy "role=tick period_us=10000 work_us=200" "cpus = 1"
check "create busy, which wakes often and runs briefly" create /tmp/busy.ini
check "load autowarp" c plugin load autowarp
check "it finds it" within 20 parameter_is busy warp_ns 20ms
check "and leaves those that compute" parameter_is s4 warp_ns 0
check "and what latency has set" parameter_is tick warp_limit_ns 1ms
check "unload: what was set stays" c plugin unload autowarp
check "it does" parameter_is busy warp_ns 20ms

# ---- admission ----
check "load admission" c plugin load admission
tiny vast "" "maxmem = 1T"
check "memory that is not there is refused, with the sums" refused 1 'memory: vast may grow to .* MiB are left' create /tmp/vast.ini
tiny dear "" "[plugin admission]" "cpu = 1000%"
check "processor time that is not there is refused, with the sums" refused 1 'processor time: dear is to be promised 1000%.* are left' create /tmp/dear.ini
check "nothing of them was made" sh -c '! collet list | grep -qE "vast|dear"'
tiny small ""
check "what fits is created" create /tmp/small.ini
check "and destroyed" c destroy small

# ---- bad ones ----
if [ -d /test/plugins ]; then
    cp /test/plugins/*.so /usr/lib/collet/plugins/
    list="crash-load crash-update hang-update leak nan infinite negative range huge parameter domain vcpu twice many wire silent-exit"
    for bad in $list; do
        c plugin load "$bad" >/dev/null 2>&1
    done
    failed_once() { c plugin show "$1" --json | jq -e '.plugin | .failures > 0 and .values == []'; }
    contained() { within 20 failed_once "$1" && c plugin show "$1" | grep -E 'last error|error:'; }
    for bad in $list; do
        check "bad plugin $bad: contained and told" contained "$bad"
        c plugin unload "$bad" >/dev/null 2>&1
    done
    check "nothing was changed by them" parameter_is s4 weight 2000
    for bad in api short-size other-name no-kind no-update no-symbol wrong-symbol refuse-configure; do
        check "bad plugin $bad: refused" refused 1 '.' c plugin load "$bad"
        c plugin unload "$bad" >/dev/null 2>&1
    done
    check "load one that never answers a creation" c plugin load admit-hang
    check "then a creation is refused, with its name" refused 1 'admit-hang' create /tmp/small.ini
    settings admit-hang "[host]" "on_failure = allow"
    check "unless its settings say otherwise" c plugin reload admit-hang
    check "then it goes through" create /tmp/small.ini
    check "unload it" c plugin unload admit-hang
fi
check "no other plugin has noticed" plugin_is shares state running
check "shares still hold" within 40 shares_hold

# ---- the end ----
workers() { pidof plugin-worker | wc -w; }
for name in shares latency admission; do
    check "unload $name" c plugin unload "$name"
done
none_left() { [ "$(workers)" = 0 ]; }
check "no worker is left" within 10 none_left
rm -f /etc/collet/plugins/*.ini # other scripts may come after this one
for name in s1 s2 s4 tick busy small; do
    check "destroy $name" c destroy "$name"
done
