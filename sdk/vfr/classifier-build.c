// SPDX-License-Identifier: MIT
/*
 * Making the classifier of a set: for each class of packets, direction, and name of interfaces that rules are for, a forest of up to six binary trees; for each tree, boxes of the packets' key space are split until
 * few rules are left that may match in one.
 *
 * Which dimension and where: of a sample of the rules, the ends of their intervals are candidates, at the quartiles; the best leaves the fewest rules on both sides (HyperSplit's balance, with what is cut in two
 * counted twice). Rules that are wide where others are narrow would be copied into every box: they get trees of their own (EffiCuts, CutSplit). A rule that covers a whole box and surely decides hides all behind it.
 * Memory is bounded whatever the rules are: a box may be split only while the copies made below it stay within an allowance in proportion to its rules; else it stays a long leaf, right though slow.
 * Contract: engine-internal.h; the published work: classifier.c. Tests: test-engine.c; cost: sdk/sim/vfr-cost.c.
 */
#include "engine-internal.h"

#include <hv/errno.h>

#include <string.h>

enum {
    LEAF_RULES = 6,        /* not split any further */
    LONG_LEAF = 32,        /* better any split than so many */
    ONE_TREE_RULES = 24,   /* a forest of so few is one tree */
    SUBSET_RULES = 12,     /* a subset of fewer goes with the rest */
    SAMPLE = 96,
    COPIES = 12,           /* entries in leaves for each rule of a tree, at most */
    COPIES_FREE = 256,     /* and so many more in all */
    DEPTH_MAX = 60,
    SET_SMALL = 64,        /* ranges of a set that is told apart by */
    WORK_SHIFT_FIRST = 9,  /* the work list's pieces: 2 KiB for a small set, which is to be loaded quickly ... */
    WORK_SHIFT_MAX = 16,   /* ... and 256 KiB for a large one */
    WORK_RULES_SHIFT = 1,  /* by rules: 128 entries for each, and 15 are the most that their copies take */
};
#define MAC_MAX   0xffffffffffffull

struct box {
    uint64_t low[VFR_DIMS], high[VFR_DIMS];
};
/* A box whose rules are waiting: `count` of them from `first` on in the work list. */
struct item {
    struct vfr_node *node;
    uint32_t first, count, allowance, depth;
    struct box box;
};
struct builder {
    struct vfr_engine *engine;
    enum vfr_class class;
    uint32_t dims;          /* in which rules of this tree differ from all */
    struct vfr_vector work; /* uint32_t: lists of rules, a stack */
    uint32_t work_shift, work_room;
    struct item *items;     /* a stack: one more for each box that is split on the way down */
    uint32_t item_count, item_room;
    uint64_t *ends;         /* of 2 * SAMPLE */
    struct vfr_interval *sample;
    struct vfr_vector pairs, starts; /* rules of each group, one group behind the other; where each begins */
};

/* ---- Where a rule may match ---- */

static const struct vfr_set_rule *text_of(const struct builder *b, const struct vfr_rule *r)
{
    return vfr_vector_at(&b->engine->texts, r->index);
}

static const struct vfr_rule *rule_at(const struct builder *b, uint32_t work)
{
    return vfr_vector_at(&b->engine->rules, *(uint32_t *)vfr_vector_at(&b->work, work));
}

static bool clip(struct vfr_interval *to, uint64_t low, uint64_t high, uint64_t box_low, uint64_t box_high)
{
    if (low > box_high || high < box_low)
        return false;
    low = low > box_low ? low : box_low;
    high = high < box_high ? high : box_high;
    *to = (struct vfr_interval){low, high - low};
    return true;
}

/* The hull of the part of a set in low..high, IPv4. */
static bool clip_set4(const struct vfr_engine *e, const struct vfr_address_set *set, uint64_t low, uint64_t high, struct vfr_interval *to)
{
    uint32_t first = vfr_ranges4_find(e, set, (uint32_t)low), last = vfr_ranges4_find(e, set, (uint32_t)high);
    const struct vfr_set_range4 *a, *z;

    if (first == set->count4)
        return false;
    a = vfr_vector_at(&e->ranges4, set->first4 + first);
    if (a->low > high)
        return false;
    if (last == set->count4 || ((const struct vfr_set_range4 *)vfr_vector_at(&e->ranges4, set->first4 + last))->low > high)
        last--; /* not below first, which begins in the box */
    z = vfr_vector_at(&e->ranges4, set->first4 + last);
    return clip(to, a->low, z->high, low, high);
}

static bool above6(const uint64_t a[2], const uint64_t b[2])
{
    return a[0] != b[0] ? a[0] > b[0] : a[1] > b[1];
}

