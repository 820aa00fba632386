// SPDX-License-Identifier: MIT
/*
 * Looking a packet up: which rules match its header fields, in their order, up to the first that surely decides. The packet becomes a few numbers (keys); in each forest that concerns it (its class, its direction, each
 * name its interface has) each tree is walked down to a leaf of a few rules, which are compared with the keys. A tree whose first rule comes after a decider that was found is not walked.
 *
 * After HyperSplit (Qi, Xu, Yang, Xue, Li, "Packet Classification Algorithms: From Theory to Practice", INFOCOM 2009), with rules separated into trees by where they are wide, as in EffiCuts (Vamanan, Voskuilen,
 * Vijaykumar, SIGCOMM 2010) and CutSplit (Li, Li, Li, Xie, INFOCOM 2018). How the trees are made: classifier-build.c. Page: docs/concepts/classifier.md. Tests: test-engine.c; cost: sdk/sim/vfr-cost.c.
 */
#include "engine-internal.h"

#include <string.h>

enum { PROTOCOL_ICMP = 1, PROTOCOL_ICMP6 = 58 };

struct lookup {
    const struct vfr_engine *engine;
    const struct vfr_packet *packet;
    const struct vfr_binding *binding;
    uint32_t from, limit; /* rules from..limit-1 are of interest */
    uint64_t keys[VFR_DIMS];
};

static inline uint64_t load64(const uint8_t *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof(v));
    return __builtin_bswap64(v);
}

static uint64_t load48(const uint8_t *p)
{
    uint64_t v = 0;

    for (unsigned int i = 0; i < 6; i++)
        v = v << 8 | p[i];
    return v;
}

/* ---- Keys ---- */

static void find_rare_keys(struct lookup *l, enum vfr_class class)
{
    const struct vfr_packet *p = l->packet;

    if (class == VFR_CLASS_IPV6) {
        l->keys[VFR_DIM_SOURCE_LOW] = load64(p->source + 8);
        l->keys[VFR_DIM_TARGET_LOW] = load64(p->target + 8);
    }
    if (p->header_bytes >= 12) {
        l->keys[VFR_DIM_SOURCE_MAC] = load48(p->header + 6);
        l->keys[VFR_DIM_TARGET_MAC] = load48(p->header);
    }
    l->keys[VFR_DIM_ETHERTYPE] = p->ethertype;
    l->keys[VFR_DIM_VLAN] = p->vlan;
}

static void find_keys(struct lookup *l, enum vfr_class class)
{
    const struct vfr_packet *p = l->packet;

    l->keys[VFR_DIM_SOURCE] = load64(p->source);
    l->keys[VFR_DIM_TARGET] = load64(p->target);
    if (class != VFR_CLASS_IPV6) {
        l->keys[VFR_DIM_SOURCE] >>= 32;
        l->keys[VFR_DIM_TARGET] >>= 32;
    }
    l->keys[VFR_DIM_PROTOCOL] = class <= VFR_CLASS_IPV6 ? p->protocol : VFR_KEY_NOT_IP;
    l->keys[VFR_DIM_SOURCE_PORT] = l->keys[VFR_DIM_TARGET_PORT] = VFR_KEY_NO_PORT;
    if (p->family != 0 && p->l4 != 0) {
        if (vfr_protocol_has_ports(p->protocol)) {
            l->keys[VFR_DIM_SOURCE_PORT] = p->source_port;
            l->keys[VFR_DIM_TARGET_PORT] = p->target_port;
        } else if (p->protocol == PROTOCOL_ICMP || p->protocol == PROTOCOL_ICMP6) {
            l->keys[VFR_DIM_TARGET_PORT] = VFR_KEY_ICMP + p->icmp_type * 256u + p->icmp_code;
        }
    }
    if (l->engine->dims != 0) {
        for (unsigned int i = VFR_DIMS_FAST; i < VFR_DIMS; i++)
            l->keys[i] = 0;
        find_rare_keys(l, class);
    }
}

/* ---- Rules ---- */

