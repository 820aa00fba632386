// SPDX-License-Identifier: MIT
/*
 * Invented sets of rules and packets, from a seed; the same seed gives the same everywhere. Contract and shape: <vfr/generate.h>. Used by sdk/vfr/test-engine.c, sdk/sim/vfr-cost.c and the benchmarks.
 */
#include <vfr/generate.h>
#include <vfr/ruleset-write.h>

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

enum { TCP = 6, UDP = 17, ICMP = 1, ICMP6 = 58 };
static const char *const names[] = {"web", "web.0", "db.0", "db*", "*.1", "nic0", "mail", "?eb.1"};
enum { NAMES = sizeof(names) / sizeof(names[0]) };

uint64_t vfr_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15ull;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}

static uint32_t below(uint64_t *random, uint32_t limit)
{
    return (uint32_t)(vfr_random(random) >> 32) % limit;
}

static bool chance(uint64_t *random, uint32_t percent)
{
    return below(random, 100) < percent;
}

struct generator {
    const struct vfr_generate *how;
    struct vfr_writer *writer;
    uint64_t random;
    uint32_t networks; /* /16s, of which addresses are taken */
    uint32_t address_sets, port_sets;
};

/* ---- Addresses: networks are numbers; a host of network n in its 16 bits ---- */

static uint32_t network4(struct generator *g, uint32_t n)
{
    uint64_t s = g->how->seed ^ (n + 1) * 0x2545f4914f6cdd1dull;
    uint32_t first = 1 + below(&s, 222);

    return (first == 127 ? 10 : first) << 24 | below(&s, 256) << 16;
}

static uint32_t host4(struct generator *g)
{
    if (g->how->dense)
        return network4(g, 0) | below(&g->random, 3) << 8 | below(&g->random, 4);
    /* Few subnets in a network, few hosts in most of them. */
    return network4(g, below(&g->random, g->networks)) | below(&g->random, 16) << 8 | (chance(&g->random, 80) ? below(&g->random, 40) : below(&g->random, 256));
}

static void host6(struct generator *g, uint8_t to[16])
{
    uint32_t net = network4(g, g->how->dense ? 0 : below(&g->random, g->networks));

    memset(to, 0, 16);
    to[0] = 0x20;
    to[1] = 0x01;
    to[2] = (uint8_t)(net >> 24);
    to[3] = (uint8_t)(net >> 16);
    to[7] = (uint8_t)below(&g->random, g->how->dense ? 2 : 8);
    to[15] = (uint8_t)below(&g->random, g->how->dense ? 4 : 40);
    to[8] = (uint8_t)(below(&g->random, 2) * 2);
}

/* Lengths as in ClassBench's seeds: hosts, then /24, then others. */
static uint8_t bits4(struct generator *g, enum vfr_style style, bool source)
{
    uint32_t r = below(&g->random, 100);
    const uint32_t any = style == VFR_STYLE_FW ? (source ? 55 : 25) : style == VFR_STYLE_IPC ? 15 : source ? 30 : 4;

    if (r < any)
        return 0;
    r = below(&g->random, 100);
    if (r < 45)
        return 32;
    if (r < 70)
        return 24;
    if (r < 80)
        return (uint8_t)(25 + below(&g->random, 7));
    if (r < 95)
        return (uint8_t)(16 + below(&g->random, 8));
    return (uint8_t)(8 + below(&g->random, 8));
}

static void mask_bytes(uint8_t *bytes, uint32_t bits, uint32_t count)
{
    for (uint32_t i = 0; i < count * 8; i++) {
        if (i >= bits)
            bytes[i / 8] &= (uint8_t)~(0x80 >> i % 8);
    }
}

