// SPDX-License-Identifier: MIT
/*
 * Reading a packet's headers: Ethernet, up to two VLAN tags, ARP, IPv4, IPv6 with its extension headers, TCP, UDP, ICMP and what has ports where they have. One pass, each loop bounded; a field is set only if it lies
 * in what was copied of the packet and in what the layer below says its length is. What is odd is a fault, not an error: rules decide (kind "malformed").
 * RFC 791, 1858 and 3128 (fragments that overlap headers), 2460/8200, 6946, 7112 (chains of headers), 768, 793/9293, 826.
 * Contract: <vfr/packet.h>. Tests: test-packet.c, tests/fuzz/fuzz-packet.c.
 */
#include <vfr/packet.h>

#include <string.h>

enum { ETHERTYPE_IPV4 = 0x0800, ETHERTYPE_ARP = 0x0806, ETHERTYPE_VLAN = 0x8100, ETHERTYPE_IPV6 = 0x86dd, ETHERTYPE_QINQ = 0x88a8 };
enum { ETHERNET_BYTES = 14, IPV4_BYTES = 20, IPV6_BYTES = 40, ARP_BYTES = 28, TCP_BYTES = 20, UDP_BYTES = 8, ICMP_BYTES = 8, EXTENSIONS_MAX = 8 };
enum { P_HOP = 0, P_ICMP = 1, P_TCP = 6, P_UDP = 17, P_DCCP = 33, P_ROUTING = 43, P_FRAGMENT = 44, P_AH = 51, P_ICMP6 = 58, P_NONE = 59, P_OPTIONS = 60, P_SCTP = 132, P_MOBILITY = 135, P_UDPLITE = 136, P_HIP = 139, P_SHIM = 140 };
enum { FIN = 1, SYN = 2, RST = 4, PSH = 8, ACK = 16, URG = 32 };

static inline uint16_t load16(const uint8_t *p)
{
    uint16_t v;

    memcpy(&v, p, sizeof(v));
    return __builtin_bswap16(v);
}

static inline uint32_t load32(const uint8_t *p)
{
    uint32_t v;

    memcpy(&v, p, sizeof(v));
    return __builtin_bswap32(v);
}

/* ---- Layer 4. `end`: where the datagram ends in the frame (perhaps behind what was copied) ---- */

/* Options of IPv4 and TCP have one form: 0 ends, 1 is one byte long, the others say how long they are. */
static bool options_sane(const uint8_t *p, uint32_t bytes)
{
    while (bytes != 0 && p[0] != 0) {
        uint32_t here = 1;

        if (p[0] != 1) {
            if (bytes < 2 || p[1] < 2 || p[1] > bytes)
                return false;
            here = p[1];
        }
        p += here;
        bytes -= here;
    }
    return true;
}

static bool flags_sane(uint8_t flags)
{
    uint8_t first = flags & (SYN | FIN | RST);

    if (first == 0)
        return (flags & ACK) != 0;
    if ((first & (first - 1)) != 0)
        return false;
    return first != FIN || (flags & ACK) != 0;
}

static void parse_tcp(struct vfr_packet *packet, uint32_t at, uint32_t end)
{
    const uint8_t *p = packet->header + at;
    uint32_t bytes = (p[12] >> 4) * 4u;

    packet->tcp_flags = p[13];
    if (!flags_sane(p[13] & 0x3f))
        packet->faults |= VFR_FAULT_FLAGS;
    if (bytes < TCP_BYTES || at + bytes > end) {
        packet->faults |= VFR_FAULT_LENGTH;
        return;
    }
    packet->payload = (uint16_t)(at + bytes);
    if (bytes == TCP_BYTES)
        return;
    if (at + bytes > packet->header_bytes)
        packet->faults |= VFR_FAULT_SHORT;
    else if (!options_sane(p + TCP_BYTES, bytes - TCP_BYTES))
        packet->faults |= VFR_FAULT_OPTIONS;
}