/* The same of IPv6; the hull in the half that is asked for. The second half says something only if the first is one number. */
static bool clip_set6(const struct vfr_engine *e, const struct vfr_address_set *set, const uint64_t low[2], const uint64_t high[2], unsigned int half, struct vfr_interval *to)
{
    uint32_t first = vfr_ranges6_find(e, set, low), last = vfr_ranges6_find(e, set, high);
    const struct vfr_set_range6 *a, *z;

    if (first == set->count6)
        return false;
    a = vfr_vector_at(&e->ranges6, set->first6 + first);
    if (above6(a->low, high))
        return false;
    if (last == set->count6 || above6(((const struct vfr_set_range6 *)vfr_vector_at(&e->ranges6, set->first6 + last))->low, high))
        last--;
    z = vfr_vector_at(&e->ranges6, set->first6 + last);
    if (half == 0)
        return clip(to, a->low[0], z->high[0], low[0], high[0]);
    return clip(to, a->low[0] == low[0] ? a->low[1] : 0, z->high[0] == high[0] ? z->high[1] : UINT64_MAX, low[1], high[1]);
}

static uint64_t load_number(const uint8_t *p, unsigned int bytes)
{
    uint64_t v = 0;

    for (unsigned int i = 0; i < bytes; i++)
        v = v << 8 | p[i];
    return v;
}

static bool clip_address(const struct builder *b, const struct vfr_rule *r, const struct box *box, bool target, bool second, struct vfr_interval *to)
{
    const uint32_t field = VFR_FIELD_SOURCE << target, dim = second ? VFR_DIM_SOURCE_LOW + target : VFR_DIM_SOURCE + target, half = VFR_DIM_SOURCE + target;
    const struct vfr_interval *fast = &r->fast[half];
    const struct vfr_set_rule *text = text_of(b, r);
    const struct vfr_set_address *a = target ? &text->target : &text->source;
    const bool one = box->low[half] == box->high[half];

    if ((r->slow & ~r->inexact & field) == 0 || (a->family != 0 && (!second || !one)))
        return second ? clip(to, 0, UINT64_MAX, box->low[dim], box->high[dim]) : clip(to, fast->low, fast->low + fast->span, box->low[dim], box->high[dim]);
    if (a->family != 0) { /* a long prefix of IPv6, its second half */
        uint64_t low = load_number(a->bytes + 8, 8);

        return clip(to, low, low + (a->bits == 128 ? 0 : UINT64_MAX >> (a->bits - 64)), box->low[dim], box->high[dim]);
    }
    const struct vfr_address_set *set = vfr_vector_at(&b->engine->sets, a->set);

    if (b->class == VFR_CLASS_IPV6) {
        const uint64_t low[2] = {box->low[half], one ? box->low[VFR_DIM_SOURCE_LOW + target] : 0}, high[2] = {box->high[half], one ? box->high[VFR_DIM_SOURCE_LOW + target] : UINT64_MAX};

        return second && !one ? clip(to, 0, UINT64_MAX, box->low[dim], box->high[dim]) : clip_set6(b->engine, set, low, high, second, to);
    }
    return second ? clip(to, 0, UINT64_MAX, box->low[dim], box->high[dim]) : clip_set4(b->engine, set, box->low[dim], box->high[dim], to);
}

static bool clip_port(const struct builder *b, const struct vfr_rule *r, const struct box *box, bool target, struct vfr_interval *to)
{
    const uint32_t dim = VFR_DIM_SOURCE_PORT + target, field = VFR_FIELD_SOURCE_PORT << target;
    const struct vfr_interval *fast = &r->fast[dim];
    const struct vfr_set_rule *text = text_of(b, r);
    const struct vfr_set_port *p = target ? &text->target_port : &text->source_port;
    const struct vfr_port_set *set;
    uint64_t high = box->high[dim] < 0xffff ? box->high[dim] : 0xffff;
    uint32_t first, last;

    if ((r->slow & ~r->inexact & field) == 0)
        return clip(to, fast->low, fast->low + fast->span, box->low[dim], box->high[dim]);
    if (box->low[dim] > 0xffff)
        return false;
    set = vfr_vector_at(&b->engine->port_sets, p->set);
    first = vfr_ports_find(b->engine, set, (uint16_t)box->low[dim]);
    last = vfr_ports_find(b->engine, set, (uint16_t)high);
    if (first == set->count || ((const struct vfr_set_port_range *)vfr_vector_at(&b->engine->ports, set->first + first))->low > high)
        return false;
    if (last == set->count || ((const struct vfr_set_port_range *)vfr_vector_at(&b->engine->ports, set->first + last))->low > high)
        last--;
    return clip(to, ((const struct vfr_set_port_range *)vfr_vector_at(&b->engine->ports, set->first + first))->low,
                ((const struct vfr_set_port_range *)vfr_vector_at(&b->engine->ports, set->first + last))->high, box->low[dim], high);
}

