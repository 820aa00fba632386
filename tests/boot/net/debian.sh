# SPDX-License-Identifier: MIT
# shellcheck shell=sh disable=SC2154
#
# In Domain0: an unmodified Debian system with a network interface; systemd gives it the addresses that its command line names.
. /test/net-lib.sh

debian_guest deb part:disk0p1 "[vif 0]" "ip = 10.0.2.16, fec0::16"
sed -i 's|^cmdline = .*|& ip=10.0.2.16::10.0.2.2:255.255.255.0::eth0:off ip=[fec0::16]::[fec0::2]:64::eth0:off|' /tmp/deb.ini
check "create a Debian system with a disk and an interface" timeout 60 collet create /tmp/deb.ini
check "it comes to its login" login_comes deb
check "Domain0 reaches it" within 60 answers 10.0.2.16
check "and by IPv6" within 30 answers fec0::16
host_turn debian
check "log in" log_in deb
check "it reaches the gateway" says ' 0% packet loss' guest deb 30 'ping -c 3 -W 2 10.0.2.2'
check "it shuts down" shut_down deb
