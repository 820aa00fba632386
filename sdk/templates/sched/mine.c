// SPDX-License-Identifier: MIT
/*
 * Least used first: the vCPU that has run least runs next. A scheduler to copy; docs/write-a-scheduler.md goes through it.
 * Contract: <hv/sched-ops.h>. Tests: test-mine.c.
 */
#include <hv/env.h>
#include <hv/heap.h>
#include <hv/sched-ops.h>

#define MINE_SLICE_NS (5ull * 1000 * 1000)

struct mine_queue {
    struct heap heap;
    uint64_t least_ns; /* what the last one that was picked had used */
};
struct mine_vcpu {
    struct heap_node node;
    uint64_t used_ns;
    struct sched_vcpu *vcpu;
};

static struct mine_vcpu *mine_of(const struct heap_node *node)
{
    return env_container_of(node, struct mine_vcpu, node);
}
static bool mine_before(const struct heap_node *a, const struct heap_node *b)
{
    const struct mine_vcpu *va = mine_of(a), *vb = mine_of(b);

    return va->used_ns != vb->used_ns ? va->used_ns < vb->used_ns : va->vcpu->serial < vb->vcpu->serial;
}
static const struct heap_ops mine_heap = {mine_before, NULL};

static uint64_t mine_enqueue(void *state, struct sched_queue *queue, struct sched_vcpu *vcpu, enum sched_reason reason,
                             uint64_t now_ns)
{
    struct mine_queue *q = queue->data;
    struct mine_vcpu *v = vcpu->data;

    (void)state, (void)now_ns;
    v->vcpu = vcpu;
    if (reason != SCHED_AGAIN && v->used_ns < q->least_ns)
        v->used_ns = q->least_ns; /* time asleep is not saved up, or it would starve the others later */
    heap_insert(&q->heap, &v->node, &mine_heap);
    return q->heap.count > 1 ? SCHED_KEEP : MINE_SLICE_NS; /* one that ran alone has no slice yet */
}
static void mine_dequeue(void *state, struct sched_queue *queue, struct sched_vcpu *vcpu, uint64_t now_ns)
{
    struct mine_queue *q = queue->data;

    (void)state, (void)now_ns;
    heap_remove(&q->heap, &((struct mine_vcpu *)vcpu->data)->node, &mine_heap);
}
static struct sched_decision mine_pick_next(void *state, struct sched_queue *queue, uint64_t now_ns)
{
    struct mine_queue *q = queue->data;
    struct mine_vcpu *v = mine_of(q->heap.root);

    (void)state, (void)now_ns;
    q->least_ns = v->used_ns;
    heap_remove(&q->heap, &v->node, &mine_heap);
    return (struct sched_decision){v->vcpu, q->heap.count != 0 ? MINE_SLICE_NS : SCHED_UNTIL_BLOCK};
}
static void mine_charge(void *state, struct sched_queue *queue, struct sched_vcpu *vcpu, uint64_t ran_ns, uint64_t now_ns)
{
    (void)state, (void)queue, (void)now_ns;
    ((struct mine_vcpu *)vcpu->data)->used_ns += ran_ns;
}
/* Each queue has its own idea of what is much: take only the lead along. */
static void mine_move(void *state, struct sched_queue *from, struct sched_queue *to, struct sched_vcpu *vcpu, uint64_t now_ns)
{
    const struct mine_queue *source = from->data, *target = to->data;
    struct mine_vcpu *v = vcpu->data;

    (void)state, (void)now_ns;
    v->used_ns = target->least_ns + (v->used_ns > source->least_ns ? v->used_ns - source->least_ns : 0);
}

const struct sched_ops sched_mine = {
    .name = "mine",
    .summary = "who has run least runs next",
    .queue_bytes = sizeof(struct mine_queue),
    .vcpu_bytes = sizeof(struct mine_vcpu),
    .enqueue = mine_enqueue,
    .dequeue = mine_dequeue,
    .pick_next = mine_pick_next,
    .charge = mine_charge,
    .move = mine_move,
};