static uint32_t make_address_set(struct generator *g)
{
    uint32_t count4 = 1 + below(&g->random, chance(&g->random, 10) ? 300 : 12), count6 = below(&g->random, 6);
    struct vfr_set_range4 *r4 = calloc(count4, sizeof(*r4));
    struct vfr_set_range6 *r6 = calloc(count6 + 1, sizeof(*r6));
    uint32_t set = 0;

    if (r4 != NULL && r6 != NULL) {
        for (uint32_t i = 0; i < count4; i++)
            r4[i] = vfr_writer_prefix4(host4(g), chance(&g->random, 70) ? 32 : 20 + below(&g->random, 12));
        for (uint32_t i = 0; i < count6; i++) {
            uint8_t address[16];

            host6(g, address);
            r6[i] = vfr_writer_prefix6(address, chance(&g->random, 50) ? 128 : 32 + below(&g->random, 90));
        }
        set = vfr_writer_addresses(g->writer, r4, count4, r6, count6);
        g->address_sets++;
    }
    free(r4);
    free(r6);
    return set;
}

static void make_address(struct generator *g, struct vfr_set_rule *rule, enum vfr_style style, bool target, uint32_t family, bool odd)
{
    struct vfr_set_address *a = target ? &rule->target : &rule->source;
    const uint32_t field = VFR_FIELD_SOURCE << target;

    if (odd && chance(&g->random, 15)) {
        rule->fields |= field;
        a->set = g->address_sets != 0 && (g->address_sets > 200 || chance(&g->random, 50)) ? below(&g->random, g->address_sets) : make_address_set(g);
    } else {
        a->bits = bits4(g, style, !target);
        if (a->bits == 0)
            return;
        rule->fields |= field;
        a->family = (uint8_t)family;
        if (family == 4) {
            uint32_t host = htonl(host4(g));

            memcpy(a->bytes, &host, 4);
            mask_bytes(a->bytes, a->bits, 4);
        } else {
            host6(g, a->bytes);
            a->bits = a->bits == 32 ? 128 : a->bits == 24 ? 64 : (uint8_t)(a->bits * 3);
            mask_bytes(a->bytes, a->bits, 16);
        }
    }
    if (odd && chance(&g->random, 5))
        rule->negated |= field;
}

/* ---- Ports ---- */

static const uint16_t usual_ports[] = {80, 443, 22, 25, 53, 110, 143, 993, 3306, 5432, 8080, 123, 161, 389, 636, 445, 139, 5060, 6667, 1521};

static void make_port(struct generator *g, struct vfr_set_rule *rule, bool target, bool odd)
{
    struct vfr_set_port *p = target ? &rule->target_port : &rule->source_port;
    uint32_t r = below(&g->random, 100);

    rule->fields |= VFR_FIELD_SOURCE_PORT << target;
    p->set = VFR_SET_NO_SET;
    if (odd && chance(&g->random, 15)) {
        struct vfr_set_port_range ranges[5];
        uint32_t count = 1 + below(&g->random, 5);

        for (uint32_t i = 0; i < count; i++) {
            ranges[i].low = ranges[i].high = chance(&g->random, 70) ? usual_ports[below(&g->random, 20)] : (uint16_t)below(&g->random, 60000);
            if (chance(&g->random, 30))
                ranges[i].high = (uint16_t)(ranges[i].low + below(&g->random, 5000));
        }
        p->set = vfr_writer_ports(g->writer, ranges, count);
    } else if (r < 55) {
        p->low = p->high = usual_ports[below(&g->random, g->how->dense ? 3 : 20)];
    } else if (r < 75) {
        p->low = p->high = (uint16_t)below(&g->random, g->how->dense ? 4 : 65536);
    } else if (r < 88) {
        p->low = 1024;
        p->high = 65535;
    } else {
        p->low = (uint16_t)below(&g->random, 60000);
        p->high = (uint16_t)(p->low + below(&g->random, 5000));
    }
    if (odd && chance(&g->random, 3))
        rule->negated |= VFR_FIELD_SOURCE_PORT << target;
}