static void parse_udp(struct vfr_packet *packet, uint32_t at, uint32_t end)
{
    uint32_t bytes = load16(packet->header + at + 4);

    packet->payload = (uint16_t)(at + UDP_BYTES);
    if (packet->protocol == P_UDPLITE || packet->more_fragments || packet->segment_bytes != 0)
        return;
    if (bytes < UDP_BYTES || at + bytes > end)
        packet->faults |= VFR_FAULT_LENGTH;
}

/* How many bytes of a header are needed to know what we tell of it. 0: nothing is told of that protocol. */
static uint32_t l4_bytes(uint8_t protocol)
{
    switch (protocol) {
    case P_TCP:
        return TCP_BYTES;
    case P_UDP:
    case P_UDPLITE:
    case P_SCTP:
        return UDP_BYTES;
    case P_DCCP:
        return 12;
    case P_ICMP:
    case P_ICMP6:
        return ICMP_BYTES;
    default:
        return 0;
    }
}

static void parse_l4(struct vfr_packet *packet, uint32_t at, uint32_t end)
{
    const uint8_t *p = packet->header + at;
    uint32_t need = l4_bytes(packet->protocol);

    if (packet->fragment)
        return;
    if (at + need > end) {
        packet->faults |= packet->more_fragments ? VFR_FAULT_FRAGMENT : VFR_FAULT_LENGTH;
        return;
    }
    if (at + need > packet->header_bytes) {
        packet->faults |= VFR_FAULT_SHORT;
        return;
    }
    packet->l4 = (uint16_t)at;
    packet->payload = (uint16_t)(at + need);
    if (need == 0)
        return;
    if (packet->protocol == P_ICMP || packet->protocol == P_ICMP6) {
        packet->icmp_type = p[0];
        packet->icmp_code = p[1];
        return;
    }
    packet->source_port = load16(p);
    packet->target_port = load16(p + 2);
    if (packet->protocol == P_TCP)
        parse_tcp(packet, at, end);
    else if (need == UDP_BYTES && packet->protocol != P_SCTP)
        parse_udp(packet, at, end);
}

/* ---- IPv4 ---- */

static bool addresses_sane4(uint32_t source, uint32_t target)
{
    if (source >= 0xe0000000 || source >> 24 == 127 || target >> 24 == 127)
        return false;
    return source != target || source == 0;
}

static void parse_ipv4(struct vfr_packet *packet, uint32_t at)
{
    const uint8_t *p = packet->header + at;
    uint32_t bytes, total, end, offset;

    if (at + IPV4_BYTES > packet->header_bytes) {
        packet->faults |= VFR_FAULT_SHORT;
        return;
    }
    bytes = (p[0] & 15) * 4u;
    total = load16(p + 2);
    if (p[0] >> 4 != 4 || bytes < IPV4_BYTES) {
        packet->faults |= VFR_FAULT_LENGTH;
        return;
    }
    packet->family = 4;
    packet->l3 = (uint16_t)at;
    packet->protocol = p[9];
    memcpy(packet->source, p + 12, 4);
    memcpy(packet->target, p + 16, 4);
    if (!addresses_sane4(load32(p + 12), load32(p + 16)))
        packet->faults |= VFR_FAULT_ADDRESS;
    end = at + total;
    if (total < bytes || end > packet->bytes) {
        packet->faults |= VFR_FAULT_LENGTH;
        if (total < bytes)
            return;
        end = packet->bytes;
    }
    offset = load16(p + 6);
    packet->fragment = (offset & 0x1fff) != 0;
    packet->more_fragments = (offset & 0x2000) != 0;
    if (packet->fragment || packet->more_fragments) {
        uint32_t first = (offset & 0x1fff) * 8;

        if (first + (total - bytes) > 65535 - bytes || (packet->more_fragments && (total - bytes) % 8 != 0) || first == 8)
            packet->faults |= VFR_FAULT_FRAGMENT;
    }
    if (at + bytes > packet->header_bytes) {
        packet->faults |= VFR_FAULT_SHORT;
        return;
    }
    if (bytes > IPV4_BYTES && !options_sane(p + IPV4_BYTES, bytes - IPV4_BYTES))
        packet->faults |= VFR_FAULT_OPTIONS;
    parse_l4(packet, at + bytes, end);
}