static inline bool rule_matches(const struct lookup *l, const struct vfr_rule *r)
{
    for (unsigned int i = 0; i < VFR_DIMS_FAST; i++) {
        if (l->keys[i] - r->fast[i].low > r->fast[i].span)
            return false;
    }
    for (uint32_t left = r->slow; left != 0; left &= left - 1) {
        if (!vfr_field_matches(l->engine, r->index, left & -left, l->packet, l->binding))
            return false;
    }
    return true;
}

/* In its place among those found; if there is no room, the last one goes, and nothing behind it is of interest this time. */
static void keep(struct lookup *l, struct vfr_matches *m, const struct vfr_rule *r)
{
    uint32_t at = m->count;

    while (at != 0 && m->rule[at - 1]->index > r->index)
        at--;
    if (at != 0 && m->rule[at - 1] == r)
        return; /* it is there by another name of the interface */
    if (m->count == VFR_MATCHES_MAX)
        m->more = true;
    else
        m->count++;
    if (at < VFR_MATCHES_MAX) {
        memmove(&m->rule[at + 1], &m->rule[at], (m->count - 1 - at) * sizeof(m->rule[0]));
        m->rule[at] = r;
    }
    if (m->more && m->rule[VFR_MATCHES_MAX - 1]->index < l->limit)
        l->limit = m->rule[VFR_MATCHES_MAX - 1]->index;
}

/* Rules of a leaf are in order: the first of interest. */
static uint32_t leaf_start(const struct vfr_leaf *leaf, uint32_t from)
{
    uint32_t low = 0, high = leaf->count;

    while (low < high) {
        uint32_t middle = (low + high) / 2;

        if (leaf->rules[middle]->index < from)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void search_leaf(struct lookup *l, const struct vfr_leaf *leaf, struct vfr_matches *m)
{
    for (uint32_t i = leaf->first >= l->from ? 0 : leaf_start(leaf, l->from); i < leaf->count; i++) {
        const struct vfr_rule *r = leaf->rules[i];

        if (r->index >= l->limit)
            return;
        if (!rule_matches(l, r))
            continue;
        if ((r->flags & VFR_RULE_DECIDES) != 0) {
            m->decides = l->limit = r->index;
            m->decider = r;
            return;
        }
        keep(l, m, r);
    }
}

static const struct vfr_leaf *find_leaf(const struct lookup *l, const struct vfr_tree *tree)
{
    uint64_t next = tree->root.next, split = tree->root.split;

    while ((next & 31) != VFR_NODE_LEAF) {
        const struct vfr_node *child = (const struct vfr_node *)(uintptr_t)(next & ~31ull) + (l->keys[next & 31] >= split);

        next = child->next;
        split = child->split;
    }
    return (const struct vfr_leaf *)(uintptr_t)split;
}

static void search_forest(struct lookup *l, const struct vfr_forest *forest, struct vfr_matches *m)
{
    for (uint32_t i = 0; i < forest->trees && forest->tree[i].first < l->limit; i++) {
        const struct vfr_leaf *leaf = find_leaf(l, &forest->tree[i]);

        if (leaf->first < l->limit)
            search_leaf(l, leaf, m);
    }
}

void vfr_classify(const struct vfr_engine *engine, const struct vfr_packet *packet, unsigned int direction, const struct vfr_binding *binding, uint32_t from, struct vfr_matches *matches)
{
    struct lookup l;
    enum vfr_class class = vfr_class_of(packet);

    l.engine = engine;
    l.packet = packet;
    l.binding = binding;
    l.from = from;
    l.limit = engine->rule_count;
    matches->count = 0;
    matches->more = false;
    matches->decides = engine->rule_count;
    matches->decider = NULL;
    find_keys(&l, class);
    for (uint32_t i = 0; i <= binding->count; i++) {
        uint32_t group = i == 0 ? 0 : binding->groups[i - 1] + 1u;
        const struct vfr_forest *forest = *(struct vfr_forest **)vfr_vector_at(&engine->forests, vfr_forest_place(group, class, direction));

        if (forest != NULL)
            search_forest(&l, forest, matches);
    }
    while (matches->count != 0 && matches->rule[matches->count - 1]->index > matches->decides) {
        matches->count--;
        matches->more = false; /* whatever had no room comes later still */
    }
}