static void set_protocol(struct vfr_set_rule *rule, uint32_t protocol)
{
    rule->fields |= VFR_FIELD_PROTOCOL;
    rule->protocols[protocol >> 6] |= 1ull << (protocol & 63);
}

static void make_layer4(struct generator *g, struct vfr_set_rule *rule, enum vfr_style style, uint32_t family, bool odd)
{
    uint32_t r = below(&g->random, 100);

    if (r < 8)
        return;
    if (r < 14) {
        set_protocol(rule, family == 4 ? ICMP : ICMP6);
        if (chance(&g->random, 60)) {
            rule->fields |= VFR_FIELD_ICMP;
            rule->icmp_type_low = (uint8_t)below(&g->random, 14);
            rule->icmp_type_high = (uint8_t)(rule->icmp_type_low + (chance(&g->random, 20) ? 3 : 0));
            rule->icmp_code_high = chance(&g->random, 80) ? 255 : 1;
        }
        return;
    }
    if (r < 18) {
        set_protocol(rule, 47 + below(&g->random, 4));
        return;
    }
    set_protocol(rule, r < 75 ? TCP : UDP);
    if (odd && chance(&g->random, 10))
        set_protocol(rule, r < 75 ? UDP : TCP);
    if (chance(&g->random, style == VFR_STYLE_FW ? 25 : style == VFR_STYLE_IPC ? 15 : 4))
        make_port(g, rule, false, odd);
    if (chance(&g->random, style == VFR_STYLE_FW ? 80 : 90))
        make_port(g, rule, true, odd);
    if (r < 75 && odd && chance(&g->random, 15)) {
        rule->fields |= VFR_FIELD_TCP_FLAGS;
        rule->tcp_mask = 0x12;
        rule->tcp_flags = chance(&g->random, 50) ? 0x02 : 0x10;
    }
}

/* ---- What ClassBench does not know ---- */

static const uint8_t our_mac[6] = {0x00, 0x16, 0x3e, 0x11, 0x22, 0x00};

static void make_odd(struct generator *g, struct vfr_set_rule *rule)
{
    switch (below(&g->random, 10) + (g->how->no_macs ? 2 : 0)) {
    case 0:
        rule->fields |= VFR_FIELD_SOURCE_MAC;
        memcpy(rule->source_mac, our_mac, 6);
        rule->source_mac[5] = (uint8_t)below(&g->random, 4);
        memset(rule->source_mac_mask, 255, 6);
        break;
    case 1:
        rule->fields |= VFR_FIELD_TARGET_MAC;
        rule->target_mac[0] = rule->target_mac_mask[0] = 1; /* multicast */
        if (chance(&g->random, 50))
            rule->negated |= VFR_FIELD_TARGET_MAC;
        break;
    case 2:
        rule->fields |= VFR_FIELD_VLAN;
        rule->vlan = chance(&g->random, 50) ? 0xffff : (uint16_t)below(&g->random, 5);
        break;
    case 3:
        rule->fields |= VFR_FIELD_FRAGMENT;
        rule->fragment = (uint8_t)below(&g->random, 2);
        if (chance(&g->random, 50))
            rule->negated |= VFR_FIELD_FRAGMENT;
        break;
    case 4:
        if ((rule->fields & VFR_FIELD_PROTOCOL) == 0) {
            rule->fields |= VFR_FIELD_ETHERTYPE;
            rule->ethertype = chance(&g->random, 50) ? 0x0806 : chance(&g->random, 50) ? 0x86dd : 0x0800;
            if (chance(&g->random, 30))
                rule->negated |= VFR_FIELD_ETHERTYPE;
        }
        break;
    case 5:
        rule->fields |= VFR_FIELD_FAMILY;
        rule->family = chance(&g->random, 50) ? 4 : 6;
        break;
    case 6:
        if ((rule->fields & VFR_FIELD_PROTOCOL) != 0 && (rule->fields & (VFR_FIELD_SOURCE_PORT | VFR_FIELD_TARGET_PORT)) == 0)
            rule->negated |= VFR_FIELD_PROTOCOL;
        break;
    default:
        break;
    }
}