/* ---- IPv6 ---- */

static bool is_extension(uint8_t protocol)
{
    switch (protocol) {
    case P_HOP:
    case P_ROUTING:
    case P_FRAGMENT:
    case P_AH:
    case P_OPTIONS:
    case P_MOBILITY:
    case P_HIP:
    case P_SHIM:
        return true;
    default:
        return false;
    }
}

static void parse_fragment6(struct vfr_packet *packet, const uint8_t *p, uint32_t left)
{
    uint32_t offset = load16(p + 2), first = offset & 0xfff8;

    packet->fragment = first != 0;
    packet->more_fragments = (offset & 1) != 0;
    if (first + left > 65535 || (packet->more_fragments && left % 8 != 0) || first == 8)
        packet->faults |= VFR_FAULT_FRAGMENT;
}

/* Along the chain of extension headers. Behind a later fragment's header nothing is read: it is somewhere in the packet's middle. */
static void parse_extensions(struct vfr_packet *packet, uint32_t at, uint32_t end)
{
    uint8_t protocol = packet->protocol;
    bool fragmented = false;

    for (uint32_t n = 0; is_extension(protocol) && !packet->fragment; n++) {
        const uint8_t *p = packet->header + at;
        uint32_t bytes;

        if (n == EXTENSIONS_MAX || (protocol == P_HOP && n != 0) || (protocol == P_FRAGMENT && fragmented)) {
            packet->faults |= VFR_FAULT_OPTIONS;
            return;
        }
        if (at + 8 > packet->header_bytes || at + 8 > end) {
            packet->faults |= at + 8 > end ? VFR_FAULT_LENGTH : VFR_FAULT_SHORT;
            return;
        }
        bytes = protocol == P_FRAGMENT ? 8 : protocol == P_AH ? (p[1] + 2u) * 4 : (p[1] + 1u) * 8;
        if (at + bytes > end || bytes < 8) {
            packet->faults |= VFR_FAULT_LENGTH;
            return;
        }
        if (protocol == P_FRAGMENT) {
            fragmented = true;
            parse_fragment6(packet, p, end - at - 8);
        }
        protocol = p[0];
        packet->protocol = protocol;
        at += bytes;
    }
    if (at > packet->header_bytes && !packet->fragment) {
        packet->faults |= VFR_FAULT_SHORT;
        return;
    }
    if (packet->protocol != P_NONE)
        parse_l4(packet, at, end);
}

static bool is_loopback6(const uint8_t *p)
{
    static const uint8_t loopback[16] = {[15] = 1};

    return memcmp(p, loopback, sizeof(loopback)) == 0;
}

static void parse_ipv6(struct vfr_packet *packet, uint32_t at)
{
    const uint8_t *p = packet->header + at;
    uint32_t payload, end;

    if (at + IPV6_BYTES > packet->header_bytes) {
        packet->faults |= VFR_FAULT_SHORT;
        return;
    }
    if (p[0] >> 4 != 6) {
        packet->faults |= VFR_FAULT_LENGTH;
        return;
    }
    packet->family = 6;
    packet->l3 = (uint16_t)at;
    packet->protocol = p[6];
    memcpy(packet->source, p + 8, 16);
    memcpy(packet->target, p + 24, 16);
    if (p[8] == 0xff || is_loopback6(p + 8) || is_loopback6(p + 24))
        packet->faults |= VFR_FAULT_ADDRESS;
    payload = load16(p + 4);
    end = at + IPV6_BYTES + payload;
    if (end > packet->bytes || (payload == 0 && packet->protocol != P_NONE)) { /* 0 would be a jumbogram: no card of ours carries one */
        packet->faults |= VFR_FAULT_LENGTH;
        end = packet->bytes;
    }
    parse_extensions(packet, at + IPV6_BYTES, end);
}

/* ---- Below ---- */

