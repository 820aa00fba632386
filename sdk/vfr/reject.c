/* SPDX-License-Identifier: MIT */
/*
 * What a rejected packet's sender is told: a TCP reset (RFC 9293, section 3.5.2), or ICMP destination unreachable (RFC 792, 1812 section 5.2.7.1; 4443 section 3.1) in the name of the packet's target.
 * Never an answer to what is, or may be, an answer or an error, to more than one receiver's address, or to what cannot be read (RFC 1122, section 3.2.2; 4443, section 2.4).
 * Contract: <vfr/packet.h>. Tests: test-reject.c.
 */
#include <vfr/packet.h>

#include <string.h>

enum { P_ICMP = 1, P_TCP = 6, P_ICMP6 = 58 };
enum { TCP_FIN = 1, TCP_SYN = 2, TCP_RST = 4, TCP_ACK = 16 };
enum { IPV4_BYTES = 20, IPV6_BYTES = 40, TCP_BYTES = 20, ICMP_BYTES = 8, HOPS = 64 };
#define IPV4_QUOTE_MAX 548u  /* a datagram of 576 bytes */
#define IPV6_QUOTE_MAX 1224u /* of 1280, and VFR_REJECT_BYTES behind two VLAN tags */

static uint32_t load32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void store16(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static void store32(uint8_t *p, uint32_t v)
{
    store16(p, v >> 16);
    store16(p + 2, v);
}

/* Sums come and go as they lie in memory. */
static void store_sum(uint8_t *p, uint32_t sum)
{
    uint16_t end = vfr_sum_end(sum);

    memcpy(p, &end, sizeof(end));
}

/* ---- May there be an answer? ---- */

static bool is_zero(const uint8_t *p, uint32_t count)
{
    while (count != 0 && *p == 0)
        p++, count--;
    return count == 0;
}

static bool addresses_answerable(const struct vfr_packet *packet)
{
    static const uint8_t broadcast[4] = { 0xff, 0xff, 0xff, 0xff };

    if ((packet->header[0] & 1) != 0 || (packet->header[6] & 1) != 0)
        return false;
    if (packet->family == 4)
        return packet->source[0] < 224 && packet->source[0] != 127 && packet->source[0] != 0 && packet->target[0] < 224 && memcmp(packet->target, broadcast, 4) != 0;
    return packet->source[0] != 0xff && packet->target[0] != 0xff && !is_zero(packet->source, 16);
}

static bool icmp_answerable(const struct vfr_packet *packet)
{
    if (packet->l4 == 0)
        return false;
    /* Only questions: of the rest it is not known what they tell. */
    if (packet->protocol == P_ICMP)
        return packet->icmp_type == 8 || packet->icmp_type == 13 || packet->icmp_type == 15 || packet->icmp_type == 17;
    return packet->icmp_type == 128;
}

static bool answerable(const struct vfr_packet *packet)
{
    if (packet->family == 0 || packet->l3 == 0 || packet->fragment || (packet->faults & (VFR_FAULT_SHORT | VFR_FAULT_LENGTH)) != 0)
        return false;
    if (!addresses_answerable(packet))
        return false;
    if (packet->protocol == P_TCP)
        return packet->l4 != 0 && (packet->tcp_flags & TCP_RST) == 0;
    return (packet->protocol != P_ICMP && packet->protocol != P_ICMP6) || icmp_answerable(packet);
}

/* ---- The frame ---- */

static uint32_t datagram_bytes(const struct vfr_packet *packet)
{
    const uint8_t *p = packet->header + packet->l3;

    return packet->family == 4 ? (uint32_t)p[2] << 8 | p[3] : IPV6_BYTES + ((uint32_t)p[4] << 8 | p[5]);
}

/* Ethernet, VLAN tags as they came, and the IP header, from the target to the source. Returns where what it carries goes. */
static uint32_t make_headers(const struct vfr_packet *packet, uint8_t *to, uint8_t protocol, uint32_t carried)
{
    uint8_t *ip = to + packet->l3;

    memcpy(to, packet->header + 6, 6);
    memcpy(to + 6, packet->header, 6);
    memcpy(to + 12, packet->header + 12, packet->l3 - 12u);
    if (packet->family == 4) {
        memset(ip, 0, IPV4_BYTES);
        ip[0] = 0x45;
        store16(ip + 2, IPV4_BYTES + carried);
        ip[6] = 0x40;
        ip[8] = HOPS;
        ip[9] = protocol;
        memcpy(ip + 12, packet->target, 4);
        memcpy(ip + 16, packet->source, 4);
        store_sum(ip + 10, vfr_sum(ip, IPV4_BYTES, 0));
        return packet->l3 + IPV4_BYTES;
    }
    memset(ip, 0, 8);
    ip[0] = 0x60;
    store16(ip + 4, carried);
    ip[6] = protocol;
    ip[7] = HOPS;
    memcpy(ip + 8, packet->target, 16);
    memcpy(ip + 24, packet->source, 16);
    return packet->l3 + IPV6_BYTES;
}

static uint32_t sum_pseudo(const struct vfr_packet *packet, uint8_t protocol, uint32_t carried)
{
    uint8_t last[8] = { 0, 0, (uint8_t)(carried >> 8), (uint8_t)carried, 0, 0, 0, protocol };
    uint32_t address = packet->family == 4 ? 4 : 16;

    return vfr_sum(packet->source, address, vfr_sum(packet->target, address, vfr_sum(last, sizeof(last), 0)));
}

static uint32_t make_reset(const struct vfr_packet *packet, uint8_t *to)
{
    const uint8_t *theirs = packet->header + packet->l4;
    uint32_t at, ends, headers = (uint32_t)(packet->l4 - packet->l3) + (theirs[12] >> 4) * 4u, whole = datagram_bytes(packet);
    uint8_t *tcp;

    if (packet->more_fragments || whole < headers)
        return 0;
    at = make_headers(packet, to, P_TCP, TCP_BYTES);
    tcp = to + at;
    memset(tcp, 0, TCP_BYTES);
    memcpy(tcp, theirs + 2, 2);
    memcpy(tcp + 2, theirs, 2);
    tcp[12] = TCP_BYTES / 4 << 4;
    tcp[13] = TCP_RST;
    if ((packet->tcp_flags & TCP_ACK) != 0) {
        memcpy(tcp + 4, theirs + 8, 4);
    } else {
        ends = load32(theirs + 4) + whole - headers + ((packet->tcp_flags & TCP_SYN) != 0) + ((packet->tcp_flags & TCP_FIN) != 0);
        store32(tcp + 8, ends);
        tcp[13] |= TCP_ACK;
    }
    store_sum(tcp + 16, vfr_sum(tcp, TCP_BYTES, sum_pseudo(packet, P_TCP, TCP_BYTES)));
    return at + TCP_BYTES;
}

static uint8_t unreachable_code(unsigned int family, enum vfr_reject kind)
{
    switch (kind) {
    case VFR_REJECT_HOST: return family == 4 ? 1 : 3;
    case VFR_REJECT_ADMIN: return family == 4 ? 13 : 1;
    default: return family == 4 ? 3 : 4;
    }
}

static uint32_t make_unreachable(const struct vfr_packet *packet, enum vfr_reject kind, uint8_t *to)
{
    uint32_t seen = packet->header_bytes - packet->l3, quoted = datagram_bytes(packet), at, most = packet->family == 4 ? IPV4_QUOTE_MAX : IPV6_QUOTE_MAX, sum = 0;
    uint8_t protocol = packet->family == 4 ? P_ICMP : P_ICMP6, *icmp;

    quoted = quoted < seen ? quoted : seen;
    quoted = quoted < most ? quoted : most;
    at = make_headers(packet, to, protocol, ICMP_BYTES + quoted);
    icmp = to + at;
    memset(icmp, 0, ICMP_BYTES);
    icmp[0] = packet->family == 4 ? 3 : 1;
    icmp[1] = unreachable_code(packet->family, kind);
    memcpy(icmp + ICMP_BYTES, packet->header + packet->l3, quoted);
    if (packet->family == 6)
        sum = sum_pseudo(packet, protocol, ICMP_BYTES + quoted);
    store_sum(icmp + 2, vfr_sum(icmp, ICMP_BYTES + quoted, sum));
    return at + ICMP_BYTES + quoted;
}

uint32_t vfr_reject_make(const struct vfr_packet *packet, enum vfr_reject kind, uint8_t *to)
{
    bool reset = packet->protocol == P_TCP && (kind == VFR_REJECT_AUTO || kind == VFR_REJECT_RESET);

    if (!answerable(packet))
        return 0;
    return reset ? make_reset(packet, to) : make_unreachable(packet, kind, to);
}