static uint32_t make_ifaces(struct generator *g, struct vfr_set_rule *rule, uint32_t *ifaces)
{
    uint32_t count;

    if (g->how->plain || !chance(&g->random, g->how->odd))
        return 0;
    rule->directions = (uint8_t)(chance(&g->random, 30) ? VFR_TX | VFR_RX : chance(&g->random, 50) ? VFR_TX : VFR_RX);
    if (chance(&g->random, 40))
        return 0;
    rule->fields |= VFR_FIELD_IFACE;
    count = 1 + below(&g->random, 2);
    for (uint32_t i = 0; i < count; i++)
        ifaces[i] = vfr_writer_name(g->writer, names[below(&g->random, NAMES)]);
    if (chance(&g->random, 10))
        rule->negated |= VFR_FIELD_IFACE;
    return count;
}

static uint32_t make_use(struct generator *g, const char *const *kinds, struct vfr_writer_use *use)
{
    uint32_t count = 0;

    if (g->how->plain || kinds == NULL || kinds[0] == NULL || !chance(&g->random, g->how->odd / 2))
        return 0;
    while (kinds[count] != NULL)
        count++;
    *use = (struct vfr_writer_use){.kind = vfr_writer_kind(g->writer, kinds[below(&g->random, count)])};
    return 1;
}

static void make_rule(struct generator *g, uint32_t number)
{
    struct vfr_set_rule rule = {.id = vfr_random(&g->random) | 1, .line = number + 1, .directions = VFR_TX | VFR_RX};
    struct vfr_writer_use uses[2];
    uint32_t ifaces[2], iface_count, conditions, actions, verdict = below(&g->random, 100);
    const bool odd = chance(&g->random, g->how->odd);
    const uint32_t family = odd && chance(&g->random, 60) ? 6 : 4;
    enum vfr_style style = g->how->style == VFR_STYLE_MIXED ? (enum vfr_style)below(&g->random, 3) : g->how->style;

    make_address(g, &rule, style, false, family, odd);
    make_address(g, &rule, style, true, family, odd);
    make_layer4(g, &rule, style, family, odd);
    if (odd && !g->how->plain)
        make_odd(g, &rule);
    /* A rule that says nothing of addresses and ports hides too much of what follows. */
    if ((rule.fields & (VFR_FIELD_SOURCE | VFR_FIELD_TARGET)) == 0 && !chance(&g->random, number < 100 ? 10 : 0)) {
        uint32_t host = htonl(host4(g));

        rule.fields |= VFR_FIELD_TARGET;
        rule.target = (struct vfr_set_address){.family = 4, .bits = 32};
        memcpy(rule.target.bytes, &host, 4);
    }
    iface_count = make_ifaces(g, &rule, ifaces);
    conditions = make_use(g, g->how->conditions, &uses[0]);
    actions = make_use(g, g->how->actions, &uses[conditions]);
    rule.action = verdict < 55 ? VFR_ACCEPT : verdict < 90 || g->how->plain ? VFR_DROP : verdict < 95 ? VFR_REJECT : VFR_CONTINUE;
    vfr_writer_rule(g->writer, &rule, ifaces, iface_count, uses, conditions, actions);
}

void *vfr_generate_set(const struct vfr_generate *how, size_t *bytes)
{
    static const struct vfr_set_policy policy[2] = {{.action = VFR_ACCEPT}, {.action = VFR_DROP}}, accept[2] = {{.action = VFR_ACCEPT}, {.action = VFR_ACCEPT}};
    struct generator g = {.how = how, .writer = vfr_writer_create(), .random = how->seed, .networks = 4 + how->rules / 40};
    void *set;

    if (g.writer == NULL)
        return NULL;
    for (uint32_t i = 0; i < how->rules; i++)
        make_rule(&g, i);
    set = vfr_writer_finish(g.writer, how->plain ? accept : policy, NULL, 0, bytes);
    vfr_writer_destroy(g.writer);
    return set;
}