static void parse_arp(struct vfr_packet *packet, uint32_t at)
{
    const uint8_t *p = packet->header + at;

    if (at + ARP_BYTES > packet->header_bytes) {
        packet->faults |= VFR_FAULT_SHORT;
        return;
    }
    packet->l3 = (uint16_t)at;
    /* Of Ethernet and IPv4, with addresses of 6 and 4 bytes; another's fields lie elsewhere. */
    if (load32(p) != 0x00010800 || load16(p + 4) != 0x0604) {
        packet->faults |= VFR_FAULT_LENGTH;
        return;
    }
    memcpy(packet->source, p + 14, 4);
    memcpy(packet->target, p + 24, 4);
}

static void clear(struct vfr_packet *packet)
{
    packet->ethertype = 0;
    packet->vlan = 0xffff;
    packet->l3 = packet->l4 = packet->payload = 0;
    packet->family = packet->protocol = 0;
    packet->tcp_flags = packet->icmp_type = packet->icmp_code = packet->faults = 0;
    packet->fragment = packet->more_fragments = false;
    packet->source_port = packet->target_port = 0;
    memset(packet->source, 0, sizeof(packet->source));
    memset(packet->target, 0, sizeof(packet->target));
}

void vfr_parse(struct vfr_packet *packet)
{
    uint32_t at = ETHERNET_BYTES;
    uint16_t type;

    clear(packet);
    if (packet->header_bytes < ETHERNET_BYTES) {
        packet->faults = VFR_FAULT_SHORT;
        return;
    }
    type = load16(packet->header + 12);
    for (unsigned int tags = 0; (type == ETHERTYPE_VLAN || type == ETHERTYPE_QINQ) && tags < 2; tags++) {
        if (at + 4 > packet->header_bytes) {
            packet->ethertype = type;
            packet->faults = VFR_FAULT_SHORT;
            return;
        }
        if (tags == 0)
            packet->vlan = load16(packet->header + at) & 0xfff;
        type = load16(packet->header + at + 2);
        at += 4;
    }
    packet->ethertype = type;
    if ((packet->header[6] & 1) != 0)
        packet->faults |= VFR_FAULT_ADDRESS;
    if (type == ETHERTYPE_IPV4)
        parse_ipv4(packet, at);
    else if (type == ETHERTYPE_IPV6)
        parse_ipv6(packet, at);
    else if (type == ETHERTYPE_ARP)
        parse_arp(packet, at);
    else if (type == ETHERTYPE_VLAN || type == ETHERTYPE_QINQ)
        packet->faults |= VFR_FAULT_OPTIONS; /* Linux would follow them all */
}

/* ---- Checksums ---- */

/* Words are added as they lie in memory: the sum of RFC 1071 does not mind the order of bytes, if it is stored as it is. */
uint32_t vfr_sum(const void *bytes, uint32_t count, uint32_t sum)
{
    const uint8_t *p = bytes;
    uint64_t total = sum, word;

    for (; count >= 8; count -= 8, p += 8) {
        memcpy(&word, p, 8);
        total += word;
        total += total < word; /* the carry */
    }
    word = 0;
    if (count != 0) {
        memcpy(&word, p, count);
        total += word;
        total += total < word;
    }
    total = (total >> 32) + (total & 0xffffffff);
    total = (total >> 32) + (total & 0xffffffff);
    total = (total >> 16) + (total & 0xffff);
    return (uint32_t)total;
}

uint16_t vfr_sum_end(uint32_t sum)
{
    sum = (sum >> 16) + (sum & 0xffff);
    sum = (sum >> 16) + (sum & 0xffff);
    return (uint16_t)~sum;
}

uint32_t vfr_sum_pseudo(const struct vfr_packet *packet, uint32_t l4_bytes)
{
    uint32_t bytes = packet->family == 6 ? 16 : 4, tail[2] = {__builtin_bswap32(l4_bytes), __builtin_bswap32(packet->protocol)};

    return vfr_sum(tail, sizeof(tail), vfr_sum(packet->target, bytes, vfr_sum(packet->source, bytes, 0)));
}
