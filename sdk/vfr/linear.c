// SPDX-License-Identifier: MIT
/*
 * What each field of a rule means, and the evaluator that asks every rule in turn: slow, short, and so the one that the classifier is held to by the tests (the oracle). The classifier asks here for the fields that its
 * intervals do not tell exactly; the oracle asks for all of them, of the rule as it came.
 * Contract: <vfr/ruleset.h> (VFR_FIELD_*), <vfr/engine.h>. Tests: test-engine.c.
 */
#include "engine-internal.h"

#include <string.h>

enum { ETHERTYPE_ARP = 0x0806, PROTOCOL_ICMP = 1, PROTOCOL_TCP = 6, PROTOCOL_UDP = 17, PROTOCOL_DCCP = 33, PROTOCOL_ICMP6 = 58, PROTOCOL_SCTP = 132, PROTOCOL_UDPLITE = 136 };

enum vfr_class vfr_class_of(const struct vfr_packet *packet)
{
    if (packet->family == 4)
        return VFR_CLASS_IPV4;
    if (packet->family == 6)
        return VFR_CLASS_IPV6;
    return packet->ethertype == ETHERTYPE_ARP ? VFR_CLASS_ARP : VFR_CLASS_OTHER;
}

bool vfr_protocol_has_ports(uint8_t protocol)
{
    return protocol == PROTOCOL_TCP || protocol == PROTOCOL_UDP || protocol == PROTOCOL_SCTP || protocol == PROTOCOL_UDPLITE || protocol == PROTOCOL_DCCP;
}

/* ---- Sets: the first range that ends at a value or behind it ---- */

