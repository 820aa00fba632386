// SPDX-License-Identifier: MIT
/*
 * What classification said of the last packets, on each CPU, by all header fields that it looks at: packets of one flow ask once. A hit costs a fraction of the walk through the trees of a large set; what it gives are
 * rules whose fields match, not a verdict: conditions and actions are carried out each time. Nothing grows, and nothing is ever wrong for being old: a set never changes, the next one has a cache of its own.
 * Off for small sets, where the walk is as short, and for sets that look at hardware addresses.
 * Contract: engine-internal.h. Tests: test-engine.c (the oracle is held to it too); cost: sdk/sim/vfr-cost.c.
 */
#include "engine-internal.h"

#include <hv/errno.h>

#include <string.h>

enum { SLOTS = 512, KEPT = 4, GROUPS = 4, WORTH_RULES = 64 };

struct key {
    uint64_t word[7];
};
struct slot {
    struct key key; /* all zero: empty (a packet is judged in some direction: never zero) */
    const struct vfr_rule *decider;
    uint32_t decides, count;
    const struct vfr_rule *rule[KEPT];
};
struct vfr_cache {
    struct slot slot[SLOTS];
};

int vfr_cache_create(struct vfr_engine *engine)
{
    if (engine->rule_count < WORTH_RULES || (engine->fields & (VFR_FIELD_SOURCE_MAC | VFR_FIELD_TARGET_MAC)) != 0)
        return 0;
    /* Without it all is right, and somewhat slower. */
    if (engine->memory.cpus > VFR_VECTOR_CHUNKS || vfr_vector_make(&engine->caches, &engine->memory, sizeof(struct vfr_cache), 0, engine->memory.cpus) != 0) {
        vfr_vector_free(&engine->caches, &engine->memory);
        return 0;
    }
    engine->cached = true;
    return 0;
}

/* All that a field of a rule may look at, but hardware addresses. */
static void make_key(const struct vfr_engine *engine, const struct vfr_packet *p, unsigned int direction, const struct vfr_binding *binding, struct key *key)
{
    uint64_t flags = (engine->fields & VFR_FIELD_TCP_FLAGS) != 0 ? p->tcp_flags : 0;

    memcpy(&key->word[0], p->source, 16);
    memcpy(&key->word[2], p->target, 16);
    key->word[4] = p->source_port | (uint64_t)p->target_port << 16 | (uint64_t)p->protocol << 32 | (uint64_t)p->icmp_type << 40 | (uint64_t)p->icmp_code << 48 | flags << 56;
    key->word[5] = p->ethertype | (uint64_t)p->vlan << 16 | (uint64_t)p->family << 32 | (uint64_t)(p->l4 != 0) << 40 | (uint64_t)p->fragment << 41 | (uint64_t)p->more_fragments << 42 | (uint64_t)direction << 48 |
                   (uint64_t)binding->count << 56;
    memcpy(&key->word[6], binding->groups, sizeof(uint16_t) * GROUPS);
}

static inline bool same_key(const struct key *a, const struct key *b)
{
    uint64_t differs = 0;

    for (unsigned int i = 0; i < sizeof(a->word) / sizeof(a->word[0]); i++)
        differs |= a->word[i] ^ b->word[i];
    return differs == 0;
}

/* Who can choose addresses may have its flows meet in one slot: they are walked for then, as if there were no cache. */
static uint32_t slot_of(const struct key *k)
{
    uint64_t h = k->word[0] + k->word[4] * 0x9e3779b97f4a7c15ull;

    h = (h ^ h >> 32 ^ k->word[1] ^ k->word[3]) * 0xc2b2ae3d27d4eb4full;
    h = (h ^ h >> 32 ^ k->word[2] ^ k->word[6]) * 0x9e3779b97f4a7c15ull;
    return (uint32_t)(h >> 48) % SLOTS;
}

static void store(struct slot *slot, const struct key *key, const struct vfr_matches *m)
{
    slot->key = *key;
    slot->decider = m->decider;
    slot->decides = m->decides;
    slot->count = m->count;
    for (uint32_t i = 0; i < m->count; i++)
        slot->rule[i] = m->rule[i];
}

static void load(const struct slot *slot, struct vfr_matches *m)
{
    m->count = slot->count;
    m->decides = slot->decides;
    m->decider = slot->decider;
    m->more = false;
    for (uint32_t i = 0; i < slot->count; i++)
        m->rule[i] = slot->rule[i];
}

void vfr_cache_classify(struct vfr_engine *engine, const struct vfr_packet *packet, unsigned int direction, const struct vfr_binding *binding, uint32_t cpu, struct vfr_matches *matches)
{
    struct key key;
    struct slot *slot;

    if (binding->count > GROUPS) {
        vfr_classify(engine, packet, direction, binding, 0, matches);
        return;
    }
    make_key(engine, packet, direction, binding, &key);
    slot = &((struct vfr_cache *)vfr_vector_at(&engine->caches, cpu))->slot[slot_of(&key)];
    if (same_key(&slot->key, &key)) {
        load(slot, matches);
        return;
    }
    vfr_classify(engine, packet, direction, binding, 0, matches);
    if (!matches->more && matches->count <= KEPT)
        store(slot, &key, matches);
    return;
}
