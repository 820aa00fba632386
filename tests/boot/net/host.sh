# SPDX-License-Identifier: MIT
# shellcheck shell=sh disable=SC2154
#
# In Domain0, after basic.sh: the host reaches a guest's web server and Domain0's secure shell by forwarded ports.
. /test/net-lib.sh

check "secure shell is there" within 20 sh -c 'netstat -ltn | grep -q ":22 "'
host_turn reaches
echo "written by Domain0" >/tmp/for-the-host
host_turn shell
check "the host has left a file here" sh -c '[ "$(sha256sum </tmp/from-the-host)" = "$(cat /tmp/from-the-host.sum)" ]'
