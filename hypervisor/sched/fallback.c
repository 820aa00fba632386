/* SPDX-License-Identifier: MIT */
/*
 * The core's own round robin: what takes over when a module has failed. It has no data of its own and cannot run out of anything: the order
 * is the core's record of who waits longest.
 */
#include "run-queue.h"

#define FALLBACK_SLICE_NS (10 * NS_PER_MS)

static uint64_t fallback_enqueue(void *state, struct sched_queue *queue, struct sched_vcpu *vcpu,
                                 enum sched_reason reason, uint64_t now_ns)
{
    uint64_t ran_ns = now_ns - queue->charged_ns;

    (void)state, (void)vcpu, (void)reason;
    return ran_ns < FALLBACK_SLICE_NS ? FALLBACK_SLICE_NS - ran_ns : 0;
}

static void fallback_dequeue(void *state, struct sched_queue *queue, struct sched_vcpu *vcpu, uint64_t now_ns)
{
    (void)state, (void)queue, (void)vcpu, (void)now_ns;
}

static struct sched_decision fallback_pick_next(void *state, struct sched_queue *queue, uint64_t now_ns)
{
    struct run_queue *rq = container_of(queue, struct run_queue, queue);
    struct sched_decision decision = {list_first_entry(&rq->waiting, struct sched_vcpu, wait_link),
                                      queue->waiting > 1 ? FALLBACK_SLICE_NS : SCHED_UNTIL_BLOCK};

    (void)state, (void)now_ns;
    return decision;
}

const struct sched_ops sched_fallback = {
    .name = "fallback",
    .summary = "the core's own round robin",
    .enqueue = fallback_enqueue,
    .dequeue = fallback_dequeue,
    .pick_next = fallback_pick_next,
};