uint32_t vfr_ranges4_find(const struct vfr_engine *engine, const struct vfr_address_set *set, uint32_t address)
{
    uint32_t low = 0, high = set->count4;

    while (low < high) {
        uint32_t middle = (low + high) / 2;

        if (((const struct vfr_set_range4 *)vfr_vector_at(&engine->ranges4, set->first4 + middle))->high < address)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool below6(const uint64_t a[2], const uint64_t b[2])
{
    return a[0] != b[0] ? a[0] < b[0] : a[1] < b[1];
}

uint32_t vfr_ranges6_find(const struct vfr_engine *engine, const struct vfr_address_set *set, const uint64_t address[2])
{
    uint32_t low = 0, high = set->count6;

    while (low < high) {
        uint32_t middle = (low + high) / 2;

        if (below6(((const struct vfr_set_range6 *)vfr_vector_at(&engine->ranges6, set->first6 + middle))->high, address))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

uint32_t vfr_ports_find(const struct vfr_engine *engine, const struct vfr_port_set *set, uint16_t port)
{
    uint32_t low = 0, high = set->count;

    while (low < high) {
        uint32_t middle = (low + high) / 2;

        if (((const struct vfr_set_port_range *)vfr_vector_at(&engine->ports, set->first + middle))->high < port)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static uint64_t load64(const uint8_t *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof(v));
    return __builtin_bswap64(v);
}

static bool set_has(const struct vfr_engine *engine, uint32_t index, const uint8_t *address, bool ipv6)
{
    const struct vfr_address_set *set = vfr_vector_at(&engine->sets, index);
    uint64_t key[2] = {load64(address), load64(address + 8)};
    uint32_t at;

    if (ipv6) {
        at = vfr_ranges6_find(engine, set, key);
        return at < set->count6 && !below6(key, ((const struct vfr_set_range6 *)vfr_vector_at(&engine->ranges6, set->first6 + at))->low);
    }
    at = vfr_ranges4_find(engine, set, (uint32_t)(key[0] >> 32));
    return at < set->count4 && ((const struct vfr_set_range4 *)vfr_vector_at(&engine->ranges4, set->first4 + at))->low <= key[0] >> 32;
}

/* ---- Fields ---- */

static bool prefix_has(const struct vfr_set_address *prefix, const uint8_t *address)
{
    unsigned int whole = prefix->bits / 8, rest = prefix->bits % 8;

    if (memcmp(prefix->bytes, address, whole) != 0)
        return false;
    return rest == 0 || ((prefix->bytes[whole] ^ address[whole]) >> (8 - rest)) == 0;
}

/* Packets without the rule's kind of address do not match, negated or not. */
static bool address_matches(const struct vfr_engine *engine, const struct vfr_set_rule *rule, const struct vfr_set_address *a, bool negated, const struct vfr_packet *packet, const uint8_t *address)
{
    bool of_arp = (rule->fields & ~rule->negated & VFR_FIELD_ETHERTYPE) != 0 && rule->ethertype == ETHERTYPE_ARP;
    uint8_t family = packet->family;

    if (family == 0 && of_arp && packet->ethertype == ETHERTYPE_ARP)
        family = 4;
    if (family == 0 || (a->family != 0 && a->family != family))
        return false;
    return (a->family != 0 ? prefix_has(a, address) : set_has(engine, a->set, address, family == 6)) != negated;
}

static bool port_matches(const struct vfr_engine *engine, const struct vfr_set_port *p, bool negated, const struct vfr_packet *packet, uint16_t port)
{
    bool in;

    if (packet->family == 0 || packet->l4 == 0 || !vfr_protocol_has_ports(packet->protocol))
        return false;
    if (p->set == VFR_SET_NO_SET) {
        in = port >= p->low && port <= p->high;
    } else {
        const struct vfr_port_set *set = vfr_vector_at(&engine->port_sets, p->set);
        uint32_t at = vfr_ports_find(engine, set, port);

        in = at < set->count && ((const struct vfr_set_port_range *)vfr_vector_at(&engine->ports, set->first + at))->low <= port;
    }
    return in != negated;
}

static bool mac_matches(const uint8_t *mac, const uint8_t *mask, const uint8_t *address)
{
    for (unsigned int i = 0; i < 6; i++) {
        if ((address[i] & mask[i]) != mac[i])
            return false;
    }
    return true;
}

static bool iface_matches(const struct vfr_rule *rule, const struct vfr_binding *binding)
{
    for (uint32_t i = 0; i < rule->iface_count; i++) {
        for (uint32_t g = 0; g < binding->count; g++) {
            if (rule->ifaces[i] == binding->groups[g])
                return true;
        }
    }
    return false;
}

static bool icmp_matches(const struct vfr_set_rule *rule, bool negated, const struct vfr_packet *packet)
{
    bool in = packet->icmp_type >= rule->icmp_type_low && packet->icmp_type <= rule->icmp_type_high && packet->icmp_code >= rule->icmp_code_low && packet->icmp_code <= rule->icmp_code_high;

    return packet->family != 0 && packet->l4 != 0 && (packet->protocol == PROTOCOL_ICMP || packet->protocol == PROTOCOL_ICMP6) && in != negated;
}

bool vfr_field_matches(const struct vfr_engine *engine, uint32_t index, uint32_t field, const struct vfr_packet *packet, const struct vfr_binding *binding)
{
    const struct vfr_set_rule *rule = vfr_vector_at(&engine->texts, index);
    const bool negated = (rule->negated & field) != 0;

    switch (field) {
    case VFR_FIELD_IFACE:
        return iface_matches(vfr_vector_at(&engine->rules, index), binding) != negated;
    case VFR_FIELD_FAMILY:
        return packet->family == rule->family;
    case VFR_FIELD_ETHERTYPE:
        return (packet->ethertype == rule->ethertype) != negated;
    case VFR_FIELD_VLAN:
        return (packet->vlan == rule->vlan) != negated;
    case VFR_FIELD_PROTOCOL:
        return packet->family != 0 && ((rule->protocols[packet->protocol >> 6] >> (packet->protocol & 63) & 1) != 0) != negated;
    case VFR_FIELD_SOURCE:
        return address_matches(engine, rule, &rule->source, negated, packet, packet->source);
    case VFR_FIELD_TARGET:
        return address_matches(engine, rule, &rule->target, negated, packet, packet->target);
    case VFR_FIELD_SOURCE_PORT:
        return port_matches(engine, &rule->source_port, negated, packet, packet->source_port);
    case VFR_FIELD_TARGET_PORT:
        return port_matches(engine, &rule->target_port, negated, packet, packet->target_port);
    case VFR_FIELD_TCP_FLAGS:
        return packet->family != 0 && packet->l4 != 0 && packet->protocol == PROTOCOL_TCP && ((packet->tcp_flags & rule->tcp_mask) == rule->tcp_flags) != negated;
    case VFR_FIELD_ICMP:
        return icmp_matches(rule, negated, packet);
    case VFR_FIELD_SOURCE_MAC:
        return packet->header_bytes >= 12 && mac_matches(rule->source_mac, rule->source_mac_mask, packet->header + 6) != negated;
    case VFR_FIELD_TARGET_MAC:
        return packet->header_bytes >= 12 && mac_matches(rule->target_mac, rule->target_mac_mask, packet->header) != negated;
    case VFR_FIELD_FRAGMENT:
        return (rule->fragment == VFR_FRAGMENT_LATER ? packet->fragment : packet->fragment || packet->more_fragments) != negated;
    default:
        return false;
    }
}

/* ---- The oracle ---- */

static bool rule_matches(const struct vfr_engine *engine, uint32_t index, const struct vfr_packet *packet, unsigned int direction, const struct vfr_binding *binding)
{
    const struct vfr_set_rule *rule = vfr_vector_at(&engine->texts, index);

    if ((rule->directions & direction) == 0)
        return false;
    for (uint32_t field = 1; field < VFR_FIELDS; field <<= 1) {
        if ((rule->fields & field) != 0 && !vfr_field_matches(engine, index, field, packet, binding))
            return false;
    }
    return true;
}

void vfr_engine_judge_linear(struct vfr_engine *engine, const struct vfr_packet *packet, unsigned int direction, const struct vfr_binding *binding, uint32_t cpu, uint64_t now_ns, struct vfr_verdict *verdict)
{
    (void)cpu;
    memset(verdict, 0, sizeof(*verdict));
    for (uint32_t i = 0; i < engine->rule_count; i++) {
        if (rule_matches(engine, i, packet, direction, binding) && vfr_rule_run(engine, vfr_vector_at(&engine->rules, i), packet, now_ns, verdict))
            return;
    }
    vfr_policy_run(engine, packet, direction, now_ns, verdict);
}
