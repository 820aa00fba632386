// SPDX-License-Identifier: MIT
/*
 * Taking a set of rules in its binary form: one pass over bytes that may be anything. Each section is copied before it is looked at, and verified entry by entry; what is wrong is said with the rule's line.
 * Nothing here is quick per packet, but a set may have 100,000 rules: it pauses often.
 * Contract: <vfr/ruleset.h>. Tests: test-ruleset.c, tests/fuzz/fuzz-ruleset.c.
 */
#include "engine-internal.h"

#include <hv/errno.h>

#include <string.h>

enum { READ_BYTES = 16384, PAUSE_EACH = 64, ID_STEPS_MAX = 1024 };
enum { PROTOCOL_ICMP = 1, PROTOCOL_TCP = 6, PROTOCOL_ICMP6 = 58, ETHERTYPE_IPV4 = 0x0800, ETHERTYPE_ARP = 0x0806, ETHERTYPE_IPV6 = 0x86dd, NO_VLAN = 0xffff };

struct reader {
    struct vfr_engine *engine;
    const struct vfr_source *source;
    struct vfr_load_error *error;
    struct vfr_set_header header;
    uint64_t at;      /* of the next byte to be taken */
    uint8_t *buffer;
    uint32_t room;    /* of it */
    uint32_t have, used;
    uint64_t ifaces_left, uses_left, values_left, data_left;
};

/* ---- Errors ---- */

static void append(char *to, size_t room, const char *text)
{
    size_t at = strlen(to), bytes = strlen(text);

    if (bytes > room - 1 - at)
        bytes = room - 1 - at;
    memcpy(to + at, text, bytes);
    to[at + bytes] = '\0';
}

int vfr_load_fail(struct vfr_load_error *error, uint32_t rule, uint32_t line, const char *text, const char *name)
{
    error->rule = rule;
    error->line = line;
    error->text[0] = '\0';
    append(error->text, sizeof(error->text), text);
    if (name != NULL) {
        append(error->text, sizeof(error->text), " \"");
        append(error->text, sizeof(error->text), name);
        append(error->text, sizeof(error->text), "\"");
    }
    return -EINVAL;
}

static int fail_set(struct reader *r, const char *text, const char *name)
{
    return vfr_load_fail(r->error, VFR_NO_RULE, 0, text, name);
}

/* ---- Bytes, in order ---- */

static int take(struct reader *r, void *to, size_t bytes)
{
    uint8_t *out = to;

    while (bytes != 0) {
        uint32_t here = r->have - r->used;

        if (here == 0) {
            uint64_t left = r->source->bytes - r->at;
            int rc;

            if (left == 0)
                return fail_set(r, "the rule set ends too early", NULL);
            here = left < r->room ? (uint32_t)left : r->room;
            rc = r->source->read(r->source->arg, r->at, r->buffer, here);
            if (rc != 0)
                return rc;
            r->at += here;
            r->have = here;
            r->used = 0;
            vfr_engine_pause(r->engine);
            continue;
        }
        if (here > bytes)
            here = (uint32_t)bytes;
        memcpy(out, r->buffer + r->used, here);
        r->used += here;
        out += here;
        bytes -= here;
    }
    return 0;
}

/* What fills a section up to a multiple of 8 bytes. */
static int take_fill(struct reader *r, uint64_t section_bytes)
{
    uint64_t fill = 0;
    int rc = take(r, &fill, -section_bytes & 7);

    if (rc == 0 && fill != 0)
        return fail_set(r, "there is something between the sections of the rule set", NULL);
    return rc;
}

static bool all_zero(const void *bytes, size_t count)
{
    const uint8_t *p = bytes;

    while (count != 0 && *p == 0) {
        p++;
        count--;
    }
    return count == 0;
}

/* ---- The header ---- */

static const uint32_t entry_bytes[VFR_SET_SECTIONS] = {
    [VFR_SET_NAMES] = sizeof(struct vfr_set_name), [VFR_SET_KINDS] = sizeof(struct vfr_set_name), [VFR_SET_ADDRESS_SETS] = sizeof(struct vfr_set_addresses), [VFR_SET_RANGES4] = sizeof(struct vfr_set_range4),
    [VFR_SET_RANGES6] = sizeof(struct vfr_set_range6), [VFR_SET_PORT_SETS] = sizeof(struct vfr_set_ports), [VFR_SET_PORT_RANGES] = sizeof(struct vfr_set_port_range), [VFR_SET_RULES] = sizeof(struct vfr_set_rule),
    [VFR_SET_RULE_IFACES] = 4, [VFR_SET_USES] = sizeof(struct vfr_set_use), [VFR_SET_VALUES] = 8, [VFR_SET_DATA] = 1, [VFR_SET_TEXT] = 1,
};
static const uint32_t entries_max[VFR_SET_SECTIONS] = {
    [VFR_SET_NAMES] = VFR_SET_NAMES_MAX, [VFR_SET_KINDS] = VFR_SET_KINDS_MAX, [VFR_SET_ADDRESS_SETS] = VFR_SET_SETS_MAX, [VFR_SET_RANGES4] = VFR_SET_RANGES_MAX, [VFR_SET_RANGES6] = VFR_SET_RANGES_MAX,
    [VFR_SET_PORT_SETS] = VFR_SET_SETS_MAX, [VFR_SET_PORT_RANGES] = VFR_SET_RANGES_MAX, [VFR_SET_RULES] = VFR_SET_RULES_MAX, [VFR_SET_RULE_IFACES] = VFR_SET_USES_MAX, [VFR_SET_USES] = VFR_SET_USES_MAX,
    [VFR_SET_VALUES] = 4 * VFR_SET_USES_MAX, [VFR_SET_DATA] = VFR_SET_DATA_MAX, [VFR_SET_TEXT] = VFR_SET_TEXT_MAX,
};
static const char *const section_names[VFR_SET_SECTIONS] = {"names of interfaces", "kinds", "sets of addresses", "IPv4 ranges", "IPv6 ranges", "sets of ports", "port ranges", "rules", "interfaces of rules", "conditions and actions", "parameters", "data", "text"};

