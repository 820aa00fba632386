/* SPDX-License-Identifier: MIT */
/*
 * What a packet belongs to: addresses, ports, protocol and network segment, alike for both directions; of ICMP echo the identifier stands for the ports, of an ICMP error the packet that it quotes counts.
 * Contract: flows-internal.h. Tests: test-flows.c.
 */
#include "flows-internal.h"

#include <string.h>

enum { P_ICMP = 1, P_TCP = 6, P_UDP = 17, P_DCCP = 33, P_ICMP6 = 58, P_SCTP = 132, P_UDPLITE = 136 };
enum { TCP_FIN = 1, TCP_SYN = 2, TCP_RST = 4, TCP_ACK = 16 };
enum { IPV4_BYTES = 20, IPV6_BYTES = 40, ICMP_BYTES = 8 };

static inline uint64_t load64(const uint8_t *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof(v));
    return v;
}

static inline uint32_t load32(const uint8_t *p)
{
    uint32_t v;

    memcpy(&v, p, sizeof(v));
    return v;
}

static inline uint16_t load16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

static void set_addresses(struct flow_key *key, unsigned int family, const uint8_t *source, const uint8_t *target)
{
    key->family = (uint8_t)family;
    if (family == 4) {
        key->ends[0].high = key->ends[1].high = 0;
        key->ends[0].low = load32(source);
        key->ends[1].low = load32(target);
    } else {
        key->ends[0].high = load64(source);
        key->ends[0].low = load64(source + 8);
        key->ends[1].high = load64(target);
        key->ends[1].low = load64(target + 8);
    }
}

static bool has_ports(uint8_t protocol)
{
    return protocol == P_TCP || protocol == P_UDP || protocol == P_UDPLITE || protocol == P_SCTP || protocol == P_DCCP;
}

/* ---- ICMP ---- */

enum icmp_role { ICMP_ASKS, ICMP_ANSWERS, ICMP_REPORTS, ICMP_LOCAL, ICMP_OTHER };

static enum icmp_role icmp_role(uint8_t protocol, uint8_t type)
{
    if (protocol == P_ICMP) {
        switch (type) {
        case 8: case 13: case 15: case 17: return ICMP_ASKS;
        case 0: case 14: case 16: case 18: return ICMP_ANSWERS;
        case 3: case 4: case 5: case 11: case 12: return ICMP_REPORTS;
        default: return ICMP_OTHER;
        }
    }
    if (type == 128)
        return ICMP_ASKS;
    if (type == 129)
        return ICMP_ANSWERS;
    if (type >= 1 && type <= 4)
        return ICMP_REPORTS;
    /* Multicast listeners, neighbour discovery: about the link, not about flows. */
    return (type >= 130 && type <= 137) || type == 143 ? ICMP_LOCAL : ICMP_OTHER;
}

/* Ports of a flow of questions and answers: the identifier, and which kind of question. */
static bool icmp_ports(struct flow_key *key, uint8_t protocol, uint8_t type, uint16_t identifier)
{
    enum icmp_role role = icmp_role(protocol, type);
    uint32_t question = protocol == P_ICMP6 ? 128 : type == 0 ? 8 : role == ICMP_ANSWERS ? type - 1u : type;

    if (role != ICMP_ASKS && role != ICMP_ANSWERS)
        return false;
    key->ends[0].port = key->ends[1].port = (uint32_t)identifier << 8 | question;
    return true;
}

/* The packet that an error quotes: as far as its ports. */
static bool quoted_key(const struct vfr_packet *packet, struct flow_key *key)
{
    uint32_t at = packet->l4 + ICMP_BYTES, left = packet->header_bytes > at ? packet->header_bytes - at : 0, head;
    const uint8_t *p = packet->header + at;

    if (packet->family == 4) {
        if (left < IPV4_BYTES || p[0] >> 4 != 4 || (p[6] & 0x1f) != 0 || p[7] != 0)
            return false;
        head = (p[0] & 15) * 4u;
        key->protocol = p[9];
        set_addresses(key, 4, p + 12, p + 16);
    } else {
        if (left < IPV6_BYTES || p[0] >> 4 != 6)
            return false;
        head = IPV6_BYTES;
        key->protocol = p[6];
        set_addresses(key, 6, p + 8, p + 24);
    }
    if (head < IPV4_BYTES || left < head + 8)
        return false;
    p += head;
    key->ends[0].port = key->ends[1].port = 0;
    if (has_ports(key->protocol)) {
        key->ends[0].port = load16(p);
        key->ends[1].port = load16(p + 2);
    } else if (key->protocol == P_ICMP || key->protocol == P_ICMP6) {
        return icmp_ports(key, key->protocol, p[0], load16(p + 4));
    }
    return true;
}

