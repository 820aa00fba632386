/* SPDX-License-Identifier: MIT */
/*
 * The module's answers, checked before they are believed.
 *
 * A pointer is looked up by its value among the vCPUs at home on the queue before anything is read through it: the answer may be
 * garbage. Whatever is wrong, the caller gets the fault to report, and nothing has changed. Tests: test-bad-modules.c.
 */
#include "run-queue.h"

uint64_t sched_fault_counts[FAULT_COUNT];
const char *const sched_fault_names[FAULT_COUNT] = {
    [FAULT_IDLE_WHILE_RUNNABLE] = "idles while a vCPU is runnable",
    [FAULT_UNKNOWN_VCPU] = "picked no vCPU of this queue",
    [FAULT_NOT_QUEUED] = "picked a vCPU that is not runnable",
    [FAULT_SLICE] = "gave an absurd slice",
    [FAULT_STARVED] = "left a runnable vCPU waiting",
    [FAULT_PLACEMENT] = "chose no usable pCPU",
};

static bool is_home(struct run_queue *rq, const struct sched_vcpu *s)
{
    for (const struct sched_vcpu *known = *home_bucket(rq, s); known != NULL; known = known->home_next)
        if (known == s)
            return true;
    return false;
}

static bool slice_absurd(const struct run_queue *rq, uint64_t slice_ns)
{
    if (slice_ns == SCHED_UNTIL_BLOCK)
        return rq->queue.waiting > 1; /* the chosen one is still counted */
    return slice_ns < SCHED_SLICE_MIN_NS || slice_ns > SCHED_SLICE_MAX_NS;
}

/* Returns the module's choice, still WAITING; or NULL, and what is wrong: FAULT_COUNT if nothing is, and nobody may run for slice_ns. */
struct sched_vcpu *checked_pick(struct run_queue *rq, uint64_t now_ns, uint64_t *slice_ns, enum sched_fault *fault)
{
    struct sched_decision decision = active.pick_next(active_state, &rq->queue, now_ns);

    if (unlikely(decision.vcpu == NULL)) {
        *slice_ns = max(decision.slice_ns, SCHED_SLICE_MIN_NS);
        *fault = decision.slice_ns <= active.park_max_ns && active.park_max_ns != 0 ? FAULT_COUNT : FAULT_IDLE_WHILE_RUNNABLE;
    } else if (unlikely(&decision.vcpu->wait_link != rq->waiting.next && !is_home(rq, decision.vcpu))) {
        *fault = FAULT_UNKNOWN_VCPU;
    } else if (unlikely(decision.vcpu->place != SCHED_WAITING)) {
        *fault = FAULT_NOT_QUEUED;
    } else if (unlikely(slice_absurd(rq, decision.slice_ns))) {
        *fault = FAULT_SLICE;
    } else {
        *slice_ns = decision.slice_ns;
        return decision.vcpu;
    }
    return NULL;
}

/* Both locked. NULL: none, also when the module has named one that cannot move. */
struct sched_vcpu *checked_steal(struct run_queue *from, struct run_queue *to, uint64_t now_ns)
{
    struct sched_vcpu *s = active.steal(active_state, &from->queue, &to->queue, now_ns);

    if (s == NULL || (is_home(from, s) && s->place == SCHED_WAITING && sched_can_move(s, to->queue.cpu)))
        return s;
    __atomic_fetch_add(&sched_fault_counts[FAULT_PLACEMENT], 1, __ATOMIC_RELAXED);
    return NULL;
}

uint32_t checked_pick_cpu(struct run_queue *rq, const struct sched_vcpu *s, uint64_t now_ns)
{
    uint32_t cpu = active.pick_cpu(active_state, &sched_machine, s, now_ns);

    if (likely(cpu < cpu_count && (s->affinity & cpu_bit(cpu))))
        return cpu;
    __atomic_fetch_add(&sched_fault_counts[FAULT_PLACEMENT], 1, __ATOMIC_RELAXED);
    return rq->queue.cpu;
}
