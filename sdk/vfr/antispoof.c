/* SPDX-License-Identifier: MIT */
/*
 * Frames that claim a foreign source. Contract: <vfr/antispoof.h>. Tests: test-antispoof.c. Page: docs/concepts/anti-spoofing.md.
 *
 * What a receiver would learn addresses from decides what is looked at: the Ethernet source, ARP (RFC 826, 5227), neighbour discovery (RFC 4861) and the source of IP. A message of neighbour discovery must therefore be
 * readable as a whole: in pieces (RFC 6980), behind more headers than can be followed (RFC 7112) or longer than what was copied of it, it is refused.
 */
#include <vfr/antispoof.h>

#include <string.h>

#define ETHERNET_HEADER 14u
#define TYPE_IPV4       0x0800u
#define TYPE_ARP        0x0806u
#define TYPE_IPV6       0x86ddu
#define TYPE_VLAN       0x8100u
#define TYPE_QINQ       0x88a8u
#define ARP_BYTES       28u
#define PROTOCOL_UDP    17u
#define PROTOCOL_ICMPV6 58u
#define DHCP_CLIENT     68u
#define DHCP_SERVER     67u

enum { ND_ROUTER_ASKED = 133, ND_ROUTER = 134, ND_ASKED = 135, ND_ANSWER = 136, ND_REDIRECT = 137, MLD_REPORT = 131, MLD_DONE = 132, MLD2_REPORT = 143 };

/* As numbers in this machine's order. */
static inline uint32_t load32(const uint8_t *p)
{
    uint32_t v;

    memcpy(&v, p, sizeof(v));
    return __builtin_bswap32(v);
}

static inline uint64_t load64(const uint8_t *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof(v));
    return __builtin_bswap64(v);
}

static inline bool same_prefix4(const uint8_t *a, const uint8_t *b, unsigned int bits)
{
    return bits == 0 || (load32(a) ^ load32(b)) >> (32 - (bits < 32 ? bits : 32)) == 0;
}

static bool same_prefix6(const uint8_t *a, const uint8_t *b, unsigned int bits)
{
    uint64_t high = load64(a) ^ load64(b), low = load64(a + 8) ^ load64(b + 8);

    if (bits <= 64)
        return bits == 0 || high >> (64 - bits) == 0;
    return high == 0 && low >> (128 - (bits < 128 ? bits : 128)) == 0;
}

static bool all_zero(const uint8_t *bytes, unsigned int count)
{
    for (unsigned int i = 0; i < count; i++)
        if (bytes[i] != 0)
            return false;
    return true;
}

static bool address_listed(const struct vfr_iface *iface, const uint8_t *address, unsigned int family)
{
    unsigned int count = iface->address_count <= VFR_ADDRESSES_MAX ? iface->address_count : VFR_ADDRESSES_MAX;

    for (unsigned int i = 0; i < count; i++) {
        const struct vfr_address *own = &iface->addresses[i];

        if (own->family == family && (family == 4 ? same_prefix4(own->bytes, address, own->bits) : same_prefix6(own->bytes, address, own->bits)))
            return true;
    }
    return false;
}

/* fe80::, the MAC with its second-lowest bit turned, and ff:fe in its middle. */
static bool link_local_of(const uint8_t *address, const uint8_t *mac)
{
    const uint8_t made[16] = { 0xfe, 0x80, 0, 0, 0, 0, 0, 0, mac[0] ^ 2, mac[1], mac[2], 0xff, 0xfe, mac[3], mac[4], mac[5] };

    return memcmp(address, made, sizeof(made)) == 0;
}

static bool own_ipv6(const struct vfr_iface *iface, const uint8_t *address)
{
    return iface->address_count == 0 || address_listed(iface, address, 6) || link_local_of(address, iface->mac);
}

static const char *arp_reason(const struct vfr_packet *packet)
{
    static const uint8_t ethernet_ipv4[6] = { 0, 1, 8, 0, 6, 4 };
    const struct vfr_iface *iface = packet->from;
    const uint8_t *arp = packet->header + packet->l3;

    if (packet->l3 == 0 || packet->l3 + ARP_BYTES > packet->header_bytes || memcmp(arp, ethernet_ipv4, sizeof(ethernet_ipv4)) != 0)
        return "an ARP message that is none of Ethernet and IPv4";
    if (memcmp(arp + 8, iface->mac, 6) != 0)
        return "ARP with another sender's MAC";
    if (iface->address_count != 0 && !all_zero(arp + 14, 4) && !address_listed(iface, arp + 14, 4))
        return "ARP with another sender's IPv4 address";
    return NULL;
}

