/* SPDX-License-Identifier: MIT */
/*
 * Values that outlive a change of module: each parameter of the old one that the new one has too, under the same name and of the same type.
 *
 * They are read while the old module is in charge - the administration lock keeps them as they are - and made in the new one right after it has taken over, domain by domain and as a user's
 * settings are. What the new module does not allow is left at the module's own. What it does not know, and somebody has set, waits on the shelf for a module that does: so weights are there again
 * after a visit of one that has none. Contract: run-queue.h. Tests: test-params.c.
 */
#include "run-queue.h"

#include "alloc.h"
#include "lib/string.h"

#include <hv/errno.h>

#define HEAP_BYTES_MAX (2ul << 20)

/* What somebody has set and the module in charge does not know. Lock: sched_admin_lock. */
static struct sched_shelved *shelf;
static uint32_t shelf_count;

/* The parameter of a module by that name, type and scope, or NULL. */
static const struct sched_parameter *find_same(const struct sched_ops *ops, const struct sched_parameter *param, uint32_t scope)
{
    for (uint32_t i = 0; i < ops->param_count; i++)
        if (strcmp(ops->params[i].name, param->name) == 0 && ops->params[i].type == param->type && (ops->params[i].scopes & scope))
            return &ops->params[i];
    return NULL;
}

/* To the new module if it has such a parameter, else on the shelf if it is worth it. */
static void keep(struct sched_kept *kept, const struct sched_ops *next, const struct sched_shelved *item, bool set)
{
    const struct sched_parameter *same = find_same(next, item->param, item->vcpu != NULL ? SCHED_SCOPE_VCPU : SCHED_SCOPE_DOMAIN);

    if (same == NULL) {
        if (set)
            kept->shelf[kept->shelf_count++] = *item;
    } else if (sched_param_in_range(same, item->value)) {
        kept->settings[kept->count++] = (struct sched_setting){
            .target = {.domain = item->domain, .vcpu = item->vcpu}, .index = (uint32_t)(same - next->params), .value = item->value};
    }
}

static uint64_t value_of(struct sched_domain *d, struct sched_vcpu *s, struct run_queue *rq, uint32_t index)
{
    struct sched_target target = {.domain = d, .vcpu = s, .queue = rq != NULL ? &rq->queue : NULL};

    return active.param_get(active_state, &target, index);
}

/* A vCPU's value counts as set if it is not its domain's, which is set in its vCPUs too. */
static void keep_vcpu(struct sched_kept *kept, const struct sched_ops *next, struct sched_domain *d, struct sched_vcpu *s)
{
    uint64_t flags;
    struct run_queue *rq = run_queue_lock_home(s, &flags);

    for (uint32_t i = 0; i < active.param_count; i++) {
        const struct sched_parameter *p = &active.params[i];
        uint64_t usual = p->initial;

        if (!(p->scopes & SCHED_SCOPE_VCPU))
            continue;
        if (p->scopes & SCHED_SCOPE_DOMAIN)
            usual = value_of(d, NULL, NULL, i);
        const struct sched_shelved item = {d, s, p, value_of(d, s, rq, i)};

        keep(kept, next, &item, item.value != usual);
    }
    spin_unlock_irqrestore(&rq->lock, flags);
}

static void keep_domain(struct sched_kept *kept, const struct sched_ops *next, struct sched_domain *d)
{
    struct sched_vcpu *s;

    for (uint32_t i = 0; i < active.param_count; i++) {
        if (active.params[i].scopes & SCHED_SCOPE_DOMAIN) {
            const struct sched_shelved item = {d, NULL, &active.params[i], value_of(d, NULL, NULL, i)};

            keep(kept, next, &item, item.value != active.params[i].initial);
        }
    }
    list_for_each_entry(s, &d->vcpus, domain_link)
        keep_vcpu(kept, next, d, s);
}

static uint64_t targets(void)
{
    struct sched_domain *d;
    struct sched_vcpu *s;
    uint64_t count = 0;

    list_for_each_entry(d, &sched_all_domains, link)
        count++;
    list_for_each_entry(s, &sched_all_vcpus, link)
        count++;
    return count;
}

int sched_kept_collect(struct sched_kept *kept, const struct sched_ops *next)
{
    uint64_t room = targets() * active.param_count + shelf_count;
    struct sched_domain *d;

    if (room == 0)
        return 0;
    if (room * sizeof(kept->settings[0]) > HEAP_BYTES_MAX)
        return -ENOMEM;
    kept->settings = heap_alloc(room * sizeof(kept->settings[0]));
    kept->shelf = heap_alloc(room * sizeof(kept->shelf[0]));
    if (kept->settings == NULL || kept->shelf == NULL) {
        sched_kept_free(kept);
        return -ENOMEM;
    }
    list_for_each_entry(d, &sched_all_domains, link)
        keep_domain(kept, next, d);
    for (uint32_t i = 0; i < shelf_count; i++)
        keep(kept, next, &shelf[i], true);
    return 0;
}

void sched_kept_free(struct sched_kept *kept)
{
    heap_free(kept->settings);
    heap_free(kept->shelf);
    *kept = (struct sched_kept){0};
}

/* The shelf is exchanged: the former one is freed with *kept. */
static void exchange_shelf(struct sched_kept *kept)
{
    struct sched_shelved *former = shelf;

    shelf = kept->shelf;
    shelf_count = kept->shelf_count;
    kept->shelf = former;
    if (shelf_count == 0) {
        heap_free(shelf);
        shelf = NULL;
    }
}

void sched_kept_give(struct sched_kept *kept)
{
    uint32_t first, end;

    exchange_shelf(kept);
    for (first = 0; first < kept->count; first = end) {
        const struct sched_setting *settings = &kept->settings[first];

        for (end = first; end < kept->count && kept->settings[end].target.domain == settings->target.domain; end++)
            ;
        if (sched_settings_check(settings, end - first) == 0)
            sched_settings_make(settings, end - first);
    }
}

void sched_kept_forget(const struct sched_domain *d, const struct sched_vcpu *s)
{
    uint32_t left = 0;

    for (uint32_t i = 0; i < shelf_count; i++)
        if (shelf[i].domain != d || (s != NULL && shelf[i].vcpu != s))
            shelf[left++] = shelf[i];
    shelf_count = left;
    if (left == 0) {
        heap_free(shelf);
        shelf = NULL;
    }
}