/* ---- Reading a set (one that is right) ---- */

static const uint32_t entry_bytes[VFR_SET_SECTIONS] = {64, 64, sizeof(struct vfr_set_addresses), 8, 32, 4, 4, sizeof(struct vfr_set_rule), 4, 16, 8, 1, 1};

static const void *section(const void *set, enum vfr_set_section which)
{
    const struct vfr_set_header *h = set;
    size_t at = sizeof(*h);

    for (unsigned int i = 0; i < which; i++)
        at += ((size_t)h->count[i] * entry_bytes[i] + 7) & ~7ull;
    return (const uint8_t *)set + at;
}

static uint32_t first_of_set(const void *set, uint32_t index, bool ipv6)
{
    const struct vfr_set_addresses *s = section(set, VFR_SET_ADDRESS_SETS);
    uint32_t first = 0;

    for (uint32_t i = 0; i < index; i++)
        first += ipv6 ? s[i].count6 : s[i].count4;
    return first;
}

/* ---- Frames ---- */

static void put16(uint8_t *to, uint32_t v)
{
    to[0] = (uint8_t)(v >> 8);
    to[1] = (uint8_t)v;
}

/* An address that the rule's means, most likely at one of its ends. */
static void pick_address(const void *set, const struct vfr_set_address *a, bool used, bool ipv6, uint64_t *random, uint8_t to[16])
{
    uint32_t bytes = ipv6 ? 16 : 4;

    for (uint32_t i = 0; i < bytes; i++)
        to[i] = (uint8_t)vfr_random(random);
    if (ipv6)
        to[0] = 0x20;
    else if (to[0] >= 224 || to[0] == 127)
        to[0] = 10;
    if (!used)
        return;
    if (a->family != 0) {
        for (uint32_t i = 0; i < bytes * 8; i++) {
            if (i < a->bits)
                to[i / 8] = (uint8_t)((to[i / 8] & ~(0x80 >> i % 8)) | (a->bytes[i / 8] & 0x80 >> i % 8));
        }
        return;
    }
    const struct vfr_set_addresses *s = (const struct vfr_set_addresses *)section(set, VFR_SET_ADDRESS_SETS) + a->set;
    bool high = chance(random, 50);

    if (!ipv6 && s->count4 != 0) {
        const struct vfr_set_range4 *r = (const struct vfr_set_range4 *)section(set, VFR_SET_RANGES4) + first_of_set(set, a->set, false) + below(random, s->count4);
        uint32_t v = htonl((high ? r->high : r->low) + (chance(random, 20) ? (high ? 1u : -1u) : 0));

        memcpy(to, &v, 4);
    } else if (ipv6 && s->count6 != 0) {
        const struct vfr_set_range6 *r = (const struct vfr_set_range6 *)section(set, VFR_SET_RANGES6) + first_of_set(set, a->set, true) + below(random, s->count6);
        uint64_t first = __builtin_bswap64(high ? r->high[0] : r->low[0]), second = __builtin_bswap64((high ? r->high[1] : r->low[1]) + (chance(random, 20) ? (high ? 1u : -1ull) : 0));

        memcpy(to, &first, 8);
        memcpy(to + 8, &second, 8);
    }
}

static uint32_t pick_port(const void *set, const struct vfr_set_port *p, bool used, uint64_t *random)
{
    const struct vfr_set_ports *s = section(set, VFR_SET_PORT_SETS);
    const struct vfr_set_port_range *r = section(set, VFR_SET_PORT_RANGES);

    if (!used || chance(random, 5))
        return below(random, 65536);
    if (p->set == VFR_SET_NO_SET)
        return p->low + below(random, p->high - p->low + 1u);
    for (uint32_t i = 0; i < p->set; i++)
        r += s[i].count;
    r += below(random, s[p->set].count);
    return r->low + below(random, r->high - r->low + 1u);
}