static const char *ipv4_reason(const struct vfr_packet *packet)
{
    static const uint8_t broadcast[4] = { 0xff, 0xff, 0xff, 0xff };

    if (packet->from->address_count == 0)
        return NULL;
    if (packet->family != 4)
        return "an IPv4 header that cannot be read";
    if (address_listed(packet->from, packet->source, 4))
        return NULL;
    if (all_zero(packet->source, 4) && packet->protocol == PROTOCOL_UDP && packet->l4 != 0 && !packet->more_fragments && packet->source_port == DHCP_CLIENT &&
        packet->target_port == DHCP_SERVER && memcmp(packet->target, broadcast, sizeof(broadcast)) == 0)
        return NULL;
    return "another's IPv4 source address";
}

/* The options of neighbour discovery from `at` to the end of the message: those with a link-layer address must have ours. */
static const char *nd_options_reason(const struct vfr_packet *packet, uint32_t at, uint32_t end)
{
    while (at < end) {
        const uint8_t *option = packet->header + at;

        if (end - at < 8 || option[1] == 0 || option[1] * 8u > end - at)
            return "neighbour discovery with options that cannot be followed";
        if (option[0] == 1 || option[0] == 2) {
            if (memcmp(option + 2, packet->from->mac, 6) != 0)
                return "neighbour discovery with another's MAC";
            if (option[0] == 1 && all_zero(packet->source, 16))
                return "neighbour discovery from nobody with a MAC";
        }
        at += option[1] * 8u;
    }
    return NULL;
}

/* Where options begin, behind the ICMPv6 header of this type. */
static uint32_t nd_options_at(unsigned int type)
{
    return type == ND_ROUTER_ASKED ? 8 : type == ND_ROUTER ? 16 : type == ND_REDIRECT ? 40 : 24;
}

static const char *nd_reason(const struct vfr_packet *packet)
{
    const struct vfr_iface *iface = packet->from;
    unsigned int type = packet->icmp_type;
    uint32_t l3_bytes = 40u + ((uint32_t)packet->header[packet->l3 + 4] << 8 | packet->header[packet->l3 + 5]);
    uint32_t end = packet->l3 + l3_bytes, options = packet->l4 + nd_options_at(type);
    const uint8_t *target = packet->header + packet->l4 + 8;

    if (packet->more_fragments)
        return "neighbour discovery in fragments";
    if (end > packet->header_bytes || options > end)
        return "neighbour discovery that cannot be read as a whole";
    if (iface->address_count != 0 && (type == ND_ROUTER || type == ND_REDIRECT))
        return type == ND_ROUTER ? "a router advertisement" : "a redirect";
    if (type == ND_ANSWER && !own_ipv6(iface, target))
        return "an announcement of another's IPv6 address";
    if (type == ND_ASKED && all_zero(packet->source, 16) && !own_ipv6(iface, target))
        return "duplicate address detection for another's IPv6 address";
    return nd_options_reason(packet, options, end);
}

static bool from_nobody_allowed(const struct vfr_packet *packet)
{
    unsigned int type = packet->icmp_type;

    return packet->protocol == PROTOCOL_ICMPV6 && packet->l4 != 0 && !packet->more_fragments &&
           (type == ND_ASKED || type == ND_ROUTER_ASKED || type == MLD_REPORT || type == MLD_DONE || type == MLD2_REPORT);
}

static const char *ipv6_reason(const struct vfr_packet *packet)
{
    const struct vfr_iface *iface = packet->from;

    if (packet->family != 6)
        return iface->address_count != 0 ? "an IPv6 header that cannot be read" : NULL;
    if (iface->address_count != 0 && !address_listed(iface, packet->source, 6) && !link_local_of(packet->source, iface->mac) &&
        !(all_zero(packet->source, 16) && from_nobody_allowed(packet)))
        return "another's IPv6 source address";
    /* What cannot be seen may be neighbour discovery: only the pieces behind the first one may hide what they are. */
    if (packet->l4 == 0 && !packet->fragment && (packet->faults & (VFR_FAULT_SHORT | VFR_FAULT_LENGTH | VFR_FAULT_OPTIONS | VFR_FAULT_FRAGMENT)) != 0)
        return "IPv6 headers that cannot be followed";
    if (packet->protocol == PROTOCOL_ICMPV6 && packet->l4 != 0 && packet->icmp_type >= ND_ROUTER_ASKED && packet->icmp_type <= ND_REDIRECT)
        return nd_reason(packet);
    return NULL;
}

const char *vfr_spoof_reason(const struct vfr_packet *packet)
{
    const struct vfr_iface *iface = packet->from;

    if (packet->header_bytes < ETHERNET_HEADER)
        return "a frame without an Ethernet header";
    if (memcmp(packet->header + 6, iface->mac, 6) != 0)
        return "another's MAC";
    switch (packet->ethertype) {
    case TYPE_IPV4: return ipv4_reason(packet);
    case TYPE_IPV6: return ipv6_reason(packet);
    case TYPE_ARP: return arp_reason(packet);
    case TYPE_VLAN: /* after those that were followed: a receiver may follow more */
    case TYPE_QINQ: return "VLAN tags that cannot be followed";
    default: return iface->address_count != 0 ? "neither ARP nor IPv4 nor IPv6" : NULL;
    }
}
