# SPDX-License-Identifier: MIT
# shellcheck shell=sh
#
# In Domain0: plugins come, go and misbehave; daemons are killed; guests notice nothing.
. /test/lib.sh

definition web "vcpus = 1" "cmdline = console=hvc0 pci=off quiet domu.name=web domu.run=latency"
check "a guest" sh -c 'limit=120; timeout 120 collet create /tmp/web.ini'
check "it speaks" within 60 spoke web 'domU: hello web'
tiny busy "" 
check "and a busy one" c create /tmp/busy.ini

plugin_is() { # NAME STATE
    c plugin list --json | jq -r --arg n "$1" '.plugins[] | select(.name == $n).state' >/tmp/state
    echo "$1: $(cat /tmp/state)"
    [ "$(cat /tmp/state)" = "$2" ]
}
unloaded() { ! c plugin list --json | jq -e --arg n "$1" '.plugins[] | select(.name == $n)' >/dev/null; }
for plugin in shares latency autowarp admission; do
    [ -e "/usr/lib/collet/plugins/$plugin.so" ] || continue
    check "plugin load $plugin" c plugin load $plugin
    check "it runs" within 10 plugin_is $plugin running
    check "plugin show $plugin" says "$plugin" c plugin show $plugin
    check "plugin reload $plugin" c plugin reload $plugin
    check "it runs again" within 10 plugin_is $plugin running
    check "plugin unload $plugin" c plugin unload $plugin
    check "it is gone" within 10 unloaded $plugin
done
check "a plugin that does not exist is refused" refused '3' 'nosuch' c plugin load nosuch

# Who runs is looked at before and after.
runs_on() {
    before=$(of "$1" run_ns)
    sleep 1
    [ "$(of "$1" run_ns)" -gt "$before" ]
}
check "a plugin loaded by hand" c plugin load autowarp
kill_daemon() {
    kill -9 "$(pidof colletd)" || return 1
    sleep 1
    runs_on busy && runs_on web
}
check "kill -9 colletd: guests run on" kill_daemon
check "the CLI's list works without it" says web c list
check "what needs it says so: exit code 5" refused 5 'colletd' c shutdown web
check "colletd starts again" timeout 30 colletd --daemon
check "and knows its guests" within 20 sh -c 'collet list --json | jq -e ".domains[] | select(.name == \"web\").on_crash"'
check "and its plugins" within 20 plugin_is autowarp running
console_runs() {
    (sleep 2; printf 'echo a$((20 + 1))b\r'; sleep 4; printf '\035') | timeout 20 collet console web >/tmp/console.out 2>&1
    cat /tmp/console.out
    grep -q a21b /tmp/console.out
}
check "consoles work" console_runs
kill_console_daemon() {
    old=$(pidof xenconsoled)
    kill -9 "$old" || return 1
    within 20 sh -c "now=\$(pidof xenconsoled); [ -n \"\$now\" ] && [ \"\$now\" != \"$old\" ]"
}
check "kill -9 xenconsoled: it is started again" kill_console_daemon
check "guests run on" runs_on busy
check "consoles work again" console_runs
kill_worker() {
    kill -9 $(pidof plugin-worker) || return 1
    within 30 plugin_is autowarp running && runs_on busy
}
check "kill -9 of a plugin's worker: it comes back" kill_worker
kill_store() {
    kill -9 "$(pidof xenstored)" || return 1
    sleep 2
    runs_on busy && runs_on web
}
check "kill -9 xenstored: guests run on" kill_store
check "it is reported" within 10 sh -c 'grep -q xenstored /var/log/collet/colletd.log'
store_is_back() { timeout 10 xenstore-read "/local/domain/$(domid_of web)/name" | grep -q web; }
check "a new xenstored is started, and knows them" within 20 store_is_back
check "consoles work with it" within 30 console_runs
check "what they cannot hear is refused, with the reason" refused 1 'xenstored' c shutdown web
kill_all_three() {
    kill -9 $(pidof colletd xenstored xenconsoled) || return 1
    sleep 1
    runs_on busy && runs_on web && timeout 30 colletd --daemon
}
check "kill -9 of all three daemons: guests run on, colletd starts again" kill_all_three
check "consoles work again" within 30 console_runs
check "destroy" c destroy busy
check "both are gone" sh -c 'collet destroy web; sleep 1; [ "$(collet list --json | jq ".domains | length")" = 1 ]'