static bool has_protocol(const struct vfr_set_rule *s, uint64_t protocol)
{
    bool in = (s->protocols[protocol >> 6] >> (protocol & 63) & 1) != 0;

    return in != ((s->negated & VFR_FIELD_PROTOCOL) != 0);
}

static bool clip_protocol(const struct builder *b, const struct vfr_rule *r, const struct box *box, struct vfr_interval *to)
{
    const struct vfr_interval *fast = &r->fast[VFR_DIM_PROTOCOL];
    const struct vfr_set_rule *text = text_of(b, r);
    uint64_t low, high;

    if (!clip(to, fast->low, fast->low + fast->span, box->low[VFR_DIM_PROTOCOL], box->high[VFR_DIM_PROTOCOL]))
        return false;
    if ((r->slow & VFR_FIELD_PROTOCOL) == 0)
        return true;
    low = to->low;
    high = to->low + to->span;
    while (low < high && !has_protocol(text, low))
        low++;
    while (high > low && !has_protocol(text, high))
        high--;
    *to = (struct vfr_interval){low, high - low};
    return has_protocol(text, low);
}

/* A field that is one number, or anything. */
static bool clip_number(const struct vfr_rule *r, uint32_t field, uint64_t number, uint64_t max, uint64_t box_low, uint64_t box_high, struct vfr_interval *to)
{
    if ((r->slow & ~r->inexact & field) == 0)
        return clip(to, 0, max, box_low, box_high);
    return clip(to, number, number, box_low, box_high);
}

/* The smallest interval of this dimension that holds all keys in the box that the rule may match. False: none. */
static bool clip_rule(const struct builder *b, const struct vfr_rule *r, const struct box *box, unsigned int dim, struct vfr_interval *to)
{
    static const uint16_t fields[VFR_DIMS_FAST] = {VFR_FIELD_SOURCE, VFR_FIELD_TARGET, VFR_FIELD_SOURCE_PORT, VFR_FIELD_TARGET_PORT, VFR_FIELD_PROTOCOL};
    const struct vfr_set_rule *text;

    if (dim < VFR_DIMS_FAST && (r->slow & fields[dim]) == 0)
        return clip(to, r->fast[dim].low, r->fast[dim].low + r->fast[dim].span, box->low[dim], box->high[dim]);
    switch (dim) {
    case VFR_DIM_SOURCE:
    case VFR_DIM_TARGET:
        return clip_address(b, r, box, dim == VFR_DIM_TARGET, false, to);
    case VFR_DIM_SOURCE_LOW:
    case VFR_DIM_TARGET_LOW:
        return clip_address(b, r, box, dim == VFR_DIM_TARGET_LOW, true, to);
    case VFR_DIM_SOURCE_PORT:
    case VFR_DIM_TARGET_PORT:
        return clip_port(b, r, box, dim == VFR_DIM_TARGET_PORT, to);
    case VFR_DIM_PROTOCOL:
        return clip_protocol(b, r, box, to);
    default:
        break;
    }
    text = text_of(b, r);
    switch (dim) {
    case VFR_DIM_SOURCE_MAC:
        return clip_number(r, VFR_FIELD_SOURCE_MAC, load_number(text->source_mac, 6), MAC_MAX, box->low[dim], box->high[dim], to);
    case VFR_DIM_TARGET_MAC:
        return clip_number(r, VFR_FIELD_TARGET_MAC, load_number(text->target_mac, 6), MAC_MAX, box->low[dim], box->high[dim], to);
    case VFR_DIM_ETHERTYPE:
        return clip_number(r, VFR_FIELD_ETHERTYPE, text->ethertype, 0xffff, box->low[dim], box->high[dim], to);
    default:
        return clip_number(r, VFR_FIELD_VLAN, text->vlan, 0xffff, box->low[dim], box->high[dim], to);
    }
}

/* ---- Does a rule match all of a box? ---- */

static bool address_covers(const struct builder *b, const struct vfr_rule *r, const struct box *box, bool target)
{
    const uint32_t field = VFR_FIELD_SOURCE << target, high_dim = VFR_DIM_SOURCE + target, low_dim = VFR_DIM_SOURCE_LOW + target;
    const struct vfr_set_rule *text = text_of(b, r);
    const struct vfr_set_address *a = target ? &text->target : &text->source;
    struct vfr_interval v;
    const struct vfr_address_set *set;

    if ((r->slow & field) == 0 || a->family != 0) {
        if (!clip_address(b, r, box, target, false, &v) || v.span != box->high[high_dim] - box->low[high_dim])
            return false;
        if ((r->slow & field) == 0)
            return true;
        return v.span == 0 && clip_address(b, r, box, target, true, &v) && v.span == box->high[low_dim] - box->low[low_dim];
    }
    set = vfr_vector_at(&b->engine->sets, a->set);
    if (b->class == VFR_CLASS_IPV6) {
        const uint64_t low[2] = {box->low[high_dim], box->low[low_dim]}, high[2] = {box->high[high_dim], box->high[low_dim]};
        uint32_t at = vfr_ranges6_find(b->engine, set, high);

        return at < set->count6 && !above6(((const struct vfr_set_range6 *)vfr_vector_at(&b->engine->ranges6, set->first6 + at))->low, low);
    }
    uint32_t at = vfr_ranges4_find(b->engine, set, (uint32_t)box->high[high_dim]);

    return at < set->count4 && ((const struct vfr_set_range4 *)vfr_vector_at(&b->engine->ranges4, set->first4 + at))->low <= box->low[high_dim];
}

