# SPDX-License-Identifier: MIT
# shellcheck shell=sh disable=SC2154
#
# In Domain0, after basic.sh: plugins of the network rules, one after the other and together; lists that change; a daemon that is killed; rules by hand.
. /test/net-lib.sh

mkdir -p /etc/collet/plugins /etc/collet/firewall
c rules flush >/dev/null 2>&1 # of those by hand nothing must be left
rm -f /etc/collet/plugins/blocklist.ini /etc/collet/plugins/ratelimit.ini /etc/collet/plugins/firewall.ini
b_has_page_of_a() { guest_can b 15 'peer page 10.0.2.16'; }
b_has_no_page_of_a() { ! b_has_page_of_a; }

# ---- blocklist ----
bad_hosts() {
    awk 'BEGIN { srand(7); for (i = 0; i < 100000; i++) printf "%d.%d.%d.0/24\n", 11 + int(rand() * 180), int(rand() * 256), int(rand() * 256) }' >/etc/collet/bad-hosts.new
    printf '%s\n' "$@" >>/etc/collet/bad-hosts.new
    mv /etc/collet/bad-hosts.new /etc/collet/bad-hosts
}
bad_hosts '10.0.2.17 # b'
printf '%s\n' '[list bad-hosts]' 'file = /etc/collet/bad-hosts' 'on = a' >/etc/collet/plugins/blocklist.ini
check "b has a page of a" b_has_page_of_a
check "plugin blocklist, with 100,000 prefixes" c plugin load blocklist
check "b has none any more" within 20 b_has_no_page_of_a
check "Domain0 has" says 'hello from a' page 10.0.2.16
bad_hosts
check "b is taken out of the file: it has again" within 20 b_has_page_of_a
echo '10.0.2.999' >/etc/collet/bad-hosts
sleep 5
check "a mistake in the file is told with its line" says 'bad-hosts:1:' cat /var/log/collet/colletd.log
check "and harms nobody" says 'hello from a' page 10.0.2.16
bad_hosts

# ---- ratelimit ----
printf '%s\n' '[domain a]' 'per_source = 5/s' >/etc/collet/plugins/ratelimit.ini
check "plugin ratelimit" c plugin load ratelimit
fewer() {
    sleep 1
    ping -i 0.02 -c 100 -W 1 10.0.2.16 >/tmp/pings
    tail -n 3 /tmp/pings
    got=$(sed -n 's/.* \([0-9]*\) \(packets \)*received.*/\1/p' /tmp/pings)
    [ "$got" -ge 3 ] && [ "$got" -le 60 ]
}
check "of a hundred pings in two seconds, some get through" within 15 fewer
check "another guest is not limited" says ' 0% packet loss' ping -i 0.02 -c 50 -W 2 10.0.2.17
check "the rule counts what it dropped" says 'ratelimit a per_source' c rules show
check "unload" c plugin unload ratelimit
check "and no ping is lost" within 10 sh -c 'ping -i 0.02 -c 50 -W 2 10.0.2.16 | grep " 0% packet loss"'

# ---- firewall ----
printf '%s\n' '[set friends]' 'addresses = 10.0.2.17, fec0::17' '[group servers]' 'domains = a*' 'rules = servers.rules' 'open = icmp' >/etc/collet/plugins/firewall.ini
echo 'accept in on servers from friends proto tcp to any port 80' >/etc/collet/firewall/servers.rules
check "plugin firewall" c plugin load firewall
check "Domain0 has no page of a" within 15 no_page 10.0.2.16
check "b, a friend, has" b_has_page_of_a
check "ping is open" answers 10.0.2.16
check "b is not closed" says 'hello from b' page 10.0.2.17
check "what a begins itself has its answers" says 'hello from b' guest a 20 'peer page 10.0.2.17'
echo 'accept in on servers proto tcp to any port 80' >/etc/collet/firewall/servers.rules
check "the rule file changes: Domain0 has a page" within 20 page 10.0.2.16
echo 'acept in on servers' >/etc/collet/firewall/servers.rules
sleep 5
check "a mistake is told with file and line" says 'servers.rules:1:1' cat /var/log/collet/colletd.log
check "at the plugin too" says 'servers.rules:1:1' c plugin show firewall
check "and what was in force judges" says 'hello from a' page 10.0.2.16
printf '%s\n' '[domain b]' 'open = icmp' >>/etc/collet/plugins/firewall.ini
check "meanwhile another domain is closed" c plugin reload firewall
check "b has no page for Domain0" within 15 no_page 10.0.2.17
sed -i '/domain b/,$d' /etc/collet/plugins/firewall.ini
check "and opened again" c plugin reload firewall
check "b has a page for Domain0" within 15 page 10.0.2.17
echo '# nothing' >/etc/collet/firewall/servers.rules
check "nothing in the rule file: no page" within 20 no_page 10.0.2.16
check "a is renamed" c rename a www
sleep 5
check "and is closed as before" no_page 10.0.2.16
check "a is called a again" c rename www a

# ---- the daemon, and rules by hand ----
kill -9 "$(pidof colletd)"
check "colletd is killed: the rules judge" no_page 10.0.2.16
check "it starts again" timeout 30 colletd --daemon
plugins_run() { c plugin list >/tmp/plugins && grep -q 'firewall *running' /tmp/plugins && grep -q 'blocklist *running' /tmp/plugins; }
check "its plugins are back" within 20 plugins_run
check "and their rules" no_page 10.0.2.16
echo 'accept in' >/tmp/hand.rules
check "rules by hand" c rules load /tmp/hand.rules
check "go before those of plugins" says 'hello from a' page 10.0.2.16
echo '# again' >>/etc/collet/firewall/servers.rules
sleep 5
check "and stay" says 'hello from a' page 10.0.2.16
check "flushed" c rules flush
check "the plugins' are back" within 15 no_page 10.0.2.16
check "unload firewall" c plugin unload firewall
check "unload blocklist" c plugin unload blocklist
check "all is open" within 15 page 10.0.2.16
