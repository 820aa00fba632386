# SPDX-License-Identifier: MIT
# shellcheck shell=sh
#
# For scripts that run in Domain0 and test it: results are lines "ok NAME" and "not ok NAME", which tests/boot/drive counts on the console.
# Nothing here waits without a limit. Commands under test get 30 seconds unless said otherwise.
log=/tmp/check.out

check() { # name, command...
    check_name=$1
    shift
    if "$@" >"$log" 2>&1; then
        echo "ok $check_name"
    else
        echo "not ok $check_name"
        sed 's/^/#   /' "$log" | tail -n 20
    fi
}

# within SECONDS command...: until it succeeds.
within() {
    until_cs=$(($(uptime_cs) + $1 * 100))
    shift
    while ! "$@"; do
        [ "$(uptime_cs)" -lt "$until_cs" ] || return 1
        sleep 0.5
    done
}
uptime_cs() { cut -d' ' -f1 /proc/uptime | tr -d .; }

# c WORDS...: `collet`, never for longer than half a minute.
c() { timeout "${limit:-30}" collet "$@"; }

# refused EXIT TEXT command...: it ends with that status, and says that (an extended expression).
refused() {
    want=$1
    text=$2
    shift 2
    "$@" >/tmp/refused.out 2>&1
    got=$?
    cat /tmp/refused.out
    echo "exit $got, wanted $want and /$text/"
    [ "$got" = "$want" ] && grep -qE "$text" /tmp/refused.out
}

# says TEXT command...: succeeds, and prints that.
says() { refused 0 "$@"; }

# member NAME: its first value in JSON on standard input. (jq takes a second or more to start under emulation: not for polling.)
member() { tr ',{' '\n\n' | sed -n "s/^ *\"$1\": *\"\{0,1\}\([^\"}]*\).*/\1/p" | head -n 1; }
# of DOMAIN FIELD: a member of its entry in `collet list --json`; empty if there is no such domain.
of() { c list "$1" --json 2>/dev/null | member "$2"; }
is() { # DOMAIN FIELD VALUE
    now=$(of "$1" "$2")
    echo "$1 $2: $now"
    [ "$now" = "$3" ]
}
gone() { [ -z "$(of "$1" domid)" ]; }
state_is() { # DOMAIN STATE|STATE...
    now=$(of "$1" state)
    echo "$1: $now"
    case "|$2|" in *"|$now|"*) return 0 ;; esac
    return 1
}

# xenconsoled's log of its console.
console_of() { cat "/var/log/collet/console/guest-$1.log" 2>/dev/null; }
# spoke NAME TEXT: its console's log has that, and since `console_mark NAME` if there was one.
console_mark() { console_of "$1" | wc -c >"/tmp/mark.$1"; }
spoke() { console_of "$1" | tail -c +"$(($(cat "/tmp/mark.$1" 2>/dev/null || echo 0) + 1))" | grep -qE "$2"; }

# definition NAME LINE...: writes /tmp/NAME.ini for a quick Debian guest; lines of the form "key = value" replace or add.
definition() {
    ini=/tmp/$1.ini
    {
        echo "[domain]"
        printf '%s\n' "name = $1" "kernel = /boot/debian.vmlinuz" "ramdisk = /boot/domu.cpio" "cmdline = console=hvc0 pci=off quiet domu.name=$1" "memory = 128M"
    } >"$ini"
    shift
    for line; do
        case $line in
        '['*) echo "$line" >>"$ini" ;;
        *)
            grep -v "^${line%%=*}=" "$ini" >"$ini.new"
            mv "$ini.new" "$ini"
            echo "$line" >>"$ini"
            ;;
        esac
    done
}
# tiny NAME COMMAND-LINE LINE...: the same for a tiny kernel.
tiny() {
    ini=/tmp/$1.ini
    name=$1
    words=$2
    shift 2
    printf '%s\n' "[domain]" "name = $name" "kernel = /boot/tiny/spin.elf" "cmdline = quiet=1 report=0 $words" "memory = 16M" "$@" >"$ini"
}
memory_free() { c info --json | member memory_free_bytes; }
domid_of() { of "$1" domid; }