static bool port_covers(const struct builder *b, const struct vfr_rule *r, const struct box *box, bool target)
{
    const uint32_t dim = VFR_DIM_SOURCE_PORT + target;
    const struct vfr_set_rule *text = text_of(b, r);
    const struct vfr_set_port *p = target ? &text->target_port : &text->source_port;
    const struct vfr_port_set *set;
    struct vfr_interval v;
    uint32_t at;

    if ((r->slow & (VFR_FIELD_SOURCE_PORT << target)) == 0)
        return clip_port(b, r, box, target, &v) && v.span == box->high[dim] - box->low[dim];
    if (box->high[dim] > 0xffff)
        return false;
    set = vfr_vector_at(&b->engine->port_sets, p->set);
    at = vfr_ports_find(b->engine, set, (uint16_t)box->high[dim]);
    return at < set->count && ((const struct vfr_set_port_range *)vfr_vector_at(&b->engine->ports, set->first + at))->low <= box->low[dim];
}

static bool protocol_covers(const struct builder *b, const struct vfr_rule *r, const struct box *box)
{
    struct vfr_interval v;

    if (!clip_protocol(b, r, box, &v) || v.span != box->high[VFR_DIM_PROTOCOL] - box->low[VFR_DIM_PROTOCOL])
        return false;
    if ((r->slow & VFR_FIELD_PROTOCOL) == 0)
        return true;
    for (uint64_t p = v.low; p <= v.low + v.span; p++) {
        if (!has_protocol(text_of(b, r), p))
            return false;
    }
    return true;
}

/* Every packet of the box matches, and the rule decides: none behind it is ever asked. */
static bool hides_rest(const struct builder *b, const struct vfr_rule *r, const struct box *box)
{
    struct vfr_interval v;

    if ((r->flags & VFR_RULE_DECIDES) == 0 || r->inexact != 0)
        return false;
    for (unsigned int dim = 0; dim < VFR_DIMS_FAST; dim++) { /* most are told by this */
        if (box->low[dim] < r->fast[dim].low || box->high[dim] - r->fast[dim].low > r->fast[dim].span)
            return false;
    }
    if (!address_covers(b, r, box, false) || !address_covers(b, r, box, true) || !port_covers(b, r, box, false) || !port_covers(b, r, box, true) || !protocol_covers(b, r, box))
        return false;
    for (unsigned int dim = VFR_DIM_SOURCE_MAC; dim < VFR_DIMS; dim++) {
        if (!clip_rule(b, r, box, dim, &v) || v.span != box->high[dim] - box->low[dim])
            return false;
    }
    return true;
}

/* ---- Choosing a split ---- */

/* Shell's, with gaps of Ciura: at most 2 * SAMPLE numbers. */
static void sort_numbers(uint64_t *n, uint32_t count)
{
    static const uint8_t gaps[] = {57, 23, 10, 4, 1};

    for (unsigned int g = 0; g < sizeof(gaps); g++) {
        for (uint32_t i = gaps[g]; i < count; i++) {
            uint64_t v = n[i];
            uint32_t at = i;

            for (; at >= gaps[g] && n[at - gaps[g]] > v; at -= gaps[g])
                n[at] = n[at - gaps[g]];
            n[at] = v;
        }
    }
}

struct choice {
    uint64_t score; /* the smaller the better */
    uint64_t split;
    unsigned int dim;
};

static void try_split(const struct builder *b, uint32_t sampled, unsigned int dim, uint64_t split, struct choice *best)
{
    uint64_t left = 0, right = 0;

    for (uint32_t i = 0; i < sampled; i++) {
        left += b->sample[i].low < split;
        right += b->sample[i].low + b->sample[i].span >= split;
    }
    if (left * left + right * right < best->score)
        *best = (struct choice){left * left + right * right, split, dim};
}