static bool policy_sane(const struct vfr_set_policy *policy)
{
    return (policy->action == VFR_ACCEPT || policy->action == VFR_DROP || policy->action == VFR_REJECT) && policy->reject <= VFR_REJECT_ADMIN && all_zero(policy->pad, sizeof(policy->pad));
}

static int read_header(struct reader *r)
{
    struct vfr_set_header *h = &r->header;
    uint64_t bytes = sizeof(*h);
    int rc;

    if (r->source->bytes < sizeof(*h))
        return fail_set(r, "this is no rule set: too short", NULL);
    rc = take(r, h, sizeof(*h));
    if (rc != 0)
        return rc;
    if (h->magic != VFR_SET_MAGIC)
        return fail_set(r, "this is no rule set in binary form", NULL);
    if (h->version != VFR_SET_VERSION || h->header_bytes != sizeof(*h) || h->pad != 0)
        return fail_set(r, "the rule set is of another version", NULL);
    if (!policy_sane(&h->policy[0]) || !policy_sane(&h->policy[1]))
        return fail_set(r, "a policy that is none of accept, drop, reject", NULL);
    for (unsigned int i = 0; i < VFR_SET_SECTIONS; i++) {
        if (h->count[i] > entries_max[i])
            return fail_set(r, "too many", section_names[i]);
        bytes += ((uint64_t)h->count[i] * entry_bytes[i] + 7) & ~7ull;
    }
    if (bytes != h->bytes || bytes != r->source->bytes)
        return fail_set(r, "the rule set's size is not the sum of its parts", NULL);
    r->ifaces_left = h->count[VFR_SET_RULE_IFACES];
    r->uses_left = h->count[VFR_SET_USES];
    r->values_left = h->count[VFR_SET_VALUES];
    r->data_left = h->count[VFR_SET_DATA];
    memcpy(&r->engine->policy[VFR_TX], &h->policy[0], sizeof(h->policy[0]));
    memcpy(&r->engine->policy[VFR_RX], &h->policy[1], sizeof(h->policy[1]));
    return 0;
}

/* ---- Names ---- */

static bool name_sane(const struct vfr_set_name *name)
{
    size_t bytes = 0;

    while (bytes < sizeof(name->text) && name->text[bytes] > ' ' && name->text[bytes] < 127)
        bytes++;
    return bytes != 0 && bytes < sizeof(name->text) && all_zero(name->text + bytes, sizeof(name->text) - bytes);
}

static bool is_glob(const char *name)
{
    for (; *name != '\0'; name++) {
        if (*name == '*' || *name == '?')
            return true;
    }
    return false;
}

/* Each once: an interface has at most its own name, its domain's, and the globs; a binding has room for these. */
static bool name_is_new(const struct vfr_engine *e, uint32_t index)
{
    for (uint32_t i = 0; i < index; i++) {
        if (memcmp(&e->names[i], &e->names[index], sizeof(e->names[i])) == 0)
            return false;
    }
    return true;
}

static int read_names(struct reader *r)
{
    struct vfr_engine *e = r->engine;
    uint32_t globs = 0;

    e->name_count = r->header.count[VFR_SET_NAMES];
    e->names = e->name_count == 0 ? NULL : vfr_arena_get(&e->arena, e->name_count * sizeof(*e->names));
    if (e->name_count != 0 && e->names == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < e->name_count; i++) {
        int rc = take(r, &e->names[i], sizeof(e->names[i]));

        if (rc != 0)
            return rc;
        if (!name_sane(&e->names[i]))
            return fail_set(r, "a name of an interface that is none", NULL);
        if (!name_is_new(e, i))
            return fail_set(r, "twice the name", e->names[i].text);
        if (i % PAUSE_EACH == 0)
            vfr_engine_pause(e);
        globs += is_glob(e->names[i].text);
        if (globs > VFR_SET_GLOBS_MAX)
            return fail_set(r, "too many names with * or ?: at most 60 different ones; the first too many is", e->names[i].text);
    }
    return 0;
}

static const struct vfr_rule_ops *kind_find(const char *name)
{
    for (unsigned int i = 0; vfr_rule_kinds[i] != NULL; i++) {
        if (strlen(vfr_rule_kinds[i]->name) == strlen(name) && memcmp(vfr_rule_kinds[i]->name, name, strlen(name)) == 0)
            return vfr_rule_kinds[i];
    }
    return NULL;
}

static int read_kinds(struct reader *r)
{
    struct vfr_set_name name;

    r->engine->kind_count = r->header.count[VFR_SET_KINDS];
    for (uint32_t i = 0; i < r->engine->kind_count; i++) {
        int rc = take(r, &name, sizeof(name));

        if (rc != 0)
            return rc;
        if (!name_sane(&name))
            return fail_set(r, "a name of a kind of rules that is none", NULL);
        r->engine->kinds[i] = kind_find(name.text);
        if (r->engine->kinds[i] == NULL)
            return fail_set(r, "there is no kind of condition or action called", name.text);
    }
    return 0;
}

