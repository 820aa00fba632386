// SPDX-License-Identifier: MIT
/*
 * A packet in words, for `collet rules explain`: "tcp from 10.0.2.16 port 4000 to 10.0.2.17 port 22 flags S in on web.0" becomes a frame, and a frame becomes such words.
 * Contract: judge.h. Tests: test-judge.c.
 */
#include "ast.h"

#include "judge.h"

#include <vfr/packet.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NAME_LETTERS 60u /* web is web.0 */

enum { ETHER_BYTES = 14, IP4_BYTES = 20, IP6_BYTES = 40 };

static const char flag_letters[] = "FSRPAUEW";
static const char *const states[] = { "none", "new", "established", "related", "invalid", NULL };
static const char *const all_words[] = { "tcp", "udp", "icmp", "icmp6", "arp", "ip", "ip6", "proto", "from", "to", "port", "flags", "type", "code", "state", "size", "vlan", "fragment", "in", "out", "on", "mac", NULL };

/* What was said. */
struct said {
    char from[64], to[64], on[VFR_NAME_MAX];
    int family, protocol, type, code, vlan;
    unsigned int ports[2], size, direction;
    uint8_t flags, state;
    bool arp, fragment, has_type;
    uint8_t mac[6];
};

static bool number(const char *word, unsigned long most, unsigned long *to)
{
    char *end;

    if (word == NULL)
        return false;
    *to = strtoul(word, &end, word[0] == '0' && word[1] == 'x' ? 16 : 10);
    return *end == 0 && end != word && *to <= most;
}

/* A word with a value behind it; NULL: fine, else what is wrong with the value. */
static const char *said_value(struct said *s, const char *word, const char *value, int side)
{
    unsigned long n = 0;
    int service;

    if (strcmp(word, "from") == 0 || strcmp(word, "to") == 0) {
        uint8_t bytes[16];

        s->family = strchr(value, ':') != NULL ? 6 : 4;
        snprintf(word[0] == 'f' ? s->from : s->to, 64, "%s", value);
        return inet_pton(s->family == 6 ? AF_INET6 : AF_INET, value, bytes) == 1 ? NULL : "an address";
    }
    if (strcmp(word, "port") == 0) {
        service = rules_service(value);
        if (service < 0 && !number(value, 65535, &n))
            return "a port, or a service";
        s->ports[side] = service >= 0 ? (unsigned int)service : (unsigned int)n;
        return NULL;
    }
    if (strcmp(word, "proto") == 0) {
        s->protocol = rules_protocol(value);
        if (s->protocol < 0 && number(value, 255, &n))
            s->protocol = (int)n;
        return s->protocol >= 0 ? NULL : "a protocol";
    }
    if (strcmp(word, "flags") == 0) {
        s->flags = 0;
        for (const char *c = value; *c != 0; c++) {
            if (strchr(flag_letters, *c) == NULL)
                return "letters of FSRPAUEW";
            s->flags |= (uint8_t)(1u << (strchr(flag_letters, *c) - flag_letters));
        }
        return NULL;
    }
    if (strcmp(word, "type") == 0) {
        s->type = rules_icmp_type(value, s->protocol == 58);
        if (s->type < 0 && number(value, 255, &n))
            s->type = (int)n;
        s->has_type = true;
        return s->type >= 0 ? NULL : "an ICMP type";
    }
    if (strcmp(word, "state") == 0) {
        for (s->state = 0; states[s->state] != NULL; s->state++)
            if (strcmp(states[s->state], value) == 0)
                return NULL;
        return "new, established, related or invalid";
    }
    if (strcmp(word, "on") == 0) {
        if (strlen(value) > NAME_LETTERS || strpbrk(value, "*?") != NULL)
            return "the name of one interface, as web.0 or nic0";
        snprintf(s->on, sizeof(s->on), "%s", value);
        return NULL;
    }
    if (strcmp(word, "mac") == 0)
        return rules_mac_parse(value, s->mac) ? NULL : "a MAC address";
    if (!number(value, strcmp(word, "size") == 0 ? 65535 : strcmp(word, "vlan") == 0 ? 4095 : 255, &n))
        return strcmp(word, "size") == 0 ? "a number up to 65535" : strcmp(word, "vlan") == 0 ? "a number up to 4095" : "a number up to 255";
    *(strcmp(word, "size") == 0 ? (int *)&s->size : strcmp(word, "vlan") == 0 ? &s->vlan : &s->code) = (int)n;
    return NULL;
}