static void try_dim(struct builder *b, const struct item *item, unsigned int dim, struct choice *best)
{
    const uint64_t low = item->box.low[dim], high = item->box.high[dim];
    uint32_t ends = 0, sampled = 0, all = item->count < SAMPLE ? item->count : SAMPLE;

    for (uint32_t i = 0; i < all; i++) {
        struct vfr_interval *v = &b->sample[sampled];

        if (!clip_rule(b, rule_at(b, item->first + (uint32_t)((uint64_t)i * item->count / all)), &item->box, dim, v))
            continue;
        sampled++;
        if (v->low > low)
            b->ends[ends++] = v->low;
        if (v->low + v->span < high)
            b->ends[ends++] = v->low + v->span + 1;
    }
    if (ends == 0)
        return;
    sort_numbers(b->ends, ends);
    for (uint32_t q = 1; q <= 3; q++)
        try_split(b, sampled, dim, b->ends[(uint64_t)ends * q / 4], best);
}

static bool choose(struct builder *b, const struct item *item, struct choice *best)
{
    uint64_t all = item->count < SAMPLE ? item->count : SAMPLE;

    best->score = item->count > LONG_LEAF ? all * all : all * all - all * all / 16; /* less gain is no gain, but for very long leaves */
    best->split = 0;
    for (unsigned int dim = 0; dim < VFR_DIMS; dim++) {
        if ((b->dims & 1u << dim) != 0 && item->box.low[dim] != item->box.high[dim])
            try_dim(b, item, dim, best);
    }
    return best->split != 0;
}

/* ---- One tree ---- */

static int work_make(struct builder *b, uint32_t count)
{
    int rc = 0;

    if (count > b->work_room) {
        b->work_room = (count + (1u << b->work_shift) - 1) >> b->work_shift << b->work_shift;
        rc = vfr_vector_make(&b->work, &b->engine->memory, sizeof(uint32_t), b->work_shift, b->work_room);
    }
    return rc;
}

static void work_put(struct builder *b, uint32_t at, uint32_t rule)
{
    *(uint32_t *)vfr_vector_at(&b->work, at) = rule;
}

static int make_leaf(struct builder *b, const struct item *item)
{
    struct vfr_classifier_stats *stats = &b->engine->stats;
    struct vfr_leaf *leaf = vfr_arena_get(&b->engine->arena, sizeof(*leaf) + item->count * sizeof(leaf->rules[0]));

    if (leaf == NULL)
        return -ENOMEM;
    leaf->count = item->count;
    leaf->first = item->count == 0 ? VFR_NO_RULE : rule_at(b, item->first)->index;
    for (uint32_t i = 0; i < item->count; i++)
        leaf->rules[i] = rule_at(b, item->first + i);
    item->node->split = (uintptr_t)leaf;
    item->node->next = VFR_NODE_LEAF;
    stats->leaves++;
    stats->entries += item->count;
    stats->longest = item->count > stats->longest ? item->count : stats->longest;
    stats->depth = item->depth > stats->depth ? item->depth : stats->depth;
    return 0;
}

/* Those of an item's rules that may match in `box`, to the work list at `to` (behind the item's own, or over it: no entry is written before it was read). Returns how many. */
static uint32_t gather(struct builder *b, const struct item *item, const struct box *box, unsigned int dim, uint32_t to)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < item->count; i++) {
        const struct vfr_rule *r = rule_at(b, item->first + i);
        struct vfr_interval v;

        if (!clip_rule(b, r, box, dim, &v))
            continue;
        work_put(b, to + count++, r->index);
        if (hides_rest(b, r, box))
            break;
        if (i % 1024 == 1023)
            vfr_engine_pause(b->engine);
    }
    return count;
}

/* Two boxes instead of one, the first on top. Returns 1: better not; 0, or -ENOMEM. */
static int split_item(struct builder *b, const struct choice *c)
{
    struct item *item = &b->items[b->item_count - 1], left = *item, right = *item;
    struct vfr_node *children;
    uint32_t end = item->first + item->count;
    int rc = work_make(b, end + 2 * item->count);

    if (rc != 0)
        return rc;
    left.box.high[c->dim] = c->split - 1;
    right.box.low[c->dim] = c->split;
    left.count = gather(b, item, &left.box, c->dim, end);
    right.count = gather(b, item, &right.box, c->dim, end + left.count);
    if ((left.count == item->count && right.count == item->count) || left.count + right.count > item->allowance)
        return 1;
    children = vfr_arena_get(&b->engine->arena, 2 * sizeof(*children));
    if (children == NULL)
        return -ENOMEM;
    item->node->split = c->split;
    item->node->next = (uintptr_t)children | c->dim;
    b->engine->stats.nodes += 2;
    if (c->dim >= VFR_DIMS_FAST)
        b->engine->dims |= 1u << c->dim;
    /* The lists where the item's was: that of the right box first, it waits. */
    for (uint32_t i = 0; i < right.count; i++)
        work_put(b, item->first + i, *(uint32_t *)vfr_vector_at(&b->work, end + left.count + i));
    left.first = item->first + right.count;
    if (left.first < end) {
        for (uint32_t i = 0; i < left.count; i++)
            work_put(b, left.first + i, *(uint32_t *)vfr_vector_at(&b->work, end + i));
    } else {
        left.first = end; /* where it is */
    }
    left.node = &children[0];
    right.node = &children[1];
    left.depth = right.depth = item->depth + 1;
    left.allowance = (uint32_t)((uint64_t)item->allowance * left.count / (left.count + right.count + 1));
    right.allowance = item->allowance - left.allowance;
    b->items[b->item_count - 1] = right;
    b->items[b->item_count++] = left;
    return 0;
}

