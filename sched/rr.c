/* SPDX-License-Identifier: MIT */
/*
 * Round robin: every runnable vCPU gets the same slice, in arrival order.
 *
 * The simplest policy that cannot starve anyone; start here to read or to copy. A vCPU that wakes goes to the end of the queue
 * and preempts nobody; one that runs alone gets a slice as soon as somebody else waits.
 * Contract: <hv/sched-ops.h>. Tests: test-rr.c. Page: docs/concepts/rr.md.
 */
#include <hv/env.h>
#include <hv/sched-ops.h>

#define RR_SLICE_NS (10ull * 1000 * 1000)
#define RR_SLICE_MIN_NS (100ull * 1000)
#define RR_SLICE_MAX_NS (1000ull * 1000 * 1000)

struct rr {
    uint64_t slice_ns;
};

struct rr_queue {
    struct list_node waiting; /* in arrival order */
};

struct rr_vcpu {
    struct list_node link;
    struct sched_vcpu *vcpu;
};

static int rr_create(void *state, const struct sched_machine *machine)
{
    struct rr *rr = state;

    (void)machine;
    rr->slice_ns = RR_SLICE_NS;
    return 0;
}

static void rr_queue_init(void *state, struct sched_queue *queue, uint64_t now_ns)
{
    struct rr_queue *rq = queue->data;

    (void)state, (void)now_ns;
    list_init(&rq->waiting);
}

static void rr_vcpu_insert(void *state, struct sched_queue *queue, struct sched_vcpu *vcpu, uint64_t now_ns)
{
    struct rr_vcpu *v = vcpu->data;

    (void)state, (void)queue, (void)now_ns;
    list_init(&v->link);
    v->vcpu = vcpu;
}

static uint64_t rr_enqueue(void *state, struct sched_queue *queue, struct sched_vcpu *vcpu, enum sched_reason reason,
                           uint64_t now_ns)
{
    const struct rr *rr = state;
    struct rr_queue *rq = queue->data;
    struct rr_vcpu *v = vcpu->data;
    bool first = list_empty(&rq->waiting);
    uint64_t ran_ns = now_ns - queue->charged_ns;

    (void)reason;
    list_push_back(&rq->waiting, &v->link);
    if (!first)
        return SCHED_KEEP; /* the running one has its slice already */
    return ran_ns < rr->slice_ns ? rr->slice_ns - ran_ns : 0;
}

static void rr_dequeue(void *state, struct sched_queue *queue, struct sched_vcpu *vcpu, uint64_t now_ns)
{
    struct rr_vcpu *v = vcpu->data;

    (void)state, (void)queue, (void)now_ns;
    list_remove(&v->link);
}

static struct sched_decision rr_pick_next(void *state, struct sched_queue *queue, uint64_t now_ns)
{
    const struct rr *rr = state;
    struct rr_queue *rq = queue->data;
    struct rr_vcpu *v = list_first_entry(&rq->waiting, struct rr_vcpu, link);

    (void)now_ns;
    list_remove(&v->link);
    return (struct sched_decision){v->vcpu, list_empty(&rq->waiting) ? SCHED_UNTIL_BLOCK : rr->slice_ns};
}

static void rr_param_set(void *state, const struct sched_target *target, uint32_t index, uint64_t value,
                         uint64_t now_ns)
{
    struct rr *rr = state;

    (void)target, (void)index, (void)now_ns;
    __atomic_store_n(&rr->slice_ns, value, __ATOMIC_RELAXED); /* other pCPUs read it; either value will do */
}

static uint64_t rr_param_get(void *state, const struct sched_target *target, uint32_t index)
{
    const struct rr *rr = state;

    (void)target, (void)index;
    return rr->slice_ns;
}

static const struct sched_parameter rr_params[] = {
    {"slice_ns", SCHED_PARAM_NS, SCHED_SCOPE_MODULE, RR_SLICE_MIN_NS, RR_SLICE_MAX_NS, RR_SLICE_NS,
     "how long each runs while others wait, in nanoseconds"},
};

const struct sched_ops sched_rr = {
    .name = "rr",
    .summary = "round robin, equal slices in arrival order",
    .state_bytes = sizeof(struct rr),
    .queue_bytes = sizeof(struct rr_queue),
    .vcpu_bytes = sizeof(struct rr_vcpu),
    .params = rr_params,
    .param_count = sizeof(rr_params) / sizeof(rr_params[0]),
    .create = rr_create,
    .queue_init = rr_queue_init,
    .vcpu_insert = rr_vcpu_insert,
    .enqueue = rr_enqueue,
    .dequeue = rr_dequeue,
    .pick_next = rr_pick_next,
    .param_set = rr_param_set,
    .param_get = rr_param_get,
};