/* ---- Sets ---- */

static int read_sets(struct reader *r)
{
    struct vfr_engine *e = r->engine;
    uint32_t at4 = 0, at6 = 0;
    uint64_t end4 = 0, end6 = 0;
    int rc;

    e->set_count = r->header.count[VFR_SET_ADDRESS_SETS];
    rc = vfr_vector_make(&e->sets, &e->memory, sizeof(struct vfr_address_set), 12, e->set_count);
    for (uint32_t i = 0; rc == 0 && i < e->set_count; i++) {
        struct vfr_set_addresses entry;

        rc = take(r, &entry, sizeof(entry));
        if (rc != 0)
            return rc;
        end4 += entry.count4;
        end6 += entry.count6;
        if (end4 > r->header.count[VFR_SET_RANGES4] || end6 > r->header.count[VFR_SET_RANGES6])
            return fail_set(r, "a set of addresses has more ranges than there are", NULL);
        *(struct vfr_address_set *)vfr_vector_at(&e->sets, i) = (struct vfr_address_set){at4, entry.count4, at6, entry.count6};
        at4 = (uint32_t)end4;
        at6 = (uint32_t)end6;
    }
    if (rc == 0 && (end4 != r->header.count[VFR_SET_RANGES4] || end6 != r->header.count[VFR_SET_RANGES6]))
        return fail_set(r, "there are ranges of addresses that belong to no set", NULL);
    return rc;
}

static int read_ranges4(struct reader *r)
{
    struct vfr_engine *e = r->engine;
    uint32_t count = r->header.count[VFR_SET_RANGES4];
    int rc = vfr_vector_make(&e->ranges4, &e->memory, sizeof(struct vfr_set_range4), 15, count);

    for (uint32_t i = 0; rc == 0 && i < count; i++)
        rc = take(r, vfr_vector_at(&e->ranges4, i), sizeof(struct vfr_set_range4));
    for (uint32_t s = 0; rc == 0 && s < e->set_count; s++) {
        const struct vfr_address_set *set = vfr_vector_at(&e->sets, s);
        uint64_t next = 0;

        for (uint32_t i = 0; i < set->count4; i++) {
            const struct vfr_set_range4 *range = vfr_vector_at(&e->ranges4, set->first4 + i);

            if (range->low > range->high || range->low < next)
                return fail_set(r, "the IPv4 ranges of a set are not in order", NULL);
            next = (uint64_t)range->high + 2;
            if (i % 4096 == 0)
                vfr_engine_pause(e);
        }
    }
    return rc;
}

static bool above6(const uint64_t a[2], const uint64_t b[2])
{
    return a[0] != b[0] ? a[0] > b[0] : a[1] > b[1];
}

/* Does `range` lie behind `before`, with at least one address between them? */
static bool range6_behind(const struct vfr_set_range6 *range, const struct vfr_set_range6 *before)
{
    uint64_t next[2] = {before->high[0] + (before->high[1] == UINT64_MAX), before->high[1] + 1};

    if (next[0] == 0 && next[1] == 0)
        return false;
    return above6(range->low, next);
}

static int read_ranges6(struct reader *r)
{
    struct vfr_engine *e = r->engine;
    uint32_t count = r->header.count[VFR_SET_RANGES6];
    int rc = vfr_vector_make(&e->ranges6, &e->memory, sizeof(struct vfr_set_range6), 14, count);

    for (uint32_t i = 0; rc == 0 && i < count; i++)
        rc = take(r, vfr_vector_at(&e->ranges6, i), sizeof(struct vfr_set_range6));
    for (uint32_t s = 0; rc == 0 && s < e->set_count; s++) {
        const struct vfr_address_set *set = vfr_vector_at(&e->sets, s);

        for (uint32_t i = 0; i < set->count6; i++) {
            const struct vfr_set_range6 *range = vfr_vector_at(&e->ranges6, set->first6 + i);

            if (above6(range->low, range->high) || (i != 0 && !range6_behind(range, vfr_vector_at(&e->ranges6, set->first6 + i - 1))))
                return fail_set(r, "the IPv6 ranges of a set are not in order", NULL);
            if (i % 4096 == 0)
                vfr_engine_pause(e);
        }
    }
    return rc;
}

static int read_port_sets(struct reader *r)
{
    struct vfr_engine *e = r->engine;
    uint64_t end = 0;
    int rc;

    e->port_set_count = r->header.count[VFR_SET_PORT_SETS];
    rc = vfr_vector_make(&e->port_sets, &e->memory, sizeof(struct vfr_port_set), 12, e->port_set_count);
    for (uint32_t i = 0; rc == 0 && i < e->port_set_count; i++) {
        struct vfr_set_ports entry;

        rc = take(r, &entry, sizeof(entry));
        if (rc != 0)
            return rc;
        *(struct vfr_port_set *)vfr_vector_at(&e->port_sets, i) = (struct vfr_port_set){(uint32_t)end, entry.count};
        end += entry.count;
        if (end > r->header.count[VFR_SET_PORT_RANGES] || entry.count == 0)
            return fail_set(r, "a set of ports is empty, or has more ranges than there are", NULL);
    }
    if (rc == 0 && end != r->header.count[VFR_SET_PORT_RANGES])
        return fail_set(r, "there are ranges of ports that belong to no set", NULL);
    return rc;
}

