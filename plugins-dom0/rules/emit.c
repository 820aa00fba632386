// SPDX-License-Identifier: MIT
/*
 * The last step of the compiler: what was parsed becomes a binary set (<vfr/ruleset.h>). Here names get their meaning, and contradictions within a rule are found.
 * The set's text section holds a line for each rule, "file:line<TAB>label<TAB>words": read.c reads it back. A rule's id is a hash of its words and of how many rules with the same words came before it.
 * Contract: ast.h. Tests: test-rules.c, test-nft.sh.
 */
#include "ast.h"

#include <vfr/ruleset-write.h>

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#define PORTS_MAX 65535u
#define IFACES_MAX VFR_SET_RULE_IFACES_MAX
#define GATHERED_MAX (16u << 20) /* elements of sets and groups, as often as they are looked at */

struct buffer {
    void *bytes;
    size_t used, room; /* of entries, or bytes */
};

struct emit {
    struct rules_run *run;
    struct vfr_writer *writer;
    struct buffer four, six, ports, text;
    uint64_t *seen; /* hashes of words, an open table */
    uint32_t *seen_count;
    size_t seen_room;
    uint8_t closed; /* directions in which a rule without conditions has decided all */
    struct rules_pos closed_by;
    uint32_t gathered, names, globs;
};

/* One more element of a list; false: so many that somebody has sets of sets of sets. That is told once. */
static bool gather_one(struct emit *e, const struct rules_elem *x)
{
    if (++e->gathered == GATHERED_MAX) {
        rules_error(e->run, &x->pos, "a set that stands alone behind from, to or port is looked at once", "more than %u elements of sets and lists", GATHERED_MAX);
        e->run->full = true;
    }
    return e->gathered < GATHERED_MAX;
}

static void *grow(struct emit *e, struct buffer *b, size_t count, size_t size)
{
    if (b->used + count > b->room) {
        size_t room = (b->used + count) * 2 + 64;
        void *bytes = realloc(b->bytes, room * size);

        if (bytes == NULL)
            longjmp(*(jmp_buf *)e->run->out_of_memory, 1);
        b->bytes = bytes;
        b->room = room;
    }
    b->used += count;
    return (char *)b->bytes + (b->used - count) * size;
}

/* ---- Addresses ---- */

/* The set or group that a word in a list names, or NULL. */
static struct rules_name *inner_name(struct rules_run *run, enum rules_names what, const struct rules_elem *x)
{
    return x->plain || (what == RULES_GROUP && x->quoted) ? NULL : rules_name_find(run, what, x->word);
}

