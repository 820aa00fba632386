/* SPDX-License-Identifier: MIT */
/*
 * The two timers of a run queue: the end of a slice, and the watch over whoever waits.
 *
 * The watchdog's bound is boot_options.watchdog_ms for each vCPU that waits at the queue (ten that share a pCPU fairly wait ten times
 * as long), and the time for which the module says that it may park one. Its timer is armed only while somebody waits after a decision. A timer that itself comes late tells of a
 * machine that stood still, which is no fault of the module's. Nor is what follows from it: who ran when the machine stood still (an emulator's or a host's doing) is charged for that time, and by right the others
 * come first until they have caught up, in the proportion of the weights, which the core does not know. So after a slice that ended far too late nobody is blamed for a while. Tests: test-bad-modules.c.
 */
#include "run-queue.h"

#include "log.h"
#include "options.h"

#define STALL_NS (20 * NS_PER_MS)        /* a slice that ends so late was not ended by us */
#define PATIENCE_FACTOR 20u              /* the others may have so much more weight together */
#define PATIENCE_MAX_NS (10 * NS_PER_S)  /* in all, however often the machine stands still */

static void note_stall(struct run_queue *rq, uint64_t now_ns, uint64_t late_ns)
{
    uint64_t patience_ns = late_ns < PATIENCE_MAX_NS / PATIENCE_FACTOR ? late_ns * PATIENCE_FACTOR : PATIENCE_MAX_NS;

    rq->patient_until_ns = max(rq->patient_until_ns, now_ns + patience_ns);
}

void slice_timer_fired(void *arg)
{
    struct run_queue *rq = arg;
    uint64_t flags = spin_lock_irqsave(&rq->lock);
    uint64_t now_ns = run_queue_now(rq);

    rq->slice_timer_ns = UINT64_MAX;
    if (rq->slice_end_ns <= now_ns) {
        softirq_raise_on(rq->queue.cpu, SOFTIRQ_SCHEDULE);
        if (unlikely(now_ns - rq->slice_end_ns > STALL_NS))
            note_stall(rq, now_ns, now_ns - rq->slice_end_ns);
    } else if (rq->slice_end_ns != UINT64_MAX) {
        rq->slice_timer_ns = rq->slice_end_ns;
        timer_set(&rq->slice_timer, rq->slice_end_ns);
    }
    spin_unlock_irqrestore(&rq->lock, flags);
}

static uint64_t watch_bound_ns(const struct run_queue *rq)
{
    return boot_options.watchdog_ms * NS_PER_MS * max(rq->queue.waiting, 1u) + active.park_max_ns;
}

static void watch_until(struct run_queue *rq, uint64_t due_ns)
{
    rq->watching = true;
    rq->watch_due_ns = due_ns;
    timer_set(&rq->watchdog_timer, due_ns);
}

void watchdog_arm(struct run_queue *rq, uint64_t now_ns)
{
    if (boot_options.watchdog_ms != 0 && active.name != sched_fallback.name)
        watch_until(rq, now_ns + watch_bound_ns(rq));
}

void watchdog_fired(void *arg)
{
    struct run_queue *rq = arg;
    uint64_t flags = spin_lock_irqsave(&rq->lock);
    uint64_t now_ns = run_queue_now(rq);
    uint64_t bound_ns = watch_bound_ns(rq), patient_until_ns;
    const char *name = active.name;
    struct sched_vcpu *longest;
    char detail[64];

    rq->watching = false;
    if (rq->queue.waiting == 0 || name == sched_fallback.name || boot_options.watchdog_ms == 0)
        goto out;
    longest = list_first_entry(&rq->waiting, struct sched_vcpu, wait_link);
    if (now_ns < longest->waiting_since_ns + bound_ns) {
        watch_until(rq, longest->waiting_since_ns + bound_ns);
        goto out;
    }
    patient_until_ns = min(rq->patient_until_ns, longest->waiting_since_ns + bound_ns + PATIENCE_MAX_NS);
    if (now_ns < patient_until_ns) {
        watch_until(rq, patient_until_ns);
        goto out;
    }
    if (now_ns - rq->watch_due_ns > bound_ns / 4) {
        watch_until(rq, now_ns + bound_ns);
        goto out;
    }
    snprintf(detail, sizeof(detail), "d%u v%u for %u ms on pCPU %u", longest->domain->id, longest->id,
             (unsigned int)((now_ns - longest->waiting_since_ns) / NS_PER_MS), rq->queue.cpu);
    spin_unlock_irqrestore(&rq->lock, flags);
    sched_replace_failed(FAULT_STARVED, name, detail);
    return;
out:
    spin_unlock_irqrestore(&rq->lock, flags);
}