static uint32_t pick_protocol(const struct vfr_set_rule *rule, bool ipv6, uint64_t *random)
{
    uint32_t from = below(random, 256);

    if ((rule->fields & VFR_FIELD_PROTOCOL) != 0 && (rule->negated & VFR_FIELD_PROTOCOL) == 0) {
        for (uint32_t i = 0; i < 256; i++) {
            uint32_t p = (from + i) & 255;

            if ((rule->protocols[p >> 6] >> (p & 63) & 1) != 0)
                return p;
        }
    }
    return chance(random, 50) ? TCP : chance(random, 60) ? UDP : chance(random, 80) ? (ipv6 ? ICMP6 : ICMP) : from;
}

static uint32_t put_layer4(const void *set, const struct vfr_set_rule *rule, uint32_t protocol, uint64_t *random, uint8_t *to)
{
    if (protocol == ICMP || protocol == ICMP6) {
        to[0] = (uint8_t)((rule->fields & VFR_FIELD_ICMP) != 0 ? rule->icmp_type_low : below(random, 14));
        to[1] = (uint8_t)below(random, 3);
        return 16;
    }
    put16(to, pick_port(set, &rule->source_port, (rule->fields & VFR_FIELD_SOURCE_PORT) != 0, random));
    put16(to + 2, pick_port(set, &rule->target_port, (rule->fields & VFR_FIELD_TARGET_PORT) != 0, random));
    if (protocol == TCP) {
        to[12] = 0x50;
        to[13] = chance(random, 50) ? 0x02 : 0x10;
        return 32;
    }
    put16(to + 4, 20);
    return 20;
}

/* Network and transport header: returns their length. */
static uint32_t put_packet(const void *set, const struct vfr_set_rule *rule, bool ipv6, uint64_t *random, uint8_t *to)
{
    uint32_t protocol = pick_protocol(rule, ipv6, random), head = ipv6 ? 40 : 20, bytes;

    bytes = put_layer4(set, rule, protocol, random, to + head);
    pick_address(set, &rule->source, (rule->fields & VFR_FIELD_SOURCE) != 0, ipv6, random, to + (ipv6 ? 8 : 12));
    pick_address(set, &rule->target, (rule->fields & VFR_FIELD_TARGET) != 0, ipv6, random, to + (ipv6 ? 24 : 16));
    if (ipv6) {
        to[0] = 0x60;
        put16(to + 4, bytes);
        to[6] = (uint8_t)protocol;
        return head + bytes;
    }
    to[0] = 0x45;
    put16(to + 2, head + bytes);
    if (chance(random, 3))
        put16(to + 6, chance(random, 50) ? 0x2000 : below(random, 100));
    to[8] = 64;
    to[9] = (uint8_t)protocol;
    return head + bytes;
}

static uint32_t put_arp(const void *set, const struct vfr_set_rule *rule, uint64_t *random, uint8_t *to)
{
    static const uint8_t head[8] = {0, 1, 8, 0, 6, 4, 0, 1};

    memcpy(to, head, sizeof(head));
    pick_address(set, &rule->source, (rule->fields & VFR_FIELD_SOURCE) != 0 && rule->source.family != 6, false, random, to + 14);
    pick_address(set, &rule->target, (rule->fields & VFR_FIELD_TARGET) != 0 && rule->target.family != 6, false, random, to + 24);
    return 28;
}

static bool wants_ipv6(const struct vfr_set_rule *rule, uint64_t *random)
{
    uint8_t family = rule->source.family != 0 ? rule->source.family : rule->target.family;

    return family == 6 || (family == 0 && chance(random, 30));
}

