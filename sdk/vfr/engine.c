// SPDX-License-Identifier: MIT
/*
 * One generation of rules: its life, what it says of a packet, and what it counted. Which rules match is found by the classifier (or, in tests, by looking at all of them: linear.c); here they are carried out in their
 * order, conditions and actions being modules' (vfr-rules/), and counted by atomic additions.
 * Contract: <vfr/engine.h>. Tests: test-engine.c. Page: docs/concepts/classifier.md.
 */
#include "engine-internal.h"

#include <hv/errno.h>

#include <string.h>

enum { PAUSE_EACH = 256 };

/* ---- Its life ---- */

static void free_all(struct vfr_engine *e)
{
    const struct vfr_memory *m = &e->memory;
    struct vfr_vector *const vectors[] = {&e->sets, &e->port_sets, &e->ranges4, &e->ranges6, &e->ports, &e->texts, &e->rules, &e->counts, &e->ids, &e->forests, &e->caches};

    for (unsigned int i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        vfr_vector_free(vectors[i], m);
        vfr_engine_pause(e);
    }
    vfr_arena_free(&e->arena);
}

void vfr_engine_destroy(struct vfr_engine *engine)
{
    void (*free)(void *ptr);

    if (engine == NULL)
        return;
    free = engine->memory.free;
    free_all(engine);
    free(engine);
}

int vfr_engine_create(struct vfr_engine **engine, const struct vfr_source *source, const struct vfr_memory *memory, struct vfr_load_error *error)
{
    struct vfr_engine *e = memory->alloc(sizeof(*e));
    int rc;

    memset(error, 0, sizeof(*error));
    error->rule = VFR_NO_RULE;
    if (e == NULL)
        return -ENOMEM;
    e->memory = *memory;
    e->arena.memory = &e->memory;
    rc = vfr_ruleset_read(e, source, error);
    rc = rc != 0 ? rc : vfr_classifier_build(e);
    rc = rc != 0 ? rc : vfr_cache_create(e);
    if (rc != 0) {
        vfr_engine_destroy(e);
        return rc;
    }
    *engine = e;
    return 0;
}

/* ---- Interfaces ---- */

/* * is any characters, ? is one. Goes back to the last * alone: bounded by the product of two short lengths. */
static bool glob_matches(const char *glob, const char *text)
{
    const char *star = NULL, *from = NULL;

    while (*text != '\0') {
        if (*glob == '*') {
            star = glob++;
            from = text;
        } else if (*glob == '?' || *glob == *text) {
            glob++;
            text++;
        } else if (star != NULL) {
            glob = star + 1;
            text = ++from;
        } else {
            return false;
        }
    }
    while (*glob == '*')
        glob++;
    return *glob == '\0';
}

static bool name_means(const char *name, const struct vfr_iface *iface)
{
    return glob_matches(name, iface->name) || (iface->domain[0] != '\0' && glob_matches(name, iface->domain));
}

static bool any_forest(const struct vfr_engine *e, uint32_t group, unsigned int direction)
{
    for (uint32_t class = 0; class < VFR_CLASSES; class++) {
        if (*(struct vfr_forest **)vfr_vector_at(&e->forests, vfr_forest_place(group, class, direction)) != NULL)
            return true;
    }
    return false;
}

void vfr_engine_bind(const struct vfr_engine *engine, const struct vfr_iface *iface, struct vfr_binding *binding)
{
    memset(binding, 0, sizeof(*binding));
    for (uint32_t i = 0; i < engine->name_count && binding->count < VFR_GROUPS_MAX; i++) {
        if (name_means(engine->names[i].text, iface))
            binding->groups[binding->count++] = (uint16_t)i;
    }
    for (unsigned int d = VFR_TX; d <= VFR_RX; d++) {
        binding->any[d] = engine->policy[d].action != VFR_ACCEPT || any_forest(engine, 0, d);
        for (uint32_t g = 0; g < binding->count; g++)
            binding->any[d] |= any_forest(engine, binding->groups[g] + 1u, d);
    }
}

bool vfr_engine_means(const struct vfr_engine *engine, uint32_t target, const struct vfr_iface *iface)
{
    return target < engine->name_count && name_means(engine->names[target].text, iface);
}

/* ---- Packets ---- */