static int build_item(struct builder *b)
{
    struct item *item = &b->items[b->item_count - 1];
    struct choice choice;
    int rc = 1;

    vfr_engine_pause(b->engine);
    if (item->count > LEAF_RULES && item->depth < DEPTH_MAX && b->item_count < b->item_room && item->first + 3 * item->count < VFR_VECTOR_CHUNKS << b->work_shift && choose(b, item, &choice))
        rc = split_item(b, &choice);
    if (rc == 1) {
        rc = make_leaf(b, item);
        b->item_count--;
    }
    return rc;
}

static void whole_box(const struct builder *b, struct box *box)
{
    static const uint64_t highest[VFR_DIMS] = {
        [VFR_DIM_SOURCE_PORT] = VFR_KEY_PORTS, [VFR_DIM_TARGET_PORT] = VFR_KEY_PORTS, [VFR_DIM_PROTOCOL] = VFR_KEY_NOT_IP, [VFR_DIM_SOURCE_LOW] = UINT64_MAX, [VFR_DIM_TARGET_LOW] = UINT64_MAX,
        [VFR_DIM_SOURCE_MAC] = MAC_MAX, [VFR_DIM_TARGET_MAC] = MAC_MAX, [VFR_DIM_ETHERTYPE] = 0xffff, [VFR_DIM_VLAN] = 0xffff,
    };

    memset(box->low, 0, sizeof(box->low));
    memcpy(box->high, highest, sizeof(highest));
    box->high[VFR_DIM_SOURCE] = box->high[VFR_DIM_TARGET] = b->class == VFR_CLASS_IPV6 ? UINT64_MAX : 0xffffffff;
}

/* In which dimensions a split may help at all. */
static uint32_t dims_of(const struct builder *b, uint32_t first, uint32_t count)
{
    static const uint32_t by_field[] = {
        [__builtin_ctz(VFR_FIELD_SOURCE_MAC)] = 1u << VFR_DIM_SOURCE_MAC, [__builtin_ctz(VFR_FIELD_TARGET_MAC)] = 1u << VFR_DIM_TARGET_MAC,
        [__builtin_ctz(VFR_FIELD_ETHERTYPE)] = 1u << VFR_DIM_ETHERTYPE, [__builtin_ctz(VFR_FIELD_VLAN)] = 1u << VFR_DIM_VLAN,
    };
    uint32_t dims = (1u << VFR_DIMS_FAST) - 1;

    for (uint32_t i = 0; i < count; i++) {
        const struct vfr_rule *r = rule_at(b, first + i);
        uint32_t fields = r->slow & ~(uint32_t)r->inexact;

        if (b->class == VFR_CLASS_IPV6 && (fields & VFR_FIELD_SOURCE) != 0)
            dims |= 1u << VFR_DIM_SOURCE_LOW;
        if (b->class == VFR_CLASS_IPV6 && (fields & VFR_FIELD_TARGET) != 0)
            dims |= 1u << VFR_DIM_TARGET_LOW;
        for (unsigned int f = 0; f < sizeof(by_field) / sizeof(by_field[0]); f++)
            dims |= (fields >> f & 1) != 0 ? by_field[f] : 0;
    }
    return dims;
}

/* Of `count` rules from work list entry `first` on, which is its end. */
static int build_tree(struct builder *b, struct vfr_tree *tree, uint32_t first, uint32_t count)
{
    struct item *item = &b->items[0];

    b->item_count = 1;
    b->dims = dims_of(b, first, count);
    *item = (struct item){.node = &tree->root, .first = first, .count = count, .allowance = count * COPIES + COPIES_FREE};
    whole_box(b, &item->box);
    tree->first = rule_at(b, first)->index;
    tree->rules = count;
    for (uint32_t i = 0; i < count; i++) {
        if (hides_rest(b, rule_at(b, first + i), &item->box))
            item->count = i + 1;
    }
    while (b->item_count != 0) {
        int rc = build_item(b);

        if (rc != 0)
            return rc;
    }
    return 0;
}

/* ---- A forest: rules apart by where they are narrow ---- */