static int read_port_ranges(struct reader *r)
{
    struct vfr_engine *e = r->engine;
    uint32_t count = r->header.count[VFR_SET_PORT_RANGES];
    int rc = vfr_vector_make(&e->ports, &e->memory, sizeof(struct vfr_set_port_range), 16, count);

    for (uint32_t i = 0; rc == 0 && i < count; i++)
        rc = take(r, vfr_vector_at(&e->ports, i), sizeof(struct vfr_set_port_range));
    for (uint32_t s = 0; rc == 0 && s < e->port_set_count; s++) {
        const struct vfr_port_set *set = vfr_vector_at(&e->port_sets, s);
        uint32_t next = 0;

        for (uint32_t i = 0; i < set->count; i++) {
            const struct vfr_set_port_range *range = vfr_vector_at(&e->ports, set->first + i);

            if (range->low > range->high || range->low < next)
                return fail_set(r, "the ranges of a set of ports are not in order", NULL);
            next = (uint32_t)range->high + 2;
        }
        if (s % PAUSE_EACH == 0)
            vfr_engine_pause(e);
    }
    return rc;
}

/* ---- Rules: what is in one must make sense, what it does not use must be zero ---- */

static const char *check_address(const struct vfr_engine *e, const struct vfr_set_address *a, bool used)
{
    unsigned int whole = a->bits / 8;

    if (!used)
        return all_zero(a, sizeof(*a)) ? NULL : "addresses that are not used are not zero";
    if (a->pad[0] != 0 || a->pad[1] != 0)
        return "an address with something behind it";
    if (a->family == 0)
        return a->set < e->set_count && a->bits == 0 && all_zero(a->bytes, 16) ? NULL : "there is no such set of addresses";
    if ((a->family != 4 && a->family != 6) || a->set != 0 || a->bits > (a->family == 4 ? 32 : 128))
        return "a prefix that is none";
    if (whole < 16 && ((a->bytes[whole] & (0xff >> (a->bits % 8))) != 0 || !all_zero(a->bytes + whole + 1, 15 - whole)))
        return "a prefix with bits set behind its end";
    return NULL;
}

static const char *check_port(const struct vfr_engine *e, const struct vfr_set_port *p, bool used)
{
    if (!used)
        return all_zero(p, sizeof(*p)) ? NULL : "ports that are not used are not zero";
    if (p->set != VFR_SET_NO_SET)
        return p->set < e->port_set_count && p->low == 0 && p->high == 0 ? NULL : "there is no such set of ports";
    return p->low <= p->high ? NULL : "a range of ports that ends before it begins";
}

static const char *check_mac(const uint8_t *mac, const uint8_t *mask, bool used)
{
    for (unsigned int i = 0; i < 6; i++) {
        if ((mac[i] & ~mask[i]) != 0 || (!used && mask[i] != 0))
            return "a hardware address with bits outside of its mask";
    }
    return NULL;
}

static const char *check_verdict(const struct vfr_engine *e, const struct vfr_set_rule *s)
{
    if (s->action > VFR_FORWARD)
        return "there is no such verdict";
    if (s->reject > VFR_REJECT_ADMIN || (s->action != VFR_REJECT && s->reject != 0))
        return "there is no such way to reject";
    if (s->action == VFR_FORWARD ? s->target_name >= e->name_count || is_glob(e->names[s->target_name].text) : s->target_name != 0)
        return "a packet is forwarded to one interface";
    return NULL;
}

static const char *check_simple_fields(const struct vfr_set_rule *s)
{
    uint32_t f = s->fields;

    if ((f & VFR_FIELD_FAMILY) != 0 ? s->family != 4 && s->family != 6 : s->family != 0)
        return "there is no such family of addresses";
    if (((f & VFR_FIELD_ETHERTYPE) == 0 && s->ethertype != 0) || ((f & VFR_FIELD_VLAN) == 0 ? s->vlan != 0 : s->vlan > 0xfff && s->vlan != NO_VLAN))
        return "there is no such ethertype or VLAN";
    if ((f & VFR_FIELD_PROTOCOL) == 0 && !all_zero(s->protocols, sizeof(s->protocols)))
        return "protocols that are not used are not zero";
    if ((f & VFR_FIELD_TCP_FLAGS) != 0 ? (s->tcp_flags & ~s->tcp_mask) != 0 : s->tcp_flags != 0 || s->tcp_mask != 0)
        return "TCP flags that are not among those looked at";
    if ((f & VFR_FIELD_ICMP) != 0 ? s->icmp_type_low > s->icmp_type_high || s->icmp_code_low > s->icmp_code_high : !all_zero(&s->icmp_type_low, 4))
        return "a range of ICMP types or codes that ends before it begins";
    if ((f & VFR_FIELD_FRAGMENT) != 0 ? s->fragment > VFR_FRAGMENT_LATER : s->fragment != 0)
        return "there is no such kind of fragments";
    return NULL;
}

