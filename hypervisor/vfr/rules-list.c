// SPDX-License-Identifier: MIT
/*
 * What is told of rules and flows: which generation is in force, the set as it was loaded, counters, kinds and their use, flows.
 *
 * All but flows_list happen while nothing else changes (rules_change_begin), part by part, giving way. Flows are read as a packet would, between rules_enter and rules_leave. Contract: vfr-internal.h. Tests: test-rules.c.
 */
#include "rules-internal.h"

#include "alloc.h"
#include "cpu.h"
#include "guest-access.h"
#include "lib/string.h"
#include "time.h"

#include <hv/errno.h>
#include <vfr/ruleset.h>

#define COUNTERS_AT_ONCE 64u
#define FLOWS_AT_ONCE    32u
#define READ_AT_ONCE     1024u
#define FLOWS_MOST       4096u /* of one call */

/* ---- In force ---- */

/* Lock: rules_lock. */
static void generation_tell(struct collet_rules_info *op)
{
    const struct vfr_generation *g = rules_state.current;
    uint64_t now_ns = clock_now_ns();

    op->generation = rules_generation(g);
    if (rules_state.previous != NULL) {
        op->previous = rules_generation(rules_state.previous);
        op->confirm_left_ns = rules_state.deadline_ns > now_ns ? rules_state.deadline_ns - now_ns : 1;
    }
    if (g->set != NULL) {
        op->loaded_ns = g->set->loaded_ns;
        op->bytes = g->set->bytes;
        op->rules = g->set->rules;
    }
    op->flows_on = g->flows != NULL;
}

static void flows_tell(struct collet_rules_info *op)
{
    struct vfr_flows_stats stats;

    op->flows_max = flows_room;
    if (flows_table == NULL)
        return;
    vfr_flows_stats(flows_table, &stats);
    op->flows = stats.flows;
    op->flows_max = stats.flows_max;
    op->flows_begun = stats.begun;
    op->flows_expired = stats.expired;
    op->flows_evicted = stats.evicted;
    op->flows_refused = stats.refused_full;
}

long rules_info(struct collet_rules_info *op)
{
    const struct rule_set *set;

    memset(op, 0, sizeof(*op));
    rules_change_begin();
    spin_lock(&rules_lock);
    generation_tell(op);
    set = rules_state.current->set; /* goes only when things change, and they do not now */
    spin_unlock(&rules_lock);
    if (set != NULL)
        op->memory_bytes = vfr_engine_bytes(set->engine) + set->bytes;
    flows_tell(op);
    rules_change_end();
    return 0;
}

/* The set of that generation if it is in force: NULL: it is not, or it is 0. */
static struct rule_set *set_in_force(uint64_t number)
{
    struct rule_set *set;

    spin_lock(&rules_lock);
    set = rules_state.current->set;
    spin_unlock(&rules_lock);
    return set != NULL && set->number == number ? set : NULL;
}

static long read_out(struct rule_set *set, struct collet_rules_read *op)
{
    uint64_t room = op->bytes, n;
    uint8_t *piece;
    long rc = 0;

    op->bytes = 0;
    if (op->offset >= set->bytes)
        return 0;
    room = min(room, set->bytes - op->offset);
    piece = heap_alloc(READ_AT_ONCE);
    if (piece == NULL)
        return -ENOMEM;
    while (rc == 0 && op->bytes < room) {
        n = min(room - op->bytes, (uint64_t)READ_AT_ONCE);
        rc = rule_set_read(set, op->offset + op->bytes, piece, n);
        if (rc == 0 && copy_to_guest(op->buffer + op->bytes, piece, n) != 0)
            rc = -EFAULT;
        op->bytes += n;
        preempt_point();
    }
    heap_free(piece);
    return rc;
}

long rules_read(struct collet_rules_read *op)
{
    struct rule_set *set;
    long rc;

    rules_change_begin();
    set = set_in_force(op->generation);
    rc = set != NULL ? read_out(set, op) : -ESTALE;
    rules_change_end();
    return rc;
}

/* ---- Counters ---- */