static bool said_alone(struct said *s, const char *word)
{
    int protocol = rules_protocol(word);

    if (strcmp(word, "in") == 0)
        s->direction = VFR_RX;
    else if (strcmp(word, "out") == 0)
        s->direction = VFR_TX;
    else if (strcmp(word, "arp") == 0)
        s->arp = true;
    else if (strcmp(word, "fragment") == 0)
        s->fragment = true;
    else if (strcmp(word, "ip") == 0)
        s->family = 4;
    else if (strcmp(word, "ip6") == 0)
        s->family = 6;
    else if (protocol >= 0)
        s->protocol = protocol;
    else
        return false;
    return true;
}

static int parse_words(const char *words, struct said *s, char error[256])
{
    static const char *const with_value[] = { "from", "to", "port", "proto", "flags", "type", "code", "state", "size", "vlan", "on", "mac", NULL };
    char copy[1024], *save = NULL;
    int side = 1;

    snprintf(copy, sizeof(copy), "%s", words);
    for (char *word = strtok_r(copy, " \t,", &save); word != NULL; word = strtok_r(NULL, " \t,", &save)) {
        bool takes = false;
        const char *near;

        for (const char *const *w = with_value; *w != NULL; w++)
            takes = takes || strcmp(*w, word) == 0;
        if (takes) {
            char *value = strtok_r(NULL, " \t,", &save);
            const char *wrong = value != NULL ? said_value(s, word, value, side) : "a value";

            if (wrong != NULL) {
                snprintf(error, 256, "'%.32s%s%.80s': behind '%.32s' comes %s", word, value != NULL ? " " : "", value != NULL ? value : "", word, wrong);
                return -EINVAL;
            }
            side = strcmp(word, "from") == 0 ? 0 : 1;
        } else if (!said_alone(s, word)) {
            near = rules_nearest(word, all_words, rules_count(all_words));
            snprintf(error, 256, "'%.80s' is no word for packets%s%s%s", word, near != NULL ? "; did you mean '" : "; as: tcp from 10.0.2.16 port 4000 to 10.0.2.17 port 22 in on web.0", near != NULL ? near : "", near != NULL ? "'?" : "");
            return -EINVAL;
        }
    }
    return 0;
}

/* ---- The frame ---- */

static void put16(uint8_t *to, unsigned int value)
{
    to[0] = (uint8_t)(value >> 8);
    to[1] = (uint8_t)value;
}

static size_t put_l4(const struct said *s, uint8_t *to)
{
    switch (s->protocol) {
    case 6:
        put16(to, s->ports[0]);
        put16(to + 2, s->ports[1]);
        to[12] = 5 << 4;
        to[13] = s->flags;
        put16(to + 14, 64240);
        return 20;
    case 17:
    case 136:
        put16(to, s->ports[0]);
        put16(to + 2, s->ports[1]);
        put16(to + 4, 8 + 8);
        return 16;
    case 132:
    case 33:
        put16(to, s->ports[0]);
        put16(to + 2, s->ports[1]);
        to[s->protocol == 33 ? 4 : 12] = 4;
        return 16;
    case 1:
    case 58:
        to[0] = (uint8_t)s->type;
        to[1] = (uint8_t)s->code;
        return 8;
    default:
        return 8;
    }
}

static size_t put_ip(const struct said *s, uint8_t *to)
{
    size_t head = s->family == 6 ? IP6_BYTES : IP4_BYTES, bytes;

    if (s->family == 6) {
        to[0] = 0x60;
        inet_pton(AF_INET6, s->from, to + 8);
        inet_pton(AF_INET6, s->to, to + 24);
        to[7] = 64;
        to[6] = (uint8_t)s->protocol;
        if (s->fragment) {
            to[6] = 44;
            to[40] = (uint8_t)s->protocol;
            put16(to + 42, 185 << 3);
            head += 8;
        }
    } else {
        to[0] = 0x45;
        to[8] = 64;
        to[9] = (uint8_t)s->protocol;
        inet_pton(AF_INET, s->from, to + 12);
        inet_pton(AF_INET, s->to, to + 16);
        if (s->fragment)
            put16(to + 6, 185);
    }
    bytes = head + (s->fragment ? 16 : put_l4(s, to + head));
    if (s->size > ETHER_BYTES + bytes)
        bytes = s->size - ETHER_BYTES;
    put16(to + (s->family == 6 ? 4 : 2), (unsigned int)(s->family == 6 ? bytes - IP6_BYTES : bytes));
    return bytes;
}

static size_t put_arp(const struct said *s, uint8_t *to)
{
    put16(to, 1);
    put16(to + 2, 0x0800);
    to[4] = 6;
    to[5] = 4;
    put16(to + 6, 1);
    memcpy(to + 8, s->mac, 6);
    inet_pton(AF_INET, s->from, to + 14);
    inet_pton(AF_INET, s->to, to + 24);
    return 28;
}

