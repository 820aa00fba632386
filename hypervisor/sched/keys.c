/* SPDX-License-Identifier: MIT */
/* Console keys: 'r' shows the run queues, 's' hands the vCPUs to the next module of sched/index.c. */
#include "run-queue.h"

#include "console.h"
#include "lib/string.h"
#include "log.h"

static const char *place_name(const struct sched_vcpu *s)
{
    if (s->place == SCHED_RUNNING)
        return "running";
    if (s->place == SCHED_WAITING)
        return "waiting";
    return (s->blockers & SCHED_DOWN) ? "down" : (s->blockers & SCHED_PAUSED) ? "paused" : "blocked";
}

/* Read without the queues' locks: a torn number in a report harms nobody, a long report under a lock would. */
static void dump_queues(char key)
{
    struct sched_vcpu *s;

    (void)key;
    log_info("scheduler %s; time %llu ns", active.name, (unsigned long long)clock_now_ns());
    for (uint32_t cpu = 0; cpu < cpu_count; cpu++) {
        const struct run_queue *rq = run_queue_of(cpu);

        log_info("pCPU %u: %u waiting, %u at home; %llu decisions, %llu switches, %llu preemptions, %llu pulled", cpu,
                 rq->queue.waiting, rq->homed, (unsigned long long)rq->runs, (unsigned long long)rq->switches,
                 (unsigned long long)rq->preemptions, (unsigned long long)rq->pulls);
    }
    spin_lock(&sched_admin_lock);
    list_for_each_entry(s, &sched_all_vcpus, link) {
        log_info("d%u v%u: %s on pCPU %u, ran %llu us, waited %llu us (longest %llu), %llu dispatches, %llu wakes",
                 s->domain->id, s->id, place_name(s), s->cpu, (unsigned long long)(s->ran_ns / NS_PER_US),
                 (unsigned long long)(s->waited_ns / NS_PER_US), (unsigned long long)(s->waited_max_ns / NS_PER_US),
                 (unsigned long long)s->dispatches, (unsigned long long)s->wakes);
        for (uint32_t i = 0; i < active.param_count; i++) {
            uint64_t flags, value;
            struct run_queue *rq;
            struct sched_target target;

            if (!(active.params[i].scopes & SCHED_SCOPE_VCPU))
                continue;
            rq = run_queue_lock_home(s, &flags);
            target = (struct sched_target){s->domain, s, &rq->queue};
            value = active.param_get(active_state, &target, i);
            spin_unlock_irqrestore(&rq->lock, flags);
            log_info("    %s %llu", active.params[i].name, (unsigned long long)value);
        }
    }
    spin_unlock(&sched_admin_lock);
    for (uint32_t fault = 0; fault < FAULT_COUNT; fault++)
        if (sched_fault_counts[fault] != 0)
            log_info("faults: a module %s, %llu times", sched_fault_names[fault],
                     (unsigned long long)sched_fault_counts[fault]);
}

static void next_module(char key)
{
    uint32_t next = 0;

    (void)key;
    for (uint32_t i = 0; sched_modules[i] != NULL; i++)
        if (strcmp(sched_modules[i]->name, sched_active_name()) == 0)
            next = sched_modules[i + 1] != NULL ? i + 1 : 0;
    if (sched_modules[next] != NULL && sched_use(sched_modules[next]->name) != 0)
        log_warning("scheduler: no change");
}

void sched_keys_init(void)
{
    console_register_key('r', dump_queues, "show run queues");
    console_register_key('s', next_module, "change to the next scheduler module");
}