static void count_packet(struct vfr_count *count, uint32_t bytes, uint64_t now_ns)
{
    __atomic_fetch_add(&count->packets, 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(&count->bytes, bytes, __ATOMIC_RELAXED);
    __atomic_store_n(&count->last_ns, now_ns, __ATOMIC_RELAXED);
}

/* A module may be wrong: what it says of interfaces is checked. */
static void act(const struct vfr_engine *e, const struct vfr_rule *rule, const struct vfr_packet *packet, uint64_t now_ns, struct vfr_verdict *verdict)
{
    for (uint32_t i = rule->conditions; i < (uint32_t)rule->conditions + rule->actions; i++) {
        const struct vfr_rule_use *use = &rule->uses[i];

        use->ops->act(&use->use, use->state, packet, now_ns, verdict);
    }
    if (verdict->action == VFR_CONTINUE || verdict->action > VFR_FORWARD)
        verdict->action = rule->action;
    if (verdict->action == VFR_FORWARD && verdict->target >= e->name_count)
        verdict->action = VFR_DROP;
    if (verdict->mirrors > VFR_MIRRORS_MAX)
        verdict->mirrors = VFR_MIRRORS_MAX;
}

bool vfr_rule_run(struct vfr_engine *engine, const struct vfr_rule *rule, const struct vfr_packet *packet, uint64_t now_ns, struct vfr_verdict *verdict)
{
    for (uint32_t i = 0; i < rule->conditions; i++) {
        const struct vfr_rule_use *use = &rule->uses[i];

        if (!use->ops->match(&use->use, use->state, packet, now_ns))
            return false;
    }
    count_packet(vfr_vector_at(&engine->counts, rule->index), packet->bytes, now_ns);
    verdict->action = rule->action;
    verdict->reject = rule->reject;
    verdict->target = rule->target;
    verdict->rule = rule->index;
    if (rule->actions != 0)
        act(engine, rule, packet, now_ns, verdict);
    return verdict->action != VFR_CONTINUE;
}

void vfr_policy_run(struct vfr_engine *engine, const struct vfr_packet *packet, unsigned int direction, uint64_t now_ns, struct vfr_verdict *verdict)
{
    verdict->action = engine->policy[direction].action;
    verdict->reject = engine->policy[direction].reject;
    verdict->target = 0;
    verdict->rule = VFR_NO_RULE;
    count_packet(vfr_vector_at(&engine->counts, engine->rule_count), packet->bytes, now_ns);
}

void vfr_engine_judge(struct vfr_engine *engine, const struct vfr_packet *packet, unsigned int direction, const struct vfr_binding *binding, uint32_t cpu, uint64_t now_ns, struct vfr_verdict *verdict)
{
    struct vfr_matches m;

    memset(verdict, 0, sizeof(*verdict));
    if (engine->cached)
        vfr_cache_classify(engine, packet, direction, binding, cpu, &m);
    else
        vfr_classify(engine, packet, direction, binding, 0, &m);
    for (;;) {
        for (uint32_t i = 0; i < m.count; i++) {
            if (vfr_rule_run(engine, m.rule[i], packet, now_ns, verdict))
                return;
        }
        if (!m.more)
            break;
        vfr_classify(engine, packet, direction, binding, m.rule[m.count - 1]->index + 1, &m);
    }
    if (m.decider == NULL || !vfr_rule_run(engine, m.decider, packet, now_ns, verdict))
        vfr_policy_run(engine, packet, direction, now_ns, verdict);
}

/* ---- What was counted ---- */

static uint64_t total(const uint64_t *counted, const uint64_t *base)
{
    return __atomic_load_n(counted, __ATOMIC_RELAXED) + *base;
}

static void inherit_count(struct vfr_count *to, struct vfr_count *old, bool settled)
{
    uint64_t packets = total(&old->packets, &old->base_packets), bytes = total(&old->bytes, &old->base_bytes), last_ns = __atomic_load_n(&old->last_ns, __ATOMIC_RELAXED);

    if (settled) {
        uint64_t more_packets = packets - old->mark_packets, more_bytes = bytes - old->mark_bytes;

        to->base_packets += more_packets;
        to->base_bytes += more_bytes;
        to->mark_packets += more_packets;
        to->mark_bytes += more_bytes;
    } else {
        to->base_packets = packets - __atomic_load_n(&to->packets, __ATOMIC_RELAXED);
        to->base_bytes = bytes - __atomic_load_n(&to->bytes, __ATOMIC_RELAXED);
        to->mark_packets = packets;
        to->mark_bytes = bytes;
    }
    old->mark_packets = packets;
    old->mark_bytes = bytes;
    if (last_ns > __atomic_load_n(&to->last_ns, __ATOMIC_RELAXED))
        __atomic_store_n(&to->last_ns, last_ns, __ATOMIC_RELAXED);
}

static uint32_t rule_by_id(const struct vfr_engine *e, uint64_t id)
{
    for (uint32_t at = vfr_id_slot(e, id);; at = (at + 1) & e->id_mask) {
        uint32_t slot = *(uint32_t *)vfr_vector_at(&e->ids, at);

        if (slot == 0)
            return VFR_NO_RULE;
        if (((const struct vfr_set_rule *)vfr_vector_at(&e->texts, slot - 1))->id == id)
            return slot - 1;
    }
}

static bool same_use(const struct vfr_rule_use *a, const struct vfr_rule_use *b)
{
    return a->ops == b->ops && a->use.data_bytes == b->use.data_bytes && memcmp(a->use.values, b->use.values, a->ops->param_count * sizeof(uint64_t)) == 0 &&
           (a->use.data_bytes == 0 || memcmp(a->use.data, b->use.data, a->use.data_bytes) == 0);
}

/* A state is of the kind's own making for these parameters: with others it begins anew. */
static void inherit_states(struct vfr_rule *to, const struct vfr_rule *old)
{
    uint32_t count = (uint32_t)to->conditions + to->actions;

    if (count != (uint32_t)old->conditions + old->actions)
        return;
    for (uint32_t i = 0; i < count; i++) {
        if (to->uses[i].state != NULL && same_use(&to->uses[i], &old->uses[i]))
            memcpy(to->uses[i].state, old->uses[i].state, to->uses[i].ops->state_bytes);
    }
}

void vfr_engine_inherit(struct vfr_engine *engine, struct vfr_engine *old, bool settled)
{
    for (uint32_t i = 0; i < engine->rule_count; i++) {
        uint32_t before = rule_by_id(old, ((const struct vfr_set_rule *)vfr_vector_at(&engine->texts, i))->id);

        if (i % PAUSE_EACH == 0)
            vfr_engine_pause(engine);
        if (before == VFR_NO_RULE)
            continue;
        inherit_count(vfr_vector_at(&engine->counts, i), vfr_vector_at(&old->counts, before), settled);
        if (!settled)
            inherit_states(vfr_vector_at(&engine->rules, i), vfr_vector_at(&old->rules, before));
    }
    inherit_count(vfr_vector_at(&engine->counts, engine->rule_count), vfr_vector_at(&old->counts, old->rule_count), settled);
}

/* ---- What it is ---- */

bool vfr_engine_wants_flows(const struct vfr_engine *engine)
{
    return engine->wants_flows;
}

uint32_t vfr_engine_rules(const struct vfr_engine *engine)
{
    return engine->rule_count;
}

uint64_t vfr_engine_bytes(const struct vfr_engine *engine)
{
    const struct vfr_vector *const vectors[] = {&engine->sets, &engine->port_sets, &engine->ranges4, &engine->ranges6, &engine->ports, &engine->texts, &engine->rules, &engine->counts, &engine->ids, &engine->forests, &engine->caches};
    uint64_t bytes = sizeof(*engine) + engine->arena.bytes;

    for (unsigned int i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++)
        bytes += vfr_vector_bytes(vectors[i]);
    return bytes;
}

void vfr_engine_rule_info(struct vfr_engine *engine, uint32_t rule, struct vfr_rule_info *info)
{
    const struct vfr_count *count = vfr_vector_at(&engine->counts, rule < engine->rule_count ? rule : engine->rule_count);

    memset(info, 0, sizeof(*info));
    if (rule < engine->rule_count) {
        const struct vfr_set_rule *text = vfr_vector_at(&engine->texts, rule);

        info->id = text->id;
        info->line = text->line;
    }
    info->packets = total(&count->packets, &count->base_packets);
    info->bytes = total(&count->bytes, &count->base_bytes);
    info->last_ns = __atomic_load_n(&count->last_ns, __ATOMIC_RELAXED);
}
