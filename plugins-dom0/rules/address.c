// SPDX-License-Identifier: MIT
/*
 * Addresses, prefixes and ranges of the rule language, and its words for services, protocols, ICMP types and ethertypes. The words are ours and not those of /etc/services, so that a rule means the same everywhere.
 * Contract: ast.h. Tests: test-rules.c.
 */
#include "ast.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

struct named {
    const char *name;
    int number;
};

static const struct named services[] = {
    { "echo", 7 }, { "discard", 9 }, { "ftp-data", 20 }, { "ftp", 21 }, { "ssh", 22 }, { "telnet", 23 }, { "smtp", 25 }, { "time", 37 }, { "domain", 53 }, { "dns", 53 }, { "dhcp-server", 67 }, { "bootps", 67 },
    { "dhcp-client", 68 }, { "bootpc", 68 }, { "tftp", 69 }, { "http", 80 }, { "kerberos", 88 }, { "pop3", 110 }, { "sunrpc", 111 }, { "ntp", 123 }, { "netbios-ns", 137 }, { "netbios-dgm", 138 },
    { "netbios-ssn", 139 }, { "imap", 143 }, { "snmp", 161 }, { "snmp-trap", 162 }, { "bgp", 179 }, { "ldap", 389 }, { "https", 443 }, { "smb", 445 }, { "isakmp", 500 }, { "syslog", 514 },
    { "submission", 587 }, { "ipp", 631 }, { "ldaps", 636 }, { "rsync", 873 }, { "imaps", 993 }, { "pop3s", 995 }, { "openvpn", 1194 }, { "radius", 1812 }, { "nfs", 2049 }, { "mysql", 3306 },
    { "rdp", 3389 }, { "sip", 5060 }, { "iperf3", 5201 }, { "mdns", 5353 }, { "postgresql", 5432 }, { "vnc", 5900 }, { "redis", 6379 }, { "wireguard", 51820 }, { NULL, 0 },
};
static const struct named protocols[] = {
    { "icmp", 1 }, { "igmp", 2 }, { "ipip", 4 }, { "tcp", 6 }, { "udp", 17 }, { "dccp", 33 }, { "ipv6", 41 }, { "gre", 47 }, { "esp", 50 }, { "ah", 51 }, { "icmp6", 58 }, { "icmpv6", 58 }, { "ipv6-icmp", 58 },
    { "ospf", 89 }, { "vrrp", 112 }, { "sctp", 132 }, { "udplite", 136 }, { NULL, 0 },
};
static const struct named icmp4[] = {
    { "echo-reply", 0 }, { "unreachable", 3 }, { "destination-unreachable", 3 }, { "source-quench", 4 }, { "redirect", 5 }, { "echo-request", 8 }, { "router-advertisement", 9 }, { "router-solicitation", 10 },
    { "time-exceeded", 11 }, { "parameter-problem", 12 }, { "timestamp-request", 13 }, { "timestamp-reply", 14 }, { NULL, 0 },
};
static const struct named icmp6[] = {
    { "unreachable", 1 }, { "destination-unreachable", 1 }, { "packet-too-big", 2 }, { "time-exceeded", 3 }, { "parameter-problem", 4 }, { "echo-request", 128 }, { "echo-reply", 129 }, { "mld-query", 130 },
    { "mld-report", 131 }, { "router-solicitation", 133 }, { "router-advertisement", 134 }, { "neighbour-solicitation", 135 }, { "neighbor-solicitation", 135 }, { "neighbour-advertisement", 136 },
    { "neighbor-advertisement", 136 }, { "redirect", 137 }, { NULL, 0 },
};
static const struct named ethertypes[] = {
    { "ip", 0x0800 }, { "ip4", 0x0800 }, { "arp", 0x0806 }, { "rarp", 0x8035 }, { "ip6", 0x86dd }, { "lldp", 0x88cc }, { "pppoe", 0x8864 }, { "mpls", 0x8847 }, { NULL, 0 },
};

const char *const rules_service_names[] = { "ftp", "ssh", "telnet", "smtp", "domain", "dns", "dhcp-server", "dhcp-client", "tftp", "http", "pop3", "ntp", "imap", "snmp", "ldap", "https", "smb", "syslog",
    "submission", "ldaps", "rsync", "imaps", "openvpn", "nfs", "mysql", "rdp", "sip", "iperf3", "mdns", "postgresql", "vnc", "redis", "wireguard", NULL };
