# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# Runs in Domain0 (collet.run=/test/all): the scripts that test.scripts=NAME+NAME... names, then waits for a line and powers off in the ordinary way.
scripts=
for word in $(cat /proc/cmdline); do
    case $word in
    test.scripts=*) scripts=$(echo "${word#*=}" | tr '+' ' ') ;;
    esac
done
for script in $scripts; do
    echo "# $script"
    sh "/test/$script.sh"
done
echo "checks: done"
read -r _
/etc/stop
poweroff -f