/* An error goes to whoever sent what it quotes; else anybody's flow would let errors (redirects!) through to everybody. */
static bool reports_to_sender(const struct vfr_packet *packet, const struct flow_key *quoted)
{
    struct flow_key outer;

    set_addresses(&outer, packet->family, packet->source, packet->target);
    return outer.ends[1].low == quoted->ends[0].low && outer.ends[1].high == quoted->ends[0].high;
}

static enum flow_kind icmp_key(const struct vfr_packet *packet, struct flow_key *key, bool *may_begin)
{
    switch (icmp_role(packet->protocol, packet->icmp_type)) {
    case ICMP_LOCAL: return FLOW_UNTRACKED;
    case ICMP_REPORTS: return quoted_key(packet, key) && reports_to_sender(packet, key) ? FLOW_ERROR : FLOW_INVALID;
    case ICMP_ASKS: *may_begin = true; break;
    case ICMP_ANSWERS: *may_begin = false; break;
    default: return FLOW_INVALID;
    }
    icmp_ports(key, packet->protocol, packet->icmp_type, load16(packet->header + packet->l4 + 4));
    return FLOW_PLAIN;
}

/* A connection begins with SYN; one that was there before it was tracked may be picked up in its middle, but not at its end. */
static bool tcp_may_begin(uint8_t flags)
{
    return (flags & TCP_RST) == 0 && (flags & TCP_FIN) == 0 && ((flags & (TCP_SYN | TCP_ACK)) == TCP_SYN || (flags & (TCP_SYN | TCP_ACK)) == TCP_ACK);
}

enum flow_kind flow_key_make(const struct vfr_packet *packet, uint32_t segment, struct flow_key *key, bool *may_begin)
{
    if (packet->family == 0)
        return FLOW_UNTRACKED;
    key->segment = segment;
    key->protocol = packet->protocol;
    set_addresses(key, packet->family, packet->source, packet->target);
    *may_begin = true;
    if ((packet->faults & VFR_FAULT_FRAGMENT) != 0)
        return FLOW_INVALID;
    if (packet->fragment)
        return FLOW_LATER_FRAGMENT;
    if (packet->l4 == 0)
        return FLOW_INVALID;
    if (packet->protocol == P_ICMP || packet->protocol == P_ICMP6)
        return icmp_key(packet, key, may_begin);
    key->ends[0].port = packet->source_port;
    key->ends[1].port = packet->target_port;
    if (packet->protocol == P_TCP) {
        if ((packet->faults & (VFR_FAULT_FLAGS | VFR_FAULT_LENGTH)) != 0)
            return FLOW_INVALID;
        *may_begin = tcp_may_begin(packet->tcp_flags);
    }
    return FLOW_PLAIN;
}

/* ---- Hash ---- */

/* Both halves of the product, folded. */
uint64_t flow_mix(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;

    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t end_hash(const struct flow_end *end, const uint64_t seed[2])
{
    uint64_t h = flow_mix(end->low ^ seed[0], ((uint64_t)end->port << 32 | 0x9e3779b1u) ^ seed[1]);

    return end->high == 0 ? h : h ^ flow_mix(end->high ^ seed[1], h | 1);
}

uint64_t flow_key_hash(const struct flow_key *key, const uint64_t seed[2])
{
    uint64_t rest = (uint64_t)key->segment << 16 | (uint64_t)key->family << 8 | key->protocol;

    return flow_mix(end_hash(&key->ends[0], seed) + end_hash(&key->ends[1], seed), rest ^ seed[0] ^ 0xbf58476d1ce4e5b9ull);
}

static inline bool same_end(const struct flow_end *a, const struct flow_end *b)
{
    return a->low == b->low && a->port == b->port && a->high == b->high;
}

int flow_key_compare(const struct flow_key *key, const struct flow_key *packet)
{
    if (key->protocol != packet->protocol || key->segment != packet->segment || key->family != packet->family)
        return -1;
    if (same_end(&key->ends[0], &packet->ends[0]) && same_end(&key->ends[1], &packet->ends[1]))
        return 0;
    return same_end(&key->ends[0], &packet->ends[1]) && same_end(&key->ends[1], &packet->ends[0]) ? 1 : -1;
}