uint32_t vfr_generate_frame(const void *set, uint64_t *random, uint32_t hostile, uint8_t frame[VFR_HEADER_MAX])
{
    static const struct vfr_set_rule nothing;
    const struct vfr_set_header *h = set;
    const struct vfr_set_rule *rule = h->count[VFR_SET_RULES] == 0 ? &nothing : (const struct vfr_set_rule *)section(set, VFR_SET_RULES) + below(random, h->count[VFR_SET_RULES]);
    bool ipv6 = wants_ipv6(rule, random), arp = chance(random, 3) || ((rule->fields & VFR_FIELD_ETHERTYPE) != 0 && rule->ethertype == 0x0806);
    uint32_t at = 12;

    memset(frame, 0, VFR_HEADER_MAX);
    memcpy(frame, our_mac, 6);
    memcpy(frame + 6, our_mac, 6);
    frame[5] = (uint8_t)below(random, 4);
    frame[11] = (uint8_t)below(random, 4);
    if (chance(random, 10))
        frame[0] |= 1;
    if ((rule->fields & VFR_FIELD_VLAN) != 0 && rule->vlan != 0xffff) {
        put16(frame + at, 0x8100);
        put16(frame + at + 2, rule->vlan);
        at += 4;
    }
    put16(frame + at, arp ? 0x0806 : ipv6 ? 0x86dd : 0x0800);
    at += 2;
    at += arp ? put_arp(set, rule, random, frame + at) : put_packet(set, rule, ipv6, random, frame + at);
    if (chance(random, hostile)) {
        for (uint32_t n = 1 + below(random, 6); n != 0; n--)
            frame[12 + below(random, at - 12)] = (uint8_t)vfr_random(random);
        at = 14 + below(random, VFR_HEADER_MAX - 14);
    }
    return at;
}

void vfr_generate_iface(uint32_t number, struct vfr_iface *iface)
{
    static const struct {
        const char *name, *domain;
    } known[VFR_GENERATE_IFACES] = {{"web.0", "web"}, {"db.0", "db"}, {"db2.1", "db2"}, {"nic0", ""}, {"mail.0", "mail"}, {"x.9", "x"}};

    memset(iface, 0, sizeof(*iface));
    iface->id = number;
    iface->domid = number;
    strcpy(iface->name, known[number].name);
    strcpy(iface->domain, known[number].domain);
}

/* ---- As text ---- */

static void print_address(FILE *to, const void *set, const struct vfr_set_address *a)
{
    char text[INET6_ADDRSTRLEN];

    if (a->family != 0) {
        fprintf(to, "%s/%u", inet_ntop(a->family == 4 ? AF_INET : AF_INET6, a->bytes, text, sizeof(text)), a->bits);
        return;
    }
    const struct vfr_set_addresses *s = (const struct vfr_set_addresses *)section(set, VFR_SET_ADDRESS_SETS) + a->set;
    const struct vfr_set_range4 *r4 = (const struct vfr_set_range4 *)section(set, VFR_SET_RANGES4) + first_of_set(set, a->set, false);
    const struct vfr_set_range6 *r6 = (const struct vfr_set_range6 *)section(set, VFR_SET_RANGES6) + first_of_set(set, a->set, true);

    fprintf(to, "{");
    for (uint32_t i = 0; i < s->count4; i++) {
        uint32_t low = htonl(r4[i].low), high = htonl(r4[i].high);

        fprintf(to, "%s %s", i != 0 ? "," : "", inet_ntop(AF_INET, &low, text, sizeof(text)));
        fprintf(to, "-%s", inet_ntop(AF_INET, &high, text, sizeof(text)));
    }
    for (uint32_t i = 0; i < s->count6; i++) {
        uint64_t low[2] = {__builtin_bswap64(r6[i].low[0]), __builtin_bswap64(r6[i].low[1])}, high[2] = {__builtin_bswap64(r6[i].high[0]), __builtin_bswap64(r6[i].high[1])};

        fprintf(to, "%s %s", i + s->count4 != 0 ? "," : "", inet_ntop(AF_INET6, low, text, sizeof(text)));
        fprintf(to, "-%s", inet_ntop(AF_INET6, high, text, sizeof(text)));
    }
    fprintf(to, " }");
}