static void counter_fill(struct vfr_engine *engine, uint32_t index, uint32_t rules, struct collet_rule_counter *to)
{
    struct vfr_rule_info info;

    memset(&info, 0, sizeof(info));
    vfr_engine_rule_info(engine, index < rules ? index : VFR_NO_RULE, &info);
    *to = (struct collet_rule_counter){.id = index < rules ? info.id : 0, .line = info.line, .packets = info.packets, .bytes = info.bytes, .last_ns = info.last_ns};
}

/* rules + 1 entries: behind the rules the policies. */
static long counters_out(struct rule_set *set, struct collet_rules_counters *op, struct collet_rule_counter *chunk)
{
    uint32_t room = op->first <= set->rules ? min(op->count, set->rules + 1 - op->first) : 0, n;

    for (op->count = 0; op->count < room; op->count += n) {
        n = min(room - op->count, COUNTERS_AT_ONCE);
        for (uint32_t i = 0; i < n; i++)
            counter_fill(set->engine, op->first + op->count + i, set->rules, &chunk[i]);
        if (copy_to_guest(op->buffer + op->count * sizeof(*chunk), chunk, n * sizeof(*chunk)) != 0)
            return -EFAULT;
        preempt_point();
    }
    return 0;
}

long rules_counters(struct collet_rules_counters *op)
{
    struct collet_rule_counter *chunk = heap_alloc(COUNTERS_AT_ONCE * sizeof(*chunk));
    struct rule_set *set;
    long rc;

    if (chunk == NULL)
        return -ENOMEM;
    rules_change_begin();
    set = set_in_force(op->generation);
    rc = set != NULL ? counters_out(set, op, chunk) : -ESTALE;
    rules_change_end();
    heap_free(chunk);
    return rc;
}

/* ---- Kinds, and how many rules use each ---- */

/* Where the sections that we read begin; the engine has verified the set. */
struct layout {
    struct vfr_set_header header;
    uint64_t kinds, rules, uses;
};

static int layout_find(struct rule_set *set, struct layout *l)
{
    static const uint32_t entry_bytes[VFR_SET_SECTIONS] = {
        sizeof(struct vfr_set_name), sizeof(struct vfr_set_name), sizeof(struct vfr_set_addresses), sizeof(struct vfr_set_range4), sizeof(struct vfr_set_range6), sizeof(struct vfr_set_ports),
        sizeof(struct vfr_set_port_range), sizeof(struct vfr_set_rule), sizeof(uint32_t), sizeof(struct vfr_set_use), sizeof(uint64_t), 1, 1,
    };
    uint64_t at = sizeof(l->header);
    int rc = rule_set_read(set, 0, &l->header, sizeof(l->header));

    for (uint32_t section = 0; rc == 0 && section < VFR_SET_SECTIONS; section++) {
        if (section == VFR_SET_KINDS)
            l->kinds = at;
        if (section == VFR_SET_RULES)
            l->rules = at;
        if (section == VFR_SET_USES)
            l->uses = at;
        at += ROUND_UP((uint64_t)l->header.count[section] * entry_bytes[section], (uint64_t)8);
    }
    return rc;
}

/* Count each kind once for each rule that uses it. counts: of the set's kinds. */
static int uses_count(struct rule_set *set, const struct layout *l, uint32_t counts[VFR_SET_KINDS_MAX])
{
    struct vfr_set_rule rule;
    struct vfr_set_use use;
    uint64_t at = l->uses;
    int rc = 0;

    for (uint32_t r = 0; rc == 0 && r < l->header.count[VFR_SET_RULES]; r++) {
        uint64_t seen = 0;

        rc = rule_set_read(set, l->rules + (uint64_t)r * sizeof(rule), &rule, sizeof(rule));
        for (uint32_t u = 0; rc == 0 && u < (uint32_t)rule.conditions + rule.actions; u++, at += sizeof(use)) {
            rc = rule_set_read(set, at, &use, sizeof(use));
            if (rc == 0 && use.kind < VFR_SET_KINDS_MAX && (seen & 1ull << use.kind) == 0) {
                seen |= 1ull << use.kind;
                counts[use.kind]++;
            }
        }
        preempt_point();
    }
    return rc;
}

