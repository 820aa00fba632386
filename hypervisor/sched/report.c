/* SPDX-License-Identifier: MIT */
/* What the scheduler core tells Domain0: the account of a vCPU, idle time, and how the modules have behaved. Contract: sched.h. Tests: test-params.c, test-core.c. */
#include "run-queue.h"

#include "domain.h"
#include "lib/string.h"
#include "options.h"

#include <collet/control.h>

_Static_assert(SCHED_LATENCY_BUCKETS == COLLET_LATENCY_BUCKETS, "the histogram is handed out as it is");
_Static_assert((int)COLLET_VCPU_RUNNING == RUNSTATE_running && (int)COLLET_VCPU_RUNNABLE == RUNSTATE_runnable &&
                   (int)COLLET_VCPU_BLOCKED == RUNSTATE_blocked && (int)COLLET_VCPU_OFFLINE == RUNSTATE_offline,
               "states are those of the runstate");
_Static_assert(FAULT_COUNT <= COLLET_SCHED_FAULTS, "room for every kind of fault");

/* Names that programs may rely on. */
static const char *const fault_keys[FAULT_COUNT] = {
    [FAULT_IDLE_WHILE_RUNNABLE] = "idle-while-runnable", [FAULT_UNKNOWN_VCPU] = "unknown-vcpu", [FAULT_NOT_QUEUED] = "not-queued",
    [FAULT_SLICE] = "absurd-slice", [FAULT_STARVED] = "starved", [FAULT_PLACEMENT] = "bad-placement",
};

void sched_vcpu_account(struct vcpu *v, struct collet_vcpu_info *info)
{
    struct sched_vcpu *s = &v->sched;
    const struct vcpu_runstate_info *runstate = &v->time.runstate;
    uint64_t flags, now_ns;
    struct run_queue *rq = run_queue_lock_home(s, &flags);

    now_ns = run_queue_now(rq);
    info->state = (uint32_t)runstate->state;
    info->cpu = s->ran_cpu != SCHED_NOWHERE ? s->ran_cpu : s->cpu;
    info->affinity = s->affinity & cpu_online_mask;
    for (unsigned int state = 0; state < 4; state++)
        info->time_ns[state] = runstate->time[state];
    if (now_ns > runstate->state_entry_time)
        info->time_ns[runstate->state & 3] += now_ns - runstate->state_entry_time;
    info->wakes = s->wakes;
    info->dispatches = s->dispatches;
    info->preemptions = s->preemptions;
    info->migrations = s->migrations;
    info->waited_max_ns = s->waited_max_ns;
    memcpy(info->latency, s->latency, sizeof(info->latency));
    spin_unlock_irqrestore(&rq->lock, flags);
}

static void read_queue(struct collet_sched_status *status, uint32_t cpu)
{
    struct run_queue *rq = run_queue_of(cpu);
    uint64_t flags = spin_lock_irqsave(&rq->lock);

    status->queues[cpu].switches = rq->switches;
    status->queues[cpu].runs = rq->runs;
    status->queues[cpu].preemptions = rq->preemptions;
    status->queues[cpu].steals = rq->pulls;
    status->queues[cpu].waiting = rq->queue.waiting;
    status->queues[cpu].homed = rq->homed;
    spin_unlock_irqrestore(&rq->lock, flags);
}

void sched_status_read(struct collet_sched_status *status)
{
    const struct sched_history *h = &sched_history;

    memset(status, 0, sizeof(*status));
    spin_lock(&sched_admin_lock);
    strlcpy(status->active, active.name, sizeof(status->active));
    status->since_ns = h->since_ns;
    status->uses = h->uses;
    memcpy(status->dropped, h->dropped, sizeof(status->dropped));
    memcpy(status->dropped_why, h->dropped_why, sizeof(status->dropped_why));
    status->dropped_ns = h->dropped_ns;
    spin_unlock(&sched_admin_lock);
    for (uint32_t fault = 0; fault < FAULT_COUNT; fault++) {
        status->faults[fault] = READ_ONCE(sched_fault_counts[fault]);
        strlcpy(status->fault_names[fault], fault_keys[fault], sizeof(status->fault_names[fault]));
    }
    status->watchdog_ns = boot_options.watchdog_ms * NS_PER_MS;
    status->cpus = cpu_count;
    for (uint32_t cpu = 0; cpu < cpu_count; cpu++)
        read_queue(status, cpu);
}
