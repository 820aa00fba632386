// SPDX-License-Identifier: MIT
/* Contract: sched-engine.h. */
#include "sched-engine.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint64_t engine_random(struct engine *e)
{
    /* xorshift64*, Vigna 2014 */
    e->seed ^= e->seed >> 12;
    e->seed ^= e->seed << 25;
    e->seed ^= e->seed >> 27;
    return e->seed * 2685821657736338717ull;
}

static uint64_t length(struct engine *e, const struct engine_task *t, uint64_t mean_ns)
{
    double u;

    if (!t->random || mean_ns == ENGINE_FOREVER || mean_ns == 0)
        return mean_ns;
    u = ((double)(engine_random(e) >> 11) + 1.0) / 9007199254740993.0;
    return (uint64_t)(-log(u) * (double)mean_ns) + 1;
}

struct engine_task *engine_add(struct engine *e, const char *name, struct domain *domain, uint64_t run_ns, uint64_t sleep_ns)
{
    struct engine_task *t = calloc(1, sizeof(*t));

    e->tasks = realloc(e->tasks, (e->task_count + 1) * sizeof(*e->tasks));
    if (t == NULL || e->tasks == NULL)
        abort();
    e->tasks[e->task_count++] = t;
    if (e->seed == 0)
        e->seed = 1;
    snprintf(t->name, sizeof(t->name), "%s", name);
    t->domain = domain != NULL ? domain : host_domain_create((domid_t)e->task_count);
    t->vcpu = host_vcpu_create(t->domain);
    t->run_ns = run_ns;
    t->sleep_ns = sleep_ns;
    t->wake_at_ns = UINT64_MAX;
    t->woken_ns = UINT64_MAX;
    return t;
}

static bool is_current(const struct engine_task *t)
{
    return t->started && !t->stopped && cpus[t->vcpu->cpu].current == t->vcpu;
}

static uint64_t next_event(const struct engine *e)
{
    uint64_t next = host_timer_next();

    for (uint32_t i = 0; i < e->task_count; i++) {
        const struct engine_task *t = e->tasks[i];

        if (t->stopped)
            continue;
        if (!t->started)
            next = min(next, t->start_ns);
        else if (is_current(t) && t->left_ns != ENGINE_FOREVER)
            next = min(next, host_now_ns + t->left_ns);
        next = min(next, t->wake_at_ns);
        if (t->stop_ns != 0)
            next = min(next, t->stop_ns);
    }
    return next;
}

static void pass_time(struct engine *e, uint64_t to_ns)
{
    uint64_t passed = to_ns - host_now_ns;

    for (uint32_t i = 0; i < e->task_count; i++) {
        struct engine_task *t = e->tasks[i];

        if (!t->started || t->stopped)
            continue;
        if (t->vcpu->sched.place != SCHED_OUT)
            t->runnable_ns += passed;
        if (!is_current(t))
            continue;
        t->ran_ns += passed;
        if (t->left_ns != ENGINE_FOREVER)
            t->left_ns -= min(passed, t->left_ns);
    }
    host_now_ns = to_ns;
}

static void end_burst(struct engine *e, struct engine_task *t)
{
    host_on_cpu(t->vcpu->cpu);
    t->left_ns = max(length(e, t, t->run_ns), 1ul);
    if (t->yields) {
        vcpu_yield();
        return;
    }
    if (t->period_ns != 0)
        t->wake_at_ns = (host_now_ns / t->period_ns + 1) * t->period_ns;
    else
        t->wake_at_ns = host_now_ns + max(length(e, t, t->sleep_ns), 1ul);
    vcpu_block(NULL);
}

static void note_latency(struct engine_task *t)
{
    struct engine_latencies *l = &t->latencies;

    if (l->count == l->room) {
        l->room = l->room != 0 ? l->room * 2 : 64;
        l->ns = realloc(l->ns, l->room * sizeof(*l->ns));
        if (l->ns == NULL)
            abort();
    }
    l->ns[l->count++] = host_now_ns - t->woken_ns;
    t->woken_ns = UINT64_MAX;
}

/* Everything that happens at this instant: ends of bursts, then stops, starts and wake-ups, then what the core makes of it. */
static void act(struct engine *e)
{
    for (uint32_t i = 0; i < e->task_count; i++)
        if (is_current(e->tasks[i]) && e->tasks[i]->left_ns == 0)
            end_burst(e, e->tasks[i]);
    host_on_cpu(0);
    for (uint32_t i = 0; i < e->task_count; i++) {
        struct engine_task *t = e->tasks[i];

        if (t->stopped)
            continue;
        if (t->stop_ns != 0 && t->stop_ns <= host_now_ns) {
            t->stopped = true;
            t->wake_at_ns = UINT64_MAX;
            t->woken_ns = UINT64_MAX;
            vcpu_pause(t->vcpu);
        } else if (!t->started && t->start_ns <= host_now_ns) {
            t->started = true;
            t->left_ns = max(length(e, t, t->run_ns), 1ul);
            t->woken_ns = host_now_ns;
            host_vcpu_start(t->vcpu);
        } else if (t->wake_at_ns <= host_now_ns) {
            t->wake_at_ns = UINT64_MAX;
            t->woken_ns = host_now_ns;
            vcpu_wake(t->vcpu);
        }
    }
    host_timers_expire();
}

static void look(struct engine *e)
{
    for (uint32_t i = 0; i < e->task_count; i++)
        if (e->tasks[i]->woken_ns != UINT64_MAX && is_current(e->tasks[i]))
            note_latency(e->tasks[i]);
    e->steps++;
    if (e->check != NULL)
        e->check(e, e->check_arg);
}

void engine_run(struct engine *e, uint64_t until_ns)
{
    host_settle();
    for (;;) {
        uint64_t next = next_event(e);

        if (next > until_ns)
            break;
        pass_time(e, max(next, host_now_ns));
        act(e);
        look(e);
    }
    pass_time(e, until_ns);
}

void engine_free(struct engine *e)
{
    for (uint32_t i = 0; i < e->task_count; i++) {
        struct engine_task *t = e->tasks[i];
        bool last = true;

        for (uint32_t j = i + 1; j < e->task_count; j++)
            last = last && e->tasks[j]->domain != t->domain;
        if (last)
            host_domain_destroy(t->domain);
        free(t->latencies.ns);
    }
    for (uint32_t i = 0; i < e->task_count; i++)
        free(e->tasks[i]);
    free(e->tasks);
    memset(e, 0, sizeof(*e));
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

uint64_t engine_latency(struct engine_task *t, double p)
{
    uint32_t index;

    if (t->latencies.count == 0)
        return 0;
    qsort(t->latencies.ns, t->latencies.count, sizeof(uint64_t), compare);
    index = (uint32_t)(p / 100.0 * t->latencies.count);
    return t->latencies.ns[min(index, t->latencies.count - 1)];
}
