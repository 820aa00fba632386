/* SPDX-License-Identifier: MIT */
/*
 * Values that are kept when one module follows another: each parameter of the old one that the new one has too, under the same name and of the same type.
 *
 * They are read before the queues are locked - the administration lock keeps them as they are - and set while nobody runs on the new module yet, so that its first
 * decision already knows the weights. A value that the new module does not allow is left at the new module's own. Contract: run-queue.h. Tests: test-params.c.
 */
#include "run-queue.h"

#include "alloc.h"
#include "lib/string.h"

#include <hv/errno.h>

#define HEAP_BYTES_MAX (2ul << 20)

static void add_pair(struct sched_kept *kept, uint32_t from, uint32_t to)
{
    const struct sched_parameter *a = &active.params[from], *b = &kept->params[to];
    uint32_t both = a->scopes & b->scopes;

    if (strcmp(a->name, b->name) != 0 || a->type != b->type || !(both & (SCHED_SCOPE_DOMAIN | SCHED_SCOPE_VCPU)) || kept->count == SCHED_KEPT_MAX)
        return;
    kept->pairs[kept->count].from = from;
    kept->pairs[kept->count].to = to;
    kept->pairs[kept->count].of_domain = (both & SCHED_SCOPE_DOMAIN) != 0;
    kept->pairs[kept->count].of_vcpu = (both & SCHED_SCOPE_VCPU) != 0;
    kept->count++;
}

static uint64_t domain_value(struct sched_domain *d, uint32_t index)
{
    struct sched_target target = {.domain = d};

    return active.param_get(active_state, &target, index);
}

/* A parameter of domains alone is set in each of their vCPUs too: the domain's value. */
static void collect_vcpu(const struct sched_kept *kept, struct sched_vcpu *s, uint64_t *value)
{
    uint64_t flags;
    struct run_queue *rq = run_queue_lock_home(s, &flags);
    struct sched_target target = {.domain = s->domain, .vcpu = s, .queue = &rq->queue};

    for (uint32_t i = 0; i < kept->count; i++)
        value[i] = kept->pairs[i].of_vcpu ? active.param_get(active_state, &target, kept->pairs[i].from)
                                          : domain_value(s->domain, kept->pairs[i].from);
    spin_unlock_irqrestore(&rq->lock, flags);
}

int sched_kept_collect(struct sched_kept *kept, const struct sched_ops *next)
{
    struct sched_domain *d;
    struct sched_vcpu *s;
    uint64_t targets = 0, *value;

    kept->params = next->params;
    for (uint32_t from = 0; from < active.param_count; from++)
        for (uint32_t to = 0; to < next->param_count; to++)
            add_pair(kept, from, to);
    list_for_each_entry(d, &sched_all_domains, link)
        targets++;
    list_for_each_entry(s, &sched_all_vcpus, link)
        targets++;
    if (kept->count == 0 || targets == 0) {
        kept->count = 0;
        return 0;
    }
    if (targets * kept->count * sizeof(*value) > HEAP_BYTES_MAX)
        return -ENOMEM;
    kept->values = heap_alloc(targets * kept->count * sizeof(*value));
    if (kept->values == NULL)
        return -ENOMEM;
    value = kept->values;
    list_for_each_entry(d, &sched_all_domains, link)
        for (uint32_t i = 0; i < kept->count; i++)
            *value++ = kept->pairs[i].of_domain ? domain_value(d, kept->pairs[i].from) : 0;
    list_for_each_entry(s, &sched_all_vcpus, link) {
        collect_vcpu(kept, s, value);
        value += kept->count;
    }
    return 0;
}

static void give(const struct sched_kept *kept, const struct sched_target *target, uint32_t pair, uint64_t value, uint64_t now_ns)
{
    uint32_t to = kept->pairs[pair].to;

    if (sched_param_in_range(&kept->params[to], value))
        active.param_set(active_state, target, to, value, now_ns);
}

void sched_kept_give_domains(const struct sched_kept *kept, uint64_t now_ns)
{
    const uint64_t *value = kept->values;
    struct sched_domain *d;

    if (kept->count == 0)
        return;
    list_for_each_entry(d, &sched_all_domains, link) {
        struct sched_target target = {.domain = d};

        for (uint32_t i = 0; i < kept->count; i++, value++)
            if (kept->pairs[i].of_domain)
                give(kept, &target, i, *value, now_ns);
    }
}

void sched_kept_give_vcpus(const struct sched_kept *kept, uint64_t now_ns)
{
    const uint64_t *value = kept->values;
    struct sched_domain *d;
    struct sched_vcpu *s;

    if (kept->count == 0)
        return;
    list_for_each_entry(d, &sched_all_domains, link)
        value += kept->count;
    list_for_each_entry(s, &sched_all_vcpus, link) {
        struct sched_target target = {.domain = s->domain, .vcpu = s, .queue = &run_queue_of(s->cpu)->queue};

        for (uint32_t i = 0; i < kept->count; i++, value++)
            give(kept, &target, i, *value, now_ns);
    }
}