static const char *check_rule(const struct vfr_engine *e, const struct vfr_set_rule *s)
{
    const char *wrong;

    if (s->id == 0)
        return "a rule without an id";
    if ((s->fields & ~VFR_FIELDS) != 0 || (s->negated & ~(s->fields & VFR_FIELDS_NEGATABLE)) != 0 || s->pad != 0 || s->pad2 != 0)
        return "a rule asks for what this version does not know";
    if (s->directions == 0 || (s->directions & ~(VFR_TX | VFR_RX)) != 0)
        return "there is no such direction";
    if (s->ifaces > VFR_SET_RULE_IFACES_MAX || ((s->fields & VFR_FIELD_IFACE) != 0) != (s->ifaces != 0))
        return "too many interfaces, at most 256 for one rule; or none";
    if (s->conditions + s->actions > (int)VFR_SET_RULE_USES_MAX)
        return "too many conditions and actions: at most 16 in one rule";
    wrong = check_simple_fields(s);
    wrong = wrong != NULL ? wrong : check_address(e, &s->source, (s->fields & VFR_FIELD_SOURCE) != 0);
    wrong = wrong != NULL ? wrong : check_address(e, &s->target, (s->fields & VFR_FIELD_TARGET) != 0);
    wrong = wrong != NULL ? wrong : check_port(e, &s->source_port, (s->fields & VFR_FIELD_SOURCE_PORT) != 0);
    wrong = wrong != NULL ? wrong : check_port(e, &s->target_port, (s->fields & VFR_FIELD_TARGET_PORT) != 0);
    wrong = wrong != NULL ? wrong : check_mac(s->source_mac, s->source_mac_mask, (s->fields & VFR_FIELD_SOURCE_MAC) != 0);
    wrong = wrong != NULL ? wrong : check_mac(s->target_mac, s->target_mac_mask, (s->fields & VFR_FIELD_TARGET_MAC) != 0);
    return wrong != NULL ? wrong : check_verdict(e, s);
}

/* ---- Rules: the form that packets are compared with ---- */

static uint8_t classes_of(const struct vfr_set_rule *s)
{
    const uint8_t ipv4 = 1 << VFR_CLASS_IPV4, ipv6 = 1 << VFR_CLASS_IPV6, arp = 1 << VFR_CLASS_ARP, other = 1 << VFR_CLASS_OTHER;
    const uint32_t ip_fields = VFR_FIELD_PROTOCOL | VFR_FIELD_SOURCE_PORT | VFR_FIELD_TARGET_PORT | VFR_FIELD_TCP_FLAGS | VFR_FIELD_ICMP;
    const struct vfr_set_address *both[2] = {&s->source, &s->target};
    const bool is_arp = (s->fields & VFR_FIELD_ETHERTYPE) != 0 && (s->negated & VFR_FIELD_ETHERTYPE) == 0 && s->ethertype == ETHERTYPE_ARP;
    uint8_t classes = ipv4 | ipv6 | arp | other;

    if ((s->fields & VFR_FIELD_FAMILY) != 0)
        classes &= s->family == 4 ? ipv4 : ipv6;
    if ((s->fields & ip_fields) != 0 || ((s->fields & ~s->negated) & VFR_FIELD_FRAGMENT) != 0)
        classes &= ipv4 | ipv6;
    if (((s->fields & ~s->negated) & VFR_FIELD_ETHERTYPE) != 0)
        classes &= s->ethertype == ETHERTYPE_ARP ? arp : s->ethertype == ETHERTYPE_IPV4 ? ipv4 | other : s->ethertype == ETHERTYPE_IPV6 ? ipv6 | other : other;
    for (unsigned int i = 0; i < 2; i++) {
        if ((s->fields & (VFR_FIELD_SOURCE << i)) == 0)
            continue;
        if (is_arp)
            classes &= both[i]->family == 6 ? 0 : arp;
        else
            classes &= both[i]->family == 4 ? ipv4 : both[i]->family == 6 ? ipv6 : ipv4 | ipv6;
    }
    return classes;
}

static uint64_t load64(const uint8_t *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof(v));
    return __builtin_bswap64(v);
}

/* A prefix is exact in the first dimension alone, unless it reaches into the second half of IPv6. Sets and what is negated: anything. */
static void compile_address(struct vfr_rule *c, const struct vfr_set_rule *s, const struct vfr_set_address *a, uint32_t field, struct vfr_interval *to)
{
    *to = (struct vfr_interval){0, UINT64_MAX};
    if ((s->fields & field) == 0)
        return;
    if ((s->negated & field) != 0) {
        c->slow |= field;
        c->inexact |= field;
        return;
    }
    if (a->family == 0) {
        c->slow |= field;
        return;
    }
    if (a->family == 4) {
        to->low = load64(a->bytes) >> 32;
        to->span = 0xffffffffull >> a->bits;
        return;
    }
    to->low = load64(a->bytes);
    to->span = a->bits >= 64 ? 0 : UINT64_MAX >> a->bits;
    if (a->bits > 64)
        c->slow |= field;
}

static void compile_port(struct vfr_rule *c, const struct vfr_set_rule *s, const struct vfr_set_port *p, uint32_t field, struct vfr_interval *to)
{
    *to = (struct vfr_interval){0, VFR_KEY_PORTS};
    if ((s->fields & field) == 0)
        return;
    *to = (struct vfr_interval){0, 0xffff};
    if ((s->negated & field) != 0) {
        c->slow |= field;
        c->inexact |= field;
    } else if (p->set != VFR_SET_NO_SET) {
        c->slow |= field;
    } else {
        *to = (struct vfr_interval){p->low, (uint64_t)p->high - p->low};
    }
}