static uint32_t word32(const uint8_t *b)
{
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static uint64_t word64(const uint8_t *b)
{
    return (uint64_t)word32(b) << 32 | word32(b + 4);
}

static void no_such_set(struct rules_run *run, const struct rules_elem *elem, const char *what)
{
    const char *near = rules_name_nearest(run, RULES_SET, elem->word);
    char hint[128];

    snprintf(hint, sizeof(hint), "as 10.0.2.16, 10.0.0.0/8, fec0::/64, or the name of a set");
    if (strcmp(what, "port") == 0)
        snprintf(hint, sizeof(hint), "a number, a range as 8000-8080, a service, or the name of a set");
    if (near == NULL && strcmp(what, "port") == 0)
        near = rules_nearest(elem->word, rules_service_names, rules_count(rules_service_names));
    if (near != NULL)
        snprintf(hint, sizeof(hint), "did you mean '%.64s'?", near);
    rules_error(run, &elem->pos, hint, "'%.64s' is no %s, and no set", elem->word, what);
}

static void gather_addresses(struct emit *e, const struct rules_elems *elems)
{
    for (const struct rules_elem *x = elems->first; x != NULL && gather_one(e, x); x = x->next) {
        struct rules_name *name;

        if (x->kind == RULES_ADDRESS && x->family == 4) {
            struct vfr_set_range4 *r = grow(e, &e->four, 1, sizeof(*r));

            *r = (struct vfr_set_range4){ word32(x->low), word32(x->high) };
        } else if (x->kind == RULES_ADDRESS) {
            struct vfr_set_range6 *r = grow(e, &e->six, 1, sizeof(*r));

            *r = (struct vfr_set_range6){ { word64(x->low), word64(x->low + 8) }, { word64(x->high), word64(x->high + 8) } };
        } else if (x->kind == RULES_WORD && (name = inner_name(e->run, RULES_SET, x)) != NULL) {
            name->used = true;
            gather_addresses(e, &name->elems);
        } else if (x->kind == RULES_WORD) {
            no_such_set(e->run, x, "address");
        } else {
            rules_error(e->run, &x->pos, NULL, x->kind == RULES_NUMBER ? "a number among addresses" : "not an element of a list of addresses");
        }
    }
}

/* The set that a list names alone: it is written once. */
static struct rules_name *single_name(struct rules_run *run, const struct rules_elems *elems)
{
    const struct rules_elem *x = elems->first;

    return x != NULL && x->next == NULL && x->kind == RULES_WORD ? rules_name_find(run, RULES_SET, x->word) : NULL;
}

static uint32_t address_set(struct emit *e, const struct rules_elems *elems)
{
    struct rules_name *name = single_name(e->run, elems);
    uint32_t set;

    if (name != NULL && name->address_set != 0)
        return name->address_set - 1;
    e->four.used = e->six.used = 0;
    gather_addresses(e, elems);
    set = vfr_writer_addresses(e->writer, e->four.bytes, (uint32_t)e->four.used, e->six.bytes, (uint32_t)e->six.used);
    if (name != NULL)
        name->address_set = set + 1;
    return set;
}

/* Is the list "any"? Alone, that is. */
static bool is_any(struct emit *e, const struct rules_elems *elems)
{
    const struct rules_elem *x = elems->first;

    if (x == NULL)
        return true;
    if (x->kind != RULES_ANY)
        return false;
    if (elems->negated || x->next != NULL)
        rules_error(e->run, &x->pos, NULL, "'any' stands alone");
    return true;
}

static void rule_mac(struct emit *e, struct vfr_set_rule *to, uint32_t field, const struct rules_elems *elems)
{
    const struct rules_elem *x = elems->first;
    bool source = field == VFR_FIELD_SOURCE_MAC;

    if (x->next != NULL)
        rules_error(e->run, &x->next->pos, "one, or a prefix as 00:16:3e:00:00:00/24; else several rules", "a list with a MAC address");
    memcpy(source ? to->source_mac : to->target_mac, x->low, 6);
    memcpy(source ? to->source_mac_mask : to->target_mac_mask, x->high, 6);
    to->fields |= field;
    to->negated |= elems->negated ? field : 0;
}

static void rule_address(struct emit *e, struct vfr_set_rule *to, uint32_t field, struct vfr_set_address *address, const struct rules_elems *elems)
{
    const struct rules_elem *x = elems->first;

    if (is_any(e, elems))
        return;
    if (x->kind == RULES_MAC) {
        rule_mac(e, to, field == VFR_FIELD_SOURCE ? VFR_FIELD_SOURCE_MAC : VFR_FIELD_TARGET_MAC, elems);
        return;
    }
    to->fields |= field;
    to->negated |= elems->negated ? field : 0;
    /* "Not 10.0.0.0/8" is every other IP packet, those of IPv6 too: hence a set. */
    if (x->next == NULL && x->kind == RULES_ADDRESS && !x->range && !elems->negated) {
        memcpy(address->bytes, x->low, 16);
        address->family = x->family;
        address->bits = x->bits;
    } else {
        address->set = address_set(e, elems);
    }
}

/* ---- Ports ---- */

static void add_ports(struct emit *e, const struct rules_pos *pos, uint32_t first, uint32_t last)
{
    struct vfr_set_port_range *r;

    if (last > PORTS_MAX) {
        rules_error(e->run, pos, "0 to 65535", "%u is no port", last);
        return;
    }
    r = grow(e, &e->ports, 1, sizeof(*r));
    *r = (struct vfr_set_port_range){ (uint16_t)first, (uint16_t)last };
}

static void gather_ports(struct emit *e, const struct rules_elems *elems)
{
    for (const struct rules_elem *x = elems->first; x != NULL && gather_one(e, x); x = x->next) {
        struct rules_name *name;
        int port;

        if (x->kind == RULES_NUMBER) {
            add_ports(e, &x->pos, x->first, x->last);
        } else if (x->kind == RULES_WORD && (name = inner_name(e->run, RULES_SET, x)) != NULL) {
            name->used = true;
            gather_ports(e, &name->elems);
        } else if (x->kind == RULES_WORD && (port = rules_service(x->word)) >= 0) {
            add_ports(e, &x->pos, (uint32_t)port, (uint32_t)port);
        } else if (x->kind == RULES_WORD) {
            no_such_set(e->run, x, "port");
        } else {
            rules_error(e->run, &x->pos, NULL, "not an element of a list of ports");
        }
    }
}

static void rule_ports(struct emit *e, struct vfr_set_rule *to, uint32_t field, struct vfr_set_port *port, const struct rules_elems *elems)
{
    struct rules_name *name = single_name(e->run, elems);
    const struct vfr_set_port_range *r;

    if (is_any(e, elems))
        return;
    to->fields |= field;
    to->negated |= elems->negated ? field : 0;
    port->set = VFR_SET_NO_SET;
    if (name != NULL && name->port_set != 0) {
        port->set = name->port_set - 1;
        return;
    }
    e->ports.used = 0;
    gather_ports(e, elems);
    r = e->ports.bytes;
    if (e->ports.used == 1) {
        port->low = r->low;
        port->high = r->high;
    } else if (e->ports.used > 1) {
        port->set = vfr_writer_ports(e->writer, r, (uint32_t)e->ports.used);
        if (name != NULL)
            name->port_set = port->set + 1;
    } else if (!e->run->failed) {
        rules_error(e->run, &elems->pos, NULL, "a list without ports");
    }
}

/* ---- Interfaces ---- */

/* Of a name that is fine; -1: there are too many different ones. */
static int name_index(struct emit *e, const struct rules_pos *pos, const char *name)
{
    uint32_t index = vfr_writer_name(e->writer, name);

    if (index < e->names)
        return (int)index;
    e->names = index + 1;
    e->globs += strpbrk(name, "*?") != NULL;
    if (e->names <= VFR_SET_NAMES_MAX && e->globs <= VFR_SET_GLOBS_MAX)
        return (int)index;
    if (e->globs > VFR_SET_GLOBS_MAX)
        rules_error(e->run, pos, "names of domains, and groups, need none", "'%.64s' is one too many: at most %u different names with * or ?", name, VFR_SET_GLOBS_MAX);
    else
        rules_error(e->run, pos, "a glob, as web*, is one", "'%.64s' is one too many: at most %u different names of interfaces", name, VFR_SET_NAMES_MAX);
    e->run->full = true;
    return -1;
}

/* The index of a name, or -1 and an error. one: it must mean one interface, so it is no glob. */
static int iface_name(struct emit *e, const struct rules_pos *pos, const char *name, bool one)
{
    const char *hint = NULL;

    for (const char *c = name; *c != 0; c++)
        if ((unsigned char)*c <= ' ' || (unsigned char)*c >= 0x7f)
            hint = "letters, digits, and signs of ASCII, without blanks";
    if (name[0] == 0 || strlen(name) >= VFR_NAME_MAX)
        hint = "1 to 63 letters";
    else if (strpbrk(name, "[]") != NULL)
        hint = "of the signs for several, only * and ? are known";
    else if (one && strpbrk(name, "*?") != NULL)
        hint = "one interface, as web.0";
    if (one && rules_name_find(e->run, RULES_GROUP, name) != NULL)
        rules_warn(e->run, pos, "one interface, as web.0", "'%.64s' is a group, and here it is taken for an interface", name);
    if (hint != NULL)
        rules_error(e->run, pos, hint, "'%.80s' cannot be the name of an interface%s", name, one ? " here" : "");
    return hint != NULL ? -1 : name_index(e, pos, name);
}

static void add_iface(struct emit *e, const struct rules_pos *pos, const char *name, uint32_t *ifaces, uint32_t *count)
{
    int found = iface_name(e, pos, name, false);
    uint32_t index = (uint32_t)found;

    if (found < 0)
        return;
    for (uint32_t i = 0; i < *count; i++)
        if (ifaces[i] == index)
            return;
    if (*count == IFACES_MAX) {
        rules_error(e->run, pos, "a glob, as web*, is one", "more than %u names of interfaces in one rule", IFACES_MAX);
        return;
    }
    ifaces[(*count)++] = index;
}

static void gather_ifaces(struct emit *e, const struct rules_elems *elems, uint32_t *ifaces, uint32_t *count)
{
    for (const struct rules_elem *x = elems->first; x != NULL && gather_one(e, x); x = x->next) {
        struct rules_name *name = x->kind == RULES_WORD ? inner_name(e->run, RULES_GROUP, x) : NULL;

        if (name != NULL) {
            name->used = true;
            gather_ifaces(e, &name->elems, ifaces, count);
        } else if (x->kind == RULES_WORD) {
            if (!x->quoted && rules_name_find(e->run, RULES_SET, x->word) != NULL)
                rules_warn(e->run, &x->pos, "groups are for interfaces: group NAME { web, db }", "'%.64s' is a set, and here it is taken for an interface", x->word);
            add_iface(e, &x->pos, x->word, ifaces, count);
        } else if (x->kind == RULES_ANY) {
            add_iface(e, &x->pos, "*", ifaces, count);
        } else {
            rules_error(e->run, &x->pos, "as web, web.0, web* or nic0; in quotes if it looks like a number", "not the name of an interface");
        }
    }
}

/* ---- The other fields ---- */

static void rule_protocols(struct emit *e, struct vfr_set_rule *to, const struct rules_elems *elems)
{
    if (is_any(e, elems))
        return;
    for (const struct rules_elem *x = elems->first; x != NULL; x = x->next) {
        int number = x->kind == RULES_WORD ? rules_protocol(x->word) : x->kind == RULES_NUMBER ? (int)x->first : -1;

        if (number < 0 || (x->kind == RULES_NUMBER && x->last > 255)) {
            const char *near = x->kind == RULES_WORD ? rules_nearest(x->word, rules_protocol_names, rules_count(rules_protocol_names)) : NULL;
            char hint[96] = "tcp, udp, icmp, icmp6, sctp, ... or a number from 0 to 255";

            if (near != NULL)
                snprintf(hint, sizeof(hint), "did you mean '%s'?", near);
            rules_error(e->run, &x->pos, hint, "'%.64s' is no protocol", x->word != NULL ? x->word : "");
            continue;
        }
        for (uint32_t n = (uint32_t)number; n <= (x->kind == RULES_NUMBER ? x->last : (uint32_t)number); n++)
            to->protocols[n >> 6] |= 1ull << (n & 63);
    }
    to->fields |= VFR_FIELD_PROTOCOL;
    to->negated |= elems->negated ? (uint32_t)VFR_FIELD_PROTOCOL : 0;
}

/* A single number or range. look_up: of words, NULL: none. */
static bool single_range(struct emit *e, const struct rules_elems *elems, const char *what, uint32_t most, int (*look_up)(const char *), uint32_t *first, uint32_t *last)
{
    const struct rules_elem *x = elems->first;
    int number = x->kind == RULES_WORD && look_up != NULL ? look_up(x->word) : -1;

    if (x->next != NULL) {
        rules_error(e->run, &x->next->pos, "one, or a range as 1-5; else several rules", "a list for '%s'", what);
        return false;
    }
    if (number >= 0) {
        *first = *last = (uint32_t)number;
        return true;
    }
    if (x->kind != RULES_NUMBER || x->last > most) {
        char hint[64];

        snprintf(hint, sizeof(hint), "a number from 0 to %u%s", most, look_up != NULL ? ", or a name" : "");
        rules_error(e->run, &x->pos, hint, "'%.64s' is no '%s'", x->word != NULL ? x->word : "", what);
        return false;
    }
    *first = x->first;
    *last = x->last;
    return true;
}

static int icmp4_type(const char *word)
{
    return rules_icmp_type(word, false);
}

static int icmp6_type(const char *word)
{
    return rules_icmp_type(word, true);
}

static void rule_icmp(struct emit *e, const struct rules_ast *r, struct vfr_set_rule *to)
{
    uint32_t first = 0, last = 255;
    unsigned int protocol = r->icmp_family == 6 ? 58 : 1;

    if (r->icmp.first == NULL) {
        if (r->icmp_code.first != NULL)
            rules_error(e->run, &r->icmp_code.pos, "as icmp-type unreachable code 4", "'code' without a type");
        return;
    }
    if (!is_any(e, &r->icmp))
        single_range(e, &r->icmp, r->icmp_family == 6 ? "icmp6-type" : "icmp-type", 255, r->icmp_family == 6 ? icmp6_type : icmp4_type, &first, &last);
    to->icmp_type_low = (uint8_t)first;
    to->icmp_type_high = (uint8_t)last;
    first = 0, last = 255;
    if (r->icmp_code.negated)
        rules_error(e->run, &r->icmp_code.pos, "a rule for each side of it: code 0-3, code 5-255", "a code cannot be negated");
    if (r->icmp_code.first != NULL && !is_any(e, &r->icmp_code))
        single_range(e, &r->icmp_code, "code", 255, NULL, &first, &last);
    to->icmp_code_low = (uint8_t)first;
    to->icmp_code_high = (uint8_t)last;
    to->fields |= VFR_FIELD_ICMP;
    to->negated |= r->icmp.negated ? (uint32_t)VFR_FIELD_ICMP : 0;
    if (!(to->fields & VFR_FIELD_PROTOCOL)) {
        to->fields |= VFR_FIELD_PROTOCOL;
        to->protocols[protocol >> 6] |= 1ull << (protocol & 63);
    }
}

static void rule_ether(struct emit *e, const struct rules_ast *r, struct vfr_set_rule *to)
{
    uint32_t first, last;

    if (r->ether.first != NULL && !is_any(e, &r->ether) && single_range(e, &r->ether, "ether", 0xffff, rules_ethertype, &first, &last)) {
        if (first != last)
            rules_error(e->run, &r->ether.pos, NULL, "a range of ethertypes");
        to->ethertype = (uint16_t)first;
        to->fields |= VFR_FIELD_ETHERTYPE;
        to->negated |= r->ether.negated ? (uint32_t)VFR_FIELD_ETHERTYPE : 0;
    }
    if (r->vlan.first == NULL || is_any(e, &r->vlan))
        return;
    if (r->vlan.first->kind == RULES_WORD && strcmp(r->vlan.first->word, "none") == 0)
        first = last = 0xffff;
    else if (!single_range(e, &r->vlan, "vlan", 4095, NULL, &first, &last))
        return;
    if (first != last)
        rules_error(e->run, &r->vlan.pos, NULL, "a range of VLANs");
    to->vlan = (uint16_t)first;
    to->fields |= VFR_FIELD_VLAN;
    to->negated |= r->vlan.negated ? (uint32_t)VFR_FIELD_VLAN : 0;
}

static bool has_protocol(const struct vfr_set_rule *to, unsigned int number)
{
    return to->protocols[number >> 6] >> (number & 63) & 1;
}

/* Which family the address is of: 4, 6; 0: of both, or none is said. */
static uint8_t address_family(const struct vfr_set_rule *to, uint32_t field, const struct vfr_set_address *address)
{
    return (to->fields & field) && !(to->negated & field) ? address->family : 0;
}

/* Why the rule can never match; NULL: it can. */
static const char *contradiction(const struct rules_ast *r, const struct vfr_set_rule *to)
{
    const uint32_t said = to->fields & ~to->negated, ports = VFR_FIELD_SOURCE_PORT | VFR_FIELD_TARGET_PORT;
    bool some = said & VFR_FIELD_PROTOCOL, ether = said & VFR_FIELD_ETHERTYPE, arp = ether && to->ethertype == 0x0806;
    bool ported = has_protocol(to, 6) || has_protocol(to, 17) || has_protocol(to, 33) || has_protocol(to, 132) || has_protocol(to, 136);
    uint8_t families[] = { to->family, ether && to->ethertype == 0x0800 ? 4 : ether && to->ethertype == 0x86dd ? 6 : 0, said & VFR_FIELD_ICMP ? r->icmp_family : 0,
                           address_family(to, VFR_FIELD_SOURCE, &to->source), address_family(to, VFR_FIELD_TARGET, &to->target) };
    unsigned int seen = arp ? 4 : 0;

    if (some && !ported && (to->fields & ports))
        return "ports, but a protocol that has none";
    if (some && !has_protocol(to, 6) && (to->fields & VFR_FIELD_TCP_FLAGS))
        return "TCP flags, but another protocol";
    if (some && (said & VFR_FIELD_ICMP) && !has_protocol(to, r->icmp_family == 6 ? 58 : 1))
        return r->icmp_family == 6 ? "types of ICMPv6, but another protocol" : "types of ICMP, but another protocol";
    if ((said & VFR_FIELD_FRAGMENT) && to->fragment == VFR_FRAGMENT_LATER && (to->fields & (ports | VFR_FIELD_TCP_FLAGS | VFR_FIELD_ICMP)))
        return "later fragments have no ports, flags or types";
    if (ether && to->ethertype != 0x0800 && to->ethertype != 0x86dd && (to->fields & (VFR_FIELD_PROTOCOL | VFR_FIELD_FAMILY | VFR_FIELD_TCP_FLAGS | VFR_FIELD_ICMP | VFR_FIELD_FRAGMENT | ports)))
        return arp ? "ARP has no protocol, ports or fragments" : "an ethertype that is not IP, and what only IP packets have";
    for (size_t i = 0; i < sizeof(families); i++) {
        if (families[i] != 0 && seen != 0 && families[i] != seen)
            return arp ? "ARP has addresses of IPv4" : "something of IPv4, and something of IPv6";
        seen = families[i] != 0 ? families[i] : seen;
    }
    return NULL;
}

/* What can never match is worth a word. */
static void rule_doubts(struct emit *e, const struct rules_ast *r, const struct vfr_set_rule *to)
{
    const char *why = contradiction(r, to);

    if (why != NULL)
        rules_warn(e->run, &r->pos, NULL, "this rule never matches: %s", why);
    if ((r->directions & ~e->closed) == 0 && !e->run->failed)
        rules_warn(e->run, &r->pos, NULL, "never reached: the rule in line %u of %.120s decides about all that comes here", e->closed_by.line, e->closed_by.file);
    if (r->verdict && to->fields == 0 && r->uses == NULL) {
        if (e->closed == 0)
            e->closed_by = r->pos;
        e->closed |= r->directions;
    }
}

/* ---- Uses ---- */

struct use_slots {
    struct vfr_writer_use uses[VFR_SET_RULE_USES_MAX];
    struct rules_values values[VFR_SET_RULE_USES_MAX];
    uint32_t conditions, actions;
};

static void rule_use(struct emit *e, const struct rules_use *u, struct use_slots *to, bool actions)
{
    uint32_t at = to->conditions + to->actions;
    struct rules_values *v = &to->values[at];

    if ((u->ops->act != NULL) != actions)
        return;
    if (at == VFR_SET_RULE_USES_MAX) {
        rules_error(e->run, &u->pos, NULL, "more than %u conditions and actions in one rule", VFR_SET_RULE_USES_MAX);
        return;
    }
    if (!rules_use_values(e->run, u, v))
        return;
    if (v->iface != NULL) {
        int index = iface_name(e, &u->pos, v->iface, true);

        if (index < 0)
            return;
        v->values[v->iface_param] = (uint32_t)index;
    }
    to->uses[at] = (struct vfr_writer_use){ .kind = vfr_writer_kind(e->writer, u->ops->name), .value_count = u->ops->param_count, .values = v->values, .data = v->data, .data_bytes = v->data_bytes };
    if (actions)
        to->actions++;
    else
        to->conditions++;
}

/* ---- Rules ---- */

static uint64_t hash(const char *text, uint32_t occurrence)
{
    uint64_t h = 14695981039346656037ull;

    for (; *text != 0; text++)
        h = (h ^ (uint8_t)*text) * 1099511628211ull;
    for (unsigned int i = 0; i < 4; i++)
        h = (h ^ (occurrence >> (8 * i) & 0xff)) * 1099511628211ull;
    h ^= h >> 32;
    return h != 0 ? h : 1;
}

static uint64_t rule_id(struct emit *e, const char *text)
{
    uint64_t plain = hash(text, 0);
    size_t at = plain & (e->seen_room - 1);

    while (e->seen[at] != 0 && e->seen[at] != plain)
        at = (at + 1) & (e->seen_room - 1);
    e->seen[at] = plain;
    return hash(text, e->seen_count[at]++);
}

static void rule_text(struct emit *e, const struct rules_ast *r)
{
    size_t bytes = strlen(r->pos.file) + strlen(r->text) + (r->label != NULL ? strlen(r->label) : 0) + 32;
    char *to = grow(e, &e->text, bytes, 1);

    e->text.used -= bytes - (size_t)snprintf(to, bytes, "%s:%u\t%s\t%s\n", r->pos.file, r->pos.line, r->label != NULL ? r->label : "", r->text);
    /* Tabs and newlines separate: a file may have them in its name. */
    for (char *c = to; *c != ':' || c < to + strlen(r->pos.file); c++)
        if ((unsigned char)*c < ' ')
            *c = '?';
}

static void emit_rule(struct emit *e, const struct rules_ast *r)
{
    struct vfr_set_rule to = { .line = r->pos.line, .directions = r->directions, .action = r->action, .reject = r->reject };
    uint32_t ifaces[IFACES_MAX], iface_count = 0;
    struct use_slots slots = { .conditions = 0 };

    to.id = rule_id(e, r->text);
    if (r->family != 0) {
        to.fields |= VFR_FIELD_FAMILY;
        to.family = r->family;
    }
    if (r->on.first != NULL && !(r->on.first->kind == RULES_ANY && is_any(e, &r->on))) {
        gather_ifaces(e, &r->on, ifaces, &iface_count);
        to.fields |= VFR_FIELD_IFACE;
        to.negated |= r->on.negated ? (uint32_t)VFR_FIELD_IFACE : 0;
    }
    rule_protocols(e, &to, &r->protocol);
    rule_address(e, &to, VFR_FIELD_SOURCE, &to.source, &r->source);
    rule_address(e, &to, VFR_FIELD_TARGET, &to.target, &r->target);
    rule_ports(e, &to, VFR_FIELD_SOURCE_PORT, &to.source_port, &r->source_port);
    rule_ports(e, &to, VFR_FIELD_TARGET_PORT, &to.target_port, &r->target_port);
    rule_icmp(e, r, &to);
    rule_ether(e, r, &to);
    if (r->has_flags) {
        to.fields |= VFR_FIELD_TCP_FLAGS;
        to.tcp_flags = r->tcp_flags;
        to.tcp_mask = r->tcp_mask;
    }
    if (r->has_fragment) {
        to.fields |= VFR_FIELD_FRAGMENT;
        to.negated |= r->not_fragment ? (uint32_t)VFR_FIELD_FRAGMENT : 0;
        to.fragment = r->fragment_later ? VFR_FRAGMENT_LATER : VFR_FRAGMENT_ANY;
    }
    if (r->forward != NULL) {
        int index = iface_name(e, &r->forward_pos, r->forward, true);

        to.target_name = index >= 0 ? (uint32_t)index : 0;
    }
    for (const struct rules_use *u = r->uses; u != NULL; u = u->next)
        rule_use(e, u, &slots, false);
    for (const struct rules_use *u = r->uses; u != NULL; u = u->next)
        rule_use(e, u, &slots, true);
    rule_doubts(e, r, &to);
    vfr_writer_rule(e->writer, &to, ifaces, iface_count, slots.uses, slots.conditions, slots.actions);
    if (!e->run->options->no_text)
        rule_text(e, r);
}

static void emit_all(struct emit *e)
{
    struct rules_run *run = e->run;
    struct vfr_set_policy policy[2] = { { .action = VFR_ACCEPT }, { .action = VFR_ACCEPT } };
    size_t bytes = 0;

    for (unsigned int i = 0; i < 2; i++)
        if (run->policy[i].set)
            policy[i] = (struct vfr_set_policy){ .action = run->policy[i].action, .reject = run->policy[i].reject };
    for (const struct rules_ast *r = run->rules; r != NULL && !run->full; r = r->next)
        emit_rule(e, r);
    if (run->failed)
        return;
    run->to->bytes = vfr_writer_finish(e->writer, policy, e->text.bytes, e->text.used < VFR_SET_TEXT_MAX ? e->text.used : 0, &bytes);
    if (run->to->bytes == NULL)
        longjmp(*(jmp_buf *)run->out_of_memory, 1);
    run->to->size = bytes;
    run->to->rules = run->rule_count;
}

void rules_emit(struct rules_run *run)
{
    struct emit *e = rules_alloc(&run->arena, sizeof(*e));
    jmp_buf *outer = run->out_of_memory, inner;
    volatile bool starved = false;

    e->run = run;
    e->writer = vfr_writer_create();
    for (e->seen_room = 64; e->seen_room < 2 * (size_t)run->rule_count; e->seen_room *= 2)
        ;
    e->seen = rules_alloc(&run->arena, e->seen_room * sizeof(*e->seen));
    e->seen_count = rules_alloc(&run->arena, e->seen_room * sizeof(*e->seen_count));
    /* What malloc gave must go back, whatever happens. */
    run->out_of_memory = &inner;
    if (setjmp(inner) == 0 && e->writer != NULL)
        emit_all(e);
    else
        starved = true;
    run->out_of_memory = outer;
    free(e->four.bytes);
    free(e->six.bytes);
    free(e->ports.bytes);
    free(e->text.bytes);
    if (e->writer != NULL)
        vfr_writer_destroy(e->writer);
    if (starved)
        longjmp(*outer, 1);
}