static bool narrow_address(const struct builder *b, const struct vfr_rule *r, bool target)
{
    const uint32_t field = VFR_FIELD_SOURCE << target;
    const struct vfr_set_rule *text = text_of(b, r);
    const struct vfr_set_address *a = target ? &text->target : &text->source;

    if ((text->fields & field) == 0 || (r->inexact & field) != 0)
        return false;
    if (a->family == 0) {
        const struct vfr_address_set *set = vfr_vector_at(&b->engine->sets, a->set);

        return (b->class == VFR_CLASS_IPV6 ? set->count6 : set->count4) <= SET_SMALL;
    }
    return r->fast[VFR_DIM_SOURCE + target].span <= (b->class == VFR_CLASS_IPV6 ? 0xffffffffull : 0xffffull);
}

static bool narrow_port(const struct builder *b, const struct vfr_rule *r, bool target)
{
    const struct vfr_set_rule *text = text_of(b, r);
    const struct vfr_set_port *p = target ? &text->target_port : &text->source_port;

    if ((r->slow & (VFR_FIELD_SOURCE_PORT << target)) == 0)
        return r->fast[VFR_DIM_SOURCE_PORT + target].span < 1024;
    return (r->inexact & (VFR_FIELD_SOURCE_PORT << target)) == 0 && ((const struct vfr_port_set *)vfr_vector_at(&b->engine->port_sets, p->set))->count <= SET_SMALL;
}

static unsigned int subset_of(const struct builder *b, const struct vfr_rule *r)
{
    bool source = narrow_address(b, r, false), target = narrow_address(b, r, true);

    if (source || target)
        return source && target ? 0 : source ? 1 : 2;
    if (narrow_port(b, r, true))
        return 3;
    return narrow_port(b, r, false) ? 4 : 5;
}

static void sort_trees(struct vfr_forest *forest)
{
    for (uint32_t i = 1; i < forest->trees; i++) {
        struct vfr_tree t = forest->tree[i];
        uint32_t at = i;

        for (; at != 0 && forest->tree[at - 1].first > t.first; at--)
            forest->tree[at] = forest->tree[at - 1];
        forest->tree[at] = t;
    }
    forest->first = forest->tree[0].first;
}

/* Rules of the work list's first `count` entries. */
static int build_forest(struct builder *b, struct vfr_forest *forest, uint32_t count)
{
    uint32_t sizes[VFR_TREES_MAX] = {0};
    int rc = work_make(b, 2 * count);

    for (uint32_t i = 0; rc == 0 && i < count; i++)
        sizes[subset_of(b, rule_at(b, i))]++;
    for (unsigned int s = 0; rc == 0 && s < VFR_TREES_MAX; s++) {
        const bool last = s == VFR_TREES_MAX - 1;
        uint32_t end = count;

        for (uint32_t i = 0; i < count; i++) {
            uint32_t of = subset_of(b, rule_at(b, i));

            if (count <= ONE_TREE_RULES || sizes[of] < SUBSET_RULES)
                of = VFR_TREES_MAX - 1;
            if (of == s)
                work_put(b, end++, rule_at(b, i)->index);
            if (i % 1024 == 1023)
                vfr_engine_pause(b->engine);
        }
        if (end != count)
            rc = build_tree(b, &forest->tree[forest->trees++], count, end - count);
        if (last && rc == 0)
            sort_trees(forest);
    }
    return rc;
}

/* ---- All forests ---- */

/* One for each class that any of the group's rules is about. */
static int build_class(struct builder *b, uint32_t group, enum vfr_class class, unsigned int direction, uint32_t first, uint32_t count)
{
    struct vfr_forest **place = vfr_vector_at(&b->engine->forests, vfr_forest_place(group, class, direction));
    bool same = direction == VFR_RX; /* as for TX: one will do */
    uint32_t n = 0;
    int rc = work_make(b, count);

    if (rc != 0)
        return rc;
    for (uint32_t i = 0; i < count; i++) {
        const struct vfr_rule *r = vfr_vector_at(&b->engine->rules, *(uint32_t *)vfr_vector_at(&b->pairs, first + i));
        const uint8_t directions = text_of(b, r)->directions;

        if ((r->classes & 1u << class) == 0)
            continue;
        same = same && directions == (VFR_TX | VFR_RX);
        if ((directions & direction) != 0)
            work_put(b, n++, r->index);
        if (i % 1024 == 1023)
            vfr_engine_pause(b->engine);
    }
    if (n == 0)
        return 0;
    if (same) {
        *place = *(struct vfr_forest **)vfr_vector_at(&b->engine->forests, vfr_forest_place(group, class, VFR_TX));
        return 0;
    }
    b->class = class;
    *place = vfr_arena_get(&b->engine->arena, sizeof(**place));
    return *place == NULL ? -ENOMEM : build_forest(b, *place, n);
}