/* By their place in vfr_rule_kinds; as many as there is room for. */
static int kinds_count(struct rule_set *set, uint32_t *to, uint32_t room)
{
    uint32_t counts[VFR_SET_KINDS_MAX] = {0};
    struct vfr_set_name name;
    struct layout l;
    int rc = layout_find(set, &l);

    if (rc == 0)
        rc = uses_count(set, &l, counts);
    for (uint32_t k = 0; rc == 0 && k < l.header.count[VFR_SET_KINDS] && k < VFR_SET_KINDS_MAX; k++) {
        rc = rule_set_read(set, l.kinds + k * sizeof(name), &name, sizeof(name));
        name.text[sizeof(name.text) - 1] = '\0';
        for (uint32_t i = 0; rc == 0 && i < room && vfr_rule_kinds[i] != NULL; i++)
            if (strcmp(vfr_rule_kinds[i]->name, name.text) == 0)
                to[i] += counts[k];
    }
    return rc;
}

static int kinds_out(struct collet_sched_list *op, const uint32_t *active, uint32_t total)
{
    struct collet_sched_module m;
    uint32_t room = op->count;

    for (op->count = 0; op->count < room && (uint64_t)op->first + op->count < total; op->count++) {
        const struct vfr_rule_ops *ops = vfr_rule_kinds[op->first + op->count];

        memset(&m, 0, sizeof(m));
        strlcpy(m.name, ops->name, sizeof(m.name));
        if (ops->summary != NULL)
            strlcpy(m.summary, ops->summary, sizeof(m.summary));
        m.params = ops->param_count;
        m.active = active[op->first + op->count];
        if (copy_to_guest(op->buffer + op->count * sizeof(m), &m, sizeof(m)) != 0)
            return -EFAULT;
    }
    return 0;
}

long rules_kinds(struct collet_sched_list *op)
{
    uint32_t total = 0, *active;
    struct rule_set *set;
    long rc = 0;

    while (vfr_rule_kinds[total] != NULL)
        total++;
    active = heap_alloc((total + 1) * sizeof(*active));
    if (active == NULL)
        return -ENOMEM;
    rules_change_begin();
    spin_lock(&rules_lock);
    set = rules_state.current->set;
    spin_unlock(&rules_lock);
    if (set != NULL)
        rc = kinds_count(set, active, total);
    rules_change_end();
    if (rc == 0)
        rc = kinds_out(op, active, total);
    heap_free(active);
    return rc;
}

/* ---- Flows ---- */

/* Entries of another size than ours are cut, or filled with zeroes. */
static int flow_out(uint64_t to, uint32_t entry_bytes, const struct vfr_flow_info *info)
{
    static const uint8_t zeroes[64];
    uint32_t known = min(entry_bytes, (uint32_t)sizeof(*info)), n;

    if (copy_to_guest(to, info, known) != 0)
        return -EFAULT;
    for (uint32_t done = known; done < entry_bytes; done += n) {
        n = min(entry_bytes - done, (uint32_t)sizeof(zeroes));
        if (copy_to_guest(to + done, zeroes, n) != 0)
            return -EFAULT;
    }
    return 0;
}

static uint32_t flows_some(struct collet_flows_list *op, struct vfr_flow_info *chunk, uint32_t room)
{
    struct vfr_flows *flows;
    uint32_t n = 0;

    rules_enter();
    flows = READ_ONCE(flows_table);
    if (flows != NULL)
        n = vfr_flows_list(flows, &op->cursor, op->domid, chunk, room, clock_now_ns());
    else
        op->cursor = ~0ull;
    rules_leave();
    return n;
}

long flows_list(struct collet_flows_list *op)
{
    uint32_t room = min(op->count, FLOWS_MOST), n;
    struct vfr_flow_info *chunk = heap_alloc(FLOWS_AT_ONCE * sizeof(*chunk));
    int rc = 0;

    if (chunk == NULL)
        return -ENOMEM;
    op->count = 0;
    while (rc == 0 && op->count < room && op->cursor != ~0ull) {
        n = flows_some(op, chunk, min(room - op->count, FLOWS_AT_ONCE));
        for (uint32_t i = 0; rc == 0 && i < n; i++, op->count++)
            rc = flow_out(op->buffer + (uint64_t)op->count * op->entry_bytes, op->entry_bytes, &chunk[i]);
        preempt_point();
    }
    heap_free(chunk);
    return rc;
}