const char *const rules_protocol_names[] = { "icmp", "igmp", "tcp", "udp", "dccp", "gre", "esp", "ah", "icmp6", "ospf", "vrrp", "sctp", "udplite", NULL };

static int look_up(const struct named *list, const char *word)
{
    for (; list->name != NULL; list++)
        if (strcmp(list->name, word) == 0)
            return list->number;
    return -1;
}

int rules_service(const char *word)
{
    return look_up(services, word);
}

int rules_protocol(const char *word)
{
    return look_up(protocols, word);
}

int rules_icmp_type(const char *word, bool six)
{
    return look_up(six ? icmp6 : icmp4, word);
}

int rules_ethertype(const char *word)
{
    return look_up(ethertypes, word);
}

size_t rules_count(const char *const *names)
{
    size_t n = 0;

    while (names[n] != NULL)
        n++;
    return n;
}

bool rules_mac_parse(const char *text, uint8_t to[6])
{
    unsigned int b[6];
    char end;

    if (sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%c", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5], &end) != 6)
        return false;
    for (int i = 0; i < 6; i++)
        to[i] = (uint8_t)b[i];
    return true;
}

/* Set the bits behind the first `bits` of an address; true: there were ones among them. */
static bool fill_behind(uint8_t *address, unsigned int bytes, unsigned int bits, bool ones)
{
    bool any = false;

    for (unsigned int i = 0; i < bytes; i++) {
        unsigned int keep = bits >= 8 * (i + 1) ? 8 : bits > 8 * i ? bits - 8 * i : 0;
        uint8_t mask = (uint8_t)(0xff >> keep);

        any = any || (address[i] & mask) != 0;
        address[i] = ones ? address[i] | mask : address[i] & (uint8_t)~mask;
    }
    return any;
}

bool rules_address_parse(struct rules_run *run, const struct rules_pos *pos, const char *text, struct rules_elem *to)
{
    char host[INET6_ADDRSTRLEN + 8], hint[128], shown[INET6_ADDRSTRLEN];
    const char *slash = strchr(text, '/');
    size_t length = slash != NULL ? (size_t)(slash - text) : strlen(text);
    unsigned int bytes, most;
    unsigned long bits;
    char *end;

    *to = (struct rules_elem){ .pos = *pos, .kind = RULES_ADDRESS };
    if (length >= sizeof(host))
        length = sizeof(host) - 1;
    memcpy(host, text, length);
    host[length] = 0;
    to->family = strchr(host, ':') != NULL ? 6 : 4;
    if (inet_pton(to->family == 6 ? AF_INET6 : AF_INET, host, to->low) != 1) {
        rules_error(run, pos, to->family == 4 ? "four numbers from 0 to 255, as 10.0.2.16 or 10.0.0.0/8" : "as fec0::16 or fec0::/64", "'%.80s' is no address", text);
        return false;
    }
    bytes = to->family == 6 ? 16 : 4;
    most = bytes * 8;
    bits = most;
    if (slash != NULL) {
        bits = strtoul(slash + 1, &end, 10);
        if (slash[1] == 0 || *end != 0 || bits > most) {
            snprintf(hint, sizeof(hint), "/0 to /%u", most);
            rules_error(run, pos, hint, "'%.80s': so many bits an IPv%d address has not", text, to->family);
            return false;
        }
    }
    to->bits = (uint8_t)bits;
    memcpy(to->high, to->low, bytes);
    if (fill_behind(to->low, bytes, to->bits, false)) {
        inet_ntop(to->family == 6 ? AF_INET6 : AF_INET, to->low, shown, sizeof(shown));
        snprintf(hint, sizeof(hint), "taken as %.60s/%lu", shown, bits);
        rules_warn(run, pos, hint, "'%.80s' has ones behind its prefix", text);
    }
    fill_behind(to->high, bytes, to->bits, true);
    return true;
}

bool rules_address_join(struct rules_run *run, struct rules_elem *low, const struct rules_elem *high)
{
    if (low->family != high->family) {
        rules_error(run, &low->pos, NULL, "a range from IPv%d to IPv%d", low->family, high->family);
        return false;
    }
    if (memcmp(low->low, high->high, 16) > 0) {
        rules_error(run, &low->pos, "the smaller address first", "a range that ends before it begins");
        return false;
    }
    memcpy(low->high, high->high, 16);
    low->range = true;
    return true;
}