static size_t put_frame(const struct said *s, uint8_t *to)
{
    static const uint8_t peer[6] = { 0x52, 0x54, 0, 0x12, 0x34, 0x56 };
    size_t at = 12;

    memcpy(to, peer, 6);
    memcpy(to + 6, s->mac, 6);
    if (s->vlan > 0) {
        put16(to + at, 0x8100);
        put16(to + at + 2, (unsigned int)s->vlan);
        at += 4;
    }
    put16(to + at, s->arp ? 0x0806 : s->family == 6 ? 0x86dd : 0x0800);
    at += 2;
    return at + (s->arp ? put_arp(s, to + at) : put_ip(s, to + at));
}

int rules_packet_in_words(const char *words, struct rules_worded *to)
{
    struct said s = { .protocol = 6, .ports = { 40000, 80 }, .flags = 2, .type = -1, .direction = VFR_RX, .on = "nic0", .mac = { 0, 0x16, 0x3e, 0, 0, 1 } };
    bool six;

    *to = (struct rules_worded){ .error = "" };
    if (parse_words(words, &s, to->error) != 0)
        return -EINVAL;
    six = s.family == 6 || s.protocol == 58;
    if ((s.from[0] != 0 && (strchr(s.from, ':') != NULL) != six) || (s.to[0] != 0 && (strchr(s.to, ':') != NULL) != six)) {
        snprintf(to->error, sizeof(to->error), "addresses of IPv4 and IPv6 in one packet");
        return -EINVAL;
    }
    if (s.arp && six) {
        snprintf(to->error, sizeof(to->error), "ARP has addresses of IPv4");
        return -EINVAL;
    }
    s.family = six ? 6 : 4;
    if (s.type < 0)
        s.type = s.protocol == 58 ? 128 : 8;
    if (s.from[0] == 0)
        strcpy(s.from, six ? "2001:db8::1" : "192.0.2.1");
    if (s.to[0] == 0)
        strcpy(s.to, six ? "2001:db8::2" : "198.51.100.1");
    if (s.size > sizeof(to->bytes))
        s.size = sizeof(to->bytes);
    rules_judge_iface(&to->iface, s.on, NULL);
    to->frame = (struct rules_frame){ .bytes = to->bytes, .ns = 1000000000, .state = s.state, .tell_passed = true };
    to->frame.length = to->frame.captured = (uint32_t)put_frame(&s, to->bytes);
    /* At a card, what comes in has been sent to it. */
    if ((s.direction == VFR_TX) != ((to->iface.id & VFR_IFACE_NIC) != 0))
        to->frame.from = &to->iface;
    else
        to->frame.to = &to->iface;
    return 0;
}

/* ---- And back ---- */

static const char *protocol_name(uint8_t protocol, char *to, size_t bytes)
{
    for (const char *const *name = rules_protocol_names; *name != NULL; name++)
        if (rules_protocol(*name) == protocol)
            return *name;
    snprintf(to, bytes, "proto %u", protocol);
    return to;
}

char *rules_packet_to_words(const struct vfr_packet *p, char *to, size_t bytes)
{
    char from[INET6_ADDRSTRLEN] = "", target[INET6_ADDRSTRLEN] = "", name[24], ports[2][8] = { "", "" }, more[64] = "";
    int family = p->family == 6 ? AF_INET6 : AF_INET;
    bool ported = p->l4 != 0 && !p->fragment && (p->protocol == 6 || p->protocol == 17 || p->protocol == 132 || p->protocol == 136 || p->protocol == 33);

    if (p->family == 0 && p->ethertype != 0x0806) {
        snprintf(to, bytes, "ether %#06x, %u bytes", p->ethertype, p->bytes);
        return to;
    }
    inet_ntop(family, p->source, from, sizeof(from));
    inet_ntop(family, p->target, target, sizeof(target));
    if (p->family == 0) {
        snprintf(to, bytes, "arp %s > %s", from, target);
        return to;
    }
    if (ported) {
        snprintf(ports[0], sizeof(ports[0]), ".%u", p->source_port);
        snprintf(ports[1], sizeof(ports[1]), ".%u", p->target_port);
    }
    if (p->fragment)
        snprintf(more, sizeof(more), " fragment");
    else if (p->protocol == 6 && p->l4 != 0) {
        size_t used = (size_t)snprintf(more, sizeof(more), " flags ");

        for (unsigned int i = 0; i < 8; i++)
            if (p->tcp_flags >> i & 1)
                more[used++] = flag_letters[i];
        more[used] = 0;
    } else if ((p->protocol == 1 || p->protocol == 58) && p->l4 != 0)
        snprintf(more, sizeof(more), " type %u code %u", p->icmp_type, p->icmp_code);
    snprintf(to, bytes, "%s %s%s > %s%s%s", protocol_name(p->protocol, name, sizeof(name)), from, ports[0], target, ports[1], more);
    return to;
}