static uint32_t group_count(const struct vfr_rule *r)
{
    return r->iface_count == 0 || (r->inexact & VFR_FIELD_IFACE) != 0 ? 1 : r->iface_count;
}

static uint32_t group_of(const struct vfr_rule *r, uint32_t n)
{
    return r->iface_count == 0 || (r->inexact & VFR_FIELD_IFACE) != 0 ? 0 : r->ifaces[n] + 1u;
}

/* Rules of each group, in their order: counted, then put in place. */
static int sort_groups(struct builder *b)
{
    struct vfr_engine *e = b->engine;
    uint32_t groups = e->name_count + 1, total = 0;
    int rc = vfr_vector_make(&b->starts, &e->memory, sizeof(uint32_t), 16, groups + 1);

    for (uint32_t i = 0; rc == 0 && i < e->rule_count; i++) {
        const struct vfr_rule *r = vfr_vector_at(&e->rules, i);

        total += group_count(r);
        for (uint32_t n = 0; n < group_count(r); n++)
            ++*(uint32_t *)vfr_vector_at(&b->starts, group_of(r, n) + 1);
        if (i % 1024 == 0)
            vfr_engine_pause(e);
    }
    rc = rc != 0 ? rc : vfr_vector_make(&b->pairs, &e->memory, sizeof(uint32_t), 16, total);
    for (uint32_t g = 0; rc == 0 && g < groups; g++)
        *(uint32_t *)vfr_vector_at(&b->starts, g + 1) += *(uint32_t *)vfr_vector_at(&b->starts, g);
    /* Backwards, so that each start ends up at its group's first. */
    for (uint32_t i = e->rule_count; rc == 0 && i-- > 0;) {
        const struct vfr_rule *r = vfr_vector_at(&e->rules, i);

        for (uint32_t n = 0; n < group_count(r); n++)
            *(uint32_t *)vfr_vector_at(&b->pairs, --*(uint32_t *)vfr_vector_at(&b->starts, group_of(r, n) + 1)) = i;
        if (i % 1024 == 0)
            vfr_engine_pause(e);
    }
    return rc;
}

static int build_all(struct builder *b)
{
    struct vfr_engine *e = b->engine;
    int rc = sort_groups(b);

    for (uint32_t group = 0; rc == 0 && group <= e->name_count; group++) {
        /* sort_groups has moved each group's start down to its own first entry, which is kept one place further. */
        uint32_t first = *(uint32_t *)vfr_vector_at(&b->starts, group + 1);
        uint32_t end = group == e->name_count ? b->pairs.bytes / sizeof(uint32_t) : *(uint32_t *)vfr_vector_at(&b->starts, group + 2);

        if (first == end)
            continue;
        for (uint32_t class = 0; rc == 0 && class < VFR_CLASSES; class++) {
            for (unsigned int direction = VFR_TX; rc == 0 && direction <= VFR_RX; direction++)
                rc = build_class(b, group, class, direction, first, end - first);
        }
    }
    return rc;
}

static void builder_free(struct builder *b)
{
    const struct vfr_memory *m = &b->engine->memory;

    vfr_vector_free(&b->work, m);
    vfr_vector_free(&b->pairs, m);
    vfr_vector_free(&b->starts, m);
    if (b->items != NULL)
        m->free(b->items);
    if (b->ends != NULL)
        m->free(b->ends);
    if (b->sample != NULL)
        m->free(b->sample);
}

int vfr_classifier_build(struct vfr_engine *engine)
{
    const struct vfr_memory *m = &engine->memory;
    struct builder *b = m->alloc(sizeof(*b));
    int rc;

    if (b == NULL)
        return -ENOMEM;
    b->engine = engine;
    for (b->work_shift = WORK_SHIFT_FIRST; b->work_shift < WORK_SHIFT_MAX && engine->rule_count >> (b->work_shift - WORK_RULES_SHIFT) != 0;)
        b->work_shift++;
    b->item_room = engine->rule_count <= LEAF_RULES ? 1 : DEPTH_MAX + 2; /* no leaf of so few is split (of more only if they name an interface twice, which need not be quick) */
    b->items = m->alloc(b->item_room * sizeof(*b->items));
    b->ends = m->alloc(2 * SAMPLE * sizeof(*b->ends));
    b->sample = m->alloc(SAMPLE * sizeof(*b->sample));
    rc = b->items == NULL || b->ends == NULL || b->sample == NULL ? -ENOMEM : 0;
    rc = rc != 0 ? rc : vfr_vector_make(&engine->forests, m, sizeof(struct vfr_forest *), 15, (engine->name_count + 1) * VFR_CLASSES * 2);
    rc = rc != 0 ? rc : build_all(b);
    builder_free(b);
    m->free(b);
    return rc;
}