/* ICMP types lie in the target port's dimension. */
static void compile_icmp(struct vfr_rule *c, const struct vfr_set_rule *s)
{
    bool exact = s->icmp_type_low == s->icmp_type_high || (s->icmp_code_low == 0 && s->icmp_code_high == 255);

    if ((s->fields & VFR_FIELD_ICMP) == 0)
        return;
    if ((s->fields & VFR_FIELD_TARGET_PORT) != 0 || (s->negated & VFR_FIELD_ICMP) != 0) { /* both: matches nothing, but let the field itself say so */
        c->slow |= VFR_FIELD_ICMP;
        c->inexact |= VFR_FIELD_ICMP;
        return;
    }
    c->fast[VFR_DIM_TARGET_PORT].low = VFR_KEY_ICMP + s->icmp_type_low * 256u + s->icmp_code_low;
    c->fast[VFR_DIM_TARGET_PORT].span = (s->icmp_type_high * 256u + s->icmp_code_high) - (s->icmp_type_low * 256u + s->icmp_code_low);
    if (!exact) {
        c->slow |= VFR_FIELD_ICMP;
        c->inexact |= VFR_FIELD_ICMP;
    }
}

static void compile_protocol(struct vfr_rule *c, const struct vfr_set_rule *s)
{
    struct vfr_interval *to = &c->fast[VFR_DIM_PROTOCOL];
    const uint64_t flip = (s->negated & VFR_FIELD_PROTOCOL) != 0 ? UINT64_MAX : 0;
    unsigned int low = 255, high = 0, in = 0;

    *to = (struct vfr_interval){0, VFR_KEY_NOT_IP};
    if ((s->fields & VFR_FIELD_PROTOCOL) == 0)
        return;
    for (unsigned int w = 0; w < 4; w++) {
        uint64_t bits = s->protocols[w] ^ flip;

        if (bits == 0)
            continue;
        low = low != 255 ? low : w * 64 + (unsigned int)__builtin_ctzll(bits);
        high = w * 64 + 63 - (unsigned int)__builtin_clzll(bits);
        for (; bits != 0; bits &= bits - 1)
            in++;
    }
    if (in == 0)
        high = low; /* none at all: the field itself will say so */
    *to = (struct vfr_interval){low, high - low};
    if (in != high - low + 1)
        c->slow |= VFR_FIELD_PROTOCOL;
}

static void compile_rule(struct vfr_rule *c, const struct vfr_set_rule *s, uint32_t index)
{
    const uint32_t by_other_dims = VFR_FIELD_SOURCE_MAC | VFR_FIELD_TARGET_MAC | VFR_FIELD_ETHERTYPE | VFR_FIELD_VLAN;
    static const uint8_t whole_mac[6] = {255, 255, 255, 255, 255, 255};

    c->index = index;
    c->classes = classes_of(s);
    compile_address(c, s, &s->source, VFR_FIELD_SOURCE, &c->fast[VFR_DIM_SOURCE]);
    compile_address(c, s, &s->target, VFR_FIELD_TARGET, &c->fast[VFR_DIM_TARGET]);
    compile_port(c, s, &s->source_port, VFR_FIELD_SOURCE_PORT, &c->fast[VFR_DIM_SOURCE_PORT]);
    compile_port(c, s, &s->target_port, VFR_FIELD_TARGET_PORT, &c->fast[VFR_DIM_TARGET_PORT]);
    compile_icmp(c, s);
    compile_protocol(c, s);
    c->slow |= s->fields & (by_other_dims | VFR_FIELD_TCP_FLAGS | VFR_FIELD_FRAGMENT);
    c->inexact |= s->fields & (VFR_FIELD_TCP_FLAGS | VFR_FIELD_FRAGMENT);
    c->inexact |= s->negated & (by_other_dims | VFR_FIELD_IFACE);
    if ((s->negated & VFR_FIELD_IFACE) != 0)
        c->slow |= VFR_FIELD_IFACE;
    if (memcmp(s->source_mac_mask, whole_mac, 6) != 0)
        c->inexact |= s->fields & VFR_FIELD_SOURCE_MAC;
    if (memcmp(s->target_mac_mask, whole_mac, 6) != 0)
        c->inexact |= s->fields & VFR_FIELD_TARGET_MAC;
    c->conditions = s->conditions;
    c->actions = s->actions;
    c->action = s->action;
    c->reject = s->reject;
    c->target = s->target_name;
    c->iface_count = s->ifaces;
    if (s->conditions == 0 && s->action != VFR_CONTINUE)
        c->flags |= VFR_RULE_DECIDES;
}

/* ---- Ids: each once ---- */

/* NULL, or what is wrong. Half of the slots are free: ids that are hashes find one in a few steps. */
static const char *id_insert(struct vfr_engine *e, uint64_t id, uint32_t index)
{
    uint32_t at = vfr_id_slot(e, id);

    for (uint32_t steps = 0; steps < ID_STEPS_MAX; steps++, at = (at + 1) & e->id_mask) {
        uint32_t *slot = vfr_vector_at(&e->ids, at);

        if (*slot == 0) {
            *slot = index + 1;
            return NULL;
        }
        if (((const struct vfr_set_rule *)vfr_vector_at(&e->texts, *slot - 1))->id == id)
            return "two rules have the same id";
    }
    return "the ids of rules are no hashes: too many are alike";
}

static int make_rules(struct vfr_engine *e, uint32_t count)
{
    uint32_t slots = 64;
    int rc;

    while (slots < 2 * count)
        slots *= 2;
    e->id_mask = slots - 1;
    e->rule_count = count;
    rc = vfr_vector_make(&e->texts, &e->memory, sizeof(struct vfr_set_rule), 12, count);
    rc = rc != 0 ? rc : vfr_vector_make(&e->rules, &e->memory, sizeof(struct vfr_rule), 12, count);
    rc = rc != 0 ? rc : vfr_vector_make(&e->counts, &e->memory, sizeof(struct vfr_count), 12, count + 1);
    return rc != 0 ? rc : vfr_vector_make(&e->ids, &e->memory, sizeof(uint32_t), 16, slots);
}

