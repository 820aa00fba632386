/* SPDX-License-Identifier: MIT */
/*
 * Rates between two looks at the machine. A domain that came in between counts from its creation; one that went is gone.
 * Contract: top.h. Tests: test-top.c.
 */
#include "top.h"
#include "format.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const char *const top_order_names[TOP_ORDERS] = { "cpu", "memory", "name", "id", "wakes", "latency", "wait" };

int top_take(struct collet *c, struct top_sample *s)
{
    struct collet_domain_info *domains = NULL;
    int rc;

    *s = (struct top_sample){ 0 };
    rc = collet_machine(c, &s->machine);
    if (rc == 0)
        rc = collet_sched_status(c, &s->sched);
    if (rc == 0)
        rc = collet_domains(c, &domains);
    if (rc >= 0) {
        s->domains = calloc((size_t)rc + 1, sizeof(*s->domains));
        s->count = s->domains != NULL ? rc : 0;
        rc = s->domains != NULL ? 0 : -ENOMEM;
    }
    for (int i = 0; i < s->count; i++) {
        struct top_domain *d = &s->domains[i];

        d->info = domains[i];
        d->vcpu_count = collet_vcpus(c, d->info.domid, &d->vcpus);
        /* It may be gone by now: then it has no vCPUs to tell of. */
        if (d->vcpu_count < 0) {
            d->vcpu_count = 0;
            d->vcpus = NULL;
        }
    }
    free(domains);
    return rc;
}

void top_free(struct top_sample *s)
{
    for (int i = 0; i < s->count; i++)
        free(s->domains[i].vcpus);
    free(s->domains);
    *s = (struct top_sample){ 0 };
}

static const struct top_domain *same_domain(const struct top_sample *s, const struct collet_domain_info *info)
{
    for (int i = 0; i < s->count; i++)
        if (s->domains[i].info.domid == info->domid && s->domains[i].info.created_ns == info->created_ns)
            return &s->domains[i];
    return NULL;
}

/* Counters never run backwards; if one seems to, it counts as nothing. */
static uint64_t grown(uint64_t before, uint64_t after)
{
    return after > before ? after - before : 0;
}

static void add_vcpu(struct top_row *row, const struct collet_vcpu_info *before, const struct collet_vcpu_info *after, double ns, uint64_t *latency,
                     uint64_t *max_ns)
{
    static const struct collet_vcpu_info nothing;

    if (before == NULL)
        before = &nothing;
    row->run_ns += after->time_ns[0];
    row->cpu_percent += 100.0 * (double)grown(before->time_ns[0], after->time_ns[0]) / ns;
    row->wait_percent += 100.0 * (double)grown(before->time_ns[1], after->time_ns[1]) / ns;
    row->wakes += 1e9 * (double)grown(before->wakes, after->wakes) / ns;
    row->dispatches += 1e9 * (double)grown(before->dispatches, after->dispatches) / ns;
    row->migrations += 1e9 * (double)grown(before->migrations, after->migrations) / ns;
    for (int i = 0; i < COLLET_LATENCY_BUCKETS; i++)
        latency[i] += grown(before->latency[i], after->latency[i]);
    if (after->waited_max_ns > *max_ns)
        *max_ns = after->waited_max_ns;
}

static void fill_head(struct top_row *row, const struct top_domain *d)
{
    *row = (struct top_row){ .domid = d->info.domid, .vcpu = -1, .frames = d->info.frames, .frames_max = d->info.frames_max, .vcpus = d->info.vcpus_online };
    snprintf(row->name, sizeof(row->name), "%s", d->info.name);
    domain_state_letters(&d->info, d->vcpus, d->vcpu_count, row->state);
}

static int add_rows(struct top_row *rows, const struct top_domain *before, const struct top_domain *d, double ns, bool per_vcpu)
{
    uint64_t latency[COLLET_LATENCY_BUCKETS] = { 0 }, max_ns = 0;
    struct top_row *row = rows;

    fill_head(row, d);
    for (int i = 0; i < d->vcpu_count; i++) {
        const struct collet_vcpu_info *was = before != NULL && i < before->vcpu_count ? &before->vcpus[i] : NULL;

        if (per_vcpu) {
            memset(latency, 0, sizeof(latency));
            max_ns = 0;
            row = &rows[i];
            fill_head(row, d);
            row->vcpu = i;
            snprintf(row->name, sizeof(row->name), "%s/%d", d->info.name, i);
            snprintf(row->state, sizeof(row->state), "%s", vcpu_state_name(d->vcpus[i].state));
        }
        add_vcpu(row, was, &d->vcpus[i], ns, latency, &max_ns);
        row->p99_ns = latency_percentile(latency, 990, max_ns);
    }
    if (!per_vcpu)
        row->run_ns = d->info.runs_ns > row->run_ns ? d->info.runs_ns : row->run_ns;
    return per_vcpu && d->vcpu_count > 0 ? d->vcpu_count : 1;
}

/* Greater first for numbers, as usual for names; and by number where that is the same, so that lines stand still. */
static int compare(const void *left, const void *right, void *arg)
{
    const struct top_row *a = left, *b = right;
    double x = 0, y = 0;
    int sign = 0;

    switch (*(enum top_order *)arg) {
    case TOP_BY_CPU: x = a->cpu_percent, y = b->cpu_percent; break;
    case TOP_BY_MEMORY: x = (double)a->frames, y = (double)b->frames; break;
    case TOP_BY_WAKES: x = a->wakes, y = b->wakes; break;
    case TOP_BY_LATENCY: x = (double)a->p99_ns, y = (double)b->p99_ns; break;
    case TOP_BY_WAIT: x = a->wait_percent, y = b->wait_percent; break;
    case TOP_BY_NAME: sign = strverscmp(a->name, b->name); break;
    default: break;
    }
    if (x != y)
        return x < y ? 1 : -1;
    if (sign != 0)
        return sign;
    if (a->domid != b->domid)
        return a->domid < b->domid ? -1 : 1;
    return a->vcpu - b->vcpu;
}

static double interval_ns(const struct top_sample *before, const struct top_sample *after)
{
    double ns = (double)grown(before->machine.now_ns, after->machine.now_ns);

    return ns > 0 ? ns : 1;
}

struct top_row *top_rows(const struct top_sample *before, const struct top_sample *after, enum top_order order, bool per_vcpu, int *count)
{
    struct top_row *rows;
    size_t room = 1;

    for (int i = 0; i < after->count; i++)
        room += (size_t)after->domains[i].vcpu_count + 1;
    rows = calloc(room, sizeof(*rows));
    *count = 0;
    for (int i = 0; rows != NULL && i < after->count; i++) {
        const struct top_domain *d = &after->domains[i], *was = same_domain(before, &d->info);

        *count += add_rows(rows + *count, was, d, interval_ns(before, after), per_vcpu);
    }
    if (rows != NULL)
        qsort_r(rows, (size_t)*count, sizeof(*rows), compare, &order);
    return rows;
}

double top_busy_percent(const struct top_sample *before, const struct top_sample *after)
{
    double ns = interval_ns(before, after), busy = 0;

    for (unsigned int cpu = 0; cpu < after->machine.cpus && cpu < COLLET_VCPUS_MAX; cpu++) {
        double idle = 100.0 * (double)grown(before->machine.idle_ns[cpu], after->machine.idle_ns[cpu]) / ns;

        busy += idle < 100 ? 100 - idle : 0;
    }
    return busy;
}