static void print_port(FILE *to, const void *set, const struct vfr_set_port *p)
{
    const struct vfr_set_ports *s = section(set, VFR_SET_PORT_SETS);
    const struct vfr_set_port_range *r = section(set, VFR_SET_PORT_RANGES);

    if (p->set == VFR_SET_NO_SET) {
        fprintf(to, p->low == p->high ? "%u" : "%u-%u", p->low, p->high);
        return;
    }
    for (uint32_t i = 0; i < p->set; i++)
        r += s[i].count;
    fprintf(to, "{");
    for (uint32_t i = 0; i < s[p->set].count; i++)
        fprintf(to, r[i].low == r[i].high ? "%s %u" : "%s %u-%u", i != 0 ? "," : "", r[i].low, r[i].high);
    fprintf(to, " }");
}

static void print_end(FILE *to, const void *set, const struct vfr_set_rule *r, bool target)
{
    const uint32_t address = VFR_FIELD_SOURCE << target, port = VFR_FIELD_SOURCE_PORT << target;

    if ((r->fields & (address | port)) == 0)
        return;
    fprintf(to, " %s%s ", target ? "to" : "from", (r->negated & address) != 0 ? " !" : "");
    if ((r->fields & address) != 0)
        print_address(to, set, target ? &r->target : &r->source);
    else
        fprintf(to, "any");
    if ((r->fields & port) != 0) {
        fprintf(to, " port%s ", (r->negated & port) != 0 ? " !" : "");
        print_port(to, set, target ? &r->target_port : &r->source_port);
    }
}

static void print_protocol(FILE *to, const struct vfr_set_rule *r)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < 4; i++)
        count += (uint32_t)__builtin_popcountll(r->protocols[i]);
    if ((r->fields & VFR_FIELD_PROTOCOL) == 0 || count == 0)
        return;
    fprintf(to, " proto%s%s", (r->negated & VFR_FIELD_PROTOCOL) != 0 ? " !" : "", count > 1 ? " {" : "");
    for (uint32_t p = 0, n = 0; p < 256; p++) {
        if ((r->protocols[p >> 6] >> (p & 63) & 1) != 0)
            fprintf(to, "%s %u", n++ != 0 ? "," : "", p);
    }
    fprintf(to, "%s", count > 1 ? " }" : "");
}

static void print_icmp(FILE *to, const struct vfr_set_rule *r)
{
    if ((r->fields & VFR_FIELD_ICMP) == 0)
        return;
    fprintf(to, " %s %u", (r->protocols[0] >> ICMP6 & 1) != 0 ? "icmp6-type" : "icmp-type", r->icmp_type_low);
    if (r->icmp_type_low != r->icmp_type_high)
        fprintf(to, "-%u", r->icmp_type_high);
    if (r->icmp_code_high != 255)
        fprintf(to, " code %u-%u", r->icmp_code_low, r->icmp_code_high);
}

void vfr_generate_print(const void *set, FILE *to)
{
    static const char *const verdicts[] = {"pass", "accept", "drop", "reject"};
    const struct vfr_set_header *h = set;
    const struct vfr_set_rule *rules = section(set, VFR_SET_RULES);

    for (uint32_t i = 0; i < h->count[VFR_SET_RULES]; i++) {
        const struct vfr_set_rule *r = &rules[i];

        fprintf(to, "%s", verdicts[r->action]);
        print_protocol(to, r);
        print_end(to, set, r, false);
        print_end(to, set, r, true);
        print_icmp(to, r);
        if ((r->fields & VFR_FIELD_TCP_FLAGS) != 0)
            fprintf(to, r->tcp_flags == 0x02 ? " flags S/SA" : " flags A/SA");
        fprintf(to, "\n");
    }
}