static int read_rules(struct reader *r)
{
    struct vfr_engine *e = r->engine;
    int rc = make_rules(e, r->header.count[VFR_SET_RULES]);

    for (uint32_t i = 0; rc == 0 && i < e->rule_count; i++) {
        struct vfr_set_rule *s = vfr_vector_at(&e->texts, i);
        const char *wrong;

        rc = take(r, s, sizeof(*s));
        if (rc != 0)
            return rc;
        wrong = check_rule(e, s);
        if (wrong != NULL)
            return vfr_load_fail(r->error, i, s->line, wrong, NULL);
        wrong = id_insert(e, s->id, i);
        if (wrong != NULL)
            return vfr_load_fail(r->error, i, s->line, wrong, NULL);
        if (s->ifaces > r->ifaces_left || (uint64_t)s->conditions + s->actions > r->uses_left)
            return vfr_load_fail(r->error, i, s->line, "the rule has more interfaces, conditions or actions than there are", NULL);
        r->ifaces_left -= s->ifaces;
        r->uses_left -= s->conditions + s->actions;
        e->fields |= s->fields;
        compile_rule(vfr_vector_at(&e->rules, i), s, i);
        if (i % PAUSE_EACH == 0)
            vfr_engine_pause(e);
    }
    if (rc == 0 && (r->ifaces_left != 0 || r->uses_left != 0))
        return fail_set(r, "there are interfaces, conditions or actions that belong to no rule", NULL);
    return rc;
}

static int read_rule_ifaces(struct reader *r)
{
    struct vfr_engine *e = r->engine;

    for (uint32_t i = 0; i < e->rule_count; i++) {
        struct vfr_rule *rule = vfr_vector_at(&e->rules, i);
        uint16_t *to = rule->iface_count == 0 ? NULL : vfr_arena_get(&e->arena, rule->iface_count * sizeof(*to));

        if (rule->iface_count != 0 && to == NULL)
            return -ENOMEM;
        for (uint32_t n = 0; n < rule->iface_count; n++) {
            uint32_t name;
            int rc = take(r, &name, sizeof(name));

            if (rc != 0)
                return rc;
            if (name >= e->name_count)
                return vfr_load_fail(r->error, i, 0, "there is no such interface name", NULL);
            to[n] = (uint16_t)name;
        }
        rule->ifaces = to;
        if (i % PAUSE_EACH == 0)
            vfr_engine_pause(e);
    }
    return 0;
}

/* ---- Uses of kinds ---- */

static uint32_t rule_line(const struct vfr_engine *e, uint32_t i)
{
    return ((const struct vfr_set_rule *)vfr_vector_at(&e->texts, i))->line;
}

static int read_use(struct reader *r, struct vfr_rule *rule, uint32_t n)
{
    struct vfr_rule_use *to = &rule->uses[n];
    struct vfr_set_use use;
    int rc = take(r, &use, sizeof(use));

    if (rc != 0)
        return rc;
    if (use.kind >= r->engine->kind_count || use.pad != 0)
        return vfr_load_fail(r->error, rule->index, rule_line(r->engine, rule->index), "there is no such kind of condition or action", NULL);
    to->ops = r->engine->kinds[use.kind];
    if (n < rule->conditions ? to->ops->match == NULL : to->ops->act == NULL)
        return vfr_load_fail(r->error, rule->index, rule_line(r->engine, rule->index), n < rule->conditions ? "this is no condition:" : "this is no action:", to->ops->name);
    if (use.values != to->ops->param_count || use.values > r->values_left)
        return vfr_load_fail(r->error, rule->index, rule_line(r->engine, rule->index), "a wrong number of parameters for", to->ops->name);
    if (use.data_bytes > VFR_SET_USE_DATA_MAX || ((use.data_bytes + 7ull) & ~7ull) > r->data_left)
        return vfr_load_fail(r->error, rule->index, rule_line(r->engine, rule->index), "too much data for", to->ops->name);
    r->values_left -= use.values;
    r->data_left -= (use.data_bytes + 7ull) & ~7ull;
    to->use.data_bytes = use.data_bytes;
    to->use.rule = rule->index;
    r->engine->wants_flows |= to->ops->wants_flows;
    return 0;
}

static int read_uses(struct reader *r)
{
    struct vfr_engine *e = r->engine;

    for (uint32_t i = 0; i < e->rule_count; i++) {
        struct vfr_rule *rule = vfr_vector_at(&e->rules, i);
        uint32_t count = (uint32_t)rule->conditions + rule->actions;

        if (i % PAUSE_EACH == 0)
            vfr_engine_pause(e);
        if (count == 0)
            continue;
        rule->uses = vfr_arena_get(&e->arena, count * sizeof(*rule->uses));
        if (rule->uses == NULL)
            return -ENOMEM;
        for (uint32_t n = 0; n < count; n++) {
            int rc = read_use(r, rule, n);

            if (rc != 0)
                return rc;
        }
    }
    return r->values_left != 0 || r->data_left != 0 ? fail_set(r, "there are parameters or data that belong to nothing", NULL) : 0;
}

