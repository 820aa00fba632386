/* SPDX-License-Identifier: MIT */
/*
 * Values that are kept when one module follows another: each parameter of the old one that the new one has too, under the same name and of the same type.
 *
 * They are read while the old module is in charge - the administration lock keeps them as they are - and made in the new one right after it has taken over, domain by domain and as a user's
 * settings are. What the new module does not allow is left at the module's own. Contract: run-queue.h. Tests: test-params.c.
 */
#include "run-queue.h"

#include "alloc.h"
#include "lib/string.h"

#include <hv/errno.h>

#define PAIRS_MAX 32u
#define HEAP_BYTES_MAX (2ul << 20)

/* A parameter that two modules share. */
struct pair {
    uint32_t from, to; /* index in the old and the new table */
    uint32_t scopes;   /* settable there in both */
};

static uint32_t find_pairs(const struct sched_ops *next, struct pair *pairs)
{
    uint32_t count = 0;

    for (uint32_t from = 0; from < active.param_count; from++) {
        for (uint32_t to = 0; to < next->param_count && count < PAIRS_MAX; to++) {
            const struct sched_parameter *a = &active.params[from], *b = &next->params[to];
            uint32_t scopes = a->scopes & b->scopes & (SCHED_SCOPE_DOMAIN | SCHED_SCOPE_VCPU);

            if (strcmp(a->name, b->name) == 0 && a->type == b->type && scopes != 0)
                pairs[count++] = (struct pair){from, to, scopes};
        }
    }
    return count;
}

static void keep(struct sched_kept *kept, const struct sched_ops *next, struct sched_target target, const struct pair *pair)
{
    uint64_t value = active.param_get(active_state, &target, pair->from);

    target.queue = NULL;
    if (sched_param_in_range(&next->params[pair->to], value))
        kept->settings[kept->count++] = (struct sched_setting){target, pair->to, value};
}

static void keep_domain(struct sched_kept *kept, const struct sched_ops *next, struct sched_domain *d, const struct pair *pairs, uint32_t count)
{
    struct sched_vcpu *s;

    for (uint32_t i = 0; i < count; i++)
        if (pairs[i].scopes & SCHED_SCOPE_DOMAIN)
            keep(kept, next, (struct sched_target){.domain = d}, &pairs[i]);
    list_for_each_entry(s, &d->vcpus, domain_link) {
        uint64_t flags;
        struct run_queue *rq = run_queue_lock_home(s, &flags);

        for (uint32_t i = 0; i < count; i++)
            if (pairs[i].scopes & SCHED_SCOPE_VCPU)
                keep(kept, next, (struct sched_target){d, s, &rq->queue}, &pairs[i]);
        spin_unlock_irqrestore(&rq->lock, flags);
    }
}

int sched_kept_collect(struct sched_kept *kept, const struct sched_ops *next)
{
    struct pair pairs[PAIRS_MAX];
    uint32_t count = find_pairs(next, pairs);
    struct sched_domain *d;
    struct sched_vcpu *s;
    uint64_t bytes = 0;

    list_for_each_entry(d, &sched_all_domains, link)
        bytes += count * sizeof(kept->settings[0]);
    list_for_each_entry(s, &sched_all_vcpus, link)
        bytes += count * sizeof(kept->settings[0]);
    if (bytes == 0)
        return 0;
    if (bytes > HEAP_BYTES_MAX)
        return -ENOMEM;
    kept->settings = heap_alloc(bytes);
    if (kept->settings == NULL)
        return -ENOMEM;
    list_for_each_entry(d, &sched_all_domains, link)
        keep_domain(kept, next, d, pairs, count);
    return 0;
}

void sched_kept_give(const struct sched_kept *kept)
{
    uint32_t first, end;

    for (first = 0; first < kept->count; first = end) {
        const struct sched_setting *settings = &kept->settings[first];

        for (end = first; end < kept->count && kept->settings[end].target.domain == settings->target.domain; end++)
            ;
        if (sched_settings_check(settings, end - first) == 0)
            sched_settings_make(settings, end - first);
    }
}
