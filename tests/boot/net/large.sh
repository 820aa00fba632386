# SPDX-License-Identifier: MIT
# shellcheck shell=sh disable=SC2154
#
# In Domain0, after basic.sh: a rule file of 100,000 lines is checked and loaded while packets flow; one that does not fit into the hypervisor's memory, and what is no rule file at all, change nothing.
. /test/net-lib.sh

large() { limit=${seconds:-120} c "$@"; }
still() { answers 10.0.2.17 && no_page 10.0.2.16; } # it judges: its last rule, and what none is about
{
    awk 'BEGIN { srand(5); for (i = 0; i < 99999; i++) printf "drop in on b proto udp from 198.%d.%d.%d to any port %d\n", 18 + i % 2, rand() * 256, rand() * 256, 1 + rand() * 65000 }'
    echo 'drop in on a proto tcp from any to any port 80'
} >/tmp/large.rules
check "a file of 100,000 rules is right" says '^100000 rules, ' large rules check /tmp/large.rules
started=$(uptime_cs)
guest_begin a "peer flood 10.0.2.17 20 100"
check "it is loaded while packets flow" large rules load /tmp/large.rules
echo "# checked, compiled and loaded in $(($(uptime_cs) - started)) hundredths of a second"
check "its last rule judges" no_page 10.0.2.16
check "what none is about passes" answers 10.0.2.17
check "the flood ends" guest_end a 90

# A domain that takes nearly all that is free: two such sets do not fit into the rest.
free=$(c info --json | member memory_free_bytes)
net_guest hog 90
check "a domain takes most of the memory" env limit=120 timeout 120 collet create --paused /tmp/hog.ini "memory=$((free / 1048576 - 48))M"
check "there is none for the set beside itself: this is said" refused 1 'not enough memory' large rules load /tmp/large.rules
check "and the one before is in force" still
check "the domain goes" env limit=60 timeout 60 collet destroy hog

head -c 1000000 /dev/urandom >/tmp/random.rules
cp /bin/busybox /tmp/program.rules
head -c 10000000 /dev/zero | tr '\0' x >/tmp/line.rules
{ printf 'drop in on "' && cat /tmp/line.rules; } >/tmp/quote.rules
tr '\0' '\n' </tmp/random.rules >/tmp/text.rules
printf 'drop in on a\n\0accept in on a\n' >/tmp/zero.rules
{ head -n 99999 /tmp/large.rules && echo 'dorp in on a'; } >/tmp/last.rules
garbage() { # FILE TEXT
    check "a load of garbage is refused, with the reason: $1" refused 1 "$2" large rules load "/tmp/$1.rules"
}
garbage random 'random.rules: no text: it has zeros'
garbage program 'program.rules: no text: it has zeros'
garbage zero 'zero.rules: no text: it has zeros'
garbage line 'line.rules:1:1: .*not understood'
garbage quote 'quote.rules:1:12: a quotation that does not end'
garbage text 'text.rules:[0-9]*:[0-9]*: '
garbage last "last.rules:100000:1: .*did you mean 'drop'"
check "and the one before is in force still" still
check "flush" c rules flush
check "the page is there again" says 'hello from a' page 10.0.2.16
rm -f /tmp/*.rules