/* Is a parameter's value one that it may have? Data is there for one of PROGRAM or TEXT alone. */
static bool value_sane(const struct vfr_engine *e, const struct vfr_parameter *p, uint64_t value, const struct vfr_use *use, bool *data)
{
    switch (p->type) {
    case VFR_PARAM_BOOL:
        return value <= 1;
    case VFR_PARAM_IFACE:
        return value < e->name_count && !is_glob(e->names[value].text);
    case VFR_PARAM_PROGRAM:
        *data = true;
        return value >= p->minimum && value <= p->maximum && value <= VFR_SET_USE_DATA_MAX / 8 && use->data_bytes == value * 8;
    case VFR_PARAM_TEXT:
        *data = true;
        return value <= VFR_SET_USE_DATA_MAX && use->data_bytes == value;
    default:
        return value >= p->minimum && value <= p->maximum;
    }
}

static int read_values_of(struct reader *r, struct vfr_rule_use *use)
{
    struct vfr_engine *e = r->engine;
    uint32_t count = use->ops->param_count;
    uint64_t *to = count == 0 ? NULL : vfr_arena_get(&e->arena, count * sizeof(*to));
    bool data = false;

    if (count != 0 && to == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < count; i++) {
        int rc = take(r, &to[i], sizeof(to[i]));

        if (rc != 0)
            return rc;
        if (!value_sane(e, &use->ops->params[i], to[i], &use->use, &data))
            return vfr_load_fail(r->error, use->use.rule, rule_line(e, use->use.rule), "not a possible value for the parameter", use->ops->params[i].name);
    }
    if (use->use.data_bytes != 0 && !data)
        return vfr_load_fail(r->error, use->use.rule, rule_line(e, use->use.rule), "data without a parameter that takes some, in", use->ops->name);
    use->use.values = to;
    return 0;
}

static int read_data_of(struct reader *r, struct vfr_rule_use *use)
{
    uint32_t bytes = use->use.data_bytes;
    uint8_t *to;
    int rc;

    if (bytes == 0)
        return 0;
    to = vfr_arena_get(&r->engine->arena, (bytes + 7ull) & ~7ull);
    if (to == NULL)
        return -ENOMEM;
    rc = take(r, to, (bytes + 7ull) & ~7ull);
    if (rc == 0 && !all_zero(to + bytes, -bytes & 7))
        return vfr_load_fail(r->error, use->use.rule, rule_line(r->engine, use->use.rule), "data that does not end with zeros", NULL);
    use->use.data = to;
    return rc;
}

static int for_each_use(struct reader *r, int (*step)(struct reader *r, struct vfr_rule_use *use))
{
    for (uint32_t i = 0; i < r->engine->rule_count; i++) {
        struct vfr_rule *rule = vfr_vector_at(&r->engine->rules, i);

        for (uint32_t n = 0; n < (uint32_t)rule->conditions + rule->actions; n++) {
            int rc = step(r, &rule->uses[n]);

            if (rc != 0)
                return rc;
        }
        if (i % PAUSE_EACH == 0)
            vfr_engine_pause(r->engine);
    }
    return 0;
}

/* With all of it there: does the kind agree? And its state. */
static int start_use(struct reader *r, struct vfr_rule_use *use)
{
    const char *wrong = use->ops->check != NULL ? use->ops->check(&use->use) : NULL;
    size_t bytes = (use->ops->state_bytes + 63) & ~63ull; /* several CPUs write it: a cache line of its own, nearly */

    if (wrong != NULL) {
        vfr_load_fail(r->error, use->use.rule, rule_line(r->engine, use->use.rule), use->ops->name, NULL);
        append(r->error->text, sizeof(r->error->text), ": ");
        append(r->error->text, sizeof(r->error->text), wrong);
        return -EINVAL;
    }
    if (use->ops->state_bytes != 0) {
        use->state = vfr_arena_get(&r->engine->arena, bytes);
        if (use->state == NULL)
            return -ENOMEM;
    }
    if (use->ops->start != NULL)
        use->ops->start(&use->use, use->state);
    return 0;
}

static int read_values(struct reader *r)
{
    return for_each_use(r, read_values_of);
}

static int read_data(struct reader *r)
{
    return for_each_use(r, read_data_of);
}

/* Its text is whoever's who holds the bytes: not read here. */
static int (*const sections[VFR_SET_TEXT])(struct reader *r) = {
    [VFR_SET_NAMES] = read_names, [VFR_SET_KINDS] = read_kinds, [VFR_SET_ADDRESS_SETS] = read_sets, [VFR_SET_RANGES4] = read_ranges4, [VFR_SET_RANGES6] = read_ranges6,
    [VFR_SET_PORT_SETS] = read_port_sets, [VFR_SET_PORT_RANGES] = read_port_ranges, [VFR_SET_RULES] = read_rules, [VFR_SET_RULE_IFACES] = read_rule_ifaces, [VFR_SET_USES] = read_uses,
    [VFR_SET_VALUES] = read_values, [VFR_SET_DATA] = read_data,
};

int vfr_ruleset_read(struct vfr_engine *engine, const struct vfr_source *source, struct vfr_load_error *error)
{
    struct reader r = {.engine = engine, .source = source, .error = error, .room = source->bytes < READ_BYTES ? (uint32_t)source->bytes + 1 : READ_BYTES};
    int rc;

    r.buffer = engine->memory.alloc(r.room);
    if (r.buffer == NULL)
        return -ENOMEM;
    rc = read_header(&r);
    for (unsigned int i = 0; rc == 0 && i < VFR_SET_TEXT; i++) {
        rc = sections[i](&r);
        rc = rc != 0 ? rc : take_fill(&r, (uint64_t)r.header.count[i] * entry_bytes[i]);
    }
    engine->memory.free(r.buffer);
    return rc != 0 ? rc : for_each_use(&r, start_use);
}
